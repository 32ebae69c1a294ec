"""Evaluates a model that this project did not train, on the same test pictures and with the same metrics.

It is known by its p(AI) alone. So there are no figures on degraded pictures, other art, generators' attribution or
nearest training pictures, and its verdicts have no reason but the threshold.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, store
from artdetect.artifacts.store import Artifact
from artdetect.core import digests
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.evaluate import INDEX_COLUMNS
from artdetect.evaluate.config import EvaluateConfig
from artdetect.model.decision import DecisionRule

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

OUTSIDE = "outside"  # the input of such an evaluation, and the model's name in its config
CHUNK = 32  # pictures in memory

Score = Callable[[Sequence[Path]], "np.ndarray"]  # files -> p(AI), float [N]


def evaluate(
    score: Score,
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
        score: The model: files of pictures in, their p(AI) in [0, 1] out.
        name: What to call the model.
        config: The bootstrap.
        index: The index artifact.
        balance: The balance artifact; its split "test" is scored.
        locate: The file of a path in the index.
        threshold: From this p(AI) on, a picture is predicted to be AI.
        progress: Called with the number of pictures done and the total.

    Returns:
        The artifact. The same scores give the same one.

    Raises:
        DataError: `score` gave something else than one number in [0, 1] for each picture.
    """
    import pandas as pd

    table = pd.read_parquet(balance.folder / file_names.BALANCE)
    test = table[table.split == "test"].drop(columns=["split", "group", "weight"]).reset_index(drop=True)
    files = [locate(path) for path in test.path]
    p_ai = _scored(score, files, progress)
    settings = {OUTSIDE: name, "threshold": threshold, **config.key_parts()}
    inputs = {"index": index.digest, "balance": balance.digest, OUTSIDE: digests.value_digest([name, *p_ai.tolist()])}
    parts: dict[str, Any] = {"config": settings, "inputs": inputs}
    key = digests.value_digest({"stage": "evaluate", **parts})[:16]
    if found := store.find("evaluate", key):
        return found
    with store.build("evaluate", key, parts) as out:
        _write(test, p_ai, DecisionRule(threshold), config, index.folder, out)
    return store.load("evaluate", key)


def _scored(score: Score, files: Sequence[Path], progress: Count | None) -> "np.ndarray":
    """p(AI) of each file, float64 [N]."""
    import numpy as np

    parts = []
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        part = np.asarray(score(chunk), np.float64).reshape(-1)
        if part.shape != (len(chunk),) or not ((part >= 0) & (part <= 1)).all():
            raise DataError(
                f"the model must give a p(AI) in [0, 1] for each of {len(chunk)} pictures. Received: {part.size} values"
                + (f" from {part.min():.3g} to {part.max():.3g}" if part.size else "")
            )
        parts.append(part)
        if progress:
            progress(start + len(chunk), len(files))
    return np.concatenate(parts)


def _write(
    test: "pd.DataFrame", p_ai: "np.ndarray", rule: DecisionRule, config: EvaluateConfig, index_folder: Path, out: Path
) -> None:
    """Write predictions.parquet and metrics.json."""
    import pandas as pd

    from artdetect.evaluate import metrics, selective_prediction, slice_discovery, subgroups
    from artdetect.stats.bootstrap import Bootstrap

    reasons = rule.reasons(p_ai)
    predicted, verdict = rule.predicted(p_ai), rule.verdicts(p_ai, reasons)
    test = test.assign(p_ai=p_ai, predicted=predicted, verdict=verdict, reason=reasons)
    test.to_parquet(out / file_names.PREDICTIONS, index=False)
    index = pd.read_parquet(index_folder / file_names.INDEX, columns=["path", *INDEX_COLUMNS]).set_index("path")
    metadata = index.loc[test.path].reset_index()
    bootstrap = Bootstrap(config.bootstrap_resamples, config.seed)
    result = metrics.summary(test, bootstrap, rule.threshold)
    result["verdicts"] = selective_prediction.verdicts(test, bootstrap)
    result["by_source"] = subgroups.accuracy_by(test, "source")
    result["by_size"] = subgroups.accuracy_by(test.assign(size=subgroups.size_bin(metadata)), "size")
    result |= slice_discovery.find(test, metadata)
    (out / file_names.METRICS).write_text(json.dumps(result, indent=1, allow_nan=False))
