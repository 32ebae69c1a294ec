"""The types of the flows' parameters, which Prefect validates before a run begins.

The dashboard builds its forms from these types, and takes the description of a field from the flow's docstring.
"""

from pathlib import Path

from artdetect.artifacts.stages import StageName
from artdetect.config import Config

ConfigFile = Config | Path | None  # None: the project's default, see artdetect.core.default_config
Changes = list[str]
Refresh = list[StageName]
