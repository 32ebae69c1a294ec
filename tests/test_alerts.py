"""Alerts, to a real receiver on this machine and to a real command."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artdetect import alerts
from artdetect import config as configs
from artdetect.alerts import AlertsConfig
from artdetect.artifacts.run_ledger import Run
from artdetect.core.errors import ConfigError
from tests.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def config(receiver: Receiver) -> AlertsConfig:
    return AlertsConfig(url=receiver.url)


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    (roots / "artifacts").mkdir()
    return roots


def run(name: str, hours_ago: float = 0, state: str = "completed", error: str | None = None, **facts: object) -> Run:
    time = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    return Run(
        id=name, flow="retrain", name=f"retrain {name}", began=time, ended=time, state=state, error=error, stages=[],
        facts=facts,
    )  # fmt: skip


def test_a_receiver_is_told_once_of_what_went_wrong_and_of_verdicts(receiver: Receiver) -> None:
    ledger = [
        run("a", verdict="promoted", outcome="Promoted m2 in place of m1."),
        run("b", verdict="refused", outcome="Kept the champion, m2."),
        run("c", state="crashed", error="its process was killed"),
        run("d", idle=True),
        run("cancelled", state="cancelled", error="it was cancelled"),
        run("e", state="failed", error="DataError: a\x1b[31m\nname"),
        run("old", hours_ago=30, state="failed", error="too old to tell when alerts are switched on"),
    ]
    assert alerts.send(config(receiver), alerts.of_runs(ledger)) == []
    assert [(told["event"], told["text"]) for told in receiver.received] == [
        ("artdetect.model.promoted", "retrain a, promoted: Promoted m2 in place of m1."),
        ("artdetect.model.refused", "retrain b, refused: Kept the champion, m2."),
        ("artdetect.run.failed", "retrain c, failed: its process was killed"),
        ("artdetect.run.failed", "retrain e, failed: DataError: a\\x1b[31m\\nname"),
    ]
    assert alerts.send(config(receiver), alerts.of_runs(ledger)) == []
    assert len(receiver.received) == 4


def test_what_a_receiver_did_not_take_is_told_later_and_its_secret_to_nobody(receiver: Receiver) -> None:
    ledger = [run("a", state="failed", error="no")]
    receiver.status = 500
    assert alerts.send(config(receiver), alerts.of_runs(ledger)) == ["the receiver of alerts, 127.0.0.1, answered 500"]
    gone = AlertsConfig(url="http://127.0.0.1:9/hooks/secret")
    (problem,) = alerts.send(gone, alerts.of_runs(ledger))
    assert "does not answer" in problem
    assert "secret" not in problem
    receiver.status = 200
    assert alerts.send(config(receiver), alerts.of_runs(ledger)) == []
    assert [told["run"] for told in receiver.received] == ["a"]


def test_drift_is_told_when_it_begins(receiver: Receiver) -> None:
    for drifted in (False, True, True, False, True):
        alerts.send(config(receiver), alerts.of_drift("artnet-1", drifted, ["It drifts."]))
    assert [told["text"] for told in receiver.received] == ["drift: It drifts."] * 2


def test_only_the_events_asked_for_are_told(receiver: Receiver) -> None:
    promotions = AlertsConfig(url=receiver.url, events=[alerts.PROMOTED])
    alerts.send(promotions, alerts.of_runs([run("a", state="failed", error="no"), run("b", verdict="promoted")]))
    assert [told["run"] for told in receiver.received] == ["b"]


def test_a_command_gets_the_alert_on_its_stdin(root: Path) -> None:
    program = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    program_config = AlertsConfig(command=[sys.executable, "-c", program, str(root / "told.json")])
    assert alerts.send(program_config, alerts.of_runs([run("a", state="failed", error="no")])) == []
    assert json.loads((root / "told.json").read_text())["run"] == "a"
    (problem,) = alerts.send(AlertsConfig(command=["false"]), alerts.of_runs([run("b", state="failed", error="no")]))
    assert problem == "the command of alerts, false, ended with exit code 1: no message"


def test_two_receivers_or_an_address_that_is_none_are_refused() -> None:
    for section in ({"url": "https://a.example/b", "command": ["x"]}, {"url": "file:///etc/passwd"}):
        with pytest.raises(ConfigError, match=r"alerts\.url"):
            configs.parse({"download": {"url": "x"}, "alerts": section})
