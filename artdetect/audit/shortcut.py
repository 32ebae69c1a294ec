"""The shortcut test: how well a shallow tree tells AI from human by the files alone, without a look at any picture.

What such a tree finds a network finds too, and then it learns how a data set was made instead of how art is made.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.file_properties import NO_QUALITY, properties
from artdetect.pictures.labels import AI, CLASSES
from artdetect.stats.confidence_intervals import CONFIDENCE, auc_interval

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
MIN_PER_CLASS = 5  # pictures a class: below that there is nothing to measure
SMALL_SAMPLE = (
    100  # pictures a class, below which a bootstrap is too narrow: of files alike it calls one set in twelve unlike
)
DEPTH = 3
LEAF = 200  # at least one in so many pictures in each leaf of a tree …
SMALLEST_LEAF = 3  # … and so many pictures
GAIN = 0.001  # of Gini impurity, that a split must bring: others only lengthen the rules
RESAMPLES = 2_000
MAX_GENERATORS = 20  # compared one by one, the largest ones


def measure(table: "pd.DataFrame", seed: int) -> dict[str, Any]:
    """The cross-validated area under the ROC curve (AUC) of file properties, with 95 % intervals.

    Of near-duplicates one counts, or copies would pass for evidence, and none where they stand under both labels. 0.5
    is chance, 1 a label that the files give away.

    Args:
        table: readable pictures of an index, with a column group.

    Returns:
        "pictures": {"AI": n, "human": m}; "folds"; "auc": {"value", "low", "high"} of all properties together;
        "properties": [{"name", "auc"}], each alone, best first, those that never vary left out;
        "generators": [{"generator", "pictures", "auc"}], each against all human pictures, best first;
        "rules": [{"rule", "AI", "human"}], the leaves of a tree over all pictures in words, with what falls in each.
        With fewer than `FEWEST` pictures of a class "auc" is None and the lists are empty.
    """
    several = table[table.duplicated("group", keep=False)]
    disputed = several.group[several.groupby("group").label.transform("nunique") > 1]
    table = table[~table.group.isin(disputed)].drop_duplicates("group")
    is_ai = (table.label == CLASSES[AI]).to_numpy()
    columns = properties(table)
    every = {feature: values for name in columns for feature, values in columns[name].items()}
    alone = {name: _auc(features, is_ai, seed) for name, features in columns.items()}
    together = _auc(every, is_ai, seed)
    return {
        "pictures": {"AI": int(is_ai.sum()), "human": int((~is_ai).sum())},
        "folds": _fold_count(is_ai),
        "auc": together,
        "properties": _best_first([{"name": name, "auc": auc} for name, auc in alone.items()]),
        "generators": _best_first(_generators(table.generator.to_numpy(), every, is_ai, seed)),
        "rules": _rules(every, is_ai) if together else [],
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
        max_depth=DEPTH,
        class_weight="balanced",
        min_samples_leaf=max(SMALLEST_LEAF, len(is_ai) // LEAF),
        min_impurity_decrease=GAIN,
        random_state=0,
    )
    return tree.fit(np.column_stack(list(features.values())), is_ai)


def _fold_count(is_ai: np.ndarray) -> int:
    """Up to `FOLDS`, with two pictures of each class in each; 0 where a class has fewer than `FEWEST`."""
    fewest = min(int(is_ai.sum()), int((~is_ai).sum()))
    return min(FOLDS, fewest // 2) if fewest >= MIN_PER_CLASS else 0


def _folds(is_ai: np.ndarray, seed: int) -> np.ndarray:
    """int64 `(n,)`: the fold of each picture, dealt in random order, each class by itself."""
    fold = np.empty(len(is_ai), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for label in (True, False):
        members = rng.permutation(np.flatnonzero(is_ai == label))
        fold[members] = np.arange(len(members)) % _fold_count(is_ai)
    return fold


def _auc(features: dict[str, np.ndarray], is_ai: np.ndarray, seed: int) -> dict[str, float] | None:
    """The AUC of out-of-fold scores with its interval; None where there is too little to measure."""
    if not features or not _fold_count(is_ai):
        return None
    fold = _folds(is_ai, seed)
    score = np.empty(len(is_ai))
    for number in np.unique(fold):
        held = fold == number
        tree = _tree({name: values[~held] for name, values in features.items()}, is_ai[~held])
        score[held] = tree.predict_proba(np.column_stack([values[held] for values in features.values()]))[:, 1]
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
    """The AUC of scores that are only counted: `(..., folds, levels)` pictures of a class at each score, rising.

    The share of pairs in which the AI picture scores higher, a tie counting half (Mann and Whitney, 1947). Pairs within
    a fold only: scores of different trees are not comparable, and pooling them draws every AUC down, as a tree expects
    less of what its own fold holds more of. Gives `(...)`.
    """
    below = np.cumsum(human, axis=-1) - human
    pairs = (ai.sum(-1) * human.sum(-1)).sum(-1)
    return (ai * (below + human / 2)).sum((-2, -1)) / pairs


def _bootstrap(ai: np.ndarray, human: np.ndarray, seed: int) -> tuple[float, float]:
    """The percentile interval over pictures drawn anew within each fold and class.

    A tree has few scores, so drawing n pictures is drawing how many fall on each score: exact, at any n.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for counts in (ai, human):
        pictures = counts.sum(-1)
        shares = counts / np.maximum(pictures, 1)[:, None]
        drawn.append(rng.multinomial(pictures, shares, size=(RESAMPLES, len(pictures))))
    low, high = np.quantile(fold_auc(*drawn), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _rules(features: dict[str, np.ndarray], is_ai: np.ndarray) -> list[dict[str, Any]]:
    """The leaves of one tree over all pictures, largest first."""
    fitted = _tree(features, is_ai)
    tree, names = fitted.tree_, list(features)
    leaf = fitted.apply(np.column_stack(list(features.values())))
    rules = []
    waiting: list[tuple[int, dict[str, tuple[float, float]]]] = [(0, {})]
    while waiting:
        node, limits = waiting.pop()
        if tree.children_left[node] < 0:
            words = " and ".join(_words(name, *limit) for name, limit in limits.items())
            ai, human = (int(((leaf == node) & chosen).sum()) for chosen in (is_ai, ~is_ai))
            rules.append({"rule": words or "any file", "AI": ai, "human": human})
            continue
        name, cut = names[tree.feature[node]], float(tree.threshold[node])
        low, high = limits.get(name, (-np.inf, np.inf))
        waiting.append((int(tree.children_right[node]), limits | {name: (max(low, cut), high)}))
        waiting.append((int(tree.children_left[node]), limits | {name: (low, min(high, cut))}))
    return sorted(rules, key=lambda rule: -rule["AI"] - rule["human"])


def _words(name: str, low: float, high: float) -> str:
    """low < value ≤ high of a feature, as people say it."""
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
