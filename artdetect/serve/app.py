"""The service's endpoints. All that a request may cost is bounded here: bytes, time, and what is in memory at once."""

import asyncio
import io
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from artdetect import __version__, compute
from artdetect.core.errors import PictureError
from artdetect.model.predict import Verdict
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from artdetect.serve.live_model import LiveModel

MAX_CONCURRENT = 8  # pictures whose bytes are in memory; the others wait at the door
BODY_TIMEOUT = 60.0  # seconds in which a picture must have come

_ANY_BYTES = {
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"description": f"The picture did not come within {BODY_TIMEOUT:.0f} seconds"},
    413: {"description": "The picture is larger than the service takes"},
    415: {"description": "A form; the picture itself is the body"},
    422: {"description": "The picture cannot be read: `error` says why", "model": Verdict},
}


def make_app(current: LiveModel, most_bytes: int) -> FastAPI:
    """The application, which answers with the `current` model and takes pictures of up to `most_bytes`."""
    # Its pages of documentation would load scripts from the internet.
    app = FastAPI(title="artdetect", version=__version__, docs_url=None, redoc_url=None)
    arriving, decoding = asyncio.Semaphore(MAX_CONCURRENT), asyncio.Semaphore(compute.processors())

    @app.post("/predict", response_model=Verdict, responses=_REFUSALS, openapi_extra=_ANY_BYTES)
    async def predict(request: Request, name: str = "") -> JSONResponse:
        """The verdict on the picture that is the body; `name` comes back as its path."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise _refused(415, "send the picture itself as the body, not a form: curl --data-binary @picture.jpg")
        async with arriving:
            content = await _body(request, most_bytes)
            judge = await current.now()
            async with decoding:
                loaded = await asyncio.to_thread(_load, content, judge.detector.geometry, name)
            del content
        row = await judge.verdict(name, loaded)
        return JSONResponse(row.as_dict(), 422 if row.error else 200)

    @app.get("/model")
    async def model() -> dict[str, Any]:
        """The model that answers now, and the rule that makes its p(AI) a verdict."""
        judge = await current.now()
        detector = judge.detector
        return {
            "id": detector.id,
            "digest": detector.digest,
            "preset": detector.preset,
            "train": judge.train,
            "champion_since": judge.since,
            "rule": detector.rule.as_dict() | {"unsure": detector.rule.band()},
        }

    @app.get("/health")
    async def health(later: BackgroundTasks) -> dict[str, Any]:
        """Answers while pictures are judged; `fault`: why the champion is not the model in use, or null."""
        later.add_task(current.now)  # a champion that cannot be loaded shows without a request for a verdict
        return {
            "status": "degraded" if current.fault else "ok",
            "model": current.judge.detector.id,
            "fault": current.fault,
        }

    return app


async def _body(request: Request, most: int) -> bytes:
    """The request's body; HTTPException, without reading on, where it is too large or does not come."""
    too_large = _refused(413, f"the picture is too large (the limit is {most:,} bytes; --most-megabytes)")
    if int(request.headers.get("content-length", 0)) > most:  # a number, or the request would not have come so far
        raise too_large
    content = io.BytesIO()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                if content.tell() + len(part) > most:
                    raise too_large
                content.write(part)
    except TimeoutError:
        raise _refused(408, f"the picture did not come within {BODY_TIMEOUT:.0f} seconds") from None
    except ClientDisconnect:
        raise _refused(400, "the connection ended before the picture did") from None
    return content.getvalue()


def _refused(status: int, why: str) -> HTTPException:
    """An answer after which nothing more is read from this connection."""
    return HTTPException(status, why, {"Connection": "close"})


def _load(content: bytes, geometry: Geometry, name: str) -> Any:
    """Canonical pixels, or why there are none in the words of `artdetect predict`."""
    try:
        return images.load(content, geometry)
    except PictureError as error:
        return f"{name}: {error}" if name else str(error)
