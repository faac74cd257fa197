//! A socket in one value: `router,bind=tcp://*:5555`.

use serverlink::SocketType;

use super::{bind_endpoint, connect_endpoint};

/// A type, and where it is bound and connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketValue {
    pub(crate) socket_type: SocketType,
    pub(crate) bind: Vec<String>,
    pub(crate) connect: Vec<String>,
}

/// Reads one.
pub(crate) fn socket(text: &str) -> Result<SocketValue, String> {
    const SHAPE: &str = "write it like router,bind=tcp://*:5555";
    let (name, endpoints) =
        text.split_once(',').ok_or_else(|| format!("an endpoint is missing; {SHAPE}"))?;
    let socket_type = name.parse().map_err(|error| format!("{error}; {SHAPE}"))?;
    let mut socket = SocketValue { socket_type, bind: Vec::new(), connect: Vec::new() };
    for endpoint in endpoints.split(',') {
        match endpoint.split_once('=') {
            Some(("bind", endpoint)) => socket.bind.push(bind_endpoint(endpoint)?),
            Some(("connect", endpoint)) => socket.connect.push(connect_endpoint(endpoint)?),
            _ => return Err(format!("{endpoint:?} says neither bind= nor connect=; {SHAPE}")),
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_and_endpoints_are_read() {
        let value = socket("xpub,bind=tcp://*:5555,connect=tcp://[::1]:6,bind=ipc://x").unwrap();
        assert_eq!(value.socket_type, SocketType::XPub);
        assert_eq!(value.bind, ["tcp://*:5555", "ipc://x"]);
        assert_eq!(value.connect, ["tcp://[::1]:6"]);
    }

    #[test]
    fn what_is_no_socket_is_refused_with_a_remedy() {
        for (text, remedy) in [
            ("router", "endpoint is missing"),
            ("rooter,bind=tcp://*:1", "write it like"),
            ("router,tcp://*:1", "neither bind= nor connect="),
            ("router,bind=", "transport is missing"),
            ("router,connect=tcp://*:1", "name the peer's host"),
            ("router,bind=tcp://*:1,", "neither"),
        ] {
            let refused = socket(text).unwrap_err();
            assert!(refused.contains(remedy), "{text}: {refused}");
        }
    }
}
