"""Metrics for Prometheus: `artifacts/metrics.prom`, in its text format, rewritten at the end of every run.

The watchdog rewrites it every few minutes, too, so that ages are fresh and a crash shows.

A node exporter's textfile collector or any static file server can serve the file. It is computed from the run ledger,
the artifacts' records and the names of incoming pictures only, so that it stays cheap with thousands of artifacts. All
metrics are gauges: they count what is on record, and garbage collection removes old runs from the record.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import active_runs, file_names, registry, run_ledger
from artdetect.artifacts.run_ledger import Run
from artdetect.artifacts.store import StoredArtifact
from artdetect.core import atomic, paths
from artdetect.core.errors import ArtdetectError, ArtifactError
from artdetect.formatting import other_art
from artdetect.housekeeping import inventory
from artdetect.ingest import incoming
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    from prometheus_client import Metric

Values = Mapping[Any, float]  # tuple of label values -> value of the metric
_EDGES = ("value", "low", "high")
VERDICTS = ("promoted", "refused")  # values of the fact `verdict` of a retraining


def file() -> Path:
    """The file of the metrics."""
    return paths.artifacts() / "metrics.prom"


def write() -> Path:
    """Write the present metrics; returns their file."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> "Iterator[Metric]":
            return _metrics()

    collectors = CollectorRegistry()
    collectors.register(Collector())
    atomic.write(file(), generate_latest(collectors))
    return file()


def _metrics() -> "Iterator[Metric]":
    ledger, items = run_ledger.read(), inventory.items()
    artifacts = inventory.intact(items)
    yield from _run_metrics(ledger)
    yield from _stage_metrics(ledger, artifacts)
    yield from _model_metrics(artifacts)
    yield _gauge("incoming_pictures", "Accepted new pictures", ("label", "generator"), _incoming())
    verdicts: Counter[tuple[str, ...]] = Counter({(verdict,): 0 for verdict in VERDICTS})
    verdicts.update((run.facts["verdict"],) for run in ledger if run.facts.get("verdict") in VERDICTS)
    yield _gauge("gate_verdicts", "Retrained models of the runs on record, by verdict", ("verdict",), verdicts)
    yield from _drift_metrics(ledger)
    yield _gauge("artifacts", "Artifacts on disk", ("stage",), Counter((item.stage,) for item in items))
    sizes: Counter[tuple[str, ...]] = Counter()
    for item in items:
        sizes[item.stage,] += item.bytes
    yield _gauge("artifacts_bytes", "Bytes of the artifacts' outputs on disk", ("stage",), sizes)


def _run_metrics(ledger: Sequence[Run]) -> "Iterator[Metric]":
    now = time.time()
    last = {(flow,): run for flow, run in run_ledger.latest(ledger).items()}
    ended = {flow: _seconds(run.ended) for flow, run in last.items()}
    yield _gauge("run_end_timestamp_seconds", "When the last run of the flow ended", ("flow",), ended)
    durations = {flow: run.seconds for flow, run in last.items()}
    yield _gauge("run_duration_seconds", "How long the last run of the flow took", ("flow",), durations)
    told = {"success": [run for run in ledger if run.state == "completed"]}
    told["failure"] = [run for run in ledger if run.has_failed]
    decided = run_ledger.latest([*told["success"], *told["failure"]])
    succeeded = {(flow,): float(not run.has_failed) for flow, run in decided.items()}
    description = "1 if the last run of the flow that was not cancelled succeeded, else 0"
    yield _gauge("run_success", description, ("flow",), succeeded)
    for outcome, verb in (("success", "succeeded"), ("failure", "failed or crashed")):
        newest = run_ledger.latest(told[outcome])
        ended = {(flow,): _seconds(run.ended) for flow, run in newest.items()}
        yield _gauge(f"run_last_{outcome}_timestamp_seconds", f"When the flow last {verb}", ("flow",), ended)
        ages = {flow: now - moment for flow, moment in ended.items()}
        description = f"How long ago the flow last {verb}, when this was written"
        yield _gauge(f"run_last_{outcome}_age_seconds", description, ("flow",), ages)
    counts: Counter[tuple[str, ...]] = Counter({(*flow, state): 0 for flow in last for state in run_ledger.STATES})
    counts.update((run.flow, run.state) for run in ledger)
    yield _gauge("runs", "Runs on record, by how they ended", ("flow", "state"), counts)
    active = Counter((run.flow,) for run in active_runs.running())
    yield _gauge("runs_in_progress", "Runs in progress when this was written", ("flow",), active)
    yield _gauge("metrics_timestamp_seconds", "When this was written", (), {(): now})


def _drift_metrics(ledger: Sequence[Run]) -> "Iterator[Metric]":
    """What the last watchdog found about use, if a log of it is watched."""
    run = run_ledger.latest(ledger).get("watchdog")
    found = run.facts.get("drift") if run else None
    if not found:
        return
    yield _gauge("usage_pictures", "Verdicts of the model in use in its log", (), {(): found["pictures"]})
    yield _gauge("usage_drifted", "1 if use has drifted away from training", (), {(): float(found["drifted"])})
    for name, description in (
        ("used", "Share in use"),
        ("promised", "Share that training promised"),
        ("rise", "Rise over what training promised"),
    ):
        values = {(share["name"], edge): share[name][edge] for share in found["shares"] for edge in _EDGES}
        yield _gauge(f"usage_{name}_ratio", f"{description}, with its 95 % interval", ("pictures", "edge"), values)


