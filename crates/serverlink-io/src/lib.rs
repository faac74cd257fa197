//! serverlink-io
