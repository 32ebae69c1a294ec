"""train: a detector from the balanced pictures, selected and calibrated on pictures that its head has not seen."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from artdetect.artifacts import file_names, leakage
from artdetect.core import digests, paths
from artdetect.core.progress import Progress
from artdetect.model import tensorflow_setup
from artdetect.model.detector import Detector
from artdetect.pictures import notice
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

    Every preset writes `model.keras` and the ONNX graphs that give its verdicts without TensorFlow, see
    `artdetect.model.detector`; `metrics.json`, whose entry `without_onnx` says why there are no graphs; and
    `trained_on.parquet`, the sha256s of the pictures that it, and the models it started from, learnt from. Presets
    trained by gradient descent also write `history.csv`, one row per epoch. artnet also writes `neighbours.npz`: the
    sha256s of the training pictures and their embeddings, float16 [N, K]; with a linear head `precision.npz`, see
    `artdetect.train.heads.precision`, and the number of training pictures; and `out_of_source.parquet`, what pictures
    of held-out sources were called, see `artdetect.train.out_of_source.OutOfSource`.

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
    from artdetect.model.keras_runtime import KerasRuntime
    from artdetect.train import artnet, calibration, finetune, gradient_training, out_of_source, warm_start
    from artdetect.train.inputs import TrainingInputs

    table = pd.read_parquet(balance_folder / file_names.BALANCE)
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    rows = {split: table[table.split == split].reset_index(drop=True) for split in ("train", "validation")}
    train = {"artnet": artnet.train, "finetune": finetune.train}.get(config.preset, gradient_training.train)
    result = train(TrainingInputs(config, rows["train"], rows["validation"], work, on_epoch, progress))

    calibrated = calibration.fit_calibration(result.held_out)
    enough_sources = result.out_of_source is not None and result.out_of_source.enough
    abstain = out_of_source.abstention(config.abstain, enough_sources)
    rule = calibration.fit_decision_rule(result.held_out, calibrated, config.threshold, abstain, result.geometry.size)
    if not enough_sources:  # so few left-out sources do not say how novel other art may be
        rule = replace(rule, novelty=calibration.novelty_limit(result.validation))
    said = notice.read(balance_folder / file_names.NOTICE)
    metadata = {
        "seed": config.seed,
        "precision": config.precision,
        "data": digests.file_digest(balance_folder / file_names.BALANCE)[:16],
        "trained_on": len(rows["train"]),
        "validated_on": len(rows["validation"]),
        **asdict(calibrated),
        "enough_sources": enough_sources,
        **result.card,
        "notice": said.text,
        "demonstration": said.demonstration,
    }
    model = result.build_model(calibrated)
    runtime = KerasRuntime(model, result.geometry.size)
    without_onnx = Detector(
        runtime,
        config.preset,
        result.geometry,
        metadata,
        rule,
        result.families,
        native_crops=result.native_crops,
        parts=result.parts,
    ).write(out)
    result.write_files(out)
    metrics = result.metrics | {
        "parameters": model.count_params(),
        "without_onnx": without_onnx,
        "calibration": calibration.summary(result.held_out, calibrated, rule),
        "in_source": calibration.measures(result.validation, calibrated, rule),
    }
    base = warm_start.folder_of(config.initial_weights) if config.initial_weights else None
    metrics[file_names.ANCESTORS_KNOWN] = leakage.write_trained_on(base, pd.concat(rows.values()).sha256, out)
    if result.out_of_source:
        metrics["out_of_source"] = out_of_source.summary(result.out_of_source)
        result.out_of_source.table.to_parquet(out / file_names.OUT_OF_SOURCE, index=False)
    (out / file_names.METRICS).write_text(json.dumps(metrics, indent=1))
