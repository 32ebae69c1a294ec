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
from tasks.engine.caching import RunContext, StageOutcome
from tasks.engine.dashboard import address, result

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
    facts = {
        "Test": tested,
        "Art from other sources": others[0],
        "Model": f"train/{artifacts['train'].key}",
        "Stages that ran": ", ".join(ran) or "none, all are current",
        "Audit": ", ".join(found) or "no finding",
    }
    paragraphs = [f"**{markdown.escape(outcome)}**"] if outcome else []
    paragraphs += [f"**{name}:** {markdown.escape(said)}" for name, said in facts.items()]  # cells would be cut off
    if "report" in artifacts:
        paragraphs.append(f"[report]({address(artifacts['report'].folder / file_names.REPORT)})")
    paragraphs += [
        f"[{name} of all runs](/artifacts/key/{key})"
        for key, name in HISTORIES.items()
        if key != "gate" or "gate" in artifacts
    ]
    return "\n\n".join(paragraphs)


def _read(artifact: Artifact) -> dict[str, Any]:
    return json.loads((artifact.folder / file_names.METRICS).read_text())
