"""Head files: the same model without the backbone's weights, and what a damaged or foreign one says."""

import json
import shutil
import zipfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.model import artnet_model, head_file, keras_model_file
from artdetect.model.artnet_model import Embedding, Head
from artdetect.model.card import read_card
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.extractor import Extractor
from artdetect.model.probabilities import Calibration
from artdetect.model.scores import Scores
from artdetect.pictures.images import Geometry
from tests.tiny_dataset import jpeg

COMPONENTS = 24
EXTRACTOR = Extractor("efficientnet-lite0", ("stem..block2",), Geometry(64, "crop"))
PIXELS = np.random.default_rng(5).integers(0, 256, (6, 64, 64, 3), np.uint8)


def head(*sizes: int) -> Head:
    normal = np.random.default_rng(7).standard_normal
    return Head(tuple((normal(shape, np.float32) / 5, normal(shape[1], np.float32)) for shape in pairwise(sizes)))


@cache
def made(hidden: tuple[int, ...] = (), families: tuple[str, ...] = ("flux", "sd"), views: int = 2) -> Detector:
    """An artnet detector with a random head on the real backbone; features differ in scale by up to 1e6.

    For reading only: it takes a second, so all tests share it.
    """
    random = np.random.default_rng(3)
    features = EXTRACTOR.build().output_shape[-1]
    matrix = random.standard_normal((features, COMPONENTS)) * 10.0 ** random.uniform(-4, 2, (features, 1)) / 100
    embedding = Embedding(random.random(features, np.float32), matrix.astype(np.float32))
    family_head = head(COMPONENTS, *hidden, len(families)) if families else None
    parts = keras_model_file.HeadParts(embedding, head(COMPONENTS, *hidden, 2), family_head, 1.7)
    calibration = Calibration(1.3, 0.02, 0.97)
    net = artnet_model.assemble(EXTRACTOR, parts, calibration, views)
    card = {"temperature": 1.3, "p_min": 0.02, "p_max": 0.97, "notice": "Painted by hand."}
    card |= artnet_model.description(EXTRACTOR, parts, views)
    return Detector(net, "artnet", EXTRACTOR.geometry, card, DecisionRule(0.5, 0.2, 0.8, novelty=3.0), families)


def arrays(scores: Scores) -> list[np.ndarray]:
    return [array for array in (scores.p_ai, scores.novelty, scores.generators, scores.embedding) if array is not None]


@pytest.fixture(scope="module")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made().save_head(file := tmp_path_factory.mktemp("written") / "a.npz")
    return file


@pytest.fixture
def file(written_once: Path, tmp_path: Path) -> Path:
    """The head file of `made`, to be damaged."""
    return shutil.copy(written_once, tmp_path / "a.npz")


