"""The galleries: which mistakes they show, in which orders, and with which choices."""

import pandas as pd
import pytest

from artdetect.report import galleries

ALONE = {"why_not": "there is no other model"}


def predictions(count: int) -> pd.DataFrame:
    """Every second picture is a mistake, the later the surer."""
    rows = [
        {
            "path": f"test/a/{number}.jpg", "sha256": f"{number}", "label": "human" if number % 3 else "AI",
            "style": "dots", "generator": ["human", "sd", "flux"][number % 3], "source": f"source {number % 5}",
        }
        for number in range(count)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    wrong = table.index % 2 == 1
    ai = (table.label == "AI") != wrong
    names = ai.map({True: "AI", False: "human"})
    p_ai = [0.5 + (0.4 if is_ai else -0.4) * (number + 1) / count for number, is_ai in enumerate(ai)]
    return table.assign(p_ai=p_ai, predicted=names, verdict=names)


def test_mistakes_stand_the_most_confident_first_and_have_a_place_in_each_order() -> None:
    table = predictions(30)
    nearest = [{"path": "train/1.jpg", "label": "AI", "generator": "sd", "distance": 1.0}]
    metrics = {"worst_errors": [{"path": "test/a/29.jpg", "nearest": nearest}]}
    found = galleries.mistakes(table, 0.5, metrics, {"train/1.jpg": "abc"}, ALONE)
    assert found
    cards = found["cards"]
    assert [card["path"] for card in cards] == [f"test/a/{number}.jpg" for number in range(29, 0, -2)]
    assert cards[0]["nearest"] == [nearest[0] | {"sha256": "abc"}]
    for order, values in {
        "rising": [card["p_ai"] for card in cards],
        "falling": [-card["p_ai"] for card in cards],
        "unsure": [card["confidence"] for card in cards],
        "label": [card["label"] for card in cards],
        "generator": [card["generator"] for card in cards],
        "source": [card["source"] for card in cards],
    }.items():
        by_place = [
            value for _, value in sorted((card["places"][order], v) for card, v in zip(cards, values, strict=True))
        ]
        assert by_place == sorted(values), order
        assert sorted(card["places"][order] for card in cards) == list(range(len(cards)))
    assert [filter["key"] for filter in found["filters"]] == ["label", "verdict", "generator", "source"]
    for filter in found["filters"]:
        assert all(filter["values"][card["values"][filter["key"]]] == card[filter["key"]] for card in cards)


@pytest.mark.parametrize("count", [0, 1, galleries.MISTAKES + 2])
def test_no_more_mistakes_are_shown_than_a_page_holds(count: int) -> None:
    table = predictions(2 * count or 2)
    if not count:
        table["predicted"] = table.label
    found = galleries.mistakes(table, 0.5, {}, {}, ALONE)
    assert (found and (found["count"], len(found["cards"]))) == (
        (count, min(count, galleries.MISTAKES)) if count else None
    )


def test_whether_the_second_model_is_right_can_be_chosen() -> None:
    table = predictions(8)
    beside = {
        path: {"p_ai": 0.5, "predicted": "AI", "verdict": "AI", "right": path != "test/a/3.jpg"} for path in table.path
    }
    found = galleries.mistakes(table, 0.5, {}, {}, {"why_not": None, "name": "champion", "predictions": beside})
    assert found
    assert found["filters"][-1] == {"key": "champion", "name": "champion", "values": ["right", "wrong"]}
    assert {card["path"] for card in found["cards"] if card["values"]["champion"] == 1} == {"test/a/3.jpg"}
