"""Binds a libzmq socket to `ipc://*`, removes the file, and unbinds: tells the event that follows.

The answer is two numbers: the event's, and its value.
"""

import os

import zmq
from zmq.utils.monitor import parse_monitor_message

context = zmq.Context()
socket = context.socket(zmq.PULL)
events = socket.get_monitor_socket(zmq.EVENT_CLOSED | zmq.EVENT_CLOSE_FAILED)
socket.bind("ipc://*")
endpoint = socket.last_endpoint.decode().rstrip("\0")
path = endpoint.removeprefix("ipc://")
os.remove(path)
socket.unbind(endpoint)
event = parse_monitor_message(events.recv_multipart())
print(int(event["event"]), int(event["value"]))
# libzmq leaves the directory where it is.
os.rmdir(os.path.dirname(path))
context.destroy(linger=0)
