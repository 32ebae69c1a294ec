"""The evidence for a verdict as JSON and as a figure."""

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from artdetect.pictures import palette
from artdetect.serve import wording
from artdetect.serve.service import Judged

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence as ModelEvidence

SHOWN = 768  # pixels of the longer side of the picture for display
JPEG_QUALITY = 85
LEGEND = 64  # pixels below the figure's picture
FULL_COLOUR = 2.0  # logits: weaker evidence never gets the full colour, so that weak maps look weak
OPACITY = 0.7  # of the strongest evidence


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
        "full_colour": _full_colour(found.margin[0]),
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


def _full_colour(margin: np.ndarray) -> float:
    return max(float(np.abs(margin).max()), FULL_COLOUR)


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
    picture = Image.fromarray(judged.decoded.artwork)
    drawn = Image.composite(*_overlay(found.margin[0], picture))
    sheet = Image.new("RGB", (max(picture.width, 480), picture.height + LEGEND), palette.PAPER)
    sheet.paste(drawn)
    write = ImageDraw.Draw(sheet)
    first, second = (ImageFont.load_default(size) for size in (18, 13))
    write.text((10, picture.height + 8), wording.headline(judged.verdict), palette.INK, first)
    place = 10.0
    for text, colour in (
        ("orange speaks for AI,", palette.LIGHT.warn),
        ("purple for human;", palette.FOR_HUMAN),
        (judged.verdict.model, palette.MUTED),
    ):
        write.text((place, picture.height + 36), text, colour, second)
        place += write.textlength(text, second) + 6
    return sheet


def _overlay(margin: np.ndarray, picture: Image.Image) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Colours, picture and mask, as `Image.composite` takes them: more opaque for stronger evidence."""
    strength = Image.fromarray((margin / _full_colour(margin)).astype(np.float32))
    values = np.asarray(strength.resize(picture.size, Image.Resampling.BICUBIC)).clip(-1, 1)
    mask = Image.fromarray((np.abs(values) * OPACITY * 255).astype(np.uint8))
    ai, human = (Image.new("RGB", picture.size, colour) for colour in (palette.FOR_AI, palette.FOR_HUMAN))
    return Image.composite(ai, human, Image.fromarray(((values > 0) * 255).astype(np.uint8))), picture, mask
