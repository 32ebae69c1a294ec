"""Artifacts on disk: whole or not at all, and what of a damaged one is noticed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import store
from artdetect.artifacts.stages import STAGES, Plan
from artdetect.artifacts.store import Artifact
from artdetect.core import digests
from artdetect.core.errors import ArtifactError
from artdetect.monitoring import staleness
from tests import PROJECT
from tests.damage import every_bit, flipped_bits

PARTS = {"config": {"seed": 3}, "inputs": {"index": "0" * 64}}


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


def make(key: str = "k1", text: str = "hello", stage: str = "audit") -> Artifact:
    with store.build(stage, key, PARTS) as out:
        (out / "audit.json").write_text(text)
        (out / "figures").mkdir()
        (out / "figures" / "one.png").write_bytes(b"picture")
    return store.load(stage, key)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_build_is_published_with_its_record(root: Path) -> None:
    artifact = make()
    assert artifact.folder == root / "audit" / "k1"
    record = artifact.record
    assert record["parts"] == PARTS
    assert (record["stage"], record["key"], record["seed"], record["metrics"]) == ("audit", "k1", 3, {})
    assert record["outputs"]["figures/one.png"] == {
        "bytes": 7,
        "sha256": digests.file_digest(artifact.folder / "figures" / "one.png"),
    }
    assert record["digest"] == artifact.digest
    assert {"started", "seconds", "peak_memory_mb", "host", "revision"} <= record.keys()
    assert store.verify("audit", "k1") is None


def test_the_callers_fields_and_the_metrics_are_in_the_record() -> None:
    with store.build("audit", "k1", PARTS, {"flow_run": {"name": "blue-cat"}}) as out:
        (out / "metrics.json").write_text('{"auc": 0.5}')
    record = store.load("audit", "k1").record
    assert record["flow_run"] == {"name": "blue-cat"}
    assert record["metrics"] == {"auc": 0.5}


def test_an_artifact_reads_its_record_once() -> None:
    artifact = make()
    assert artifact.record["key"] == "k1"
    (artifact.folder / store.RECORD).unlink()
    assert artifact.record["key"] == "k1"
    assert artifact == Artifact.model_validate(artifact.model_dump())


def test_a_check_gives_the_artifact_or_the_reason() -> None:
    artifact = make()
    assert store.check("audit", "k1") == (artifact, None)
    assert store.find("audit", "k1") == artifact
    assert store.check("audit", "k2") == (None, "missing")
    assert store.find("audit", "k2") is None


def test_others_may_read_an_artifact(root: Path) -> None:
    assert make().folder.stat().st_mode & 0o777 == 0o755


def test_equal_outputs_have_equal_digests_whatever_made_them() -> None:
    assert make("k1").digest == make("k2").digest
    assert make("k3", "other").digest != make("k1").digest


def test_a_renamed_output_changes_the_digest() -> None:
    with store.build("audit", "k2", PARTS) as out:
        (out / "renamed.json").write_text("hello")
        (out / "figures").mkdir()
        (out / "figures" / "one.png").write_bytes(b"picture")
    assert store.load("audit", "k2").digest != make("k1").digest


def test_a_build_that_fails_publishes_nothing_and_leaves_nothing(root: Path) -> None:
    def fail() -> None:
        with store.build("audit", "k1", PARTS) as out:
            (out / "audit.json").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(root / "audit") == set()
    assert store.verify("audit", "k1") == "missing"
    assert store.journal("audit") == []


def test_a_failed_rebuild_leaves_the_old_artifact(root: Path) -> None:
    make()
    with pytest.raises(ZeroDivisionError), store.build("audit", "k1", PARTS):
        raise ZeroDivisionError
    assert store.verify("audit", "k1") is None


def test_a_rebuild_replaces_the_old_artifact(root: Path) -> None:
    make(text="old")
    assert (make(text="new").folder / "audit.json").read_text() == "new"
    assert names(root / "audit") == {"k1", "journal.jsonl"}


def test_a_killed_build_leaves_nothing_that_counts_and_is_swept(root: Path) -> None:
    program = """
