"""How Prefect skips a stage: the one clever file of this package.

A stage's cache key is the path `<stage>/<key>/prefect.json` below artifacts/, where the key is the library's content
key (`artdetect.artifacts.stages`). Prefect's cache record therefore lives inside the artifact's own folder: delete the
folder and the entry is gone, move the project and it moves along. Before Prefect looks, the artifact is checked
against its record, and one line says why a stage runs.
"""

import inspect
import shutil
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import Task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.logging import get_run_logger
from prefect.results import ResultStore
from prefect.runtime import flow_run
from prefect.serializers import JSONSerializer
from prefect.transactions import IsolationLevel
from prefect.utilities.annotations import quote

from artdetect import download
from artdetect.artifacts import stages, store
from artdetect.artifacts.stages import Plan
from artdetect.artifacts.store import Artifact
from artdetect.artifacts.use_locks import UseLocks
from artdetect.core import paths
from artdetect.core.config_section import Section
from artdetect.core.errors import storage_error
from artdetect.monitoring.status import StageStatus, examine
from tasks.engine import logging_setup
from tasks.engine.locks import FlockLockManager

logging_setup.install()


@dataclass(frozen=True)
class StageOutcome:
    """What became of one stage in a flow run."""

    stage: str
    ran: bool
    why: str
    seconds: float  # of the build, now or when it was built
    artifact: Artifact
    name: str  # the stage's, or what this run of it is called where there are two, such as "evaluate champion"


@dataclass
class RunContext:
    """What became of the stages of a flow run so far, and which of them are to be built again whatever there is."""

    refresh: frozenset[str] = frozenset()
    runs: list[StageOutcome] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # what else the ledger of runs is to say of it
    claims: UseLocks = field(default_factory=UseLocks)  # on what it uses, so that no collection removes it


RUN_CONTEXT: ContextVar[RunContext] = ContextVar("LEDGER")


@dataclass
class ContentKey(CachePolicy):
    """The cache key of a stage: the place of the artifact that its plan names."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        return _entry(inputs["plan"])


POLICY = ContentKey().configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=FlockLockManager())


def stage(function: Callable[..., None]) -> Callable[..., Artifact]:
    """Make a Prefect task of a stage function, named after its stage; calling it gives the artifact, built or cached.

    The function takes its config section, its inputs by name and `out`, the folder to write to. One that also takes
    `work` gets a folder that outlives a kill and is removed once the outputs are published. `called` names the task run
    where a flow has two of a stage.
    """

    def build(plan: Plan, config: Section, refresh: bool, inputs: dict[str, Any]) -> Artifact:
        return _build(function, plan, config, refresh, inputs)

    task = Task(
        fn=build,
        name=function.__name__,
        description=inspect.getdoc(function),
        cache_policy=POLICY,
        persist_result=True,
        result_serializer="json",
        cache_result_in_memory=False,
    )

    def call(config: Section, *, called: str = function.__name__, **inputs: Any) -> Artifact:
        ledger = RUN_CONTEXT.get()
        plan = _plan(function.__name__, config, inputs)
        refresh = function.__name__ in ledger.refresh
        ledger.claims.claim(plan.stage.name, str(plan.key))  # before the look: what it finds stays
        found = _look(plan, inputs, refresh)
        here = task.with_options(task_run_name=called, result_storage=paths.artifacts(), refresh_cache=refresh)
        state = here(quote(plan), config, refresh, _passed(inputs), return_state=True)
        artifact: Artifact = state.result()
        record = artifact.record
        ran = record["flow_run"]["id"] == flow_run.id
        why = "; ".join(found.why) if ran else "nothing changed" if not found.why else "built by another run meanwhile"
        ledger.runs.append(StageOutcome(plan.stage.name, ran, why, record["seconds"], artifact, called))
        return artifact

    return call


def _passed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Artifacts openly, so that Prefect draws who needs whom; the rest closed, so that it does not walk through it."""
    return {name: value if isinstance(value, Artifact) else quote(value) for name, value in inputs.items()}


def _plan(name: str, config: Section, inputs: Mapping[str, Any]) -> Plan:
    if name == "download":
        return stages.plan(stages.STAGES[name], config, download.fingerprint(config))  # type: ignore[arg-type]
    chosen = stages.STAGES[name]
    digests = {source: given.digest if (given := inputs[source]) else stages.NONE for source in chosen.inputs}
    return stages.plan(chosen, config, digests)


def _look(plan: Plan, inputs: Mapping[str, Any], refresh: bool) -> StageStatus:
    """The artifact's state, said in the log; Prefect's cache entry made to agree with it."""
    pictures = inputs.get("pictures")
    found = examine(plan, pictures.contents if pictures else None)
    if refresh:
        found = StageStatus(found.stage, "stale", ["a refresh was asked for"])
    entry = paths.artifacts() / _entry(plan)
    if found.artifact is None:
        if not refresh:
            entry.unlink(missing_ok=True)
        get_run_logger().info("%s runs: %s", found.stage, "; ".join(found.why))
        return found
    if not entry.exists():  # its builder was killed between publishing and remembering
        results = ResultStore(
            result_storage=LocalFileSystem(basepath=str(paths.artifacts())), serializer=JSONSerializer()
        )
        results.write(found.artifact, key=_entry(plan))
    get_run_logger().info("%s cached: nothing changed", found.stage)
    return found


def _entry(plan: Plan) -> str:
    return f"{plan.stage.name}/{plan.key}/{store.CACHE_ENTRY}"


def _build(
    function: Callable[..., None], plan: Plan, config: Section, refresh: bool, inputs: Mapping[str, Any]
) -> Artifact:
    """The task's body, under the artifact's lock."""
    name, key = plan.stage.name, str(plan.key)
    if not refresh and (found := examine(plan)).artifact:
        return found.artifact  # built by another run since this one looked
    run = {"flow_run": {"id": flow_run.id, "name": flow_run.name}}
    work = paths.cache() / "work" / f"{name}-{key}"
    extra = {"work": work} if "work" in inspect.signature(function).parameters else {}
    try:
        with store.build(name, key, plan.parts, run) as out:
            function(config, out=out, **inputs, **extra)
    except OSError as error:
        raise storage_error(error) or error from error
    shutil.rmtree(work, ignore_errors=True)
    return store.load(name, key)
