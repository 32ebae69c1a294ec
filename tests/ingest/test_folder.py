"""Ingest of a given folder: what is added, what is not, and what is reported."""

import io
import json
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from artdetect import ingest
from artdetect.cli import main
from artdetect.config import Config
from artdetect.core.errors import ConfigError, DataError
from artdetect.index import scan
from artdetect.ingest.batch import CHANGED, IngestBatch
from artdetect.ingest.candidates import NOT_A_PICTURE, NOT_REGULAR, Candidate
from artdetect.ingest.known_pictures import KnownPictures
from artdetect.ingest.provenance import provenance_of
from artdetect.pictures import labels
from artdetect.serve.feedback import FeedbackFolder
from tests.tiny_dataset import jpeg, write

from .conftest import files, provenance, stored

FLUX = provenance_of("AI", "flux")
HUMAN = provenance_of("human", "wikiart")


def stored_name(content: bytes, folder: str = "AI/flux") -> str:
    return f"{folder}/{sha256(content).hexdigest()[:16]}.jpg"


def saved_again(content: bytes) -> bytes:
    """The same picture, compressed again."""
    Image.open(io.BytesIO(content)).save(file := io.BytesIO(), "JPEG", quality=90)
    return file.getvalue()


def test_pictures_kept_as_feedback_are_taken_with_the_label_of_their_folder(config: Config, roots: Path) -> None:
    row = {"verdict": "AI", "reason": "sure", "p_ai": 0.9, "model": "m-1"}
    kept = FeedbackFolder(roots / "feedback").add(jpeg(900), "human", "I painted it", row)
    ingest.folder(roots / "feedback" / "human" / "feedback", provenance_of("human", "feedback"), config)
    assert stored(roots) == [kept] == [stored_name(jpeg(900), "human/feedback")]


def test_a_picture_is_stored_under_the_name_of_its_content_with_its_provenance(config: Config, roots: Path) -> None:
    write(roots / "new" / "deep" / "A picture.JPG", jpeg(900))
    given = provenance_of(
        "AI", "flux", "Art Nouveau", source="https://example.org", licence="CC0", note="drawn\nfor us"
    )
    result = ingest.folder(roots / "new", given, config)
    path = stored_name(jpeg(900), "AI/flux/art_nouveau")
    assert stored(roots) == [path]
    assert (roots / "data" / "incoming" / path).read_bytes() == jpeg(900)
    (batch,) = provenance(roots)
    assert batch["pictures"] == [
        {
            "path": f"incoming/{path}",
            "sha256": sha256(jpeg(900)).hexdigest(),
            "name": "deep/A picture.JPG",
            "bytes": len(jpeg(900)),
        }
    ]
    expected = {"label": "AI", "generator": "flux", "style": "art_nouveau", "source": "https://example.org",
                "licence": "CC0", "note": "drawn\nfor us", "known": 0, "rejected": []}  # fmt: skip
    assert {name: batch[name] for name in expected} == expected
    assert "@" in batch["who"]
    assert result.provenance == [f"incoming/provenance/{batch['batch']}.json"]
    assert files(roots / "new") == ["deep/A picture.JPG"]


def test_the_same_folder_again_adds_nothing(config: Config, roots: Path) -> None:
    for number in range(3):
        write(roots / "new" / f"{number}.jpg", jpeg(900 + number))
    write(roots / "new" / "copy.jpg", jpeg(900))
    first = ingest.folder(roots / "new", FLUX, config)
    assert first.counts == {"added": 3, "known": 1, "rejected": 0, "left": 0}
    before = files(roots / "data" / "incoming")
    again = ingest.folder(roots / "new", FLUX, config)
    assert again.counts == {"added": 0, "known": 4, "rejected": 0, "left": 0}
    assert files(roots / "data" / "incoming") == before


