"""A retraining on a real server: the gate decides first, and pages are made for a model that was promoted."""

from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client

from artdetect import alerts, gate
from artdetect import config as configs
from artdetect.artifacts import registry, run_ledger, store
from artdetect.config import Config
from artdetect.model.card import model_id_of
from flows.retrain import retrain

from .conftest import artifacts, events, small

BEFORE_THE_PAGES = ["download", "index", "audit", "balance", "train", "evaluate", "evaluate champion", "gate"]


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the gate is to say next: the real one, whose rules a handful of pictures does not satisfy, has the rest."""
    to_say: list[str] = []
    real = gate.verdict
    monkeypatch.setattr(gate, "verdict", lambda folder: real(folder) | {"verdict": to_say[0]})
    return to_say


def retrained(config: Config, **train: object) -> tuple[list[str], Any]:
    changed = configs.changed(config, [f"train.{key}={value}" for key, value in train.items()])
    state = retrain(changed, force=True, return_state=True)
    return [outcome.name for outcome in state.result()], state.state_details.flow_run_id


@pytest.mark.slow
def test_the_verdict_comes_before_the_pages_which_a_refused_model_does_not_get(
    pictures: Path, decisions: list[str]
) -> None:
    config = small(pictures)
    decisions[:] = ["keep"]
    names, refused = retrained(config, seed=3)
    assert names == BEFORE_THE_PAGES
    champion = registry.champion()
    assert champion
    with get_client(sync_client=True) as client:
        assert "refused, " in client.read_flow_run(refused).name
    assert "report" not in {artifact.key for artifact in artifacts(refused)}
    (event,) = events(alerts.REFUSED, refused)
    assert event["payload"]["champion"] == champion.train

    decisions[:] = ["promote"]
    names, promoted = retrained(config, seed=3)
    assert names == [*BEFORE_THE_PAGES, "explain", "report"]
    newer = registry.champion()
    assert newer
    assert newer.previous == champion.train
    assert {"explain", "report", "gate", "evaluate"} <= set(newer.artifacts)
    page = (store.place("report", newer.artifacts["report"]) / "report.html").read_text()
    assert "Decision of the gate" in page
    assert f"<code>{model_id_of(store.place('train', champion.train))}</code>" in page
    shown = {artifact.key: artifact for artifact in artifacts(promoted)}
    assert str(shown["summary"].description).startswith(f"Promoted {newer.train} in place of {champion.train}. ")
    assert len(events(alerts.PROMOTED, promoted)) == 1
    assert [run.facts["verdict"] for run in run_ledger.read()[-2:]] == ["refused", "promoted"]
    told = alerts.of_runs(run_ledger.read())
    assert [alert.event for alert in told] == [alerts.REFUSED, alerts.PROMOTED]
