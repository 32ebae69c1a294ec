"""What a flow run leaves on the dashboard: its name, its stage table, its metrics, also when every stage was cached."""

import json
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from artdetect.labels import CLASSES
from artdetect.summary import metric_rows
from tasks.caching import StageRun

SHOWN = 5  # examples of a finding on the dashboard; all that are kept stand in audit.json and in the report


def run_name() -> str:
    """Preset and data set of a run, as the dashboard lists it."""
    config = flow_run.parameters.get("config")
    if not hasattr(config, "train"):
        return f"{flow_run.flow_name} {config}"
    return f"{config.train.preset} on {config.download.url.rstrip('/').rsplit('/', 1)[-1]}"


def publish(runs: Sequence[StageRun]) -> None:
    """Prefect artifacts of a finished run: stages, metrics, the model card, and where the report is."""
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
    card = (folder["report"] / "model_card.md").read_text(encoding="utf-8")
    commit = next(run.artifact.record["revision"] for run in runs if run.stage == "train")
    known = f"What to know before trusting a verdict; trained at commit {commit or 'unknown'}"
    create_markdown_artifact(card, key="model-card", description=known)
    create_link_artifact((folder["report"] / "report.html").as_uri(), key="report", link_text="report.html")


def _metrics(metrics: dict) -> str:
    lines = [f"Test set of {metrics['pictures']} pictures", "", "| metric | value | 95 % interval |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in metric_rows(metrics)]
    lines += ["", f"| is \\ called | {' | '.join(CLASSES)} |", "|---|---|---|"]
    lines += [
        f"| {label} | {' | '.join(map(str, row))} |" for label, row in zip(CLASSES, metrics["confusion"], strict=True)
    ]
    return "\n".join(lines)


def publish_audit(folder: Path) -> None:
    """The findings of an audit's artifact folder, as a Prefect artifact; before anything can stop the run."""
    audit = json.loads((folder / "audit.json").read_text())
    create_markdown_artifact(_audit(audit), key="audit", description="What to know of the data")


def _audit(audit: dict) -> str:
    lines = [f"{audit['pictures']:,} pictures", "", "| finding | rule | count | what it means |", "|---|---|---|---|"]
    for finding in audit["findings"]:
        name = f"**{finding['name']}**" if finding["fired"] else finding["name"]
        lines.append(f"| {name} | {finding['level']} | {finding['count']:,} | {_cell(finding['sentence'])} |")
    for finding in audit["findings"]:
        if finding["fired"] and finding["examples"]:
            lines += ["", f"{finding['name']}:", ""]
            lines += [f"- `{_cell(example).replace('`', chr(39))}`" for example in finding["examples"][:SHOWN]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