from artdetect.artifacts import store
with store.build("audit", "k1", {}) as out:
    (out / "audit.json").write_text("half")
    print("writing", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    assert process.stdout
    assert process.stdout.readline() == "writing\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    (leftover,) = names(root / "audit")
    assert leftover.startswith(".k1-")
    assert store.verify("audit", "k1") == "missing"
    assert store.newest("audit") is None
    assert store.journal("audit") == []

    make("k2")
    assert leftover in names(root / "audit")  # of another key: its builder may be alive
    make("k1")
    assert names(root / "audit") == {"k1", "k2", "journal.jsonl"}


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[:-1])
    elif how == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("missing", "missing"),
        ("truncated", "size differs from its record"),
        ("flipped", "content differs from its record"),
        ("a folder", "missing"),
    ],
)
@pytest.mark.parametrize("output", ["audit.json", "figures/one.png"])
def test_a_damaged_output_is_named(output: str, how: str, fault: str) -> None:
    damage(make().folder / output, how)
    assert store.verify("audit", "k1") == f"{output}: {fault}"
    with pytest.raises(ArtifactError, match=f"audit/k1: {output}: {fault}"):
        store.load("audit", "k1")


@pytest.mark.parametrize("how", ["missing", "truncated", "a folder"])
def test_a_damaged_record_is_named(how: str) -> None:
    damage(make().folder / store.RECORD, how)
    assert str(store.verify("audit", "k1")).startswith("record.json: not readable")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "3",
        '{"stage": "audit"}',
        "\0\0\0\0",
        '{"stage": "audit", "key": "k1", "outputs": [], "digest": "x"}',
    ],
)
def test_a_meaningless_record_is_no_crash(content: str) -> None:
    (make().folder / store.RECORD).write_text(content)
    assert str(store.verify("audit", "k1")).startswith("record.json: ")
    assert store.newest("audit") is None


def test_an_edited_record_is_noticed() -> None:
    path = make().folder / store.RECORD
    record = json.loads(path.read_text())
    record["outputs"]["audit.json"]["bytes"] += 1
    path.write_text(json.dumps(record))
    assert store.verify("audit", "k1") == "record.json: not readable, damaged, or not that of an artifact"
    with pytest.raises(ArtifactError, match="differs from its own digest"):
        store.read(path.parent)


def without_digest(path: Path) -> dict:
    """A record as it was written before records had a digest of their own."""
    record = json.loads(path.read_text())
    del record["format"], record["record_digest"]
    return record


def test_a_record_of_an_earlier_version_is_read_and_its_outputs_are_checked() -> None:
    artifact = make()
    path = artifact.folder / store.RECORD
    record = without_digest(path)
    path.write_text(json.dumps(record))
    assert store.load("audit", "k1") == artifact
    record["outputs"]["audit.json"]["bytes"] += 1
    path.write_text(json.dumps(record))
    assert store.verify("audit", "k1") == "record.json: its digest differs from its outputs"


@every_bit
def test_no_flipped_bit_in_a_record_gives_another_record(
    step: int, record_property: Callable[[str, object], None]
) -> None:
    """Parts, metrics, seed, host and times were covered by nothing."""
    folder = make().folder
    path = folder / store.RECORD
    good, expected = path.read_bytes(), store.read(folder).record
    refused = 0
    for bit, damaged in enumerate(flipped_bits(good, step)):
        path.write_bytes(damaged)
        try:
            assert store.read(folder).record == expected, bit
        except ArtifactError:
            refused += 1
    assert refused > 6 * len(good) / step
    record_property("tries", bit + 1)


