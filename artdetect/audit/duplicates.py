"""Which pictures are one and the same: equal in content, or alike to the eye, however often they were saved again."""

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BITS = 64
FLAT = "0" * 16  # the hash of all pictures without coarse detail
KEPT_PAIRS = 1_000_000  # held at once, 16 MB; then they are replaced by fewer that join the same pictures


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of different 64-bit hashes that differ in at most `distance` bits, without comparing all with all.

    Exact: the bits are dealt to `distance` + 1 blocks, and two hashes that differ in no more bits agree in at least one
    block (Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", 2012). Sorted by a
    block, those that agree lie side by side, and each is compared with its next neighbour, its next but one, and so
    on; so memory stays linear however many agree.

    Args:
        hashes: uint64 `(n,)`, no two alike.

    Yields:
        Two arrays int64 `(m,)` of positions in `hashes`, m < n. A pair can come more than once, in either order.
    """
    for block in range(distance + 1):
        mask = np.uint64(sum(1 << bit for bit in range(block, BITS, distance + 1)))  # interleaved: evener buckets
        order = np.argsort(hashes & mask)
        sorted_hashes = hashes[order]
        keys = sorted_hashes & mask
        left = np.arange(len(hashes))
        for shift in count(1):
            left = left[: np.searchsorted(left, len(hashes) - shift)]
            left = left[keys[left] == keys[left + shift]]
            if not len(left):
                break
            near = left[np.bitwise_count(sorted_hashes[left] ^ sorted_hashes[left + shift]) <= distance]
            if len(near):
                yield order[near], order[near + shift]


def groups(table: "pd.DataFrame", distance: int, low_contrast: float) -> np.ndarray:
    """int64 `(n,)`: the group of each row; rows that share one are one picture, directly or through others.

    Rows belong together whose contents are equal, or whose perceptual hashes differ in at most `distance` bits. Hashes
    of pictures with a contrast below `low_contrast` are not compared, nor hashes without a bit: there is too little in
    them. Groups are numbered in the order of their first rows.

    Args:
        table: columns sha256, phash (16 hex digits) and contrast of readable pictures.
    """
    import pandas as pd

    first_of_content = _first(pd.factorize(table.sha256)[0])
    telling = np.flatnonzero(((table.contrast >= low_contrast) & (table.phash != FLAT)).to_numpy())
    hashes = np.array([int(phash, 16) for phash in table.phash.iloc[telling]], dtype=np.uint64)
    distinct, which = np.unique(hashes, return_inverse=True)
    first_of_hash = telling[_first(which)]
    row = np.empty(len(distinct), dtype=np.int64)  # one row of each hash, which stands for all
    row[which] = first_of_hash
    edges = [np.stack([np.arange(len(table)), first_of_content]), np.stack([telling, first_of_hash])]
    kept = sum(edge.shape[1] for edge in edges)
    limit = kept + KEPT_PAIRS
    for left, right in near_pairs(distinct, distance):
        edges.append(row[np.stack([left, right])])
        kept += len(left)
        if kept > limit:
            labels = _connected(edges, len(table))
            edges = [np.stack([np.arange(len(table)), _first(labels)])]
            kept = len(table)
    return pd.factorize(_connected(edges, len(table)))[0].astype(np.int64)


def _first(codes: np.ndarray) -> np.ndarray:
    """For each position the first one that has the same code."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first[inverse]


def _connected(edges: list[np.ndarray], size: int) -> np.ndarray:
    """The connected component of each of `size` nodes; `edges`: arrays int64 `(2, m)`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    return connected_components(graph, directed=False)[1]
