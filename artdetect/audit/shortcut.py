"""The shortcut test: how well a shallow tree distinguishes AI from human by file properties alone, without pixels.

A network finds whatever such a tree finds, and then it learns how the data set was made instead of how art is made.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.file_properties import NO_QUALITY, properties
from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.confidence_intervals import CONFIDENCE, auc_interval

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
MIN_PER_CLASS = 5  # pictures; with fewer nothing is measured
# Pictures per class; with fewer the bootstrap is too narrow: it reports a difference for one in twelve equal sets.
SMALL_SAMPLE = 100
MAX_DEPTH = 3
LEAF_DIVISOR = 200  # each leaf of a tree holds at least one in this many pictures …
MIN_LEAF = 3  # … and at least this many
MIN_GAIN = 0.001  # decrease of the Gini impurity by a split; smaller ones only lengthen the rules
RESAMPLES = 2_000
MAX_GENERATORS = 20  # the largest ones are compared one by one


def measure(table: "pd.DataFrame", seed: int) -> dict[str, Any]:
    """The cross-validated area under the ROC curve (AUC) of file properties, with 95 % intervals.

    One picture of each group of near-duplicates counts, because copies are no evidence; groups under both labels do
    not count. An AUC of 0.5 is chance; at 1 the files reveal the label.

    Args:
        table: Readable pictures of an index, with a column group.
        seed: Seed of the folds and the bootstrap.

    Returns:
        "pictures": {"AI": n, "human": m}; "folds"; "auc": {"value", "low", "high"} of all properties together;
        "properties": [{"name", "auc"}], each alone, best first, without those that never vary;
        "generators": [{"generator", "pictures", "auc"}], each against all human pictures, best first;
        "rules": [{"rule", "AI", "human"}], the leaves of one tree over all pictures, described, with their counts.
        With fewer than `MIN_PER_CLASS` pictures of a class "auc" is None and the lists are empty.
    """
    several = table[table.duplicated("group", keep=False)]
    disputed = several.group[several.groupby("group").label.transform("nunique") > 1]
    table = table[~table.group.isin(disputed)].drop_duplicates("group")
    is_ai = (table.label == CLASSES[AI]).to_numpy()
    columns = properties(table)
    features = {feature: values for name in columns for feature, values in columns[name].items()}
    alone = {name: _auc(values, is_ai, seed) for name, values in columns.items()}
    together = _auc(features, is_ai, seed)
    return {
        "pictures": {"AI": int(is_ai.sum()), "human": int((~is_ai).sum())},
        "folds": _fold_count(is_ai),
        "auc": together,
        "properties": _best_first([{"name": name, "auc": auc} for name, auc in alone.items()]),
        "generators": _best_first(_generators(table.generator.to_numpy(), features, is_ai, seed)),
        "rules": _rules(features, is_ai) if together else [],
    }


def _best_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((row for row in rows if row["auc"]), key=lambda row: -row["auc"]["value"])


def _generators(
    generator: np.ndarray, features: dict[str, np.ndarray], is_ai: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    names, pictures = np.unique(generator[is_ai].astype(str), return_counts=True)
    rows = []
    for largest in np.argsort(-pictures, kind="stable")[:MAX_GENERATORS]:
        chosen = ~is_ai | (generator == names[largest])
        part = {name: values[chosen] for name, values in features.items()}
        auc = _auc(part, is_ai[chosen], seed)
        rows.append({"generator": str(names[largest]), "pictures": int(pictures[largest]), "auc": auc})
    return rows


def _tree(features: dict[str, np.ndarray], is_ai: np.ndarray) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_depth=MAX_DEPTH,
        class_weight="balanced",
        min_samples_leaf=max(MIN_LEAF, len(is_ai) // LEAF_DIVISOR),
        min_impurity_decrease=MIN_GAIN,
        random_state=0,
    )
    return tree.fit(np.column_stack(list(features.values())), is_ai)


def _fold_count(is_ai: np.ndarray) -> int:
    """Up to `FOLDS`, with at least two pictures per class in each; 0 if a class has fewer than `MIN_PER_CLASS`."""
    fewest = min(int(is_ai.sum()), int((~is_ai).sum()))
    return min(FOLDS, fewest // 2) if fewest >= MIN_PER_CLASS else 0


def _folds(is_ai: np.ndarray, seed: int) -> np.ndarray:
    """int64 `(n,)`: the fold of each picture, assigned in random order, separately for each class."""
    fold = np.empty(len(is_ai), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for label in (True, False):
        members = rng.permutation(np.flatnonzero(is_ai == label))
        fold[members] = np.arange(len(members)) % _fold_count(is_ai)
    return fold


def _auc(features: dict[str, np.ndarray], is_ai: np.ndarray, seed: int) -> dict[str, float] | None:
    """The AUC of out-of-fold scores with its interval; None if there is too little data."""
    if not features or not _fold_count(is_ai):
        return None
    fold = _folds(is_ai, seed)
    score = np.empty(len(is_ai))
    for number in np.unique(fold):
        held_out = fold == number
        tree = _tree({name: values[~held_out] for name, values in features.items()}, is_ai[~held_out])
        score[held_out] = tree.predict_proba(np.column_stack([values[held_out] for values in features.values()]))[:, 1]
    levels, level = np.unique(score, return_inverse=True)
    shape = (fold.max() + 1, len(levels))
    cell = np.ravel_multi_index((fold, level), shape)
    ai, human = (np.bincount(cell[chosen], minlength=np.prod(shape)).reshape(shape) for chosen in (is_ai, ~is_ai))
    value = float(fold_auc(ai, human))
    low, high = _bootstrap(ai, human, seed)
    if low == high or min(ai.sum(), human.sum()) < SMALL_SAMPLE:
        low, high = auc_interval(value, int(ai.sum()), int(human.sum()))
    return {name: round(number, 4) for name, number in (("value", value), ("low", low), ("high", high))}


def fold_auc(ai: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The AUC from counts of pictures at each score, within folds.

    It is the share of pairs in which the AI picture scores higher, ties counting half (Mann and Whitney, 1947). Only
    pairs within a fold count: scores of different trees are not comparable, and pooling them lowers every AUC, because
    a tree has learned from fewer pictures of the class that its own fold holds more of.

    Args:
        ai: `(..., folds, levels)`: the number of AI pictures at each score, in ascending order.
        human: `(..., folds, levels)`: the number of human pictures at each score.

    Returns:
        `(...)`: the AUC.
    """
    below = np.cumsum(human, axis=-1) - human
    pairs = (ai.sum(-1) * human.sum(-1)).sum(-1)
    return (ai * (below + human / 2)).sum((-2, -1)) / pairs


