"""The pictures of the dashboard in docs/: a real retraining on drawn pictures, looked at with a real browser.

    python -m benchmarks.screenshots            writes docs/dashboard-*.webp

The drawn sample set is trained on, pictures of one simulated generator drawn with another seed come in, and the
deployed retraining judges a challenger. Accuracy on drawn pictures means nothing about real art.
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

DOCS = PROJECT / "docs"
WIDTH = 1100  # CSS pixels
TOML = """
[download]
url = "data/sample/drawn-art.zip"
[train]
preset = "artnet"
size = 128
views = 2
[evaluate]
robustness = 100
[report]
title = "The drawn sample set"
[retrain]
least = 30
"""


def main() -> None:
    """Run, look, and write the pictures."""
    with tempfile.TemporaryDirectory(prefix="artdetect-") as place:
        project = Path(place) / "project"
        (project / "data").mkdir(parents=True)
        draw(project / "data" / "sample")
        new = _new_pictures(Path(place))
        with site(project, TOML) as up:
            up.do("prefect", "deployment", "run", "pipeline/train", "--watch")
            up.do("artdetect.cli", "ingest", new, "--label", "AI", "--generator", "newcomer", "--config", CONFIG)
            assert eventually(lambda: _judged(up) is not None, 1800), up.log()
            run = _judged(up)
            assert run
            with browser() as page:
                _look(up, run, page)


def _look(up: Site, run: dict[str, Any], page: Page) -> None:
    page.open(f"{up.dashboard}/runs/flow-run/{run['id']}", lambda text: "evaluate champion" in text)
    _keep(page, "run", 900)
    shown = up.artifacts(run)
    for name, words, height in (
        ("stages", "evaluate champion", 760),
        ("metrics", "ROC-AUC", 980),
        ("reliability", "p(AI)", 760),
        ("gate", "calibration", 1250),
    ):
        page.open(f"{up.dashboard}/artifacts/artifact/{shown[name]['id']}", lambda text, words=words: words in text)
        _keep(page, name, height)
    (train,) = [deployment for deployment in up.ask("deployments") if deployment["name"] == "train"]
    page.open(f"{up.dashboard}/deployments/deployment/{train['id']}/run", lambda text: "Submit" in text)
    _keep(page, "form", 900)


def _keep(page: Page, name: str, height: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        page.picture(file := Path(place) / "page.png", WIDTH, height)
        with Image.open(io.BytesIO(file.read_bytes())) as picture:
            picture.convert("RGB").save(DOCS / f"dashboard-{name}.webp", quality=85, method=6)


def _judged(up: Site) -> dict[str, Any] | None:
    ended = [run for run in up.runs("retrain") if run["state_type"] in ENDED]
    return next((run for run in ended if "gate" in up.artifacts(run)), None)


def _new_pictures(place: Path) -> Path:
    """Pictures of one simulated generator, drawn with another seed."""
    archive = draw(place / "other", seed=7)
    with zipfile.ZipFile(archive) as file:
        file.extractall(place / "other")
    new = place / "new"
    new.mkdir()
    folders = sorted(folder for folder in (place / "other").rglob("AI_*") if folder.parent.name == "train")
    generator = folders[0].name.split("_")[1]
    for folder in folders:
        if folder.name.split("_")[1] == generator:
            for picture in folder.iterdir():
                shutil.copy(picture, new / f"{folder.name}-{picture.name}")
    return new


if __name__ == "__main__":
    main()
