"""Artifact folders as a run leaves them, with hostile names and every finding, and the reports built from them."""

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
from artdetect.evaluate.selective_prediction import verdicts
from artdetect.evaluate.subgroups import accuracy_by
from artdetect.model.decision import DecisionRule
from artdetect.report import charts, context, run
from artdetect.report.config import ReportConfig
from artdetect.stats.bootstrap import Bootstrap
from artdetect.train import out_of_source
from artdetect.train.out_of_source import OutOfSource
from tests.tiny_dataset import jpeg, write

HOSTILE = 'test/dots/<script>window.executed=1</script><img src=x onerror="window.executed=1">.jpg'
LONG = "test/dots/" + "a_name_without_a_single_space_" * 8 + ".jpg"
NASTY = "x|y <b>bold</b> *stars* [link](http://example.org) `code` # $x$"  # a name that is markup in HTML and Markdown
NOTICE = "These pictures are drawn by a program.\nNo person painted them.\n\nAccuracy means nothing about real art.\n"
STAGES = ("index", "audit", "balance", "train", "evaluate", "explain")
RULE = DecisionRule(0.5, 0.27, 0.73, 2.0, 32, 2.0)
ABSTAIN = {"min_accuracy": 0.95, "max_share": None}
ORIGIN = {
    "data_sets": [{"name": "a <data> set", "url": "https://example.org/a.zip", "sha256": "5" * 64, "sources": None}],
    "pictures": "7" * 64,
    "settings": {"train": {"preset": "compact", "abstain": ABSTAIN}},
    "command": "artdetect run --config /dev/null --set download.url=https://example.org/a.zip --set 'a=<b>'",
}
GATE: dict[str, Any] = {
    "verdict": "keep",
    "sentence": "Keep the champion: human_art failed.",
    "champion": "x",
    "challenger": "challenger-2",
    "rules": [
        {"name": "known", "passed": True, "sentence": "Both are right.", "champion": 1.0, "challenger": 1.0,
         "difference": {"value": 0.0, "low": -0.026, "high": 0.026}, "bound": -0.02},
        {"name": "golden", "passed": None, "sentence": "There are no readable golden cases.", "champion": None,
         "challenger": None, "difference": None, "bound": None},
        {"name": "human_art", "passed": False, "sentence": "Human art predicted AI: 2.1 % → 8.3 %. <b>",
         "champion": 0.021, "challenger": 0.083, "difference": {"value": 0.062, "low": 0.01, "high": 0.115},
         "bound": 0.02},
        {"name": "localisation", "passed": True, "sentence": "Mean AUC of the maps on 60 spliced test pictures.",
         "champion": 0.816, "challenger": 0.842, "difference": {"value": 0.025, "low": -0.004, "high": 0.055},
         "bound": -0.03},
    ],
    "left_out": {"disputed": 2, "trained_on": 3},
    "unknown": ["champion"],
}  # fmt: skip
Folders = dict[str, Path]
CALIBRATION = {
    "pictures": 118, "views": 3, "temperature": 1.3371, "p_min": 0.0312, "p_max": 0.9714, "threshold": RULE.threshold,
    "unsure_from": RULE.band()[0], "unsure_to": RULE.band()[1], "novelty": RULE.novelty,
}  # fmt: skip


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A net trained by epochs, evaluated without any optional check."""
    return artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def full_folders(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """artnet, evaluated with every optional check."""
    copies = copy_of(folders, tmp_path_factory.mktemp("full_folders"))
    _artnet(copies["train"])
    copies["gate"] = copies["train"].parent.parent / "gate" / "key-of-gate"
    copies["gate"].mkdir(parents=True)
    (copies["gate"] / "gate.json").write_text(json.dumps(GATE))
    file = copies["evaluate"] / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | _full_metrics()))
    pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(copies["evaluate"] / "worst_errors.png", compress_level=1)
    return copies


@pytest.fixture(scope="session")
def report_folder(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = folders["index"].parents[1] / "pictures"
    return report(folders, tmp_path_factory.mktemp("report"), pictures=pictures, origin=ORIGIN)


@pytest.fixture(scope="session")
def page(report_folder: Path) -> str:
    return (report_folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def full_report(full_folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of `full_folders`."""
    return report(full_folders, tmp_path_factory.mktemp("full_report"))


