"""Verdicts by ONNX Runtime: the model's, the same bits whatever else the machine does, and never another model's."""

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from artdetect.artifacts import file_names
from artdetect.core.errors import ModelError
from artdetect.model import choice, runtime
from artdetect.model.card import read_card
from artdetect.model.decision import logit
from artdetect.model.detector import Detector
from artdetect.model.onnx_runtime import ENTRY
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from tests import PROJECT
from tests.model.test_detector import net_with_all_outputs
from tests.model.test_head_file import PIXELS, arrays, made
from tests.tiny_dataset import jpeg, write

GRAPHS = ("model.onnx", "backbone.onnx", "head.onnx")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a model with a frozen part: artnet's, with a random head."""
    folder = tmp_path_factory.mktemp("artifact")
    assert made().write(folder) is None
    return folder


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    for file in artifact.iterdir():
        write(tmp_path / "copy" / file.name, file.read_bytes())
    return tmp_path / "copy"


def of_tensorflow(folder: Path) -> Detector:
    """The same model without its graphs."""
    (folder / "head.onnx").unlink()
    return Detector.load(folder)


# --- what it computes ---


def test_the_logits_are_those_of_tensorflow(copy: Path) -> None:
    mine = Detector.load(copy)
    its = of_tensorflow(copy)
    assert (mine.runtime.name, its.runtime.name) == ("onnxruntime", "tensorflow")
    found, expected = mine.scores(PIXELS), its.scores(PIXELS)
    np.testing.assert_allclose(logit(found.p_ai), logit(expected.p_ai), atol=1e-4)
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert mine.id == its.id


def test_no_bit_depends_on_neighbours_order_threads_or_process(artifact: Path) -> None:
    detector = Detector.load(artifact)
    together = detector.scores(PIXELS)
    backwards = detector.scores(PIXELS[::-1])
    with ThreadPoolExecutor(4) as threads:
        alone = list(threads.map(lambda row: detector.scores(PIXELS[row : row + 1]), [*range(len(PIXELS))] * 8))
    sent = pickle.loads(pickle.dumps(detector)).scores(PIXELS)
    for name in ("p_ai", "novelty", "generators", "embedding"):
        expected = getattr(together, name)
        np.testing.assert_array_equal(getattr(backwards, name)[::-1], expected)
        np.testing.assert_array_equal(getattr(sent, name), expected)
        np.testing.assert_array_equal(
            [getattr(one, name)[0] for one in alone], np.tile(expected, (8, *[1] * (expected.ndim - 1)))
        )
    features = detector.features(PIXELS)
    np.testing.assert_array_equal(detector.scores_from_features(features).p_ai, together.p_ai)


def test_nothing_in_nothing_out(artifact: Path) -> None:
    detector = Detector.load(artifact)
    assert detector.scores(PIXELS[:0]).embedding.shape == (0, 24)
    assert detector.features(PIXELS[:0]).shape == (0, detector.frozen.width)


def test_a_model_without_a_frozen_part_has_one_graph(tmp_path: Path) -> None:
    detector = Detector(net_with_all_outputs(), "compact", Geometry(32, "squash"), {}, families=("a", "b", "c"))
    assert detector.write(tmp_path) is None
    assert {file.name for file in tmp_path.iterdir()} == {file_names.MODEL, "model.onnx"}  # this net has no evidence
    loaded = Detector.load(tmp_path)
    pixels = PIXELS[:, :32, :32]
    assert (loaded.runtime.name, loaded.frozen) == ("onnxruntime", None)
    np.testing.assert_allclose(loaded.scores(pixels).p_ai, detector.scores(pixels).p_ai, atol=1e-6)


def test_other_software_gets_all_outputs_from_one_file(artifact: Path) -> None:
    import onnx
    import onnxruntime

    net = onnx.load(artifact / "model.onnx")
    onnx.checker.check_model(net, full_check=True)
    session = onnxruntime.InferenceSession(artifact / "model.onnx")
    names = ["embedding", "generators", "novelty", "probabilities"]
    assert {output.name for output in session.get_outputs()} >= {*names, "evidence"}
    found = dict(zip(names, session.run(names, {"picture": PIXELS.astype(np.float32) / 255}), strict=True))
    np.testing.assert_allclose(found["probabilities"][:, 0], Detector.load(artifact).p_ai(PIXELS), atol=1e-5)


def test_the_evidence_needs_no_tensorflow_and_is_the_same(copy: Path) -> None:
    mine = Detector.load(copy)
    its = of_tensorflow(copy)
    found, expected = mine.evidence(PIXELS), its.evidence(PIXELS)
    for name in ("margin", "additive"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-3)
    np.testing.assert_array_equal(mine.evidence(PIXELS[2:3]).margin[0], found.margin[2])


def test_gradients_still_come_from_the_keras_model(artifact: Path) -> None:
    detector = Detector.load(artifact)
    found = np.asarray(detector.classifier(PIXELS.astype(np.float32) / 255))[:, 0]
    np.testing.assert_allclose(found, detector.p_ai(PIXELS), atol=1e-4)


