//! A libzmq that has its drafts, through its C interface, and what tests need besides.
//!
//! Calls fail the test, and wait at most [`PATIENCE`].
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here is for tests, which fail by panicking"
)]

mod ffi;

use std::{
    ffi::{CStr, CString, c_int, c_void},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

/// How long anything that must happen may take, on however busy a machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How often to look at what tells of no change by itself.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The types that only such a libzmq has, as it numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are what they are called")]
#[repr(i32)]
pub enum Kind {
    Dealer = 5,
    Router = 6,
    XPub = 9,
    XSub = 10,
    Server = 12,
    Client = 13,
    Radio = 14,
    Dish = 15,
    Gather = 16,
    Scatter = 17,
    Dgram = 18,
    Peer = 19,
    Channel = 20,
}

/// A context, which ends when its sockets have gone.
#[derive(Clone)]
pub struct Libzmq(Rc<Context>);

struct Context(*mut c_void);

/// A socket of libzmq's, which does not linger.
pub struct Socket {
    raw: *mut c_void,
    _context: Libzmq,
}

/// A message, or one frame of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The body.
    pub body: Vec<u8>,
    /// Zero for none.
    pub routing_id: u32,
    /// Empty for none.
    pub group: Vec<u8>,
}

impl Message {
    /// A message with nothing but a body.
    #[must_use]
    pub fn new(body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_vec(), ..Self::default() }
    }

    /// The same for a peer.
    #[must_use]
    pub fn to(self, routing_id: u32) -> Self {
        Self { routing_id, ..self }
    }

    /// The same for a group.
    #[must_use]
    pub fn in_group(self, group: impl AsRef<[u8]>) -> Self {
        Self { group: group.as_ref().to_vec(), ..self }
    }
}

impl Libzmq {
    /// A context.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        // SAFETY: a string that ends with a zero.
        assert_eq!(unsafe { ffi::zmq_has(c"draft".as_ptr()) }, 1, "a libzmq without its drafts");
        // SAFETY: it has no preconditions.
        let context = unsafe { ffi::zmq_ctx_new() };
        assert!(!context.is_null(), "no context: {}", reason());
        Self(Rc::new(Context(context)))
    }

    /// Opens a socket.
    #[must_use]
    #[track_caller]
    pub fn socket(&self, kind: Kind) -> Socket {
        // SAFETY: the context lives.
        let raw = unsafe { ffi::zmq_socket(self.0.0, kind as c_int) };
        assert!(!raw.is_null(), "no {kind:?}: {}", reason());
        let socket = Socket { raw, _context: self.clone() };
        socket.set(ffi::LINGER, 0);
        let patience = PATIENCE.as_millis() as c_int;
        socket.set(ffi::SNDTIMEO, patience);
        socket.set(ffi::RCVTIMEO, patience);
        socket
    }
}

impl Default for Libzmq {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: each socket holds a reference to this, so that all of them are closed.
        unsafe { ffi::zmq_ctx_term(self.0) };
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the socket is open, and nothing uses it after this.
        unsafe { ffi::zmq_close(self.raw) };
    }
}

impl Socket {
    #[track_caller]
    fn set(&self, option: c_int, value: c_int) {
        // SAFETY: the socket is open; the value is as long as is said.
        let result = unsafe {
            ffi::zmq_setsockopt(self.raw, option, (&raw const value).cast(), size_of::<c_int>())
        };
        check(result, "an option");
    }

    /// Sets an option that is a number.
    #[track_caller]
    pub fn set_number(&self, option: i32, value: i32) {
        self.set(option, value);
    }

    /// Sets an option that is some bytes.
    #[track_caller]
    pub fn set_bytes(&self, option: i32, value: &[u8]) {
        // SAFETY: the socket is open; the value is as long as is said.
        let result =
            unsafe { ffi::zmq_setsockopt(self.raw, option, value.as_ptr().cast(), value.len()) };
        check(result, "an option");
    }

    /// Takes a connection back.
    #[track_caller]
    pub fn disconnect(&self, endpoint: &str) {
        let name = CString::new(endpoint).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        check(unsafe { ffi::zmq_disconnect(self.raw, name.as_ptr()) }, endpoint);
    }

    /// Binds, and says where.
    #[track_caller]
    pub fn bind(&self, endpoint: &str) -> String {
        let name = CString::new(endpoint).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        check(unsafe { ffi::zmq_bind(self.raw, name.as_ptr()) }, endpoint);
        let (mut bytes, mut length) = ([0_u8; 256], 256);
        // SAFETY: the socket is open; there is as much room as is said.
        let result = unsafe {
            let bytes = bytes.as_mut_ptr().cast();
            ffi::zmq_getsockopt(self.raw, ffi::LAST_ENDPOINT, bytes, &raw mut length)
        };
        check(result, "where it is bound");
        CStr::from_bytes_until_nul(&bytes).unwrap().to_str().unwrap().to_owned()
    }

    /// Connects.
    #[track_caller]
    pub fn connect(&self, endpoint: &str) {
        let name = CString::new(endpoint).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        check(unsafe { ffi::zmq_connect(self.raw, name.as_ptr()) }, endpoint);
    }

