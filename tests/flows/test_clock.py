"""The clock was set back, as a time server or a flat battery does: the past is in the future.

A library that is loaded before all others shifts what a process reads as the time of day. Times of files are real.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.states import Pending

from artdetect import services
from tests import PROJECT
from tests.tiny_dataset import jpeg, write

from .conftest import FROM_TRAIN, outcome, start, start_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler"),
]
DAYS = 90
LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, time);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec -= SECONDS;
  return failed;
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(LIBRARY)
    options = ["-shared", "-fPIC", f"-DSECONDS={DAYS * 86_400}", "-o", "clock.so", "clock.c", "-ldl"]
    subprocess.run(["cc", *options], cwd=folder, check=True)
    return folder / "clock.so"


@pytest.fixture
def set_back(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the processes that the test starts."""
    monkeypatch.setenv("LD_PRELOAD", str(library))


def test_runs_collections_and_ingests_go_on(
    copy: Path, server: str, set_back: None, record_property: Callable[[str, object], None]
) -> None:
    """And what came before is current, and what was made last is kept."""
    other = ("--set", "train.seed=7")
    write(copy / "data" / "inbox" / "AI" / "flux" / "a.jpg", jpeg(900))
    assert outcome(copy, server, "status") == {}
    assert list(outcome(copy, server, "run", *other)) == FROM_TRAIN
    collected = start_command(copy, server, "gc", "--keep-last", "1", "--keep-days", "1")
    assert (collected.wait(), outcome(copy, server, "status", *other)) == (0, {})
    assert outcome(copy, server, "run") == {}
    added, log = start(copy, server, "ingest").communicate()
    assert "added" in added, log
    assert len(list((copy / "data" / "incoming" / "AI" / "flux").rglob("*.jpg"))) == 1
    found = start_command(copy, server, "doctor").communicate()[0]
    assert "one of them is wrong" in found, found
    record_property("tries", 5)


def test_a_run_that_was_being_submitted_frees_its_deployment(server: str, roots: Path, set_back: None) -> None:
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=services.POOL, type="process"), overwrite=True)
        flow = client.create_flow_from_name("ingest")
        deployment = client.create_deployment(flow, "clock", concurrency_limit=1, work_pool_name=services.POOL)
        stuck = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(stuck.id, Pending(name="Submitting"))
        ended = subprocess.run(
            [sys.executable, "-m", "tasks.engine.orphaned_runs"],
            cwd=PROJECT,
            env=os.environ | {"PREFECT_API_URL": server},
            capture_output=True,
            text=True,
        )
        client.delete_deployment(deployment)
    assert f"ended ingest {stuck.name}: Crashed" in ended.stdout, ended.stderr
