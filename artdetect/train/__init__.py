"""train: a Keras model from the balanced pictures, best on validation, resumed where a kill cut it off."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from artdetect import digests, labels, quiet
from artdetect.detector import MODEL_FILE, Detector
from artdetect.section import Section
from artdetect.train.fit import Report
from artdetect.train.presets import recipe

Progress = Callable[[int, int], None]


class TrainConfig(Section):
    """Section `train`. What is left out takes the preset's own value."""

    preset: Literal["notebook", "compact"] = Field("compact", description="which net and recipe")
    seed: int = Field(129, ge=0, lt=2**32, description="weights, order and augmentation")
    epochs: int | None = Field(None, ge=1, description="at most so many; the preset's own if left out")
    size: int | None = Field(None, ge=10, le=1024, description="canonical side in pixels; the preset's own if left out")
    crop: int | None = Field(None, ge=8, description="side of random training crops in pixels, for compact")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the layers while training: bfloat16 is faster where the processor has it; the model is float32",
    )


def run(
    config: TrainConfig,
    balance_folder: Path,
    pictures: Path,
    out: Path,
    work: Path,
    report: Report | None = None,
    decoding: Progress | None = None,
) -> None:
    """Write `model.keras` (see `artdetect.detector`), `history.csv` (a row an epoch) and `metrics.json`.

    Loss and accuracy, of training and validation alike, count each picture by the balance's weight.
    `pictures` is the data set's root. `work` keeps the state between epochs: remove it once the outputs are safe.
    `report(row, epochs)` is called after each epoch, `decoding(done, all)` while pictures enter the pixel cache.
    """
    import pandas as pd

    quiet.load_tensorflow()
    from artdetect.pixels import Pixels
    from artdetect.train import batches
    from artdetect.train.fit import fit

    table = pd.read_parquet(balance_folder / "balance.parquet")
    table = table[table.split.isin(["train", "validation"])]
    chosen = recipe(config.preset, epochs=config.epochs, size=config.size, crop=config.crop, precision=config.precision)
    pixels = Pixels(chosen.geometry)
    pixels.ensure([(row.sha256, pictures / row.path) for row in table.itertuples()], decoding)
    parts = {
        split: batches.Part(
            pixels,
            pixels.rows(list(rows.sha256)),
            rows.label.map(labels.CLASSES.index).to_numpy(),
            rows.weight.to_numpy(),
        )
        for split, rows in table.groupby("split")
    }

    fitted = fit(
        chosen,
        lambda first_epoch: batches.training(parts["train"], chosen, config.seed, first_epoch),
        batches.whole(parts["validation"], chosen.batch_size),
        batches.steps_per_epoch(len(parts["train"]), chosen),
        config.seed,
        work,
        report,
    )
    model = chosen.build()
    model.set_weights(fitted.weights)
    about = {
        "seed": config.seed,
        "precision": config.precision,
        "data": digests.of_file(balance_folder / "balance.parquet")[:16],
        "trained_on": len(parts["train"]),
        "validated_on": len(parts["validation"]),
    }
    Detector(model, config.preset, chosen.geometry, about).save(out / MODEL_FILE)
    pd.DataFrame(fitted.history).to_csv(out / "history.csv", index=False)
    best = fitted.history[fitted.best_epoch - 1]
    metrics = {"epochs": len(fitted.history), "best_epoch": fitted.best_epoch, "parameters": model.count_params()}
    metrics |= {name: round(best[name], 6) for name in ("val_accuracy", "val_loss")}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1))
