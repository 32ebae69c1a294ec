"""serve: verdicts over HTTP for other software, always from the current champion."""

import logging
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.errors import ConfigError
from artdetect.core.json_logging import JsonFormatter
from artdetect.formatting.text import printable
from artdetect.web import access
from artdetect.web.guard import Guard

if TYPE_CHECKING:
    import uvicorn

    from artdetect.serve.live_model import LiveModel

MAX_CONNECTIONS = 256  # more are refused with status 503
SHUTDOWN_SECONDS = 30  # time for running requests to finish

log = logging.getLogger(__name__)


def run(host: str, port: int, path: Path | None, max_upload_mb: int, json_log: bool, usage: Path | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, which end the process with code 0.

    Args:
        host: The address to listen on.
        port: The port; 0 takes any that is free.
        path: What `choice.choose` takes; if None, its default, and after a promotion the new champion.
        max_upload_mb: The size of a picture's file up to which it is accepted, in millions of bytes.
        json_log: Whether to log JSON lines.
        usage: The file to which verdicts are logged, see `artdetect.usage.log`; None for none.

    Raises:
        ConfigError: The address is not available.
        ArtdetectError: There is no model, or it cannot be loaded; see `choice.choose`.
    """
    listening = listen(host, port)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after its shutdown
        signal.signal(number, lambda *_: sys.exit(0))
    from artdetect.serve.live_model import LiveModel
    from artdetect.usage.log import UsageLog

    live = LiveModel(path, UsageLog(usage) if usage else None)
    service = server(live, max_upload_mb * 10**6, _logging(json_log), host)
    print(f"{address(listening)} serves {live.model.detector.id}; POST a picture to /predict", flush=True)
    for line in live.model.introduction():
        log.info("%s", line)
    service.run(sockets=[listening])


def server(
    live: "LiveModel", max_bytes: int, log_config: dict[str, Any] | None, host: str = access.HOST
) -> "uvicorn.Server":
    """The server, to be run on a socket.

    Args:
        live: The model that answers.
        max_bytes: The size of a picture's file up to which it is accepted.
        log_config: The configuration of `logging`.
        host: The address that the socket listens on.
    """
    import uvicorn

    from artdetect.serve import app

    config = uvicorn.Config(
        Guard(app.make_app(live, max_bytes), host=host),
        log_config=log_config,
        lifespan="off",
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on this address; ConfigError if that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0].lower()
        raise ConfigError(f"cannot listen on {host}, port {port}: {reason}. Try another --host or --port") from None


def address(listening: socket.socket) -> str:
    """The URL of the service."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _PrintableFormatter(logging.Formatter):
    """Formats a message as one line; what a model or a request says does not control the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name in logging
        return printable(super().formatMessage(record))


def _logging(as_json: bool) -> dict[str, Any]:
    """The logging configuration: one line per request, warnings and errors."""
    line = {"()": JsonFormatter if as_json else _PrintableFormatter}
    line |= {} if as_json else {"format": "%(asctime)s %(levelname)s %(message)s"}
    levels = {"uvicorn.access": "INFO", "uvicorn.error": "WARNING", "artdetect": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {name: {"level": level, "handlers": ["stderr"]} for name, level in levels.items()},
    }