def test_pictures_of_the_data_set_are_known(config: Config, roots: Path) -> None:
    known = (roots / "art" / "train" / "AI_LD_baroque" / "000.jpg").read_bytes()
    write(roots / "new" / "known.jpg", known)
    result = ingest.folder(roots / "new", FLUX, config)
    assert result.known == [("known.jpg", "train/AI_LD_baroque/000.jpg")]
    assert stored(roots) == []


def test_removed_pictures_of_the_data_set_are_no_longer_known(config: Config, roots: Path) -> None:
    """Otherwise the picture could be in neither place."""
    gone = roots / "art" / "train" / "AI_LD_baroque" / "000.jpg"
    content = gone.read_bytes()
    write(roots / "new" / "known.jpg", content)
    gone.unlink()
    ingest.folder(roots / "new", FLUX, config)
    assert stored(roots) == [stored_name(content)]


@pytest.mark.parametrize("again", [bytes, saved_again], ids=["the same file", "saved again"])
def test_a_picture_under_another_label_is_rejected_for_a_person_to_decide(config: Config, roots: Path, again) -> None:
    original = jpeg(900, side=96)
    ingest.folder(write(roots / "new" / "a.jpg", original), FLUX, config)
    content = again(original)
    write(roots / "painted" / "b.jpg", content)
    write(roots / "painted" / "c.jpg", jpeg(901))
    result = ingest.folder(roots / "painted", HUMAN, config)
    (rejected,) = result.rejected
    assert rejected.name == "b.jpg"
    assert f"incoming/{stored_name(original)}" in rejected.reason
    assert "known as AI" in rejected.reason
    assert rejected.reason.endswith("now given as human/wikiart: a person must decide")
    assert rejected.set_aside
    assert (roots / "data" / rejected.set_aside).read_bytes() == content
    assert rejected.reason in (roots / "data" / f"{rejected.set_aside}.txt").read_text()
    assert [picture.name for picture in result.added] == ["c.jpg"]
    assert (roots / "painted" / "b.jpg").exists()


def test_a_near_duplicate_is_added_and_reported(config: Config, roots: Path) -> None:
    write(roots / "art" / "test" / "AI_LD_baroque" / "large.jpg", jpeg(900, side=96))
    scan.scan(roots / "art")
    write(roots / "new" / "a.jpg", saved_again(jpeg(900, side=96)))
    result = ingest.folder(roots / "new", FLUX, config)
    (picture,) = result.added
    assert result.near == [(picture.path, "test/AI_LD_baroque/large.jpg")]
    assert provenance(roots)[0]["near_duplicates"] == [{"path": picture.path, "near": "test/AI_LD_baroque/large.jpg"}]


