//! serverlink-zmtp
