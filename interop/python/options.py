"""Sets and gets options of libzmq's sockets, as told, byte for byte.

Each line of the input is `TYPE get ID SIZE` or `TYPE set ID VALUE`: the number of a socket's type, what
to do, the option's number, and how much room there is for its value, or the value, in hexadecimal. Each
is done on a new socket, and answered by a line: the value, `ok`, or `error` and the number of the
error.
"""

import ctypes
import sys
from pathlib import Path

import zmq


def library() -> ctypes.CDLL:
    """The libzmq that pyzmq brings along."""
    package = Path(zmq.__file__).parent
    for folder in (package.parent / "pyzmq.libs", package / ".dylibs"):
        for path in folder.glob("*libzmq*"):
            return ctypes.CDLL(str(path), use_errno=True)
    sys.exit(f"pyzmq brings no libzmq along in {package.parent}")


libzmq = library()
for name in ("zmq_ctx_new", "zmq_socket"):
    getattr(libzmq, name).restype = ctypes.c_void_p


def answer(context: ctypes.c_void_p, words: list[str]) -> str:
    socket = ctypes.c_void_p(libzmq.zmq_socket(context, int(words[0])))
    assert socket.value, f"no socket: error {ctypes.get_errno()}"
    try:
        option = int(words[2])
        if words[1] == "get":
            room = ctypes.create_string_buffer(int(words[3]))
            size = ctypes.c_size_t(int(words[3]))
            failed = libzmq.zmq_getsockopt(socket, option, room, ctypes.byref(size))
            done = room.raw[: size.value].hex()
        else:
            value = bytes.fromhex(words[3]) if len(words) > 3 else b""
            failed = libzmq.zmq_setsockopt(socket, option, value, ctypes.c_size_t(len(value)))
            done = "ok"
        return f"error {ctypes.get_errno()}" if failed else done
    finally:
        libzmq.zmq_close(socket)


context = ctypes.c_void_p(libzmq.zmq_ctx_new())
# Sockets are closed in the background, and count until they are: have room for all (ZMQ_MAX_SOCKETS).
assert libzmq.zmq_ctx_set(context, 2, 65535) == 0
print(zmq.zmq_version(), flush=True)
for line in sys.stdin:
    print(answer(context, line.split()))
libzmq.zmq_ctx_term(context)
