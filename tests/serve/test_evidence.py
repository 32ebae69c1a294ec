"""Evidence over HTTP: from the pass of the model that gives the verdict, and the same as without the service."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from artdetect import starter
from artdetect.model.decision import DecisionRule
from artdetect.model.mixed import MixedRule
from artdetect.model.onnx_runtime import Graph
from artdetect.model.parts import Parts
from artdetect.pictures import images, palette
from artdetect.serve import answers
from artdetect.serve.service import Service
from benchmarks.browser import browser, executable
from tests.serve.running import PREDICT, get, post, serving, verdict
from tests.tiny_dataset import jpeg, write

EXPLAIN = "/api/v1/explain"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service with the starter model, which gives its evidence with its verdict."""
    with serving(Path(starter.__file__).with_name("model.npz"), 10**7) as running:
        yield running


@pytest.fixture
def passes(own: tuple[Service, str], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of a graph had, of those that take pictures."""
    found: list[int] = []
    plain = Graph.__call__

    def counted(self: Graph, arrays: np.ndarray) -> dict[str, np.ndarray]:
        if arrays.ndim == 4:
            found.append(len(arrays))
        return plain(self, arrays)

    monkeypatch.setattr(Graph, "__call__", counted)
    return found


def test_a_picture_with_its_evidence_goes_through_the_model_once(own: tuple[Service, str], passes: list[int]) -> None:
    _, address = own
    assert post(address, jpeg(1, side=240), EXPLAIN).status_code == 200
    assert passes == [1]


def test_answers_have_the_form_of_their_examples(own: tuple[Service, str]) -> None:
    _, address = own
    schemas = get(address, "/openapi.json")["components"]["schemas"]
    paths = {"Verdicts": PREDICT, "Evidence": EXPLAIN, "Health": "/healthz"}
    assert answers.EXAMPLES.keys() == paths.keys()
    for name, path in paths.items():
        (example,) = schemas[name]["examples"]
        getattr(answers, name).model_validate(example)
        answer = get(address, path) if name == "Health" else post(address, jpeg(1, side=240), path).json()
        assert answer.keys() == example.keys()
        (first, *_), (second, *_) = (one.get("pictures") or [one.get("picture", {})] for one in (answer, example))
        assert first.keys() == second.keys()


def test_without_scripts_each_picture_of_the_page_goes_through_the_model_once(
    own: tuple[Service, str], passes: list[int]
) -> None:
    _, address = own
    files = [("picture", (f"{seed}.jpg", jpeg(seed, side=240))) for seed in (1, 2, 3)]
    files.append(("picture", ("page.jpg", b"<html>")))
    answer = httpx.post(address, files=files, timeout=180)
    assert (answer.status_code, sum(passes)) == (200, 3)
    assert len(re.findall(r'alt="\d\.jpg with its evidence', answer.text)) == 3
    assert "Cannot be read" in answer.text


def test_evidence_and_verdicts_that_wait_together_are_those_of_each_picture_alone(own: tuple[Service, str]) -> None:
    service, address = own
    detector = service.live.model.detector
    contents = [jpeg(seed, side=120 + 40 * seed) for seed in range(6)]
    canonical = [images.load(content, detector.geometry) for content in contents]
    expected = [detector.evidence(pixels[None]).margin[0].round(4).tolist() for pixels in canonical]
    rows = [verdict(address, content, name="a.jpg") for content in contents]

    def ask(number: int) -> Any:
        return post(address, contents[number % 6], (EXPLAIN, PREDICT)[number // 6 % 2], name="a.jpg").json()

    with ThreadPoolExecutor(12) as many:
        answers = list(many.map(ask, range(24)))
    for number, answer in enumerate(answers):
        if number // 6 % 2:
            assert answer["pictures"] == [rows[number % 6]]
        else:
            assert answer["picture"] == rows[number % 6]
            assert answer["margin"] == expected[number % 6]
    assert len({str(margin) for margin in expected}) == 6


@pytest.fixture
def mixed(own: tuple[Service, str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, bytes]:
    """The address of a service that calls pictures mixed however little their parts say, and one whose halves differ.

    Stripes say AI, noise says human.
    """
    service, address = own
    eager = Parts([], {}, MixedRule(-100.0, 0.0, 0.0, 0, {}, 0))
    detector = replace(service.live.model.detector, parts=eager, rule=DecisionRule())
    monkeypatch.setattr(service.live.model, "detector", detector)
    stripes = (np.indices((300, 300))[0] % 10 < 3) * 180 + 20
    picture = Image.fromarray(stripes.astype(np.uint8))
    picture.paste(Image.effect_noise((150, 300), 90))
    picture.save(file := io.BytesIO(), "PNG")
    return address, file.getvalue()


def is_orange(pixel: Any) -> bool:
    return all(abs(found - wanted) < 30 for found, wanted in zip(pixel, palette.FOR_AI, strict=False))


def test_a_mixed_picture_has_a_frame_around_what_says_ai(mixed: tuple[str, bytes]) -> None:
    address, content = mixed
    answer = post(address, content, EXPLAIN).json()["picture"]
    left, top, right, bottom = answer["ai_region"]
    assert (answer["verdict"], top, right, bottom) == ("mixed", 0, 1, 1)
    figure = Image.open(io.BytesIO(post(address, content, EXPLAIN, format="png").content)).convert("RGB")
    column = [figure.getpixel((round(left * 299) + 1, row)) for row in range(20, 280)]
    assert all(is_orange(pixel) for pixel in column)
    page = httpx.post(address, files={"picture": ("a.png", content)}, timeout=180).text
    assert "The frame is around what speaks firmly for AI." in page
    plain = httpx.post(address, files={"picture": ("a.jpg", jpeg(1, side=240))}, timeout=180).text
    assert ("The frame" in plain) == ("Looks AI-generated in part" in plain)


@pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
def test_the_page_draws_the_frame(mixed: tuple[str, bytes], tmp_path: Path) -> None:
    address, content = mixed
    (left, *_) = post(address, content, EXPLAIN).json()["picture"]["ai_region"]
    with browser("light") as page:
        page.open(f"{address}/", lambda text: "Pictures" in text)
        page.choose("#files", [write(tmp_path / "a.png", content)])
        assert "Looks AI-generated in part" in page.wait(lambda text: "1 judged." in text, 120)
        page.evaluate("document.querySelector('.show-evidence').click()")
        assert "The frame is around" in page.wait(lambda text: "Hide weaker" in text, 120)
        canvas = "document.querySelector('canvas')"
        pixel = f"{canvas}.getContext('2d').getImageData({left} * {canvas}.width, {canvas}.height / 2, 1, 1).data"
        assert is_orange(page.evaluate(f"[...{pixel}]"))
