"""audit: what a careful person would want to know of a data set before training on it, and what may stop a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artdetect.audit.config import AuditConfig
from artdetect.core.errors import AuditFailed

SHEET = "worst.png"
# Of the index: only these are read.
COLUMNS = (
    "path", "label", "split", "style", "generator", "bytes", "sha256", "width", "height", "format", "mode",
    "jpeg_quality", "has_exif", "phash", "contrast", "ok", "error",
)  # fmt: skip


def run(config: AuditConfig, index_folder: Path, pictures: Path, out: Path) -> None:
    """Audit an index; `pictures` is the data set's root, which the index's paths start from.

    Writes:
        audit.json: "pictures" (files in the index), "findings" (each a `findings.Finding`), "shortcut" (see
            `shortcut.measure`), "counts" and "file_properties" (see `tables`).
        groups.parquet: path and group (int64) of readable pictures that have exact or near duplicates, sorted by path;
            groups are numbered in the order of their first paths.
        worst.png: the pictures to look at, where there are any.
    """
    import pandas as pd

    from artdetect.audit import counts, example_sheet, findings, shortcut
    from artdetect.audit.duplicates import groups

    table = pd.read_parquet(index_folder / "index.parquet", columns=list(COLUMNS)).sort_values("path")
    skipped = json.loads((index_folder / "skipped.json").read_text())
    unreadable = table.loc[~table.ok, ["path", "error"]]
    readable = table[table.ok].drop(columns=["ok", "error"]).reset_index(drop=True)
    readable["group"] = groups(readable, config.near_distance, config.low_contrast)
    measured = shortcut.measure(readable, config.seed)
    result = {
        "pictures": len(table),
        "findings": [vars(found) for found in findings.find_all(config, unreadable, readable, skipped, measured)],
        "shortcut": measured,
        "counts": counts.counts(readable),
        "file_properties": counts.file_properties(readable),
    }
    (out / "audit.json").write_text(json.dumps(result, indent=1))
    repeated = readable.loc[readable.duplicated("group", keep=False), ["path", "group"]]
    repeated.assign(group=pd.factorize(repeated.group)[0].astype("int64")).to_parquet(
        out / "groups.parquet", index=False
    )
    example_sheet.write(readable, config.low_contrast, pictures, out / SHEET)


def triggered(folder: Path) -> list[Mapping[str, Any]]:
    """The findings of an audit's artifact folder that a rule tells to warn of or to stop at."""
    found = json.loads((folder / "audit.json").read_text())["findings"]
    return [finding for finding in found if finding["fired"] and finding["level"] != "ignore"]


def blocking(folder: Path) -> list[Mapping[str, Any]]:
    """Those of them that a rule tells to stop at."""
    return [finding for finding in triggered(folder) if finding["level"] == "stop"]


def check(folder: Path) -> None:
    """Go on only where no rule says stop.

    Raises:
        AuditFailed: naming each such finding, where to look, and how to go on all the same.
    """
    stops = blocking(folder)
    if not stops:
        return
    said = " ".join(f"{finding['name']}: {finding['sentence']}" for finding in stops)
    places = [str(folder / name) for name in (SHEET, "audit.json") if (folder / name).exists()]
    switches = " ".join(f"--set audit.{finding['name']}=warn" for finding in stops)
    raise AuditFailed(f"the audit stops this run. {said} Look at {' and '.join(places)}. To go on: {switches}")
