"""How a heatmap is drawn: colours over the greyscale artwork, a spotlight on regions, a colour bar, and text.

Arrays are uint8 RGB [H, W, 3]. Everything is pixel for pixel: what is enlarged or reduced keeps its centres, so that
nothing moves against the artwork, and the same input gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

INK, QUIET, EDGE, CARD, GROUND = "#1c1c1e", "#5f5f66", "#d9d7d2", "#ffffff", "#f4f2ee"
CYAN = (0, 229, 255)
Align = Literal["l", "m", "r"]


@dataclass(frozen=True)
class Style:
    """Text of `size` px in DejaVu Sans, the font that comes with matplotlib."""

    size: int
    colour: str = INK
    bold: bool = False

    @property
    def line(self) -> int:
        """From one line to the next, px."""
        return round(1.3 * self.size)

    def width(self, text: str) -> float:
        """Of one line, px."""
        return _font(self.size, self.bold).getlength(text)

    def write(self, draw: ImageDraw.ImageDraw, x: float, y: float, text: str, align: Align = "l") -> None:
        """One line: `x` is its left end, middle or right end, `y` its top."""
        draw.text((x, y), text, self.colour, _font(self.size, self.bold), anchor=f"{align}a")

    def wrapped(self, text: str, width: float) -> list[str]:
        """`text` in lines of at most `width` px; a word that is longer is broken, a no-break space is kept."""
        lines = []
        for paragraph in text.splitlines():
            line = ""
            for word in paragraph.split(" "):
                if line and self.width(f"{line} {word}") > width:
                    lines.append(line)
                    line = ""
                line = f"{line} {word}" if line else word
                while len(line) > 1 and self.width(line) > width:
                    kept = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or self.width(line[:n]) <= width)
                    lines.append(line[:kept])
                    line = line[kept:]
            lines.append(line)
        return [line for line in lines if line.strip()]


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)  # Raqm is not on every machine


def fit_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height, of these proportions, with a longer side of `side` px."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(values: NDArray[np.float32], shape: tuple[int, int], *, smooth: bool) -> NDArray[np.float32]:
    """`values` [h, w] at (H, W) = `shape`: means where it is reduced, and where enlarged either smooth or crisp."""
    if values.shape == shape:
        return values
    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    if shape[0] <= values.shape[0] and shape[1] <= values.shape[1]:
        how = Image.Resampling.BOX
    source = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(source.resize((shape[1], shape[0]), how))


def heat(picture: NDArray[np.uint8], level: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Inferno over the picture in grey, the more opaque the higher `level` [H, W], which is in [0, 1].

    The grey is darkened and without black and white, or a colour would be another on a light sky than in the bar.
    """
    from matplotlib import colormaps

    grey = 24 + 0.55 * np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
    opacity = 0.82 * level[..., np.newaxis] ** 0.6
    colours = colormaps["inferno"](level)[..., :3] * 255
    return np.rint(opacity * colours + (1 - opacity) * grey).astype(np.uint8)


def spotlight(picture: NDArray[np.uint8], inside: NDArray[np.bool_], line: int) -> NDArray[np.uint8]:
    """The picture, dimmed to a quarter where not `inside` [H, W], with a cyan contour of `line` px.

    The contour lies outside, so that it hides nothing of the regions.
    """
    shown = np.where(inside[..., np.newaxis], picture, picture // 4)
    grown = Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * line + 1))
    shown[np.asarray(grown).astype(bool) & ~inside] = CYAN
    return shown


def place(canvas: Image.Image, picture: NDArray[np.uint8], left: int, top: int) -> None:
    """Pixel for pixel, with a hairline around it: white on white is seen, too."""
    height, width = picture.shape[:2]
    ImageDraw.Draw(canvas).rectangle((left - 1, top - 1, left + width, top + height), outline=EDGE)
    canvas.paste(Image.fromarray(picture), (left, top))


def colour_bar(width: int, height: int, zero: float | None) -> NDArray[np.uint8]:
    """The colours from low to high as they look over a middle grey; `zero` in ]0, 1[ is marked by a notch."""
    level = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    bar = heat(np.full((height, width, 3), 128, np.uint8), level)
    if zero is not None:
        middle = round(zero * (width - 1))
        bar[-max(3, height // 3) :, max(0, middle - 1) : middle + 1] = 255
    return bar
