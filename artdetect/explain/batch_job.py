"""Explaining any pictures, however many: a folder in; figures, arrays and one table out.

Work goes in chunks, and each leaves a part of the table: a run that was cut off goes on behind its last chunk, and
pictures that were added later are explained alone. Nothing grows with the number of pictures but the list of rows.

What is explained stands while the picture is as it was and its figure and arrays are there. What could not be read is
tried again by each run.
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

from artdetect.core import digests
from artdetect.core.errors import DataError, PictureError, storage_error
from artdetect.explain import explanation as explanations
from artdetect.explain.config import ExplainConfig
from artdetect.explain.explained_pictures import ExplainedPicture, Unreadable, draw, explain, replacing, sweep, title
from artdetect.explain.figures.colour_scale import value_range
from artdetect.explain.result_shards import COLUMNS, ResultShards, table, text
from artdetect.explain.stage import cached_quality_check, measured, sheet
from artdetect.model import predict
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.explain.explanation import Explanation
    from artdetect.explain.figures.colour_scale import Scale
    from artdetect.model.detector import Detector

# Pictures between two parts of the table: what a kill costs, in figures only. Also what a cluster's worker takes: the
# same wherever it is done, since the last bits of gradients may depend on who is beside whom.
CHUNK = 64
TABLE = "explanations.parquet"
SHEET = "sheet"  # name of the contact sheet, which no picture's figure may have
_PARTS, _ABOUT, _SCALE = "parts", "explain.json", "scale.json"


@dataclass(frozen=True)
class PendingPicture:
    """A picture in a folder, and where its explanation goes."""

    path: Path
    name: str  # of figure and arrays below the output folder, without suffix
    size: int  # bytes
    modified: int  # nanoseconds since the epoch


class ExplanationJob:
    """Pictures to explain into a folder.

    Args:
        detector: Whose verdicts are explained.
        config: How.
        out: The folder for figures, arrays and table; new, empty, or of an earlier batch with the same model and
            settings, which is gone on with.

    Raises:
        DataError: `out` holds something else.
        ModelError: The model cannot be explained.
        StorageError: `out` cannot be written, here and in what follows.
    """

    def __init__(self, detector: Detector, config: ExplainConfig, out: Path):
        self.detector, self.config, self.out = detector, config, out
        self.explainer = config.explainer(detector)
        self.unchanged = 0  # pictures that `waiting` met and that were explained before
        self._errors: dict[str, dict[str, Any]] = {}  # of this run
        code = digests.value_digest(digests.code_digests(type(self.explainer).__module__))[:16]
        about = {"model": detector.id, "code": code, "common_scale": config.common_scale, **self.explainer.config}
        with _storing():
            _begin(out, about)
            self._parts = ResultShards(out / _PARTS)

    def waiting(self, sources: Iterable[Path]) -> Iterator[PendingPicture]:
        """The pictures of `sources`, files and folders, that have no explanation yet or changed since.

        What lies in the output folder is none of them.
        """
        rows = self.rows()
        known = {row.path: (row.bytes, row.modified) for row in rows.itertuples()}
        names = {SHEET: ""} | dict(zip(rows.name, rows.path, strict=True))
        met = set()
        for source in sources:
            folder = source.absolute() if source.is_dir() else source.absolute().parent
            own = _within(self.out, folder) if source.is_dir() else None
            for path in predict.find_pictures([source]):
                if str(path) in met or (own and path.is_relative_to(own)):
                    continue
                met.add(str(path))
                size, modified = _stat(path)
                if known.get(str(path)) == (size, modified):
                    self.unchanged += 1
                    continue
                name = _name(path, folder, names)
                names[name] = str(path)
                yield PendingPicture(path, name, size, modified)

    def explain(self, pictures: Sequence[PendingPicture]) -> Iterator[dict[str, Any]]:
        """Explain some pictures: the row of each when its figure and arrays are there; with an `error` if it has none.

        Their part of the table is written at the end.
        """
        with _storing():
            judged, done = [], []
            for row in self._judged(pictures):
                if row["error"] is None:
                    judged.append(row)
                else:
                    yield self._failed(row, row["error"])
            subjects = [_subject(row) for row in judged]
            scale = self._scale()
            for row, subject, found in zip(
                judged, subjects, explain(self.detector, self.explainer, self.config, subjects), strict=True
            ):
                try:
                    if isinstance(found, Unreadable):
                        raise found
                    draw(self.detector, subject, found, self.out, scale)
                except (DataError, PictureError) as error:
                    changed = f"{subject.path}: changed while it was explained: run again"
                    yield self._failed(row, changed if isinstance(error, DataError) else str(error))
                else:
                    low, high = value_range(found)
                    done.append({**row, **measured(found), "range_low": low, "range_high": high})
                    yield done[-1]
            self._parts.add(done)

    def heed(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take note of the rows with an error that others who take part in this batch met."""
        self._errors.update((row["path"], dict(row)) for row in rows)

    def finish(self) -> dict[str, Any] | None:
        """Write the whole table, a contact sheet of the first pictures, and the check of the maps, which it gives."""
        import pandas as pd

        rows = self.rows()
        subjects = [_subject(row) for row in rows.to_dict("records")]

        def found(number: int) -> Explanation:
            return explanations.load(self.out / f"{subjects[number].name}.npz")

        with _storing():
            scale = None
            if self.config.common_scale and subjects:
                scale = float(rows.range_low.min()), float(rows.range_high.max())
                self._redraw(subjects, found, scale)
            sheet(self.detector, subjects, found, self.out / f"{SHEET}.png", scale)
            answer = cached_quality_check(self.detector, self.explainer, self.config, subjects, found)
            _write(self.out / "quality.json", answer)
            whole = pd.concat([rows, table(self._errors.values())]).sort_values("path", ignore_index=True)
            with replacing(self.out / TABLE) as temporary:
                whole.to_parquet(temporary, index=False)
            sweep(self.out)
        return answer

    def rows(self) -> pd.DataFrame:
        """What is explained and stands: one row a picture, by path."""
        import numpy as np

        found = self._parts.read()
        states = zip(found.path, found.name, found.bytes, found.modified, strict=True)
        stands = [path not in self._errors and self._stands(path, *rest) for path, *rest in states]
        return found[np.array(stands, bool)].sort_values("path", ignore_index=True)

    def _stands(self, path: str, name: str, size: int, modified: int) -> bool:
        """Whether a picture is as it was and what its row says is there."""
        made = (self.out / f"{name}{suffix}" for suffix in (".png", ".npz"))
        return _stat(Path(path)) == (size, modified) and all(file.is_file() for file in made)

    def _judged(self, pictures: Sequence[PendingPicture]) -> Iterator[dict[str, Any]]:
        """A row for each picture: with its verdict, or with the error of one that cannot be read."""
        readable = {}
        for picture in pictures:
            if text(picture.path) == str(picture.path):
                readable[picture.path] = picture
            else:
                error = f"{text(picture.path)}: its name is not valid UTF-8: rename it"
                yield {"path": text(picture.path), "error": error}
        for verdict in predict.predict(self.detector, readable):
            picture = readable[Path(verdict.path)]
            row = {"name": picture.name, "bytes": picture.size, "modified": picture.modified, **verdict.as_dict()}
            if row["error"] is None:
                try:
                    row["sha256"] = digests.file_digest(picture.path)
                except OSError as error:
                    row["error"] = f"{picture.path}: cannot be read: {error.strerror}"
            yield row

    def _failed(self, row: Mapping[str, Any], error: str) -> dict[str, Any]:
        """The row of a picture without an explanation."""
        kept = {name: row.get(name, -1) for name in ("bytes", "modified")}
        self._errors[row["path"]] = dict.fromkeys(COLUMNS) | kept | {"path": row["path"], "error": error}
        return self._errors[row["path"]]

    def _scale(self) -> Scale | None:
        """The range in which all figures are drawn; None if there is none yet, or each has its own."""
        try:
            low, high = json.loads((self.out / _PARTS / _SCALE).read_text())
        except (OSError, ValueError):
            return None
        return low, high

    def _redraw(self, subjects: Sequence[ExplainedPicture], found: Callable[[int], Explanation], scale: Scale) -> None:
        if self._scale() == scale:
            return
        (self.out / _PARTS / _SCALE).unlink(missing_ok=True)  # or a killed run's figures would be of two ranges
        for number, subject in enumerate(subjects):
            draw(self.detector, subject, found(number), self.out, scale)
        _write(self.out / _PARTS / _SCALE, scale)


