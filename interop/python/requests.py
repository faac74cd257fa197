"""pyzmq peers that ask and answer.

    requests.py req ENDPOINT COUNT       sends so many requests, and checks the replies
    requests.py rep ENDPOINT COUNT       answers requests until it is killed
"""

import sys

import zmq


def req(endpoint: str, count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(endpoint)
        for number in range(count):
            socket.send(b"%d" % number)
            reply = socket.recv()
            if reply != b"re: %d" % number:
                sys.exit(f"{reply!r} is no reply to {number}")


def rep(endpoint: str, _count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        socket.connect(endpoint)
        while True:
            socket.send(b"re: " + socket.recv())


{"req": req, "rep": rep}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
