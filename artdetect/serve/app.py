"""The application: the API, the page, their errors, and the order in which they stand behind each other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from artdetect.core.version import __version__
from artdetect.serve import answers, api, page, problems
from artdetect.serve.edge import Edge
from artdetect.serve.problems import Problem, Refused
from artdetect.serve.service import Service

DESCRIPTION = """Verdicts on pictures: AI-generated or human-made, or unsure, with the reason.

All errors are problem details (RFC 9457). Pictures are decoded in memory and never stored, but for those that are sent
as feedback to a service that was started with `--feedback`."""


def make_app(service: Service) -> Edge:
    """The application.

    Args:
        service: What answers.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.pool.start()
        yield
        await service.pool.close()

    # FastAPI's documentation pages would load scripts from the internet.
    app = FastAPI(
        title="artdetect",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _refused,
            RequestValidationError: _invalid,
            Exception: _failed,
        },
    )
    routers = api.router(service), page.router(service)
    for router in routers:
        app.include_router(router)
    app.mount("/static", page.static_files())
    routes = (route for router in routers for route in router.routes)
    service.metrics.paths = frozenset(route.path for route in routes if isinstance(route, APIRoute))
    _describe(app)
    return Edge(app, service.metrics.observe)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    members = error.members if isinstance(error, Refused) else {}
    detail = error.detail if isinstance(error, Refused) else f"{request.method} {request.url.path}: {error.detail}"
    return problems.response(error.status_code, detail, error.headers, **members)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problems.response(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


async def _failed(request: Request, error: Exception) -> Response:
    return problems.response(500, "an error of the service, which its log describes")


def _describe(app: FastAPI) -> None:
    """Put the shape of errors into the description, in place of FastAPI's own, and whole examples of answers."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schemas = schema["components"]["schemas"]
            schemas[Problem.__name__] = Problem.model_json_schema()
            for name, example in answers.EXAMPLES.items():  # FastAPI leaves out what is null
                schemas[name]["examples"] = [example]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for path in schema["paths"].values():
                for operation in path.values():
                    if "422" in operation["responses"]:
                        operation["responses"]["422"] = api.problems(422)[422]
        assert app.openapi_schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
