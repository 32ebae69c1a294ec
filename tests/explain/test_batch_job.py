"""Any folder of pictures: the outputs, what is done again, and the cost of a kill, a full disk or a bad file."""

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from platform import node
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import starter
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError, DataError, StorageError
from artdetect.explain import explanation as explanations
from artdetect.explain import figures
from artdetect.explain.batch_job import ExplanationJob, chunks
from artdetect.explain.config import ExplainConfig
from artdetect.explain.explained_pictures import ExplainedPicture, explain, title
from artdetect.explain.result_shards import verdict
from artdetect.model import predict
from artdetect.model.detector import Detector
from artdetect.pictures import images
from tests import PROJECT
from tests.model.test_cached_scores import detector as small_detector
from tests.tiny_dataset import jpeg, write

CHEAP = ExplainConfig(method="gradcam", quality_pictures=0)
PROGRAM = """
import sys
from pathlib import Path
from platform import node
from artdetect.explain.config import ExplainConfig

from artdetect.explain.batch_job import ExplanationJob, chunks
from artdetect.model.predict import find_model

source, model, out = map(Path, sys.argv[1:])
job = ExplanationJob(find_model(model), ExplainConfig(steps=2, algorithm="fast"), out)
for chunk in chunks(job.pending([source]), 2):
    for row in job.explain(chunk):
        print(row["path"], flush=True)
        sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def detector(trained: Path) -> Detector:
    return Detector.load(trained / "artifacts" / "train" / "k1")


@pytest.fixture
def source(roots: Path) -> Path:
    """Three pictures, one in a folder."""
    for number, name in enumerate(("a.jpg", "b.jpg", "deep/er/a.jpg")):
        write(roots / "in" / name, jpeg(number))
    return roots / "in"


def run(detector: Detector, out: Path, *sources: Path, config: ExplainConfig = CHEAP, size: int = 64) -> list[str]:
    """A whole run: the names of the pictures that it explained, or their errors."""
    job = ExplanationJob(detector, config, out)
    rows = [row for chunk in chunks(job.pending(sources), size) for row in job.explain(chunk)]
    job.finish()
    return [row["error"] or row["name"] for row in rows]


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "explanations.parquet").set_index("name", drop=False)


def cached() -> dict[Path, int]:
    """The explanations in the cache, and when they were computed."""
    return {path: path.stat().st_mtime_ns for path in (paths.cache() / "attributions").glob("*.npz")}


def test_a_folder_becomes_figures_arrays_a_table_a_sheet_and_a_check(detector: Detector, source: Path) -> None:
    out = source.parent / "out"
    config = ExplainConfig(method="xrai", steps=2, algorithm="fast", quality_pictures=2)
    assert run(detector, out, source, config=config) == ["a", "b", "deep/er/a"]
    rows = table(out)
    assert rows.error.isna().all()
    assert np.isfinite(rows[["p_ai", "score", "completeness_error", "top_share"]]).all(axis=None)
    for row in rows.itertuples():
        assert images.decode(out / f"{row.name}.png").width == figures.WIDTH
        found = explanations.load(out / f"{row.name}.npz")
        assert (found.score, found.config["steps"]) == (row.score, 2)
        assert row.top_share == pytest.approx((found.region_map > 0).mean())
        assert row.caption == figures.caption(found)
    assert images.decode(out / "sheet.png").width == figures.WIDTH
    assert json.loads((out / "quality.json").read_text())["pictures"] == 2
    assert not [*out.rglob("*.tmp")]


def test_what_is_no_picture_is_a_row_with_its_error_and_the_rest_goes_on(detector: Detector, source: Path) -> None:
    write(source / "broken.jpg", jpeg(7)[:-200])
    write(source / "empty.jpg", b"")
    write(source / "text.jpg", b"no picture at all")
    write(source / os.fsdecode(b"caf\xe9.jpg"), jpeg(8))
    for name, size in {"dot.png": (1, 1), "line.png": (400, 1), "small.png": (20, 9)}.items():
        Image.new("RGB", size, (9, 99, 199)).save(source / name)
    out = source.parent / "out"
    found = run(
        detector, out, source, source / "absent.jpg", config=ExplainConfig(steps=2, quality_pictures=0, scale="own")
    )
    errors = table(out).set_index("path").error.dropna()
    assert [Path(path).name for path in errors.index] == [
        "absent.jpg", "broken.jpg", r"caf\udce9.jpg", "empty.jpg", "text.jpg"
    ]  # fmt: skip
    assert set(errors) < set(found)
    assert "truncated" in errors[str(source / "broken.jpg")]
    assert "rename it" in errors.iloc[2]
    assert {path.stem for path in out.glob("*.npz")} == {"a", "b", "dot", "line", "small"}
    assert table(out).name.dropna().tolist() == ["a", "b", "deep/er/a", "dot", "line", "small"]


def test_pictures_named_alone_of_one_stem_or_like_the_sheet_have_names_of_their_own_and_one_content_is_computed_once(
    detector: Detector, roots: Path
) -> None:
    for name in ("a.jpg", "a.png", "else/a.jpg", "sheet.jpg"):
        write(roots / "in" / name, jpeg(1))
    out, named = roots / "out", [roots / "in" / "a.jpg", roots / "in" / "else" / "a.jpg"]
    assert run(detector, out, *named, named[0]) == ["a", "a-2"]
    assert run(detector, out, roots / "in") == ["a-3", "sheet-2"]
    assert len(cached()) == 1
    assert images.decode(out / "sheet.png").size != images.decode(out / "sheet-2.png").size


@pytest.mark.slow
def test_killed_in_the_midst_the_next_run_computes_what_is_missing_and_ends_with_the_same_bytes(
    detector: Detector, trained: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        write(roots / "in" / f"{number}.jpg", b"" if number == 1 else jpeg(number))
    source, out = roots / "in", roots / "out"
    model = trained / "artifacts" / "train" / "k1"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, source, model, out],
        cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        for _ in range(3):
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline()
            print(file=process.stdin, flush=True)
        assert process.stdout.readline()
        process.kill()
    before = cached()
    assert len(before) == 3
    half = [write(out / "deep" / f".{node()}-{writer}-1.tmp", b"half") for writer in (process.pid, os.getpid())]
    config = ExplainConfig(steps=2, algorithm="fast", quality_pictures=0)
    assert run(detector, out, source, config=config, size=2)[1:] == ["2", "3", "4", "5"]
    assert len(cached()) == 5
    assert before.items() <= cached().items()
    assert [path.exists() for path in half] == [False, True]  # the killed writer's; the other may still be at it
    monkeypatch.setenv("ARTDETECT_DATA", str(roots / "other"))
    run(detector, roots / "unbroken", source, config=config, size=2)
    assert len(cached()) == 5
    for path in ["explanations.parquet", "sheet.png", *(f"{n}.{kind}" for n in (0, 3, 5) for kind in ("npz", "png"))]:
        assert (out / path).read_bytes() == (roots / "unbroken" / path).read_bytes(), path


@pytest.mark.slow
def test_a_run_explains_only_what_was_added_changed_lost_or_mended(detector: Detector, source: Path) -> None:
    out, broken = source.parent / "out", write(source / "c.jpg", b"")
    run(detector, out, source)
    computed = cached()
    assert run(detector, out, source) == [f"{broken}: the file is empty"]
    write(source / "d.jpg", jpeg(20))
    write(source / "b.jpg", jpeg(21))
    (out / "a.png").unlink()
    write(broken, jpeg(22))
    assert run(detector, out, source) == ["a", "b", "c", "d"]
    assert len(cached()) == len(computed) + 3
    assert table(out).error.isna().all()
    (source / "a.jpg").unlink()
    shutil.rmtree(paths.cache())
    (out / "d.npz").unlink()
    assert run(detector, out, source / "b.jpg") == []
    assert table(out).name.tolist() == ["b", "c", "deep/er/a"]  # "d" has lost its arrays, and was not in the sources


def test_its_own_figures_are_no_pictures_to_explain(detector: Detector, source: Path) -> None:
    out = source / "b" / "out"
    assert run(detector, out, source, size=1) == ["a", "b", "deep/er/a"]
    assert run(detector, out, source) == []


def test_a_folder_of_something_else_is_refused_and_one_that_a_killed_run_started_is_not(
    detector: Detector, source: Path
) -> None:
    for name, content in {"x": b"", "explain.json": b"[1]", "notes.json": b"{}"}.items():
        file = write(source.parent / name / name, content)
        with pytest.raises(DataError, match="contains something else"):
            ExplanationJob(detector, CHEAP, file.parent)
        assert [*file.parent.iterdir()] == [file]
    write(source.parent / "out" / ".12-34.tmp", b"{")
    ExplanationJob(detector, CHEAP, source.parent / "out")
    with pytest.raises(DataError, match=r"another scale \(common, now own\)"):
        ExplanationJob(detector, ExplainConfig(method="gradcam", scale="own"), source.parent / "out")


@pytest.mark.slow
def test_a_common_scale_holds_for_all_figures_also_when_pictures_are_added(detector: Detector, source: Path) -> None:
    out, config = (
        source.parent / "out",
        ExplainConfig(method="integrated_gradients", steps=2, quality_pictures=0),
    )
    (source / "b.jpg").unlink()
    run(detector, out, source, config=config)
    scale = check_scale(out)
    before = (out / "a.png").stat().st_mtime_ns
    assert run(detector, out, source, config=config) == []
    assert (out / "a.png").stat().st_mtime_ns == before
    pale = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    Image.fromarray(pale).save(source / "strong.png")
    assert run(detector, out, source, config=config) == ["strong"]
    assert check_scale(out) != scale


def check_scale(out: Path) -> float:
    """The scale of all figures in `out`, each of which is drawn with it."""
    rows = table(out)
    every = {name: explanations.load(out / f"{name}.npz") for name in rows.name}
    scale = figures.common_reach(every.values())
    for name, found in every.items():
        row = rows.loc[name]
        heading = title(verdict(row).words, row.predicted, row.p_ai)
        shown = figures.Entry(images.artwork(Path(row.path), 512), found, heading, Path(row.path).name)
        figures.panels(shown, out / "x.png.expected", scale=scale)
        assert (out / "x.png.expected").read_bytes() == (out / f"{name}.png").read_bytes(), name
    return scale


def test_a_figure_says_when_crops_contributed_to_the_verdict(source: Path) -> None:
    judge, out = replace(small_detector(1), native_crops=2), source.parent / "out"
    write(source / "large.jpg", jpeg(9, side=90))
    write(source / "tiny.jpg", jpeg(9, side=9))
    run(
        judge,
        out,
        source,
        config=ExplainConfig(method="integrated_gradients", steps=2, quality_pictures=0, scale="own"),
    )
    rows = table(out)
    assert rows.native_crops[["large", "tiny"]].tolist() == [2, 0]
    for row in rows.loc[["large", "tiny"]].itertuples():
        heading = title(verdict(row._asdict()).words, row.predicted, row.p_ai, crops=row.native_crops)
        assert ("2 unresized crops" in heading) == (row.name == "large")
        artwork, found = images.artwork(Path(row.path), 512), explanations.load(out / f"{row.name}.npz")
        figures.panels(figures.Entry(artwork, found, heading, Path(row.path).name), out / "expected.png")
        assert (out / "expected.png").read_bytes() == (out / f"{row.name}.png").read_bytes()


def test_the_figure_of_a_mixed_picture_says_and_frames_what_stands_out_also_in_a_later_run(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, out = Detector.load(Path(starter.__file__).with_name("model.npz")), source.parent / "out"
    assert judge.parts
    assert judge.parts.mixed
    anything = replace(judge.parts, mixed=replace(judge.parts.mixed, firmness=0.0))
    judge = replace(judge, parts=anything, rule=replace(judge.rule, novelty=None))
    halves = Image.linear_gradient("L").resize((240, 240)).convert("RGB")
    halves.paste(images.decode(write(source / "noise.jpg", jpeg(0, side=240))).crop((120, 0, 240, 240)), (120, 0))
    halves.save(source / "halves.png")
    config = ExplainConfig(quality_pictures=0)
    run(judge, out, source / "halves.png", config=config)
    (expected,) = predict.predict(judge, [source / "halves.png"])
    assert (expected.verdict, expected.region is None) == ("mixed", False)
    row = table(out).loc["halves"]
    assert verdict(row) == expected
    found = explanations.load(out / "halves.npz")
    artwork = images.artwork(Path(row.path), 512)

    def drawn(frame: Any) -> bytes:
        heading = title(expected.words, row.predicted, row.p_ai)
        shown = figures.Entry(artwork, found, heading, "halves.png", frame)
        figures.panels(shown, out / "expected.png", scale=row.reach)
        return (out / "expected.png").read_bytes()

    assert (out / "halves.png").read_bytes() == drawn(expected.region) != drawn(None)
    sheet = (out / "sheet.png").read_bytes()
    run(judge, out, source / "halves.png", config=config)  # takes the verdict from the table
    assert (out / "sheet.png").read_bytes() == sheet
    monkeypatch.setattr(figures.overlay, "frame", lambda *_: None)
    run(judge, out, source / "halves.png", config=config)
    assert (out / "sheet.png").read_bytes() != sheet


def test_pictures_are_listed_one_after_the_other(detector: Detector, roots: Path) -> None:
    for number in range(50):
        write(roots / "in" / f"{number:02d}.jpg", b"")
    pending = ExplanationJob(detector, CHEAP, roots / "out").pending([roots / "in"])
    assert [picture.name for picture in next(chunks(pending, 2))] == ["00", "01"]
    for path in (roots / "in").glob("1*.jpg"):
        path.write_bytes(b"later")
    assert [picture.size for picture in pending][:10] == [0] * 8 + [5] * 2


def test_a_disk_that_cannot_store_a_figure_is_an_error_and_the_next_run_goes_on(
    detector: Detector, source: Path
) -> None:
    out = source.parent / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        with pytest.raises(StorageError, match="ulimit"):
            run(detector, out, source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [*out.rglob("*.png"), *out.rglob("*.tmp")]
    assert run(detector, out, source) == ["a", "b", "deep/er/a"]


def pictures_in(source: Path) -> list[ExplainedPicture]:
    from artdetect.core import digests

    found = sorted(source.rglob("*.jpg"))
    return [ExplainedPicture(path, digests.file_digest(path), path.stem, "", 0) for path in found]


def scores(detector: Detector, config: ExplainConfig, chosen: list[ExplainedPicture]) -> list[float | str]:
    found = explain(detector, config.explainer(detector), config, chosen)
    return [str(one) if isinstance(one, ArtdetectError) else one.score for one in found]


def test_a_picture_that_goes_or_changes_meanwhile_is_an_error_in_its_place(detector: Detector, source: Path) -> None:
    for number, name in enumerate(("c.jpg", "d.jpg", "e.jpg"), 30):
        write(source / name, jpeg(number))
    chosen = pictures_in(source)
    expected = scores(detector, CHEAP, chosen)
    shutil.rmtree(paths.cache())
    for gone in ("a.jpg", "c.jpg", "e.jpg"):
        (source / gone).unlink()
    write(source / "d.jpg", jpeg(1))
    found = scores(detector, CHEAP, chosen)
    assert [number for number, one in enumerate(found) if isinstance(one, float)] == [1, 4]
    assert (found[1], found[4]) == (expected[1], expected[4])
    assert "no such file" in str(found[0])
    assert "changed" in str(found[3])


def test_a_damaged_explanation_in_the_cache_is_computed_anew(detector: Detector, source: Path) -> None:
    chosen = pictures_in(source)
    expected = scores(detector, CHEAP, chosen)
    damaged = min(cached())
    damaged.write_bytes(b"PK torn")
    assert scores(detector, CHEAP, chosen) == expected
    assert explanations.load(damaged).score in expected


def test_explanations_of_other_settings_are_others(detector: Detector, source: Path) -> None:
    Image.new("RGB", (300, 200)).save(source / "a.jpg")
    (picture, *_) = pictures_in(source)
    for config in (CHEAP, CHEAP.model_copy(update={"resolution": 100})):
        (found,) = explain(detector, config.explainer(detector), config, [picture])
        assert isinstance(found, explanations.Explanation)
        assert max(found.heatmap.shape) == min(300, config.resolution)
