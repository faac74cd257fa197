//! What is used of libzmq's C interface: zmq.h of 4.3.5.

use std::ffi::{c_char, c_int, c_void};

use serverlink_bench_libzmq as _;

pub(crate) const LINGER: c_int = 17;
pub(crate) const RCVTIMEO: c_int = 27;
pub(crate) const SNDTIMEO: c_int = 28;
pub(crate) const LAST_ENDPOINT: c_int = 32;
pub(crate) const SNDMORE: c_int = 2;

/// `zmq_msg_t`.
#[repr(C, align(8))]
pub(crate) struct Message(pub(crate) [u8; 64]);

unsafe extern "C" {
    pub(crate) fn zmq_has(capability: *const c_char) -> c_int;
    pub(crate) fn zmq_ctx_new() -> *mut c_void;
    pub(crate) fn zmq_ctx_term(context: *mut c_void) -> c_int;
    pub(crate) fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    pub(crate) fn zmq_close(socket: *mut c_void) -> c_int;
    pub(crate) fn zmq_bind(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(crate) fn zmq_connect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(crate) fn zmq_disconnect(socket: *mut c_void, endpoint: *const c_char) -> c_int;
    pub(crate) fn zmq_connect_peer(socket: *mut c_void, endpoint: *const c_char) -> u32;
    pub(crate) fn zmq_join(socket: *mut c_void, group: *const c_char) -> c_int;
    pub(crate) fn zmq_leave(socket: *mut c_void, group: *const c_char) -> c_int;
    pub(crate) fn zmq_setsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *const c_void,
        length: usize,
    ) -> c_int;
    pub(crate) fn zmq_getsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *mut c_void,
        length: *mut usize,
    ) -> c_int;
    pub(crate) fn zmq_msg_init(message: *mut Message) -> c_int;
    pub(crate) fn zmq_msg_init_buffer(
        message: *mut Message,
        data: *const c_void,
        length: usize,
    ) -> c_int;
    pub(crate) fn zmq_msg_send(message: *mut Message, socket: *mut c_void, flags: c_int) -> c_int;
    pub(crate) fn zmq_msg_recv(message: *mut Message, socket: *mut c_void, flags: c_int) -> c_int;
    pub(crate) fn zmq_msg_close(message: *mut Message) -> c_int;
    pub(crate) fn zmq_msg_data(message: *mut Message) -> *mut c_void;
    pub(crate) fn zmq_msg_size(message: *const Message) -> usize;
    pub(crate) fn zmq_msg_routing_id(message: *mut Message) -> u32;
    pub(crate) fn zmq_msg_set_routing_id(message: *mut Message, id: u32) -> c_int;
    pub(crate) fn zmq_msg_group(message: *mut Message) -> *const c_char;
    pub(crate) fn zmq_msg_set_group(message: *mut Message, group: *const c_char) -> c_int;
    pub(crate) fn zmq_errno() -> c_int;
    pub(crate) fn zmq_strerror(number: c_int) -> *const c_char;
}
