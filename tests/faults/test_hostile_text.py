"""Text from data sets reaches a terminal escaped: notices, names of files, folders and sources, provenance, cards."""

import json
import logging.config
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

from artdetect import config as configs
from artdetect.artifacts import file_names
from artdetect.artifacts.file_names import CARD
from artdetect.cli import main
from artdetect.core.errors import ModelError
from artdetect.formatting.text import columns
from tests import PROJECT
from tests.flows.conftest import small
from tests.tiny_dataset import jpeg, write

EVIL = "\x1b[31m\x1b]0;owned\x07\u202egnp\x9b1m"  # colour, window title, bell, right-to-left, C1 control
DANGEROUS = {"Cc", "Cf", "Cs"}  # Unicode's control, format and surrogate characters


def hostile(folder: Path) -> Path:
    """A data set in which whatever can hold text holds control characters, and some pictures are broken."""
    for split, count in (("train", 6), ("test", 4)):
        for place, name in enumerate(("ukiyo_e", f"AI_SD_{EVIL}", f"{EVIL}none")):
            for number in range(count):
                base = 180 if name.startswith("AI_") else 70
                content = jpeg((split == "test", place, number), base=base)
                write(folder / split / name / f"{number}{EVIL}.jpg", content)
        write(folder / split / "ukiyo_e" / f"broken{EVIL}.jpg", b"<html>")
        shutil.copy(folder / split / "ukiyo_e" / f"0{EVIL}.jpg", folder / split / "ukiyo_e" / f"copy{EVIL}.jpg")
    (folder / "NOTICE.txt").write_text(f"These pictures{EVIL} are\n\nhostile {EVIL}")
    rows = [f"{path.relative_to(folder)},{EVIL}{path.parent.name}" for path in sorted(folder.rglob("*.jpg"))]
    (folder / "sources.csv").write_text("\n".join(["path,source", *rows]))
    return folder


@pytest.mark.slow
def test_no_command_prints_control_characters_of_a_data_set(
    server: str, roots: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = hostile(roots / f"art{EVIL}")
    inbox = roots / f"more{EVIL}"
    for number in range(3):
        write(inbox / f"{number}{EVIL}.jpg", jpeg((9, number)))
    write(inbox / f"{EVIL}.jpg", b"GIF89a")
    (inbox / "provenance.toml").write_text("note = 'x'\n")
    chosen = ["--config", str(write(roots / "small.toml", configs.dump(small(pictures, explained=1)).encode()))]
    commands: list[tuple[list[str], set[int]]] = [
        (["run", *chosen], {0}),
        (["status", *chosen], {0}),
        (["ingest", str(inbox), "--label", "human", "--origin", "me", "--note", EVIL, "--source", EVIL, *chosen], {1}),
        (["status", *chosen], {0, 1}),
        (["run", *chosen, "--set", "train.epochs=2"], {0}),
        (["models"], {0}),
        (["compare", "newest"], {0}),
        (["compare", "newest", "--format", "markdown"], {0}),
        (["predict", str(pictures / "test")], {1}),
        (["explain", str(inbox), "--out", str(roots / "out"), "--method", "gradcam", "--quality", "0"], {1}),
        (["adapt", str(pictures)], {2}),
        (["gc"], {0}),
    ]
    found = {}
    for command, codes in commands:
        capfd.readouterr()
        code = main(command)
        printed = "".join(capfd.readouterr())
        assert code in codes, (command, printed)
        assert printed.strip()
        if lines := [line for line in printed.split("\n") if dangerous(line)]:
            found[command[0]] = lines
    assert found == {}
    stopped = [sys.executable, "-m", "artdetect.cli", "run", *chosen, "--set", "audit.duplicates=stop"]
    ended = subprocess.run(stopped, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert not any(map(dangerous, (ended.stdout + ended.stderr).split("\n")))


def test_a_table_is_printable() -> None:
    assert not any(map(dangerous, columns([["name", "n"], [EVIL, "1"]]).split("\n")))


def test_the_log_of_a_run_is_printable_line_by_line() -> None:
    from tasks.engine.logging_setup import SingleLineErrors

    record = logging.LogRecord("a", logging.WARNING, "", 1, "ingest: %s\nand more", (EVIL,), None)
    assert SingleLineErrors().filter(record)
    lines = record.getMessage().split("\n")
    assert lines[1] == "and more"
    assert not any(map(dangerous, lines))


def test_the_log_of_serve_is_printable() -> None:
    from artdetect import serve

    config = logging.config.DictConfigurator(serve._logging(as_json=False))
    formatter = config.configure_formatter(config.config["formatters"]["line"])
    line = formatter.format(logging.LogRecord("a", logging.INFO, "", 1, "model %s", (EVIL,), None))
    assert "model \\x1b[31m" in line
    assert not dangerous(line)


@pytest.mark.parametrize("change", [{"preset": EVIL}, {"name": EVIL}, {"families": [EVIL]}, {"name": 7}])
def test_a_model_whose_card_names_things_with_control_characters_is_refused(
    change: dict[str, object], model: Path, tmp_path: Path
) -> None:
    from artdetect.model.card import read_card

    rewritten = tmp_path / "evil.keras"
    with zipfile.ZipFile(model / file_names.MODEL) as source, zipfile.ZipFile(rewritten, "w") as target:
        card = json.loads(source.read(CARD))
        target.writestr(CARD, json.dumps(card | change))
    with pytest.raises(ModelError, match="not a model file of artdetect") as raised:
        read_card(rewritten)
    assert not dangerous(str(raised.value))


def dangerous(line: str) -> bool:
    return any(unicodedata.category(character) in DANGEROUS and character not in "\t\r" for character in line)
