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
        "full_colour": evidence_figures.full_colour(found.margin[0]),
        "image": data_uri(judged),
    }


def data_uri(judged: Judged) -> str:
    """The picture for display as a data URI."""
    assert judged.decoded
    assert judged.decoded.artwork is not None
    file = io.BytesIO()
    Image.fromarray(judged.decoded.artwork).save(file, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


async def figure(judged: Judged, found: "ModelEvidence") -> bytes:
    """The evidence drawn over the picture, with the verdict below it: a PNG."""
    return await asyncio.to_thread(_draw, judged, found)


def _draw(judged: Judged, found: "ModelEvidence") -> bytes:
    assert judged.decoded
    assert judged.decoded.artwork is not None
    heading = wording.headline(judged.verdict)
    drawn = evidence_figures.figure(
        Image.fromarray(judged.decoded.artwork), found.margin[0], heading, judged.verdict.model
    )
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()
