"""Evidence over HTTP: from the pass of the model that gives the verdict, and the same as without the service."""

import re
from collections import OrderedDict
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
from artdetect.serve import answers
from artdetect.serve.service import Service
from artdetect.usage.log import UsageLog
from tests.serve.running import PREDICT, get, post, serving, verdict
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


def test_a_picture_is_counted_and_logged_once_whichever_way_its_evidence_is_asked_for(tmp_path: Path) -> None:
    def counts() -> dict[str, float]:
        text = httpx.get(f"{address}/metrics").text
        rows = re.findall(r'artdetect_serve_pictures_total\{verdict="(\w+)"\} (\S+)', text)
        return {verdict: float(number) for verdict, number in rows}

    log = UsageLog(tmp_path / "use.jsonl")
    first, second = jpeg(1, side=240), jpeg(2, side=240)
    with serving(Path(starter.__file__).with_name("model.npz"), 10**7, tmp_path / "feedback") as (service, address):
        service.live.model.usage = log
        asked = [post(address, content, EXPLAIN).json()["picture"] for content in (first, first)]
        assert (sum(counts().values()), len(log.path.read_text().splitlines())) == (1, 1)
        asked.append(verdict(address, second))
        post(address, second, EXPLAIN, format="png").raise_for_status()
        form = {"files": {"picture": jpeg(3, side=240)}, "data": {"label": "human"}}
        httpx.post(f"{address}/api/v1/feedback", **form, timeout=180).raise_for_status()
        assert (sum(counts().values()), len(log.path.read_text().splitlines())) == (2, 2)
        assert post(address, b"<html>", EXPLAIN).status_code == 422
        assert counts()["error"] == 1
        assert verdict(address, first) == asked[0]  # who asks for a verdict twice is counted twice
        assert (sum(counts().values()), len(log.path.read_text().splitlines())) == (4, 3)


def test_what_was_counted_is_forgotten_with_the_oldest_first(
    own: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, address = own
    monkeypatch.setattr("artdetect.serve.service.REMEMBERED", 1)
    monkeypatch.setattr(service, "_counted", OrderedDict())
    counted: list[str] = []
    monkeypatch.setattr(service.metrics, "count", lambda verdict: counted.append(verdict.path))
    for name, seed in (("a", 1), ("b", 2), ("b", 2), ("a", 1)):
        post(address, jpeg(seed, side=240), EXPLAIN, name=name).raise_for_status()
    assert counted == ["a", "b", "a"]


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
