"""serve: verdicts over HTTP for other software, with the model that is the champion at the time."""

import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.errors import ConfigError
from artdetect.core.json_logging import JsonFormatter

if TYPE_CHECKING:
    import uvicorn

    from artdetect.serve.live_model import LiveModel

CONNECTIONS = 256  # more are told to come again later
SHUTDOWN_SECONDS = 30  # seconds in which requests under way may end


def run(host: str, port: int, path: Path | None, most_megabytes: int, json_log: bool) -> None:
    """Answer until SIGTERM or Ctrl-C, which end the process with code 0; port 0 is any that is free.

    ConfigError where the address cannot be had; whatever `predict.find_model` raises where there is no model.
    """
    listening = listen(host, port)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    from artdetect.serve.live_model import LiveModel

    current = LiveModel(path)
    answering = server(current, most_megabytes * 10**6, _logging(json_log))
    judge = current.judge
    which = f" (train/{judge.train}{', the champion' if judge.since else ''})" if judge.train else ""
    print(f"{address(listening)} answers with {judge.detector.id}{which}; POST a picture to /predict", flush=True)
    answering.run(sockets=[listening])


def server(current: "LiveModel", most_bytes: int, log_config: dict[str, Any] | None) -> "uvicorn.Server":
    """What answers with the `current` model once it is run on a socket."""
    import uvicorn

    from artdetect.serve import app

    config = uvicorn.Config(
        app.make_app(current, most_bytes),
        log_config=log_config,
        lifespan="off",
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; ConfigError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0].lower()
        raise ConfigError(f"cannot listen on {host}, port {port}: {reason}. Try another --host or --port") from None


def address(listening: socket.socket) -> str:
    """Where it answers."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _logging(as_json: bool) -> dict[str, Any]:
    """A line a request, and what goes wrong."""
    line = {"()": JsonFormatter} if as_json else {"format": "%(asctime)s %(levelname)s %(message)s"}
    levels = {"uvicorn.access": "INFO", "uvicorn.error": "WARNING", "artdetect": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {name: {"level": level, "handlers": ["stderr"]} for name, level in levels.items()},
    }
