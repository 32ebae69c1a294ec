"""Encoders of keras-hub: each kind gives keras-hub's own tokens, and counts by its content."""

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artdetect.core import installing
from artdetect.core.errors import ConfigError, ModelError
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.backbones import hub, vision_transformer
from artdetect.model.extractor import Extractor
from artdetect.model.feature_cache import default_folder
from artdetect.pictures.images import Geometry
from artdetect.train.config import TrainConfig
from tests.model.backbones.vits import LAYERS, MEAN, SIDE, STD, WIDTH, randomise, save, tiny_vit

tensorflow_setup.load_tensorflow()
import keras  # noqa: E402
from keras_hub import models  # noqa: E402

SHAPE: dict[str, Any] = {"patch_size": 8, "num_layers": LAYERS, "num_heads": 2, "hidden_dim": WIDTH}
VIT = SHAPE | {"mlp_dim": 24, "image_shape": (SIDE, SIDE, 3)}
TOWER = SHAPE | {"intermediate_dim": 24, "image_shape": (SIDE, SIDE, 3)}
DINO = TOWER | {"position_embedding_shape": (48, 48, 3)}  # positions are interpolated to the pictures' size


def clip_pair() -> keras.Model:
    text = models.CLIPTextEncoder(50, WIDTH, WIDTH, 1, 2, 24, max_sequence_length=8)
    return models.CLIPBackbone(models.CLIPVisionEncoder(**TOWER), text, 8)


KINDS: dict[str, Callable[[], keras.Model]] = {
    "vit": lambda: models.ViTBackbone(**VIT),
    "vit without class token and biases": lambda: models.ViTBackbone(
        **VIT, use_class_token=False, use_mha_bias=False, use_mlp_bias=False
    ),
    "dinov2": lambda: models.DINOV2Backbone(**DINO),
    "dinov2 with registers": lambda: models.DINOV2Backbone(**DINO, num_register_tokens=3),
    "dinov2 with swiglu": lambda: models.DINOV2Backbone(**DINO, use_swiglu_ffn=True),
    "clip tower": lambda: models.CLIPVisionEncoder(**TOWER),
    "clip tower with gelu": lambda: models.CLIPVisionEncoder(
        **TOWER, intermediate_activation="gelu", intermediate_output_index=0
    ),
    "clip": clip_pair,
    "siglip tower": lambda: models.SigLIPVisionEncoder(**TOWER),
    "siglip tower with a rest": lambda: models.SigLIPVisionEncoder(**TOWER | {"image_shape": (35, 35, 3)}),
}
QUICK = ("vit", "dinov2 with registers")  # the others are slow tests


