"""A trained model with everything needed to apply it, in one file.

The file is a `.keras` archive with one more member, the card `artdetect.json`: preset, geometry, classes, decision
rule, and where the model came from. The same model always gives the same bytes, so retraining to equal weights does
not invalidate later stages. `head_file` describes the other, smaller kind of model file, without the backbone.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.model import head_file, reproducible_keras
from artdetect.model.card import is_demonstration, model_id, read_card
from artdetect.model.decision import DecisionRule
from artdetect.model.frozen_backbone import with_crops
from artdetect.model.parts import CARD as PARTS
from artdetect.model.parts import MEMBER as PARTS_MEMBER
from artdetect.model.parts import Parts
from artdetect.model.scores import Scores
from artdetect.pictures import images, labels
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.model.evidence import Evidence, EvidenceNet
    from artdetect.model.runtime import FrozenPart, Runtime
    from artdetect.pictures.picture_views import PictureViews

OTHER = "other"  # generator of pictures whose likeliest family is not likely enough
MIN_GENERATOR_PROBABILITY = 0.5  # below it, no generator family is named
BATCH_PIXELS = 16 * 224 * 224  # pixels held as float32 at a time: bounds memory


@dataclass(frozen=True)
class Detector:
    """A trained model with everything needed to apply it.

    Args:
        runtime: What computes the outputs of pictures: `probabilities` [N, 2], class 0 = AI, and optionally `novelty`
            [N, 1], `generators` [N, G] and `embedding` [N, K], see `Scores`. A Keras model stands for its
            `KerasRuntime`; it maps pictures float32 [N, size, size, 3] in [0, 1] to the probabilities or to a dict.
        preset: The preset it was trained with.
        geometry: How pictures become canonical before the model sees them.
        metadata: Further entries of the card, such as seed and data digest. Nothing is computed from them.
        rule: How scores become verdicts.
        families: The G generator families, in the order of the output `generators`.
        digest: The sha256 of the model file, empty before there is one.
        native_crops: Crops of large pictures that are judged beside the whole, see `artdetect.pictures.native_crops`. A
            model with crops has a frozen part.
        parts: How parts of a picture are judged, where training has fitted that.
    """

    runtime: "Runtime"
    preset: str
    geometry: Geometry
    metadata: Mapping[str, Any]
    rule: DecisionRule = field(default_factory=DecisionRule)
    families: tuple[str, ...] = ()
    digest: str = ""
    native_crops: int = 0
    parts: Parts | None = None

    def __post_init__(self) -> None:
        if self.runtime is not None and not hasattr(self.runtime, "packages"):
            from artdetect.model.keras_runtime import KerasRuntime

            object.__setattr__(self, "runtime", KerasRuntime(self.runtime, self.geometry.size))

    @property
    def id(self) -> str:
        """The short name that verdicts carry."""
        return model_id({"preset": self.preset, **self.metadata}, self.digest)

    @property
    def notice(self) -> str:
        """What the data set that the model was trained on says of itself, empty if nothing; text from outside."""
        return str(self.metadata.get("notice", ""))

    @property
    def demonstration(self) -> bool:
        """Whether the model was trained on a data set that is there for trying the software only."""
        return is_demonstration(self.metadata)

    @property
    def model(self) -> "keras.Model":
        """The Keras model, which TensorFlow runs. It is loaded when it is first needed, for gradients and learning."""
        return self.runtime.keras_model

    @cached_property
    def classifier(self) -> "keras.Model":
        """The Keras model with the probabilities as its only output. Explanations use it."""
        import keras

        outputs = getattr(self.model, "output", None)  # a loaded Sequential has none
        if not isinstance(outputs, dict):
            return self.model
        return keras.Model(self.model.inputs[0], outputs["probabilities"], name=f"{self.model.name}_classifier")

    def p_ai(self, pixels: "np.ndarray") -> "np.ndarray":
        """The probability of AI, float64 [N], of canonical pictures uint8 [N, size, size, 3]."""
        return self.scores(pixels).p_ai

    def scores(self, pixels: "np.ndarray") -> Scores:
        """The scores of canonical pictures uint8 [N, size, size, 3]. Batching does not change a bit of them."""
        if self.frozen:
            return self.scores_from_features(self.features(pixels))
        return self._scores(self.runtime, pixels)

    def scores_of(self, pictures: "Sequence[PictureViews]") -> Scores:
        """The scores of pictures, of large ones by the whole and its `native_crops` crops, see `with_crops`."""
        import numpy as np

        wholes = np.stack([views.whole for views in pictures])
        if not self.native_crops:
            return self.scores(wholes)
        return self._with_crops(self.features(wholes), pictures)

    def _with_crops(self, features: "np.ndarray", pictures: "Sequence[PictureViews]") -> Scores:
        """The scores of pictures from the features of their wholes, which are changed, and of their crops."""
        for row, views in enumerate(pictures):
            if len(views.crops):
                features[row] = with_crops(features[row], self.features(views.crops))
        return self.scores_from_features(features)

    def evidence(self, pixels: "np.ndarray") -> "Evidence":
        """What the places of canonical pictures, uint8 [N, size, size, 3], say: the maps of `evidence.Evidence`."""
        return self.evidence_net.evidence(self.evidence_net.outputs(images.to_input(pixels)))

    def scores_with_evidence(self, pictures: "Sequence[PictureViews]") -> "tuple[Scores, Evidence]":
        """`scores_of` pictures and the evidence of their wholes, from one forward pass of these."""
        import numpy as np

        from artdetect.model.onnx_runtime import FEATURES

        wholes = np.stack([views.whole for views in pictures])
        batches = [self.evidence_net.outputs(images.to_input(part)) for part in self._batches(wholes)]
        outputs = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        evidence = self.evidence_net.evidence(outputs)
        if any(len(views.crops) for views in pictures):
            features = outputs[FEATURES] if FEATURES in outputs else self.features(wholes)
            return self._with_crops(features, pictures), evidence
        return self._finite(Scores.of({name: outputs[name] for name in self.runtime.outputs})), evidence

    @cached_property
    def evidence_net(self) -> "EvidenceNet":
        """The model that gives its evidence with its verdict."""
        return self.runtime.evidence_net(self.parts)

    @property
    def frozen(self) -> "FrozenPart | None":
        """The part that training does not change, where the model has one."""
        return self.runtime.frozen

    def features(self, pixels: "np.ndarray") -> "np.ndarray":
        """The frozen backbone's features float32 [N, D] of canonical pictures. The model must have a frozen part."""
        import numpy as np

        assert self.frozen
        return np.concatenate([self.frozen.features(part) for part in self._batches(pixels)])

    def scores_from_features(self, features: "np.ndarray") -> Scores:
        """The scores of pictures from their `features`, float32 [N, D]."""
        assert self.frozen
        return self._scores(self.frozen.head, features)

    def _scores(self, forward: "Callable[[np.ndarray], Mapping[str, np.ndarray]]", arrays: "np.ndarray") -> Scores:
        return self._finite(Scores.concatenate([Scores.of(forward(part)) for part in self._batches(arrays)]))

    def _finite(self, scores: Scores) -> Scores:
        import numpy as np

        if not np.isfinite(scores.p_ai).all():
            raise ModelError(
                f"model {self.id}: its probabilities are not finite, so its weights are damaged. Retrain it"
            )
        return scores

    def _batches(self, arrays: "np.ndarray") -> "Iterator[np.ndarray]":
        """At least one batch, which may be empty."""
        return (arrays[start : start + self._batch] for start in range(0, max(1, len(arrays)), self._batch))

    def predicted_generator(self, scores: Scores) -> "tuple[np.ndarray, np.ndarray]":
        """The likeliest generator family of each picture and its probability: str [N] and float [N].

        The family is `OTHER` where no probability reaches `MIN_GENERATOR_PROBABILITY`. All of this assumes that the
        picture is AI-generated; it is no evidence that it is.
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

    def card(self) -> dict[str, Any]:
        """The card that a model file holds."""
        return {
            "preset": self.preset,
            "geometry": asdict(self.geometry),
            "classes": labels.CLASSES,
            "rule": self.rule.as_dict(),
            "families": self.families,
            "native_crops": self.native_crops,
            **({PARTS: self.parts.card()} if self.parts else {}),
            **self.metadata,
        }

    def save_head(
        self, path: Path, precision: head_file.Precision = "float32", extra: "Mapping[str, np.ndarray] | None" = None
    ) -> None:
        """Write a model file without the backbone; arguments and errors as for `head_writer.save`."""
        from artdetect.model import head_writer

        head_writer.save(self.model, self.card(), path, precision, extra, self.parts)

    def save(self, path: Path, entries: Mapping[str, Any] | None = None) -> None:
        """Write the model file. The same model always gives the same bytes.

        Args:
            path: The file.
            entries: Further entries of its card.
        """
        buffer = io.BytesIO()
        self.model.save(scratch := path.with_name("scratch.keras"))
        with zipfile.ZipFile(scratch) as source, zipfile.ZipFile(buffer, "w") as target:
            members = {name: source.read(name) for name in source.namelist()}
            members["metadata.json"] = reproducible_keras.without_date(members["metadata.json"])
            members["config.json"] = reproducible_keras.without_object_ids(members["config.json"])
            members[file_names.CARD] = json.dumps(self.card() | dict(entries or {}), indent=1).encode()
            if self.parts:
                members[PARTS_MEMBER] = self.parts.arrays()
            for name in sorted(members):
                target.writestr(zipfile.ZipInfo(name, head_file.EPOCH), members[name])
        scratch.unlink()
        path.write_bytes(buffer.getvalue())

    def write(self, folder: Path) -> str | None:
        """Write the model file into an artifact's folder, and beside it the ONNX graphs that run without TensorFlow.

        Returns:
            None, or why there are no graphs: the model has an operation that ONNX lacks.
        """
        from artdetect.model import onnx_convert
        from artdetect.model.onnx_runtime import ENTRY

        try:
            graphs = onnx_convert.graphs(self.model, self.geometry.size, self.parts)
        except ModelError as error:
            self.save(folder / file_names.MODEL)
            return str(error)
        self.save(folder / file_names.MODEL, {ENTRY: onnx_convert.card_entry(graphs)})
        onnx_convert.write(graphs, folder)
        return None

    @staticmethod
    def load(path: Path) -> "Detector":
        """The detector in a model file or artifact folder.

        Raises:
            ModelError: There is no such file, or it is not a model file of artdetect.
        """
        from artdetect.model.onnx_runtime import ENTRY
        from artdetect.model.runtime import open_runtime

        path = path / file_names.MODEL if path.is_dir() else path
        if not path.is_file():
            raise ModelError(f"{path}: no such model. Train one with `artdetect run`, or name another with --model")
        card = read_card(path)
        runtime = open_runtime(path, dict(card))
        card.pop(ENTRY, None)
        geometry, rule = Geometry(**card.pop("geometry")), DecisionRule.from_dict(card.pop("rule", {}))
        families, native_crops = tuple(card.pop("families", ())), card.pop("native_crops", 0)
        digest = digests.file_digest(path)
        parts = Parts.load(path, card.pop(PARTS)) if PARTS in card else None
        detector = Detector(runtime, card["preset"], geometry, card, rule, families, digest, native_crops, parts)
        if native_crops and not detector.frozen:
            raise ModelError(f"{path}: its card has native_crops = {native_crops}, but its net has no frozen part")
        if (outputs := runtime.outputs.get("generators", 0)) != len(families):
            raise ModelError(
                f"{path}: its net has outputs for {outputs} generators, but its card names {len(families)}"
            )
        return detector
