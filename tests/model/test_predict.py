import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from artdetect import compute, evaluate
from artdetect.artifacts import file_names, registry, store
from artdetect.core.errors import ModelError
from artdetect.evaluate.config import EvaluateConfig
from artdetect.model import choice, predict
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.onnx_runtime import Graph
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from tests.index.test_listing import nest_too_deep
from tests.model.test_detector import net_with_all_outputs
from tests.tiny_dataset import jpeg, write

pytestmark = pytest.mark.bits


@pytest.fixture
def detector(model: Path) -> Detector:
    return Detector.load(model)


def paths_of(verdicts: list[predict.Verdict]) -> list[str]:
    return [verdict.path for verdict in verdicts]


# --- finding pictures ---


def test_folders_are_searched_whole_and_sorted_and_relative_paths_stay_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.jpg", "a.JPG", "sub/c.webp", "sub/deeper/d.png", "notes.txt", "._a.jpg"):
        write(tmp_path / "in" / name, b"x")
    monkeypatch.chdir(tmp_path)
    found = list(predict.find_pictures([Path("in")]))
    assert found == [Path("in", name) for name in ("a.JPG", "b.jpg", "sub/c.webp", "sub/deeper/d.png")]


def test_a_named_file_counts_whatever_its_name_and_the_given_order_stays(tmp_path: Path) -> None:
    write(tmp_path / "odd.bin", b"x")
    write(tmp_path / "in" / "a.jpg", b"x")
    sources = [tmp_path / "odd.bin", tmp_path / "in", tmp_path / "absent.jpg"]
    assert list(predict.find_pictures(sources)) == [sources[0], tmp_path / "in" / "a.jpg", sources[2]]


def test_paths_may_be_strings_as_in_a_notebook(tmp_path: Path, detector: Detector, model: Path) -> None:
    file = write(tmp_path / "in" / "a.jpg", jpeg(1))
    assert list(predict.find_pictures([str(file.parent)])) == [file]
    assert list(predict.predict(detector, [str(file)])) == list(predict.predict(detector, [file]))
    assert predict.find_model(str(model)).digest == detector.digest


def test_a_link_back_does_not_hang(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.jpg", b"x")
    (tmp_path / "in" / "loop").symlink_to("..")
    assert list(predict.find_pictures([tmp_path / "in"])) == [tmp_path / "in" / "a.jpg"]


def test_a_folder_that_cannot_be_listed_is_a_row_with_an_error(tmp_path: Path, detector: Detector) -> None:
    write(tmp_path / "in" / "a.jpg", jpeg(1))
    nest_too_deep(tmp_path / "in")
    good, bad = predict.predict(detector, predict.find_pictures([tmp_path / "in"]))
    assert good.error is None
    assert bad.path.startswith(f"{tmp_path}/in/ddd")
    assert bad.error


# --- verdicts ---


def test_a_bad_file_is_a_row_and_the_others_get_verdicts(tmp_path: Path, detector: Detector) -> None:
    contents = {"a.jpg": jpeg(1), "b.jpg": b"", "c.jpg": b"<html>", "d.jpg": jpeg(2)[:-100], "e.jpg": jpeg(3)}
    for name, content in contents.items():
        write(tmp_path / name, content)
    rows = list(predict.predict(detector, [*predict.find_pictures([tmp_path]), tmp_path / "absent.jpg", tmp_path]))
    assert [Path(row.path).name for row in rows[:5]] == list(contents)
    assert [row.error is None for row in rows] == [True, False, False, False, True, False, False]
    for row in rows:
        assert row.model == detector.id
        if row.error:
            assert {row.verdict, row.reason, row.p_ai, row.predicted, row.novelty, row.generator} == {None}
            assert row.error.startswith(f"{row.path}: ")
        else:
            assert row.predicted == ("AI" if row.p_ai >= detector.rule.threshold else "human")
            assert (row.verdict, row.reason) == ("unsure", "too small")  # 24 px


def test_rows_hold_the_scores_and_what_the_rule_makes_of_them(tmp_path: Path) -> None:
    """For pictures from human to AI. The last one is unlike the others."""
    families, rule = ("reds", "greens", "blues"), DecisionRule(0.5, 0.25, 0.75, 0.4)
    detector = Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, rule, families)
    colours = {"a": (20, 220, 10), "b": (100, 120, 10), "c": (120, 100, 10), "d": (220, 20, 10), "e": (220, 170, 255)}
    for name, colour in colours.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    rows = list(predict.predict(detector, predict.find_pictures([tmp_path])))
    assert [row.verdict for row in rows] == ["human", "unsure", "unsure", "AI", "unsure"]
    near, unlike = "near the threshold", "unlike the training art"
    assert [row.reason for row in rows] == ["sure", near, near, "sure", unlike]
    assert [row.predicted for row in rows] == ["human", "human", "AI", "AI", "AI"]
    assert [row.generator for row in rows] == [None, None, "other", "reds", "other"]
    assert [row.novelty for row in rows] == pytest.approx([10 / 255] * 4 + [1], rel=1e-4)
    logits = [10 * (red - green) / 255 for red, green, _ in colours.values()]
    assert [row.p_ai for row in rows] == pytest.approx(1 / (1 + np.exp(np.negative(logits))), abs=1e-4)
    assert list(rows[0].as_dict()) == [
        "path", "verdict", "reason", "p_ai", "model", "error", "predicted", "novelty", "generator", "native_crops",
        "ai_region", "ai_area", "human_region",
    ]  # fmt: skip


