"""The benchmarks' own parts. What they measure is not asserted anywhere: a busy machine is no bug."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from artdetect import index
from artdetect.index import scan
from artdetect.pictures import labels
from benchmarks import harness, synthetic_pictures

pytestmark = pytest.mark.slow


def draw(folder: Path, count: int) -> dict[str, bytes]:
    synthetic_pictures.draw(folder, count, workers=1)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_drawn_pictures_follow_ai_artbenchs_layout_and_sizes(tmp_path: Path, roots: Path) -> None:
    draw(tmp_path / "art", 20)
    index.run(index.IndexConfig(), scan.scan(tmp_path / "art"), tmp_path)

    table = pd.read_parquet(tmp_path / "index.parquet")

    assert table.ok.sum() == len(table) == 20
    assert set(zip(table.generator, table.width, table.height, table.jpeg_quality, strict=True)) == {
        ("human", 256, 256, 95),
        ("latent_diffusion", 256, 256, 75),
        ("stable_diffusion", 768, 768, 75),
    }


def test_any_number_of_pictures_has_the_originals_proportions() -> None:
    def counts(number: int) -> Counter[tuple[str, str]]:
        places = [synthetic_pictures.kind_and_path(n)[1].split("/") for n in range(number)]
        return Counter((split, labels.origin(folder).generator) for split, folder, _ in places)

    whole = counts(185_015)

    real = {"human": 50_000, "latent_diffusion": 52_092, "stable_diffusion": 52_923}
    for generator, count in real.items():
        assert abs(whole["train", generator] / count - 1) < 0.01
        assert abs(whole["test", generator] / 10_000 - 1) < 0.01
        assert abs(counts(2_000)["train", generator] / 2_000 - count / 185_015) < 0.01


def test_all_styles_appear_in_every_kind() -> None:
    folders = {path.rpartition("/")[0] for path in (synthetic_pictures.kind_and_path(n)[1] for n in range(400))}

    assert len(folders) == 6 * len(synthetic_pictures.STYLES)


def test_more_pictures_are_only_added_and_a_number_is_always_the_same_bytes(tmp_path: Path) -> None:
    first = draw(tmp_path / "grown", 4)
    assert synthetic_pictures.draw(tmp_path / "grown", 8, workers=1) == 4
    assert synthetic_pictures.draw(tmp_path / "grown", 8, workers=1) == 0
    grown = draw(tmp_path / "grown", 8)

    assert grown == draw(tmp_path / "at once", 8)
    assert first.items() <= grown.items()
    assert len(set(grown.values())) == 8


def test_links_show_some_pictures_of_a_folder(tmp_path: Path) -> None:
    all_of_them = draw(tmp_path / "all", 5)

    synthetic_pictures.link(tmp_path / "all", tmp_path / "some", range(3))
    synthetic_pictures.link(tmp_path / "all", tmp_path / "some", range(4))

    assert draw(tmp_path / "some", 4).items() <= all_of_them.items()


def work(seconds: float, megabytes: int) -> str:
    """A known cost, for the measured process."""
    with harness.part("spin 1"):
        spin(seconds)
    with harness.part("spin 2"):
        spin(seconds)
    return f"held {len(b'x' * (megabytes << 20))}"


def spin(seconds: float) -> None:
    start = harness.cpu_now()
    while harness.cpu_now() - start < seconds:
        pass


def test_cpu_parts_peak_and_result_of_a_process_are_measured() -> None:
    small = harness.measure("tests.test_benchmarks:work", 0.1, 1)
    large = harness.measure("tests.test_benchmarks:work", 0.1, 301)

    assert small.whole.cpu >= small.cost("spin").cpu >= 0.2
    assert small.cost("spin 1").cpu >= 0.1
    assert small.whole.wall >= small.cost("spin").wall
    assert 250 < large.peak_mb - small.peak_mb < 350
    assert large.result == f"held {301 << 20}"


def test_a_failing_process_is_shown_in_its_own_words() -> None:
    with pytest.raises(SystemExit, match="could not convert string to float"):
        harness.measure("builtins:float", "x")


def test_a_result_replaces_its_own_section_only(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    harness.publish("Other", "untouched", page)
    harness.publish("One", "old", page)
    harness.publish("One, small", "kept", page)
    harness.publish("One", "new", page)

    text = page.read_text()
    assert text.startswith(harness.HEAD)
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## One", "## One, small", "## Other"]
    assert "old" not in text
    assert all(word in text for word in ("new", "kept", "untouched"))
    assert text.count("UTC") == 3


def test_a_table_is_markdown_that_lines_up() -> None:
    text = harness.table(["what", "s"], [["a", 1.5], ["longer", 20]])

    assert text.splitlines() == ["| what   |   s |", "| ------ | --: |", "| a      | 1.5 |", "| longer |  20 |"]
