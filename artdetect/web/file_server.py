"""The file server for artifacts/, to which the dashboard links: python -m artdetect.web.file_server

It reads files and nothing else. It lists no folders, because what the dashboard links to has a name, and it follows no
link out of artifacts/.
"""

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from artdetect.core import paths
from artdetect.web import access
from artdetect.web.guard import NOTHING, Guard

# For reports and figures: pictures and inline styles, no scripts.
POLICY = NOTHING + "; img-src 'self' data:; style-src 'unsafe-inline'"


def app() -> Guard:
    """The application."""
    return Guard(Starlette(routes=[Mount("/", StaticFiles(directory=paths.artifacts()))]), POLICY)


if __name__ == "__main__":
    uvicorn.run(app(), host=access.HOST, port=access.files_port(), ws="none", lifespan="off", log_level="warning")
