"""What a sceptic reads on the page: every number is that of the metrics, and what was not asked is not there."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from artdetect.core import digests
from artdetect.model.decision import VERDICTS
from artdetect.pictures.labels import CLASSES
from artdetect.report import assessment, charts, context, html_page

from .conftest import NASTY, RULE, Folders, about, copied, read

Changed = Callable[..., str]
ONLY_IF_ASKED = {
    "unseen": "Generators it has never seen",
    "wear": "Under the wear of the web",
    "simpler": "Would something simpler do?",
    "weak": "Where it is weak",
    "which": "Which generator",
    "mistakes": "Worst mistakes",
}


@pytest.fixture
def changed(sceptical: Folders, charts: charts.Charts, tmp_path: Path) -> Changed:
    """What the page says once some parts of the metrics are others; None takes one away."""

    def render(**parts: Any) -> str:
        copy = copied(sceptical, tmp_path / "changed")
        metrics = metrics_of(copy) | parts
        kept = {name: value for name, value in metrics.items() if value is not None}
        (copy["evaluate"] / "metrics.json").write_text(json.dumps(kept))
        return html_page.render("changed", context.gather(copy), charts)

    return render


def metrics_of(folders: Folders, stage: str = "evaluate") -> dict[str, Any]:
    return json.loads((folders[stage] / "metrics.json").read_text())


def section(text: str, name: str) -> str:
    """What a reader reads of a section, with plain spaces."""
    start = text.index(f'<section id="{name}">')
    return read(text[start : text.index("</section>", start)])


def percent(metric: dict[str, float]) -> str:
    return f"{100 * metric['value']:.1f} %"


def interval(metric: dict[str, float], digits: int = 3) -> str:
    factor = 1 if digits == 3 else 100
    return f"{factor * metric['low']:.{digits}f}–{factor * metric['high']:.{digits}f}"


def test_a_part_that_was_not_asked_is_left_out(text: str, doubts: str) -> None:
    for name, title in ONLY_IF_ASKED.items():
        assert title not in text
        assert f'href="#{name}"' not in text
        assert f"<h2>{title}</h2>" in doubts
    assert "<h2>How sure it is</h2>" in text


@pytest.mark.parametrize("made", ["text", "doubts"])
def test_every_link_of_the_contents_leads_somewhere(made: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(made)
    links = set(re.findall(r'href="#([a-z]+)"', text))
    assert links <= set(re.findall(r'\bid="([a-z]+)"', text))
    assert set(re.findall(r'<section id="([a-z]+)"', text)) <= links


def test_names_that_are_markup_are_escaped(doubts: str) -> None:
    assert "<b>bold</b>" not in doubts
    assert html.escape(NASTY) in doubts


def test_verdicts_stand_in_three_columns_and_add_up(folders: Folders, text: str) -> None:
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    metrics, said = metrics_of(folders), section(text, "sure")
    for label, called in zip(CLASSES, metrics["confusion"], strict=True):
        counts = [int(((predictions.label == label) & (predictions.verdict == verdict)).sum()) for verdict in VERDICTS]
        assert sum(counts) == sum(called)
        assert f"{label} {' '.join(map(str, counts))} {sum(called)}" in said
    unsure = metrics["unsure"]
    assert unsure["pictures"] == (predictions.verdict == "unsure").sum() > 0
    assert f"it was unsure of {unsure['pictures']} ({percent(unsure['share'])})" in said
    assert f"{percent(unsure['accuracy_decided'])} were right" in said
    assert f"{interval(unsure['accuracy_decided'], 1)} %" in said


def test_the_rule_is_that_of_the_model(text: str) -> None:
    low, high = RULE.band()
    assert f"From a p(AI) of {high:.3f} a picture is called AI, below {low:.3f} human." in section(text, "sure")
    assert "A picture unlike those it learnt from needs a stronger p(AI)" in section(text, "sure")


def test_a_model_without_doubts_says_so(changed: Changed) -> None:
    none = {"pictures": 0, "share": {"value": 0.0, "low": 0.0, "high": 0.1}, "accuracy_decided": about(0.9)}
    assert "Where it may say" not in changed(unsure=none)


def test_a_model_that_is_unsure_of_everything_has_no_accuracy_there(changed: Changed) -> None:
    everything = {"pictures": 24, "share": {"value": 1.0, "low": 0.9, "high": 1.0}, "accuracy_decided": None}
    said = section(changed(unsure=everything), "sure")
    assert "Of 24 test pictures it was unsure of 24 (100.0 %)." in said
    assert "Of the verdicts it gave" not in said


def test_metrics_without_calibration_have_no_section_on_sureness(changed: Changed) -> None:
    assert "How sure it is" not in changed(calibration=None)


def test_calibration_and_false_accusations_stand_with_their_intervals(folders: Folders, text: str) -> None:
    metrics, said = metrics_of(folders), section(text, "sure")
    measures = {"aurc": metrics["aurc"]} | {name: metrics["calibration"][name] for name in ("ece", "brier", "log_loss")}
    for metric in measures.values():
        assert f"{metric['value']:.3f} {interval(metric)}" in said
    for row in metrics["tpr_at_fpr"]:
        assert (
            f"at most {row['fpr']:.0%}".replace("%", " %") + f" {percent(row['tpr'])} {interval(row['tpr'], 1)} %"
            in said
        )
    assert "is the expensive mistake" in said
    for row in metrics["calibration"]["bins"]:
        assert f"{interval(row)} {row['pictures']} {row['mean_p']:.3f} {row['share_ai']:.3f}" in said


def test_generators_left_out_stand_worst_first(sceptical: Folders, doubts: str) -> None:
    said = section(doubts, "unseen")
    rows = metrics_of(sceptical, "train")["left_out"]
    for row in rows:
        shown = f"{percent(row['recall'])} {interval(row['recall'], 0)} %"
        assert f"{row['generator'].replace('_', ' ')} 50 {shown} 0.900 {interval(row['roc_auc'])}" in said
    assert said.index(NASTY) < said.index("latent diffusion")
    assert f"Of {NASTY}, which went worst, it still found 41.0 %" in said
    assert f"{NASTY} is found in 41.0 % of its pictures" in read(doubts[: doubts.index("<main>")])


def test_the_wear_of_the_web_stands_by_condition(sceptical: Folders, doubts: str) -> None:
    said, found = section(doubts, "wear"), metrics_of(sceptical)["robustness"]
    assert "On 20 test pictures treated so, the accuracy is 84.0 % on average, against 95.0 % untouched" in said
    assert "at worst, with blur 2, it is 67.1 %" in said
    clean, *rows = found["rows"]
    assert clean["name"] not in said
    for row in rows:
        shown = (
            f"{row['name']} {percent(row['accuracy'])} {interval(row['accuracy'], 1)} % {row['roc_auc']['value']:.3f}"
        )
        assert f"{shown} {percent(row['flipped'])} 12.3 %" in said


def test_simpler_classifiers_stand_beside_the_model(sceptical: Folders, doubts: str) -> None:
    said, metrics = section(doubts, "simpler"), metrics_of(sceptical)
    rows = {"the model": metrics} | {row["name"]: row for row in metrics["baselines"]}
    for name, row in rows.items():
        cells = (row[metric] for metric in ("accuracy", "balanced_accuracy", "roc_auc"))
        assert f"{name} " + " ".join(f"{cell['value']:.3f} {interval(cell)}" for cell in cells) in said
    assert "the data may give the answer away" in said
    assert "Colours alone say something of who made a picture" in said


@pytest.mark.parametrize(("auc", "low", "level"), [(0.9, 0.8, "near"), (0.7, 0.6, "some"), (0.6, 0.45, "little")])
def test_a_rival_comes_near_beats_chance_or_says_little(auc: float, low: float, level: str) -> None:
    rival = {"name": "palette", "what": "", "roc_auc": {"value": auc, "low": low, "high": 1.0}}
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy"), about(0.9)) | {"roc_auc": about(0.95)}
    found = assessment.baselines(metrics | {"baselines": [rival]})
    assert found is not None
    assert found["rows"][0]["level"] == level


def test_weak_groups_stand_with_the_rest_and_how_many_were_tried(doubts: str) -> None:
    said = section(doubts, "weak")
    assert "87 groups were tried" in said
    assert f"style: {NASTY} 31 33.3 % 31–35 % 92.8 % 0.015" in said
    assert "257–512 AI + human 12 80.0 % 78–82 % 0.50" in said


def test_no_weak_group_is_said_with_how_many_were_tried(changed: Changed) -> None:
    said = section(changed(slices=[], by_size=None), "weak")
    assert "87 groups of test pictures were tried" in said
    assert "In none of them is it worse than chance explains" in said


def test_attribution_counts_whom_pictures_were_ascribed_to(doubts: str) -> None:
    said = section(doubts, "which")
    assert f"made by latent diffusion {NASTY} other pictures" in said
    assert "latent diffusion 5 0 2 7" in said
    assert "unheard of 0 3 0 3" in said
    assert "never used for the verdict; on AI pictures of known generators it is right for 71.4 %" in said


def test_mistakes_stand_on_a_sheet_and_by_name_with_what_is_nearest(sceptical: Folders, doubts: str) -> None:
    with Image.open(sceptical["evaluate"] / "mistakes.png") as opened:
        sheet = html_page.embedded(opened, html_page.SHEET_WIDTH, html_page.SHEET_BYTES)
    assert sheet["uri"] in doubts
    said = section(doubts, "mistakes")
    assert "human, post impressionism: is human, called AI, p(AI) > 0.999" in said
    assert f"trained as human (human), 12.3 away: train/dots/{NASTY}.jpg" in said


def test_no_mistake_needs_no_section(changed: Changed) -> None:
    assert "Worst mistakes" not in changed(mistakes=[])


def test_a_preset_without_epochs_shows_its_heads_and_no_curves(doubted: Path, doubts: str) -> None:
    said = section(doubts, "training")
    assert "linear kept 0.003 0.0723" in said
    assert "mlp 0.1 0.2000" in said
    assert "backbone efficientnet-lite0" in said
    assert "degraded in 4 ways" in said
    assert "best epoch" not in said
    assert not (doubted / "figures" / "history.png").exists()


@pytest.mark.parametrize("made", ["text", "doubts"])
def test_calibration_on_validation_stands_with_the_training(made: str, request: pytest.FixtureRequest) -> None:
    said = section(request.getfixturevalue(made), "training")
    low, high = RULE.band()
    assert "temperature 1.337: it was too sure of itself" in said
    assert f"unsure p(AI) {low:.3f} to {high:.3f}" in said
    assert "91.1 % when it has to choose; 99.0 % where it is not unsure, of 92.9 %" in said


def test_code_and_packages_stand_in_the_provenance_and_no_commit(text: str) -> None:
    said = section(text, "provenance")
    code = digests.value_digest({"artdetect.train": "abc"})[:16]
    assert f"train key-of-train code {code}" in said
    assert "c0ffee" not in text
    assert "pandas 3.0, 3.1, python 3.11" in said
