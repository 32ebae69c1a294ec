"""Tests that need real pictures, in the folder that `ARTDETECT_REAL_DATA` names."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from artdetect import audit, balance, download, index
from artdetect.audit.duplicates import groups
from artdetect.index.file_metadata import phash, thumbnail
from artdetect.index.scan import scan
from artdetect.pictures import images

REAL = Path(os.environ.get("ARTDETECT_REAL_DATA", "/nonexistent"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REAL.is_dir(), reason="ARTDETECT_REAL_DATA names no folder of real pictures"),
]


def run_to_balance(url: str, root: Path, balanced: bool = True) -> Path:
    """Run the stages from download to balance, each in a folder with its name."""
    folders = {name: root / name for name in ("download", "index", "audit", "balance")}
    for folder in folders.values():
        folder.mkdir()
    download.run(download.DownloadConfig(url=url), folders["download"])
    index.run(index.IndexConfig(), scan(download.folder(folders["download"])), folders["index"])
    audit.run(audit.AuditConfig(), folders["index"], download.folder(folders["download"]), folders["audit"])
    if balanced:
        balance.run(balance.BalanceConfig(method="undersample"), folders["index"], folders["audit"], folders["balance"])
    return root


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(tmp_path_factory.mktemp("data")))
        yield run_to_balance((REAL / "realart.zip").as_uri(), tmp_path_factory.mktemp("stages"))


def test_an_archive_of_real_pictures_becomes_a_balanced_split(balanced: Path) -> None:
    fired = [finding["name"] for finding in audit.triggered(balanced / "audit")]
    assert fired == ["shortcut"]  # all are 224 px, so only the compressibility differs
    table = pd.read_parquet(balanced / "index" / "index.parquet")
    assert (len(table), int(table.ok.sum())) == (4071, 4071)
    assert set(table.width) == set(table.height) == {224}
    split = pd.read_parquet(balanced / "balance" / "balance.parquet")
    counts = split.groupby(["split", "label"]).size()
    assert counts["test"].to_dict() == {"AI": 258, "human": 423}
    for part in ("train", "validation"):
        assert counts[part, "AI"] == counts[part, "human"]


def test_the_audit_finds_the_shortcut_in_original_files_of_ai_artbench(roots: Path) -> None:
    """20 original files: every human one is 256 px wide, every Stable Diffusion one 768."""
    root = run_to_balance(str(REAL / "aiartbench-samples"), roots, balanced=False)
    found = json.loads((root / "audit" / "audit.json").read_text())
    widths = {row["generator"]: (row["pictures"], row["width"]) for row in found["file_properties"]}
    assert widths == {"human": (10, "256"), "stable_diffusion": (10, "768")}
    assert found["shortcut"]["auc"] == {"value": 1.0, "low": pytest.approx(0.7225, abs=1e-4), "high": 1.0}
    (fired,) = audit.triggered(root / "audit")
    assert fired["name"] == "shortcut"
    assert "width 1.000, height 1.000" in fired["sentence"]


def test_recompressed_pictures_are_found_and_others_are_not_confused_with_them(balanced: Path) -> None:
    """4,071 different pictures have no near-duplicates; every twentieth, halved and compressed, is one."""
    assert pd.read_parquet(balanced / "audit" / "groups.parquet").empty
    table = pd.read_parquet(balanced / "index" / "index.parquet")
    pictures = download.folder(balanced / "download")
    copies = table.iloc[::20].copy()
    for position, path in enumerate(copies.path):
        picture = images.decode(pictures / path)
        buffer = io.BytesIO()
        picture.resize((112, 112)).save(buffer, "JPEG", quality=60)
        grey = thumbnail(images.decode(buffer.getvalue()))
        copies.iloc[position, copies.columns.get_loc("phash")] = phash(grey)
    copies["sha256"] = copies.sha256.str[::-1]
    config = audit.AuditConfig()
    group = groups(pd.concat([table, copies]), config.near_distance, config.low_contrast)
    found = group[len(table) :] == group[: len(table) : 20]
    assert found.mean() > 0.98
    assert len(set(group[: len(table)])) == len(table)
