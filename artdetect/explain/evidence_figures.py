"""The evidence for a verdict drawn over the picture, with nothing but Pillow: what the base install shows.

`figures` draws more, with regions, and needs the extra `explain`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from artdetect.core.atomic import replacing
from artdetect.core.errors import PictureError
from artdetect.formatting.text import printable
from artdetect.model import predict
from artdetect.model.decision import in_words
from artdetect.pictures import images, palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artdetect.model.detector import Detector
    from artdetect.model.predict import Verdict

SHOWN = 768  # pixels of the longer side of the picture
LEGEND = 64  # pixels below it
WIDTH = 480  # pixels of a figure, at least
FULL_COLOUR = 2.0  # logits: weaker evidence never gets the full colour, so that weak maps look weak
FRAME = 3  # pixels around what says AI in a mixed picture
OPACITY = 0.7  # of the strongest evidence


def full_colour(margin: NDArray[np.float32]) -> float:
    """The evidence that gets the strongest colour, in logits."""
    return max(float(np.abs(margin).max()), FULL_COLOUR)


def figure(
    picture: Image.Image,
    margin: NDArray[np.float32],
    heading: str,
    model: str,
    region: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """The evidence drawn over a picture, with the verdict and what the colours mean below it.

    Args:
        picture: The picture, with the field of view of the model.
        margin: `Evidence.margin` of it, [G, G].
        heading: The verdict in words.
        model: The name of the model.
        region: Of a mixed picture, what says AI, as `Verdict.ai_region`: it gets a frame.
    """
    sheet = Image.new("RGB", (max(picture.width, WIDTH), picture.height + LEGEND), palette.PAPER)
    sheet.paste(_coloured(margin, picture))
    write = ImageDraw.Draw(sheet)
    if region:
        box = [share * (side - 1) for share, side in zip(region, picture.size * 2, strict=True)]
        write.rectangle(box, outline=palette.FOR_AI, width=FRAME)
    first, second = (ImageFont.load_default(size) for size in (18, 13))
    write.text((10, picture.height + 8), heading, palette.INK, first)
    place = 10.0
    for text, colour in (
        ("orange speaks for AI,", palette.LIGHT.warn),
        ("purple for human;", palette.FOR_HUMAN),
        (model, palette.MUTED),
    ):
        write.text((place, picture.height + 36), text, colour, second)
        place += write.textlength(text, second) + 6
    return sheet


def _coloured(margin: NDArray[np.float32], picture: Image.Image) -> Image.Image:
    """The picture under the colours of the evidence, more opaque where it is stronger."""
    strength = Image.fromarray((margin / full_colour(margin)).astype(np.float32))
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
            heading = f"{in_words(verdict.verdict, verdict.reason)}, p(AI) {verdict.p_ai:.3f}"
            drawn = figure(picture.convert("RGB"), margin, heading, printable(detector.id), verdict.ai_region)
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
