"""train: a detector from the balanced pictures, chosen and calibrated on validation."""

import json
from pathlib import Path

from artdetect.core import digests, paths
from artdetect.core.progress import Progress
from artdetect.model import backbones as backbones
from artdetect.model import tensorflow_setup
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.train.calibration import Abstention as Abstention
from artdetect.train.calibration import FalsePositiveRate as FalsePositiveRate
from artdetect.train.calibration import Share as Share
from artdetect.train.config import TrainConfig
from artdetect.train.training_loop import Report


def run(
    config: TrainConfig,
    balance_folder: Path,
    pictures: Path,
    out: Path,
    work: Path,
    report: Report | None = None,
    progress: Progress | None = None,
) -> None:
    """Write `model.keras` (see `artdetect.model.detector`), `metrics.json`, and what the preset has to tell.

    That is `history.csv`, a row an epoch, from a net that was trained by steps, and `neighbours.npz` from artnet: the
    training pictures' sha256s and embeddings, float16 [N, K].

    `pictures` is the data set's root. `work` keeps the state between epochs: remove it once the outputs are safe.
    `report(row, epochs)` is called after each epoch, `progress(done, all, what)` while pictures are decoded and
    features computed.
    """
    import pandas as pd

    tensorflow_setup.load_tensorflow()
    from artdetect.train import artnet, calibration, finetune, gradient_training

    table = pd.read_parquet(balance_folder / "balance.parquet")
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    parts = {split: table[table.split == split].reset_index(drop=True) for split in ("train", "validation")}
    train = {"artnet": artnet.train, "finetune": finetune.train}.get(config.preset, gradient_training.train)
    made = train(config, parts["train"], parts["validation"], work, report, progress)

    hot = calibration.fit_temperature(made.validation)
    rule = calibration.fit_decision_rule(made.validation, hot, config.threshold, config.unsure)
    about = {
        "seed": config.seed,
        "precision": config.precision,
        "data": digests.file_digest(balance_folder / "balance.parquet")[:16],
        "trained_on": len(parts["train"]),
        "validated_on": len(parts["validation"]),
        "temperature": hot,
    }
    detector = Detector(made.model(hot), config.preset, made.geometry, about, rule, made.families)
    detector.save(out / MODEL_FILE)
    made.write(out)
    metrics = made.metrics | {
        "parameters": detector.model.count_params(),
        "calibration": calibration.summary(made.validation, hot, rule),
    }
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1))
