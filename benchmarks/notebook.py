"""The original notebook, unchanged, from files to verdicts: the baseline of the speed comparison.

    .venv/bin/python -m benchmarks.notebook FOLDER --epochs 3

It reads a folder in AI-ArtBench's layout with Keras's ImageDataGenerator at 32x32 (which resizes with NEAREST), trains
in batches of 64, and validates on the test set after every epoch and predicts in batches of 1. Two things differ: it
drops the surplus of AI pictures instead of the constant 55,015, and it draws no progress bar, which would slow it down.
"""

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Measured, measure, part

if TYPE_CHECKING:
    import keras
    import pandas as pd


def train(folder: str, epochs: int, model: str) -> dict[str, int]:
    """Train. The measured parts are "list", "fit" and, within fit, "train 1", "validate 1", "train 2" ..."""
    import numpy as np

    with part("import"):
        from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint
        from keras.optimizers import Adam
        from keras.optimizers.schedules import ExponentialDecay
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    with part("list"):
        rows, test_rows = _listed(Path(folder, "train")), _listed(Path(folder, "test"))
        np.random.seed(129)
        ai = rows[rows.label == "AI"].index
        surplus = max(0, len(ai) - (len(rows) - len(ai)))
        rows = rows.drop(np.random.choice(ai, surplus, replace=False)).reset_index(drop=True)
        generator = ImageDataGenerator(rescale=1.0 / 255, rotation_range=7, horizontal_flip=True, zoom_range=0.2)
        pictures = _flow(generator, rows, batch_size=64, shuffle=True)
        test_pictures = _flow(ImageDataGenerator(rescale=1.0 / 255), test_rows, batch_size=1, shuffle=False)
    with part("fit"):
        net = network()
        rate = ExponentialDecay(initial_learning_rate=0.001, decay_steps=14067, decay_rate=0.99)
        net.compile(
            optimizer=Adam(learning_rate=rate, clipnorm=1.0),
            loss="categorical_crossentropy",
            metrics=["accuracy", "Precision", "Recall"],
        )
        running = ExitStack()

        class Clock(Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.epoch = epoch + 1
                running.enter_context(part(f"train {self.epoch}"))

            def on_test_begin(self, logs: Any = None) -> None:
                running.close()
                running.enter_context(part(f"validate {self.epoch}"))

            def on_test_end(self, logs: Any = None) -> None:
                running.close()

        keep = ModelCheckpoint(model, monitor="val_accuracy", save_best_only=True, mode="max", verbose=0)
        stop = EarlyStopping(
            monitor="val_accuracy", patience=10, restore_best_weights=True, mode="max", start_from_epoch=1
        )
        history = net.fit(
            pictures, epochs=epochs, validation_data=test_pictures, callbacks=[keep, stop, Clock()], verbose=0
        )
    return {"pictures": len(rows), "test": len(test_rows), "epochs": len(history.history["loss"])}


def network() -> "keras.Sequential":
    """The notebook's cell "Build Model", unchanged."""
    from keras import Sequential
    from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

    net = Sequential()
    net.add(Conv2D(filters=64, kernel_size=3, input_shape=(32, 32, 3), activation="relu"))
    net.add(MaxPooling2D())
    net.add(Conv2D(filters=64, kernel_size=3, activation="relu"))
    net.add(MaxPooling2D())
    net.add(Flatten())
    net.add(Dense(units=64, activation="relu"))
    net.add(Dropout(0.2))
    net.add(Dense(units=2, activation="softmax"))
    return net


def predict(listed: str, model: str) -> int:
    """Predict the files that `listed` names, one at a time, as the notebook does. The measured part is "work"."""
    import pandas as pd

    with part("import"):
        import keras
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    network = keras.models.load_model(model)
    with part("work"):
        paths = Path(listed).read_text().splitlines()
        rows = pd.DataFrame({"file_path": paths, "label": "AI"})
        pictures = _flow(ImageDataGenerator(rescale=1.0 / 255), rows, batch_size=1, shuffle=False)
        verdicts = network.predict(pictures, verbose=0).argmax(axis=1)
    return len(verdicts)


def _listed(folder: Path) -> "pd.DataFrame":
    """All files in the order of os.listdir: first the human folders, then the AI folders."""
    import pandas as pd

    paths, labels = [], []
    for label in ("human", "AI"):
        for name in os.listdir(folder):  # noqa: PTH208
            if name.startswith("AI_") == (label == "AI"):
                files = os.listdir(folder / name)  # noqa: PTH208
                paths += [str(folder / name / file) for file in files]
                labels += [label] * len(files)
    return pd.DataFrame({"file_path": paths, "label": labels})


def _flow(generator: Any, rows: "pd.DataFrame", batch_size: int, shuffle: bool) -> Any:
    return generator.flow_from_dataframe(
        dataframe=rows,
        x_col="file_path",
        y_col="label",
        target_size=(32, 32),
        class_mode="categorical",
        batch_size=batch_size,
        shuffle=shuffle,
    )


def measured(folder: Path, epochs: int, model: Path) -> Measured:
    """`train` in a process of its own."""
    return measure("benchmarks.notebook:train", folder, epochs, model)


def main() -> None:
    """Measure the notebook alone and print JSON, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = measured(options.folder, options.epochs, Path(scratch, "best_model.keras"))
        listed = Path(scratch, "test")
        listed.write_text("\n".join(sorted(str(path) for path in (options.folder / "test").rglob("*.jpg"))))
        again = measure("benchmarks.notebook:predict", listed, Path(scratch, "best_model.keras"))
    print(json.dumps({"train": run, "predict": again}, default=vars, indent=1))


if __name__ == "__main__":
    main()