def _stage_metrics(ledger: Sequence[Run], artifacts: Sequence[StoredArtifact]) -> "Iterator[Metric]":
    """Metrics of each stage's artifact in the newest run that used the stage."""
    uses = {(use.stage,): use for run in ledger for use in run.stages}
    existing = {(artifact.stage, artifact.key): artifact for artifact in artifacts}
    seconds = {stage: use.seconds for stage, use in uses.items()}
    yield _gauge("stage_build_seconds", "How long the build of the last used artifact took", ("stage",), seconds)
    ran = {stage: float(use.ran) for stage, use in uses.items()}
    yield _gauge("stage_ran", "1 if the last run that needed the stage built it, 0 if it was cached", ("stage",), ran)
    peaks = {
        stage: artifact.peak_bytes for stage, use in uses.items() if (artifact := existing.get((use.stage, use.key)))
    }
    yield _gauge("stage_peak_memory_bytes", "Peak memory of the process that built it", ("stage",), peaks)


def _model_metrics(artifacts: Sequence[StoredArtifact]) -> "Iterator[Metric]":
    """Metrics of the champion and of the newest model: on art from other sources, and from the newest evaluation."""
    models = {artifact.key: artifact for artifact in artifacts if artifact.stage == "train"}
    newest = max(models.values(), key=lambda artifact: artifact.at, default=None)
    roles = {"champion": models.get(_champion() or ""), "newest": newest}
    yield from _other_art_metrics({role: model for role, model in roles.items() if model})
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for role, model in roles.items():
        if model and (metrics := _evaluation(model, artifacts)):
            found[role] = model.key, metrics
    keys = {(role, key): 1 for role, (key, _) in found.items()}
    yield _gauge("model_info", "The models that the other metrics describe", ("model", "train"), keys)
    for name, description, value in (
        ("model_test_pictures", "Number of test pictures", lambda metrics: metrics["pictures"]),
        ("model_test_accuracy_ratio", "Accuracy on test pictures", lambda metrics: metrics["accuracy"]["value"]),
        ("model_test_roc_auc", "Area under the ROC curve, test pictures", lambda metrics: metrics["roc_auc"]["value"]),
        ("model_test_ece_ratio", "Calibration error, test", lambda metrics: metrics["calibration"]["ece"]["value"]),
    ):
        values = {}
        for role, (_, metrics) in found.items():
            with suppress(KeyError, TypeError):  # the test set is too small for it
                values[role,] = float(value(metrics))
        yield _gauge(name, description, ("model",), values)


def _other_art_metrics(models: Mapping[str, StoredArtifact]) -> "Iterator[Metric]":
    """Metrics of models by role, on art from other sources; none where nothing is known about it."""
    known = {role: found for role, model in models.items() if (found := _known(model))}
    for name, description, measure in (
        ("roc_auc", "Area under the ROC curve, art from other sources", "roc_auc"),
        ("log_loss", "Log loss, art from other sources", "log_loss"),
        ("verdicts_ratio", "Share of art from other sources that gets a verdict", "firm"),
    ):
        values = {(role,): found[measure]["value"] for role, found in known.items()}
        yield _gauge(f"model_other_art_{name}", description, ("model",), values)
    right = {
        (role, label): found[f"right_{label.lower()}"]["value"]
        for role, found in known.items()
        for label in CLASSES
        if found[f"right_{label.lower()}"]
    }
    description = "Share of the verdicts on art from other sources that are right"
    yield _gauge("model_other_art_right_ratio", description, ("model", "verdict"), right)


def _known(model: StoredArtifact) -> Mapping[str, Any] | None:
    with suppress(OSError, ValueError):
        return other_art.measured(json.loads((model.folder / file_names.METRICS).read_bytes()))
    return None


def _incoming() -> Values:
    with suppress(ArtdetectError):  # a folder that cannot be listed: the next ingest or run reports it
        return {tuple(where.split("/")): count for where, count in incoming.added_since(None).items()}
    return {}


def _champion() -> str | None:
    with suppress(ArtifactError):  # a damaged champion file: predict and gc report it
        if promotion := registry.champion():
            return promotion.train
    return None


def _evaluation(model: StoredArtifact, artifacts: Sequence[StoredArtifact]) -> Mapping[str, Any] | None:
    """The metrics of the newest evaluation of a model."""
    for artifact in reversed(artifacts):
        if artifact.stage == "evaluate" and artifact.inputs.get("train") == model.digest:
            with suppress(OSError, ValueError):
                return json.loads((artifact.folder / file_names.METRICS).read_bytes())
    return None


def _gauge(name: str, description: str, labels: Sequence[str], values: Values) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"artdetect_{name}", description, labels=labels)
    for label_values, value in sorted(values.items()):
        family.add_metric(label_values, value)
    return family


def _seconds(time: str) -> float:
    """An ISO 8601 time in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()
