"""What the watchdog finds out about use, and whom it tells."""

import json
import shutil
from pathlib import Path

import pytest

from artdetect import alerts
from artdetect.artifacts import file_names, run_ledger, store
from artdetect.artifacts.run_ledger import Run
from artdetect.core import digests
from artdetect.model.card import model_id, read_card
from artdetect.model.decision import UNLIKE
from artdetect.model.predict import Verdict
from artdetect.usage.log import UsageLog
from flows.watchdog import watchdog
from tests.receiver import receiving

from .conftest import artifacts, events


def test_drift_is_shown_and_told_when_it_begins(
    server: str, trained: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "artifacts" / "train", roots / "artifacts" / "train")
    file = roots / "artifacts" / "train" / "k1" / file_names.MODEL
    model = model_id(read_card(file), digests.file_digest(file))
    used = UsageLog(roots / "use.jsonl")
    with receiving() as receiver:
        (roots / "art.toml").write_text(
            f'download.url = "x"\nusage.log = "{used.path}"\nusage.min_pictures = 20\nalerts.url = "{receiver.url}"\n'
        )
        monkeypatch.setenv("ARTDETECT_CONFIG", str(roots / "art.toml"))
        assert watchdog() == []
        for _ in range(30):
            used.add(Verdict("a.jpg", "unsure", UNLIKE, 0.5, model, None, "AI", 9.0))
        state = watchdog(return_state=True)
        assert "The share of pictures unlike the training art has drifted: 100.0 %" in " ".join(state.result())
        assert watchdog() == []
    (told,) = receiver.received
    assert (told["event"], told["text"].startswith(f"drift: {model} gave 30 verdicts")) == (alerts.DRIFT, True)
    (shown,) = artifacts(state.state_details.flow_run_id)
    assert (shown.key, "has drifted" in str(shown.data)) == ("drift", True)
    (event,) = events(alerts.DRIFT, state.state_details.flow_run_id)
    assert event["payload"]["pictures"] == 30
    assert [run.facts["drift"]["drifted"] for run in run_ledger.read()] == [True, True]
    metrics = (roots / "artifacts" / "metrics.prom").read_text()
    assert "artdetect_usage_drifted 1.0" in metrics
    assert 'artdetect_usage_used_ratio{edge="value",pictures="unlike the training art"} 1.0' in metrics
    assert json.loads((roots / "artifacts" / "alerts_sent.json").read_text()) == [f"{model} {alerts.DRIFT}"]


def test_alerts_are_sent_also_where_drift_cannot_be_looked_for(
    server: str, trained: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metrics of this model are of no version: the watchdog fails, and would fail every five minutes."""
    with store.build("train", "k2", {}) as out:
        without = shutil.ignore_patterns(store.RECORD)
        shutil.copytree(trained / "artifacts" / "train" / "k1", out, ignore=without, dirs_exist_ok=True)
        (out / file_names.METRICS).write_text('{"in_source": {"pictures": 3}}')
    now = run_ledger.now()
    failed = Run(id="a", flow="retrain", name="b", began=now, ended=now, state="failed", error="no", stages=[])
    run_ledger.write(failed)
    with receiving() as receiver:
        (roots / "art.toml").write_text(
            f'download.url = "x"\nusage.log = "{roots / "use.jsonl"}"\nalerts.url = "{receiver.url}"\n'
        )
        monkeypatch.setenv("ARTDETECT_CONFIG", str(roots / "art.toml"))
        assert watchdog(return_state=True).is_failed()
    assert [(told["event"], told["run"]) for told in receiver.received] == [(alerts.FAILED, "a")]
