"""The stages of the pipeline and their cache keys. The flow, `artdetect status` and the dashboard share this list.

A key is computed from everything that shapes an artifact: the digests of its inputs, its config section, the code that
builds it, and the versions of the packages that this code uses. It never contains paths, times or run ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from artdetect.core import digests
from artdetect.core.config_section import Section


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline: module `artdetect.<name>` does it, config section `<name>` configures it."""

    name: str
    inputs: tuple[str, ...]  # names of the inputs whose digests the key contains
    packages: tuple[str, ...]  # packages whose versions the key contains

    @property
    def module(self) -> str:
        """The library module whose import closure is this stage's code."""
        return f"artdetect.{self.name}"


StageName = Literal["download", "index", "audit", "balance", "train", "evaluate", "explain", "report"]  # as in CHAIN

# Inputs are the stages of these names, except `source` (download.fingerprint), `pictures` (index.scan) and the champion
# beside which the report puts its model (report.champion); where there is none, these inputs are `MISSING_INPUT`.
CHAIN = (
    Stage("download", ("source",), ()),
    Stage("index", ("pictures",), ("numpy", "pillow", "pyarrow", "scipy")),
    Stage("audit", ("index",), ("numpy", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy")),
    Stage("balance", ("index", "audit"), ("pandas", "pyarrow")),
    Stage(
        "train",
        ("balance",),
        (
            "keras",
            "numpy",
            "onnx",
            "onnxruntime",
            "pandas",
            "pillow",
            "pyarrow",
            "scikit-learn",
            "scipy",
            "tensorflow",
            "tf2onnx",
        ),
    ),
    Stage(
        "evaluate",
        ("index", "audit", "balance", "train"),
        ("keras", "numpy", "onnxruntime", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy", "tensorflow"),
    ),
    Stage(
        "explain",
        ("train", "evaluate"),
        (
            "keras",
            "matplotlib",
            "numba",
            "numpy",
            "onnxruntime",
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
        (
            *("index", "audit", "balance", "train", "evaluate", "explain"),
            *("champion", "champion_scores", "champion_balance", "champion_maps"),
            "gate",
        ),
        ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "scipy"),
    ),
)
GATE = Stage(  # part of a retraining; where there is no champion yet, its inputs are `MISSING_INPUT`
    "gate",
    (
        *("index", "audit", "balance", "challenger", "challenger_scores"),
        *("champion", "champion_scores", "champion_balance"),
        *("reference", "reference_scores", "reference_balance"),
        "golden",
    ),
    (
        *("keras", "numba", "numpy", "onnxruntime", "pandas", "pillow", "pyarrow"),
        *("scikit-image", "scipy", "tensorflow"),
    ),
)
STAGES = {stage.name: stage for stage in (*CHAIN, GATE)}
TRAINED_ON = "trained on"  # in the place of a stage: the balance that a model was trained on, if it is another one
MISSING_INPUT = "none"  # the digest of an optional input that is missing


@dataclass(frozen=True)
class Plan:
    """What a stage would be built from now, and the key that follows from it (None while an input is unknown)."""

    stage: Stage
    parts: Mapping[str, Any]
    key: str | None


def plan(stage: Stage, config: Section, inputs: Mapping[str, str] | None) -> Plan:
    """Describe what a stage would be built from.

    Args:
        stage: The stage.
        config: The stage's config section.
        inputs: Input name -> digest; None if they are not known yet.
    """
    parts: dict[str, Any] = {
        "config": config.key_parts(),
        "code": digests.code_digests(stage.module),
        "packages": digests.versions(stage.packages),
    }
    if inputs is None:
        return Plan(stage, parts, None)
    parts["inputs"] = dict(inputs)
    return Plan(stage, parts, digests.value_digest({"stage": stage.name, **parts})[:16])
