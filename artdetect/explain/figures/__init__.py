"""Figures of explanations: one of a picture, and a contact sheet of many.

They are made to be read on a phone: `NARROW` px wide there, the smallest text has `LEGIBLE` px. They do not overstate:
what says nothing has no colour, all figures of a batch can share one scale, and nothing is shifted on the artwork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artdetect.explain import map_values, map_words
from artdetect.explain.explanation import Explanation, Region
from artdetect.explain.figures import overlay
from artdetect.explain.figures.caption import caption
from artdetect.explain.figures.colour_scale import ColourScale, common_reach
from artdetect.explain.figures.overlay import Colour, Style
from artdetect.explain.method_settings import is_signed
from artdetect.model.mixed import Box
from artdetect.pictures.palette import CARD, FOR_AI, FOR_EITHER, FOR_HUMAN, LINE, MUTED, PAPER

__all__ = ["LEGIBLE", "NARROW", "WIDTH", "Entry", "caption", "common_reach", "panels", "sheet"]

NARROW, LEGIBLE = 390, 11  # px: the width of a phone's page, and the smallest text that is read there
WIDTH = 1040  # px of a figure and of a sheet
_PAD, _GAP, _BAR = 24, 16, 24  # px around a figure, between its panels, and of the colour bar
_NAME, _TITLE, _CAPTION = Style(30, MUTED), Style(42, bold=True), Style(32)
_TEXT, _STRONG = Style(30, MUTED), Style(30, bold=True)
_PANEL = (WIDTH - 2 * _PAD - _GAP) // 2
_BADGE = Style(30)

_CARD = (WIDTH - 3 * _GAP) // 2  # px of a card's width on a sheet
_INSIDE, _BETWEEN = 14, 8  # px within a card: around everything, and between its pictures


@dataclass(frozen=True)
class Entry:
    """A picture to draw.

    Args:
        artwork: What the model saw, cropped or squashed as for the model, of any size: the field of view of
            `explanation`.
        explanation: The explanation of that picture; its heatmap [H, W] has any resolution.
        title: The verdict, and in further lines what else is known.
        name: The name of the file.
        frame: What stands out of a picture of mixed origin, see `Verdict.region`: it gets a frame on the map.
    """

    artwork: Image.Image
    explanation: Explanation
    title: str
    name: str = ""
    frame: Box | None = None


@dataclass(frozen=True)
class _Panels:
    """A picture, its map and its regions, uint8 [H, W, 3] each, the colours of map and regions, and the frame."""

    picture: NDArray[np.uint8]
    heat: NDArray[np.uint8]
    region_map: NDArray[np.int8]
    scale: ColourScale
    colours: list[Colour]
    frame: Box | None

    @classmethod
    def make(cls, entry: Entry, side: int, scale: float | None) -> _Panels:
        """Panels with a longer side of `side` px; errors as for `panels`."""
        explanation = entry.explanation
        _check_proportions(entry.artwork, explanation)
        size = overlay.fit_size(entry.artwork.width, entry.artwork.height, side)
        picture = np.asarray(entry.artwork.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        colours = ColourScale.make(explanation, scale)
        smooth = explanation.ranks is None  # regions have edges, pixels have not
        values = overlay.resized(map_values.for_ai(explanation), picture.shape[:2], smooth=smooth)
        found = explanation.region_map
        if found is None:
            found = np.zeros(explanation.heatmap.shape, np.int8)
        region_map = overlay.resized_regions(found, size)
        of_regions = [_colour(explanation, region) for region in explanation.regions]
        return cls(picture, colours.heat(picture, values), region_map, colours, of_regions, entry.frame)

    def map(self, *, outlined: bool = False) -> NDArray[np.uint8]:
        """The map with its frame, if there is one, and below that the contours of its regions, if they are wanted."""
        contours = overlay.outline(self.heat, self.region_map, self.colours, line=2) if outlined else self.heat
        if self.frame is None:
            return contours
        overlay.frame(framed := Image.fromarray(contours), self.frame)
        return np.asarray(framed)


def panels(entry: Entry, path: Path, *, scale: float | None = None, note: str = "") -> None:
    """Write a figure as a PNG, `WIDTH` px wide: the artwork, its map, its regions, and what they say.

    Equal input gives equal bytes.

    Args:
        entry: The picture.
        path: The PNG to write.
        scale: The value of the strongest colour; `common_reach` of a batch makes figures comparable. None = the map's
            own. Either is printed.
        note: A text at the foot; what does not fit in three lines is cut.

    Raises:
        ValueError: The proportions of artwork and explanation differ by more than rounding, or `scale` is not positive.
    """
    shown = _Panels.make(entry, _PANEL, scale)
    height, width = shown.picture.shape[:2]
    inner = WIDTH - 2 * _PAD
    canvas = Image.new("RGB", (WIDTH, 8 * WIDTH), CARD)
    draw = ImageDraw.Draw(canvas)
    y = _head(draw, entry, _PAD, _PAD, inner) + 6
    y = _lines(draw, _PAD, y, _CAPTION.wrapped(caption(entry.explanation), inner), _CAPTION) + 14
    lefts = [_PAD + number * (_PANEL + _GAP) for number in (0, 1)]
    middle = (_PANEL - width) // 2
    for left, picture in zip(lefts, (shown.picture, shown.map()), strict=True):
        overlay.place(canvas, picture, left + middle, y)
    y += height + 12
    heading = f"{map_values.label(entry.explanation) or 'Map'}: {shown.scale.words.shows}"
    y = _lines(draw, _PAD, y, _STRONG.wrapped(heading, inner), _STRONG) + 6
    y = shown.scale.draw(canvas, _PAD, y, inner, _BAR, _TEXT) + 20
    if entry.explanation.regions:
        lit = overlay.spotlight(shown.picture, shown.region_map, shown.colours, line=3)
        overlay.place(canvas, lit, lefts[0] + middle, y)
        below = _list(draw, lefts[1], y, entry.explanation, shown.colours)
        for number, colour in enumerate(shown.colours, 1):
            column, row = _within(overlay.deepest(shown.region_map == number), (width, height))
            overlay.badge(draw, lefts[0] + middle + column, y + row, number, colour, _BADGE)
        y = max(y + height, below) + 12
    y = _lines(draw, _PAD, y, _TEXT.wrapped(note, inner)[:3], _TEXT)
    canvas.crop((0, 0, WIDTH, y + _PAD)).save(path, "PNG")


def sheet(entries: Iterable[Entry], path: Path, *, title: str = "", scale: float | None = None) -> None:
    """Write a contact sheet as a PNG, `WIDTH` px wide: of each picture the artwork, and its map with its regions.

    Equal input gives equal bytes.

    Args:
        entries: The pictures. They are read one after the other, and only their small drawings stay in memory.
        path: The PNG to write.
        title: The heading of the sheet.
        scale: As for `panels`; None = each map has its own scale, printed below it.

    Raises:
        ValueError: There are no entries; also as for `panels`.
    """
    drawings = [_card(entry, scale) for entry in entries]
    if not drawings:
        raise ValueError("a sheet needs one entry or more. Received: none")
    cards, scales = zip(*drawings, strict=True)
    rows = [cards[start : start + 2] for start in range(0, len(cards), 2)]
    heights = [max(card.height for card in row) + 2 * _INSIDE for row in rows]
    head = _sheet_head(title, scales, shared=scale is not None)
    canvas = Image.new("RGB", (WIDTH, head.height + sum(heights) + _GAP * len(rows)), PAPER)
    canvas.paste(head, (0, 0))
    draw = ImageDraw.Draw(canvas)
    y = head.height
    for row, height in zip(rows, heights, strict=True):
        for number, card in enumerate(row):
            left = _GAP + number * (_CARD + _GAP)
            draw.rounded_rectangle((left, y, left + _CARD - 1, y + height - 1), 8, CARD, LINE)
            canvas.paste(card, (left + _INSIDE, y + _INSIDE))
        y += height + _GAP
    canvas.save(path, "PNG")


def _card(entry: Entry, scale: float | None) -> tuple[Image.Image, ColourScale]:
    """An entry of a sheet without its border, and the colours of its map."""
    inner = _CARD - 2 * _INSIDE
    side = (inner - _BETWEEN - 2) // 2
    shown = _Panels.make(entry, side, scale)
    height, width = shown.picture.shape[:2]
    canvas = Image.new("RGB", (inner, 4 * WIDTH), CARD)
    draw = ImageDraw.Draw(canvas)
    y = _head(draw, entry, 0, 0, inner, _STRONG) + 8
    for left, picture in ((1, shown.picture), (1 + side + _BETWEEN, shown.map(outlined=True))):
        overlay.place(canvas, picture, left + (side - width) // 2, y)
    y += height + 8
    texts = [caption(entry.explanation)]
    if scale is None:
        texts.append(shown.scale.span)
    y = _lines(draw, 0, y, [line for text in texts for line in _TEXT.wrapped(text, inner)], _TEXT)
    return canvas.crop((0, 0, inner, y)), shown.scale


def _sheet_head(title: str, scales: tuple[ColourScale, ...], *, shared: bool) -> Image.Image:
    """The head of a sheet: its title, the colours, and how to read it."""
    inner = WIDTH - 2 * _PAD
    canvas = Image.new("RGB", (WIDTH, 4 * WIDTH), PAPER)
    draw = ImageDraw.Draw(canvas)
    y = _lines(draw, _PAD, _PAD, _TITLE.wrapped(title, inner), _TITLE)
    key = scales[0]
    if shared:  # the longer text is the one with ≤ or ≥
        low, middle, high = (max(texts, key=len) for texts in zip(*(scale.ends for scale in scales), strict=True))
        key, last = replace(key, ends=(low, middle, high)), "All maps have the same scale."
    else:
        unit = key.unit if len({scale.unit for scale in scales}) == 1 else ""  # maps of several methods
        key, last = replace(key, ends=("", "", ""), unit=unit), "Each map has its own scale, printed below it."
    y = key.draw(canvas, _PAD, y + 8, inner, _BAR, _TEXT)
    how_to_read = f"Each artwork, and its map with the regions that it points at. {last}"
    y = _lines(draw, _PAD, y + 4, _TEXT.wrapped(how_to_read, inner), _TEXT)
    return canvas.crop((0, 0, WIDTH, y + _GAP))


def _head(draw: ImageDraw.ImageDraw, entry: Entry, left: int, top: int, width: int, style: Style = _TITLE) -> int:
    """Draw the name of the file and the title in `width` px; return the bottom."""
    y = top
    if entry.name:
        y = _lines(draw, left, y, [_NAME.shortened(entry.name, width)], _NAME)
    first, _, rest = entry.title.strip().partition("\n")
    y = _lines(draw, left, y, style.wrapped(first, width), style)
    return _lines(draw, left, y, _TEXT.wrapped(rest, width), _TEXT)


def _list(draw: ImageDraw.ImageDraw, left: int, top: int, explanation: Explanation, colours: list[Colour]) -> int:
    """Draw what each region says, below one another; return the bottom."""
    y, indent = top, round(2.2 * _BADGE.size)
    for number, (region, colour) in enumerate(zip(explanation.regions, colours, strict=True), 1):
        overlay.badge(draw, left + 0.8 * _BADGE.size, y + _STRONG.line, number, colour, _BADGE)
        for style, text in ((_STRONG, _says(explanation, region)), (_TEXT, f"{region.area:.0%} of the picture")):
            y = _lines(draw, left + indent, y, style.wrapped(text, _PANEL - indent), style)
        y += 14
    return y


def _within(place: tuple[int, int], size: tuple[int, int]) -> list[float]:
    """A place (x, y) for the number of a region, so that its disk lies in the picture of this size."""
    radius = overlay.badge_radius(_BADGE)
    return [max(radius, min(at, side - radius)) for at, side in zip(place, size, strict=True)]


def _says(explanation: Explanation, region: Region) -> str:
    if region.p_ai is not None:
        return f"p(AI) {region.p_ai:.0%}"
    words = map_words.of(explanation)
    return words.low if is_signed(explanation.config) and region.value < 0 else words.high


def _colour(explanation: Explanation, region: Region) -> Colour:
    if not is_signed(explanation.config):
        return FOR_EITHER
    return FOR_AI if region.value > 0 else FOR_HUMAN


def _lines(draw: ImageDraw.ImageDraw, left: float, top: int, lines: list[str], style: Style) -> int:
    """Draw lines below one another; return the bottom."""
    for number, line in enumerate(lines):
        style.write(draw, left, top + number * style.line, line)
    return top + len(lines) * style.line


def _check_proportions(artwork: Image.Image, explanation: Explanation) -> None:
    rows, columns = explanation.heatmap.shape
    width, height = overlay.fit_size(artwork.width, artwork.height, max(rows, columns))
    if abs(width - columns) > 1 or abs(height - rows) > 1:  # 1: artwork and heatmap may have been rounded apart
        raise ValueError(
            "the artwork must show what the model saw, in the same proportions. "
            f"Received: artwork of {artwork.width} x {artwork.height}, explanation of {columns} x {rows}"
        )
