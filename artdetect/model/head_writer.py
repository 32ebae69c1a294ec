"""Writes head files, see `artdetect.model.head_file`."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts.file_names import CARD
from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.model import backbones, head_file, keras_model_file, onnx_convert
from artdetect.model.backbones import efficientnet_lite
from artdetect.model.head_file import ARRAY, EPOCH, EXTRA, KERNEL, SCALE, Precision
from artdetect.model.onnx_runtime import ENTRY, file_name
from artdetect.model.parts import MEMBER, Parts

if TYPE_CHECKING:
    import keras
    import numpy as np


def save(
    model: "keras.Model",
    card: Mapping[str, Any],
    path: Path,
    precision: Precision = "float32",
    extra: "Mapping[str, np.ndarray] | None" = None,
    parts: Parts | None = None,
) -> None:
    """Write a head file. The same model always gives the same bytes.

    Args:
        model: An artnet model whose backbone has the weights that come with its package.
        card: The card of its detector.
        path: The file to write.
        precision: That of the kernels. With float32 the model in the file gives the same bits as `model`.
        extra: Further arrays by name, stored as they are. `head_file.extra_arrays` returns them.
        parts: How the detector judges parts.

    Raises:
        ModelError: It is not such a model.
    """
    import numpy as np

    net = card.get("net")
    if card["preset"] != "artnet" or net is None:
        raise ModelError(f"{path}: a head file needs a model of preset artnet, trained by this version")
    if net["weights"] != backbones.DEFAULT_WEIGHTS:
        raise ModelError(f"{path}: the model's backbone has weights of its own, which a head file does not hold")
    arrays = _head_arrays(model, precision)
    members: dict[str, bytes] = {}
    card = {**card, "kernels": precision, "net": {**net, "backbone_sha256": keras_model_file.backbone_digest(model)}}
    if net["backbone"] in efficientnet_lite.VARIANTS:  # of others, Keras alone has the weights
        members, entries = _graphs(keras_model_file.assembled(head_file.with_scales(arrays), card), arrays, card, parts)
        card = {**card, ENTRY: entries[ENTRY], "net": {**card["net"], "tensors": entries["tensors"]}}
    if parts:
        members[MEMBER] = parts.arrays()
    members[CARD] = json.dumps(card, indent=1).encode()
    for name, array in [*arrays.items(), *((f"{EXTRA}{name}", array) for name, array in (extra or {}).items())]:
        np.save(buffer := io.BytesIO(), np.asarray(array, order="C"), allow_pickle=False)
        members[name + ARRAY] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def _head_arrays(model: "keras.Model", precision: Precision) -> "dict[str, np.ndarray]":
    """Kernels and biases of the layers that training added to the backbone, as the file holds them."""
    import keras
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            kernel, bias = layer.get_weights()
            if precision == "float16":
                scale = np.maximum(np.abs(kernel).max(axis=1), np.finfo(np.float32).tiny)
                arrays[layer.name + SCALE] = scale
                kernel = (kernel / scale[:, None]).astype(np.float16)
            arrays |= {layer.name + KERNEL: kernel, f"{layer.name}.bias": bias}
    return arrays


def _graphs(
    model: "keras.Model", arrays: "Mapping[str, np.ndarray]", card: Mapping[str, Any], parts: Parts | None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The model's ONNX graphs without the head's arrays and the backbone's weights, and what the card says of them.

    Args:
        model: The model that the file stands for.
        arrays: The head's arrays, as the file holds them.
        card: The card.
        parts: How the detector judges parts.
    """
    from artdetect.model import onnx_graph
    from artdetect.model.artnet_model import BACKBONE

    backbone = {
        name: tensor
        for layer in model.get_layer(BACKBONE).layers
        if layer.weights
        for name, tensor in efficientnet_lite.as_tensors(layer.name, layer.get_weights()).items()
    }
    known = head_file.with_scales(arrays) | backbone
    members: dict[str, bytes] = {}
    missing: dict[str, list[str]] = {}
    graphs = onnx_convert.graphs(model, card["geometry"]["size"], parts)
    for name, graph in graphs.items():
        skeleton, missing[name] = onnx_graph.without_weights(graph, known)
        members[file_name(name)] = onnx_graph.content(skeleton)
    entry = onnx_convert.card_entry(graphs) | {
        "graphs": {name: digests.bytes_digest(members[file_name(name)]) for name in graphs},
        "weights": missing,
    }
    left_out = sorted({name for names in missing.values() for name in names} & set(backbone))
    tensors = {
        "backbone": {name: head_file.digest(backbone[name]) for name in left_out},
        "head": {name: head_file.digest(array) for name, array in head_file.with_scales(arrays).items()},
    }
    return members, {ENTRY: entry, "tensors": tensors}
