"""Draws by content: they depend on the purpose and the content alone, and never change."""

import hashlib

import numpy as np

from artdetect.pictures.content_draw import draw_key, generator, sample

SHA256S = [f"{number:064x}" for number in range(200)]


def test_the_key_is_a_hash_of_purpose_and_content() -> None:
    assert draw_key("validation 129", SHA256S[3]) == hashlib.sha256(f"validation 129 {SHA256S[3]}".encode()).digest()


def test_a_sample_does_not_depend_on_the_order_and_its_positions_ascend() -> None:
    positions = sample("test", SHA256S, 50)
    assert positions == sorted(positions)
    assert len(set(positions)) == 50
    reverse = SHA256S[::-1]
    assert {SHA256S[place] for place in positions} == {reverse[place] for place in sample("test", reverse, 50)}
    assert positions != sample("another", SHA256S, 50)


def test_a_larger_sample_contains_the_smaller_one_and_ends_at_all() -> None:
    assert set(sample("test", SHA256S, 20)) <= set(sample("test", SHA256S, 30))
    assert sample("test", SHA256S, 0) == []
    assert sample("test", SHA256S, 999) == list(range(200))


def test_removing_a_picture_changes_the_draw_by_that_one_alone() -> None:
    drawn = {SHA256S[place] for place in sample("test", SHA256S, 50)}
    fewer = [sha256 for sha256 in SHA256S if sha256 != min(drawn)]
    assert drawn - {fewer[place] for place in sample("test", fewer, 50)} == {min(drawn)}


def test_a_generator_is_seeded_by_the_first_eight_bytes_of_the_key() -> None:
    seed = int.from_bytes(draw_key("JPEG 50 of", SHA256S[1])[:8], "big")
    assert generator("JPEG 50 of", SHA256S[1]).random() == np.random.default_rng(seed).random()
