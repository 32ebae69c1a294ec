"""The errors of the service, in the shape of `artdetect.web.problems`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from artdetect.web.problems import MEDIA_TYPE, body


class Problem(BaseModel):
    """Why a request got no answer."""

    title: str = Field(description="the status in words", examples=["Content Too Large"])
    status: int = Field(examples=[413])
    detail: str = Field(description="what was received, and what to do", examples=["the picture is too large"])


class Refused(HTTPException):
    """A request that gets an error. It is raised anywhere below the application.

    Args:
        status: The HTTP status.
        detail: A sentence for the client.
        retry_after: Seconds after which to try again, if that helps.
        members: Further members of the problem.
    """

    def __init__(self, status: int, detail: str, retry_after: int | None = None, **members: Any):
        super().__init__(status, detail, {"Retry-After": str(retry_after)} if retry_after is not None else None)
        self.members = members


def response(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """The response for an error."""
    return Response(body(status, detail, **members), status, headers, MEDIA_TYPE)
