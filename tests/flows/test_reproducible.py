"""The same config and seed give the same index, split, model and metrics, twice from scratch."""

import shutil
from pathlib import Path

import pytest

from artdetect.config import Config
from flows.pipeline import pipeline

from .conftest import small

pytestmark = [pytest.mark.slow, pytest.mark.bits]
Outputs = dict[str, dict[str, bytes]]


def built(config: Config, root: Path) -> Outputs:
    """Run the flow; the files of each stage's artifact by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        folders = {run.stage: run.artifact.folder for run in pipeline(config)}
    records = ("record.json", "prefect.json")
    return {
        stage: {
            path.name: path.read_bytes() for path in folder.iterdir() if path.name not in records and path.is_file()
        }
        for stage, folder in folders.items()
    }


@pytest.mark.parametrize("stage", ["index", "audit", "balance", "train", "evaluate", "explain", "report"])
def test_twice_from_scratch(once: Outputs, again: Outputs, stage: str) -> None:
    first, second = once[stage], again[stage]
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_the_chosen_pictures_are_explained(once: Outputs) -> None:
    assert {Path(name).suffix for name in once["explain"]} == {".png", ".npz", ".parquet", ".json"}


@pytest.fixture(scope="module")
def once(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """The base, which was run from scratch, and what follows from its model with robustness and explanations."""
    root = Path(shutil.copytree(base, tmp_path_factory.mktemp("once"), dirs_exist_ok=True))
    return built(small(root / "data" / "raw" / "drawn", explained=1, robustness=1), root)


@pytest.fixture(scope="module")
def again(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """All of it in a place of its own, the pictures written, and so listed by the file system, in another order."""
    root = tmp_path_factory.mktemp("again")
    source, pictures = base / "data" / "raw" / "drawn", root / "data" / "raw" / "drawn"
    for file in sorted((path for path in source.rglob("*") if path.is_file()), reverse=True):
        target = pictures / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return built(small(pictures, explained=1, robustness=1), root)