# --- the files ---


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_a_process_with_another_past(artifact: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import keras; keras.layers.Dense(3)(keras.Input((4,)));"
        "from tests.model.test_head_file import made; made((3,), ()); made().write(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=PROJECT, check=True, capture_output=True)
    assert {file.name for file in artifact.iterdir()} == {file_names.MODEL, *GRAPHS}
    for file in artifact.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_head_file_gives_the_bits_of_the_artifact_it_was_made_from(artifact: Path, tmp_path: Path) -> None:
    detector = Detector.load(artifact)
    detector.save_head(tmp_path / "head.npz")
    loaded = Detector.load(tmp_path / "head.npz")
    assert (loaded.runtime.name, loaded.frozen.id) == ("onnxruntime", detector.frozen.id)
    for mine, its in zip(arrays(loaded.scores(PIXELS)), arrays(detector.scores(PIXELS)), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("graph", ["backbone.onnx", "head.onnx"])
@pytest.mark.parametrize("damage", ["a flipped bit", "another model's"])
def test_a_graph_that_is_damaged_or_of_another_model_is_one_line(copy: Path, graph: str, damage: str) -> None:
    content = bytearray((copy / graph).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "another model's":
        content = bytearray((copy / "model.onnx").read_bytes())
    (copy / graph).write_bytes(content)
    with pytest.raises(
        ModelError, match=f"{copy}/{graph}: it is damaged, or belongs to another model than model.keras"
    ) as error:
        Detector.load(copy)
    assert "\n" not in str(error.value)


def test_model_files_know_their_graphs_by_digest(copy: Path) -> None:
    """So a model's id, the digest of its file, stands for its graphs, too."""
    from artdetect.core.digests import file_digest

    graphs = read_card(copy / file_names.MODEL)[ENTRY]["graphs"]
    assert graphs == {name.removesuffix(".onnx"): file_digest(copy / name) for name in GRAPHS}


def test_a_model_of_an_earlier_version_is_run_by_tensorflow_and_says_so(copy: Path) -> None:
    for name in GRAPHS:
        (copy / name).unlink()
    older = Detector.load(copy)
    assert older.runtime.name == "tensorflow"
    assert (
        choice.introduction(older, "named", None)[-1]
        == f"model {older.id}: it has no ONNX graphs, so TensorFlow answers, which takes longer to start"
    )


# --- caches ---


def test_the_runtimes_never_share_cached_features(copy: Path, roots: Path) -> None:
    from artdetect.model import cached_scores
    from artdetect.model.feature_cache import default_folder
    from artdetect.pictures.pixel_cache import PixelCache
    from tests.model.test_head_file import EXTRACTOR

    mine = Detector.load(copy)
    its = of_tensorflow(copy)
    folders = {cached_scores._folder(detector, PixelCache(mine.geometry).folder, "clean") for detector in (mine, its)}
    assert len(folders) == 2
    assert len({default_folder(EXTRACTOR, 0, name) for name in ("onnxruntime", "tensorflow")}) == 2
    assert {runtime.description(each.runtime)["name"] for each in (mine, its)} == {"onnxruntime", "tensorflow"}


# --- without TensorFlow ---

HEAVY = {"tensorflow", "keras", "prefect", "pyarrow", "numba", "skimage", "pandas", "sklearn", "matplotlib", "onnx"}


@pytest.mark.parametrize("kind", ["artifact", "head file"])
def test_predict_imports_no_package_that_it_does_not_need(kind: str, artifact: Path, tmp_path: Path) -> None:
    model = artifact
    if kind == "head file":
        Detector.load(artifact).save_head(model := tmp_path / "head.npz")
    picture = write(tmp_path / "a.jpg", jpeg(1))
    code = (
        "import sys; from artdetect.cli import main; status = main(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "--model", model, picture], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "onnxruntime" in loaded
    assert not loaded & HEAVY


def test_the_base_install_draws_the_evidence(artifact: Path, tmp_path: Path) -> None:
    """Without the packages of extras, as if they were not installed."""
    write(tmp_path / "in" / "a.jpg", jpeg(1))
    write(tmp_path / "in" / "b.jpg", b"")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split()));"
        "from artdetect.cli import main; sys.exit(main(sys.argv[2:]))"
    )
    arguments = ["explain", "--model", artifact, "--out", tmp_path / "out", tmp_path / "in"]
    command = [sys.executable, "-c", code, " ".join((*HEAVY, "scipy")), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr  # b.jpg is empty
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a.png", "a.json"}
    found = json.loads((tmp_path / "out" / "a.json").read_text())
    assert np.shape(found["evidence"]) == (14, 14)
    assert found["p_ai"] == pytest.approx(
        Detector.load(artifact).p_ai(images.load(tmp_path / "in" / "a.jpg", Geometry(64, "crop"))[None])[0]
    )
