"""artdetect's stages as the benchmarks measure them: through their public functions, each in its own process.

`root` is the folder of one measurement, with data/ and a folder for the outputs of each stage. Every function marks the
part "import", which does not depend on the number of pictures, and the part "work", which is the rest.
"""

import shutil
from pathlib import Path
from typing import Any

from benchmarks.harness import Measured, cpu_now, measure, part

CHAIN = ("index", "audit", "balance", "decode", "train", "evaluate")


def run(stage: str, root: Path, pictures: Path, *arguments: Any) -> Measured:
    """Measure one of the functions below."""
    return measure(f"benchmarks.stages:{stage}", root, pictures, *arguments, data=root / "data")


def index(root: str, pictures: str) -> int:
    """Scan and index; returns the number of rows."""
    with part("import"):
        import pyarrow.parquet as pq

        from artdetect import index
        from artdetect.index import file_metadata, scan  # noqa: F401
    with part("work"):
        index.run(index.IndexConfig(), scan.scan(Path(pictures)), _fresh(root, "index"))
    return pq.read_metadata(Path(root, "index", "index.parquet")).num_rows


def scan_again(root: str, pictures: str) -> bool:
    """Scan a folder in which nothing changed; returns whether the digest is known."""
    with part("import"):
        import pyarrow.parquet  # noqa: F401

        from artdetect.index import scan
    with part("work"):
        return scan.scan(Path(pictures)).digest is not None


def quick_scan(root: str, pictures: str) -> bool:
    """The scan of `artdetect status`; returns whether the digest is known."""
    with part("import"):
        import pyarrow.parquet  # noqa: F401

        from artdetect.index import scan
        from artdetect.monitoring import status  # noqa: F401
    with part("work"):
        return scan.quick_scan(Path(pictures)).digest is not None


def audit(root: str, pictures: str) -> None:
    """Audit an index."""
    with part("import"):
        import pandas  # noqa: F401

        from artdetect import audit
    with part("work"):
        audit.run(audit.AuditConfig(), Path(root, "index"), Path(pictures), _fresh(root, "audit"))


def balance(root: str, pictures: str) -> dict[str, int]:
    """Balance; returns the number of pictures per split."""
    with part("import"):
        import pandas as pd

        from artdetect import balance
    with part("work"):
        config = balance.BalanceConfig(method="undersample")
        balance.run(config, Path(root, "index"), Path(root, "audit"), _fresh(root, "balance"))
    table = pd.read_parquet(Path(root, "balance", "balance.parquet"))
    return {str(split): int(count) for split, count in table.split.value_counts().items()}


def decode(root: str, pictures: str) -> int:
    """Fill the pixel cache for the notebook preset with all balanced pictures; returns their number."""
    with part("import"):
        import pandas as pd

        from artdetect.pictures.pixel_cache import PixelCache
        from artdetect.train.presets import recipe
    with part("work"):
        table = pd.read_parquet(Path(root, "balance", "balance.parquet"))
        pixels = PixelCache(recipe("notebook").geometry)
        pixels.ensure([(row.sha256, Path(pictures, row.path)) for row in table.itertuples()])
    return len(pixels)


def train(root: str, pictures: str, epochs: int, options: dict[str, Any]) -> dict[str, Any]:
    """Train the notebook preset; returns the numbers of pictures, and the CPU time at the end of each epoch."""
    with part("import"):
        import keras  # noqa: F401
        import pandas as pd

        from artdetect import train
        from artdetect.model import tensorflow_setup

        tensorflow_setup.load_tensorflow()
    shutil.rmtree(Path(root, "work"), ignore_errors=True)
    ends: list[float] = []

    def report(row: Any, epochs: int) -> None:
        ends.append(cpu_now())

    with part("work"):
        config = train.TrainConfig(preset="notebook", epochs=epochs, **options)
        out = _fresh(root, "train")
        train.run(config, Path(root, "balance"), Path(pictures), out, Path(root, "work"), report)
    split = pd.read_parquet(Path(root, "balance", "balance.parquet")).split.value_counts()
    return {"pictures": int(split["train"]), "validation": int(split["validation"]), "ends": ends}


def epoch(run: Measured) -> float:
    """CPU seconds per epoch of a measured `train`, including validation and writing, without the first epoch."""
    ends = run.result["ends"]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def evaluate(root: str, pictures: str) -> None:
    """Evaluate on the test set, whose pixels are in the cache."""
    with part("import"):
        import keras  # noqa: F401

        from artdetect import evaluate
        from artdetect.model import tensorflow_setup

        tensorflow_setup.load_tensorflow()
    with part("work"):
        folders = [Path(root, stage) for stage in ("index", "audit", "balance", "train")]
        evaluate.run(evaluate.EvaluateConfig(), *folders, Path(pictures), _fresh(root, "evaluate"))


def predict(root: str, list_file: str) -> int:
    """Predict the pictures that `list_file` lists, one path per line; returns their number."""
    from artdetect.model.predict import find_model, predict

    with part("import"):
        detector = find_model(Path(root, "train"))
    with part("work"):
        return sum(verdict.p_ai is not None for verdict in predict(detector, listed_paths(list_file)))


def predict_cached(root: str, list_file: str) -> int:
    """Predict these pictures from the pixel cache, as evaluate does; returns their number."""
    import hashlib

    from artdetect.model import cached_scores
    from artdetect.model.predict import find_model
    from artdetect.pictures.pixel_cache import PixelCache

    with part("import"):
        detector = find_model(Path(root, "train"))
    with part("fill"):
        items = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in listed_paths(list_file)]
        PixelCache(detector.geometry).ensure(items)
    with part("work"):
        return len(cached_scores.scores(detector, PixelCache(detector.geometry), [sha256 for sha256, _ in items]).p_ai)


def listed_paths(list_file: str) -> list[Path]:
    """The paths in a file, one per line."""
    return [Path(line) for line in Path(list_file).read_text().splitlines()]


def _fresh(root: str, stage: str) -> Path:
    folder = Path(root, stage)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
