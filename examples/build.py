"""Makes the notebooks from their sources and runs them: `python -m examples.build`.

A source is a Python file whose cells begin with `# %%`, or `# %% [markdown]` for text.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
TIMEOUT = 600  # seconds for a cell


def cells(source: str) -> list[nbformat.NotebookNode]:
    """The cells of a source."""
    made = []
    for number, (kind, text) in enumerate(re.findall(r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", source, re.M | re.S)):
        text = text.strip()
        if kind:
            cell = nbformat.v4.new_markdown_cell(re.sub(r"^# ?", "", text, flags=re.M))
        else:
            cell = nbformat.v4.new_code_cell(text)
        cell["id"] = f"cell-{number}"  # the same source gives the same notebook
        made.append(cell)
    return made


def built(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, with the outputs of a run; nbclient's CellExecutionError if a cell fails."""
    notebook = nbformat.v4.new_notebook(cells=cells(source.read_text()))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
        if cell.cell_type == "code":  # the log goes, results stay
            cell.outputs = [output for output in cell.outputs if output.output_type == "execute_result"]
    return notebook


def main() -> None:
    """Write every notebook beside its source."""
    for source in sorted(FOLDER.glob("*.py")):
        if source.name not in ("__init__.py", Path(__file__).name):
            nbformat.write(built(source), source.with_suffix(".ipynb"))
            print(source.with_suffix(".ipynb"))


if __name__ == "__main__":
    sys.exit(main())
