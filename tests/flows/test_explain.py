"""The flow that explains a folder: its tasks, what it leaves on the server, and two of it at once."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pandas as pd
import pytest
from prefect.exceptions import ParameterTypeError

from artdetect.core.errors import DataError
from artdetect.explain import batch_job
from artdetect.explain.config import ExplainConfig
from flows.explain import explain
from tests.tiny_dataset import jpeg, write

from .conftest import artifacts, task_states

CHEAP = ExplainConfig(method="gradcam", quality_pictures=0)


@pytest.fixture
def source(server: str, roots: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures and a file that is none; two make a task."""
    monkeypatch.setattr(batch_job, "CHUNK", 2)
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/a.jpg")):
        write(roots / "in" / name, jpeg(number))
    write(roots / "in" / "bad`|name.jpg", b"<html>")
    return roots / "in"


@pytest.fixture
def trained_model(trained: Path) -> Path:
    return trained / "artifacts" / "train" / "k1"


def test_chunks_of_pictures_are_tasks_and_errors_and_quality_stand_on_the_dashboard(
    source: Path, trained_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = ExplainConfig(method="gradcam", quality_pictures=2)
    state = explain(source, model=trained_model, config=config, return_state=True)
    done = state.result()
    out = Path(done.pop("out"))
    assert done == {"explained": 3, "before": 0, "errors": 1}
    assert out.parent == source.parent / "artifacts" / "explanations"
    assert out.name.startswith("in-k1-")
    assert len(pd.read_parquet(out / "explanations.parquet")) == 4
    run_id = state.state_details.flow_run_id
    (markdown,) = [found.data for found in artifacts(run_id) if found.type == "markdown"]
    done_both = dict.fromkeys(["explain-0", "explain-2"], ("Completed", "COMPLETED"))
    assert task_states(run_id, done_both) == done_both
    assert "3 pictures explained, 0 before, 1 could not be read." in markdown
    assert f"- `{source}/bad'|name.jpg: " in markdown
    assert "| randomised model |" in markdown
    assert "explain: 2 of 4 pictures" in caplog.text
    again = explain(source, model=trained_model, config=config)
    assert again == {"explained": 0, "before": 3, "errors": 1, "out": str(out)}


@pytest.mark.slow
def test_two_at_once_into_two_folders_do_not_mix(source: Path, trained_model: Path, roots: Path) -> None:
    (source / "b.jpg").unlink()
    configs = [CHEAP, ExplainConfig(method="smoothgrad", quality_pictures=0)]
    alone = [explain(source, roots / f"alone-{n}", trained_model, config) for n, config in enumerate(configs)]
    for path in (roots / "data" / "cache" / "attributions").iterdir():
        path.unlink()
    with ThreadPoolExecutor(2) as threads:
        both = [
            threads.submit(copy_context().run, explain, source, roots / f"both-{n}", trained_model, config)
            for n, config in enumerate(configs)
        ]
    for number, running in enumerate(both):
        assert running.result() == alone[number] | {"out": str(roots / f"both-{number}")}
        expected, found = ({p.relative_to(o): p.read_bytes() for p in sorted(o.rglob("*.*")) if p.suffix != ".png"}
                           for o in (roots / f"alone-{number}", roots / f"both-{number}"))  # fmt: skip
        assert found == expected


def test_parameters_are_checked_before_anything_is_done(source: Path, trained_model: Path, roots: Path) -> None:
    with pytest.raises(ParameterTypeError, match="method"):
        explain(source, roots / "out", trained_model, {"method": "guesswork"})  # type: ignore[arg-type]
    assert not (roots / "out").exists()


def test_a_folder_without_pictures_is_an_error_that_names_it(
    source: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(trained / "artifacts"))
    with pytest.raises(DataError, match=f"{source}/absent: found no pictures"):
        explain(source / "absent")
