"""How a browser lays the page out: no sideways scrolling at any width, and nothing that runs."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Folders

MEASURE = """<script>
function explained() {
  const shown = [...document.querySelectorAll(".explained")].filter(figure => figure.getClientRects().length)
  const at = figure => figure.getBoundingClientRect()
  return shown.sort((a, b) => at(a).top - at(b).top || at(a).left - at(b).left).map(figure => figure.id)
}
function choices() {
  return Object.fromEntries([...document.querySelectorAll(".choices input")].map(input => {
    input.checked = true
    const shown = explained()
    document.querySelector(`input[name=${input.name}]`).checked = true
    return [input.id, shown]
  }))
}
function zoomed() {
  location.hash = document.querySelector(".enlarge").getAttribute("href")
  const figure = document.querySelector(".explained:target")
  return figure && `${getComputedStyle(figure).position} ${figure.querySelector("img").clientWidth}`
}
addEventListener("load", () => parent.postMessage({
  width: innerWidth, content: document.documentElement.scrollWidth, shown: document.documentElement.clientWidth,
  executed: window.executed || 0,
  broken: [...document.images].filter(image => !image.naturalWidth).length,
  choices: choices(), zoomed: zoomed()}, "*"))</script>"""
COLLECT = """<!doctype html><body><script>addEventListener("message", ({data}) => {
  document.body.append(Object.assign(document.createElement("pre"), {textContent: JSON.stringify(data)}))})</script>"""


def test_a_browser_shows_it_at_phone_and_desktop_width_without_sideways_scrolling(
    page: str, full_page: str, tmp_path: Path
) -> None:
    measured = _in_chromium((page, full_page), (320, 390, 1280), tmp_path)
    assert sorted(row["width"] for row in measured) == [320, 320, 390, 390, 1280, 1280]
    for row in measured:
        assert row["content"] <= row["shown"], f"{row['content'] - row['shown']} px too wide at {row['width']} px"
        assert row["executed"] == 0
        assert row["broken"] == 0


def test_explanations_are_filtered_sorted_and_enlarged_without_scripts(
    folders: Folders, page: str, tmp_path: Path
) -> None:
    rows = pd.read_parquet(folders["explain"] / "explanations.parquet")
    assert 0 < (rows.predicted == rows.label).sum() < len(rows)
    (measured,) = _in_chromium((page,), (1280,), tmp_path)
    shown = {choice: [name.removeprefix("picture-") for name in names] for choice, names in measured["choices"].items()}
    right = rows.predicted == rows.label
    wanted = {"outcome-right": right, "outcome-wrong": ~right}
    for column, name in (("label", "class"), ("verdict", "verdict")):
        wanted |= {f"{name}-{value}": rows[column] == value for value in ("AI", "human")}
    wanted["verdict-unsure"] = rows.verdict == "unsure"
    for choice, chosen in wanted.items():
        assert sorted(shown[choice]) == sorted(rows.name[chosen]), choice
    p_ai = (rows.set_index("name").p_ai * 10000).round()
    assert list(p_ai[shown["order-rising"]]) == sorted(p_ai)
    assert list(p_ai[shown["order-falling"]]) == sorted(p_ai, reverse=True)
    assert len(shown["outcome-all"]) == len(rows)
    position, width = measured["zoomed"].split()
    assert position == "fixed"
    assert int(width) >= 900


def _in_chromium(pages: tuple[str, ...], widths: tuple[int, ...], folder: Path) -> list[dict]:
    """What pages measure in frames of each width. The copies lack the page's policy, which stops any script."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium on this machine: the layout is looked at where there is one, as in CI")
    frames = ""
    for number, page in enumerate(pages):
        copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', MEASURE, page)
        (folder / f"{number}.html").write_text(copy, encoding="utf-8")
        frames += "".join(
            f'<iframe src="{number}.html" style="width:{width}px;height:800px;border:0"></iframe>' for width in widths
        )
    (folder / "frames.html").write_text(COLLECT + frames, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --virtual-time-budget=4000 --dump-dom"
    command = [browser, *flags.split(), f"--user-data-dir={folder / 'profile'}", (folder / "frames.html").as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    return [json.loads(html.unescape(found)) for found in re.findall(r"<pre>(.*?)</pre>", dumped)]
