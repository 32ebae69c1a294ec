"""Converts a ViT with timm's tensor names to a folder that keras-hub reads, for `train.backbone = "hub:<folder>"`.

The names are those of `VisionTransformer` in https://github.com/huggingface/pytorch-image-models with a class token, as
in `blocks.0.attn.qkv.weight`; `_` may stand for `.`. PyTorch is not needed.
"""

import json
import math
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artdetect.core.errors import ConfigError, ModelError, StorageError
from artdetect.model import tensorflow_setup
from artdetect.model.backbones import hub

HEAD_WIDTH = 64  # of all of timm's plain ViTs
_UNUSED = ("head_", "pre_logits_")  # the classifier
_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # of safetensors


@dataclass(frozen=True)
class Converted:
    """What was converted."""

    layers: int
    width: int
    heads: int
    side: int  # of pictures, in pixels


def convert(
    file: Path, folder: Path, mean: Sequence[float], std: Sequence[float], heads: int | None = None
) -> Converted:
    """Write a ViT as a folder of keras-hub, read it back, and compare the net with keras-hub's.

    Args:
        file: The tensors, as .npz or .safetensors.
        folder: A folder that does not exist or is empty.
        mean: Mean of pixels in [0, 1] that the net was trained with, 1 or 3 numbers.
        std: Their standard deviation, likewise.
        heads: Number of attention heads, by default one for each 64 channels. The tensors do not tell.

    Raises:
        ConfigError: keras-hub is not installed, or an option does not fit.
        ModelError: The file is not such a ViT.
        StorageError: `folder` holds something.
    """
    hub.require_keras_hub("the conversion")
    mean, std = _per_channel("mean", mean), _per_channel("std", std)
    if min(std) <= 0:
        raise ConfigError(f"std {std}: expected numbers above 0")
    tensors = {name.replace(".", "_"): array for name, array in _read(file).items()}
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder}: this exists. Name a folder that is new or empty")
    tensorflow_setup.load_tensorflow()
    import keras_hub

    backbone, converted = _backbone(file, tensors, heads)
    scaling = keras_hub.layers.ViTImageConverter(
        image_size=(converted.side,) * 2,
        scale=[1 / (255 * one) for one in std],
        offset=[-one / another for one, another in zip(mean, std, strict=True)],
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent) as scratch:
        new = Path(scratch, "new")
        backbone.save_to_preset(str(new))
        scaling.save_to_preset(str(new))
        hub.load(f"{hub.PREFIX}{new}", "imagenet", converted.side)
        new.rename(folder)
    return converted


def _per_channel(name: str, numbers: Sequence[float]) -> list[float]:
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{name} {list(numbers)}: expected one number, or one for each of red, green and blue")
    return [*numbers] * (3 // len(numbers))


def _read(file: Path) -> dict[str, np.ndarray]:
    """The tensors, float32, by name."""
    if file.suffix not in (".npz", ".safetensors") or not file.is_file():
        raise ModelError(f"{file}: no such weights file. Name one that ends in .npz or .safetensors")
    try:
        arrays = _read_safetensors(file) if file.suffix == ".safetensors" else dict(np.load(file, allow_pickle=False))
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file}: not a file of tensors ({error})") from error


