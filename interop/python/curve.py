"""A pyzmq peer of the CURVE mechanism.

    curve.py ROLE SIDE END ENDPOINT KEYS... [STATUS]

ROLE   echo: a DEALER that sends back what it receives
       reply: a REP that does
       publish: an XPUB that, once it hears of the subscriptions "a" and "end", publishes
       subscribe: a SUB that says what it receives, until that begins with "end"
SIDE   server or client: whose part in the handshake it takes
END    bind or connect
KEYS   the server's public and secret key, the client's public and secret key
STATUS of a server: what its ZAP handler answers to every request; it says what it was shown

Where it is bound, and what happens to its connections, it says line by line.
"""

import sys
import threading

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

role, side, end, endpoint, server_public, server_secret, public, secret = sys.argv[1:9]
statuses = sys.argv[9:]
context = zmq.Context()


def say(line: str) -> None:
    # Several threads do: in one piece.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def judge(handler: zmq.Socket) -> None:
    answers = list(statuses)
    while True:
        _version, number, domain, _address, _identity, mechanism, *shown = handler.recv_multipart()
        text = " ".join(z85.encode(part).decode() for part in shown)
        say(f"judged {domain.decode()} {mechanism.decode()} {text}")
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        handler.send_multipart([b"1.0", number, status.encode(), b"text", b"alice", b""])


def watch(events: zmq.Socket) -> None:
    while True:
        event = recv_monitor_message(events)
        if event["event"] == zmq.EVENT_MONITOR_STOPPED:
            return
        say(f"event {int(event['event'])} {event['value']}")


def watched(monitor: zmq.Socket) -> None:
    try:
        watch(monitor)
    except zmq.ZMQError:
        pass


if statuses:
    zap = context.socket(zmq.REP)
    zap.bind("inproc://zeromq.zap.01")
    threading.Thread(target=judge, args=[zap], daemon=True).start()

types = {"echo": zmq.DEALER, "reply": zmq.REP, "publish": zmq.XPUB, "subscribe": zmq.SUB}
socket = context.socket(types[role])
socket.linger = 0
socket.reconnect_ivl = 10
socket.heartbeat_ivl = 20
socket.heartbeat_timeout = 30_000
if side == "server":
    socket.curve_server = True
    socket.curve_secretkey = server_secret.encode()
    if statuses:
        socket.zap_domain = b"test"
    if "300" in statuses:
        # Only then does it end the connection.
        socket.handshake_ivl = 2_000
else:
    socket.curve_serverkey = server_public.encode()
    socket.curve_publickey = public.encode()
    socket.curve_secretkey = secret.encode()
threading.Thread(target=watched, args=[socket.get_monitor_socket()], daemon=True).start()
if end == "bind":
    socket.bind(endpoint)
    say(f"bound {socket.last_endpoint.decode()}")
else:
    socket.connect(endpoint)

if role in ("echo", "reply"):
    while True:
        socket.send_multipart(socket.recv_multipart())
elif role == "publish":
    heard = set()
    while heard != {b"\x01a", b"\x01end"}:
        heard.add(socket.recv())
    for frames in [b"b: no"], [b"a: yes"], [b"a", b"x" * 300_000], [b"a"], [b"end"]:
        socket.send_multipart(frames)
    while True:
        socket.recv()
else:
    socket.subscribe(b"a")
    socket.subscribe(b"end")
    while True:
        message = socket.recv_multipart()
        say("received " + " ".join(f"{frame[:1].decode()}{len(frame)}" for frame in message))
        if message[0].startswith(b"end"):
            break
    threading.Event().wait()
