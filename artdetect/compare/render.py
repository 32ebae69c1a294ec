"""A comparison for people: the same tables for a terminal and as Markdown. Names from files are quoted for each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from artdetect.formatting.text import METRICS, columns, escape_markdown, printable
from artdetect.stats.paired_bootstrap import UNCLEAR

NAMES = METRICS | {"brier": "Brier score (less is better)", "log_loss": "log loss (less is better)"}


@dataclass(frozen=True)
class _Part:
    """A heading with a table, sentences, or both; cells of the columns in `right` are numbers."""

    title: str
    rows: Sequence[Sequence[str]] = ()  # the first names the columns
    right: Sequence[int] = ()
    sentences: Sequence[str] = field(default=())


def render_text(found: Mapping[str, Any]) -> str:
    """A result of `compare` for a terminal."""
    return "\n\n".join("\n".join([part.title, *_lines(part)]) for part in _parts(found))


def render_markdown(found: Mapping[str, Any]) -> str:
    """A result of `compare` as Markdown with GitHub's tables."""
    return "\n\n".join(
        "\n\n".join([f"{'#' * (3 if number else 2)} {escape_markdown(part.title)}", *_blocks(part)])
        for number, part in enumerate(_parts(found))
    )


def _lines(part: _Part) -> Iterator[str]:
    if part.rows:
        rows = [[printable(cell) for cell in row] for row in part.rows]
        for column in part.right:
            width = max(len(row[column]) for row in rows)
            for row in rows:
                row[column] = row[column].rjust(width)
        yield from (f"  {line}" for line in columns(rows).splitlines())
    yield from (f"  {printable(sentence)}" for sentence in part.sentences)


def _blocks(part: _Part) -> Iterator[str]:
    if part.rows:
        head, *body = ([escape_markdown(cell) for cell in row] for row in part.rows)
        rules = ["---:" if column in part.right else "---" for column in range(len(head))]
        yield "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *body))
    yield from map(escape_markdown, part.sentences)


def _parts(found: Mapping[str, Any]) -> Iterator[_Part]:
    yield _answer(found)
    yield _runs(found["old"], found["new"])
    yield _changed(found["changes"])
    yield _data(found["data"])
    yield _metrics(found)
    yield _flips("Right before, wrong now", found["flips"]["right_to_wrong"])
    yield _flips("Wrong before, right now", found["flips"]["wrong_to_right"])
    yield _groups("generator", found["by_generator"])
    yield _groups("style", found["by_style"])


def _answer(found: Mapping[str, Any]) -> _Part:
    old, new = (found[side]["model"] or "a model that is gone" for side in ("old", "new"))
    notes = [f"Note: {note}." for note in found["notes"]]
    return _Part(f"{old} → {new}", sentences=[_conclusion(found), *_drops(found), *notes])


