"""Evaluated models, over artifacts that the store builds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from artdetect.artifacts import store
from artdetect.core import digests
from artdetect.train import out_of_source
from artdetect.train.out_of_source import OutOfSource

OLD, NEW = "0123456789abcdef", "fedcba9876543210"
MODULES = {"artdetect.pictures.images": "1" * 16, "artdetect.pictures.labels": "2" * 16}
PACKAGES = {"python": "3.11", "keras": "3.14.0"}


@pytest.fixture(autouse=True)
def root(roots: Path) -> Path:
    return roots / "artifacts"


def pictures(count: int = 240, split: str = "test") -> pd.DataFrame:
    """Rows of an index; a third is human."""
    generators = ("human", "latent_diffusion", "stable_diffusion")
    rows = [
        (f"{split}/{generator}_{style}/{number:05d}.jpg", digests.value_digest([split, number]), style, generator)
        for number in range(count)
        for generator, style in [(generators[number % 3], ("baroque", "cubism")[number // 3 % 2])]
    ]
    table = pd.DataFrame(rows, columns=["path", "sha256", "style", "generator"])
    table.insert(2, "label", np.where(table.generator == "human", "human", "AI"))
    return table


def predicted(table: pd.DataFrame, seed: int, skill: float = 1.0, digits: int = 2) -> pd.DataFrame:
    """Predictions of a model with some skill; the scores are rounded, so that some are tied."""
    logits = np.random.default_rng(seed).normal(np.where(table.label == "AI", skill, -skill))
    p_ai = (1 / (1 + np.exp(-logits))).round(digits)
    return table.assign(p_ai=p_ai, verdict=np.where(p_ai >= 0.5, "AI", "human"))


def evaluated(
    key: str,
    predictions: pd.DataFrame,
    trained: dict[str, Any] | None = None,
    modules: dict[str, str] = MODULES,
    packages: dict[str, str] = PACKAGES,
    training: pd.DataFrame | None = None,
    model: str = "",
    judged: pd.DataFrame | None = None,
) -> Path:
    """Build the evaluation `key` of a model `1<key>` that was trained on the balance `2<key>`; return its folder."""
    parts: dict[str, Any] = {"code": modules, "packages": packages}
    training = pictures(12, "train").assign(split="train") if training is None else training
    tested = predictions[["path", "sha256", "label", "style", "generator"]].assign(split="test")
    with store.build("balance", f"2{key}", parts | {"config": {"held_out_generators": []}, "inputs": {}}) as out:
        pd.concat([training, tested]).to_parquet(out / "balance.parquet", index=False)
    inputs = {"balance": store.load("balance", f"2{key}").digest}
    config = {"preset": "compact", "epochs": 20} | (trained or {})
    with store.build("train", f"1{key}", parts | {"config": config, "inputs": inputs}) as out:
        (out / "model.keras").write_text(model or key)
        if judged is not None:
            judged.to_parquet(out / "out_of_source.parquet")
            found = out_of_source.summary(OutOfSource(judged, {"AI": 5, "human": 5}))
            (out / "metrics.json").write_text(json.dumps({"out_of_source": found}))
    inputs["train"] = store.load("train", f"1{key}").digest
    with store.build("evaluate", key, parts | {"config": {"seed": 129}, "inputs": inputs}) as out:
        predictions.to_parquet(out / "predictions.parquet", index=False)
    return store.place("evaluate", key)


def evaluated_again(model: str, **inputs: str) -> Path:
    """Build a later evaluation of the model of the evaluation `model`, with further inputs; return its folder."""
    inputs["train"] = store.load("train", f"1{model}").digest
    with store.build("evaluate", "again", {"inputs": inputs}) as out:
        predicted(pictures(), 1).to_parquet(out / "predictions.parquet", index=False)
    return store.place("evaluate", "again")


@pytest.fixture
def pair() -> tuple[Path, Path]:
    """A poor model and a good one, with different settings."""
    test = pictures()
    training = pd.concat([pictures(9, "train"), pictures(30, "more").query("generator == 'latent_diffusion'")])
    return (
        evaluated(OLD, predicted(test, 1, 0.6)),
        evaluated(
            NEW, predicted(test, 2, 2), {"epochs": 22, "precision": "bfloat16"},
            MODULES | {"artdetect.pictures.images": "3" * 16}, PACKAGES | {"keras": "3.15.1"},
            training.assign(split="train"),
        ),
    )  # fmt: skip
