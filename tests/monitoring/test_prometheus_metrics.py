"""The metrics as Prometheus parses them."""

import json
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.run_ledger import Run, StageRecord
from artdetect.core import paths
from artdetect.monitoring import prometheus_metrics


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


def make(stage: str, key: str, inputs: dict[str, str] | None = None, **metrics: object) -> str:
    """Build an artifact with metrics from inputs (name -> digest); returns its digest."""
    with store.build(stage, key, {"inputs": inputs or {}}) as out:
        (out / "metrics.json").write_text(json.dumps({"name": key, **metrics}))
    return store.load(stage, key).digest


def write(name: str, ended: str, flow: str = "pipeline", state: str = "completed", **more: object) -> None:
    run_ledger.write(Run(id=name, flow=flow, name=name, began="2026-05-01T00:00:00+00:00", ended=ended, state=state,
                   **{"stages": []} | more))  # fmt: skip


def read() -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value of each sample."""
    text = prometheus_metrics.write().read_text()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.name.startswith("artdetect_") for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name.removeprefix("artdetect_"), *sample.labels.values()): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def test_an_empty_project_has_metrics_too() -> None:
    found = read()
    assert found.pop(("metrics_timestamp_seconds",)) == pytest.approx(time.time(), abs=600)
    assert found == {("gate_verdicts", "refused"): 0, ("gate_verdicts", "promoted"): 0}


def test_the_run_metrics_describe_the_last_run_of_each_flow() -> None:
    write("a", "2026-05-01T00:01:00+00:00")
    write("b", "2026-05-01T00:10:00+00:00", state="failed", error="ModelError: no")
    write("c", "2026-05-01T00:05:00+00:00", flow="retrain", facts={"verdict": "promoted"})
    found = read()
    assert found["run_success", "pipeline"] == 0
    assert found["run_success", "retrain"] == 1
    assert found["run_duration_seconds", "pipeline"] == 600
    assert found["run_end_timestamp_seconds", "retrain"] == 1777593900
    assert found["run_last_success_timestamp_seconds", "pipeline"] == 1777593660
    assert found["run_last_failure_timestamp_seconds", "pipeline"] == 1777594200
    assert found["run_last_failure_age_seconds", "pipeline"] == pytest.approx(time.time() - 1777594200, abs=600)
    assert found["runs", "pipeline", "failed"] == found["runs", "pipeline", "completed"] == 1
    assert found["runs", "pipeline", "crashed"] == found["runs", "retrain", "failed"] == 0
    assert found["gate_verdicts", "promoted"] == 1


def test_a_cancelled_run_neither_succeeded_nor_failed() -> None:
    write("a", "2026-05-01T00:01:00+00:00", state="failed", error="ModelError: no")
    write("b", "2026-05-01T00:02:00+00:00")
    before = read()
    write("c", "2026-05-01T00:03:00+00:00", state="cancelled", error="it was cancelled")
    write("d", "2026-05-01T00:03:00+00:00", flow="retrain", state="cancelled", error="it was cancelled")
    found = read()
    for metric in ("run_success", "run_last_success_timestamp_seconds", "run_last_failure_timestamp_seconds"):
        assert found[metric, "pipeline"] == before[metric, "pipeline"]
        assert (metric, "retrain") not in found
    assert found["run_success", "pipeline"] == 1
    assert found["runs", "pipeline", "cancelled"] == found["runs", "retrain", "cancelled"] == 1
    assert found["run_end_timestamp_seconds", "pipeline"] == before["run_end_timestamp_seconds", "pipeline"] + 60


def test_the_stage_metrics_describe_the_last_use_of_each_stage() -> None:
    make("train", "k1")
    for name, minute, ran in (("a", 1, True), ("b", 2, False)):
        use = StageRecord(stage="train", key="k1", ran=ran, why="", seconds=minute)
        write(name, f"2026-05-01T00:0{minute}:00+00:00", stages=[use])
    found = read()
    assert (found["stage_ran", "train"], found["stage_build_seconds", "train"]) == (0, 2)
    peak = store.load("train", "k1").record["peak_memory_mb"]
    assert found["stage_peak_memory_bytes", "train"] == peak * 2**20
    assert found["artifacts", "train"] == 1
    size = (store.place("train", "k1") / "metrics.json").stat().st_size
    assert found["artifacts_bytes", "train"] == size


def test_the_model_metrics_are_from_the_newest_evaluation_of_champion_and_newest_model() -> None:
    old = make("train", "champion1")
    for key, accuracy in (("earlier", 0.7), ("later", 0.8)):
        make("evaluate", key, {"train": old}, pictures=50, accuracy={"value": accuracy}, roc_auc={"value": 0.9},
             calibration={"ece": {"value": 0.05}})  # fmt: skip
    new = make("train", "newest1")
    make("evaluate", "k3", {"train": new}, pictures=60, accuracy={"value": 0.6}, roc_auc=None)
    registry.promote("champion1", {}, "a person", "good")
    found = read()
    assert found["model_info", "champion", "champion1"] == found["model_info", "newest", "newest1"] == 1
    assert found["model_test_accuracy_ratio", "champion"] == 0.8
    assert found["model_test_ece_ratio", "champion"] == 0.05
    assert found["model_test_pictures", "newest"] == 60
    assert ("model_test_roc_auc", "newest") not in found
    registry.alias_file().write_text("{")
    assert ("model_info", "champion", "champion1") not in read()


def test_art_from_other_sources_is_measured_where_it_is_known() -> None:
    values = {
        name: {"value": number / 10} for number, name in enumerate(("firm", "right_ai", "roc_auc", "log_loss"), 1)
    }
    known = {"enough_sources": True, "sources": {"AI": 5, "human": 6}, "right_human": None, **values}
    make("train", "champion1", out_of_source=known)
    make("train", "newest1", out_of_source=known | {"enough_sources": False})
    registry.promote("champion1", {}, "a person", "good")
    found = {name: value for name, value in read().items() if name[0].startswith("model_other_art")}
    assert found == {
        ("model_other_art_verdicts_ratio", "champion"): 0.1,
        ("model_other_art_right_ratio", "champion", "AI"): 0.2,
        ("model_other_art_roc_auc", "champion"): 0.3,
        ("model_other_art_log_loss", "champion"): 0.4,
    }


def test_only_accepted_pictures_count_as_incoming_by_label_and_generator() -> None:
    taken = ("AI/flux.1/1.jpg", "AI/flux.1/baroque/2.jpg", "human/museum/3.jpg")
    for place in (*taken, "human/museum/.4.jpg.tmp", "human/museum/notes.txt", 'AI/a"b/5.jpg', "provenance/a.json"):
        (paths.incoming() / place).parent.mkdir(parents=True, exist_ok=True)
        (paths.incoming() / place).touch()
    found = {name[1:]: value for name, value in read().items() if name[0] == "incoming_pictures"}
    assert found == {("flux.1", "AI"): 2, ("museum", "human"): 1}
