"""The commands in the documentation: the lines of its `sh` blocks, and those that no test can run, with the reason."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests import PROJECT

# The order in which they run, in one project: what a page needs is made by those before it.
PAGES = (
    "README.md",
    *(f"docs/tutorial/{name}.md" for name in ("first-verdict", "first-pipeline", "first-retraining")),
    "docs/README.md",
    *(
        path.relative_to(PROJECT).as_posix()
        for part in ("how-to", "explanation", "reference")
        for path in sorted((PROJECT / "docs" / part).glob("*.md"))
    ),
    "CONTRIBUTING.md",
    "data/README.md",
    "artifacts/README.md",
)
# Beginnings of lines -> why they are not run.
NOT_RUN = {
    "git clone": "needs the project's address",
    "make test": "runs all tests, this one too",
    "python -m pytest": "runs tests inside a test",
    "make check": "is run on every commit",
    "make PYTHON=python3.12": "needs a second Python",
    ".venv/bin/python tools/install.py": "needs the package index, and would change the environment of the tests",
    "uv tool run pip-audit": "needs the package index and a vulnerability service",
    "dask ": "needs several machines",
    "ARTDETECT_PROCESSORS=1 dask ": "needs several machines",
    "artdetect convert-encoder": "needs weights that are not part of the project",
    "artdetect starter-model": "needs real pictures, which are not part of the project",
}


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = (PROJECT / page).read_text()
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def lines(page: str) -> list[str]:
    """The command lines of a page: continued lines are joined, comments are taken away."""
    joined = (line for block in blocks(page, "sh") for line in re.sub(r"\\\n\s*", "", block).splitlines())
    return [line for line in map(without_comment, joined) if line]


def without_comment(line: str) -> str:
    """A line of a shell without its comment; a # within quotes or a word is none."""
    quote = ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and line[max(place - 1, 0) : place] in ("", " "):
            return line[:place].strip()
    return line.strip()


def reason_not_to_run(line: str) -> str | None:
    """Why a line is not run; None if it is."""
    return next((reason for start, reason in NOT_RUN.items() if line.startswith(start)), None)


def programs(line: str) -> Iterator[list[str]]:
    """The words of each program that a line starts, without what is redirected."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    reader.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in reader:
        if set(token) <= set("|;&"):
            yield words
            words = []
        elif set(token) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            words.append(token)
    yield words


def pages_with_config() -> Iterator[tuple[str, str]]:
    """Every TOML block, with its page."""
    for page in PAGES:
        yield from ((page, block) for block in blocks(page, "toml"))


def text_of(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", Path(PROJECT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
