"""The log as one JSON object a line, for machines: time, level, logger, message, and what else is known.

`--log-json` asks for it, or ARTDETECT_LOG=json does, which every process of a run inherits.
"""

import json
import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

VARIABLE = "ARTDETECT_LOG"


def enable() -> None:
    """Have this process and those that it starts write their log so."""
    os.environ[VARIABLE] = "json"


def enabled() -> bool:
    """Whether the log is to be written so."""
    return os.environ.get(VARIABLE) == "json"


def format_line(level: str, logger: str, message: str, at: float | None = None, **known: Any) -> str:
    """A line; `at` is in seconds since the epoch, now if left out; what is None is left out."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC).isoformat(timespec="milliseconds")
    said = {"time": moment, "level": level, "logger": logger, "message": message}
    return json.dumps(said | {name: value for name, value in known.items() if value is not None}, default=str)


class JsonFormatter(logging.Formatter):
    """A record as a line; with error (its class) and traceback where it is about one."""

    def format(self, record: logging.LogRecord) -> str:
        known = self.known(record)
        if record.exc_info and record.exc_info[0]:
            known |= {"error": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        return format_line(record.levelname, record.name, record.getMessage(), record.created, **known)

    def known(self, record: logging.LogRecord) -> dict[str, Any]:
        """What else is known of a record, for subclasses."""
        return {}
