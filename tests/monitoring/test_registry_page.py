"""The page of the registry: data sets apart, no claim across pictures, the champion's history, no script."""

import html
import json
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest

from artdetect import config as configs
from artdetect.artifacts import registry, run_ledger, store
from artdetect.cli import main
from artdetect.monitoring import registry_page, reproduction
from artdetect.train.config import TrainConfig

NASTY = "<script>alert(1)</script>\x1b & \u202eart"
CARD = {"preset": "artnet", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}


def metric(value: float) -> dict[str, float]:
    return {"value": value, "low": round(value - 0.06, 3), "high": round(value + 0.03, 3)}


ABSTAIN = {"min_accuracy": 0.9, "max_share": None}
SHA256 = "0" * 64
URL = "https://example.org/art; rm.zip"


def data_set(name: str, balance: str) -> None:
    with store.build("download", f"d-{balance}", {}) as out:
        (out / "dataset.json").write_text(
            json.dumps({"folder": "raw", "name": name, "url": URL, "archive_sha256": SHA256})
        )
    with store.build("balance", balance, {}) as out:
        (out / "table").write_text(balance)
    run_ledger.refresh([store.load("download", f"d-{balance}"), store.load("balance", balance)])


def trained(key: str, balance: str, auc: float | None) -> None:
    """A model; `auc` is that on art from other sources."""
    found = auc and {
        "pictures": 3052, "sources": {"AI": 14, "human": 27}, "enough_sources": True, "firm": metric(0.4),
        "right_ai": metric(0.93), "right_human": None, "roc_auc": metric(auc),
    }  # fmt: skip
    settings = {"preset": "compact", "epochs": 7, "seed": TrainConfig().seed, "abstain": ABSTAIN}
    parts = {"config": settings, "inputs": {"balance": store.load("balance", balance).digest}}
    with store.build("train", key, parts) as out:
        with zipfile.ZipFile(out / "model.keras", "w") as archive:
            archive.writestr("artdetect.json", json.dumps(CARD | {"name": key, "notice": f"Note of {NASTY}"}))
        (out / "metrics.json").write_text(json.dumps({"out_of_source": found}))


def evaluated(key: str, train: str, balance: str, auc: float) -> None:
    inputs = {stage: store.load(stage, name).digest for stage, name in (("train", train), ("balance", balance))}
    with store.build("evaluate", key, {"inputs": inputs}) as out:
        scores = {"pictures": 681, "accuracy": metric(auc - 0.05), "roc_auc": metric(auc)}
        (out / "metrics.json").write_text(json.dumps(scores))


def decided(key: str, challenger: str, champion: str | None, verdict: str) -> None:
    digest = store.load("train", champion).digest if champion else "none"
    inputs = {"challenger": store.load("train", challenger).digest, "champion": digest}
    with store.build("gate", key, {"inputs": inputs}) as out:
        (out / "gate.json").write_text(json.dumps({"verdict": verdict, "sentence": f"Because {NASTY}"}))


@pytest.fixture
def history(roots: Path) -> Path:
    """Two data sets; the test pictures of the first change once; three promotions, of which one is taken back."""
    data_set(NASTY, "b1")
    data_set(NASTY, "b2")
    data_set("drawn", "b3")
    trained("t1", "b1", 0.80)
    trained("t2", "b1", 0.84)
    trained("t3", "b2", 0.88)
    trained("t4", "b3", None)
    trained("t5", "b3", None)
    for key, train, balance, auc in (
        ("e1", "t1", "b1", 0.90), ("e2", "t2", "b1", 0.93), ("e3", "t1", "b2", 0.87), ("e4", "t3", "b2", 0.94),
        ("e5", "t4", "b3", 0.99),
    ):  # fmt: skip
        evaluated(key, train, balance, auc)
    registry.promote("t1", {}, "ann", "the first")
    decided("g1", "t2", "t1", "promote")
    registry.promote("t2", {"gate": "g1"}, "retrain", f"better {NASTY}")
    decided("g2", "t3", "t2", "keep")
    registry.rollback("ann", "worse on scans")
    decided("g3", "t4", None, "promote")
    return roots


