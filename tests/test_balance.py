import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from artdetect import balance as stage
from artdetect.balance import BalanceConfig, balance
from artdetect.core.errors import DataError

CONFIG = BalanceConfig(method="undersample")
HUMAN, LD, SD = ("human", "human"), ("AI", "latent_diffusion"), ("AI", "stable_diffusion")
Strata = dict[tuple[str, tuple[str, str], str], int]  # (split, (label, generator), style) -> pictures
STRATA: Strata = {
    ("train", HUMAN, "baroque"): 90, ("train", HUMAN, "ukiyo_e"): 31,
    ("train", LD, "baroque"): 120, ("train", LD, "ukiyo_e"): 40,
    ("train", SD, "baroque"): 77, ("train", SD, "ukiyo_e"): 3,
    ("test", HUMAN, "baroque"): 10, ("test", LD, "baroque"): 15, ("test", SD, "ukiyo_e"): 5,
}  # fmt: skip


def rows(strata: Strata) -> pd.DataFrame:
    """An index with so many pictures; the content of each is its path."""
    found = []
    for (split, (label, generator), style), count in strata.items():
        for number in range(count):
            path = f"{split}/{label}-{generator}-{style}/{number:04d}.jpg"
            found.append((path, digest(path), label, style, generator, split, True))
    return pd.DataFrame(found, columns=["path", "sha256", "label", "style", "generator", "split", "ok"])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def split(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table.split == name]


def with_row(table: pd.DataFrame, **changes: object) -> pd.DataFrame:
    """Another row, like the first but for the changes."""
    return pd.concat([table, table.iloc[[0]].assign(**changes)], ignore_index=True)


def grouped(*groups: list[str]) -> pd.DataFrame:
    """The audit's groups.parquet: the paths of each group of duplicates."""
    found = [(path, number) for number, paths in enumerate(groups) for path in paths]
    return pd.DataFrame(found, columns=["path", "group"]).astype({"path": "str", "group": "int64"})


def copies(table: pd.DataFrame) -> pd.DataFrame:
    """Groups of exact duplicates alone, as the audit finds them."""
    readable = table[table.ok & table.duplicated("sha256", keep=False)]
    return grouped(*(list(paths) for _, paths in readable.groupby("sha256").path))


def drawn(table: pd.DataFrame, config: BalanceConfig = CONFIG) -> pd.DataFrame:
    """The balance of a table without near-duplicates."""
    return balance(table, copies(table), config)


def counts(balanced: pd.DataFrame) -> dict[tuple[str, str], int]:
    """(split, label) -> pictures."""
    return balanced.groupby(["split", "label"]).size().to_dict()


INDEX = rows(STRATA)
DRAWN = drawn(INDEX)


