"""The source of each picture: from a table beside the pictures, its provenance, or its folder."""

from pathlib import Path

import pandas as pd
import pytest

from artdetect.core.errors import DataError
from artdetect.index import scan
from artdetect.index.sources import display_name, read_table
from tests.tiny_dataset import jpeg, write

from .conftest import change_content_unnoticed, picture_files, table

PATHS = """\
path,licence,source
train/baroque/000.jpg,CC0,Rembrandt
train/baroque/001.jpg,CC0,"Vermeer, Delft"
train/AI_SD_ukiyo_e/000.jpg,,DiffusionDB
train/baroque/002.jpg,CC0,
test/baroque/gone.jpg,CC0,Frans Hals
"""


def sources(root: Path, out: Path) -> dict[str, str]:
    return table(scan.scan(root), out).source.to_dict()


def test_without_a_table_the_source_is_the_style_or_the_generator(root: Path, tmp_path: Path) -> None:
    write(root / "train" / "unknown" / "a.jpg", jpeg(99))
    write(root / "train" / "AI_flux_unknown" / "a.jpg", jpeg(98))
    found = sources(root, tmp_path / "out")
    assert found["train/ukiyo-e/000.jpg"] == "ukiyo_e"
    assert found["test/AI_SD_ukiyo_e/000.jpg"] == "stable_diffusion"
    assert found["train/unknown/a.jpg"] == "unknown"
    assert found["train/AI_flux_unknown/a.jpg"] == "flux"


@pytest.mark.parametrize("wrapper", ["", "./", "RealArt224/", "/home/me/pictures/"])
def test_a_table_of_paths_gives_pictures_their_sources(root: Path, tmp_path: Path, wrapper: str) -> None:
    text = PATHS.replace("\ntrain/", f"\n{wrapper}train/")
    write(root / "sources.csv", text.encode())
    found = sources(root, tmp_path / "out")
    assert found["train/baroque/000.jpg"] == "Rembrandt"
    assert found["train/baroque/001.jpg"] == "Vermeer, Delft"
    assert found["train/AI_SD_ukiyo_e/000.jpg"] == "DiffusionDB"
    assert found["train/baroque/002.jpg"] == "baroque"  # given none
    assert found["train/AI_LD_baroque/000.jpg"] == "latent_diffusion"
    assert len(found) == 24


def test_a_table_of_folders_gives_all_their_pictures_a_source(root: Path, tmp_path: Path) -> None:
    write(root / "train" / "baroque" / "hals" / "a.jpg", jpeg(99))
    text = "folder,source\nbaroque,Rijksmuseum\ntrain/ukiyo-e,Met\nbaroque/hals/,Hals\nAI_LD_baroque,LAION\n"
    write(root / "sources.csv", text.encode())
    found = sources(root, tmp_path / "out")
    assert found["train/baroque/000.jpg"] == found["test/baroque/001.jpg"] == "Rijksmuseum"
    assert found["train/baroque/hals/a.jpg"] == "Hals"
    assert (found["train/ukiyo-e/000.jpg"], found["test/ukiyo-e/000.jpg"]) == ("Met", "ukiyo_e")
    assert found["test/AI_LD_baroque/000.jpg"] == "LAION"


def test_a_parquet_table_does_the_same(root: Path, tmp_path: Path) -> None:
    write(root / "sources.csv", PATHS.encode())
    from_csv = scan.scan(root)
    rows = pd.read_csv(root / "sources.csv")
    (root / "sources.csv").unlink()
    rows.astype({"source": "category"}).assign(year=1642).to_parquet(root / "sources.parquet")
    assert scan.scan(root) == from_csv
    assert from_csv.skipped == {}


def test_a_changed_table_changes_the_digest_and_reads_no_picture(root: Path, tmp_path: Path) -> None:
    without = scan.scan(root)
    for path in picture_files(root):
        change_content_unnoticed(path)
    write(root / "sources.csv", PATHS.encode())
    with_table = scan.scan(root, lambda done, total: pytest.fail("it read pictures"))
    write(root / "sources.csv", PATHS.replace("Rembrandt", "Lievens").encode())
    changed = scan.quick_scan(root)
    assert len({without.digest, with_table.digest, changed.digest, None}) == 4
    assert changed == scan.scan(root)
    assert table(changed, tmp_path / "out").source["train/baroque/000.jpg"] == "Lievens"


