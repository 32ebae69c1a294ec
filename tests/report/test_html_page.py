"""The page: what stands on it, that nothing in it runs or asks the network, and what it says where there is little."""

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
from artdetect.core import digests
from artdetect.evaluate.metrics import summary
from artdetect.formatting.text import METRICS
from artdetect.report import charts, context, html_page
from artdetect.report import config as report_config
from artdetect.report.config import ReportConfig
from artdetect.report.filters import NBSP, probability

from .conftest import HOSTILE, STAGES, Folders, copied, indexed, predicted, read, report


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(folders: Folders, built: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    again = report(copied(folders, tmp_path / "elsewhere"), tmp_path / "out")
    files = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
    assert [name.as_posix() for name in files] == [
        *(f"figures/{name}.png" for name in ("confusion", "coverage", "history", "reliability")),
        "model_card.md",
        "report.html",
    ]
    for name in files:
        assert (again / name).read_bytes() == (built / name).read_bytes(), name


def test_nothing_on_the_page_runs_or_asks_the_network(text: str) -> None:
    tags = re.findall(r"<[a-zA-Z][^>]*>", text)
    assert not [tag for tag in tags if re.match(r"<(script|iframe|object|embed|form|base)\b", tag, re.IGNORECASE)]
    assert not [tag for tag in tags if re.search(r"\son\w+\s*=", tag)]
    sources = [value for tag in tags for value in re.findall(r'\b(?:src|srcset|href)="([^"]*)"', tag)]
    assert sources
    assert all(re.match(r"data:|#\w+$", value) for value in sources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in text


def test_file_names_and_the_title_are_escaped(text: str) -> None:
    assert HOSTILE not in text
    assert "&lt;script&gt;window.executed=1&lt;/script&gt;" in text
    assert "&lt;b&gt;dots&lt;i&gt;" in text
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in text


def test_the_notice_stands_before_the_result(text: str) -> None:
    notice, result = text.index("These pictures are drawn by a program. No person"), text.index('class="result"')
    assert notice < result
    assert 'role="note"' in text[:notice]


def test_the_numbers_are_those_of_the_metrics_with_their_intervals(folders: Folders, text: str) -> None:
    metrics = json.loads((folders["evaluate"] / "metrics.json").read_text())
    for name in METRICS:
        value, low, high = (f"{metrics[name][part]:.3f}" for part in ("value", "low", "high"))
        assert f'<td class="n">{value}</td><td class="n">{low}–{high}</td>' in text
    accuracy = metrics["accuracy"]
    sentence = read(text[text.index('class="result"') :].split("</p>")[0])
    assert f"On 24 test pictures the model called {100 * accuracy['value']:.1f} % right" in sentence
    assert f"(95 % interval {100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f} %)" in sentence
    (found, _), (accused, _) = metrics["confusion"]
    assert f"Of 12 AI pictures it found {found}; of 12 human ones it took {accused} for AI." in sentence
    for group in metrics["by_generator"] + metrics["by_style"]:
        assert f"--value: {100 * group['accuracy']['value']:.1f}%; --low: {100 * group['accuracy']['low']:.1f}%" in text
        assert f"{100 * group['accuracy']['low']:.0f}–{100 * group['accuracy']['high']:.0f} %" in read(text)
    for row in metrics["classes"].values():
        assert f'<td class="n">{row["precision"]:.3f}</td><td class="n">{row["recall"]:.3f}</td>' in text


def test_the_model_its_training_and_the_stages_are_named(folders: Folders, text: str) -> None:
    said = read(text)
    digest = digests.file_digest(folders["train"] / "model.keras")
    assert f"compact-{digest[:8]}" in said
    assert digest in said
    assert all(f"key-of-{stage}" in said for stage in STAGES)
    assert "378,738" in said
    assert "3 of 3; validation accuracy 75.0 %" in said
    assert "0123456789abcdef" in said


def test_findings_of_the_data_stand_with_their_rule_count_sentence_and_examples(folders: Folders, text: str) -> None:
    findings = json.loads((folders["audit"] / "audit.json").read_text())["findings"]
    said = read(text)
    assert {f["name"] for f in findings if f["fired"]} >= {"unreadable", "train_test_overlap", "low_information"}
    for finding in findings:
        rule = finding["level"] if finding["fired"] else "fine"
        assert f"{rule} {finding['name'].replace('_', ' ')} {finding['count']} {finding['sentence']}" in said
        for example in finding["examples"] if finding["fired"] else ():
            assert html.escape(example, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert "train/dots/47.jpg: truncated" in said


def test_the_shortcut_stands_with_its_area_its_interval_and_its_properties(folders: Folders, text: str) -> None:
    shortcut = json.loads((folders["audit"] / "audit.json").read_text())["shortcut"]
    said = read(text)
    assert "The files give the label away" in said
    assert f"an AUC of 1.000 (95 % interval {shortcut['auc']['low']:.3f}–1.000; 0.5 is chance" in said.replace(
        NBSP, " "
    )
    assert shortcut["properties"][0]["name"] == "width"
    for row in shortcut["properties"]:
        assert f"{row['name']} {row['auc']['value']:.3f} {row['auc']['low']:.3f}–{row['auc']['high']:.3f}" in said
    assert "latent diffusion 1.000" in said


def test_the_contact_sheet_is_on_the_page(folders: Folders, text: str) -> None:
    with Image.open(folders["audit"] / audit.SHEET) as opened:
        sheet = html_page.embedded(opened, html_page.SHEET_WIDTH, html_page.SHEET_BYTES)
    assert f'<img src="{sheet["uri"]}" width="{sheet["width"]}" height="{sheet["height"]}"' in text


def test_an_explanation_is_small_and_its_page_modest(built: Path) -> None:
    assert (built / "report.html").stat().st_size < 1_500_000
    noise = np.random.default_rng(0).integers(0, 256, (762, 1616, 3), np.uint8)
    blocks = np.repeat(np.repeat(noise[:48, :101], 16, axis=0), 16, axis=1)
    for pixels in (noise, blocks):
        image = html_page.embedded(Image.fromarray(pixels), html_page.PART_WIDTH, html_page.PART_BYTES)
        assert len(image["uri"]) * 3 / 4 < html_page.PART_BYTES + 100
    assert (image["width"], image["height"]) == (370, 176)


def test_a_run_without_errors_explanations_findings_or_styles_says_so(
    folders: Folders, charts: charts.Charts, tmp_path: Path
) -> None:
    bare = copied(folders, tmp_path / "bare")
    (bare["index"] / "notice.txt").unlink()
    (bare["index"] / "skipped.json").write_text("{}")
    table = indexed().assign(style="dots", ok=True, error=None, width=256, height=256, bytes=5000, contrast=40.0)
    table["sha256"] = [f"{number:064d}" for number in range(len(table))]
    table["phash"] = [hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(48)]
    table.to_parquet(bare["index"] / "index.parquet")
    shutil.rmtree(bare["audit"])
    bare["audit"].mkdir()
    audit.run(audit.AuditConfig(), bare["index"], tmp_path, bare["audit"])
    right = predicted(table).assign(p_ai=lambda rows: (rows.label == "AI") * 1.0)
    right["verdict"] = right["called"] = right["label"]
    (bare["evaluate"] / "metrics.json").write_text(json.dumps(summary(right, 100, 1)))
    explanations = pd.read_parquet(bare["explain"] / "explanations.parquet")
    explanations.head(0).to_parquet(bare["explain"] / "explanations.parquet")
    found = context.gather(bare)
    said = read(html_page.render("bare", found, charts))
    assert "None was called wrong." in said
    assert "No picture was explained in this run" in said
    assert "All 24 test pictures have one style, “dots”" in said
    assert not [f["name"] for f in found["audit"]["findings"] if f["fired"]]
    assert "fine unreadable 0 Every picture can be read." in said
    assert "Contact sheet" not in said
    assert "The data set says of itself" not in said
    assert "give the label away" not in said


def test_held_out_pictures_are_counted_where_there_are_some(
    folders: Folders, charts: charts.Charts, tmp_path: Path
) -> None:
    held = copied(folders, tmp_path / "held")
    balance = pd.read_parquet(held["balance"] / "balance.parquet")
    balance.loc[balance.generator == "latent_diffusion", "split"] = "held_out"
    balance.to_parquet(held["balance"] / "balance.parquet")
    gathered = context.gather(held)
    assert gathered["held_out"] == {"latent_diffusion": 12}
    assert gathered["used"]["total"] == context.gather(folders)["used"]["total"] - 12
    assert {row["name"]: row["unseen"] for row in gathered["generators"]}["latent_diffusion"]
    assert not any(row["unseen"] for row in context.gather(folders)["generators"])
    said = read(html_page.render("held", gathered, charts))
    assert "latent diffusion: in the test, but never trained on." in said
    assert "12 pictures of latent diffusion were held out" in said


def test_only_some_of_many_explanations_are_on_the_page(folders: Folders, tmp_path: Path) -> None:
    many = copied({"explain": folders["explain"]}, tmp_path)["explain"]
    table = pd.read_parquet(many / "explanations.parquet")
    pd.concat([table] * 20).to_parquet(many / "explanations.parquet")
    found = context._explanations(many)
    assert found["count"] == 120
    assert len(found["shown"]) == context.SHOWN_PER_RULE * len(table.groupby(["label", "rule"]))


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
