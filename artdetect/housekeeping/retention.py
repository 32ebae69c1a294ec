"""Which artifacts are kept, and why: the champions, the pins, what recent runs used, and what these were made from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from artdetect import retrain
from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.lineage import Lineage
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.run_ledger import Run
from artdetect.artifacts.store import StoredArtifact
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping import HousekeepingConfig, pins
from artdetect.model import choice

Name = tuple[str, str]  # stage, key
KEEP_CHAMPIONS = HousekeepingConfig().keep_champions


def reachable(
    artifacts: Sequence[StoredArtifact], last: int, days: float, champions: int = KEEP_CHAMPIONS
) -> dict[Name, str]:
    """(stage, key) -> the reason to keep it, for everything that is kept; some of it may no longer exist.

    Args:
        artifacts: All artifacts of the project.
        last: How many of the last runs keep what they used.
        days: Runs of the last `days` days keep what they used, too.
        champions: The first champion and so many of the last ones that a rollback can reach are kept.

    Raises:
        ArtifactError: The champion file, the pins or the run ledger is damaged, or was there and is gone, so that
            nobody can say what may be removed.
    """
    found: dict[Name, str] = {}
    lineage = Lineage(artifacts)
    by_name = {(artifact.stage, artifact.key): artifact for artifact in artifacts}
    for root, reason in roots(last, days, champions):
        waiting = [root]
        while waiting:
            if (name := waiting.pop()) not in found:
                found[name] = reason
                artifact = by_name.get(name)
                inputs, started = (artifact.inputs, artifact.record["started"]) if artifact else _from_journal(*name)
                waiting += [(source.stage, source.key) for source in lineage.sources(inputs, started).values()]
    return found


def roots(last: int, days: float, champions: int = KEEP_CHAMPIONS) -> list[tuple[Name, str]]:
    """What is kept for its own sake, and the reason; the strongest first. Arguments and errors as `reachable`."""
    if not (history := registry.history()) and registry.alias_file().parent.exists():
        raise ArtifactError(
            f"{registry.alias_file()}: the file is gone, so nobody knows the champion and nothing is removed. Put a "
            "copy back or promote the model to use; delete its folder if there was never a champion"
        )
    found = _champions_and_pins(history, champions)
    if not history and (newest := choice.newest_own()):
        found.append((("train", newest), "newest model"))  # predict uses it where there is no champion
    ledger = run_ledger.read_all()
    for run in recent(ledger, last, days):
        found += [(name, f"run {run.name}, {run.last:%Y-%m-%d %H:%M}") for name in sorted(run.artifacts)]
    if index := retrain.last_index():
        found.append((("index", index), "index of the last retraining"))  # pictures that it lacks are new
    return found


def recent(ledger: Sequence[Run], last: int, days: float) -> list[Run]:
    """The `last` runs that used artifacts, and the runs that were of use in the last `days` days; newest first.

    Args:
        ledger: All runs on record, oldest first.
        last: How many of the last runs.
        days: How many days.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    using = [run.id for run in reversed(ledger) if run.stages]  # a garbage collection is a run, too
    counted = set(using[:last])
    return [run for run in reversed(ledger) if run.id in counted or run.last >= since]


def prunable_runs(last: int, days: float, champions: int = KEEP_CHAMPIONS) -> list[Run]:
    """The runs on record that nothing needs any more. Arguments and errors as `reachable`.

    These are needed: recent runs; runs that built an artifact that a champion or a pin names; of each flow the last
    run, the last that succeeded and the last that failed, which say when a flow last worked and when not; and the last
    retraining that reached the gate, which says which pictures it used.
    """
    ledger = run_ledger.read_all()
    chosen = {name for name, _ in _champions_and_pins(registry.history(), champions)}
    needed = {run.id for run in recent(ledger, last, days)}
    needed |= {run.id for run in ledger for use in run.stages if use.ran and (use.stage, use.key) in chosen}
    succeeded = [run for run in ledger if run.state == "completed"]
    for some in (ledger, succeeded, [run for run in ledger if run.has_failed]):
        needed |= {run.id for run in run_ledger.latest(some).values()}
    needed |= {run.id for run in [retrain.last_retraining(ledger)] if run}
    return [run for run in ledger if run.id not in needed]


def _champions_and_pins(history: list[Promotion], champions: int) -> list[tuple[Name, str]]:
    """What the champion, the champions before it that are kept, and the pins name.

    The first champion is among them, as the gate compares with it.
    """
    found: list[tuple[Name, str]] = []
    active = registry.active_promotions(history)
    for steps, promotion in enumerate(reversed(active)):
        if steps < champions or promotion is active[0]:
            reason = "champion" if steps == 0 else f"earlier champion, {steps} back"
            found += [
                ((stage, key), reason) for stage, key in {"train": promotion.train, **promotion.artifacts}.items()
            ]
    for pin in pins.read():
        found.append(((pin.stage, pin.key), f"pinned: {pin.why}" if pin.why else "pinned"))
    return found


def _from_journal(stage: str, key: str) -> tuple[Mapping[str, str], str]:
    """The inputs and the start of the build of an artifact that is gone or damaged."""
    entries: list[dict[str, Any]] = [entry for entry in store.journal(stage) if entry["key"] == key]
    if not entries:
        return {}, run_ledger.now()
    return entries[-1]["parts"].get("inputs", {}), entries[-1].get("started") or run_ledger.now()
