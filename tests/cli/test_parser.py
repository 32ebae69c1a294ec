"""Help, near misses, and what `artdetect` says of itself."""

import argparse
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.cli import GROUPS, all_commands, main

PARSERS = {parser.prog: parser for parser in [all_commands().parser, *all_commands().parsers]}


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().out == shown
    for title in GROUPS:
        assert f"\n{title}:\n" in shown
    for name in all_commands().names:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("prog", PARSERS)
def test_every_option_has_help(prog: str) -> None:
    actions = [action for action in PARSERS[prog]._actions if not isinstance(action, argparse._SubParsersAction)]
    assert actions
    assert [action.dest for action in actions if not action.help] == []


@pytest.mark.parametrize("parser", all_commands().parsers, ids=lambda parser: parser.prog)
def test_every_example_can_be_parsed_and_every_page_has_the_exit_codes(parser: argparse.ArgumentParser) -> None:
    lines = str(parser.epilog).splitlines()
    assert "exit codes: 0 done" in lines[-1] or "exit codes: 0 done" in lines[-2]
    examples = [line.strip().split("  ")[0] for line in lines if line.startswith("  artdetect ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0].partition(" < ")[0])
        assert all_commands().parse(words[1:]).command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predcit", "x.jpg"], "predcit: there is no such command. Did you mean predict?"),
        (["frobnicate"], "frobnicate: there is no such command. `artdetect --help` lists the commands"),
        (["predict", "--modle", "x", "y"], "predict: --modle: there is no such option. Did you mean --model?"),
        (["gc", "--keep-lst=3"], "gc: --keep-lst=3: there is no such option. Did you mean --keep-last?"),
        (["-q", "gc", "--zzz"], "gc: --zzz: there is no such option. `artdetect gc --help` lists what it takes"),
        (["unpin", "a", "b"], "unpin: b: unexpected argument. `artdetect unpin --help` lists what it takes"),
        (["predict"], "predict: the following arguments are required: PATH. `artdetect predict --help` lists what"),
        (["--quite"], "--quite: there is no such option. Did you mean --quiet?"),
    ],
)
def test_what_cannot_be_understood_is_one_line_with_what_is_close(
    failing: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert failing(*arguments).startswith(message)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_each_shell_knows_commands_options_and_paths(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("predict", "convert-encoder", "--log-json" if shell != "fish" else "log-json"):
        assert word in script


def test_bash_completes_a_command_and_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = f"""{capsys.readouterr().out}
    complete_line() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_artdetect; echo "${{COMPREPLY[@]}}"; }}
    complete_line artdetect pre; complete_line artdetect predict --mo; complete_line artdetect export --format o
    """
    ended = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True)
    assert ended.stdout.split() == ["predict", "--model", "onnx"]
