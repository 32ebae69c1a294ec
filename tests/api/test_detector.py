"""Verdicts and explanations from Python."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import artdetect
from artdetect import Detector, starter
from artdetect.api.detector import COLUMNS
from artdetect.artifacts import registry
from artdetect.core import installing
from artdetect.core.errors import ConfigError, DataError, ModelError, PictureError
from artdetect.explain import evidence_figures
from artdetect.model import predict
from artdetect.pictures import images
from artdetect.pictures.labels import CLASSES
from tests.tiny_dataset import jpeg, write


@pytest.fixture
def detector(model: Path) -> Detector:
    return Detector.load()


@pytest.fixture
def folder(unpacked: Path) -> Path:
    """A folder of drawn pictures."""
    return next(path for path in sorted((unpacked / "test").iterdir()) if path.is_dir())


def test_the_model_is_the_one_that_the_commands_use(detector: Detector, model: Path) -> None:
    assert (detector.role, detector.key, detector.id) == ("newest", "k1", artdetect.find_model().id)
    assert repr(detector) == f"<Detector model {detector.id}: the newest own one, train/k1>"
    assert (named := Detector.load(str(model))).id == detector.id
    assert named.role == "named"
    with pytest.raises(ModelError, match="no such model"):
        Detector.load("absent.keras")


def test_a_folder_is_a_table_with_the_rows_of_predict(detector: Detector, folder: Path) -> None:
    table = detector.predict(folder)
    rows = [row.as_dict() for row in artdetect.predict(detector.model, artdetect.find_pictures([folder]))]
    assert list(table.columns) == COLUMNS
    assert len(table) > 2
    pd.testing.assert_frame_equal(table, pd.DataFrame(rows))
    pd.testing.assert_frame_equal(detector.predict(str(folder)), table)
    pd.testing.assert_frame_equal(detector.predict(f"{folder}/*"), table)
    pd.testing.assert_frame_equal(detector.predict(list(table.path)), table)
    pd.testing.assert_frame_equal(detector.predict(table.path), table)


def test_pictures_in_memory_are_judged_as_the_same_pixels_on_disk(
    detector: Detector, folder: Path, tmp_path: Path
) -> None:
    pictures = [images.decode(path) for path in sorted(folder.iterdir())[:3]]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    expected = detector.predict(tmp_path).p_ai
    arrays = [np.asarray(picture) for picture in pictures]
    for given in (pictures, arrays, np.stack(arrays)):
        table = detector.predict(given)
        pd.testing.assert_series_equal(table.p_ai, expected)
        assert list(table.path) == ["picture 0", "picture 1", "picture 2"]
    mixed = detector.predict([arrays[0], tmp_path / "1.png", Image.open(tmp_path / "2.png")])
    pd.testing.assert_series_equal(mixed.p_ai, expected)
    assert list(mixed.path) == ["picture 0", f"{tmp_path}/1.png", f"{tmp_path}/2.png"]
    grey = detector.predict(pictures[0].convert("L")).p_ai
    assert grey[0] == detector.predict(pictures[0].convert("L").convert("RGB")).p_ai[0]


def test_a_picture_that_cannot_be_read_is_a_row(detector: Detector, folder: Path, tmp_path: Path) -> None:
    broken = write(tmp_path / "broken.jpg", b"<html>")
    table = detector.predict([broken, next(folder.iterdir()), tmp_path / "absent.jpg"])
    assert list(table.error.isna()) == [False, True, False]
    with pytest.raises(PictureError, match="web page"):
        detector.explain(broken)


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (3, "int"),
        (None, "NoneType"),
        (b"jpeg", "bytes"),
        (np.zeros((8, 8, 3), np.float32), r"an array float32 \[8, 8, 3\]"),
        (np.zeros((8, 8), np.uint8), r"an array uint8 \[8, 8\]"),
        ([np.zeros((3, 8, 8), np.uint8)], r"an array uint8 \[3, 8, 8\]"),
        ({"a": 1}, "dict"),
    ],
)
def test_something_else_is_an_error_that_names_what_is_taken(detector: Detector, given: object, received: str) -> None:
    with pytest.raises(TypeError, match=rf"expected a path, a folder, .* or a list of these\. Received: {received}$"):
        detector.predict(given)


BASE_INSTALL = """
import sys
from artdetect.core.errors import EXTRAS
for modules in EXTRAS.values():
    sys.modules.update(dict.fromkeys(modules))  # as where they are not installed
import artdetect
detector, picture = artdetect.Detector.load(), sys.argv[1]
uses = lambda: detector.predict(picture), lambda: detector.explain(picture, resolution=256), artdetect.status
for use in uses:
    try:
        use()
    except artdetect.ArtdetectError as error:
        print(type(error).__name__, error)
