"""The model card: its numbers are those of the artifacts, and no name in it becomes Markdown or HTML."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from artdetect.core import digests
from artdetect.formatting.text import METRICS
from artdetect.report import context
from artdetect.report import model_card as cards

from .conftest import NASTY, STAGES, Folders


@pytest.fixture(scope="session")
def shown(card: str) -> str:
    """As GitHub and Prefect's dashboard show it."""
    return rendered(card)


def rendered(card: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(card)


def read(card: str) -> str:
    """The text of a card once it is shown, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", rendered(card))).split())


def test_names_stay_text(shown: str) -> None:
    assert html.escape(NASTY, quote=False) in shown
    tags = set(re.findall(r"<(\w+)", shown))
    assert tags <= {
        "h1",
        "h2",
        "h3",
        "p",
        "strong",
        "ul",
        "li",
        "blockquote",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }


def test_every_row_of_a_table_is_as_long_as_its_head(card: str, shown: str) -> None:
    tables = re.findall(r"<table>(.*?)</table>", shown, re.DOTALL)
    assert len(tables) == len(re.findall(r"^\|---", card, re.MULTILINE)) == 8
    for table in tables:
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
        assert len(rows) > 1


def test_the_numbers_are_those_of_the_metrics(sceptical: Folders, card: str) -> None:
    metrics, said = json.loads((sceptical["evaluate"] / "metrics.json").read_text()), read(card)
    unsure, calibration = metrics["unsure"], metrics["calibration"]
    measured = {shown: metrics[name] for name, shown in METRICS.items()}
    measured |= {"share left unsure": unsure["share"], "accuracy of the verdicts given": unsure["accuracy_decided"]}
    measured |= {"calibration error (ECE)": calibration["ece"], "Brier score": calibration["brier"]}
    for name, metric in measured.items():
        assert f"{name} {metric['value']:.3f} {metric['low']:.3f}–{metric['high']:.3f}" in said
    for row in metrics["by_generator"]:
        accuracy = row["accuracy"]
        assert f"{row['generator'].replace('_', ' ')} {row['pictures']} {accuracy['value']:.3f}" in said
    for row in metrics["robustness"]["rows"][1:]:
        assert f"{row['name']} {row['accuracy']['value']:.3f}" in said
    for row in json.loads((sceptical["train"] / "metrics.json").read_text())["left_out"]:
        assert f"{row['generator'].replace('_', ' ')} 50 {row['recall']['value']:.3f}" in said


def test_weaknesses_come_from_the_numbers(card: str) -> None:
    said = read(card)
    assert f"Of the generators left out of training, {NASTY} went worst: 41.0 % of its pictures were found." in said
    assert "Of the degradations, blur 2 is the worst: accuracy 67.1 %, against 95.0 % untouched." in said
    assert f"style: {NASTY}: 33.3 % of 31 pictures called right, against 92.8 % of the others." in said
    assert "Something simpler comes near it: file, with a ROC-AUC of 0.970." in said
    assert "palette, with" not in said
    assert "Edited and mixed pictures" in said


def test_data_and_provenance_are_named(sceptical: Folders, card: str) -> None:
    said = read(card)
    found = context.gather(sceptical)
    assert "These pictures are drawn by a program. No person painted them." in said
    for row in found["learnt"]:
        counts = [row[split] for split in context.SPLITS]
        assert f"{row['label']} {row['generator'].replace('_', ' ')} {' '.join(map(str, counts))}" in said
    assert sum(row["test"] for row in found["learnt"]) == found["metrics"]["pictures"]
    assert found["model"]["digest"] in said
    assert "seed 7" in said
    codes = {stage: digests.value_digest({f"artdetect.{stage}": "abc"})[:16] for stage in STAGES}
    assert all(f"{stage} key-of-{stage} {code}" in said for stage, code in codes.items())
    assert "pandas 3.0, 3.1, python 3.11." in said
    assert "efficientnet-lite0 by Google" in said
    assert "Apache License 2.0" in said


def test_what_was_not_asked_is_left_out(built: Path) -> None:
    said = read((built / "model_card.md").read_text(encoding="utf-8"))
    for title in ("Generators left out", "Degraded pictures", "Beside something simpler", "comes near it"):
        assert title not in said
    assert "No pretrained weights are in it" in said


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("attribution", None, "Known weaknesses"),
        ("weak", {"slices": [], "tried": 87}, "No group of test pictures, of 87 tried, is worse than chance explains"),
        ("sure", None, "On 24 test pictures"),
    ],
)
def test_parts_may_be_absent(sceptical: Folders, name: str, value: Any, shown: str) -> None:
    assert shown in read(cards.render("bare", context.gather(sceptical) | {name: value}))


def test_another_backbone_has_another_licence(sceptical: Folders) -> None:
    found = context.gather(sceptical)
    other = found | {"training": found["training"] | {"backbone": "ResNet50"}}
    assert "The backbone is ResNet50: look up the licence of its weights." in read(cards.render("other", other))
