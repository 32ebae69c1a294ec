"""Robustness: the same pictures as the web hands them on. Does the verdict hold?"""

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from artdetect.core.progress import Count
from artdetect.evaluate.metrics import headline
from artdetect.model import cached_scores
from artdetect.model.decision import UNSURE
from artdetect.pictures.corruptions import CLEAN, GRID
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.model.detector import Detector
    from artdetect.pictures.pixel_cache import PixelCache


def sample(test: "pd.DataFrame", most: int, seed: int) -> "pd.DataFrame":
    """At most `most` test pictures, half of each class where there are enough, by a seeded hash of their contents.

    The rows keep their order; none where `most` is below 2.
    """
    unique = test.drop_duplicates("sha256")
    rank = [hashlib.sha256(f"robustness {seed} {sha256}".encode()).digest() for sha256 in unique.sha256]
    unique = unique.assign(rank=rank).sort_values("rank")
    ai, human = (unique.index[unique.label == label] for label in (CLASSES[AI], CLASSES[HUMAN]))
    of_ai = min(len(ai), max(most // 2, most - len(human)))
    return test.loc[sorted([*ai[:of_ai], *human[: most - of_ai]]) if most >= 2 else []]


def robustness_table(
    detector: "Detector",
    pixels: "PixelCache",
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
        scores = cached_scores.scores(detector, pixels, list(sample.sha256), name, told)
        parts[name] = sample[["sha256", "label"]].assign(
            p_ai=scores.p_ai,
            called=detector.rule.called(scores.p_ai),
            verdict=detector.rule.verdicts(scores.p_ai, scores.novelty),
            condition=name,
        )
    rows = [_row(name, part, sample, resamples, seed) for name, part in parts.items()]
    right = sum(float((parts[name].called == sample.label).mean()) for name in GRID) / len(GRID)
    result = {
        "pictures": len(sample),
        "clean_accuracy": rows[0]["accuracy"],
        "mean_accuracy": share_interval(right * len(sample), len(sample)),
        "rows": rows,
    }
    table = pd.concat(parts.values(), ignore_index=True)
    return result, table[["sha256", "label", "condition", "p_ai", "called", "verdict"]]


def _told(progress: Count, before: int, total: int, done: int, of: int) -> None:
    progress(before + done, total)


def _row(name: str, part: "pd.DataFrame", clean: "pd.DataFrame", resamples: int, seed: int) -> dict[str, Any]:
    truth, called_ai = ((column == CLASSES[AI]).to_numpy() for column in (part.label, part.called))
    scores = headline(truth, part.p_ai.to_numpy(), called_ai, resamples, seed)
    return {
        "name": name,
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "flipped": share_interval(int((part.called != clean.called).sum()), len(part)),
        "unsure": float((part.verdict == UNSURE).mean()),
    }
