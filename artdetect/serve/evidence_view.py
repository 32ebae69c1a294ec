"""The evidence for a verdict as JSON and as a figure."""

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from artdetect.explain import evidence_figures
from artdetect.serve import wording
from artdetect.serve.service import Judged

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence as ModelEvidence

JPEG_QUALITY = 85


async def evidence(judged: Judged) -> "ModelEvidence":
    """The evidence for the verdict on a picture."""
    assert judged.decoded
    return await judged.model.evidence(judged.decoded.views.whole)


def as_dict(judged: Judged, found: "ModelEvidence") -> dict[str, Any]:
    """An `answers.Evidence` as JSON."""
    parts = found.p_ai[0].astype(object)
    parts[~np.isfinite(found.p_ai[0])] = None
    return {
        "picture": judged.as_dict(),
        "margin": found.margin[0].round(4).tolist(),
        "p_ai": parts.tolist(),
        "full_colour": evidence_figures.FULL_COLOUR,
        "image": artwork_uri(judged),
    }


def artwork_uri(judged: Judged) -> str:
    """The picture for display as a data URI."""
    assert judged.decoded
    assert judged.decoded.artwork is not None
    return _data_uri(Image.fromarray(judged.decoded.artwork))


def _data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def share_for_ai(found: "ModelEvidence") -> float:
    """The share of the picture whose evidence speaks for AI."""
    return float((found.margin[0] > 0).mean())


async def figure(judged: Judged, found: "ModelEvidence") -> bytes:
    """The evidence drawn over the picture, with the verdict below it: a PNG."""

    def png() -> bytes:
        file = io.BytesIO()
        _draw(judged, found).save(file, "PNG")
        return file.getvalue()

    return await asyncio.to_thread(png)


async def figure_uri(judged: Judged, found: "ModelEvidence") -> str:
    """The same as a data URI."""
    return await asyncio.to_thread(lambda: _data_uri(_draw(judged, found)))


def _draw(judged: Judged, found: "ModelEvidence") -> Image.Image:
    assert judged.decoded
    assert judged.decoded.artwork is not None
    heading = wording.headline(judged.verdict)
    picture = Image.fromarray(judged.decoded.artwork)
    return evidence_figures.figure(picture, found.margin[0], heading, judged.verdict.model, judged.verdict.region)
