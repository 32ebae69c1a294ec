"""The evidence for a verdict drawn over the picture, with nothing but Pillow: what the base install shows.

`figures` draws more, with regions, and needs the extra `explain`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from artdetect.core.atomic import replacing
from artdetect.core.errors import PictureError
from artdetect.explain.figures import overlay
from artdetect.formatting.text import printable
from artdetect.model import predict
from artdetect.pictures import images, palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artdetect.model.detector import Detector
    from artdetect.model.mixed import Box
    from artdetect.model.predict import Verdict

SHOWN = 768  # pixels of the longer side of the picture
WIDTH = 480  # pixels of a figure, at least
PHONE, LEGIBLE = 390, 11  # pixels: the width of a phone's page, and the smallest text that is read there
FULL_COLOUR = 3.0  # logits, a p(AI) of 95 %, in every figure: so a colour means the same, and weak maps look weak
OPACITY = 0.7  # of the strongest evidence
EDGE = 10  # pixels around the text
MEANING = (
    ("orange speaks for AI,", palette.LIGHT.warn),
    ("purple for human,", palette.FOR_HUMAN),
    ("no colour says nothing", palette.MUTED),
)


def figure(
    picture: Image.Image, margin: NDArray[np.float32], heading: str, model: str, box: Box | None = None
) -> Image.Image:
    """The evidence drawn over a picture, with the verdict and what the colours mean below it.

    Args:
        picture: The picture, with the field of view of the model.
        margin: `Evidence.margin` of it, [G, G].
        heading: The verdict in words.
        model: The name of the model.
        box: What stands out of a picture of mixed origin, see `Verdict.region`; None for others.
    """
    width = max(picture.width, WIDTH)
    size = math.ceil(width * LEGIBLE / PHONE)
    text, strong = ImageFont.load_default(size), ImageFont.load_default(round(1.3 * size))
    lines: list[list[tuple[str, Any, Any]]] = [
        [(line, palette.INK, strong)] for line in _wrapped(heading, strong, width - 2 * EDGE)
    ]
    lines += [[(words, colour, text) for words, colour in MEANING], [(model, palette.MUTED, text)]]
    coloured = _coloured(margin, picture)
    if box:
        overlay.frame(coloured, box)
    step = round(1.8 * size)
    sheet = Image.new("RGB", (width, picture.height + step * len(lines) + EDGE), palette.PAPER)
    sheet.paste(coloured)
    write = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        place = float(EDGE)
        for words, colour, font in line:
            write.text((place, picture.height + EDGE + number * step), words, colour, font)
            place += write.textlength(words, font) + size / 2
    return sheet


def _wrapped(text: str, font: Any, width: float) -> list[str]:
    """A text in lines of at most `width` pixels, if its words are not longer."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _coloured(margin: NDArray[np.float32], picture: Image.Image) -> Image.Image:
    """The picture under the colours of the evidence, more opaque where it is stronger."""
    strength = Image.fromarray((margin / FULL_COLOUR).astype(np.float32))
    values = np.asarray(strength.resize(picture.size, Image.Resampling.BICUBIC)).clip(-1, 1)
    mask = Image.fromarray((np.abs(values) * OPACITY * 255).astype(np.uint8))
    ai, human = (Image.new("RGB", picture.size, colour) for colour in (palette.FOR_AI, palette.FOR_HUMAN))
    colours = Image.composite(ai, human, Image.fromarray(((values > 0) * 255).astype(np.uint8)))
    return Image.composite(colours, picture, mask)


def write(detector: Detector, sources: Sequence[Path], out: Path) -> Iterator[tuple[Verdict, Path | None]]:
    """Draw the evidence in pictures: for each, `<name>.png`, and `<name>.json` with its verdict and evidence.

    Args:
        detector: The model.
        sources: Files, and folders with all that is below them.
        out: The folder to write to.

    Yields:
        The verdict on each picture, in order, and its figure; None for a picture that cannot be read.
    """
    remaining = ((path, source) for source in sources for path in predict.find_pictures([source]))
    taken: set[str] = set()
    while some := list(islice(remaining, predict.CHUNK)):
        loaded = [(path, predict.load(detector, path)) for path, _ in some]
        judged = predict.verdicts_with_evidence(detector, loaded)
        for (path, source), (verdict, evidence) in zip(some, judged, strict=True):
            if evidence is None:
                yield verdict, None
                continue
            margin = evidence.margin[0]
            name = _name(path, source if source.is_dir() else path.parent, taken)
            content = verdict.as_dict() | {"evidence": margin.round(4).tolist()}
            try:
                picture = images.artwork(path, SHOWN, None, detector.geometry.fit)
            except PictureError as error:  # it was there a moment ago
                yield predict.unreadable(path, detector, str(error)), None
                continue
            heading = f"{verdict.words}, p(AI) {verdict.p_ai:.3f}"
            drawn = figure(picture.convert("RGB"), margin, heading, printable(detector.id), verdict.region)
            place = out / f"{name}.png"
            with replacing(place) as temporary:
                drawn.save(temporary, "PNG")
            with replacing(place.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps(content), encoding="utf-8")
            yield verdict, place


def _name(path: Path, root: Path, taken: set[str]) -> str:
    """A name below the output folder that no other picture has: its path from `root`, numbered if necessary."""
    stem = path.relative_to(root).as_posix().removesuffix(path.suffix)
    numbers = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    name = next(name for name in numbers if name not in taken)
    taken.add(name)
    return name
