"""serve: verdicts over HTTP, as a page for people and an API for other software, always from the current champion."""

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

    from artdetect.serve.service import Service

BACKLOG = 512  # connections that the kernel keeps until the service takes them
SHUTDOWN_SECONDS = 30  # time for running requests to finish

log = logging.getLogger(__name__)


def run(
    host: str,
    port: int,
    path: Path | None,
    max_upload_mb: int,
    json_log: bool,
    feedback: Path | None = None,
    usage: Path | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, which end the process with code 0.

    Connections are refused until the model is loaded.

    Args:
        host: The address to listen on.
        port: The port; 0 takes any that is free.
        path: What `choice.choose` takes; if None, its default, and after a promotion the new champion.
        max_upload_mb: The size of a request's body up to which it is accepted, in millions of bytes.
        json_log: Whether to log JSON lines.
        feedback: The folder for verdicts that somebody calls wrong; None to keep none.
        usage: The file to which verdicts are logged, see `artdetect.usage.log`; None for none.

    Raises:
        ConfigError: The address is not available, or the folder cannot be written to.
        ArtdetectError: There is no model, or it cannot be loaded; see `choice.choose`.
    """
    reserved = reserve(host, port)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again after its shutdown
        signal.signal(number, lambda *_: sys.exit(0))
    from artdetect.serve.feedback import FeedbackFolder
    from artdetect.serve.live_model import LiveModel
    from artdetect.serve.service import Service
    from artdetect.usage.log import UsageLog

    folder = FeedbackFolder(feedback) if feedback else None
    service = Service(LiveModel(path, UsageLog(usage) if usage else None), max_upload_mb * 10**6, folder)
    web = server(service, _logging(json_log), host)
    listen(reserved)
    model, at = service.live.model, address(reserved)
    print(f"{at} serves {model.detector.id}: open it in a browser, or see {at}/docs", flush=True)
    for line in model.introduction():
        log.info("%s", line)
    web.run(sockets=[reserved])


def server(service: "Service", log_config: dict[str, Any] | None, host: str = access.HOST) -> "uvicorn.Server":
    """The server, to be run on a socket.

    Args:
        service: What answers.
        log_config: The configuration of `logging`.
        host: The address that the socket listens on.
    """
    import uvicorn

    from artdetect.serve import app
    from artdetect.serve.connections import LimitedConnection

    config = uvicorn.Config(
        Guard(app.make_app(service), host=host),
        http=LimitedConnection,
        log_config=log_config,
        lifespan="on",
        ws="none",
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def reserve(host: str, port: int) -> socket.socket:
    """A socket with this address, which refuses connections until `listen`; ConfigError if that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it sees the protocol; without it, each answer waits 40 ms for the client's ACK
    reserved = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((host, port))
    except OSError as error:
        reserved.close()
        raise _unavailable(host, port, error) from None
    return reserved


def listen(reserved: socket.socket) -> None:
    """Let a socket take connections; ConfigError if another process was faster."""
    try:
        reserved.listen(BACKLOG)
    except OSError as error:
        host, port = reserved.getsockname()[:2]
        raise _unavailable(host, port, error) from None


def _unavailable(host: str, port: int, error: OSError) -> ConfigError:
    reason = str(error.strerror).partition(" (while")[0].lower()
    return ConfigError(f"cannot listen on {host}, port {port}: {reason}. Try another --host or --port")


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
    line: dict[str, Any] = {"()": JsonFormatter if as_json else _PrintableFormatter}
    line |= {} if as_json else {"format": "%(asctime)s %(levelname)s %(message)s"}
    levels = {"uvicorn.access": "INFO", "uvicorn.error": "WARNING", "artdetect": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {name: {"level": level, "handlers": ["stderr"]} for name, level in levels.items()},
    }
