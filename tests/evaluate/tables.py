"""Made-up predictions."""

import numpy as np
import pandas as pd


def predictions(*groups: tuple[str, str, int], style: str = "baroque") -> pd.DataFrame:
    """Groups of (label, called, pictures); p_ai and verdict fit."""
    rows = [
        (label, style, "latent_diffusion" if label == "AI" else "human", 0.9 if called == "AI" else 0.1, called, called)
        for label, called, count in groups
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["label", "style", "generator", "p_ai", "called", "verdict"])


def scored(ai: int, human: int, seed: int = 0, skill: float = 1.0, digits: int = 2) -> pd.DataFrame:
    """What a detector of some skill would say of so many pictures; rounded, so that scores are tied."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(["AI"] * ai + ["human"] * human)
    p_ai = (1 / (1 + np.exp(-rng.normal(np.where(label == "AI", skill, -skill), 1.5)))).round(digits)
    called = np.where(p_ai >= 0.5, "AI", "human")
    return pd.DataFrame(
        {
            "path": [f"test/dots/{number:04d}.jpg" for number in range(ai + human)],
            "sha256": [f"{number:064x}" for number in range(ai + human)],
            "label": label,
            "style": rng.choice(["baroque", "cubism"], ai + human),
            "generator": np.where(label == "AI", rng.choice(["sd", "ld"], ai + human), "human"),
            "p_ai": p_ai,
            "called": called,
            "verdict": np.where(np.abs(p_ai - 0.5) < 0.2, "unsure", called),
        }
    )
