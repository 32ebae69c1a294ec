"""The report: what stands on the page, that nothing in it runs or asks the network, and how a browser lays it out."""

import hashlib
import html
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import audit, digests
from artdetect.evaluate.metrics import summary
from artdetect.report import ReportConfig, facts, page, run
from artdetect.report.page import NBSP
from artdetect.summary import METRICS
from tests.tiny import jpeg, write

HOSTILE = 'test/dots/<script>window.executed=1</script><img src=x onerror="window.executed=1">.jpg'
LONG = "test/dots/" + "a_name_without_a_single_space_" * 8 + ".jpg"
NOTICE = "These pictures are drawn by a program.\nNo person painted them.\n\nAccuracy means nothing about real art.\n"
STAGES = ("index", "audit", "balance", "train", "evaluate", "explain")
Folders = dict[str, Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Artifact folders as a run leaves them, with drawn pictures, hostile file names and every finding."""
    return artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def built(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(folders, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def text(built: Path) -> str:
    return (built / "report.html").read_text(encoding="utf-8")


def artifacts(root: Path) -> Folders:
    made = {stage: root / stage / f"key-of-{stage}" for stage in STAGES}
    for folder in made.values():
        folder.mkdir(parents=True)
    table = _index()
    _pictures(root / "pictures", table)
    table.to_parquet(made["index"] / "index.parquet")
    (made["index"] / "skipped.json").write_text(json.dumps({"not a picture": ["test/<b>dots<i>/notes.txt"]}))
    (made["index"] / "notice.txt").write_text(NOTICE)
    audit.run(audit.AuditConfig(), made["index"], root / "pictures", made["audit"])
    _balance(table).to_parquet(made["balance"] / "balance.parquet")
    _train(made["train"])
    predictions = _predictions(table)
    predictions.to_parquet(made["evaluate"] / "predictions.parquet")
    (made["evaluate"] / "metrics.json").write_text(json.dumps(summary(predictions, 100, 1)))
    _explain(predictions, made["explain"])
    return made


def report(folders: Folders, out: Path) -> Path:
    run(ReportConfig(title="A <title> & more"), folders, out)
    return out


def _index() -> pd.DataFrame:
    """48 pictures: two generators whose files are larger than the human ones, two styles; the last cannot be read."""
    rows = []
    for number in range(48):
        generator = ("human", "human", "latent_diffusion", "AVERYLONGGENERATORNAME2.1")[number % 4]
        split = "test" if number < 24 else "train"
        side = 256 if generator == "human" else 768
        rows.append(
            {
                "path": {0: HOSTILE, 1: LONG}.get(number, f"{split}/dots/{number:02d}.jpg"),
                "label": "human" if generator == "human" else "AI",
                "split": split,
                "style": "dots" if number % 3 else "post_impressionism",
                "generator": generator,
                "sha256": f"{7 if number in (2, 30, 31) else number:064d}",
                "bytes": side * 50 + number,
                "width": side,
                "height": side,
                "format": "JPEG",
                "mode": "RGB",
                "jpeg_quality": 75,
                "has_exif": False,
                "phash": hashlib.sha256(bytes([number % 43])).hexdigest()[:16],  # 43 looks like 0, 44 like 1 …
                "contrast": 0.5 if number == 40 else 40.0,
                "ok": number < 47,
                "error": None if number < 47 else "truncated",
            }
        )
    return pd.DataFrame(rows)


def _pictures(folder: Path, table: pd.DataFrame) -> None:
    """The files of an index, and their digests in it; equal ones stay equal."""
    for number, (path, content) in enumerate(zip(table.path, table.sha256, strict=True)):
        file = write(folder / path, jpeg(int(content), side=200))
        table.loc[number, "sha256"] = digests.of_file(file)


def _balance(table: pd.DataFrame) -> pd.DataFrame:
    used = table[table.ok].copy()
    used.loc[used.index[24::4], "split"] = "validation"
    used["weight"] = 1.0
    return used[["path", "sha256", "label", "style", "generator", "split", "weight"]]


def _train(folder: Path) -> None:
    card = {"preset": "compact", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}
    card |= {"seed": 129, "data": "0123456789abcdef", "trained_on": 17, "validated_on": 6}
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("artdetect.json", json.dumps(card))
    rates = [{"epoch": n, "rate": 0.1, "loss": 1 / n, "accuracy": 0.5 + n / 20} for n in (1, 2, 3)]
    history = [row | {"val_loss": 0.7 / row["epoch"], "val_accuracy": 0.6 + row["epoch"] / 20} for row in rates]
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps({"epochs": 3, "best_epoch": 3, "parameters": 378738}))


def _predictions(table: pd.DataFrame) -> pd.DataFrame:
    test = table[table.split == "test"].reset_index(drop=True)
    test["p_ai"] = np.where(test.label == "AI", 0.85, 0.15) + np.random.default_rng(1).normal(0, 0.05, len(test))
    test.loc[[3, 8], "p_ai"] = [0.3, 0.99]
    test["verdict"] = np.where(test.p_ai >= 0.5, "AI", "human")
    return test[["path", "sha256", "label", "style", "generator", "p_ai", "verdict"]]


def _explain(predictions: pd.DataFrame, folder: Path) -> None:
    chosen = predictions.head(6).assign(rule=["most confident right", "least sure"] * 3)
    chosen["name"] = [f"{number:02d}" for number in range(1, 7)]
    for number, name in enumerate(chosen.name):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 101, 3), np.uint8)
        Image.fromarray(pixels).resize((404, 190)).save(folder / f"{name}.png", compress_level=1)
    chosen.to_parquet(folder / "explanations.parquet")


def _copied(folders: Folders, root: Path) -> Folders:
    copied = {stage: root / stage / folder.name for stage, folder in folders.items()}
    for stage, folder in folders.items():
        shutil.copytree(folder, copied[stage])
    return copied


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(folders: Folders, built: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    again = report(_copied(folders, tmp_path / "elsewhere"), tmp_path / "out")
    files = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
    assert [name.as_posix() for name in files] == ["figures/confusion.png", "figures/history.png", "report.html"]
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
    sentence = _plain(text[text.index('class="result"') :].split("</p>")[0])
    assert f"On 24 test pictures the model called {100 * accuracy['value']:.1f} % right" in sentence
    assert f"(95 % interval {100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f} %)" in sentence
    (found, _), (accused, _) = metrics["confusion"]
    assert f"Of 12 AI pictures it found {found}; of 12 human ones it took {accused} for AI." in sentence
    for group in metrics["by_generator"] + metrics["by_style"]:
        assert f"--value: {100 * group['accuracy']['value']:.1f}%; --low: {100 * group['accuracy']['low']:.1f}%" in text
        assert f"{100 * group['accuracy']['low']:.0f}–{100 * group['accuracy']['high']:.0f} %" in _plain(text)
    for row in metrics["classes"].values():
        assert f'<td class="n">{row["precision"]:.3f}</td><td class="n">{row["recall"]:.3f}</td>' in text


def test_the_model_its_training_and_the_stages_are_named(folders: Folders, text: str) -> None:
    said = _plain(text)
    digest = digests.of_file(folders["train"] / "model.keras")
    assert f"compact-{digest[:8]}" in said
    assert digest in said
    assert all(f"key-of-{stage}" in said for stage in STAGES)
    assert "378,738" in said
    assert "3 of 3; validation accuracy 75.0 %" in said
    assert "0123456789abcdef" in said


def test_findings_of_the_data_stand_with_their_rule_count_sentence_and_examples(folders: Folders, text: str) -> None:
    findings = json.loads((folders["audit"] / "audit.json").read_text())["findings"]
    said = _plain(text)
    assert {f["name"] for f in findings if f["fired"]} >= {"unreadable", "train_test_overlap", "low_information"}
    for finding in findings:
        rule = finding["level"] if finding["fired"] else "fine"
        assert f"{rule} {finding['name'].replace('_', ' ')} {finding['count']} {finding['sentence']}" in said
        for example in finding["examples"] if finding["fired"] else ():
            assert html.escape(example, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert "train/dots/47.jpg: truncated" in said


def test_the_shortcut_stands_with_its_area_its_interval_and_its_properties(folders: Folders, text: str) -> None:
    shortcut = json.loads((folders["audit"] / "audit.json").read_text())["shortcut"]
    said = _plain(text)
    assert "The files give the label away" in said
    assert f"an AUC of 1.000 (95 % interval {shortcut['auc']['low']:.3f}–1.000; 0.5 is chance" in said.replace(
        NBSP, " "
    )
    assert shortcut["properties"][0]["name"] == "width"
    for row in shortcut["properties"]:
        assert f"{row['name']} {row['auc']['value']:.3f} {row['auc']['low']:.3f}–{row['auc']['high']:.3f}" in said
    assert "latent diffusion 1.000" in said


def test_the_contact_sheet_is_on_the_page(folders: Folders, text: str) -> None:
    sheet = page.embedded(folders["audit"] / audit.SHEET, page.SHEET_BYTES)
    assert f'<img src="{sheet["uri"]}" width="{sheet["width"]}" height="{sheet["height"]}"' in text


def test_an_explanation_is_small_and_its_page_modest(built: Path, tmp_path: Path) -> None:
    assert (built / "report.html").stat().st_size < 1_500_000
    noise = np.random.default_rng(0).integers(0, 256, (762, 1616, 3), np.uint8)
    blocks = np.repeat(np.repeat(noise[:48, :101], 16, axis=0), 16, axis=1)
    for name, pixels in {"noise": noise, "blocks": blocks}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png", compress_level=1)
        image = page.embedded(tmp_path / f"{name}.png")
        assert len(image["uri"]) * 3 / 4 < page.FIGURE_BYTES + 100
    assert (image["width"], image["height"]) == (1100, 523)


def test_a_run_without_errors_explanations_findings_or_styles_says_so(folders: Folders, tmp_path: Path) -> None:
    bare = _copied(folders, tmp_path / "bare")
    (bare["index"] / "notice.txt").unlink()
    (bare["index"] / "skipped.json").write_text("{}")
    table = _index().assign(style="dots", ok=True, error=None, width=256, height=256, bytes=5000, contrast=40.0)
    table["sha256"] = [f"{number:064d}" for number in range(len(table))]
    table["phash"] = [hashlib.sha256(bytes([number])).hexdigest()[:16] for number in range(48)]
    table.to_parquet(bare["index"] / "index.parquet")
    shutil.rmtree(bare["audit"])
    bare["audit"].mkdir()
    audit.run(audit.AuditConfig(), bare["index"], tmp_path, bare["audit"])
    right = _predictions(table).assign(verdict=lambda rows: rows.label, p_ai=lambda rows: (rows.label == "AI") * 1.0)
    (bare["evaluate"] / "metrics.json").write_text(json.dumps(summary(right, 100, 1)))
    explanations = pd.read_parquet(bare["explain"] / "explanations.parquet")
    explanations.head(0).to_parquet(bare["explain"] / "explanations.parquet")
    charts = {(theme, "wide"): b"" for theme in ("light", "dark")}
    said = _plain(page.render("bare", facts.gather(bare), {"history": charts, "confusion": charts}))
    assert "No verdict was wrong." in said
    assert "No picture was explained in this run" in said
    assert "All 24 test pictures have one style, “dots”" in said
    assert not [f["name"] for f in facts.gather(bare)["audit"]["findings"] if f["fired"]]
    assert "fine unreadable 0 Every picture can be read." in said
    assert "Contact sheet" not in said
    assert "The data set says of itself" not in said
    assert "give the label away" not in said


def test_held_out_pictures_are_counted_where_there_are_some(folders: Folders, tmp_path: Path) -> None:
    held = _copied(folders, tmp_path / "held")
    balance = pd.read_parquet(held["balance"] / "balance.parquet")
    balance.loc[balance.generator == "latent_diffusion", "split"] = "held_out"
    balance.to_parquet(held["balance"] / "balance.parquet")
    gathered = facts.gather(held)
    assert gathered["held_out"] == {"latent_diffusion": 12}
    assert gathered["used"]["total"] == facts.gather(folders)["used"]["total"] - 12
    assert {row["name"]: row["unseen"] for row in gathered["generators"]}["latent_diffusion"]
    assert not any(row["unseen"] for row in facts.gather(folders)["generators"])
    said = _plain(report(held, tmp_path).joinpath("report.html").read_text(encoding="utf-8"))
    assert "latent diffusion: in the test, but never trained on." in said
    assert "12 pictures of latent diffusion were held out" in said


def test_only_some_of_many_explanations_are_on_the_page(folders: Folders, tmp_path: Path) -> None:
    many = _copied({"explain": folders["explain"]}, tmp_path)["explain"]
    table = pd.read_parquet(many / "explanations.parquet")
    pd.concat([table] * 20).to_parquet(many / "explanations.parquet")
    found = facts._explanations(many)
    assert found["count"] == 120
    assert len(found["shown"]) == facts.SHOWN_PER_RULE * len(table.groupby(["label", "rule"]))


@pytest.mark.parametrize(("value", "shown"), [(0.9997, "> 0.999"), (1.0, "1.000"), (0.0001, "< 0.001"), (0.5, "0.500")])
def test_a_probability_is_not_rounded_to_a_certainty(value: float, shown: str) -> None:
    assert page.probability(value) == shown


def test_an_edited_template_changes_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = ReportConfig().key_parts()
    templates = shutil.copytree(page.TEMPLATES, tmp_path / "report")
    monkeypatch.setattr("artdetect.report.TEMPLATES", templates)
    assert ReportConfig().key_parts() == before
    (templates / page.STYLE).write_text("body { color: red }")
    assert ReportConfig().key_parts() != before


MEASURE = """<script>addEventListener("load", () => parent.postMessage({
  width: innerWidth, content: document.documentElement.scrollWidth, shown: document.documentElement.clientWidth,
  executed: window.executed || 0,
  broken: [...document.images].filter(image => !image.naturalWidth).length}, "*"))</script>"""
COLLECT = """<!doctype html><body><script>addEventListener("message", ({data}) => {
  document.body.append(Object.assign(document.createElement("pre"), {textContent: JSON.stringify(data)}))})</script>"""


def test_a_browser_shows_it_at_phone_and_desktop_width_without_sideways_scrolling(text: str, tmp_path: Path) -> None:
    measured = {row["width"]: row for row in _in_chromium(text, (320, 390, 1280), tmp_path)}
    assert sorted(measured) == [320, 390, 1280]
    for width, row in measured.items():
        assert row["content"] <= row["shown"], f"{row['content'] - row['shown']} px too wide at {width} px"
        assert row["executed"] == 0
        assert row["broken"] == 0


def _in_chromium(text: str, widths: tuple[int, ...], folder: Path) -> list[dict]:
    """What the page measures in a frame of each width. The copy lacks the page's policy, which stops any script."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium on this machine: the layout is looked at where there is one, as in CI")
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', MEASURE, text)
    (folder / "copy.html").write_text(copy, encoding="utf-8")
    frames = "".join(
        f'<iframe src="copy.html" style="width:{width}px;height:800px;border:0"></iframe>' for width in widths
    )
    (folder / "frames.html").write_text(COLLECT + frames, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=4000 --dump-dom"
    command = [browser, *flags.split(), f"--user-data-dir={folder / 'profile'}", (folder / "frames.html").as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return [json.loads(html.unescape(found)) for found in re.findall(r"<pre>(.*?)</pre>", dumped)]


def _plain(markup: str) -> str:
    """What a reader reads of it, in one line."""
    return (
        " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
        .replace(" .", ".")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" ;", ";")
    )
