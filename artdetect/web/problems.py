"""The one shape of the errors of all web services: problem details (RFC 9457)."""

import json
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


def body(status: int, detail: str, **members: Any) -> bytes:
    """The JSON of an error.

    Args:
        status: The HTTP status.
        detail: What was received, and what to do.
        members: Further members.
    """
    title = HTTPStatus(status).phrase
    return json.dumps({"title": title, "status": status, "detail": detail} | members).encode()
