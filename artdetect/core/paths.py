"""Where things live: the project, data/ and artifacts/. The only place that reads their environment variables."""

import os
from pathlib import Path


def project() -> Path:
    """The checkout that this package runs from, or the working directory for an installed package."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def data() -> Path:
    """The data root: `ARTDETECT_DATA`, or data/ of the project."""
    return Path(os.environ.get("ARTDETECT_DATA") or project() / "data").resolve()


def artifacts() -> Path:
    """The artifacts root: `ARTDETECT_ARTIFACTS`, or artifacts/ of the project."""
    return Path(os.environ.get("ARTDETECT_ARTIFACTS") or project() / "artifacts").resolve()


def raw() -> Path:
    """Downloaded data sets, one folder each, never changed by the pipeline."""
    return data() / "raw"


def incoming() -> Path:
    """Pictures that came in since: accepted ones by label, generator and content, and their provenance."""
    return data() / "incoming"


def inbox() -> Path:
    """Where people drop new pictures; it is emptied into `incoming` and `rejected`."""
    return data() / "inbox"


def rejected() -> Path:
    """Pictures that were given and not taken, each with the reason beside it."""
    return data() / "rejected"


def picture(root: Path, path: str) -> Path:
    """The file behind a path of the index; `root` is the data set's folder."""
    return data() / path if path.startswith("incoming/") else root / path


def cache() -> Path:
    """What only saves time; may be deleted at any moment."""
    return data() / "cache"


def portable(path: Path) -> str:
    """A path as records keep it: relative to the data root where it lies inside, so that a project can move."""
    path = path.resolve()
    return path.relative_to(data()).as_posix() if path.is_relative_to(data()) else path.as_posix()


def located(portable_path: str) -> Path:
    """The inverse of `portable`."""
    return data() / portable_path
