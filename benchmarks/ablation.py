"""What each part of `artnet` is worth: one change a row, several seeds, on validation pictures and left-out generators.

    python -m benchmarks.ablation WORK [--seeds 3] [--real FOLDER] [--only ROW ...]

Validation is scored clean and in four degraded views that no row trains on. Writes docs/ablation.md.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

from benchmarks.harness import PROJECT, stamp, table
from benchmarks.presets import _data, _run

JUDGED_ON = (101, 102, 103, 104)  # numbers of the views


@dataclass(frozen=True)
class Row:
    """One change from the default."""

    name: str
    config: tuple[tuple[str, Any], ...] = ()
    without: str | None = None  # a step of the degraded views


ROWS = (
    Row("default"),
    Row("no degraded views", (("views", 0),)),
    Row("1 degraded view", (("views", 1),)),
    Row("2 degraded views", (("views", 2),)),
    Row("8 degraded views", (("views", 8),)),
    Row("blocks: stem to block5", (("blocks", ("stem..block5",)),)),
    Row("blocks: stem to block13", (("blocks", ("stem..block13",)),)),
    Row("blocks: block3 to block13", (("blocks", ("block3..block13",)),)),
    Row("blocks: all of them", (("blocks", ("stem..top",)),)),
    Row("blocks: last only", (("blocks", ("top",)),)),
    Row("100 components", (("components", 100),)),
    Row("400 components", (("components", 400),)),
    Row("1600 components", (("components", 1600),)),
    Row("MLP head", (("head", "mlp"),)),
    Row("backbone efficientnet-lite2", (("backbone", "efficientnet-lite2"), ("blocks", ("stem..block13",)))),
    *(Row(f"views without {step}", without=step) for step in ("save", "rescale", "blur", "noise", "crop", "colour")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--real", type=Path, default=os.environ.get("ARTDETECT_REAL_DATA"))
    chosen = parser.parse_args()
    if chosen.real is None:
        sys.exit("name the folder of the real pictures with --real or ARTDETECT_REAL_DATA")
    base = _data(Path(chosen.real), chosen.work / "pictures")[0]
    os.environ["ARTDETECT_DATA"], os.environ["ARTDETECT_ARTIFACTS"] = (
        str(chosen.work / n) for n in ("data", "artifacts")
    )
    tables = [_balanced(chosen.work, base, seed) for seed in range(1, chosen.seeds + 1)]
    lines = []
    for row in ROWS:
        if chosen.only and row.name not in chosen.only:
            continue
        found = [judge(row, base, seed + 1, *parts) for seed, parts in enumerate(tables)]
        lines.append([row.name, *(_spread([scores[name] for scores in found]) for name in HEADS)])
        print(lines[-1], flush=True)
        _write(lines, tables)


HEADS = ("accuracy", "ROC-AUC", "degraded accuracy", "degraded ROC-AUC", "left-out ROC-AUC", "log loss")


def _balanced(work: Path, base: Path, seed: int) -> tuple[Any, Any]:
    import pandas as pd

    said = _run(work, base, "artnet", seed)
    table = pd.read_parquet(said["balance"])
    table["file"] = [base / path for path in table.path]
    return tuple(table[table.split == split].reset_index(drop=True) for split in ("train", "validation"))  # type: ignore[return-value]


def judge(row: Row, base: Path, seed: int, train: Any, validation: Any) -> dict[str, float]:
    """The row's scores for one draw of train and validation."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from artdetect.model.feature_cache import Extractor, FeatureCache
    from artdetect.pictures.images import Geometry
    from artdetect.pictures.labels import AI, HUMAN
    from artdetect.train import artnet
    from artdetect.train.config import TrainConfig

    config = TrainConfig(seed=seed, **dict(row.config))
    extractor = Extractor(config.backbone, config.blocks, Geometry(artnet.SIZE, "crop"), config.weights)
    items = [*zip(train.sha256, train.file, strict=True), *zip(validation.sha256, validation.file, strict=True)]
    with _without(row.without) as number:
        views = [FeatureCache(extractor, number(view)) for view in range(config.views + 1)]
        for view in views:
            view.ensure(items)
    judged = [FeatureCache(extractor, view) for view in (0, *JUDGED_ON)]
    for view in judged:
        view.ensure(items[len(train) :])
    fitted = artnet.fit(config, views, train, validation)
    truth = (validation.label == "AI").to_numpy()
    margins = []
    for view in judged:
        logits = fitted.head(fitted.embedding(view.read(list(validation.sha256))))
        margins.append(logits[:, AI] - logits[:, HUMAN])
    clean, worn = margins[0], margins[1:]
    losses = [np.logaddexp(0, -np.where(truth, margin, -margin)).mean() for margin in margins]
    return {
        "accuracy": float(((clean > 0) == truth).mean()),
        "ROC-AUC": float(roc_auc_score(truth, clean)),
        "degraded accuracy": mean(float(((margin > 0) == truth).mean()) for margin in worn),
        "degraded ROC-AUC": mean(float(roc_auc_score(truth, margin)) for margin in worn),
        "left-out ROC-AUC": mean(part["roc_auc"]["value"] for part in fitted.left_out),
        "log loss": float(np.mean(losses)),
    }


@contextmanager
def _without(step: str | None) -> Iterator[Callable[[int], int]]:
    """Views without one of their steps; their numbers are moved, so that they are kept apart from whole ones."""
    from artdetect.pictures import degraded_views

    if step is None:
        yield lambda number: number
        return
    names = [function.__name__.removeprefix("_") for function in degraded_views.DEGRADATIONS]
    left = tuple(function for name, function in zip(names, degraded_views.DEGRADATIONS, strict=True) if name != step)
    offset = 1000 * (1 + names.index(step))
    with patch.object(degraded_views, "STEPS", left):
        yield lambda number: number and number + offset


def _spread(values: list[float]) -> str:
    return f"{mean(values):.3f} ({stdev(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


def _write(lines: list[list[str]], tables: list[tuple[Any, Any]]) -> None:
    train, validation = tables[0]
    run = {line[0] for line in lines}
    text = (
        "# What each part of artnet is worth\n\n"
        f"One change a row, {len(tables)} seeds (each draws validation and balance anew), mean and standard deviation. "
        f"Trained on {len(train):,}, judged on {len(validation):,} validation pictures of WikiArt paintings and Stable "
        "Diffusion 1.x, 224 px; the test set was not looked at. Degraded: four views of each picture, 1 to 3 random "
        "degradations chained, that no row trained on. Left-out: a head that never saw a generator, on its pictures "
        "against human-made validation pictures, mean over three generators. With so few validation pictures, "
        "differences below 0.01 are noise.\n\nMade by `python -m benchmarks.ablation`. "
        f"Not run: {', '.join(row.name for row in ROWS if row.name not in run) or 'none'}.\n\n"
    )
    page = PROJECT / "docs" / "ablation.md"
    page.write_text(text + table(["", *HEADS], lines) + f"\n\n{stamp()}\n")


if __name__ == "__main__":
    main()
