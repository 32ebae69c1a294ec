"""The service over real HTTP with a small model: in a thread, and once as the command in its own process."""

import asyncio
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from artdetect import serve
from artdetect.artifacts import file_names, registry, store
from artdetect.cli import main
from artdetect.core.errors import ModelError
from artdetect.model import predict
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.pictures.images import Geometry
from artdetect.serve import live_model
from artdetect.serve.live_model import LiveModel
from tests.model.test_detector import net_with_all_outputs
from tests.serve.running import PREDICT, get, held, post, serving, vast, verdict
from tests.test_architecture import PROJECT, loaded
from tests.tiny_dataset import jpeg, write
from tests.waiting import awaited

RULE = DecisionRule(0.5, 0.25, 0.75, 0.4)


@pytest.fixture
def two(model: Path, roots: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose champion is k1; k2, another network with another rule, was trained later."""
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "artifacts"))
    shutil.copytree(model, roots / "artifacts" / "train" / "k1")
    registry.promote("k1", {}, "me", "the first")
    with store.build("train", "k2", {}) as out:
        Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, RULE, ("a", "b", "c")).save(
            out / file_names.MODEL
        )
    return roots


def row_of(address: str, file: Path) -> dict[str, Any]:
    """The columns of `predict --json`."""
    row = verdict(address, file.read_bytes(), name=str(file))
    return {column.name: row[column.name] for column in fields(predict.Verdict)}


# --- verdicts ---


def test_rows_equal_those_of_predict_bit_for_bit_also_for_concurrent_requests(model: Path, tmp_path: Path) -> None:
    contents = [*(jpeg(seed, side=40) for seed in range(20)), b"", b"<html>", jpeg(2)[:-100], vast()]
    files = [write(tmp_path / f"ä {number}.jpg", content) for number, content in enumerate(contents)]
    expected = [row.as_dict() for row in predict.predict(Detector.load(model), files)]
    with serving(model) as (_, address), ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda file: post(address, file.read_bytes(), name=str(file)), files))
        nameless = post(address, b"<html>").json()["pictures"][0]
        together = httpx.post(
            f"{address}{PREDICT}", files=[("p", (str(f), f.read_bytes())) for f in files], timeout=180
        )
    rows = [answer.json()["pictures"][0] for answer in answers]
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected
    assert [answer.status_code for answer in answers] == [200] * 20 + [422] * 4
    assert "too many pixels" in answers[-1].json()["detail"]
    assert (nameless["path"], nameless["error"]) == ("", "not a picture but a web page or other markup")
    assert (together.status_code, together.json()["pictures"]) == (200, rows)


def test_large_pictures_are_judged_with_their_crops_as_predict_does(tmp_path: Path) -> None:
    detector = Detector(
        net_with_all_outputs("frozen"), "artnet", Geometry(32, "crop"), {}, RULE, ("a", "b", "c"), native_crops=3
    )
    detector.save(model := tmp_path / file_names.MODEL)
    files = [write(tmp_path / f"{side}.jpg", jpeg(side, side=side)) for side in (30, 48, 200)]
    expected = [row.as_dict() for row in predict.predict(Detector.load(model), files)]
    assert [row["native_crops"] for row in expected] == [0, 3, 3]
    with serving(model) as (_, address):
        rows = [verdict(address, file.read_bytes(), name=str(file)) for file in files]
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected


def test_health_answers_while_pictures_are_processed(model: Path) -> None:
    with serving(model) as (service, address), ThreadPoolExecutor(5) as many:
        detector = service.live.model.detector
        with held():
            pending = [many.submit(post, address, jpeg(seed)) for seed in range(5)]
            assert get(address, "/healthz") == {"status": "ok", "model": detector.id, "fault": None}
            assert not any(answer.done() for answer in pending)
        assert {answer.result().status_code for answer in pending} == {200}


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
            answers.append(row_of(address, file))

    with serving() as (_, address):
        before = get(address, "/api/v1/model")
        assert (before["role"], before["demonstration"], before["notice"]) == ("champion", False, "")
        others = [Thread(target=keep_posting) for _ in range(2)]
        for other in others:
            other.start()
        promoted = registry.promote("k2", {}, "me", "better")
        assert row_of(address, file) == rows["k2"]
        after = get(address, "/api/v1/model")
        back = registry.rollback("me", "worse")
        again = get(address, "/api/v1/model")
        ended.set()
        for other in others:
            other.join()
        assert row_of(address, file) == rows["k1"]
    assert (before["train"], after["train"], again["train"]) == ("k1", "k2", "k1")
    assert (after["champion_since"], again["champion_since"]) == (promoted.at, back.at)
    assert after["rule"] == RULE.as_dict() | {"unsure": list(RULE.band())}
    assert (after["id"], after["preset"]) == (rows["k2"]["model"], "artnet")
    assert after["digest"] == Detector.load(store.place("train", "k2")).digest
    assert answers
    assert all(answer in rows.values() for answer in answers)


@pytest.mark.slow
def test_twenty_promotions_beside_a_thousand_requests(
    two: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each answer is that of one champion, whole."""
    file = write(two / "a.jpg", jpeg(1))
    rows = {
        key: next(predict.predict(Detector.load(store.place("train", key)), [file])).as_dict() for key in ("k1", "k2")
    }
    with serving() as (_, address), ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: row_of(address, file), range(1000))
        for move in range(20):
            registry.promote(("k2", "k1")[move % 2], {}, "me", "to try it")
            time.sleep(0.1)
        answered = list(answers)
        assert row_of(address, file) == rows["k1"]
    assert all(answer in rows.values() for answer in answered)
    assert {answer["model"] for answer in answered} == {row["model"] for row in rows.values()}
    record_property("tries", len(answered))


