"""Evaluates a model that this project did not train, on the same test pictures and with the same metrics.

It is known by its p(AI) alone. So there are no figures on other art, generators' attribution or nearest training
pictures, and its verdicts have no reason but the threshold. Degradations are applied to the square that a model sees,
so those figures need a model that has one, such as an `OnnxClassifier`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from artdetect.artifacts import file_names, store
from artdetect.artifacts.store import Artifact
from artdetect.core import digests
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.evaluate import INDEX_COLUMNS
from artdetect.evaluate.config import EvaluateConfig
from artdetect.model.decision import DecisionRule
from artdetect.pictures import images
from artdetect.pictures.corruptions import CLEAN, GRID, corrupt
from artdetect.pictures.images import Geometry
from artdetect.stats.bootstrap import Bootstrap

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

CHUNK = 32  # pictures in memory

Classifier = Callable[["list[Image.Image]"], Any]  # upright RGB pictures at full size -> p(AI) [N]


class SquareClassifier(Protocol):
    """A classifier that sees squares."""

    geometry: Geometry

    def of_squares(self, squares: "np.ndarray") -> "np.ndarray":
        """p(AI) [N] of canonical pixels, uint8 [N, S, S, 3]."""


def evaluate(
    model: Classifier,
    name: str,
    config: EvaluateConfig,
    index: Artifact,
    balance: Artifact,
    locate: Callable[[str], Path],
    threshold: float = 0.5,
    progress: Count | None = None,
) -> Artifact:
    """Score the test pictures of a balance, and publish the evaluation as an artifact of stage evaluate.

    Its files are those of `artdetect.evaluate.run`, with fewer columns and metrics, so `artdetect compare` reads them.

    Args:
        model: Pictures in, their p(AI) in [0, 1] out. A `SquareClassifier` is tested on degraded pictures, too.
        name: What to call the model.
        config: The bootstrap.
        index: The index artifact.
        balance: The balance artifact; its split "test" is scored.
        locate: The file of a path in the index.
        threshold: From this p(AI) on, a picture is predicted to be AI.
        progress: Called with the number of pictures done and the total; a degraded one is one more.

    Returns:
        The artifact. The same scores give the same one.

    Raises:
        DataError: `model` gave something else than one number in [0, 1] for each picture.
        PictureError: A picture cannot be read.
    """
    import pandas as pd

    from artdetect.evaluate import robustness

    table = pd.read_parquet(balance.folder / file_names.BALANCE)
    test = table[table.split == "test"].drop(columns=["split", "group", "weight"]).reset_index(drop=True)
    squares = hasattr(model, "of_squares")
    sample = robustness.sample(test, config.robustness_pictures if squares else 0, config.seed)
    count = _Count(progress, len(test) + len(GRID) * len(sample))
    p_ai = np.concatenate(
        [
            _checked(model([images.decode(file) for file in chunk]), len(chunk), count)
            for chunk in _chunks([locate(path) for path in test.path])
        ]
    )
    degraded = _degraded(cast("SquareClassifier", model), sample, locate, count) if len(sample) else {}
    settings = {file_names.OUTSIDE: name, "threshold": threshold, **config.key_parts()}
    scores = [name, *p_ai.tolist(), *(value for values in degraded.values() for value in values.tolist())]
    inputs = {"index": index.digest, "balance": balance.digest, file_names.OUTSIDE: digests.value_digest(scores)}
    parts: dict[str, Any] = {"config": settings, "inputs": inputs}
    key = digests.value_digest({"stage": "evaluate", **parts})[:16]
    if found := store.find("evaluate", key):
        return found
    rule = DecisionRule(threshold)
    with store.build("evaluate", key, parts) as out:
        test = _predicted(test, p_ai, rule)
        result = _summary(test, rule, config, index.folder)
        if degraded:
            clean = test.loc[sample.index]
            tables = {CLEAN: clean} | {name: _predicted(clean, values, rule) for name, values in degraded.items()}
            bootstrap = Bootstrap(config.bootstrap_resamples, config.seed)
            columns = [name for name in clean.columns if name in ("sha256", "label", *robustness.PREDICTIONS)]
            result["robustness"], conditions = robustness.summary(
                {name: table[columns].assign(condition=name) for name, table in tables.items()}, clean, bootstrap
            )
            conditions.to_parquet(out / file_names.ROBUSTNESS, index=False)
        test.to_parquet(out / file_names.PREDICTIONS, index=False)
        (out / file_names.METRICS).write_text(json.dumps(result, indent=1, allow_nan=False))
    return store.load("evaluate", key)


class _Count:
    """Counts pictures that are done."""

    def __init__(self, progress: Count | None, total: int):
        self._progress, self._total, self._done = progress, total, 0

    def add(self, pictures: int) -> None:
        self._done += pictures
        if self._progress:
            self._progress(self._done, self._total)


def _chunks(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    return (files[start : start + CHUNK] for start in range(0, len(files), CHUNK))


def _checked(given: Any, pictures: int, count: _Count) -> np.ndarray:
    """What a model gave as float64 [N], if it is a p(AI) for each picture."""
    part = np.asarray(given, np.float64).reshape(-1)
    if part.shape != (pictures,) or not ((part >= 0) & (part <= 1)).all():
        raise DataError(
            f"the model must give a p(AI) in [0, 1] for each of {pictures} pictures. Received: {part.size} values"
            + (f" from {part.min():.3g} to {part.max():.3g}" if part.size else "")
        )
    count.add(pictures)
    return part


def _degraded(
    model: SquareClassifier, sample: "pd.DataFrame", locate: Callable[[str], Path], count: _Count
) -> dict[str, np.ndarray]:
    """Condition of `GRID` -> p(AI) of each picture of the sample, float64 [N]."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in GRID}
    for start in range(0, len(sample), CHUNK):
        rows = sample.iloc[start : start + CHUNK]
        squares = [images.canonical(images.decode(locate(path)), model.geometry) for path in rows.path]
        for name, parts in found.items():
            pictures = [corrupt(square, sha256, name) for square, sha256 in zip(squares, rows.sha256, strict=True)]
            parts.append(_checked(model.of_squares(np.stack(pictures)), len(rows), count))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _predicted(table: "pd.DataFrame", p_ai: np.ndarray, rule: DecisionRule) -> "pd.DataFrame":
    reasons = rule.reasons(p_ai)
    return table.assign(p_ai=p_ai, predicted=rule.predicted(p_ai), verdict=rule.verdicts(p_ai, reasons), reason=reasons)


def _summary(test: "pd.DataFrame", rule: DecisionRule, config: EvaluateConfig, index_folder: Path) -> dict[str, Any]:
    """What metrics.json has of the undegraded pictures."""
    import pandas as pd

    from artdetect.evaluate import metrics, selective_prediction, slice_discovery, subgroups

    index = pd.read_parquet(index_folder / file_names.INDEX, columns=["path", *INDEX_COLUMNS]).set_index("path")
    metadata = index.loc[test.path].reset_index()
    bootstrap = Bootstrap(config.bootstrap_resamples, config.seed)
    result = metrics.summary(test, bootstrap, rule.threshold)
    result["verdicts"] = selective_prediction.verdicts(test, bootstrap)
    result["by_source"] = subgroups.accuracy_by(test, "source")
    result["by_size"] = subgroups.accuracy_by(test.assign(size=subgroups.size_bin(metadata)), "size")
    return result | slice_discovery.find(test, metadata)
