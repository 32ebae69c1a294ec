"""train: a detector from the balanced pictures, chosen and calibrated on validation."""

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from artdetect import backbones, digests, paths, quiet
from artdetect.detector import MODEL_FILE, Detector
from artdetect.progress import Progress
from artdetect.section import Section
from artdetect.train.beginning import check
from artdetect.train.calibrate import FalsePositiveRate, Share, Undecided
from artdetect.train.fit import Report


class TrainConfig(Section):
    """Section `train`. What is left out takes the preset's own value."""

    preset: Literal["artnet", "finetune", "compact", "notebook"] = Field("artnet", description="which net and recipe")
    seed: int = Field(129, ge=0, lt=2**32, description="weights, order and augmentation")
    size: int | None = Field(None, ge=10, le=1024, description="canonical side in pixels; the preset's own if left out")

    backbone: str = Field(backbones.DEFAULT, description="of artnet and finetune: see artdetect.backbones")
    weights: str = Field(backbones.DEFAULT_WEIGHTS, description="the backbone's: imagenet, or a file")
    blocks: tuple[str, ...] = Field(
        ("stem..block10",), description="whose statistics are the features; a..b is a range"
    )
    views: int = Field(4, ge=0, le=32, description="degraded views that artnet learns from, beside each clean picture")
    components: int = Field(800, ge=2, le=4096, description="of the features' embedding")
    head: Literal["linear", "mlp", "best"] = Field("linear", description="best: whichever validation prefers")
    average: Literal[1, 2, 6] = Field(1, description="views that artnet averages at use: mirrored, and corners")

    epochs: int | None = Field(None, ge=1, description="of finetune, compact, notebook: at most so many")
    crop: int | None = Field(None, ge=8, description="side of random training crops in pixels, for compact")
    unfreeze: str = Field("all", description="of finetune: the block from which on the backbone trains, or all")
    start: str | None = Field(
        None, description="of finetune, compact, notebook: key of the train artifact whose weights they begin with"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="of layers while they train by steps: halves are faster where the hardware has them; kept: float32",
    )
    devices: Literal["one", "all"] = Field(
        "one", description="that train by steps: all GPUs (or logical CPUs) share each batch"
    )

    threshold: Share | FalsePositiveRate = Field(
        0.5, description="p(AI) from which a picture is called AI, or {fpr = 0.01}: as high as that rate asks for"
    )
    unsure: Undecided = Field(default_factory=Undecided, description="what is left undecided")

    @model_validator(mode="after")
    def _startable(self) -> Self:
        check(self)
        return self

    def key_parts(self) -> dict[str, Any]:
        """A file of weights counts by its content; `start` only where there is one."""
        parts = super().key_parts() | {"weights": backbones.weights_id(self.weights)}
        return parts if self.start else {name: value for name, value in parts.items() if name != "start"}


def run(
    config: TrainConfig,
    balance_folder: Path,
    pictures: Path,
    out: Path,
    work: Path,
    report: Report | None = None,
    progress: Progress | None = None,
) -> None:
    """Write `model.keras` (see `artdetect.detector`), `metrics.json`, and what the preset has to tell.

    That is `history.csv`, a row an epoch, from a net that was trained by steps, and `neighbours.npz` from artnet: the
    training pictures' sha256s and embeddings, float16 [N, K].

    `pictures` is the data set's root. `work` keeps the state between epochs: remove it once the outputs are safe.
    `report(row, epochs)` is called after each epoch, `progress(done, all, what)` while pictures are decoded and
    features computed.
    """
    import pandas as pd

    quiet.load_tensorflow()
    from artdetect.train import artnet, calibrate, finetune, scratch

    table = pd.read_parquet(balance_folder / "balance.parquet")
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    parts = {split: table[table.split == split].reset_index(drop=True) for split in ("train", "validation")}
    train = {"artnet": artnet.train, "finetune": finetune.train}.get(config.preset, scratch.train)
    made = train(config, parts["train"], parts["validation"], work, report, progress)

    hot = calibrate.temperature(made.validation)
    rule = calibrate.rule(made.validation, hot, config.threshold, config.unsure)
    about = {
        "seed": config.seed,
        "precision": config.precision,
        "data": digests.of_file(balance_folder / "balance.parquet")[:16],
        "trained_on": len(parts["train"]),
        "validated_on": len(parts["validation"]),
        "temperature": hot,
    }
    detector = Detector(made.model(hot), config.preset, made.geometry, about, rule, made.families)
    detector.save(out / MODEL_FILE)
    made.write(out)
    metrics = made.metrics | {
        "parameters": detector.model.count_params(),
        "calibration": calibrate.summary(made.validation, hot, rule),
    }
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1))
