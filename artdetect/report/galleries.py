"""The galleries of mistakes and of explanations, as plain values: which pictures are shown, and how they can be sorted.

A gallery's `filters` and `orders` become lists to choose from. The page filters and sorts without scripts: each card
names its place in each order, and the position of its value among those of each filter.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.artifacts import file_names
from artdetect.explain.method_settings import METHODS
from artdetect.formatting import localisation
from artdetect.model.decision import threshold_distance
from artdetect.report.champion import CHAMPION

if TYPE_CHECKING:
    import pandas as pd

MISTAKES = 48  # on the page; more would make it too large to send
SHOWN_PER_RULE = 3  # explanations on the page per class and rule
FILTERS = {"label": "class", "verdict": "verdict", "generator": "generator", "source": "source", "style": "style"}
COLUMNS = ["path", "sha256", "label", "style", "generator", "source", "p_ai", "predicted", "verdict"]
RIGHT, WRONG = "right", "wrong"


def mistakes(
    predictions: "pd.DataFrame",
    threshold: float,
    metrics: Mapping[str, Any],
    contents: Mapping[str, str],
    second: Mapping[str, Any],
) -> dict[str, Any] | None:
    """The wrong predictions, the most confident first; each content once. None if there are none.

    Args:
        predictions: one row per test picture.
        threshold: the p(AI) from which on pictures were predicted as AI.
        metrics: the content of evaluate's metrics.json, whose worst errors have their nearest training pictures.
        contents: path -> sha256 of the pictures of the balance.
        second: the result of `beside.gather`.

    Returns:
        count, in all; cards, up to `MISTAKES`: `COLUMNS`, nearest, beside (the second model's prediction, or None) and
        what `_arranged` adds; filters and orders, see `_arranged`.
    """
    wrong = predictions[predictions.predicted != predictions.label].drop_duplicates("sha256")
    if wrong.empty:
        return None
    distance = threshold_distance(wrong.p_ai.to_numpy(), threshold)
    first = wrong.assign(confidence=distance).iloc[np.lexsort((wrong.path, -distance))[:MISTAKES]]
    nearest = {
        row["path"]: [near | {"sha256": contents.get(near["path"])} for near in row["nearest"]]
        for row in metrics.get("worst_errors") or ()
    }
    cards = [
        row | {"nearest": nearest.get(row["path"], []), "beside": _beside(second, row["path"])}
        for row in first[[*COLUMNS, "confidence"]].to_dict("records")
    ]
    orders = {"confident": "most confident first", "unsure": "least confident first"}
    return {"count": len(wrong), "cards": cards} | _arranged(cards, FILTERS, orders, second)


def explanations(
    folder: Path, predictions: "pd.DataFrame", threshold: float, second: Mapping[str, Any]
) -> dict[str, Any]:
    """How many pictures were explained, which are shown (`SHOWN_PER_RULE` per class and rule), and the maps' checks.

    Args:
        folder: the artifact of stage explain.
        predictions: one row per test picture.
        threshold: as for `mistakes`.
        second: the result of `beside.gather`.

    Returns:
        count; cards, filters and orders as of `mistakes`, where each card also has name, rule, caption, figure (the
        path of its image), score (its method and AUC on splices, or None) and others, the figures of other methods;
        quality and localisation, the checks; and both, the same two with the figures of the second model below the own,
        and why_not, sentences that say why there are none.
    """
    import pandas as pd

    found = _json(folder / file_names.LOCALISATION)
    quality = _json(folder / file_names.QUALITY)
    checks = {"quality": quality, "localisation": _checked(found), "both": _of_both(found, quality, second)}
    table = pd.read_parquet(folder / file_names.EXPLANATIONS)
    if table.empty:
        return {"count": 0, "cards": [], "filters": [], "orders": []} | checks
    shown = table.groupby(["label", "rule"], sort=False).head(SHOWN_PER_RULE)
    columns = ["path", "label", "predicted", "verdict", "p_ai", "rule", "name", "caption"]
    more = predictions.drop_duplicates("path").set_index("path")[["style", "generator", "source"]]
    cards = shown[columns].join(more, on="path").to_dict("records")
    scores = {row["method"]: localisation.interval(row["auc"]) for row in (found["rows"] if found else ())}
    first = found["rows"][0] if found and found["rows"] else None  # the method of the figures
    others = [method for method in METHODS if (folder / method).is_dir()]
    for card in cards:
        card["figure"] = folder / f"{card['name']}.png"
        card["score"] = first and {"label": first["label"], "auc": scores[first["method"]]}
        card["outcome"] = RIGHT if card["predicted"] == card["label"] else WRONG
        card["confidence"] = float(threshold_distance(card["p_ai"], threshold))
        card["beside"] = _beside(second, card["path"])
        card["others"] = [
            {"label": METHODS[name].label, "auc": scores.get(name), "figure": folder / name / f"{card['name']}.png"}
            for name in others
        ]
    arranged = _arranged(cards, {"outcome": "more likely class"} | FILTERS, {"rule": "by rule"}, second)
    return {"count": len(table), "cards": cards} | checks | arranged


def _checked(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """A content of localisation.json in words and cells."""
    return {
        "sentences": localisation.sentences(found),
        "header": localisation.HEADER,
        "meaning": localisation.MEANING,
        "rows": localisation.rows(found) if found else [],
        "groups": localisation.groups(found) if found else None,
        "curves_header": localisation.CURVES_HEADER,
        "curve_rows": localisation.curve_rows(found) if found else [],
        "about_curves": localisation.about_curves(found) if found else "",
    }


def _of_both(found: Any, quality: Any, second: Mapping[str, Any]) -> dict[str, Any]:
    """The checks of the maps with those of the second model, where there is one."""
    maps = None if second["why_not"] else second["maps"]
    if maps:
        found, quality = (maps[check]["found"] for check in ("localisation", "quality"))
    rows = found["rows"] if found else []
    seconds = {row["label"] for row in rows if "second" in row}
    if found and found["curves"]:
        seconds |= {row["name"] for row in found["curves"]["rows"] if "second" in row}
    return {
        "localisation": _checked(found)
        | {
            "differences": [row.get("difference") for row in rows] if seconds else None,
            "seconds": seconds,
            "why_not": maps["localisation"]["why_not"] if maps else [],
        },
        "quality": quality and quality | {"why_not": maps["quality"]["why_not"] if maps else []},
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _beside(second: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    return None if second["why_not"] else second["predictions"][path]


def _arranged(
    cards: list[dict[str, Any]], filters: Mapping[str, str], orders: Mapping[str, str], second: Mapping[str, Any]
) -> dict[str, Any]:
    """Add to each card `values`, filter -> position of its value, and `places`, order -> place.

    Args:
        cards: the cards, in the first of the orders.
        filters: key of a card -> name.
        orders: the orders that are special to this gallery; the first is that of the cards.
        second: the result of `beside.gather`.

    Returns:
        filters: key, name and values of each that has a choice; orders: key and name, the first one first.
    """
    if not second["why_not"]:
        filters = {**filters, CHAMPION: str(second["name"])}
        for card in cards:
            card[CHAMPION] = RIGHT if card["beside"]["right"] else WRONG
    names = {name: sorted({str(card[name]) for card in cards}) for name in filters}
    by_place: dict[str, Sequence[Any]] = {
        "rising": [card["p_ai"] for card in cards],
        "falling": [-card["p_ai"] for card in cards],
        "confident": [-card["confidence"] for card in cards],
        "unsure": [card["confidence"] for card in cards],
        **{name: [str(card[name]) for card in cards] for name in FILTERS},
    }
    titles = {
        **orders,
        "rising": "p(AI) rising",
        "falling": "p(AI) falling",
        **{n: f"by {t}" for n, t in FILTERS.items()},
    }
    shown = {name: title for name, title in titles.items() if name not in filters or len(names[name]) > 1}
    places = {
        name: {number: place for place, number in enumerate(sorted(range(len(cards)), key=values.__getitem__))}
        for name, values in by_place.items()
    }
    for number, card in enumerate(cards):
        card["values"] = {name: names[name].index(str(card[name])) for name in filters}
        card["places"] = {name: places[name][number] for name in shown if name in places}
    return {
        "filters": [
            {"key": name, "name": title, "values": names[name]}
            for name, title in filters.items()
            if len(names[name]) > 1
        ],
        "orders": [{"key": name, "name": title} for name, title in shown.items()],
    }
