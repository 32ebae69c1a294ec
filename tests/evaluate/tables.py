"""Synthetic predictions."""

import numpy as np
import pandas as pd


def predictions(*groups: tuple[str, str, int], style: str = "baroque") -> pd.DataFrame:
    """Predictions of groups (label, predicted, pictures); p_ai and verdict agree with `predicted`."""
    rows = [(label, style, predicted) for label, predicted, count in groups for _ in range(count)]
    table = pd.DataFrame(rows, columns=["label", "style", "predicted"])
    return table.assign(
        generator=np.where(table.label == "AI", "latent_diffusion", "human"),
        p_ai=np.where(table.predicted == "AI", 0.9, 0.1),
        verdict=table.predicted,
    )


def scored(ai: int, human: int, seed: int = 0, skill: float = 1.0, digits: int = 2) -> pd.DataFrame:
    """Predictions of a detector with some skill; the scores are rounded, so that some are tied."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(["AI"] * ai + ["human"] * human)
    p_ai = (1 / (1 + np.exp(-rng.normal(np.where(label == "AI", skill, -skill), 1.5)))).round(digits)
    predicted = np.where(p_ai >= 0.5, "AI", "human")
    return pd.DataFrame(
        {
            "path": [f"test/dots/{number:04d}.jpg" for number in range(ai + human)],
            "sha256": [f"{number:064x}" for number in range(ai + human)],
            "label": label,
            "style": rng.choice(["baroque", "cubism"], ai + human),
            "generator": np.where(label == "AI", rng.choice(["sd", "ld"], ai + human), "human"),
            "p_ai": p_ai,
            "predicted": predicted,
            "verdict": np.where(np.abs(p_ai - 0.5) < 0.2, "unsure", predicted),
        }
    )
