"""The table of models leads with art from other sources, and says where nothing is known about it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from artdetect.artifacts import run_ledger, store
from artdetect.model import choice
from artdetect.monitoring import model_table
from tests import PROJECT


def metric(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.05}


def trained(key: str, found: dict[str, Any] | None, card: Path) -> None:
    """A train artifact with these figures of art from other sources, and an evaluation of it."""
    with store.build("train", key, {"config": {"preset": "artnet"}, "inputs": {}}) as out:
        (out / "model.keras").write_bytes(card.read_bytes() + key.encode())
        (out / "metrics.json").write_text(json.dumps({"out_of_source": found}))
    with store.build("evaluate", f"e{key}", {"inputs": {"train": store.load("train", key).digest}}) as out:
        scores = {"pictures": 681, "accuracy": metric(0.9), "roc_auc": metric(0.94)}
        (out / "metrics.json").write_text(json.dumps(scores))


@pytest.fixture
def figures() -> dict[str, Any]:
    return {
        "pictures": 3052, "sources": {"AI": 14, "human": 27}, "enough_sources": True,
        "firm": metric(0.4), "right_ai": metric(0.93), "right_human": None, "roc_auc": metric(0.8),
    }  # fmt: skip


def test_art_from_other_sources_stands_before_the_test_set(model: Path, roots: Path, figures: dict[str, Any]) -> None:
    card = model / "model.keras"
    trained("1111", figures, card)
    trained("2222", figures | {"enough_sources": False}, card)
    trained("3333", None, card)
    rows = {row["key"]: row for row in model_table.table()}
    assert rows["1111"]["other_art"] == {
        "pictures": 3052, "sources": 41, "data": None,
        **{name: figures[name] for name in ("firm", "right_ai", "right_human", "roc_auc")},
    }  # fmt: skip
    assert rows["2222"]["other_art"] is rows["3333"]["other_art"] is None
    header, *lines = model_table.render(list(rows.values())).splitlines()
    assert header.index("ROC-AUC on other art") < header.index("test accuracy")
    shown = {key: next(line for line in lines if key in line) for key in rows}
    assert "0.800 (0.700–0.850)  40 %; right: AI 93 %  0.900 (" in re.sub(" {2,}", "  ", shown["1111"])
    assert "not known" in shown["2222"]
    assert "not known" in shown["3333"]
    assert "40 %" not in shown["2222"]


def test_the_data_set_is_named_and_scores_of_different_ones_are_not_ranked(model: Path, roots: Path) -> None:
    scores = {"pictures": 681, "accuracy": metric(0.9), "roc_auc": metric(0.94)}
    for number, name in enumerate(("drawn", "real\x1bart"), start=1):
        with store.build("download", f"d{number}", {}) as out:
            (out / "dataset.json").write_text(json.dumps({"folder": "raw", "name": name}))
        with store.build("balance", f"b{number}", {}) as out:
            (out / "table").write_text(name)
        inputs = {"balance": store.load("balance", f"b{number}").digest}
        with store.build("train", f"t{number}", {"config": {"preset": "artnet"}, "inputs": inputs}) as out:
            (out / "model.keras").write_bytes((model / "model.keras").read_bytes() + name.encode())
        inputs |= {"train": store.load("train", f"t{number}").digest}
        with store.build("evaluate", f"e{number}", {"inputs": inputs}) as out:
            (out / "metrics.json").write_text(json.dumps(scores))
    assert "balance b1" in model_table.render(model_table.table())
    for number in (1, 2):
        run_ledger.refresh([store.load("download", f"d{number}"), store.load("balance", f"b{number}")])
    rows = model_table.table()
    assert {row["key"]: row["evaluation"]["data_set"] for row in rows} == {"t1": "drawn", "t2": "real\x1bart"}
    shown = model_table.render(rows)
    assert "681 pictures of drawn, balance b1" in shown
    assert r"681 pictures of real\x1bart, balance b2" in shown
    assert "Scores say nothing about which model is better" in shown
    assert "Scores say nothing" not in model_table.render(rows[:1])


def test_the_starter_was_tested_on_its_own_data_sets(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "STARTER_FILE", PROJECT / "artdetect" / "starter" / "model.npz")
    (starter,) = (row for row in model_table.table() if row["key"] == "starter")
    line = model_table.render([starter]).splitlines()[-1]
    assert f"{starter['evaluation']['pictures']:,} pictures of its own data sets" in line
