"""The types of the flows' parameters, which Prefect validates before a run begins.

The dashboard builds its forms from these types, and takes the description of a field from the flow's docstring.
"""

from pathlib import Path

from artdetect.artifacts.stages import StageName
from artdetect.config import Config

SAMPLE = Path("configs/sample.toml")

ConfigFile = Config | Path
Changes = list[str]
Refresh = list[StageName]
