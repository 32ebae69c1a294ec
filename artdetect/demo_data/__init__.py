"""Draws a small data set in AI-ArtBench's layout, so that the whole pipeline runs in minutes without a download.

"Human" pictures come from a procedural painter. "AI" pictures come from the same painter, followed by one of two
simulated generators. The content is therefore independent of the class. The classes differ only in the direction of a
faint texture: the weave of a canvas is slanted, the stripes of a generator are upright.
"""

import multiprocessing
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from artdetect.core.errors import ConfigError
from artdetect.demo_data.simulated_generators import GENERATORS, jpeg
from artdetect.demo_data.styles import STYLES
from artdetect.pictures.labels import SPLITS
from artdetect.pictures.notice import DEMONSTRATION

NAME = "drawn-art.zip"
ROOT = "DrawnArt"
NOTICE = f"""{DEMONSTRATION}

These pictures are drawn by a program. No person painted them and no AI model generated them.

The folders follow AI-ArtBench's layout so that every step of artdetect can be tried without a download: a plain style
name holds "human" pictures, AI_LD_ and AI_SD_ hold the same kind of pictures with the traces of a simulated generator.

Accuracy on these pictures means nothing about real art.
"""


def draw(
    folder: Path,
    *,
    seed: int = 129,
    styles: Sequence[str] = STYLES,
    train: int = 48,
    test: int = 16,
    workers: int | None = None,
) -> Path:
    """Draw the demo data set as a zip, `folder`/drawn-art.zip, replacing an older one.

    Args:
        folder: where the zip goes; created if missing.
        seed: the same seed, styles and counts give the same bytes on one machine, whatever `workers` is.
        styles: some of `STYLES`.
        train: training pictures per style and maker. There are two AI makers and one human one, so both splits hold
            twice as much AI as human art; AI-ArtBench is unbalanced in the same way.
        test: test pictures per style and maker.
        workers: processes that draw; by default one per core. With 1, this process draws everything.

    Returns:
        The path of the zip.

    Raises:
        ConfigError: a style is unknown, a number is negative, or there is nothing to draw.
    """
    if unknown := sorted(set(styles) - set(STYLES)):
        raise ConfigError(f"Unknown `styles`; choose from {', '.join(STYLES)}. Received: {', '.join(unknown)}")
    if min(seed, train, test) < 0 or not styles or not train + test:
        raise ConfigError(
            f"The demo data set needs styles and pictures. Received: {styles=}, {seed=}, {train=}, {test=}"
        )
    jobs = [
        (split, maker, style, number)
        for split, count in zip(SPLITS, (train, test), strict=True)
        for maker in range(len(GENERATORS))
        for style in sorted(set(styles))
        for number in range(count)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / NAME
    part = target.with_name(f"{NAME}.part")
    try:
        with part.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(zipfile.ZipInfo(f"{ROOT}/NOTICE.txt"), NOTICE)  # ZipInfo: the date is always 1980
                for (split, maker, style, number), content in zip(jobs, _files(seed, jobs, workers), strict=True):
                    name = f"{GENERATORS[maker].folder.format(style=style)}/{style}-{number:04d}.jpg"
                    archive.writestr(zipfile.ZipInfo(f"{ROOT}/{split}/{name}"), content)
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _files(seed: int, jobs: list[tuple[str, int, str, int]], workers: int | None) -> Iterator[bytes]:
    """The JPEG files, in the order of `jobs`, which are (split, maker, style, number)."""
    seeded = [
        (GENERATORS[maker], style, (seed, SPLITS.index(split), maker, STYLES.index(style), number))
        for split, maker, style, number in jobs
    ]
    # Starting a process costs about as much as drawing ten pictures.
    workers = workers or min(os.cpu_count() or 1, 1 + len(jobs) // 40)
    if workers == 1:
        yield from (jpeg(*job) for job in seeded)
        return
    # spawn: a fork of a process that runs TensorFlow or a server may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(jpeg, *zip(*seeded, strict=True), chunksize=8)
