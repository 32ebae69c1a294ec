"""The API: bodies and forms, one shape of errors, HEAD, metrics, and a description that is true."""

import base64
import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from artdetect.core.errors import ConfigError
from artdetect.explain import evidence_figures, evidence_map
from artdetect.explain.figures.caption import caption
from artdetect.gate import golden
from artdetect.model.predict import Verdict
from artdetect.pictures import images
from artdetect.pictures.file_types import SUFFIXES
from artdetect.serve import feedback, forms, page
from artdetect.serve.answers import COLUMNS
from artdetect.serve.service import Service
from artdetect.web import guard, problems
from tests.pictures import declared_files
from tests.serve.running import PREDICT, get, post, verdict
from tests.tiny_dataset import jpeg

Running = tuple[Service, str, Path]


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of an error, after checking its shape."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, problems.MEDIA_TYPE), answer.text
    body = answer.json()
    assert body["status"] == status
    assert {"title", "status", "detail"} <= set(body)
    return body["detail"]


# --- pictures in ---


def test_a_row_says_in_words_what_the_verdict_is_why_and_what_it_does_not_mean(address: str) -> None:
    row = verdict(address, jpeg(1, side=64), name="a.jpg")
    assert tuple(row) == COLUMNS
    assert row["headline"] in ("Looks AI-generated", "Looks human-made", "Unsure")
    assert row["explanation"].endswith(".")
    assert row["meaning"]


def test_what_a_file_declares_stands_beside_the_verdict_and_does_not_change_it(address: str) -> None:
    plain = declared_files.encoded("PNG")
    rows = [verdict(address, content) for content in (plain, declared_files.FILES["AUTOMATIC1111"])]
    assert rows[0]["declared"] == []
    assert [one["claim"] for one in rows[1].pop("declared")] == ["made with a Stable Diffusion front end"]
    rows[0].pop("declared")
    assert rows[0] == rows[1]


def test_a_form_may_have_several_pictures_and_one_may_be_broken(address: str) -> None:
    files = [("a", ("one.jpg", jpeg(1))), ("b", ("two.jpg", b"<html>")), ("a", ("ö.jpg", jpeg(3)))]
    answer = httpx.post(address + PREDICT, files=files, data={"more": "words"}, timeout=180)
    assert answer.status_code == 200
    rows = answer.json()["pictures"]
    assert [(row["path"], row["error"] is None) for row in rows] == [
        ("one.jpg", True),
        ("two.jpg", False),
        ("ö.jpg", True),
    ]
    assert rows[1]["headline"] == "Cannot be read"


def test_forms_that_are_no_use_are_problems(address: str) -> None:
    def posted(**options: object) -> httpx.Response:
        return httpx.post(address + PREDICT, timeout=180, **options)

    many = [("p", (f"{n}.jpg", jpeg(n))) for n in range(forms.MAX_PICTURES + 1)]
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert "too many files" in problem(posted(files=many), 422).lower()
    assert "no picture" in problem(posted(files={"p": ("", b"")}), 422)
    assert "cannot be read" in problem(posted(content=b"no form", headers=broken), 422)
    assert "boundary" in problem(posted(content=b"", headers={"Content-Type": "multipart/form-data"}), 422)
    assert problem(posted(content=b""), 422) == "the file is empty"


def test_a_picture_that_cannot_be_read_is_a_problem_that_has_its_row(address: str) -> None:
    answer = post(address, b"<html>", name="page.jpg")
    assert problem(answer, 422) == "page.jpg: not a picture but a web page or other markup"
    assert answer.json()["pictures"][0]["path"] == "page.jpg"


# --- evidence ---


def test_the_evidence_is_that_of_the_model_as_numbers_and_as_a_figure(running: Running) -> None:
    service, address, _ = running
    content = jpeg(3, side=90)
    answer = post(address, content, "/api/v1/explain", name="a.jpg")
    assert answer.status_code == 200
    body = answer.json()
    detector = service.live.model.detector
    expected = detector.evidence(images.load(content, detector.geometry)[None])
    np.testing.assert_allclose(body["margin"], expected.margin[0], atol=1e-3)
    assert np.shape(body["p_ai"]) == np.shape(body["margin"])
    assert body["picture"] == verdict(address, content, name="a.jpg")
    shown = Image.open(io.BytesIO(base64.b64decode(body["image"].partition(",")[2])))
    assert shown.size == (90, 90)
    figure = Image.open(io.BytesIO(post(address, content, "/api/v1/explain", format="png").content))
    assert body["full_colour"] == evidence_figures.FULL_COLOUR
    columns = {
        name: body["picture"][name] for name in ("path", "verdict", "reason", "p_ai", "model", "error", "predicted")
    }
    explained = evidence_map.explained(expected, Verdict(**columns))
    np.testing.assert_allclose(body["level"], evidence_figures.levels(explained), atol=1e-3)
    assert body["caption"] == caption(explained)
    assert body["caption"].startswith("Not calibrated: ")
    alone = evidence_figures.figure(shown, explained, body["picture"]["headline"], detector.id, name="picture")
    assert (figure.format, figure.size) == ("PNG", alone.size)
    named = post(address, content, "/api/v1/explain", name="a.jpg", format="png").content
    assert named != post(address, content, "/api/v1/explain", name="b.jpg", format="png").content


def test_evidence_is_for_one_picture_that_can_be_read(address: str) -> None:
    two = {"a": jpeg(1), "b": jpeg(2)}
    assert "one picture at a time" in problem(httpx.post(f"{address}/api/v1/explain", files=two), 422)
    assert "web page" in problem(post(address, b"<html>", "/api/v1/explain"), 422)


# --- feedback ---


