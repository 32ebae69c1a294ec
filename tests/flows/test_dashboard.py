"""What a run leaves on the Prefect server: its artifacts, also when every stage was cached."""

from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows.pipeline import pipeline

from .conftest import STAGES, small


def published(config: object, refresh: tuple[str, ...] = ()) -> tuple[str, dict[str, object]]:
    """A run's name and its artifacts by key."""
    state = pipeline(config, refresh=list(refresh), return_state=True)
    run_id = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        found = client.read_artifacts(artifact_filter=chosen)
        return client.read_flow_run(run_id).name, {artifact.key: artifact for artifact in found}


def test_a_cached_run_shows_stages_metrics_audit_and_report(pictures: Path) -> None:
    name, found = published(small(pictures))
    assert name == "notebook on drawn"
    assert {"stages", "metrics", "audit", "report", "model-card"} <= set(found)
    assert all(stage in found["stages"].data for stage in STAGES)
    assert "cached" in found["stages"].data
    assert "balanced accuracy" in found["metrics"].data
    assert "| train_test_overlap | warn | 0 | No picture stands in train and in test. |" in found["audit"].data
    assert "| **shortcut** | warn |" in found["audit"].data
    assert found["model-card"].data.startswith("# Model card: notebook-")
    assert "report.html" in found["report"].data


def test_training_shows_its_progress(pictures: Path) -> None:
    _, found = published(small(pictures), ("train",))
    assert found["train"].type == "progress"
    assert float(found["train"].data) == 100.0
