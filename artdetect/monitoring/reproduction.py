"""Where a model comes from: date, commit, data sets with their addresses, and the command that makes it again."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from artdetect import download
from artdetect.artifacts import file_names, lineage, run_ledger, store
from artdetect.artifacts.store import StoredArtifact
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.config_section import Section
from artdetect.core.errors import ArtifactError
from artdetect.pictures.labels import INCOMING

NO_CONFIG = "/dev/null"  # an empty config, so that the project's own does not count


def provenance() -> dict[str, dict[str, Any]]:
    """Key of each model on disk -> what `origin` has of it, and `at` (ISO 8601, UTC) and `commit` of its training.

    The commit is None if unknown, and has a + at its end if files differed. Where no run is known that used a model's
    data sets, `data_sets` is empty and `command` None.
    """
    sources, evaluations = lineage.read(), {each.inputs.get("train"): each for each in store.stored("evaluate")}
    runs = {use.key: run for run in run_ledger.read() for use in run.stages if use.stage == "train"}
    found = {}
    for model in store.stored("train"):
        run = runs.get(model.folder.name)
        key = {use.stage: use.key for use in run.stages}.get("download") if run else None
        made_from = sources.ancestors(model)
        if evaluation := evaluations.get(model.digest):
            made_from["evaluate"] = evaluation
        found[model.folder.name] = {
            "at": model.record["started"],
            "commit": model.record.get("revision"),
            **origin(made_from, store.place("download", key) if key else None),
        }
    return found


def origin(
    made_from: Mapping[str, StoredArtifact], raw: Path | None, more: Mapping[str, Section] | None = None
) -> dict[str, Any]:
    """From which data sets and settings artifacts come, and the command that makes them again.

    Args:
        made_from: Stage -> artifact.
        raw: The artifact of stage download that they used; None where it is not known.
        more: Sections of further stages.

    Returns:
        data_sets: name, url, sha256 and sources (its table of sources), each None where there is none; an address has
        no query and no credentials, and what lies on this machine is named
        without the folders above it. pictures: the digest of all names and contents.
        settings: section -> its recorded settings. command: None where the data sets are not known, or the model was
        adapted.
    """
    data_sets = _data_sets(raw) if raw else []
    settings = {stage: artifact.record["parts"].get("config") or {} for stage, artifact in made_from.items()}
    settings |= {stage: section.key_parts() for stage, section in (more or {}).items()}
    adapted = any(lineage.BASE in artifact.inputs for artifact in made_from.values())
    index = made_from.get("index")
    incoming = ["index.incoming=true"] if index and _has_incoming(index) else []
    changes = [*_addresses(data_sets), *incoming, *_changes(settings)] if data_sets and not adapted else []
    return {
        "data_sets": data_sets,
        "pictures": index.inputs.get("pictures") if index else None,
        "settings": {section: values for section, values in settings.items() if values},
        "command": _command(changes) if changes else None,
    }


def _has_incoming(index: StoredArtifact) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        origins = pq.read_table(index.folder / file_names.INDEX, columns=["origin"]).column("origin")
    except (OSError, pa.ArrowException):
        return False  # it is gone, or of a version that had no incoming pictures
    return bool(pc.any(pc.equal(origins, INCOMING)).as_py())


def _data_sets(raw: Path) -> list[dict[str, Any]]:
    """The data sets of a download artifact; none if it is gone."""
    with suppress(ArtifactError):
        content = download.dataset(raw)
        records = content["sets"].items() if "sets" in content else [(content.get("name"), content)]
        return [
            {
                "name": name,
                "url": _address(record),
                "sha256": record.get("archive_sha256"),
                "sources": paths.located(record["sources"]).name if record.get("sources") else None,
            }
            for name, record in records
            if record.get("url")
        ]
    return []


def _address(record: Mapping[str, Any]) -> str:
    """The address of a data set; of a folder its name, as of a local archive, since pages are handed to others."""
    return paths.located(record["url"]).name if record.get("kind") == "folder" else record["url"]


def _addresses(data_sets: Sequence[Mapping[str, Any]]) -> list[str]:
    """The changes that name these data sets."""
    tables = [{name: found[name] for name in ("url", "sha256", "sources") if found[name]} for found in data_sets]
    if len(tables) > 1:
        return [f"download.sets=[{', '.join(map(_toml, tables))}]"]
    return [f"download.{name}={value}" for name, value in tables[0].items()]


def _changes(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The changes from the default settings."""
    for stage, values in settings.items():
        field = Config.model_fields.get(stage)
        if field is None or stage == "download" or not callable(section := field.annotation):
            continue
        defaults = section().model_dump(mode="json")
        for name, value in values.items():
            if name in defaults and value is not None and value != defaults[name]:
                yield f"{stage}.{name}={_toml(value)}"


def _toml(value: Any) -> str:
    """A JSON value as a TOML value on one line; TOML has no null, so that such entries are left out."""
    if isinstance(value, dict):
        entries = (f"{name} = {_toml(part)}" for name, part in value.items() if part is not None)
        return f"{{{', '.join(entries)}}}"
    return json.dumps(value, ensure_ascii=False)


def _command(changes: Sequence[str]) -> str:
    sets = " ".join(f"--set {shlex.quote(change)}" for change in changes)
    return f"artdetect run --config {NO_CONFIG} {sets}"
