"""The page, driven in a real Chromium: what a person sees of one picture, ten, broken, large and false ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from artdetect.explain import evidence_figures
from artdetect.model.predict import Verdict
from artdetect.serve import feedback
from artdetect.serve.live_model import LiveModel
from artdetect.serve.service import Judged, Service
from benchmarks import serve_page
from benchmarks.browser import Page, browser, executable
from tests.pictures import declared_files
from tests.serve.running import serving
from tests.tiny_dataset import jpeg, write
from tests.waiting import awaited

needs_chromium = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
START = "AI-generated or human-made?"


@pytest.fixture(scope="module")
def served(running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a service that takes 64 MB, and its folder of feedback."""
    folder = tmp_path_factory.mktemp("kept")
    with serving(max_bytes=64 * 10**6, feedback=folder) as (_, address):
        yield address, folder


@pytest.fixture(scope="module")
def tab(served: tuple[str, Path]) -> Iterator[Page]:
    with browser("light") as page:
        page.call("Network.enable")
        yield page


@pytest.fixture
def page(tab: Page, served: tuple[str, Path]) -> Page:
    """The page, just opened."""
    tab.events.clear()
    tab.open(f"{served[0]}/", lambda text: START in text)
    return tab


def judged(page: Page, files: list[Path]) -> str:
    """The text of the page after all files got their answers."""
    page.choose("#files", files)
    text = page.wait(lambda text: f"{len(files)} judged." in text, 120)
    assert f"{len(files)} judged." in text, text
    return text


@needs_chromium
def test_pictures_get_verdicts_and_what_is_none_gets_its_reason(page: Page, served, tmp_path: Path) -> None:
    content = declared_files.FILES["AUTOMATIC1111"]
    files = [
        *(write(tmp_path / f"{n}.jpg", jpeg(n, side=64)) for n in range(8)),
        write(tmp_path / "prompted.png", content),
        write(tmp_path / "broken.jpg", jpeg(9, side=64)[:-300]),
        write(tmp_path / "<b>page.jpg", b"<!doctype html><script>document.title = 'bad'</script>"),
    ]
    text = judged(page, files)
    assert page.evaluate("document.querySelectorAll('.result .scale').length") == 9
    assert "Truncated: the file ends before the picture does" in text
    assert "<b>page.jpg" in text
    assert "Not a picture but a web page" in text
    assert "made with a Stable Diffusion front end claims AI" in " ".join(text.split())
    assert "Nothing. That says nothing about how it was made." in text
    assert page.evaluate("document.title") != "bad"
    assert page.evaluate("document.querySelectorAll('[aria-busy]').length") == 0
    addresses = page.requests()
    assert len([one for one in addresses if one.endswith("/results")]) == len(files)
    assert {one.partition("://")[2].partition("/")[0] for one in addresses} == {served[0].partition("://")[2]}