def _read_safetensors(file: Path) -> dict[str, np.ndarray]:
    """Source: https://huggingface.co/docs/safetensors, "Format"."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        first, end = entry["data_offsets"]
        array = np.frombuffer(data[start + first : start + end], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
        # bfloat16 is the upper half of float32
        arrays[name] = (array.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else array
    return arrays


def _backbone(file: Path, tensors: dict[str, np.ndarray], heads: int | None) -> tuple[Any, Converted]:
    """keras-hub's net with these weights."""
    from keras_hub.models import ViTBackbone

    layers = sum(name.startswith("blocks_") and name.endswith("_norm1_weight") for name in tensors)
    _require_names(file, tensors, layers)
    patches, positions = tensors["patch_embed_proj_weight"], tensors["pos_embed"]
    if patches.ndim != 4 or patches.shape[1] != 3 or patches.shape[2] != patches.shape[3] or positions.ndim != 3:
        raise ModelError(
            f"{file}: patch_embed.proj.weight has shape {patches.shape} and pos_embed {positions.shape}. "
            "Expected (C, 3, p, p) and (1, T, C)"
        )
    width, patch, rows = patches.shape[0], patches.shape[2], math.isqrt(positions.shape[1] - 1)
    heads = heads or max(1, width // HEAD_WIDTH)
    if heads < 1 or width % heads:
        raise ConfigError(f"{heads} heads do not divide the {width} channels of {file}: name their number with --heads")
    converted = Converted(layers, width, heads, rows * patch)
    model = ViTBackbone(
        image_shape=(converted.side, converted.side, 3),
        patch_size=patch,
        num_layers=layers,
        num_heads=heads,
        hidden_dim=width,
        mlp_dim=len(tensors["blocks_0_mlp_fc1_bias"]),
        dtype="float32",
    )
    try:
        _assign(model, tensors, heads)
    except (ValueError, IndexError) as error:  # of NumPy and Keras, where shapes do not fit
        raise ModelError(f"{file}: its tensors do not fit each other ({str(error).splitlines()[0]})") from error
    return model, converted


def _require_names(file: Path, tensors: dict[str, np.ndarray], layers: int) -> None:
    parts = [f"{part}_{kind}" for part in ("norm1", "attn_qkv", "attn_proj", "norm2", "mlp_fc1", "mlp_fc2")
             for kind in ("weight", "bias")]  # fmt: skip
    expected = {f"blocks_{number}_{part}" for number in range(layers) for part in parts}
    expected |= {"cls_token", "pos_embed", "norm_weight", "norm_bias"}
    expected |= {"patch_embed_proj_weight", "patch_embed_proj_bias"}
    if missing := sorted(expected - tensors.keys()):
        raise ModelError(f"{file}: it has no {missing[0]}, so it is not a ViT with a class token in timm's names")
    if unknown := sorted(name for name in tensors.keys() - expected if not name.startswith(_UNUSED)):
        raise ModelError(f"{file}: it has {unknown[0]}, which a plain ViT does not have. Only plain ViTs are converted")


def _assign(model: Any, tensors: dict[str, np.ndarray], heads: int) -> None:
    def linear(layer: Any, name: str) -> None:
        layer.set_weights([tensors[f"{name}_weight"].T, tensors[f"{name}_bias"]])

    def norm(layer: Any, name: str) -> None:
        layer.set_weights([tensors[f"{name}_weight"], tensors[f"{name}_bias"]])

    embedding, encoder = model.get_layer("vit_patching_and_embedding"), model.get_layer("vit_encoder")
    embedding.class_token.assign(tensors["cls_token"])
    embedding.position_embedding.set_weights([tensors["pos_embed"][0]])
    kernel = tensors["patch_embed_proj_weight"].transpose(2, 3, 1, 0)
    embedding.patch_embedding.set_weights([kernel, tensors["patch_embed_proj_bias"]])
    norm(encoder.layer_norm, "norm")
    for number, block in enumerate(encoder.encoder_layers):
        name = f"blocks_{number}"
        norm(block.layer_norm_1, f"{name}_norm1")
        norm(block.layer_norm_2, f"{name}_norm2")
        linear(block.mlp.dense_1, f"{name}_mlp_fc1")
        linear(block.mlp.dense_2, f"{name}_mlp_fc2")
        weight, bias = tensors[f"{name}_attn_qkv_weight"], tensors[f"{name}_attn_qkv_bias"]
        projections = zip(np.split(weight, 3), np.split(bias, 3), strict=True)  # of query, key and value
        arrays = [part for w, b in projections for part in (_by_head(w.T, heads), _by_head(b, heads))]
        output = tensors[f"{name}_attn_proj_weight"]
        arrays += [_by_head(output, heads).transpose(1, 2, 0), tensors[f"{name}_attn_proj_bias"]]
        block.mha.set_weights(arrays)


def _by_head(array: np.ndarray, heads: int) -> np.ndarray:
    """[…, C] -> […, heads, C / heads]."""
    return array.reshape(*array.shape[:-1], heads, -1)
