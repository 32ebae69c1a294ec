"""The same config and seed give the same index, split, model and metrics, twice from scratch."""

import shutil
from pathlib import Path

import pytest

from .conftest import run, small


def outputs(root: Path, stage: str) -> dict[str, bytes]:
    """A stage's files by name, of its one artifact."""
    (record,) = (root / "artifacts" / stage).glob("*/record.json")
    kept = ("record.json", "prefect.json")
    return {
        path.name: path.read_bytes() for path in record.parent.iterdir() if path.name not in kept and path.is_file()
    }


@pytest.mark.parametrize("stage", ["index", "audit", "balance", "train", "evaluate", "explain", "report"])
def test_twice_from_scratch(once: Path, again: Path, stage: str) -> None:
    first, second = outputs(once, stage), outputs(again, stage)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_the_chosen_pictures_are_explained(once: Path) -> None:
    names = {Path(name).suffix for name in outputs(once, "explain")}
    assert names == {".png", ".npz", ".parquet"}


@pytest.fixture(scope="module")
def once(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base's data, run from scratch, with explanations."""
    return from_scratch(base, tmp_path_factory.mktemp("once"), last_first=False)


@pytest.fixture(scope="module")
def again(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a place of its own, written, and so listed by the file system, in another order."""
    return from_scratch(base, tmp_path_factory.mktemp("again"), last_first=True)


def from_scratch(base: Path, root: Path, last_first: bool) -> Path:
    source, pictures = base / "data" / "raw" / "drawn", root / "data" / "raw" / "drawn"
    for file in sorted((path for path in source.rglob("*") if path.is_file()), reverse=last_first):
        target = pictures / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        run(small(pictures, explained=1))
    return root
