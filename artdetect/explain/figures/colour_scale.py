"""Which value of a heatmap has which colour, and how that is printed."""

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

Scale = tuple[float, float]
PER = 1000  # pixels that values are printed for: of a single one they have too many zeros to read
_NO_SHARES = ("gradcam", "smoothgrad")  # methods whose values are not a pixel's share of the score


@dataclass(frozen=True)
class ColourScale:
    """The values of the lowest and the highest colour, their texts, and the unit of these."""

    low: float
    high: float
    lowest: str
    highest: str
    unit: str

    @classmethod
    def of(cls, explanation: Explanation, scale: Scale | None) -> ColourScale:
        """Between the values of `scale`, or those of `value_range`; ≤ and ≥ where the heatmap has values beyond.

        Raises:
            ValueError: `scale` is not two finite numbers, the lower first; they may be equal where the map is that.
        """
        low, high = value_range(explanation) if scale is None else scale
        least, most = explanation.heatmap.min(), explanation.heatmap.max()
        if not (-math.inf < low < high < math.inf or least == most == low == high):
            raise ValueError(f"`scale` must be two finite numbers, the lower first. Received: scale={scale!r}")
        below = "≤\N{NO-BREAK SPACE}" if least < low else ""
        above = "≥\N{NO-BREAK SPACE}" if most > high else ""
        times, unit = _unit(explanation)
        return cls(low, high, below + _short(times * low), above + _short(times * high), unit)

    @property
    def span(self) -> str:
        """Both ends, in a line that is not to be broken."""
        text = f"{self.lowest} everywhere" if self.low == self.high else f"{self.lowest} … {self.highest}"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    def level(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """`values` from 0, the lowest colour, to 1, the highest."""
        if self.low == self.high:
            return np.zeros_like(values)
        return np.clip((values - self.low) / (self.high - self.low), 0, 1)

    def draw(self, canvas: Image.Image, left: int, top: int, width: int, height: int, style: Style) -> None:
        """A bar of this place and size; below it in two lines its ends, its zero where it has one, and its unit."""
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
    """The percentiles 1 and 99.5 of the heatmap, between which its colours run; equal where the map is flat."""
    low, high = np.percentile(explanation.heatmap, [1, 99.5])
    if low == high:  # all but a few pixels are one region
        low, high = explanation.heatmap.min(), explanation.heatmap.max()
    return float(low), float(high)


def common_range(explanations: Iterable[Explanation]) -> Scale:
    """From the lowest to the highest of the values between which the heatmaps' own colours would run.

    A map that is weak beside the others then looks weak. In units of the heatmaps, which must be of one kind of score.

    Raises:
        ValueError: There are no explanations.
    """
    ranges = [value_range(explanation) for explanation in explanations]
    if not ranges:
        raise ValueError("a common range needs one explanation or more. Received: none")
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _unit(explanation: Explanation) -> tuple[int, str]:
    """What values are multiplied by to be printed, and their unit then."""
    if explanation.config.get("method") in _NO_SHARES:
        return 1, "without a unit"
    score = "probability" if explanation.config.get("target") == "probability" else "logit"
    return PER, f"{score} per {PER:,} px"


def _short(value: float) -> str:
    text = f"{value:,.0f}" if 99.5 <= abs(value) < 1e5 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")
