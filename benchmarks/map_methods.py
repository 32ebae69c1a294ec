"""The ways to make maps that `benchmarks.localisation` compares, each as `Explainer.stream` is called."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from artdetect.explain.explanation import Explanation
    from artdetect.model.detector import Detector

CROP, STRIDE = 64, 16  # px, of crops that are judged alone
EVIDENCE, REGIONS = "evidence", "XRAI's regions ranked by evidence"
XRAI, INTEGRATED, GRADCAM, CROPS = "XRAI, its defaults", "integrated gradients", "Grad-CAM", f"crops of {CROP} px"

Maps = Callable[[Iterable[Any], Iterable[int]], "Iterable[Explanation]"]  # as `Explainer.stream`


def of_one_pass(detector: "Detector") -> dict[str, Maps]:
    """Methods that cost about a verdict."""
    from artdetect.explain.methods import make

    regions = make("evidence", detector.classifier, parts=detector.parts)
    gradcam = make("gradcam", detector.classifier)
    return {EVIDENCE: partial(windows, detector), REGIONS: regions.stream, GRADCAM: gradcam.stream}


def windows(detector: "Detector", pictures: "Iterable[np.ndarray]", targets: Iterable[int]) -> "Iterator[Explanation]":
    """The evidence as it is, without regions."""
    net = detector.evidence_net
    for picture, target in zip(pictures, targets, strict=True):
        (margin,) = net.evidence(net.outputs(picture[None])).margin
        yield on_places(margin, picture.shape[:2], target)


def on_places(margin: "np.ndarray", shape: tuple[int, int], target: int) -> "Explanation":
    """The map of a class that the margin of places [G, G] is, AI less human, at the size of the picture."""
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.artworks import enlarged
    from artdetect.pictures.labels import AI

    return Explanation(enlarged(margin if target == AI else -margin, shape), None, target, 0.0, None, {})


def of_many_passes(detector: "Detector") -> dict[str, Maps]:
    """Methods that cost many passes."""
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods import make

    explainer, known = make("xrai", detector.classifier), dict[tuple[bytes, int], Explanation]()

    def xrai(pictures: "Iterable[np.ndarray]", targets: Iterable[int]) -> "Iterator[Explanation]":
        """XRAI, whose attributions are also those of integrated gradients: each picture once."""
        for picture, target in zip(pictures, targets, strict=True):
            key = picture.tobytes(), target
            if key not in known:
                (known[key],) = explainer(picture[None], [target])
            yield known[key]

    def integrated(pictures: "Iterable[np.ndarray]", targets: Iterable[int]) -> "Iterator[Explanation]":
        """The pixels' shares that XRAI sums over regions."""
        for one in xrai(pictures, targets):
            assert one.attributions is not None
            yield Explanation(one.attributions.sum(axis=-1), None, one.target, one.score, None, {})

    def crops(pictures: "Iterable[np.ndarray]", targets: Iterable[int]) -> "Iterator[Explanation]":
        for picture, target in zip(pictures, targets, strict=True):
            yield on_places(crop_margins(detector, picture), picture.shape[:2], target)

    return {XRAI: xrai, INTEGRATED: integrated, CROPS: crops}


def crop_margins(detector: "Detector", picture: "np.ndarray") -> "np.ndarray":
    """For each pixel the mean margin (AI less human) of the crops that hold it, each enlarged to a picture."""
    import numpy as np
    from PIL import Image

    from artdetect.model.decision import logit

    size = picture.shape[0]
    whole = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
    starts = range(0, size - CROP + 1, STRIDE)
    boxes = [(left, top, left + CROP, top + CROP) for top in starts for left in starts]
    resized = [np.asarray(whole.resize((size, size), Image.Resampling.BICUBIC, box)) for box in boxes]
    margins = logit(detector.p_ai(np.stack(resized)))
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for (left, top, right, bottom), margin in zip(boxes, margins, strict=True):
        total[top:bottom, left:right] += margin
        count[top:bottom, left:right] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)


def all_maps(maps: Maps, pixels: "np.ndarray") -> "list[Explanation]":
    """The maps of AI of canonical pictures, uint8 [N, S, S, 3]."""
    from artdetect.pictures.images import to_input

    return list(maps((to_input(one) for one in pixels), [0] * len(pixels)))


def saliency_xrai(explainer: Any, pixels: "np.ndarray") -> None:
    """The saliency package's own XRAI of the first picture, with the settings of `compat` and eager gradients."""
    import numpy as np
    import saliency.core as saliency
    import tensorflow as tf

    from artdetect.pictures.images import to_input

    def call(pictures: Any, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, Any]:
        tensor = tf.convert_to_tensor(pictures, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            logits = explainer.score.network(tensor)
            margin = logits[:, 0] - logits[:, 1]
        return {saliency.INPUT_OUTPUT_GRADIENTS: np.array(tape.gradient(margin, tensor))}

    saliency.XRAI().GetMask(
        to_input(pixels[0]), call, 0, batch_size=100, extra_parameters=saliency.XRAIParameters(steps=100)
    )
