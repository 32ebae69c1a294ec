"""What the audit says: each finding one plain structure, the same for files, log, dashboard and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artdetect.audit import folder_names

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.audit.config import AuditConfig

MAX_EXAMPLES = 20  # listed per finding; the counts are always whole
MAX_NAMED = 4  # members of a group, properties, or generators that are named in one line


@dataclass(frozen=True)
class Finding:
    """One thing to know of a data set."""

    name: str  # also the key of its rule in section `audit`
    level: str  # what that rule says: ignore, warn or stop
    fired: bool  # whether there is something to warn of
    count: int  # how many, as the sentence says
    sentence: str  # what it means, and what the pipeline does about it
    examples: list[str]  # up to `EXAMPLES`


def find_all(
    config: "AuditConfig",
    unreadable: "pd.DataFrame",
    readable: "pd.DataFrame",
    skipped: Mapping[str, Sequence[str]],
    shortcut: Mapping[str, Any],
) -> list[Finding]:
    """All findings, in the order of the section's rules.

    Args:
        unreadable: path and error of the pictures that cannot be read.
        readable: the others, sorted by path, with a column group that equal and similar pictures share.
        skipped: as the index writes it. shortcut: as `shortcut.measure` gives it.
    """
    said = {
        "unreadable": _unreadable(unreadable),
        **_repeated(readable, config),
        "low_information": _low_information(readable, config.low_contrast),
        "folder_grammar": _folder_grammar(readable, skipped),
        "shortcut": _shortcut(shortcut, config.shortcut_auc),
    }
    return [
        Finding(name, getattr(config, name), fired, count, sentence, examples[:MAX_EXAMPLES])
        for name, (fired, count, sentence, examples) in said.items()
    ]


Message = tuple[bool, int, str, list[str]]  # fired, count, sentence, examples


def _unreadable(table: "pd.DataFrame") -> Message:
    if table.empty:
        return False, 0, "Every picture can be read.", []
    sentence = f"{number(len(table), 'picture')} cannot be read and {_is(len(table))} not used."
    return True, len(table), sentence, [f"{row.path}: {row.error}" for row in table.head(MAX_EXAMPLES).itertuples()]


def _repeated(readable: "pd.DataFrame", config: "AuditConfig") -> dict[str, Message]:
    """The four findings about pictures that stand in several files."""
    several = readable[readable.duplicated("group", keep=False)]
    contents = several.groupby("sha256")
    groups = several.groupby("group")

    twice = contents.path.size().loc[lambda files: files > 1]
    alike = groups.sha256.nunique().loc[lambda versions: versions > 1].index
    files = int(several.group.isin(alike).sum())
    said: dict[str, Message] = {}
    first = several.drop_duplicates("sha256").set_index("sha256").path
    order = sorted(twice.index, key=lambda sha256: first[sha256])[:MAX_EXAMPLES]
    said["duplicates"] = (
        len(twice) > 0,
        len(twice),
        f"{number(len(twice), 'content')} {_stands(len(twice))} in {number(int(twice.sum()), 'file')}; "
        "training uses at most one copy of each."
        if len(twice)
        else "No two files have the same content.",
        [_members(several[several.sha256 == sha256]) for sha256 in order],
    )
    bits = f"perceptual hashes within {config.near_distance} of 64 bits"
    said["near_duplicates"] = (
        len(alike) > 0,
        len(alike),
        f"{number(len(alike), 'picture')} {_stands(len(alike))} in {number(files, 'file')} that differ but look alike "
        f"({bits}); those that train stay on one side of train and validation."
        if len(alike)
        else f"No two different files look alike ({bits}; mirrored copies would not be found).",
        _examples(several, alike),
    )
    for name, column, what, kept in (
        ("train_test_overlap", "split", "in train and in test", "training goes without the copies, test stays whole."),
        ("two_labels", "label", "under both labels", "training goes without them; in test both labels stay."),
    ):
        both = groups[column].nunique().loc[lambda values: values > 1].index
        exact = several[several.sha256.isin(contents[column].nunique().loc[lambda values: values > 1].index)]
        same = exact.group.nunique()
        said[name] = (
            len(both) > 0,
            len(both),
            f"{number(len(both), 'picture')} {_stands(len(both))} {what}: {same:,} with the same content, "
            f"{len(both) - same:,} that only {_looks(len(both) - same)} alike; {kept}"
            if len(both)
            else f"No picture stands {what}.",
            _examples(several, both),
        )
    return said


def _examples(several: "pd.DataFrame", groups: Any) -> list[str]:
    chosen = sorted(groups)[:MAX_EXAMPLES]
    return [_members(rows) for _, rows in several[several.group.isin(chosen)].groupby("group")]


def _members(rows: "pd.DataFrame") -> str:
    """Paths of one group: = between equal contents, ≈ between similar ones."""
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
        f"{number(len(low), 'picture')} {'shows' if len(low) == 1 else 'show'} next to nothing (contrast below "
        f"{low_contrast:g}); used as {'it is' if len(low) == 1 else 'they are'}, and compared with others by content "
        "only."
    )
    return (
        True,
        len(low),
        sentence,
        [f"{row.path}: contrast {row.contrast:g}" for row in low.head(MAX_EXAMPLES).itertuples()],
    )


def _folder_grammar(readable: "pd.DataFrame", skipped: Mapping[str, Sequence[str]]) -> Message:
    left_out, doubtful = (
        folder_names.skipped_files(skipped),
        folder_names.suspicious(readable.path[readable.label == "human"]),
    )
    if not left_out and not doubtful:
        return False, 0, "Every file stands where its folder says what it is.", []
    parts, examples = [], []
    for folder, pictures in sorted(doubtful.items()):
        examples.append(f"{folder}: {number(pictures, 'picture')} taken for human art; AI_<GENERATOR>_<style> says AI")
    if left_out:
        reasons: dict[str, int] = {}
        for (reason, folder), files in sorted(left_out.items()):
            reasons[reason] = reasons.get(reason, 0) + files
            guess = folder_names.suggest(folder)
            hint = f"; is {guess} meant?" if guess else ""
            examples.append(f"{folder}: {number(files, 'file')}, {reason}{hint}")
        listed = "; ".join(f"{reason}: {files:,}" for reason, files in sorted(reasons.items()))
        parts.append(f"{number(left_out.total(), 'file')} {_is(left_out.total())} left out ({listed}).")
    if doubtful:
        parts.append(
            f"{number(doubtful.total(), 'picture')} {'counts' if doubtful.total() == 1 else 'count'} as human art "
            "though the folder's name sounds of a generator."
        )
    return True, left_out.total() + doubtful.total(), " ".join(parts), examples


def _shortcut(measured: Mapping[str, Any], threshold: float) -> Message:
    ai, human = measured["pictures"]["AI"], measured["pictures"]["human"]
    found = f"{ai:,} AI, {human:,} human"
    if measured["auc"] is None:
        few = measured["folds"] == 0
        return False, 0, (
            f"Not measured: too few pictures of a class to see whether files give it away ({found})."
            if few
            else f"The files of both classes have the same properties ({found} pictures)."
        ), []  # fmt: skip
    auc = measured["auc"]
    fired = auc["value"] >= threshold and auc["low"] > 0.5
    giving = [row for row in measured["properties"] if row["auc"]["value"] >= threshold]
    said = (
        f"File properties alone, without a look at the picture, tell AI from human with an AUC of {auc['value']:.3f} "
        f"(95 % interval {auc['low']:.3f}–{auc['high']:.3f}; {found}; 0.5 is chance)"
    )
    if not fired:
        why = "too uncertain" if auc["value"] >= threshold else f"less than the {threshold:g} it takes"
        return False, 0, f"{said}: {why} to be called a shortcut.", []
    named = ", ".join(f"{row['name']} {row['auc']['value']:.3f}" for row in giving[:MAX_NAMED]) or "several together"
    single = ", ".join(f"{row['generator']} {row['auc']['value']:.3f}" for row in measured["generators"][:MAX_NAMED])
    sentence = (
        f"{said}: {named}. Each generator against human: {single or 'too few pictures'}. A model can learn "
        "this instead of the art, and its test would not show it. The model sees all pictures in one size, but what "
        "resizing and compression left in them stays."
    )
    rules = [f"{row['rule']}: {row['AI']:,} AI, {row['human']:,} human" for row in measured["rules"]]
    return True, len(giving), sentence, rules


def number(count: int, noun: str) -> str:
    """1 file, 2,000 files."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _stands(count: int) -> str:
    return "stands" if count == 1 else "stand"


def _looks(count: int) -> str:
    return "looks" if count == 1 else "look"
