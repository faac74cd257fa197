//! libzmq, through its C interface.

mod ffi;

use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr, slice,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Kind, Library, Socket};
use crate::{
    failure::{Failure, Result},
    payload::Payload,
    peer,
};

/// The library that everybody else is measured against.
pub(crate) struct Libzmq;

/// A context, which ends when it and its sockets are gone.
#[derive(Clone)]
pub(crate) struct Context(Arc<RawContext>);

struct RawContext(*mut c_void);

// SAFETY: zmq_ctx_new(3): "A ØMQ context is thread safe and may be shared among as many application
// threads as necessary".
unsafe impl Send for RawContext {}
// SAFETY: as above.
unsafe impl Sync for RawContext {}

impl Drop for RawContext {
    fn drop(&mut self) {
        // SAFETY: the context is one of `zmq_ctx_new`, and each socket holds a reference to this, so
        // that all of them are closed.
        unsafe { ffi::zmq_ctx_term(self.0) };
    }
}

/// A socket, closed when it is dropped.
pub(crate) struct RawSocket {
    socket: *mut c_void,
    /// Tells of handshakes, once they are watched.
    monitor: Option<Box<RawSocket>>,
    context: Context,
}

// SAFETY: zmq_socket(3): a socket may be migrated from one thread to another with a full memory
// barrier, which whatever moves this value is. It is not `Sync`.
unsafe impl Send for RawSocket {}

impl Drop for RawSocket {
    fn drop(&mut self) {
        // SAFETY: the socket is open, and nothing uses it after this.
        unsafe { ffi::zmq_close(self.socket) };
    }
}

impl Library for Libzmq {
    type Context = Context;
    type Socket = RawSocket;
    /// Sockets are not thread-safe: zmq_socket(3) wants them to be protected by a lock.
    type Shared = Arc<Mutex<RawSocket>>;

    fn context() -> Result<Context> {
        // SAFETY: it has no preconditions.
        let context = unsafe { ffi::zmq_ctx_new() };
        if context.is_null() {
            return Err(failure("making a context"));
        }
        Ok(Context(Arc::new(RawContext(context))))
    }

    fn socket(context: &Context, kind: Kind) -> Result<RawSocket> {
        let number = match kind {
            Kind::Push => ffi::PUSH,
            Kind::Pull => ffi::PULL,
            Kind::Req => ffi::REQ,
            Kind::Rep => ffi::REP,
            Kind::Dealer => ffi::DEALER,
            Kind::Router => ffi::ROUTER,
            Kind::Pub => ffi::PUB,
            Kind::Sub => ffi::SUB,
        };
        let mut socket = RawSocket::open(context, number)?;
        if kind == Kind::Pub {
            socket.set(ffi::XPUB_NODROP, &1_i32.to_ne_bytes())?;
        }
        Ok(socket)
    }

    fn run<T>(_context: &Context, work: impl Future<Output = T>) -> T {
        peer::run_blocking(work)
    }

    fn share(socket: RawSocket) -> Arc<Mutex<RawSocket>> {
        Arc::new(Mutex::new(socket))
    }

    async fn send_shared(socket: &Arc<Mutex<RawSocket>>, payload: &Payload) -> Result<()> {
        socket.lock().unwrap_or_else(PoisonError::into_inner).send_payload(payload)
    }
}

impl RawSocket {
    fn open(context: &Context, kind: c_int) -> Result<Self> {
        // SAFETY: the context lives, as `context` holds it.
        let socket = unsafe { ffi::zmq_socket(context.0.0, kind) };
        if socket.is_null() {
            return Err(failure("opening a socket"));
        }
        Ok(Self { socket, monitor: None, context: context.clone() })
    }

    fn set(&mut self, option: c_int, value: &[u8]) -> Result<()> {
        // SAFETY: the socket is open, and the value is read before the call returns.
        let set =
            unsafe { ffi::zmq_setsockopt(self.socket, option, value.as_ptr().cast(), value.len()) };
        checked(set, "setting an option")
    }

    fn connect_to(&mut self, endpoint: &str) -> Result<()> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the endpoint ends in a zero.
        let connected = unsafe { ffi::zmq_connect(self.socket, endpoint.as_ptr()) };
        checked(connected, "connecting")
    }

    /// The last frame of a message.
    #[inline]
    fn receive_last(&mut self) -> Result<Message> {
        loop {
            let frame = Message::receive(self)?;
            if !frame.has_more() {
                return Ok(frame);
            }
        }
    }

    fn send_payload(&mut self, payload: &Payload) -> Result<()> {
        match payload.by_reference() {
            Some(_) => Message::by_reference(payload.bytes())?.send(self, 0),
            None => self.send_bytes(payload.bytes()),
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        loop {
            // SAFETY: the socket is open; the bytes are read before the call returns.
            let sent = unsafe { ffi::zmq_send(self.socket, bytes.as_ptr().cast(), bytes.len(), 0) };
            if !interrupted(sent) {
                return checked(sent, "sending");
            }
        }
    }
}

impl Socket for RawSocket {
    type Body<'a> = Message;