def test_thumbnails_and_pictures_of_one_colour_are_unsure_with_their_reason(tmp_path: Path) -> None:
    """Their p(AI) is that of any picture. The size is that of the file, before pictures are resized and turned."""
    rule = DecisionRule(min_side=32, min_contrast=2.0)
    detector = Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, rule, ("a", "b", "c"))
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    pictures = {
        "16x16.jpg": jpeg(1, side=16), "200x20.png": None, "300x300.jpg": jpeg(2, side=300),
        "one colour.png": None, "turned.jpg": jpeg(3, side=64, exif=turned), "two greys.png": None,
    }  # fmt: skip
    Image.fromarray(np.random.default_rng(4).integers(0, 256, (20, 200, 3), np.uint8)).save(tmp_path / "200x20.png")
    Image.new("RGB", (100, 100), (250, 20, 10)).save(tmp_path / "one colour.png")
    Image.fromarray(np.full((100, 100), 90, np.uint8) + np.arange(100, dtype=np.uint8) // 50).save(
        tmp_path / "two greys.png"
    )
    for name, content in pictures.items():
        if content:
            write(tmp_path / name, content)
    rows = {Path(row.path).name: row for row in predict.predict(detector, [tmp_path / name for name in pictures])}
    assert {name: row.reason for name, row in rows.items()} == {
        "16x16.jpg": "too small", "200x20.png": "too small", "300x300.jpg": "sure",
        "one colour.png": "flat", "turned.jpg": "sure", "two greys.png": "flat",
    }  # fmt: skip
    for name, row in rows.items():
        assert row.verdict == (row.predicted if row.reason == "sure" else "unsure")
        assert row.p_ai == detector.p_ai(images.load(tmp_path / name, detector.geometry)[None])[0]


def test_only_bad_files_and_no_files_are_no_crash(tmp_path: Path, detector: Detector) -> None:
    (row,) = predict.predict(detector, [tmp_path / "absent.jpg"])
    assert row.error
    assert list(predict.predict(detector, [])) == []


