"""What the documentation names is there: tests, files, links, modules."""

import re
from pathlib import Path

import pytest

from tests import PROJECT

PLACES = ("*.md", "docs/**/*.md", "benchmarks/*.md", "data/*.md", "artifacts/*.md")
PAGES = sorted(page for place in PLACES for page in PROJECT.glob(place))
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names what is gone
ROOTS = ("artdetect", "tasks", "flows")
NAMED_TEST = re.compile(r"`((?:[\w./-]*/)?test_\w+\.py)(?:::(\w+))?`")
NAMED_PATH = re.compile(r"`((?:artdetect|tasks|flows|tests|benchmarks|configs|docs)/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def named(pattern: re.Pattern[str]) -> list[tuple[str, ...]]:
    found = [
        (page.name, *match) for page in PRESENT for match in map(re.Match.groups, pattern.finditer(page.read_text()))
    ]
    assert found, pattern
    return found


def test_every_test_that_a_page_names_exists() -> None:
    missing = []
    for page, file, test in named(NAMED_TEST):
        places = [path for path in (PROJECT / "tests").rglob(Path(file).name) if path.as_posix().endswith(file)]
        if not any(test is None or f"def {test}(" in path.read_text() for path in places):
            missing.append((page, file, test))
    assert missing == []


def test_every_file_and_folder_that_a_page_names_exists() -> None:
    assert [(page, path) for page, path in named(NAMED_PATH) if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_every_page_that_code_names_exists() -> None:
    """In messages and docstrings; the site's strict build checks links and anchors between pages."""
    roots = ("artdetect", "tasks", "flows", "tools", "benchmarks", "configs", "tests")
    files = [path for root in roots for path in (PROJECT / root).rglob("*") if path.suffix in (".py", ".toml", ".conf")]
    pages = {name for file in files for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|webp)\b", file.read_text())}
    assert pages
    assert [name for name in sorted(pages) if not (PROJECT / name).exists()] == []


def test_the_page_of_modules_has_a_line_for_every_module() -> None:
    text = (PROJECT / "docs" / "reference" / "modules.md").read_text()
    modules = [path for root in ROOTS for path in (PROJECT / root).rglob("*.py") if path.name != "__init__.py"]
    assert len(modules) > 100
    assert [path.relative_to(PROJECT).as_posix() for path in modules if not re.search(rf"\b{path.stem}\b", text)] == []