def test_rows_for_missing_files_and_other_columns_change_nothing(root: Path) -> None:
    write(root / "sources.csv", PATHS.encode())
    before = scan.scan(root)
    write(root / "sources.csv", PATHS.replace("CC0", "PD").replace("Frans Hals", "Judith Leyster").encode())
    assert scan.scan(root) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks the column folder.*It has: none"),
        (b"path;source\ntrain/a.jpg;x\n", r"lacks the column folder.*It has: 'path;source'"),
        (b"path,painter\ntrain/a.jpg,x\n", "lacks the column source.*It has: 'path', 'painter'"),
        (b"path,source\ntrain/a.jpg,x\nA/train/a.jpg,y\n", "gives 'train/a.jpg' two sources, 'x' and 'y'"),
        (b"folder,source\nbaroque,x\ntest/baroque,y\n", "gives 'test/baroque' two sources, 'x' and 'y'"),
        (b"path,source\ntrain/a.jpg,Vermeer, Delft\n", "line 2: 3 values in a table of 2 columns"),
        (b"path,source\ntrain/a.jpg\n", "line 2: 1 values in a table of 2 columns"),
        (b"path,source\ntrain/caf\xe9.jpg,x\n", "is not UTF-8"),
        (b'path,source\ntrain/a.jpg,"x\n', "not readable as CSV"),
        (b"path,source\ntrain/a.jpg," + bytes(200_000).replace(b"\0", b"x"), "not readable as CSV"),
        (b"PK\x03\x04\xff\xfe", "is not UTF-8"),
    ],
)
def test_an_unusable_table_is_an_error_that_says_why(root: Path, content: bytes, message: str) -> None:
    write(root / "sources.csv", content)
    for scan_ in (scan.scan, scan.quick_scan):
        with pytest.raises(DataError, match=rf"sources.csv.*{message}") as error:
            scan_(root)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1 not at all", "texts", "lists"], ids=["empty", "damaged", "no source", "lists"]
)
def test_an_unusable_parquet_table_is_an_error(root: Path, content: bytes | str) -> None:
    if isinstance(content, bytes):
        write(root / "sources.parquet", content)
    else:
        column = {"texts": "painter", "lists": "source"}[content]
        pd.DataFrame({"path": ["train/a.jpg"], column: [["x"]]}).to_parquet(root / "sources.parquet")
    with pytest.raises(DataError, match=r"sources.parquet (is not readable|lacks the column source)") as error:
        scan.scan(root)
    assert "\n" not in str(error.value)


def test_a_folder_in_place_of_the_table_and_two_tables_are_errors(root: Path) -> None:
    (root / "sources.csv").mkdir()
    with pytest.raises(DataError, match=r"sources.csv is not a file"):
        scan.scan(root)
    write(root / "sources.parquet", b"")
    with pytest.raises(DataError, match=r"holds both sources.csv and sources.parquet"):
        scan.scan(root)


def test_an_empty_cell_names_nothing_and_a_point_names_all(tmp_path: Path) -> None:
    file = write(tmp_path / "sources.csv", b"folder,source\n,x\n")
    assert read_table(file, data_set=True).source("train/baroque/a.jpg") is None
    write(file, b"\xef\xbb\xbffolder,source\r\n.,x\r\n\r\n")
    assert read_table(file, data_set=True).source("train/baroque/a.jpg") == "x"
    assert read_table(file, data_set=False).source("a.jpg") == "x"


def test_the_name_of_a_source_is_one_printable_line() -> None:
    assert display_name(" a\x1b[31m\n b\u202e ") == "a [31m b"
    assert display_name("Hokusai – 北斎") == "Hokusai – 北斎"
    assert len(display_name("x" * 10_000)) == 200


def test_incoming_pictures_have_the_source_of_their_provenance_or_folder(root: Path, tmp_path: Path) -> None:
    incoming = root.parents[1] / "incoming"
    for number, folder in enumerate(("AI/flux", "AI/SD/baroque", "human/wikiart", "human/met/baroque")):
        write(incoming / folder / "a.jpg", jpeg(900 + number))
        write(incoming / folder / "b.jpg", jpeg(800 + number))
    for name, source in (("1", '"batch 1"'), ("2", "null"), ("3", '"batch 3"')):
        pictures = ["AI/flux/a.jpg", "human/met/baroque/a.jpg"] if name == "1" else ["human/met/baroque/a.jpg"]
        listed = ", ".join(f'{{"path": "incoming/{path}"}}' for path in pictures)
        record = f'{{"source": {source}, "pictures": [{listed}]}}'
        write(incoming / "provenance" / f"{name}.json", record.encode())
    rows = table(scan.scan(root, incoming=True), tmp_path / "out")
    found = rows.source[rows.origin == "incoming"].to_dict()
    assert found == {
        "incoming/AI/SD/baroque/a.jpg": "stable_diffusion",
        "incoming/AI/SD/baroque/b.jpg": "stable_diffusion",
        "incoming/AI/flux/a.jpg": "batch 1",
        "incoming/AI/flux/b.jpg": "flux",
        "incoming/human/met/baroque/a.jpg": "batch 3",  # the newest record counts
        "incoming/human/met/baroque/b.jpg": "met",
        "incoming/human/wikiart/a.jpg": "wikiart",
        "incoming/human/wikiart/b.jpg": "wikiart",
    }
    (incoming / "provenance" / "3.json").unlink()
    assert scan.quick_scan(root, incoming=True).sources == {"incoming/AI/flux/a.jpg": "batch 1"}


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"source": 7, "pictures": []}', b'{"pictures": [{}]}'])
def test_an_unusable_provenance_record_is_named(root: Path, content: bytes) -> None:
    file = write(root.parents[1] / "incoming" / "provenance" / "x.json", content)
    with pytest.raises(DataError, match=f"{file} is not readable as a provenance record"):
        scan.scan(root, incoming=True)
