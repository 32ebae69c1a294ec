"""Group pictures that are identical or look alike, for instance after compressing one again."""

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BITS = 64
FLAT = "0" * 16  # the hash of every picture without coarse detail
MAX_PAIRS = 1_000_000  # in memory, 16 MB; more are reduced to fewer that join the same pictures


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find all pairs of 64-bit hashes that differ in at most `distance` bits, without comparing all pairs.

    The result is exact. The bits are distributed over `distance` + 1 blocks; two hashes that differ in at most
    `distance` bits are equal in at least one block (Norouzi, Punjani and Fleet, "Fast search in Hamming space with
    multi-index hashing", 2012). Sorted by a block, equal ones are adjacent. Each hash is compared with its next
    neighbour, then with the one after that, and so on, so that memory stays linear.

    Args:
        hashes: uint64 `(n,)`, all different.
        distance: The largest number of differing bits.

    Yields:
        Two arrays int64 `(m,)` of positions in `hashes`, m < n. A pair can occur more than once, in either order.
    """
    for block in range(distance + 1):
        mask = np.uint64(sum(1 << bit for bit in range(block, BITS, distance + 1)))  # interleaved, for even buckets
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
    """Group identical and near-duplicate pictures, directly or through others.

    Two rows belong together if their contents are equal, or if their perceptual hashes differ in at most `distance`
    bits. Hashes of pictures with too little detail are not compared.

    Args:
        table: `n` readable pictures with columns sha256, phash (16 hex digits) and contrast.
        distance: The largest number of differing bits between near-duplicates.
        low_contrast: The contrast below which hashes are not compared.

    Returns:
        int64 `(n,)`: the group of each row, numbered in the order of their first rows.
    """
    import pandas as pd

    first_of_content = _first(pd.factorize(table.sha256)[0])
    comparable = np.flatnonzero(((table.contrast >= low_contrast) & (table.phash != FLAT)).to_numpy())
    hashes = np.array([int(phash, 16) for phash in table.phash.iloc[comparable]], dtype=np.uint64)
    distinct, inverse = np.unique(hashes, return_inverse=True)
    first_of_hash = comparable[_first(inverse)]
    row = np.empty(len(distinct), dtype=np.int64)  # a representative row of each hash
    row[inverse] = first_of_hash
    edges = [np.stack([np.arange(len(table)), first_of_content]), np.stack([comparable, first_of_hash])]
    pairs = sum(edge.shape[1] for edge in edges)
    limit = pairs + MAX_PAIRS
    for left, right in near_pairs(distinct, distance):
        edges.append(row[np.stack([left, right])])
        pairs += len(left)
        if pairs > limit:
            labels = _connected(edges, len(table))
            edges = [np.stack([np.arange(len(table)), _first(labels)])]
            pairs = len(table)
    return pd.factorize(_connected(edges, len(table)))[0].astype(np.int64)


def _first(codes: np.ndarray) -> np.ndarray:
    """For each position the first position with the same code."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first[inverse]


def _connected(edges: list[np.ndarray], size: int) -> np.ndarray:
    """The connected component of each of `size` nodes. `edges` are arrays int64 `(2, m)`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    return connected_components(graph, directed=False)[1]
