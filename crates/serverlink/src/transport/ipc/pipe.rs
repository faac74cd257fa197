//! Named pipes in place of Unix domain sockets: at the same endpoints, without files.

use std::{env, io, sync::LazyLock};

use serverlink_io::{NamedPipe, Port};
use socket2::Type;

use super::{address, new_socket};
use crate::{
    Error, Result,
    endpoint::{IpcEndpoint, StreamEndpoint, invalid},
    transport::stream::{Listening, Stream},
};

/// For tests, where there are sockets, too: `pipe` does without them.
const ENVIRONMENT: &str = "SERVERLINK_IPC";
/// How often to try a name that nobody else can have by chance.
const ATTEMPTS: usize = 16;

/// Whether Unix domain sockets can be had.
static SOCKETS: LazyLock<bool> = LazyLock::new(|| {
    env::var_os(ENVIRONMENT).is_none_or(|wanted| wanted != "pipe")
        && new_socket(Type::STREAM).is_ok()
});

/// Whether pipes are what there is for a port like this.
pub(super) fn stands_in(port: &Port) -> bool {
    !*SOCKETS && port.takes_pipes()
}

/// Listens at `endpoint`.
pub(super) fn listen(endpoint: &IpcEndpoint) -> Result<Listening> {
    if *endpoint != IpcEndpoint::Any {
        return listen_at(endpoint.clone());
    }
    let mut attempts = 0..ATTEMPTS;
    loop {
        let name = format!("serverlink-{:012x}", fastrand::u64(..1 << 48));
        let path = env::temp_dir().join(name);
        let text = format!("ipc://{}", path.display());
        match listen_at(IpcEndpoint::parse(&text, &path.to_string_lossy())?) {
            Err(Error::AddressInUse { .. }) if attempts.next().is_some() => {}
            listening => return listening,
        }
    }
}

fn listen_at(endpoint: IpcEndpoint) -> Result<Listening> {
    match address(&endpoint).and_then(|address| NamedPipe::listen(&address)) {
        Ok(pipe) => Ok(Listening {
            stream: Stream::Pipe(pipe),
            endpoint: StreamEndpoint::Ipc(endpoint),
            file: None,
        }),
        Err(source) => {
            let endpoint = endpoint.to_string();
            Err(match source.kind() {
                io::ErrorKind::AddrInUse => Error::AddressInUse { endpoint },
                io::ErrorKind::InvalidInput => invalid(&endpoint, &source.to_string()),
                _ => Error::Io { action: format!("listening on {endpoint}"), source },
            })
        }
    }
}
