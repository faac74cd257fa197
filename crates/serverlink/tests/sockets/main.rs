//! How sockets behave, pattern by pattern and call by call, over each transport.
//!
//! One program, so that it is linked once. What comes true in its own time is waited for with
//! [`harness::eventually`]; that something does *not* arrive is shown by a marker sent after it.

mod cancelling;
mod change_descriptor;
mod computing;
mod connection_options;
mod content;
mod context_options;
mod drops;
mod endpoints;
mod event_descriptors;
mod fairness;
mod harness;
mod high_water;
mod inproc;
mod inproc_notices;
mod interfaces;
mod ipc;
mod linger;
mod load;
mod monitor;
mod monitor_ends;
mod option_page;
mod option_table;
mod options;
mod pair;
mod pattern_peers;
mod pattern_subscriptions;
mod poll_list;
mod polling;
mod proxying;
mod publish;
mod publish_options;
mod queues;
mod readiness;
mod reconnect;
mod reconnect_options;
mod reply;
mod request;
mod rfc41;
mod rfc48;
mod rfc49;
mod rfc51;
mod rfc52;
mod router;
mod router_options;
mod rules;
mod sharing;
mod status;
mod stream;
mod subscriptions;
mod termination;
mod timeouts;
mod udp;
mod verbosity;
