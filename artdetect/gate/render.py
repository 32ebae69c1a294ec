"""The gate's decision as Markdown: the verdict first, then the reasons, then the tables behind them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from artdetect.formatting import markdown
from artdetect.formatting.intervals import signed, signed_span

OUTCOMES = {True: "passed", False: "**failed**", None: "does not apply"}
HEADINGS = {
    "right_to_wrong": "Right with the champion, wrong with the challenger",
    "wrong_to_right": "Wrong with the champion, right with the challenger",
}


def render(decision: Mapping[str, Any]) -> str:
    """gate.md from gate.json. Names from files are escaped."""
    return "\n\n".join(_blocks(decision)) + "\n"


def _blocks(decision: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Gate: {decision['verdict']}"
    yield f"**{markdown.escape(decision['sentence'])}**"
    yield "## Why"
    order = sorted(decision["rules"], key=lambda rule: (False, True, None).index(rule["passed"]))
    yield "\n".join(
        f"- {rule['name']}, {OUTCOMES[rule['passed']]}: {markdown.escape(rule['sentence'])}" for rule in order
    )
    yield "## Rules"
    yield markdown.table(
        ("rule", "outcome", "champion", "challenger", "difference", "95 %", "bound"),
        map(_rule, decision["rules"]),
        range(2, 7),
    )
    yield "## Accuracy on test pictures"
    yield markdown.table(
        ("set", "generator or origin", "pictures", "champion", "challenger", "difference", "95 %"),
        map(_group, decision["groups"]),
        range(2, 7),
    )
    for name, flips in decision["flips"].items():
        yield f"## {HEADINGS[name]}: {flips['count']:,}"
        if flips["pictures"]:
            header = ("picture", "label", "set", "p(AI) before", "p(AI) after")
            yield markdown.table(header, map(_flip, flips["pictures"]), (3, 4))
        if (more := flips["count"] - len(flips["pictures"])) > 0:
            yield f"And {more:,} more."
    yield from _golden(decision["golden"])
    left_out = decision["left_out"]
    if left_out["disputed"]:
        yield f"{left_out['disputed']:,} test pictures are left out here: the same content stands under both labels."
    if left_out["trained_on"]:
        yield (
            f"{left_out['trained_on']:,} test pictures are left out because a model was trained on them or on a "
            "near-duplicate."
        )
    for side in decision["unknown"]:
        yield (
            f"The training data of the {side}, or of a model that it descends from, no longer exists: test pictures "
            "that it was trained on could not be left out."
        )


def _golden(golden: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Golden cases: {len(golden['cases']):,}"
    if golden["cases"]:
        yield markdown.table(("case", "label", "champion", "challenger"), map(_case, golden["cases"]))
    if golden["outside"]:
        names = ", ".join(map(markdown.escape, golden["outside"]))
        yield f"Not golden cases, because not below AI/ or human/: {names}."


def _rule(rule: Mapping[str, Any]) -> Sequence[str]:
    values = [_number(rule[side]) for side in ("champion", "challenger")]
    bound = "" if rule["bound"] is None else f"{rule['bound']:g}"
    return [rule["name"], OUTCOMES[rule["passed"]], *values, *_difference(rule["difference"]), bound]


def _group(row: Mapping[str, Any]) -> Sequence[str]:
    shares = [_number(row[side]) for side in ("champion", "challenger")]
    return [row["set"], markdown.escape(row["group"]), f"{row['pictures']:,}", *shares, *_difference(row["difference"])]


def _flip(row: Mapping[str, Any]) -> Sequence[str]:
    p_ai = [_number(row[f"p_ai_{side}"]) for side in ("champion", "challenger")]
    return [markdown.escape(row["path"]), markdown.escape(f"{row['label']}, {row['group']}"), row["set"], *p_ai]


def _case(row: Mapping[str, Any]) -> Sequence[str]:
    if row["error"]:
        return [markdown.escape(row["name"]), row["label"], markdown.escape(row["error"]), ""]
    predictions = [
        f"{row['predicted'][side]} ({row['p_ai'][side]:.3f})" if side in row["predicted"] else ""
        for side in ("champion", "challenger")
    ]
    return [markdown.escape(row["name"]), row["label"], *predictions]


def _difference(change: Mapping[str, float] | None) -> Sequence[str]:
    return [signed(change["value"]), signed_span(change)] if change else ["", ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
