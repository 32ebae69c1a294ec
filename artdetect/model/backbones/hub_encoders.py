"""Reads the layers of keras-hub's image encoders: ViT, DINOv2, and the image towers of CLIP and SigLIP."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core.errors import ConfigError
from artdetect.model.backbones.vision_transformer import ACTIVATIONS, Activation, Block, Encoder

if TYPE_CHECKING:
    import keras

Tokens = Callable[[np.ndarray], np.ndarray]  # scaled pictures [N, S, S, 3] -> normalised tokens [N, T, C]


def read(model: "keras.Model", name: str) -> tuple[Encoder, Tokens]:
    """The encoder's layers, and the encoder itself as a function.

    Args:
        model: A backbone of keras-hub in float32. Of one for pictures and text, the image tower is taken.
        name: What error messages call it.

    Raises:
        ConfigError: It is of another kind.
    """
    tower = getattr(model, "vision_encoder", model)
    kind = type(tower).__name__
    if kind not in _READERS:
        raise ConfigError(f"{name}: {kind} is not supported. Supported are {', '.join(_READERS)} of keras-hub")
    height, width = tower.image_shape[:2]
    if height != width or tower.image_shape[-1] != 3:
        raise ConfigError(f"{name}: it takes {tower.image_shape}. Only square pictures of 3 channels are supported")
    encoder, tokens = _READERS[kind](tower)
    if encoder.activation not in ACTIVATIONS:
        raise ConfigError(f"{name}: its activation {encoder.activation!r} is none of {', '.join(ACTIVATIONS)}")
    return encoder, lambda pictures: np.asarray(tokens(pictures))


def _added(embedding: "keras.Layer", side: int) -> np.ndarray:
    """What the embedding adds to the tokens, [T, C]: its result for a picture of zeros."""
    return np.asarray(embedding(np.zeros((1, side, side, 3), np.float32)))[0]


def _vit(model: Any) -> tuple[Encoder, Tokens]:
    embedding, stack = model.get_layer("vit_patching_and_embedding"), model.get_layer("vit_encoder")
    side = model.image_shape[0]
    blocks = [
        Block(one.layer_norm_1, one.mha, one.layer_norm_2, one.mlp.dense_1, one.mlp.dense_2)
        for one in stack.encoder_layers
    ]
    kernel = np.asarray(embedding.patch_embedding.kernel)
    return Encoder(side, kernel, _added(embedding, side), blocks, stack.layer_norm, "gelu"), model


def _dinov2(model: Any) -> tuple[Encoder, Tokens]:
    def block(one: Any) -> Block:
        dense = (one.mlp.weights_in, one.mlp.weights_out) if model.use_swiglu_ffn else (one.mlp.fc1, one.mlp.fc2)
        scales = np.asarray(one.layer_scale1.lambda1), np.asarray(one.layer_scale2.lambda1)
        return Block(one.norm1, one.attention.attention, one.norm2, *dense, scales)

    side = model.image_shape[0]
    kernel = np.asarray(model.embeddings.patch_embeddings.projection.kernel)
    blocks = [block(one) for one in model.encoder.layers]
    activation: Activation = "swiglu" if model.use_swiglu_ffn else "gelu"
    encoder = Encoder(side, kernel, _added(model.embeddings, side), blocks, model.layernorm, activation)
    return encoder, lambda pictures: model({"images": pictures})


def _clip(model: Any) -> tuple[Encoder, Tokens]:
    def tokens(pictures: np.ndarray) -> np.ndarray:
        outputs = model({"images": pictures})
        return outputs["sequence_output"] if isinstance(outputs, dict) else outputs

    side = model.image_shape[0]
    blocks = [
        Block(one.layer_norm_1, one.attention, one.layer_norm_2, one.dense_1, one.dense_2)
        for one in model.encoder_layers
    ]
    kernel, added = np.asarray(model.embedding.patch_embedding.kernel), _added(model.embedding, side)
    activation = model.intermediate_activation
    return Encoder(side, kernel, added, blocks, model.layer_norm, activation, model.pre_layer_norm), tokens


def _siglip(model: Any) -> tuple[Encoder, Tokens]:
    """Its output pools the tokens, so the function runs the layers before that."""

    def tokens(pictures: np.ndarray) -> np.ndarray:
        x = model.embedding(pictures)
        for one in model.encoder_layers:
            x = one(x)
        return model.post_layer_norm(x)

    side = model.image_shape[0]
    blocks = [
        Block(one.layer_norm1, one.self_attn, one.layer_norm2, one.mlp.fc1, one.mlp.fc2) for one in model.encoder_layers
    ]
    kernel, added = np.asarray(model.embedding.patch_embedding.kernel), _added(model.embedding, side)
    return Encoder(side, kernel, added, blocks, model.post_layer_norm, model.intermediate_activation), tokens


_READERS: dict[str, Callable[[Any], tuple[Encoder, Tokens]]] = {
    "ViTBackbone": _vit,
    "DINOV2Backbone": _dinov2,
    "CLIPVisionEncoder": _clip,
    "SigLIPVisionEncoder": _siglip,
}
