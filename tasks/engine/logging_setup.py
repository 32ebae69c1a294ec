"""Keeps the log readable: what a person can mend is one line that says what to do, without a traceback.

With ARTDETECT_LOG=json, which `--log-json` sets, each line is one JSON object: for machines, with the same words.
"""

import logging
import sys
from typing import Any

from prefect.logging.handlers import PrefectConsoleHandler

from artdetect.artifacts.stages import STAGES
from artdetect.core import json_logging
from artdetect.core.errors import ArtdetectError
from tasks.engine.locks import NoArtifactError

JSON_ERROR = "artdetect_error"  # where OneLine leaves the class of an error whose traceback it took off


class SingleLineErrors(logging.Filter):
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


class JsonLines(json_logging.JsonFormatter):
    """As far as they are known also with flow_run, flow_run_id, task_run, stage."""

    def known(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            "flow_run": getattr(record, "flow_run_name", None),
            "flow_run_id": getattr(record, "flow_run_id", None),
            "task_run": getattr(record, "task_run_name", None),
            "stage": _stage(getattr(record, "task_name", None), record.getMessage()),
            "error": getattr(record, JSON_ERROR, None),
        }


def _stage(task: str | None, message: str) -> str | None:
    """The stage that a line is about: its task's, or the one that it begins with, as in "train runs: …"."""
    first = message.partition(" ")[0].rstrip(":")
    return task if task in STAGES else first if first in STAGES else None


def install() -> None:
    """Add the filter to the loggers that Prefect's engines write to, and JSON to the console where asked for; once."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses, tokens included
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, SingleLineErrors) for known in logger.filters):
            logger.addFilter(SingleLineErrors())
    if json_logging.enabled():
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
