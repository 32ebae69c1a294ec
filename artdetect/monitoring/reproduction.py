"""Where a model comes from: date, commit, data sets with their addresses, and the command that makes it again."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from artdetect import download
from artdetect.artifacts import lineage, run_ledger, store
from artdetect.artifacts.store import StoredArtifact
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import ArtifactError

NO_CONFIG = "/dev/null"  # an empty config, so that the project's own does not count


def provenance() -> dict[str, dict[str, Any]]:
    """Key of each model on disk -> where it comes from.

    Returns:
        `at` (ISO 8601, UTC) and `commit` (None if unknown, + at its end if files differed) of its training; `data_sets`
        (name, url, sha256 or None), empty where no run is known that used them; `command`, None where the data sets are
        not known or the model was adapted. An address has no query and no credentials, and a local archive no folder.
    """
    sources, evaluations = lineage.read(), {each.inputs.get("train"): each for each in store.stored("evaluate")}
    runs = {use.key: run for run in run_ledger.read() for use in run.stages if use.stage == "train"}
    found = {}
    for model in store.stored("train"):
        run = runs.get(model.folder.name)
        data_sets = _data_sets({use.stage: use.key for use in run.stages}.get("download")) if run else []
        made_from = sources.ancestors(model)
        if evaluation := evaluations.get(model.digest):
            made_from["evaluate"] = evaluation
        command = None
        if run and data_sets and lineage.BASE not in model.inputs:
            incoming = ["index.incoming=true"] if run.flow == "retrain" else []
            command = _command([*_addresses(data_sets), *incoming, *_settings(made_from)])
        found[model.folder.name] = {
            "at": model.record["started"],
            "commit": model.record.get("revision"),
            "data_sets": data_sets,
            "command": command,
        }
    return found


def _data_sets(key: str | None) -> list[dict[str, Any]]:
    """The data sets of a download artifact; none if it is gone."""
    if key is None:
        return []
    with suppress(ArtifactError):
        content = download.dataset(store.place("download", key))
        records = content["sets"].items() if "sets" in content else [(content.get("name"), content)]
        return [
            {"name": name, "url": _address(record), "sha256": record.get("archive_sha256")}
            for name, record in records
            if record.get("url")
        ]
    return []


def _address(record: Mapping[str, Any]) -> str:
    """The address of a data set; a folder's is its place on this machine."""
    return str(paths.located(record["url"])) if record.get("kind") == "folder" else record["url"]


def _addresses(data_sets: Sequence[Mapping[str, Any]]) -> list[str]:
    """The changes that name these data sets."""
    if len(data_sets) > 1:
        return [f"download.sets={json.dumps([found['url'] for found in data_sets], ensure_ascii=False)}"]
    digest = data_sets[0]["sha256"]
    return [f"download.url={data_sets[0]['url']}", *([f"download.sha256={digest}"] if digest else [])]


def _settings(made_from: Mapping[str, StoredArtifact]) -> Iterator[str]:
    """The changes from the default settings, as the artifacts' records have them."""
    for stage, artifact in made_from.items():
        field = Config.model_fields.get(stage)
        if field is None or stage == "download" or not callable(section := field.annotation):
            continue
        defaults = section().model_dump(mode="json")
        for name, value in (artifact.record["parts"].get("config") or {}).items():
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
