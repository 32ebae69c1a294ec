"""The image encoders of keras-hub, by the name of a preset or from a folder: `hub:<preset or folder>`.

keras-hub reads the files. The net is then built from plain Keras layers, so that a trained model needs no keras-hub.
"""

import difflib
import json
import os
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests, installing
from artdetect.core.errors import ConfigError, ModelError, storage_error

if TYPE_CHECKING:
    import keras

    from artdetect.model.backbones.hub_encoders import Tokens

PREFIX = "hub:"
TOLERANCE = 1e-3  # largest difference from keras-hub's own tokens, as a share of their largest value
_CONVERTER = "image_converter.json"  # of a preset's folder: how pixels are scaled
_UNREAD = {"metadata.json", "README.md"}  # of a preset's folder: the date on which it was saved, and a text


def load(name: str, weights: str, size: int | None) -> "keras.Model":
    """The net of a preset, see `vision_transformer.build`.

    Args:
        name: "hub:" and a preset's name, a handle such as "hf://user/model", or a folder that keras-hub saved.
        weights: "imagenet", which stands for the preset's own weights.
        size: Side of the pictures, by default the encoder's own. Only DINOv2 takes others: multiples of its patch.

    Raises:
        ConfigError: keras-hub is not installed, there is no such preset, it is of an unsupported kind, or it does not
            take pictures of this size.
        ModelError: The preset cannot be downloaded or read.
    """
    import keras

    from artdetect.model.backbones import hub_encoders, vision_transformer

    require_keras_hub(name)
    if weights != "imagenet":
        raise ConfigError(f"{name} comes with its weights: leave train.weights out. Received: {weights!r}")
    preset = _preset(name)
    model = _backbone(name, preset)
    if size and _interpolates(model) and size != model.image_shape[0] and size % model.patch_size == 0:
        model = _backbone(name, preset, image_shape=(size, size, 3))
    encoder, tokens = hub_encoders.read(model, name)
    if size not in (None, encoder.side):
        raise ConfigError(_size_error(name, size, model, encoder.side))
    scale, offset = _scaling(name, preset)
    net = vision_transformer.build(encoder, [255 * number for number in scale], offset, "encoder")
    if keras.config.dtype_policy().compute_dtype == "float32":  # half precision rounds too much to compare
        _check(name, net, tokens, scale, offset)
    return net


def identity(name: str) -> dict[str, str]:
    """What identifies a preset in a cache key: a folder by its content, wherever it is.

    A downloaded preset counts by its name. The version of keras-hub says which revision that is.

    Raises:
        ConfigError: keras-hub is not installed, or there is no such folder.
    """
    require_keras_hub(name)
    preset = _preset(name)
    version = f"keras-hub {metadata.version('keras-hub')}"
    if not Path(preset).is_dir():
        return {"backbone": name, "weights": version}
    files = {path.relative_to(preset).as_posix(): path for path in Path(preset).rglob("*") if path.is_file()}
    content = digests.value_digest({file: digests.file_digest(files[file]) for file in files if file not in _UNREAD})
    return {"backbone": PREFIX, "weights": f"{content} {version}"}


def require_keras_hub(name: str) -> None:
    """Raise ConfigError if keras-hub is not installed; `name` is what needs it."""
    if find_spec("keras_hub") is None:
        raise ConfigError(f"{name} needs keras-hub. Run `{installing.extra('hub')}`")


def _preset(name: str) -> str:
    """What keras-hub calls the preset; an existing folder as an absolute path."""
    preset = name.removeprefix(PREFIX)
    folder = Path(preset).expanduser()
    if preset and folder.is_dir():
        return str(folder.absolute())
    if "://" not in preset and (os.sep in preset or preset[:1] in (".", "~", "")):
        raise ConfigError(f"{name}: there is no folder {str(folder.absolute())!r}. Name a folder that keras-hub saved")
    return preset


