"""The inbox: which pictures are taken, which stay, and when."""

import os
import time
from pathlib import Path

from artdetect import ingest
from artdetect.config import Config
from tests.tiny_dataset import jpeg, write

from .conftest import OLD, drop, files, provenance, stored
from .test_folder import stored_name


def inbox(roots: Path) -> list[str]:
    return files(roots / "data" / "inbox")


def test_folders_give_the_labels_and_pictures_leave_once_taken(config: Config, roots: Path) -> None:
    drop(roots, "AI/flux/a.jpg", jpeg(900))
    drop(roots, "AI/flux/copy of a.jpg", jpeg(900))
    drop(roots, "AI/flux/Art Nouveau/deep/b.jpg", jpeg(901))
    drop(roots, "human/wikiart/c.jpg", jpeg(902))
    drop(roots, "human/wikiart/bad.jpg", b"<html>")
    known = drop(roots, "AI/LD/known.jpg", (roots / "art" / "train" / "AI_LD_baroque" / "000.jpg").read_bytes())
    result = ingest.inbox(config)
    assert result.counts == {"added": 3, "known": 2, "rejected": 1, "left": 0}
    assert stored(roots) == sorted(
        [stored_name(jpeg(900)), stored_name(jpeg(901), "AI/flux/art_nouveau"), stored_name(jpeg(902), "human/wikiart")]
    )
    assert not known.exists()
    assert inbox(roots) == []
    assert result.by_origin == {"AI/flux": 2, "human/wikiart": 1}
    assert ingest.totals() == {"AI": 2, "human": 1}
    assert len(files(roots / "data" / "rejected")) == 2


def test_an_ingest_without_pictures_only_creates_the_inbox(config: Config, roots: Path) -> None:
    assert ingest.inbox(config) == ingest.IngestResult()
    assert sorted(path.name for path in (roots / "data" / "inbox").iterdir()) == ["AI", "human"]
    assert not (roots / "data" / "incoming").exists()


def test_files_still_being_copied_are_left(config: Config, roots: Path) -> None:
    names = ["AI/flux/a.jpg.part", "AI/flux/b.crdownload", "AI/flux/c.TMP"]
    for name in names:
        drop(roots, name, jpeg(900))
    drop(roots, "AI/flux/.d.jpg", jpeg(900))
    drop(roots, "AI/flux/fresh.jpg", jpeg(901), age=5)
    result = ingest.inbox(config)
    assert result.left == {"still being copied, by its name": names, "just arrived": ["AI/flux/fresh.jpg"]}
    assert stored(roots) == []
    assert len(inbox(roots)) == 5


def test_a_half_copied_picture_is_left_until_it_is_complete(config: Config, roots: Path) -> None:
    path = drop(roots, "AI/flux/a.jpg", jpeg(900)[:300], age=60)
    (reason,) = ingest.inbox(config).left
    assert reason.startswith("not readable so far: truncated")
    path.write_bytes(jpeg(900))
    os.utime(path, (time.time() - 60,) * 2)
    assert len(ingest.inbox(config).added) == 1
    assert stored(roots) == [stored_name(jpeg(900))]


def test_a_picture_that_stays_unreadable_is_rejected_in_the_end(config: Config, roots: Path) -> None:
    drop(roots, "AI/flux/a.jpg", jpeg(900)[:300])
    (rejected,) = ingest.inbox(config).rejected
    assert rejected.set_aside
    assert (roots / "data" / rejected.set_aside).read_bytes() == jpeg(900)[:300]
    assert "truncated" in (roots / "data" / f"{rejected.set_aside}.txt").read_text()
    assert inbox(roots) == []


def test_a_modification_time_in_the_future_does_not_block_a_picture_for_ever(config: Config, roots: Path) -> None:
    drop(roots, "AI/flux/a.jpg", jpeg(900), age=-1_000_000)
    assert ingest.inbox(config).left == {"just arrived": ["AI/flux/a.jpg"]}
    at_once = config.model_copy(update={"ingest": ingest.IngestConfig(settle_seconds=0)})
    assert len(ingest.inbox(at_once).added) == 1


def test_pictures_without_a_label_are_left_with_a_reason(config: Config, roots: Path) -> None:
    names = ["AI/loose.jpg", "ai/flux/a.jpg", "loose.jpg", "photos/x/a.jpg"]
    for name in names:
        drop(roots, name, jpeg(900))
    drop(roots, "AI/flux/notes.txt", b"x")
    (roots / "data" / "inbox" / "AI" / "flux" / "link.jpg").symlink_to("/etc/passwd")
    (roots / "data" / "inbox" / "AI" / "elsewhere").symlink_to(roots / "art")
    left = ingest.inbox(config).left
    assert sorted(left["not below AI/<generator>/ or human/<origin>/"]) == sorted([*names, "AI/elsewhere"])
    assert left["not a picture by its name"] == ["AI/flux/notes.txt"]
    assert [names for reason, names in left.items() if reason.startswith("a link")] == [["AI/flux/link.jpg"]]
    assert stored(roots) == []
    assert not (roots / "data" / "rejected").exists()


def test_a_provenance_file_applies_to_its_folder_and_below(config: Config, roots: Path) -> None:
    drop(roots, "AI/flux/provenance.toml", b'source = "https://a"\nlicence = "CC0"')
    drop(roots, "AI/flux/deep/b.jpg", jpeg(900))
    drop(roots, "AI/sdxl/c.jpg", jpeg(901))
    drop(roots, "human/wikiart/provenance.toml", b'sauce = "x"')
    drop(roots, "human/wikiart/d.jpg", jpeg(902))
    result = ingest.inbox(config)
    sources = {batch["generator"]: (batch["source"], batch["licence"]) for batch in provenance(roots)}
    assert sources == {"flux": ("https://a", "CC0"), "sdxl": (None, None)}
    (reason,) = result.left
    assert reason == "its provenance.toml is not usable: it may hold the texts source, licence, note"
    assert result.left[reason] == ["human/wikiart/d.jpg"]


def test_a_picture_replaced_during_the_ingest_stays(config: Config, roots: Path, monkeypatch) -> None:
    """Another picture gets the same name between storing and removing the first."""
    path = drop(roots, "AI/flux/a.jpg", jpeg(900))
    from artdetect.ingest import durable_copy

    commit = durable_copy.commit

    def slow(targets) -> None:
        commit(targets)
        write(path, jpeg(901))

    monkeypatch.setattr(durable_copy, "commit", slow)
    assert [picture.name for picture in ingest.inbox(config).added] == ["AI/flux/a.jpg"]
    assert path.read_bytes() == jpeg(901)
    monkeypatch.undo()


def test_added_since_counts_pictures_that_an_index_does_not_have(config: Config, roots: Path) -> None:
    import pandas as pd

    drop(roots, "AI/flux/a.jpg", jpeg(900))
    assert ingest.added_since(None) == {}
    ingest.inbox(config)
    assert ingest.added_since(None) == {"AI/flux": 1}
    pd.DataFrame({"path": [f"incoming/{stored_name(jpeg(900))}"]}).to_parquet(roots / "index.parquet")
    assert ingest.added_since(roots) == {}
    drop(roots, "human/wikiart/b.jpg", jpeg(901), age=OLD)
    ingest.inbox(config)
    assert ingest.added_since(roots) == {"human/wikiart": 1}
