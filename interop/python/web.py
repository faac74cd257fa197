"""A peer by the library websockets: it knows TLS and WebSockets, and of ZeroMQ only RFC 45, without a
mechanism, as a program in a browser may.

    web.py connect URL CERTIFICATE
    web.py bind CERTIFICATE KEY

It is something like a DEALER that sends back what it receives, each frame in fragments, until that is
"close", and pings all the time. Where it is bound, and how it ended, it says line by line.
"""

import ssl
import sys

import websockets.server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

SUBPROTOCOL = "ZWS2.0"
OPTIONS = {"subprotocols": [SUBPROTOCOL], "ping_interval": 0.01, "ping_timeout": 30, "max_size": None}

# The names that RFC 45 has for mechanisms, with a slash, are none that RFC 6455 allows: this library would
# refuse whoever offers one of them.
websockets.server.parse_subprotocol = lambda names: [name.strip() for name in names.split(",")]


def say(line: str) -> None:
    print(line, flush=True)


def talk(web) -> None:
    assert web.subprotocol == SUBPROTOCOL, web.subprotocol
    web.send(b"\x00python")
    theirs = web.recv()
    say(f"routing id {theirs!r}")
    try:
        while True:
            frame = web.recv()
            if frame == b"\x00close":
                web.close(1000, "as asked")
                break
            third = len(frame) // 3
            web.send([frame[:third], frame[third : 2 * third], frame[2 * third :]])
    except ConnectionClosed:
        pass
    say(f"closed {web.protocol.close_rcvd.code if web.protocol.close_rcvd else None}")


if sys.argv[1] == "connect":
    url, certificate = sys.argv[2:]
    context = ssl.create_default_context(cafile=certificate)
    with connect(url, ssl=context, **OPTIONS) as web:
        talk(web)
else:
    certificate, key = sys.argv[2:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve(talk, "127.0.0.1", 0, ssl=context, **OPTIONS) as server:
        say(f"bound wss://localhost:{server.socket.getsockname()[1]}/path")
        server.serve_forever()
