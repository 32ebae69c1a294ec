import json
from pathlib import Path

import pandas as pd
import pytest

from artdetect import audit, index
from artdetect.audit import EXAMPLES, AuditConfig, findings
from artdetect.index import IndexConfig, scan
from tests.tiny import data_set, jpeg, write


@pytest.fixture
def root(roots: Path) -> Path:
    return data_set(roots / "data" / "raw" / "art")


def audited(root: Path, out: Path) -> dict:
    out.mkdir()
    index.run(IndexConfig(), scan.scan(root), out)
    audit.run(AuditConfig(), out, out)
    return json.loads((out / "audit.json").read_text())


def test_a_clean_set_has_counts_and_no_findings(root: Path, tmp_path: Path) -> None:
    found = audited(root, tmp_path / "out")
    assert found["pictures"] == 24
    for finding in ("unreadable", "duplicates", "train_test_overlap", "two_labels"):
        assert found[finding] == {"count": 0, "examples": []}
    assert found["skipped"] == {}
    assert sum(row["pictures"] for row in found["counts"]) == 24
    assert {
        "label": "AI",
        "generator": "stable_diffusion",
        "style": "ukiyo_e",
        "split": "train",
        "pictures": 4,
    } in found["counts"]


def test_a_picture_in_train_and_in_test_is_found(root: Path, tmp_path: Path) -> None:
    write(root / "test" / "baroque" / "leak.jpg", (root / "train" / "baroque" / "000.jpg").read_bytes())
    found = audited(root, tmp_path / "out")
    pair = {"count": 1, "examples": ["test/baroque/leak.jpg = train/baroque/000.jpg"]}
    assert found["train_test_overlap"] == found["duplicates"] == pair
    assert found["two_labels"]["count"] == 0


def test_a_picture_under_two_labels_is_found(root: Path, tmp_path: Path) -> None:
    write(root / "train" / "AI_LD_baroque" / "stolen.jpg", (root / "train" / "baroque" / "000.jpg").read_bytes())
    found = audited(root, tmp_path / "out")
    pair = {"count": 1, "examples": ["train/AI_LD_baroque/stolen.jpg = train/baroque/000.jpg"]}
    assert found["two_labels"] == found["duplicates"] == pair
    assert found["train_test_overlap"]["count"] == 0


def test_three_copies_are_one_group(root: Path, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write(root / "train" / "baroque" / name, (root / "train" / "baroque" / "000.jpg").read_bytes())
    group = "train/baroque/000.jpg = train/baroque/a.jpg = train/baroque/b.jpg"
    assert audited(root, tmp_path / "out")["duplicates"] == {"count": 1, "examples": [group]}


def test_unreadable_and_skipped_files_are_counted_and_named(root: Path, tmp_path: Path) -> None:
    write(root / "train" / "baroque" / "empty.jpg", b"")
    write(root / "train" / "baroque" / "also.jpg", b"")  # the same content: no duplicate, as it is no picture
    write(root / "train" / "ai_x" / "a.jpg", jpeg(1))
    found = audited(root, tmp_path / "out")
    assert found["pictures"] == 26
    assert found["unreadable"]["count"] == 2
    assert found["unreadable"]["examples"][0] == "train/baroque/also.jpg: the file is empty"
    assert found["duplicates"]["count"] == 0
    assert found["skipped"] == {"folder name says neither AI nor human": {"count": 1, "examples": ["train/ai_x/a.jpg"]}}


def test_a_set_without_one_readable_picture_is_audited_too(roots: Path, tmp_path: Path) -> None:
    write(roots / "data" / "art" / "train" / "baroque" / "empty.jpg", b"")
    found = audited(roots / "data" / "art", tmp_path / "out")
    assert (found["pictures"], found["unreadable"]["count"], found["counts"]) == (1, 1, [])


def test_file_properties_show_what_tells_the_generators_apart(root: Path, tmp_path: Path) -> None:
    for number in range(4):
        write(root / "train" / "AI_SD_ukiyo_e" / f"{number:03d}.jpg", jpeg(number, side=48, quality=95))
    rows = {row["generator"]: row for row in audited(root, tmp_path / "out")["file_properties"]}
    assert rows["human"]["width"] == "24"
    assert rows["stable_diffusion"]["width"] == "24–48"
    assert rows["human"]["jpeg_quality"] == "75"
    assert rows["stable_diffusion"]["jpeg_quality"] == "75–95"
    assert rows["human"]["format"] == "JPEG"


def test_examples_are_limited_and_counts_are_not() -> None:
    rows = [(f"train/x/{i}.jpg", "human", "train", "x", "human", False, "broken") for i in range(3 * EXAMPLES)]
    columns = ["path", "label", "split", "style", "generator", "ok", "error"]
    facts = dict.fromkeys(("sha256", "format", "width", "height", "jpeg_quality", "bytes", "has_exif"))
    found = findings(pd.DataFrame(rows, columns=columns).assign(**facts))
    assert (found["unreadable"]["count"], len(found["unreadable"]["examples"])) == (3 * EXAMPLES, EXAMPLES)
