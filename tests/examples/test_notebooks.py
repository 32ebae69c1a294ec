"""The notebooks are what their sources make, and every cell runs."""

from pathlib import Path

import nbformat
import pytest

from examples.build import built, cells
from tests import PROJECT

SOURCES = [PROJECT / "examples" / "first_steps.py"]


def comparable(made: list[nbformat.NotebookNode]) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in made]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_has_the_cells_of_its_source_with_outputs_and_no_path_of_this_machine(source: Path) -> None:
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    assert comparable(notebook.cells) == comparable(cells(source.read_text()))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("brightness" in output.get("data", {}).get("text/markdown", "") for output in outputs)
    assert "/work/" not in source.with_suffix(".ipynb").read_text()
    assert str(Path.home()) + "/" not in source.with_suffix(".ipynb").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_cell_of_a_notebook_runs(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    notebook = built(source)
    assert [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"].count(True) >= 8
