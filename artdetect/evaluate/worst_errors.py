"""The worst errors, beside the training pictures that look most like them to the model, for people to inspect."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.artifacts import file_names
from artdetect.model.decision import UNSURE, threshold_distance
from artdetect.pictures.contact_sheet import Card, Thumbnail, render

if TYPE_CHECKING:
    import pandas as pd

MAX_ERRORS = 24  # errors listed
NEAREST = 3  # training pictures beside each
CHUNK = 8192  # embeddings of training pictures compared at a time


def worst(predictions: "pd.DataFrame", threshold: float) -> "pd.DataFrame":
    """Up to `MAX_ERRORS` wrong predictions, the most confident first; each content once."""
    errors = predictions[predictions.predicted != predictions.label].drop_duplicates("sha256")
    order = np.lexsort((errors.path, -threshold_distance(errors.p_ai.to_numpy(), threshold)))
    return errors.iloc[order[:MAX_ERRORS]]


def worst_errors(
    errors: "pd.DataFrame", embedding: np.ndarray | None, balance: "pd.DataFrame", train_folder: Path
) -> list[dict[str, Any]]:
    """Describe each error, with the training pictures that are nearest to it in the model's embedding.

    Args:
        errors: Rows of `worst`.
        embedding: The errors' embeddings `(M, K)`, None where the model has none.
        balance: sha256, path, label, generator of the available pictures. The model may have been trained on others,
            too, which no longer exist; those are not shown.
        train_folder: The model's artifact. Its file `file_names.NEIGHBOURS`, if there is one, has the embeddings of the
            training pictures: sha256 S64 `(N,)` and embedding float16 `(N, K)`.

    Returns:
        One row per error: path, label, generator, style, p_ai, verdict, nearest. The latter lists path, label,
        generator and (Euclidean) distance of up to `NEAREST` training pictures, none where there are no embeddings.
    """
    neighbours: list[list[dict[str, Any]]] = [[] for _ in range(len(errors))]
    file = train_folder / file_names.NEIGHBOURS
    if embedding is not None and len(errors) and file.is_file():
        available = balance.drop_duplicates("sha256").set_index("sha256")[["path", "label", "generator"]]
        with np.load(file) as arrays:
            sha256s, points = arrays["sha256"].astype("str"), arrays["embedding"]
        exist = np.isin(sha256s, available.index.to_numpy(str))
        sha256s, points = sha256s[exist], points[exist]
        if len(points):
            rows, distances = nearest(embedding, points)
            neighbours = [
                [
                    available.loc[sha256].to_dict() | {"distance": float(distance)}
                    for sha256, distance in zip(sha256s[row], row_distances, strict=True)
                ]
                for row, row_distances in zip(rows, distances, strict=True)
            ]
    columns = ["path", "label", "generator", "style", "p_ai", "verdict"]
    return [row | {"nearest": near} for row, near in zip(errors[columns].to_dict("records"), neighbours, strict=True)]


def nearest(points: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the `NEAREST` candidates of each point.

    Args:
        points: float `(M, K)`.
        candidates: float `(N, K)`.

    Returns:
        Row numbers of the candidates and their Euclidean distances, nearest first: `(M, n)` each.
    """
    from scipy.spatial.distance import cdist

    chunks = [candidates[start : start + CHUNK].astype(float) for start in range(0, len(candidates), CHUNK)]
    distances = np.concatenate([cdist(points, chunk) for chunk in chunks], axis=1)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
    return rows, np.take_along_axis(distances, rows, axis=1)


def write_sheet(
    errors: "pd.DataFrame", described: list[dict[str, Any]], balance: "pd.DataFrame", pictures: Path, out: Path
) -> None:
    """Write a contact sheet of the errors, each beside its nearest training picture; nothing if there are no errors.

    Args:
        errors: Rows of `worst`.
        described: The result of `worst_errors` for them.
        balance: path and sha256 of the available pictures.
        pictures: The data set's root.
        out: The PNG to write.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: a picture's content differs from the tables.
    """
    if not described:
        return
    content = dict(zip(balance.path, balance.sha256, strict=True))
    cards = []
    for sha256, row in zip(errors.sha256, described, strict=True):
        thumbnails = [Thumbnail(row["path"], sha256, f"is {row['label']} · p(AI) {row['p_ai']:.3f}")]
        for near in row["nearest"][:1]:
            caption = f"trained as {near['label']} · {near['distance']:.1f} away"
            thumbnails.append(Thumbnail(near["path"], content[near["path"]], caption))
        note = f"{row['generator']}, {row['style']}"
        cards.append(Card(note if row["verdict"] == UNSURE else f"{note}: verdict {row['verdict']}", thumbnails))
    render({"Worst errors": cards}, pictures).save(out)
