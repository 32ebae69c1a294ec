"""How a browser lays the page out: no sideways scrolling at any width, and nothing that runs."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from artdetect.report import context

from .conftest import Folders

MEASURE = """<script>
function shown(gallery) {
  const cards = [...gallery.querySelectorAll(".card")].filter(card => card.getClientRects().length)
  const at = card => card.getBoundingClientRect()
  return cards.sort((a, b) => at(a).top - at(b).top || at(a).left - at(b).left).map(card => card.id)
}
function choices() {
  const found = {}
  for (const list of document.querySelectorAll(".choices select")) {
    const first = list.value
    for (const {value} of list.options) {
      list.value = value
      found[`${list.id}=${value}`] = shown(list.closest("section"))
    }
    list.value = first
  }
  return found
}
function zoomed() {
  location.hash = document.querySelector("#explanations .enlarge").getAttribute("href")
  const card = document.querySelector(".card:target")
  const back = card.querySelector(".close")
  return `${getComputedStyle(card).position} ${card.querySelector("img").clientWidth} ${getComputedStyle(back).display}`
}
function small() {  // what a thumb cannot hit
  return [...document.querySelectorAll(".choices select, .close")].filter(
    one => one.getClientRects().length && one.getBoundingClientRect().height < 24).length
}
addEventListener("load", () => parent.postMessage({
  width: innerWidth, content: document.documentElement.scrollWidth, shown: document.documentElement.clientWidth,
  executed: window.executed || 0,
  broken: [...document.images].filter(image => !image.naturalWidth).length,
  choices: choices(), small: small(), zoomed: zoomed()}, "*"))</script>"""
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
        assert row["small"] == 0


def test_galleries_are_filtered_sorted_and_enlarged_without_scripts(
    folders: Folders, page: str, tmp_path: Path
) -> None:
    values = context.gather(folders)
    (measured,) = _in_chromium((page,), (1280,), tmp_path)
    lists = 0
    for name in ("mistakes", "explanations"):
        gallery = values[name]
        cards = {f"{name}-{number}": card for number, card in enumerate(gallery["cards"], start=1)}
        assert len(cards) > 2
        for filter in gallery["filters"]:
            for position, value in enumerate(filter["values"]):
                shown = measured["choices"][f"{name}-{filter['key']}={position}"]
                assert set(shown) == {key for key, card in cards.items() if card[filter["key"]] == value}
                lists += 1
            assert measured["choices"][f"{name}-{filter['key']}="] == list(cards)
        for order in gallery["orders"][1:]:
            shown = measured["choices"][f"{name}-order={order['key']}"]
            assert [cards[key]["places"][order["key"]] for key in shown] == list(range(len(cards)))
    assert lists > 8
    position, width, back = measured["zoomed"].split()
    assert (position, back) == ("fixed", "inline-block")
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