@pytest.fixture(scope="session")
def full_page(full_report: Path) -> str:
    """The page of `full_report`."""
    return (full_report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chart_images(folders: Folders, full_folders: Folders) -> charts.Charts:
    """Every chart of the two reports, drawn once."""
    return charts.draw(context.gather(folders)) | charts.draw(context.gather(full_folders))


@pytest.fixture(scope="session")
def card(full_report: Path) -> str:
    return (full_report / "model_card.md").read_text(encoding="utf-8")


def artifacts(root: Path) -> Folders:
    created = {stage: root / stage / f"key-of-{stage}" for stage in STAGES}
    for folder in created.values():
        folder.mkdir(parents=True)
    table = index_table()
    _pictures(root / "pictures", table)
    table.to_parquet(created["index"] / "index.parquet")
    (created["index"] / "skipped.json").write_text(json.dumps({"not a picture": ["test/<b>dots<i>/notes.txt"]}))
    (created["index"] / "notice.txt").write_text(NOTICE)
    audit.run(audit.AuditConfig(), created["index"], root / "pictures", created["audit"])
    _balance(table).to_parquet(created["balance"] / "balance.parquet")
    _train(created["train"])
    predictions = predictions_of(table)
    predictions.to_parquet(created["evaluate"] / "predictions.parquet")
    (created["evaluate"] / "metrics.json").write_text(json.dumps(evaluation(predictions)))
    for number, (stage, folder) in enumerate(created.items()):
        packages = {"python": "3.11", "pandas": f"3.{number // 4}"}
        parts = {"packages": packages, "config": {}, "code": {f"artdetect.{stage}": "abc"}}
        record = {"stage": stage, "revision": "c0ffee", "parts": parts}
        (folder / "record.json").write_text(json.dumps(record))
    _explain(predictions, created["explain"])
    return created


def evaluation(predictions: pd.DataFrame) -> dict[str, Any]:
    """The metrics of an evaluation without any optional check."""
    bootstrap = Bootstrap(100, 1)
    return summary(predictions, bootstrap, RULE.threshold) | {
        "verdicts": verdicts(predictions, bootstrap),
        "by_source": accuracy_by(predictions, "source"),
    }


def report(folders: Folders, out: Path, **options: Any) -> Path:
    run(ReportConfig(title="A <title> & more"), folders, out, **options)
    return out


def index_table() -> pd.DataFrame:
    """48 pictures in two styles. Both generators have larger files than human art, and one file is unreadable."""
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
                "source": f"The <i>Louvre</i> {number % 3}" if generator == "human" else f"{generator} {number % 3}",
                "sha256": f"{7 if number in (2, 30, 31) else number:064d}",
                "bytes": side * 50 + number,
                "width": side,
                "height": side,
                "format": "JPEG",
                "mode": "RGB",
                "jpeg_quality": 75,
                "has_exif": False,
                "phash": hashlib.sha256(bytes([number % 43])).hexdigest()[:16],  # 43 has the hash of 0, 44 that of 1 …
                "contrast": 0.5 if number == 40 else 40.0,
                "ok": number < 47,
                "error": None if number < 47 else "truncated",
            }
        )
    return pd.DataFrame(rows)


def _pictures(folder: Path, table: pd.DataFrame) -> None:
    """Write the files of an index and enter their digests; equal digests stay equal."""
    for number, (path, content) in enumerate(zip(table.path, table.sha256, strict=True)):
        file = write(folder / path, jpeg(int(content), side=200))
        table.loc[number, "sha256"] = digests.file_digest(file)


def _balance(table: pd.DataFrame) -> pd.DataFrame:
    used = table[table.ok].copy()
    used.loc[used.index[24::4], "split"] = "validation"
    used["weight"] = 1.0
    return used[["path", "sha256", "label", "style", "generator", "source", "split", "weight"]]


def _train(folder: Path) -> None:
    card = {"preset": "compact", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}
    card |= {"seed": 129, "data": "0123456789abcdef", "trained_on": 17, "validated_on": 6, "rule": RULE.as_dict()}
    _model(folder, card)
    rates = [{"epoch": n, "rate": 0.1, "loss": 1 / n, "accuracy": 0.5 + n / 20} for n in (1, 2, 3)]
    history = [row | {"val_loss": 0.7 / row["epoch"], "val_accuracy": 0.6 + row["epoch"] / 20} for row in rates]
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    metrics = {"epochs": 3, "best_epoch": 3, "parameters": 378738, "calibration": CALIBRATION, "in_source": in_source()}
    (folder / "metrics.json").write_text(json.dumps(metrics))


def _model(folder: Path, card: dict[str, Any]) -> None:
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("artdetect.json", json.dumps(card))


