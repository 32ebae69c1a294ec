"""audit: what a careful person would want to know of a data set before training on it, and what may stop a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from artdetect.errors import AuditFailed
from artdetect.section import Section

Rule = Literal["ignore", "warn", "stop"]
SHEET = "worst.png"
# Of the index: only these are read.
COLUMNS = (
    "path", "label", "split", "style", "generator", "bytes", "sha256", "width", "height", "format", "mode",
    "jpeg_quality", "has_exif", "phash", "contrast", "ok", "error",
)  # fmt: skip


def _rule(what: str) -> Any:
    return Field("warn", description=f"{what}: ignore, warn, or stop the run")


class AuditConfig(Section):
    """Section `audit`: a rule for each finding, and what counts as one.

    Every finding is counted whatever its rule says: "warn" also writes a line to the log, "stop" ends the run with
    `AuditFailed`. All warn unless told otherwise, since balance keeps what can be kept out of training.
    """

    unreadable: Rule = _rule("pictures that cannot be read")
    duplicates: Rule = _rule("files with the same content")
    near_duplicates: Rule = _rule("pictures that look alike: saved again, resized or slightly cropped")
    train_test_overlap: Rule = _rule("pictures in train and in test, the same or alike")
    two_labels: Rule = _rule("pictures under both labels, the same or alike")
    low_information: Rule = _rule("pictures with next to nothing on them")
    folder_grammar: Rule = _rule("files left out, and folders whose names may be meant otherwise")
    shortcut: Rule = _rule("file properties that give the label away")

    near_distance: int = Field(
        4, ge=0, le=8, description="bits of 64 in which the perceptual hashes of near-duplicates may differ"
    )
    low_contrast: float = Field(
        2.0, ge=0, description="a picture of less contrast (standard deviation of its grey values) says next to nothing"
    )
    shortcut_auc: float = Field(
        0.6, ge=0.5, le=1, description="AUC of file properties alone from which they are a shortcut; 0.5 is chance"
    )
    seed: int = Field(129, ge=0, description="of the shortcut test's folds and resampling")


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

    from artdetect.audit import findings, sheet, shortcut, tables
    from artdetect.audit.duplicates import groups

    table = pd.read_parquet(index_folder / "index.parquet", columns=list(COLUMNS)).sort_values("path")
    skipped = json.loads((index_folder / "skipped.json").read_text())
    unreadable = table.loc[~table.ok, ["path", "error"]]
    readable = table[table.ok].drop(columns=["ok", "error"]).reset_index(drop=True)
    readable["group"] = groups(readable, config.near_distance, config.low_contrast)
    measured = shortcut.measure(readable, config.seed)
    result = {
        "pictures": len(table),
        "findings": [vars(found) for found in findings.of(config, unreadable, readable, skipped, measured)],
        "shortcut": measured,
        "counts": tables.counts(readable),
        "file_properties": tables.file_properties(readable),
    }
    (out / "audit.json").write_text(json.dumps(result, indent=1))
    repeated = readable.loc[readable.duplicated("group", keep=False), ["path", "group"]]
    repeated.assign(group=pd.factorize(repeated.group)[0].astype("int64")).to_parquet(
        out / "groups.parquet", index=False
    )
    sheet.write(readable, config.low_contrast, pictures, out / SHEET)


def fired(folder: Path) -> list[Mapping[str, Any]]:
    """The findings of an audit's artifact folder that a rule tells to warn of or to stop at."""
    found = json.loads((folder / "audit.json").read_text())["findings"]
    return [finding for finding in found if finding["fired"] and finding["level"] != "ignore"]


def stopping(folder: Path) -> list[Mapping[str, Any]]:
    """Those of them that a rule tells to stop at."""
    return [finding for finding in fired(folder) if finding["level"] == "stop"]


def check(folder: Path) -> None:
    """Go on only where no rule says stop.

    Raises:
        AuditFailed: naming each such finding, where to look, and how to go on all the same.
    """
    stops = stopping(folder)
    if not stops:
        return
    said = " ".join(f"{finding['name']}: {finding['sentence']}" for finding in stops)
    places = [str(folder / name) for name in (SHEET, "audit.json") if (folder / name).exists()]
    switches = " ".join(f"--set audit.{finding['name']}=warn" for finding in stops)
    raise AuditFailed(f"the audit stops this run. {said} Look at {' and '.join(places)}. To go on: {switches}")
