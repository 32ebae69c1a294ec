"""The nets of `keras.applications`, each with its own scaling of pixels as part of it."""

import difflib
import inspect
import re
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core.errors import ConfigError, ModelError, storage_error
from artdetect.model.backbones import efficientnet_lite

if TYPE_CHECKING:
    import keras

DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte after which a download fails
_FIXED_SIDES = {"NASNetMobile": 224, "NASNetLarge": 331}  # these two pad for the side they were built with


def load(name: str, weights: str) -> "keras.Model":
    """A net up to its last activations: pictures float32 [N, H, W, 3] in [0, 1] -> [N, h, w, C].

    Args:
        name: A function of `keras.applications`, in any case and punctuation: "ResNet50", "efficientnetv2-b0", …
        weights: "imagenet", which Keras downloads once, or a file that Keras's `load_weights` reads.

    Raises:
        ConfigError: There is no such net.
        ModelError: The weights cannot be downloaded, or the file is missing or does not fit.
    """
    build = _builder(name)
    if weights == "imagenet":
        return _downloaded(build)
    path = Path(weights).expanduser()
    if path.suffix != ".h5" or not path.is_file():
        raise ModelError(f"{path}: no such weights file. Name one that ends in .weights.h5 or .h5")
    return _from_file(build, path)


def _builder(name: str) -> "Callable[..., keras.Model]":
    from keras import applications

    builders = {_plain(known): build for known, build in vars(applications).items() if known[0].isupper()}
    if found := builders.get(_plain(name)):
        return found
    names = {_plain(lite): lite for lite in efficientnet_lite.VARIANTS}
    names |= {plain: build.__name__ for plain, build in builders.items()}
    near = [names[plain] for plain in difflib.get_close_matches(_plain(name), names)]
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    lites = ", ".join(efficientnet_lite.VARIANTS)
    raise ConfigError(
        f"unknown backbone {name!r}. {hint}Known are {lites} and those of https://keras.io/api/applications"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _downloaded(build: "Callable[..., keras.Model]") -> "keras.Model":
    try:
        with _download_timeout():
            return _with_scaling(build, "imagenet")
    except Exception as error:  # Keras raises a bare Exception where there is no network
        if isinstance(error, OSError) and (known := storage_error(error)):
            raise known from error
        raise ModelError(
            f"{build.__name__}: its ImageNet weights could not be downloaded ({_first_line(error)}). "
            "Name a file that holds them in train.weights, or use efficientnet-lite0, which needs no network"
        ) from error


@contextmanager
def _download_timeout() -> Iterator[None]:
    """Set a socket timeout. Keras sets none, so a network that drops packets would delay a run for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _from_file(build: "Callable[..., keras.Model]", path: Path) -> "keras.Model":
    model = _with_scaling(build, None)
    try:
        model.load_weights(path)
    except Exception as error:  # Keras and HDF5 raise all kinds of errors on a damaged or foreign file
        raise ModelError(
            f"{path}: these weights do not fit {build.__name__} ({_first_line(error)}). "
            "Expected the weights without the classifier, as in Keras's files with notop in their name"
        ) from error
    if build.__module__.endswith(".efficientnet"):
        _fix_variance(model)
    return model


def _fix_variance(model: "keras.Model") -> None:
    """Square the standard deviations that Keras's ImageNet files for EfficientNet hold in place of variances.

    Keras corrects this only for files that it downloads itself: https://github.com/tensorflow/tensorflow/issues/49930.
    """
    import keras
    import numpy as np

    (layer,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance, count = layer.get_weights()
    if np.allclose(variance, (0.229, 0.224, 0.225), atol=1e-3):
        layer.set_weights([mean, variance**2, count])
        layer.finalize_state()


def _with_scaling(build: "Callable[..., keras.Model]", weights: str | None) -> "keras.Model":
    import keras

    side = _FIXED_SIDES.get(build.__name__)
    picture = keras.Input((side, side, 3), name="picture")
    pixels = keras.layers.Rescaling(255.0, name="to_255")(picture)
    scaled = inspect.getmodule(build).preprocess_input(pixels)  # type: ignore[union-attr]
    with warnings.catch_warnings(action="ignore"):  # it warns that the weights are those for 224 x 224
        net = build(include_top=False, weights=weights, input_tensor=scaled)
    return keras.Model(picture, net.output, name=net.name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
