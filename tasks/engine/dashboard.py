"""What a flow run shows on the dashboard, also when every stage was cached: its name, stage table, metrics, figures."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from artdetect import config as configs
from artdetect.artifacts import registry, store
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError
from artdetect.formatting.text import metric_rows
from artdetect.pictures.labels import CLASSES
from tasks.engine.caching import StageOutcome

SHOWN = 5  # examples of a finding on the dashboard; all that are kept stand in audit.json and in the report
PICTURES = {
    "confusion": "Confusion matrix of the test set",
    "reliability": "How often p(AI) comes true on the test set",
}
LARGEST = 140_000  # bytes of a picture on the dashboard, where base64 makes it a third more; larger ones are linked


def run_name() -> str:
    """Preset and data set of a run, as the dashboard lists it; what a retraining or a search does comes first."""
    kind = "" if flow_run.flow_name == "pipeline" else f"{flow_run.flow_name} "
    given = flow_run.parameters.get("config")
    try:
        config = configs.chosen(
            given if isinstance(given, Config) else Path(given), flow_run.parameters.get("changes", [])
        )
    except (ArtdetectError, TypeError):
        return f"{flow_run.flow_name} {given}"  # the run says what is wrong with it
    return f"{kind}{config.train.preset} on {config.download.url.rstrip('/').rsplit('/', 1)[-1]}"


def publish(runs: Sequence[StageOutcome]) -> None:
    """Artifacts of a finished run: stages, metrics beside the champion's, figures, model card, where the report is."""
    made = {run.name: run.artifact for run in runs}
    publish_stages(runs)
    metrics = _read(made["evaluate"])
    beside = _read(made["evaluate champion"]) if "evaluate champion" in made else _champions(made)
    create_markdown_artifact(_metrics(metrics, beside), key="metrics", description="Test set, opened once")
    figures = made["report"].folder / "figures"
    for name, said in PICTURES.items():
        if (figure := figures / f"{name}.png").is_file():
            create_markdown_artifact(_picture(figure, said), key=name, description=said)
    card = (made["report"].folder / "model_card.md").read_text(encoding="utf-8")
    commit = made["train"].record["revision"]
    known = f"What to know before trusting a verdict; trained at commit {commit or 'unknown'}"
    create_markdown_artifact(card, key="model-card", description=known)
    create_link_artifact(_address(made["report"].folder / "report.html"), key="report", link_text="report.html")


def publish_stages(runs: Sequence[StageOutcome]) -> None:
    """What ran, what was cached, and why."""
    create_table_artifact(
        [
            {"stage": run.name, "state": "ran" if run.ran else "cached", "seconds": run.seconds, "why": run.why}
            for run in runs
        ],
        key="stages",
        description="What ran, and why. Seconds are those of the build, also where it was cached.",
    )


def publish_audit(folder: Path) -> None:
    """The findings of an audit's artifact folder, as a Prefect artifact; before anything can stop the run."""
    audit = json.loads((folder / "audit.json").read_text())
    create_markdown_artifact(_audit(audit), key="audit", description="What to know of the data")


def publish_gate(folder: Path, outcome: str) -> None:
    """The gate's report, and what came of it in words."""
    report = (folder / "gate.md").read_text(encoding="utf-8")
    create_markdown_artifact(f"{report}\n\n{outcome}\n", key="gate", description=outcome)


def _read(evaluated: Artifact) -> dict[str, Any]:
    return json.loads((evaluated.folder / "metrics.json").read_text())


def _champions(made: Mapping[str, Artifact]) -> dict[str, Any] | None:
    """The champion's metrics where it was tested on the very pictures of this run; None for any other."""
    champion = registry.champion()
    key = champion.artifacts.get("evaluate") if champion else None
    if not champion or champion.train == made["train"].key or not key or store.verify("evaluate", key):
        return None
    tested, now = (artifact.record["parts"]["inputs"] for artifact in (store.at("evaluate", key), made["evaluate"]))
    same = all(tested[name] == now[name] for name in ("index", "balance"))
    return _read(store.at("evaluate", key)) if same else None


def _metrics(metrics: dict[str, Any], champion: dict[str, Any] | None) -> str:
    head = ["metric", "value", "95 % interval"]
    rows = [list(row) for row in metric_rows(metrics)]
    if champion:
        theirs = {name: f"{value} ({interval})" for name, value, interval in metric_rows(champion)}
        head, rows = [*head, "champion"], [[*row, theirs.get(row[0], "")] for row in rows]
    lines = [f"Test set of {metrics['pictures']} pictures", "", *_table(head, rows), ""]
    lines += _table(
        ["is \\ called", *CLASSES],
        [[label, *map(str, row)] for label, row in zip(CLASSES, metrics["confusion"], strict=True)],
    )
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _picture(file: Path, said: str) -> str:
    """A picture inside Markdown: the dashboard shows no file, and an image artifact would print the whole URI."""
    content = file.read_bytes()
    if len(content) > LARGEST:
        return f"[{said}]({_address(file)})"
    return f"![{said}](data:image/png;base64,{base64.b64encode(content).decode()})"


def _address(file: Path) -> str:
    """Of an artifact's file: where `make serve-up` serves them, as browsers follow no link from a server to a file."""
    served = os.environ.get("ARTDETECT_FILES")
    return f"{served}/{file.relative_to(paths.artifacts()).as_posix()}" if served else file.as_uri()


def _audit(audit: dict[str, Any]) -> str:
    rows = [
        [
            f"**{finding['name']}**" if finding["fired"] else finding["name"],
            finding["level"],
            f"{finding['count']:,}",
            _cell(finding["sentence"]),
        ]
        for finding in audit["findings"]
    ]
    lines = [f"{audit['pictures']:,} pictures", "", *_table(["finding", "rule", "count", "what it means"], rows)]
    for finding in audit["findings"]:
        if finding["fired"] and finding["examples"]:
            lines += ["", f"{finding['name']}:", ""]
            lines += [f"- `{_cell(example).replace('`', chr(39))}`" for example in finding["examples"][:SHOWN]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
