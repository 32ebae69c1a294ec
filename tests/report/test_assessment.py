"""How far the model can be trusted: every number on the page is that of the metrics, and missing parts are left out."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from artdetect.core import digests
from artdetect.model.decision import VERDICTS, DecisionRule
from artdetect.pictures.labels import CLASSES
from artdetect.report import assessment, charts, context, html_page
from artdetect.train import out_of_source

from .conftest import ABSTAIN, NASTY, ORIGIN, RULE, Folders, copy_of, estimate, judged, visible_text

Render = Callable[..., str]
OPTIONAL = {
    "robustness": "Robustness to degradation",
    "baselines": "Baselines",
    "weak-slices": "Weak subgroups",
    "generator-attribution": "Generator attribution",
}


@pytest.fixture
def render_with(full_folders: Folders, chart_images: charts.Charts, tmp_path: Path) -> Render:
    """The page after some parts of the metrics were replaced; None removes a part."""

    def render(**parts: Any) -> str:
        copy = copy_of(full_folders, tmp_path / "changed")
        metrics = {name: value for name, value in (metrics_of(copy) | parts).items() if value is not None}
        (copy["evaluate"] / "metrics.json").write_text(json.dumps(metrics))
        return html_page.render("changed", context.gather(copy), chart_images)

    return render


def metrics_of(folders: Folders, stage: str = "evaluate") -> dict[str, Any]:
    return json.loads((folders[stage] / "metrics.json").read_text())


def section(page: str, name: str) -> str:
    """The visible text of a section."""
    start = page.index(f'<section id="{name}">')
    return visible_text(page[start : page.index("</section>", start)])


def percent(metric: dict[str, float]) -> str:
    return f"{100 * metric['value']:.1f} %"


def interval(metric: dict[str, float], digits: int = 3) -> str:
    factor = 1 if digits == 3 else 100
    return f"{factor * metric['low']:.{digits}f}–{factor * metric['high']:.{digits}f}"


def test_a_check_that_did_not_run_has_no_section(page: str, full_page: str) -> None:
    for name, title in OPTIONAL.items():
        assert f"<h2>{title}</h2>" not in page
        assert f'href="#{name}"' not in page
        assert f"<h2>{title}</h2>" in full_page
    assert "<h2>Confidence and calibration</h2>" in page


@pytest.mark.parametrize("fixture", ["page", "full_page"])
def test_every_link_of_the_contents_leads_somewhere(fixture: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(fixture)
    links = set(re.findall(r'href="#([a-z-]+)"', page))
    assert links <= set(re.findall(r'\bid="([a-z-]+)"', page))
    assert set(re.findall(r'<section id="([a-z-]+)"', page)) <= links


def test_names_that_are_markup_are_escaped(full_page: str) -> None:
    assert "<b>bold</b>" not in full_page
    assert html.escape(NASTY) in full_page


def test_verdicts_have_three_columns_that_add_up(folders: Folders, page: str) -> None:
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    metrics, content = metrics_of(folders), section(page, "confidence")
    for label, predicted in zip(CLASSES, metrics["confusion"], strict=True):
        counts = [int(((predictions.label == label) & (predictions.verdict == verdict)).sum()) for verdict in VERDICTS]
        assert sum(counts) == sum(predicted)
        assert f"{label} {' '.join(map(str, counts))} {sum(predicted)}" in content
    unsure = metrics["unsure"]
    assert unsure["pictures"] == (predictions.verdict == "unsure").sum() > 0
    assert f"unsure about {unsure['pictures']} of 24 test pictures ({percent(unsure['share'])})" in content
    assert f"{percent(unsure['accuracy_decided'])} were correct" in content
    assert f"{interval(unsure['accuracy_decided'], 1)} %" in content


def test_the_decision_rule_is_that_of_the_model(page: str) -> None:
    low, high = RULE.band()
    content = section(page, "confidence")
    assert f"The verdict is AI if p(AI) is at least {high:.3f}. It is human if p(AI) is below {low:.3f}." in content
    assert "A picture that is unlike the training art is unsure, whatever its p(AI)." in content
    assert "So is a picture of one colour, or with a side below 32 pixels." in content


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (DecisionRule(0.5, 0.4, 1.0), "It never says AI: no p(AI) is high enough for it. It is human if"),
        (DecisionRule(0.5, 0.03, 0.6), "0.600. It never says human: no p(AI) is low enough for it. Otherwise"),
        (DecisionRule(0.5), "The verdict is AI if p(AI) is at least 0.500. It is human if p(AI) is below 0.500."),
    ],
)
def test_a_side_that_no_probability_reaches_is_named(folders: Folders, rule: DecisionRule, shown: str) -> None:
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    found = assessment.confidence(metrics_of(folders, "train"), metrics_of(folders), rule, predictions)
    assert found is not None
    assert shown in found["decision"]


def test_the_reasons_of_unsure_verdicts_are_counted(folders: Folders, page: str) -> None:
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    counts = predictions.reason[predictions.verdict == "unsure"].value_counts()
    assert counts.index.tolist() == ["near the threshold"]
    assert f"The reasons: near the threshold {counts.iloc[0]}." in section(page, "confidence")


# --- art from other sources ---


def test_art_from_other_sources_leads_and_stands_beside_validation_and_test(
    full_folders: Folders, full_page: str
) -> None:
    found, inside = (metrics_of(full_folders, "train")[name] for name in ("out_of_source", "in_source"))
    tested = metrics_of(full_folders)["verdicts"]
    lead = visible_text(full_page[full_page.index('class="lead"') :].split("</header>")[0])
    firm = found["firm"]
    assert lead.index("never seen, the model gives a verdict on") < lead.index("test pictures of its own data set")
    assert f"verdict on {percent(firm)} of the pictures (95 % interval over 10 sources: {interval(firm, 0)} %)" in lead
    assert f"Where it says human, it is right in {percent(found['right_human'])} (" in lead
    content = section(full_page, "other-art")
    for part in (found, inside, tested):
        for name in ("firm", "right_ai", "right_human", "balanced_accuracy"):
            assert f"{percent(part[name])} {interval(part[name], 0)} %" in content
        for name in ("roc_auc", "log_loss", "ece"):
            metric = part[name]
            assert f"{metric['value']:.3f} {metric['low']:.3f}–{metric['high']:.3f}" in content
    assert "sources left out 100 pictures 95 % over 10 sources" in content
    assert "validation 40 pictures 95 % over pictures test 24 pictures 95 % over pictures" in content
    assert (
        "p(AI) stays between 3.1 % and 97.1 %: even among the pictures with the most extreme scores, up to 3.1 % of"
        in content
    )
    assert "the lowest and 2.9 % of the highest may be something else." in content


def test_sources_are_sorted_by_the_share_of_right_verdicts_and_the_worst_is_named(
    full_folders: Folders, full_page: str
) -> None:
    found, content = metrics_of(full_folders, "train")["out_of_source"], section(full_page, "other-art")
    assert (found["worst"]["source"], found["worst"]["right"], found["worst"]["firm"]) == (NASTY, 5, 10)
    assert content.index(NASTY) < content.index("human 1 human")
    assert f"{NASTY} human 10 50.0 % 24–76 % 10 50.0 % 24–76 %" in content
    lead = visible_text(full_page[full_page.index('class="lead"') :].split("</header>")[0])
    assert "Of the 10 sources with at least 5 verdicts, 90.0 % (60–98 %) have at least 90 % of them right." in lead
    assert f"The worst is {NASTY} (human): 5 of 10 verdicts are right." in lead


def test_without_sources_left_out_page_and_card_say_that_nothing_is_known(page: str, report_folder: Path) -> None:
    sentence = "Nothing is known about its verdicts on art from other sources: no source was left out of training"
    lead = visible_text(page[page.index('class="lead"') :].split("</header>")[0])
    assert lead.startswith(f'class="lead">{sentence}')
    assert "it was fitted with half the errors" in lead
    assert "Nothing is known: no source was left out" in section(page, "other-art")
    assert "By source" not in section(page, "other-art")
    assert sentence in (report_folder / "model_card.md").read_text(encoding="utf-8")


def test_with_too_few_sources_their_figures_do_not_lead(full_folders: Folders) -> None:
    training = metrics_of(full_folders, "train") | {"out_of_source": out_of_source.summary(judged(3))}
    found = assessment.other_art(training, metrics_of(full_folders), None)
    assert found["unknown"] == "the training pictures are of 3 human and 3 AI sources, too few to leave some out"
    assert len(found["sentences"]) == 1
    assert found["columns"][0]["over"] == "6 sources"


@pytest.mark.parametrize(
    ("max_share", "sources", "shown"),
    [
        (None, 5, "right, of AI and of human each, on art from other sources."),
        (0.1, 5, "at most 10 % of the pictures may be unsure. As it is, only 88.4 % of the verdicts human are right."),
        (0.1, 3, "97.5 % of the verdicts to be right, of AI and of human each, on the pictures that it was fitted on."),
    ],
)  # fmt: skip
def test_the_promise_and_what_overrules_it_are_stated(
    full_folders: Folders, max_share: float | None, sources: int, shown: str
) -> None:
    found = out_of_source.summary(judged(sources))
    assert found is not None
    if sources == 5:
        found |= {"right_ai": estimate(0.96), "right_human": estimate(0.884)}
    training = metrics_of(full_folders, "train") | {"out_of_source": found}
    table = assessment.other_art(training, metrics_of(full_folders), ABSTAIN | {"max_share": max_share})
    assert shown in table["promise"]


def test_a_model_that_is_never_unsure_has_no_sentence_about_it(render_with: Render) -> None:
    none = {"pictures": 0, "share": {"value": 0.0, "low": 0.0, "high": 0.1}, "accuracy_decided": estimate(0.9)}
    assert "It is unsure about" not in render_with(unsure=none)


def test_a_model_that_is_unsure_of_everything_has_no_accuracy_there(render_with: Render) -> None:
    everything = {"pictures": 24, "share": {"value": 1.0, "low": 0.9, "high": 1.0}, "accuracy_decided": None}
    content = section(render_with(unsure=everything), "confidence")
    assert "The model was unsure about 24 of 24 test pictures (100.0 %)." in content
    assert "Of its verdicts on the others" not in content


def test_metrics_without_calibration_have_no_section_on_confidence(render_with: Render) -> None:
    assert "Confidence and calibration" not in render_with(calibration=None)


def test_calibration_and_recall_at_low_false_positive_rates_have_intervals(folders: Folders, page: str) -> None:
    metrics, content = metrics_of(folders), section(page, "confidence")
    measures = {"aurc": metrics["aurc"]} | {name: metrics["calibration"][name] for name in ("ece", "brier", "log_loss")}
    for metric in measures.values():
        assert f"{metric['value']:.3f} {interval(metric)}" in content
    for row in metrics["tpr_at_fpr"]:
        assert (
            f"at most {row['fpr']:.0%}".replace("%", " %") + f" {percent(row['tpr'])} {interval(row['tpr'], 1)} %"
            in content
        )
    assert "The costly error is to classify a human artist’s work as AI." in content
    for row in metrics["calibration"]["bins"]:
        assert f"{interval(row)} {row['pictures']} {row['mean_p']:.3f} {row['share_ai']:.3f}" in content


def test_robustness_is_shown_by_condition(full_folders: Folders, full_page: str) -> None:
    content, robustness = section(full_page, "robustness"), metrics_of(full_folders)["robustness"]
    assert "On 20 test pictures degraded in this way" in content
    assert "the mean accuracy is 84.0 %, compared with 95.0 % on the originals" in content
    assert "The worst condition is blur 2, with 67.1 %" in content
    clean, *rows = robustness["rows"]
    assert clean["name"] not in content
    for row in rows:
        shown = (
            f"{row['name']} {percent(row['accuracy'])} {interval(row['accuracy'], 1)} % {row['roc_auc']['value']:.3f}"
        )
        assert f"{shown} {percent(row['flipped'])} 12.3 %" in content


def test_baselines_are_shown_beside_the_model(full_folders: Folders, full_page: str) -> None:
    content, metrics = section(full_page, "baselines"), metrics_of(full_folders)
    rows = {"the model": metrics} | {row["name"]: row for row in metrics["baselines"]}
    for name, row in rows.items():
        others = metrics_of(full_folders, "train") if name == "the model" else row
        cells = [row[metric] for metric in ("accuracy", "balanced_accuracy", "roc_auc")]
        cells.append(others["out_of_source"]["roc_auc"])
        assert f"{name} " + " ".join(f"{cell['value']:.3f} {interval(cell)}" for cell in cells) in content
    assert "The data may give the label away" in content
    assert "Colours alone are better than chance, but clearly worse than the model." in content


@pytest.mark.parametrize(
    ("auc", "low", "level"), [(0.9, 0.8, "near_model"), (0.7, 0.6, "above_chance"), (0.6, 0.45, "near_chance")]
)
def test_a_baseline_is_near_the_model_above_chance_or_near_chance(auc: float, low: float, level: str) -> None:
    baseline = {"name": "palette", "what": "", "roc_auc": {"value": auc, "low": low, "high": 1.0}}
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy"), estimate(0.9)) | {"roc_auc": estimate(0.95)}
    table = assessment.baselines(metrics | {"baselines": [baseline]}, {})
    assert table is not None
    assert table["rows"][0]["out_of_source"] is table["out_of_source"] is None
    assert table["rows"][0]["level"] == level


def test_weak_subgroups_are_compared_with_the_rest(full_page: str) -> None:
    content = section(full_page, "weak-slices")
    assert "87 subgroups were tested" in content
    assert f"style: {NASTY} 31 33.3 % 31–35 % 92.8 % 0.015" in content
    assert "257–512 AI + human 12 80.0 % 78–82 % 0.50" in content


def test_the_page_says_how_many_subgroups_were_tested_if_none_is_weak(render_with: Render) -> None:
    content = section(render_with(slices=[], by_size=None), "weak-slices")
    assert "87 subgroups of test pictures were tested" in content
    assert "In none of them is the accuracy lower than chance explains" in content


def test_attribution_counts_true_and_predicted_generators(full_page: str) -> None:
    content = section(full_page, "generator-attribution")
    assert f"true generator latent diffusion {NASTY} other pictures" in content
    assert "latent diffusion 5 0 2 7" in content
    assert "unheard of 0 3 0 3" in content
    assert (
        "This does not affect the verdict. For AI pictures of known generators, it is correct in 71.4 % of the cases"
        in content
    )


def test_a_preset_without_epochs_shows_its_heads_and_no_curves(full_report: Path, full_page: str) -> None:
    content = section(full_page, "training")
    assert "linear selected 0.003 0.0723" in content
    assert "mlp 0.1 0.2000" in content
    assert "backbone efficientnet-lite0" in content
    assert "each original picture and 4 degraded versions of it" in content
    assert "best epoch" not in content
    assert not (full_report / "figures" / "history.png").exists()


@pytest.mark.parametrize("fixture", ["page", "full_page"])
def test_calibration_is_part_of_the_training_section(fixture: str, request: pytest.FixtureRequest) -> None:
    content = section(request.getfixturevalue(fixture), "training")
    low, high = RULE.band()
    assert "temperature 1.337: before calibration, the model was overconfident" in content
    assert f"unsure p(AI) {low:.3f} to {high:.3f}" in content
    assert "bounds of p(AI) 0.031 to 0.971" in content


def test_the_provenance_has_command_data_set_settings_code_and_commit(page: str, full_page: str) -> None:
    content = section(page, "provenance")
    code = digests.value_digest({"artdetect.train": "abc"})[:16]
    assert f"train key-of-train {code} c0ffee" in content
    assert (
        f"at commit c0ffee and with the packages below. It gives artifacts with the same keys. {ORIGIN['command']}"
        in content
    )
    assert f"a <data> set : https://example.org/a.zip sha256 {'5' * 64}" in content
    assert f"names and contents have the digest {'7' * 64}" in content
    assert 'train.abstain {"min_accuracy": 0.95, "max_share": null}' in content
    assert "pandas 3.0, 3.1, python 3.11" in content
    assert "The command that makes this model again is not known" in section(full_page, "provenance")
