"""What was tried to break it, how often, and what survived: the table of docs/explanation/reliability.md.

    python -m benchmarks.faults            # what `make test` tries
    python -m benchmarks.faults --slow     # all that `make test-all` tries
    python -m benchmarks.faults --full     # the same with 100 kills and 50,000 pictures; hours
    python -m benchmarks.faults --slow --reports test.xml slow.xml    # from runs of the whole suite

A row is a kind of fault and the tests that make it. A test may say how often it tries (`record_property("tries", n)`);
otherwise it counts once. Each row's result is kept in faults.json as soon as it is there, with its commit. So the
command goes on where it was stopped: it runs the rows that have no result of this commit and size. Instead it can read
what pytest reported of `make test` and of `make test-slow`, with `PYTEST_ADDOPTS=--junit-xml=FILE`, at this commit.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.harness import PROJECT, commit, stamp, table

PAGE = PROJECT / "docs" / "explanation" / "reliability.md"
PLACE = re.compile(r"(?<=<!-- faults -->\n).*(?=<!-- end of faults -->)", re.DOTALL)
RESULTS = PROJECT / "benchmarks" / "faults.json"
SIZES = ("quick", "slow", "full")
RAN, NONE_CHOSEN = (0, 1), 5  # exit codes of pytest: all passed or some failed; no test was chosen
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
    ("disk full or read-only at each stage, then not", f"{LINE}; then {BYTES}", ["faults/test_disks.py"]),
    ("disk full in download, unpacking, tables and output", LINE, ["download/test_faults.py", "cli/test_output.py"]),
    ("pictures vanished, replaced, touched, added", "only what depends on them runs", [
        "flows/test_incremental_runs.py", "flows/test_errors.py",
    ]),
    ("eight runs of four configs and collections at once", "one builds, nothing is taken away", [
        "flows/test_at_once.py::test_eight_runs_of_four_configs_beside_collections",
        "flows/test_code_changes_and_crashes.py::test_two_runs_at_once_build_nothing_twice",
    ]),
    ("ingests beside a retraining", "nothing lost, the next one finds them", [
        "flows/test_at_once.py::test_ingests_beside_a_retraining",
    ]),
    ("promotions beside requests to `serve`, and at once", "each answer is one champion's", [
        "serve/test_serve.py::test_twenty_promotions_beside_a_thousand_requests",
        "serve/test_serve.py::test_a_promotion_and_a_rollback_take_effect_with_the_next_request",
        "artifacts/test_registry.py::test_concurrent_promotions_are_all_in_the_history",
    ]),
    ("the clock set back by 90 days", "all goes on, `doctor` says it", [
        "flows/test_clock.py",
        "artifacts/test_run_ledger.py::test_runs_of_the_future_are_no_recent_ones_and_the_clock_is_named",
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
    ("Prefect's server killed, its database locked", "goes on, or one line and then goes on", [
        "flows/test_server_lost.py",
    ]),
    ("Prefect's database deleted, damaged or read-only", "goes on, or one line and then goes on", [
        "flows/test_database_lost.py",
    ]),
    ("runs ended by Ctrl-C", "cancelled, no alert, the next one goes on", [
        "core/test_interrupts.py", "flows/test_interrupted.py",
    ]),
    ("stopped and killed services and runs of Prefect", "slots are free again", [
        "flows/test_orphaned_runs.py",
        "flows/test_unattended.py::test_a_run_that_was_being_submitted_when_the_services_stopped_blocks_nothing",
        "flows/test_unattended.py::test_a_killed_server_and_a_killed_worker_come_back",
        "flows/test_unattended.py::test_a_cancelled_run_that_has_to_be_killed_blocks_nothing",
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
    size: str = "quick"  # one of SIZES
    commit: str = ""
    day: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests of the rows that need it, and write the table; the exit code is 1 if something did not survive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="The table of faults.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--slow", action="store_const", dest="size", const="slow", help="also the tests marked slow")
    size.add_argument("--full", action="store_const", dest="size", const="full", help="100 kills, 50,000 pictures")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows with this text in their name")
    parser.add_argument("--keep", action="store_true", help="results of earlier commits count, too")
    parser.add_argument("--reports", nargs="+", type=Path, metavar="FILE", help="pytest's XML reports of this commit")
    parser.set_defaults(size="quick")
    options = parser.parse_args(arguments)
    reported = [case for report in options.reports or () for case in read(report)]
    results = kept()
    for fault, _, targets in ROWS:
        if options.rows in fault and not _is_done(results.get(fault), options.size, options.keep):
            print(f"{fault}: ...", flush=True)
            found = tally(reported, targets, options.size) if reported else measured(targets, options.size)
            if not found.tests:
                print(f"{fault}: no test of the size {options.size}")
                continue
            results[fault] = found
            RESULTS.write_text(json.dumps({name: asdict(found) for name, found in results.items()}, indent=1) + "\n")
    text = page(results)
    PAGE.write_text(PLACE.sub(lambda _: text, PAGE.read_text()))
    print(text)
    return int(any(found.survived < found.tried for found in results.values()))


def kept() -> dict[str, Tally]:
    """The results that are kept, by the name of the row."""
    content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {fault: Tally(**content[fault]) for fault, *_ in ROWS if fault in content}


def _is_done(found: Tally | None, size: str, keep: bool) -> bool:
    return (
        found is not None
        and found.survived == found.tried
        and SIZES.index(found.size) >= SIZES.index(size)
        and (keep or found.commit == commit())
    )


def measured(targets: Sequence[str], size: str) -> Tally:
    """Run the tests of a row.

    Args:
        targets: The tests, as in `ROWS`.
        size: One of `SIZES`.

    Returns:
        The result; without tests if none of them is of this size.

    Raises:
        SystemExit: pytest could not run them, or was killed.
    """
    with tempfile.TemporaryDirectory(prefix="artdetect-") as scratch:
        report = Path(scratch) / "junit.xml"
        chosen = ["-m", "not slow"] if size == "quick" else []
        command = [sys.executable, "-m", "pytest", "-q", *chosen, f"--junit-xml={report}"]
        command += ["-o", "junit_family=xunit1"]  # has room for the tries
        environment = os.environ | (FULL if size == "full" else {})
        files = [f"tests/{target}" for target in targets]
        code = subprocess.run([*command, *files], cwd=PROJECT, env=environment, check=False).returncode
        if code not in (*RAN, NONE_CHOSEN):
            sys.exit(f"pytest ended with exit code {code}: nothing is recorded")
        return tally(list(read(report)), targets, size)


def page(results: dict[str, Tally]) -> str:
    """The table, with a line per row that has a result."""
    rows = []
    for fault, expected, _ in ROWS:
        if found := results.get(fault):
            counts = [f"{count:,}" for count in (found.tests, found.tried, found.survived, found.skipped)]
            measured_at = f"{found.day}, {found.commit.removeprefix('Commit ')}, {found.size}"
            rows.append([fault, expected, *counts, "; ".join(found.notes), measured_at])
        else:
            rows.append([fault, expected, *(["-"] * 4), "", "not measured"])
    heads = ["what is done", "what it must give", "tests", "tries", "survived", "skipped", "note", "measured"]
    return f"{table(heads, rows)}\n\n{stamp()}\n"


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


def tally(cases: Sequence[Case], targets: Sequence[str], size: str) -> Tally:
    """Count the cases of a row, which ran at this commit; `targets` and `size` as for `measured`."""
    found = Tally(size=size, commit=commit(), day=f"{datetime.now(UTC):%Y-%m-%d}")
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
