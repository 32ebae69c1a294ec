"""What the tests of training share."""

from pathlib import Path

import pytest


@pytest.fixture
def inputs(trained: Path, model: Path) -> tuple[Path, Path]:
    """The balance artifact and the pictures of the shared tiny set."""
    return trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art"
