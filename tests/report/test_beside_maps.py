"""The checks of a second model's maps: beside those of the report's own only where both were measured alike."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from artdetect.report import beside_maps, charts, context, html_page
from artdetect.report.champion import Other

from .conftest import Folders, copy_of, estimate, localisation, quality, visible_text

Checks = dict[str, Any]


def theirs() -> Checks:
    """What was found of the second model's maps, on the pictures of the own: less."""
    checks: Checks = {"localisation": localisation(), "quality": quality()}
    for row in checks["localisation"]["rows"]:
        row["auc"] = estimate(0.6555)
        row["groups"][0]["auc"] = estimate(0.6333)
        for one in row["pasted"]:
            one["auc"] -= 0.1
    checks["localisation"]["curves"]["rows"][0]["deletion_margin"] = estimate(-0.7777)
    checks["quality"]["rows"][0]["deletion_margin"] = {"value": 9.876, "low": 8.765, "high": 10.987}
    checks["quality"]["probability"]["full"] = 0.777
    return checks


def second(folders: Folders, root: Path, checks: Checks | None) -> Other:
    maps = root / "their_maps"
    if checks is not None:
        maps.mkdir()
        for name, content in checks.items():
            (maps / f"{name}.json").write_text(json.dumps(content))
    return Other(
        folders["evaluate"], folders["train"], folders["balance"], "champion", "x", maps if checks is not None else None
    )


def section(folders: Folders, other: Other, chart_images: charts.Charts) -> str:
    page = html_page.render("A title", context.gather(folders, other), chart_images)
    start = page.index('id="explanations"')
    return page[start : page.index("</section>", start)]


