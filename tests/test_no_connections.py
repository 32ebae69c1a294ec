"""Import, predict, serve and a whole run connect to this machine only. The autouse fixture in conftest.py watches all
other tests, too."""

import socket
import subprocess
import sys

import pytest

from tests import connections


def test_the_watch_sees_this_process_and_those_that_it_starts() -> None:
    with socket.socket() as plain, pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        plain.connect(("192.0.2.1", 80))
    code = "import socket; socket.getaddrinfo('somewhere.example', 443)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 1
    first, second = connections.taken().splitlines()
    assert first.startswith("socket.connect ('192.0.2.1', 80) in ")
    assert "'somewhere.example'" in second
    listening = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(listening.getsockname()).close()
    listening.close()
    assert connections.taken() == ""
