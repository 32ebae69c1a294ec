"""Figures of explanations: three panels of one picture, and a contact sheet of many.

They do not overstate: the value range of a heatmap is printed, the share of the area that the top regions really cover
is printed, and nothing is shifted on the artwork.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import overlay
from artdetect.explain.figures.colour_scale import ColourScale, Scale, common_range
from artdetect.explain.figures.overlay import Style
from artdetect.explain.method_settings import METHODS
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.palette import CARD, LINE, MUTED, PAPER

__all__ = ["PANEL", "SHEET", "common_range", "panels", "sheet", "split_panels"]

PANEL = 512  # px of a panel's longer side: 256 on a screen of double density
_PAD, _FOOT, _BAR = 14, 122, 20  # px around a panel, below it for the colour bar, and of the bar
_HEADING, _SUB, _LABEL = Style(35, bold=True), Style(30, MUTED), Style(27, MUTED)
_FOOTNOTE = Style(18, MUTED)

SHEET = 1600  # px of a sheet's width
_GAP, _INSIDE, _BETWEEN = 20, 16, 8  # px around cards, within them, and between their pictures
_TITLE, _NOTE = Style(32, bold=True), Style(18, MUTED)
_CAPTION, _BELOW = Style(20, bold=True), Style(17, MUTED)


@dataclass(frozen=True)
class _Panels:
    """The three panels of a picture and their texts.

    Args:
        pixels: The artwork, its heatmap and its top regions, uint8 [H, W, 3] each.
        colours: The colours of the heatmap.
        class_name: The explained class, in quotes.
        evidence: Heading and text of the heatmap.
        top: Heading and text of the top regions.
    """

    pixels: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
    colours: ColourScale
    class_name: str
    evidence: tuple[str, str]
    top: tuple[str, str]

    @classmethod
    def make(cls, artwork: Image.Image, explanation: Explanation, side: int, scale: Scale | None) -> _Panels:
        """Panels with a longer side of `side` px; the other arguments and errors as for `panels`."""
        _check_proportions(artwork, explanation)
        size = overlay.fit_size(artwork.width, artwork.height, side)
        picture = np.asarray(artwork.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        colours = ColourScale.make(explanation, scale)
        smooth = explanation.ranks is None  # regions have edges, pixels have not
        values = overlay.resized(explanation.heatmap, picture.shape[:2], smooth=smooth)
        mask = explanation.top_mask()
        inside = overlay.resized(mask.astype(np.float32), picture.shape[:2], smooth=smooth) >= 0.5
        flat = explanation.heatmap.min() == explanation.heatmap.max()
        lit = picture if flat else overlay.spotlight(picture, inside, line=2 if side > 400 else 1)
        pixels = picture, overlay.heat(picture, colours.level(values)), lit
        return cls(pixels, colours, *_texts(explanation, mask.mean(), flat))


def panels(
    artwork: Image.Image,
    explanation: Explanation,
    title: str,
    path: Path,
    *,
    scale: Scale | None = None,
    note: str = "",
) -> None:
    """Write the artwork, its heatmap and its top regions side by side as a PNG; equal input gives equal bytes.

    Args:
        artwork: What the model saw, cropped or squashed as for the model, of any size: the field of view of
            `explanation`. Drawn with a longer side of `PANEL` px.
        explanation: The explanation of that picture; its heatmap and ranks [H, W] have any resolution.
        title: The text above the artwork. Its first line, the verdict and its probability, is the heading.
        path: The PNG to write.
        scale: The values of the lowest and the highest colour, in units of the heatmap; `common_range` of a batch makes
            colours comparable between pictures. None = the heatmap's own range. Either is printed.
        note: A small text below the artwork; what does not fit in four lines is cut.

    Raises:
        ValueError: The proportions of `artwork` and `explanation` differ by more than rounding, or `scale` is not a
            range.
    """
    shown = _Panels.make(artwork, explanation, PANEL, scale)
    height, width = shown.pixels[0].shape[:2]
    first, _, rest = title.strip().partition("\n")
    heads = [
        [
            (line, style)
            for style, text in zip((_HEADING, _SUB), texts, strict=True)
            for line in style.wrapped(text, PANEL)
        ]
        for texts in ((first, rest), shown.evidence, shown.top)
    ]
    cell = PANEL + 2 * _PAD
    top = max(sum(style.line for _, style in lines) for lines in heads) + 2 * _PAD
    canvas = Image.new("RGB", (3 * cell, top + height + _FOOT), CARD)
    draw = ImageDraw.Draw(canvas)
    for number, (lines, picture) in enumerate(zip(heads, shown.pixels, strict=True)):
        middle, y = number * cell + cell // 2, _PAD
        for line, style in lines:
            style.write(draw, middle, y, line, "m")
            y += style.line
        overlay.place(canvas, picture, middle - width // 2, top)
    shown.colours.draw(canvas, cell + _PAD, top + height + _PAD, PANEL, _BAR, _LABEL)
    for number, line in enumerate(_FOOTNOTE.wrapped(note, PANEL)[:4]):
        _FOOTNOTE.write(draw, _PAD, top + height + _PAD + number * _FOOTNOTE.line, line)
    canvas.save(path, "PNG")


def split_panels(figure: Image.Image) -> list[Image.Image]:
    """Cut a figure of `panels` into its three parts with their texts, for pages that are too narrow for it.

    Side by side with aligned tops, they look like the figure.
    """
    cell, bare = figure.width // 3, figure.height - _FOOT + _PAD
    bottoms = (bare, figure.height, bare)  # only the heatmap has something below it
    return [figure.crop((number * cell, 0, (number + 1) * cell, bottom)) for number, bottom in enumerate(bottoms)]


def sheet(
    entries: Iterable[tuple[Image.Image, Explanation, str]],
    path: Path,
    *,
    columns: int = 2,
    title: str = "",
    scale: Scale | None = None,
) -> None:
    """Write a contact sheet as a PNG: for each picture the artwork, its heatmap and its top regions, small.

    Equal input gives equal bytes.

    Args:
        entries: Artwork, explanation and title as for `panels`. They are read one after the other, and only their small
            drawings stay in memory.
        path: The PNG to write; `SHEET` px wide, or narrower where there are fewer entries than columns.
        columns: Entries in a row, 1 to 3.
        title: The heading of the sheet.
        scale: As for `panels`, but printed once; None = each heatmap has its own range, printed below it.

    Raises:
        ValueError: There are no entries, or `columns` is not 1 to 3; also as for `panels`.
    """
    if columns not in range(1, 4):
        raise ValueError(f"`columns` must be 1 to 3. Received: columns={columns!r}")
    wide = (SHEET - _GAP) // columns - _GAP
    drawings = [_card(*entry, wide, scale) for entry in entries]
    if not drawings:
        raise ValueError("a sheet needs one entry or more. Received: none")
    cards, colours = zip(*drawings, strict=True)
    rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
    heights = [max(card.height for card in row) + 2 * _INSIDE for row in rows]
    width = min(columns, len(cards)) * (wide + _GAP) + _GAP
    head = _head(title, width, colours, shared=scale is not None)
    canvas = Image.new("RGB", (width, head.height + sum(heights) + _GAP * len(rows)), PAPER)
    canvas.paste(head, (0, 0))
    draw = ImageDraw.Draw(canvas)
    y = head.height
    for row, height in zip(rows, heights, strict=True):
        for number, card in enumerate(row):
            left = _GAP + number * (wide + _GAP)
            draw.rounded_rectangle((left, y, left + wide - 1, y + height - 1), 8, CARD, LINE)
            canvas.paste(card, (left + _INSIDE, y + _INSIDE))
        y += height + _GAP
    canvas.save(path, "PNG")


def _card(
    artwork: Image.Image, explanation: Explanation, caption: str, wide: int, scale: Scale | None
) -> tuple[Image.Image, ColourScale]:
    """An entry of a sheet without its border, and the colours of its heatmap.

    Args:
        artwork, explanation, scale: As for `panels`.
        caption: The title of the entry.
        wide: The width of the entry with its border; px.
    """
    inner = wide - 2 * _INSIDE
    side = min(PANEL, (inner - 2 * _BETWEEN - 2) // 3)
    shown = _Panels.make(artwork, explanation, side, scale)
    height, width = shown.pixels[0].shape[:2]
    first, _, rest = caption.strip().partition("\n")
    lines = _CAPTION.wrapped(first, inner)
    evidence = f"for {shown.class_name}"
    if scale is None:
        evidence += f": {shown.colours.span}"
    below = (rest, evidence, shown.top[1] or shown.top[0])
    texts = [_BELOW.wrapped(text, side) for text in below]
    top = len(lines) * _CAPTION.line + 6
    canvas = Image.new("RGB", (inner, top + height + 8 + max(map(len, texts)) * _BELOW.line), CARD)
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        _CAPTION.write(draw, 0, number * _CAPTION.line, line)
    for number, (picture, text_lines) in enumerate(zip(shown.pixels, texts, strict=True)):
        left = 1 + number * (inner - side - 2) // 2
        overlay.place(canvas, picture, left + (side - width) // 2, top)
        for row, line in enumerate(text_lines):
            _BELOW.write(draw, left + side / 2, top + height + 8 + row * _BELOW.line, line, "m")
    return canvas, shown.colours


def _head(title: str, width: int, colours: tuple[ColourScale, ...], *, shared: bool) -> Image.Image:
    """The head of a sheet: its title, how to read it, and the colour bar."""
    bar = min(320, width // 3)
    if shared:  # the longer text is the one with ≤ or ≥
        lowest, highest = (max((getattr(one, end) for one in colours), key=len) for end in ("lowest", "highest"))
        key, last = replace(colours[0], lowest=lowest, highest=highest), "All heatmaps have the same range."
    else:
        key = replace(colours[0], low=0.0, high=1.0, lowest="low", highest="high")
        last = "Each heatmap has its own range, printed below it."
    how_to_read = (
        "Each artwork, the evidence for a class, and the regions that speak most for it, a quarter of the area or more."
    )
    heading = _TITLE.wrapped(title, width - 2 * _GAP)
    notes = _NOTE.wrapped(f"{how_to_read}\n{last}", width - bar - 4 * _GAP)
    top = _GAP + len(heading) * _TITLE.line + (10 if heading else 0)
    canvas = Image.new("RGB", (width, top + max(len(notes) * _NOTE.line, 76) + _GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(heading):
        _TITLE.write(draw, _GAP, _GAP + number * _TITLE.line, line)
    for number, line in enumerate(notes):
        _NOTE.write(draw, _GAP, top + number * _NOTE.line, line)
    key.draw(canvas, width - _GAP - bar, top + 3, bar, 16, _NOTE)
    return canvas


def _texts(explanation: Explanation, share: float, flat: bool) -> tuple[str, tuple[str, str], tuple[str, str]]:
    """The class, and for the heatmap and the top regions a heading and the text below it.

    Args:
        explanation: The explanation.
        share: The share of the area that its top regions cover.
        flat: Whether its heatmap has one value.
    """
    name = f"“{CLASSES[explanation.target]}”"
    what = "pixels" if explanation.ranks is None else "regions"
    area = f"{share:.0%} of the area"
    if flat:
        return name, ("No region stands out", f"for {name}"), (f"No top {what}", "")
    method = METHODS.get(explanation.config.get("method", ""))
    heatmap = f"{method.label} heatmap" if method else "heatmap"
    if explanation.heatmap.max() <= 0:
        return name, (f"All against {name}", heatmap), ("Least against", area)
    return name, (f"Evidence for {name}", heatmap), (f"Top {what}", area)


def _check_proportions(artwork: Image.Image, explanation: Explanation) -> None:
    rows, columns = explanation.heatmap.shape
    width, height = overlay.fit_size(artwork.width, artwork.height, max(rows, columns))
    if abs(width - columns) > 1 or abs(height - rows) > 1:  # 1: artwork and heatmap may have been rounded apart
        raise ValueError(
            "the artwork must show what the model saw, in the same proportions. "
            f"Received: artwork of {artwork.width} x {artwork.height}, explanation of {columns} x {rows}"
        )
