"""Markdown: text from files stays text, and tables are those of GitHub."""

from artdetect.formatting import markdown


def test_escaped_text_cannot_end_a_cell_or_start_markup() -> None:
    assert markdown.escape("a|b\n<i>*") == "a&#124;b\\\\n&lt;i&gt;\\*"


def test_a_table_has_a_rule_below_its_header_that_aligns_the_columns() -> None:
    rows = [["a", "1"], ["b", "20"]]
    assert markdown.table(["name", "count"], rows, align_right=[1]) == (
        "| name | count |\n| --- | ---: |\n| a | 1 |\n| b | 20 |"
    )
    assert markdown.table(["name"], []) == "| name |\n| --- |"
