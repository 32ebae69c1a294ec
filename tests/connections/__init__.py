"""Watches this process, and every Python that it starts, for connections to other machines; see `sitecustomize`."""

import os
import tempfile
from pathlib import Path

_NOTES = Path(tempfile.mkdtemp(prefix="artdetect-tests-"), "connections")
os.environ["CONNECTION_NOTES"] = str(_NOTES)  # of this process: pytest-xdist has several
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
)

from tests.connections.sitecustomize import is_here as is_here  # noqa: E402  from here on, this process is watched


def taken() -> str:
    """The notes since the last call; empty if no process turned to another machine."""
    notes = _NOTES.read_text() if _NOTES.exists() else ""
    _NOTES.unlink(missing_ok=True)
    return notes
