"""The gate as a whole, with real models, golden cases, and the page for people."""

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
from tests.gate.synthetic_artifacts import artifacts, robustness_tables
from tests.tiny_dataset import jpeg, write

GROUPS = {
    "test/AI_SD_dots": (40, 36, 36),
    "test/dots": (40, 36, 36),
    "incoming/AI/flux|1": (10, 3, 8),
    "incoming/human/met": (5, 4, 4),
}


@pytest.fixture
def cases(tmp_path: Path, model: Path) -> Path:
    """One case that the model gets right, one that it gets wrong, a broken one, and a file that is no case."""
    detector, folder = Detector.load(model), tmp_path / "golden"
    content = jpeg(1, base=180)
    from artdetect.pictures import images

    predicted = str(detector.rule.predicted(detector.p_ai(images.load(content, detector.geometry)[None]))[0])
    other = "human" if predicted == "AI" else "AI"
    for name in (f"{predicted}/right.jpg", f"{other}/deeper/wrong.jpg"):
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
    trained_on: tuple[str, ...] | None = (),
    near_duplicates: tuple[str, ...] = (),
) -> dict:
    """The gate's decision.

    Args:
        trained_on: sha256s that the champion was trained on.
        near_duplicates: Paths of pictures that look alike.
    """
    made = artifacts(tmp_path / "made", GROUPS)
    robustness_tables(made, 0.5, 0.6)
    pd.DataFrame({"path": near_duplicates, "group": [7] * len(near_duplicates)}).astype(
        {"path": str, "group": "int64"}
    ).to_parquet(made["audit"] / "groups.parquet")
    for folder in ("out", "balance"):
        (tmp_path / folder).mkdir(parents=True)
    pd.DataFrame({"sha256": trained_on or (), "split": "train"}).astype(str).to_parquet(
        tmp_path / "balance" / "balance.parquet"
    )
    champion_candidate = Candidate(model, made["champion"], tmp_path / "balance" if trained_on is not None else None)
    gate.run(
        GateConfig(bootstrap_resamples=200, localisation=0),
        made["index"],
        made["audit"],
        made["balance"],
        champion_candidate if champion else None,
        Candidate(model, made["challenger"], made["balance"]),
        cases,
        tmp_path,
        tmp_path / "out",
        Candidate(model, made["reference"], made["balance"]) if champion else None,
    )
    return gate.verdict(tmp_path / "out")


def test_a_better_challenger_is_promoted_and_the_page_says_why(tmp_path: Path, model: Path, cases: Path) -> None:
    decision = run(tmp_path, model, cases)
    assert decision["verdict"] == "promote"
    assert decision["champion"] == decision["challenger"] == Detector.load(model).id
    assert {rule["name"]: rule["passed"] for rule in decision["rules"] if not rule["passed"]} == {
        "localisation": None,
        "out_of_source": None,
    }
    assert decision["pictures"] == {"known": 80, "new": 15}
    rows = {(row["set"], row["group"]): row for row in decision["groups"]}
    assert list(rows) == [
        ("known", "all"), ("known", "SD"), ("known", "human"), ("new", "all"), ("new", "flux|1"), ("new", "human: met"),
    ]  # fmt: skip
    assert (rows["new", "flux|1"]["pictures"], rows["new", "flux|1"]["challenger"]) == (10, 0.8)
    assert rows["new", "flux|1"]["difference"]["value"] == pytest.approx(0.5)
    assert {name: flips["count"] for name, flips in decision["flips"].items()} == {
        "right_to_wrong": 0,
        "wrong_to_right": 5,
    }
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["verdict"] == "promote"
    assert metrics["rules"]["new"]["difference"]["value"] == pytest.approx(0.25)
    page = (tmp_path / "out" / "gate.md").read_text()
    assert page.startswith(
        f"# Gate: promote\n\n**Promote {decision['challenger']} instead of {decision['champion']}; it passes"
    )
    assert "| new | flux&#124;1 | 10 | 0.300 | 0.800 | +0.500 |" in page
    assert "## Wrong with the champion, right with the challenger: 5" in page
    for line in (line for line in page.splitlines() if line.startswith("|")):
        assert line.count("|") in (6, 8, 5), line


