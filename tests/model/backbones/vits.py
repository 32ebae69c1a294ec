"""Small ViTs for tests: as keras-hub's folders, as timm's tensors, and timm's forward pass in NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf

from artdetect.model import tensorflow_setup

SIDE, PATCH, WIDTH, LAYERS, HEADS, CLASSES = 32, 8, 16, 2, 2, 5
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def randomise(model: Any, seed: int = 0) -> Any:
    """Give a model weights that all matter, also where the initial ones are 0 or 1."""
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in str(weight.dtype):
            around = 1.0 if weight.path.endswith(("gamma", "lambda1")) else 0.0
            weight.assign((around + draw.normal(0, 0.2, weight.shape)).astype(np.float32))
    return model


def save(model: Any, folder: Path, scaling: bool = True) -> str:
    """Save a keras-hub model as a preset's folder: what `train.backbone` calls it."""
    import keras_hub

    model.save_to_preset(str(folder))
    if scaling:
        scale, offset = [1 / (255 * one) for one in STD], [-one / other for one, other in zip(MEAN, STD, strict=True)]
        keras_hub.layers.ImageConverter(scale=scale, offset=offset).save_to_preset(str(folder))
    return f"hub:{folder}"


def tiny_vit(folder: Path, **options: Any) -> str:
    """A ViT with random weights as a folder: what `train.backbone` calls it."""
    tensorflow_setup.load_tensorflow()
    import keras_hub

    defaults = {"image_shape": (SIDE, SIDE, 3), "patch_size": PATCH, "num_layers": LAYERS, "num_heads": HEADS}
    shape = defaults | {"hidden_dim": WIDTH, "mlp_dim": 2 * WIDTH}
    return save(randomise(keras_hub.models.ViTBackbone(**shape | options)), folder)


def timm_tensors(seed: int = 1) -> dict[str, np.ndarray]:
    """Random tensors of a small ViT under timm's names, with a classifier."""
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + (SIDE // PATCH) ** 2, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "head.weight": (CLASSES, WIDTH),
        "head.bias": (CLASSES,),
    }
    for number in range(LAYERS):
        for part, units, inputs in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 3 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 3 * WIDTH),
        ):
            shapes |= {f"blocks.{number}.{part}.weight": (units, inputs), f"blocks.{number}.{part}.bias": (units,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{number}.{norm}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    draw = np.random.default_rng(seed)
    around = {name: 1.0 if "norm" in name and name.endswith("weight") else 0.0 for name in shapes}
    return {name: (around[name] + draw.normal(0, 0.3, shape)).astype(np.float32) for name, shape in shapes.items()}


def timm_forward(
    tensors: dict[str, np.ndarray], pictures: np.ndarray, mean: Any, std: Any, heads: int
) -> dict[str, np.ndarray]:
    """timm's `VisionTransformer` in float64: tokens by block [N, T, C], the normalised ones as "norm", and "logits".

    Args:
        tensors: timm's tensors.
        pictures: Float [N, S, S, 3] in [0, 1].
        mean: Mean of pixels.
        std: Their standard deviation.
        heads: Number of attention heads.
    """
    w = {name.replace(".", "_"): array.astype(np.float64) for name, array in tensors.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        variance = x.var(axis=-1, keepdims=True)
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(variance + 1e-6)
        return x * w[f"{name}_weight"] + w[f"{name}_bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}_weight"].T + w[f"{name}_bias"]

    def attention(x: np.ndarray, name: str) -> np.ndarray:
        n, t, c = x.shape
        q, k, v = linear(x, f"{name}_qkv").reshape(n, t, 3, heads, c // heads).transpose(2, 0, 3, 1, 4)
        scores = np.exp((s := q @ k.swapaxes(-1, -2) / np.sqrt(c // heads)) - s.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        return linear(mixed.swapaxes(1, 2).reshape(n, t, c), f"{name}_proj")

    kernel = w["patch_embed_proj_weight"]
    n, patch, rows = len(pictures), kernel.shape[-1], pictures.shape[1] // kernel.shape[-1]
    patches = ((pictures - np.array(mean)) / np.array(std)).reshape(n, rows, patch, rows, patch, 3)
    x = np.einsum("nhiwjc,kcij->nhwk", patches, kernel, optimize=True).reshape(n, rows**2, -1)
    x = x + w["patch_embed_proj_bias"]
    x = np.concatenate([np.broadcast_to(w["cls_token"], (n, 1, x.shape[-1])), x], axis=1) + w["pos_embed"]
    found = {"stem": x}
    for number in range(sum(name.endswith("norm1_bias") for name in w)):
        block = f"blocks_{number}"
        x = x + attention(norm(x, f"{block}_norm1"), f"{block}_attn")
        h = linear(norm(x, f"{block}_norm2"), f"{block}_mlp_fc1")
        x = x + linear(h * (1 + erf(h / np.sqrt(2))) / 2, f"{block}_mlp_fc2")
        found[f"block{number + 1}"] = x
    found["norm"] = norm(x, "norm")
    return found | {"logits": linear(found["norm"][:, 0], "head")}