def test_a_wrong_verdict_is_kept_as_a_candidate_for_a_golden_case(running: Running) -> None:
    _, address, folder = running
    content = jpeg(7, side=64)

    def send(**fields: str) -> httpx.Response:
        return httpx.post(
            f"{address}/api/v1/feedback", files={"picture": ("../../x.jpg", content)}, data=fields, timeout=180
        )

    kept = send(label="human", note="I painted it\x1b[31m")
    assert kept.status_code == 201
    path = kept.json()["path"]
    assert re.fullmatch(r"human/feedback/[0-9a-f]{16}\.jpg", path)
    assert (folder / path).read_bytes() == content
    assert send(label="human", note="again").json()["path"] == path
    notes = (folder / feedback.NOTES).read_text()
    assert '"note": "I painted it\\\\x1b[31m"' in notes
    assert len(notes.splitlines()) == 2
    cases = golden.predictions(folder, {}, {})
    assert [(case["name"], case["label"]) for case in cases["cases"]] == [(path, "human")]
    assert "label" in problem(send(label="dog"), 422)
    assert "note" in problem(send(label="AI", note="x" * 1001), 422)
    content = b"<html>"
    assert "web page" in problem(send(label="AI"), 422)


def test_a_full_folder_of_feedback_keeps_nothing_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    _, address, folder = running
    before = sorted(folder.rglob("*.jpg"))
    monkeypatch.setattr(feedback, "MAX_CASES", 0)
    answer = httpx.post(
        f"{address}/api/v1/feedback", files={"p": ("x.jpg", jpeg(8))}, data={"label": "AI"}, timeout=180
    )
    assert "full" in problem(answer, 507)
    assert sorted(folder.rglob("*.jpg")) == before


def test_the_folder_of_golden_cases_takes_no_feedback(roots: Path) -> None:
    with pytest.raises(ConfigError, match="a person must look"):
        feedback.FeedbackFolder(roots / "data" / "golden" / "new")
    (roots / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to"):
        feedback.FeedbackFolder(roots / "file")


def test_every_format_has_a_suffix_that_ingest_takes() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, format)
        start = next((end for start, end in feedback.SUFFIXES.items() if file.getvalue().startswith(start)), ".avif")
        assert start in SUFFIXES


# --- the rest ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", PREDICT, 405),
        ("POST", "/healthz", 405),
        ("PUT", "/", 405),
        ("GET", "/static/../app.py", 404),
        ("POST", "/api/v1/explain?format=gif", 422),
    ],
)
def test_every_error_is_a_problem(address: str, method: str, path: str, status: int) -> None:
    assert problem(httpx.request(method, address + path, timeout=60), status)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/healthz", "/metrics", "/api/v1/model", "/openapi.json", "/static/page.js"]
)
def test_head_is_get_without_a_body(address: str, path: str) -> None:
    get_it, head = httpx.get(address + path, timeout=60), httpx.head(address + path, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get_it.headers["content-type"]


def test_metrics_count_requests_pictures_and_the_queue(address: str) -> None:
    post(address, jpeg(1))
    post(address, b"")
    httpx.get(f"{address}/nowhere/{'x' * 50}")
    text = httpx.get(f"{address}/metrics").text
    assert re.search(r'artdetect_serve_requests_total\{path="/api/v1/predict",status="200"\} \d', text)
    assert 'artdetect_serve_requests_total{path="other",status="404"}' in text
    assert re.search(r'artdetect_serve_pictures_total\{verdict="error"\} \d', text)
    assert "artdetect_serve_queue_pictures 0.0" in text
    assert "artdetect_serve_body_bytes 0.0" in text
    assert "nowhere" not in text


def test_the_description_names_what_there_is(address: str) -> None:
    described = get(address, "/openapi.json")
    assert set(described["paths"]) == {
        PREDICT, "/api/v1/explain", "/api/v1/feedback", "/api/v1/model", "/healthz", "/metrics"
    }  # fmt: skip
    schemas = described["components"]["schemas"]
    assert tuple(schemas["PictureAnswer"]["properties"]) == COLUMNS
    assert set(schemas["Verdicts"]["examples"][0]["pictures"][0]) == set(COLUMNS)
    for path in described["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                assert int(status) < 400 or list(answer["content"]) == [problems.MEDIA_TYPE], (path, status)
    shown = httpx.get(f"{address}/docs").text
    for path in described["paths"]:
        assert path in shown


@pytest.mark.parametrize(("header", "value"), [("Host", "evil.example"), ("Origin", "http://evil.example")])
def test_foreign_hosts_and_pages_learn_nothing_and_every_page_is_secured(
    running: Running, header: str, value: str
) -> None:
    service, address, _ = running
    paths = ("/", "/api/v1/model", "/healthz", "/openapi.json", "/metrics", "/docs")
    foreign = [
        httpx.post(address + PREDICT, content=jpeg(1), headers={header: value}),
        httpx.post(f"{address}/api/v1/feedback", files={"p": jpeg(1)}, data={"label": "AI"}, headers={header: value}),
        *(httpx.get(address + path, headers={header: value}) for path in paths),
    ]
    own = [httpx.get(address + path) for path in (*paths, "/nowhere")]
    assert post(address.replace("127.0.0.1", "localhost"), jpeg(1)).status_code == 200
    for answer in foreign:
        problem(answer, 403)
        assert service.live.model.detector.id not in answer.text
    for answer in (*foreign, *own):
        is_page = answer.headers["content-type"].startswith("text/html")
        changed = {"Content-Security-Policy": page.POLICY, "Referrer-Policy": "same-origin"} if is_page else {}
        expected = {"Content-Security-Policy": guard.NOTHING} | guard.HEADERS | changed
        assert answer.headers.items() >= {name.lower(): text for name, text in expected.items()}.items()
