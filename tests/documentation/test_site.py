"""The site of the documentation builds without a warning, and its pages ask no other host."""

import re

import pytest

from tests import PROJECT
from tools import site


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_other_host(capfd: pytest.CaptureFixture[str]) -> None:
    assert site.main() == 0, capfd.readouterr().err
    built = sorted((PROJECT / "site" / "html").rglob("*.html"))
    assert len(built) > 35
    for page in built:
        loaded = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"([^\"]+)\"", page.read_text())
        assert loaded
        assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == [], page
