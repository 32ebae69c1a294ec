"""The page of `artdetect serve` in a real browser: its screenshots for docs/images/, and what axe-core says of it.

    python -m benchmarks.serve_page             writes docs/images/page-*.webp and publishes the result of axe-core
    python -m benchmarks.serve_page --axe FILE  with another version of axe-core: its axe.min.js

axe-core (MPL-2.0) checks a page against WCAG. The pictures are drawn; what the starter says of drawn pictures means
nothing about real art.
"""

import argparse
import io
import json
import re
import tempfile
import time
import zipfile
from importlib import resources
from pathlib import Path

from PIL import Image, PngImagePlugin

from artdetect.demo_data import draw
from artdetect.model.choice import STARTER
from benchmarks.browser import Page, browser
from benchmarks.harness import PROJECT, publish, table
from benchmarks.serve_load import Served

WIDTHS = (1280, 390)
LONGEST = 1500  # pixels of a screenshot's height
SETTINGS = "a harbour at dawn, impressionism\nSteps: 28, Sampler: DPM++ 2M, CFG scale: 6, Seed: 7, Size: 512x512"


def pictures(folder: Path) -> list[Path]:
    """Three drawn pictures, the first of which declares a generator."""
    with zipfile.ZipFile(draw(folder, styles=("impressionism", "ukiyo_e"), train=1, test=1)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        chosen = [next(name for name in names if "AI_SD" in name), names[0], names[-1]]
        opened = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in chosen]
    files = [folder / name for name in ("dawn.png", "harbour.png", "waves.png")]
    for file, picture in zip(files, opened, strict=True):
        info = PngImagePlugin.PngInfo()
        if file == files[0]:
            info.add_text("parameters", SETTINGS)
        picture.resize((512, 512), Image.Resampling.LANCZOS).save(file, pnginfo=info)
    return files


def axe() -> str:
    """The script of axe-core in the package axe-core-python."""
    return (resources.files("axe_core_python") / "axe.min.js").read_text()


def checked(page: Page, script: str) -> tuple[int, list[str]]:
    """How many rules of axe-core the page passes, and which it violates."""
    page.evaluate(f"{script};0")
    run = "axe.run().then(all => JSON.stringify([all.passes.length, all.violations.map(one => one.id)]))"
    answer = page.call("Runtime.evaluate", expression=run, awaitPromise=True, returnByValue=True)
    passed, violated = json.loads(answer["result"]["value"])
    return passed, violated


def fill(page: Page, address: str, files: list[Path]) -> None:
    """Open the page, choose pictures, and show the evidence of all that can be read."""
    page.open(f"{address}/", lambda text: "Pictures" in text)
    page.choose("#files", files)
    page.wait(lambda text: f"{len(files)} judged." in text, 300)
    page.evaluate("document.querySelectorAll('.show-evidence').forEach(one => one.click())")
    deadline = time.monotonic() + 300
    missing = "document.querySelectorAll('.show-evidence').length - document.querySelectorAll('canvas').length"
    while page.evaluate(missing) and time.monotonic() < deadline:
        time.sleep(0.2)


def main() -> None:
    """Drive the page, take the screenshots and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe", type=Path, help="axe.min.js of another version of axe-core")
    chosen = parser.parse_args().axe
    script = chosen.read_text() if chosen else axe()
    version = re.search(r"axe v([\d.]+)", script)
    assert version
    rows = []
    with tempfile.TemporaryDirectory() as scratch, Served(STARTER, 64) as served:
        folder = Path(scratch)
        files = pictures(folder)
        for scheme in ("light", "dark"):
            with browser(scheme) as page:
                for path in ("/", "/docs"):
                    for width in WIDTHS:
                        page.resize(width, 900)
                        if path == "/":
                            fill(page, served.address, files)
                        else:
                            page.open(f"{served.address}{path}", lambda text: "openapi.json" in text)
                        passed, violated = checked(page, script)
                        rows.append([path, scheme, f"{width}", f"{passed}", ", ".join(violated) or "none"])
                        if path == "/":
                            name = f"page-{scheme}.webp" if width == max(WIDTHS) else f"page-{scheme}-phone.webp"
                            shoot(page, PROJECT / "docs" / "images" / name, width)
    heads = ["page", "scheme", "width px", "rules passed", "violations"]
    publish(
        "The page and axe-core",
        f"axe-core {version[1]}, with three pictures and their evidence.\n\n{table(heads, rows)}",
    )


def shoot(page: Page, file: Path, width: int) -> None:
    """Write a screenshot as WebP."""
    with tempfile.TemporaryDirectory() as folder:
        page.screenshot(shot := Path(folder, "shot.png"), width, LONGEST)
        Image.open(shot).convert("RGB").save(file, quality=80, method=6)


if __name__ == "__main__":
    main()