@given(st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_the_order_of_the_rows_decides_nothing(random) -> None:
    order = list(range(len(INDEX)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(drawn(INDEX.iloc[order]), DRAWN)


def test_the_order_decides_nothing_among_copies_either() -> None:
    copied = pd.concat([INDEX, INDEX.assign(path="train/zz/" + INDEX.path.str.replace("/", "-"))], ignore_index=True)
    copied.loc[len(INDEX) :, "split"] = "train"
    expected = drawn(copied)
    for seed in range(5):
        pd.testing.assert_frame_equal(drawn(copied.sample(frac=1, random_state=seed)), expected)


def test_another_seed_draws_others() -> None:
    other = drawn(INDEX, BalanceConfig(method="undersample", seed=130))
    assert len(other) == len(DRAWN)
    for name in ("train", "validation"):
        assert set(split(other, name).path) != set(split(DRAWN, name).path)
    assert set(split(other, "test").path) == set(split(DRAWN, "test").path)


def test_train_and_validation_have_equal_classes() -> None:
    for name, expected in (("train", 109), ("validation", 12)):
        assert split(DRAWN, name).label.value_counts().to_dict() == {"AI": expected, "human": expected}


def test_the_test_set_is_that_of_the_data_set_whole() -> None:
    assert set(split(DRAWN, "test").path) == set(split(INDEX, "test").path)


def test_validation_comes_out_of_train() -> None:
    from_train = set(split(INDEX, "train").path)
    assert set(split(DRAWN, "validation").path) <= from_train
    assert set(split(DRAWN, "train").path) <= from_train


def test_the_result_is_sorted_and_each_picture_stands_once() -> None:
    assert list(DRAWN.path) == sorted(set(DRAWN.path))
    assert list(DRAWN.columns) == ["path", "sha256", "label", "style", "generator", "split", "group", "weight"]


@pytest.mark.parametrize(("name", "pictures"), [("train", 109), ("validation", 12)])
def test_every_stratum_gives_its_share_within_one_picture(name: str, pictures: int) -> None:
    found = split(DRAWN, name).groupby(["label", "generator", "style"]).size()
    offered = split(INDEX, "train").groupby(["label", "generator", "style"]).size()
    share = pictures / offered.groupby("label").transform("sum")
    assert (found.reindex(offered.index, fill_value=0) - share * offered).abs().max() <= 1


def test_one_picture_more_moves_almost_nothing_else() -> None:
    for number in range(5):
        new = {"path": f"train/new/{number}.jpg", "sha256": digest(f"new {number}")}
        for generator, label in (("latent_diffusion", "AI"), ("human", "human")):
            after = drawn(with_row(INDEX, **new, generator=generator, label=label))
            both = DRAWN.merge(after, on="path", how="outer", suffixes=("", "_after"))
            moved = both.split.fillna("none").ne(both.split_after.fillna("none")).sum()
            assert moved <= 8, (number, label)


def test_no_content_stands_in_two_splits_or_twice_in_one_to_learn_from() -> None:
    table = INDEX.copy()
    table.loc[table.path.str.contains("000[0-4]"), "sha256"] = digest("one content in all folders")
    for number in range(20):
        table = with_row(table, path=f"train/copies/{number}.jpg", sha256=table.sha256[30 + number % 3])
    found = drawn(table)
    assert found.groupby("sha256").split.nunique().max() == 1
    assert not found[found.split != "test"].sha256.duplicated().any()


def test_what_also_stands_in_test_does_not_train() -> None:
    tested = split(INDEX, "test").iloc[0]
    found = drawn(with_row(INDEX, path="train/leak.jpg", sha256=tested.sha256, split="train"))
    assert "train/leak.jpg" not in set(found.path)
    assert tested.path in set(found.path)


def test_a_content_under_two_labels_does_not_train() -> None:
    disputed = split(INDEX, "train").iloc[0]
    found = drawn(with_row(INDEX, path="train/other.jpg", label="AI", generator="latent_diffusion"))
    assert disputed.sha256 not in set(found.sha256)


def test_unreadable_pictures_are_left_out() -> None:
    table = INDEX.copy()
    bad = table.index % 7 == 0
    table.loc[bad, "ok"] = False
    table.loc[bad & (table.index % 2 == 0), "sha256"] = None
    assert not set(drawn(table).path) & set(table.path[bad])


@pytest.mark.parametrize("split_name", ["train", "test"])
@pytest.mark.parametrize("label", ["AI", "human"])
def test_a_missing_class_is_named_with_where_its_pictures_belong(split_name: str, label: str) -> None:
    table = INDEX[(INDEX.split != split_name) | (INDEX.label != label)]
    with pytest.raises(DataError) as error:
        drawn(table)
    assert f"{split_name} holds no {label} pictures" in str(error.value)
    assert f"{split_name}/<style>/" in str(error.value)
    assert f"{split_name}/AI_<GENERATOR>_<style>/" in str(error.value)


def test_a_class_lost_to_copies_is_not_blamed_on_folders() -> None:
    table = INDEX.copy()
    copied = (table.split == "train") & (table.label == "AI")
    table.loc[copied, "sha256"] = table.sha256[table.split == "test"].iloc[0]
    with pytest.raises(DataError, match=f"train holds no AI picture to learn from: all {copied.sum()} have a near"):
        drawn(table)


def test_one_generator_is_held_out_by_its_name() -> None:
    assert BalanceConfig.model_validate({"hold_out": "LD"}).hold_out == ("LD",)


@pytest.mark.parametrize("ok", [True, False])
def test_nothing_at_all_is_one_line(ok: bool) -> None:
    table = INDEX.iloc[:0] if ok else INDEX.assign(ok=False)
    with pytest.raises(DataError, match="found: none at all"):
        drawn(table.astype({"ok": bool}))


def tiny(humans: int, others: int) -> pd.DataFrame:
    return rows({
        ("train", HUMAN, "x"): humans, ("train", LD, "x"): others, ("test", HUMAN, "x"): 1, ("test", LD, "x"): 1,
    })  # fmt: skip


def test_a_single_picture_of_a_class_cannot_both_train_and_validate() -> None:
    with pytest.raises(DataError, match="one has to train and another to validate"):
        drawn(tiny(1, 5))


@given(st.integers(2, 12), st.integers(2, 12), st.sampled_from([0.01, 0.1, 0.3, 0.49]))
@settings(max_examples=25, deadline=None)
def test_the_smallest_sets_have_both_classes_on_both_sides(humans: int, others: int, share: float) -> None:
    found = counts(drawn(tiny(humans, others), BalanceConfig(method="undersample", validation=share)))
    assert found["validation", "AI"] == found["validation", "human"] == max(1, round(share * min(humans, others)))
    assert found["train", "AI"] == found["train", "human"] >= 1
    assert sum(found.values()) - 2 == 2 * min(humans, others)


# --- near-duplicates ---


def some(label: str, generator: str, style: str, count: int, split_name: str = "train") -> list[str]:
    """The paths of the first `count` pictures of a stratum."""
    return [f"{split_name}/{label}-{generator}-{style}/{number:04d}.jpg" for number in range(count)]


def test_a_group_stays_on_one_side_whatever_the_seed() -> None:
    groups = [some(*HUMAN, "baroque", 60)[start : start + 3] for start in range(0, 60, 3)]
    sides = set()
    for seed in range(4):
        found = balance(INDEX, grouped(*groups), BalanceConfig(method="undersample", seed=seed))
        assert counts(found) == counts(DRAWN)  # 12 of a class still validate exactly
        for paths in groups:
            (side,) = set(found[found.path.isin(paths)].split)
            sides.add(side)
    assert sides == {"train", "validation"}


def test_a_picture_like_one_in_test_does_not_train() -> None:
    like = some(*HUMAN, "baroque", 2)
    tested = some(*LD, "baroque", 1, "test")
    found = balance(INDEX, grouped(like + tested), CONFIG)
    assert not set(like) & set(found.path)
    assert set(split(found, "test").path) == set(split(INDEX, "test").path)


def test_like_pictures_under_two_labels_do_not_train() -> None:
    like = [*some(*HUMAN, "baroque", 1), *some(*LD, "baroque", 2)]
    assert not set(like) & set(balance(INDEX, grouped(like), CONFIG).path)


def test_like_pictures_of_one_label_all_train_or_validate() -> None:
    like = some(*HUMAN, "ukiyo_e", 5)  # human is the rarer class, of which nothing is left out
    found = balance(INDEX, grouped(like), CONFIG)
    assert set(like) <= set(found.path)


def test_the_group_column_names_pictures_that_are_alike() -> None:
    like, tested = some(*HUMAN, "ukiyo_e", 3), some(*LD, "baroque", 2, "test")
    gone = [*some(*SD, "baroque", 1), *some(*SD, "ukiyo_e", 1, "test")]
    found = balance(INDEX, grouped(gone, like, tested), CONFIG).set_index("path").group
    assert set(found[like]) == {min(map(digest, like))[:16]}
    assert set(found[tested]) == {min(map(digest, tested))[:16]}
    assert found.notna().sum() == 5  # the one in test whose like was left out is alone


def test_groups_of_others_and_their_numbers_change_no_row() -> None:
    like, other = some(*HUMAN, "ukiyo_e", 3), some(*LD, "baroque", 2, "test")
    alone = balance(INDEX, grouped(like), CONFIG)
    both = balance(INDEX, grouped(other, like), CONFIG)
    far = ~both.path.isin(other)
    pd.testing.assert_frame_equal(both[far], alone[far])


def test_an_exact_copy_more_leaves_the_table_as_it_was() -> None:
    copied = with_row(INDEX, path="train/zz-copy.jpg")
    pd.testing.assert_frame_equal(drawn(copied), DRAWN)


def test_a_class_that_is_one_group_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="the 90 usable human pictures in train are all near-duplicates"):
        balance(INDEX[INDEX["style"] == "baroque"], grouped(some(*HUMAN, "baroque", 90)), CONFIG)


@pytest.mark.parametrize(
    ("sizes", "validating"), [([45, 45], 9), ([89, 1], 1), ([30, 20, 40], 9), ([7] * 12 + [6], 7), ([4, 4, 4, 78], 8)]
)
def test_classes_stay_equal_where_groups_do_not_fit(sizes: list[int], validating: int) -> None:
    """9 of 90 should validate: by whole groups, the smallest one if need be, then cut to equal classes."""
    paths = iter(some(*HUMAN, "baroque", 90))
    groups = [[next(paths) for _ in range(size)] for size in sizes]
    table = INDEX[(INDEX["style"] == "baroque") | (INDEX.split == "test")]
    found = balance(table, grouped(*(group for group in groups if len(group) > 1)), CONFIG)
    number = counts(found)
    assert number["validation", "AI"] == number["validation", "human"] == validating
    assert number["train", "AI"] == number["train", "human"]
    for group in groups:
        assert found[found.path.isin(group)].split.nunique() == 1


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An index with copies, and groups of near-duplicates that hold those copies."""
    size = draw(st.integers(30, 80))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    content = random.integers(0, draw(st.integers(size // 2, 2 * size)), size)
    cluster = random.integers(0, draw(st.integers(size // 2, 2 * size)), 2 * size)[content]
    makers = [HUMAN, LD, SD]
    made = random.integers(0, 3, size)
    table = pd.DataFrame({
        "path": [f"{number:03d}.jpg" for number in range(size)],
        "sha256": [digest(str(number)) for number in content],
        "label": [makers[maker][0] for maker in made],
        "style": random.choice(["x", "y"], size),
        "generator": [makers[maker][1] for maker in made],
        "split": random.choice(["train", "train", "train", "test"], size),
        "ok": random.random(size) < 0.95,
        "cluster": cluster,
    })  # fmt: skip
    readable = table[table.ok & table[table.ok].duplicated("cluster", keep=False)]
    return table, readable[["path", "cluster"]].rename(columns={"cluster": "group"})


@given(
    tables(),
    st.sampled_from(["undersample", "weights", "none"]),
    st.sampled_from([(), ("stable_diffusion",)]),
    st.sampled_from([0.05, 0.2, 0.45]),
)
@settings(max_examples=20, deadline=None)
def test_whatever_the_table_no_group_leaks(made, method: str, hold_out: tuple[str, ...], share: float) -> None:
    table, groups = made
    config = BalanceConfig(method=method, hold_out=hold_out, validation=share)
    try:
        found = balance(table, groups, config)
    except DataError:  # a class is missing or one group: other tests
        reject()
    joined = found.merge(table[["path", "cluster"]], on="path")
    assert joined.groupby("cluster").split.nunique().max() == 1
    learned = joined[joined.split != "test"]
    assert learned.groupby("cluster").label.nunique().max() == 1
    assert not learned.sha256.duplicated().any()
    assert set(split(joined, "test").path) == set(table.path[table.ok & (table.split == "test")])
    assert (found.split == "held_out").eq(found.generator.isin(hold_out) & (found.split != "test")).all()
    number = counts(found)
    for name in ("train", "validation"):
        assert min(number[name, "AI"], number[name, "human"]) >= 1
        if method == "undersample":
            assert number[name, "AI"] == number[name, "human"]
        else:
            weight = split(found, name).groupby("label").weight.sum()
            equal = weight["AI"] == pytest.approx(weight["human"])
            assert equal or method == "none"
    shuffled = balance(table.sample(frac=1, random_state=1), groups.sample(frac=1, random_state=2), config)
    pd.testing.assert_frame_equal(shuffled, found)


# --- other methods ---


@pytest.mark.parametrize("method", ["weights", "none"])
def test_without_undersampling_every_picture_is_used(method: str) -> None:
    found = drawn(INDEX, BalanceConfig(method=method))
    assert set(found.path) == set(INDEX.path)
    assert counts(found)["validation", "human"] == 12  # a tenth of 121
    assert counts(found)["validation", "AI"] == 24  # a tenth of 240


def test_weights_make_the_classes_equal() -> None:
    found = drawn(INDEX, BalanceConfig(method="weights"))
    for name, humans, others in (("train", 109, 216), ("validation", 12, 24)):
        weight = split(found, name).groupby("label").weight
        assert (weight.nunique() == 1).all()
        assert weight.first().to_dict() == pytest.approx(
            {"human": (humans + others) / 2 / humans, "AI": (humans + others) / 2 / others}
        )
    assert set(split(found, "test").weight) == {1.0}


@pytest.mark.parametrize("method", ["undersample", "none"])
def test_all_else_weighs_one(method: str) -> None:
    assert set(drawn(INDEX, BalanceConfig(method=method)).weight) == {1.0}


# --- a generator held out ---


def held(*generators: str, table: pd.DataFrame = INDEX, groups: pd.DataFrame | None = None) -> pd.DataFrame:
    return balance(
        table, copies(table) if groups is None else groups, BalanceConfig(method="undersample", hold_out=generators)
    )


def test_a_held_out_generator_neither_trains_nor_validates_and_test_stays_whole() -> None:
    found = held("stable_diffusion")
    made = found[found.generator == "stable_diffusion"]
    assert made.split.value_counts().to_dict() == {"held_out": 80, "test": 5}
    assert set(made.weight) == {1.0}
    assert set(split(found, "test").path) == set(split(INDEX, "test").path)
    assert {key: count for key, count in counts(found).items() if key[0] in ("train", "validation")} == {
        ("train", "AI"): 109, ("train", "human"): 109, ("validation", "AI"): 12, ("validation", "human"): 12,
    }  # fmt: skip


def test_held_out_pictures_are_none_that_train_or_test_knows() -> None:
    made = some(*SD, "baroque", 4)
    groups = grouped(
        [made[0], *some(*LD, "baroque", 1)], [made[1], *some(*LD, "baroque", 1, "test")], made[2:4],
    )  # fmt: skip
    table = with_row(INDEX, path="train/copy.jpg", sha256=digest(made[2]), label="AI", generator="stable_diffusion")
    found = held("stable_diffusion", table=table, groups=groups)
    assert set(split(found, "held_out").path) & {*made, "train/copy.jpg"} == {made[2], made[3]}
    learnable = split(balance(table, groups, BalanceConfig(method="none", hold_out=("stable_diffusion",))), "train")
    assert some(*LD, "baroque", 1)[0] in set(learnable.path)  # the one that trains stays


@pytest.mark.parametrize("name", ["SD", "human", "dall-e"])
def test_an_unknown_generator_is_named_beside_the_known_ones(name: str) -> None:
    with pytest.raises(DataError, match=rf"names '{name}'.*latent_diffusion, stable_diffusion"):
        held(name)


def test_one_generator_has_to_train() -> None:
    with pytest.raises(DataError, match="every AI generator there is"):
        held("stable_diffusion", "latent_diffusion")


# --- the stage ---


def written(folder: Path, table: pd.DataFrame, groups: pd.DataFrame) -> bytes:
    """What the stage writes for an index and groups."""
    folder.mkdir()
    table.to_parquet(folder / "index.parquet")
    groups.to_parquet(folder / "groups.parquet")
    stage.run(CONFIG, folder, folder, folder)
    return (folder / "balance.parquet").read_bytes()


@pytest.mark.parametrize("alike", [0, 4])
def test_the_stage_writes_the_same_bytes_in_every_order(alike: int, tmp_path: Path) -> None:
    groups = grouped(*[some(*HUMAN, "baroque", alike)] * bool(alike))
    contents = {
        written(tmp_path / str(number), INDEX.sample(frac=1, random_state=number), groups.sample(frac=1))
        for number in range(2)
    }
    assert len(contents) == 1
    read = pd.read_parquet(tmp_path / "0" / "balance.parquet")
    pd.testing.assert_frame_equal(read, balance(INDEX, groups, CONFIG))
    assert read.group.notna().sum() == alike
