"""The worst mistakes, and the training pictures that look most like them to the model: for people to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate.selective_prediction import threshold_distance
from artdetect.pictures.contact_sheet import Card, Thumbnail, render

if TYPE_CHECKING:
    import pandas as pd

MAX_ERRORS = 24  # mistakes listed
NEAREST = 3  # training pictures beside each
CHUNK = 8192  # embeddings of training pictures compared at a time
NEIGHBOURS = "neighbours.npz"  # of artnet's artifact: sha256 S64 [N] and embedding float16 [N, K]


def worst(predictions: "pd.DataFrame", threshold: float) -> "pd.DataFrame":
    """Up to `MOST` pictures on the wrong side of the threshold, the surest first; each content once."""
    wrong = predictions[predictions.called != predictions.label].drop_duplicates("sha256")
    order = np.lexsort((wrong.path, -threshold_distance(wrong.p_ai.to_numpy(), threshold)))
    return wrong.iloc[order[:MAX_ERRORS]]


def worst_errors(
    wrong: "pd.DataFrame", embedding: np.ndarray | None, known: "pd.DataFrame", train_folder: Path
) -> list[dict[str, Any]]:
    """A row a mistake: path, label, generator, style, p_ai, verdict, and its nearest training pictures.

    Those are up to `NEAREST` of path, label, generator, distance, which is Euclidean in the model's embedding; none
    where the model's artifact has no embeddings.

    Args:
        embedding: of the mistakes `(M, K)`. known: sha256, path, label, generator of the pictures at hand: a model may
            have learnt from some that are gone since, which are not shown.
    """
    file = train_folder / NEIGHBOURS
    near: list[list[dict[str, Any]]] = [[] for _ in range(len(wrong))]
    if embedding is not None and len(wrong) and file.is_file():
        of = known.drop_duplicates("sha256").set_index("sha256")[["path", "label", "generator"]]
        with np.load(file) as learnt:
            sha256s, points = learnt["sha256"].astype("str"), learnt["embedding"]
        there = np.isin(sha256s, of.index.to_numpy(str))
        sha256s, points = sha256s[there], points[there]
        if len(points):
            rows, distances = nearest(embedding, points)
            near = [
                [
                    of.loc[sha256].to_dict() | {"distance": float(distance)}
                    for sha256, distance in zip(sha256s[row], far, strict=True)
                ]
                for row, far in zip(rows, distances, strict=True)
            ]
    columns = ["path", "label", "generator", "style", "p_ai", "verdict"]
    return [row | {"nearest": found} for row, found in zip(wrong[columns].to_dict("records"), near, strict=True)]


def nearest(points: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `known` `(N, K)` nearest to each of the points `(M, K)`, and how far: `(M, n)` each, nearest first."""
    from scipy.spatial.distance import cdist

    parts = [cdist(points, known[start : start + CHUNK].astype(float)) for start in range(0, len(known), CHUNK)]
    distances = np.concatenate(parts, axis=1)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
    return rows, np.take_along_axis(distances, rows, axis=1)


def write_sheet(
    wrong: "pd.DataFrame", found: list[dict[str, Any]], known: "pd.DataFrame", pictures: Path, out: Path
) -> None:
    """Write the mistakes to `out` as PNG, each beside its nearest training picture; nothing where there are none.

    Args:
        wrong, found, known: as `mistakes` takes and gives them. pictures: the data set's root.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: its content is another than the tables say.
    """
    if not found:
        return
    content = dict(zip(known.path, known.sha256, strict=True))
    cards = []
    for sha256, row in zip(wrong.sha256, found, strict=True):
        thumbnails = [Thumbnail(row["path"], sha256, f"is {row['label']} · p(AI) {row['p_ai']:.3f}")]
        for near in row["nearest"][:1]:
            said = f"trained as {near['label']} · {near['distance']:.1f} away"
            thumbnails.append(Thumbnail(near["path"], content[near["path"]], said))
        note = f"{row['generator']}, {row['style']}"
        cards.append(Card(note if row["verdict"] == "unsure" else f"{note}: called {row['verdict']}", thumbnails))
    render({"The surest mistakes": cards}, pictures).save(out)
