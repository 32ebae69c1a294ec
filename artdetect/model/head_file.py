"""Head files: an artnet model without its backbone, whose weights come with a package that artdetect depends on.

A head file is a zip like a `.keras` file, with the same card, but in place of the net it holds the arrays of the layers
that training added: `<layer>.kernel.npy` and `<layer>.bias.npy`. It is small, and has no row of any picture.

A kernel in float16 is stored in units of the largest weight of each input: `<layer>.scale.npy` [inputs]. So it keeps 11
bits of the weights that matter, whatever the scale of a feature.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artdetect.core.errors import ModelError
from artdetect.model import backbones
from artdetect.model.probabilities import Calibration

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.model.artnet_model import Embedding, Head
    from artdetect.pictures.images import Geometry

Precision = Literal["float32", "float16"]
CARD = "artdetect.json"
_ARRAY, _EXTRA = ".npy", "extra."
EPOCH = (1980, 1, 1, 0, 0, 0)  # earliest date of the zip format: keeps the clock out of the bytes


@dataclass(frozen=True)
class _Parts:
    """`artnet_model.TrainedParts`, from a file."""

    embedding: "Embedding"
    head: "Head"
    family_head: "Head | None"
    novelty_scale: float


def is_head_file(path: Path) -> bool:
    """Whether the zip file `path` is a head file."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(_ARRAY) for name in archive.namelist())


def save(
    model: "keras.Model",
    card: Mapping[str, Any],
    path: Path,
    precision: Precision = "float32",
    extra: "Mapping[str, np.ndarray] | None" = None,
) -> None:
    """Write a head file. The same model always gives the same bytes.

    Args:
        model: An artnet model whose backbone has the weights that come with its package.
        card: The card of its detector.
        path: The file to write.
        precision: That of the kernels. With float32 the model in the file gives the same bits as `model`.
        extra: Further arrays by name, stored as they are. `extra_arrays` returns them.

    Raises:
        ModelError: It is not such a model.
    """
    import numpy as np

    from artdetect.model import artnet_model

    net = card.get("net")
    if card["preset"] != "artnet" or net is None:
        raise ModelError(f"{path}: a head file needs a model of preset artnet, trained by this version")
    if net["weights"] != backbones.DEFAULT_WEIGHTS:
        raise ModelError(f"{path}: the model's backbone has weights of its own, which a head file does not hold")
    arrays: dict[str, np.ndarray] = {}
    for name, kernel, bias in _dense(model):
        if precision == "float16":
            scale = np.maximum(np.abs(kernel).max(axis=1), np.finfo(np.float32).tiny)
            arrays[f"{name}.scale"] = scale
            kernel = (kernel / scale[:, None]).astype(np.float16)
        arrays |= {f"{name}.kernel": kernel, f"{name}.bias": bias}
    arrays |= {f"{_EXTRA}{name}": array for name, array in (extra or {}).items()}
    backbone = model.get_layer(artnet_model.BACKBONE)
    entries = {"net": {**net, "backbone_sha256": _digest(backbone)}, "kernels": precision}
    card = {**card, **entries}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(CARD, EPOCH), json.dumps(card, indent=1))
        for name, array in sorted(arrays.items()):
            np.save(buffer := io.BytesIO(), np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + _ARRAY, EPOCH), buffer.getvalue())


def load_model(path: Path, card: Mapping[str, Any], geometry: "Geometry") -> "keras.Model":
    """The whole model of a head file: its backbone from the package, with the head on it.

    Args:
        path: The file.
        card: Its card.
        geometry: The card's geometry.

    Raises:
        ModelError: The installed backbone is not the one that the head was trained on.
        ValueError, KeyError, zipfile.BadZipFile: The file is damaged.
    """
    import numpy as np

    from artdetect.model.artnet_model import BACKBONE, EMBEDDING, FAMILIES, LOGITS, Embedding, assemble
    from artdetect.model.feature_cache import Extractor

    net, arrays = card["net"], _arrays(path)
    for name in [name for name in arrays if name.endswith(".scale")]:
        kernel = name.removesuffix("scale") + "kernel"
        arrays[kernel] = arrays[kernel].astype(np.float32) * arrays[name][:, None]
    matrix = arrays[f"{EMBEDDING}.kernel"]
    families = _head(arrays, FAMILIES) if f"{FAMILIES}.kernel" in arrays else None
    parts = _Parts(
        Embedding(np.zeros(len(matrix), np.float32), matrix), _head(arrays, LOGITS), families, net["novelty_scale"]
    )
    extractor = Extractor(net["backbone"], tuple(net["feature_blocks"]), geometry)
    calibration = Calibration(card["temperature"], card["p_min"], card["p_max"])
    model = assemble(extractor, parts, calibration, net["test_time_views"])
    model.get_layer(EMBEDDING).set_weights([matrix, arrays[f"{EMBEDDING}.bias"]])
    if _digest(model.get_layer(BACKBONE)) != net["backbone_sha256"]:
        raise ModelError(
            f"{path}: it was trained on another version of the backbone {net['backbone']} than the installed one. "
            "Install the versions in constraints.txt, or train a model with `artdetect run`"
        )
    return model


def extra_arrays(path: Path) -> "dict[str, np.ndarray]":
    """The further arrays of a head file, by name."""
    return {name.removeprefix(_EXTRA): array for name, array in _arrays(path).items() if name.startswith(_EXTRA)}


def _arrays(path: Path) -> "dict[str, np.ndarray]":
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(_ARRAY): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(_ARRAY)
        }


def _dense(model: "keras.Model") -> "list[tuple[str, np.ndarray, np.ndarray]]":
    """Name, kernel and bias of the layers that training added to the backbone."""
    import keras

    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return [(layer.name, *layer.get_weights()) for layer in layers]


def _head(arrays: "Mapping[str, np.ndarray]", name: str) -> "Head":
    """The head whose last layer has this name."""
    from artdetect.model.artnet_model import HIDDEN, Head

    hidden = f"{name}{HIDDEN}"
    count = sum(array.startswith(hidden) and array.endswith(".kernel") for array in arrays)
    layers = [*(f"{hidden}{number}" for number in range(count)), name]
    return Head(tuple((arrays[f"{layer}.kernel"], arrays[f"{layer}.bias"]) for layer in layers))


def _digest(backbone: "keras.Model") -> str:
    """The sha256 of a net's weights."""
    import numpy as np

    digest = hashlib.sha256()
    for weight in backbone.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()
