"""The registry of models as one self-contained HTML page: models by data set, tests over time, promotions, gates.

Scores of different data sets stand in different sections, and a line joins only tests on the same pictures. Names,
reasons and notices are untrusted text: the template escapes them, and the page's policy forbids scripts and requests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from artdetect import gate
from artdetect.artifacts import lineage, registry, store
from artdetect.artifacts.stages import MISSING_INPUT
from artdetect.core import atomic, paths
from artdetect.formatting.intervals import estimate
from artdetect.formatting.text import printable
from artdetect.model import choice
from artdetect.monitoring import model_table, reproduction

TEMPLATES = Path(__file__).parent / "templates"
MAX_TESTS = 40  # newest tests of a data set in its plot
MAX_NUMBERS = 10  # numbers below a plot: more would not fit a phone
PLOT_HEIGHT = 180  # px between the plot's lowest and highest value
PLOT_LEFT, PLOT_RIGHT = 11.0, 98.0  # per cent of the plot's width
SERIES = ("other", "test")  # ROC-AUC on art from other sources, and on the test pictures
NOT_TESTED = "Not tested"
STARTER = "The starter’s own test pictures"


def file() -> Path:
    """The file of the page that runs write."""
    return paths.artifacts() / "registry.html"


def write(path: Path) -> None:
    """Write the page of the present registry to a file, replacing it."""
    atomic.write(path, render(gather()).encode("utf-8", "backslashreplace"))  # names on disk need not be Unicode


def gather() -> dict[str, Any]:
    """Read everything that the page shows, from records and the alias; no model is loaded.

    Returns:
        `made` (ISO 8601, UTC); `champion`: its key or None; `data_sets`, the one of the newest model first: name,
        models (rows of `model_table.table`, with the `provenance` of `reproduction` or None), tests (rows of
        `model_table.tests` with their number), notices and plot; `promotions`, newest first; `gates`, newest first: at,
        challenger and champion (keys or "gone"; champion None if there was none), verdict and sentence (None if the
        file is damaged).
    """
    tests, history, made = model_table.tests(), registry.history(), reproduction.provenance()
    models = [row | {"provenance": made.get(row["key"])} for row in model_table.table()]
    out_of_source = {row["key"]: row["other_art"] for row in models}
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in models:
        groups.setdefault(_data_set(row["key"], row["evaluation"]), []).append(row)
    tests_by_set: dict[str, list[dict[str, Any]]] = {}
    for test in tests:
        tests_by_set.setdefault(_data_set(test["train"], test), []).append(test)
    names = [*groups, *(name for name in tests_by_set if name not in groups)]
    names.sort(key=lambda name: name in (NOT_TESTED, STARTER))
    return {
        "made": datetime.now(UTC).isoformat(),
        "champion": history[-1].train if history else None,
        "data_sets": [
            _section(name, groups.get(name, []), tests_by_set.get(name, []), out_of_source) for name in names
        ],
        "promotions": [_promotion(promotion) for promotion in reversed(history)],
        "gates": list(_gates()),
    }


def render(values: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        values: The result of `gather`.
    """
    from artdetect.report import filters, html_page

    templates = filters.environment(TEMPLATES, autoescape=True)
    templates.filters |= {"printable": printable, "minute": _minute, "balance_name": model_table.balance_name}
    return templates.get_template("registry.html.jinja").render(values, **html_page.look())


def _data_set(model: str | None, scores: Mapping[str, Any] | None) -> str:
    """What a section is called: the data set's name, or the pictures it stands for where no run names it."""
    if model == str(choice.STARTER):
        return STARTER
    if scores is None:
        return NOT_TESTED
    return scores["data_set"] or (f"Balance {scores['data']}" if scores["data"] else "Pictures that are gone")


def _section(
    name: str,
    models: Sequence[Mapping[str, Any]],
    tests: Sequence[Mapping[str, Any]],
    out_of_source: Mapping[str, Mapping[str, Any] | None],
) -> dict[str, Any]:
    """One data set. What is known of a model on other art stands at its first test here only."""
    numbered, seen = [], set()
    for number, test in enumerate(tests, start=1):
        other = out_of_source.get(test["train"]) if test["train"] not in seen else None
        seen.add(test["train"])
        numbered.append({**test, "number": number, "other_art": other})
    notices = list(dict.fromkeys(row["notice"] for row in models if row["notice"]))
    return {"name": name, "models": models, "tests": numbered, "notices": notices, "plot": plot(numbered[-MAX_TESTS:])}