def test_data_sets_stand_apart_and_a_line_joins_tests_on_the_same_pictures_only(history: Path) -> None:
    values = registry_page.gather()
    sections = {section["name"]: section for section in values["data_sets"]}
    models = {name: [row["key"] for row in section["models"]] for name, section in sections.items()}
    assert models.pop(registry_page.STARTER, ["starter"]) == ["starter"]
    assert models == {NASTY: ["t3", "t2", "t1"], "drawn": ["t4"], registry_page.NOT_TESTED: ["t5"]}
    tests = sections[NASTY]["tests"]
    assert [(test["number"], test["train"], test["data"]) for test in tests] == [
        (1, "t1", "b1"), (2, "t2", "b1"), (3, "t1", "b2"), (4, "t3", "b2")
    ]  # fmt: skip
    assert [bool(test["other_art"]) for test in tests] == [True, True, False, True]
    plot = sections[NASTY]["plot"]
    where = dict(zip([point["x"] for point in plot["points"] if point["series"] == "test"], (1, 2, 3, 4), strict=True))
    joined = [(line["series"], where[line["x1"]], where[line["x2"]]) for line in plot["lines"]]
    assert joined == [("other", 1, 2), ("test", 1, 2), ("test", 3, 4)]
    assert len(plot["breaks"]) == 1
    assert sections[registry_page.NOT_TESTED]["plot"] is None
    heights = {point["title"]: point["y"] for point in plot["points"] if point["series"] == "test"}
    assert min(heights, key=heights.__getitem__) == "4: 0.940 (0.880–0.970)"
    assert all(point["high"] < point["y"] < point["low"] for point in plot["points"])


def test_the_history_of_the_champion_and_the_gates_verdicts(history: Path) -> None:
    values = registry_page.gather()
    assert values["champion"] == "t1"
    assert [(row["move"], row["train"], row["previous"]) for row in values["promotions"]] == [
        ("rollback", "t1", "t2"), ("promotion", "t2", "t1"), ("promotion by hand", "t1", None)
    ]  # fmt: skip
    (store.place("gate", "g2") / "gate.json").write_text("{")
    assert [(row["challenger"], row["champion"], row["verdict"]) for row in registry_page.gather()["gates"]] == [
        ("t4", None, "promote"), ("t3", "t2", None), ("t2", "t1", "promote")
    ]  # fmt: skip


def test_the_command_that_makes_a_model_again_has_its_settings_and_data(history: Path) -> None:
    store_used = [store.load(stage, key) for stage, key in (("download", "d-b1"), ("balance", "b1"), ("train", "t1"))]
    run_ledger.refresh(store_used)
    made = reproduction.provenance()
    assert made["t1"]["data_sets"] == [{"name": NASTY, "url": URL, "sha256": SHA256, "sources": None}]
    assert made["t1"]["commit"] == store.load("train", "t1").record["revision"]
    words = shlex.split(made["t1"]["command"])
    assert words[:4] == ["artdetect", "run", "--config", "/dev/null"]
    config = configs.load(Path(words[3]), words[5::2])
    assert set(words[4::2]) == {"--set"}
    assert (config.download.url, config.download.sha256) == (URL, SHA256)
    assert config.train == TrainConfig.model_validate({"preset": "compact", "epochs": 7, "abstain": ABSTAIN})
    assert made["t3"]["command"] is None
    page = registry_page.render(registry_page.gather())
    assert made["t1"]["command"] in html.unescape(page)


def test_the_page_asks_for_nothing_and_runs_nothing(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = history / "models.html"
    assert main(["models", "--html", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    page = out.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b &amp; \\u202eart" in page
    assert not set("\x1b\u202e") & set(page)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*', page) == []
    assert "worse on scans" in page
    assert main(["models", "--html", str(out), "--json"]) == 2


@pytest.mark.parametrize("count", [1, 60])
def test_the_plot_shows_the_newest_tests_and_few_numbers(count: int) -> None:
    tests: list[dict[str, Any]] = [
        {"train": "t", "data": "b", "roc_auc": metric(0.45), "number": number, "other_art": None}
        for number in range(1, count + 1)
    ]
    plot = registry_page.plot(tests[-registry_page.MAX_TESTS :])
    assert plot
    assert plot["points"][-1]["title"].startswith(f"{count}:")
    assert len(plot["points"]) == min(count, registry_page.MAX_TESTS)
    assert len(plot["numbers"]) <= registry_page.MAX_NUMBERS
    assert plot["ticks"][0][1] == "0.3"
    assert all(registry_page.PLOT_LEFT < point["x"] < registry_page.PLOT_RIGHT for point in plot["points"])


def test_an_empty_registry_says_so(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artdetect.model.choice.STARTER_FILE", roots / "none")
    page = registry_page.render(registry_page.gather())
    assert "There is no champion yet." in page
    assert "No gate has decided yet." in page
