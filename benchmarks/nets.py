"""Nets and pictures that the benchmarks of explanations share."""

from pathlib import Path
from typing import Any


def net_and_pictures(name: str, size: int, count: int, folder: str | None) -> tuple[str, Any, Any]:
    """A model and pictures for it.

    Args:
        name: An artifact folder or a model file where `folder` is given, otherwise "notebook" or "small".
        size: Side of the pictures for these two; px.
        count: Pictures, at most.
        folder: A folder of pictures, of which some are chosen at random; None = synthetic pictures.

    Returns:
        A name, the model, and pictures as float32 [N, H, W, 3] in [0, 1].
    """
    import keras
    import numpy as np

    from artdetect.model import predict, tensorflow_setup
    from artdetect.pictures import images
    from artdetect.train import presets

    tensorflow_setup.load_tensorflow()
    if folder is not None:
        detector = predict.find_model(Path(name))
        files = list(predict.find_pictures([Path(folder)]))
        sample = np.random.default_rng(129).permutation(len(files))[:count]
        pictures = [images.to_input(images.load(files[number], detector.geometry)) for number in sorted(sample)]
        return detector.id, detector.classifier, np.stack(pictures)
    keras.utils.set_random_seed(129)
    if name == "notebook":
        model = presets.notebook(size)
    else:
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((size, size, 3)),
                layers.Conv2D(16, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(32, 3, activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2, activation="softmax"),
            ]
        )
    pictures = [synthetic(size, number) for number in range(count)]
    return name, model, np.array(pictures, np.float32).reshape(count, size, size, 3)


def synthetic(size: int, number: int) -> Any:
    """A picture of soft blots with some grain, float32 [size, size, 3] in [0, 1]."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(number)
    blots = gaussian_filter(rng.random((size, size, 3)), (size / 20, size / 20, 0))
    blots = (blots - blots.min()) / np.ptp(blots)
    return np.clip(blots + 0.05 * rng.random(blots.shape), 0, 1).astype(np.float32)