def plot(tests: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Where marks and lines of a plot of ROC-AUC over tests stand; None without a test.

    x is in per cent of the plot's width, so that text keeps its size on a phone; y is in px.

    Args:
        tests: Rows of `model_table.tests` with `number` and `other_art`, oldest first.

    Returns:
        `ticks` (y, text); `numbers` (x, text); `breaks`: x where the test pictures change; `points` (series, x, y,
        low, high, title) and `lines` (series, x1, y1, x2, y2) between neighbours that were measured on the same data.
    """
    if not tests:
        return None
    scores = [{"test": (test["roc_auc"], test["data"]), "other": _on_other_art(test)} for test in tests]
    found = [score["low"] for row in scores for score, _ in row.values() if score]
    bottom = max(0, min(5, *(int(low * 10) for low in found))) / 10 if found else 0.5
    step = (PLOT_RIGHT - PLOT_LEFT) / len(tests)

    def height(value: float) -> float:
        return round(10 + PLOT_HEIGHT * (1 - value) / (1 - bottom), 1)

    across = [round(PLOT_LEFT + step * (place + 0.5), 2) for place in range(len(tests))]
    points, lines = [], []
    for series in SERIES:
        before = None
        for x, test, row in zip(across, tests, scores, strict=True):
            score, data = row[series]
            if score is None:
                continue
            y = height(score["value"])
            title = f"{test['number']}: {estimate(score)}"
            points.append(
                {"series": series, "x": x, "y": y, "low": height(score["low"]), "high": height(score["high"]),
                 "title": title}
            )  # fmt: skip
            if before and data and before[2] == data:
                lines.append({"series": series, "x1": before[0], "y1": before[1], "x2": x, "y2": y})
            before = (x, y, data)
    every = -(-len(tests) // MAX_NUMBERS)
    return {
        "height": PLOT_HEIGHT,
        "ticks": [(height(tenth / 10), f"{tenth / 10:.1f}") for tenth in range(round(bottom * 10), 11)],
        "numbers": [(x, test["number"]) for x, test in list(zip(across, tests, strict=True))[::every]],
        "breaks": [
            round(x - step / 2, 2)
            for x, test, earlier in zip(across[1:], tests[1:], tests, strict=False)
            if test["data"] != earlier["data"]
        ],
        "points": points,
        "lines": lines,
    }


def _on_other_art(test: Mapping[str, Any]) -> tuple[Mapping[str, float] | None, str | None]:
    """The ROC-AUC on art from other sources, and the balance whose sources these are."""
    found = test["other_art"]
    return (found["roc_auc"], found["data"]) if found else (None, None)


def _promotion(promotion: registry.Promotion) -> dict[str, Any]:
    if promotion.rolled_back:
        move = "rollback"
    else:
        move = "promotion" if "gate" in promotion.artifacts else "promotion by hand"
    return promotion.model_dump(include={"at", "train", "by", "why", "previous"}) | {"move": move}


def _gates() -> Iterator[dict[str, Any]]:
    """The decisions that are on disk, newest first."""
    sources = lineage.read()
    for artifact in reversed(store.stored("gate")):
        decision: Mapping[str, Any] = {}
        with suppress(OSError, json.JSONDecodeError, UnicodeDecodeError):
            decision = gate.verdict(artifact.folder)
        sides = sources.sources(artifact.inputs, artifact.record["started"])
        yield {
            "at": artifact.record["started"],
            **{side: sides[side].folder.name if side in sides else "gone" for side in ("challenger", "champion")},
            **({"champion": None} if artifact.inputs.get("champion") == MISSING_INPUT else {}),
            **{name: decision.get(name) for name in ("verdict", "sentence")},
        }


def _minute(moment: str) -> str:
    """A time in ISO 8601 to the minute: "2026-11-27 17:25"."""
    return moment[:16].replace("T", " ")
