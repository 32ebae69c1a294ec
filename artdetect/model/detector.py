"""A trained model with everything needed to apply it, in one file.

The file is a `.keras` archive with one more member, `artdetect.json`: preset, geometry, classes, the rule of its
verdicts, and where it came from.
The same model always gives the same bytes, so that a retraining to equal weights wakes nothing.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests
from artdetect.core.errors import ModelError, storage_error
from artdetect.model import reproducible_keras, tensorflow_setup
from artdetect.model.compiled import CompiledModel, outputs_of
from artdetect.model.decision import DecisionRule
from artdetect.model.frozen_backbone import LAYER, FrozenBackbone
from artdetect.pictures import images, labels
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import keras
    import numpy as np

MODEL_FILE = "model.keras"
_CARD = "artdetect.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's own first moment: no clock in the bytes
OTHER = "other"
MIN_GENERATOR_PROBABILITY = 0.5  # a generator family's probability from which it is named
BATCH_PIXELS = 16 * 224 * 224  # pixels as float32 at a time: bounds memory


@dataclass(frozen=True)
class Scores:
    """What a model says of N pictures; None where it does not say such a thing."""

    p_ai: "np.ndarray"  # float64 [N], the calibrated probability of AI where both classes are as frequent
    novelty: "np.ndarray | None" = None  # float64 [N], distance from what it learnt from; 1 is usual there
    generators: "np.ndarray | None" = None  # float64 [N, G], of AI pictures: which generator family, if one it knows
    embedding: "np.ndarray | None" = None  # float64 [N, K], where near pictures look alike to it

    @staticmethod
    def concatenate(parts: "Sequence[Scores]") -> "Scores":
        """One after the other; at least one."""
        import numpy as np

        others = zip(*(part._others() for part in parts), strict=True)
        return Scores(
            np.concatenate([part.p_ai for part in parts]),
            *(None if column[0] is None else np.concatenate(column) for column in others),
        )

    def _others(self) -> "tuple[np.ndarray | None, ...]":
        return self.novelty, self.generators, self.embedding


@dataclass(frozen=True)
class Detector:
    """A Keras model of pictures float32 [N, size, size, 3] in [0, 1], and what its use needs.

    Its output is the probabilities [N, 2], class 0 = AI; or a dict with those as `probabilities`, and `novelty` [N, 1],
    `generators` [N, G] and `embedding` [N, K] as in `Scores`.
    """

    model: "keras.Model"
    preset: str
    geometry: Geometry
    about: Mapping[str, Any]  # seed, data digest, …: for people and records
    rule: DecisionRule = field(default_factory=DecisionRule)
    families: tuple[str, ...] = ()  # the G generator families, in the order of `generators`
    digest: str = ""  # sha256 of the model file, once there is one

    @property
    def id(self) -> str:
        """What verdicts name the model by."""
        return model_id(self.preset, self.digest)

    @cached_property
    def classifier(self) -> "keras.Model":
        """The model with the probabilities as its only output: what is explained."""
        import keras

        if not self._outputs:
            return self.model
        return keras.Model(self.model.inputs[0], self._outputs["probabilities"], name=f"{self.model.name}_classifier")

    @property
    def _outputs(self) -> "dict[str, keras.KerasTensor]":
        """The model's outputs by name; none where it does not name them."""
        outputs = getattr(self.model, "output", None)  # a Sequential that was loaded has none
        return outputs if isinstance(outputs, dict) else {}

    def p_ai(self, pixels: "np.ndarray") -> "np.ndarray":
        """The probability of AI, float64 [N], of canonical pictures uint8 [N, size, size, 3]."""
        return self.scores(pixels).p_ai

    def scores(self, pixels: "np.ndarray") -> Scores:
        """All that the model says of canonical pictures uint8 [N, size, size, 3]; bit for bit, whatever the batches."""
        return self.judge(self.features(pixels)) if self.frozen else self._scores(self._forward, pixels)

    @cached_property
    def frozen(self) -> FrozenBackbone | None:
        """The part that no training changes, where the model has one."""
        names = [layer.name for layer in self.model.layers]
        return FrozenBackbone(self.model, self.geometry.size) if LAYER in names else None

    def features(self, pixels: "np.ndarray") -> "np.ndarray":
        """The features float32 [N, D] that the frozen part, which there must be, sees in canonical pictures."""
        import numpy as np

        assert self.frozen
        return np.concatenate([self.frozen.features(part) for part in self._batches(pixels)])

    def judge(self, features: "np.ndarray") -> Scores:
        """`scores` of pictures with these features, float32 [N, D], of the frozen part."""
        assert self.frozen
        return self._scores(self.frozen.judge, features)

    def _scores(self, forward: CompiledModel, given: "np.ndarray") -> Scores:
        import numpy as np

        scores = Scores.concatenate([_scores(forward(part)) for part in self._batches(given)])
        if not np.isfinite(scores.p_ai).all():
            raise ModelError(
                f"model {self.id}: its probabilities are not finite: its weights are damaged. Train it again"
            )
        return scores

    def _batches(self, given: "np.ndarray") -> "Iterator[np.ndarray]":
        """At least one, be it empty."""
        return (given[start : start + self._batch] for start in range(0, max(1, len(given)), self._batch))

    def attributed(self, scores: Scores) -> "tuple[np.ndarray, np.ndarray]":
        """The likeliest generator family of each picture and its probability, str [N] and float [N].

        "other" where no family has `LIKELY`. It says who may have made an AI picture, and nothing of whether it is one.
        """
        import numpy as np

        assert scores.generators is not None
        best = scores.generators.max(axis=1)
        return np.where(
            best >= MIN_GENERATOR_PROBABILITY, np.array(self.families)[scores.generators.argmax(axis=1)], OTHER
        ), best

    @property
    def _batch(self) -> int:
        return max(1, min(256, BATCH_PIXELS // self.geometry.size**2))

    @cached_property
    def _forward(self) -> CompiledModel:
        size = self.geometry.size
        return CompiledModel(partial(outputs_of, self.model), (size, size, 3), images.to_input)

    def save(self, path: Path) -> None:
        """Write the model file; deterministic bytes."""
        buffer = io.BytesIO()
        self.model.save(scratch := path.with_name("scratch.keras"))
        card = {
            "preset": self.preset,
            "geometry": asdict(self.geometry),
            "classes": labels.CLASSES,
            "rule": self.rule.as_dict(),
            "families": self.families,
            **self.about,
        }
        with zipfile.ZipFile(scratch) as source, zipfile.ZipFile(buffer, "w") as target:
            members = {name: source.read(name) for name in source.namelist()}
            members["metadata.json"] = reproducible_keras.without_date(members["metadata.json"])
            members["config.json"] = reproducible_keras.without_object_ids(members["config.json"])
            members[_CARD] = json.dumps(card, indent=1).encode()
            for name in sorted(members):
                target.writestr(zipfile.ZipInfo(name, _EPOCH), members[name])
        scratch.unlink()
        path.write_bytes(buffer.getvalue())

    @staticmethod
    def load(path: Path) -> "Detector":
        """The detector in a model file or artifact folder; ModelError if there is none or it is not one of ours."""
        path = path / MODEL_FILE if path.is_dir() else path
        if not path.is_file():
            raise ModelError(
                f"{path}: there is no such model. Train one with `artdetect run`, or name another with --model"
            )
        card = read_card(path)
        geometry, rule = Geometry(**card.pop("geometry")), DecisionRule(**card.pop("rule", {}))
        families = tuple(card.pop("families", ()))
        tensorflow_setup.load_tensorflow()
        import keras

        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
            detector = Detector(model, card["preset"], geometry, card, rule, families, digests.file_digest(path))
            output = tuple(detector.classifier.compute_output_shape((1, geometry.size, geometry.size, 3)))
        except Exception as error:  # whatever Keras raises on a damaged or foreign file
            if isinstance(error, OSError) and (known := storage_error(error)):  # it unpacks weights to a temporary file
                raise known from error
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"{path}: Keras cannot load it ({reason})") from error
        if output != (1, len(labels.CLASSES)):
            raise ModelError(f"{path}: its net gives {output} for one picture, expected {(1, len(labels.CLASSES))}")
        generators = detector._outputs.get("generators")
        told_apart = 0 if generators is None else generators.shape[-1]
        if told_apart != len(families):
            raise ModelError(f"{path}: its net tells {told_apart} generators apart, but it names {len(families)}")
        return detector


def _scores(outputs: "Mapping[str, np.ndarray]") -> Scores:
    """What a model's outputs say, by name."""
    import numpy as np

    found = {name: np.asarray(output, np.float64) for name, output in outputs.items()}
    novelty = found.get("novelty")
    return Scores(
        found["probabilities"][:, labels.AI],
        None if novelty is None else novelty[:, 0],
        found.get("generators"),
        found.get("embedding"),
    )


def model_id(preset: str, digest: str) -> str:
    """A model's short name, from its preset and its file's sha256."""
    return f"{preset}-{digest[:8]}"


def read_card(path: Path) -> dict[str, Any]:
    """What a model file says of itself, without TensorFlow; ModelError if it is not one of ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(_CARD))
        Geometry(**card["geometry"])
        DecisionRule(**card.get("rule", {}))
        if not all(isinstance(name, str) for name in (card["preset"], *card.get("families", ()))):
            raise TypeError("preset, families")
    except Exception as error:  # a foreign or damaged zip fails in more ways than zipfile documents
        raise ModelError(
            f"{path}: this is not a model file of artdetect. Expected a .keras file that `artdetect run` made"
        ) from error
    if card.get("classes") != list(labels.CLASSES):
        raise ModelError(f"{path}: its classes are {card.get('classes')}, expected {list(labels.CLASSES)}")
    return card
