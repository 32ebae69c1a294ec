"""What a flow run shows on Prefect's dashboard, even if every stage was cached: name, stages, metrics, figures."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from artdetect import config as configs
from artdetect.artifacts import file_names, registry, store
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError
from artdetect.formatting import localisation, markdown, other_art
from artdetect.formatting.intervals import percent_span
from artdetect.formatting.text import metric_rows, printable
from artdetect.monitoring import registry_page
from artdetect.pictures.labels import CLASSES
from tasks.engine.caching import StageOutcome

MAX_EXAMPLES = 5  # examples of a finding on the dashboard; audit.json and the report have more
MAX_INLINE_BYTES = 140_000  # of a figure that is embedded, which base64 makes a third larger; larger ones are linked


def run_name() -> str:
    """The name of a run: preset and data set, after the flow's name unless that is `pipeline`."""
    prefix = "" if flow_run.flow_name == "pipeline" else f"{flow_run.flow_name} "
    given = flow_run.parameters.get("config")
    try:
        config = configs.chosen(
            given if given is None or isinstance(given, Config) else Path(given),
            flow_run.parameters.get("changes", []),
        )
    except (ArtdetectError, TypeError):
        return f"{flow_run.flow_name} {given or ''}".rstrip()  # the run itself reports the error
    names = " + ".join(data_set.url.rstrip("/").rsplit("/", 1)[-1] for data_set in config.download.data_sets)
    return f"{prefix}{config.train.preset} on {names}"


def publish(outcomes: Sequence[StageOutcome]) -> None:
    """Show a finished run: its report's link, card and figures, all models, metrics beside the champion's, stages.

    The run's page shows what is made last first.
    """
    artifacts = {outcome.name: outcome.artifact for outcome in outcomes}
    scores = _read(artifacts["evaluate"])
    if "report" in artifacts:
        report = artifacts["report"].folder
        create_link_artifact(address(report / file_names.REPORT), key="report", link_text=file_names.REPORT)
        card = (report / file_names.MODEL_CARD).read_text(encoding="utf-8")
        commit = artifacts["train"].record["revision"] or "unknown"
        description = f"What the model can and cannot do; trained at commit {commit}"
        create_markdown_artifact(card, key="model-card", description=description)
        publish_localisation(artifacts["explain"].folder)
        for name, caption in _captions(scores).items():
            if (figure := report / "figures" / f"{name}.png").is_file():
                create_markdown_artifact(_image(figure, caption), key=name, description=caption)
    description = "All models, the history of the champion and the gate's verdicts"
    create_link_artifact(address(registry_page.file()), key="models", link_text="models", description=description)
    publish_stages(outcomes)
    former = artifacts.get("evaluate champion") or _champions_evaluation(artifacts)
    training = _read(artifacts["train"])
    metrics = f"{_other_art(training)}\n\n{_metrics(scores, _read(former) if former else None)}"
    create_markdown_artifact(metrics, key="metrics", description=f"{result(scores)} {other_art.sentences(training)[0]}")


def result(metrics: Mapping[str, Any]) -> str:
    """The outcome of a test in one sentence.

    Args:
        metrics: The content of evaluate's metrics.json.
    """
    accuracy = metrics["accuracy"]
    return f"{100 * accuracy['value']:.1f} % of {metrics['pictures']:,} test pictures right ({percent_span(accuracy)})."


