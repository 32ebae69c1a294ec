"""train: a detector from the balanced pictures, selected and calibrated on validation pictures."""

import json
from dataclasses import asdict
from pathlib import Path

from artdetect.artifacts import file_names
from artdetect.core import digests, paths
from artdetect.core.progress import Progress
from artdetect.model import tensorflow_setup
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.train.config import TrainConfig
from artdetect.train.training_loop import EpochCallback


def run(
    config: TrainConfig,
    balance_folder: Path,
    pictures: Path,
    out: Path,
    work: Path,
    on_epoch: EpochCallback | None = None,
    progress: Progress | None = None,
) -> None:
    """Train a detector and write its files.

    Every preset writes `model.keras`, see `artdetect.model.detector`, and `metrics.json`. Presets trained by gradient
    descent also write `history.csv`, one row per epoch. artnet also writes `neighbours.npz`: the sha256s of the
    training pictures and their embeddings, float16 [N, K].

    Args:
        config: Section `train`.
        balance_folder: The balance artifact.
        pictures: The data set's root.
        out: Folder for the output files.
        work: Folder for the state between epochs. Remove it once the outputs are safe.
        on_epoch: Called with (row, epochs) after each epoch.
        progress: Called with (done, all, label) while pictures are decoded and features computed.
    """
    import pandas as pd

    tensorflow_setup.load_tensorflow()
    from artdetect.train import artnet, calibration, finetune, gradient_training
    from artdetect.train.inputs import TrainingInputs

    table = pd.read_parquet(balance_folder / file_names.BALANCE)
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    rows = {split: table[table.split == split].reset_index(drop=True) for split in ("train", "validation")}
    train = {"artnet": artnet.train, "finetune": finetune.train}.get(config.preset, gradient_training.train)
    result = train(TrainingInputs(config, rows["train"], rows["validation"], work, on_epoch, progress))

    calibrated = calibration.fit_calibration(result.held_out)
    rule = calibration.fit_decision_rule(
        result.held_out, calibrated, config.threshold, config.abstain, result.geometry.size
    )
    metadata = {
        "seed": config.seed,
        "precision": config.precision,
        "data": digests.file_digest(balance_folder / file_names.BALANCE)[:16],
        "trained_on": len(rows["train"]),
        "validated_on": len(rows["validation"]),
        **asdict(calibrated),
    }
    model = result.build_model(calibrated)
    Detector(
        model, config.preset, result.geometry, metadata, rule, result.families, native_crops=result.native_crops
    ).save(out / MODEL_FILE)
    result.write_files(out)
    metrics = result.metrics | {
        "parameters": model.count_params(),
        "calibration": calibration.summary(result.held_out, calibrated, rule),
    }
    (out / file_names.METRICS).write_text(json.dumps(metrics, indent=1))
