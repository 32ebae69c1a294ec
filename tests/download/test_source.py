"""Addresses, folders and keys: what `download.url` means, without the network."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from artdetect.core import json_cache, paths
from artdetect.core.errors import ArtifactError, DownloadError
from artdetect.download import check, fingerprint, folder, run, source_kind
from artdetect.download.config import DownloadConfig
from tests.damage import flipped_bits

from .conftest import ARCHIVE, archive_file, download, sha256, zipped


def test_source_kind_distinguishes_folder_archive_and_web_address(tmp_path):
    assert source_kind(str(tmp_path)) == "folder"
    assert source_kind(str(archive_file(tmp_path))) == "archive"
    assert source_kind((tmp_path / "art.zip").as_uri()) == "archive"
    assert source_kind("HTTPS://example.org/art.zip?download=1") == "web"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.org/a.zip", "'ftp://', which is not supported"),
        ("s3://bucket/a.zip", "'s3://', which is not supported"),
        ("/nowhere/at/all", "'/nowhere/at/all' does not exist"),
        ("/nowhere/drawn-art.zip", "draw it first: artdetect demo-data <folder>"),
        ("file://server/a.zip", "on the machine 'server'"),
        ("file:///nowhere/a%20b.zip", "'/nowhere/a b.zip' does not exist"),
        ("https:///a.zip", "names no host"),
        ("http://[half/a.zip", "names no host"),
        ("", "is empty"),
        ("/" + "x" * 300, "cannot be read"),
        ("/a\0b", "does not exist"),
        ("/dev/null", "neither a folder nor a file"),
    ],
)
def test_an_unusable_address_is_an_error_with_a_reason(url, message, tmp_path):
    with pytest.raises(DownloadError) as error:
        run(DownloadConfig(url=url), tmp_path / "out")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_zip_archive_is_refused_by_name(tmp_path):
    path = archive_file(tmp_path, b"\x1f\x8b a tar archive", "art.tar.gz")
    with pytest.raises(DownloadError, match=r"art\.tar\.gz is neither a folder nor a zip archive: unpack it by hand"):
        source_kind(str(path))


@pytest.mark.parametrize("wrong", ["abc", "g" * 64, ""])
def test_a_checksum_must_be_64_hex_digits(wrong):
    with pytest.raises(ValidationError, match="64 hex digits"):
        DownloadConfig(url="x", sha256=wrong)
    assert DownloadConfig(url="x", sha256="AB" * 32).sha256 == "ab" * 32


def test_a_folder_is_used_as_it_is(tmp_path):
    folder = tmp_path / "mine"
    (folder / "train" / "baroque").mkdir(parents=True)
    (folder / "train" / "baroque" / "a.jpg").write_bytes(b"a")
    before = sorted(folder.rglob("*")), folder.stat().st_mtime_ns
    dataset = download(folder, tmp_path / "out")
    assert dataset == {
        "folder": str(folder),
        "name": "mine",
        "kind": "folder",
        "url": str(folder),
        "archive_sha256": None,
        "files": None,
        "bytes": None,
    }
    assert (sorted(folder.rglob("*")), folder.stat().st_mtime_ns) == before
    assert not paths.raw().exists()


def test_a_folder_in_the_data_root_is_recorded_so_that_the_project_can_move(data, tmp_path):
    (data / "raw" / "mine").mkdir(parents=True)
    assert fingerprint(DownloadConfig(url=str(data / "raw" / "mine"))) == {"folder": "raw/mine"}
    assert download(data / "raw" / "mine", tmp_path / "out")["folder"] == "raw/mine"


def test_the_folder_with_the_splits_is_found_below_a_wrapper_and_nothing_else_is_guessed(tmp_path):
    (tmp_path / "outer" / "inner" / "test").mkdir(parents=True)
    (tmp_path / "other" / "AI_SD_baroque").mkdir(parents=True)
    assert download(tmp_path / "outer", tmp_path / "a")["folder"] == str(tmp_path / "outer" / "inner")
    assert download(tmp_path / "other", tmp_path / "b")["folder"] == str(tmp_path / "other")


def test_a_data_set_whose_folder_is_gone_is_no_longer_usable(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    assert check(dataset) is None
    paths.located(dataset["folder"]).rename(tmp_path / "elsewhere")
    assert "is gone" in check(dataset)
    assert "is gone" in check(tmp_path / "out")
    assert check({}) == check(tmp_path) == "it names no folder"


def test_the_artifact_leads_to_the_pictures(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    assert folder(tmp_path / "out") == paths.located(dataset["folder"])
    (tmp_path / "out" / "dataset.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"dataset\.json is missing or damaged"):
        folder(tmp_path / "out")


def test_the_key_of_an_archive_is_its_content_wherever_it_lies(tmp_path):
    first, second = archive_file(tmp_path), archive_file(tmp_path, name="other.zip")
    key = fingerprint(DownloadConfig(url=str(first)))
    assert key == {"archive": sha256(ARCHIVE)} == fingerprint(DownloadConfig(url=second.as_uri()))
    first.write_bytes(zipped({"train/a/b.jpg": b"new"}))
    assert fingerprint(DownloadConfig(url=str(first))) != key


def test_an_unchanged_archive_is_hashed_once(tmp_path, data):
    config = DownloadConfig(url=str(archive_file(tmp_path)))
    fingerprint(config)
    cache = data / "cache" / "archives.json"
    entries = json_cache.loads(cache.read_text())
    # A planted digest comes back, so the archive was not read.
    cache.write_text(json_cache.dumps({key: [*entry[:2], "planted"] for key, entry in entries.items()}))
    assert fingerprint(config) == {"archive": "planted"}
    cache.write_text("{damaged")
    assert fingerprint(config) == {"archive": sha256(ARCHIVE)}


def test_no_flipped_bit_in_the_kept_digest_gives_another_key(tmp_path, data):
    config = DownloadConfig(url=str(archive_file(tmp_path)))
    key = fingerprint(config)
    cache = data / "cache" / "archives.json"
    for damaged in flipped_bits(cache.read_bytes(), step=7):
        cache.write_bytes(damaged)
        assert fingerprint(config) == key


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, data):
    data.mkdir()
    (data / "cache").write_text("a file where the folder should be")
    assert fingerprint(DownloadConfig(url=str(archive_file(tmp_path)))) == {"archive": sha256(ARCHIVE)}


def test_the_key_of_an_address_is_the_address_without_its_secrets():
    assert fingerprint(DownloadConfig(url="https://a.org/x.zip")) == {"url": "https://a.org/x.zip", "sha256": ""}
    secret = fingerprint(DownloadConfig(url="https://me:pass@a.org/x.zip?token=abc", sha256="ab" * 32))
    assert secret["url"].startswith("https://a.org/x.zip?")
    assert secret["sha256"] == "ab" * 32
    assert not any(word in secret["url"] for word in ("pass", "abc", "token"))
    assert secret["url"] != fingerprint(DownloadConfig(url="https://a.org/x.zip?token=other"))["url"]


def test_asking_for_a_key_does_not_load_httpx():
    script = "import sys, artdetect.download as d; d.fingerprint(d.DownloadConfig(url='https://a.org/x.zip'))"
    script += "; sys.exit(bool({'httpx', 'prefect', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
