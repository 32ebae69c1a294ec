"""A comparison for people: the same tables for a terminal and as Markdown. Names from files are escaped for each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from artdetect.formatting import markdown, other_art
from artdetect.formatting.intervals import estimate, signed, signed_span
from artdetect.formatting.text import METRICS, columns, printable
from artdetect.stats.paired_bootstrap import UNCLEAR

NAMES = METRICS | {"brier": "Brier score (less is better)", "log_loss": "log loss (less is better)"}


@dataclass(frozen=True)
class _Part:
    """A heading with a table, sentences, or both.

    Args:
        title: The heading.
        rows: The table; its first row is the header.
        align_right: Columns of numbers.
        sentences: The text below the table.
    """

    title: str
    rows: Sequence[Sequence[str]] = ()
    align_right: Sequence[int] = ()
    sentences: Sequence[str] = field(default=())


def render_text(result: Mapping[str, Any]) -> str:
    """A result of `compare` for a terminal."""
    return "\n\n".join("\n".join([part.title, *_lines(part)]) for part in _parts(result))


def render_markdown(result: Mapping[str, Any]) -> str:
    """A result of `compare` as Markdown with GitHub's tables."""
    return "\n\n".join(
        "\n\n".join([f"{'#' * (3 if number else 2)} {markdown.escape(part.title)}", *_blocks(part)])
        for number, part in enumerate(_parts(result))
    )


def _lines(part: _Part) -> Iterator[str]:
    if part.rows:
        rows = [[printable(cell) for cell in row] for row in part.rows]
        for column in part.align_right:
            width = max(len(row[column]) for row in rows)
            for row in rows:
                row[column] = row[column].rjust(width)
        yield from (f"  {line}" for line in columns(rows).splitlines())
    yield from (f"  {printable(sentence)}" for sentence in part.sentences)


def _blocks(part: _Part) -> Iterator[str]:
    if part.rows:
        header, *rows = ([markdown.escape(cell) for cell in row] for row in part.rows)
        yield markdown.table(header, rows, part.align_right)
    yield from map(markdown.escape, part.sentences)


def _parts(result: Mapping[str, Any]) -> Iterator[_Part]:
    yield _summary(result)
    yield _other_art(result["other_art"])
    yield _evaluations(result["old"], result["new"])
    yield _changes(result["changes"])
    yield _data(result["data"])
    yield _metrics(result)
    yield _flips("Right before, wrong now", result["flips"]["right_to_wrong"])
    yield _flips("Wrong before, right now", result["flips"]["wrong_to_right"])
    yield _groups("generator", result["by_generator"])
    yield _groups("style", result["by_style"])


def _summary(result: Mapping[str, Any]) -> _Part:
    old, new = (result[side]["model"] or "a model that no longer exists" for side in ("old", "new"))
    notes = [f"Note: {note}." for note in result["notes"]]
    return _Part(f"{old} → {new}", sentences=[_conclusion(result), *_drops(result), *notes])


def _other_art(found: Mapping[str, Any]) -> _Part:
    """The figures of both sides, which are ranked only on the pictures that both were judged on."""
    title, sides = "Art from other sources", [found[side] for side in ("old", "new")]
    if sides == [None, None]:
        return _Part(title, sentences=["Nothing is known about either model."])
    tested = [f"{side['pictures']:,} pictures of {side['sources']:,} sources" if side else "" for side in sides]
    rows = [["", "old", "new"], ["tested on", *tested]]
    rows += [[name, *(_cell(key, side) for side in sides)] for key, name in other_art.MEASURES.items()]
    paired = found["log_loss"]
    if isinstance(paired, str):
        return _Part(title, rows, (1, 2), [f"These figures are not ranked: {paired}."])
    change = paired["change"]
    verdict = "better" if change["high"] < 0 else "worse" if change["low"] > 0 else "not clearly different"
    sentence = (
        f"On the {paired['pictures']:,} pictures of {paired['sources']:,} sources that both were judged on, the new "
        f"one is {verdict}: log loss {paired['old']:.3f} → {paired['new']:.3f}, {signed(change['value'])} (95 % over "
        f"sources: {signed_span(change)}). The table's figures are of each model's own pictures."
    )
    return _Part(title, rows, (1, 2), [sentence])


def _cell(measure: str, side: Mapping[str, Any] | None) -> str:
    if side is None:
        return "not known"
    if side[measure] is None:
        return "no such verdict"
    return "{} ({})".format(*other_art.cells(measure, side[measure]))


def _evaluations(old: Mapping[str, Any], new: Mapping[str, Any]) -> _Part:
    stages = ("evaluate", "train", "balance")
    rows = [["", "old", "new"]]
    rows += [
        [stage, *(side["artifacts"].get(stage, "from elsewhere") or "no longer exists" for side in (old, new))]
        for stage in stages
    ]
    if any(side["trained_on"] not in (None, side["artifacts"]["balance"]) for side in (old, new)):
        rows.append(["trained on balance", *(side["trained_on"] or "not known" for side in (old, new))])
    rows += [[name, *(_time(side[name]) for side in (old, new))] for name in ("trained", "evaluated")]
    return _Part("Evaluations", rows)


