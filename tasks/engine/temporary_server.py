"""The server that a command starts for itself while no other one is configured.

`python -m tasks.engine.temporary_server PORT` is that server, and ends with its standard input.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings

from artdetect.core import interrupts
from artdetect.core.errors import ServerError
from artdetect.web import access, database

MOST_STARTS = 3  # each on another port
AS_PREFECT_STARTS_IT = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


class TemporaryServer(SubprocessASGIServer):
    """Prefect's, which is the one that its clients use once it is started.

    Ctrl-C in a terminal does not reach it: it has to take what a run tells that Ctrl-C ends. It ends with the process
    that started it, also if that is killed. One that cannot start is an error, where Prefect tries for ever.
    """

    _starts = 0

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        if self._starts == MOST_STARTS:
            raise ServerError("Prefect's temporary server does not start; what it says stands above")
        self._starts += 1
        code = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        with interrupts.kept_from_children():
            return subprocess.Popen(
                [sys.executable, "-m", __name__, str(self.port)],
                stdin=subprocess.PIPE,  # the kernel closes it when this process is gone
                env=os.environ | AS_PREFECT_STARTS_IT | settings | {"PYTHONPATH": os.pathsep.join(code)},
            )


def start() -> None:
    """Start it, unless another server is configured.

    Raises:
        ServerError: It does not start.
    """
    if not PREFECT_API_URL.value():
        database.check(PREFECT_HOME.value())
        TemporaryServer().start()


def main(port: int) -> None:
    """Run the server until SIGTERM, or until the end of standard input."""
    import uvicorn

    from tasks.engine import server

    threading.Thread(target=_end_with_input, daemon=True).start()
    server.number_artifacts()
    server.know_workers_without_github()
    application = "prefect.server.api.server:create_app"
    uvicorn.run(application, factory=True, host=access.HOST, port=port, log_level="error", lifespan="on")


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
