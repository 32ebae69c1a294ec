"""Explaining any pictures, however many: a folder in; figures, arrays and one table out.

Work goes in chunks, and each leaves a part of the table: a run that was cut off goes on behind its last chunk, and
pictures that were added later are explained alone. Nothing grows with the number of pictures but the list of rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import digests, predict
from artdetect.errors import DataError, StorageError
from artdetect.explain.settings import ExplainConfig
from artdetect.explain.stage import checked, measured, sheet
from artdetect.explain.subjects import Subject, draw, explain, title
from artdetect.labels import CLASSES

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.detector import Detector
    from artdetect.explain.explanation import Explanation

CHUNK = 64  # pictures between two parts of the table: what a kill costs, in figures only
TABLE = "explanations.parquet"
_PARTS, _ABOUT = "parts", "explain.json"


@dataclass(frozen=True)
class Picture:
    """A picture in a folder, and where its explanation goes."""

    path: Path
    name: str  # of figure and arrays below the output folder, without suffix
    size: int  # bytes
    modified: int  # nanoseconds since the epoch


class Batch:
    """Pictures to explain into a folder.

    Args:
        detector: Whose verdicts are explained.
        config: How.
        out: The folder for figures, arrays and table; new, empty, or of an earlier batch with the same model and
            settings, which is gone on with.

    Raises:
        DataError: `out` holds something else.
        ModelError: The model cannot be explained.
    """

    def __init__(self, detector: Detector, config: ExplainConfig, out: Path):
        self.detector, self.config, self.out = detector, config, out
        self.explainer = config.explainer(detector)
        self._parts = out / _PARTS
        about = {
            "model": detector.id,
            "explainer": self.explainer.config,
            "code": digests.of_value(digests.of_code(type(self.explainer).__module__))[:16],
        }
        if out.is_dir() and any(out.iterdir()):
            _same(out, about)
        self._parts.mkdir(parents=True, exist_ok=True)
        _write(out / _ABOUT, json.dumps(about, indent=1))

    def waiting(self, sources: Sequence[Path]) -> Iterator[Picture]:
        """The pictures of `sources`, files and folders, that have no explanation yet or changed since."""
        rows = self.rows()
        known = {row.path: (row.bytes, row.modified) for row in rows.itertuples() if self._stands(row)}
        names = dict(zip(rows.name, rows.path, strict=True))
        for source in sources:
            root = source.absolute() if source.is_dir() else source.absolute().parent
            for path in predict.find_pictures([source]):
                size, modified = _stat(path)
                if known.get(str(path)) == (size, modified):
                    continue
                name = _name(path, root, names)
                names[name] = str(path)
                yield Picture(path, name, size, modified)

    def explain(self, pictures: Sequence[Picture]) -> Iterator[dict[str, Any]]:
        """Explain some pictures: the row of each when its figure and arrays are there, those with an `error` first.

        Their part of the table is written at the end.
        """
        by_path = {picture.path: picture for picture in pictures}
        rows: dict[Path, dict[str, Any]] = {}
        subjects = []
        for verdict in predict.predict(self.detector, by_path):
            picture = by_path[Path(verdict.path)]
            row = {"name": picture.name, "bytes": picture.size, "modified": picture.modified, **verdict.as_dict()}
            rows[picture.path] = row
            if row["error"] is None:
                row["sha256"] = digests.of_file(picture.path)
                subjects.append(_subject(row))
            else:
                yield row
        for subject, found in zip(subjects, explain(self.detector, self.explainer, self.config, subjects), strict=True):
            draw(self.detector, subject, found, self.out)
            rows[subject.path] |= measured(found)
            yield rows[subject.path]
        self._keep(list(rows.values()))

    def finish(self) -> dict[str, Any] | None:
        """Write the whole table, a contact sheet of the first pictures, and the check of the maps, which it gives."""
        from artdetect.explain import explanation as explanations
        from artdetect.explain import figures

        rows = self.rows()
        rows.to_parquet(_temporary(self.out / TABLE), index=False)
        _temporary(self.out / TABLE).replace(self.out / TABLE)
        subjects = [_subject(row) for row in rows[rows.error.isna()].to_dict("records")]

        def found(number: int) -> Explanation:
            return explanations.load(self.out / f"{subjects[number].name}.npz")

        if self.config.common_scale and subjects:
            scale = figures.common_range(map(found, range(len(subjects))))
            for number, subject in enumerate(subjects):
                draw(self.detector, subject, found(number), self.out, scale)
        sheet(self.detector, subjects, found, self.out / "sheet.png")
        answer = checked(self.detector, self.explainer, self.config, subjects, found)
        _write(self.out / "quality.json", json.dumps(answer, indent=1))
        return answer

    def rows(self) -> pd.DataFrame:
        """What is explained so far: one row a picture, by path; a later part wins."""
        import pandas as pd

        parts = [pd.read_parquet(path) for path in sorted(self._parts.glob("*.parquet"))]
        table = pd.concat(parts) if parts else pd.DataFrame(columns=list(_COLUMNS)).astype(_COLUMNS)
        return table.drop_duplicates("path", keep="last").sort_values("path", ignore_index=True)

    def _stands(self, row: Any) -> bool:
        """Whether what a row says is there."""
        made = [self.out / f"{row.name}{suffix}" for suffix in (".png", ".npz")]
        return isinstance(row.error, str) or all(path.is_file() for path in made)

    def _keep(self, rows: Sequence[dict[str, Any]]) -> None:
        import pandas as pd

        taken = [int(path.stem) for path in self._parts.glob("*.parquet")]
        place = self._parts / f"{max(taken, default=-1) + 1:06d}.parquet"
        table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
        table.to_parquet(_temporary(place), index=False)
        _temporary(place).replace(place)


_COLUMNS = {
    "path": "string",
    "name": "string",
    "verdict": "string",
    "called": "string",
    "p_ai": "float64",
    "novelty": "float64",
    "generator": "string",
    "model": "string",
    "error": "string",
    "sha256": "string",
    "score": "float64",
    "completeness_error": "float64",
    "top_share": "float64",
    "bytes": "int64",
    "modified": "int64",
}


def chunks(pictures: Iterable[Picture], size: int = CHUNK) -> Iterator[list[Picture]]:
    """Lists of `size` pictures; the last may be shorter."""
    remaining = iter(pictures)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _subject(row: Mapping[str, Any]) -> Subject:
    heading = title(row["verdict"], row["called"], row["p_ai"])
    return Subject(Path(row["path"]), row["sha256"], row["name"], heading, CLASSES.index(row["called"]))


def _name(path: Path, root: Path, taken: dict[str, str]) -> str:
    """A name below the output folder that no other picture has: its place below `root`, numbered where need be."""
    place = path.relative_to(root).with_suffix("").as_posix()
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


def _same(out: Path, about: dict[str, Any]) -> None:
    """DataError unless `out` was begun with the same model and settings."""
    try:
        before = json.loads((out / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{out}: this folder holds something else; name a new or empty one") from None
    changed = [name for name in about if before.get(name) != about[name]]
    if changed:
        raise DataError(
            f"{out}: this folder was begun with another {' and '.join(changed)} ({before.get('model')}); "
            "name a new or empty one, or delete it"
        )


def _temporary(path: Path) -> Path:
    return path.with_suffix(f".{os.getpid()}.tmp")


def _write(path: Path, text: str) -> None:
    try:
        _temporary(path).write_text(text, encoding="utf-8")
        _temporary(path).replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