def _conclusion(result: Mapping[str, Any]) -> str:
    """Whether the new model is better."""
    pictures = result["pictures"]
    where = (
        f"On the {sum(pictures.values()):,} common test pictures ({pictures['AI']:,} AI, {pictures['human']:,} human)"
    )
    if result["same_predictions"]:
        return f"{where} nothing differs."
    clauses = []
    for verdict, words in (("better", "better in"), ("worse", "worse in"), (UNCLEAR, "not clearly different in")):
        metrics = [NAMES[name].split(" (")[0] for name, row in result["metrics"].items() if row["verdict"] == verdict]
        if metrics:
            clauses.append(f"{words} {_and(metrics)}")
    return f"{where} the new one is {_and(clauses)}."


def _drops(result: Mapping[str, Any]) -> Iterator[str]:
    """Where the new model is worse."""
    for column in ("generator", "style"):
        worst = result[f"by_{column}"][0]
        if worst["change"] < 0:
            values = f"{worst['old']['value']:.3f} → {worst['new']['value']:.3f}"
            yield f"Largest drop of a {column}: {worst[column]}, accuracy {values} ({worst['pictures']:,} pictures)."


def _changes(changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> _Part:
    kinds = {"config": "config", "inputs": "data set", "code": "code", "packages": "package"}
    rows = [
        [word, change["name"], _value(change["old"]), _value(change["new"]), ", ".join(change["stages"])]
        for kind, word in kinds.items()
        for change in changes[kind]
    ]
    if not rows:
        return _Part("What changed", sentences=["Nothing: config, data set, code and packages are the same."])
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
    sizes = f"Distinct test pictures: {test['old']:,} old, {test['new']:,} new, {test['common']:,} in both."
    disputed = [
        f"Left out, labelled {row['old']} before and {row['new']} now: {row['path']}" for row in left_out["pictures"]
    ]
    if more := left_out["count"] - len(disputed):
        disputed.append(f"… and {more:,} more" if disputed else f"Left out: {more:,}")
    return _Part("Pictures", [["split", "label", "old", "new", "generators"], *rows], (2, 3), [sizes, *disputed])


def _generators(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """The generators of both sides with their numbers of pictures."""
    sides = [side["generators"] if side else None for side in (old, new)]
    texts = []
    for name in sorted(set().union(*filter(None, sides))):
        counts = ["–" if side is None else f"{side.get(name, 0):,}" for side in sides]
        texts.append(f"{name} {' → '.join(dict.fromkeys(counts))}")
    return ", ".join(texts)


def _metrics(result: Mapping[str, Any]) -> _Part:
    rows = [["", "old", "new", "change", "95 % interval of the change", "the new one is"]]
    for name, row in result["metrics"].items():
        if row["verdict"] is None:
            rows.append([NAMES[name], "–", "–", "–", "–", "(needs both classes)"])
        else:
            old, new, change = (row[part] for part in ("old", "new", "change"))
            rows.append(
                [NAMES[name], f"{old:.4f}", f"{new:.4f}", signed(change, 4), signed_span(row, 4), row["verdict"]]
            )
    test = result["mcnemar"]
    sentences = [
        f"Predictions that flipped: {test['right_to_wrong']:,} to wrong, {test['wrong_to_right']:,} to right "
        f"(McNemar's exact test: p = {test['p']:.2g})."
    ]
    if unsure := result["unsure"]:
        sentences.append(
            f"Unsure verdicts: {unsure['old']:.1%} before, {unsure['new']:.1%} now; "
            "they count here as the more likely class."
        )
    return _Part("Test metrics", rows, (1, 2, 3, 4), sentences)


def _flips(title: str, flips: Mapping[str, Any]) -> _Part:
    title = f"{title}: {flips['count']:,}"
    if not (pictures := flips["pictures"]):
        return _Part(title)
    if len(pictures) < flips["count"]:
        title += f"; below, the {len(pictures):,} with the largest change"
    rows = [
        [f"{row['p_ai']['old']:.3f}", f"{row['p_ai']['new']:.3f}", row["label"], row["generator"], row["path"]]
        for row in pictures
    ]
    return _Part(title, [["p(AI) old", "new", "label", "generator", "path"], *rows], (0, 1))


def _groups(column: str, groups: Sequence[Mapping[str, Any]]) -> _Part:
    head = [column, "label", "pictures", "old", "new", "change", "right → wrong", "wrong → right"]
    rows = [
        [
            row[column],
            row["label"],
            f"{row['pictures']:,}",
            *(estimate(row[side]) for side in ("old", "new")),
            signed(row["change"], 3),
            f"{row['right_to_wrong']:,}",
            f"{row['wrong_to_right']:,}",
        ]
        for row in groups
    ]
    return _Part(f"Accuracy by {column}, worst change first", [head, *rows], range(2, 8))


def _value(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{16}|[0-9a-f]{64}", value):
        return value[:8]  # a digest
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _time(run: Mapping[str, Any] | None) -> str:
    """The start, to the minute (records have UTC), and the commit."""
    if run is None:
        return "–"
    return ", ".join(filter(None, [f"{run['started'][:16].replace('T', ' ')} UTC", run["revision"]]))


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
