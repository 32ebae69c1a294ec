"""Two models on art from other sources, against a plain computation."""

import numpy as np
import pandas as pd
import pytest

from artdetect.stats.paired_sources import log_loss_change


def table(seed: int, sizes: tuple[int, ...] = (3, 10, 25, 7, 14)) -> pd.DataFrame:
    """Pictures of sources of these sizes of each class; the seed draws their p(AI)."""
    rows = [
        (f"{label}{source}-{picture}", label, f"source {source}")  # both classes have sources of these names
        for label in ("AI", "human")
        for source, size in enumerate(sizes)
        for picture in range(size)
    ]
    p_ai = np.random.default_rng(seed).uniform(0.05, 0.95, len(rows))
    return pd.DataFrame(rows, columns=["sha256", "label", "group"]).assign(p_ai=p_ai)


def plain(judged: pd.DataFrame) -> float:
    """The mean over classes of the mean over sources, each counted as the root of its size."""
    losses = -np.log(judged.p_ai.where(judged.label == "AI", 1 - judged.p_ai))
    parts = losses.groupby([judged.label, judged.group]).agg(["mean", "size"])
    return float(np.mean([np.average(part["mean"], weights=part["size"] ** 0.5) for _, part in parts.groupby(level=0)]))


def test_losses_are_those_of_a_plain_computation_whatever_the_order() -> None:
    old, new = table(1), table(2)
    found = log_loss_change(old, new.sample(frac=1, random_state=3), 300, 1)
    assert isinstance(found, dict)
    assert (found["pictures"], found["sources"]) == (118, 10)
    assert (found["old"], found["new"]) == (pytest.approx(plain(old)), pytest.approx(plain(new)))
    change = found["change"]
    assert change["value"] == pytest.approx(plain(new) - plain(old))
    assert change["low"] < change["value"] < change["high"]
    assert found == log_loss_change(old.sample(frac=1, random_state=4), new, 300, 1)


def test_the_interval_is_as_wide_as_sources_differ_not_pictures() -> None:
    """All pictures of a source change by the same. The standard error is that of the mean of six sources a class."""
    shifts = np.array([-0.2, -0.1, 0.0, 0.1, 0.2, 0.3])
    old = table(1, (50,) * 6)
    losses = np.log(2) + shifts[old.group.str[-1].astype(int)]
    p_true = np.exp(-losses)
    old["p_ai"] = 0.5
    new = old.assign(p_ai=np.where(old.label == "AI", p_true, 1 - p_true))
    found = log_loss_change(old, new, 4000, 1)
    assert isinstance(found, dict)
    error = shifts.std() / 6**0.5 / 2**0.5
    assert found["change"]["value"] == pytest.approx(shifts.mean())
    assert found["change"]["high"] - found["change"]["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_pictures_whose_label_differs_do_not_count() -> None:
    old, new = table(1), table(2)
    new.loc[0, "label"] = "human"
    found = log_loss_change(old, new, 100, 1)
    assert isinstance(found, dict)
    assert found["pictures"] == 117


def test_a_class_with_few_common_sources_is_named() -> None:
    old, new = table(1), table(2)
    few = new[(new.label == "AI") | (new.group == "source 1")]
    found = log_loss_change(old, few, 100, 1)
    assert found == "both were judged on pictures of 5 AI and 1 human sources, and 4 of each are needed"
    assert "of 0 AI and 0 human" in str(log_loss_change(old, new.assign(sha256="none"), 100, 1))
