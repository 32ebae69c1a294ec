"""Robustness: whether predictions hold on the same pictures after degradations that are common on the web."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from artdetect.core.progress import Count
from artdetect.evaluate.metrics import headline
from artdetect.model import cached_scores
from artdetect.model.decision import FLAT, TOO_SMALL, UNSURE
from artdetect.pictures import content_draw
from artdetect.pictures.corruptions import CLEAN, GRID
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import share_interval

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.model.detector import Detector
    from artdetect.pictures.crop_cache import CropCache
    from artdetect.pictures.pixel_cache import PixelCache

PREDICTIONS = ["p_ai", "predicted", "verdict"]


def sample(test: "pd.DataFrame", size: int, seed: int) -> "pd.DataFrame":
    """Draw test pictures by content, half of each class where there are enough.

    Args:
        test: sha256 and label; copies count once.
        size: The most pictures to draw; below 2, none are drawn.
        seed: The seed of the draw.

    Returns:
        Rows of `test`, in their order.
    """
    unique = test.drop_duplicates("sha256")
    ai, human = (unique[unique.label == label] for label in (CLASSES[AI], CLASSES[HUMAN]))
    ai_size = min(len(ai), max(size // 2, size - len(human)))
    rows = [
        row
        for part, count in ((ai, ai_size), (human, size - ai_size))
        for row in part.index[content_draw.sample(f"robustness {seed}", list(part.sha256), count)]
    ]
    return test.loc[sorted(rows) if size >= 2 else []]


def robustness_table(
    detector: "Detector",
    pixels: "PixelCache",
    sample: "pd.DataFrame",
    bootstrap: Bootstrap,
    progress: Count,
    crops: "CropCache | None" = None,
) -> "tuple[dict[str, Any], pd.DataFrame]":
    """Measure how accuracy and verdicts change under each degradation of `GRID`.

    Args:
        detector: The detector.
        pixels: The pixel cache; it holds the sample.
        sample: Predictions of pictures of both classes: sha256, label, p_ai, predicted, verdict, reason. Pictures that
            are too small or flat stay so, whatever their degraded pixels.
        bootstrap: The resamples behind the intervals.
        progress: Called with (done, total).
        crops: The crop cache, where the detector judges native crops; they are degraded like the whole.

    Returns:
        The result: pictures; clean_accuracy; mean_accuracy, the mean over the grid without clean, with Wilson's
        interval for this number of pictures, which is rather too wide; rows, clean first: name, accuracy, roc_auc,
        flipped (share of pictures whose predicted class changed), unsure (share).
        And the table behind it: sha256, label, condition, p_ai, predicted, verdict.
    """
    import numpy as np

    rule, reason = detector.rule, sample.reason.to_numpy()
    parts = {CLEAN: sample[["sha256", "label", *PREDICTIONS]].assign(condition=CLEAN)}
    for number, name in enumerate(GRID):
        count = partial(_count, progress, number * len(sample), len(GRID) * len(sample))
        scores = cached_scores.scores(detector, pixels, list(sample.sha256), name, count, crops)
        reasons = np.where(np.isin(reason, (FLAT, TOO_SMALL)), reason, rule.reasons(scores.p_ai, scores.novelty))
        parts[name] = sample[["sha256", "label"]].assign(
            p_ai=scores.p_ai,
            predicted=rule.predicted(scores.p_ai),
            verdict=rule.verdicts(scores.p_ai, reasons),
            condition=name,
        )
    return summary(parts, sample, bootstrap)


def summary(
    parts: "Mapping[str, pd.DataFrame]", sample: "pd.DataFrame", bootstrap: Bootstrap
) -> "tuple[dict[str, Any], pd.DataFrame]":
    """The result of `robustness_table` for predictions that are known.

    Args:
        parts: Condition, clean first -> the predictions under it: sha256, label, condition, p_ai, predicted, verdict.
        sample: The predictions of the same pictures undegraded.
        bootstrap: The resamples behind the intervals.
    """
    import pandas as pd

    rows = [_row(name, part, sample, bootstrap) for name, part in parts.items()]
    accuracy = sum(float((parts[name].predicted == sample.label).mean()) for name in GRID) / len(GRID)
    result = {
        "pictures": len(sample),
        "clean_accuracy": rows[0]["accuracy"],
        "mean_accuracy": share_interval(accuracy * len(sample), len(sample)),
        "rows": rows,
    }
    table = pd.concat(parts.values(), ignore_index=True)
    return result, table[["sha256", "label", "condition", *PREDICTIONS]]


def _count(progress: Count, before: int, total: int, done: int, _: int) -> None:
    """Report the progress of one condition as that of the whole grid."""
    progress(before + done, total)


def _row(name: str, part: "pd.DataFrame", clean: "pd.DataFrame", bootstrap: Bootstrap) -> dict[str, Any]:
    truth, predicted_ai = ((column == CLASSES[AI]).to_numpy() for column in (part.label, part.predicted))
    scores = headline(truth, part.p_ai.to_numpy(), predicted_ai, bootstrap)
    return {
        "name": name,
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "flipped": share_interval(int((part.predicted != clean.predicted).sum()), len(part)),
        "unsure": float((part.verdict == UNSURE).mean()),
    }