def own_tokens(model: Any, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """keras-hub's tokens [N, T, C], layer by layer: the embedding, each block, and normalised."""
    tower = getattr(model, "vision_encoder", model)
    x = ((pictures - np.array(MEAN)) / np.array(STD)).astype(np.float32)
    if isinstance(tower, models.ViTBackbone):
        stack = tower.get_layer("vit_encoder")
        x, blocks, norm = tower.get_layer("vit_patching_and_embedding")(x), stack.encoder_layers, stack.layer_norm
    elif isinstance(tower, models.DINOV2Backbone):
        x, blocks, norm = tower.embeddings(x), tower.encoder.layers, tower.layernorm
    elif isinstance(tower, models.CLIPVisionEncoder):
        x, blocks, norm = tower.pre_layer_norm(tower.embedding(x)), tower.encoder_layers, tower.layer_norm
    else:
        x, blocks, norm = tower.embedding(x), tower.encoder_layers, tower.post_layer_norm
    found = {"stem": x}
    for number, block in enumerate(blocks, 1):
        found[f"block{number}"] = x = block(x)
    return {name: np.asarray(one) for name, one in (found | {"top": norm(x)}).items()}


def pictures_of(side: int) -> np.ndarray:
    return np.random.default_rng(4).random((3, side, side, 3), np.float32)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_vit(tmp_path_factory.mktemp("vit") / "preset")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_each_kind_gives_the_tokens_of_keras_hub(kind: str, tmp_path: Path) -> None:
    name = save(randomise(KINDS[kind]()), tmp_path / "preset")
    own = models.Backbone.from_preset(str(tmp_path / "preset"))
    net = backbones.load(name)
    side = net.input_shape[1]
    outputs = backbones.block_outputs(net)
    found = {block: np.asarray(x) for block, x in keras.Model(net.input, outputs)(pictures_of(side)).items()}
    expected = own_tokens(own, pictures_of(side))
    rows = side // 8
    before = expected["top"].shape[1] - rows**2
    assert list(found) == ["stem", "block1", "block2", "top", *(["class"] if before else [])]
    for block, tokens in expected.items():
        assert found[block].shape == (3, rows, rows, WIDTH)
        patches = tokens[:, before:]
        assert patches.std() > 0.1
        limit = 1e-4 * np.abs(patches).max()
        np.testing.assert_allclose(found[block].reshape(patches.shape), patches, rtol=0, atol=limit, err_msg=block)
    if before:
        np.testing.assert_allclose(found["class"][:, 0, 0], expected["top"][:, 0], rtol=0, atol=1e-4)


def test_a_patch_is_where_it_is_in_the_picture(vit: str) -> None:
    """Before the first block, a change of one patch changes its token alone."""
    net = backbones.load(vit)
    stem = keras.Model(net.input, net.get_layer("stem").output)
    picture = pictures_of(SIDE)[:1]
    changed = picture.copy()
    changed[:, 8:16, 24:32] += 0.1
    difference = np.abs(np.asarray(stem(changed)) - np.asarray(stem(picture))).max(axis=-1)[0]
    assert [tuple(place) for place in np.argwhere(difference > 1e-6)] == [(1, 3)]


@pytest.mark.slow
def test_dinov2_takes_other_sizes_by_interpolating_its_positions(tmp_path: Path) -> None:
    name = save(randomise(models.DINOV2Backbone(**DINO)), tmp_path / "preset")
    net = backbones.load(name, size=64)
    assert net.input_shape == (None, 64, 64, 3)
    large = models.DINOV2Backbone.from_preset(str(tmp_path / "preset"), image_shape=(64, 64, 3))
    expected = own_tokens(large, pictures_of(64))["top"]
    found, first = (np.asarray(output) for output in net(pictures_of(64)))
    np.testing.assert_allclose(found.reshape(3, 64, WIDTH), expected[:, 1:], rtol=0, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(first[:, 0, 0], expected[:, 0], rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match=r"train.size = 61 .* patches are 8 pixels: set train.size = 64"):
        backbones.load(name, size=61)


def test_another_size_than_the_encoders_says_which_to_set(vit: str) -> None:
    with pytest.raises(ConfigError, match=r"train.size = 224 does not fit hub:.* 32 pixels: set train.size = 32"):
        Extractor(vit, ("block1",), Geometry(224, "crop")).build()


def test_features_are_mean_and_deviation_of_each_block_and_the_class_token_itself(vit: str) -> None:
    extractor = Extractor(vit, ("block1..block2", "class"), Geometry(SIDE, "crop"))
    features = np.asarray(extractor.build()(pictures_of(SIDE)))
    assert features.shape == (3, 2 * 2 * WIDTH + WIDTH)
    own = models.Backbone.from_preset(vit.removeprefix("hub:"))
    expected = own_tokens(own, pictures_of(SIDE))
    parts = [
        part
        for block in ("block1", "block2")
        for part in (expected[block][:, 1:].mean(axis=1), expected[block][:, 1:].std(axis=1))
    ]
    np.testing.assert_allclose(features, np.concatenate([*parts, expected["top"][:, 0]], axis=1), rtol=0, atol=1e-3)


def test_blocks_that_a_small_encoder_lacks_are_named(vit: str) -> None:
    with pytest.raises(ConfigError, match=r"has no block 'block10'. Its blocks are stem, block1, block2, top, class"):
        Extractor(vit, ("stem..block10",), Geometry(SIDE, "crop")).build()


# --- identity ---


def test_a_folder_counts_by_its_content(vit: str, tmp_path: Path) -> None:
    copy = shutil.copytree(vit.removeprefix("hub:"), tmp_path / "copy")
    (copy / "metadata.json").write_text(json.dumps({"date_saved": "another day"}))

    def keys() -> list[Any]:
        extractors = [Extractor(name, ("block1",), Geometry(SIDE, "crop")) for name in (vit, f"hub:{copy}")]
        configs = [TrainConfig(backbone=name) for name in (vit, f"hub:{copy}")]
        folders = [default_folder(extractor, 0).name.rsplit("-")[-1] for extractor in extractors]
        return [*folders, *(config.key_parts() for config in configs)]

    first, second, first_config, second_config = keys()
    assert (first, first_config) == (second, second_config)
    assert str(tmp_path) not in json.dumps(second_config)
    for name in ("model.weights.h5", "image_converter.json", "config.json"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content + b" ")
        assert keys()[0] == first
        assert keys()[1] != first
        assert keys()[3] != first_config
        (copy / name).write_bytes(content)


def test_the_version_of_keras_hub_counts(vit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = backbones.identity(vit, "imagenet")
    monkeypatch.setattr(hub.metadata, "version", lambda _: "99")
    assert backbones.identity(vit, "imagenet") != before
    assert backbones.identity("hub:dinov2_small", "imagenet") == {
        "backbone": "hub:dinov2_small",
        "weights": "keras-hub 99",
    }


def test_the_folder_of_cached_features_has_a_name_without_separators(vit: str) -> None:
    folder = default_folder(Extractor(vit, ("block1",), Geometry(SIDE, "crop")), 0)
    assert (folder.parent.name, folder.name[:9]) == ("features", "preset-0-")
    handle = default_folder(Extractor("hub:hf://user/model x", ("block1",), Geometry(SIDE, "crop")), 0)
    assert (handle.parent.name, handle.name[:10]) == ("features", "model-x-0-")


# --- errors ---


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hub:dino2_small", "unknown preset. Did you mean dinov2_small"),
        ("hub:resnet_50_imagenet", "unknown preset"),
        ("hub:./absent", "there is no folder"),
        ("hub:", "there is no folder"),
    ],
)
def test_an_unknown_preset_or_folder_is_a_config_error(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        backbones.load(name)


def test_an_encoder_has_its_own_weights(vit: str) -> None:
    with pytest.raises(ConfigError, match=r"leave train.weights out. Received: 'my.h5'"):
        backbones.load(vit, "my.h5")


def test_corner_crops_are_refused_before_features_are_computed(vit: str) -> None:
    with pytest.raises(ConfigError, match="test_time_views = 6 is not usable with hub:"):
        TrainConfig(backbone=vit, test_time_views=6)
    assert TrainConfig(backbone=vit, test_time_views=2).test_time_views == 2


def test_an_encoder_of_another_kind_is_a_config_error(tmp_path: Path) -> None:
    own = models.VGGBackbone(stackwise_num_repeats=[1], stackwise_num_filters=[4], image_shape=(SIDE, SIDE, 3))
    with pytest.raises(ConfigError, match=r"VGGBackbone is not supported. Supported are ViTBackbone, DINOV2Backbone"):
        backbones.load(save(own, tmp_path / "preset"))


def test_pictures_that_are_not_square_are_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Only square pictures"):
        backbones.load(tiny_vit(tmp_path / "preset", image_shape=(32, 40, 3)))


def test_a_folder_that_does_not_say_how_pixels_are_scaled_is_a_model_error(tmp_path: Path) -> None:
    name = save(models.ViTBackbone(**VIT), tmp_path / "preset", scaling=False)
    with pytest.raises(ModelError, match=r"there is no image_converter.json. Write one with keras-hub's"):
        backbones.load(name)


@pytest.mark.parametrize("file", ["config.json", "model.weights.h5", "image_converter.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"garbage"])
def test_a_damaged_folder_is_one_line(vit: str, file: str, content: bytes | None, tmp_path: Path) -> None:
    folder = shutil.copytree(vit.removeprefix("hub:"), tmp_path / "preset")
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        backbones.load(f"hub:{folder}")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_network_a_download_fails_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens: connections are refused
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
        with pytest.raises(ModelError, match=r"hub:vit_base_patch16_224_imagenet: the preset could not be downloaded"):
            backbones.load("hub:vit_base_patch16_224_imagenet")


def test_without_keras_hub_the_error_says_what_to_install(vit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda _: None)
    for use in (lambda: backbones.load(vit), lambda: backbones.identity(vit, "imagenet")):
        with pytest.raises(ConfigError, match=re.escape(f"needs keras-hub. Run `{installing.extra('hub')}`")):
            use()


def test_a_net_that_differs_from_keras_hubs_is_refused(vit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later keras-hub with other layers would give."""
    monkeypatch.setitem(vision_transformer._ACTIVATIONS, "gelu", keras.ops.relu)
    with pytest.raises(ModelError, match="the net differs from keras-hub's by"):
        backbones.load(vit)


def test_presets_of_all_supported_families_are_known() -> None:
    for family in (models.ViTBackbone, models.DINOV2Backbone, models.CLIPBackbone, models.SigLIPBackbone):
        assert family.presets
        for preset in family.presets:
            hub._require_known(f"hub:{preset}", preset)
