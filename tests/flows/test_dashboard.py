"""What a run leaves on the Prefect server: its artifacts, also when every stage was cached."""

import html
import re
import shlex
import time
from pathlib import Path

from prefect.client.orchestration import get_client

from artdetect import config as configs
from artdetect import download
from artdetect.artifacts import run_ledger
from artdetect.monitoring import registry_page, reproduction
from flows.pipeline import pipeline
from tasks.engine.server import number_artifacts

from .conftest import STAGES, artifacts, small


def test_a_cached_run_shows_stages_metrics_audit_and_report(pictures: Path) -> None:
    run_id = pipeline(small(pictures), return_state=True).state_details.flow_run_id
    with get_client(sync_client=True) as client:
        name = client.read_flow_run(run_id).name
    found = {artifact.key: artifact for artifact in artifacts(run_id)}
    assert {"stages", "metrics", "audit", "report", "model-card"} <= set(found)
    assert all(stage in found["stages"].data for stage in STAGES)
    assert "cached" in found["stages"].data
    assert "balanced accuracy" in found["metrics"].data
    assert "| train_test_overlap | warn | 0 | No picture occurs in train and in test. |" in found["audit"].data
    assert "| **shortcut** | warn |" in found["audit"].data
    assert found["model-card"].data.startswith("# Model card: notebook-")
    assert "report.html" in found["report"].data
    assert registry_page.file().as_uri() in found["models"].data
    page = registry_page.file().read_text(encoding="utf-8")
    assert "<h2><bdi>drawn</bdi></h2>" in page  # the run that names the data set is on record when it is written
    (made,) = reproduction.provenance().values()
    assert made["command"] in html.unescape(page)
    again = configs.load(Path("/dev/null"), shlex.split(made["command"])[5::2])
    used = small(pictures)
    assert Path(again.download.url).name == pictures.name  # without the folders above it
    again = configs.changed(again, [f"download.url={pictures}"])
    assert download.fingerprint(again.download) == download.fingerprint(used.download)
    assert (again.balance, again.train, again.evaluate) == (used.balance, used.train, used.evaluate)
    assert "8 test pictures of each class" in found["localisation"].data
    accuracy = re.search(r"[\d.]+ % right|[\d.]+ %", str(found["summary"].description))
    assert accuracy
    assert name == f"notebook on drawn: {accuracy[0]} right"
    assert run_ledger.read()[-1].name == name
    assert "(/artifacts/key/metrics)" in found["summary"].data
    assert re.fullmatch(r"0 of 8 stages ran, 0 s\. .*", str(found["stages"].description))
    assert re.fullmatch(r"Confusion matrix: \d+ of \d+ AI and \d+ of \d+ human .*", str(found["confusion"].description))


def test_what_is_shown_last_stands_first() -> None:
    """The page sorts by id, which Prefect draws at random."""
    from prefect.server.schemas.core import Artifact

    number_artifacts()
    ids = []
    for _ in range(20):
        ids.append(Artifact(key="a", type="markdown").id)
        time.sleep(0.002)  # the ids have the time in milliseconds
    assert ids == sorted(ids)
