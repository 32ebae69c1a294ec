"""The gate as a whole, with models that load, golden pictures that are judged, and the page for people."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from artdetect import gate
from artdetect.core import digests
from artdetect.gate import Candidate, golden
from artdetect.gate.config import GateConfig
from artdetect.model.detector import Detector
from tests.gate.synthetic_artifacts import artifacts, worn
from tests.tiny_dataset import jpeg, write

GROUPS = {
    "test/AI_SD_dots": (40, 36, 36),
    "test/dots": (40, 36, 36),
    "incoming/AI/flux|1": (10, 3, 8),
    "incoming/human/met": (5, 4, 4),
}


@pytest.fixture
def cases(tmp_path: Path, model: Path) -> Path:
    """A folder with one case that the model calls right, one that it calls wrong, one broken and one file beside."""
    detector, folder = Detector.load(model), tmp_path / "golden"
    content = jpeg(1, base=180)
    from artdetect.pictures import images

    called = str(detector.rule.called(detector.p_ai(images.load(content, detector.geometry)[None]))[0])
    other = "human" if called == "AI" else "AI"
    for name in (f"{called}/right.jpg", f"{other}/deeper/wrong.jpg"):
        write(folder / name, content)
    write(folder / "AI" / "broken.png", b"no picture")
    write(folder / "stray.jpg", content)
    write(folder / "AI" / ".hidden.jpg", content)
    return folder


def run(
    tmp_path: Path,
    model: Path,
    cases: Path,
    champion: bool = True,
    learnt: tuple[str, ...] | None = (),
    alike: tuple[str, ...] = (),
) -> dict:
    """The judgement; `learnt`: contents that the champion learnt from, `alike`: paths that look alike."""
    made = artifacts(tmp_path / "made", GROUPS)
    worn(made, 0.5, 0.6)
    pd.DataFrame({"path": alike, "group": [7] * len(alike)}).astype({"path": str, "group": "int64"}).to_parquet(
        made["audit"] / "groups.parquet"
    )
    for folder in ("out", "balance"):
        (tmp_path / folder).mkdir()
    pd.DataFrame({"sha256": learnt or (), "split": "train"}).astype(str).to_parquet(
        tmp_path / "balance" / "balance.parquet"
    )
    reigning = Candidate(model, made["champion"], tmp_path / "balance" if learnt is not None else None)
    gate.run(
        GateConfig(resamples=200),
        made["index"],
        made["audit"],
        made["balance"],
        reigning if champion else None,
        Candidate(model, made["challenger"], made["balance"]),
        cases,
        tmp_path / "out",
        Candidate(model, made["reference"], made["balance"]) if champion else None,
    )
    return gate.verdict(tmp_path / "out")


def test_a_better_challenger_is_promoted_and_the_page_says_why(tmp_path: Path, model: Path, cases: Path) -> None:
    found = run(tmp_path, model, cases)
    assert found["verdict"] == "promote"
    assert found["champion"] == found["challenger"] == Detector.load(model).id
    assert all(rule["passed"] for rule in found["rules"])
    assert found["pictures"] == {"old": 80, "new": 15}
    rows = {(row["set"], row["group"]): row for row in found["groups"]}
    assert list(rows) == [
        ("old", "all"), ("old", "SD"), ("old", "human"), ("new", "all"), ("new", "flux|1"), ("new", "human: met"),
    ]  # fmt: skip
    assert (rows["new", "flux|1"]["pictures"], rows["new", "flux|1"]["challenger"]) == (10, 0.8)
    assert rows["new", "flux|1"]["difference"]["value"] == pytest.approx(0.5)
    assert {name: flips["count"] for name, flips in found["flips"].items()} == {
        "right_to_wrong": 0,
        "wrong_to_right": 5,
    }
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["verdict"] == "promote"
    assert metrics["rules"]["new"]["difference"]["value"] == pytest.approx(0.25)
    page = (tmp_path / "out" / "gate.md").read_text()
    assert page.startswith(
        f"# Gate: promote\n\n**Promote {found['challenger']} instead of {found['champion']}; it passes"
    )
    assert "| new | flux&#124;1 | 10 | 0.300 | 0.800 | +0.500 |" in page
    assert "## Wrong with the champion, right with the challenger: 5" in page
    for line in (line for line in page.splitlines() if line.startswith("|")):
        assert line.count("|") in (6, 8, 5), line


def test_golden_cases_are_judged_by_the_models_and_what_is_none_is_said(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    found = run(tmp_path, model, cases)["golden"]
    rows = {Path(row["name"]).name: row for row in found["cases"]}
    assert set(rows) == {"right.jpg", "wrong.jpg", "broken.png"}
    assert rows["right.jpg"]["called"] == dict.fromkeys(("champion", "challenger"), rows["right.jpg"]["label"])
    assert rows["wrong.jpg"]["called"]["champion"] != rows["wrong.jpg"]["label"]
    assert rows["broken.png"]["error"]
    assert found["outside"] == ["stray.jpg"]
    page = (tmp_path / "out" / "gate.md").read_text()
    assert "Not judged, because they cannot be read: AI/broken.png" in page
    assert "Not below AI/ or human/, and so no cases: stray.jpg." in page


def test_what_the_champion_learnt_from_is_left_out_and_what_looks_like_it(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    """The first old AI picture by its content; two of flux, as the second looks like the first."""
    flux = [f"incoming/AI/flux|1/00{number}.jpg" for number in (0, 1)]
    contents = pd.read_parquet(artifacts(tmp_path / "named", GROUPS)["index"] / "index.parquet").set_index("path")
    learnt = (contents.sha256["test/AI_SD_dots/000.jpg"], contents.sha256[flux[0]])
    found = run(tmp_path, model, cases, learnt=learnt, alike=(*flux, "test/dots/gone.jpg"))
    assert found["pictures"] == {"old": 79, "new": 13}
    assert found["left_out"] == {"disputed": 0, "known": 3}
    rows = {row["group"]: row for row in found["groups"]}
    assert (rows["flux|1"]["pictures"], rows["flux|1"]["champion"]) == (8, 1 / 8)
    (robustness,) = [rule for rule in found["rules"] if rule["name"] == "robustness"]
    assert "on 19 degraded test pictures" in robustness["sentence"]
    page = (tmp_path / "out" / "gate.md").read_text()
    assert "3 test contents are left out because a model learnt from them, or from a near-duplicate." in page


def test_where_the_champions_balance_is_gone_the_page_says_so(tmp_path: Path, model: Path, cases: Path) -> None:
    found = run(tmp_path, model, cases, learnt=None)
    assert (found["unknown"], found["left_out"]["known"]) == (["champion"], 0)
    assert "What the champion learnt from is no longer there" in (tmp_path / "out" / "gate.md").read_text()


def test_a_golden_case_that_a_model_learnt_from_is_named(tmp_path: Path, model: Path, cases: Path) -> None:
    (right,) = cases.glob("*/right.jpg")
    found = run(tmp_path, model, cases, learnt=(digests.file_digest(right),))
    assert {row["name"].rpartition("/")[2]: row["learnt"] for row in found["golden"]["cases"]} == {
        "right.jpg": ["champion"],
        "wrong.jpg": ["champion"],  # the same content
        "broken.png": [],
    }
    (rule,) = [rule for rule in found["rules"] if rule["name"] == "golden"]
    assert "A model learnt from" in rule["sentence"]
    assert rule["passed"]


def test_a_first_champion_is_not_compared(tmp_path: Path, model: Path, cases: Path) -> None:
    found = run(tmp_path, model, tmp_path / "nothing", champion=False)
    assert (found["verdict"], found["champion"], found["flips"]) == ("promote", None, {})
    assert found["sentence"].endswith("as the first champion: there is no champion yet; it passes chance.")
    assert {row["difference"] for row in found["groups"]} == {None}


def test_a_first_model_that_is_wrong_on_a_golden_case_is_kept_out(tmp_path: Path, model: Path, cases: Path) -> None:
    found = run(tmp_path, model, cases, champion=False)
    assert found["verdict"] == "keep"
    assert found["sentence"].endswith("though there is no champion yet: it fails golden.")


def test_the_digest_is_of_names_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path))
    seen = [golden.load().digest]
    write(tmp_path / "golden" / "AI" / "a.jpg", b"1")
    seen.append(golden.load().digest)
    (tmp_path / "golden" / "AI" / "a.jpg").rename(tmp_path / "golden" / "AI" / "b.jpg")
    seen.append(golden.load().digest)
    write(tmp_path / "golden" / "AI" / "b.jpg", b"2")
    seen.append(golden.load().digest)
    assert len(set(seen)) == 4
    shutil.copytree(tmp_path / "golden", tmp_path / "moved")
    assert golden.load(tmp_path / "moved").digest == seen[-1]
