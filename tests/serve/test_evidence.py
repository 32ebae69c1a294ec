"""Evidence over HTTP: from the pass of the model that gives the verdict, and the same as without the service."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from artdetect import starter
from artdetect.model.onnx_runtime import Graph
from artdetect.pictures import images
from artdetect.serve.service import Service
from tests.serve.running import PREDICT, post, serving, verdict
from tests.tiny_dataset import jpeg

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


def test_without_scripts_each_picture_of_the_page_goes_through_the_model_once(
    own: tuple[Service, str], passes: list[int]
) -> None:
    _, address = own
    files = [("picture", (f"{seed}.jpg", jpeg(seed, side=240))) for seed in (1, 2, 3)]
    files.append(("picture", ("page.jpg", b"<html>")))
    answer = httpx.post(address, files=files, timeout=180)
    assert (answer.status_code, sum(passes)) == (200, 3)
    assert len(re.findall(r'alt="\d\.jpg with its evidence: [^"]*(?:speaks? for|says anything)', answer.text)) == 3
    assert answer.text.count('<span class="tag human">purple</span> speaks for human, no colour says nothing;') == 6
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
