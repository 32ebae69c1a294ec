"""Builds the site of the documentation: `make docs`. A warning, such as a link that leads nowhere, is an error.

The site's pages are the files of the project as they are, at the same paths, so that links hold here and on GitHub.

    .venv/bin/python -m tools.site
"""

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
WARNING = "griffe:"
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "artdetect/starter/model_card.md",
    "artifacts/README.md",
    "benchmarks/results.md",
    "data/README.md",
    "docs",
    "examples/first_steps.ipynb",
)


def main() -> int:
    """Copy the pages and build them; the exit code."""
    copy_pages(PROJECT / "site" / "source")
    build = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
    ended = subprocess.run(build, cwd=PROJECT, capture_output=True, text=True)
    if ended.returncode or WARNING in ended.stderr:  # those of the docstrings' reader do not end a strict build
        print(ended.stderr or ended.stdout, file=sys.stderr)
        return 1
    print("The site is in site/html. With search: python -m http.server --bind 127.0.0.1 --directory site/html 8008")
    return 0


def copy_pages(folder: Path) -> None:
    """Put all pages into a folder, at the paths that they have in the project."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in PAGES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, target)
        else:
            shutil.copy(PROJECT / name, target)


if __name__ == "__main__":
    sys.exit(main())
