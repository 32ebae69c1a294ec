"""Keeps the log readable: what a person can mend is one line that says what to do, without a traceback."""

import logging

from artdetect.errors import ArtdetectError
from tasks.locks import NoArtifactError


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
        return True


def install() -> None:
    """Add the filter to the loggers that Prefect's engines write to; once."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses, tokens included
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, OneLine) for known in logger.filters):
            logger.addFilter(OneLine())
