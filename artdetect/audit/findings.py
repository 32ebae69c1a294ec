"""The findings of the audit, in one plain structure for files, log, dashboard and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artdetect.audit import folder_names

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.audit.config import AuditConfig

MAX_EXAMPLES = 20  # listed per finding; the counts cover all
MAX_NAMED = 4  # members of a group, properties or generators named in one line


@dataclass(frozen=True)
class Finding:
    """One fact about a data set."""

    name: str  # also the key of its rule in section `audit`
    level: str  # that rule: ignore, warn or stop
    fired: bool  # whether there is something to report
    count: int  # how many cases, as in the sentence
    sentence: str  # what it means, and what the pipeline does about it
    examples: list[str]  # up to `MAX_EXAMPLES`


def find_all(
    config: "AuditConfig",
    unreadable: "pd.DataFrame",
    readable: "pd.DataFrame",
    skipped: Mapping[str, Sequence[str]],
    shortcut: Mapping[str, Any],
) -> list[Finding]:
    """All findings, in the order of the section's rules.

    Args:
        config: Section `audit`.
        unreadable: Columns path and error of the pictures that cannot be read.
        readable: The other pictures, sorted by path, with a column group from `duplicates.groups`.
        skipped: The skipped files by reason, as in skipped.json.
        shortcut: The result of `shortcut.measure`.
    """
    messages = {
        "unreadable": _unreadable(unreadable),
        **_repeated(readable, config),
        "low_information": _low_information(readable, config.low_contrast),
        "folder_grammar": _folder_grammar(readable, skipped),
        "shortcut": _shortcut(shortcut, config.shortcut_auc),
    }
    return [
        Finding(name, getattr(config, name), fired, count, sentence, examples[:MAX_EXAMPLES])
        for name, (fired, count, sentence, examples) in messages.items()
    ]


Message = tuple[bool, int, str, list[str]]  # fired, count, sentence, examples


def _unreadable(table: "pd.DataFrame") -> Message:
    if table.empty:
        return False, 0, "Every picture can be read.", []
    sentence = f"{number(len(table), 'picture')} cannot be read and {_is(len(table))} not used."
    return True, len(table), sentence, [f"{row.path}: {row.error}" for row in table.head(MAX_EXAMPLES).itertuples()]


def _repeated(readable: "pd.DataFrame", config: "AuditConfig") -> dict[str, Message]:
    """The four findings about pictures that occur in several files."""
    several = readable[readable.duplicated("group", keep=False)]
    contents = several.groupby("sha256")
    groups = several.groupby("group")

    twice = contents.path.size().loc[lambda files: files > 1]
    alike = groups.sha256.nunique().loc[lambda versions: versions > 1].index
    files = int(several.group.isin(alike).sum())
    messages: dict[str, Message] = {}
    first = several.drop_duplicates("sha256").set_index("sha256").path
    order = sorted(twice.index, key=lambda sha256: first[sha256])[:MAX_EXAMPLES]
    messages["duplicates"] = (
        len(twice) > 0,
        len(twice),
        f"{number(len(twice), 'content')} {_occurs(len(twice))} in {number(int(twice.sum()), 'file')}; "
        "training uses at most one copy of each."
        if len(twice)
        else "No two files have the same content.",
        [_members(several[several.sha256 == sha256]) for sha256 in order],
    )
    bits = f"perceptual hashes within {config.near_distance} of 64 bits"
    messages["near_duplicates"] = (
        len(alike) > 0,
        len(alike),
        f"{number(len(alike), 'picture')} {_occurs(len(alike))} in {number(files, 'file')} that differ but look alike "
        f"({bits}); they are never split between train and validation."
        if len(alike)
        else f"No two different files look alike ({bits}; mirrored copies are not detected).",
        _examples(several, alike),
    )
    for name, column, place, consequence in (
        (
            "train_test_overlap",
            "split",
            "in train and in test",
            "training goes without the copies, test is unchanged.",
        ),
        ("two_labels", "label", "under both labels", "training goes without them; in test both labels stay."),
    ):
        affected = groups[column].nunique().loc[lambda values: values > 1].index
        exact = several[several.sha256.isin(contents[column].nunique().loc[lambda values: values > 1].index)]
        identical = exact.group.nunique()
        messages[name] = (
            len(affected) > 0,
            len(affected),
            f"{number(len(affected), 'picture')} {_occurs(len(affected))} {place}: {identical:,} with the same "
            f"content, {len(affected) - identical:,} that only {_looks(len(affected) - identical)} alike; {consequence}"
            if len(affected)
            else f"No picture occurs {place}.",
            _examples(several, affected),
        )
    return messages


def _examples(several: "pd.DataFrame", groups: Any) -> list[str]:
    chosen = sorted(groups)[:MAX_EXAMPLES]
    return [_members(rows) for _, rows in several[several.group.isin(chosen)].groupby("group")]


def _members(rows: "pd.DataFrame") -> str:
    """The paths of one group, joined by = between identical contents and by ≈ between similar ones."""
    shown = rows.head(MAX_NAMED)
    text = shown.path.iloc[0]
    for path, same in zip(shown.path.iloc[1:], shown.sha256.duplicated().iloc[1:], strict=True):
        text += f" {'=' if same else '≈'} {path}"
    return text + (f" and {len(rows) - MAX_NAMED:,} more" if len(rows) > MAX_NAMED else "")


def _low_information(readable: "pd.DataFrame", low_contrast: float) -> Message:
    low = readable[readable.contrast < low_contrast]
    if low.empty:
        return False, 0, f"No picture is nearly flat (contrast below {low_contrast:g}).", []
    sentence = (
        f"{number(len(low), 'picture')} {'has' if len(low) == 1 else 'have'} almost no content (contrast below "
        f"{low_contrast:g}); used without change, but compared with other pictures only by digest."
    )
    return (
        True,
        len(low),
        sentence,
        [f"{row.path}: contrast {row.contrast:g}" for row in low.head(MAX_EXAMPLES).itertuples()],
    )


def _folder_grammar(readable: "pd.DataFrame", skipped: Mapping[str, Sequence[str]]) -> Message:
    skipped_files, doubtful = (
        folder_names.skipped_files(skipped),
        folder_names.suspicious(readable.path[readable.label == "human"]),
    )
    if not skipped_files and not doubtful:
        return False, 0, "Every file is in a folder with a valid name.", []
    parts, examples = [], []
    for folder, pictures in sorted(doubtful.items()):
        counted = f"{number(pictures, 'picture')} counted as human art"
        examples.append(f"{folder}: {counted}; AI art belongs in AI_<GENERATOR>_<style>")
    if skipped_files:
        reasons: dict[str, int] = {}
        for (reason, folder), files in sorted(skipped_files.items()):
            reasons[reason] = reasons.get(reason, 0) + files
            guess = folder_names.suggest(folder)
            hint = f"; did you mean {guess}?" if guess else ""
            examples.append(f"{folder}: {number(files, 'file')}, {reason}{hint}")
        listed = "; ".join(f"{reason}: {files:,}" for reason, files in sorted(reasons.items()))
        parts.append(f"{number(skipped_files.total(), 'file')} {_is(skipped_files.total())} skipped ({listed}).")
    if doubtful:
        parts.append(
            f"{number(doubtful.total(), 'picture')} {'counts' if doubtful.total() == 1 else 'count'} as human art "
            "although the folder's name sounds like a generator."
        )
    return True, skipped_files.total() + doubtful.total(), " ".join(parts), examples


def _shortcut(measured: Mapping[str, Any], threshold: float) -> Message:
    ai, human = measured["pictures"]["AI"], measured["pictures"]["human"]
    counts = f"{ai:,} AI, {human:,} human"
    if measured["auc"] is None:
        few = measured["folds"] == 0
        return False, 0, (
            f"Not measured: too few pictures of a class to tell whether files reveal it ({counts})."
            if few
            else f"The files of both classes have the same properties ({counts} pictures)."
        ), []  # fmt: skip
    auc = measured["auc"]
    fired = auc["value"] >= threshold and auc["low"] > 0.5
    revealing = [row for row in measured["properties"] if row["auc"]["value"] >= threshold]
    result = (
        f"File properties alone, without the pixels, distinguish AI from human with an AUC of {auc['value']:.3f} "
        f"(95 % interval {auc['low']:.3f}–{auc['high']:.3f}; {counts}; 0.5 is chance)"
    )
    if not fired:
        why = "too uncertain" if auc["value"] >= threshold else f"below the threshold of {threshold:g}"
        return False, 0, f"{result}: {why}, so this does not count as a shortcut.", []
    properties = _with_auc("name", revealing) or "several in combination"
    generators = _with_auc("generator", measured["generators"])
    sentence = (
        f"{result}: {properties}. Each generator against human: {generators or 'too few pictures'}. A model can learn "
        "this instead of the art, and its test would not reveal it. The model sees all pictures in one size, but the "
        "traces of resizing and compression remain."
    )
    rules = [f"{row['rule']}: {row['AI']:,} AI, {row['human']:,} human" for row in measured["rules"]]
    return True, len(revealing), sentence, rules


def _with_auc(key: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row[key]} {row['auc']['value']:.3f}" for row in rows[:MAX_NAMED])


def number(count: int, noun: str) -> str:
    """A number with its noun, for instance 1 file or 2,000 files."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _occurs(count: int) -> str:
    return "occurs" if count == 1 else "occur"


def _looks(count: int) -> str:
    return "looks" if count == 1 else "look"
