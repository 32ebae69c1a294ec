"""What a flow run leaves on the dashboard: its name, its stage table, its metrics, also when every stage was cached."""

import json
from collections.abc import Sequence

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from artdetect.labels import CLASSES
from artdetect.summary import metric_rows
from tasks.caching import StageRun


def run_name() -> str:
    """Preset and data set of a run, as the dashboard lists it."""
    config = flow_run.parameters.get("config")
    if not hasattr(config, "train"):
        return f"pipeline {config}"
    return f"{config.train.preset} on {config.download.url.rstrip('/').rsplit('/', 1)[-1]}"


def publish(runs: Sequence[StageRun]) -> None:
    """Prefect artifacts of a finished run: stages, metrics, audit findings, and where the report is."""
    folder = {run.stage: run.artifact.folder for run in runs}
    create_table_artifact(
        [
            {"stage": run.stage, "state": "ran" if run.ran else "cached", "why": run.why, "seconds": run.seconds}
            for run in runs
        ],
        key="stages",
        description="What ran, and why. Seconds are those of the build, also where it was cached.",
    )
    metrics = json.loads((folder["evaluate"] / "metrics.json").read_text())
    create_markdown_artifact(_metrics(metrics), key="metrics", description="Test set, opened once")
    findings = json.loads((folder["audit"] / "audit.json").read_text())
    create_markdown_artifact(_audit(findings), key="audit", description="What to know of the data")
    create_link_artifact((folder["report"] / "report.html").as_uri(), key="report", link_text="report.html")


def _metrics(metrics: dict) -> str:
    lines = [f"Test set of {metrics['pictures']} pictures", "", "| metric | value | 95 % interval |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in metric_rows(metrics)]
    lines += ["", f"| is \\ called | {' | '.join(CLASSES)} |", "|---|---|---|"]
    lines += [
        f"| {label} | {' | '.join(map(str, row))} |" for label, row in zip(CLASSES, metrics["confusion"], strict=True)
    ]
    return "\n".join(lines)


def _audit(findings: dict) -> str:
    named = {
        "unreadable": "unreadable pictures",
        "duplicates": "contents that stand twice",
        "train_test_overlap": "contents in train and in test",
        "two_labels": "contents under two labels",
    }
    lines = [f"{findings['pictures']} pictures", "", "| finding | count |", "|---|---|"]
    lines += [f"| {shown} | {findings[name]['count']} |" for name, shown in named.items()]
    lines += [f"| skipped: {reason} | {found['count']} |" for reason, found in findings["skipped"].items()]
    return "\n".join(lines)
