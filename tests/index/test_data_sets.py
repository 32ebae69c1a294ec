"""Several data sets in one config, from the download to balance."""

import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from artdetect import audit, balance, download, index, ingest, plans
from artdetect import config as configs
from artdetect.artifacts import store
from artdetect.audit.folder_names import suspicious
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import DataError, DownloadError
from artdetect.download.source import names
from artdetect.index import scan
from artdetect.index.config import IndexConfig
from artdetect.index.scan import DataSetState
from artdetect.ingest.provenance import provenance_of
from artdetect.monitoring.status import status
from artdetect.pictures import notice
from tests.tiny_dataset import FOLDERS, data_set, jpeg, write

from .conftest import change_content_unnoticed


def zipped(folder: Path, archive: Path, wrapper: str = "") -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, wrapper + path.relative_to(folder).as_posix())
    return archive


@pytest.fixture
def archives(roots: Path) -> list[Path]:
    """Two archives with the same styles and other pictures: `old.zip`, and `new.zip` with a wrapper and a table."""
    old = data_set(roots / "old", train=4, test=2)
    write(old / "NOTICE.txt", b"Old pictures.")
    new = roots / "new"
    for number, folder in enumerate((*FOLDERS, "unknown")):
        for split in ("train", "test"):
            write(new / split / folder / "a.jpg", jpeg((7, number, split == "test"), base=120))
    write(new / "sources.csv", b"path,source\nNew/train/baroque/a.jpg,Hals\n")
    write(new / "NOTICE.txt", b"Demonstration: true\n\nNew pictures.")
    return [zipped(old, roots / "old.zip"), zipped(new, roots / "new.zip", "New/")]


def together(*urls: object) -> Config:
    return configs.parse({"download": {"sets": [url if isinstance(url, dict) else str(url) for url in urls]}})


def scanned(config: Config, out: Path, **options: object) -> DataSetState:
    """Run download, then scan."""
    out.mkdir(parents=True, exist_ok=True)
    download.run(config.download, out)
    return scan.scan(download.folder(out), tables=download.tables(out), **options)


def indexed(config: Config, out: Path) -> pd.DataFrame:
    """Run download, scan and index; the index by path."""
    index.run(IndexConfig(), scanned(config, out / "download"), out)
    return pd.read_parquet(out / "index.parquet").set_index("path")


def test_two_archives_are_one_index(archives: list[Path], roots: Path) -> None:
    rows = indexed(together(*archives), roots / "out")
    assert list(rows.index) == sorted(rows.index)
    assert rows.index.str.partition("/").get_level_values(0).value_counts().to_dict() == {"old": 24, "new": 10}
    shown = rows[["label", "split", "style", "generator", "origin", "source"]].agg(tuple, axis=1)
    assert shown["old/train/baroque/000.jpg"] == ("human", "train", "baroque", "human", "raw", "old/baroque")
    assert shown["new/test/baroque/a.jpg"] == ("human", "test", "baroque", "human", "raw", "new/baroque")
    assert shown["new/train/baroque/a.jpg"] == ("human", "train", "baroque", "human", "raw", "Hals")
    assert shown["new/train/unknown/a.jpg"] == ("human", "train", "unknown", "human", "raw", "unknown")
    for path in ("old/train/AI_LD_baroque/000.jpg", "new/test/AI_LD_baroque/a.jpg"):
        assert rows.source[path] == "latent_diffusion"
    root = download.folder(roots / "out" / "download")
    for path in rows.index:
        assert paths.picture(root, path).is_file()
    said = notice.read(roots / "out" / "notice.txt")
    assert said.paragraphs == ["new:", "New pictures.", "old: Old pictures."]
    assert said.demonstration  # one of them is enough
    assert (roots / "out" / "skipped.json").read_text() == "{}"


def test_the_same_config_again_reads_and_links_nothing(archives: list[Path], roots: Path) -> None:
    config = together(*archives)
    first = scanned(config, roots / "one")
    record = (roots / "one" / "dataset.json").read_bytes()
    for path in (roots / "data" / "raw").rglob("*.jpg"):
        change_content_unnoticed(path)
    again = scanned(config, roots / "two", progress=lambda done, total: pytest.fail("it read pictures"))
    assert again == first
    assert (roots / "two" / "dataset.json").read_bytes() == record
    assert len(list((roots / "data" / "raw").glob("sets-*"))) == 1


