"""The other methods of balancing, and held-out generators."""

import pandas as pd
import pytest

from artdetect.balance import BalanceConfig, balance
from artdetect.core.errors import DataError

from .tables import INDEX, LD, SD, add_row, balanced, counts, digest, exact_groups, groups_table, split, stratum_paths


@pytest.mark.parametrize("method", ["weights", "none"])
def test_every_picture_is_used_without_undersampling(method: str) -> None:
    found = balanced(INDEX, BalanceConfig(method=method))
    assert set(found.path) == set(INDEX.path)
    assert counts(found)["validation", "human"] == 12  # a tenth of 121
    assert counts(found)["validation", "AI"] == 24  # a tenth of 240


def test_weights_make_the_classes_equal() -> None:
    found = balanced(INDEX, BalanceConfig(method="weights"))
    for name, humans, others in (("train", 109, 216), ("validation", 12, 24)):
        weight = split(found, name).groupby("label").weight
        assert (weight.nunique() == 1).all()
        assert weight.first().to_dict() == pytest.approx(
            {"human": (humans + others) / 2 / humans, "AI": (humans + others) / 2 / others}
        )
    assert set(split(found, "test").weight) == {1.0}


@pytest.mark.parametrize("method", ["undersample", "none"])
def test_other_methods_give_weight_one(method: str) -> None:
    assert set(balanced(INDEX, BalanceConfig(method=method)).weight) == {1.0}


def with_held_out(*generators: str, table: pd.DataFrame = INDEX, groups: pd.DataFrame | None = None) -> pd.DataFrame:
    return balance(
        table,
        exact_groups(table) if groups is None else groups,
        BalanceConfig(method="undersample", held_out_generators=generators),
    )


def test_a_held_out_generator_is_only_held_out_and_in_test() -> None:
    found = with_held_out("stable_diffusion")
    held = found[found.generator == "stable_diffusion"]
    assert held.split.value_counts().to_dict() == {"held_out": 80, "test": 5}
    assert set(held.weight) == {1.0}
    assert set(split(found, "test").path) == set(split(INDEX, "test").path)
    assert {key: count for key, count in counts(found).items() if key[0] in ("train", "validation")} == {
        ("train", "AI"): 109, ("train", "human"): 109, ("validation", "AI"): 12, ("validation", "human"): 12,
    }  # fmt: skip


def test_held_out_pictures_have_no_duplicate_in_train_or_test() -> None:
    held = stratum_paths(*SD, "baroque", 4)
    groups = groups_table(
        [held[0], *stratum_paths(*LD, "baroque", 1)], [held[1], *stratum_paths(*LD, "baroque", 1, "test")], held[2:4],
    )  # fmt: skip
    table = add_row(INDEX, path="train/copy.jpg", sha256=digest(held[2]), label="AI", generator="stable_diffusion")
    found = with_held_out("stable_diffusion", table=table, groups=groups)
    assert set(split(found, "held_out").path) & {*held, "train/copy.jpg"} == {held[2], held[3]}
    learnable = split(
        balance(table, groups, BalanceConfig(method="none", held_out_generators=("stable_diffusion",))), "train"
    )
    assert stratum_paths(*LD, "baroque", 1)[0] in set(learnable.path)  # the near-duplicate in train stays


@pytest.mark.parametrize("name", ["SD", "human", "dall-e"])
def test_an_unknown_generator_is_an_error_with_the_known_ones(name: str) -> None:
    with pytest.raises(DataError, match=rf"names '{name}'.*latent_diffusion, stable_diffusion"):
        with_held_out(name)


def test_at_least_one_generator_must_remain() -> None:
    with pytest.raises(DataError, match="names every AI generator"):
        with_held_out("stable_diffusion", "latent_diffusion")
