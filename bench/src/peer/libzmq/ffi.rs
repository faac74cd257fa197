//! The few functions of libzmq that are called, as `zmq.h` declares them.

use std::ffi::{c_char, c_int, c_void};

use serverlink_bench_libzmq as _;

pub(super) const PAIR: c_int = 0;
pub(super) const PUB: c_int = 1;
pub(super) const SUB: c_int = 2;
pub(super) const REQ: c_int = 3;
pub(super) const REP: c_int = 4;
pub(super) const DEALER: c_int = 5;
pub(super) const ROUTER: c_int = 6;
pub(super) const PULL: c_int = 7;
pub(super) const PUSH: c_int = 8;

pub(super) const SUBSCRIBE: c_int = 6;
pub(super) const XPUB_NODROP: c_int = 69;
pub(super) const LAST_ENDPOINT: c_int = 32;

pub(super) const EVENT_HANDSHAKE_SUCCEEDED: c_int = 0x1000;

pub(super) const SNDMORE: c_int = 2;

pub(super) const EINTR: c_int = 4;

/// `zmq_msg_t`: opaque, and aligned like a pointer.
#[repr(C, align(8))]
pub(super) struct Message {
    opaque: [u8; 64],
}

impl Message {
    /// One to be initialised by `zmq_msg_init` or its like.
    pub(super) const fn uninitialised() -> Self {
        Self { opaque: [0; 64] }
    }
}

pub(super) type Free = unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void);

unsafe extern "C" {
    pub(super) fn zmq_ctx_new() -> *mut c_void;
    pub(super) fn zmq_ctx_term(context: *mut c_void) -> c_int;
    pub(super) fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    pub(super) fn zmq_close(socket: *mut c_void) -> c_int;
    pub(super) fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(super) fn zmq_setsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *const c_void,
        length: usize,
    ) -> c_int;
    pub(super) fn zmq_socket_monitor(
        socket: *mut c_void,
        endpoint: *const c_char,
        events: c_int,
    ) -> c_int;
    pub(super) fn zmq_getsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *mut c_void,
        length: *mut usize,
    ) -> c_int;
    pub(super) fn zmq_send(
        socket: *mut c_void,
        data: *const c_void,
        length: usize,
        flags: c_int,
    ) -> c_int;
    pub(super) fn zmq_msg_init(message: *mut Message) -> c_int;
    pub(super) fn zmq_msg_init_data(
        message: *mut Message,
        data: *mut c_void,
        length: usize,
        free: Option<Free>,
        hint: *mut c_void,
    ) -> c_int;
    pub(super) fn zmq_msg_send(message: *mut Message, socket: *mut c_void, flags: c_int) -> c_int;
    pub(super) fn zmq_msg_recv(message: *mut Message, socket: *mut c_void, flags: c_int) -> c_int;
    pub(super) fn zmq_msg_close(message: *mut Message) -> c_int;
    pub(super) fn zmq_msg_data(message: *mut Message) -> *mut c_void;
    pub(super) fn zmq_msg_size(message: *const Message) -> usize;
    pub(super) fn zmq_msg_more(message: *const Message) -> c_int;
    pub(super) fn zmq_errno() -> c_int;
    pub(super) fn zmq_strerror(number: c_int) -> *const c_char;
}