    /// Connects a PEER, and says to what id.
    #[track_caller]
    #[must_use]
    pub fn connect_peer(&self, endpoint: &str) -> u32 {
        let name = CString::new(endpoint).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        let id = unsafe { ffi::zmq_connect_peer(self.raw, name.as_ptr()) };
        assert_ne!(id, 0, "{endpoint}: {}", reason());
        id
    }

    /// Joins a group.
    #[track_caller]
    pub fn join(&self, group: impl AsRef<[u8]>) {
        let group = CString::new(group.as_ref()).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        check(unsafe { ffi::zmq_join(self.raw, group.as_ptr()) }, "joining");
    }

    /// Leaves a group.
    #[track_caller]
    pub fn leave(&self, group: impl AsRef<[u8]>) {
        let group = CString::new(group.as_ref()).unwrap();
        // SAFETY: the socket is open; a string that ends with a zero.
        check(unsafe { ffi::zmq_leave(self.raw, group.as_ptr()) }, "leaving");
    }

    /// Sends a message of one frame.
    #[track_caller]
    pub fn send(&self, message: &Message) {
        self.send_frame(message, 0);
    }

    /// Sends a message of two frames.
    #[track_caller]
    pub fn send_pair(&self, first: impl AsRef<[u8]>, second: impl AsRef<[u8]>) {
        self.send_frame(&Message::new(first), ffi::SNDMORE);
        self.send_frame(&Message::new(second), 0);
    }

    #[track_caller]
    fn send_frame(&self, message: &Message, flags: c_int) {
        let mut raw = ffi::Message([0; 64]);
        let body = &message.body;
        // SAFETY: the body is as long as is said, and copied.
        let result =
            unsafe { ffi::zmq_msg_init_buffer(&raw mut raw, body.as_ptr().cast(), body.len()) };
        check(result, "a message");
        if message.routing_id != 0 {
            // SAFETY: the message was made just now.
            check(
                unsafe { ffi::zmq_msg_set_routing_id(&raw mut raw, message.routing_id) },
                "an id",
            );
        }
        if !message.group.is_empty() {
            let group = CString::new(&message.group[..]).unwrap();
            // SAFETY: the message was made just now; a string that ends with a zero.
            check(unsafe { ffi::zmq_msg_set_group(&raw mut raw, group.as_ptr()) }, "a group");
        }
        // SAFETY: the socket is open, the message made.
        check(unsafe { ffi::zmq_msg_send(&raw mut raw, self.raw, flags) }, "sending");
    }

    /// Receives a frame.
    #[track_caller]
    #[must_use]
    pub fn recv(&self) -> Message {
        self.recv_within(PATIENCE).unwrap_or_else(|| panic!("libzmq: no message came"))
    }

    /// Receives a frame, if one comes in time.
    #[track_caller]
    #[must_use]
    pub fn recv_within(&self, time: Duration) -> Option<Message> {
        self.set(ffi::RCVTIMEO, time.as_millis() as c_int);
        let mut raw = ffi::Message([0; 64]);
        // SAFETY: there is room for a message.
        check(unsafe { ffi::zmq_msg_init(&raw mut raw) }, "a message");
        // SAFETY: the socket is open, the message made.
        if unsafe { ffi::zmq_msg_recv(&raw mut raw, self.raw, 0) } < 0 {
            return None;
        }
        // SAFETY: the message was received just now, and its memory is its own until it is closed.
        let message = unsafe {
            let (data, size) =
                (ffi::zmq_msg_data(&raw mut raw).cast::<u8>(), ffi::zmq_msg_size(&raw const raw));
            let body = std::slice::from_raw_parts(data, size).to_vec();
            let routing_id = ffi::zmq_msg_routing_id(&raw mut raw);
            let group = CStr::from_ptr(ffi::zmq_msg_group(&raw mut raw)).to_bytes().to_vec();
            ffi::zmq_msg_close(&raw mut raw);
            Message { body, routing_id, group }
        };
        Some(message)
    }

    /// Receives a message of two frames.
    #[track_caller]
    #[must_use]
    pub fn recv_pair(&self) -> (Vec<u8>, Vec<u8>) {
        (self.recv().body, self.recv().body)
    }
}

/// A socket of ServerLink's, which neither waits for ever nor lingers.
#[must_use]
pub fn ours(context: &serverlink::Context, kind: serverlink::SocketType) -> serverlink::Socket {
    let socket = context.socket(kind).unwrap();
    socket.set_receive_timeout(Some(PATIENCE)).unwrap();
    socket.set_send_timeout(Some(PATIENCE)).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.set_reconnect_interval(Some(Duration::from_millis(10))).unwrap();
    socket
}

/// Waits until something is the case.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

#[track_caller]
fn check(result: c_int, what: &str) {
    assert!(result >= 0, "libzmq: {what}: {}", reason());
}

fn reason() -> String {
    // SAFETY: it returns a string that lives for ever.
    let text = unsafe { CStr::from_ptr(ffi::zmq_strerror(ffi::zmq_errno())) };
    text.to_string_lossy().into_owned()
}
