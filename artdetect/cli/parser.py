"""The parser of the command line: argparse, with groups of commands, examples, exit codes and near misses.

argparse starts in half the time of the libraries that draw help with rich, and `predict` needs no further package.
"""

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from typing import NoReturn

from artdetect.core.errors import ConfigError
from artdetect.core.version import __version__

WIDTH = 78  # of the list of commands, in columns


class Parser(argparse.ArgumentParser):
    """A parser whose errors are of this project: ConfigError, one line with what to do next."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        name = self.prog.partition(" ")[2]
        raise ConfigError(f"{name}: {message}. `{self.prog} --help` lists what it takes".removeprefix(": "))


class Commands:
    """All commands in their groups.

    Args:
        description: What the program does.
        examples: Commands to start with, and what each does.
    """

    def __init__(self, description: str, examples: Sequence[tuple[str, str]]):
        self.parser = Parser(
            prog="artdetect",
            usage="artdetect [OPTIONS] COMMAND …",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=_epilog(examples, "a command says partly done, such as a picture that could not be read"),
            add_help=False,
        )
        self.parser.add_argument("-h", "--help", action="help", help="show this help, or that of a command")
        self.parser.add_argument("--version", action="version", version=__version__, help="show the version")
        self._subparsers = self.parser.add_subparsers(
            parser_class=Parser, prog="artdetect", metavar="COMMAND", help=argparse.SUPPRESS
        )
        self._about = [description]

    @property
    def names(self) -> list[str]:
        """The names of all commands."""
        return list(self._subparsers.choices)

    @property
    def parsers(self) -> list[argparse.ArgumentParser]:
        """The parsers of all commands."""
        return list(self._subparsers.choices.values())

    def group(self, title: str) -> None:
        """Begin a group of commands, to which those that are added next belong."""
        self._about.append(f"\n{title}:")
        self.parser.description = "\n".join(self._about)

    def add(
        self, name: str, description: str, examples: Sequence[tuple[str, str]] = (), partly: str = ""
    ) -> argparse.ArgumentParser:
        """Add a command's parser, with its description in both the list of commands and its own help.

        Args:
            name: The command's name, as it is typed.
            description: What the command does, in lower case and without a full stop.
            examples: Command lines, without `artdetect`, and what each does.
            partly: When the command ends with exit code 1; empty if it never does.

        Returns:
            The new parser, which has no options yet but `--help`.
        """
        self._about.append(
            textwrap.fill(f"{name.ljust(15)}  {description}", WIDTH, initial_indent="  ", subsequent_indent=19 * " ")
        )
        self.parser.description = "\n".join(self._about)
        return self._subparsers.add_parser(
            name,
            help=description,
            description=textwrap.fill(f"{description[0].upper()}{description[1:]}.", WIDTH),
            epilog=_epilog(examples, partly),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options of a command line, whose first argument that is no option must be a command.

        Raises:
            ConfigError: Something in it cannot be understood; it names what is close.
        """
        command = next((argument for argument in arguments if not argument.startswith("-")), None)
        if command and command not in self.names:
            hint = _near(command, self.names) or "`artdetect --help` lists the commands"
            raise ConfigError(f"{command}: there is no such command. {hint}")
        options, unknown = self.parser.parse_known_args(arguments)
        if unknown:
            parser = self._subparsers.choices.get(command or "", self.parser)
            known = [option for action in parser._actions for option in action.option_strings]
            name = unknown[0].partition("=")[0]
            hint = _near(name, known) or f"`{parser.prog} --help` lists what it takes"
            what = "there is no such option" if name.startswith("-") else "unexpected argument"
            raise ConfigError(f"{f'{command}: ' if command else ''}{unknown[0]}: {what}. {hint}")
        return options

    def for_completion(self) -> argparse.ArgumentParser:
        """The parser with the list of commands in it, which its own help replaces by groups."""
        self._subparsers.help = "command"
        return self.parser


def _near(word: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else ""


def _epilog(examples: Sequence[tuple[str, str]], partly: str) -> str:
    lines = []
    if examples:
        width = max(len(line) for line, _ in examples)
        lines += ["examples:", *(f"  artdetect {line.ljust(width)}  {what}".rstrip() for line, what in examples), ""]
    codes = ["0 done", *([f"1 {partly}"] if partly else []), "2 an error that you can fix"]
    return "\n".join([*lines, textwrap.fill(f"exit codes: {', '.join(codes)}", WIDTH, subsequent_indent="  ")])
