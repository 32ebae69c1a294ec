"""How a heatmap is drawn: colours over the grey artwork, a spotlight on regions, a colour bar, and text.

Arrays are uint8 RGB [H, W, 3]. Resizing keeps the centres of pixels, so that nothing moves on the artwork, and equal
input gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from artdetect.pictures.palette import CYAN, INK, LINE

Align = Literal["l", "m", "r"]


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

    def wrapped(self, text: str, width: float) -> list[str]:
        """Break `text` into lines of at most `width` px, also inside longer words, but not at no-break spaces."""
        lines = []
        for paragraph in text.splitlines():
            line = ""
            for word in paragraph.split(" "):
                if line and self.width(f"{line} {word}") > width:
                    lines.append(line)
                    line = ""
                line = f"{line} {word}" if line else word
                while len(line) > 1 and self.width(line) > width:
                    fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or self.width(line[:n]) <= width)
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


def heat(picture: NDArray[np.uint8], level: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Draw the colours of inferno over the grey picture, more opaque for a higher `level` [H, W] in [0, 1].

    The grey is darkened and has no black or white. Otherwise a colour on a light sky would differ from that in the bar.
    """
    from matplotlib import colormaps

    grey = 24 + 0.55 * np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
    opacity = 0.82 * level[..., np.newaxis] ** 0.6
    colours = colormaps["inferno"](level)[..., :3] * 255
    return np.rint(opacity * colours + (1 - opacity) * grey).astype(np.uint8)


def spotlight(picture: NDArray[np.uint8], inside: NDArray[np.bool_], line: int) -> NDArray[np.uint8]:
    """Dim a picture outside some regions, and draw their contour.

    Args:
        picture: uint8 [H, W, 3]; dimmed to a quarter.
        inside: The regions, bool [H, W].
        line: Width of the contour; px. It lies outside the regions, so that it hides nothing of them.
    """
    shown = np.where(inside[..., np.newaxis], picture, picture // 4)
    grown = Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * line + 1))
    shown[np.asarray(grown).astype(bool) & ~inside] = CYAN
    return shown


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


def colour_bar(width: int, height: int, zero: float | None) -> NDArray[np.uint8]:
    """A bar of the colours of a heatmap, from the lowest to the highest, over a middle grey.

    Args:
        width: Width of the bar; px.
        height: Height of the bar; px.
        zero: Where a notch marks the value 0, from 0 (left end) to 1 (right end); None = no notch.

    Returns:
        uint8 [height, width, 3].
    """
    level = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    bar = heat(np.full((height, width, 3), 128, np.uint8), level)
    if zero is not None:
        middle = round(zero * (width - 1))
        bar[-max(3, height // 3) :, max(0, middle - 1) : middle + 1] = 255
    return bar
