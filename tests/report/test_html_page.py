"""The page: its content, that it runs no scripts and makes no requests, and its texts for missing parts."""

import hashlib
import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import audit
from artdetect.artifacts.stages import TRAINED_ON
from artdetect.core import digests
from artdetect.formatting.text import METRICS
from artdetect.report import charts, context, galleries, html_page, page_images
from artdetect.report import config as report_config
from artdetect.report.config import ReportConfig
from artdetect.report.filters import NBSP, probability

from .conftest import (
    HOSTILE,
    ORIGIN,
    STAGES,
    Folders,
    copy_of,
    estimate,
    evaluation,
    index_table,
    localisation,
    predictions_of,
    report,
    visible_text,
)


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(
    folders: Folders, report_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    pictures = folders["index"].parents[1] / "pictures"
    again = report(copy_of(folders, tmp_path / "elsewhere"), tmp_path / "out", pictures=pictures, origin=ORIGIN)
    files = sorted(path.relative_to(report_folder) for path in report_folder.rglob("*") if path.is_file())
    assert [name.as_posix() for name in files] == [
        *(f"figures/{name}.png" for name in ("confusion", "coverage", "history", "reliability")),
        "model_card.md",
        "report.html",
    ]
    for name in files:
        assert (again / name).read_bytes() == (report_folder / name).read_bytes(), name


def test_the_page_runs_no_scripts_and_makes_no_requests(page: str) -> None:
    tags = re.findall(r"<[a-zA-Z][^>]*>", page)
    assert not [tag for tag in tags if re.match(r"<(script|iframe|object|embed|form|base)\b", tag, re.IGNORECASE)]
    assert not [tag for tag in tags if re.search(r"\son\w+\s*=", tag)]
    sources = [value for tag in tags for value in re.findall(r'\b(?:src|srcset|href)="([^"]*)"', tag)]
    assert sources
    assert all(re.match(r"data:|#[\w-]+$", value) for value in sources)
    assert not re.search(
        r"https?://|@import|url\(", "".join([*tags, *re.findall(r"<style>.*?</style>", page, re.DOTALL)])
    )
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in page


def test_file_names_and_the_title_are_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;window.executed=1&lt;/script&gt;" in page
    assert "&lt;b&gt;dots&lt;i&gt;" in page
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in page


def test_the_sources_are_counted_and_escaped(page: str) -> None:
    table = index_table()
    human = int((table.ok & (table.source == "The <i>Louvre</i> 0")).sum())
    row = f'<th scope="row">The &lt;i&gt;Louvre&lt;/i&gt; 0</th><td>human</td><td class="num">{human}</td>'
    assert row in page


def test_the_notice_comes_before_the_result(page: str) -> None:
    notice, result = page.index("These pictures are drawn by a program. No person"), page.index('class="lead"')
    assert notice < result
    assert 'role="note"' in page[:notice]


def test_the_numbers_are_those_of_the_metrics_with_their_intervals(folders: Folders, page: str) -> None:
    metrics = json.loads((folders["evaluate"] / "metrics.json").read_text())
    for name in METRICS:
        value, low, high = (f"{metrics[name][part]:.3f}" for part in ("value", "low", "high"))
        assert f'<td class="num">{value} <span class="hint">{low}–{high}</span></td>' in page
    accuracy = metrics["accuracy"]
    sentence = visible_text(page[page.index("test pictures of its own data set") :].split("</p>")[0])
    assert f"the model classified {100 * accuracy['value']:.1f} % correctly" in sentence
    assert f"(95 % interval {100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f} %)" in sentence
    (detected, _), (human_as_ai, _) = metrics["confusion"]
    assert f"It detected {detected} of 12 AI pictures, and misclassified {human_as_ai} of 12 human pictures" in sentence
    for group in metrics["by_generator"] + metrics["by_style"]:
        assert f"--value: {100 * group['accuracy']['value']:.1f}%; --low: {100 * group['accuracy']['low']:.1f}%" in page
        assert f"{100 * group['accuracy']['low']:.0f}–{100 * group['accuracy']['high']:.0f} %" in visible_text(page)
    for row in metrics["classes"].values():
        assert f'<td class="num">{row["precision"]:.3f}</td><td class="num">{row["recall"]:.3f}</td>' in page


def test_the_model_its_training_and_the_stages_are_named(folders: Folders, page: str) -> None:
    content = visible_text(page)
    digest = digests.file_digest(folders["train"] / "model.keras")
    assert f"compact-{digest[:8]}" in content
    assert digest in content
    assert all(f"key-of-{stage}" in content for stage in STAGES)
    assert "378,738" in content
    assert "3 of 3; validation accuracy 75.0 %" in content
    assert "0123456789abcdef" in content


def test_audit_findings_have_level_count_sentence_and_examples(folders: Folders, page: str) -> None:
    findings = json.loads((folders["audit"] / "audit.json").read_text())["findings"]
    content = visible_text(page)
    assert {f["name"] for f in findings if f["fired"]} >= {"unreadable", "train_test_overlap", "low_information"}
    for finding in findings:
        level = finding["level"] if finding["fired"] else "ok"
        assert f"{level} {finding['name'].replace('_', ' ')} {finding['count']} {finding['sentence']}" in content
        for example in finding["examples"] if finding["fired"] else ():
            assert html.escape(example, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert "train/dots/47.jpg: truncated" in content


def test_the_shortcut_has_its_auc_interval_and_properties(folders: Folders, page: str) -> None:
    shortcut = json.loads((folders["audit"] / "audit.json").read_text())["shortcut"]
    content = visible_text(page)
    assert "The files give the label away" in content
    assert f"an AUC of 1.000 (95 % interval {shortcut['auc']['low']:.3f}–1.000; 0.5 is chance" in content.replace(
        NBSP, " "
    )
    assert shortcut["properties"][0]["name"] == "width"
    for row in shortcut["properties"]:
        assert f"{row['name']} {row['auc']['value']:.3f} {row['auc']['low']:.3f}–{row['auc']['high']:.3f}" in content
    assert "latent diffusion 1.000" in content


def test_the_contact_sheet_is_on_the_page(folders: Folders, page: str) -> None:
    with Image.open(folders["audit"] / audit.SHEET) as opened:
        sheet = page_images.embedded(opened, page_images.SHEET_WIDTH, page_images.SHEET_BYTES)
    assert f'<img src="{sheet["uri"]}" width="{sheet["width"]}" height="{sheet["height"]}"' in page


def test_explanations_and_the_page_are_small_files(report_folder: Path) -> None:
    assert (report_folder / "report.html").stat().st_size < 1_500_000
    noise = np.random.default_rng(0).integers(0, 256, (762, 1616, 3), np.uint8)
    blocks = np.repeat(np.repeat(noise[:48, :101], 16, axis=0), 16, axis=1)
    for pixels in (noise, blocks):
        image = page_images.embedded(Image.fromarray(pixels), page_images.FIGURE_WIDTH, page_images.FIGURE_BYTES)
        assert len(image["uri"]) * 3 / 4 < page_images.FIGURE_BYTES + 100
    assert (image["width"], image["height"]) == (1170, 556)


def test_a_run_without_errors_explanations_findings_or_styles_says_so(
    folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    bare = copy_of(folders, tmp_path / "bare")
    (bare["index"] / "notice.txt").unlink()
    (bare["index"] / "skipped.json").write_text("{}")
    table = index_table().assign(style="dots", ok=True, error=None, width=256, height=256, bytes=5000, contrast=40.0)
    table["sha256"] = [f"{number:064d}" for number in range(len(table))]
    table["phash"] = [hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(48)]
    table.to_parquet(bare["index"] / "index.parquet")
    shutil.rmtree(bare["audit"])
    bare["audit"].mkdir()
    audit.run(audit.AuditConfig(), bare["index"], tmp_path, bare["audit"])
    correct = predictions_of(table).assign(p_ai=lambda rows: (rows.label == "AI") * 1.0)
    correct["verdict"] = correct["predicted"] = correct["label"]
    correct["reason"] = "sure"
    (bare["evaluate"] / "metrics.json").write_text(json.dumps(evaluation(correct)))
    explanations = pd.read_parquet(bare["explain"] / "explanations.parquet")
    explanations.head(0).to_parquet(bare["explain"] / "explanations.parquet")
    values = context.gather(bare)
    content = visible_text(html_page.render("bare", values, chart_images))
    assert "No picture was misclassified." in content
    assert "No picture was explained in this run" in content
    assert "All 24 test pictures have the same style, “dots”" in content
    assert not [f["name"] for f in values["audit"]["findings"] if f["fired"]]
    assert "ok unreadable 0 Every picture can be read." in content
    assert "Contact sheet" not in content
    assert "Note from the data set" not in content
    assert "give the label away" not in content


def test_held_out_pictures_are_counted(folders: Folders, chart_images: charts.Charts, tmp_path: Path) -> None:
    held = copy_of(folders, tmp_path / "held")
    balance = pd.read_parquet(held["balance"] / "balance.parquet")
    balance.loc[balance.generator == "latent_diffusion", "split"] = "held_out"
    balance.to_parquet(held["balance"] / "balance.parquet")
    values = context.gather(held)
    assert values["held_out"] == {"latent_diffusion": 12}
    assert values["used"]["total"] == context.gather(folders)["used"]["total"] - 12
    assert {row["name"]: row["unseen"] for row in values["generators"]}["latent_diffusion"]
    assert not any(row["unseen"] for row in context.gather(folders)["generators"])
    content = visible_text(html_page.render("held", values, chart_images))
    assert "In the test set, but not in the training data: latent diffusion." in content
    assert "12 pictures of latent diffusion were held out" in content


def test_only_some_of_many_explanations_are_on_the_page(folders: Folders, tmp_path: Path) -> None:
    many = copy_of({"explain": folders["explain"]}, tmp_path)["explain"]
    table = pd.read_parquet(many / "explanations.parquet")
    pd.concat([table] * 20).to_parquet(many / "explanations.parquet")
    predictions = pd.read_parquet(folders["evaluate"] / "predictions.parquet")
    found = galleries.explanations(many, predictions, 0.5, {"why_not": "none"})
    assert found["count"] == 120
    assert len(found["cards"]) == galleries.SHOWN_PER_RULE * len(table.groupby(["label", "rule"]))


@pytest.mark.parametrize(("value", "shown"), [(0.9997, "> 0.999"), (1.0, "1.000"), (0.0001, "< 0.001"), (0.5, "0.500")])
def test_a_probability_is_not_rounded_to_a_certainty(value: float, shown: str) -> None:
    assert probability(value) == shown


def test_an_edited_template_changes_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = ReportConfig().key_parts()
    templates = shutil.copytree(report_config.TEMPLATES, tmp_path / "report")
    monkeypatch.setattr("artdetect.report.config.TEMPLATES", templates)
    assert ReportConfig().key_parts() == before
    (templates / "report.css").write_text("body { color: red }")
    assert ReportConfig().key_parts() != before


def test_what_the_maps_find_stands_beside_noise_chance_and_the_true_region(page: str) -> None:
    text = visible_text(page)
    assert "The maps find what was pasted: Grad-CAM has an AUC of 0.78 (0.76–0.80), where chance is 0.5." in text
    assert "31 AI and 33 human test pictures that the model judges rightly" in text
    assert "Grad-CAM 40 0.78 (0.76–0.80) 0.64 (0.62–0.66) 0.44 (0.42–0.46) 0.50 (0.47–0.51) 0.50 (0.48–0.52)" in text
    assert "XRAI 8 0.78" in text
    assert "by chance 0.50 0.21 0.12" in text
    assert "edge: feathered 0.78 (0.76–0.80), N = 13" in text
    assert "Deletion and insertion on 8 of the splices" in text
    assert "Insertion does not agree with this truth, and deletion not reliably" in text
    assert "true region −1.31 (−1.33 to −1.29) 1.42 (1.40 to 1.44)" in text


def test_other_methods_maps_of_the_pictures_stand_beside_and_each_has_its_score(page: str) -> None:
    cards = page.count('<figure class="card" id="explanations-')
    assert page.count("<br>Grad-CAM: AUC 0.78 (0.76–0.80) on splices<br>") == cards
    assert page.count("<summary>XRAI, for comparison: AUC 0.78 (0.76–0.80) on splices</summary>") == cards > 0


def weak(row: dict) -> dict:
    """The row of a method whose AUC may be that of noise."""
    return row | {"above_noise": estimate(0.001)}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (localisation(reason="That takes 8 of each class.", rows=[], chance=None, curves=None), "That takes 8 of each"),
        (localisation(rows=[weak(row) for row in localisation()["rows"]]), "It is not shown that the maps find"),
        (None, None),
    ],
)
def test_maps_that_find_nothing_or_were_not_checked_are_said_so(
    found: dict | None, says: str | None, folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    copies = copy_of(folders, tmp_path)
    (copies["explain"] / "localisation.json").write_text(json.dumps(found))
    text = visible_text(html_page.render("A title", context.gather(copies), chart_images))
    assert ("Do the maps find what was pasted?" in text) is (says is not None)
    assert says is None or says in text
    assert "The maps find what was pasted:" not in text


def test_a_model_that_is_tested_on_a_later_state_of_the_data_is_shown_with_what_it_was_trained_on(
    folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    before = copy_of({TRAINED_ON: folders["balance"]}, tmp_path)
    table = pd.read_parquet(before[TRAINED_ON] / "balance.parquet")
    unknown = table.generator[table.split == "test"].iloc[-1]
    table[(table.split == "train") & (table.generator != unknown)].to_parquet(before[TRAINED_ON] / "balance.parquet")
    now, then = (context.gather(shown, origin=ORIGIN) for shown in (folders, folders | before))
    trained, tested = then["used"]["splits"].index("train"), then["used"]["splits"].index("test")
    assert then["used"]["totals"][trained] < now["used"]["totals"][trained]
    assert then["used"]["totals"][tested] == now["used"]["totals"][tested]
    assert [row["name"] for row in then["generators"] if row["unseen"]] == [unknown]
    assert not [row for row in now["generators"] if row["unseen"]]
    then["origin"] = ORIGIN | {"command": None}
    text = visible_text(html_page.render("A title", then, chart_images))
    assert "The model is tested here on another state of the data than it was trained on." in text
    assert "trained on key-of-balance" in text
