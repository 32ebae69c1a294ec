"""The removal itself. Killed at any moment, it leaves nothing that counts as an artifact, and the next one goes on.

What a killed process had moved aside while it published it is put back first, and then judged like everything else. An
artifact is first renamed, under its locks, to a name that nothing takes for an artifact, and then deleted. What is
kept is decided again after a batch of locks is taken: a run that used one of the artifacts meanwhile is in the ledger.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from artdetect.artifacts import run_ledger, store
from artdetect.artifacts.use_locks import exclusive, forget
from artdetect.core import paths
from artdetect.core.errors import ArtifactError
from artdetect.housekeeping import HousekeepingConfig, inventory, retention
from artdetect.housekeeping.inventory import DamagedFolder, Item, Leftover

LOCK_BATCH = 100  # artifacts whose locks are held together, at two open files each
SECONDS_PER_DAY = 86_400
Fate = Literal["kept", "removed"]


@dataclass(frozen=True)
class Row:
    """What became of one artifact or damaged folder, or would have in a dry run."""

    stage: str
    key: str
    bytes: int
    at: datetime
    fate: Fate
    why: str


@dataclass(frozen=True)
class GcReport:
    """What a collection did, or would have done if it was a dry run."""

    dry_run: bool
    rows: list[Row]
    recovered: list[str] = field(default_factory=list)  # <stage>/<key> of artifacts that were put back
    leftovers: dict[str, int] = field(default_factory=dict)  # path -> bytes; left by dead processes, removed
    locks: int = 0  # removed lock files of artifacts that are gone
    ledger_files: int = 0  # removed files of runs that nothing needs any more
    ledger_bytes: int = 0
    caches: dict[str, int] = field(default_factory=dict)  # path -> bytes; removed
    sizes: dict[str, int] = field(default_factory=dict)  # path -> bytes of everything that remains

    def total(self, fate: Fate) -> tuple[int, int]:
        """How many artifacts had this fate, and their bytes."""
        sizes = [row.bytes for row in self.rows if row.fate == fate]
        return len(sizes), sum(sizes)

    @property
    def freed(self) -> int:
        """Bytes of everything that was removed, or would have been."""
        others = (*self.leftovers.values(), *self.caches.values(), self.ledger_bytes)
        return self.total("removed")[1] + sum(others)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        rows = [asdict(row) | {"at": row.at.isoformat()} for row in self.rows]
        totals = {
            fate: dict(zip(("artifacts", "bytes"), self.total(fate), strict=True)) for fate in ("kept", "removed")
        }
        return asdict(self) | {"rows": rows, "totals": totals, "freed": self.freed}


def collect(config: HousekeepingConfig, caches: bool = False) -> GcReport:
    """Remove artifacts that nothing needs, leftovers of dead processes, and ledger files of runs that nothing needs.

    Args:
        config: What may be removed.
        caches: Also remove the caches in data/cache, which are computed again when needed.

    Raises:
        ArtifactError: The champion file, the pins or the run ledger is damaged, or no run is on record.
    """
    recovered = _recover(config)
    items = inventory.items()
    rows = list(_decide(config, items))
    if any(row.fate == "removed" for row in rows) and not run_ledger.read_all():
        raise ArtifactError(
            f"{run_ledger.folder()}: no run is on record, so every artifact would be removed. Use `artdetect run` once "
            "with each config whose artifacts you need, and collect then"
        )
    if not config.dry_run:
        rows = list(_remove_all(config, items, rows))
    leftovers = inventory.leftovers(config.keep_days * SECONDS_PER_DAY)
    cleared = {
        _display(leftover.path): size
        for leftover in leftovers
        if leftover.path not in recovered.values() and (size := _clear(leftover, config.dry_run)) is not None
    }
    locks = [name for name in inventory.locks() if config.dry_run or _unlocked(*name)]
    old_runs = [
        _delete(run_ledger.file(run), config.dry_run)
        for run in retention.prunable_runs(config.keep_last, config.keep_days, config.keep_champions)
    ]
    cleared_caches = {_display(path): _clear_cache(path, config.dry_run) for path in _caches()} if caches else {}
    return GcReport(
        config.dry_run,
        rows,
        sorted(recovered),
        cleared,
        len(locks),
        len(old_runs),
        sum(old_runs),
        cleared_caches,
        inventory.sizes(),
    )


def _recover(config: HousekeepingConfig) -> dict[str, Path]:
    """`<stage>/<key>` of the artifacts that were put back, or would be -> where they had been."""
    found, stages = {}, inventory.stages()
    for leftover in inventory.leftovers(config.keep_days * SECONDS_PER_DAY):
        if leftover.stage in stages and leftover.key:
            aside = store.moved_aside(leftover.stage, leftover.key)
            if aside and (config.dry_run or store.recover(leftover.stage, leftover.key)):
                found[f"{leftover.stage}/{leftover.key}"] = aside
    return found


def _decide(config: HousekeepingConfig, items: Sequence[Item]) -> Iterator[Row]:
    """One row per item: what is to become of it as things are now."""
    reasons = retention.reachable(inventory.intact(items), config.keep_last, config.keep_days, config.keep_champions)
    since = datetime.now(UTC) - timedelta(days=config.keep_days)
    for item in items:
        reason, damaged = reasons.get((item.stage, item.key)), isinstance(item, DamagedFolder)
        fate: Fate = "removed" if reason is None and (not damaged or item.at < since) else "kept"
        if damaged:
            reason = f"damaged; {reason or 'not old enough to be removed'}" if fate == "kept" else "damaged"
        yield Row(item.stage, item.key, item.bytes, item.at, fate, reason or "nothing needs it")


def _remove_all(config: HousekeepingConfig, items: Sequence[Item], rows: Sequence[Row]) -> Iterator[Row]:
    """Remove the items that `rows` name; the rows again, as it really went."""
    doomed = [item for item, row in zip(items, rows, strict=True) if row.fate == "removed"]
    done: dict[tuple[str, str], Row] = {}
    for start in range(0, len(doomed), LOCK_BATCH):
        done |= _remove(config, items, doomed[start : start + LOCK_BATCH])
    for row in rows:
        yield done.get((row.stage, row.key), row)


def _remove(config: HousekeepingConfig, items: Sequence[Item], doomed: Sequence[Item]) -> dict[tuple[str, str], Row]:
    """Remove the `doomed` items, except those that a process builds or uses or that turn out to be needed after all."""
    discarded, done = [], {}
    with ExitStack() as locks:
        free = {(item.stage, item.key): locks.enter_context(exclusive(item.stage, item.key)) for item in doomed}
        existing = [item for item in items if (item.stage, item.key) not in free or item.folder.exists()]
        decided = {(row.stage, row.key): row for row in _decide(config, existing)}
        for item in doomed:
            name = item.stage, item.key
            row = decided.get(name) or Row(*name, 0, item.at, "removed", "already gone")
            if not free[name]:
                row = Row(*name, item.bytes, item.at, "kept", "in use by a run")
            elif row.fate == "removed" and item.folder.exists():
                discarded.append(_renamed(item.folder))
                forget(*name)
            done[name] = row
    for folder in discarded:
        shutil.rmtree(folder, ignore_errors=True)
    return done


def _renamed(path: Path) -> Path:
    """Give a folder a name that does not count as an artifact; `store.sweep` and the next collection clear it."""
    holder = tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".removed", dir=path.parent)
    return path.rename(holder)  # replaces the empty folder in one step


def _clear(leftover: Leftover, dry_run: bool) -> int | None:
    """Remove what a dead process left; its bytes, or None if the process is alive."""
    if leftover.stage is None or leftover.key is None:
        return _delete(leftover.path, dry_run)
    with exclusive(leftover.stage, leftover.key) as free:
        return _delete(leftover.path, dry_run) if free else None


def _delete(path: Path, dry_run: bool) -> int:
    size = inventory.disk_use(path)
    if not dry_run and path.is_dir():
        shutil.rmtree(path if path.name.startswith(".") else _renamed(path), ignore_errors=True)
    elif not dry_run:
        path.unlink(missing_ok=True)
    return size


def _unlocked(stage: str, key: str) -> bool:
    """Remove the lock files of an artifact that is gone; whether nobody held them."""
    with exclusive(stage, key) as free:
        if gone := free and not store.place(stage, key).exists():
            forget(stage, key)
        return gone


def _caches() -> list[Path]:
    return [path for name in inventory.CACHES if (path := paths.cache() / name).is_dir()]


def _clear_cache(folder: Path, dry_run: bool) -> int:
    size = inventory.disk_use(folder)
    if not dry_run:
        for part in folder.iterdir():  # each is a cache of its own, and readers keep what they have opened
            if part.is_dir():
                shutil.rmtree(_renamed(part), ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
    return size


def _display(path: Path) -> str:
    """A path from artifacts/ or data/ on, wherever these folders are."""
    for name, root in (("artifacts", paths.artifacts()), ("data", paths.data())):
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root).as_posix()}"
    return str(path)
