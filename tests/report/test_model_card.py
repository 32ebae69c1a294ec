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
    """The card as GitHub and Prefect's dashboard render it."""
    return rendered(card)


def rendered(card: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(card)


def visible_text(card: str) -> str:
    """The visible text of the rendered card, on one line."""
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
    assert len(tables) == len(re.findall(r"^\|---", card, re.MULTILINE)) == 11
    for table in tables:
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
        assert len(rows) > 1


def test_the_numbers_are_those_of_the_metrics(full_folders: Folders, card: str) -> None:
    metrics, content = json.loads((full_folders["evaluate"] / "metrics.json").read_text()), visible_text(card)
    unsure, calibration = metrics["unsure"], metrics["calibration"]
    measured = {shown: metrics[name] for name, shown in METRICS.items()}
    measured |= {"share unsure": unsure["share"], "accuracy when not unsure": unsure["accuracy_decided"]}
    measured |= {"calibration error (ECE)": calibration["ece"], "Brier score": calibration["brier"]}
    for name, metric in measured.items():
        assert f"{name} {metric['value']:.3f} {metric['low']:.3f}–{metric['high']:.3f}" in content
    for row in metrics["by_generator"]:
        accuracy = row["accuracy"]
        assert f"{row['generator'].replace('_', ' ')} {row['pictures']} {accuracy['value']:.3f}" in content
    for row in metrics["robustness"]["rows"][1:]:
        assert f"{row['name']} {row['accuracy']['value']:.3f}" in content
    for row in json.loads((full_folders["train"] / "metrics.json").read_text())["out_of_source"]["by_source"]:
        assert f"{row['source']} {row['label']} 10 {100 * row['accuracy']['value']:.1f} % {row['firm']}" in content


def test_what_the_maps_find_is_on_the_card(card: str) -> None:
    assert "| XRAI | 8 | 0.78 (0.76–0.80) | 0.64 (0.62–0.66) |" in card
    assert "| by chance |  | 0.50 | 0.21 | 0.12 |  |  |" in card
    assert "| true region | −1.31 (−1.33 to −1.29) | 1.42 (1.40 to 1.44) |" in card


def test_weaknesses_come_from_the_numbers(card: str) -> None:
    content = visible_text(card)
    assert f"verdicts are least often right on {NASTY} (human), 5 of 10." in content
    assert "accuracy is lowest under blur 2, 67.1 % compared with 95.0 % on the originals." in content
    assert (
        f"Subgroup “style: {NASTY}”: accuracy is 33.3 % on 31 pictures, compared with 92.8 % on the others." in content
    )
    assert "The file baseline comes close to the model, with a ROC-AUC of 0.970." in content
    assert "The palette baseline" not in content
    assert "Edited and mixed pictures" in content


def test_data_and_provenance_are_named(full_folders: Folders, card: str) -> None:
    content = visible_text(card)
    values = context.gather(full_folders)
    assert "These pictures are drawn by a program. No person painted them." in content
    for row in values["used_by_generator"]:
        counts = [row[split] for split in context.SPLITS]
        assert f"{row['label']} {row['generator'].replace('_', ' ')} {' '.join(map(str, counts))}" in content
    assert sum(row["test"] for row in values["used_by_generator"]) == values["metrics"]["pictures"]
    assert values["model"]["digest"] in content
    assert "seed 7" in content
    codes = {stage: digests.value_digest({f"artdetect.{stage}": "abc"})[:16] for stage in STAGES}
    assert all(f"{stage} key-of-{stage} {code}" in content for stage, code in codes.items())
    assert "pandas 3.0, 3.1, python 3.11." in content
    assert "efficientnet-lite0 by Google" in content
    assert "Apache License 2.0" in content


def test_a_check_that_did_not_run_is_left_out(report_folder: Path) -> None:
    content = visible_text((report_folder / "model_card.md").read_text(encoding="utf-8"))
    for title in ("Degraded pictures", "Baselines", "comes close to the model"):
        assert title not in content
    assert "The model contains no pretrained weights." in content


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("generator_attribution", None, "Known weaknesses"),
        (
            "weak_slices",
            {"slices": [], "tested": 87},
            "of 87 subgroups tested, none has a lower accuracy than chance explains",
        ),
        ("confidence", None, "On 24 test pictures"),
    ],
)
def test_parts_may_be_absent(full_folders: Folders, name: str, value: Any, shown: str) -> None:
    assert shown in visible_text(cards.render("bare", context.gather(full_folders) | {name: value}))


@pytest.mark.parametrize(
    ("where", "shown"), [("card", "The verdict mixed is for"), ("metrics", "it would find too little.")]
)
def test_what_the_rule_for_mixed_pictures_finds_is_stated_whether_it_is_used_or_not(
    full_folders: Folders, where: str, shown: str
) -> None:
    rule = {"human_pictures": 1000, "false_alarms": 0.01, "upper": 0.017, "spliced_pictures": 200}
    rule |= {"found": {"below 10 %": 0.01, "25 to 50 %": 0.09}}
    values = context.gather(full_folders)
    training = values["training"] | {where: values["training"][where] | {"parts": {"mixed": rule}}}
    content = visible_text(cards.render("mixed", values | {"training": training}))
    assert shown in content
    assert "it finds 1.0 % (below 10 %), 9.0 % (25 to 50 %)." in content


def test_another_backbone_has_another_licence(full_folders: Folders) -> None:
    values = context.gather(full_folders)
    other = values | {"training": values["training"] | {"backbone": "ResNet50"}}
    assert "The backbone is ResNet50. Look up the licence of its weights." in visible_text(cards.render("other", other))


def test_the_use_of_the_test_set_is_stated(card: str, report_folder: Path) -> None:
    content = visible_text(card)
    assert "used training and validation pictures only" in content
    assert "promotion gate compares each challenger with the champion on the test pictures" in content
    assert "after an earlier variant had been scored on a test set of WikiArt paintings" in content
    compact = visible_text((report_folder / "model_card.md").read_text(encoding="utf-8"))
    assert "WikiArt" not in compact
