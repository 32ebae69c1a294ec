"""Says what the project installs: writes docs/reference/dependencies.md, and the hashes beside constraints.txt.

The page is about the environment that runs this script, which must have the extra `dev`. The hashes come from the
package index.

    .venv/bin/python -m tools.dependencies
"""

import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import install

PAGE = install.PROJECT / "docs" / "reference" / "dependencies.md"
HASHES = install.PROJECT / install.HASHES
EXTRAS = (
    "base",
    "explain",
    "export",
    "pipeline",
    "tune",
    "cluster",
    "credentials",
    "hub",
    "docs",
    "dev",
)  # each is shown without earlier ones
NOT_LISTED = ("editables", "hatchling", "trove-classifiers", "uv")  # they install the package
INTRODUCTION = """# Dependencies

`python -m tools.dependencies` writes this page and `constraints-hashes.txt`.

`pyproject.toml` says what is needed and why a version is bound, `constraints.txt` has the exact versions, and
`constraints-hashes.txt` the sha256 of every file of these versions. uv installs nothing whose sha256 is not among them;
where it finds another file, set-up ends. pip takes no hashes for an editable project: where uv cannot be had, the
versions alone are checked.

To look for known vulnerabilities, on a machine that reaches a vulnerability service:

```sh
uv tool run pip-audit --strict --no-deps --disable-pip -r constraints.txt
```

`--strict` is needed: without it, pip-audit ends with "No known vulnerabilities found" where it could look up nothing.
On 2026-11-27 it could look up none of the packages: the package index answered 404 to questions about
vulnerabilities, and OSV was out of reach. So nothing is known about them here.

The package `tensorflow-cpu` would take 300 MB less to download and 600 MB less on disk than `tensorflow`. It is not
used because the extras `hub` and `gpu` require `tensorflow`, which writes the same folder.

The site of these pages is built by Zensical. MkDocs has had no maintainer since 2024, and Material for MkDocs gets
security fixes only, until November 2026; Zensical is by the authors of Material. MkDocs is installed all the same,
because mkdocstrings, which reads the docstrings, depends on it.

Packages and sizes on Linux (x86-64) with Python {python}. Each extra includes the ones that it needs; a package stands
where it is needed first.

"""


def main() -> None:
    """Write both files."""
    write_hashes()
    PAGE.write_text(page(), encoding="utf-8")


def pins() -> dict[str, str]:
    """The version of each package in constraints.txt, by its canonical name."""
    lines = (install.PROJECT / install.CONSTRAINTS).read_text().split()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def write_hashes() -> None:
    """Ask the package index for the sha256 of all files of the pinned versions."""
    variables = install.uv_variables(install.read_pip_settings())
    variables = {name: value for name, value in variables.items() if "CONSTRAINT" not in name}
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-deps", "--no-annotate"]
    subprocess.run(
        [*uv, "--no-header", "--generate-hashes", "--output-file", str(HASHES), install.CONSTRAINTS],
        cwd=install.PROJECT,
        env={**os.environ, **variables},
        check=True,
    )


def page() -> str:
    """The page as Markdown."""
    python = ".".join(map(str, sys.version_info[:2]))
    groups = {extra: list(names) for extra, names in by_extra()}
    text = INTRODUCTION.format(python=python) + "| extra | packages | MB |\n|---|---|---|\n"
    for extra, names in groups.items():
        text += f"| `{extra}` | {len(names)} | {sum(map(megabytes, map(distribution, names))):.0f} |\n"
    text += "\n| package | version | licence | extra | MB |\n|---|---|---|---|---|\n"
    for name, extra in sorted((name, extra) for extra, names in groups.items() for name in names):
        found = distribution(name)
        text += f"| {name} | {found.version} | {licence(found)} | {extra} | {megabytes(found):.1f} |\n"
    return text


def by_extra() -> Iterator[tuple[str, list[str]]]:
    """Each of `EXTRAS`, with the packages that the ones before it lack."""
    seen: set[str] = set()
    for extra in EXTRAS:
        added = sorted(closure(extra) - seen)
        seen.update(added)
        yield extra, added


def closure(extra: str) -> set[str]:
    """The packages that an extra of this project needs, directly or not, on this machine."""
    project = tomllib.loads((install.PROJECT / "pyproject.toml").read_text())["project"]
    wanted: dict[str, set[str]] = defaultdict(set)  # package -> its extras that were followed
    queue = [*project["dependencies"], *project["optional-dependencies"].get(extra, ())]
    queue = [(Requirement(line), "") for line in queue]
    while queue:
        requirement, of = queue.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({**default_environment(), "extra": of}):
            continue
        if name == "artdetect":
            lines = (line for extra in requirement.extras for line in project["optional-dependencies"][extra])
            queue += [(Requirement(line), "") for line in lines]
            continue
        for new in ({"", *requirement.extras}) - wanted[name]:
            wanted[name].add(new)
            queue += [(Requirement(line), new) for line in distribution(name).requires or ()]
    return set(wanted)


def licence(found: Distribution) -> str:
    """What a package says of its licence, on one line: as an SPDX expression, in classifiers, words or a file."""
    marks = [mark for mark in _stated(found, "Classifier") if mark.startswith("License :: ")]
    if expressions := _stated(found, "License-Expression"):
        return expressions[0]
    if marks:
        return ", ".join(sorted({mark.rpartition(" :: ")[2] for mark in marks}))
    files = (file for file in found.files or () if file.name.upper().startswith("LICEN"))
    texts = [*_stated(found, "License"), *(file.read_text() for file in files)]
    return next((text.strip().partition("\n")[0] for text in texts if text.strip() != "UNKNOWN"), "not stated")


def _stated(found: Distribution, field: str) -> list[str]:
    return [str(value) for value in found.metadata.get_all(field) or ()]


def megabytes(found: Distribution) -> float:
    """The size of a package's files."""
    files = (Path(str(file.locate())) for file in found.files or () if "__pycache__" not in file.parts)
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
