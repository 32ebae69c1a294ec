"""Why a stage must run, in words: what it would be built from now, against the build that was most like it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import store
from artdetect.artifacts.stages import Plan
from artdetect.index.scan import contents, differences

if TYPE_CHECKING:
    import pyarrow as pa

Parts = Mapping[str, Any]


def reasons(plan: Plan, folder: "pa.Table | None" = None) -> list[str]:
    """Why there is no artifact with the plan's key: one short phrase a cause, old → new; empty if nothing differs.

    `folder`, for the index, is the state of the pictures' folder (`scan.contents`), whose changes are then counted.
    """
    built = store.journal(plan.stage.name)
    if not built:
        return ["never built"]
    if any(entry["key"] == plan.key for entry in built):
        return ["its artifact was deleted"]
    before = min(reversed(built), key=lambda entry: len(_changes(entry["parts"], plan.parts)))
    phrases: list[str] = []
    for kind, name, old, new in _changes(before["parts"], plan.parts):
        if name == "pictures" and folder is not None:
            phrases += picture_changes(before["key"], folder)
        else:
            phrases.append(_phrase(plan.stage.name, kind, name, old, new))
    return phrases


def picture_changes(index_key: str, folder: "pa.Table") -> list[str]:
    """What differs between the pictures of an earlier index and a folder's state now, in words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(
            store.place("index", index_key) / "index.parquet", columns=["path", "bytes", "sha256", "error"]
        )
    except (OSError, pa.ArrowException):
        return ["pictures changed"]  # that index is gone or damaged
    return differences(contents(table), folder) or ["files beside the pictures changed"]


def _changes(before: Parts, parts: Parts) -> list[tuple[str, str, Any, Any]]:
    """(kind, name, old, new) of everything that differs; inputs that are not known yet do not count."""
    return [
        (kind, name, before.get(kind, {}).get(name), now.get(name))
        for kind, now in parts.items()
        for name in sorted({*before.get(kind, {}), *now})
        if before.get(kind, {}).get(name) != now.get(name)
    ]


def _phrase(stage: str, kind: str, name: str, old: Any, new: Any) -> str:
    if kind == "config":
        return f"{stage}.{name} {_shown(old)} → {_shown(new)}"
    if kind == "code":
        verb = "is new" if old is None else "is no longer used" if new is None else "was edited"
        return f"code {name} {verb}"
    if kind == "packages":
        return f"package {name} {_shown(old)} → {_shown(new)}"
    return f"input {name} changed ({_shown(old)} → {_shown(new)})"


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:8]  # a digest
    return "none" if value is None else str(value)
