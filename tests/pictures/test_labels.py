import pytest
from hypothesis import given
from hypothesis import strategies as st

from artdetect.pictures.labels import AI, CLASSES, HUMAN, Origin, Row, incoming, normal_style, origin, row, split


def test_ai_is_class_0() -> None:
    assert (CLASSES[AI], CLASSES[HUMAN]) == ("AI", "human")
    assert (AI, HUMAN) == (0, 1)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("baroque", Origin("human", "baroque", "human")),
        ("AI_LD_baroque", Origin("AI", "baroque", "latent_diffusion")),
        ("AI_SD_post_impressionism", Origin("AI", "post_impressionism", "stable_diffusion")),
        ("AI_Flux.1-dev_realism", Origin("AI", "realism", "Flux.1-dev")),
        ("AI_sd_realism", Origin("AI", "realism", "sd")),
        ("ukiyo-e", Origin("human", "ukiyo_e", "human")),
        ("AI_SD_ukiyo-e", Origin("AI", "ukiyo_e", "stable_diffusion")),
        ("Art Nouveau", Origin("human", "art_nouveau", "human")),
        ("aivazovsky", Origin("human", "aivazovsky", "human")),
    ],
)
def test_a_folder_name_gives_label_style_and_generator(folder: str, expected: Origin) -> None:
    assert origin(folder) == expected


@pytest.mark.parametrize(
    "folder",
    ["__MACOSX", "_", ".git", ".", "..", "", "ai_sd_x", "Ai_SD_x", "AI-SD-x", "AI_LD", "AI_", "AI", "ai", "AI art",
     "AI2024", "a/b", "what?", "line\nbreak", "AI_SD_line\nbreak"],
)  # fmt: skip
def test_names_outside_the_grammar_give_no_label(folder: str) -> None:
    assert origin(folder) is None


@given(st.text())
def test_any_name_is_an_origin_or_none(folder: str) -> None:
    found = origin(folder)
    if found is not None:
        assert found.label == ("AI" if folder.startswith("AI_") else "human")
        assert found.style == normal_style(found.style)


@given(st.text())
def test_a_hidden_folder_is_never_human_art(name: str) -> None:
    assert origin(f".{name}") is None
    assert origin(f"_{name}") is None


@given(st.text(alphabet="abcdeXYZ 123-_", min_size=1))
def test_all_spellings_of_a_style_are_normalised(style: str) -> None:
    spellings = {style, style.replace("_", "-"), style.replace("-", "_"), style.upper(), style.lower()}
    assert len({normal_style(name) for name in spellings}) == 1


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("AI/flux", Origin("AI", "unknown", "flux")),
        ("AI/LD/Art Nouveau", Origin("AI", "art_nouveau", "latent_diffusion")),
        ("human/wikiart", Origin("human", "unknown", "human")),
        ("human/wikiart/ukiyo-e/2024/May", Origin("human", "ukiyo_e", "human")),
    ],
)
def test_an_incoming_folder_gives_label_generator_and_style(folder: str, expected: Origin) -> None:
    assert incoming(folder) == expected


@pytest.mark.parametrize(
    "folder",
    ["", "AI", "human", "AI/", "ai/flux", "AI/../x", "AI/.x", "AI/human", "AI/a b", "AI/flux/_x", "Human/x", "x"],
)
def test_incoming_folders_outside_the_grammar_give_no_label(folder: str) -> None:
    assert incoming(folder) is None


@given(st.text())
def test_any_incoming_folder_is_an_origin_or_none(folder: str) -> None:
    assert incoming(folder) is None or incoming(folder).label in CLASSES


def test_one_incoming_picture_in_five_is_for_test() -> None:
    found = [split(f"{number:016x}" + "0" * 48) for number in range(1000)]
    assert found.count("test") == 200
    assert set(found) == {"train", "test"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train/ukiyo-e/a.jpg", Row("human", "train", "ukiyo_e", "human", "raw", "ukiyo_e")),
        ("test/AI_SD_x/deep/a.jpg", Row("AI", "test", "x", "stable_diffusion", "raw", "stable_diffusion")),
        ("train/unknown/a.jpg", Row("human", "train", "unknown", "human", "raw", "unknown")),
        ("real/train/ukiyo-e/a.jpg", Row("human", "train", "ukiyo_e", "human", "raw", "real/ukiyo_e")),
        ("real/test/Unknown/a.jpg", Row("human", "test", "unknown", "human", "raw", "unknown")),
        ("real/test/AI_flux_x/a.jpg", Row("AI", "test", "x", "flux", "raw", "flux")),
        ("incoming/human/met/baroque/a.jpg", Row("human", "train", "baroque", "human", "incoming", "met")),
        ("incoming/AI/LD/a.jpg", Row("AI", "train", "unknown", "latent_diffusion", "incoming", "latent_diffusion")),
    ],
)
def test_a_path_gives_all_labels_and_the_source_that_its_folder_says(path: str, expected: Row) -> None:
    assert row(path, None) == expected
