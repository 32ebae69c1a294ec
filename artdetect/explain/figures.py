"""The notebook's three panels: the artwork, its XRAI heatmap, and its most important regions.

Drawn so that a picture cannot look surer than it is: the heatmap has its value range beside it, the top regions say
what share of the area they really cover, and nothing is shifted against the artwork.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from artdetect.explain.arrays import Explanation
from artdetect.labels import CLASSES

PANEL = 512  # pixels; three of them fill a column of 800 px on a screen of double density
_DPI = 200
_GAP, _EDGE = 24, 16
_TITLE_PT, _SMALL_PT = 14, 12  # large, because a phone shows the figure at a fifth of its size
_TITLE_CHARS = 22
_LINE = 50  # pixels of one line of a title
_FOOT = 118  # pixels below the panels, for the colour bar and its range
_FONT, _INK, _QUIET = "DejaVu Sans", "#1a1a1a", "#5c5c5c"  # the font that comes with matplotlib
_CYAN = np.array([0, 229, 255], np.uint8)


def panels(artwork: Image.Image, explanation: Explanation, title: str, path: Path) -> None:
    """Writes the artwork, its heatmap and its top regions side by side as a PNG; the same bytes for the same input.

    Args:
        artwork: What the model saw, cropped or squashed as for the model, at any resolution: the field of view of
            `explanation`.
        explanation: Of that picture.
        title: Verdict and probability, shown over the artwork as they stand, in as many lines as they take.
        path: The PNG to write.

    Raises:
        ValueError: `artwork` and `explanation` differ in their proportions.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = _panel_sized(artwork, explanation)
    low, high = value_range(explanation)
    flat = low == high
    mask = top_mask(explanation)
    name = f"“{CLASSES[explanation.target]}”"
    heat_title = f"No region stands out\nfor {name}" if flat else f"Evidence for {name}\n(XRAI heatmap)"
    top_title = "No top regions" if flat else f"Top regions:\n{mask.mean():.0%} of the area"
    titles = [_wrapped(title), heat_title, top_title]
    shown = [picture, heat(picture, explanation), picture if flat else spotlight(picture, mask)]

    height, width = picture.shape[:2]
    head = _LINE * max(text.count("\n") + 1 for text in titles) + 2 * _EDGE
    full_width, full_height = 3 * width + 2 * _GAP + 2 * _EDGE, head + height + _FOOT
    figure = Figure(figsize=(full_width / _DPI, full_height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)  # and not pyplot, whose figures are global and not for threads

    def write(x: float, y: float, text: str, size: int, **style) -> None:
        place = x / full_width, y / full_height
        figure.text(*place, text, fontsize=size, family=_FONT, parse_math=False, **style)

    for number, (array, text) in enumerate(zip(shown, titles, strict=True)):
        left = _EDGE + number * (width + _GAP)
        figure.figimage(array, left, _FOOT, origin="upper")  # pixel for pixel: matplotlib resamples nothing
        write(left + width / 2, _FOOT + height + _EDGE, text, _TITLE_PT, ha="center", va="bottom", color=_INK)
    left = _EDGE + width + _GAP
    if not flat:
        figure.figimage(_colour_bar(width, 22), left, _FOOT - 38, origin="upper")
    for share, align, text in zip((0, 0.5, 1), ("left", "center", "right"), range_text(explanation), strict=True):
        write(left + share * width, _FOOT - 50, text, _SMALL_PT, ha=align, va="top", color=_QUIET)
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def top_mask(explanation: Explanation, fraction: float = 0.25) -> NDArray[np.bool_]:
    """The most important regions, each as a whole, as many as it takes to cover `fraction` of the area.

    Returns:
        bool [H, W] that covers `fraction` or more: regions are not cut to meet it.

    Raises:
        ValueError: `fraction` is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"`fraction` must be above 0 and at most 1. Received: fraction={fraction}")
    regions = explanation.regions()
    ranks, pixels = np.unique(regions, return_counts=True)
    enough = int(np.searchsorted(np.cumsum(pixels), fraction * regions.size))
    return regions <= ranks[min(enough, len(ranks) - 1)]


def value_range(explanation: Explanation) -> tuple[float, float]:
    """The percentiles 1 and 99.5 of the heatmap, between which the colours run; equal where the map is flat."""
    if explanation.attributions.min() == explanation.attributions.max():
        return (float(explanation.attributions.flat[0]),) * 2
    low, high = np.percentile(explanation.attributions, [1, 99.5])
    if low == high:  # all but a few pixels are one region
        low, high = explanation.attributions.min(), explanation.attributions.max()
    return float(low), float(high)


def range_text(explanation: Explanation) -> tuple[str, str, str]:
    """What stands under the left end, the middle and the right end of the colour bar."""
    low, high = value_range(explanation)
    if low == high:
        return "", f"{_short(low)} everywhere", ""
    below = "≤ " if explanation.attributions.min() < low else ""
    above = "≥ " if explanation.attributions.max() > high else ""
    return below + _short(low), "logit/px", above + _short(high)


def _short(value: float) -> str:
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def enlarged(array: NDArray, size: tuple[int, int], *, smooth: bool) -> NDArray:
    """`array` [h, w] at (H, W) = `size`, pixel centres at half pixels, so that nothing moves against the artwork.

    `scipy.ndimage.zoom` with its default grid aligns the corner pixels' centres instead: from 32 to 256 pixels that
    shifts what lies at the edge by 3.

    Args:
        smooth: True interpolates linearly, for values (float32); False takes the nearest, for ranks and masks.
    """
    kind = np.float32 if smooth else np.int32
    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    resized = Image.fromarray(np.ascontiguousarray(array, kind)).resize((size[1], size[0]), how)
    return np.asarray(resized).astype(array.dtype)


def heat(picture: NDArray[np.uint8], explanation: Explanation) -> NDArray[np.uint8]:
    """The heatmap in inferno over the picture in grey, the more opaque the higher; uint8 [H, W, 3] as `picture`."""
    low, high = value_range(explanation)
    values = enlarged(explanation.attributions, picture.shape[:2], smooth=True)
    level = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    return _inferno_over(grey, level)


def spotlight(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture, dimmed to a quarter outside `mask` [h, w], whose edge is a thin cyan line; uint8 [H, W, 3]."""
    inside = enlarged(mask, picture.shape[:2], smooth=False)
    shown = np.where(inside[..., np.newaxis], picture, picture // 4)
    grown = Image.fromarray(inside.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(5))
    shown[np.asarray(grown).astype(bool) & ~inside] = _CYAN  # outside, so that the line hides nothing of the regions
    return shown


def _inferno_over(grey: NDArray[np.uint8], level: NDArray[np.floating]) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    opacity = 0.85 * level[..., np.newaxis] ** 0.75
    colours = colormaps["inferno"](level)[..., :3] * 255
    return np.rint(opacity * colours + (1 - opacity) * grey[..., np.newaxis]).astype(np.uint8)


def _colour_bar(width: int, height: int) -> NDArray[np.uint8]:
    """The colours from low to high as they look over a middle grey."""
    level = np.broadcast_to(np.linspace(0, 1, width), (height, width))
    return _inferno_over(np.full((height, width), 128, np.uint8), level)


def _panel_sized(artwork: Image.Image, explanation: Explanation) -> NDArray[np.uint8]:
    """The artwork as uint8 RGB [H, W, 3] with a longer side of `PANEL` pixels."""
    rows, columns = explanation.attributions.shape
    if artwork.width * rows != artwork.height * columns:
        raise ValueError(
            "the artwork must show what the model saw, in the same proportions. "
            f"Received: artwork of {artwork.width} x {artwork.height}, explanation of {columns} x {rows}"
        )
    scale = PANEL / max(rows, columns)
    size = (round(columns * scale), round(rows * scale))
    return np.asarray(artwork.convert("RGB").resize(size, Image.Resampling.LANCZOS))


def _wrapped(title: str) -> str:
    return "\n".join(part for line in title.splitlines() for part in textwrap.wrap(line, _TITLE_CHARS))
