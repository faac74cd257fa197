//! Tests of ServerLink against real ZeroMQ peers.
