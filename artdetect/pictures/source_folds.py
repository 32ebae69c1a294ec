"""Folds that leave out whole sources: a picture is judged by a head that knows neither its source nor its generator.

A head that is tested on other pictures of the sources it learnt from looks better than it is on any other art.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from artdetect.pictures.labels import AI, CLASSES

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 6
MIN_SOURCES = 4  # of a class: with fewer, folds say little about other art


@dataclass(frozen=True)
class SourceFolds:
    """The assignment of N training pictures to folds.

    Args:
        groups: str [N], the sources that are left out together, named after the largest one.
        folds: int [N], from 0. All pictures of a group are in one fold, unless their class has a single group: then
            they are spread over all folds.
        duplicates: str [N], shared by near-duplicates, empty for others.
    """

    groups: np.ndarray
    folds: np.ndarray
    duplicates: np.ndarray

    def part(self, rows: np.ndarray) -> "SourceFolds":
        """The folds of some of the pictures, bool [N]."""
        return SourceFolds(self.groups[rows], self.folds[rows], self.duplicates[rows])

    @property
    def numbers(self) -> range:
        """The numbers of the folds."""
        return range(int(self.folds.max()) + 1)

    def split(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """The pictures to train on and the held-out ones, int [n] each.

        Near-duplicates of held-out pictures are in neither.
        """
        held_out = self.folds == fold
        copies = np.isin(self.duplicates, self.duplicates[held_out & (self.duplicates != "")])
        return np.flatnonzero(~held_out & ~copies), np.flatnonzero(held_out)


def source_folds(train: "pd.DataFrame") -> SourceFolds:
    """Assign training pictures to folds. It depends on their contents and sources, not on their order.

    Human-made pictures of one source are left out together. So are AI pictures of one source and those of one
    generator: sources that share a generator form one group. Groups are spread such that the folds are about as large.

    Args:
        train: Columns sha256, label, source, generator and group (of near-duplicates).
    """
    groups = np.where(train.label == CLASSES[AI], _ai_groups(train), train.source.to_numpy(str))
    folds = np.zeros(len(train), np.int64)
    for label in CLASSES:
        rows = (train.label == label).to_numpy()
        names, counts = np.unique(groups[rows], return_counts=True)
        if len(names) == 1:
            folds[rows] = [int(sha256[:8], 16) % FOLDS for sha256 in train.sha256[rows]]
            continue
        loads = np.zeros(FOLDS, np.int64)
        fold_of = {}
        for place in np.lexsort((names, -counts)):
            fold_of[names[place]] = smallest = int(loads.argmin())
            loads[smallest] += counts[place]
        folds[rows] = [fold_of[name] for name in groups[rows]]
    return SourceFolds(groups, folds, train.group.fillna("").to_numpy(str))


def _ai_groups(train: "pd.DataFrame") -> np.ndarray:
    """The largest source of each picture's connected component of sources and generators, str [N]."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    sources, source = np.unique(train.source.to_numpy(str), return_inverse=True)
    generators, generator = np.unique(train.generator.to_numpy(str), return_inverse=True)
    is_ai = (train.label == CLASSES[AI]).to_numpy()
    size = len(sources) + len(generators)
    edges = (np.ones(is_ai.sum()), (source[is_ai], len(sources) + generator[is_ai]))
    component = connected_components(coo_matrix(edges, (size, size)), directed=False)[1][source]
    counts = np.bincount(source[is_ai], minlength=len(sources))
    largest: dict[int, str] = {}
    for place in np.lexsort((sources, -counts)):
        largest.setdefault(int(component[source == place][0]), str(sources[place]))
    return np.array([largest[number] for number in component])


def source_weights(groups: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Weights [N] with which a group of n pictures counts as the root of n, and both classes the same; their mean is 1.

    Args:
        groups: str [N], see `SourceFolds`.
        classes: int [N].
    """
    names = np.char.add(classes.astype(str), groups.astype(str))
    _, members = np.unique(names, return_inverse=True)
    weights = np.bincount(members)[members] ** -0.5
    totals = np.bincount(classes, weights)
    present = np.count_nonzero(totals)
    return weights * (len(weights) / present / np.where(totals > 0, totals, 1))[classes]
