"""The colours of heatmap values, and how their range is printed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import overlay
from artdetect.explain.figures.overlay import Style
from artdetect.explain.method_settings import METHODS

Scale = tuple[float, float]
PER = 1000  # pixels that values are printed for: those of single pixels have too many zeros to read


@dataclass(frozen=True)
class ColourScale:
    """The range of values that colours show.

    Args:
        low: The value of the lowest colour.
        high: The value of the highest colour.
        lowest: `low` as text.
        highest: `high` as text.
        unit: The unit of both texts.
    """

    low: float
    high: float
    lowest: str
    highest: str
    unit: str

    @classmethod
    def make(cls, explanation: Explanation, scale: Scale | None) -> ColourScale:
        """The colours between the values of `scale`, or of `value_range` where that is None.

        The texts begin with ≤ or ≥ where the heatmap has values beyond.

        Raises:
            ValueError: `scale` is not two finite numbers, the lower first; they may be equal where the map is that.
        """
        low, high = value_range(explanation) if scale is None else scale
        minimum, maximum = explanation.heatmap.min(), explanation.heatmap.max()
        if not (-math.inf < low < high < math.inf or minimum == maximum == low == high):
            raise ValueError(f"`scale` must be two finite numbers, the lower first. Received: scale={scale!r}")
        below = "≤\N{NO-BREAK SPACE}" if minimum < low else ""
        above = "≥\N{NO-BREAK SPACE}" if maximum > high else ""
        times, unit = _unit(explanation)
        return cls(low, high, below + _short(times * low), above + _short(times * high), unit)

    @property
    def span(self) -> str:
        """Both ends as a text without line breaks."""
        text = f"{self.lowest} everywhere" if self.low == self.high else f"{self.lowest} … {self.highest}"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    def level(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """`values` as levels between 0, the lowest colour, and 1, the highest."""
        if self.low == self.high:
            return np.zeros_like(values)
        return np.clip((values - self.low) / (self.high - self.low), 0, 1)

    def draw(self, canvas: Image.Image, left: int, top: int, width: int, height: int, style: Style) -> None:
        """Draw the colour bar; below it in two lines its ends, its zero where it has one, and its unit.

        Args:
            canvas: The picture to draw on.
            left, top, width, height: The bar; px.
            style: The style of the text.
        """
        draw = ImageDraw.Draw(canvas)
        y = top + height + style.size // 3
        if self.low == self.high:
            style.write(draw, left + width / 2, y, self.span, "m")
        else:
            zero = -self.low / (self.high - self.low) if self.low < 0 < self.high else None
            canvas.paste(Image.fromarray(overlay.colour_bar(width, height, zero)), (left, top))
            style.write(draw, left, y, self.lowest)
            style.write(draw, left + width, y, self.highest, "r")
            gaps = style.width(self.lowest) + style.size, width - style.width(self.highest) - style.size
            if zero is not None and gaps[0] < zero * width < gaps[1]:
                style.write(draw, left + zero * width, y, "0", "m")
        style.write(draw, left + width / 2, y + style.line, self.unit, "m")


def value_range(explanation: Explanation) -> Scale:
    """The range of a heatmap's colours, from its percentile 1 to 99.5; one value where the map is flat."""
    low, high = np.percentile(explanation.heatmap, [1, 99.5])
    if low == high:  # all but a few pixels are one region
        low, high = explanation.heatmap.min(), explanation.heatmap.max()
    return float(low), float(high)


def common_range(explanations: Iterable[Explanation]) -> Scale:
    """The range that contains the `value_range` of all heatmaps, in their units.

    With it, a map that is weak beside the others looks weak. The heatmaps must explain the same kind of score.

    Raises:
        ValueError: There are no explanations.
    """
    ranges = [value_range(explanation) for explanation in explanations]
    if not ranges:
        raise ValueError("a common range needs one explanation or more. Received: none")
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _unit(explanation: Explanation) -> tuple[int, str]:
    """The factor of printed values, and their unit."""
    method = METHODS.get(explanation.config.get("method", ""))
    if method and not method.complete:
        return 1, "without a unit"
    score = "probability" if explanation.config.get("target") == "probability" else "logit"
    return PER, f"{score} per {PER:,} px"


def _short(value: float) -> str:
    text = f"{value:,.0f}" if 99.5 <= abs(value) < 1e5 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")
