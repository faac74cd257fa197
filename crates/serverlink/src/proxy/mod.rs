//! Proxies: what arrives at one socket is sent by another, both ways.

mod control;
mod forward;
mod handle;
mod statistics;

pub use handle::{Proxy, ProxyBuilder, ProxyHandle};
pub use statistics::{ProxyCounts, ProxyStatistics};

use self::{forward::Forwarder, handle::Steering};
use crate::{Result, Socket};

/// Passes messages on between two sockets, both ways, until the context is terminated
/// (`zmq_proxy`). What passes is also sent to `capture`, if there is one.
///
/// The pairs that make sense: ROUTER and DEALER for requests and their replies, XSUB and XPUB for
/// messages and subscriptions, PULL and PUSH for a pipeline. Messages pass as a whole, and the two
/// ways take turns. A message is received only when the other socket, and `capture`, can take it: who
/// cannot get rid of messages holds up their senders, as far as the patterns have it. Messages that
/// the other socket refuses, like a malformed one to a ROUTER, are dropped.
///
/// For a proxy in the background see [`Proxy`].
///
/// # Errors
///
/// [`Error::Terminated`](crate::Error::Terminated) is how it ends.
///
/// ```
/// use std::thread;
///
/// use serverlink::{Context, SocketType, proxy};
///
/// let context = Context::new()?;
/// let frontend = context.socket(SocketType::Router)?;
/// let clients = frontend.bind("tcp://127.0.0.1:*")?;
/// let backend = context.socket(SocketType::Dealer)?;
/// let workers = backend.bind("tcp://127.0.0.1:*")?;
/// let broker = thread::spawn(move || proxy(&frontend, &backend, None));
///
/// let worker = context.socket(SocketType::Rep)?;
/// worker.connect(&workers)?;
/// let client = context.socket(SocketType::Req)?;
/// client.connect(&clients)?;
/// client.send("a job")?;
/// assert_eq!(worker.recv()?[0], "a job");
/// worker.send("done")?;
/// assert_eq!(client.recv()?[0], "done");
///
/// drop((worker, client));
/// context.terminate();
/// let ended = broker.join().expect("it does not panic");
/// assert_eq!(ended.unwrap_err().errno_name(), "ETERM");
/// # Ok::<(), serverlink::Error>(())
/// ```
pub fn proxy(frontend: &Socket, backend: &Socket, capture: Option<&Socket>) -> Result<()> {
    proxy_steerable(frontend, backend, capture, None)
}

/// The same, which obeys the messages that `control` receives (`zmq_proxy_steerable`):
///
/// * `PAUSE`: passes nothing on, until
/// * `RESUME`;
/// * `TERMINATE`: ends;
/// * `STATISTICS`: answers with [`ProxyStatistics::to_message`].
///
/// A REP answers everything, with an empty message if there is nothing to say. A PAIR, SUB or PULL
/// will do as well.
///
/// # Errors
///
/// [`Error::Terminated`](crate::Error::Terminated) if the context is; `TERMINATE` is no error.
pub fn proxy_steerable(
    frontend: &Socket,
    backend: &Socket,
    capture: Option<&Socket>,
    control: Option<&Socket>,
) -> Result<()> {
    Forwarder::new(frontend, backend, capture, control, &Steering::default())?.run()
}
