"""Explains any number of pictures: a folder in; figures, arrays and one table out.

Pictures are explained in chunks, and each chunk writes a part of the table. An interrupted run continues after its last
chunk, and pictures that are added later are explained alone. Only the list of rows grows with the number of pictures.

An explanation counts as done while its picture is unchanged and its figure and arrays are there. Each run tries again
the pictures that could not be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.core.atomic import replacing, sweep
from artdetect.core.errors import DataError, PictureError, storage_error
from artdetect.explain import explanation as explanations
from artdetect.explain import summary
from artdetect.explain.config import ExplainConfig
from artdetect.explain.explained_pictures import ExplainedPicture, Unreadable, draw, explain, title
from artdetect.explain.figures.colour_scale import reach
from artdetect.explain.result_shards import COLUMNS, ResultShards, table, text, verdict
from artdetect.model import predict

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.explain.explanation import Explanation
    from artdetect.model.detector import Detector

# Pictures in a part of the table: what a kill costs, in figures only. Workers of a cluster take the same chunks as this
# process, because the last bits of gradients may depend on which pictures share a batch.
CHUNK = 64
TABLE = file_names.EXPLANATIONS
SHEET = "sheet"  # name of the contact sheet, which no figure of a picture may have
_SHOWN = ("scale", "explained_class")  # settings that shape figures but no explainer
_PARTS, _ABOUT, _SCALE = "parts", "explain.json", "scale.json"


@dataclass(frozen=True)
class PendingPicture:
    """A picture that is not explained yet.

    Args:
        path: The file.
        name: The name of its figure and arrays below the output folder, without suffix.
        size: Bytes of the file.
        modified: Nanoseconds since the epoch.
    """

    path: Path
    name: str
    size: int
    modified: int


class ExplanationJob:
    """Explains pictures into a folder.

    Args:
        detector: The detector whose verdicts are explained.
        config: Method and settings.
        out: The folder for figures, arrays and table: new, empty, or of an earlier job with the same model and
            settings, which is continued.

    Attributes:
        unchanged: How many pictures `pending` skipped, because they were explained before.

    Raises:
        DataError: `out` contains something else.
        ModelError: The model cannot be explained.
        StorageError: `out` cannot be written, here and in the methods.
    """

    def __init__(self, detector: Detector, config: ExplainConfig, out: Path):
        self.detector, self.config, self.out = detector, config, out
        self.explainer = config.explainer(detector)
        self.unchanged = 0
        self._errors: dict[str, dict[str, Any]] = {}  # rows of this run, by path
        code = digests.value_digest(digests.code_digests(type(self.explainer).__module__))[:16]
        about = {"model": detector.id, "code": code, **{name: getattr(config, name) for name in _SHOWN}}
        about |= self.explainer.config
        with _storage_errors():
            _open_folder(out, about)
            self._parts = ResultShards(out / _PARTS)

    def pending(self, sources: Iterable[Path]) -> Iterator[PendingPicture]:
        """The pictures of `sources`, files and folders, that have no explanation yet or have changed since.

        The contents of the output folder are skipped.
        """
        rows = self.rows()
        known = {row.path: (row.bytes, row.modified) for row in rows.itertuples()}
        names = {SHEET: ""} | dict(zip(rows.name, rows.path, strict=True))
        listed = set()
        for source in sources:
            folder = source.absolute() if source.is_dir() else source.absolute().parent
            own = _within(self.out, folder) if source.is_dir() else None
            for path in predict.find_pictures([source.absolute()]):
                if str(path) in listed or (own and path.is_relative_to(own)):
                    continue
                listed.add(str(path))
                size, modified = _stat(path)
                if known.get(str(path)) == (size, modified):
                    self.unchanged += 1
                    continue
                name = _unique_name(path, folder, names)
                names[name] = str(path)
                yield PendingPicture(path, name, size, modified)

    def explain(self, pictures: Sequence[PendingPicture]) -> Iterator[dict[str, Any]]:
        """Explain some pictures, and write their part of the table at the end.

        Yields:
            The row of each picture once its figure and arrays are there, or a row with an `error`.
        """
        with _storage_errors():
            predicted, done = [], []
            for row in self._predicted(pictures):
                if row["error"] is None:
                    predicted.append(row)
                else:
                    yield self._failed(row, row["error"])
            to_explain = [self._explained_picture(row) for row in predicted]
            scale = self._scale()
            results = explain(self.detector, self.explainer, self.config, to_explain)
            for row, picture, result in zip(predicted, to_explain, results, strict=True):
                try:
                    if isinstance(result, Unreadable):
                        raise result
                    draw(self.detector, picture, result, self.out, scale)
                except (DataError, PictureError) as error:
                    changed = f"{picture.path}: changed while it was explained: run again"
                    yield self._failed(row, changed if isinstance(error, DataError) else str(error))
                else:
                    done.append({**row, **summary.measures(result), "reach": reach(result)})
                    yield done[-1]
            self._parts.add(done)

    def record_errors(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over rows with an error from workers that explain a part of this job."""
        self._errors.update((row["path"], dict(row)) for row in rows)

    def finish(self) -> dict[str, Any] | None:
        """Write the whole table, a contact sheet of the first pictures, and the check of the maps; return the check."""
        import pandas as pd

        rows = self.rows()
        pictures = [self._explained_picture(row) for row in rows.to_dict("records")]

        def load(number: int) -> Explanation:
            return explanations.load(self.out / f"{pictures[number].name}.npz")

        with _storage_errors():
            scale = None
            if self.config.scale == "common" and pictures:
                scale = float(rows.reach.max())
                if self._scale() is not None or (rows.reach < scale).any():
                    self._redraw(pictures, load, scale)
            summary.write_sheet(self.detector, pictures, load, self.out / f"{SHEET}.png", scale)
            check = summary.cached_quality_check(self.detector, self.explainer, self.config, pictures, load)
            _write(self.out / file_names.QUALITY, check)
            all_rows = pd.concat([rows, table(self._errors.values())]).sort_values("path", ignore_index=True)
            with replacing(self.out / TABLE) as temporary:
                all_rows.to_parquet(temporary, index=False)
            sweep(self.out)
        return check

    def rows(self) -> pd.DataFrame:
        """The explanations that are done: one row per picture, sorted by path."""
        import numpy as np

        rows = self._parts.read()
        states = zip(rows.path, rows.name, rows.bytes, rows.modified, strict=True)
        done = [path not in self._errors and self._is_done(path, *state) for path, *state in states]
        return rows[np.array(done, bool)].sort_values("path", ignore_index=True)

    def _is_done(self, path: str, name: str, size: int, modified: int) -> bool:
        """Whether a picture is unchanged and its figure and arrays are there."""
        outputs = (self.out / f"{name}{suffix}" for suffix in (".png", ".npz"))
        return _stat(Path(path)) == (size, modified) and all(file.is_file() for file in outputs)

    def _predicted(self, pictures: Sequence[PendingPicture]) -> Iterator[dict[str, Any]]:
        """A row for each picture: with its verdict, or with an error where it cannot be read."""
        readable = {}
        for picture in pictures:
            if text(picture.path) == str(picture.path):
                readable[picture.path] = picture
            else:
                error = f"{text(picture.path)}: its name is not valid UTF-8: rename it"
                yield {"path": text(picture.path), "error": error}
        for judged in predict.predict(self.detector, readable):
            picture = readable[Path(judged.path)]
            row = {"name": picture.name, "bytes": picture.size, "modified": picture.modified, **judged.as_dict()}
            if row["error"] is None:
                try:
                    row["sha256"] = digests.file_digest(picture.path)
                except OSError as error:
                    row["error"] = f"{picture.path}: cannot be read: {error.strerror}"
            yield row

    def _explained_picture(self, row: Mapping[str, Any]) -> ExplainedPicture:
        judged = verdict(row)
        heading = title(judged.words, row["predicted"], row["p_ai"], crops=row["native_crops"])
        target = self.config.class_to_explain(row["predicted"])
        return ExplainedPicture(Path(row["path"]), row["sha256"], row["name"], heading, target, judged.region)

    def _failed(self, row: Mapping[str, Any], error: str) -> dict[str, Any]:
        """The row of a picture without an explanation."""
        state = {name: row.get(name, -1) for name in ("bytes", "modified")}
        self._errors[row["path"]] = dict.fromkeys(COLUMNS) | state | {"path": row["path"], "error": error}
        return self._errors[row["path"]]

    def _scale(self) -> float | None:
        """The value of the strongest colour in all figures; None if there is none yet, or each has its own."""
        try:
            return float(json.loads((self.out / _PARTS / _SCALE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _redraw(self, pictures: Sequence[ExplainedPicture], load: Callable[[int], Explanation], scale: float) -> None:
        """Draw all figures with `scale`, unless they already have it."""
        if self._scale() == scale:
            return
        (self.out / _PARTS / _SCALE).unlink(missing_ok=True)  # a killed run leaves figures with two scales
        for number, picture in enumerate(pictures):
            draw(self.detector, picture, load(number), self.out, scale)
        _write(self.out / _PARTS / _SCALE, scale)


def chunks(pictures: Iterable[PendingPicture], size: int | None = None) -> Iterator[list[PendingPicture]]:
    """Lists of `size` pictures, by default `CHUNK`; the last may be shorter."""
    remaining = iter(pictures)
    while chunk := list(islice(remaining, size or CHUNK)):
        yield chunk


def _unique_name(path: Path, root: Path, taken: dict[str, str]) -> str:
    """A name below the output folder that no other picture has: its path from `root`, numbered if necessary."""
    stem = path.relative_to(root).as_posix().removesuffix(path.suffix)
    name, number = stem, 1
    while taken.get(name, str(path)) != str(path):
        number += 1
        name = f"{stem}-{number}"
    return name


def _stat(path: Path) -> tuple[int, int]:
    """Size and time of modification; (-1, -1) for a file that `predict` will report as unreadable."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _open_folder(out: Path, about: dict[str, Any]) -> None:
    """Create `out`; DataError where it contains something else, or the results of another model or other settings."""
    try:
        before = json.loads((out / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    if not before and not (out.is_dir() and any(not fnmatch(path.name, ".*.tmp") for path in out.iterdir())):
        out.mkdir(parents=True, exist_ok=True)
        _write(out / _ABOUT, about)
        return
    if not isinstance(before, dict) or "model" not in before:
        raise DataError(f"{out}: this folder contains something else; name a new or empty one")
    changed = [name for name in about | before if before.get(name) != about.get(name)]
    if changed:
        changes = ", ".join(f"{name} ({before.get(name)}, now {about.get(name)})" for name in changed)
        raise DataError(f"{out}: an earlier run here used another {changes}; name a new or empty folder, or delete it")


def _within(inner: Path, outer: Path) -> Path | None:
    """The path under which a walk through `outer` meets the folder `inner`; None where it does not."""
    real, above = inner.resolve(), outer.resolve()
    return outer / real.relative_to(above) if real.is_relative_to(above) else None


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Turn the errors of a disk into StorageError, which says what is wrong with it."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) or error from error


def _write(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
