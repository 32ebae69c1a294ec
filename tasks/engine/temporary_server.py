"""The server that a command starts for itself while no other one is configured."""

import signal
import subprocess
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from artdetect.core.errors import ServerError
from artdetect.web import database

MOST_STARTS = 3  # each on another port


class TemporaryServer(SubprocessASGIServer):
    """Prefect's, which is the one that its clients use once it is started.

    Ctrl-C in a terminal does not reach it: it has to take what a run tells that Ctrl-C ends. One that cannot start is
    an error, where Prefect tries for ever.
    """

    _starts = 0

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        if self._starts == MOST_STARTS:
            raise ServerError("Prefect's temporary server does not start; what it says stands above")
        self._starts += 1
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # it inherits the mask
        try:
            return super()._run_uvicorn_command()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start() -> None:
    """Start it, unless another server is configured.

    Raises:
        ServerError: It does not start.
    """
    if not PREFECT_API_URL.value():
        database.check(PREFECT_HOME.value())
        TemporaryServer().start()
