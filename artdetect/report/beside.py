"""A second model beside the report's own: its figures on the same test pictures, and the paired differences.

Scores of different pictures are never put beside each other: where the second model was judged on others, there is a
sentence that says so and no number.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.artifacts import file_names, leakage
from artdetect.evaluate import slice_discovery, subgroups
from artdetect.formatting import other_art
from artdetect.pictures.labels import AI, CLASSES
from artdetect.report import beside_maps
from artdetect.report.champion import Other
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import share_interval
from artdetect.stats.paired_bootstrap import differences, mean_difference, scorer
from artdetect.stats.paired_sources import log_loss_change

if TYPE_CHECKING:
    import pandas as pd

SEED = 129  # of the paired bootstrap
METADATA = ("path", "width", "height", "format", "mode", "jpeg_quality", "has_exif", "contrast")
GROUPS = ("generator", "source", "style", "size")


def gather(other: Other | None, folders: Mapping[str, Path]) -> dict[str, Any]:
    """The second model's figures.

    Args:
        other: The second model, if there is one.
        folders: Stage -> artifact folder of the report's own model: index, audit, evaluate, and train and explain where
            it has them.

    Returns:
        why_not: a sentence why no figures stand beside the report's own; None if some do, and then
        name, id, see `Other`; pictures; metrics, the second model's metrics.json; known, how many of the test pictures
        that count in these are known to be among its training pictures or near-duplicates of them, which no difference
        counts;
        training_known, whether all its training pictures are known; differences, as of `paired_bootstrap.differences`;
        groups: column of `GROUPS` -> name -> accuracy and difference (None without pictures to compare); slices: what
        defines a weak subgroup -> the same; robustness: condition -> the same, None where it was not measured on the
        same pictures; predictions: path -> p_ai, predicted, verdict, right; other_art, see `_other_art`;
        maps, see `beside_maps.gather`.
    """
    if other is None:
        return {"why_not": "No other champion was judged on these test pictures, so none stands beside these figures."}
    import pandas as pd

    own, theirs = (pd.read_parquet(folder / file_names.PREDICTIONS) for folder in (folders["evaluate"], other.scores))
    pictures = [set(zip(table.path, table.sha256, strict=True)) for table in (own, theirs)]
    if pictures[0] != pictures[1]:
        common = len(pictures[0] & pictures[1])
        return {
            "why_not": f"The model {other.id} was judged on other test pictures ({common:,} of these "
            f"{len(pictures[0]):,}), so its figures do not stand beside these."
        }
    own = leakage.judged(own)
    theirs = theirs.set_index("path").loc[own.path].reset_index()
    mine, metrics = (
        json.loads((folder / file_names.METRICS).read_text(encoding="utf-8"))
        for folder in (folders["evaluate"], other.scores)
    )
    bootstrap = Bootstrap(mine["resamples"], SEED)
    contents = _known(other, folders)
    known = own.sha256.isin(contents).to_numpy()
    gains = _right(own).astype(float) - _right(theirs).astype(float)
    metadata = pd.read_parquet(folders["index"] / file_names.INDEX, columns=list(METADATA)).set_index("path")
    metadata = metadata.loc[own.path].reset_index()
    table = own.assign(size=subgroups.size_bin(metadata).astype("str"), gain=gains, right=_right(theirs), known=known)
    members = slice_discovery.members(own, metadata)
    return {
        "why_not": None,
        "name": other.name,
        "id": other.id,
        "pictures": len(own),
        "metrics": metrics,
        "known": int((known & own.path.isin(leakage.judged(theirs).path)).sum()),
        "training_known": other.model is not None and leakage.are_known(other.model, other.balance),
        "differences": _differences(own[~known], theirs[~known], bootstrap),
        "groups": {
            column: {str(name): _group(rows, bootstrap) for name, rows in table.groupby(column)} for column in GROUPS
        },
        "slices": {row["what"]: _group(table.iloc[members[row["what"]]], bootstrap) for row in mine.get("slices", ())},
        "robustness": _robustness(folders["evaluate"], other.scores, set(own.sha256[known]), bootstrap),
        "predictions": {
            row.path: {"p_ai": row.p_ai, "predicted": row.predicted, "verdict": row.verdict, "right": row.right}
            for row in theirs.assign(right=_right(theirs)).itertuples()
        },
        "other_art": _other_art(folders.get("train"), other.model, bootstrap),
        "maps": beside_maps.gather(folders.get("explain"), other, contents, SEED),
    }


def _known(other: Other, folders: Mapping[str, Path]) -> set[str]:
    """The sha256s of pictures that the second model is known to be trained on, and of their near-duplicates."""
    if other.model is None:
        return set()
    contents = leakage.training_contents(other.model, other.balance)
    return leakage.near_duplicates_of(folders["index"], folders["audit"], contents)


def _right(table: "pd.DataFrame") -> np.ndarray:
    return (table.predicted == table.label).to_numpy()


def _differences(own: "pd.DataFrame", theirs: "pd.DataFrame", bootstrap: Bootstrap) -> dict[str, Any]:
    if own.empty:
        return {}
    truth = (own.label == CLASSES[AI]).to_numpy()
    old, new = (
        scorer(truth, table.p_ai.to_numpy(np.float64), (table.predicted == CLASSES[AI]).to_numpy())
        for table in (theirs, own)
    )
    return differences(truth, old, new, bootstrap)


def _group(rows: "pd.DataFrame", bootstrap: Bootstrap) -> dict[str, Any]:
    """The second model's accuracy on some test pictures, and how much more accurate the report's own is."""
    gains = rows.gain[~rows.known].to_numpy()
    return {
        "accuracy": share_interval(int(rows.right.sum()), len(rows)),
        "difference": mean_difference([gains], bootstrap) if len(gains) else None,
    }


def _robustness(own: Path, other: Path, known: set[str], bootstrap: Bootstrap) -> dict[str, dict[str, Any]] | None:
    """The same for each condition of the degraded pictures."""
    import pandas as pd

    files = [folder / file_names.ROBUSTNESS for folder in (own, other)]
    if not all(file.is_file() for file in files):
        return None
    mine, theirs = (pd.read_parquet(file).set_index(["condition", "sha256"]) for file in files)
    if not mine.index.sort_values().equals(theirs.index.sort_values()):
        return None
    theirs = theirs.loc[mine.index]
    right = _right(theirs)
    table = pd.DataFrame({"gain": _right(mine).astype(float) - right, "right": right}).assign(
        condition=mine.index.get_level_values("condition"),
        known=np.isin(mine.index.get_level_values("sha256"), list(known)),
    )
    return {str(name): _group(rows, bootstrap) for name, rows in table.groupby("condition", sort=False)}


def _other_art(own: Path | None, other: Path | None, bootstrap: Bootstrap) -> dict[str, Any] | None:
    """How the second model did on art from other sources; None where nothing is known about one of the two.

    Returns:
        measured: its measures, None unless they are of the same pictures as the report's own. log_loss:
        `paired_sources.log_loss_change` on the pictures that both were judged on, or why there is none.
    """
    import pandas as pd

    if own is None or other is None:
        return None
    metrics = json.loads((other / file_names.METRICS).read_text(encoding="utf-8"))
    files = [folder / file_names.OUT_OF_SOURCE for folder in (other, own)]
    if other_art.measured(metrics) is None or not all(file.is_file() for file in files):
        return None
    theirs, mine = map(pd.read_parquet, files)
    same = sorted(theirs.sha256) == sorted(mine.sha256)
    return {
        "measured": metrics["out_of_source"] if same else None,
        "log_loss": log_loss_change(theirs, mine, bootstrap.resamples, bootstrap.seed),
    }
