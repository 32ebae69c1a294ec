"""audit: check a data set before training on it, report the findings, and stop the run if a rule demands it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artdetect.artifacts import file_names
from artdetect.audit.config import AuditConfig
from artdetect.core.errors import AuditFailed

SHEET = file_names.AUDIT_EXAMPLES
# The columns of the index that are read.
COLUMNS = (
    "path", "label", "split", "style", "generator", "source", "bytes", "sha256", "width", "height", "format", "mode",
    "jpeg_quality", "has_exif", "phash", "contrast", "ok", "error",
)  # fmt: skip


def run(config: AuditConfig, index_folder: Path, pictures: Path, out: Path) -> None:
    """Audit an index.

    Args:
        config: Section `audit`.
        index_folder: The artifact folder of the index.
        pictures: The root of the data set, from which the index's paths start.
        out: The folder to write to.

    Writes:
        audit.json: "pictures" (files in the index), "findings" (each a `findings.Finding`), "shortcut" (see
            `shortcut.measure`), "counts", "sources" and "file_properties" (see `counts`).
        groups.parquet: path and group (int64) of readable pictures that have exact or near duplicates, sorted by path;
            groups are numbered in the order of their first paths.
        audit_examples.png: a contact sheet of the pictures with findings, if there are any.
    """
    import pandas as pd

    from artdetect.audit import counts, example_sheet, findings, shortcut
    from artdetect.audit.duplicates import groups

    table = pd.read_parquet(index_folder / file_names.INDEX, columns=list(COLUMNS)).sort_values("path")
    skipped = json.loads((index_folder / file_names.SKIPPED).read_text())
    unreadable = table.loc[~table.ok, ["path", "error"]]
    readable = table[table.ok].drop(columns=["ok", "error"]).reset_index(drop=True)
    readable["group"] = groups(readable, config.near_distance, config.low_contrast)
    measured = shortcut.measure(readable, config.seed)
    result = {
        "pictures": len(table),
        "findings": [vars(finding) for finding in findings.find_all(config, unreadable, readable, skipped, measured)],
        "shortcut": measured,
        "counts": counts.counts(readable),
        "sources": counts.sources(readable),
        "file_properties": counts.file_properties(readable),
    }
    (out / file_names.AUDIT).write_text(json.dumps(result, indent=1))
    repeated = readable.loc[readable.duplicated("group", keep=False), ["path", "group"]]
    repeated.assign(group=pd.factorize(repeated.group)[0].astype("int64")).to_parquet(
        out / file_names.GROUPS, index=False
    )
    example_sheet.write(readable, config.low_contrast, pictures, out / SHEET)


def triggered(folder: Path) -> list[Mapping[str, Any]]:
    """The findings in an audit's artifact folder that fired and whose rule is not "ignore"."""
    findings = json.loads((folder / file_names.AUDIT).read_text())["findings"]
    return [finding for finding in findings if finding["fired"] and finding["level"] != "ignore"]


def blocking(folder: Path) -> list[Mapping[str, Any]]:
    """The findings that fired and whose rule is "stop"."""
    return [finding for finding in triggered(folder) if finding["level"] == "stop"]


def check(folder: Path) -> None:
    """Check that no finding stops the run.

    Raises:
        AuditFailed: A finding stops the run. The message names it, where to look, and how to continue nevertheless.
    """
    stops = blocking(folder)
    if not stops:
        return
    findings = " ".join(f"{finding['name']}: {finding['sentence']}" for finding in stops)
    places = [str(folder / name) for name in (SHEET, file_names.AUDIT) if (folder / name).exists()]
    switches = " ".join(f"--set audit.{finding['name']}=warn" for finding in stops)
    raise AuditFailed(f"the audit stops this run. {findings} Look at {' and '.join(places)}. To continue: {switches}")
