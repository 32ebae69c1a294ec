import pytest

from artdetect.pictures import file_types


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPG", "b.jpeg", "c.Png", "d.webp", "e.gif", "f.bmp", "g.tif", "h.TIFF", "i.avif"]
)
def test_pictures_are_candidates(name):
    assert file_types.is_candidate(name)
    assert file_types.is_candidate(f"folder/{name}")


@pytest.mark.parametrize(
    "name", [".a.jpg", "._a.jpg", "a.txt", "jpg", ".jpg", "a.jpg.part", "Thumbs.db", "x/._a.jpg", ""]
)
def test_other_files_are_not_candidates(name):
    assert not file_types.is_candidate(name)
