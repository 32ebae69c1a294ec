"""The colours of what a map says: none where it says nothing, one for each class, and the range that they show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artdetect.explain import map_values, map_words
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import overlay
from artdetect.explain.figures.overlay import Align, Style
from artdetect.explain.map_words import Words
from artdetect.explain.method_settings import METHODS, is_signed

ALIGN: tuple[Align, Align, Align] = ("l", "m", "r")
PER = 1000  # pixels that values are printed for: those of single pixels have too many zeros to read


@dataclass(frozen=True)
class ColourScale:
    """The range of values that colours show, from `-reach` to `reach`; from 0 where a map has no signs.

    Args:
        reach: The value of the strongest colour; 0 for a map that is 0 everywhere.
        signed: Whether values speak for both classes.
        ends: The lowest value, the one in the middle and the highest as text.
        unit: Their unit.
        words: What the values mean.
        silent: Values that are closer to 0 say nothing, so they have no colour.
    """

    reach: float
    signed: bool
    ends: tuple[str, str, str]
    unit: str
    words: Words
    silent: float = 0.0

    @classmethod
    def make(cls, explanation: Explanation, scale: float | None) -> ColourScale:
        """The colours up to `scale`, or up to the map's own `reach` where that is None.

        The texts begin with ≤ or ≥ where the map has values beyond.

        Raises:
            ValueError: `scale` is not a positive finite number; it may be 0 where the map is.
        """
        values = map_values.for_ai(explanation)
        limit = reach(explanation) if scale is None else scale
        if not (0 < limit < math.inf or limit == np.abs(values).max() == 0):
            raise ValueError(f"`scale` must be a positive number. Received: scale={scale!r}")
        signed, words = is_signed(explanation.config), map_words.of(explanation)
        if explanation.p_ai is not None:
            ends = f"p(AI) {(1 - limit) / 2:.0%}", "50%", f"{(1 + limit) / 2:.0%}"
            bounds = f"{1 - map_values.SPEAKS:.0%} to {map_values.SPEAKS:.0%}"
            unit = f"the verdict on each part alone; {bounds} says nothing"
            return cls(limit, signed, ends, unit, words, map_values.speaking(explanation, values))
        method = METHODS.get(explanation.config.get("method", ""))
        complete = method is None or method.complete
        times = PER if complete else 1
        low = _short(-times * limit) if signed else "0"
        below = "≤\N{NO-BREAK SPACE}" if values.min() < (-limit if signed else 0) else ""
        above = "≥\N{NO-BREAK SPACE}" if values.max() > limit else ""
        score = "probability" if explanation.config.get("target") == "probability" else "log-odds"
        unit = f"{score} per {PER:,} pixels" if complete else "without a unit"
        if map_values.reach(explanation):
            unit = "log-odds of each part alone, not calibrated"
        return cls(limit, signed, (below + low, "0" if signed else "", above + _short(times * limit)), unit, words)

    @property
    def span(self) -> str:
        """Both ends as a text without line breaks."""
        text = f"{self.ends[0]} … {self.ends[-1]}" if self.reach else "0 everywhere"
        return text.replace(" ", "\N{NO-BREAK SPACE}")

    def level(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """`values` as levels: 0 says nothing, -1 and 1 are the strongest colours."""
        if self.reach == 0:
            return np.zeros_like(values)
        level = np.clip(values / self.reach, -1 if self.signed else 0, 1)
        return np.where(np.abs(values) < self.silent, 0, level)

    def heat(self, picture: NDArray[np.uint8], values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The colours of `values` [H, W] over `picture`, uint8 [H, W, 3]."""
        return overlay.heat(picture, self.level(values), signed=self.signed)

    def draw(self, canvas: Image.Image, left: int, top: int, width: int, height: int, style: Style) -> int:
        """Draw the colour bar, and below it what its ends mean, their values and the unit.

        Args:
            canvas: The picture to draw on.
            left, top, width, height: The bar; px.
            style: The style of the text.

        Returns:
            The bottom of the texts; px.
        """
        draw = ImageDraw.Draw(canvas)
        values = np.broadcast_to(np.linspace(-1 if self.signed else 0, 1, width), (height, width))
        grey = np.full((height, width, 3), 128, np.uint8)
        level = self.level(values * self.reach) if self.reach else values
        canvas.paste(Image.fromarray(overlay.heat(grey, level, signed=self.signed)), (left, top))
        y = top + height + style.size // 4
        meaning = self.words.low, self.words.middle, self.words.high
        for row in filter(any, (meaning, self.ends)):
            for text, x, align in zip(row, (left, left + width / 2, left + width), ALIGN, strict=True):
                style.write(draw, x, y, text, align)
            y += style.line
        for line in style.wrapped(self.unit, width):
            style.write(draw, left + width / 2, y, line, "m")
            y += style.line
        return y


def reach(explanation: Explanation) -> float:
    """The value of a map's strongest colour, see `map_values.reach`; else percentile 99.5 of its values without sign.

    0 where the map is 0 everywhere.
    """
    if fixed := map_values.reach(explanation):
        return fixed
    sizes = np.abs(map_values.for_ai(explanation))
    return float(np.percentile(sizes, 99.5)) or float(sizes.max())  # all but a few pixels may be 0


def common_reach(explanations: Iterable[Explanation]) -> float:
    """The largest `reach` of some maps of one method: with it, the same value has the same colour in all figures.

    Raises:
        ValueError: There are no explanations.
    """
    reaches = [reach(explanation) for explanation in explanations]
    if not reaches:
        raise ValueError("a common scale needs one explanation or more. Received: none")
    return max(reaches)


def _short(value: float) -> str:
    text = f"{value:,.0f}" if 99.5 <= abs(value) < 1e5 else f"{value:.2g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")
