"""The service over real HTTP with a small model: in a thread, and once as the command in its own process."""

import http.client
import json
import logging
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from artdetect import serve
from artdetect.artifacts import registry, store
from artdetect.cli import main
from artdetect.core.errors import ModelError
from artdetect.model import predict
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.pictures.images import Geometry
from artdetect.serve import app, live_model
from artdetect.serve.live_model import LiveModel
from artdetect.web import guard
from tests.model.test_detector import net_with_all_outputs
from tests.test_architecture import PROJECT, loaded
from tests.tiny_dataset import jpeg, write

RULE = DecisionRule(0.5, 0.25, 0.75, 0.4)


@contextmanager
def serving(path: Path | None = None, max_bytes: int = 10**6) -> Iterator[tuple[LiveModel, str]]:
    """The service in a thread: the model it uses, and its address."""
    live, listening = LiveModel(path), serve.listen("127.0.0.1", 0)
    server = serve.server(live, max_bytes, log_config=None)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield live, serve.address(listening)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def two(model: Path, roots: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose champion is k1; k2, another network with another rule, was trained later."""
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "artifacts"))
    shutil.copytree(model, roots / "artifacts" / "train" / "k1")
    registry.promote("k1", {}, "me", "the first")
    with store.build("train", "k2", {}) as out:
        Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, RULE, ("a", "b", "c")).save(
            out / MODEL_FILE
        )
    return roots


def post(address: str, content: bytes, **query: str) -> httpx.Response:
    return httpx.post(f"{address}/predict", content=content, params=query, timeout=60)


def get(address: str, path: str) -> dict[str, Any]:
    return httpx.get(address + path, timeout=60).raise_for_status().json()


def vast() -> bytes:
    """The head of a PNG of 30,000 x 30,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">II", zlib.crc32(head), 1) + b"IDAT"


# --- verdicts ---


def test_rows_equal_those_of_predict_bit_for_bit_also_for_concurrent_requests(model: Path, tmp_path: Path) -> None:
    contents = [*(jpeg(seed, side=40) for seed in range(20)), b"", b"<html>", jpeg(2)[:-100], vast()]
    files = [write(tmp_path / f"ä {number}.jpg", content) for number, content in enumerate(contents)]
    expected = [row.as_dict() for row in predict.predict(Detector.load(model), files)]
    with serving(model) as (_, address), ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda file: post(address, file.read_bytes(), name=str(file)), files))
        nameless = post(address, b"<html>")
    assert [answer.json() for answer in answers] == expected
    assert [list(answer.json()) for answer in answers] == [list(row) for row in expected]
    assert [answer.status_code for answer in answers] == [200] * 20 + [422] * 4
    assert "too many pixels" in answers[-1].json()["error"]
    assert (nameless.json()["path"], nameless.json()["error"]) == ("", "not a picture but a web page or other markup")


def test_large_pictures_are_judged_with_their_crops_as_predict_does(tmp_path: Path) -> None:
    detector = Detector(
        net_with_all_outputs("frozen"), "artnet", Geometry(32, "crop"), {}, RULE, ("a", "b", "c"), native_crops=3
    )
    detector.save(model := tmp_path / MODEL_FILE)
    files = [write(tmp_path / f"{side}.jpg", jpeg(side, side=side)) for side in (30, 48, 200)]
    expected = [row.as_dict() for row in predict.predict(Detector.load(model), files)]
    assert [row["native_crops"] for row in expected] == [0, 3, 3]
    with serving(model) as (_, address):
        assert [post(address, file.read_bytes(), name=str(file)).json() for file in files] == expected


def test_health_answers_while_pictures_are_processed(model: Path) -> None:
    with serving(model) as (live, address), ThreadPoolExecutor(5) as many:
        detector = live.model.detector
        with detector._forward._lock:  # the forward pass does not end
            pending = [many.submit(post, address, jpeg(seed)) for seed in range(5)]
            assert get(address, "/health") == {"status": "ok", "model": detector.id, "fault": None}
            assert not any(answer.done() for answer in pending)
        assert {answer.result().status_code for answer in pending} == {200}


# --- what is refused ---


