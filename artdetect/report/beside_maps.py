"""The checks of a second model's maps beside those of the report's own, where both were measured alike.

That is by the same method with the same settings and code, on the same pictures. Splices are made of pictures that a
model judges rightly, and the explained pictures follow from its verdicts, so these often differ.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from artdetect.artifacts import file_names
from artdetect.report.champion import Other
from artdetect.stats.bootstrap import mean_interval

Found = dict[str, Any]  # the content of a file, or a row of it
NOT_EXPLAINED = "its verdicts on these test pictures were not explained"
OTHER_SPLICES = (
    "its maps were checked on other spliced pictures ({} of these {} are the same), because these are made of pictures "
    "that a model judges rightly"
)
OTHER_PICTURES = (
    "its maps were checked on other pictures or for other classes ({} of these {} are the same), because both follow "
    "from a model’s verdicts"
)


def gather(own: Path | None, other: Other, known: Collection[str], seed: int) -> dict[str, Any]:
    """The checks of the maps of both models.

    Args:
        own: The explanations of the report's own model; None where there are none.
        other: The second model.
        known: sha256s of pictures that the second model is known to be trained on: splices of them count in no
            difference.
        seed: Of the intervals of the differences.

    Returns:
        localisation and quality, each with `found`, the content of the own file of this name, but with a row of the
        second model below each that it has, too; and `why_not`, sentences that say why others have none. A row of the
        second model has `second`, and its name before its own. An own row of localisation with one below has
        `difference`, of the AUC; the found of quality then has `second`, the second model's.
    """
    folders = own, other.maps
    localisation, their_localisation = (_read(folder, file_names.LOCALISATION) for folder in folders)
    quality, their_quality = (_read(folder, file_names.QUALITY) for folder in folders)
    return {
        "localisation": _localisation(localisation, their_localisation, other, known, seed),
        "quality": _quality(quality, their_quality, other),
    }


def _read(folder: Path | None, file: str) -> Found | None:
    return json.loads((folder / file).read_text(encoding="utf-8")) if folder else None


def _localisation(
    own: Found | None, theirs: Found | None, other: Other, known: Collection[str], seed: int
) -> dict[str, Any]:
    if own is None or not own["rows"]:
        return {"found": own, "why_not": []}
    if theirs is None or not theirs["rows"]:
        reason = "its maps were not checked on spliced pictures" if other.maps else NOT_EXPLAINED
        return {"found": own, "why_not": [_sentence(other, reason)]}
    measured = {row["method"]: row for row in theirs["rows"]}
    rows: list[Found] = []
    reasons: dict[str, list[str]] = {}
    for row in own["rows"]:
        second = measured.get(row["method"])
        why_not = "its maps by this method were not checked"
        if second:
            why_not = _why_not(row, second, _splices(row), _splices(second), OTHER_SPLICES)
        if second and not why_not:
            rows += [row | {"difference": _difference(row, second, known, seed)}, _named(second, "label", other)]
        else:
            reasons.setdefault(why_not, []).append(row["label"])
            rows.append(row)
    curves = own["curves"]
    first = theirs["rows"][0]["method"]
    if curves and theirs["curves"] and first == own["rows"][0]["method"] and "difference" in rows[0]:
        curves = curves | {"rows": _in_turn(curves["rows"], theirs["curves"]["rows"], other)}
    none = len(rows) == len(own["rows"])
    return {
        "found": own | {"rows": rows, "curves": curves},
        "why_not": [
            _sentence(other, reason, "" if none and len(reasons) == 1 else " and ".join(labels))
            for reason, labels in reasons.items()
        ],
    }


def _quality(own: Found | None, theirs: Found | None, other: Other) -> dict[str, Any]:
    if own is None:
        return {"found": None, "why_not": []}
    if theirs is None:
        reason = "its maps were not checked" if other.maps else NOT_EXPLAINED
        return {"found": own, "why_not": [_sentence(other, reason)]}
    sample, their_sample = ({tuple(row) for row in one.get("sample", ())} for one in (own, theirs))
    if why_not := _why_not(own, theirs, sample, their_sample, OTHER_PICTURES):
        return {"found": own, "why_not": [_sentence(other, why_not)]}
    found = own | {"rows": _in_turn(own["rows"], theirs["rows"], other), "second": theirs}
    return {"found": found, "why_not": []}


def _why_not(own: Found, theirs: Found, on: Collection[Any], theirs_on: Collection[Any], others: str) -> str:
    """Why the results of a check do not stand beside each other; "" where they do.

    Args:
        own: The report's own, with `measured_by`.
        theirs: Those of the second model.
        on: What the own maps were checked on.
        theirs_on: The same of the second model's.
        others: The reason where these differ, with places for how many are the same, and of how many.
    """
    by, theirs_by = own.get("measured_by"), theirs.get("measured_by")
    if by is None or theirs_by is None:
        return "one of the two checks does not say how it was made"
    if by["settings"] != theirs_by["settings"]:
        return "its maps were made with other settings"
    if by["code"] != theirs_by["code"]:
        return "its maps were checked by another version of the code"
    return "" if on == theirs_on else others.format(len({*on} & {*theirs_on}), len(on))


def _splices(row: Found) -> list[frozenset[tuple[str, Any]]]:
    """What the spliced pictures of a row are made of."""
    return [frozenset((name, value) for name, value in one.items() if name != "auc") for one in row.get("pasted", ())]


def _difference(own: Found, theirs: Found, known: Collection[str], seed: int) -> dict[str, float | None] | None:
    gains = [
        mine["auc"] - second["auc"]
        for mine, second in zip(own["pasted"], theirs["pasted"], strict=True)
        if mine["base"] not in known and mine["donor"] not in known
    ]
    return mean_interval(gains, seed, -1, 1)


def _in_turn(own: list[Found], theirs: list[Found], other: Other) -> list[Found]:
    """The own rows, and below each the second model's of the same name."""
    named = {row["name"]: _named(row, "name", other) for row in theirs}
    return [each for row in own for each in (row, named.get(row["name"])) if each]


def _named(row: Found, key: str, other: Other) -> dict[str, Any]:
    """A row of the second model. Its `method` is another one than that of the own row, so that both have a column."""
    name = f"{other.name}: {row[key]}"
    return {**row, key: name, "second": True} | ({"method": name} if "method" in row else {})


def _sentence(other: Other, reason: str, labels: str = "") -> str:
    where = f"beside those of {labels}" if labels else "here"
    return f"No figures of the {other.name} stand {where}: {reason}."
