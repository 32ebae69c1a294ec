"""One flipped bit in any file of an artifact is noticed, and the file named."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artdetect.artifacts import store
from artdetect.core.errors import ArtdetectError
from artdetect.model.choice import choose

Record = Callable[[str, object], None]


def positions(size: int) -> Iterator[int]:
    """The first, the last and the middle byte, and some between."""
    chosen = random.Random(size)
    yield from sorted({0, size // 2, size - 1, *(chosen.randrange(size) for _ in range(5))})


def flips(folder: Path) -> Iterator[tuple[Path, int]]:
    """Flip a bit of a byte, let the caller look, and flip it back."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        good = file.read_bytes()
        for place in positions(len(good)) if good else ():
            damaged = bytearray(good)
            damaged[place] ^= 1 << place % 8
            file.write_bytes(bytes(damaged))
            yield file, place
        file.write_bytes(good)


def check_all(artifacts: Path) -> int:
    tried = 0
    for record in sorted(artifacts.glob("*/*/record.json")):
        stage, key = record.parent.parent.name, record.parent.name
        assert store.verify(stage, key) is None
        for file, place in flips(record.parent):
            fault = store.verify(stage, key)
            assert fault, (stage, file.name, place)
            assert file.relative_to(record.parent).as_posix() in fault, (fault, place)
            tried += 1
    return tried


def test_a_flipped_bit_in_any_file_of_an_artifact_is_noticed(
    trained: Path, roots: Path, record_property: Record
) -> None:
    shutil.copytree(trained / "artifacts", roots / "artifacts")
    tried = check_all(roots / "artifacts")
    assert tried > 50
    record_property("tries", tried)


@pytest.mark.slow
def test_a_flipped_bit_in_any_file_of_a_whole_run_is_noticed(
    undisturbed: Path, roots: Path, record_property: Record
) -> None:
    shutil.copytree(undisturbed / "artifacts", roots / "artifacts")
    tried = check_all(roots / "artifacts")
    assert {path.parent.name for path in (roots / "artifacts").glob("*/*") if (path / "record.json").exists()} >= {
        "index", "train", "evaluate", "gate", "explain", "report"
    }  # fmt: skip
    assert tried > 200
    record_property("tries", tried)


@pytest.mark.slow
def test_a_flipped_bit_in_what_names_the_champion_never_names_another(
    undisturbed: Path, roots: Path, record_property: Record
) -> None:
    shutil.copytree(undisturbed / "artifacts", roots / "artifacts")
    expected = choose(None).key
    found = []
    for _ in flips(roots / "artifacts" / "models"):
        try:
            found.append(choose(None).key)
        except ArtdetectError:
            found.append(None)
    assert set(found) <= {expected, None}
    assert len(found) >= 8
    record_property("tries", len(found))
