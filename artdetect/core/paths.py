"""Where things are: the project, data/ and artifacts/. The only module that reads their environment variables."""

import os
from pathlib import Path


def project() -> Path:
    """The checkout that this package runs from, or the working directory for an installed package."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def starter() -> Path:
    """The starter model: `ARTDETECT_STARTER`, or the file in this package. It need not exist."""
    return Path(os.environ.get("ARTDETECT_STARTER") or Path(__file__).parents[1] / "starter" / "model.npz")


def data() -> Path:
    """The data root: `ARTDETECT_DATA`, or data/ of the project."""
    return Path(os.environ.get("ARTDETECT_DATA") or project() / "data").resolve()


def artifacts() -> Path:
    """The artifacts root: `ARTDETECT_ARTIFACTS`, or artifacts/ of the project."""
    return Path(os.environ.get("ARTDETECT_ARTIFACTS") or project() / "artifacts").resolve()


def raw() -> Path:
    """Downloaded data sets, one folder each; the pipeline never changes them."""
    return data() / "raw"


def incoming() -> Path:
    """Accepted new pictures, by label, generator and content, with their provenance."""
    return data() / "incoming"


def inbox() -> Path:
    """Where people drop new pictures; ingest moves them to `incoming` or `rejected`."""
    return data() / "inbox"


def rejected() -> Path:
    """New pictures that were not accepted, each with the reason beside it."""
    return data() / "rejected"


def picture(root: Path, path: str) -> Path:
    """The file that a path of the index stands for; `root` is the data set's folder."""
    return data() / path if path.startswith("incoming/") else root / path


def cache() -> Path:
    """Caches, which only save time and may be deleted at any moment."""
    return data() / "cache"


def portable(path: Path) -> str:
    """A path for records: relative to the data root if it is inside, so that a project can move."""
    path = path.resolve()
    return path.relative_to(data()).as_posix() if path.is_relative_to(data()) else path.as_posix()


def located(portable_path: str) -> Path:
    """The inverse of `portable`."""
    return data() / portable_path