def _captions(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Name -> caption of the report's figures that are shown, from evaluate's metrics."""
    right = " and ".join(
        f"{row[place]:,} of {sum(row):,} {label}"
        for place, (label, row) in enumerate(zip(CLASSES, metrics["confusion"], strict=True))
    )
    captions = {"confusion": f"Confusion matrix: {right} test pictures right"}
    if calibration := metrics.get("calibration"):
        captions["reliability"] = (
            f"Reliability diagram: p(AI) is off by {100 * calibration['ece']['value']:.1f} points on average (ECE)"
        )
    return captions


def publish_stages(outcomes: Sequence[StageOutcome]) -> None:
    """Show which stages ran, which were cached, and why."""
    rows = [
        {
            "stage": outcome.name,
            "state": "ran" if outcome.ran else "cached",
            "seconds": outcome.seconds,
            "why": outcome.why,
        }
        for outcome in outcomes
    ]
    ran = [outcome for outcome in outcomes if outcome.ran]
    description = (
        f"{len(ran)} of {len(outcomes)} stages ran, {sum(outcome.seconds for outcome in ran):.0f} s. For a cached "
        "stage, the seconds are those of its build."
    )
    create_table_artifact(rows, key="stages", description=description)


def publish_audit(folder: Path) -> None:
    """Show the findings in an audit's artifact folder."""
    audit = json.loads((folder / file_names.AUDIT).read_text())
    fired = [finding["name"] for finding in audit["findings"] if finding["fired"]]
    description = f"{audit['pictures']:,} pictures; findings: {', '.join(fired) or 'none'}"
    create_markdown_artifact(_audit(audit), key="audit", description=description)


def publish_localisation(folder: Path) -> None:
    """Show whether the maps of an explain artifact's methods find pasted regions, unless that was not checked."""
    found = json.loads((folder / file_names.LOCALISATION).read_text())
    said = localisation.sentences(found)
    if not found or not said:
        return
    lines = [markdown.escape(sentence) for sentence in said]
    if rows := localisation.rows(found):
        header, by_group = localisation.groups(found)
        lines += [markdown.table(localisation.HEADER, rows), localisation.MEANING]
        if curves := localisation.curve_rows(found):
            lines += [localisation.about_curves(found), markdown.table(localisation.CURVES_HEADER, curves)]
        lines.append(markdown.table(header, by_group))
    create_markdown_artifact("\n\n".join(lines), key="localisation", description=said[0])


def publish_gate(folder: Path, outcome: str) -> None:
    """Show the report in a gate's artifact folder, and the outcome of the retraining in one sentence."""
    report = (folder / file_names.GATE_PAGE).read_text(encoding="utf-8")
    create_markdown_artifact(f"{report}\n\n{outcome}\n", key="gate", description=outcome)


def _read(artifact: Artifact) -> dict[str, Any]:
    return json.loads((artifact.folder / file_names.METRICS).read_text())


def _champions_evaluation(artifacts: Mapping[str, Artifact]) -> Artifact | None:
    """The champion's evaluation, if it is another model and was tested on the same pictures as this run's model."""
    champion = registry.champion()
    key = champion.artifacts.get("evaluate") if champion else None
    if not champion or champion.train == artifacts["train"].key or not key:
        return None
    evaluation = store.find("evaluate", key)
    if evaluation is None:
        return None
    theirs, ours = (artifact.record["parts"]["inputs"] for artifact in (evaluation, artifacts["evaluate"]))
    return evaluation if all(theirs[name] == ours[name] for name in ("index", "balance")) else None


def _other_art(training: dict[str, Any]) -> str:
    """What is known about art from other sources. The champion's are of other pictures, so they are left out."""
    lines = [markdown.escape(sentence) for sentence in other_art.sentences(training)]
    if rows := other_art.rows(training):
        lines.append(markdown.table(["on art from other sources", "value", "95 % interval over sources"], rows))
    return "\n\n".join(lines)


def _metrics(metrics: dict[str, Any], champion: dict[str, Any] | None) -> str:
    header = ["metric", "value", "95 % interval"]
    rows = [list(row) for row in metric_rows(metrics)]
    if champion:
        theirs = {name: f"{value} ({interval})" for name, value, interval in metric_rows(champion)}
        header, rows = [*header, "champion"], [[*row, theirs.get(row[0], "")] for row in rows]
    confusion = [[label, *map(str, row)] for label, row in zip(CLASSES, metrics["confusion"], strict=True)]
    return "\n".join(
        [
            f"Test set of {metrics['pictures']} pictures",
            "",
            markdown.table(header, rows),
            "",
            markdown.table(["is \\ predicted", *CLASSES], confusion),
        ]
    )


def _image(file: Path, caption: str) -> str:
    """Markdown with the picture inside: the dashboard shows no files, and an image artifact would print the URI."""
    content = file.read_bytes()
    if len(content) > MAX_INLINE_BYTES:
        return f"[{caption}]({address(file)})"
    return f"![{caption}](data:image/png;base64,{base64.b64encode(content).decode()})"


def address(file: Path) -> str:
    """The address of an artifact's file: over HTTP after `make up`, because browsers block links to local files."""
    served = os.environ.get("ARTDETECT_FILES")
    return f"{served}/{file.relative_to(paths.artifacts()).as_posix()}" if served else file.as_uri()


def _audit(audit: dict[str, Any]) -> str:
    rows = [
        [
            f"**{finding['name']}**" if finding["fired"] else finding["name"],
            finding["level"],
            f"{finding['count']:,}",
            markdown.escape(finding["sentence"]),
        ]
        for finding in audit["findings"]
    ]
    lines = [f"{audit['pictures']:,} pictures", "", markdown.table(["finding", "rule", "count", "what it means"], rows)]
    for finding in audit["findings"]:
        if finding["fired"] and finding["examples"]:
            lines += ["", f"{finding['name']}:", ""]
            lines += [
                f"- `{printable(example).replace('`', chr(39))}`" for example in finding["examples"][:MAX_EXAMPLES]
            ]
    return "\n".join(lines)
