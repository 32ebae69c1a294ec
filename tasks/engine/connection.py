"""The connection to Prefect's server, and what to say when it does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from artdetect.core.errors import ServerError

FORGETFUL = (  # it was started anew during the run
    "does not know this run any more: it has lost its database. Finished stages are kept. `make up` mends a server "
    "that lost it. Then run the same again"
)
DRAIN_TIMEOUT = 10.0  # seconds to send the remaining events to a server that answers


@contextmanager
def connected() -> Iterator[None]:
    """Run flows in this context. When it ends, the server has received all their events and the log is complete.

    Raises:
        ServerError: The server does not answer, or wants another auth string.
    """
    from prefect.events.worker import EventsWorker
    from prefect.exceptions import PrefectHTTPStatusError

    from tasks.engine import temporary_server

    try:
        with server_errors():
            temporary_server.start()
            yield
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNAUTHORIZED:
            raise
        raise ServerError(
            f"Prefect's server at {error.request.url.host} refuses the auth string: set PREFECT_API_AUTH_STRING to the "
            "content of .prefect/auth-string in the project that runs the server"
        ) from error
    except RuntimeError as error:  # Prefect has no exception class for this
        if "API" not in str(error):
            raise
        raise ServerError(
            f"{error}. Start that server (`make up`), or run without one (`make down`, or unset PREFECT_API_URL)"
        ) from error
    finally:  # otherwise Prefect does it at exit, and logs that after the command's last line
        EventsWorker.drain_all(timeout=DRAIN_TIMEOUT)


@contextmanager
def server_errors() -> Iterator[None]:
    """Raise a ServerError for a server that does not answer, which Prefect's client tried for about a minute, or that
    does not know the run."""
    import httpx
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        yield
    except ObjectNotFound as error:
        raise ServerError(f"Prefect's server {FORGETFUL}") from error
    except httpx.TransportError as error:
        raise ServerError(
            f"Prefect's server stopped answering ({error}). Finished stages are kept. See .prefect/server.log, start "
            "the server again (`make up`), and run the same again"
        ) from error
    except PrefectHTTPStatusError as error:
        status = error.response.status_code
        if status == HTTPStatus.SERVICE_UNAVAILABLE:  # others write to its database, which has one writer
            why = "is too busy. Finished stages are kept. Run the same again later, with fewer runs at the same time"
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            why = (
                f"failed (HTTP {status}). Finished stages are kept. `make up` mends a server that lost its database; "
                "otherwise see .prefect/server.log. Then run the same again"
            )
        elif status == HTTPStatus.NOT_FOUND:
            why = FORGETFUL
        else:
            raise
        raise ServerError(f"Prefect's server {why}") from error
