"""The tools of the procedural painter: colours, curves and an easel that paints strokes."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

CANVAS = 512  # px: every picture is painted at this size, whatever its maker
SPAN = np.linspace(-1, 1, 9)
Array = np.ndarray


def rgb(text: str) -> Array:
    """Colours as float [N, 3], 0-255, from hexadecimal words: "5f8fc4 c9dbe6"."""
    return np.array([[int(word[i : i + 2], 16) for i in (0, 2, 4)] for word in text.split()], float)


def pigments(colours: Array, alpha: Array | float = 1.0) -> list[tuple[int, ...]]:
    """Pillow's RGBA tuples of colours [N, 3]; `alpha` is 0-1."""
    opacity = np.broadcast_to(255 * np.asarray(alpha), len(colours))
    return [tuple(row) for row in np.clip(np.c_[colours, opacity], 0, 255).astype(int).tolist()]


def pigment(colour: Array, alpha: float = 1.0) -> tuple[int, ...]:
    """Pillow's RGBA tuple of one colour [3]."""
    return pigments(colour[None], alpha)[0]


def mix(a: Array, b: Array, share: Array | float) -> Array:
    """Interpolate between two colours.

    Args:
        a: the colour at share 0, float [..., 3].
        b: the colour at share 1, float [..., 3].
        share: a number or an array [...]; values outside 0-1 are clipped.

    Returns:
        Colours as float [..., 3], in the broadcast shape of the arguments.
    """
    return a + (b - a) * np.clip(np.asarray(share, float)[..., None], 0, 1)


def waviness(rng: np.random.Generator, scale: float, terms: int = 6) -> Callable[[Array, Array], Array]:
    """A smooth random field over the unit square, with values of about -1 to 1.

    Args:
        rng: where the field comes from.
        scale: waves of the coarsest term across the square.
        terms: waves that are added up, each finer than the one before.
    """
    angle, phase = rng.uniform(0, 2 * np.pi, (2, terms))
    pace = 2 * np.pi * scale * 1.5 ** np.arange(terms)
    weight = 0.75 ** np.arange(terms)
    weight /= np.sqrt((weight**2).sum() / 2) * 1.6

    def field(x: Array, y: Array) -> Array:
        total = np.zeros(np.broadcast(x, y).shape)
        for w, p, a, f in zip(weight, pace, angle, phase, strict=True):
            total += w * np.sin(p * (np.cos(a) * x + np.sin(a) * y) + f)
        return total

    return field


def curve(*knots: Sequence[float] | Array) -> Array:
    """28 points of the cubic Bezier curve through four knots, [28, 2]."""
    t = np.linspace(0, 1, 28)[:, None]
    a, b, c, d = np.asarray(knots, float)
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


class Easel:
    """A canvas and the tools to paint on it. Lengths and positions are shares of the canvas; y points down."""

    def __init__(self, wash: Array) -> None:
        self.painting = Image.fromarray(np.clip(np.broadcast_to(wash, (CANVAS, CANVAS, 3)), 0, 255).astype(np.uint8))
        self.draw = ImageDraw.Draw(self.painting, "RGBA")

    def fill(self, points: Array, ink: tuple[int, ...]) -> None:
        """Fill a polygon [N, 2]."""
        self.draw.polygon((np.asarray(points) * CANVAS).ravel().tolist(), fill=ink)

    def disc(self, x: float, y: float, radius: float, ink: tuple[int, ...]) -> None:
        """Fill a circle.

        Args:
            x: horizontal position of the centre.
            y: vertical position of the centre.
            radius: the circle's radius.
            ink: Pillow's RGBA tuple.
        """
        self.draw.ellipse([v * CANVAS for v in (x - radius, y - radius, x + radius, y + radius)], fill=ink)

    def ribbon(self, points: Array, width: Array | float, ink: tuple[int, ...]) -> None:
        """Paint one line of varying width.

        Args:
            points: the points that the line passes through, float [N, 2], two or more.
            width: the line's width: a number, or an array [N] with the width at each point.
            ink: Pillow's RGBA tuple.
        """
        slope = np.gradient(points, axis=0)
        normal = np.stack([-slope[:, 1], slope[:, 0]], -1) / (np.hypot(*slope.T)[:, None] + 1e-9)
        edge = normal * (np.broadcast_to(width, len(points))[:, None] / 2)
        self.fill(np.concatenate([points + edge, (points - edge)[::-1]]), ink)

    def brush(
        self, x: Array, y: Array, angle: Array, length: Array, width: Array, bend: Array, inks: Sequence[tuple]
    ) -> None:
        """Paint N bent, rounded strokes, one after the other. All arrays are float [N].

        Args:
            x: horizontal positions of the strokes' centres.
            y: vertical positions of the strokes' centres.
            angle: directions in radians; 0 points to the right, and positive angles turn clockwise.
            length: lengths from end to end.
            width: widths in the middle of each stroke.
            bend: how far the ends of each stroke are bent away from its middle, relative to its length; 0 is straight.
            inks: Pillow's RGBA tuples, one per stroke.
        """
        along = length[:, None] / 2 * SPAN
        across = bend[:, None] * length[:, None] * (SPAN**2 - 0.5)
        half = width[:, None] / 2 * np.sqrt(1 - 0.97 * SPAN**4)
        u = np.concatenate([along, along[:, ::-1]], 1)
        v = np.concatenate([across - half, (across + half)[:, ::-1]], 1)
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        outline = np.stack([x[:, None] + cos * u - sin * v, y[:, None] + sin * u + cos * v], -1) * CANVAS
        for points, ink in zip(outline.reshape(len(x), -1).tolist(), inks, strict=True):
            self.draw.polygon(points, fill=ink)
