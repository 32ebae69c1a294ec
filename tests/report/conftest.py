"""Artifact folders as runs leave them, with hostile names and every finding, and the report made from them."""

import hashlib
import html
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import audit
from artdetect.core import digests
from artdetect.evaluate.metrics import summary
from artdetect.model.decision import DecisionRule
from artdetect.report import charts, context, run
from artdetect.report.config import ReportConfig
from tests.tiny_dataset import jpeg, write

HOSTILE = 'test/dots/<script>window.executed=1</script><img src=x onerror="window.executed=1">.jpg'
LONG = "test/dots/" + "a_name_without_a_single_space_" * 8 + ".jpg"
NASTY = "x|y <b>bold</b> *stars* [link](http://example.org) `code` # $x$"  # a name that is markup, here and there
NOTICE = "These pictures are drawn by a program.\nNo person painted them.\n\nAccuracy means nothing about real art.\n"
STAGES = ("index", "audit", "balance", "train", "evaluate", "explain")
RULE = DecisionRule(0.5, 1.0, 2.0)
Folders = dict[str, Path]
CALIBRATION = {
    "pictures": 118, "views": 3, "temperature": 1.3371, "threshold": RULE.threshold, "unsure_from": RULE.band()[0],
    "unsure_to": RULE.band()[1], "novelty": RULE.novelty, "val_accuracy": 0.9111, "val_unsure": 0.0712,
    "val_accuracy_decided": 0.9899,
}  # fmt: skip


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Of a step-trained net that was evaluated by the test alone."""
    return artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def sceptical(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Of artnet with everything that a sceptic asks."""
    made = copied(folders, tmp_path_factory.mktemp("sceptical"))
    _artnet(made["train"])
    file = made["evaluate"] / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | _doubts()))
    pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(made["evaluate"] / "mistakes.png", compress_level=1)
    return made


