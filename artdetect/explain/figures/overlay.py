"""How a heatmap is drawn: colours over the grey artwork, a spotlight on regions, their numbers, and text.

Arrays are uint8 RGB [H, W, 3]. Resizing keeps the centres of pixels, so that nothing moves on the artwork, and equal
input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from artdetect.model.mixed import Box
from artdetect.pictures.palette import FOR_AI, FOR_EITHER, FOR_HUMAN, INK, LINE

HALF = 0.5  # share of the area above which a region is most of the picture: it has no contour
Align = Literal["l", "m", "r"]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """A style of text in DejaVu Sans, the font that comes with matplotlib.

    Args:
        size: The size of the text; px.
        colour: "#rrggbb".
        bold: Whether the text is bold.
    """

    size: int
    colour: str = INK
    bold: bool = False

    @property
    def line(self) -> int:
        """The height of a line, px."""
        return round(1.3 * self.size)

    def width(self, text: str) -> float:
        """The width of a line of text, px."""
        return _font(self.size, self.bold).getlength(text)

    def write(self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str, align: Align = "l") -> None:
        """Draw a line of text.

        Args:
            draw: What to draw on.
            x: The line's left end, middle or right end, as `align` says; px.
            y: The line's top; px.
            text: The text of the line.
            align: "l", "m" or "r".
        """
        draw.text((x, y), text, self.colour, _font(self.size, self.bold), anchor=f"{align}a")

    def shortened(self, text: str, width: float) -> str:
        """`text` in at most `width` px; the middle of a longer one is left out, so that a file keeps its number."""
        return shortened(text, width, self.width)

    def wrapped(self, text: str, width: float) -> list[str]:
        """Break `text` into lines of at most `width` px, also inside longer words, but not at no-break spaces."""
        return wrapped(text, width, self.width)


def shortened(text: str, width: float, measure: Callable[[str], float]) -> str:
    """As `Style.shortened`, with a font that `measure` gives the widths of."""
    shown = text
    while len(text) > 2 and measure(shown) > width:
        text = text[: (len(text) - 1) // 2] + text[(len(text) - 1) // 2 + 1 :]
        shown = f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"
    return shown


def wrapped(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """As `Style.wrapped`, with a font that `measure` gives the widths of."""
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split(" "):
            if line and measure(f"{line} {word}") > width:
                lines.append(line)
                line = ""
            line = f"{line} {word}" if line else word
            while len(line) > 1 and measure(line) > width:
                fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or measure(line[:n]) <= width)
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line)
    return [line for line in lines if line.strip()]


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)  # Raqm is not on every machine


def fit_size(width: int, height: int, side: int) -> tuple[int, int]:
    """The size of a picture that is scaled to a given longer side, with its proportions kept.

    Args:
        width: The picture's width.
        height: The picture's height, in the same unit.
        side: The new longer side; px.

    Returns:
        The new width and height; px, 1 or more each.
    """
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(values: NDArray[np.float32], shape: tuple[int, int], *, smooth: bool) -> NDArray[np.float32]:
    """Resize a map.

    Args:
        values: float32 [h, w].
        shape: The new height and width. Where both are smaller, values are averaged.
        smooth: Whether an enlarged map is interpolated; otherwise each value becomes a block.
    """
    if values.shape == shape:
        return values
    resampling = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    if shape[0] <= values.shape[0] and shape[1] <= values.shape[1]:
        resampling = Image.Resampling.BOX
    source = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(source.resize((shape[1], shape[0]), resampling))


def resized_regions(region_map: NDArray[np.int8], size: tuple[int, int]) -> NDArray[np.int8]:
    """A map of regions, int8 [h, w], at (width, height) = `size`, with steps in their contours rounded off."""
    shown = np.zeros((size[1], size[0]), np.int8)
    for number in range(region_map.max(), 0, -1):
        inside = Image.fromarray((region_map == number).astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
        shown[np.asarray(inside.filter(ImageFilter.GaussianBlur(max(size) / 150))) >= 128] = number
    return shown


def heat(picture: NDArray[np.uint8], level: NDArray[np.floating], *, signed: bool = True) -> NDArray[np.uint8]:
    """Draw colours over the grey picture, none where `level` [H, W] in [-1, 1] is 0, and stronger away from it.

    Positive levels have the colour of AI and negative ones that of human; where there are no signs, one colour for
    both. The grey has no black and no white, so that a colour looks alike on a light sky and on a dark coat.
    """
    grey = 70 + 0.62 * np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
    opacity = 0.8 * np.abs(level[..., np.newaxis]) ** 0.8
    colours = np.where(level[..., np.newaxis] > 0, FOR_AI if signed else FOR_EITHER, FOR_HUMAN)
    return np.rint(opacity * colours + (1 - opacity) * grey).astype(np.uint8)


def spotlight(
    picture: NDArray[np.uint8], region_map: NDArray[np.integer], colours: Sequence[Colour], line: int
) -> NDArray[np.uint8]:
    """Dim a picture outside its regions, and draw their contours.

    Args:
        picture: uint8 [H, W, 3].
        region_map: int [H, W]: n in the n-th region, 0 elsewhere, where the picture is dimmed.
        colours: The colour of each region's contour.
        line: Width of a contour, and of the light line around it; px. Both lie outside the region.
    """
    shown = np.where(region_map[..., np.newaxis] > 0, picture, picture // 3)
    return outline(shown, region_map, colours, line)


def outline(
    picture: NDArray[np.uint8], region_map: NDArray[np.integer], colours: Sequence[Colour], line: int
) -> NDArray[np.uint8]:
    """A picture with the contours of regions; the arguments are those of `spotlight`.

    A region of more than half of the picture has none: it would look like that of the rest.
    """
    shown = picture.copy()
    masks = [(region_map == number, colour) for number, colour in enumerate(colours, 1)]
    masks = [(inside, colour) for inside, colour in masks if inside.mean() <= HALF]
    if masks:
        shown[_near(np.logical_or.reduce([inside for inside, _ in masks]), 2 * line)] = (255, 255, 255)
    for inside, colour in masks:
        shown[_near(inside, line)] = colour
    return shown


def frame(picture: Image.Image, box: Box) -> None:
    """Draw a dark frame with light edges into a picture, around what stands out of one of mixed origin.

    Args:
        picture: The picture, changed in place.
        box: left, top, right, bottom, as shares of its sides.
    """
    left, top, right, bottom = (share * side for share, side in zip(box, 2 * picture.size, strict=True))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, right, bottom), outline="white", width=6)
    draw.rectangle((left + 2, top + 2, right - 2, bottom - 2), outline=INK, width=2)


def _near(mask: NDArray[np.bool_], distance: float) -> NDArray[np.bool_]:
    """The pixels outside `mask` that are within `distance` of it."""
    from scipy import ndimage

    return ~mask & (ndimage.distance_transform_edt(~mask) <= distance) if mask.any() else mask


def badge_radius(style: Style) -> float:
    """The radius of the disk of `badge`; px."""
    return 0.75 * style.size


def badge(draw: ImageDraw.ImageDraw, x: float, y: float, number: int, colour: Colour, style: Style) -> None:
    """Draw the number of a region in a disk around (x, y)."""
    radius = badge_radius(style)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour, "white", 2)
    draw.text((x, y), str(number), "white", _font(style.size, bold=True), anchor="mm")


def deepest(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (x, y) of a region [H, W] that is farthest from its border and that of the picture."""
    from scipy import ndimage

    row, column = np.unravel_index(
        np.argmax(ndimage.distance_transform_edt(np.pad(inside, 1))), np.add(inside.shape, 2)
    )
    return int(column) - 1, int(row) - 1


def place(canvas: Image.Image, picture: NDArray[np.uint8], left: int, top: int) -> None:
    """Paste a picture with a hairline around it, so that white on white is visible.

    Args:
        canvas: What to paste on.
        picture: uint8 [H, W, 3].
        left: The picture's left edge on the canvas; px.
        top: The picture's upper edge on the canvas; px.
    """
    height, width = picture.shape[:2]
    ImageDraw.Draw(canvas).rectangle((left - 1, top - 1, left + width, top + height), outline=LINE)
    canvas.paste(Image.fromarray(picture), (left, top))
