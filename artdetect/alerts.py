"""Alerts: tells a person's webhook or command of promotions, refusals, failed runs and drift.

What to tell is read from the run ledger, so that a crash is told like a failure, and what a receiver did not take is
told again later. The watchdog (flows/watchdog.py) sends alerts every few minutes.
"""

import json
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from artdetect.artifacts.run_ledger import Run
from artdetect.core import atomic, paths
from artdetect.core.config_section import Section
from artdetect.formatting.text import printable

Event = Literal["artdetect.model.promoted", "artdetect.model.refused", "artdetect.run.failed", "artdetect.drift"]
PROMOTED: Event = "artdetect.model.promoted"
REFUSED: Event = "artdetect.model.refused"
FAILED: Event = "artdetect.run.failed"
DRIFT: Event = "artdetect.drift"
TIMEOUT = 30.0  # seconds that a receiver has
FIRST = timedelta(days=1)  # how old a run may be that is told of when alerts are switched on


class AlertsConfig(Section):
    """Section `alerts`."""

    url: str | None = Field(
        None, pattern=r"^https?://[^/\s]", description="address to which each alert is posted as JSON"
    )
    command: list[str] = Field([], description="or a program with arguments, which gets the JSON on its stdin")
    events: list[Event] = Field([PROMOTED, REFUSED, FAILED, DRIFT], description="the events that are told")

    @model_validator(mode="after")
    def _one_receiver(self) -> "AlertsConfig":
        if self.url and self.command:
            raise PydanticCustomError("section", "alerts.url and alerts.command: give one of them")
        return self


@dataclass(frozen=True)
class Alert:
    """What to tell.

    Args:
        id: The same alert has the same id.
        event: The event.
        time: When it happened, ISO 8601, UTC.
        text: What happened, in one line without control characters; chats such as Slack show this field.
        flow: The flow that it happened in.
        run: The id of the run in the ledger.
        host: The machine.
    """

    id: str
    event: Event
    time: str
    text: str
    flow: str | None = None
    run: str | None = None
    host: str = platform.node()


def of_runs(ledger: Iterable[Run]) -> list[Alert]:
    """What the runs on record give to tell, in their order."""
    alerts = []
    for run in ledger:
        if verdict := run.facts.get("verdict"):
            event = PROMOTED if verdict == "promoted" else REFUSED
            alerts.append(_alert(run, event, str(run.facts.get("outcome", verdict))))
        if run.has_failed:
            alerts.append(_alert(run, FAILED, str(run.error)))
    return alerts


def of_drift(model: str, drifted: bool, sentences: Iterable[str]) -> list[Alert]:
    """What drift gives to tell, once for as long as it lasts.

    Args:
        model: The id of the model in use.
        drifted: Whether use has drifted; if not, there is nothing to tell.
        sentences: What was found.
    """
    if not drifted:
        return []
    now = datetime.now(UTC).isoformat()
    return [Alert(f"{model} {DRIFT}", DRIFT, now, printable(f"drift: {' '.join(sentences)}"), "watchdog")]


def _alert(run: Run, event: Event, what: str) -> Alert:
    text = printable(f"{run.name}, {event.rpartition('.')[2]}: {what}")
    return Alert(f"{run.id} {event}", event, run.ended, text, run.flow, run.id)


def send(config: AlertsConfig, alerts: Iterable[Alert]) -> list[str]:
    """Send the alerts that were not sent before.

    An alert that is missing from a later call may be sent anew after it.

    Args:
        config: The receiver, and which events it gets.
        alerts: Everything that there is to tell at present.

    Returns:
        Why alerts could not be sent, a sentence each; they are sent by a later call.
    """
    from filelock import FileLock

    if not (config.url or config.command):
        return []
    with FileLock(paths.artifacts() / ".alerts.lock"):
        known = _sent()
        since = (datetime.now(UTC) - FIRST).isoformat()
        due = [alert for alert in alerts if alert.event in config.events]
        sent, problems = set(), []
        for alert in due:
            if alert.time < since if known is None else alert.id in known:
                sent.add(alert.id)
            elif problem := _deliver(config, alert):
                problems.append(problem)
            else:
                sent.add(alert.id)
        if sent != known:
            atomic.write(_file(), json.dumps(sorted(sent), indent=0))
    return problems


def _file() -> Path:
    """The ids of the alerts that were sent, of those that there is still something to tell of."""
    return paths.artifacts() / "alerts_sent.json"


def _sent() -> set[str] | None:
    """The ids in the file; None if there is none, or if it is damaged."""
    try:
        return set(map(str, json.loads(_file().read_bytes())))
    except (OSError, ValueError, TypeError):
        return None


def _deliver(config: AlertsConfig, alert: Alert) -> str | None:
    content = json.dumps(asdict(alert))
    return _post(config.url, content) if config.url else _run(config.command, content)


def _post(url: str, content: str) -> str | None:
    """Post JSON; returns what went wrong. The path of a webhook's address may be a secret, so it is not named."""
    import httpx

    receiver = urlsplit(url).hostname
    try:
        answer = httpx.post(url, content=content, headers={"Content-Type": "application/json"}, timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the receiver of alerts, {receiver}, does not answer ({type(error).__name__})"
    return None if answer.is_success else f"the receiver of alerts, {receiver}, answered {answer.status_code}"


def _run(command: list[str], content: str) -> str | None:
    """Run a program with JSON on its stdin; returns what went wrong."""
    options: dict[str, Any] = {"cwd": paths.project(), "text": True, "capture_output": True, "timeout": TIMEOUT}
    try:
        done = subprocess.run(command, input=content, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the command of alerts, {command[0]}, failed ({printable(str(error))})"
    if not done.returncode:
        return None
    last = printable((done.stderr.strip().splitlines() or ["no message"])[-1])
    return f"the command of alerts, {command[0]}, ended with exit code {done.returncode}: {last}"
