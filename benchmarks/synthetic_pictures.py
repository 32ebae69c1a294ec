"""Draws any number of pictures in AI-ArtBench's layout, sizes and proportions, cheaply, for measuring at full size.

    .venv/bin/python -m benchmarks.synthetic_pictures FOLDER 32000

Picture number n is the same bytes in every run, so a folder grows: asking for more draws only what is missing. Content
is pieces of procedural paintings under tones of their own, so that no two are near duplicates. It says nothing of the
class: accuracy on these pictures means nothing.
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
    """One source of AI-ArtBench in one of its splits: `share` of every `CYCLE` pictures come from it."""

    folder: str
    side: int
    quality: int  # of the JPEG
    grain: float  # grey levels: what brings the files to the original's kilobytes
    share: int


# Shares: AI-ArtBench's counts (train 50,000 human, 52,092 LD, 52,923 SD; test 10,000 each), to the nearest of 74.
# Sides and qualities: its pictures. Kilobytes: 30 human, 124 SD in twenty originals; 18 LD is what 10.7 GB leave.
KINDS = (
    Kind("train/{style}", 256, 95, 1.0, 20),
    Kind("train/AI_LD_{style}", 256, 75, 10.5, 21),
    Kind("train/AI_SD_{style}", 768, 75, 9.4, 21),
    Kind("test/{style}", 256, 95, 1.0, 4),
    Kind("test/AI_LD_{style}", 256, 75, 10.5, 4),
    Kind("test/AI_SD_{style}", 768, 75, 9.4, 4),
)
CYCLE = sum(kind.share for kind in KINDS)
# One cycle's kinds, spread evenly, so that any number of pictures has about the right proportions.
_TURNS = [
    kind for _, kind in sorted(((i + 0.5) / kind.share, k) for k, kind in enumerate(KINDS) for i in range(kind.share))
]

PAINTINGS = 8  # a painter
TONE = 34.0  # grey levels, standard deviation of a picture's own light and shade; makes its perceptual hash its own


def place(number: int) -> tuple[Kind, str]:
    """What picture `number` is, and its path below the folder."""
    cycle, turn = divmod(number, CYCLE)
    kind = KINDS[_TURNS[turn]]
    before = cycle * kind.share + _TURNS[:turn].count(_TURNS[turn])
    return kind, f"{kind.folder.format(style=STYLES[before % len(STYLES)])}/{number:06d}.jpg"


def draw(folder: Path, count: int, workers: int | None = None) -> int:
    """Have pictures 0 to `count` - 1 in `folder`; how many were missing. With 1 worker all is drawn in this process."""
    missing = [number for number in range(count) if not (folder / place(number)[1]).exists()]
    for parent in {(folder / place(number)[1]).parent for number in missing}:
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
    """Show these pictures of `source` in `target` too, as hard links (copies where the file system has none)."""
    for number in numbers:
        path = place(number)[1]
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / path, target / path)
        except FileExistsError:
            pass
        except OSError:
            shutil.copy2(source / path, target / path)


def _write(folder: Path, number: int) -> None:
    """By a rename, so that a killed run leaves no half picture."""
    kind, path = place(number)
    target = folder / path
    part = target.with_name(f".{target.name}")
    picture(kind, number).save(part, "JPEG", quality=kind.quality)
    part.replace(target)


def picture(kind: Kind, number: int) -> Image.Image:
    """Picture `number`: two pieces of paintings, one let into the other, under the picture's own light and shade."""
    rng = np.random.default_rng([SEED, number])
    size = (kind.side, kind.side)
    ground, figure = _piece(rng, kind), _piece(rng, kind)
    mask = Image.fromarray(rng.choice(np.array([0, 0, 255], np.uint8), (3, 3))).resize(size, Image.Resampling.BILINEAR)
    tone = rng.normal(0, TONE, (9, 9, 1)) + rng.normal(0, TONE / 4, (9, 9, 3)) + rng.normal(0, 10, 3)
    tones = Image.fromarray(np.clip(128 + tone, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    return ImageChops.add(Image.composite(figure, ground, mask), tones, offset=-128)


def _piece(rng: np.random.Generator, kind: Kind) -> Image.Image:
    """A square piece of a painting, turned and mirrored as chance will."""
    names = list(PAINTERS)
    painting = _painting(names[rng.integers(len(names))], int(rng.integers(PAINTINGS)), kind.side, kind.grain)
    x, y = (int(v) for v in rng.integers(0, painting.width - kind.side, 2))
    piece = painting.crop((x, y, x + kind.side, y + kind.side))
    turn = int(rng.integers(8))
    return piece.transpose(Image.Transpose(turn)) if turn < 7 else piece


@cache
def _painting(painter: str, number: int, side: int, grain: float) -> Image.Image:
    """Painted at 512 px; larger pictures are cut from an enlarged one, smaller ones from it as it is."""
    rng = np.random.default_rng([SEED, number])
    painting = PAINTERS[painter](rng)
    if side > 256:
        painting = painting.resize((1024, 1024), Image.Resampling.BICUBIC)
    noise = rng.normal(0, grain, (*painting.size, 1))
    return Image.fromarray(np.clip(np.asarray(painting) + noise, 0, 255).astype(np.uint8))


def main() -> None:
    """Draw and say what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    drawn = draw(given.folder, given.count, given.workers)
    sizes = [(given.folder / place(number)[1]).stat().st_size for number in range(given.count)]
    print(f"{given.count} pictures, {drawn} of them new; {sum(sizes) / max(1, len(sizes)) / 1000:.1f} kB on average")


if __name__ == "__main__":
    main()
