"""The conversion of timm's ViTs, against timm's forward pass in NumPy."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artdetect.cli import main
from artdetect.core.errors import ConfigError, ModelError, StorageError
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.backbones import timm_vit
from tests.model.backbones.vits import HEADS, LAYERS, MEAN, SIDE, STD, WIDTH, timm_forward, timm_tensors

REAL = Path(os.environ.get("ARTDETECT_REAL_DATA", "/nonexistent"), "vit-tiny", "vit_tiny_patch16_224.npz")


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], dtype: str = "F32") -> None:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        raw = array.astype("<f2").tobytes() if dtype == "F16" else array.astype("<f4").tobytes()
        if dtype == "BF16":
            raw = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def activations(name: str, pictures: np.ndarray) -> dict[str, np.ndarray]:
    tensorflow_setup.load_tensorflow()
    import keras

    net = backbones.load(name)
    outputs = backbones.block_outputs(net)
    return {key: np.asarray(x) for key, x in keras.Model(net.input, outputs)(pictures).items()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float) -> None:
    """Compare the activations of a net with the tokens of timm's: of each block, and normalised."""
    tokens = {name: expected["norm" if name == "top" else name][:, 1:] for name in found if name != "class"}
    for name, patches in tokens.items():
        assert patches.std() > 0.05
        limit = tolerance * np.abs(patches).max()
        np.testing.assert_allclose(found[name].reshape(patches.shape), patches, rtol=0, atol=limit, err_msg=name)
    np.testing.assert_allclose(found["class"][:, 0, 0], expected["norm"][:, 0], rtol=0, atol=tolerance * 5)


@pytest.mark.parametrize("suffix", [".npz", pytest.param(".safetensors", marks=pytest.mark.slow)])
def test_a_converted_vit_gives_what_timm_gives(suffix: str, tmp_path: Path) -> None:
    tensors = timm_tensors()
    if suffix == ".npz":
        np.savez(tmp_path / "vit.npz", **{name.replace(".", "_"): array for name, array in tensors.items()})
    else:
        write_safetensors(tmp_path / "vit.safetensors", tensors)
    converted = timm_vit.convert(tmp_path / f"vit{suffix}", tmp_path / "folder", MEAN, STD, HEADS)
    assert converted == timm_vit.Converted(LAYERS, WIDTH, HEADS, SIDE)
    pictures = np.random.default_rng(2).random((3, SIDE, SIDE, 3), np.float32)
    found = activations(f"hub:{tmp_path / 'folder'}", pictures)
    assert list(found) == ["stem", "block1", "block2", "top", "class"]
    assert_same(found, timm_forward(tensors, pictures, MEAN, STD, HEADS), 1e-5)


@pytest.mark.skipif(not REAL.is_file(), reason="ARTDETECT_REAL_DATA names no folder that has it")
@pytest.mark.slow
def test_the_real_vit_tiny_gives_what_timm_gives(tmp_path: Path) -> None:
    """Also its classifier, whose weights the folder leaves out, so that the numbers are those of a working net."""
    timm_vit.convert(REAL, tmp_path / "folder", [0.5], [0.5])
    pictures = np.random.default_rng(2).random((2, 224, 224, 3), np.float32)
    pictures[1] = np.linspace(0, 1, 224, dtype=np.float32)[:, None, None]
    tensors = dict(np.load(REAL))
    expected = timm_forward(tensors, pictures, 0.5, 0.5, 3)
    found = activations(f"hub:{tmp_path / 'folder'}", pictures)
    assert len(found) == 15
    assert_same(found, expected, 1e-4)
    logits = found["class"][:, 0, 0] @ tensors["head_weight"].T + tensors["head_bias"]
    np.testing.assert_allclose(logits, expected["logits"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("dtype", "digits"), [("F16", 1e-3), ("BF16", 1e-2)])
def test_half_precision_is_read(dtype: str, digits: float, tmp_path: Path) -> None:
    tensors = timm_tensors()
    write_safetensors(tmp_path / "vit.safetensors", tensors, dtype)
    read = timm_vit._read(tmp_path / "vit.safetensors")
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == np.float32
        np.testing.assert_allclose(read[name], array, rtol=digits, atol=1e-6)


def without(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("cls_token"), "it has no cls_token, so it is not a ViT with a class token"),
        (without("blocks.1.mlp.fc2.bias"), "it has no blocks_1_mlp_fc2_bias"),
        (lambda tensors: tensors.update({"blocks.0.ls1.gamma": np.ones(WIDTH)}), "it has blocks_0_ls1_gamma"),
        (lambda tensors: tensors.update(pos_embed=tensors["pos_embed"][:, :-1]), "do not fit each other"),
        (lambda tensors: tensors.update(pos_embed=tensors["pos_embed"][0]), r"pos_embed \(17, 16\). Expected"),
        (lambda tensors: tensors.update({"blocks.0.attn.qkv.weight": np.ones((8, WIDTH))}), "do not fit each other"),
    ],
)
def test_another_net_is_refused(change: Callable[[dict[str, np.ndarray]], None], message: str, tmp_path: Path) -> None:
    change(tensors := timm_tensors())
    np.savez(tmp_path / "vit.npz", **tensors)
    with pytest.raises(ModelError, match=message):
        timm_vit.convert(tmp_path / "vit.npz", tmp_path / "folder", MEAN, STD, HEADS)
    assert [path.name for path in tmp_path.iterdir()] == ["vit.npz"]


def test_a_file_that_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    for name, content in (
        ("a.npz", b"no zip"),
        ("b.safetensors", b"\xff" * 20),
        ("c.safetensors", b""),
        ("d.pth", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=name):
            timm_vit.convert(tmp_path / name, tmp_path / "folder", MEAN, STD)
    with pytest.raises(ModelError, match=r"absent.npz: no such weights file"):
        timm_vit.convert(tmp_path / "absent.npz", tmp_path / "folder", MEAN, STD)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "vit.npz", **timm_tensors())
    file, folder = tmp_path / "vit.npz", tmp_path / "folder"
    for mean, std, heads, message in (
        ((0.5, 0.5), STD, HEADS, "expected one number, or one for each"),
        (MEAN, (0.0,), HEADS, "expected numbers above 0"),
        (MEAN, STD, 3, "3 heads do not divide the 16 channels"),
    ):
        with pytest.raises(ConfigError, match=message):
            timm_vit.convert(file, folder, mean, std, heads)
    folder.mkdir()
    (folder / "mine.txt").write_text("keep me")
    with pytest.raises(StorageError, match="this exists"):
        timm_vit.convert(file, folder, MEAN, STD, HEADS)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_the_command_says_what_to_put_into_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "vit.npz", **timm_tensors())
    (tmp_path / "empty").mkdir()
    arguments = [str(tmp_path / "vit.npz"), str(tmp_path / "empty"), "--mean", "0.5", "--std", "0.5", "--heads", "2"]
    assert main(["convert-encoder", *arguments]) == 0
    out = capsys.readouterr().out
    assert f'backbone = "hub:{tmp_path / "empty"}"\nsize = 32\nfeature_blocks = ["block1..block2", "class"]' in out
    assert main(["convert-encoder", *arguments]) == 2
    assert "this exists" in capsys.readouterr().err
