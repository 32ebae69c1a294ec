"""Robustness: the same pictures as the web hands them on. Does the verdict hold?

Degradations are applied to the canonical pixels that the model sees, those of a file too: "JPEG 50" is what saving at
quality 50 does to that square, not to the original in its own size. Saving as PNG loses nothing there, so its row is a
control: no verdict may change.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from artdetect import compute, degrade
from artdetect.evaluate.metrics import headline
from artdetect.intervals import of_share
from artdetect.labels import AI, CLASSES, HUMAN
from artdetect.progress import Count
from artdetect.verdict import UNSURE

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.degrade import Pixels as Picture
    from artdetect.detector import Detector
    from artdetect.pixels import Pixels

    Degradation = Callable[[Picture, np.random.Generator], Picture]

CHUNK = 128  # degraded pictures in memory before a forward pass
CLEAN = "clean"


def _saved(format: Literal["JPEG", "WEBP", "PNG"], quality: int = 75) -> "Degradation":
    return lambda picture, rng: degrade.save(picture, format, quality)


GRID: "dict[str, Degradation]" = {
    "JPEG 90": _saved("JPEG", 90),
    "JPEG 70": _saved("JPEG", 70),
    "JPEG 50": _saved("JPEG", 50),
    "JPEG 30": _saved("JPEG", 30),
    "WebP 80": _saved("WEBP", 80),
    "PNG": _saved("PNG"),
    "resize 1/2": lambda picture, rng: degrade.rescale(picture, 1 / 2),
    "resize 1/4": lambda picture, rng: degrade.rescale(picture, 1 / 4),
    "blur 1": lambda picture, rng: degrade.blur(picture, 1),
    "blur 2": lambda picture, rng: degrade.blur(picture, 2),
    "noise 0.05": lambda picture, rng: degrade.noise(picture, 0.05, rng),
    "noise 0.1": lambda picture, rng: degrade.noise(picture, 0.1, rng),
    "crop 0.8": lambda picture, rng: degrade.crop(picture, 0.8, rng.random(), rng.random()),
    "native crop 0.8": lambda picture, rng: degrade.crop_native(picture, 0.8, rng.random(), rng.random()),
    "greyscale": lambda picture, rng: degrade.colour(picture, 1, 1, 0),
}


def drawn(test: "pd.DataFrame", most: int, seed: int) -> "pd.DataFrame":
    """At most `most` test pictures, half of each class where there are enough, by a seeded hash of their contents.

    The rows keep their order; none where `most` is below 2.
    """
    unique = test.drop_duplicates("sha256")
    rank = [hashlib.sha256(f"robustness {seed} {sha256}".encode()).digest() for sha256 in unique.sha256]
    unique = unique.assign(rank=rank).sort_values("rank")
    ai, human = (unique.index[unique.label == label] for label in (CLASSES[AI], CLASSES[HUMAN]))
    of_ai = min(len(ai), max(most // 2, most - len(human)))
    return test.loc[sorted([*ai[:of_ai], *human[: most - of_ai]]) if most >= 2 else []]


def robustness(
    detector: "Detector",
    pixels: "Pixels",
    sample: "pd.DataFrame",
    resamples: int,
    seed: int,
    progress: Count,
) -> "tuple[dict[str, Any], pd.DataFrame]":
    """How accuracy and verdicts change under each degradation of `GRID`.

    Args:
        sample: predictions of pictures of both classes: sha256, label, p_ai, called, verdict. Their pixels are cached.

    Returns:
        pictures; clean_accuracy; mean_accuracy, over the grid without clean, with Wilson's interval of the pictures,
        which is too wide rather than too narrow; rows, clean first: name, accuracy, roc_auc, flipped (share whose
        `called` changed), unsure (share). And the table behind it: sha256, label, condition, p_ai, called, verdict.
    """
    import pandas as pd

    kept = ["sha256", "label", "p_ai", "called", "verdict"]
    parts = {CLEAN: sample[kept].assign(condition=CLEAN)}
    for number, name in enumerate(GRID):
        told = partial(_told, progress, number * len(sample), len(GRID) * len(sample))
        scores = [detector.scores(chunk) for chunk in _degraded(pixels, list(sample.sha256), name, told)]
        p_ai = np.concatenate([part.p_ai for part in scores])
        verdicts = [detector.rule.verdicts(part.p_ai, part.novelty) for part in scores]
        seen = {"p_ai": p_ai, "called": detector.rule.called(p_ai), "verdict": np.concatenate(verdicts)}
        parts[name] = sample[["sha256", "label"]].assign(**seen, condition=name)
    rows = [_row(name, part, sample, resamples, seed) for name, part in parts.items()]
    right = sum(float((parts[name].called == sample.label).mean()) for name in GRID) / len(GRID)
    result = {
        "pictures": len(sample),
        "clean_accuracy": rows[0]["accuracy"],
        "mean_accuracy": of_share(right * len(sample), len(sample)),
        "rows": rows,
    }
    table = pd.concat(parts.values(), ignore_index=True)
    return result, table[["sha256", "label", "condition", "p_ai", "called", "verdict"]]


def _told(progress: Count, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _degraded(pixels: "Pixels", sha256s: Sequence[str], name: str, done: Callable[[int], None]) -> Iterator[np.ndarray]:
    """The pictures under a condition of the grid, uint8 `(n, S, S, 3)` at a time."""
    items = ((sha256, pixels.read(row)[0]) for sha256, row in zip(sha256s, pixels.rows(sha256s)[:, None], strict=True))
    piece = pixels.geometry.fitting(compute.PIECE, compute.PIECE_BYTES)
    pictures = chain.from_iterable(made for _, made in compute.chunks(partial(_degrade, name), items, piece))
    finished = 0
    while chunk := list(islice(pictures, pixels.geometry.fitting(CHUNK))):
        yield np.stack(chunk)
        done(finished := finished + len(chunk))


def _degrade(name: str, items: "Sequence[tuple[str, Picture]]") -> "list[Picture]":
    """A worker's part: pictures come as (sha256, canonical pixels), and what chance does depends on their content."""
    made = []
    for sha256, picture in items:
        seed = hashlib.sha256(f"{name} of {sha256}".encode()).digest()
        made.append(GRID[name](picture, np.random.default_rng(int.from_bytes(seed[:8], "big"))))
    return made


def _row(name: str, seen: "pd.DataFrame", clean: "pd.DataFrame", resamples: int, seed: int) -> dict[str, Any]:
    truth, called_ai = ((column == CLASSES[AI]).to_numpy() for column in (seen.label, seen.called))
    scores = headline(truth, seen.p_ai.to_numpy(), called_ai, resamples, seed)
    return {
        "name": name,
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "flipped": of_share(int((seen.called != clean.called).sum()), len(seen)),
        "unsure": float((seen.verdict == UNSURE).mean()),
    }