def chunks(pictures: Iterable[PendingPicture], size: int | None = None) -> Iterator[list[PendingPicture]]:
    """Lists of `size` pictures, `CHUNK` if left out; the last may be shorter."""
    remaining = iter(pictures)
    while chunk := list(islice(remaining, size or CHUNK)):
        yield chunk


def _subject(row: Mapping[str, Any]) -> ExplainedPicture:
    heading = title(row["verdict"], row["called"], row["p_ai"])
    return ExplainedPicture(Path(row["path"]), row["sha256"], row["name"], heading, CLASSES.index(row["called"]))


def _name(path: Path, root: Path, taken: dict[str, str]) -> str:
    """A name below the output folder that no other picture has: its place below `root`, numbered where need be."""
    place = path.relative_to(root).as_posix().removesuffix(path.suffix)
    name, number = place, 1
    while taken.get(name, str(path)) != str(path):
        number += 1
        name = f"{place}-{number}"
    return name


def _stat(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # predict says what is wrong with it
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _begin(out: Path, about: dict[str, Any]) -> None:
    """Make `out`; DataError where it holds something else, or was begun with another model or other settings."""
    try:
        before = json.loads((out / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    if not before and not (out.is_dir() and any(not fnmatch(path.name, ".*.tmp") for path in out.iterdir())):
        out.mkdir(parents=True, exist_ok=True)
        _write(out / _ABOUT, about)
        return
    if not isinstance(before, dict) or "model" not in before:
        raise DataError(f"{out}: this folder holds something else; name a new or empty one")
    changed = [name for name in about | before if before.get(name) != about.get(name)]
    if changed:
        said = ", ".join(f"{name} ({before.get(name)}, now {about.get(name)})" for name in changed)
        raise DataError(f"{out}: this folder was begun with another {said}; name a new or empty one, or delete it")


def _within(inner: Path, outer: Path) -> Path | None:
    """Where a walk through `outer` meets the folder `inner`, if it does."""
    real, above = inner.resolve(), outer.resolve()
    return outer / real.relative_to(above) if real.is_relative_to(above) else None


@contextmanager
def _storing() -> Iterator[None]:
    """Says what is wrong with a disk."""
    try:
        yield
    except OSError as error:
        raise storage_error(error) or error from error


def _write(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
