"""The description of the service holds against requests that a tool makes up from it."""

from pathlib import Path

import pytest

from benchmarks import serve_schema
from tests.serve.running import serving


@pytest.mark.slow
def test_no_request_that_the_description_suggests_makes_it_fail(model: Path, tmp_path: Path) -> None:
    with serving(feedback=tmp_path) as (_, address):
        operations, cases = serve_schema.attack(address, 20)
    assert operations == 6
    assert cases > 50
