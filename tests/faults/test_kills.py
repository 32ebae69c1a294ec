"""A whole run, killed anywhere from the download to the promotion and the report, ends as if it never was."""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.faults import whole_run as runs
from tests.faults.conftest import WholeRun

MOMENTS = int(os.environ.get("FAULTS_KILLS", "5"))


@pytest.mark.slow
def test_killed_at_seeded_moments_the_next_run_ends_with_the_same_digests(
    whole_run: WholeRun, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: object
) -> None:
    def outcome(root: Path) -> dict[str, str]:
        monkeypatch.setenv("ARTDETECT_DATA", str(root / "data"))
        monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        return runs.outcome(root)

    expected = outcome(undisturbed)
    assert len(expected) == 10
    changes = int(Path(f"{undisturbed}.changes").read_text())
    moments = sorted(random.Random(129).sample(range(1, changes), MOMENTS))
    reached, killed = set(), 0
    for moment in moments:
        root = tmp_path / str(moment)
        code = whole_run(root, moment)
        assert code in (-signal.SIGKILL, 0)
        killed += code != 0  # the first run of a process makes a few changes more, so a last moment may not come
        partial = outcome(root)  # every artifact that is there is whole
        assert partial.items() - {("champion", "none")} <= expected.items()
        reached.add(len(partial))
        assert whole_run(root) == 0
        assert outcome(root) == expected, f"killed before change {moment} of {changes}"
    assert MOMENTS < 5 or len(reached) > 1  # the kills hit different stages
    assert killed >= 0.9 * MOMENTS
    record_property("tries", killed)
