"""The audit of folders of pictures: the findings, their sentences, and what stops a run."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import audit, config, index
from artdetect.audit import folder_names
from artdetect.audit.config import AuditConfig, Level
from artdetect.audit.findings import MAX_EXAMPLES, MAX_NAMED
from artdetect.core.errors import AuditFailed, ConfigError
from artdetect.index import scan
from artdetect.index.config import IndexConfig
from tests.tiny_dataset import data_set, jpeg, write

NAMES = [
    "unreadable", "duplicates", "near_duplicates", "train_test_overlap", "two_labels", "low_information",
    "folder_grammar", "shortcut",
]  # fmt: skip


@pytest.fixture
def root(roots: Path) -> Path:
    return data_set(roots / "data" / "raw" / "art")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def audited(root: Path, out: Path, **options: object) -> dict[str, dict]:
    """Audit a folder into `out` and return the findings by name."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    index.run(IndexConfig(), scan.scan(root), out)
    audit.run(AuditConfig(**options), out, root, out)
    return {finding["name"]: finding for finding in read(out)["findings"]}


def read(out: Path) -> dict:
    return json.loads((out / "audit.json").read_text())


def copy(source: Path, target: Path) -> None:
    write(target, source.read_bytes())


def saved_twice(first: Path, second: Path) -> None:
    """Write a picture of soft colours, and the same at half the size and another quality."""
    colours = np.random.default_rng(len(str(second.name))).integers(0, 256, (9, 9, 3), np.uint8)
    picture = Image.fromarray(colours).resize((192, 192), Image.Resampling.BICUBIC)
    for path, side, quality in ((first, 192, 90), (second, 96, 60)):
        buffer = io.BytesIO()
        picture.resize((side, side)).save(buffer, "JPEG", quality=quality)
        write(path, buffer.getvalue())


def test_a_clean_set_has_counts_and_no_findings(root: Path, out: Path) -> None:
    found = audited(root, out)
    assert list(found) == NAMES
    for name in NAMES[:-1]:
        assert (found[name]["fired"], found[name]["count"], found[name]["examples"]) == (False, 0, []), name
        assert found[name]["level"] == "warn"
    assert read(out)["pictures"] == 24
    assert sum(row["pictures"] for row in read(out)["counts"]) == 24
    assert {
        "label": "AI",
        "generator": "stable_diffusion",
        "style": "ukiyo_e",
        "split": "train",
        "pictures": 4,
    } in read(out)["counts"]
    assert not (out / "audit_examples.png").exists()
    assert pd.read_parquet(out / "groups.parquet").empty


def test_findings_and_rules_correspond(root: Path, out: Path) -> None:
    rules = [name for name, field in AuditConfig.model_fields.items() if field.annotation == Level]
    assert rules == list(audited(root, out)) == NAMES
    assert all(AuditConfig.model_fields[name].description for name in AuditConfig.model_fields)


def test_a_picture_in_train_and_in_test_is_found(root: Path, out: Path) -> None:
    copy(root / "train" / "baroque" / "000.jpg", root / "test" / "baroque" / "leak.jpg")
    found = audited(root, out)
    for name in ("train_test_overlap", "duplicates"):
        assert found[name]["fired"]
        assert found[name]["count"] == 1
        assert found[name]["examples"] == ["test/baroque/leak.jpg = train/baroque/000.jpg"]
    assert "1 with the same content, 0 that only look alike" in found["train_test_overlap"]["sentence"]
    assert not found["two_labels"]["fired"]
    assert not found["near_duplicates"]["fired"]
    assert (out / "audit_examples.png").stat().st_size > 1000


def test_a_near_duplicate_in_train_and_in_test_is_found(root: Path, out: Path) -> None:
    saved_twice(root / "train" / "baroque" / "000.jpg", root / "test" / "baroque" / "leak.jpg")
    found = audited(root, out)
    for name in ("train_test_overlap", "near_duplicates"):
        assert found[name]["examples"] == ["test/baroque/leak.jpg ≈ train/baroque/000.jpg"]
    assert "0 with the same content, 1 that only looks alike" in found["train_test_overlap"]["sentence"]
    assert not found["duplicates"]["fired"]
    assert not audited(root, out, near_distance=0)["duplicates"]["fired"]


def test_a_picture_under_two_labels_is_found_if_identical_or_alike(root: Path, out: Path) -> None:
    copy(root / "train" / "baroque" / "000.jpg", root / "train" / "AI_LD_baroque" / "stolen.jpg")
    saved_twice(root / "train" / "ukiyo-e" / "001.jpg", root / "train" / "AI_SD_ukiyo_e" / "traced.jpg")
    found = audited(root, out)["two_labels"]
    assert found["count"] == 2
    assert "1 with the same content, 1 that only looks alike" in found["sentence"]
    assert found["examples"] == [
        "train/AI_LD_baroque/stolen.jpg = train/baroque/000.jpg",
        "train/AI_SD_ukiyo_e/traced.jpg ≈ train/ukiyo-e/001.jpg",
    ]
    assert not audited(root, out)["train_test_overlap"]["fired"]