def _bootstrap(ai: np.ndarray, human: np.ndarray, seed: int) -> tuple[float, float]:
    """The percentile interval over resampled pictures, stratified by fold and class.

    A tree has few different scores, so resampling the counts at each score is exact and fast for any n.
    """
    rng = np.random.default_rng(seed)
    resampled = []
    for counts in (ai, human):
        pictures = counts.sum(-1)
        shares = counts / np.maximum(pictures, 1)[:, None]
        resampled.append(rng.multinomial(pictures, shares, size=(RESAMPLES, len(pictures))))
    low, high = np.quantile(fold_auc(*resampled), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _rules(features: dict[str, np.ndarray], is_ai: np.ndarray) -> list[dict[str, Any]]:
    """The leaves of one tree over all pictures, largest first."""
    fitted = _tree(features, is_ai)
    tree, names = fitted.tree_, list(features)
    leaf = fitted.apply(np.column_stack(list(features.values())))
    rules = []
    pending: list[tuple[int, dict[str, tuple[float, float]]]] = [(0, {})]
    while pending:
        node, limits = pending.pop()
        if tree.children_left[node] < 0:
            conditions = " and ".join(_condition(name, *limit) for name, limit in limits.items())
            ai, human = (int(((leaf == node) & chosen).sum()) for chosen in (is_ai, ~is_ai))
            rules.append({"rule": conditions or "any file", "AI": ai, "human": human})
            continue
        name, cut = names[tree.feature[node]], float(tree.threshold[node])
        low, high = limits.get(name, (-np.inf, np.inf))
        pending.append((int(tree.children_right[node]), limits | {name: (max(low, cut), high)}))
        pending.append((int(tree.children_left[node]), limits | {name: (low, min(high, cut))}))
    return sorted(rules, key=lambda rule: -rule["AI"] - rule["human"])


def _condition(name: str, low: float, high: float) -> str:
    """Describe the condition low < value ≤ high on a feature."""
    if " is " in name:
        return name if low > 0 else name.replace(" is ", " is not ")
    if name == "EXIF":
        return "with EXIF" if low > 0 else "without EXIF"
    unit = " px" if name in ("width", "height") else ""
    none = " or none" if name == "JPEG quality" and low < NO_QUALITY else ""
    if np.isinf(high):
        return f"{name} > {_number(low)}{unit}"
    if np.isinf(low):
        return f"{name} ≤ {_number(high)}{unit}{none}"
    return f"{_number(low)} < {name} ≤ {_number(high)}{unit}"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
