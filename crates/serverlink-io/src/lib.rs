//! The I/O engine of ServerLink.
//!
//! A [`Port`] is a completion port: operations are started on registered
//! sockets, the kernel (or an emulation of one, where the platform only tells
//! of readiness) carries them out, and each is answered by exactly one
//! [`Event`] given to the [`Handler`] of its registration.
//!
//! An echo server, and a client that tries it:
//!
//! ```
//! use std::{
//!     io::{Read, Write},
//!     net::{Shutdown, TcpListener, TcpStream},
//!     sync::{Arc, OnceLock},
//!     thread,
//! };
//!
//! use serverlink_io::{Event, Handle, Handler, Port, PortOptions, Sending};
//!
//! /// Accepts for ever and gives each connection an [`Echo`].
//! struct Accept {
//!     port: Port,
//!     listener: OnceLock<Handle>,
//! }
//!
//! /// Sends back what it receives.
//! #[derive(Default)]
//! struct Echo {
//!     connection: OnceLock<Handle>,
//! }
//!
//! impl Handler for Accept {
//!     fn complete(&self, event: Event) {
//!         if let Event::Accepted(Ok((socket, _peer))) = event {
//!             let echo = Arc::new(Echo::default());
//!             if let Ok(connection) = self.port.register(socket, echo.clone()) {
//!                 let _ = connection.receive(None);
//!                 let _ = echo.connection.set(connection);
//!             }
//!         }
//!         let _ = self.listener.get().map(Handle::accept);
//!     }
//! }
//!
//! impl Handler for Echo {
//!     fn complete(&self, event: Event) {
//!         let Some(connection) = self.connection.get() else { return };
//!         match event {
//!             Event::Received(Ok(bytes)) if !bytes.is_empty() => {
//!                 match connection.send(vec![bytes.freeze()]) {
//!                     // `Event::Sent` follows.
//!                     Sending::Pending => {}
//!                     Sending::Done { result: Ok(()), .. } => _ = connection.receive(None),
//!                     Sending::Done { .. } => connection.retire(),
//!                 }
//!             }
//!             Event::Sent { result: Ok(()), .. } => _ = connection.receive(None),
//!             // The end of the stream, or an error. This also ends the cycle of the handler and
//!             // its handle.
//!             _ => connection.retire(),
//!         }
//!     }
//! }
//!
//! let port = Port::new(&PortOptions::default())?;
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let accept = Arc::new(Accept { port: port.clone(), listener: OnceLock::new() });
//! let listening = port.register(listener.into(), accept.clone())?;
//! let listening = accept.listener.get_or_init(|| listening);
//! listening.accept()?;
//!
//! let driver = thread::spawn({
//!     let port = port.clone();
//!     move || port.run()
//! });
//!
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"every byte comes back")?;
//! client.shutdown(Shutdown::Write)?;
//! let mut echoed = String::new();
//! client.read_to_string(&mut echoed)?;
//! assert_eq!(echoed, "every byte comes back");
//!
//! port.stop();
//! driver.join().expect("no handler panics")?;
//! listening.retire();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Where things are
//!
//! The contract between the port and its backends is written in `sys/mod.rs`.
//! Timers, posted packets, and the rule that one thread drives at a time are
//! the port's and the same for all. On Windows a backend is the kernel's own
//! completion port (`sys/iocp`), on Linux it may be an io_uring (`sys/uring`);
//! epoll, kqueue and select only tell of readiness, and `sys/readiness` makes
//! completions of that. The suite `tests/conformance` is
//! one set of cases that runs on every backend.
//!
//! The engine began as an event loop over completion ports in another language.
//! `docs/engine.md` in the repository goes through the description of that loop
//! sentence by sentence, and says where each function and pattern lives now, on
//! a completion port and without one, and which test shows it.

pub mod barrier;
mod biased;
mod counters;
mod descriptors;
mod diagnostics;
mod errors;
mod event;
mod handle;
mod lock;
#[cfg(windows)]
mod named_pipe;
mod notice;
mod options;
mod port;
mod seat;
mod sync;
mod sys;
mod timers;
mod vigil;

pub use biased::{BiasedGuard, BiasedLock};
pub use counters::PortStatistics;
#[cfg(unix)]
pub use descriptors::look_at_with_signals;
pub use descriptors::{Condition, Descriptor, look_at};
pub use errors::{is_cancelled, is_temporary};
pub use event::{Event, Handler, Interest};
pub use handle::{Direction, Handle, Sending};
#[cfg(windows)]
pub use named_pipe::NamedPipe;
pub use notice::Notice;
pub use options::{PortOptions, backends};
pub use port::{Manner, Port, Turn};
#[cfg(unix)]
pub use sys::credentials::PeerCredentials;
#[cfg(windows)]
pub use sys::given::take_loopback_fast_path;
pub use sys::given::{duplicate_socket, listens};
#[cfg(unix)]
pub use sys::look::SignalMask;
pub use sys::schedule::ThreadSchedule;
pub use timers::TimerId;
pub use vigil::Vigil;