    async fn bind(&mut self, endpoint: &str, _peers: usize) -> Result<String> {
        let endpoint = CString::new(endpoint)?;
        // SAFETY: the socket is open, and the endpoint ends in a zero.
        let bound = unsafe { ffi::zmq_bind(self.socket, endpoint.as_ptr()) };
        checked(bound, "binding")?;
        let mut buffer = [0_u8; 256];
        let mut length = buffer.len();
        // SAFETY: the option is a string, written to the buffer within `length`.
        let read = unsafe {
            ffi::zmq_getsockopt(
                self.socket,
                ffi::LAST_ENDPOINT,
                buffer.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        checked(read, "reading the endpoint")?;
        Ok(CStr::from_bytes_until_nul(&buffer)?.to_str()?.to_owned())
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        self.connect_to(endpoint)
    }

    async fn subscribe(&mut self, topic: &str) -> Result<()> {
        self.set(ffi::SUBSCRIBE, topic.as_bytes())
    }

    async fn send(&mut self, payload: &Payload) -> Result<()> {
        self.send_payload(payload)
    }

    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_bytes(bytes)
    }

    async fn receive(&mut self) -> Result<Message> {
        self.receive_last()
    }

    async fn take(&mut self, count: u64, mut check: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for _ in 0..count {
            check(self.receive_last()?.as_ref())?;
        }
        Ok(())
    }

    async fn echo<T>(&mut self, mut check: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        loop {
            let frame = Message::receive(self)?;
            if frame.has_more() {
                frame.send(self, ffi::SNDMORE)?;
            } else {
                let checked = check(frame.as_ref())?;
                frame.send(self, 0)?;
                return Ok(checked);
            }
        }
    }

    async fn watch_peers(&mut self) -> Result<()> {
        const MONITOR: &str = "inproc://monitor";
        let endpoint = CString::new(MONITOR)?;
        let events = ffi::EVENT_HANDSHAKE_SUCCEEDED;
        // SAFETY: the socket is open, and the endpoint ends in a zero.
        let started = unsafe { ffi::zmq_socket_monitor(self.socket, endpoint.as_ptr(), events) };
        checked(started, "starting a monitor")?;
        let mut monitor = Self::open(&self.context, ffi::PAIR)?;
        monitor.connect_to(MONITOR)?;
        self.monitor = Some(Box::new(monitor));
        Ok(())
    }

    async fn await_peers(&mut self, more: usize) -> Result<()> {
        let monitor = self.monitor.as_mut().ok_or_else(|| Failure::new("peers are not watched"))?;
        for _ in 0..more {
            // An event is a message of two frames.
            while Message::receive(monitor)?.has_more() {}
        }
        Ok(())
    }
}

/// A frame of a message.
pub(crate) struct Message(ffi::Message);

impl Message {
    fn by_reference(bytes: &'static [u8]) -> Result<Self> {
        let mut message = ffi::Message::uninitialised();
        // SAFETY: the bytes live for ever, and libzmq only reads them.
        let made = unsafe {
            ffi::zmq_msg_init_data(
                &raw mut message,
                bytes.as_ptr().cast_mut().cast(),
                bytes.len(),
                Some(keep),
                ptr::null_mut(),
            )
        };
        checked(made, "making a message")?;
        Ok(Self(message))
    }

    fn receive(socket: &mut RawSocket) -> Result<Self> {
        let mut message = ffi::Message::uninitialised();
        // SAFETY: this initialises the message.
        checked(unsafe { ffi::zmq_msg_init(&raw mut message) }, "making a message")?;
        // It is closed also if nothing is received.
        let mut message = Self(message);
        loop {
            // SAFETY: the message is initialised and the socket open.
            let received = unsafe { ffi::zmq_msg_recv(&raw mut message.0, socket.socket, 0) };
            if !interrupted(received) {
                checked(received, "receiving")?;
                return Ok(message);
            }
        }
    }

    fn send(mut self, socket: &mut RawSocket, flags: c_int) -> Result<()> {
        loop {
            // SAFETY: the message is initialised and the socket open. A message that was sent is
            // an empty one, which is closed like any other.
            let sent = unsafe { ffi::zmq_msg_send(&raw mut self.0, socket.socket, flags) };
            if !interrupted(sent) {
                return checked(sent, "sending");
            }
        }
    }

    fn has_more(&self) -> bool {
        // SAFETY: the message is initialised.
        unsafe { ffi::zmq_msg_more(&raw const self.0) != 0 }
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        let message = (&raw const self.0).cast_mut();
        // SAFETY: the message is initialised, and its data stay where they are and as they are while
        // it is borrowed: `zmq_msg_data` changes nothing.
        unsafe {
            slice::from_raw_parts(
                ffi::zmq_msg_data(message).cast::<u8>(),
                ffi::zmq_msg_size(message),
            )
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the message is initialised, and nothing uses it after this.
        unsafe { ffi::zmq_msg_close(&raw mut self.0) };
    }
}

/// Frees nothing: the data live for ever.
unsafe extern "C" fn keep(_data: *mut c_void, _hint: *mut c_void) {}

fn interrupted(result: c_int) -> bool {
    // SAFETY: it has no preconditions.
    result < 0 && unsafe { ffi::zmq_errno() } == ffi::EINTR
}

#[inline]
fn checked(result: c_int, doing: &str) -> Result<()> {
    if result < 0 { Err(failure(doing)) } else { Ok(()) }
}

/// What went wrong last in this thread.
#[cold]
fn failure(doing: &str) -> Failure {
    // SAFETY: it has no preconditions, and the result is a string that lives for ever.
    let text = unsafe { CStr::from_ptr(ffi::zmq_strerror(ffi::zmq_errno())) };
    Failure::new(format!("{doing}: {}", text.to_string_lossy()))
}
