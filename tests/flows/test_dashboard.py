"""What a run leaves on the Prefect server: its artifacts, also when every stage was cached."""

from pathlib import Path

from prefect.client.orchestration import get_client

from flows.pipeline import pipeline

from .conftest import STAGES, artifacts, small


def test_a_cached_run_shows_stages_metrics_audit_and_report(pictures: Path) -> None:
    run_id = pipeline(small(pictures), return_state=True).state_details.flow_run_id
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id).name == "notebook on drawn"
    found = {artifact.key: artifact for artifact in artifacts(run_id)}
    assert {"stages", "metrics", "audit", "report", "model-card"} <= set(found)
    assert all(stage in found["stages"].data for stage in STAGES)
    assert "cached" in found["stages"].data
    assert "balanced accuracy" in found["metrics"].data
    assert "| train_test_overlap | warn | 0 | No picture occurs in train and in test. |" in found["audit"].data
    assert "| **shortcut** | warn |" in found["audit"].data
    assert found["model-card"].data.startswith("# Model card: notebook-")
    assert "report.html" in found["report"].data
    assert "8 test pictures of each class" in found["localisation"].data
