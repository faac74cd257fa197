"""A pyzmq peer that carries the lines of a file, one message each.

    lines.py push ENDPOINT FILE          connects, and sends the file's lines
    lines.py pull ENDPOINT FILE COUNT    binds, tells its endpoint, and writes so many lines
"""

import sys

import zmq


def push(endpoint: str, path: str) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket, open(path, "rb") as file:
        socket.connect(endpoint)
        for line in file:
            socket.send(line[:-1])


def pull(endpoint: str, path: str, count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as socket, open(path, "wb") as file:
        socket.bind(endpoint)
        print(socket.last_endpoint.decode(), flush=True)
        for _ in range(count):
            file.write(socket.recv() + b"\n")


if sys.argv[1] == "push":
    push(*sys.argv[2:])
else:
    pull(*sys.argv[2:4], int(sys.argv[4]))
