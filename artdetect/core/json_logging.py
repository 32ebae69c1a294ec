"""The log as one JSON object per line, for machines: time, level, logger, message, and further fields.

`--log-json` or ARTDETECT_LOG=json enables it; every process of a run inherits the environment variable.
"""

import json
import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

VARIABLE = "ARTDETECT_LOG"


def enable() -> None:
    """Write the log of this process, and of those that it starts, as JSON."""
    os.environ[VARIABLE] = "json"


def enabled() -> bool:
    """Whether the log is to be written as JSON."""
    return os.environ.get(VARIABLE) == "json"


def format_line(level: str, logger: str, message: str, at: float | None = None, **fields: Any) -> str:
    """Format one line of the log.

    Args:
        level: The level's name.
        logger: The logger's name.
        message: The message.
        at: Seconds since 1970; now if left out.
        **fields: Further fields; those that are None are left out.
    """
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC).isoformat(timespec="milliseconds")
    line = {"time": moment, "level": level, "logger": logger, "message": message}
    return json.dumps(line | {name: value for name, value in fields.items() if value is not None}, default=str)


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON line, with the fields `error` (a class) and `traceback` if it has an exception."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        if record.exc_info and record.exc_info[0]:
            fields |= {"error": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        return format_line(record.levelname, record.name, record.getMessage(), record.created, **fields)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Further fields of a record, for subclasses."""
        return {}
