"""Near-duplicates: the pairs are exact, and they connect pictures into groups."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artdetect.audit import duplicates
from artdetect.audit.config import AuditConfig
from artdetect.audit.duplicates import groups, near_pairs
from artdetect.index import file_metadata
from tests.tiny_dataset import jpeg

WORD = st.integers(0, 2**64 - 1)


def hash_of(picture: Image.Image) -> int:
    return int(file_metadata.phash(file_metadata.thumbnail(picture)), 16)


@st.composite
def crowded(draw: st.DrawFn) -> np.ndarray:
    """Hashes close to each other: a few words, each with some bits changed."""
    words = draw(st.lists(WORD, min_size=1, max_size=3))
    flips = st.lists(st.integers(0, 63), max_size=7)
    near_pairs_found = {
        word ^ sum(1 << bit for bit in set(draw(flips))) for word in words for _ in range(draw(st.integers(1, 12)))
    }
    return np.array(sorted(near_pairs_found), dtype=np.uint64)


def all_pairs_within(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes)
    return {(i, j) for i, j in np.argwhere(apart <= distance).tolist() if i < j}


def near_pairs_found(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    return {
        (min(i, j), max(i, j))
        for left, right in near_pairs(hashes, distance)
        for i, j in zip(left.tolist(), right.tolist(), strict=True)
    }


@settings(max_examples=150, deadline=None)
@given(crowded(), st.integers(0, 8))
def test_the_pairs_are_the_same_as_by_comparing_all_pairs(hashes: np.ndarray, distance: int) -> None:
    assert near_pairs_found(hashes, distance) == all_pairs_within(hashes, distance)


@pytest.mark.slow
def test_many_hashes_in_one_bucket_come_in_chunks_no_longer_than_the_table() -> None:
    """1,000 hashes that all lie within 4 bits of each other: half a million pairs."""
    pairs = [1 << i | 1 << j for i in range(64) for j in range(i)][:1000]
    hashes = np.array(sorted(pairs), dtype=np.uint64)
    chunks = [len(left) for left, _ in near_pairs(hashes, 4)]
    assert max(chunks) < len(hashes)
    assert len(near_pairs_found(hashes, 4)) == 1000 * 999 // 2


def table(*rows: tuple[str, int, float]) -> pd.DataFrame:
    """Rows of (content, hash, contrast)."""
    columns = [(content, f"{word:016x}", contrast) for content, word, contrast in rows]
    return pd.DataFrame(columns, columns=["sha256", "phash", "contrast"])


def test_groups_are_numbered_by_their_first_rows_and_join_through_others() -> None:
    """c is 4 bits from a, and e 4 from c, 8 from a; d has b's content."""
    rows = table(("a", 0xF, 40), ("b", 0xFFFF0000, 40), ("c", 0xFF, 40), ("b", 0xFFFF0000, 40), ("e", 0xFFF, 40))
    assert groups(rows, 4, 2.0).tolist() == [0, 1, 0, 1, 0]
    assert groups(rows, 3, 2.0).tolist() == [0, 1, 2, 1, 3]


def test_flat_pictures_are_grouped_by_content_only() -> None:
    rows = table(
        ("a", 0, 0), ("b", 0, 0), ("b", 0, 0), ("c", 0, 40), ("d", 0xF0, 1.99), ("e", 0xF0, 40), ("f", 0xF0, 2)
    )
    assert groups(rows, 4, 2.0).tolist() == [0, 1, 1, 2, 3, 4, 4]


def test_no_pictures_make_no_groups() -> None:
    assert groups(table(), 4, 2.0).tolist() == []


def test_groups_are_the_same_when_not_all_pairs_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**62, 20)[rng.integers(0, 20, 400)] ^ (1 << rng.integers(0, 62, 400))
    rows = table(*((f"{number}", int(word), 40.0) for number, word in enumerate(words)))
    whole = groups(rows, 4, 2.0)
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 10)
    assert 15 < whole.max() < 40
    assert (groups(rows, 4, 2.0) == whole).all()


def test_a_picture_compressed_again_is_near_and_others_are_not() -> None:
    """JPEG at quality 40, half the size, two percent cropped; another drawing and a mirrored one are far."""
    distance = AuditConfig().near_distance
    rng = np.random.default_rng(5)
    field = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((300, 240), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    field.save(buffer, "JPEG", quality=40)
    own = hash_of(field)
    changed = [Image.open(buffer), field.resize((150, 120)), field.crop((3, 2, 297, 238))]
    assert all((own ^ hash_of(picture)).bit_count() <= distance for picture in changed)
    others = [field.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.open(io.BytesIO(jpeg(3)))]
    assert all((own ^ hash_of(picture)).bit_count() > 3 * distance for picture in others)


def test_random_hashes_have_no_neighbours() -> None:
    words = [int(hashlib.sha256(str(n).encode()).hexdigest()[:16], 16) for n in range(3000)]
    assert near_pairs_found(np.array(sorted(words), dtype=np.uint64), 4) == set()