def test_the_digest_of_a_record_changes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later stages name an artifact by the digest of its outputs, which the record has no part in."""
    before = make("k1").digest
    monkeypatch.setattr(store.host, "description", lambda: {"name": "another machine"})
    assert make("k2").digest == before
    assert store.load("audit", "k1").record["record_digest"] != store.load("audit", "k2").record["record_digest"]


def test_a_folder_under_another_key_does_not_count(root: Path) -> None:
    make("k1").folder.rename(root / "audit" / "k2")
    assert store.verify("audit", "k2") == "record.json: it is that of audit/k1"


def test_files_beside_the_outputs_do_not_matter() -> None:
    artifact = make()
    (artifact.folder / store.CACHE_ENTRY).write_text("{}")
    assert store.load("audit", "k1") == artifact


def test_the_journal_lists_builds_in_order_also_deleted_ones() -> None:
    make("k1")
    make("k2")
    damage(store.place("audit", "k1") / store.RECORD, "missing")
    assert [entry["key"] for entry in store.journal("audit")] == ["k1", "k2"]
    assert store.journal("audit")[0]["parts"] == PARTS


def test_the_journal_forgets_the_builds_of_long_ago(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("k0")
    journals = [root / "audit" / name for name in (store.JOURNAL, store.OLDER_JOURNAL)]
    entry = journals[0].stat().st_size
    monkeypatch.setattr(store, "MAX_JOURNAL", 3 * entry)
    keys = ["k0"]
    for number in range(1, 20):
        make(f"k{number}")
        keys.append(f"k{number}")
        kept = [entry["key"] for entry in store.journal("audit")]
        assert kept == keys[-len(kept) :]
        assert len(kept) >= min(len(keys), 3)
        assert sum(file.stat().st_size for file in journals if file.exists()) < 9 * entry
    assert not {"k0", "k9"} & {*kept}


@pytest.mark.parametrize("torn", [b'{"key": "k9", "par', b"\0" * 30, b"\xff\xfe", b"3", b"null", b"{}"])
def test_a_torn_journal_line_costs_that_line_only(root: Path, torn: bytes) -> None:
    make("k1")
    with (root / "audit" / "journal.jsonl").open("ab") as journal:
        journal.write(torn)
    make("k2")
    assert [entry["key"] for entry in store.journal("audit")] == ["k1", "k2"]
    assert staleness.reasons(Plan(STAGES["audit"], {"config": {"seed": 4}}, "k3")) == ["audit.seed 3 → 4"]


def test_the_newest_artifact_is_the_last_built_intact_one() -> None:
    assert store.newest("audit") is None
    make("b")
    make("c")
    make("a")
    assert store.newest("audit") == store.load("audit", "a")
    damage(store.place("audit", "a") / "audit.json", "flipped")
    assert store.newest("audit") == store.load("audit", "c")
    damage(store.place("audit", "c") / store.RECORD, "missing")
    assert store.newest("audit") == store.load("audit", "b")


def test_rebuilding_the_same_key_makes_it_the_newest() -> None:
    make("a")
    make("b")
    make("a")
    assert store.newest("audit") == store.load("audit", "a")


def test_an_artifact_moves_with_its_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = make()
    root.rename(root.with_name("elsewhere"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(root.with_name("elsewhere")))
    assert store.load("audit", "k1") == artifact


def test_the_reasons_compare_with_the_most_similar_build() -> None:
    for key, seed, digest in (("k1", 3, "a"), ("k2", 5, "b")):
        with store.build("audit", key, {"config": {"seed": seed}, "inputs": {"index": digest * 64}}):
            pass
    plan = Plan(STAGES["audit"], {"config": {"seed": 4}, "inputs": {"index": "a" * 64}}, "k3")
    assert staleness.reasons(plan) == ["audit.seed 3 → 4"]
    assert staleness.reasons(Plan(STAGES["audit"], {}, "k2")) == ["its artifact was deleted"]
    assert staleness.reasons(Plan(STAGES["balance"], {}, "k1")) == ["never built"]
