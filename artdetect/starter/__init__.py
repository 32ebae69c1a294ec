"""Writes the starter: the model that comes with artdetect, so that the first verdict needs no training.

Its files are beside this module: `model.npz`, a head file (see `artdetect.model.head_file`), `record.json` and
`model_card.md`. They hold no picture and no row of one: sources are counted, nearest training pictures are left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.core.atomic import replacing
from artdetect.core.errors import ModelError
from artdetect.core.version import __version__
from artdetect.model.detector import Detector
from artdetect.starter import card

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RECORD, MODEL_CARD = "record.json", "model_card.md"
MAX_BYTES = 6_000_000  # of the model file: it is part of a Git repository
TOLERANCE = 0.005  # by which rounding to float16 may move the p(AI) of a test picture
PACKAGES = ("keras", "numpy", "onnxruntime", "pillow", "scikit-learn", "tensorflow")
SCORES = ("accuracy", "balanced_accuracy", "roc_auc", "average_precision")


def write(folders: Mapping[str, Path], model_file: Path, source_tables: Sequence[Path] = ()) -> dict[str, Any]:
    """Write the starter from the artifacts of a run of the pipeline.

    Args:
        folders: Stage -> artifact folder of balance, train, evaluate and report.
        model_file: Where the head file goes, by default `choice.STARTER_FILE`; record and card are put beside it.
        source_tables: Tables of sources in CSV, which may state licences in a column `licence`.

    Returns:
        The record: name, version, packages, sources (see `count_sources`), notice, test (the scores on the test
        pictures), out_of_source (those on sources left out of training), parts (how well parts of these pictures are
        judged), rounding (what float16 changes on the test pictures), and the file's bytes and sha256.

    Raises:
        ModelError: The model is a demonstration, not of preset artnet, larger than `MAX_BYTES`, or changed by rounding
            by more than `TOLERANCE`.
    """
    import pandas as pd

    whole = Detector.load(folders["train"])
    if whole.demonstration:
        raise ModelError(
            f"{whole.id}: its data set is marked as a demonstration, so it can be no starter. Name real pictures in "
            "section download of the config"
        )
    metrics = json.loads((folders["evaluate"] / file_names.METRICS).read_text())
    training = json.loads((folders["train"] / file_names.METRICS).read_text())
    record: dict[str, Any] = {
        "name": "starter",
        "made_from": whole.id,
        "version": __version__,
        "packages": digests.versions(PACKAGES),
        "notice": whole.notice,
        "sources": count_sources(pd.read_parquet(folders["balance"] / file_names.BALANCE), licences(source_tables)),
        "test": {name: metrics[name] for name in ("pictures", *SCORES, "unsure", "calibration") if name in metrics},
        "out_of_source": training.get("out_of_source"),
        "parts": training.get("parts"),
    }
    model_file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(model_file) as temporary:
        replace(whole, metadata={**whole.metadata, "name": "starter", "starter": record}).save_head(
            temporary, "float16", _posterior(folders["train"])
        )
        starter = Detector.load(temporary)
        size = temporary.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{model_file}: {size:,} bytes, at most {MAX_BYTES:,} are allowed. Lower pca_components")
        rounding = _rounding(starter, pd.read_parquet(folders["evaluate"] / file_names.PREDICTIONS))
        if rounding["largest_difference"] > TOLERANCE:
            raise ModelError(
                f"{model_file}: rounding to float16 moves p(AI) by up to {rounding['largest_difference']:.4f}, at most "
                f"{TOLERANCE} is allowed"
            )
    record |= {"rounding": rounding, "bytes": size, "sha256": starter.digest}
    with replacing(model_file.with_name(RECORD)) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with replacing(model_file.with_name(MODEL_CARD)) as temporary:
        temporary.write_text(
            card.render(record, starter.id, (folders["report"] / file_names.MODEL_CARD).read_text(encoding="utf-8")),
            encoding="utf-8",
        )
    return record


def licences(source_tables: Sequence[Path]) -> dict[str, str]:
    """The licence that tables of sources state for each source, up to 100 characters of it.

    Args:
        source_tables: CSV files; those without the columns `source` and `licence` state nothing.
    """
    import pandas as pd

    stated: dict[str, str] = {}
    for path in source_tables:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if {"source", "licence"} <= set(table.columns):
            for source, text in zip(table.source, table.licence, strict=True):
                stated.setdefault(source, " ".join(text.split())[:100])
    return stated


def count_sources(balance: "pd.DataFrame", stated: Mapping[str, str]) -> list[dict[str, Any]]:
    """How many pictures of each source the model has seen, and how.

    Args:
        balance: The table of stage balance.
        stated: See `licences`.

    Returns:
        Rows of source, label, generator, licence ("none stated" where there is none), and number per split.
    """
    counts = balance.groupby(["source", "label", "generator", "split"]).size().unstack(fill_value=0)
    splits = [split for split in ("train", "validation", "test", "held_out") if split in counts]
    return [
        dict(zip(("source", "label", "generator"), names, strict=True))
        | {"licence": stated.get(names[0]) or "none stated"}
        | {split: int(row[split]) for split in splits}
        for names, row in counts.iterrows()
    ]


def _posterior(train_folder: Path) -> "dict[str, np.ndarray]":
    """What `artdetect adapt` needs of a linear head; nothing where the head is not linear."""
    import numpy as np

    if not (path := train_folder / file_names.PRECISION).is_file():
        return {}
    with np.load(path) as stored:
        return dict(stored)


def _rounding(starter: Detector, predictions: "pd.DataFrame") -> dict[str, Any]:
    """What rounding the head changes, on the test pictures, whose features are cached since their evaluation."""
    import numpy as np

    from artdetect.model import cached_scores
    from artdetect.pictures.pixel_cache import PixelCache

    scores = cached_scores.scores(starter, PixelCache(starter.geometry), list(predictions.sha256))
    predicted = starter.rule.predicted(scores.p_ai)
    return {
        "pictures": len(predictions),
        "largest_difference": float(np.abs(scores.p_ai - predictions.p_ai.to_numpy()).max()),
        "predictions_changed": int((predicted != predictions.predicted.to_numpy()).sum()),
    }
