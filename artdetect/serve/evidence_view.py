"""The evidence for a verdict as JSON and as a figure."""

import asyncio
import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from artdetect.explain import evidence_figures
from artdetect.serve import wording
from artdetect.serve.service import Judged

JPEG_QUALITY = 85


def as_dict(judged: Judged) -> dict[str, Any]:
    """An `answers.Evidence` as JSON."""
    found = judged.evidence
    assert found
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


def share_for_ai(judged: Judged) -> float:
    """The share of the picture whose evidence speaks for AI."""
    assert judged.evidence
    return float((judged.evidence.margin[0] > 0).mean())


async def figure(judged: Judged) -> bytes:
    """The evidence drawn over the picture, with the verdict below it: a PNG."""

    def png() -> bytes:
        file = io.BytesIO()
        _draw(judged).save(file, "PNG")
        return file.getvalue()

    return await asyncio.to_thread(png)


async def figure_uri(judged: Judged) -> str:
    """The same as a data URI."""
    return await asyncio.to_thread(lambda: _data_uri(_draw(judged)))


def _draw(judged: Judged) -> Image.Image:
    assert judged.decoded
    assert judged.decoded.artwork is not None
    assert judged.evidence
    heading = wording.headline(judged.verdict)
    picture = Image.fromarray(judged.decoded.artwork)
    margin, verdict = judged.evidence.margin[0], judged.verdict
    return evidence_figures.figure(picture, margin, heading, verdict.model, verdict.region)