@pytest.fixture(scope="session")
def built(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(folders, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def text(built: Path) -> str:
    return (built / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def doubted(sceptical: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report's folder of `sceptical`."""
    return report(sceptical, tmp_path_factory.mktemp("doubted"))


@pytest.fixture(scope="session")
def doubts(doubted: Path) -> str:
    """Its page."""
    return (doubted / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def charts(folders: Folders, sceptical: Folders) -> charts.Charts:
    """Every chart that a page can ask for, drawn once."""
    return charts.draw(context.gather(folders)) | charts.draw(context.gather(sceptical))


@pytest.fixture(scope="session")
def card(doubted: Path) -> str:
    return (doubted / "model_card.md").read_text(encoding="utf-8")


def artifacts(root: Path) -> Folders:
    made = {stage: root / stage / f"key-of-{stage}" for stage in STAGES}
    for folder in made.values():
        folder.mkdir(parents=True)
    table = indexed()
    _pictures(root / "pictures", table)
    table.to_parquet(made["index"] / "index.parquet")
    (made["index"] / "skipped.json").write_text(json.dumps({"not a picture": ["test/<b>dots<i>/notes.txt"]}))
    (made["index"] / "notice.txt").write_text(NOTICE)
    audit.run(audit.AuditConfig(), made["index"], root / "pictures", made["audit"])
    _balance(table).to_parquet(made["balance"] / "balance.parquet")
    _train(made["train"])
    predictions = predicted(table)
    predictions.to_parquet(made["evaluate"] / "predictions.parquet")
    (made["evaluate"] / "metrics.json").write_text(json.dumps(summary(predictions, 100, 1, RULE.threshold)))
    for number, (stage, folder) in enumerate(made.items()):
        packages = {"python": "3.11", "pandas": f"3.{number // 4}"}
        parts = {"packages": packages, "config": {}, "code": {f"artdetect.{stage}": "abc"}}
        record = {"stage": stage, "revision": "c0ffee", "parts": parts}
        (folder / "record.json").write_text(json.dumps(record))
    _explain(predictions, made["explain"])
    return made


def report(folders: Folders, out: Path) -> Path:
    run(ReportConfig(title="A <title> & more"), folders, out)
    return out


def indexed() -> pd.DataFrame:
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
        table.loc[number, "sha256"] = digests.file_digest(file)


def _balance(table: pd.DataFrame) -> pd.DataFrame:
    used = table[table.ok].copy()
    used.loc[used.index[24::4], "split"] = "validation"
    used["weight"] = 1.0
    return used[["path", "sha256", "label", "style", "generator", "split", "weight"]]


def _train(folder: Path) -> None:
    card = {"preset": "compact", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}
    card |= {"seed": 129, "data": "0123456789abcdef", "trained_on": 17, "validated_on": 6, "rule": RULE.as_dict()}
    _model(folder, card)
    rates = [{"epoch": n, "rate": 0.1, "loss": 1 / n, "accuracy": 0.5 + n / 20} for n in (1, 2, 3)]
    history = [row | {"val_loss": 0.7 / row["epoch"], "val_accuracy": 0.6 + row["epoch"] / 20} for row in rates]
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    metrics = {"epochs": 3, "best_epoch": 3, "parameters": 378738, "calibration": CALIBRATION}
    (folder / "metrics.json").write_text(json.dumps(metrics))


def _model(folder: Path, card: dict[str, Any]) -> None:
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("artdetect.json", json.dumps(card))


def _artnet(folder: Path) -> None:
    """The train artifact of a preset without epochs, in the place of another."""
    (folder / "history.csv").unlink()
    card = {"preset": "artnet", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}
    _model(folder, card | {"seed": 7, "rule": RULE.as_dict(), "families": ["latent_diffusion", NASTY]})
    candidates = [
        {"head": "linear", "penalty": 0.003, "val_loss": 0.0723},
        {"head": "mlp", "penalty": 0.1, "val_loss": 0.2},
    ]
    left_out = [_left_out("latent_diffusion", 0.97), _left_out(NASTY, 0.41)]
    metrics = {
        "head": "linear",
        "val_loss": 0.0723,
        "candidates": candidates,
        "left_out": left_out,
        "parameters": 1296693,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics | {"calibration": CALIBRATION}))
    record = json.loads((folder / "record.json").read_text())
    record["parts"]["config"] = {"preset": "artnet", "backbone": "efficientnet-lite0", "views": 4}
    (folder / "record.json").write_text(json.dumps(record))


def _left_out(generator: str, recall: float) -> dict[str, Any]:
    return {"generator": generator, "pictures": 50, "human": 118, "roc_auc": about(0.9), "recall": about(recall)}


def about(value: float) -> dict[str, float]:
    """A value with an interval, as metrics have them."""
    return {"value": value, "low": value - 0.0213, "high": value + 0.0187}


def _doubts() -> dict[str, Any]:
    """What `artdetect.evaluate` adds to the metrics of the test as it stands, made up."""
    conditions = {"clean": 0.95, "JPEG 50": 0.9, "blur 2": 0.6712, "PNG": 0.95}
    nearest = [{"path": f"train/dots/{NASTY}.jpg", "label": "human", "generator": "human", "distance": 12.34}]
    wrong = {"path": HOSTILE, "label": "human", "generator": "human", "style": "post_impressionism"}
    groups = {"up to 256": 0.7, "257–512": 0.8}
    return {
        "by_size": [
            {"size": name, "label": "AI + human", "pictures": 12, "accuracy": about(value), "mean_p_ai": 0.5}
            for name, value in groups.items()
        ],
        "slices": [{"what": f"style={NASTY}", "pictures": 31, "accuracy": about(0.3333), "rest": 0.928, "q": 0.0149}],
        "slices_tried": 87,
        "baselines": [
            {
                "name": name,
                "what": what,
                "accuracy": about(auc - 0.1),
                "balanced_accuracy": about(auc - 0.2),
                "roc_auc": about(auc),
            }
            for name, what, auc in (("palette", "which colours there are", 0.56), ("file", "the file alone", 0.97))
        ],
        "mistakes": [wrong | {"p_ai": 0.99971, "verdict": "AI", "nearest": nearest}],
        "attribution": {
            "families": ["latent_diffusion", NASTY],
            "rows": [
                {"generator": "latent_diffusion", "pictures": 7, "called": {"latent_diffusion": 5, "other": 2}},
                {"generator": "unheard_of", "pictures": 3, "called": {NASTY: 3}},
            ],
            "accuracy": about(0.7143),
        },
        "robustness": {
            "pictures": 20,
            "clean_accuracy": about(0.95),
            "mean_accuracy": about(0.8404),
            "rows": [
                {
                    "name": name,
                    "accuracy": about(value),
                    "roc_auc": about(value),
                    "flipped": about(1 - value),
                    "unsure": 0.123,
                }
                for name, value in conditions.items()
            ],
        },
    }


def predicted(table: pd.DataFrame) -> pd.DataFrame:
    test = table[table.split == "test"].reset_index(drop=True)
    test["p_ai"] = np.where(test.label == "AI", 0.85, 0.15) + np.random.default_rng(1).normal(0, 0.05, len(test))
    test.loc[[3, 8], "p_ai"] = [0.3, 0.99]
    test.loc[[5, 6], "p_ai"] = [0.6, 0.45]
    test["called"] = RULE.called(test.p_ai.to_numpy())
    test["verdict"] = RULE.verdicts(test.p_ai.to_numpy())
    return test[["path", "sha256", "label", "style", "generator", "p_ai", "called", "verdict"]]


def _explain(predictions: pd.DataFrame, folder: Path) -> None:
    chosen = predictions.head(6).assign(rule=["most confident right", "least sure"] * 3)
    chosen["name"] = [f"{number:02d}" for number in range(1, 7)]
    for number, name in enumerate(chosen.name):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 101, 3), np.uint8)
        Image.fromarray(pixels).resize((404, 190)).save(folder / f"{name}.png", compress_level=1)
    chosen.to_parquet(folder / "explanations.parquet")
    (folder / "quality.json").write_text(json.dumps(_quality()))


def _quality() -> dict:
    value = {"value": 2.345, "low": 1.234, "high": 3.456}
    row = {"deletion_margin": value, "insertion_margin": value, "correlation": value, "difference": None}
    return {
        "pictures": 6,
        "read_me": "How to read it.",
        "completeness_error": 0.321,
        "mean_abs_score": 4.567,
        "probability": {"full": 0.9, "mean colour": 0.5, "blurred": 0.6},
        "rows": [
            row | {"name": "explanation"},
            row | {"name": "randomised model", "correlation": None, "difference": {"deletion_margin": value}},
        ],
    }


def copied(folders: Folders, root: Path) -> Folders:
    copied = {stage: root / stage / folder.name for stage, folder in folders.items()}
    for stage, folder in folders.items():
        shutil.copytree(folder, copied[stage])
    return copied


def read(markup: str) -> str:
    """What a reader reads of it, in one line."""
    return (
        " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
        .replace(" .", ".")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" ;", ";")
    )
