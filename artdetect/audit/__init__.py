"""audit: what a careful person would want to know of a data set before training on it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.section import Section

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 20  # paths listed per finding; the counts are always whole


class AuditConfig(Section):
    """Section `audit`: nothing to choose so far."""


def run(config: AuditConfig, index_folder: Path, out: Path) -> None:
    """Write `audit.json`: the findings of `findings` over an index, and the files that the index left out."""
    import pandas as pd

    table = pd.read_parquet(index_folder / "index.parquet")
    skipped = json.loads((index_folder / "skipped.json").read_text())
    result = findings(table) | {"skipped": {reason: _some(paths) for reason, paths in skipped.items()}}
    (out / "audit.json").write_text(json.dumps(result, indent=1))


def findings(table: "pd.DataFrame") -> dict[str, Any]:
    """Counts, unreadable files, contents that stand twice, and contents in train and test alike.

    `table` is an index. Lists hold up to `EXAMPLES` paths beside their whole count.
    """
    readable = table[table.ok]
    return {
        "pictures": len(table),
        "counts": _counts(readable),
        "file_properties": _properties(readable),
        "unreadable": _some([f"{row.path}: {row.error}" for row in table[~table.ok].itertuples()]),
        "duplicates": _groups(readable, lambda group: len(group) > 1),
        "train_test_overlap": _groups(readable, lambda group: group.split.nunique() > 1),
        "two_labels": _groups(readable, lambda group: group.label.nunique() > 1),
    }


def _counts(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Pictures by label, generator, style and split."""
    groups = table.groupby(["label", "generator", "style", "split"]).size().rename("pictures").reset_index()
    return groups.to_dict("records")


def _properties(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """What the files of each generator look like: a difference here is a shortcut a model can take."""
    rows = []
    for (label, generator), group in table.groupby(["label", "generator"]):
        rows.append(
            {
                "label": label,
                "generator": generator,
                "pictures": len(group),
                "format": ", ".join(sorted(group.format.dropna().unique())),
                "width": _range(group.width),
                "height": _range(group.height),
                "jpeg_quality": _range(group.jpeg_quality),
                "kilobytes": round(group.bytes.median() / 1000, 1),
                "with_exif": int(group.has_exif.fillna(False).sum()),
            }
        )
    return rows


def _range(values: "pd.Series") -> str:
    values = values.dropna()
    if values.empty:
        return "–"
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}–{high}"


def _groups(table: "pd.DataFrame", matches: Any) -> dict[str, Any]:
    """Groups of files with one content for which `matches(group)` holds."""
    repeated = table[table.duplicated("sha256", keep=False)]
    found = [sorted(group.path) for _, group in repeated.groupby("sha256") if matches(group)]
    return _some([" = ".join(paths) for paths in sorted(found)])


def _some(items: list[str]) -> dict[str, Any]:
    return {"count": len(items), "examples": items[:EXAMPLES]}