@needs_chromium
def test_sixty_megabytes_are_judged_and_more_is_refused_unsent(page: Page, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((5000, 4000)).convert("RGB").save(large := tmp_path / "large.bmp")
    assert large.stat().st_size > 60 * 10**6
    (huge := tmp_path / "huge.bmp").write_bytes(large.read_bytes() + bytes(10**7))
    text = judged(page, [large, huge])
    assert page.evaluate("document.querySelectorAll('.result .scale').length") == 1
    assert "The file is too large (the limit is 64 MB)." in text
    assert len([one for one in page.requests() if one.endswith("/results")]) == 1


@needs_chromium
def test_a_wrong_verdict_can_be_told_by_keyboard(page: Page, served, tmp_path: Path) -> None:
    content = jpeg(77, side=64)
    judged(page, [write(tmp_path / "mine.jpg", content)])
    page.evaluate("document.querySelector('.feedback summary').focus()")
    for key, text, code in (("Enter", "\r", 13), ("Tab", "", 9), (" ", " ", 32), ("Tab", "", 9)):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        page.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
    page.call("Input.insertText", text="I painted it.")
    page.evaluate("document.querySelector('.feedback button').click()")
    assert "Kept. Thank you." in page.wait(lambda text: "Kept." in text)
    (kept,) = [file for file in served[1].rglob("*.jpg") if file.read_bytes() == content]
    assert kept.parent == served[1] / "AI" / "feedback"
    assert "I painted it." in (served[1] / feedback.NOTES).read_text()


@needs_chromium
def test_the_evidence_lies_over_the_picture_and_follows_the_sliders(page: Page, tmp_path: Path) -> None:
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    judged(page, [write(tmp_path / "own.jpg", jpeg(5, side=64))])
    page.evaluate("document.querySelector('.show-evidence').click()")
    assert "Hide weaker" in page.wait(lambda text: "Hide weaker" in text)
    label = page.evaluate("document.querySelector('canvas').getAttribute('aria-label')")
    assert label.startswith("own.jpg with its evidence: Not calibrated: ")
    legend = page.evaluate("document.querySelector('.controls').textContent")
    assert label.removeprefix("own.jpg with its evidence: ") in legend
    assert "orange leans to AI" in legend
    assert "speak" not in legend

    def drawn(opacity: int, threshold: int) -> str:
        for name, value in (("opacity", opacity), ("threshold", threshold)):
            slider = f"document.querySelector('.{name}')"
            page.evaluate(f"{slider}.value = {value}; {slider}.dispatchEvent(new Event('input'))")
        return page.evaluate("document.querySelector('canvas').toDataURL()")

    plain, strong = drawn(0, 0), drawn(100, 0)
    by_threshold = [drawn(100, percent) for percent in range(0, 96)]
    assert by_threshold[0] == strong != plain
    assert len({plain, *by_threshold}) > 2  # some evidence is hidden before all is
    assert drawn(0, 30) == plain
    page.evaluate("document.querySelector('.figure').click()")
    saved = tmp_path / "own.jpg-evidence.png"
    assert awaited(saved.exists)
    with Image.open(saved) as figure:
        assert figure.width == evidence_figures.WIDTH
        assert figure.height > page.evaluate("document.querySelector('canvas').height") + 100  # with its words


FRAMED = """(() => {
  const context = Object.assign(document.createElement("canvas"), {width: 200, height: 100}).getContext("2d")
  outline(context, ANSWER)
  const {data} = context.getImageData(0, 0, 200, 100)
  const places = [...Array(200 * 100).keys()].filter(place => data[4 * place + 3])
  const [across, down] = [places.map(place => place % 200), places.map(place => Math.floor(place / 200))]
  return places.length ? [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)] : null
})()"""


@needs_chromium
@pytest.mark.parametrize(("ai_area", "name"), [(0.2, "AI"), (0.8, "human"), (None, None)])
def test_what_stands_out_of_a_mixed_picture_has_a_frame(
    page: Page, running: tuple[Service, str, Path], ai_area: float | None, name: str | None
) -> None:
    part, whole = (0.25, 0.1, 0.5, 0.7), (0.0, 0.0, 1.0, 1.0)
    regions: dict[str, Any] = {"ai_region": part if name == "AI" else whole, "ai_area": ai_area}
    regions["human_region"] = whole if name == "AI" else part
    verdict = Verdict("a.jpg", "mixed", "parts differ", 0.6, "m", None, "AI", **(regions if name else {}))
    answer = Judged(verdict, running[0].live.model, None, None).as_dict()
    assert answer["stands_out"] == name
    awaited(lambda: page.evaluate("typeof outline === 'function'"))
    frame = page.evaluate(FRAMED.replace("ANSWER", json.dumps(answer | {"ai_area": None})))  # the page has no rule
    assert frame == ([47, 7, 102, 72] if name else None)  # 6 pixels wide


@needs_chromium
def test_the_answer_can_be_saved(page: Page, tmp_path: Path) -> None:
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    judged(page, [write(tmp_path / "own.jpg", jpeg(5, side=64))])
    page.evaluate("document.querySelector('.json').click()")
    saved = tmp_path / "own.jpg.json"
    assert awaited(lambda: saved.exists() and saved.read_text())
    assert json.loads(saved.read_text())["path"] == "own.jpg"


@needs_chromium
def test_without_scripts_the_form_gives_verdicts_with_their_evidence(page: Page, tmp_path: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.call("Page.reload")
        text = page.wait(lambda text: "Judge" in text)
        assert "Drop them" not in text
        page.choose("#files", [write(tmp_path / "a.jpg", jpeg(1, side=64)), write(tmp_path / "b.jpg", b"no picture")])
        page.evaluate("document.querySelector('.no-script button').click()")
        text = page.wait(lambda text: "2 judged." in text)
        assert "Cannot be read" in text
        assert page.evaluate("document.querySelectorAll('.result .scale').length") == 1
        assert "This verdict is wrong" not in text
        assert page.evaluate("document.querySelector('.words img').alt").startswith("a.jpg with its evidence: ")
        assert page.evaluate("[...document.querySelectorAll('.words img')].map(one => one.naturalWidth)") == [480]
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page: Page, tmp_path: Path, width: int) -> None:
    page.resize(width, 800)
    judged(page, [write(tmp_path / f"{'a-long-name' * 12}.png", declared_files.FILES["ComfyUI"])])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.resize(1280, 800)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_core_finds_no_violation(served, tmp_path: Path, scheme: str, width: int) -> None:
    files = [write(tmp_path / "own.jpg", jpeg(5, side=64)), write(tmp_path / "broken.jpg", b"no picture")]
    with browser(scheme) as page:
        page.resize(width, 900)
        serve_page.fill(page, served[0], files)
        passed, violated = serve_page.checked(page, serve_page.axe())
        assert violated == []
        assert passed > 30
        page.open(f"{served[0]}/docs", lambda text: "openapi.json" in text)
        assert serve_page.checked(page, serve_page.axe())[1] == []


def test_a_form_without_scripts_has_its_problem_on_the_page(served) -> None:
    answer = httpx.post(f"{served[0]}/", files={"picture": ("", b"")}, timeout=180)
    assert answer.status_code == 422
    assert "The form has no picture" in answer.text
    too_large = httpx.post(f"{served[0]}/", content=bytes(65 * 10**6), timeout=180)
    assert too_large.status_code == 413
    assert "The body is too large" in too_large.text


def test_the_page_says_what_is_known_of_the_model(served, model: Path) -> None:
    text = httpx.get(f"{served[0]}/").text
    assert LiveModel(model).model.detector.id in text
    assert "Nothing is known about its verdicts on art from other sources" in text
    assert httpx.get(f"{served[0]}/card").status_code == 404  # no report was made
