"""The chain of stages and their keys: the one description that the flow, `artdetect status` and the dashboard share.

A key says what an artifact is made of: the digests of its inputs, its config section, the code it runs and the packages
that matter to it. Never paths, times or run ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from artdetect.core import digests
from artdetect.core.config_section import Section


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline: `artdetect.<name>` does it, section `<name>` configures it."""

    name: str
    inputs: tuple[str, ...]  # whose digests it depends on: stages, but for what download and index bring themselves
    packages: tuple[str, ...]

    @property
    def module(self) -> str:
        """The library module whose import closure is this stage's code."""
        return f"artdetect.{self.name}"


CHAIN = (
    Stage("download", ("source",), ()),
    Stage("index", ("pictures",), ("numpy", "pillow", "pyarrow", "scipy")),
    Stage("audit", ("index",), ("numpy", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy")),
    Stage("balance", ("index", "audit"), ("pandas", "pyarrow")),
    Stage(
        "train",
        ("balance",),
        ("keras", "numpy", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy", "tensorflow"),
    ),
    Stage(
        "evaluate",
        ("index", "balance", "train"),
        ("keras", "numpy", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy", "tensorflow"),
    ),
    Stage(
        "explain",
        ("train", "evaluate"),
        (
            "keras",
            "matplotlib",
            "numba",
            "numpy",
            "pandas",
            "pillow",
            "pyarrow",
            "saliency",
            "scikit-image",
            "scipy",
            "tensorflow",
        ),
    ),
    Stage(
        "report",
        ("index", "audit", "balance", "train", "evaluate", "explain"),
        ("jinja2", "matplotlib", "pandas", "pillow"),
    ),
)
GATE = Stage(  # of a retraining; models and scores of a champion that there is not yet are `NONE`
    "gate",
    (
        *("index", "audit", "balance", "challenger", "challenger_scores"),
        *("champion", "champion_scores", "champion_balance"),
        *("reference", "reference_scores", "reference_balance"),
        "golden",
    ),
    ("keras", "numpy", "pandas", "pillow", "pyarrow", "scipy", "tensorflow"),
)
STAGES = {stage.name: stage for stage in (*CHAIN, GATE)}
NONE = "none"  # the digest of an input that a stage can do without


@dataclass(frozen=True)
class Plan:
    """What a stage would be built from now, and so its artifact's key (None while an input is unknown)."""

    stage: Stage
    parts: Mapping[str, Any]
    key: str | None


def plan(stage: Stage, config: Section, inputs: Mapping[str, str] | None) -> Plan:
    """The plan of `stage` under its config section; `inputs`: name -> digest, None = not known yet."""
    parts: dict[str, Any] = {
        "config": config.key_parts(),
        "code": digests.code_digests(stage.module),
        "packages": digests.versions(stage.packages),
    }
    if inputs is None:
        return Plan(stage, parts, None)
    parts["inputs"] = dict(inputs)
    return Plan(stage, parts, digests.value_digest({"stage": stage.name, **parts})[:16])
