"""evaluate: the test set, once, after everything was chosen on validation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from artdetect.section import Section

if TYPE_CHECKING:
    import numpy as np

    from artdetect.detector import Detector
    from artdetect.pixels import Pixels

CHUNK = 512  # pictures read from the pixel cache at a time
Progress = Callable[[int, int], None]


class EvaluateConfig(Section):
    """Section `evaluate`."""

    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="of the resampling")


def run(
    config: EvaluateConfig,
    balance_folder: Path,
    train_folder: Path,
    pictures: Path,
    out: Path,
    decoding: Progress | None = None,
) -> None:
    """Write `predictions.parquet` and `metrics.json` over the test pictures.

    Predictions: path, sha256, label, style, generator, p_ai, verdict; sorted by path. Metrics: see
    `artdetect.evaluate.metrics.summary`. `pictures` is the data set's root; `decoding(done, all)` is called while
    pictures enter the pixel cache.
    """
    import pandas as pd

    from artdetect.detector import Detector
    from artdetect.evaluate.metrics import summary
    from artdetect.pixels import Pixels

    table = pd.read_parquet(balance_folder / "balance.parquet")
    test = table[table.split == "test"].drop(columns=["split", "group", "weight"]).reset_index(drop=True)
    detector = Detector.load(train_folder)
    pixels = Pixels(detector.geometry)
    pixels.ensure([(row.sha256, pictures / row.path) for row in test.itertuples()], decoding)
    test["p_ai"] = p_ai(detector, pixels, pixels.rows(list(test.sha256)))
    test["verdict"] = [detector.verdict(p_ai) for p_ai in test.p_ai]
    test.to_parquet(out / "predictions.parquet", index=False)
    (out / "metrics.json").write_text(json.dumps(summary(test, config.resamples, config.seed), indent=1))


def p_ai(detector: "Detector", pixels: "Pixels", rows: "np.ndarray") -> "np.ndarray":
    """The probability of AI of these rows of the pixel cache, float64 `(len(rows),)`; few are in memory at a time."""
    import numpy as np

    chunk = detector.geometry.fitting(CHUNK)
    parts = [detector.p_ai(pixels.read(rows[start : start + chunk])) for start in range(0, len(rows), chunk)]
    return np.concatenate(parts)
