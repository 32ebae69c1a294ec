"""The evidence for a verdict drawn over the picture, with nothing but Pillow: what the base install shows.

`figures` draws more, with regions, and needs the extra `explain`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from artdetect.core.atomic import replacing
from artdetect.core.errors import PictureError
from artdetect.explain import evidence_map, map_values
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import overlay
from artdetect.explain.figures.caption import caption
from artdetect.explain.figures.colour_scale import ColourScale
from artdetect.explain.method_settings import EvidenceSettings
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
FULL_COLOUR = EvidenceSettings.reach  # logits, where parts are not calibrated; the same in every figure
EDGE = 10  # pixels around the text
KEY = palette.LIGHT.warn, palette.FOR_HUMAN, palette.MUTED  # colours of the texts of `Words.key`
Text = tuple[str, Any, Any]  # words, colour, font


def regions_installed() -> bool:
    """Whether the extra `explain` is there, with which `figures` draws regions."""
    return all(find_spec(module) for module in ("matplotlib", "numba", "pandas", "scipy", "skimage"))


def drawn(
    detector: Detector, source: Path | bytes, verdict: Verdict, found: Explanation, name: str = ""
) -> Image.Image:
    """The figure of a picture.

    Args:
        detector: The model.
        source: The picture's file, or its content.
        verdict: The verdict on it.
        found: What `evidence_map.explained` says of this verdict.
        name: The name of the picture; "" for none.

    Raises:
        PictureError: It cannot be read any more.
    """
    picture = images.artwork(source, SHOWN, None, detector.geometry.fit)
    heading = f"{verdict.words}, p(AI) {verdict.p_ai:.3f}"
    return figure(picture, found, heading, printable(detector.id), name=name, box=verdict.region)


def figure(
    picture: Image.Image, found: Explanation, heading: str, model: str, *, name: str = "", box: Box | None = None
) -> Image.Image:
    """The evidence drawn over a picture, and below it the verdict, a sentence, and what the colours mean.

    Args:
        picture: The picture, with the field of view of the model.
        found: What `evidence_map.explained` says of its verdict.
        heading: The verdict in words.
        model: The name of the model.
        name: The name of the picture; "" for none.
        box: What stands out of a picture of mixed origin, see `Verdict.region`; None for others.
    """
    width = max(picture.width, WIDTH)
    size = math.ceil(width * LEGIBLE / PHONE)
    text, strong = ImageFont.load_default(size), ImageFont.load_default(round(1.3 * size))
    scale, room = ColourScale.make(found, None), width - 2 * EDGE
    lines: list[list[Text]] = [[(overlay.shortened(name, room, text.getlength), palette.MUTED, text)]] if name else []
    for paragraph, font in ((heading, strong), (caption(found), text)):
        lines += [[(line, palette.INK, font)] for line in overlay.wrapped(paragraph, room, font.getlength)]
    lines += _in_lines([(words, colour, text) for words, colour in zip(scale.words.key, KEY, strict=False)], room, size)
    lines.append([(model, palette.MUTED, text)])
    coloured = _coloured(found, scale, picture)
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


def _in_lines(texts: Sequence[Text], width: float, size: float) -> list[list[Text]]:
    """Short texts beside one another as far as they fit, with half of `size` pixels between them."""
    lines: list[list[Text]] = [[]]
    for one in texts:
        needed = sum(font.getlength(words) + size / 2 for words, _, font in [*lines[-1], one])
        if lines[-1] and needed - size / 2 > width:
            lines.append([])
        lines[-1].append(one)
    return lines


def levels(found: Explanation) -> NDArray[np.floating]:
    """The colour of each place [G, G], from -1, all for human, to 1, all for AI; 0 has none.

    Args:
        found: An explanation of `evidence_map.explained`.
    """
    return ColourScale.make(found, None).level(map_values.for_ai(found))


def _coloured(found: Explanation, scale: ColourScale, picture: Image.Image) -> Image.Image:
    """The colours of the evidence over the grey picture."""
    values = Image.fromarray(map_values.for_ai(found).astype(np.float32))
    resized = np.asarray(values.resize(picture.size, Image.Resampling.BILINEAR))
    return Image.fromarray(scale.heat(np.asarray(picture), resized))


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
            name = _name(path, source if source.is_dir() else path.parent, taken)
            found = evidence_map.explained(evidence, verdict)
            said = {"evidence": evidence.margin[0].round(4).tolist(), "caption": caption(found)}
            try:
                picture = drawn(detector, path, verdict, found, printable(path.name))
            except PictureError as error:  # it was there a moment ago
                yield predict.unreadable(path, detector, str(error)), None
                continue
            place = out / f"{name}.png"
            with replacing(place) as temporary:
                picture.save(temporary, "PNG")
            with replacing(place.with_suffix(".json")) as temporary:
                temporary.write_text(json.dumps(verdict.as_dict() | said), encoding="utf-8")
            yield verdict, place


def _name(path: Path, root: Path, taken: set[str]) -> str:
    """A name below the output folder that no other picture has: its path from `root`, numbered if necessary."""
    stem = path.relative_to(root).as_posix().removesuffix(path.suffix)
    numbers = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    name = next(name for name in numbers if name not in taken)
    taken.add(name)
    return name
