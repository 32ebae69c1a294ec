"""What the flows can be told from outside, checked before a run begins; the dashboard draws its forms from this."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from artdetect import config as configs
from artdetect.config import Config

SAMPLE = Path("configs/sample.toml")

StageName = Literal["download", "index", "audit", "balance", "train", "evaluate", "explain", "report"]
ConfigFile = Annotated[
    Config | Path, Field(description="a TOML file, relative to the project; or a whole config, section by section")
]
Changes = Annotated[
    list[str], Field(description="single values of it, as --set takes them: train.views=3", examples=["train.views=3"])
]
Refresh = Annotated[list[StageName], Field(description="stages to build again whatever there is")]


def chosen(config: Config | Path, changes: list[str] | None = None) -> Config:
    """The config that a flow was given; ConfigError where file, key or value is wrong."""
    return configs.changed(config, changes or []) if isinstance(config, Config) else configs.load(config, changes or [])
