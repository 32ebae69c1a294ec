"""Makes the pictures of docs/explanation/explanations.md: spliced pictures of the demo set, explained by a model of it.

    python -m benchmarks.explanation_figures    writes docs/images/explanation.webp, sheet.webp and methods.webp

The pictures are drawn by a program, and the parts of them that are pasted are known. Such maps say nothing about real
art. There are only two simulated generators and three painters, so parts are calibrated with one of them left out in
turn: fewer sources, and less sure of them, than `artdetect.train.parts` asks for.
"""

import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from artdetect.demo_data import ROOT, draw
from artdetect.demo_data.styles import STYLES
from benchmarks.harness import PROJECT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artdetect.explain.figures import Entry
    from artdetect.model.detector import Detector

IMAGES = PROJECT / "docs" / "images"
SIDE = 224
SEED = 11
SPLICES = 6  # on the sheet, half of them into each class
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("evidence", {}), ("xrai", {}), ("xrai", {"compat": "saliency"}), ("gradcam", {}),
)  # fmt: skip
Picture = tuple[str, "NDArray[np.uint8]", int]  # name, pixels, class to explain


def main() -> None:
    """Draw the pictures, train, explain, and write the figures."""
    from artdetect.explain import figures

    with tempfile.TemporaryDirectory(prefix="artdetect-") as folder:
        root = Path(folder)
        os.environ["ARTDETECT_DATA"], os.environ["ARTDETECT_ARTIFACTS"] = str(root / "data"), str(root / "artifacts")
        detector, pictures = trained(root)
        entries = explained(detector, "evidence", pictures)
        _save(figures.sheet, entries, IMAGES / "sheet.webp", scale=figures.common_reach(e.explanation for e in entries))
        one = pictures[:1]
        (first,) = entries[:1]
        _save(figures.panels, first, IMAGES / "explanation.webp", scale=figures.common_reach([first.explanation]))
        _save(
            figures.sheet,
            [_named(entry) for method, options in METHODS for entry in explained(detector, method, one, **options)],
            IMAGES / "methods.webp",
        )


def trained(root: Path) -> tuple["Detector", list[Picture]]:
    """A model of drawn pictures, and spliced test pictures of them.

    Args:
        root: A folder for data and artifacts, to which the environment points.
    """
    import numpy as np

    from artdetect import audit, balance, index, train
    from artdetect.artifacts import store
    from artdetect.index import scan
    from artdetect.model.detector import Detector
    from artdetect.pictures import images
    from artdetect.pictures.labels import AI, HUMAN
    from artdetect.pictures.splices import Splice, spliced
    from artdetect.train import parts

    archive = draw(root / "drawn", train=40, test=SPLICES)
    with zipfile.ZipFile(archive) as file:
        file.extractall(root / "data" / "raw")
    data = root / "data" / "raw" / ROOT
    (data / "sources.csv").write_text(
        "\n".join(["folder,source", *(f"{style},painter of {style}" for style in STYLES)])
    )
    with store.build("index", "k1", {}) as out:
        index.run(index.IndexConfig(), scan.scan(data), out)
    with store.build("audit", "k1", {}) as out:
        audit.run(audit.AuditConfig(), store.place("index", "k1"), data, out)
    with store.build("balance", "k1", {}) as out:
        balance.run(balance.BalanceConfig(), store.place("index", "k1"), store.place("audit", "k1"), out)
    parts.MIN_SOURCES, parts.CONFIDENCE = 2, 0.0  # there are only two simulated generators
    with store.build("train", "k1", {}) as out:
        config = train.TrainConfig(preset="artnet", size=SIDE, degraded_views=1)
        train.run(config, store.place("balance", "k1"), data, out, root / "work")
    detector = Detector.load(store.place("train", "k1"))

    files = {
        label: sorted(
            path for path in (data / "test").rglob("*.jpg") if path.parent.name.startswith("AI_") == (label == AI)
        )
        for label in (AI, HUMAN)
    }
    random = np.random.default_rng(SEED)
    pixels = {
        label: [images.load(Path(path), detector.geometry) for path in random.permutation([*map(str, of_class)])]
        for label, of_class in files.items()
    }
    pictures = []
    for number in range(SPLICES):
        base, donor = (HUMAN, AI) if number % 2 == 0 else (AI, HUMAN)
        splice = Splice(f"{SEED + number}", "", donor, False, "rectangle" if number % 3 else "blob", "hard", SEED)
        picture, inside = spliced(splice, pixels[base][number], pixels[donor][number + SPLICES])
        name = f"{('AI', 'human')[donor]}-in-{('AI', 'human')[base]}-{inside.mean():.0%}".replace("%", "-percent.png")
        pictures.append((name, picture, donor))
    return detector, pictures


def explained(detector: "Detector", method: str, pictures: Sequence[Picture], **options: Any) -> list["Entry"]:
    """The pictures with their maps by a method; titles say the verdict."""
    import numpy as np

    from artdetect.explain.figures import Entry
    from artdetect.explain.methods import make
    from artdetect.pictures import images

    parts = {"parts": detector.parts} if method == "evidence" else {}
    explainer = make(method, detector.classifier, **parts, **options)
    found = explainer(images.to_input(np.stack([picture for _, picture, _ in pictures])), [t for *_, t in pictures])
    entries = []
    for (name, picture, _), one, p_ai in zip(
        pictures, found, detector.p_ai(np.stack([picture for _, picture, _ in pictures])), strict=True
    ):
        verdict = f"{'AI' if p_ai > detector.rule.threshold else 'human'} {max(p_ai, 1 - p_ai):.1%}"
        entries.append(Entry(Image.fromarray(picture), one, verdict, name))
    return entries


def _named(entry: "Entry") -> "Entry":
    """The entry with the name of its method as the title."""
    from artdetect.explain import map_values

    return replace(entry, title=map_values.label(entry.explanation))


def _save(draw_to: Any, drawn: Any, path: Path, **options: Any) -> None:
    """Write a figure as WebP."""
    with tempfile.TemporaryDirectory() as folder:
        draw_to(drawn, png := Path(folder) / "figure.png", **options)
        with Image.open(png) as picture:
            picture.save(path, quality=85, method=6)


if __name__ == "__main__":
    main()