def test_a_picture_that_is_too_large_is_refused_before_the_rest_has_arrived(model: Path) -> None:
    with serving(model, max_bytes=1000) as (_, address):
        for header, start in (("Content-Length", b""), ("Transfer-Encoding", b"3e9\r\n" + bytes(1001))):
            connection = http.client.HTTPConnection(address.removeprefix("http://"))
            connection.putrequest("POST", "/predict")
            connection.putheader(header, "chunked" if start else "1001")
            connection.endheaders(start)
            answer = connection.getresponse()  # none of the rest was sent
            assert (answer.status, answer.getheader("Connection")) == (413, "close")
            assert json.load(answer)["detail"].startswith("the picture is too large (the limit is 1,000 bytes")
            connection.close()
        assert post(address, bytes(1000)).status_code == 422  # read, and no picture


def test_the_service_does_not_wait_for_clients_that_stop_sending(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.1)
    half = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf"
    with serving(model) as (_, address):
        host, port = address.removeprefix("http://").split(":")
        for _ in range(app.MAX_CONCURRENT):
            with socket.create_connection((host, int(port))) as gone:
                gone.sendall(half)
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(half)
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
        assert post(address, jpeg(1)).status_code == 200
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_form_is_refused_with_advice_and_no_page_loads_scripts_from_the_internet(model: Path) -> None:
    with serving(model) as (_, address):
        form = httpx.post(f"{address}/predict", files={"file": jpeg(1)})
        assert form.status_code == 415
        assert "curl --data-binary @picture.jpg" in form.json()["detail"]
        assert [httpx.get(f"{address}/{page}").status_code for page in ("docs", "redoc")] == [404, 404]
        described = get(address, "/openapi.json")
    assert set(described["paths"]) == {"/predict", "/model", "/health"}
    names = [field.name for field in fields(predict.Verdict)]
    assert list(described["components"]["schemas"]["Verdict"]["properties"]) == names


@pytest.mark.parametrize(("header", "value"), [("Host", "evil.example"), ("Origin", "http://evil.example")])
def test_foreign_hosts_and_pages_learn_nothing_and_every_page_is_secured(model: Path, header: str, value: str) -> None:
    with serving(model) as (live, address):
        foreign = [
            httpx.post(f"{address}/predict", content=jpeg(1), headers={header: value}),
            *(httpx.get(address + path, headers={header: value}) for path in ("/model", "/health", "/openapi.json")),
        ]
        own = [httpx.get(address + path) for path in ("/model", "/health", "/openapi.json", "/nowhere")]
        assert post(address.replace("127.0.0.1", "localhost"), jpeg(1)).status_code == 200
    assert [answer.status_code for answer in foreign] == [403] * 4
    assert live.model.detector.id not in "".join(answer.text for answer in foreign)
    for answer in (*foreign, *own):
        assert answer.headers["content-security-policy"] == guard.NOTHING
        assert answer.headers.items() >= {name.lower(): value for name, value in guard.HEADERS.items()}.items()


# --- which model ---


def test_a_promotion_and_a_rollback_take_effect_with_the_next_request(two: Path) -> None:
    file = write(two / "a.jpg", jpeg(1))
    rows = {
        key: next(predict.predict(Detector.load(store.place("train", key)), [file])).as_dict() for key in ("k1", "k2")
    }
    assert rows["k1"]["p_ai"] != rows["k2"]["p_ai"]
    answers, ended = [], Event()

    def keep_posting() -> None:
        while not ended.is_set():
            answers.append(post(address, file.read_bytes(), name=str(file)))

    with serving() as (_, address):
        before = get(address, "/model")
        assert (before["role"], before["demonstration"], before["notice"]) == ("champion", False, "")
        others = [Thread(target=keep_posting) for _ in range(2)]
        for other in others:
            other.start()
        promoted = registry.promote("k2", {}, "me", "better")
        assert post(address, file.read_bytes(), name=str(file)).json() == rows["k2"]
        after = get(address, "/model")
        back = registry.rollback("me", "worse")
        again = get(address, "/model")
        ended.set()
        for other in others:
            other.join()
        assert post(address, file.read_bytes(), name=str(file)).json() == rows["k1"]
    assert (before["train"], after["train"], again["train"]) == ("k1", "k2", "k1")
    assert (after["champion_since"], again["champion_since"]) == (promoted.at, back.at)
    assert after["rule"] == RULE.as_dict() | {"unsure": list(RULE.band())}
    assert (after["id"], after["preset"]) == (rows["k2"]["model"], "artnet")
    assert after["digest"] == Detector.load(store.place("train", "k2")).digest
    assert answers
    assert all(answer.status_code == 200 and answer.json() in rows.values() for answer in answers)


