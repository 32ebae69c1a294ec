"""The command completion."""

import argparse
from functools import partial
from pathlib import Path

from artdetect.cli.parser import Commands
from artdetect.core import installing
from artdetect.core.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("DIR", "FOLDER")  # metavars of arguments that are folders


def add(commands: Commands) -> None:
    """Add this command's parser."""
    completion = commands.add(
        "completion",
        "print what lets a shell complete commands, options and paths",
        examples=[
            ("completion bash > ~/.local/share/bash-completion/completions/artdetect", ""),
            ("completion zsh > ~/.zsh/completions/_artdetect", "a folder in zsh's fpath"),
            ("completion fish > ~/.config/fish/completions/artdetect.fish", ""),
        ],
    )
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    completion.set_defaults(command=partial(_completion, commands))


def _completion(commands: Commands, arguments: argparse.Namespace) -> int:
    try:
        import shtab
    except ModuleNotFoundError:
        raise ConfigError(f"completion needs shtab: {installing.package('shtab')}") from None
    for parser in commands.parsers:
        for action in parser._actions:
            if action.type is Path or action.metavar == "PATH":
                action.complete = shtab.DIRECTORY if action.metavar in FOLDERS else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(commands.for_completion(), arguments.shell))
    return 0
