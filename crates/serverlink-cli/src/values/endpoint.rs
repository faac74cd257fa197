//! Endpoints: their shape is checked before anything is opened.

/// An endpoint to listen on: `*` may stand for every address, for a free port, for a new file.
pub(crate) fn bind_endpoint(text: &str) -> Result<String, String> {
    check(text, true)
}

/// An endpoint to connect to: a peer's address or name and its port, or its file.
pub(crate) fn connect_endpoint(text: &str) -> Result<String, String> {
    check(text, false)
}

fn check(text: &str, binding: bool) -> Result<String, String> {
    let Some((transport, address)) = text.split_once("://") else {
        return Err(format!("a transport is missing; try tcp://{text}"));
    };
    match transport {
        "tcp" => tcp(address, binding)?,
        "inproc" => {
            return Err(
                "inproc:// stays within one process and reaches nobody here; use ipc:// or tcp://"
                    .into(),
            );
        }
        "ipc" if address == "*" && !binding => {
            return Err("* is for --bind; name the peer's file, like ipc:///tmp/socket".into());
        }
        "" => return Err("a transport is missing before ://; try tcp://".into()),
        // Others are the library's to accept or to refuse.
        _ if address.is_empty() => {
            return Err(format!("an address is missing after {transport}://"));
        }
        _ => {}
    }
    Ok(text.to_owned())
}

fn tcp(address: &str, binding: bool) -> Result<(), String> {
    let shape = if binding { "tcp://127.0.0.1:5555 or tcp://*:*" } else { "tcp://127.0.0.1:5555" };
    // ZeroMQ's `source;destination` form.
    let destination = match address.split_once(';') {
        Some((source, destination)) if !binding && !source.is_empty() => destination,
        Some(_) => return Err(format!("`source;destination` is for --connect; write {shape}")),
        None => address,
    };
    let Some((host, port)) = destination.rsplit_once(':') else {
        return Err(format!("the port is missing; write it like {shape}"));
    };
    if host.is_empty() {
        return Err(format!("the host is missing; write it like {shape}"));
    }
    if host.starts_with('[') != host.ends_with(']')
        || (host.contains(':') && !host.starts_with('['))
    {
        return Err("an IPv6 address is written in brackets, like tcp://[::1]:5555".into());
    }
    if host == "*" && !binding {
        return Err("* is for --bind; name the peer's host".into());
    }
    match port {
        "*" | "0" if binding => Ok(()),
        "*" | "0" => Err("a free port is for --bind; name the peer's port".into()),
        _ if port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(format!("{port:?} is no port; it is a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_endpoints_pass_unchanged() {
        for text in ["tcp://127.0.0.1:5555", "tcp://[::1]:1", "tcp://example.org:65535"] {
            assert_eq!(bind_endpoint(text).as_deref(), Ok(text));
            assert_eq!(connect_endpoint(text).as_deref(), Ok(text));
        }
        for text in ["tcp://*:*", "tcp://*:0", "tcp://eth0:5555"] {
            assert_eq!(bind_endpoint(text).as_deref(), Ok(text));
        }
        assert!(connect_endpoint("tcp://10.0.0.1:0;10.0.0.2:5555").is_ok());
        for text in ["ipc:///tmp/socket", "ipc://socket", "ipc://@name"] {
            assert_eq!(bind_endpoint(text).as_deref(), Ok(text));
            assert_eq!(connect_endpoint(text).as_deref(), Ok(text));
        }
        assert_eq!(bind_endpoint("ipc://*").as_deref(), Ok("ipc://*"));
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused_with_a_remedy() {
        for (text, remedy) in [
            ("127.0.0.1:5555", "tcp://127.0.0.1:5555"),
            ("tcp://", "port is missing"),
            ("tcp://localhost", "port is missing"),
            ("tcp://:5555", "host is missing"),
            ("tcp://localhost:http", "no port"),
            ("tcp://localhost:65536", "no port"),
            ("tcp://localhost:+1", "no port"),
            ("tcp://::1:5555", "brackets"),
            ("tcp://*:5555", "--bind"),
            ("tcp://localhost:*", "--bind"),
            ("tcp://localhost:0", "--bind"),
            ("inproc://x", "tcp://"),
            ("://x", "transport"),
            ("ipc://", "address"),
            ("ipc://*", "--bind"),
        ] {
            let refused = connect_endpoint(text).unwrap_err();
            assert!(refused.contains(remedy), "{text}: {refused}");
        }
        assert!(bind_endpoint("tcp://10.0.0.1:0;10.0.0.2:5555").is_err());
    }
}
