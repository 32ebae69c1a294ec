"""The table of faults counts what pytest reports, and names tests that exist."""

from pathlib import Path

import pytest

from benchmarks import faults
from tests import PROJECT

REPORT = """<testsuites><testsuite>
<testcase classname="tests.faults.test_kills" name="test_killed"><properties>
<property name="tries" value="100"/><property name="note" value="slowly"/></properties></testcase>
<testcase classname="tests.faults.test_kills" name="test_other[1]"><failure>no</failure></testcase>
<testcase classname="tests.faults.test_kills" name="test_other[2]"><skipped/></testcase>
<testcase classname="tests.web.test_guard" name="test_a"/>
</testsuite></testsuites>"""


def test_a_row_counts_tries_survivors_and_what_was_skipped(tmp_path: Path) -> None:
    (report := tmp_path / "junit.xml").write_text(REPORT)
    cases = list(faults.read(report))

    def counts(target: str) -> tuple[int, ...]:
        found = faults.tally(cases, [target], "slow")
        assert found.size == "slow"
        return found.tests, found.tried, found.survived, found.skipped

    assert counts("faults/test_kills.py") == (3, 101, 100, 1)
    assert counts("faults/test_kills.py::test_other") == (2, 1, 0, 1)
    assert faults.tally(cases, ["faults/test_kills.py"], "slow").notes == ["slowly"]


def test_reports_of_the_whole_suite_give_the_rows_that_they_have_tests_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (report := tmp_path / "junit.xml").write_text(REPORT.replace("<failure>no</failure>", ""))
    monkeypatch.setattr(faults, "RESULTS", tmp_path / "faults.json")
    monkeypatch.setattr(faults, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(faults, "measured", None)  # nothing runs
    faults.PAGE.write_text("<!-- faults -->\n<!-- end of faults -->")
    assert faults.main(["--slow", "--reports", str(report)]) == 0
    found = faults.kept()
    assert (found["whole runs killed at seeded moments"].survived, found.keys()) == (
        101,
        {"whole runs killed at seeded moments", "foreign Host and Origin, pages of other sites"},
    )


def test_every_row_names_tests_that_exist_and_the_page_has_a_place_for_the_table() -> None:
    for *_, targets in faults.ROWS:
        for file, _, name in (target.partition("::") for target in targets):
            assert f"def {name}(" in (PROJECT / "tests" / file).read_text() or not name
    assert faults.PLACE.search(faults.PAGE.read_text())


@pytest.mark.slow
def test_a_row_without_a_test_of_the_size_or_whose_tests_cannot_run_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "RESULTS", tmp_path / "faults.json")
    monkeypatch.setattr(faults, "PAGE", tmp_path / "page.md")
    faults.PAGE.write_text("<!-- faults -->\n<!-- end of faults -->")
    monkeypatch.setattr(faults, "ROWS", (("kills", "bytes", ["faults/test_kills.py"]),))
    assert faults.main([]) == 0
    assert "not measured" in faults.PAGE.read_text()
    monkeypatch.setattr(faults, "ROWS", (("nothing", "bytes", ["faults/test_nowhere.py"]),))
    with pytest.raises(SystemExit, match="exit code 4: nothing is recorded"):
        faults.main([])
    assert not faults.RESULTS.exists()
