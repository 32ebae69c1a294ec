"""The command by which a person adds a package to the Python that runs artdetect, for messages."""

import json
import shlex
import shutil
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]  # of a clone; where an installed package is, it is no clone


def extra(name: str) -> str:
    """The command that adds an extra, from where artdetect itself came: a clone, an address or an index.

    Args:
        name: The extra, as pyproject.toml calls it.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        constraints = CHECKOUT / "constraints.txt"
        pinned = ["-c", str(constraints)] if constraints.is_file() else []
        return package(*pinned, "-e", f"{CHECKOUT}[{name}]")
    origin = _origin()
    return package(f"artdetect[{name}] @ {origin}" if origin else f"artdetect[{name}]")


def package(*what: str) -> str:
    """The command that installs a package.

    Args:
        what: The arguments of `pip install`.
    """
    found = shutil.which("pip")
    own = found is not None and Path(found).parent == Path(sys.executable).parent
    pip = ["pip"] if own else [sys.executable, "-m", "pip"]  # another pip would install for another Python
    return shlex.join([*pip, "install", *what])


def _origin() -> str | None:
    """The address from which artdetect was installed (PEP 610), as a requirement names it; None for an index."""
    from importlib import metadata

    try:
        text = metadata.distribution("artdetect").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    if text is None:
        return None
    origin = json.loads(text)
    vcs = origin.get("vcs_info")
    return f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else origin["url"]
