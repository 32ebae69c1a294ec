"""What the tests of the service share: one running service for those that only ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from artdetect.serve.service import Service
from tests.serve.running import serving

MAX_BYTES = 2 * 10**6


@pytest.fixture(scope="package")
def running(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str, Path]]:
    """A service with the barely trained model, its address, and its folder of feedback."""
    folder = tmp_path_factory.mktemp("feedback")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(trained / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(trained / "artifacts"))
        with serving(trained / "artifacts" / "train" / "k1", MAX_BYTES, folder) as (service, address):
            yield service, address, folder


@pytest.fixture
def address(running: tuple[Service, str, Path]) -> str:
    """The address of the running service."""
    return running[1]