def _artnet(folder: Path) -> None:
    """Turn the train artifact into that of a preset without epochs."""
    (folder / "history.csv").unlink()
    card = {"preset": "artnet", "geometry": {"size": 64, "fit": "crop"}, "classes": ["AI", "human"]}
    _model(folder, card | {"seed": 7, "rule": RULE.as_dict(), "families": ["latent_diffusion", NASTY]})
    candidates = [
        {"head": "linear", "penalty": 0.003, "out_of_source_loss": 0.0723},
        {"head": "mlp", "penalty": 0.1, "out_of_source_loss": 0.2},
    ]
    metrics = {"head": "linear", "candidates": candidates, "parameters": 1296693, "calibration": CALIBRATION}
    metrics |= {"in_source": in_source(), "out_of_source": out_of_source.summary(judged())}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    record = json.loads((folder / "record.json").read_text())
    config = {"preset": "artnet", "backbone": "efficientnet-lite0", "degraded_views": 4, "abstain": ABSTAIN}
    record["parts"]["config"] = config
    (folder / "record.json").write_text(json.dumps(record))


def judged(sources: int = 5) -> OutOfSource:
    """Ten pictures of each of some sources of both classes; on one source with a nasty name, half the verdicts err."""
    rows = []
    for number in range(sources):
        for label, p_ai in (("AI", 0.9), ("human", 0.1)):
            name = NASTY if (number, label) == (0, "human") else f"{label} {number}"
            for picture in range(10):
                wrong = name == NASTY and picture % 2
                rows.append((label, name, 1 - p_ai if wrong else p_ai if picture < 8 or name == NASTY else 0.6))
    table = pd.DataFrame(rows, columns=["label", "group", "p_ai"])
    reasons = RULE.reasons(table.p_ai.to_numpy())
    table = table.assign(weight=1.0, reason=reasons, verdict=RULE.verdicts(table.p_ai.to_numpy(), reasons))
    return OutOfSource(table, {"AI": sources, "human": sources})


def in_source() -> dict[str, Any]:
    """Measures of 40 validation pictures."""
    measured = out_of_source.summary(judged(2))
    assert measured is not None
    return {"pictures": 40, **measured["over_pictures"]}


def estimate(value: float) -> dict[str, float]:
    """A value with an interval, as in metrics.json."""
    return {"value": value, "low": value - 0.0213, "high": value + 0.0187}


def _full_metrics() -> dict[str, Any]:
    """Invented results of the optional checks of `artdetect.evaluate`."""
    conditions = {"clean": 0.95, "JPEG 50": 0.9, "blur 2": 0.6712, "PNG": 0.95}
    nearest = [{"path": f"train/dots/{NASTY}.jpg", "label": "human", "generator": "human", "distance": 12.34}]
    wrong = {"path": HOSTILE, "label": "human", "generator": "human", "style": "post_impressionism"}
    groups = {"up to 256": 0.7, "257–512": 0.8}
    return {
        "by_size": [
            {"size": name, "label": "AI + human", "pictures": 12, "accuracy": estimate(value), "mean_p_ai": 0.5}
            for name, value in groups.items()
        ],
        "slices": [
            {"what": f"style={NASTY}", "pictures": 31, "accuracy": estimate(0.3333), "rest": 0.928, "q": 0.0149}
        ],
        "slices_tried": 87,
        "baselines": [
            {
                "name": name,
                "what": what,
                "accuracy": estimate(auc - 0.1),
                "balanced_accuracy": estimate(auc - 0.2),
                "roc_auc": estimate(auc),
                "out_of_source": {"balanced_accuracy": estimate(auc - 0.3), "roc_auc": estimate(auc - 0.25)},
            }
            for name, what, auc in (("palette", "which colours there are", 0.56), ("file", "the file alone", 0.97))
        ],
        "worst_errors": [wrong | {"p_ai": 0.99971, "verdict": "AI", "nearest": nearest}],
        "generator_attribution": {
            "families": ["latent_diffusion", NASTY],
            "rows": [
                {"generator": "latent_diffusion", "pictures": 7, "predicted": {"latent_diffusion": 5, "other": 2}},
                {"generator": "unheard_of", "pictures": 3, "predicted": {NASTY: 3}},
            ],
            "accuracy": estimate(0.7143),
        },
        "robustness": {
            "pictures": 20,
            "clean_accuracy": estimate(0.95),
            "mean_accuracy": estimate(0.8404),
            "rows": [
                {
                    "name": name,
                    "accuracy": estimate(value),
                    "roc_auc": estimate(value),
                    "flipped": estimate(1 - value),
                    "unsure": 0.123,
                }
                for name, value in conditions.items()
            ],
        },
    }


