"""Refuses, and notes, every connection beyond this machine; Python imports it at start.

`conftest.py` puts this folder on the path of the tests' own process and of all that it starts,
kernels included. What is refused is written to the file that BIFT_NETWORK_LOG names.
"""

import os
import socket
import sys

LOCAL = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()}
_connect, _connect_ex, _resolve = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


def refuse(host) -> None:
    """Raise `OSError` unless a host is this machine."""
    host = host.decode() if isinstance(host, bytes) else host
    if host in LOCAL or str(host).startswith("127."):
        return
    log = os.environ.get("BIFT_NETWORK_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{host} from {' '.join(sys.argv)[:200]}\n")
    raise OSError(f"The tests have no network, and {host} was asked for.")


def _internet(connection: socket.socket) -> bool:
    return connection.family in (socket.AF_INET, socket.AF_INET6)


def connect(self, address):
    if _internet(self):
        refuse(address[0])
    return _connect(self, address)


def connect_ex(self, address):
    if _internet(self):
        refuse(address[0])
    return _connect_ex(self, address)


def getaddrinfo(host, *arguments, **options):
    refuse(host)
    return _resolve(host, *arguments, **options)


socket.socket.connect, socket.socket.connect_ex = connect, connect_ex
socket.getaddrinfo = getaddrinfo
