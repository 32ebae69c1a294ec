"""The commands, options and config keys that the documentation names are those of the code."""

import pkgutil
import re
import tomllib
from typing import Any

import pytest

from artdetect.cli import all_commands
from artdetect.config import Config
from tests.documentation import commands
from tools import reference

COMMANDS = all_commands()
SECTIONS: dict[str, Any] = {name: field.annotation for name, field in Config.model_fields.items()}
FILES = "parquet|json|jsonl|md|html|toml|py|csv|png|npz|prom|sh|txt"
KEY = re.compile(rf"`(?:--set )?({'|'.join(SECTIONS)})\.(?!(?:{FILES})\b)(\w+)")


def artdetect_lines() -> list[tuple[str, list[str]]]:
    return [
        (page, words)
        for page in commands.PAGES
        for line in commands.lines(page)
        for words in commands.programs(line)
        if words and words[0] == "artdetect"
    ]


def test_the_blocks_are_found() -> None:
    assert len(artdetect_lines()) > 60
    assert commands.without_comment("""artdetect run --set 'a="#1"' # two""") == """artdetect run --set 'a="#1"'"""
    assert list(commands.programs("find . -print0 | artdetect predict -0 - > a.txt")) == [
        ["find", ".", "-print0"],
        ["artdetect", "predict", "-0", "-"],
    ]


@pytest.mark.parametrize("page", commands.PAGES)
def test_every_command_line_is_understood_by_the_parser(page: str) -> None:
    for where, words in artdetect_lines():
        if where == page:
            assert COMMANDS.parse(words[1:]).command, words


@pytest.mark.parametrize("page", commands.PAGES)
def test_every_command_in_the_text_exists_with_its_options(page: str) -> None:
    parsers = {parser.prog.split()[1]: parser for parser in COMMANDS.parsers}
    for found in re.findall(r"`artdetect ([^`]+)`", commands.text_of(page)):
        name, *rest = found.split()
        if name == "COMMAND":
            continue
        options = {option for action in parsers[name]._actions for option in action.option_strings}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options, found


@pytest.mark.parametrize("page", commands.PAGES)
def test_every_key_of_the_config_in_the_text_exists(page: str) -> None:
    for section, key in KEY.findall(commands.text_of(page)):
        assert key in SECTIONS[section].model_fields, f"{section}.{key}"


def test_every_config_in_the_documentation_is_valid() -> None:
    known = list(commands.pages_with_config())
    assert len(known) > 5
    for _, block in known:
        for section, values in tomllib.loads(block).items():
            if section != "config":  # the line of artdetect.toml
                SECTIONS[section].model_validate(values)


def test_every_exception_is_in_the_documentation() -> None:
    lines = [line for page in commands.PAGES for line in commands.lines(page)]
    assert [start for start in commands.NOT_RUN if not any(line.startswith(start) for line in lines)] == []


@pytest.mark.parametrize(
    ("name", "made"), [("commands", reference.commands_page), ("configuration", reference.configuration_page)]
)
def test_the_pages_made_from_the_code_are_up_to_date(name: str, made: Any) -> None:
    assert (reference.REFERENCE / f"{name}.md").read_text() == made(), "run `python -m tools.reference`"


def test_every_name_on_the_page_of_the_python_api_exists() -> None:
    names = re.findall(r"^::: ([\w.]+)$", (reference.REFERENCE / "python-api.md").read_text(), re.MULTILINE)
    assert len(names) > 8
    for name in names:
        assert pkgutil.resolve_name(name) is not None
