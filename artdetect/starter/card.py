"""The starter's model card: what it is made of, then the card of the model that it was made from."""

from collections.abc import Mapping
from typing import Any

from artdetect.formatting import markdown

SPLITS = ("train", "validation", "test", "held_out")


def render(record: Mapping[str, Any], name: str, full_card: str) -> str:
    """The card as Markdown.

    Args:
        record: See `artdetect.starter.write`.
        name: The starter's id.
        full_card: The model card of the model that it was made from.
    """
    rounding = record["rounding"]
    rows = [
        [
            *(markdown.escape(row[column]) for column in ("source", "label", "generator")),
            *(f"{row.get(split, 0):,}" for split in SPLITS),
            markdown.escape(row["licence"]),
        ]
        for row in record["sources"]
    ]
    notice = " ".join(record["notice"].split())
    changed = (
        "1 prediction" if rounding["predictions_changed"] == 1 else f"{rounding['predictions_changed']} predictions"
    )
    header = ["source", "class", "generator", *(split.replace("_", " ") for split in SPLITS), "licence, as stated"]
    return f"""# The starter: {name}

The model that comes with artdetect. It answers until a model of your own is trained. `make starter` makes it.

{record["bytes"]:,} bytes: the head and its calibration. The backbone's weights come with its package. There is no
picture in it, no thumbnail, and no row that stands for a picture.

It is {record["made_from"]} with weights rounded to float16. On the {rounding["pictures"]:,} test pictures that moves
p(AI) by at most {rounding["largest_difference"]:.1e} and changes {changed}.

## Sources

{markdown.table(header, rows, align_right=range(3, 3 + len(SPLITS)))}

What the data sets say of themselves and their licences: {markdown.escape(notice or "nothing")}

sha256 {record["sha256"]}, artdetect {record["version"]}, packages:
{", ".join(f"{package} {version}" for package, version in record["packages"].items())}.

---

{full_card}"""
