"""A model for scripts and notebooks: verdicts as a table, explanations as figures."""

from __future__ import annotations

import hashlib
import html
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.api import given_pictures
from artdetect.api.given_pictures import Picture, Pictures
from artdetect.core.errors import ConfigError, DataError, PictureError, named_extras
from artdetect.formatting.text import printable
from artdetect.model import choice, predict
from artdetect.model.predict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from artdetect.explain.explanation import Explanation
    from artdetect.model.choice import Role
    from artdetect.model.detector import Detector as Model

COLUMNS = [field.name for field in fields(Verdict)]


class Detector:
    """A model that tells AI-generated from human-made art. `load` gives one.

    Attributes:
        model: What it wraps, an `artdetect.model.detector.Detector`: pixels in, scores out.
        role: Why this model was loaded, one of `artdetect.model.choice.ROLES`.
        key: The key of its artifact of stage train; None where it is none.
    """

    def __init__(self, model: Model, role: Role = "named", key: str | None = None):
        self.model, self.role, self.key = model, role, key

    @classmethod
    def load(cls, model: str | Path | None = None) -> Detector:
        """Load a model.

        Args:
            model: An artifact folder, a model file, "starter", or "demo" for the newest demonstration model. By default
                the champion, else the newest model that is no demonstration, else the starter: the one that the
                commands use.

        Raises:
            ModelError: There is no such model, or it is a demonstration that was not named.
            ArtifactError: The file of the champion is damaged.
        """
        chosen = choice.choose(None if model is None else Path(model))
        return cls(predict.find_model(chosen.path), chosen.role, chosen.key)

    @property
    def id(self) -> str:
        """The model's short name, which every verdict carries."""
        return self.model.id

    @property
    def introduction(self) -> list[str]:
        """What one must know of the model before its verdicts: why it was chosen, and what its training data say."""
        return choice.introduction(self.model, self.role, self.key)

    @named_extras()
    def predict(self, pictures: Pictures) -> pd.DataFrame:
        """Give verdicts on pictures.

        A picture that cannot be read is a row with an `error`. A picture in memory is judged by its pixels as they are;
        the same file may differ in the last digits of p(AI), since large JPEG files are decoded at a fraction of their
        size.

        Args:
            pictures: A path, a folder, a pattern such as "scans/*.jpg", a PIL picture, an array uint8 [H, W, 3] or
                [N, H, W, 3], or a list of these.

        Returns:
            One row per picture, in the given order, with the columns of `artdetect.Verdict`: path, verdict (AI, human,
            unsure or mixed), reason, p_ai, model, error, predicted, novelty, generator, native_crops, ai_region,
            ai_area.

        Raises:
            DataError: There are no pictures.
            MissingExtra: pandas is not installed, which the base install lacks. `artdetect.predict` does without.
            TypeError: Something is no picture.
        """
        import pandas as pd

        rows = [verdict.as_dict() for verdict in self._verdicts(pictures)]
        if not rows:
            raise DataError(f"found no pictures in {pictures}")
        return pd.DataFrame(rows, columns=COLUMNS)

    def _verdicts(self, pictures: Pictures) -> Iterator[Verdict]:
        named = given_pictures.sources(pictures)
        for in_memory, group in groupby(named, lambda item: isinstance(item[1], bytes)):
            if not in_memory:
                yield from predict.predict(self.model, (Path(source) for _, source in group))  # type: ignore[arg-type]
                continue
            while part := list(islice(group, predict.CHUNK)):
                yield from predict.verdicts(
                    self.model, [(name, predict.load(self.model, source)) for name, source in part]
                )

    @named_extras()
    def explain(self, picture: Picture, **settings: Any) -> ExplainedVerdict:
        """Show which regions led to a verdict. In a notebook the result shows its figure.

        Without the extra `explain`, as in the base install, it shows the evidence over the picture, without regions.

        Args:
            picture: A path, a PIL picture or an array uint8 [H, W, 3].
            settings: Keys of the config's section `explain`, such as method="gradcam" or steps=16.

        Raises:
            ConfigError: There is no such setting, or it is not usable.
            DataError: It is not one picture.
            MissingExtra: A package of the extra `explain` is not installed, which other methods and settings need.
            ModelError: The method cannot explain this model.
            PictureError: It cannot be read.
        """
        from artdetect.explain import evidence_figures
        from artdetect.explain.config import ExplainConfig
        from artdetect.pictures.labels import CLASSES

        try:
            config = ExplainConfig(**settings)
        except ValueError as error:
            raise ConfigError(f"explain: {_first_line(error)}") from None
        name, source = given_pictures.single(picture)
        if settings in ({}, {"method": "evidence"}) and not evidence_figures.regions_installed():
            return self._explain_without_regions(name, source)
        from artdetect.explain import explained_pictures

        with tempfile.TemporaryDirectory(prefix="artdetect-") as scratch:
            if isinstance(source, bytes):
                file = Path(scratch, "picture.png")
                file.write_bytes(source)
            else:
                file = source
            (verdict,) = predict.predict(self.model, [file])
            if verdict.error is not None or verdict.predicted is None or verdict.p_ai is None:
                raise PictureError(str(verdict.error))
            crops = verdict.native_crops or 0
            heading = explained_pictures.title(verdict.words, verdict.predicted, verdict.p_ai, crops=crops)
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            target = CLASSES.index(verdict.predicted)
            explained = explained_pictures.ExplainedPicture(file, digest, "figure", heading, target, verdict.region)
            (explanation,) = explained_pictures.explain(self.model, config.explainer(self.model), config, [explained])
            if isinstance(explanation, PictureError | DataError):
                raise explanation
            explained_pictures.draw(self.model, explained, explanation, Path(scratch))
            png = Path(scratch, "figure.png").read_bytes()
        return ExplainedVerdict({**verdict.as_dict(), "path": name}, explanation, png)

    def _explain_without_regions(self, name: str, source: Path | bytes) -> ExplainedVerdict:
        """The evidence over a picture, from the pass of the model that gives its verdict."""
        import io

        from artdetect.explain import evidence_figures, evidence_map

        loaded = predict.load(self.model, source)
        ((verdict, evidence),) = predict.verdicts_with_evidence(self.model, [(name, loaded)])
        if evidence is None:
            raise PictureError(str(verdict.error))
        found, png = evidence_map.explained(evidence, verdict), io.BytesIO()
        evidence_figures.drawn(self.model, source, verdict, found, printable(name)).save(png, "PNG")
        return ExplainedVerdict(verdict.as_dict(), found, png.getvalue())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.introduction[0]}>"

    def _repr_html_(self) -> str:
        """The model for a notebook: what it is, and what one must know of it."""
        low, high = self.model.rule.band()
        rows = {
            "model": self.id,
            "chosen because it is": choice.ROLES[self.role],
            "preset": self.model.preset,
            "sees pictures of": f"{self.model.geometry.size} × {self.model.geometry.size} pixels",
            "unsure between": f"p(AI) {low:.3f} and {high:.3f}",
            "its training data say": " ".join(self.model.notice.split()) or "nothing",
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        warning = "<p><b>A demonstration: its verdicts mean nothing.</b></p>" if self.model.demonstration else ""
        return f"<table>{cells}</table>{warning}"


@dataclass(frozen=True, eq=False)  # eq=False: arrays do not compare to one truth value
class ExplainedVerdict:
    """A verdict and the regions that led to it. In a notebook it shows its figure.

    Args:
        verdict: The row of `Detector.predict`, by column.
        explanation: The map and its regions as arrays, see `artdetect.explain.explanation.Explanation`.
        png: The figure, the content of a PNG file.
    """

    verdict: dict[str, Any]
    explanation: Explanation
    png: bytes

    @property
    def figure(self) -> Image.Image:
        """The figure as a PIL picture."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self.png))

    def save(self, path: str | Path) -> None:
        """Write the figure as a PNG file."""
        Path(path).write_bytes(self.png)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.verdict['path']}: {self.verdict['verdict']}, {self.verdict['reason']}>"

    def _repr_png_(self) -> bytes:
        return self.png


def _first_line(error: ValueError) -> str:
    """The first problem that pydantic found, in a line."""
    details = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
    return f"{'.'.join(map(str, details['loc']))}: {details['msg']}".removeprefix(": ")
