"""How Prefect skips a stage. This is the one intricate file of this package.

A stage's cache key is the path `<stage>/<key>/prefect.json` below artifacts/, where the key is the library's content
key (`artdetect.artifacts.stages`). Prefect's cache record therefore lives inside the artifact's own folder: if the
folder is deleted, so is the record; if the project moves, the record moves with it. Before Prefect checks its cache,
the artifact is checked against its own record, and one log line says why a stage runs.
"""

import inspect
import shutil
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
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

from artdetect import plans
from artdetect.artifacts import registry, store
from artdetect.artifacts.active_runs import ActiveRun
from artdetect.artifacts.run_ledger import StageRecord
from artdetect.artifacts.stages import Plan
from artdetect.artifacts.store import Artifact
from artdetect.artifacts.use_locks import UseLocks
from artdetect.core import interrupts, paths
from artdetect.core.config_section import Section
from artdetect.core.errors import storage_error
from artdetect.monitoring.status import StageStatus, examine
from tasks.engine import logging_setup, progress
from tasks.engine.locks import FlockLockManager

logging_setup.install()


@dataclass(frozen=True)
class StageOutcome:
    """What became of one stage in a flow run."""

    stage: str
    ran: bool
    why: str
    seconds: float  # duration of the build, in this run or when it was built
    artifact: Artifact
    name: str  # the stage's name, or a longer one where a flow runs a stage twice, such as "evaluate champion"


@dataclass
class RunContext:
    """The state of a flow run: what became of its stages so far, and its entry in the run ledger."""

    record: ActiveRun
    refresh: frozenset[str] = frozenset()  # stages to build again even if they are current
    outcomes: list[StageOutcome] = field(default_factory=list)
    locks: UseLocks = field(default_factory=UseLocks)  # protect what the run uses from garbage collection

    @property
    def facts(self) -> dict[str, Any]:
        """Further facts for the run ledger."""
        return self.record.facts

    def keys(self) -> dict[str, str]:
        """Stage -> key of its artifact, for the run's own model; not for those that it is compared with."""
        return {outcome.stage: outcome.artifact.key for outcome in self.outcomes if outcome.name == outcome.stage}

    def add(self, outcome: StageOutcome) -> None:
        """Note what became of a stage."""
        self.outcomes.append(outcome)
        artifact = outcome.artifact
        self.record.used(
            StageRecord(
                stage=artifact.stage, key=artifact.key, ran=outcome.ran, why=outcome.why, seconds=outcome.seconds
            )
        )


RUN_CONTEXT: ContextVar[RunContext] = ContextVar("run_context")


@dataclass
class ContentKey(CachePolicy):
    """The cache key of a stage: the path of the cache record of the artifact that its plan names."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        return _cache_key(inputs["plan"])


POLICY = ContentKey().configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=FlockLockManager())


def stage(function: Callable[..., None]) -> Callable[..., Artifact]:
    """Make a Prefect task of a function that is named after its stage.

    Args:
        function: Takes its config section, its inputs by name, and `out`, the folder to write to. If it also takes
            `work`, it gets a folder that survives a kill and is removed once the outputs are published.

    Returns:
        A function that takes the config section and the inputs, and returns the artifact, built or cached. Its
        `run_name` names the task run where a flow runs a stage twice.
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

    def call(config: Section, *, run_name: str = function.__name__, **inputs: Any) -> Artifact:
        interrupts.check()
        context = RUN_CONTEXT.get()
        plan = plans.plan(function.__name__, config, inputs)
        refresh = function.__name__ in context.refresh
        context.locks.acquire(plan.stage.name, str(plan.key))  # first, so that what is found cannot be removed
        status = _examine(plan, inputs, refresh, run_name)
        here = task.with_options(task_run_name=run_name, result_storage=paths.artifacts(), refresh_cache=refresh)
        state = here(quote(plan), config, refresh, _passed(inputs), return_state=True)
        artifact: Artifact = state.result()
        record = artifact.record
        ran = record["flow_run"]["id"] == flow_run.id
        unchanged = "built by another run meanwhile" if status.why else "nothing changed"
        why = "; ".join(status.why) if ran else unchanged
        context.add(StageOutcome(plan.stage.name, ran, why, record["seconds"], artifact, run_name))
        return artifact

    return call


def _passed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Artifacts as they are, so that Prefect draws the dependencies; the rest quoted, so that it is not traversed."""
    return {name: value if isinstance(value, Artifact) else quote(value) for name, value in inputs.items()}


def _examine(plan: Plan, inputs: Mapping[str, Any], refresh: bool, name: str) -> StageStatus:
    """Log the artifact's state under the name of the task run, and make Prefect's cache record agree with it."""
    pictures = inputs.get("pictures")
    status = examine(plan, pictures.contents if pictures else None)
    if refresh:
        status = StageStatus(status.stage, "stale", ["a refresh was requested"])
    entry = paths.artifacts() / _cache_key(plan)
    if status.artifact is None:
        if not refresh:
            entry.unlink(missing_ok=True)
        get_run_logger().info("%s runs: %s", name, "; ".join(status.why))
        return status
    if not entry.exists():  # its builder was killed after it published the artifact
        results = ResultStore(
            result_storage=LocalFileSystem(basepath=str(paths.artifacts())), serializer=JSONSerializer()
        )
        results.write(status.artifact, key=_cache_key(plan))
    get_run_logger().info("%s cached: nothing changed", name)
    return status


def _cache_key(plan: Plan) -> str:
    return f"{plan.stage.name}/{plan.key}/{store.CACHE_ENTRY}"


def _build(
    function: Callable[..., None], plan: Plan, config: Section, refresh: bool, inputs: Mapping[str, Any]
) -> Artifact:
    """The body of the task, which holds the artifact's lock."""
    name, key = plan.stage.name, str(plan.key)
    store.sweep(name, key)
    if not refresh and (status := examine(plan)).artifact:
        return status.artifact  # built by another run since this run examined it
    run = {"flow_run": {"id": flow_run.id, "name": flow_run.name}}
    work = paths.cache() / "work" / f"{name}-{key}"
    extra = {"work": work} if "work" in inspect.signature(function).parameters else {}
    try:
        protect = partial(registry.protected, name, key)
        with progress.activity(name), store.build(name, key, plan.parts, run, protect) as out:
            function(config, out=out, **inputs, **extra)
    except OSError as error:
        raise storage_error(error) or error from error
    shutil.rmtree(work, ignore_errors=True)
    return store.load(name, key)
