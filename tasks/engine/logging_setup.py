"""Keeps the log readable: an error that a person can correct is one line that says what to do, without a traceback.

With ARTDETECT_LOG=json, which `--log-json` sets, each line is one JSON object with the same text, for machines.
"""

import logging
import sys
from typing import Any

from prefect.logging.handlers import PrefectConsoleHandler

from artdetect.artifacts.stages import STAGES
from artdetect.core import json_logging
from artdetect.core.errors import ArtdetectError
from artdetect.formatting.text import printable
from tasks.engine.cancellation import INTERRUPTED
from tasks.engine.locks import NoArtifactError

JSON_ERROR = "artdetect_error"  # attribute in which SingleLineErrors stores the class of such an error


class SingleLineErrors(logging.Filter):
    """Removes the traceback from records about an `ArtdetectError`; other errors keep theirs.

    Makes every line printable, as it may name pictures. Drops Prefect's message that an error could not be stored as a
    result: errors are not stored on purpose. Drops, too, that a run which Ctrl-C ended has crashed, and what hook runs.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and any(isinstance(argument, NoArtifactError) for argument in record.args):
            return False
        text = record.getMessage()
        if INTERRUPTED in text or text.startswith(("Running hook ", "Hook ")):
            return False
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, ArtdetectError):
            record.msg, record.args, record.exc_info, record.exc_text = "%s", (printable(str(error)),), None, None
            setattr(record, JSON_ERROR, type(error).__name__)
        record.msg, record.args = "%s", ("\n".join(map(printable, record.getMessage().split("\n"))),)
        return True


class FlowJsonFormatter(json_logging.JsonFormatter):
    """Adds flow_run, flow_run_id, task_run and stage, where they are known."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        return {
            "flow_run": getattr(record, "flow_run_name", None),
            "flow_run_id": getattr(record, "flow_run_id", None),
            "task_run": getattr(record, "task_run_name", None),
            "stage": _stage(getattr(record, "task_name", None), record.getMessage()),
            "error": getattr(record, JSON_ERROR, None),
        }


def _stage(task: str | None, message: str) -> str | None:
    """The stage that a message is about: that of its task, or the first word, as in "train runs: …"."""
    first = message.partition(" ")[0].rstrip(":")
    return task if task in STAGES else first if first in STAGES else None


def install() -> None:
    """Add the filter to Prefect's loggers, and switch the console to JSON if that is enabled. May be called again."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs whole addresses, including tokens
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(present, SingleLineErrors) for present in logger.filters):
            logger.addFilter(SingleLineErrors())
    if json_logging.enabled():
        _write_json()


def _write_json() -> None:
    """Replace Prefect's console handlers, which format for terminals, by plain ones."""
    for logger in (logging.getLogger(name) for name in ("", "uvicorn", "fastapi")):
        for handler in [handler for handler in logger.handlers if isinstance(handler, PrefectConsoleHandler)]:
            plain = logging.StreamHandler(sys.stderr)
            plain.setFormatter(FlowJsonFormatter())
            plain.setLevel(handler.level)
            logger.removeHandler(handler)
            logger.addHandler(plain)
