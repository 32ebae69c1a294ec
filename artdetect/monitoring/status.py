"""What is current, stale, missing or corrupt along the pipeline, and why. Needs neither Prefect nor TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from artdetect import audit, download, plans
from artdetect.artifacts import stages, store
from artdetect.artifacts.stages import Plan, Stage
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.index import scan
from artdetect.monitoring import staleness
from artdetect.report import champion

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["current", "missing", "stale", "corrupt"]


@dataclass(frozen=True)
class StageStatus:
    """The state of one stage under a config; `artifact` is set if it is current."""

    stage: str
    state: State
    why: list[str]
    artifact: Artifact | None = None


def status(config: Config) -> list[StageStatus]:
    """The state of every stage, in the pipeline's order. A stage after one that is not current waits for it."""
    states: dict[str, StageStatus] = {}
    for stage in stages.CHAIN:
        states[stage.name] = _status(stage, config, states)
    return list(states.values())


def examine(plan: Plan, pictures: "pa.Table | None" = None) -> StageStatus:
    """The state of the artifact that a plan names.

    Args:
        plan: The plan of a stage whose inputs are known.
        pictures: For the index only: the scanned pictures, see `staleness.reasons`.
    """
    name, key = plan.stage.name, plan.key
    assert key is not None
    artifact, fault = store.check(name, key)
    if artifact is None:
        if fault != "missing":
            return StageStatus(name, "corrupt", [str(fault)])
        reasons = staleness.reasons(plan, pictures)
        missing = reasons in ([staleness.NEVER_BUILT], [staleness.DELETED])
        return StageStatus(name, "missing" if missing else "stale", reasons)
    if name == "download" and (fault := download.check(artifact.folder)):
        return StageStatus(name, "missing", [fault])
    return StageStatus(name, "current", [], artifact)


def _status(stage: Stage, config: Config, states: Mapping[str, StageStatus]) -> StageStatus:
    section = getattr(config, stage.name)
    if stage.name == "download":
        return examine(plans.plan(stage.name, section, {}))
    if stage.name == "index":
        raw = states["download"].artifact
        if raw is None:
            return _waiting(stages.plan(stage, section, None), ["download"])
        tables = download.tables(raw.folder)
        pictures = scan.quick_scan(download.folder(raw.folder), config.index.incoming, tables)
        return examine(plans.plan(stage.name, section, {"pictures": pictures}), pictures.contents)
    inputs = {name: states[name].artifact for name in stage.inputs if name in states}
    if awaited := [name for name, artifact in inputs.items() if artifact is None]:
        return _waiting(stages.plan(stage, section, None), awaited)
    if stage.name == "report":
        inputs |= champion.beside(inputs["train"], inputs["balance"], inputs["evaluate"])
    state = examine(plans.plan(stage.name, section, inputs))
    if stage.name == "audit" and state.artifact and (blocking := audit.blocking(state.artifact.folder)):
        return replace(state, why=[f"stops the run: {', '.join(finding['name'] for finding in blocking)}"])
    return state


def _waiting(plan: Plan, awaited: list[str]) -> StageStatus:
    """A stage whose inputs must be built first. If they come out as before, the stage need not run."""
    reasons = staleness.reasons(plan)
    if reasons == [staleness.NEVER_BUILT]:
        return StageStatus(plan.stage.name, "missing", reasons)
    return StageStatus(plan.stage.name, "stale", [*reasons, f"waits for {', '.join(awaited)}"])
