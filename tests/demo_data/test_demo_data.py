"""The demo data: reproducible, in AI-ArtBench's layout; files give the label away, simple statistics do not."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from artdetect import demo_data
from artdetect.core.errors import ConfigError
from artdetect.demo_data import styles
from artdetect.pictures.labels import origin


@pytest.fixture(scope="module")
def archive_path(tmp_path_factory) -> Path:
    return demo_data.draw(tmp_path_factory.mktemp("drawn"), train=5, test=1)


@pytest.fixture(scope="module")
def pictures(archive_path) -> list[tuple[str, str, Image.Image]]:
    """(split, folder, picture) of every picture in the archive."""
    with zipfile.ZipFile(archive_path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".jpg")]
        return [(*name.split("/")[1:3], Image.open(io.BytesIO(archive.read(name)))) for name in members]


def small_archive(folder: Path, **changes) -> bytes:
    return demo_data.draw(folder, **{"styles": ["ukiyo_e"], "train": 1, "test": 1, "workers": 1} | changes).read_bytes()


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> bytes:
    return small_archive(tmp_path_factory.mktemp("default"))


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(default, tmp_path):
    assert small_archive(tmp_path, workers=2) == default


def test_another_seed_gives_other_pictures(default, tmp_path):
    assert small_archive(tmp_path, seed=1) != default


def test_a_picture_does_not_depend_on_what_else_is_drawn(default, tmp_path):
    name = "DrawnArt/test/AI_SD_ukiyo_e/ukiyo_e-0000.jpg"
    more = small_archive(tmp_path, styles=["ukiyo_e", "art_nouveau"], train=0)
    few, more = (zipfile.ZipFile(io.BytesIO(content)).read(name) for content in (default, more))
    assert few == more


def test_folders_name_label_style_and_generator(pictures):
    counts = Counter((split, origin(folder)) for split, folder, _ in pictures)
    assert None not in {parsed for _, parsed in counts}
    generators = Counter((split, parsed.label, parsed.generator) for split, parsed in counts)
    assert generators == {
        (split, label, generator): 3
        for split in ("train", "test")
        for label, generator in (("human", "human"), ("AI", "latent_diffusion"), ("AI", "stable_diffusion"))
    }
    assert {parsed.style for _, parsed in counts} == set(styles.STYLES)
    assert all(count == (5 if split == "train" else 1) for (split, _), count in counts.items())


def test_sizes_and_qualities_give_the_label_away_as_in_the_real_set(pictures):
    files = {(origin(folder).generator, picture.size, picture.quantization[0][0]) for _, folder, picture in pictures}
    # The first entry of JPEG's standard luminance table is 16, scaled by 2 - quality / 50.
    assert files == {("human", (256, 256), 8), ("latent_diffusion", (256, 256), 8), ("stable_diffusion", (768, 768), 2)}
    assert not any(picture.getexif() for _, _, picture in pictures)


def test_the_notice_says_that_accuracy_here_means_nothing(archive_path):
    with zipfile.ZipFile(archive_path) as archive:
        assert (
            "Accuracy on these pictures means nothing about real art." in archive.read("DrawnArt/NOTICE.txt").decode()
        )


def test_a_failed_drawing_leaves_no_zip(tmp_path, monkeypatch):
    def fails(rng):
        raise MemoryError

    monkeypatch.setitem(styles.PAINTERS, "ukiyo_e", fails)
    with pytest.raises(MemoryError):
        demo_data.draw(tmp_path, train=1, test=0, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_drawing_keeps_the_older_zip(tmp_path, monkeypatch):
    before = small_archive(tmp_path)
    monkeypatch.setitem(styles.PAINTERS, "ukiyo_e", None)
    with pytest.raises(TypeError):
        small_archive(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {demo_data.NAME: before}


@pytest.mark.parametrize("invalid", [{"styles": ["cubism"]}, {"styles": []}, {"train": -1}, {"train": 0, "test": 0}])
def test_invalid_arguments_are_named(tmp_path, invalid):
    with pytest.raises(ConfigError, match="Received: "):
        demo_data.draw(tmp_path / "none", **invalid)
    assert not (tmp_path / "none").exists()


def statistics(picture: Image.Image) -> dict[str, float]:
    """Simple statistics of a picture as a model sees it: RGB, 128 px."""
    pixels = np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS), float)
    grey, opponent = pixels.mean(-1), pixels[..., 0] - pixels[..., 1]
    high, low = pixels.max(-1), pixels.min(-1)
    slope = np.hypot(*np.gradient(grey))
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    shares = np.histogram(grey, 64, (0, 256))[0] / grey.size
    return {
        "mean": grey.mean(),
        "std": grey.std(),
        **{f"mean of {name}": pixels[..., c].mean() for c, name in enumerate(("red", "green", "blue"))},
        "saturation": ((high - low) / (high + 1)).mean(),
        "gradient energy": (slope**2).mean(),
        "median gradient": np.median(slope),
        "Laplacian variance": laplacian.var(),
        "red-green std": opponent.std(),
        "red-green gradient": np.hypot(*np.gradient(opponent)).mean(),
        "energy at high frequency": power[radius > 0.25].sum() / power.sum(),
        "energy at middle frequency": power[(radius > 0.08) & (radius <= 0.25)].sum() / power.sum(),
        "colours": len(np.unique(pixels.astype(int) // 8 @ [1024, 32, 1])),
        "entropy": -(shares[shares > 0] * np.log(shares[shares > 0])).sum(),
    }


def test_no_single_statistic_tells_ai_from_human(pictures):
    rows = [statistics(picture) for _, _, picture in pictures]
    is_ai = [origin(folder).label == "AI" for _, folder, _ in pictures]
    aucs = {name: roc_auc_score(is_ai, [row[name] for row in rows]) for name in rows[0]}
    revealing = {name: round(auc, 2) for name, auc in aucs.items() if max(auc, 1 - auc) >= 0.75}
    assert not revealing
