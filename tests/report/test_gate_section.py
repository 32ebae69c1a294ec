"""The decision of the gate on the page of a challenger."""

import json
from pathlib import Path

from artdetect.report import charts, context, html_page
from artdetect.report.champion import Other

from .conftest import GATE, Folders, copy_of, visible_text
from .test_beside_maps import changed, other_splice, second


def section(markup: str, name: str) -> str:
    start = markup.index(f'<section id="{name}">')
    return visible_text(markup[start : markup.index("</section>", start)])


def test_each_rule_stands_with_its_figures_and_in_words(full_page: str) -> None:
    text = section(full_page, "gate")
    assert "Keep the champion: human_art failed." in text
    assert "challenger challenger-2 , with the champion of that time, x" in text
    assert "human art failed 0.021 0.083 +0.062 +0.010 to +0.115 +0.020" in text
    assert "golden does not apply human art" in text  # no figures
    assert "localisation passed 0.816 0.842 +0.025 −0.004 to +0.055 −0.030" in text
    assert "human art , failed: Human art predicted AI: 2.1 % → 8.3 %. <b>" in text
    assert "3 test pictures are left out here" in text
    assert "2 more are left out" in text
    assert "Not all pictures are known that the champion, or a model that it descends from" in text
    bold = full_page[full_page.index('<section id="gate">') :]
    assert '<span class="clear">+0.062</span>' in bold
    assert '<span class="clear">+0.025</span>' not in bold
    assert '<a href="#gate">Decision of the gate</a>' in full_page


def test_a_report_without_a_decision_does_not_mention_one(page: str) -> None:
    assert 'id="gate"' not in page
    assert "#gate" not in page


def test_the_first_champion_is_compared_with_no_other(
    full_folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    first = copy_of({"gate": full_folders["gate"]}, tmp_path)
    decision = json.loads((first["gate"] / "gate.json").read_text())
    decision |= {"champion": None, "sentence": "Promote challenger-2."}
    (first["gate"] / "gate.json").write_text(json.dumps(decision))
    text = section(html_page.render("A title", context.gather(full_folders | first), chart_images), "gate")
    assert "Promote challenger-2." in text
    assert "compares this model" not in text


def test_maps_of_other_splices_have_the_comparison_of_the_gate(
    folders: Folders, full_folders: Folders, chart_images: charts.Charts, tmp_path: Path
) -> None:
    """The two models' explanations were checked on different splices, and the gate's on the same ones."""

    def explanations(other: Other) -> str:
        return section(html_page.render("A title", context.gather(judged, other), chart_images), "explanations")

    judged = folders | {"gate": full_folders["gate"]}
    comparison = "The gate compared the maps of both on the same splices. " + GATE["rules"][-1]["sentence"]
    other = second(folders, tmp_path, changed(other_splice))
    text = explanations(other)
    assert "its maps were checked on other spliced pictures" in text
    assert comparison in text
    named = Other(other.scores, other.model, other.balance, "champion", "a later champion", other.maps)
    assert comparison not in explanations(named), "the gate compared with another champion"
