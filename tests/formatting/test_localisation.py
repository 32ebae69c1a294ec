"""What deletion and insertion say of the true region, as rows of a table."""

from typing import Any

from artdetect.formatting import localisation


def found(**changes: Any) -> dict[str, Any]:
    margins = {
        "deletion_margin": {"value": -1.31, "low": -2.27, "high": 0.39},
        "insertion_margin": {"value": 0.5, "low": None, "high": None},
    }
    curves = {"splices": 8, "rows": [{"name": "explanation"} | margins, {"name": "true region"} | margins]}
    return {"rows": [{"method": "evidence", "label": "Evidence"}], "curves": curves} | changes


def test_the_true_region_has_a_row_with_intervals_where_there_are_some() -> None:
    cells = ["−1.31 (−2.27 to 0.39)", "0.50"]
    assert localisation.curve_rows(found()) == [["explanation", *cells], ["true region", *cells]]
    assert len(localisation.CURVES_HEADER) == 3


def test_beside_it_stands_that_insertion_does_not_agree_with_the_truth() -> None:
    about = localisation.about_curves(found())
    assert about.startswith("Deletion and insertion on 8 of the splices")
    assert "the explanation is that of Evidence. Insertion does not agree with this truth" in about


def test_without_curves_there_is_nothing_to_say() -> None:
    assert localisation.curve_rows(found(curves=None)) == []
    assert localisation.about_curves(found(curves=None)) == ""
