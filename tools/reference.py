"""Writes docs/reference/commands.md and docs/reference/configuration.md from the parsers and the config's sections.

.venv/bin/python -m tools.reference
"""

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from artdetect.cli import GROUPS, all_commands
from artdetect.config import Config

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
WIDTH = 120
COMMANDS = """# Commands

*Made from the code by `python -m tools.reference`.*

The commands are installed in `.venv/bin`; `source .venv/bin/activate` puts them on the path. `artdetect` lists them,
and `artdetect COMMAND --help` shows what stands here.

| exit code | meaning |
|---|---|
| 0 | done, also where the reader of the output, such as `head`, stopped reading |
| 1 | partly done; each command below says when |
| 2 | an error that you can fix: one line on stderr says what was received, where, and what to do next |
| 130 | Ctrl-C ended it; what was finished is kept, and the same command goes on from there |

Results go to stdout, and nothing else does. Notes, progress and errors go to stderr: progress and colours only if that
is a terminal. Every command takes these options, before or after its name:

| option | meaning |
|---|---|
{shared}

A KEY may be shortened to its first four characters if they are unambiguous. Commands that read a config take `--config
FILE` and any number of `--set SECTION.KEY=VALUE`; see [Configuration](configuration.md).

## Environment variables

| variable | meaning |
|---|---|
| `ARTDETECT_STARTER` | another file in place of the starter model; a name that is no file for none |
| `ARTDETECT_CONFIG` | the config of commands and deployments that are given none |
| `ARTDETECT_DATA`, `ARTDETECT_ARTIFACTS` | where `data/` and `artifacts/` are |
| `ARTDETECT_PORT` | port of the dashboard that `make up` starts (4200); artifacts are served on the next port |
| `ARTDETECT_PROCESSORS` | how many processors one process may use |
| `ARTDETECT_LOG=json` | one JSON object per log line, as `--log-json` |
| `ARTDETECT_REAL_DATA` | a folder of real pictures for some tests and benchmarks, which are skipped without it |
| `NO_COLOR` | no colours |
| `ARTDETECT_HOSTS` | further host names under which the services answer, comma-separated |
| `PREFECT_API_URL`, `PREFECT_API_AUTH_STRING` | the Prefect server to use, and its auth string |
"""
CONFIGURATION = """# Configuration

*Made from the code by `python -m tools.reference`.*

A config is a TOML file with one section per stage. Only `download.url` is required, or `download.sets` for several data
sets. An unknown key or an unusable value is an error that names the key and the closest known one. A section affects
its own stage and those after it only, so changing `[report]` does not rerun train.

`--set section.key=value` changes one value; the value is TOML, or a bare word or path. Relative paths in a file are
relative to the project; those in `--set` are relative to the working directory.

Without `--config` a command uses the first of these, and `artdetect status` shows which it is:

1. the file that `ARTDETECT_CONFIG` names;
2. the line `config = "my-art.toml"` in `artdetect.toml` beside `pyproject.toml`, or in `pyproject.toml` under
   `[tool.artdetect]`;
3. `configs/sample.toml`.

| file | what it is |
|---|---|
| `configs/sample.toml` | the demo data set; takes a minute on a CPU |
| `configs/default.toml` | AI-ArtBench with the preset `artnet` |
| `configs/notebook.toml` | AI-ArtBench with the notebook's own recipe |
| `configs/starter.toml` | the starter model, for `make starter` |
"""


def main() -> None:
    """Write both pages."""
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
    (REFERENCE / "configuration.md").write_text(configuration_page(), encoding="utf-8")


def commands_page() -> str:
    """All commands in the groups of `artdetect --help`."""
    commands = all_commands()
    shared = [action for action in commands.parser._actions if action.dest in ("quiet", "log_json")]
    rows = "\n".join(_option_row(action) for action in shared)
    described = {parser.prog.split()[1]: parser for parser in commands.parsers}
    text = COMMANDS.format(shared=rows)
    for title, names in _groups(commands.parser.description or ""):
        text += f"\n## {title.capitalize()}\n"
        text += "".join(_command(name, described[name]) for name in names)
    return text


def _groups(description: str) -> Iterator[tuple[str, list[str]]]:
    """Titles of groups with their commands, in the order of the help."""
    for title in GROUPS:
        lines = description.partition(f"\n{title}:\n")[2].partition("\n\n")[0].splitlines()
        yield title, [line.split()[0] for line in lines if re.match(r"  \S", line)]


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    shared = ("help", "quiet", "log_json")
    actions = [action for action in parser._actions if action.dest not in shared]
    about = " ".join((parser.description or "").split())
    examples, _, codes = (parser.epilog or "").rpartition("exit codes: ")
    text = f"\n### {name}\n\n{textwrap.fill(about, WIDTH)}\n"
    if actions:
        text += "\n| argument | meaning |\n|---|---|\n" + "".join(f"{_option_row(action)}\n" for action in actions)
    if examples.strip():
        text += f"\n```sh\n{_examples(examples.strip().splitlines()[1:])}\n```\n"
    return text + f"\nExit codes: {' '.join(codes.split())}.\n"


def _examples(lines: list[str]) -> str:
    """The examples of a help as lines of a shell, what each does as a comment."""
    pairs = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines]
    width = max(len(pair[0]) for pair in pairs)
    return "\n".join(f"{pair[0].ljust(width)}  # {pair[1]}" if len(pair) > 1 else pair[0] for pair in pairs)


def _option_row(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices:
        metavar = "{" + ",".join(map(str, action.choices)) + "}"
    names = [f"{name} {metavar}" if action.nargs != 0 else name for name in action.option_strings] or [metavar]
    shown = ", ".join(f"`{_cell(name)}`" for name in names)
    return f"| {shown} | {_cell(action.help or '')} |"


def configuration_page() -> str:
    """All sections of the config with their keys."""
    text = CONFIGURATION
    for name, field in Config.model_fields.items():
        section: Any = field.annotation
        about = re.sub(r"^Section `\w+`[.:]?\s*", "", " ".join((section.__doc__ or "").partition("\n\n")[0].split()))
        text += f"\n## `[{name}]`\n"
        if about:
            text += f"\n{textwrap.fill(about[0].upper() + about[1:], WIDTH)}\n"
        text += "\n| key | default | meaning |\n|---|---|---|\n"
        for key, setting in section.model_fields.items():
            text += f"| `{name}.{key}` | {_default(setting)} | {_cell(_meaning(setting))} |\n"
    return text


def _default(setting: FieldInfo) -> str:
    value = setting.get_default(call_default_factory=True)
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_none=True)
    return "" if value is None or value in ((), []) else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _meaning(setting: FieldInfo) -> str:
    described = setting.description or ""
    choices = [str(choice) for choice in _choices(setting.annotation)]
    return described if all(choice in described for choice in choices) else f"{described} ({_listed(choices)})"


def _choices(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) if get_origin(part) is Literal for choice in get_args(part)]


def _listed(choices: list[str]) -> str:
    *most, last = (f"`{choice}`" for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    main()
