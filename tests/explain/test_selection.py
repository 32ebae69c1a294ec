"""Which pictures are explained."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect.core.errors import DataError
from artdetect.explain.selection import RULES, select


def predictions(*rows, threshold=0.5):
    frame = pd.DataFrame(rows, columns=["path", "label", "p_ai"])
    predicted = np.where(frame["p_ai"] >= threshold, "AI", "human")
    return frame.assign(sha256=frame["path"] + "#", style="baroque", predicted=predicted)


def names(chosen, label, rule):
    return chosen.loc[(chosen["label"] == label) & (chosen["rule"] == rule), "path"].tolist()


def test_each_class_shows_its_surest_hits_its_surest_mistakes_and_its_closest_calls():
    frame = predictions(
        ("a", "AI", 0.99), ("b", "AI", 0.9), ("c", "AI", 0.02), ("d", "AI", 0.2), ("e", "AI", 0.55), ("f", "AI", 0.7),
        ("g", "human", 0.01), ("h", "human", 0.3), ("i", "human", 0.97), ("j", "human", 0.45),
    )  # fmt: skip
    chosen = select(frame, 1)
    assert chosen[["path", "rule"]].values.tolist() == [
        ["a", RULES[0]],
        ["c", RULES[1]],
        ["e", RULES[2]],
        ["g", RULES[0]],
        ["i", RULES[1]],
        ["j", RULES[2]],
    ]
    assert chosen["style"].eq("baroque").all()
    assert names(select(frame, 2), "AI", "most confident right") == ["a", "b"]
    assert "rule" not in frame


def test_another_threshold_defines_which_pictures_are_right_and_close():
    frame = predictions(
        ("a", "human", 0.85), ("b", "human", 0.3), ("c", "human", 0.93), ("d", "human", 0.999),
        ("e", "AI", 0.91), ("f", "AI", 0.999), ("g", "AI", 0.6), ("h", "AI", 0.85),
        threshold=0.9,
    )  # fmt: skip
    chosen = select(frame, 1, threshold=0.9)
    assert [names(chosen, "human", rule) for rule in RULES] == [["b"], ["d"], ["c"]]
    assert [names(chosen, "AI", rule) for rule in RULES] == [["f"], ["g"], ["e"]]


def test_there_are_fewer_where_nothing_is_wrong():
    chosen = select(predictions(("a", "AI", 0.9), ("b", "human", 0.1)), 3)
    assert chosen["rule"].tolist() == ["most confident right"] * 2


def test_ties_go_by_path_whatever_the_order_of_the_rows():
    frame = predictions(*[(name, "AI", 1.0) for name in "dbca"], ("e", "human", 0.5))
    first = select(frame, 2)
    assert names(first, "AI", "most confident right") == ["a", "b"]
    assert names(first, "AI", "least sure") == ["c", "d"]
    assert names(first, "human", "most confident wrong") == ["e"]  # 0.5 counts as AI, as in argmax
    shuffled = frame.sample(frac=1, random_state=4)
    shuffled.index = [7] * len(shuffled)
    pd.testing.assert_frame_equal(select(shuffled, 2), first)


def test_two_files_of_one_content_are_one_picture():
    frame = predictions(("a", "AI", 0.9), ("b", "AI", 0.9)).assign(sha256="same")
    assert select(frame, 2)["path"].tolist() == ["a"]


@pytest.mark.parametrize("per_group", [0, 2])
def test_no_predictions_or_none_wanted_give_an_empty_frame_with_its_columns(per_group):
    frame = predictions(("a", "AI", 0.9)).head(0 if per_group else 1)
    chosen = select(frame, per_group)
    assert len(chosen) == 0
    assert {"path", "rule", "style"} <= set(chosen.columns)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (predictions(("a", "AI", 0.9)).drop(columns="p_ai"), "p_ai"),
        (predictions(("a", "AI", 0.9)).drop(columns="predicted"), "predicted"),
        (predictions(("a", "AI", np.nan)), "the first for a: nan"),
        (predictions(("a", "AI", 1.5)), "1.5"),
        (predictions(("a", "ai", 0.5)), "'ai'"),
    ],
)
def test_what_are_not_predictions_is_refused(frame, says):
    with pytest.raises(DataError, match=says):
        select(frame, 1)


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="per_group=-1"):
        select(predictions(("a", "AI", 0.9)), -1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["AI", "human"]), st.floats(0, 1)), max_size=15),
    st.integers(min_value=0, max_value=4),
)
def test_no_picture_is_shown_twice_and_no_rule_exceeds_its_number(rows, per_group):
    chosen = select(predictions(*[(f"{n:02}", *row) for n, row in enumerate(rows)]), per_group)
    assert chosen["path"].is_unique
    assert chosen.groupby(["label", "rule"]).size().le(per_group).all()
    wrong = chosen[chosen["rule"] == "most confident wrong"]
    assert ((wrong["p_ai"] >= 0.5) == (wrong["label"] == "human")).all()
