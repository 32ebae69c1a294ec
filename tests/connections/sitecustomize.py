"""Refuses and notes connections to other machines: in the tests' processes, and in every Python that they start.

Python imports a module of this name when it starts, if its folder is in PYTHONPATH. Only the standard library is here.
Libraries in C that open sockets themselves are not seen; `test_no_connections.py` watches those with strace.
"""

import ipaddress
import os
import socket
import sys
from typing import Any

VARIABLE = "CONNECTION_NOTES"  # the file of notes; without it nothing is watched
EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
HERE = {"", "localhost", "ip6-localhost", socket.gethostname()}


def is_here(host: object) -> bool:
    """Whether a host is this machine, or none."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in HERE:
        return True
    if str(name).endswith(".invalid"):  # no machine has such a name: RFC 6761
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook."""
    if event not in EVENTS:
        return
    place = arguments[-1] if event in EVENTS[:3] else arguments[0]
    host = place[0] if isinstance(place, tuple) else None if event in EVENTS[:3] else place  # else: a Unix socket
    if is_here(host):
        return
    with open(os.environ[VARIABLE], "a") as notes:  # noqa: PTH123  pathlib is not imported at this point
        notes.write(f"{event} {place!r} in {' '.join(sys.orig_argv)[:200]}\n")
    raise ConnectionRefusedError(f"tests connect to this machine only, not to {host!r}")


if VARIABLE in os.environ:
    sys.addaudithook(refuse)