def predictions_of(table: pd.DataFrame) -> pd.DataFrame:
    test = table[table.split == "test"].reset_index(drop=True)
    test["p_ai"] = np.where(test.label == "AI", 0.85, 0.15) + np.random.default_rng(1).normal(0, 0.05, len(test))
    test.loc[[3, 8], "p_ai"] = [0.3, 0.99]
    test.loc[[5, 6], "p_ai"] = [0.6, 0.45]
    test["predicted"] = RULE.predicted(test.p_ai.to_numpy())
    test["reason"] = RULE.reasons(test.p_ai.to_numpy())
    test["verdict"] = RULE.verdicts(test.p_ai.to_numpy(), test.reason.to_numpy())
    names = ["path", "sha256", "label", "style", "generator", "source", "p_ai", "predicted", "verdict", "reason"]
    return test[names]


def _explain(predictions: pd.DataFrame, folder: Path) -> None:
    chosen = predictions.head(6).assign(rule=["most confident right", "least sure"] * 3, caption="No part stands out.")
    chosen["name"] = [f"{number:02d}" for number in range(1, 7)]
    for number, name in enumerate(chosen.name):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 101, 3), np.uint8)
        Image.fromarray(pixels).resize((404, 190)).save(folder / f"{name}.png", compress_level=1)
    chosen.to_parquet(folder / "explanations.parquet")
    (folder / "xrai").mkdir()
    for name in chosen.name:
        shutil.copy(folder / f"{name}.png", folder / "xrai")
    (folder / "quality.json").write_text(json.dumps(quality()))
    (folder / "localisation.json").write_text(json.dumps(localisation()))


def localisation(**changes: Any) -> dict[str, Any]:
    """Invented results of the check of two methods on splices."""
    three = {"auc": estimate(0.7813), "pointing": estimate(0.6412), "iou": estimate(0.4437)}
    row = {
        **three,
        "splices": 40,
        "noise": three | {"auc": estimate(0.4952)},
        "controls": three | {"auc": estimate(0.5)},
    }
    row |= {"above_noise": estimate(0.2861), "groups": [three | {"by": "edge", "name": "feathered", "splices": 13}]}
    names = {"gradcam": ("Grad-CAM", 40), "xrai": ("XRAI", 8)}
    curve = {"name": "true region", "deletion_margin": estimate(-1.3111), "insertion_margin": estimate(1.4222)}
    rows = [
        row
        | {
            "method": name,
            "label": label,
            "splices": n,
            "measured_by": {"settings": {"steps": 2}, "code": "c0de"},
            "pasted": [
                {"base": f"{number:x}", "donor": f"{100 + number:x}", "seed": 129, "auc": 0.7 + number % 4 / 10}
                for number in range(n)
            ],
        }
        for name, (label, n) in names.items()
    ]
    found = {
        "reason": None,
        "splices": 40,
        "parents": {"AI": 31, "human": 33},
        "chance": {"auc": 0.5, "pointing": 0.2113, "iou": 0.1182},
        "rows": rows,
        "curves": {"splices": 8, "rows": [curve]},
        "read_me": "How to read splices.",
    }
    return found | changes


def quality() -> dict[str, Any]:
    """Invented results of the check of maps."""
    value = {"value": 2.345, "low": 1.234, "high": 3.456}
    row = {"deletion_margin": value, "insertion_margin": value, "correlation": value, "difference": None}
    return {
        "pictures": 6,
        "read_me": "How to read it.",
        "measured_by": {"settings": {"steps": 2}, "code": "c0de"},
        "sample": [[f"{number:064x}", number % 2] for number in range(6)],
        "completeness_error": 0.321,
        "mean_abs_score": 4.567,
        "probability": {"full": 0.9, "mean colour": 0.5, "blurred": 0.6},
        "rows": [
            row | {"name": "explanation"},
            row | {"name": "randomised model", "correlation": None, "difference": {"deletion_margin": value}},
        ],
    }


def copy_of(folders: Folders, root: Path) -> Folders:
    copies = {stage: root / stage / folder.name for stage, folder in folders.items()}
    for stage, folder in folders.items():
        shutil.copytree(folder, copies[stage])
    return copies


def visible_text(markup: str) -> str:
    """The visible text of the markup, on one line."""
    return (
        " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
        .replace(" .", ".")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" ;", ";")
    )