def test_groups_of_duplicates_are_written_for_balance(root: Path, out: Path) -> None:
    copy(root / "train" / "baroque" / "000.jpg", root / "train" / "baroque" / "copy.jpg")
    saved_twice(root / "test" / "ukiyo-e" / "001.jpg", root / "train" / "AI_SD_ukiyo_e" / "traced.jpg")
    write(root / "train" / "baroque" / "broken.jpg", b"")
    write(root / "train" / "baroque" / "broken2.jpg", b"")
    audited(root, out)
    groups = pd.read_parquet(out / "groups.parquet")
    assert list(groups.columns) == ["path", "group"]
    assert str(groups.group.dtype) == "int64"
    assert list(groups.itertuples(index=False, name=None)) == [
        ("test/ukiyo-e/001.jpg", 0),
        ("train/AI_SD_ukiyo_e/traced.jpg", 0),
        ("train/baroque/000.jpg", 1),
        ("train/baroque/copy.jpg", 1),
    ]


def test_many_copies_are_one_group_with_some_members_named(root: Path, out: Path) -> None:
    for number in range(MAX_NAMED + 2):
        copy(root / "train" / "baroque" / "000.jpg", root / "train" / "baroque" / f"z{number}.jpg")
    found = audited(root, out)["duplicates"]
    assert found["count"] == 1
    assert found["sentence"].startswith(f"1 content occurs in {MAX_NAMED + 3} files")
    assert found["examples"][0].startswith("train/baroque/000.jpg = train/baroque/z0.jpg = ")
    assert found["examples"][0].endswith(" and 3 more")


def test_unreadable_pictures_are_counted_and_named(root: Path, out: Path) -> None:
    write(root / "train" / "baroque" / "empty.jpg", b"")
    write(
        root / "train" / "baroque" / "also.jpg", b""
    )  # the same content, but not a duplicate, because it is not a picture
    found = audited(root, out)
    assert read(out)["pictures"] == 26
    assert found["unreadable"]["count"] == 2
    assert found["unreadable"]["examples"][0] == "train/baroque/also.jpg: the file is empty"
    assert not found["duplicates"]["fired"]


def test_flat_pictures_are_named_and_are_not_near_duplicates(root: Path, out: Path) -> None:
    for number, grey in enumerate((0, 128, 255)):
        buffer = io.BytesIO()
        Image.new("L", (30, 30), grey).save(buffer, "PNG")
        write(root / "train" / "baroque" / f"flat{number}.png", buffer.getvalue())
    found = audited(root, out)
    assert found["low_information"]["count"] == 3
    assert found["low_information"]["examples"][0] == "train/baroque/flat0.png: contrast 0"
    assert not found["near_duplicates"]["fired"]
    assert (out / "audit_examples.png").exists()


def test_skipped_files_are_counted_by_reason_and_near_misses_are_named(root: Path, out: Path) -> None:
    for place in ("ai_sd_ukiyo_e/a.jpg", "ai_sd_ukiyo_e/b.jpg", "AI-baroque/a.jpg", "midjourney baroque/a.jpg"):
        write(root / "train" / place, jpeg(len(place)))
    for place in ("__MACOSX/train/baroque/._a.jpg", "train/baroque/._000.jpg", "train/notes.txt", "NOTICE.txt"):
        write(root / place, b"-")
    found = audited(root, out)["folder_grammar"]
    assert found["count"] == 7
    assert "6 files are skipped" in found["sentence"]
    assert (
        "folder name says neither AI nor human: 3; leftovers of macOS: 2; not a picture by its name: 1"
        in (found["sentence"])
    )
    assert "1 picture counts as human art" in found["sentence"]
    examples = " | ".join(found["examples"])
    assert (
        "train/ai_sd_ukiyo_e: 2 files, folder name says neither AI nor human; did you mean AI_SD_ukiyo_e?" in examples
    )
    assert "train/midjourney baroque: 1 picture counted as human art" in examples
    assert "NOTICE" not in examples


@pytest.mark.parametrize(
    ("folder", "suggestion"),
    [
        ("train/ai_sd_ukiyo_e", "AI_SD_ukiyo_e"),
        ("train/AI-LD-baroque", "AI_LD_baroque"),
        ("train/Ai_mj_pop art", "AI_mj_pop art"),
        ("train/AI-baroque", None),
        ("train/_odd", None),
        ("train/<b>", None),
    ],
)
def test_a_likely_folder_name_is_suggested(folder: str, suggestion: str | None) -> None:
    assert folder_names.suggest(folder) == suggestion


def test_styles_that_only_contain_a_generator_word_are_not_suspicious() -> None:
    paths = [f"train/{style}/a.jpg" for style in ("baroque", "airbrush", "ganado", "sdruciolo", "saint-denis")]
    assert not folder_names.suspicious(paths)
    assert folder_names.suspicious(["train/SD_baroque/a.jpg", "train/stable diffusion/a.jpg"]).total() == 2