print(*(row.model for row in artdetect.predict(detector.model, [picture])))
"""


def test_where_extras_are_not_installed_one_line_says_what_to_install(detector: Detector, folder: Path) -> None:
    picture = next(artdetect.find_pictures([folder]))
    command = [sys.executable, "-c", BASE_INSTALL, str(picture)]
    *lines, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "MissingExtra this needs pandas of the extra `pipeline`",
        "MissingExtra this needs numba of the extra `explain`",
        "MissingExtra this needs pandas of the extra `pipeline`",
    ]
    assert [line.partition(": ")[2] for line in lines[:2]] == [
        installing.extra("pipeline"),
        installing.extra("explain"),
    ]
    assert last == detector.id


EVIDENCE_ALONE = """
import json, sys
from artdetect.core.errors import EXTRAS
for modules in EXTRAS.values():
    sys.modules.update(dict.fromkeys(modules))  # as where they are not installed
import artdetect
from artdetect.model.onnx_runtime import Graph
passes, plain = [], Graph.__call__
Graph.__call__ = lambda graph, arrays: (passes.append(arrays.ndim), plain(graph, arrays))[1]
detector = artdetect.Detector.load("starter")
passes.clear()
explained = detector.explain(sys.argv[1])
assert passes.count(4) == 1, passes
explained.save(sys.argv[2])
(row,) = artdetect.predict(detector.model, [sys.argv[1]])
assert explained.verdict == row.as_dict()
try:
    detector.explain(sys.argv[3])
except artdetect.ArtdetectError as error:
    print(error)
shown = explained.explanation
print(json.dumps([shown.heatmap.tolist(), shown.target, shown.score, row.p_ai]))
"""


@pytest.mark.usefixtures("roots")
def test_without_the_extras_an_explanation_is_the_evidence_of_the_pass_that_gives_the_verdict(tmp_path: Path) -> None:
    picture, figure = write(tmp_path / "a.jpg", jpeg(1, side=240)), tmp_path / "figure.png"
    broken = write(tmp_path / "b.jpg", b"<html>")
    command = [sys.executable, "-c", EVIDENCE_ALONE, *map(str, (picture, figure, broken))]
    environment = {name: value for name, value in os.environ.items() if name != "ARTDETECT_STARTER"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    problem, last = done.stdout.splitlines()
    assert problem.startswith(f"{broken}: ")
    heatmap, target, score, p_ai = json.loads(last)
    detector = predict.find_model(Path(starter.__file__).with_name("model.npz"))
    margin = detector.evidence(images.load(picture, detector.geometry)[None]).margin[0]
    sign = 1 if CLASSES[target] == "AI" else -1
    np.testing.assert_array_equal(sign * np.float32(heatmap), margin)
    assert score == pytest.approx(sign * np.log(p_ai / (1 - p_ai)))
    assert Image.open(figure).width >= evidence_figures.WIDTH


def test_nothing_is_an_error(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no pictures in"):
        detector.predict(tmp_path)
    with pytest.raises(DataError, match="no file has such a name"):
        detector.predict(f"{tmp_path}/*.jpg")


def test_an_explanation_shows_its_figure(detector: Detector, folder: Path, tmp_path: Path) -> None:
    path = next(folder.iterdir())
    explained = detector.explain(path, method="gradcam")
    assert explained.verdict == detector.predict(path).iloc[0].replace({np.nan: None}).to_dict()
    assert explained._repr_png_().startswith(b"\x89PNG")
    assert explained.figure.width > 3 * 256
    assert np.isfinite(explained.explanation.heatmap).all()
    explained.save(tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size == explained.figure.size
    again = detector.explain(images.decode(path), method="gradcam")
    assert again.verdict["path"] == "picture 0"
    assert repr(again).startswith("<ExplainedVerdict picture 0: ")


def test_a_setting_that_is_none_is_one_line(detector: Detector, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^explain: stepps: Extra inputs are not permitted$"):
        detector.explain(next(folder.iterdir()), stepps=3)
    with pytest.raises(DataError, match="expected one picture, received several"):
        detector.explain(folder)


def test_a_notebook_shows_what_one_must_know_of_the_model(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = detector._repr_html_()
    assert detector.id in shown
    assert "demonstration" not in shown
    said = {**detector.model.metadata, "notice": "Drawn <b>by a program</b>.", "demonstration": True}
    demo = Detector(replace(detector.model, metadata=said), "demo")
    assert "Drawn &lt;b&gt;by a program&lt;/b&gt;." in demo._repr_html_()
    assert "A demonstration: its verdicts mean nothing" in demo._repr_html_()


def test_a_promotion_changes_what_is_loaded(model: Path, roots: Path, trained: Path) -> None:
    import shutil

    shutil.copytree(trained / "artifacts", roots / "artifacts")
    registry.promote("k1", {}, "me", "to try it")
    assert Detector.load().role == "champion"
