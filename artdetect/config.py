"""The config: one section per stage, read from a TOML file, changed by `--set section.key=value`."""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, ValidationError

from artdetect.alerts import AlertsConfig
from artdetect.audit.config import AuditConfig
from artdetect.balance import BalanceConfig
from artdetect.compute import ComputeConfig
from artdetect.core import default_config, paths
from artdetect.core.config_section import Section
from artdetect.core.errors import ConfigError
from artdetect.download.config import DownloadConfig
from artdetect.evaluate.config import EvaluateConfig
from artdetect.explain.config import ExplainConfig
from artdetect.gate.config import GateConfig
from artdetect.index.config import IndexConfig
from artdetect.ingest.config import IngestConfig
from artdetect.report.config import ReportConfig
from artdetect.retrain import RetrainConfig
from artdetect.train.config import TrainConfig
from artdetect.tune import TuneConfig
from artdetect.usage.config import UsageConfig

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")


class Config(Section):
    """All settings: a section for each stage, named after it; those of other flows; `compute`, which is in no key."""

    download: DownloadConfig
    index: IndexConfig = Field(default_factory=IndexConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    balance: BalanceConfig = Field(default_factory=BalanceConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    explain: ExplainConfig = Field(default_factory=ExplainConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)
    retrain: RetrainConfig = Field(default_factory=RetrainConfig)
    gate: GateConfig = Field(default_factory=GateConfig)
    tune: TuneConfig = Field(default_factory=TuneConfig)
    ingest: IngestConfig = Field(default_factory=IngestConfig)
    alerts: AlertsConfig = Field(default_factory=AlertsConfig)
    usage: UsageConfig = Field(default_factory=UsageConfig)
    compute: ComputeConfig = Field(default_factory=ComputeConfig)


def load(path: Path | None = None, changes: Iterable[str] = ()) -> Config:
    """Read a config from a TOML file and apply changes.

    Args:
        path: The file, by default that of `default_config.find`. Relative paths of data sets in it are relative to the
            project.
        changes: `section.key=value` each. Relative paths of data sets here are relative to the working directory.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong.
    """
    default = default_config.find() if path is None else None
    path = default.path if default else path
    assert path is not None
    path = path if path.is_absolute() or path.exists() else paths.project() / path
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(f"configs/{file.name}" for file in (paths.project() / "configs").glob("*.toml")))
        named = f" (named by {default.source})" if default and default.source else ""
        raise ConfigError(f"{path}: there is no such config file{named}. There are: {known}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from error
    _change_paths(values, _absolute(paths.project()))
    return _changed(values, changes, str(path))


def changed(config: Config, changes: Iterable[str]) -> Config:
    """The config with `section.key=value` changes; ConfigError if one is wrong."""
    return _changed(config.model_dump(mode="json"), changes, "config")


def chosen(config: Config | Path | None, changes: Iterable[str] = ()) -> Config:
    """The config that a flow was given, itself or as a file, or else the default; with changes. Errors as `load`."""
    return changed(config, changes) if isinstance(config, Config) else load(config, changes)


def _changed(values: dict[str, Any], changes: Iterable[str], source: str) -> Config:
    for change in changes:
        values = _merge(values, _parse(change))
    return parse(values, source)


def dump(config: Config) -> str:
    """The TOML text from which `load` makes this config; the path of a data set in the project is relative."""
    values = config.model_dump(mode="json", exclude_none=True)  # TOML has no null
    project = paths.project()
    _change_paths(
        values,
        lambda text: Path(text).relative_to(project).as_posix() if Path(text).is_relative_to(project) else text,
    )
    return tomli_w.dumps(values)


def parse(values: dict[str, Any], source: str = "config") -> Config:
    """Validate a config; ConfigError names the first wrong key or value, and a similar key."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error)}") from None


def _change_paths(values: dict[str, Any], change: Callable[[str], str]) -> None:
    """Change each address and path in section `download`."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(part) if key in ("url", "sources", "sets") else part for key, part in value.items()}
        if isinstance(value, list):
            return [changed(part) for part in value]
        return change(value) if isinstance(value, str) else value

    if isinstance(section := values.get("download"), dict):
        values["download"] = changed(section)


def _absolute(folder: Path) -> Callable[[str], str]:
    """A function that makes a relative path absolute, and leaves addresses as they are."""

    def absolute(text: str) -> str:
        if not text or _ADDRESS.match(text):
            return text
        return str(folder / os.path.expanduser(text))  # noqa: PTH111  Path's own raises for ~nobody

    return absolute


def _parse(change: str) -> dict[str, Any]:
    name, equals, text = change.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise ConfigError(f"--set {change}: expected section.key=value, for instance train.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word or a path
    values = {section: {key: value}}
    _change_paths(values, _absolute(Path.cwd()))
    return values


def _merge(values: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    (section, keys), *_ = change.items()
    old = values.get(section, {})
    old = old if isinstance(old, dict) else {}
    if section == "download":  # one data set takes the place of several, and the other way round
        replaced = {"url": ("sets",), "sets": ("url", "sha256", "sources")}
        old = {key: value for key, value in old.items() if not any(key in replaced.get(name, ()) for name in keys)}
    return values | {section: old | keys}


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "constrained-float")  # a union's branch is no key
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else f"The keys are: {', '.join(known_keys())}"
        return f"{key} is not a key of the config. {hint}"
    if first["type"] == "section":  # the keys of a section do not fit together
        return first["msg"]
    if first["type"] == "missing":
        return f"{key} is missing"
    return f"{key} = {first['input']!r} is not usable: {first['msg']}"


def known_keys() -> list[str]:
    """Every `section.key`, and the names of the sections."""
    sections: dict[str, Any] = {name: field.annotation for name, field in Config.model_fields.items()}
    return [*sections, *(f"{name}.{key}" for name, section in sections.items() for key in section.model_fields)]