@pytest.mark.bits
@pytest.mark.parametrize(
    ("hidden", "families"), [((9, 5), ("flux", "sd")), pytest.param((), (), marks=pytest.mark.slow)]
)
def test_a_float32_head_file_gives_the_bits_of_the_whole_model(
    hidden: tuple[int, ...], families: tuple[str, ...], tmp_path: Path
) -> None:
    made(hidden, families).write(tmp_path)
    whole = Detector.load(tmp_path)
    whole.save_head(tmp_path / "model.npz")
    loaded = Detector.load(tmp_path / "model.npz")
    for mine, its in zip(arrays(loaded.scores(PIXELS)), arrays(whole.scores(PIXELS)), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert len(np.unique(whole.scores(PIXELS).p_ai)) == len(PIXELS)
    assert loaded.frozen.id == whole.frozen.id  # so that both share cached features
    assert (loaded.rule, loaded.families, loaded.geometry) == (whole.rule, whole.families, whole.geometry)
    assert loaded.notice == "Painted by hand."


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.slow
def test_a_loaded_head_file_can_be_saved_as_either_kind(precision: head_file.Precision, tmp_path: Path) -> None:
    made().save_head(tmp_path / "a.npz", precision)
    loaded = Detector.load(tmp_path / "a.npz")
    loaded.save_head(tmp_path / "b.npz", precision)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded.write(tmp_path)
    np.testing.assert_array_equal(Detector.load(tmp_path).p_ai(PIXELS), loaded.p_ai(PIXELS))


@pytest.mark.slow
def test_float16_is_half_as_large_and_moves_no_probability_by_a_thousandth(tmp_path: Path) -> None:
    """Although the weights differ by a factor of a million, which float16 alone could not hold."""
    whole = made()
    whole.save_head(tmp_path / "32.npz")
    whole.save_head(tmp_path / "16.npz", "float16")
    kernels = [zipfile.ZipFile(tmp_path / f"{bits}.npz").getinfo("embedding.kernel.npy") for bits in (16, 32)]
    assert kernels[0].file_size < 0.7 * kernels[1].file_size
    exact, rounded = whole.scores(PIXELS), Detector.load(tmp_path / "16.npz").scores(PIXELS)
    assert 0 < np.abs(rounded.p_ai - exact.p_ai).max() < 1e-3
    np.testing.assert_allclose(rounded.novelty, exact.novelty, rtol=2e-3)


def test_it_holds_no_weight_of_the_backbone(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == [
            "artdetect.json",
            "backbone.onnx",
            *(f"embedding.{kind}.npy" for kind in ("bias", "kernel")),
            *(f"families.{kind}.npy" for kind in ("bias", "kernel")),
            "head.onnx",
            *(f"logits.{kind}.npy" for kind in ("bias", "kernel")),
            "model.onnx",
        ]
    made().save(tmp_path / "a.keras")
    assert file.stat().st_size < (tmp_path / "a.keras").stat().st_size / 2


def test_further_entries_and_arrays_come_back_and_name_the_model(tmp_path: Path) -> None:
    posterior = np.arange(9, dtype=np.float32).reshape(3, 3)
    replace(made(), metadata={**made().metadata, "name": "starter"}).save_head(
        tmp_path / "a.npz", extra={"posterior": posterior}
    )
    assert Detector.load(tmp_path / "a.npz").id.startswith("starter-")
    (name, array), *none = head_file.extra_arrays(tmp_path / "a.npz").items()
    assert (name, none) == ("posterior", [])
    np.testing.assert_array_equal(array, posterior)


def test_only_an_artnet_model_on_the_packages_weights_has_a_head_file(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a head file needs a model of preset artnet"):
        Detector.load(model).save_head(tmp_path / "a.npz")
    metadata = deepcopy(made().metadata)
    metadata["net"]["weights"] = "0123456789"
    own = replace(made(), metadata=metadata)
    with pytest.raises(ModelError, match="weights of its own"):
        own.save_head(tmp_path / "a.npz")


def test_another_backbone_is_refused(file: Path) -> None:
    card = read_card(file)
    card["net"]["backbone_sha256"] = "0" * 64
    tensors = card["net"]["tensors"]["backbone"]
    card["net"]["tensors"]["backbone"] = dict.fromkeys(tensors, "0" * 64)
    changed(file, "artdetect.json", json.dumps(card).encode())
    for load in (Detector.load, lambda path: keras_model_file.load(path, card)):
        with pytest.raises(ModelError, match="another version of the backbone efficientnet-lite0"):
            load(file)


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("logits.kernel.npy", None),
        ("embedding.bias.npy", None),
        ("logits.kernel.npy", b"\x93NUMPY"),
        ("logits.kernel.npy", jpeg(1)),
    ],
)
def test_a_damaged_file_is_named(member: str, content: bytes | None, file: Path) -> None:
    changed(file, member, content)
    with pytest.raises(ModelError, match=f"{file}: "):
        Detector.load(file)


def changed(path: Path, member: str, content: bytes | None) -> None:
    """Rewrite a zip with another content of a member, or without it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {member: content}
    with zipfile.ZipFile(path, "w") as archive:
        for name, its in members.items():
            if its is not None:
                archive.writestr(name, its)
