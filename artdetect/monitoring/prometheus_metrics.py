"""Metrics for a scraper: `artifacts/metrics.prom`, in Prometheus's text format, written anew at the end of each run.

A node exporter's textfile collector or any static file server hands it on. It is made from the ledger of runs, the
artifacts' records and the names of incoming pictures alone, so that it stays cheap with thousands of artifacts. All are
gauges: what is counted is what is on record, and garbage collection takes old runs off it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import ingest
from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.run_ledger import Run
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtdetectError, ArtifactError
from artdetect.housekeeping import inventory
from artdetect.housekeeping.inventory import InventoryItem

if TYPE_CHECKING:
    from prometheus_client import Metric

Values = Mapping[Any, float]  # labels' values, a tuple -> the metric's
VERDICTS = ("promoted", "kept")  # what a run's facts may say under `verdict`


def file() -> Path:
    """Where the metrics are."""
    return paths.artifacts() / "metrics.prom"


def write() -> Path:
    """Write the metrics as things are now; their file."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Now:
        def collect(self) -> "Iterator[Metric]":
            return _metrics()

    collectors = CollectorRegistry()
    collectors.register(Now())
    atomic.write(file(), generate_latest(collectors))
    return file()


def _metrics() -> "Iterator[Metric]":
    ledger, items = run_ledger.read(), inventory.artifacts()
    yield from _of_runs(ledger)
    yield from _of_stages(ledger, items)
    yield from _of_models(ledger, items)
    yield _gauge("incoming_pictures", "Accepted new pictures", ("label", "generator"), _incoming())
    verdicts: Counter[tuple[str, ...]] = Counter({(verdict,): 0 for verdict in VERDICTS})
    verdicts.update((run.facts["verdict"],) for run in ledger if run.facts.get("verdict") in VERDICTS)
    said = "What became of retrained models, of runs on record: promoted, or the champion kept"
    yield _gauge("gate_verdicts", said, ("verdict",), verdicts)
    yield _gauge("artifacts", "Artifacts on disk", ("stage",), Counter((item.stage,) for item in items))
    taken: Counter[tuple[str, ...]] = Counter()
    for item in items:
        taken[item.stage,] += item.bytes
    yield _gauge("artifacts_bytes", "Bytes of the artifacts' outputs on disk", ("stage",), taken)


def _of_runs(ledger: Sequence[Run]) -> "Iterator[Metric]":
    last = {(flow,): run for flow, run in run_ledger.latest(ledger).items()}
    ended = {flow: _seconds(run.ended) for flow, run in last.items()}
    yield _gauge("run_end_timestamp_seconds", "When the last run of a flow ended", ("flow",), ended)
    lasted = {flow: run.seconds for flow, run in last.items()}
    yield _gauge("run_duration_seconds", "How long the last run of a flow took", ("flow",), lasted)
    good = {flow: float(run.state == "completed") for flow, run in last.items()}
    yield _gauge("run_success", "Whether the last run of a flow succeeded", ("flow",), good)
    successes = run_ledger.latest(run for run in ledger if run.state == "completed")
    when = {(flow,): _seconds(run.ended) for flow, run in successes.items()}
    yield _gauge("run_last_success_timestamp_seconds", "When a flow last ended well", ("flow",), when)
    counts = Counter((run.flow, run.state) for run in ledger)
    yield _gauge("runs", "Runs on record", ("flow", "state"), counts)


def _of_stages(ledger: Sequence[Run], items: Sequence[InventoryItem]) -> "Iterator[Metric]":
    """Of the newest run that used a stage."""
    uses = {(use.stage,): use for run in ledger for use in run.stages}
    built = {(item.stage, item.key): item for item in items}
    seconds = {stage: use.seconds for stage, use in uses.items()}
    yield _gauge(
        "stage_build_seconds", "How long the stage's artifact of the last run took to build", ("stage",), seconds
    )
    ran = {stage: float(use.ran) for stage, use in uses.items()}
    yield _gauge("stage_ran", "1: built by the last run that needed it; 0: found cached", ("stage",), ran)
    peaks = {stage: item.peak_bytes for stage, use in uses.items() if (item := built.get((use.stage, use.key)))}
    yield _gauge("stage_peak_memory_bytes", "The most memory its builder's process had held", ("stage",), peaks)


def _of_models(ledger: Sequence[Run], items: Sequence[InventoryItem]) -> "Iterator[Metric]":
    """Of the champion and of the model that was trained last, as their newest evaluation on test pictures has it."""
    models = {"champion": _champion(), "newest": max(_whole(items, "train"), key=lambda item: item.at, default=None)}
    trained = {item.key: item for item in _whole(items, "train")}
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for role, model in models.items():
        item = trained.get(model) if isinstance(model, str) else model
        if item and (metrics := _evaluation(item, items)):
            found[role] = item.key, metrics
    yield _gauge(
        "model_info",
        "Which models the others are of",
        ("model", "train"),
        {(r, key): 1 for r, (key, _) in found.items()},
    )
    for name, said, read in (
        ("model_test_pictures", "Pictures that the model was tested on", lambda metrics: metrics["pictures"]),
        ("model_test_accuracy_ratio", "Accuracy on test pictures", lambda metrics: metrics["accuracy"]["value"]),
        ("model_test_roc_auc", "Area under the ROC curve, test pictures", lambda metrics: metrics["roc_auc"]["value"]),
        ("model_test_ece_ratio", "Calibration error, test", lambda metrics: metrics["calibration"]["ece"]["value"]),
    ):
        values = {}
        for role, (_, metrics) in found.items():
            with suppress(KeyError, TypeError):  # a test that is too small for it
                values[role,] = float(read(metrics))
        yield _gauge(name, said, ("model",), values)


def _incoming() -> Values:
    with suppress(ArtdetectError):  # a folder that cannot be listed: the next ingest or run says so
        return {tuple(where.split("/")): count for where, count in ingest.added_since(None).items()}
    return {}


def _champion() -> str | None:
    with suppress(ArtifactError):  # who removes or predicts says so; here it is only not there
        if entry := registry.champion():
            return entry.train
    return None


def _whole(items: Sequence[InventoryItem], stage: str) -> list[InventoryItem]:
    return [item for item in items if item.stage == stage and item.digest]


def _evaluation(model: InventoryItem, items: Sequence[InventoryItem]) -> Mapping[str, Any] | None:
    """The metrics of the newest evaluation of a model."""
    of_model = [item for item in _whole(items, "evaluate") if item.inputs.get("train") == model.digest]
    for item in reversed(of_model):
        with suppress(OSError, ValueError):
            return json.loads((store.place("evaluate", item.key) / "metrics.json").read_bytes())
    return None


def _gauge(name: str, said: str, labels: Sequence[str], values: Values) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"artdetect_{name}", said, labels=labels)
    for of, value in sorted(values.items()):
        family.add_metric(of, value)
    return family


def _seconds(time: str) -> float:
    """Since 1970."""
    return datetime.fromisoformat(time).timestamp()