def test_if_a_champion_cannot_be_loaded_the_earlier_one_stays_in_use(
    two: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.build("train", "k3", {}) as out:
        (out / MODEL_FILE).write_bytes(b"no model")
    with serving() as (live, address):
        first = live.model.detector.id
        registry.promote("k3", {}, "me", "in good faith")
        assert [post(address, jpeg(1)).json()["model"] for _ in range(3)] == [first] * 3
        health = get(address, "/health")
        assert (health["status"], health["model"]) == ("degraded", first)
        assert "not a model file of artdetect" in health["fault"]
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert errors == [f"still serving {first}: {health['fault']}"]
        registry.rollback("me", "broken")
        assert get(address, "/model")["train"] == "k1"
        assert get(address, "/health") == {"status": "ok", "model": first, "fault": None}

        monkeypatch.setattr(live_model, "RETRY_SECONDS", -1.0)
        place = store.place("train", "k2")
        registry.promote("k2", {}, "me", "and it is gone")
        place.rename(two / "elsewhere")
        assert get(address, "/model")["train"] == "k1"
        (two / "elsewhere").rename(place)
        assert get(address, "/model")["train"] == "k2"  # without another promotion


def test_health_finds_a_new_champion_by_itself(two: Path) -> None:
    with serving() as (live, address):
        first = live.model.detector.id
        registry.promote("k2", {}, "me", "better")
        for _ in range(600):
            if get(address, "/health")["model"] != first:
                break
            time.sleep(0.1)
        assert live.model.train == "k2"


def test_before_the_first_promotion_the_newest_model_answers(two: Path) -> None:
    registry.alias_file().unlink()
    shutil.move(store.place("train", "k2"), two / "k2")
    with serving() as (_, address):
        model = get(address, "/model")
        assert (model["train"], model["champion_since"]) == ("k1", None)
        with store.build("train", "k2", {}) as out:
            shutil.copy(two / "k2" / MODEL_FILE, out)
        assert get(address, "/model")["train"] == "k2"
        registry.promote("k1", {}, "me", "it knows more")
        assert get(address, "/model")["train"] == "k1"


def test_a_model_that_was_named_stays_in_use(two: Path) -> None:
    with serving(store.place("train", "k1")) as (_, address):
        first = get(address, "/model")
        registry.promote("k2", {}, "me", "better")
        assert get(address, "/model") == first
        assert (first["train"], first["champion_since"]) == (None, None)


def test_no_model_is_an_error(roots: Path) -> None:
    with pytest.raises(ModelError, match="there is no model yet"):
        LiveModel()


# --- the command ---


@pytest.mark.slow
def test_the_command_answers_logs_and_ends_cleanly(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "artdetect.cli", "--log-json", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address, _, rest = process.stdout.readline().partition(" ")
        detector = Detector.load(model)
        assert rest == f"serves {detector.id}; POST a picture to /predict\n"
        row = post(address, jpeg(1), name="a.jpg").json()
        assert (row["path"], row["model"]) == ("a.jpg", detector.id)
        port = address.rpartition(":")[2]
        assert main(["serve", "--port", port]) == 2
        message = f"cannot listen on 127.0.0.1, port {port}: address already in use. Try another --host or --port"
        assert capfd.readouterr() == ("", f"artdetect: {message}\n")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    first, line = map(json.loads, err.splitlines())
    assert first["message"] == f"model {detector.id}: the newest own one, train/k1"
    assert line.keys() == {"time", "level", "logger", "message"}
    assert line["message"].endswith('"POST /predict?name=a.jpg HTTP/1.1" 200')


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--port", "70000", "expected 0 to 65535"), ("--max-upload-mb", "0", "expected 1 to 1024")],
)
def test_options_out_of_range_are_one_line(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["serve", option, value]) == 2
    assert capsys.readouterr().err == f"artdetect: {option} {value}: {message}\n"


def test_no_other_command_loads_the_web_framework() -> None:
    assert not loaded("import artdetect.cli, artdetect.cli.serve, artdetect.serve") & {"fastapi", "uvicorn", "asyncio"}
