"""`artdetect predict`: formats, exit codes, and file names of every kind."""

import contextlib
import csv
import json
import os
import pty
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artdetect import starter
from artdetect.artifacts import file_names
from artdetect.cli import chosen_model, main
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.mixed import MixedRule
from artdetect.model.parts import Parts
from artdetect.pictures import images
from tests.cli.conftest import one_line
from tests.tiny_dataset import jpeg, write

KEYS = ["path", "verdict", "reason", "p_ai", "model", "error", "predicted", "novelty", "generator", "native_crops"]
KEYS += ["ai_region", "ai_area", "human_region"]


def test_predict_as_json_is_an_object_a_line(model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(mixed), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["path"] for row in rows] == [str(mixed / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    detector = Detector.load(model)
    (p_ai,) = detector.p_ai(images.load(mixed / "a.jpg", detector.geometry)[None])
    predicted = "AI" if p_ai >= detector.rule.threshold else "human"
    assert rows[0] == {
        "path": str(mixed / "a.jpg"), "verdict": "unsure", "reason": "too small", "p_ai": p_ai,
        "model": detector.id, "error": None, "predicted": predicted, "novelty": None, "generator": None,
        "native_crops": 0, "ai_region": None, "ai_area": None, "human_region": None,
    }  # fmt: skip
    assert rows[1]["p_ai"] is rows[1]["verdict"] is rows[1]["reason"] is None
    assert "web page" in rows[1]["error"]


def test_predict_as_csv_holds_the_same_rows(
    model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", str(mixed), "--json"])
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["predict", str(mixed), "--csv", str(tmp_path / "out.csv")]) == 1
    assert capsys.readouterr().out == ""
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: "" if row[name] is None else str(row[name]) for name in KEYS} for row in expected]


def test_an_undecided_picture_is_unsure_in_every_format(
    model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shy = replace(Detector.load(model), rule=DecisionRule(0.5, 0.0, 1.1))
    shy.save(file := tmp_path / "shy.keras")
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file)]) == 0
    _, verdict, p_ai, named = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (verdict, named) == ("unsure: near the threshold", Detector.load(file).id)
    assert 0 <= float(p_ai) <= 1
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["reason"]) == ("unsure", "near the threshold")
    assert row["predicted"] == ("AI" if row["p_ai"] >= 0.5 else "human")
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file), "--csv", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(newline="") as table:
        header, cells = csv.reader(table)
    assert header == KEYS
    assert (cells[1], cells[2], cells[6]) == ("unsure", "near the threshold", row["predicted"])


def test_what_mixed_means_is_said_where_a_picture_is_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Detector.load(Path(starter.__file__).with_name("model.npz"))
    parts = Parts([], {}, MixedRule(-100.0, 0.0, 0.0, 0, {}, 0))  # however little region and rest speak
    eager = replace(model, parts=parts, rule=DecisionRule())
    monkeypatch.setattr(chosen_model, "load", lambda named: eager)
    stripes = (np.indices((300, 300))[0] % 10 < 3) * 180 + 20  # says AI; noise says human
    whole = Image.fromarray(stripes.astype(np.uint8))
    whole.paste(Image.effect_noise((150, 300), 90))
    whole.save(picture := tmp_path / "halves.png")
    assert main(["predict", str(picture)]) == 0
    out, notes = capsys.readouterr()
    assert out.split("\t")[1].startswith(("mixed: AI at ", "mixed: human at "))
    assert "mixed means that one region says AI firmly" in notes
    assert "artdetect: 1 picture: 1 mixed\n" in notes
    monkeypatch.setattr(chosen_model, "load", lambda named: replace(eager, parts=None))
    assert main(["predict", str(picture)]) == 0
    assert "mixed means" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict"], ["explain", "--out", "out"]])
def test_a_folder_without_pictures_is_one_line(
    command: list[str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main([*command, str(tmp_path / "empty")]) == 2
    assert "found no pictures in" in one_line(capsys.readouterr().err)


def test_names_cannot_steer_the_terminal(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a\nb.jpg", "\x1b[31mred.jpg", "é雪.jpg"):
        write(tmp_path / "in" / name, jpeg(1))
    write(tmp_path / "in" / "\x1b[1mbroken.jpg", b"")
    assert main(["predict", str(tmp_path / "in")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.isprintable() for line in "".join(lines).split("\t"))
    assert any("é雪.jpg" in line for line in lines)
    assert any("\\x1b[31mred.jpg" in line for line in lines)


def test_predict_shows_a_counter_on_a_terminal_while_it_writes_a_file(
    model: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert main(["predict", str(mixed), "--csv", str(tmp_path / "out.csv")]) == 1
    message = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has gone
        while part := os.read(reader, 4096):
            message += part
    os.close(reader)
    assert re.search(rb"\d+ pictures", message)


def test_predict_ends_with_0_when_every_picture_was_read(
    model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mixed / "b.jpg").unlink()
    assert main(["predict", str(mixed), "--model", str(model / file_names.MODEL)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("shape", ["", "--json", "--csv"])
def test_a_file_name_in_no_encoding_is_no_crash(
    model: Path, tmp_path: Path, shape: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / os.fsdecode(b"caf\xe9.jpg"), jpeg(1))
    extra = [shape, str(tmp_path / "out.csv")] if shape == "--csv" else [shape] if shape else []
    assert main(["predict", str(tmp_path / "in"), *extra]) == 0
    printed = capfd.readouterr().out
    assert r"caf\udce9.jpg" in ((tmp_path / "out.csv").read_text() if shape == "--csv" else printed)
