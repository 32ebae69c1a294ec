"""Draws any number of pictures with AI-ArtBench's layout, sizes and proportions, for benchmarks at full scale.

    .venv/bin/python -m benchmarks.synthetic_pictures FOLDER 32000

Picture number n has the same bytes in every run, so a folder can grow: a larger count draws only the missing pictures.
A picture combines pieces of procedural paintings under random tones, so that no two are near-duplicates. Its content is
independent of its class: accuracy on these pictures means nothing.
"""

import argparse
import multiprocessing
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from artdetect.demo_data.styles import PAINTERS

SEED = 129
STYLES = (
    "art_nouveau", "baroque", "expressionism", "impressionism", "post_impressionism",
    "realism", "renaissance", "romanticism", "surrealism", "ukiyo_e",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One source of AI-ArtBench in one of its splits.

    Attributes:
        folder: with a placeholder for the style.
        side: px of the picture.
        quality: of the JPEG.
        grain: noise in grey levels, chosen so that files are as large as the originals.
        share: how many of every `CYCLE` pictures are of this kind.
    """

    folder: str
    side: int
    quality: int
    grain: float
    share: int


# Shares: AI-ArtBench's counts (train 50,000 human, 52,092 LD, 52,923 SD; test 10,000 each), rounded to 74ths.
# Sides and qualities: those of its pictures. Kilobytes: 30 human and 124 SD, measured on twenty originals; 18 LD
# follows from the total of 10.7 GB.
KINDS = (
    Kind("train/{style}", 256, 95, 1.0, 20),
    Kind("train/AI_LD_{style}", 256, 75, 10.5, 21),
    Kind("train/AI_SD_{style}", 768, 75, 9.4, 21),
    Kind("test/{style}", 256, 95, 1.0, 4),
    Kind("test/AI_LD_{style}", 256, 75, 10.5, 4),
    Kind("test/AI_SD_{style}", 768, 75, 9.4, 4),
)
CYCLE = sum(kind.share for kind in KINDS)
# The kinds of one cycle, spread evenly, so that any number of pictures has roughly the right proportions.
_ORDER = [
    kind for _, kind in sorted(((i + 0.5) / kind.share, k) for k, kind in enumerate(KINDS) for i in range(kind.share))
]

PAINTINGS = 8  # per painter
TONE = 34.0  # grey levels: standard deviation of a picture's random tones, which make its perceptual hash unique


def kind_and_path(number: int) -> tuple[Kind, str]:
    """The kind of picture `number`, and its path relative to the folder."""
    cycle, position = divmod(number, CYCLE)
    kind = KINDS[_ORDER[position]]
    before = cycle * kind.share + _ORDER[:position].count(_ORDER[position])
    return kind, f"{kind.folder.format(style=STYLES[before % len(STYLES)])}/{number:06d}.jpg"


def draw(folder: Path, count: int, workers: int | None = None) -> int:
    """Draw those of the pictures 0 to `count` - 1 that `folder` lacks.

    Args:
        folder: created if missing.
        count: pictures in the end.
        workers: processes that draw; by default up to one per core. With 1, this process draws everything.

    Returns:
        The number of pictures drawn.
    """
    missing = [number for number in range(count) if not (folder / kind_and_path(number)[1]).exists()]
    for parent in {(folder / kind_and_path(number)[1]).parent for number in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    workers = workers or min(os.cpu_count() or 1, 1 + len(missing) // 200)
    if workers == 1:
        for number in missing:
            _write(folder, number)
    else:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(partial(_write, folder), missing, chunksize=50))
    return len(missing)


def link(source: Path, target: Path, numbers: Sequence[int]) -> None:
    """Hard-link these pictures of `source` into `target`; copy them if the file system has no hard links."""
    for number in numbers:
        path = kind_and_path(number)[1]
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / path, target / path)
        except FileExistsError:
            pass
        except OSError:
            shutil.copy2(source / path, target / path)


def _write(folder: Path, number: int) -> None:
    """Write a picture atomically, so that a killed run leaves no partial file."""
    kind, path = kind_and_path(number)
    target = folder / path
    part = target.with_name(f".{target.name}")
    picture(kind, number).save(part, "JPEG", quality=kind.quality)
    part.replace(target)


def picture(kind: Kind, number: int) -> Image.Image:
    """Picture `number`: two pieces of paintings, blended by a random mask, under random tones."""
    rng = np.random.default_rng([SEED, number])
    size = (kind.side, kind.side)
    ground, figure = _piece(rng, kind), _piece(rng, kind)
    mask = Image.fromarray(rng.choice(np.array([0, 0, 255], np.uint8), (3, 3))).resize(size, Image.Resampling.BILINEAR)
    tone = rng.normal(0, TONE, (9, 9, 1)) + rng.normal(0, TONE / 4, (9, 9, 3)) + rng.normal(0, 10, 3)
    tones = Image.fromarray(np.clip(128 + tone, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    return ImageChops.add(Image.composite(figure, ground, mask), tones, offset=-128)


def _piece(rng: np.random.Generator, kind: Kind) -> Image.Image:
    """A square piece of a painting, randomly rotated and mirrored."""
    names = list(PAINTERS)
    painting = _painting(names[rng.integers(len(names))], int(rng.integers(PAINTINGS)), kind.side, kind.grain)
    x, y = (int(v) for v in rng.integers(0, painting.width - kind.side, 2))
    piece = painting.crop((x, y, x + kind.side, y + kind.side))
    turn = int(rng.integers(8))
    return piece.transpose(Image.Transpose(turn)) if turn < 7 else piece


@cache
def _painting(painter: str, number: int, side: int, grain: float) -> Image.Image:
    """A painting of 512 px, or 1024 px if pictures larger than 256 px are cut from it."""
    rng = np.random.default_rng([SEED, number])
    painting = PAINTERS[painter](rng)
    if side > 256:
        painting = painting.resize((1024, 1024), Image.Resampling.BICUBIC)
    noise = rng.normal(0, grain, (*painting.size, 1))
    return Image.fromarray(np.clip(np.asarray(painting) + noise, 0, 255).astype(np.uint8))


def main() -> None:
    """Draw the pictures and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    drawn = draw(arguments.folder, arguments.count, arguments.workers)
    sizes = [(arguments.folder / kind_and_path(number)[1]).stat().st_size for number in range(arguments.count)]
    print(
        f"{arguments.count} pictures, {drawn} of them new; {sum(sizes) / max(1, len(sizes)) / 1000:.1f} kB on average"
    )


if __name__ == "__main__":
    main()
