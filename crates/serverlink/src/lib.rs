//! serverlink
