"""The summary of a run, which its page shows first: what came out of it, in figures, and where to read on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from artdetect.artifacts import file_names
from artdetect.artifacts.store import Artifact
from artdetect.formatting import markdown, other_art
from artdetect.formatting.text import printable
from tasks.engine.caching import RunContext, StageOutcome
from tasks.engine.dashboard import address

HISTORIES = {"metrics": "metrics", "stages": "stages", "gate": "gate decisions"}  # key of an artifact -> its name


def publish_summary(run: RunContext, outcome: str = "") -> None:
    """Show the summary of a run that tested a model. The last artifact to be made stands first on the run's page.

    Args:
        run: The run.
        outcome: What became of the model, as a sentence, if the run decided that.
    """
    artifacts = {stage.name: stage.artifact for stage in run.outcomes}
    tested = result(_read(artifacts["evaluate"]))
    page = _page(run.outcomes, artifacts, tested, outcome)
    create_markdown_artifact(page, key="summary", description=f"{outcome} {tested}".strip())


def result(metrics: Mapping[str, Any]) -> str:
    """The outcome of a test in one sentence.

    Args:
        metrics: The content of evaluate's metrics.json.
    """
    accuracy = metrics["accuracy"]
    return (
        f"{100 * accuracy['value']:.1f} % of {metrics['pictures']:,} test pictures right "
        f"({100 * accuracy['low']:.0f}–{100 * accuracy['high']:.0f} %)."
    )


def name_outcome(run: RunContext, outcome: str) -> None:
    """Add how a run ended to its name, on the dashboard and in the ledger.

    Args:
        run: The run.
        outcome: A few words.
    """
    if flow_run.id is None:
        return
    run.record.name = f"{flow_run.name}: {outcome}"
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=run.record.name)


def accuracy_of(run: RunContext) -> str:
    """The accuracy of the run's own model on test pictures, in a few words."""
    (artifact,) = [stage.artifact for stage in run.outcomes if stage.name == "evaluate"]
    return f"{100 * _read(artifact)['accuracy']['value']:.1f} % right"


def _page(outcomes: Sequence[StageOutcome], artifacts: Mapping[str, Artifact], tested: str, outcome: str) -> str:
    ran = [f"{stage.name} {stage.seconds:.0f} s" for stage in outcomes if stage.ran]
    findings = json.loads((artifacts["audit"].folder / file_names.AUDIT).read_text())["findings"]
    found = [finding["name"].replace("_", " ") for finding in findings if finding["fired"]]
    others = other_art.sentences(_read(artifacts["train"]))
    rows = [
        ["test", tested],
        ["art from other sources", markdown.escape(printable(others[0]))],
        ["model", f"train/{artifacts['train'].key}"],
        ["stages that ran", ", ".join(ran) or "none, all are current"],
        ["audit", ", ".join(found) or "no finding"],
    ]
    links = [f"[{name} of all runs](/artifacts/key/{key})" for key, name in HISTORIES.items()]
    if "report" in artifacts:
        links.insert(0, f"[report]({address(artifacts['report'].folder / file_names.REPORT)})")
    parts = [f"**{markdown.escape(outcome)}**"] if outcome else []
    return "\n\n".join([*parts, markdown.table(["", ""], rows), *links])


def _read(artifact: Artifact) -> dict[str, Any]:
    return json.loads((artifact.folder / file_names.METRICS).read_text())
