"""Makes the screenshots of the dashboard in docs/images/: a real retraining on the demo data, shown in a real browser.

    python -m benchmarks.screenshots            writes docs/images/dashboard-*.webp

A model is trained on the demo data. Then pictures of one simulated generator, drawn with another seed, are ingested,
and the deployed retraining compares a challenger with the champion. Accuracy on drawn pictures means nothing about
real art.
"""

import io
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

from artdetect.demo_data import draw
from benchmarks.browser import Page, browser
from benchmarks.deployed_project import CONFIG, ENDED, PROJECT, Site, eventually, site

IMAGES = PROJECT / "docs" / "images"
WIDTH = 1100  # CSS pixels
TOML = """
[download]
url = "data/sample/drawn-art.zip"
[train]
preset = "artnet"
size = 128
degraded_views = 2
[evaluate]
robustness_pictures = 100
[report]
title = "Demo data"
[retrain]
min_new_pictures = 30
"""


def main() -> None:
    """Run the flows and write the screenshots."""
    with tempfile.TemporaryDirectory(prefix="artdetect-") as folder:
        project = Path(folder) / "project"
        (project / "data").mkdir(parents=True)
        draw(project / "data" / "sample")
        new = _new_pictures(Path(folder))
        with site(project, TOML) as up:
            up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
            up.do("artdetect.cli", "ingest", new, "--label", "AI", "--generator", "newcomer", "--config", CONFIG)
            assert eventually(lambda: _finished_retraining(up) is not None, 1800), up.log()
            run = _finished_retraining(up)
            assert run
            with browser() as page:
                _take_screenshots(up, run, page)


def _take_screenshots(up: Site, run: dict[str, Any], page: Page) -> None:
    up.log_in(page)
    page.open(f"{up.dashboard}/runs/flow-run/{run['id']}", lambda text: "evaluate champion" in text)
    _save(page, "run", 900)
    shown = up.artifacts(run)
    for name, words, height in (
        ("stages", "evaluate champion", 760),
        ("metrics", "ROC-AUC", 980),
        ("reliability", "p(AI)", 760),
        ("gate", "calibration", 1250),
    ):
        page.open(f"{up.dashboard}/artifacts/artifact/{shown[name]['id']}", lambda text, words=words: words in text)
        _save(page, name, height)
    (train,) = [deployment for deployment in up.query("deployments") if deployment["name"] == "train"]
    page.open(f"{up.dashboard}/deployments/deployment/{train['id']}/run", lambda text: "Submit" in text)
    _save(page, "form", 900)


def _save(page: Page, name: str, height: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page.screenshot(file := Path(folder) / "page.png", WIDTH, height)
        with Image.open(io.BytesIO(file.read_bytes())) as picture:
            picture.convert("RGB").save(IMAGES / f"dashboard-{name}.webp", quality=85, method=6)


def _finished_retraining(up: Site) -> dict[str, Any] | None:
    ended = [run for run in up.runs("retrain") if run["state_type"] in ENDED]
    return next((run for run in ended if "gate" in up.artifacts(run)), None)


def _new_pictures(folder: Path) -> Path:
    """A folder with pictures of one simulated generator, drawn with another seed."""
    archive = draw(folder / "other", seed=7)
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder / "other")
    new = folder / "new"
    new.mkdir()
    sources = sorted(source for source in (folder / "other").rglob("AI_*") if source.parent.name == "train")
    generator = sources[0].name.split("_")[1]
    for source in sources:
        if source.name.split("_")[1] == generator:
            for picture in source.iterdir():
                shutil.copy(picture, new / f"{source.name}-{picture.name}")
    return new


if __name__ == "__main__":
    main()
