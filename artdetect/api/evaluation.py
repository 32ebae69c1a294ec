"""An evaluation for scripts and notebooks: its metrics, and how it compares with another."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import compare
from artdetect.artifacts import file_names
from artdetect.artifacts.store import Artifact
from artdetect.formatting.text import metric_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """What a model did on test pictures. In a notebook it shows its metrics.

    Args:
        artifact: The artifact of stage evaluate.
        name: The model's name.
    """

    artifact: Artifact
    name: str

    @property
    def folder(self) -> Path:
        """The artifact's folder, with predictions.parquet and metrics.json; `artdetect compare` takes it."""
        return self.artifact.folder

    @property
    def metrics(self) -> dict[str, Any]:
        """All metrics, the content of metrics.json."""
        return json.loads((self.folder / file_names.METRICS).read_text())

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per test picture: path, sha256, label, style, generator, source, p_ai, predicted, verdict, reason.

        Rows with `in_training` are not judged: the model was trained on these pictures, or on near-duplicates of them.
        """
        import pandas as pd

        return pd.read_parquet(self.folder / file_names.PREDICTIONS)

    def table(self) -> pd.DataFrame:
        """The main metrics: columns metric, value and interval (95 %)."""
        import pandas as pd

        return pd.DataFrame(metric_rows(self.metrics), columns=["metric", "value", "interval"])

    def compare(self, other: str | Path = "champion") -> Comparison:
        """This evaluation as the new one beside another, on the test pictures that both have in common.

        Args:
            other: What `artdetect compare` takes: champion, newest, a key, or an artifact's folder.

        Raises:
            ArtifactError: There is no such evaluation.
            DataError: They have no test picture in common.
        """
        return Comparison(compare.compare(compare.find(str(other)), self.folder))

    def report(self, file: str | Path, beside: str | Path = "champion") -> Path:
        """Write the report's page of this evaluation, with another one's figures beside.

        Args:
            file: The HTML file to write.
            beside: As for `compare`.

        Raises:
            ArtifactError: There is no such evaluation, or an artifact behind this one no longer exists.
        """
        from artdetect.monitoring import evaluation_page

        evaluation_page.write(Path(file), self.folder, compare.find(str(beside)))
        return Path(file)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name}, evaluate/{self.artifact.key}>"

    def _repr_html_(self) -> str:
        pictures = f"{self.metrics['pictures']:,} test pictures, 95 % intervals"
        return f"<p><b>{html.escape(self.name)}</b>: {pictures}</p>{self.table().to_html(index=False)}"


@dataclass(frozen=True)
class Comparison:
    """Two evaluations side by side. In a notebook it shows its tables.

    Args:
        result: All of it as JSON values, see `artdetect.compare.compare`.
    """

    result: dict[str, Any]

    def __str__(self) -> str:
        return compare.render_text(self.result)

    def _repr_markdown_(self) -> str:
        return compare.render_markdown(self.result)
