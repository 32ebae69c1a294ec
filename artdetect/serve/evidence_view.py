"""The evidence for a verdict as JSON and as a figure."""

import asyncio
import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from artdetect.explain import evidence_figures, evidence_map, map_words
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures.caption import caption
from artdetect.explain.map_words import Words
from artdetect.formatting.text import printable
from artdetect.serve import wording
from artdetect.serve.service import Judged

JPEG_QUALITY = 85


def as_dict(judged: Judged) -> dict[str, Any]:
    """An `answers.Evidence` as JSON."""
    evidence = judged.evidence
    assert evidence
    parts = evidence.p_ai[0].astype(object)
    parts[~np.isfinite(evidence.p_ai[0])] = None
    found = _explained(judged)
    return {
        "picture": judged.as_dict(),
        "margin": evidence.margin[0].round(4).tolist(),
        "p_ai": parts.tolist(),
        "level": evidence_figures.levels(found).round(4).tolist(),
        "caption": caption(found),
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


def name(judged: Judged) -> str:
    """The picture's name as people read it."""
    return printable(judged.verdict.path) or "picture"


def words(judged: Judged) -> Words:
    """The words for the evidence of the model that judged it."""
    parts = judged.model.detector.parts
    return map_words.of_parts(calibrated=bool(parts and parts.calibrated))


async def figure(judged: Judged) -> bytes:
    """The evidence drawn over the picture, with the verdict below it: a PNG."""

    def png() -> bytes:
        file = io.BytesIO()
        _drawn(judged, _explained(judged)).save(file, "PNG")
        return file.getvalue()

    return await asyncio.to_thread(png)


async def figure_and_caption(judged: Judged) -> tuple[str, str]:
    """The same as a data URI, and what the evidence says, in a sentence."""

    def both() -> tuple[str, str]:
        found = _explained(judged)
        return _data_uri(_drawn(judged, found)), caption(found)

    return await asyncio.to_thread(both)


def _explained(judged: Judged) -> Explanation:
    assert judged.evidence
    return evidence_map.explained(judged.evidence, judged.verdict)


def _drawn(judged: Judged, found: Explanation) -> Image.Image:
    assert judged.decoded
    assert judged.decoded.artwork is not None
    verdict = judged.verdict
    picture, heading = Image.fromarray(judged.decoded.artwork), wording.headline(verdict)
    return evidence_figures.figure(picture, found, heading, verdict.model, name=name(judged), box=verdict.region)