def _backbone(name: str, preset: str, **options: Any) -> "keras.Model":
    import keras_hub

    if not Path(preset).is_dir() and "://" not in preset:
        _require_known(name, preset)
    try:
        return keras_hub.models.Backbone.from_preset(preset, dtype="float32", **options)
    except Exception as error:  # keras-hub, Keras and the clients of the hubs raise all kinds of errors
        raise _unreadable(name, preset, error) from error


def _require_known(name: str, preset: str) -> None:
    from keras_hub import models

    families = models.ViTBackbone, models.DINOV2Backbone, models.CLIPBackbone, models.SigLIPBackbone
    known = [one for family in families for one in family.presets]
    if preset not in known:
        near = difflib.get_close_matches(preset, known)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(
            f"{name}: unknown preset. {hint}Known are the presets of ViT, DINOv2, CLIP and SigLIP on "
            "https://keras.io/keras_hub/presets, handles such as hf://user/model, and folders that keras-hub saved"
        )


def _unreadable(name: str, preset: str, error: Exception) -> Exception:
    if isinstance(error, OSError) and (known := storage_error(error)):
        return known
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    if Path(preset).is_dir():
        return ModelError(f"{name}: keras-hub cannot read this folder ({reason}). Save it anew with save_to_preset")
    return ModelError(
        f"{name}: the preset could not be downloaded ({reason}). Name a folder that holds it, as saved by keras-hub's "
        "save_to_preset, or use efficientnet-lite0, which needs no network"
    )


def _interpolates(model: Any) -> bool:
    """Whether it takes pictures of other sizes than it was trained on, as DINOv2 does."""
    return hasattr(model, "position_embedding_shape")


def _size_error(name: str, size: int, model: Any, side: int) -> str:
    if not _interpolates(model):
        return (
            f"train.size = {size} does not fit {name}, which takes pictures of {side} pixels: set train.size = {side}"
        )
    patch = model.patch_size
    return (
        f"train.size = {size} does not fit {name}, whose patches are {patch} pixels: "
        f"set train.size = {max(1, round(size / patch)) * patch}"
    )


def _scaling(name: str, preset: str) -> tuple[list[float], list[float]]:
    """What the preset multiplies and then adds to each channel of pixels in [0, 255]."""
    import keras
    import keras_hub

    try:
        if Path(preset).is_dir():  # by its file: for a tower alone, keras-hub finds no class
            converter = keras.saving.deserialize_keras_object(json.loads(Path(preset, _CONVERTER).read_bytes()))
        else:
            converter = keras_hub.layers.ImageConverter.from_preset(preset)
        return _per_channel(converter.scale, 1.0), _per_channel(converter.offset, 0.0)
    except FileNotFoundError as error:
        raise ModelError(
            f"{name}: it does not say how pixels are scaled: there is no {_CONVERTER}. Write one with keras-hub's "
            "ImageConverter(scale=…, offset=…).save_to_preset"
        ) from error
    except Exception as error:
        raise _unreadable(name, preset, error) from error


def _per_channel(value: Any, default: float) -> list[float]:
    numbers = [default if value is None else value] * 3 if value is None or isinstance(value, int | float) else value
    if len(numbers) != 3:
        raise ValueError(f"its pixels have {len(numbers)} channels, expected 3")
    return [float(number) for number in numbers]


def _check(name: str, net: "keras.Model", tokens: "Tokens", scale: Sequence[float], offset: Sequence[float]) -> None:
    """Raise ModelError unless the net gives keras-hub's own tokens for a picture of noise."""
    import numpy as np

    picture = np.random.default_rng(0).random((1, *net.input_shape[1:]), np.float32)
    expected = tokens((picture * 255 * scale + offset).astype(np.float32))
    found = [np.asarray(output) for output in net(picture, training=False)]
    grid = found[0].reshape(1, -1, expected.shape[-1])
    difference = np.abs(expected[:, -grid.shape[1] :] - grid).max()
    if len(found) > 1:
        difference = max(difference, np.abs(expected[:, 0] - found[1][:, 0, 0]).max())
    if not difference <= TOLERANCE * np.abs(expected).max():
        raise ModelError(
            f"{name}: the net differs from keras-hub's by {difference:.2g}. Install the pinned version of keras-hub"
        )
