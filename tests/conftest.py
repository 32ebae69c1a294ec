"""What all tests share: a tiny drawn data set, roots of their own, and one Prefect server for those that run flows."""

import gc
import os
import pickle
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

os.environ["ARTDETECT_STARTER"] = "none"  # a test's project has no starter model but one that the test brings
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads sleep, as other tests need the processor

# What the tests' shared server does besides answering: it competes for the one writer that SQLite has.
os.environ.update(
    {
        f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
        for service in (
            "CANCELLATION_CLEANUP",
            "FOREMAN",
            "LATE_RUNS",
            "PAUSE_EXPIRATIONS",
            "REPOSSESSOR",
            "SCHEDULER",
        )
    }
)

import flows  # noqa: F401  before Prefect is imported: telemetry off, state in the project
from artdetect.demo_data import NAME, draw
from tests import PROJECT, connections

if threading.current_thread() is threading.main_thread():  # a shell's background job, and what it starts, ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")  # a test asserts no time


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without collecting garbage, which would take a fifth of the time: what is imported stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process waits for the other at the end."""
    longest = ("flows", "documentation", "model", "explain", "train", "adapt", "serve", "cli", "report", "faults")

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(PROJECT / "tests").parts[0]
        return longest.index(folder) if folder in longest else len(longest)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """`--dist loadfile` by the first folder below tests/: its files share servers, models, nets and reports."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if "test_unattended" in nodeid:  # it has a server of its own
                return "unattended"
            return "/".join(nodeid.split("::")[0].split("/")[:2])

    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order above
    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _no_connection_to_other_machines() -> Iterator[None]:
    """Fails a test during which this process, or one that it started, turned to another machine."""
    yield
    assert connections.taken() == ""


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip in AI-ArtBench's layout: two styles, 6 + 6 + 6 pictures each to train, 3 + 3 + 3 to test.

    The first process of pytest-xdist that needs it draws it for all.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with FileLock(folder / "drawing.lock"):
        if (file := folder / NAME).exists():
            return file
        return draw(folder, styles=("impressionism", "ukiyo_e"), train=6, test=3, workers=1)


@pytest.fixture(scope="session")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, unpacked: copy it before changing it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / "DrawnArt"


@pytest.fixture
def pictures(unpacked: Path, roots: Path) -> Path:
    """A copy of the drawn pictures below this test's own data root, to do with as the test likes."""
    return Path(shutil.copytree(unpacked, roots / "data" / "raw" / "drawn"))


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own that holds data/ and artifacts/."""
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(tmp_path / "artifacts"))
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _conversions() -> Iterator[Callable[..., Any]]:
    """Equal models are converted to ONNX once: each conversion takes seconds, and equal models give equal bytes.

    The real function is the value.
    """
    from artdetect.core import digests
    from artdetect.model import onnx_convert, reproducible_keras

    convert = onnx_convert.graphs
    kept: dict[str, Any] = {}

    def graphs(model: Any, size: int, parts: Any = None) -> Any:
        weights = pickle.dumps([model.get_weights(), size, parts])
        architecture = reproducible_keras.without_object_ids(model.to_json().encode())
        key = digests.bytes_digest(architecture + weights)
        if key not in kept:
            kept[key] = convert(model, size, parts)
        return deepcopy(kept[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_convert, "graphs", graphs)
        yield convert


@pytest.fixture
def conversions(_conversions: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model is converted to ONNX anew, for tests of the conversion."""
    from artdetect.model import onnx_convert

    monkeypatch.setattr(onnx_convert, "graphs", _conversions)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with data/ and artifacts/ of tiny pictures and a barely trained model, keys `k1`. For reading only."""
    from artdetect import balance, index, train
    from artdetect.artifacts import store
    from artdetect.index import scan
    from tests.tiny_dataset import data_set, no_groups

    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        pictures = data_set(root / "data" / "raw" / "art", train=12, test=4)
        with store.build("index", "k1", {}) as out:
            index.run(index.IndexConfig(), scan.scan(pictures), out)
        with store.build("audit", "k1", {}) as out:
            no_groups(out)
        with store.build("balance", "k1", {}) as out:
            balance.run(balance.BalanceConfig(), store.place("index", "k1"), store.place("audit", "k1"), out)
        with store.build("train", "k1", {}) as out:
            config = train.TrainConfig(preset="notebook", epochs=3)
            train.run(config, store.place("balance", "k1"), pictures, out, root / "work")
    return root


@pytest.fixture
def model(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the barely trained model, with the environment pointing to its root."""
    monkeypatch.setenv("ARTDETECT_DATA", str(trained / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(trained / "artifacts"))
    return trained / "artifacts" / "train" / "k1"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server with an empty database."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=900):
        yield PREFECT_API_URL.value()
