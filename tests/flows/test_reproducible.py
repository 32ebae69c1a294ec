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
def test_twice_from_scratch(base: Path, again: Path, stage: str) -> None:
    first, second = outputs(base, stage), outputs(again, stage)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.fixture(scope="module")
def again(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second run of the base's config in a place of its own, listed by the file system in another order."""
    root = tmp_path_factory.mktemp("again")
    pictures = root / "data" / "raw" / "drawn"
    for file in sorted((path for path in (base / "data" / "raw" / "drawn").rglob("*") if path.is_file()), reverse=True):
        target = pictures / file.relative_to(base / "data" / "raw" / "drawn")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        run(small(pictures))
    return root
