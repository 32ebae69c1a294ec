"""Which config a project's commands and deployments use where none is named."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artdetect.core import paths
from artdetect.core.errors import ConfigError

VARIABLE = "ARTDETECT_CONFIG"
OWN_FILE, PYPROJECT = "artdetect.toml", "pyproject.toml"
SAMPLE = Path("configs/sample.toml")


@dataclass(frozen=True)
class DefaultConfig:
    """A project's default config.

    Args:
        path: The config file, absolute.
        source: What names it, as people read it; empty for the sample.
    """

    path: Path
    source: str

    def __str__(self) -> str:
        """The path, from the project if it is in it, and what names it."""
        project = paths.project()
        path = self.path.relative_to(project) if self.path.is_relative_to(project) else self.path
        return f"{path} ({self.source or 'the default; artdetect.toml can name another'})"


def find() -> DefaultConfig:
    """The default config, which need not exist.

    The first of these names it: the environment variable `ARTDETECT_CONFIG`; `config = "…"` in the project's
    artdetect.toml; the same under [tool.artdetect] in its pyproject.toml; or else it is configs/sample.toml.
    A relative path is below the project; that of the variable below the working directory, if it is there.

    Raises:
        ConfigError: One of these files cannot be read, or says something else.
    """
    if given := os.environ.get(VARIABLE):
        here = Path(given).absolute()
        return DefaultConfig(here if here.exists() else paths.project() / given, VARIABLE)
    for name, table in ((OWN_FILE, ()), (PYPROJECT, ("tool", "artdetect"))):
        values: Any = _read(paths.project() / name)
        for key in table:
            values = values.get(key, {}) if isinstance(values, dict) else values
        where = " ".join([name, *([f"[{'.'.join(table)}]"] if table else [])])
        if not isinstance(values, dict) or values.keys() - {"config"} or not isinstance(values.get("config", ""), str):
            raise ConfigError(f'{where}: expected one line, config = "configs/my-art.toml". Received: {values!r}')
        if values.get("config"):
            return DefaultConfig(paths.project() / values["config"], where)
    return DefaultConfig(paths.project() / SAMPLE, "")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: not readable as TOML ({error})") from error
