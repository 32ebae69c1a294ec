"""The commands' side of Prefect's server."""

from collections.abc import Iterator
from contextlib import contextmanager

from artdetect.core.errors import ServerError

CONNECT_TIMEOUT = 10.0  # seconds in which a server that answers has long taken what is left to tell


@contextmanager
def connected() -> Iterator[None]:
    """Run flows within. The server knows all about them, and the log has ended, when the command goes on.

    Raises ServerError, one line, if the server does not answer.
    """
    from prefect.events.worker import EventsWorker

    try:
        yield
    except RuntimeError as error:  # Prefect has no class of its own for this
        if "API" not in str(error):
            raise
        raise ServerError(
            f"{error}. Start that server (`make serve-up`), or do without: `make serve-down`, or unset PREFECT_API_URL"
        ) from error
    finally:  # or Prefect would do it at exit, and say so after the command's last line
        EventsWorker.drain_all(timeout=CONNECT_TIMEOUT)