def test_a_data_set_that_was_used_alone_is_not_read_again(archives: list[Path], roots: Path) -> None:
    for archive in archives:
        scanned(configs.parse({"download": {"url": str(archive)}}), roots / archive.stem / "out")
    scanned(together(*archives), roots / "out", progress=lambda done, total: pytest.fail("it read pictures"))


def test_the_index_of_a_single_data_set_is_as_before(archives: list[Path], roots: Path) -> None:
    """A list of one, and a single address: paths and sources have no name of a data set."""
    rows = indexed(configs.parse({"download": {"url": str(archives[0])}}), roots / "one")
    assert rows.index[0] == "test/AI_LD_baroque/000.jpg"
    assert set(rows.source) == {"baroque", "ukiyo_e", "latent_diffusion", "stable_diffusion"}
    pd.testing.assert_frame_equal(indexed(together(archives[0]), roots / "two"), rows)
    assert (roots / "two" / "notice.txt").read_text() == "Old pictures."
    assert not list((roots / "data" / "raw").glob("sets-*"))


def test_a_folder_and_the_incoming_pictures_belong_to_it(archives: list[Path], roots: Path) -> None:
    write(roots / "data" / "incoming" / "human" / "met" / "a.jpg", jpeg(900))
    state = scanned(together(roots / "old", archives[1]), roots / "out", incoming=True)
    listed = state.contents["path"].to_pylist()
    assert listed == sorted(listed)
    assert {path.partition("/")[0] for path in listed} == {"incoming", "new", "old"}
    write(roots / "old" / "train" / "baroque" / "later.jpg", jpeg(901))
    changed = scan.quick_scan(download.folder(roots / "out"), True, download.tables(roots / "out"))
    assert scan.differences(state.contents, changed.contents) == ["1 picture added"]


def test_a_table_may_be_given_for_each_data_set(archives: list[Path], roots: Path) -> None:
    table = write(roots / "tables" / "old.csv", b"folder,source\nbaroque,Rijksmuseum\n")
    both = together({"url": str(archives[0]), "sources": str(table)}, archives[1])
    rows = indexed(both, roots / "out")
    assert rows.source["old/train/baroque/000.jpg"] == rows.source["old/test/baroque/001.jpg"] == "Rijksmuseum"
    assert rows.source["old/train/ukiyo-e/000.jpg"] == "old/ukiyo_e"
    assert rows.source["new/train/baroque/a.jpg"] == "Hals"
    one = configs.parse({"download": {"url": str(archives[1]), "sources": str(table)}})
    assert indexed(one, roots / "one").source["train/baroque/a.jpg"] == "Rijksmuseum"  # it goes before the one beside
    table.write_text("folder,source\nbaroque,Prado\n")
    state = scanned(both, roots / "again", progress=lambda done, total: pytest.fail("it read pictures"))
    assert state.sources["old/train/baroque/000.jpg"] == "Prado"
    table.unlink()
    with pytest.raises(DownloadError, match=r"data set old: download.sets: sources is .*old.csv', which is not a file"):
        download.fingerprint(both.download)


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["a.zip", "https://x.org/b/a.zip", "/data/A/"], ["a", "a-2", "A-3"]),
        (["train.zip", "test", "Incoming"], ["train-2", "test-2", "Incoming-2"]),
        (["my art (1).zip", "..", "b"], ["my-art-1", "dataset", "b"]),
    ],
)
def test_names_of_data_sets_differ_from_each_other_and_from_splits(urls: list[str], expected: list[str]) -> None:
    assert names(urls) == expected


def test_errors_name_the_data_set(archives: list[Path], roots: Path) -> None:
    with pytest.raises(DownloadError, match=r"data set gone: .*gone.zip' does not exist"):
        download.fingerprint(together(archives[0], roots / "gone.zip").download)
    (roots / "empty" / "x").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"data set empty: found no train/ or test/ folder in .*empty"):
        scanned(together(archives[0], roots / "empty"), roots / "out")
    damaged = write(roots / "damaged.zip", archives[0].read_bytes()[:-100])
    with pytest.raises(DownloadError, match=r"data set damaged: "):
        scanned(together(archives[0], damaged), roots / "out")
    (roots / "bare" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"data set bare: .*bare: no pictures found below train/<style>/"):
        indexed(together(archives[0], roots / "bare"), roots / "out")
    wrong = {"url": str(archives[1]), "sha256": "0" * 64}
    with pytest.raises(DownloadError, match=r"data set new: .*its SHA-256 is"):
        scanned(together(archives[0], wrong), roots / "out")


