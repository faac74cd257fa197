//! Timers of a port.
