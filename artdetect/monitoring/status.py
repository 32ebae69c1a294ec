"""What is current, stale, missing or corrupt along the chain, and why: without Prefect, without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from artdetect import audit, download
from artdetect.artifacts import stages, store
from artdetect.artifacts.stages import Plan, Stage
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.index import scan
from artdetect.monitoring import staleness

if TYPE_CHECKING:
    import pyarrow as pa

State = Literal["current", "missing", "stale", "corrupt"]


@dataclass(frozen=True)
class StageStatus:
    """One stage under a config; `artifact` is set where it is current."""

    stage: str
    state: State
    why: list[str]
    artifact: Artifact | None = None


def status(config: Config) -> list[StageStatus]:
    """The state of every stage, in the chain's order. A stage behind one that is not current waits for it."""
    found: dict[str, StageStatus] = {}
    for stage in stages.CHAIN:
        found[stage.name] = _status(stage, config, found)
    return list(found.values())


def examine(plan: Plan, folder: "pa.Table | None" = None) -> StageStatus:
    """The state of the artifact that a plan names. `folder`: see `why.reasons`."""
    name, key = plan.stage.name, plan.key
    assert key is not None
    fault = store.verify(name, key)
    if fault == "missing":
        reasons = staleness.reasons(plan, folder)
        absent = reasons in (["never built"], ["its artifact was deleted"])
        return StageStatus(name, "missing" if absent else "stale", reasons)
    if fault is None and name == "download" and (fault := download.check(store.place(name, key))):
        return StageStatus(name, "missing", [fault])
    return StageStatus(name, "corrupt", [fault]) if fault else StageStatus(name, "current", [], store.at(name, key))


def _status(stage: Stage, config: Config, found: Mapping[str, StageStatus]) -> StageStatus:
    section = getattr(config, stage.name)
    if stage.name == "download":
        return examine(stages.plan(stage, section, download.fingerprint(config.download)))
    if stage.name == "index":
        raw = found["download"].artifact
        if raw is None:
            return _waits(stages.plan(stage, section, None), ["download"])
        pictures = scan.quick_scan(download.folder(raw.folder), config.index.incoming)
        inputs = {"pictures": pictures.digest or "not read yet"}
        return examine(stages.plan(stage, section, inputs), pictures.contents)
    awaited = [name for name in stage.inputs if found[name].artifact is None]
    if awaited:
        return _waits(stages.plan(stage, section, None), awaited)
    inputs = {name: artifact.digest for name in stage.inputs if (artifact := found[name].artifact)}
    state = examine(stages.plan(stage, section, inputs))
    if stage.name == "audit" and state.artifact and (stops := audit.blocking(state.artifact.folder)):
        return replace(state, why=[f"stops the run: {', '.join(finding['name'] for finding in stops)}"])
    return state


def _waits(plan: Plan, awaited: list[str]) -> StageStatus:
    """A stage whose inputs are to be built first. They may come out as before, and then it need not run."""
    reasons = staleness.reasons(plan)
    if reasons == ["never built"]:
        return StageStatus(plan.stage.name, "missing", reasons)
    return StageStatus(plan.stage.name, "stale", [*reasons, f"waits for {', '.join(awaited)}"])
