//! The contract every backend fulfils.
