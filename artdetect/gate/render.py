"""The judgement for people, as Markdown: the verdict first, then why, then the tables behind it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from artdetect.formatting.text import escape_markdown

OUTCOMES = {True: "passed", False: "**failed**", None: "does not apply"}
HEADINGS = {
    "right_to_wrong": "Right with the champion, wrong with the challenger",
    "wrong_to_right": "Wrong with the champion, right with the challenger",
}


def render(judgement: Mapping[str, Any]) -> str:
    """gate.md of gate.json; names from files are quoted."""
    return "\n\n".join(_blocks(judgement)) + "\n"


def _blocks(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Gate: {found['verdict']}"
    yield f"**{escape_markdown(found['sentence'])}**"
    yield "## Why"
    order = sorted(found["rules"], key=lambda rule: (False, True, None).index(rule["passed"]))
    yield "\n".join(
        f"- {rule['name']}, {OUTCOMES[rule['passed']]}: {escape_markdown(rule['sentence'])}" for rule in order
    )
    yield "## Rules"
    yield _table(
        ("rule", "outcome", "champion", "challenger", "difference", "95 %", "bound"), map(_rule, found["rules"]), 2
    )
    yield "## Share of test pictures called right"
    yield _table(
        ("set", "generator or origin", "pictures", "champion", "challenger", "difference", "95 %"),
        map(_group, found["groups"]),
        2,
    )
    for name, flips in found["flips"].items():
        yield f"## {HEADINGS[name]}: {flips['count']:,}"
        if flips["pictures"]:
            yield _table(("picture", "is", "set", "p(AI) before", "p(AI) after"), map(_flip, flips["pictures"]), 3)
        if (more := flips["count"] - len(flips["pictures"])) > 0:
            yield f"And {more:,} more."
    yield from _golden(found["golden"])
    left_out = found["left_out"]
    if left_out["disputed"]:
        yield f"{left_out['disputed']:,} test contents stand under both labels and are left out here."
    if left_out["known"]:
        yield (
            f"{left_out['known']:,} test contents are left out because a model learnt from them, or from a "
            "near-duplicate."
        )
    for side in found["unknown"]:
        yield f"What the {side} learnt from is no longer there: test pictures that it knows are not left out."


def _golden(golden: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Golden cases: {len(golden['cases']):,}"
    if golden["cases"]:
        yield _table(("case", "is", "champion", "challenger"), map(_case, golden["cases"]), 4)
    if golden["outside"]:
        yield f"Not below AI/ or human/, and so no cases: {', '.join(map(escape_markdown, golden['outside']))}."


def _rule(rule: Mapping[str, Any]) -> Sequence[str]:
    values = [_digits(rule[name]) for name in ("champion", "challenger")]
    bound = "" if rule["bound"] is None else f"{rule['bound']:g}"
    return [rule["name"], OUTCOMES[rule["passed"]], *values, *_difference(rule["difference"]), bound]


def _group(row: Mapping[str, Any]) -> Sequence[str]:
    shares = [_digits(row[name]) for name in ("champion", "challenger")]
    return [row["set"], escape_markdown(row["group"]), f"{row['pictures']:,}", *shares, *_difference(row["difference"])]


def _flip(row: Mapping[str, Any]) -> Sequence[str]:
    said = [_digits(row[f"p_ai_{side}"]) for side in ("champion", "challenger")]
    return [escape_markdown(row["path"]), escape_markdown(f"{row['label']}, {row['group']}"), row["set"], *said]


def _case(row: Mapping[str, Any]) -> Sequence[str]:
    if row["error"]:
        return [escape_markdown(row["name"]), row["label"], escape_markdown(row["error"]), ""]
    said = [
        f"{row['called'][side]} ({row['p_ai'][side]:.3f})" if side in row["called"] else ""
        for side in ("champion", "challenger")
    ]
    return [escape_markdown(row["name"]), row["label"], *said]


def _difference(change: Mapping[str, float] | None) -> Sequence[str]:
    return [f"{change['value']:+.3f}", f"{change['low']:+.3f} to {change['high']:+.3f}"] if change else ["", ""]


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(head: Sequence[str], rows: "Iterator[Sequence[str]]", numbers: int) -> str:
    """GitHub's table; the columns from `numbers` on stand to the right."""
    rules = ["---:" if place >= numbers else "---" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))