def test_a_set_without_a_readable_picture_is_audited_too(roots: Path, out: Path) -> None:
    write(roots / "data" / "art" / "train" / "baroque" / "empty.jpg", b"")
    found = audited(roots / "data" / "art", out)
    assert (read(out)["pictures"], found["unreadable"]["count"], read(out)["counts"]) == (1, 1, [])
    assert "Not measured: too few pictures of a class" in found["shortcut"]["sentence"]
    assert list(pd.read_parquet(out / "groups.parquet").columns) == ["path", "group"]


def test_the_sources_of_each_class_are_counted(root: Path, out: Path) -> None:
    write(root / "sources.csv", b"path,source\ntrain/baroque/000.jpg,Hals\ntrain/AI_LD_baroque/000.jpg,Hals\n")
    audited(root, out)
    found = [(row["label"], row["source"], row["pictures"]) for row in read(out)["sources"]]
    assert found == [
        ("AI", "stable_diffusion", 6), ("AI", "latent_diffusion", 5), ("AI", "Hals", 1),
        ("human", "ukiyo_e", 6), ("human", "baroque", 5), ("human", "Hals", 1),
    ]  # fmt: skip


def test_file_properties_show_how_the_generators_differ(root: Path, out: Path) -> None:
    for number in range(4):
        write(root / "train" / "AI_SD_ukiyo_e" / f"{number:03d}.jpg", jpeg(number, side=48, quality=95))
    audited(root, out)
    rows = {row["generator"]: row for row in read(out)["file_properties"]}
    assert rows["human"]["width"] == "24"
    assert rows["stable_diffusion"]["width"] == "24–48"
    assert rows["human"]["jpeg_quality"] == "75"
    assert rows["stable_diffusion"]["jpeg_quality"] == "75–95"
    assert rows["human"]["format"] == "JPEG"


@pytest.mark.slow
def test_the_shortcut_of_the_demo_set_is_found_and_named(pictures: Path, out: Path) -> None:
    """One simulated generator writes files of 768 px, all others 256 px, as in AI-ArtBench."""
    found = audited(pictures, out)["shortcut"]
    assert found["fired"]
    assert "width" in found["sentence"]
    assert "stable_diffusion 1.000" in found["sentence"]
    measured = read(out)["shortcut"]
    alone = {row["name"]: row["auc"] for row in measured["properties"]}
    assert alone["width"]["value"] == pytest.approx(0.75, abs=0.03)
    assert alone["width"]["low"] > 0.5
    assert measured["pictures"] == {"AI": 36, "human": 18}
    assert not audited(pictures, out, shortcut_auc=1.0)["shortcut"]["fired"]


def test_examples_are_limited_and_counts_are_not(root: Path, out: Path) -> None:
    for number in range(MAX_EXAMPLES + 5):
        write(root / "train" / "baroque" / f"e{number}.jpg", b"")
    found = audited(root, out)["unreadable"]
    assert (found["count"], len(found["examples"])) == (MAX_EXAMPLES + 5, MAX_EXAMPLES)


def test_the_same_pictures_give_the_same_bytes(root: Path, out: Path, tmp_path: Path) -> None:
    saved_twice(root / "train" / "baroque" / "000.jpg", root / "test" / "baroque" / "leak.jpg")
    audited(root, out)
    audited(root, tmp_path / "again")
    for name in ("audit.json", "groups.parquet", "audit_examples.png"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_stop_rule_stops_the_run_if_its_finding_fired_and_the_error_says_how_to_continue(
    root: Path, out: Path
) -> None:
    copy(root / "train" / "baroque" / "000.jpg", root / "test" / "baroque" / "leak.jpg")
    found = audited(root, out, train_test_overlap="stop", two_labels="stop", duplicates="ignore")
    assert [finding["name"] for finding in audit.triggered(out)][:1] == ["train_test_overlap"]
    with pytest.raises(AuditFailed) as failed:
        audit.check(out)
    message = str(failed.value)
    assert found["train_test_overlap"]["sentence"] in message
    assert str(out / "audit_examples.png") in message
    assert str(out / "audit.json") in message
    assert message.endswith("To continue: --set audit.train_test_overlap=warn")
    assert "two_labels" not in message
    assert "\n" not in message
    audited(root, out)
    assert {finding["name"] for finding in audit.triggered(out)} >= {"train_test_overlap", "duplicates"}
    audit.check(out)


def test_rules_are_set_like_any_option() -> None:
    project = Path("configs/sample.toml")
    assert config.load(project, ["audit.shortcut=stop"]).audit.shortcut == "stop"
    with pytest.raises(ConfigError, match=r"audit\.shortcut = 'halt' is not usable"):
        config.load(project, ["audit.shortcut=halt"])