def test_the_models_predict_the_golden_cases_and_other_files_are_listed(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    golden_cases = run(tmp_path, model, cases)["golden"]
    rows = {Path(row["name"]).name: row for row in golden_cases["cases"]}
    assert set(rows) == {"right.jpg", "wrong.jpg", "broken.png"}
    assert rows["right.jpg"]["predicted"] == dict.fromkeys(("champion", "challenger"), rows["right.jpg"]["label"])
    assert rows["wrong.jpg"]["predicted"]["champion"] != rows["wrong.jpg"]["label"]
    assert rows["broken.png"]["error"]
    assert golden_cases["outside"] == ["stray.jpg"]
    page = (tmp_path / "out" / "gate.md").read_text()
    assert "Not counted, because they cannot be read: AI/broken.png" in page
    assert "Not golden cases, because not below AI/ or human/: stray.jpg." in page


def test_pictures_that_the_champion_was_trained_on_and_near_duplicates_are_left_out(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    """The first known AI picture by its content; two of flux, as the second looks like the first."""
    flux = [f"incoming/AI/flux|1/00{number}.jpg" for number in (0, 1)]
    contents = pd.read_parquet(artifacts(tmp_path / "named", GROUPS)["index"] / "index.parquet").set_index("path")
    trained_on = (contents.sha256["test/AI_SD_dots/000.jpg"], contents.sha256[flux[0]])
    decision = run(tmp_path, model, cases, trained_on=trained_on, near_duplicates=(*flux, "test/dots/gone.jpg"))
    assert decision["pictures"] == {"known": 79, "new": 13}
    assert decision["left_out"] == {"disputed": 0, "trained_on": 3}
    rows = {row["group"]: row for row in decision["groups"]}
    assert (rows["flux|1"]["pictures"], rows["flux|1"]["champion"]) == (8, 1 / 8)
    (robustness,) = [rule for rule in decision["rules"] if rule["name"] == "robustness"]
    assert "on 19 degraded test pictures" in robustness["sentence"]
    page = (tmp_path / "out" / "gate.md").read_text()
    assert "3 test pictures are left out because a model was trained on them or on a near-duplicate." in page


def test_where_the_champions_balance_no_longer_exists_the_page_says_so(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    shutil.copytree(model, older := tmp_path / "older", ignore=shutil.ignore_patterns("trained_on.parquet"))
    decision = run(tmp_path, older, cases, trained_on=None)
    assert (decision["unknown"], decision["left_out"]["trained_on"]) == (["champion"], 0)
    assert "The training data of the champion, or of a model" in (tmp_path / "out" / "gate.md").read_text()
    assert run(tmp_path / "known", model, cases, trained_on=None)["unknown"] == []


def test_pictures_that_an_ancestor_was_trained_on_are_left_out(tmp_path: Path, model: Path, cases: Path) -> None:
    index = pd.read_parquet(artifacts(tmp_path / "named", GROUPS)["index"] / "index.parquet").set_index("path")
    shutil.copytree(model, descendant := tmp_path / "descendant")
    inherited = index.sha256[["test/dots/000.jpg", "test/dots/001.jpg"]].reset_index()[["sha256"]]
    inherited.to_parquet(descendant / "trained_on.parquet")
    metrics = json.loads((descendant / "metrics.json").read_text())
    (descendant / "metrics.json").write_text(json.dumps(metrics | {"ancestors_known": False}))
    decision = run(tmp_path, descendant, cases)
    assert decision["left_out"] == {"disputed": 0, "trained_on": 2}
    assert decision["unknown"] == ["champion", "challenger", "reference"]


def test_pictures_that_a_model_was_adapted_to_are_left_out_though_its_balance_is_not_known(
    tmp_path: Path, model: Path, cases: Path
) -> None:
    index = pd.read_parquet(artifacts(tmp_path / "named", GROUPS)["index"] / "index.parquet").set_index("path")
    shutil.copytree(model, adapted := tmp_path / "adapted", ignore=shutil.ignore_patterns("trained_on.parquet"))
    row = {"sha256": index.sha256["test/dots/000.jpg"], "label": "human", "series": ""}
    (adapted / "adapted_to.json").write_text(json.dumps([row]))
    decision = run(tmp_path, adapted, cases, trained_on=None)
    assert (decision["unknown"], decision["left_out"]["trained_on"]) == (["champion"], 1)
    assert decision["pictures"]["known"] == 79


def test_a_golden_case_that_a_model_was_trained_on_is_named(tmp_path: Path, model: Path, cases: Path) -> None:
    (right,) = cases.glob("*/right.jpg")
    decision = run(tmp_path, model, cases, trained_on=(digests.file_digest(right),))
    assert {row["name"].rpartition("/")[2]: row["trained_on"] for row in decision["golden"]["cases"]} == {
        "right.jpg": ["champion"],
        "wrong.jpg": ["champion"],  # the same content
        "broken.png": [],
    }
    (rule,) = [rule for rule in decision["rules"] if rule["name"] == "golden"]
    assert "A model was trained on" in rule["sentence"]
    assert rule["passed"]


def test_a_first_champion_is_not_compared(tmp_path: Path, model: Path, cases: Path) -> None:
    decision = run(tmp_path, model, tmp_path / "nothing", champion=False)
    assert (decision["verdict"], decision["champion"], decision["flips"]) == ("promote", None, {})
    assert decision["sentence"].endswith("as the first champion: there is no champion yet; it passes chance.")
    assert {row["difference"] for row in decision["groups"]} == {None}


def test_a_first_model_that_is_wrong_on_a_golden_case_is_refused(tmp_path: Path, model: Path, cases: Path) -> None:
    decision = run(tmp_path, model, cases, champion=False)
    assert decision["verdict"] == "keep"
    assert decision["sentence"].endswith("though there is no champion yet: it fails golden.")


def test_the_digest_is_of_names_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path))
    states = [golden.load().digest]
    write(tmp_path / "golden" / "AI" / "a.jpg", b"1")
    states.append(golden.load().digest)
    (tmp_path / "golden" / "AI" / "a.jpg").rename(tmp_path / "golden" / "AI" / "b.jpg")
    states.append(golden.load().digest)
    write(tmp_path / "golden" / "AI" / "b.jpg", b"2")
    states.append(golden.load().digest)
    assert len(set(states)) == 4
    shutil.copytree(tmp_path / "golden", tmp_path / "moved")
    assert golden.load(tmp_path / "moved").digest == states[-1]