def test_if_a_champion_cannot_be_loaded_the_earlier_one_stays_in_use(
    two: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.build("train", "k3", {}) as out:
        (out / file_names.MODEL).write_bytes(b"no model")
    with serving() as (service, address):
        first = service.live.model.detector.id
        registry.promote("k3", {}, "me", "in good faith")
        assert [verdict(address, jpeg(1))["model"] for _ in range(3)] == [first] * 3
        health = get(address, "/healthz")
        assert (health["status"], health["model"]) == ("degraded", first)
        assert "not a model file of artdetect" in health["fault"]
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert errors == [f"still serving {first}: {health['fault']}"]
        registry.rollback("me", "broken")
        assert get(address, "/api/v1/model")["train"] == "k1"
        assert get(address, "/healthz") == {"status": "ok", "model": first, "fault": None}

        monkeypatch.setattr(live_model, "RETRY_SECONDS", -1.0)
        place = store.place("train", "k2")
        registry.promote("k2", {}, "me", "and it is gone")
        place.rename(two / "elsewhere")
        assert get(address, "/api/v1/model")["train"] == "k1"
        (two / "elsewhere").rename(place)
        assert get(address, "/api/v1/model")["train"] == "k2"  # without another promotion


def test_health_finds_a_new_champion_by_itself(two: Path) -> None:
    with serving() as (service, address):
        first = service.live.model.detector.id
        registry.promote("k2", {}, "me", "better")
        assert awaited(lambda: get(address, "/healthz")["model"] != first)
        assert service.live.model.train == "k2"


def test_before_the_first_promotion_the_newest_model_answers(two: Path) -> None:
    registry.alias_file().unlink()
    shutil.move(store.place("train", "k2"), two / "k2")
    with serving() as (_, address):
        model = get(address, "/api/v1/model")
        assert (model["train"], model["champion_since"]) == ("k1", None)
        with store.build("train", "k2", {}) as out:
            shutil.copy(two / "k2" / file_names.MODEL, out)
        assert get(address, "/api/v1/model")["train"] == "k2"
        registry.promote("k1", {}, "me", "it knows more")
        assert get(address, "/api/v1/model")["train"] == "k1"


def test_a_model_that_was_named_stays_in_use(two: Path) -> None:
    with serving(store.place("train", "k1")) as (_, address):
        first = get(address, "/api/v1/model")
        registry.promote("k2", {}, "me", "better")
        assert get(address, "/api/v1/model") == first
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
        assert rest == f"serves {detector.id}: open it in a browser, or see {address}/docs\n"
        row = verdict(address, jpeg(1), name="a.jpg")
        assert (row["path"], row["model"]) == ("a.jpg", detector.id)
        port = address.rpartition(":")[2]
        assert main(["serve", "--port", port]) == 2
        message = f"cannot listen on 127.0.0.1, port {port}: address already in use. Try another --host or --port"
        assert capfd.readouterr() == ("", f"artdetect: {message}\n")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    first, *_, line = map(json.loads, err.splitlines())
    assert first["message"] == f"model {detector.id}: the newest own one, train/k1"
    assert line.keys() == {"time", "level", "logger", "message"}
    assert line["message"].endswith('"POST /api/v1/predict?name=a.jpg HTTP/1.1" 200')


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


def test_the_service_itself_needs_the_base_install_only() -> None:
    found = loaded("import artdetect.serve.app, artdetect.serve.connections, artdetect.serve.decode_process")
    assert not found & {
        "httpx",
        "keras",
        "matplotlib",
        "pandas",
        "prefect",
        "pyarrow",
        "scipy",
        "sklearn",
        "tensorflow",
    }


def test_an_answer_does_not_wait_until_the_client_has_acknowledged_the_part_before() -> None:
    async def option() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Connection(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connection = transport.get_extra_info("socket")
                found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        reserved = serve.reserve("127.0.0.1", 0)
        serve.listen(reserved)
        async with await asyncio.get_running_loop().create_server(Connection, sock=reserved):
            _, writer = await asyncio.open_connection(*reserved.getsockname()[:2])
            writer.close()
            return await found

    assert asyncio.run(option()) == 1