def test_a_data_set_that_is_gone_is_noticed_and_linked_again(archives: list[Path], roots: Path) -> None:
    config = together(*archives)
    first = scanned(config, roots / "out")
    (unpacked,) = (roots / "data" / "raw").glob("new-*/")
    shutil.rmtree(unpacked)
    assert download.check(roots / "out") == f"{download.folder(roots / 'out') / 'new'} is gone"
    with pytest.raises(DataError, match="data set new: found no train/ or test/ folder"):
        scan.scan(download.folder(roots / "out"), tables=download.tables(roots / "out"))
    (download.folder(roots / "out") / "old").unlink()
    assert scanned(config, roots / "out").digest == first.digest
    assert download.check(roots / "out") is None


def test_the_data_root_may_move(archives: list[Path], roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scanned(together(*archives), roots / "out")
    shutil.move(roots / "data", roots / "elsewhere")
    monkeypatch.setenv("ARTDETECT_DATA", str(roots / "elsewhere"))
    assert download.check(roots / "out") is None
    state = scan.scan(download.folder(roots / "out"), tables=download.tables(roots / "out"))
    assert state.digest == first.digest


def test_duplicates_across_data_sets_are_found_and_balanced(roots: Path) -> None:
    old, new = data_set(roots / "old"), data_set(roots / "new", train=3)
    for path in (new / "train").rglob("*.jpg"):  # other pictures, but for one that is also in old's test set
        path.write_bytes(jpeg(tuple(path.as_posix().encode()), base=180 if "AI_" in path.as_posix() else 70))
    shutil.copy(old / "test" / "baroque" / "000.jpg", new / "train" / "baroque" / "000.jpg")
    shutil.rmtree(new / "test")
    out = roots / "out"
    indexed(together(old, new), out)
    audit.run(audit.AuditConfig(), out, download.folder(out / "download"), out)
    groups = pd.read_parquet(out / "groups.parquet")
    pair = groups.group[groups.path == "new/train/baroque/000.jpg"].item()
    assert set(groups.path[groups.group == pair]) == {"new/train/baroque/000.jpg", "old/test/baroque/000.jpg"}
    balance.run(balance.BalanceConfig(), out, out, out)
    table = pd.read_parquet(out / "balance.parquet").set_index("path")
    assert "new/train/baroque/000.jpg" not in table.index
    assert set(table.source[table.label == "human"]) == {"old/baroque", "old/ukiyo_e", "new/baroque", "new/ukiyo_e"}
    assert table.source.notna().all()


def test_status_of_several_data_sets_counts_what_changed(archives: list[Path], roots: Path) -> None:
    config = together(roots / "old", archives[1])
    plan = plans.plan("download", config.download, {})
    with store.build("download", str(plan.key), plan.parts) as out:
        state = scanned(config, out)
    plan = plans.plan("index", config.index, {"pictures": state})
    with store.build("index", str(plan.key), plan.parts) as out:
        index.run(config.index, state, out)
    assert [found.state for found in status(config)[:2]] == ["current", "current"]
    write(roots / "old" / "train" / "baroque" / "later.jpg", jpeg(901))
    assert status(config)[1].why == ["1 picture added"]
    (roots / "old" / "train" / "baroque" / "later.jpg").unlink()
    write(roots / "old" / "sources.csv", b"folder,source\nbaroque,Prado\n")
    assert status(config)[1].why == ["files beside the pictures changed"]


def test_ingest_knows_the_pictures_of_every_data_set(archives: list[Path], roots: Path) -> None:
    config = together(*archives)
    plan = plans.plan("download", config.download, {})
    with store.build("download", str(plan.key), plan.parts) as out:
        scanned(config, out)
    shutil.copytree(roots / "old" / "train" / "baroque", roots / "given" / "old")
    shutil.copytree(roots / "new" / "test" / "baroque", roots / "given" / "new")
    result = ingest.folder(roots / "given", provenance_of("human", "met"), config)
    assert result.counts == {"added": 0, "known": 5, "rejected": 0, "left": 0}
    assert ("new/a.jpg", "new/test/baroque/a.jpg") in result.known


def test_a_suspicious_folder_is_named_with_its_data_set() -> None:
    paths_ = ["old/train/midjourney art/a.jpg", "old/train/baroque/a.jpg", "train/gan/deep/a.jpg"]
    assert dict(suspicious(paths_)) == {"old/train/midjourney art": 1, "train/gan": 1}
