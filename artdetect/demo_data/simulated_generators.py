"""The makers of the demo pictures and the traces they leave: a generator's stripes or a canvas's weave.

All makers share one painter and one simulated camera, so that content and simple statistics do not reveal the class.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from artdetect.demo_data.painter import CANVAS, Array
from artdetect.demo_data.styles import PAINTERS


@dataclass(frozen=True)
class SimulatedGenerator:
    """A maker of pictures: where its files go, what they look like and, for AI, the traces it leaves.

    Sides and JPEG qualities are those of AI-ArtBench, where they give the label away. The audit has to find this in the
    demo data, too.

    Attributes:
        folder: folder name, with a placeholder for the style.
        side: the file's side in px.
        quality: the JPEG's quality, 1-100.
        canvas: the picture's side in px before it is enlarged to `side`.
        latent: side of the simulated latent in px; 0 = no generator, a human painting.
        window: side in px of the patch that the simulated decoder works on, which is the period of its stripes.
    """

    folder: str
    side: int
    quality: int
    canvas: int
    latent: int = 0
    window: int = 1


GENERATORS = (
    SimulatedGenerator("{style}", side=256, quality=75, canvas=256),
    SimulatedGenerator("AI_LD_{style}", side=256, quality=75, canvas=256, latent=160, window=16),
    SimulatedGenerator("AI_SD_{style}", side=768, quality=95, canvas=384, latent=240, window=18),
)
# Strength of stripes and weave: standard deviation in grey levels, and the range of the random factor per picture.
# A small residual network, trained from scratch, learns such weak stripes in ten epochs, but not much weaker ones.
TEXTURE, SHARES = 8.0, (0.7, 1.2)
# Red against green, where paintings have little fine detail. The same stripes in grey take far longer to learn.
TINT = (1.0, -0.8, -0.2)
THREADS = (11.0, 17.0)  # px of 256: period of a canvas's weave, similar to that of the stripes
STEP = 2.0  # grey levels: standard deviation between the windows of one picture


def _scaled(picture: Array, side: int, filter: Image.Resampling) -> Array:
    """`picture` [H, W, C] as float32, resized to `side` x `side`."""
    bands = [Image.fromarray(band.astype(np.float32)) for band in np.moveaxis(picture, -1, 0)]
    return np.stack([np.asarray(band.resize((side, side), filter)) for band in bands], -1)


def _tinted(rng: np.random.Generator, stripes: Array) -> Array:
    """`stripes` [N, N] with a random strength and tint, [N, N, 3]; stripes and weave share the distribution."""
    tint = TINT + rng.normal(0, 0.15, 3)
    tint *= TEXTURE * rng.uniform(*SHARES) / np.sqrt(np.mean(tint**2))
    return (stripes / stripes.std())[..., None].astype(np.float32) * tint.astype(np.float32)


def _generated(rng: np.random.Generator, painting: Array, maker: SimulatedGenerator) -> Array:
    """The painting [N, N, 3] as a simulated generator renders it, float [canvas, canvas, 3], 0-255.

    A small latent with coarse tones is decoded window by window. Neighbouring windows differ by a step in tone, and
    the decoder leaves upright stripes, aligned with the windows and too wide to be lost at a model's input size.
    """
    latent = np.round(_scaled(painting, maker.latent, Image.Resampling.BOX) / 6) * 6
    picture = _scaled(latent, maker.canvas, Image.Resampling.BICUBIC)
    stripes = np.tile(np.cos(np.arange(maker.canvas) * 2 * np.pi / maker.window), (maker.canvas, 1))
    cells = -(-maker.canvas // maker.window)
    steps = rng.normal(0, STEP, (cells, cells)).astype(np.float32).repeat(maker.window, 0).repeat(maker.window, 1)
    return picture + _tinted(rng, stripes) + steps[: maker.canvas, : maker.canvas, None]


def _woven(rng: np.random.Generator, painting: Array, maker: SimulatedGenerator) -> Array:
    """The painting [N, N, 3] on a twill canvas, float [canvas, canvas, 3], 0-255.

    The weave has the strength, colours and period of the generators' stripes, but is slanted. The amount of texture
    therefore does not reveal the maker, and neither does any single statistic of a picture; only its direction does.
    """
    picture = _scaled(painting, maker.canvas, Image.Resampling.LANCZOS)
    x, y = np.meshgrid(*[np.arange(maker.canvas) * 2 * np.pi / rng.uniform(*THREADS)] * 2)
    slant = rng.uniform(0.55, 1.02) * rng.choice([-1, 1])  # radians: 32 to 58 degrees, either way
    sag = _scaled(rng.normal(0, 1.2, (9, 9, 1)), maker.canvas, Image.Resampling.BICUBIC)[..., 0]
    return picture + _tinted(rng, np.cos(np.cos(slant) * x + np.sin(slant) * y + sag))


def _photographed(rng: np.random.Generator, picture: Array) -> Image.Image:
    """The picture [N, N, 3], float 0-255, as a simulated camera records it, at the same size.

    Tone, saturation, grain and sharpness vary in the same way for all makers, and by more than the generators change
    them.
    """
    unit = len(picture) / 256
    grain = rng.normal(0, rng.uniform(0, 6), (256, 256, 1)) + rng.normal(0, rng.uniform(0, 2), (256, 256, 3))
    grey = picture.mean(-1, keepdims=True)
    picture = grey + (picture - grey) * rng.uniform(0.7, 1.3)
    picture = (picture - 128) * rng.uniform(0.8, 1.15) + 128 + rng.normal(0, 12)
    picture = picture + _scaled(grain, len(picture), Image.Resampling.BILINEAR)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    focus = rng.uniform(-1, 1)
    if focus < 0:
        return image.filter(ImageFilter.GaussianBlur(-1.2 * focus * unit))
    return image.filter(ImageFilter.UnsharpMask(1.2 * unit, int(120 * focus), 0))


def _canvas(rng: np.random.Generator, painting: Image.Image) -> Array:
    """The painting as float32 [N, N, 3], with strokes lit from the upper left and blotchy paper."""
    picture = np.asarray(painting, np.float32)
    grey = picture.mean(-1)
    relief = np.clip(0.22 * (grey - np.roll(grey, (2, 2), (0, 1))), -14, 14)
    blotches = np.zeros((8, 8, 3))
    for cells in (8, 16, 32, 64, 128):
        blotches = _scaled(blotches, cells, Image.Resampling.BICUBIC)
        blotches = blotches + rng.normal(0, rng.uniform(1, 4), (cells, cells, 1))
        blotches = blotches + rng.normal(0, rng.uniform(0.2, 1.4), (cells, cells, 3))
    return picture + relief[..., None] + _scaled(blotches, CANVAS, Image.Resampling.BICUBIC)


def jpeg(maker: SimulatedGenerator, style: str, seeds: Sequence[int]) -> bytes:
    """Draw one picture.

    Args:
        maker: one of `GENERATORS`.
        style: one of `styles.STYLES`.
        seeds: whole numbers that seed the random generator; they identify the picture.

    Returns:
        The content of the JPEG file.
    """
    rng = np.random.default_rng(seeds)
    painting = _canvas(rng, PAINTERS[style](rng))
    rendered = (_generated if maker.latent else _woven)(rng, painting, maker)
    picture = _photographed(rng, rendered)
    if maker.side != maker.canvas:
        picture = picture.resize((maker.side, maker.side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=maker.quality)
    return file.getvalue()
