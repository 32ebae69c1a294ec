"""The collection itself. Killed at any moment it leaves nothing that counts as an artifact, and the next one goes on.

An artifact is renamed under its locks to a name that nobody takes for an artifact, and deleted then. The locks of some
are taken first and only then it is asked what is to be kept: a run that used one of them meanwhile is in the ledger.
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
from artdetect.housekeeping.inventory import InventoryItem, Leftover

AT_ONCE = 100  # artifacts whose locks are held together, at two open files each
DAY = 86_400
Fate = Literal["kept", "removed"]


@dataclass(frozen=True)
class Row:
    """What became of one artifact or damaged folder, or would have."""

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
    leftovers: dict[str, int] = field(default_factory=dict)  # path -> bytes of what dead processes had left; removed
    locks: int = 0  # lock files of artifacts that are gone; removed
    ledger_files: int = 0  # of runs that nothing needs any more; removed
    ledger_bytes: int = 0
    caches: dict[str, int] = field(default_factory=dict)  # path -> bytes of caches; removed
    sizes: dict[str, int] = field(default_factory=dict)  # path -> bytes, of all that is there afterwards

    def total(self, fate: Fate) -> tuple[int, int]:
        """How many artifacts had this fate, and their bytes."""
        sizes = [row.bytes for row in self.rows if row.fate == fate]
        return len(sizes), sum(sizes)

    @property
    def freed(self) -> int:
        """Bytes of all that was removed, or would have been."""
        beside = (*self.leftovers.values(), *self.caches.values(), self.ledger_bytes)
        return self.total("removed")[1] + sum(beside)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [asdict(row) | {"at": row.at.isoformat()} for row in self.rows]
        totals = {
            fate: dict(zip(("artifacts", "bytes"), self.total(fate), strict=True)) for fate in ("kept", "removed")
        }
        return asdict(self) | {"rows": rows, "totals": totals, "freed": self.freed}


def collect(config: HousekeepingConfig, caches: bool = False) -> GcReport:
    """Remove what nothing keeps, what dead processes left, and with `caches` all of data/cache that is made again.

    Of runs that nothing needs any more the ledger's files go as well, behind what they had used.

    Raises:
        ArtifactError: the champion's alias, the pins or the ledger of runs is damaged, or there is no ledger.
    """
    items = inventory.artifacts()
    rows = list(_judged(config, items))
    if any(row.fate == "removed" for row in rows) and not run_ledger.read_all():
        raise ArtifactError(
            f"{run_ledger.folder()}: no run is on record, so everything would go. Use `artdetect run` once with each "
            "config whose artifacts you need, and collect then"
        )
    if not config.dry_run:
        rows = list(_removed(config, items, rows))
    gone = {_shown(place.path): size for place in _dead(config) if (size := _clear(place, config.dry_run)) is not None}
    locks = [name for name in inventory.locks() if config.dry_run or _unlocked(*name)]
    old = [
        _delete(run_ledger.file(run), config.dry_run)
        for run in retention.prunable_runs(config.keep_last, config.keep_days)
    ]
    cleared = {_shown(place): _clear_cache(place, config.dry_run) for place in _caches()} if caches else {}
    return GcReport(config.dry_run, rows, gone, len(locks), len(old), sum(old), cleared, inventory.sizes())


def _judged(config: HousekeepingConfig, items: Sequence[InventoryItem]) -> Iterator[Row]:
    """A row each, as things are now."""
    kept = retention.reachable(items, config.keep_last, config.keep_days)
    since = datetime.now(UTC) - timedelta(days=config.keep_days)
    for item in items:
        why, damaged = kept.get((item.stage, item.key)), item.digest is None
        fate: Fate = "removed" if why is None and (not damaged or item.at < since) else "kept"
        if damaged:
            why = f"damaged; {why or 'not old enough to go'}" if fate == "kept" else "damaged"
        yield Row(item.stage, item.key, item.bytes, item.at, fate, why or "nothing needs it")


def _removed(config: HousekeepingConfig, items: Sequence[InventoryItem], rows: Sequence[Row]) -> Iterator[Row]:
    """The rows as they came to be, of the same items."""
    going = [item for item, row in zip(items, rows, strict=True) if row.fate == "removed"]
    done: dict[tuple[str, str], Row] = {}
    for start in range(0, len(going), AT_ONCE):
        done |= _remove(config, items, going[start : start + AT_ONCE])
    for row in rows:
        yield done.get((row.stage, row.key), row)


def _remove(
    config: HousekeepingConfig, items: Sequence[InventoryItem], going: Sequence[InventoryItem]
) -> dict[tuple[str, str], Row]:
    """Remove these as far as nobody builds or uses them, and nothing keeps them after all."""
    discarded, done = [], {}
    with ExitStack() as locks:
        free = {(item.stage, item.key): locks.enter_context(exclusive(item.stage, item.key)) for item in going}
        there = [item for item in items if (item.stage, item.key) not in free or item.folder.exists()]
        judged = {(row.stage, row.key): row for row in _judged(config, there)}
        for item in going:
            name = item.stage, item.key
            row = judged.get(name) or Row(*name, 0, item.at, "removed", "already gone")
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
    """Give a folder a name that nobody takes for what it was, and that `store.sweep` and the next collection clear."""
    holder = tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".old", dir=path.parent)
    return path.rename(holder)  # in place of the empty folder, in one step


def _dead(config: HousekeepingConfig) -> list[Leftover]:
    return inventory.leftovers(config.keep_days * DAY)


def _clear(place: Leftover, dry_run: bool) -> int | None:
    """Remove what a dead process left; its bytes, or None where the process is alive."""
    if place.stage is None or place.key is None:
        return _delete(place.path, dry_run)
    with exclusive(place.stage, place.key) as free:
        return _delete(place.path, dry_run) if free else None


def _delete(path: Path, dry_run: bool) -> int:
    size = inventory.used(path)
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
    return [place for name in inventory.CACHES if (place := paths.cache() / name).is_dir()]


def _clear_cache(place: Path, dry_run: bool) -> int:
    size = inventory.used(place)
    if not dry_run:
        for part in place.iterdir():  # each is a cache of its own, and readers keep what they have opened
            if part.is_dir():
                shutil.rmtree(_renamed(part), ignore_errors=True)
            else:
                part.unlink(missing_ok=True)
    return size


def _shown(path: Path) -> str:
    """A path as people know it, whatever the roots are."""
    for name, root in (("artifacts", paths.artifacts()), ("data", paths.data())):
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root).as_posix()}"
    return str(path)
