"""The contact sheet."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artdetect.explain.figures import Entry, overlay, sheet
from artdetect.explain.figures.colour_scale import PER

from .conftest import explanation, read


def test_file_names_stand_on_the_sheet_and_in_a_long_one_only_the_middle_is_missing(tmp_path, blocks, artwork, written):
    names = [f"{'long ' * 12}{number}.jpg" for number in range(3)] + ["short.png"]
    sheet([Entry(artwork, blocks, "AI", name) for name in names], tmp_path / "a.png")
    shown = [text for text, _ in written if text.endswith((".jpg", ".png"))]
    assert [text[-5:] for text in shown] == ["0.jpg", "1.jpg", "2.jpg", "t.png"]
    assert all(text.startswith("long long") and "…" in text for text in shown[:3])
    assert shown[3] == "short.png"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_sheet_of_any_number_shows_each_with_its_sentence_and_its_own_scale(
    tmp_path, artwork, blocks, written, count
):
    wide = explanation(np.repeat([0, 11], 6).reshape(3, 4) / PER, target=1)
    some = [(artwork, blocks), (Image.new("RGB", (40, 30), "white"), wide)]
    sheet(
        (Entry(*some[number % 2], f"verdict {number}\n(is AI)") for number in range(count)),
        tmp_path / "a.png",
        title="Some pictures",
    )
    texts = [text for text, _ in written]
    assert [text for text in texts if text.startswith("verdict")] == [f"verdict {number}" for number in range(count)]
    assert texts.count("(is AI)") == count
    assert texts.count("−0.9 … 0.9") == (count + 1) // 2
    assert texts.count("−11 … 11") == count // 2
    assert read(written).count("speaks for AI; the rest says little.") == (count + 1) // 2
    assert {"Some pictures", "speaks for human", "speaks for AI"} <= set(texts)


def test_a_sheet_of_one_scale_prints_it_once(tmp_path, artwork, blocks, written):
    entries = [Entry(artwork, replace(blocks, heatmap=blocks.heatmap * factor), "AI") for factor in (1, 2)]
    sheet(entries, tmp_path / "a.png", scale=0.9 / PER)
    texts = [text for text, _ in written]
    assert [texts.count(text) for text in ("−0.9", "≥ 0.9")] == [1, 1]
    assert not any("…" in text for text in texts)
    assert "All maps have the same scale." in read(written)


def test_a_sheet_of_several_methods_prints_no_unit_that_holds_for_one_alone(tmp_path, artwork, blocks, written):
    other = replace(blocks, config={"method": "smoothgrad"})
    sheet([Entry(artwork, blocks, "XRAI"), Entry(artwork, other, "SmoothGrad")], tmp_path / "a.png")
    assert not {"log-odds per 1,000 pixels", "without a unit"} & {text for text, _ in written}
    written.clear()
    sheet([Entry(artwork, blocks, "XRAI")] * 2, tmp_path / "a.png")
    assert "log-odds per 1,000 pixels" in {text for text, _ in written}


def test_a_sheet_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one entry or more"):
        sheet([], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_the_entries_of_a_sheet_are_taken_one_after_the_other(tmp_path, blocks, monkeypatch):
    events, outlined = [], overlay.outline

    def entries():
        for _ in range(3):
            events.append("read")
            yield Entry(Image.new("RGB", (8, 8)), blocks, "AI")

    monkeypatch.setattr(overlay, "outline", lambda *given, **named: events.append("drawn") or outlined(*given, **named))
    sheet(entries(), tmp_path / "a.png")
    assert events == ["read", "drawn"] * 3
