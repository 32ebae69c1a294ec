"""What was tried to break it, how often, and what survived: the table of docs/explanation/reliability.md.

    python -m benchmarks.faults            # what `make test` tries
    python -m benchmarks.faults --slow     # all that `make test-all` tries
    python -m benchmarks.faults --full     # the same with 100 kills and 50,000 pictures; hours

A row is a kind of fault and the tests that make it. A test may say how often it tries (`record_property("tries", n)`);
otherwise it counts once.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.harness import PROJECT, stamp, table

PAGE = PROJECT / "docs" / "explanation" / "reliability.md"
PLACE = re.compile(r"(?<=<!-- faults -->\n).*(?=<!-- end of faults -->)", re.DOTALL)
FULL = {"FAULTS_KILLS": "100", "FAULTS_PICTURES": "50000"}

BYTES, LINE, NOTICED = "the bytes of an undisturbed run", "one clear line, nothing half there", "noticed, file named"
ROWS = (
    # what is done, what it must give, the tests that do it: files, or single tests
    ("whole runs killed at seeded moments", BYTES, ["faults/test_kills.py"]),
    ("index and decode killed at seeded calls", BYTES, ["test_crash_recovery.py"]),
    ("training, search and waiting runs killed", BYTES, [
        "flows/test_code_changes_and_crashes.py",
        "flows/test_tune.py::test_killed_it_goes_on_and_ends_as_if_it_never_was",
    ]),
    ("publication, promotion, collection killed before each step", "the old or the new one, whole", [
        "artifacts/test_publication_steps.py",
        "housekeeping/test_garbage_collection.py::test_a_kill_at_any_writing_call_leaves_only_whole_artifacts",
    ]),
    ("ingest killed before each change of a file", "nothing lost or twice", ["ingest/test_crash_recovery.py"]),
    ("bits flipped in every file of artifacts", NOTICED, ["faults/test_damaged_artifacts.py"]),
    ("bits flipped in records, answers, explanations", NOTICED, [
        "artifacts/test_store.py::test_no_flipped_bit_in_a_record_gives_another_record",
        "core/test_json_cache.py",
        "explain/test_explanation.py::test_no_flipped_bit_in_a_file_gives_another_explanation",
    ]),
    ("bits flipped in first, middle and last records of caches", BYTES, [
        "pictures/test_pixel_cache_writers.py", "pictures/test_pixel_cache_damage.py", "model/test_feature_cache.py",
        "train/test_artnet.py::test_flipped_bits_in_the_caches_give_the_same_model",
    ]),
    ("disk full at each part of a whole run, then more room", f"{LINE}; then {BYTES}", [
        "faults/test_disks.py::test_a_full_disk_at_any_stage_is_one_line_and_with_more_room_the_run_ends",
    ]),
    ("disk read-only at each stage, then writable", f"{LINE}; then {BYTES}", [
        "faults/test_disks.py::test_a_read_only_disk_at_any_stage_is_one_line_and_writable_the_run_ends",
    ]),
    ("disk full in download, unpacking, tables and output", LINE, ["download/test_faults.py", "cli/test_output.py"]),
    ("pictures vanished, replaced, touched, added", "only what depends on them runs", [
        "flows/test_incremental_runs.py", "flows/test_errors.py",
    ]),
    ("runs at once, champions promoted under requests", "one builds, all agree", [
        "flows/test_code_changes_and_crashes.py::test_two_runs_at_once_build_nothing_twice",
        "artifacts/test_registry.py::test_concurrent_promotions_are_all_in_the_history",
        "serve/test_serve.py::test_a_promotion_and_a_rollback_take_effect_with_the_next_request",
    ]),
    ("mutated pictures through `predict`", "a verdict or a reason each", [
        "faults/test_mutated_files.py::test_mutated_pictures_get_a_verdict_or_a_reason_each",
        "pictures/test_bad_images.py",
    ]),
    ("pictures that ask for too much work, or 178 megapixels", "a reason, or bounded memory", [
        "pictures/test_decode_limits.py", "serve/test_decoding.py", "faults/test_large_pictures.py",
    ]),
    ("mutated Parquet tables and configs", "read, or one line", [
        "faults/test_mutated_files.py::test_mutated_parquet_tables_of_sources_are_read_or_one_line",
        "faults/test_mutated_files.py::test_mutated_configs_are_read_or_one_line",
    ]),
    ("hostile archives", LINE, ["download/test_extract.py"]),
    ("hostile model files", "one line, no code runs", ["model/test_detector.py", "model/test_head_file.py"]),
    ("control characters in names, notices, cards, requests", "escaped on terminals", ["faults/test_hostile_text.py"]),
    ("foreign Host and Origin, pages of other sites", "refused", ["web/test_guard.py", "flows/test_web_attacks.py"]),
    ("slow, idle and greedy connections", "nobody else waits", ["serve/test_starvation.py"]),
    ("stopped and killed services and runs of Prefect", "slots are free again", [
        "flows/test_orphaned_runs.py",
        "flows/test_unattended.py::test_a_run_that_was_being_submitted_when_the_services_stopped_blocks_nothing",
    ]),
    ("connections to other machines", "none", ["test_no_connections.py"]),
)  # fmt: skip


@dataclass
class Tally:
    """What became of the tests of a row."""

    tests: int = 0
    tried: int = 0
    survived: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests, and write the table; the exit code is 1 if something did not survive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="The table of faults.")
    parser.add_argument("--slow", action="store_true", help="also the tests that are marked slow")
    parser.add_argument("--full", action="store_true", help="all tests, with 100 kills and 50,000 pictures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="artdetect-") as scratch:
        report = Path(scratch) / "junit.xml"
        targets = dict.fromkeys(f"tests/{target}" for *_, targets in ROWS for target in targets)
        chosen = [] if options.slow or options.full else ["-m", "not slow"]
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *chosen, f"--junit-xml={report}"]
        command += ["-o", "junit_family=xunit1"]  # has room for the tries
        environment = os.environ | (FULL if options.full else {})
        subprocess.run([*command, *targets], cwd=PROJECT, env=environment, check=False)
        cases = list(read(report))
    rows, failed = [], 0
    for fault, expected, targets in ROWS:
        found = tally(cases, targets)
        failed += found.survived < found.tried
        counts = [f"{found.tests:,}", f"{found.tried:,}", f"{found.survived:,}", f"{found.skipped:,}"]
        rows.append([fault, expected, *counts, "; ".join(found.notes)])
    heads = ["what is done", "what it must give", "tests", "tries", "survived", "skipped", "note"]
    which = "all tests, at full size" if options.full else "all tests" if options.slow else "the quick tests"
    text = f"{table(heads, rows)}\n\n{which.capitalize()}. {stamp()}\n"
    PAGE.write_text(PLACE.sub(lambda _: text, PAGE.read_text()))
    print(text)
    return int(failed > 0)


@dataclass(frozen=True)
class Case:
    """A test that ran. `target` is `file::test` below tests/, without parameters."""

    target: str
    outcome: str  # passed, failed or skipped
    properties: dict[str, str]


def read(report: Path) -> Iterator[Case]:
    """The cases in pytest's XML report."""
    for element in ElementTree.parse(report).iter("testcase"):
        module = element.get("classname", "").removeprefix("tests.").replace(".", "/")
        states = {child.tag for child in element}
        outcome = "failed" if states & {"failure", "error"} else "skipped" if "skipped" in states else "passed"
        properties = {item.get("name", ""): item.get("value", "") for item in element.iter("property")}
        yield Case(f"{module}.py::{element.get('name', '').partition('[')[0]}", outcome, properties)


def tally(cases: Sequence[Case], targets: Sequence[str]) -> Tally:
    """Count the cases of a row."""
    found = Tally()
    for case in cases:
        if not any(case.target == target or case.target.startswith(f"{target}::") for target in targets):
            continue
        tries = int(case.properties.get("tries", 1))
        found.tests += 1
        if case.outcome == "skipped":
            found.skipped += 1
            continue
        found.tried += tries
        found.survived += tries if case.outcome == "passed" else 0
        found.notes += [note] if (note := case.properties.get("note")) else []
    return found


if __name__ == "__main__":
    sys.exit(main())
