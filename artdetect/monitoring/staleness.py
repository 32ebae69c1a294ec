"""Why a stage must run, in words: what it would be built from now, compared with its most similar earlier build."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, lineage, store
from artdetect.artifacts.stages import Plan
from artdetect.index.scan import contents, differences

if TYPE_CHECKING:
    import pyarrow as pa

NEVER_BUILT = "never built"
DELETED = "its artifact was deleted"

Parts = Mapping[str, Any]


def reasons(plan: Plan, pictures: "pa.Table | None" = None) -> list[str]:
    """Why there is no artifact with the plan's key: one short phrase per cause, old → new; empty if nothing differs.

    Args:
        plan: What the stage would be built from.
        pictures: For the index only: the state of the pictures' folder (see `scan.contents`). If given, the phrases
            count the pictures that were added, removed and replaced.
    """
    journal = store.journal(plan.stage.name)
    builds = [build for build in journal if lineage.BASE not in build["parts"].get("inputs", {})]  # those were adapted
    if not builds:
        return [NEVER_BUILT]
    if any(build["key"] == plan.key for build in builds):
        return [DELETED]
    before = min(reversed(builds), key=lambda build: len(_changes(build["parts"], plan.parts)))
    phrases: list[str] = []
    for kind, name, old, new in _changes(before["parts"], plan.parts):
        if name == "pictures" and pictures is not None:
            phrases += picture_changes(before["key"], pictures)
        else:
            phrases.append(_phrase(plan.stage.name, kind, name, old, new))
    return phrases


def picture_changes(index_key: str, pictures: "pa.Table") -> list[str]:
    """The differences between the pictures of an earlier index and the present ones, in words.

    Args:
        index_key: The key of the earlier index.
        pictures: The present state of the folder (see `scan.contents`).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(
            store.place("index", index_key) / file_names.INDEX, columns=["path", "bytes", "sha256", "error"]
        )
    except (OSError, pa.ArrowException):
        return ["pictures changed"]  # the earlier index is gone or damaged
    return differences(contents(table), pictures) or ["files beside the pictures changed"]


def _changes(before: Parts, parts: Parts) -> list[tuple[str, str, Any, Any]]:
    """(kind, name, old, new) of every difference; inputs that are not known yet do not count."""
    return [
        (kind, name, before.get(kind, {}).get(name), now.get(name))
        for kind, now in parts.items()
        for name in sorted({*before.get(kind, {}), *now})
        if before.get(kind, {}).get(name) != now.get(name)
    ]


def _phrase(stage: str, kind: str, name: str, old: Any, new: Any) -> str:
    if kind == "config":
        return f"{stage}.{name} {_display(old)} → {_display(new)}"
    if kind == "code":
        verb = "is new" if old is None else "is no longer used" if new is None else "was edited"
        return f"code {name} {verb}"
    if kind == "packages":
        return f"package {name} {_display(old)} → {_display(new)}"
    return f"input {name} changed ({_display(old)} → {_display(new)})"


def _display(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:8]  # a digest
    return "none" if value is None else str(value)
