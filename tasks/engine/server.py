"""Prefect's server behind the check of Host and Origin, as `make up` starts it: python -m tasks.engine.server

Prefect answers under any Host, which leaves it open to DNS rebinding. This starts the same application as
`prefect server start`.
"""

import os

import uvicorn

from artdetect.web import access
from artdetect.web.guard import Guard

# The dashboard's own scripts and connections: its telemetry does not get out. It compiles the schemas of its forms, and
# the flows embed figures in Markdown as data URIs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


def number_artifacts() -> None:
    """Give artifacts ids in the order of time, by which a run's page sorts them; Prefect's own are random."""
    from prefect._internal.uuid7 import uuid7
    from prefect.server.schemas.core import Artifact

    Artifact.model_fields["id"].default_factory = uuid7
    Artifact.model_rebuild(force=True)


def know_workers_without_github() -> None:
    """Let Prefect take the types of workers from its own file, as it does offline; it would ask GitHub for a list."""
    from prefect.server.api import collections

    collections.KNOWN_VIEWS.update(dict.fromkeys(collections.KNOWN_VIEWS, ""))  # no address, so no request


def main() -> None:
    """Run the server until SIGTERM."""
    os.environ.update(access.server_settings())
    from prefect.server.api.server import create_app  # reads the settings

    number_artifacts()
    know_workers_without_github()
    uvicorn.run(Guard(create_app(final=True), POLICY), host=access.HOST, port=access.port(), log_level="warning")


if __name__ == "__main__":
    main()
