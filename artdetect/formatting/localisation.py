"""Whether maps find pasted regions, in words and in rows of tables.

Throughout, `found` is the result of `artdetect.explain.localisation.check`, the content of localisation.json.
"""

from collections.abc import Mapping
from typing import Any

from artdetect.formatting import intervals

Found = Mapping[str, Any]
METRICS = {"auc": "AUC", "pointing": "pointing game", "iou": "IoU"}
HEADER = ("map", "splices", *METRICS.values(), "AUC of noise", "AUC of controls")
MEANING = (
    "AUC: how often a pixel of the pasted region has a higher value than one outside. Pointing game: how often the "
    "highest value lies in the region. IoU: overlap with as many of the highest pixels. Noise is the map's own values "
    "in other places or regions. In a control, a part of the same class was pasted, with the same region and edge."
)
CURVES_HEADER = ("ranked by", "deletion (low is good)", "insertion (high is good)")
INSERTION = "Insertion does not agree with this truth, and deletion not reliably: see docs/explanation/results.md."


def sentences(found: Found | None) -> list[str]:
    """What is known, most important first; nothing where the check was off."""
    if found is None:
        return []
    if found["reason"]:
        return [found["reason"]]
    parents = found["parents"]
    first = found["rows"][0]
    auc, above = first["auc"], first["above_noise"]
    shown = (auc["low"] or 0) > 0.5 and (above["low"] or 0) > 0
    says = "The maps find what was pasted" if shown else "It is not shown that the maps find what was pasted"
    return [
        f"{says}: {first['label']} has an AUC of {interval(auc)}, where chance is 0.5.",
        f"Checked on {found['splices']:,} pictures, each with a part of a picture of the other class pasted in; they "
        f"were made of {parents['AI']:,} AI and {parents['human']:,} human test pictures that the model judges "
        f"rightly. The map of the pasted class must find the region. {found['read_me']}",
    ]


def rows(found: Found) -> list[list[str]]:
    """The cells below `HEADER`: a row for each method, and what chance gives."""
    lines = [
        [
            row["label"],
            f"{row['splices']:,}",
            *(interval(row[name]) for name in METRICS),
            interval(row["noise"]["auc"]),
            interval(row["controls"]["auc"]),
        ]
        for row in found["rows"]
    ]
    if found["chance"]:
        lines.append(["by chance", "", *(f"{found['chance'][name]:.2f}" for name in METRICS), "", ""])
    return lines


def groups(found: Found) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the AUC by size, edge, region and direction, with the number of splices of each."""
    names = dict.fromkeys((group["by"], group["name"]) for row in found["rows"] for group in row["groups"])
    cells = {
        (group["by"], group["name"], row["method"]): f"{interval(group['auc'])}, N = {group['splices']}"
        for row in found["rows"]
        for group in row["groups"]
    }
    lines = [
        [f"{by}: {name}", *(cells.get((by, name, row["method"]), "–") for row in found["rows"])] for by, name in names
    ]
    return ["AUC", *(row["label"] for row in found["rows"])], lines


def curve_rows(found: Found) -> list[list[str]]:
    """The cells below `CURVES_HEADER`: what deletion and insertion say of the map, of the true region and of noise."""
    lines = found["curves"]["rows"] if found["curves"] else ()
    return [[row["name"], _margin(row["deletion_margin"]), _margin(row["insertion_margin"])] for row in lines]


def about_curves(found: Found) -> str:
    """What these rows are; "" where there are none."""
    if not found["curves"]:
        return ""
    label = found["rows"][0]["label"]
    return (
        f"Deletion and insertion on {found['curves']['splices']} of the splices, as mean logit margins of the pasted "
        f"class with 95 % intervals; the explanation is that of {label}. {INSERTION}"
    )


def _margin(metric: Mapping[str, Any]) -> str:
    span = "" if metric["low"] is None else f" ({metric['low']:.2f} to {metric['high']:.2f})"
    return f"{metric['value']:.2f}{span}".replace("-", "−")


def interval(metric: Mapping[str, Any] | None) -> str:
    """A value with its interval: "0.78 (0.74–0.81)"."""
    return "–" if metric is None else intervals.estimate(metric, 2)
