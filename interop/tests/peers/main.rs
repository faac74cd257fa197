//! Exchanges with real peers: one program, which links libzmq and ServerLink once. Those that count what
//! belongs to a whole process are programs of their own.

mod command;
mod crowd;
mod curve;
mod descriptors;
mod heartbeats;
mod hostile_servers;
mod ipc;
mod marks;
mod monitor;
mod older;
mod options;
mod pairs;
mod patterns;
mod properties;
mod proxy;
mod raw_streams;
mod restarts;
mod security;
mod sizes;
mod streams;
mod subscription_forms;
mod subscriptions;
mod web;
