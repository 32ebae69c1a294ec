"""What the flows can be told from outside, checked before a run begins.

The dashboard draws its forms from these types, and takes what it says beside a field from the flow's docstring.
"""

from pathlib import Path
from typing import Literal

from artdetect.config import Config

SAMPLE = Path("configs/sample.toml")

StageName = Literal["download", "index", "audit", "balance", "train", "evaluate", "explain", "report"]
ConfigFile = Config | Path
Changes = list[str]
Refresh = list[StageName]
