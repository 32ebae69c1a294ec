"""Real pictures, where `ARTDETECT_REAL_DATA` names a folder that has them: what drawn ones cannot show."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from artdetect import audit, balance, download, index
from artdetect.index.scan import scan

REAL = Path(os.environ.get("ARTDETECT_REAL_DATA", "/nonexistent"))
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="ARTDETECT_REAL_DATA names no folder of real pictures")


def to_balance(url: str, root: Path, balanced: bool = True) -> Path:
    """Download to balance, each stage in a folder named after it."""
    folders = {name: root / name for name in ("download", "index", "audit", "balance")}
    for folder in folders.values():
        folder.mkdir()
    download.run(download.DownloadConfig(url=url), folders["download"])
    index.run(index.IndexConfig(), scan(download.folder(folders["download"])), folders["index"])
    audit.run(audit.AuditConfig(), folders["index"], folders["audit"])
    if balanced:
        balance.run(balance.BalanceConfig(), folders["index"], folders["audit"], folders["balance"])
    return root


def test_an_archive_of_real_pictures_becomes_a_balanced_split(roots: Path) -> None:
    root = to_balance((REAL / "realart.zip").as_uri(), roots)
    table = pd.read_parquet(root / "index" / "index.parquet")
    assert (len(table), int(table.ok.sum())) == (4071, 4071)
    assert set(table.width) == set(table.height) == {224}
    split = pd.read_parquet(root / "balance" / "balance.parquet")
    counts = split.groupby(["split", "label"]).size()
    assert counts["test"].to_dict() == {"AI": 258, "human": 423}
    for part in ("train", "validation"):
        assert counts[part, "AI"] == counts[part, "human"]


def test_the_audit_shows_what_sets_ai_artbenchs_own_files_apart(roots: Path) -> None:
    """20 original files: every human one is 256 px wide, every Stable Diffusion one 768."""
    root = to_balance(str(REAL / "aiartbench-samples"), roots, balanced=False)
    findings = json.loads((root / "audit" / "audit.json").read_text())
    widths = {row["generator"]: (row["pictures"], row["width"]) for row in findings["file_properties"]}
    assert widths == {"human": (10, "256"), "stable_diffusion": (10, "768")}
