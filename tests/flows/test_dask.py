"""The flow that explains a folder, on the workers of a cluster: the same as in this process, a task a chunk."""

from pathlib import Path

import pytest

from artdetect.compute import ComputeConfig
from artdetect.explain import batch_job
from artdetect.explain.config import ExplainConfig
from flows.explain import explain
from tests.tiny_dataset import jpeg, write

from .conftest import task_states

pytestmark = pytest.mark.slow
CHEAP = ExplainConfig(method="gradcam", quality_pictures=0)


def files_of(out: Path) -> dict[str, bytes]:
    """What a batch left, but for its parts."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.glob("*.*") if path.is_file()}


def test_workers_of_a_cluster_explain_to_the_same_bytes_and_show_as_tasks(
    server: str, roots: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_job, "CHUNK", 2)
    for number in range(5):
        write(roots / "in" / f"{number}.jpg", jpeg(number))
    write(roots / "in" / "5.jpg", b"<html>")
    model = trained / "artifacts" / "train" / "k1"
    done = explain(roots / "in", roots / "here", model, CHEAP)
    assert (done["explained"], done["errors"]) == (5, 1)
    for path in (roots / "data" / "cache" / "attributions").iterdir():
        path.unlink()

    dask = ComputeConfig(engine="dask", workers=2)
    state = explain(roots / "in", roots / "there", model, CHEAP, dask, return_state=True)

    assert state.result() == done | {"out": str(roots / "there")}
    assert files_of(roots / "there") == files_of(roots / "here")
    assert len(files_of(roots / "there")) == 5 * 2 + 4  # figures and arrays; table, sheet, quality, about
    assert len(list((roots / "data" / "cache" / "attributions").glob("*.npz"))) == 5
    finished = dict.fromkeys(["explain-0", "explain-2", "explain-4"], ("Completed", "COMPLETED"))
    assert task_states(state.state_details.flow_run_id, finished) == finished
