"""Keeps the log readable: what a person can mend is one line that says what to do, without a traceback.

With ARTDETECT_LOG=json, which `--log-json` sets, each line is one JSON object: for machines, with the same words.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from prefect.logging.handlers import PrefectConsoleHandler

from artdetect.errors import ArtdetectError
from artdetect.stages import STAGES
from tasks.locks import NoArtifactError

JSON_ERROR = "artdetect_error"  # where OneLine leaves the class of an error whose traceback it took off


class OneLine(logging.Filter):
    """Takes the traceback off records about an `ArtdetectError`; all other errors keep theirs.

    Drops Prefect's complaint that an error could not be kept as a result: errors are not kept on purpose.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and any(isinstance(argument, NoArtifactError) for argument in record.args):
            return False
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, ArtdetectError):
            record.msg, record.args, record.exc_info, record.exc_text = "%s", (str(error),), None, None
            setattr(record, JSON_ERROR, type(error).__name__)
        return True


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and as far as they are known flow_run, flow_run_id,
    task_run, stage, error (its class) and traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        known: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "flow_run": getattr(record, "flow_run_name", None),
            "flow_run_id": getattr(record, "flow_run_id", None),
            "task_run": getattr(record, "task_run_name", None),
            "stage": _stage(getattr(record, "task_name", None), message),
            "error": type(error).__name__ if error else getattr(record, JSON_ERROR, None),
            "traceback": self.formatException(record.exc_info) if error and record.exc_info else None,
        }
        return json.dumps({name: value for name, value in known.items() if value is not None}, default=str)


def _stage(task: str | None, message: str) -> str | None:
    """The stage that a line is about: its task's, or the one that it begins with, as in "train runs: …"."""
    first = message.partition(" ")[0].rstrip(":")
    return task if task in STAGES else first if first in STAGES else None


def install() -> None:
    """Add the filter to the loggers that Prefect's engines write to, and JSON to the console where asked for; once."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses, tokens included
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, OneLine) for known in logger.filters):
            logger.addFilter(OneLine())
    if os.environ.get("ARTDETECT_LOG") == "json":
        _write_json()


def _write_json() -> None:
    """Put plain handlers in the place of Prefect's, which draw for terminals."""
    for logger in (logging.getLogger(name) for name in ("", "uvicorn", "fastapi")):
        for handler in [known for known in logger.handlers if isinstance(known, PrefectConsoleHandler)]:
            plain = logging.StreamHandler(sys.stderr)
            plain.setFormatter(JsonLines())
            plain.setLevel(handler.level)
            logger.removeHandler(handler)
            logger.addHandler(plain)