def test_a_thousand_pictures_are_one_pass_each_spread_over_workers(
    tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    call = Graph.__call__

    def counting(self: Graph, arrays: np.ndarray) -> object:
        calls.append(len(arrays))
        return call(self, arrays)

    content = [jpeg(seed, side=8) for seed in range(20)]
    files = [write(tmp_path / f"{number:04d}.jpg", content[number % 20]) for number in range(1000)]
    with monkeypatch.context() as patch:
        patch.setattr(Graph, "__call__", counting)
        rows = list(predict.predict(detector, files))
    assert paths_of(rows) == [str(file) for file in files]
    assert sum(calls) == 1000
    assert max(calls) == compute.WORKER_CHUNK
    expected = detector.p_ai(np.stack([images.load(file, detector.geometry) for file in files[:20]]))
    assert [row.p_ai for row in rows] == list(expected) * 50


def test_pictures_are_read_only_as_they_are_needed(tmp_path: Path, detector: Detector) -> None:
    """For a folder of any size: at most what workers judge ahead is taken before the first verdict."""
    file, taken = write(tmp_path / "a.jpg", jpeg(1)), []

    def endless():
        while True:
            taken.append(1)
            yield file

    verdicts = predict.predict(detector, endless())
    next(verdicts)
    assert len(taken) <= compute.PREFETCH * compute.processors() * compute.WORKER_CHUNK


def test_a_picture_gets_the_p_it_got_in_the_evaluation(
    trained: Path, model: Path, detector: Detector, tmp_path: Path
) -> None:
    pictures = trained / "data" / "raw" / "art"
    folders = (trained / "artifacts" / stage / "k1" for stage in ("index", "audit", "balance"))
    evaluate.run(EvaluateConfig(bootstrap_resamples=100, robustness_pictures=0), *folders, model, pictures, tmp_path)
    evaluated = pd.read_parquet(tmp_path / "predictions.parquet")
    rows = list(predict.predict(detector, [pictures / path for path in evaluated.path]))
    for column in ("p_ai", "verdict", "reason"):
        assert [getattr(row, column) for row in rows] == list(evaluated[column])


@pytest.mark.parametrize("options", [{}, {"side": 300}, {"side": 7, "quality": 30}])
def test_a_path_and_its_bytes_are_the_same_pixels(tmp_path: Path, detector: Detector, options: dict) -> None:
    """The notebook's upload path scaled twice."""
    file = write(tmp_path / "a.jpg", jpeg(5, **options))
    one, other = (images.load(source, detector.geometry) for source in (file, file.read_bytes()))
    np.testing.assert_array_equal(one, other)
    assert one.max() > 1


# --- which model ---


def test_a_model_is_found_by_folder_by_file_and_as_the_newest(model: Path) -> None:
    ids = {predict.find_model(path).id for path in (model, model / file_names.MODEL, None)}
    assert len(ids) == 1


def test_the_champion_comes_before_the_newest(model: Path, roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "artifacts"))
    shutil.copytree(model, first := roots / "artifacts" / "train" / "k1")
    registry.promote("k1", {}, "me", "the only one")
    with store.build("train", "k2", {}) as out:
        shutil.copy(model / file_names.MODEL, out)
        (out / "more").write_text("another digest")
    assert store.newest("train") == store.load("train", "k2")
    assert choice.choose().path == first
    assert predict.find_model().digest == Detector.load(first).digest
    shutil.rmtree(first)
    with pytest.raises(ModelError, match=r"the champion, train/k1, cannot be used: missing"):
        predict.find_model()


def test_no_model_yet_says_how_to_get_one(roots: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model yet\. Train one with `artdetect run`"):
        predict.find_model()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path}/absent: no such model"):
        predict.find_model(tmp_path / "absent")


def test_a_damaged_newest_model_is_not_used(model: Path, roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(model, roots / "artifacts" / "train" / "k1")
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "artifacts"))
    with (roots / "artifacts" / "train" / "k1" / file_names.MODEL).open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"\0")
    with pytest.raises(ModelError, match="there is no model yet"):
        predict.find_model()