def test_what_was_measured_alike_stands_below_each_figure(
    folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    markup = section(folders, second(folders, tmp_path, theirs()), chart_images)
    text = visible_text(markup)
    assert "champion: Grad-CAM 40 0.66 (0.63–0.67) 0.64 (0.62–0.66)" in text
    assert "champion: XRAI 8 0.66 (0.63–0.67)" in text
    assert text.count("+0.100 (+0.100 to +0.100)") == 2
    assert "Grad-CAM champion: Grad-CAM XRAI champion: XRAI edge: feathered 0.78 (0.76–0.80), N = 13 0.63" in text
    assert "true region −1.31 (−1.33 to −1.29) 1.42 (1.40 to 1.44) champion: true region −0.78" in text
    assert "champion: explanation 9.88 (8.77 to 10.99)" in text
    assert "Of the champion, on the same pictures, the error is 0.32" in text
    assert "these probabilities are 0.777, 0.500 and 0.600" in text
    assert "No figures of the champion" not in text
    assert markup.count('<tr class="second">') == 2 + 1 + 2


def changed(change: Callable[[Checks], Any]) -> Checks:
    checks = copy.deepcopy(theirs())
    change(checks)
    return checks


def other_splice(checks: Checks) -> None:
    for row in checks["localisation"]["rows"]:
        row["pasted"][3]["donor"] = "ffff"


CASES: dict[str, tuple[Checks | None, str, str | None]] = {
    "it was not explained": (
        None,
        "stand here: its verdicts on these test pictures were not explained.",
        "stand here: its verdicts on these test pictures were not explained.",
    ),
    "nothing was checked": (
        {"localisation": None, "quality": None},
        "stand here: its maps were not checked on spliced pictures.",
        "stand here: its maps were not checked.",
    ),
    "other splices": (
        changed(other_splice),
        "stand beside those of Grad-CAM: its maps were checked on other spliced pictures (39 of these 40 are the same)",
        None,
    ),
    "other pictures": (
        changed(lambda checks: checks["quality"]["sample"][0].__setitem__(1, 1)),
        "",
        "stand here: its maps were checked on other pictures or for other classes (5 of these 6 are the same)",
    ),
    "other settings": (
        changed(lambda checks: checks["localisation"]["rows"][1]["measured_by"].update(settings={"steps": 3})),
        "stand beside those of XRAI: its maps were made with other settings.",
        None,
    ),
    "another method": (
        changed(lambda checks: checks["localisation"]["rows"].pop()),
        "stand beside those of XRAI: its maps by this method were not checked.",
        None,
    ),
    "other code": (
        changed(lambda checks: checks["quality"]["measured_by"].update(code="other")),
        "",
        "stand here: its maps were checked by another version of the code.",
    ),
    "an old check": (
        changed(lambda checks: checks["quality"].pop("measured_by")),
        "",
        "stand here: one of the two checks does not say how it was made.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_measured_otherwise_has_a_sentence_and_no_number(case: str, folders: Folders, tmp_path: Path) -> None:
    checks, says, quality_says = CASES[case]
    found = beside_maps.gather(folders["explain"], second(folders, tmp_path, checks), set(), 129)
    for check, expected in (("localisation", says), ("quality", quality_says)):
        sentences = " ".join(found[check]["why_not"])
        assert f"No figures of the champion {expected}" in sentences if expected else not sentences, check
        if expected and "stand here" in expected:
            assert found[check]["found"] == json.loads((folders["explain"] / f"{check}.json").read_text())
    rows = {row["label"]: "difference" in row for row in found["localisation"]["found"]["rows"]}
    for label in ("Grad-CAM", "XRAI"):
        without = "stand here" in says or label in says or case == "other splices"
        assert rows[label] is not without
        assert (f"champion: {label}" in rows) is not without


def test_what_was_measured_otherwise_is_said_on_the_page(
    folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    text = visible_text(section(folders, second(folders, tmp_path, None), chart_images))
    assert text.count("No figures of the champion stand here: its verdicts on these test pictures were not") == 2
    assert "champion: Grad-CAM" not in text


def test_curves_are_those_of_the_first_method(folders: Folders, tmp_path: Path) -> None:
    turned = changed(lambda checks: checks["localisation"]["rows"].reverse())
    found = beside_maps.gather(folders["explain"], second(folders, tmp_path, turned), set(), 129)
    assert len(found["localisation"]["found"]["rows"]) == 4
    assert len(found["localisation"]["found"]["curves"]["rows"]) == 1


def test_splices_of_pictures_that_the_second_model_was_trained_on_count_in_no_difference(
    folders: Folders, tmp_path: Path
) -> None:
    def spoil(checks: Checks) -> None:
        for row in checks["localisation"]["rows"]:
            row["pasted"][1]["auc"] = row["pasted"][2]["auc"] = 1.0

    other = second(folders, tmp_path, changed(spoil))
    both, known, all_known = (
        beside_maps.gather(folders["explain"], other, contents, 129)["localisation"]["found"]["rows"][0]["difference"]
        for contents in (set(), {"1", f"{102:x}"}, {f"{number:x}" for number in range(40)})
    )
    assert known["value"] == pytest.approx(0.1)
    assert both["value"] < 0.1
    assert all_known is None


def test_where_no_difference_counts_the_figures_still_stand_beside(
    folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    """All splices are of a picture that the second model was trained on."""
    balance = pd.read_parquet(folders["balance"] / "balance.parquet")
    seen = balance.sha256[balance.split == "train"].iloc[0]
    copies = folders | copy_of({"explain": folders["explain"]}, tmp_path)
    checks = theirs()
    for found in (checks["localisation"], own := localisation()):
        for row in found["rows"]:
            row["pasted"] = [one | {"base": seen} for one in row["pasted"]]
    (copies["explain"] / "localisation.json").write_text(json.dumps(own))
    text = visible_text(section(copies, second(folders, tmp_path, checks), chart_images))
    assert "champion: Grad-CAM 40 0.66" in text
    assert "champion: true region −0.78" in text
    assert "+0.100" not in text


def test_a_report_without_explanations_has_no_checks(folders: Folders, tmp_path: Path) -> None:
    found = beside_maps.gather(None, second(folders, tmp_path, theirs()), set(), 129)
    assert found == {check: {"found": None, "why_not": []} for check in ("localisation", "quality")}
    copies = copy_of({"explain": folders["explain"]}, tmp_path)
    for check in ("localisation", "quality"):
        (copies["explain"] / f"{check}.json").write_text("null")
    assert beside_maps.gather(copies["explain"], second(folders, tmp_path / "explain", theirs()), set(), 129) == found
