"""The pipeline for scripts and notebooks: what `artdetect run` and `artdetect status` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import config as configs
from artdetect.api.evaluation import Evaluation
from artdetect.artifacts import file_names
from artdetect.artifacts.store import Artifact
from artdetect.cli.evaluate import current, evaluated
from artdetect.config import Config
from artdetect.core import default_config
from artdetect.core.errors import named_extras
from artdetect.monitoring.status import status as states

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.evaluate.outside_model import Classifier


class Pipeline:
    """The stages from data to model and report, under one config.

    Args:
        config: A TOML file or a whole config; by default the project's, as for the commands.
        changes: Single values to change, such as "train.degraded_views=4".

    Attributes:
        config: The config with these changes.
        source: Where it comes from, in words.

    Raises:
        ConfigError: The config, or a change, cannot be used.
    """

    def __init__(self, config: str | Path | Config | None = None, changes: Sequence[str] = ()):
        self.config = configs.chosen(Path(config) if isinstance(config, str) else config, changes)
        named = default_config.find() if config is None else config
        self.source = "a config given as an object" if isinstance(named, Config) else str(named)

    @named_extras()
    def status(self) -> pd.DataFrame:
        """The state of every stage: columns stage, state (current, stale, missing or corrupt), why and artifact.

        `artifact` is the stage's folder, or None unless it is current. Neither Prefect nor TensorFlow is needed.

        Raises:
            MissingExtra: pandas is not installed.
        """
        import pandas as pd

        rows = [
            {"stage": s.stage, "state": s.state, "why": "; ".join(s.why), "artifact": s.artifact and s.artifact.folder}
            for s in states(self.config)
        ]
        return pd.DataFrame(rows, dtype=object)

    @named_extras()
    def run(self, refresh: Sequence[str] = ()) -> pd.DataFrame:
        """Build what is not current, and return the `status` after it. Needs what the pipeline needs: Prefect, Keras.

        Args:
            refresh: Stages to build again even if they are current.

        Raises:
            ArtdetectError: What a stage raises; earlier stages stay built.
            MissingExtra: A package that the pipeline needs is not installed.
        """
        from artdetect.cli.pipeline import build

        build(self.config, refresh)
        return self.status()

    def evaluate(self, model: Classifier, name: str, threshold: float = 0.5) -> Evaluation:
        """Evaluate a model from elsewhere on the test pictures of this config, with the metrics of stage evaluate.

        Its figures stand beside those of other models with `Evaluation.compare` and `Evaluation.report`, or `artdetect
        compare`. An `OnnxClassifier` is tested on degraded pictures, too; nothing is tested on art from other sources.

        Args:
            model: A function of a list of PIL pictures, upright, RGB and at full size, that gives p(AI) in [0, 1] for
                each; an `OnnxClassifier` is one.
            name: What to call it.
            threshold: From this p(AI) on, a picture is predicted to be AI.

        Raises:
            ArtifactError: The stages up to balance are not current.
            DataError: The model gave something else, or the data set has changed.
            PictureError: A test picture cannot be read.
        """
        return Evaluation(evaluated(self.config, model, name, threshold), name)

    def metrics(self) -> dict[str, Any]:
        """The test metrics, the content of evaluate's metrics.json; ArtifactError unless evaluate is current."""
        return json.loads((self._artifact("evaluate").folder / file_names.METRICS).read_text())

    @property
    def report(self) -> Path:
        """The report, an HTML file; ArtifactError unless it is current."""
        return self._artifact("report").folder / file_names.REPORT

    def _artifact(self, stage: str) -> Artifact:
        (artifact,) = current(self.config, stage)
        return artifact

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source}>"

    def _repr_html_(self) -> str:
        return self.status().to_html(index=False)


def status(config: str | Path | Config | None = None, changes: Sequence[str] = ()) -> pd.DataFrame:
    """The state of every stage; see `Pipeline.status`. Arguments and errors as for `Pipeline`."""
    return Pipeline(config, changes).status()
