"""Synthetic artifacts of an index, an audit, a balance and evaluations, with a given number of right predictions."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

Rights = Mapping[str, tuple[int, ...]]  # folder -> pictures, right for champion, challenger and, optionally, reference


def artifacts(root: Path, groups: Rights) -> dict[str, Path]:
    """Write index, audit, balance and the evaluations champion, challenger and reference, without near-duplicates.

    Each group's first pictures are the right ones. A group is a folder of the index, such as test/AI_SD_dots,
    test/dots, incoming/AI/flux, incoming/human/met.
    """
    rows = []
    sides = ("champion", "challenger", "reference")
    for folder, (pictures, *right) in groups.items():
        label = "AI" if "AI" in folder.replace("_", "/").split("/") else "human"
        generator = folder.split("/")[-1] if folder.startswith("incoming/AI") else "SD" if label == "AI" else "human"
        for number in range(pictures):
            path = f"{folder}/{number:03d}.jpg"
            origin = "incoming" if path.startswith("incoming") else "raw"
            hits = (number < (*right, *right[:1])[side] for side in range(3))  # without a reference, the champion is it
            rows.append((path, f"{len(rows):064x}", label, generator, origin, *hits))
    columns = ["path", "sha256", "label", "generator", "origin", *sides]
    table = pd.DataFrame(rows, columns=columns).sort_values("path", ignore_index=True)
    folders = {name: root / name for name in ("index", "audit", "balance", *sides)}
    for folder in folders.values():
        folder.mkdir(parents=True)
    table[["path", "sha256", "origin"]].to_parquet(folders["index"] / "index.parquet")
    groups = pd.DataFrame({"path": pd.Series(dtype=str), "group": pd.Series(dtype="int64")})
    groups.to_parquet(folders["audit"] / "groups.parquet")
    balance = table[["path", "sha256", "label", "generator"]].assign(split="test")
    train = balance.iloc[:1].assign(path="train/dots/0.jpg", sha256="t", split="train")
    pd.concat([balance, train]).to_parquet(folders["balance"] / "balance.parquet")
    for side in sides:
        predicted = np.where(table[side], table.label, np.where(table.label == "AI", "human", "AI"))
        predictions = table.assign(predicted=predicted, p_ai=np.where(predicted == "AI", 0.9, 0.1))
        predictions = predictions.assign(verdict=predicted)
        predictions[["path", "sha256", "p_ai", "predicted", "verdict"]].to_parquet(
            folders[side] / "predictions.parquet"
        )
    return folders


def out_of_source_table(file: Path, p_true: float, sources: int = 6, spread: float = 0.0, skip: int = 0) -> None:
    """Write what each of 20 pictures of each of some sources of both classes is called: p(AI) is `p_true` for AI.

    Args:
        spread: By how much p_true of the last source is less than that of the first.
        skip: Sources of each class that are left out.
    """
    rows = [
        (f"{label}{source}{picture}", label, f"{label} {source}", p if label == "AI" else 1 - p)
        for label in ("AI", "human")
        for source in range(skip, sources)
        for picture in range(20)
        for p in (p_true - spread * source / (sources - 1),)
    ]
    pd.DataFrame(rows, columns=["sha256", "label", "group", "p_ai"]).to_parquet(file)


def robustness_tables(folders: Mapping[str, Path], champion: float, challenger: float, pictures: int = 20) -> None:
    """Write the robustness tables, in which each side is right on a given share of two degradations of each picture."""
    for side, right in (("champion", champion), ("challenger", challenger)):
        hits = np.arange(2 * pictures) < right * 2 * pictures
        table = pd.DataFrame(
            {
                "sha256": [f"{number // 2:064x}" for number in range(2 * pictures)],
                "label": "AI",
                "condition": ["JPEG 50", "blur 1"] * pictures,
                "predicted": np.where(hits, "AI", "human"),
            }
        )
        clean = table.assign(condition="clean", predicted="human")
        pd.concat([clean, table]).to_parquet(folders[side] / "robustness.parquet")
