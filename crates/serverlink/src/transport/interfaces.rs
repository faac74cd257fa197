//! The network interfaces of this machine, and their addresses.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
};

use if_addrs::{IfAddr, Interface, get_if_addrs};

use crate::{
    Result,
    endpoint::{Local, invalid},
};

/// An address of ours, with the scope of one that needs it, and port 0. `ipv6` says which of an
/// interface: its first IPv6 address, or else its first IPv4 address. Without it, only that.
pub(super) fn address(local: &Local, ipv6: bool) -> io::Result<SocketAddr> {
    match local {
        Local::Address(address) => Ok((*address, 0).into()),
        Local::Interface(name) => {
            let all = get_if_addrs()?;
            if !all.iter().any(|interface| is_called(interface, name)) {
                return Err(io::Error::new(io::ErrorKind::NotFound, none_such(name, &all)));
            }
            primary(&all, name, ipv6).ok_or_else(|| {
                let reason = format!("the interface {name:?} has no IPv4 address");
                io::Error::new(io::ErrorKind::AddrNotAvailable, reason)
            })
        }
    }
}

/// The same for a name that may be that of something else; none, if there is no such interface.
pub(super) fn named(name: &str, ipv6: bool) -> Option<SocketAddr> {
    // Addresses with a zone name no interface, and are in no need of being looked for.
    if name.contains(['%', ':']) {
        return None;
    }
    primary(&get_if_addrs().ok()?, name, ipv6)
}

/// The number by which the system knows an interface.
pub(super) fn index(name: &str) -> io::Result<u32> {
    let all = get_if_addrs()?;
    let found = all.iter().filter(|interface| is_called(interface, name)).find_map(|it| it.index);
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, none_such(name, &all)))
}

/// Refuses a part of `endpoint` that names no interface of this machine.
pub(super) fn check(local: &Local, endpoint: &str) -> Result<()> {
    match local {
        Local::Address(_) => Ok(()),
        Local::Interface(name) => match index(name) {
            Ok(_) => Ok(()),
            Err(error) => Err(invalid(endpoint, &error.to_string())),
        },
    }
}

/// What there is besides, for whoever named none of them.
pub(super) fn known() -> String {
    get_if_addrs().map_or_else(|_| "none that it tells of".to_owned(), |all| listed(&all))
}

fn is_called(interface: &Interface, name: &str) -> bool {
    // Windows gives them long names, with spaces for the user and without for programs.
    #[cfg(windows)]
    if interface.adapter_name == name {
        return true;
    }
    interface.name == name
}

fn primary(all: &[Interface], name: &str, ipv6: bool) -> Option<SocketAddr> {
    let of = |wanted: fn(&IfAddr) -> bool| {
        all.iter().find(|interface| is_called(interface, name) && wanted(&interface.addr))
    };
    let v6 = if ipv6 { of(|address| matches!(address, IfAddr::V6(_))) } else { None };
    let found = v6.or_else(|| of(|address| matches!(address, IfAddr::V4(_))))?;
    Some(match found.ip() {
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            SocketAddrV6::new(address, 0, 0, found.index.unwrap_or(0)).into()
        }
        address => (address, 0).into(),
    })
}

fn none_such(name: &str, all: &[Interface]) -> String {
    format!("this machine has no interface {name:?}; it has {}", listed(all))
}

/// Their names and addresses.
fn listed(all: &[Interface]) -> String {
    let mut names: Vec<&str> = all.iter().map(|interface| &*interface.name).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for name in names {
        let addresses: Vec<_> = all
            .iter()
            .filter(|interface| interface.name == name)
            .map(|interface| interface.ip().to_string())
            .collect();
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{name} ({})", addresses.join(" "));
    }
    text
}