def _runs(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Part:
    stages = ("evaluate", "train", "balance")
    rows = [["", "old", "new"]]
    rows += [[stage, *(side["artifacts"][stage] or "gone" for side in (old, new))] for stage in stages]
    rows += [[name, *(_time(side[name]) for side in (old, new))] for name in ("trained", "evaluated")]
    return _Part("Which they are", rows)


def _conclusion(found: Mapping[str, Any]) -> str:
    """Is the new one better?"""
    pictures = found["pictures"]
    where = (
        f"On the {sum(pictures.values()):,} common test pictures ({pictures['AI']:,} AI, {pictures['human']:,} human)"
    )
    if found["same_predictions"]:
        return f"{where} nothing differs."
    said = []
    for verdict, words in (("better", "better in"), ("worse", "worse in"), (UNCLEAR, "not clearly different in")):
        named = [NAMES[name].split(" (")[0] for name, row in found["metrics"].items() if row["verdict"] == verdict]
        if named:
            said.append(f"{words} {_and(named)}")
    return f"{where} the new one is {_and(said)}."


def _drops(found: Mapping[str, Any]) -> Iterator[str]:
    """Where did it get worse?"""
    for column in ("generator", "style"):
        worst = found[f"by_{column}"][0]
        if worst["change"] < 0:
            values = f"{worst['old']['value']:.3f} → {worst['new']['value']:.3f}"
            yield f"Largest drop of a {column}: {worst[column]}, accuracy {values} ({worst['pictures']:,} pictures)."


def _changed(changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> _Part:
    kinds = {"config": "config", "inputs": "data set", "code": "code", "packages": "package"}
    rows = [
        [word, change["name"], _shown(change["old"]), _shown(change["new"]), ", ".join(change["stages"])]
        for kind, word in kinds.items()
        for change in changes[kind]
    ]
    if not rows:
        return _Part("What changed", sentences=["Nothing in config, data set, code or packages."])
    return _Part("What changed", [["what", "name", "old", "new", "in"], *rows])


def _data(data: Mapping[str, Any]) -> _Part:
    rows = [
        [
            row["split"],
            row["label"],
            *(f"{side['pictures']:,}" if side else "–" for side in (row["old"], row["new"])),
            _generators(row["old"], row["new"]) if row["label"] == "AI" else "",
        ]
        for row in data["splits"]
    ]
    test, left_out = data["test"], data["left_out"]
    counted = f"Distinct test pictures: {test['old']:,} old, {test['new']:,} new, {test['common']:,} in both."
    named = [f"Left out, {row['old']} before and {row['new']} now: {row['path']}" for row in left_out["pictures"]]
    if more := left_out["count"] - len(named):
        named.append(f"… and {more:,} more" if named else f"Left out: {more:,}")
    return _Part("Pictures", [["split", "label", "old", "new", "generators"], *rows], (2, 3), [counted, *named])


def _generators(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """The generators of both sides, with the number of pictures."""
    sides = [side["generators"] if side else None for side in (old, new)]
    said = []
    for name in sorted(set().union(*filter(None, sides))):
        counts = ["–" if side is None else f"{side.get(name, 0):,}" for side in sides]
        said.append(f"{name} {' → '.join(dict.fromkeys(counts))}")
    return ", ".join(said)


def _metrics(found: Mapping[str, Any]) -> _Part:
    rows = [["", "old", "new", "change", "95 % interval of it", "the new one is"]]
    for name, row in found["metrics"].items():
        if row["verdict"] is None:
            rows.append([NAMES[name], "–", "–", "–", "–", "(needs both classes)"])
        else:
            old, new, change, low, high = (row[part] for part in ("old", "new", "change", "low", "high"))
            interval = f"{_signed(low, 4)} to {_signed(high, 4)}"
            rows.append([NAMES[name], f"{old:.4f}", f"{new:.4f}", _signed(change, 4), interval, row["verdict"]])
    test = found["mcnemar"]
    sentences = [
        f"Verdicts that flipped: {test['right_to_wrong']:,} to wrong, {test['wrong_to_right']:,} to right "
        f"(McNemar's exact test: p = {test['p']:.2g})."
    ]
    if unsure := found["unsure"]:
        sentences.append(f"Unsure of {unsure['old']:.1%} before, {unsure['new']:.1%} now; here each had to choose.")
    return _Part("Test metrics", rows, (1, 2, 3, 4), sentences)


def _flips(title: str, flips: Mapping[str, Any]) -> _Part:
    title = f"{title}: {flips['count']:,}"
    if not (pictures := flips["pictures"]):
        return _Part(title)
    if len(pictures) < flips["count"]:
        title += f", of which the {len(pictures):,} with the largest change"
    rows = [
        [f"{row['p_ai']['old']:.3f}", f"{row['p_ai']['new']:.3f}", row["label"], row["generator"], row["path"]]
        for row in pictures
    ]
    return _Part(title, [["p(AI) old", "new", "it is", "generator", "path"], *rows], (0, 1))


def _groups(column: str, groups: Sequence[Mapping[str, Any]]) -> _Part:
    head = [column, "label", "pictures", "old", "new", "change", "right → wrong", "wrong → right"]
    rows = [
        [
            row[column],
            row["label"],
            f"{row['pictures']:,}",
            *(
                f"{row[side]['value']:.3f} ({row[side]['low']:.3f} – {row[side]['high']:.3f})"
                for side in ("old", "new")
            ),
            _signed(row["change"], 3),
            f"{row['right_to_wrong']:,}",
            f"{row['wrong_to_right']:,}",
        ]
        for row in groups
    ]
    return _Part(f"Accuracy by {column}, worst change first", [head, *rows], range(2, 8))


def _shown(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{16}|[0-9a-f]{64}", value):
        return value[:8]  # a digest
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _signed(number: float, digits: int) -> str:
    return "0" if number == 0 else f"{number:+.{digits}f}"


def _time(run: Mapping[str, Any] | None) -> str:
    """When, to the minute (records keep UTC), and from which commit."""
    if run is None:
        return "–"
    return ", ".join(filter(None, [f"{run['started'][:16].replace('T', ' ')} UTC", run["revision"]]))


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