def bomb() -> bytes:
    """A PNG of 200 bytes that claims 3,600 million pixels."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"0")) + part(b"IEND", b"")


def test_bad_files_are_rejected_by_name_and_the_rest_goes_on(config: Config, roots: Path) -> None:
    new = roots / "new"
    write(new / "good.jpg", jpeg(900))
    write(new / "empty.jpg", b"")
    write(new / "cut.jpg", jpeg(901)[:-200])
    write(new / "page.png", b"<html>")
    write(new / "bomb.png", bomb())
    (new / "link.jpg").symlink_to("good.jpg")
    os.mkfifo(new / "pipe.jpg")
    write(new / "notes.txt", b"x")
    write(new / ".hidden.jpg", b"x")
    result = ingest.folder(new, FLUX, config)
    reasons = {rejected.name: rejected.reason for rejected in result.rejected}
    assert reasons.pop("link.jpg") == reasons.pop("pipe.jpg") == NOT_REGULAR
    expected = {"empty.jpg": "empty", "cut.jpg": "truncated", "page.png": "web page", "bomb.png": "too many pixels"}
    assert set(reasons) == set(expected)
    assert all(words in reasons[name] for name, words in expected.items())
    assert stored(roots) == [stored_name(jpeg(900))]
    assert result.left == {NOT_A_PICTURE: ["notes.txt"]}
    set_aside = {rejected.set_aside for rejected in result.rejected if rejected.set_aside}
    assert set(files(roots / "data" / "rejected")) == {
        name.removeprefix("rejected/") for path in set_aside for name in (path, f"{path}.txt")
    }
    before = files(roots / "data" / "rejected")
    ingest.folder(new, FLUX, config)
    assert files(roots / "data" / "rejected") == before


@pytest.mark.parametrize(
    "name", [b"a\nb\x1b[31m.jpg", b"caf\xe9.jpg", b"\xc3\xbc" * 120 + b".jpg", b"-rf.jpg", b"'; x.jpg"]
)
def test_odd_names_do_no_harm_and_are_not_used(config: Config, roots: Path, name: bytes) -> None:
    write(roots / "new" / os.fsdecode(name), jpeg(900))
    write(roots / "bad" / os.fsdecode(name), b"<html>")
    assert len(ingest.folder(roots / "new", FLUX, config).added) == 1
    assert stored(roots) == [stored_name(jpeg(900))]
    (rejected,) = ingest.folder(roots / "bad", FLUX, config).rejected
    assert rejected.set_aside
    assert rejected.set_aside.isascii()
    assert rejected.set_aside.isprintable()
    assert (roots / "data" / rejected.set_aside).read_bytes() == b"<html>"


def test_a_picture_that_changes_between_inspection_and_copy_is_left(config: Config, roots: Path) -> None:
    """So is its duplicate, because the original was not stored."""
    write(roots / "new" / "a.jpg", jpeg(900))
    write(roots / "new" / "b.jpg", jpeg(900))
    result = ingest.IngestResult()

    class Slow(IngestBatch):
        def _copy(self) -> set[str]:
            write(roots / "new" / "a.jpg", jpeg(901))
            return super()._copy()

    (roots / "data" / "incoming").mkdir(parents=True)
    candidates = [Candidate(roots / "new" / name, name) for name in ("a.jpg", "b.jpg")]
    Slow(FLUX, KnownPictures(config), result, move=True, reject_unreadable_after=0).take(candidates)
    assert result.left == {CHANGED: ["a.jpg", "b.jpg"]}
    assert files(roots / "new") == ["a.jpg", "b.jpg"]
    assert files(roots / "data" / "incoming") == []


def test_another_content_under_a_pictures_name_is_never_overwritten(config: Config, roots: Path) -> None:
    damaged = write(roots / "data" / "incoming" / stored_name(jpeg(900)), jpeg(901))
    write(roots / "new" / "a.jpg", jpeg(900))
    (rejected,) = ingest.folder(roots / "new", FLUX, config).rejected
    assert "another content" in rejected.reason
    assert damaged.read_bytes() == jpeg(901)


def test_half_written_files_of_killed_runs_are_removed(config: Config, roots: Path) -> None:
    write(roots / "data" / "incoming" / "AI" / "flux" / ".x.jpg.tmp", b"half")
    ingest.folder(write(roots / "new" / "a.jpg", jpeg(900)), FLUX, config)
    assert not list((roots / "data" / "incoming").rglob("*.tmp"))


def test_a_folder_without_pictures_and_a_missing_folder_are_errors(config: Config, roots: Path) -> None:
    write(roots / "new" / "notes.txt", b"x")
    with pytest.raises(DataError, match="found no pictures"):
        ingest.folder(roots / "new", FLUX, config)
    with pytest.raises(DataError, match="there is no such folder"):
        ingest.folder(roots / "absent", FLUX, config)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "human", "AI", "x" * 65, "a b", "é"])
def test_a_name_that_is_not_usable_for_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not usable as the name"):
        provenance_of("AI", name)
    with pytest.raises(ConfigError, match="is not usable as the name of a style"):
        provenance_of("AI", "flux", f"../{name}")


# --- the command ---


def command(roots: Path, *arguments: object) -> int:
    write(roots / "art.toml", f'[download]\nurl = "{roots}/art"\n'.encode())
    return main(["ingest", *map(str, arguments), "--config", str(roots / "art.toml")])


def test_the_command_prints_the_outcome_of_each_picture(config: Config, roots: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    write(roots / "new" / "a.jpg", jpeg(900))
    write(roots / "new" / "bad\n.jpg", b"<html>")
    assert command(roots, roots / "new", "--label", "AI", "--generator", "flux") == 1
    printed = capsys.readouterr().out
    assert f"1 added to {roots}/data/incoming/AI/flux" in printed
    assert "  bad\\n.jpg: not a picture but a web page" in printed
    assert "Compared with 0 pictures of incoming and 24 pictures of art" in printed
    (roots / "new" / "bad\n.jpg").unlink()
    assert command(roots, roots / "new", "--label", "AI", "--generator", "flux", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["added"], found["known"], found["known_before"][0]["name"]) == (0, 1, "a.jpg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--label AI --generator NAME"),
        (["--label", "AI"], "--label AI needs --generator"),
        (["--label", "human", "--generator", "flux"], "--label human needs --origin"),
        (["--label", "AI", "--generator", "a/b"], "is not usable as the name"),
    ],
)
def test_missing_options_are_named(config: Config, roots: Path, capsys, arguments, message: str) -> None:
    write(roots / "new" / "a.jpg", jpeg(900))
    assert command(roots, roots / "new", *arguments) == 2
    assert message in capsys.readouterr().err
    assert stored(roots) == []


def test_options_that_describe_a_folder_are_refused_for_the_inbox(config: Config, roots: Path, capsys) -> None:
    assert command(roots, "--label", "AI") == 2
    assert "--label needs a FOLDER" in capsys.readouterr().err


def test_the_splits_of_incoming_pictures_never_change() -> None:
    """These values are fixed for ever; see `labels.split`."""
    found = {number: labels.split(sha256(str(number).encode()).hexdigest()) for number in range(20)}
    assert [number for number, split in found.items() if split == "test"] == [0, 7, 8, 9, 10, 19]


def test_a_table_in_the_folder_gives_single_pictures_their_source(config: Config, roots: Path) -> None:
    for number, name in enumerate(("a.jpg", "train/b.jpg", "train/deep/c.jpg", "d.jpg")):
        write(roots / "new" / name, jpeg(900 + number))
    write(roots / "new" / "sources.csv", b"path,source\na.jpg,Rembrandt\ntrain/b.jpg,Vermeer\n")
    result = ingest.folder(roots / "new", provenance_of("human", "wikiart", source="a museum"), config)
    assert result.counts == {"added": 4, "known": 0, "rejected": 0, "left": 0}
    records = {batch["source"]: [picture["name"] for picture in batch["pictures"]] for batch in provenance(roots)}
    assert records == {
        "Rembrandt": ["a.jpg"], "a museum": ["d.jpg", "train/deep/c.jpg"], "Vermeer": ["train/b.jpg"]
    }  # fmt: skip
    given = scan.scan(roots / "art", incoming=True).sources
    assert given == {
        f"incoming/{stored_name(jpeg(900), 'human/wikiart')}": "Rembrandt",
        f"incoming/{stored_name(jpeg(901), 'human/wikiart')}": "Vermeer",
        f"incoming/{stored_name(jpeg(902), 'human/wikiart')}": "a museum",
        f"incoming/{stored_name(jpeg(903), 'human/wikiart')}": "a museum",
    }


def test_an_unusable_table_in_the_folder_adds_nothing(config: Config, roots: Path) -> None:
    write(roots / "new" / "a.jpg", jpeg(900))
    write(roots / "new" / "sources.csv", b"file,source\na.jpg,Rembrandt\n")
    with pytest.raises(DataError, match=r"new/sources.csv lacks the column folder"):
        ingest.folder(roots / "new", HUMAN, config)
    assert stored(roots) == []
