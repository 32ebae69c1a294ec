"""What is kept, and why: the champions, pins and recent runs, and all that these were made from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from artdetect import retrain
from artdetect.artifacts import registry, run_ledger, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.run_ledger import Run
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping import pins
from artdetect.housekeeping.inventory import InventoryItem

Name = tuple[str, str]  # stage, key


def reachable(items: Sequence[InventoryItem], last: int, days: float) -> dict[Name, str]:
    """(stage, key) -> why it stays, of all that can be reached; some of it may be gone.

    Recent are the `last` runs and those of the last `days` days.

    Raises:
        ArtifactError: the champion's alias, the pins or the ledger of runs cannot be read, or are not there although
            they were: nobody can say what may go.
    """
    found: dict[Name, str] = {}
    lineage = _Lineage(items)
    for name, why in roots(last, days):
        waiting = [name]
        while waiting:
            if (this := waiting.pop()) not in found:
                found[this] = why
                waiting += lineage.sources(this)
    return found


def roots(last: int, days: float) -> list[tuple[Name, str]]:
    """What is kept for its own sake, the strongest reason first; errors as of `kept`."""
    if not (entries := registry.history()) and registry.alias_file().parent.exists():
        raise ArtifactError(
            f"{registry.alias_file()}: it is gone, so nobody knows the champion and nothing is removed. Put a copy "
            "back or promote the model to use; delete its folder if there was never one"
        )
    found = _chosen(entries)
    if not entries and (newest := store.newest("train")):
        found.append((("train", newest.key), "newest model"))  # what predict takes where there is no champion
    ledger = run_ledger.read_all()
    for run in recent(ledger, last, days):
        found += [(name, f"run {run.name}, {run.last:%Y-%m-%d %H:%M}") for name in sorted(run.artifacts)]
    if seen := retrain.index_judged_on():
        found.append((("index", seen), "what the last retraining saw"))  # what is not in it is new
    return found


def recent(ledger: Sequence[Run], last: int, days: float) -> list[Run]:
    """The `last` of these runs that used artifacts, and those of use in the last `days` days; the newest first.

    `ledger` has the oldest first.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    using = [run.id for run in reversed(ledger) if run.stages]  # collections are runs too
    counted = set(using[:last])
    return [run for run in reversed(ledger) if run.id in counted or run.last >= since]


def prunable_runs(last: int, days: float) -> list[Run]:
    """The runs on record that nothing needs any more; errors as of `kept`.

    Needed are recent ones, those that built what a champion or a pin names, and of each flow the last one and the last
    that ended well: by these it is known what the last retraining saw, and when a flow last worked.
    """
    ledger = run_ledger.read_all()
    chosen = {name for name, _ in _chosen(registry.history())}
    needed = {run.id for run in recent(ledger, last, days)}
    needed |= {run.id for run in ledger for use in run.stages if use.ran and (use.stage, use.key) in chosen}
    for some in (ledger, [run for run in ledger if run.state == "completed"]):
        needed |= {run.id for run in run_ledger.latest(some).values()}
    return [run for run in ledger if run.id not in needed]


def _chosen(entries: list[Promotion]) -> list[tuple[Name, str]]:
    """What the champions that a rollback reaches, by the history, and the pins name."""
    found: list[tuple[Name, str]] = []
    for place, entry in enumerate(reversed(registry.active_promotions(entries))):
        why = "champion" if place == 0 else f"champion before, {place} back"
        found += [((stage, key), why) for stage, key in {"train": entry.train, **entry.artifacts}.items()]
    for pin in pins.read():
        found.append(((pin.stage, pin.key), f"pinned: {pin.why}" if pin.why else "pinned"))
    return found


class _Lineage:
    """Who was made from whom: a record names its inputs by the digest of their outputs, which several may share."""

    def __init__(self, items: Sequence[InventoryItem]) -> None:
        self._items = {(item.stage, item.key): item for item in items if item.digest}
        self._equal: dict[str, list[InventoryItem]] = defaultdict(list)
        for item in sorted(self._items.values(), key=lambda item: (item.at, item.key)):
            self._equal[str(item.digest)].append(item)

    def sources(self, name: Name) -> list[Name]:
        """Of each input the artifact that was the newest when this one was made, as `artdetect compare` takes it."""
        if item := self._items.get(name):
            inputs, at = item.inputs, item.at
        else:
            inputs, at = _remembered(*name)
        return [(source.stage, source.key) for digest in inputs.values() if (source := self._source(digest, at))]

    def _source(self, digest: str, at: datetime) -> InventoryItem | None:
        equal = self._equal.get(digest, [])
        earlier = [item for item in equal if item.at <= at]
        return earlier[-1] if earlier else equal[0] if equal else None


def _remembered(stage: str, key: str) -> tuple[Mapping[str, str], datetime]:
    """Inputs and time of an artifact that is gone or damaged, from the journal."""
    entries: list[dict[str, Any]] = [entry for entry in store.journal(stage) if entry["key"] == key]
    if not entries:
        return {}, datetime.now(UTC)
    started = entries[-1].get("started")
    return entries[-1]["parts"].get("inputs", {}), datetime.fromisoformat(started or run_ledger.now())
