"""The service's endpoints. What a request may cost is bounded here: bytes, time, and pictures in memory at once."""

import asyncio
import io
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from artdetect import compute
from artdetect.core.errors import PictureError
from artdetect.core.version import __version__
from artdetect.model.detector import Detector
from artdetect.model.predict import Verdict
from artdetect.pictures import picture_views
from artdetect.pictures.picture_views import PictureViews
from artdetect.serve.live_model import LiveModel

MAX_CONCURRENT = 8  # pictures whose bytes are in memory; others wait before they are read
BODY_TIMEOUT = 60.0  # seconds for the transfer of a picture

_ANY_BYTES = {
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"description": f"The picture did not arrive within {BODY_TIMEOUT:.0f} seconds"},
    413: {"description": "The picture is larger than the service accepts"},
    415: {"description": "A form; send the picture itself as the body"},
    422: {"description": "The picture cannot be read: `error` says why", "model": Verdict},
}


def make_app(live: LiveModel, max_bytes: int) -> FastAPI:
    """The application.

    Args:
        live: The model that answers.
        max_bytes: The size of a picture's file up to which it is accepted.
    """
    # FastAPI's documentation pages would load scripts from the internet.
    app = FastAPI(title="artdetect", version=__version__, docs_url=None, redoc_url=None)
    arriving, decoding = asyncio.Semaphore(MAX_CONCURRENT), asyncio.Semaphore(compute.processors())

    @app.post("/predict", response_model=Verdict, responses=_REFUSALS, openapi_extra=_ANY_BYTES)
    async def predict(request: Request, name: str = "") -> JSONResponse:
        """The verdict on the picture in the body; `name` is returned as its path."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise _refused(415, "send the picture itself as the body, not a form: curl --data-binary @picture.jpg")
        async with arriving:
            content = await _body(request, max_bytes)
            current = await live.current()
            async with decoding:
                loaded = await asyncio.to_thread(_load, content, current.detector, name)
            del content
        row = await current.verdict(name, loaded)
        return JSONResponse(row.as_dict(), 422 if row.error else 200)

    @app.get("/model")
    async def model() -> dict[str, Any]:
        """The model that answers at present, and the rule that turns its p(AI) into a verdict."""
        current = await live.current()
        detector = current.detector
        return {
            "id": detector.id,
            "digest": detector.digest,
            "preset": detector.preset,
            "train": current.train,
            "champion_since": current.since,
            "role": current.role,
            "demonstration": detector.demonstration,
            "notice": detector.notice,
            "rule": detector.rule.as_dict() | {"unsure": detector.rule.band()},
        }

    @app.get("/health")
    async def health(later: BackgroundTasks) -> dict[str, Any]:
        """Answers also while pictures are processed; `fault`: why the champion is not the model in use, or null."""
        later.add_task(live.current)  # so that a champion that cannot be loaded shows without a /predict request
        return {
            "status": "degraded" if live.fault else "ok",
            "model": live.model.detector.id,
            "fault": live.fault,
        }

    return app


async def _body(request: Request, limit: int) -> bytes:
    """The request's body; HTTPException, without reading on, if it has more than `limit` bytes or does not arrive."""
    too_large = _refused(413, f"the picture is too large (the limit is {limit:,} bytes; --max-upload-mb)")
    if int(request.headers.get("content-length", 0)) > limit:  # uvicorn has checked that it is a number
        raise too_large
    content = io.BytesIO()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                if content.tell() + len(part) > limit:
                    raise too_large
                content.write(part)
    except TimeoutError:
        raise _refused(408, f"the picture did not arrive within {BODY_TIMEOUT:.0f} seconds") from None
    except ClientDisconnect:
        raise _refused(400, "the connection ended before the picture did") from None
    return content.getvalue()


def _refused(status: int, why: str) -> HTTPException:
    """An error response that closes the connection."""
    return HTTPException(status, why, {"Connection": "close"})


def _load(content: bytes, detector: Detector, name: str) -> PictureViews | str:
    """What the model judges of a picture, or why it cannot be read, in the words of `artdetect predict`."""
    try:
        return picture_views.load(content, detector.geometry, detector.native_crops)
    except PictureError as error:
        return f"{name}: {error}" if name else str(error)
