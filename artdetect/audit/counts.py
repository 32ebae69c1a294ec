"""The tables of the audit: numbers of pictures, where they come from, and properties of their files."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def counts(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The number of pictures by label, generator, style and split."""
    groups = table.groupby(["label", "generator", "style", "split"]).size().rename("pictures").reset_index()
    return groups.to_dict("records")


def sources(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The number of pictures by label and source, the largest source of each label first."""
    groups = table.groupby(["label", "source"]).size().rename("pictures").reset_index()
    return groups.sort_values(["label", "pictures", "source"], ascending=[True, False, True]).to_dict("records")


def file_properties(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The properties of the files of each generator. A difference here is a shortcut that a model can take."""
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
