import contextlib
import csv
import json
import os
import pty
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artdetect import __version__
from artdetect.artifacts import stages
from artdetect.cli import main
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import MODEL_FILE, Detector
from artdetect.pictures import images
from tests import PROJECT
from tests.tiny_dataset import data_set, jpeg, write

KEYS = ["path", "verdict", "p_ai", "model", "error", "called", "novelty", "generator"]


@pytest.fixture
def config(roots: Path) -> Path:
    """A config over a folder that the test fills."""
    return write(roots / "art.toml", f'[download]\nurl = "{roots}/art"\n'.encode())


@pytest.fixture
def failing(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail as a person should see it: exit 2 and one line on stderr, which it gives."""

    def run(*arguments: object) -> str:
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        return one_line(printed.err)

    return run


def one_line(stderr: str) -> str:
    assert stderr.startswith("artdetect: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1, stderr
    assert "Traceback" not in stderr
    return stderr[len("artdetect: ") : -1]


def artdetect(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with the limits and redirections that only a process can have."""
    return subprocess.run(
        [sys.executable, "-m", "artdetect.cli", *map(str, arguments)], cwd=PROJECT, text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )  # fmt: skip


# --- what a person can get wrong ---


def test_a_missing_config_names_those_there_are(failing: Callable[..., str], tmp_path: Path) -> None:
    assert "configs/sample.toml" in failing("status", "--config", tmp_path / "absent.toml")


@pytest.mark.parametrize("command", ["status", "run"])
def test_an_unknown_key_names_the_near_miss(failing: Callable[..., str], config: Path, command: str) -> None:
    said = failing(command, "--config", config, "--set", "train.epoch=3")
    assert said.endswith("train.epoch is not a key of the config. Did you mean train.epochs?")


def test_a_wrong_value_names_key_and_value(failing: Callable[..., str], config: Path) -> None:
    assert "train.epochs = 'many'" in failing("status", "--config", config, "--set", "train.epochs=many")


@pytest.mark.parametrize("command", ["status", "run"])
def test_a_folder_of_pictures_that_is_not_there_is_named(
    failing: Callable[..., str], config: Path, roots: Path, command: str
) -> None:
    assert f"{roots}/art" in failing(command, "--config", config)


@pytest.mark.parametrize("how", ["a text file", "a broken link", "a link to itself"])
def test_what_stands_in_place_of_the_folder_is_named(
    failing: Callable[..., str], config: Path, roots: Path, how: str
) -> None:
    if how == "a text file":
        write(roots / "art", b"hello")
    else:
        (roots / "art").symlink_to("art" if how == "a link to itself" else "nowhere")
    assert f"{roots}/art" in failing("run", "--config", config)


def test_an_unknown_stage_to_refresh_names_those_there_are(failing: Callable[..., str], config: Path) -> None:
    said = failing("run", "--config", config, "--refresh", "trian")
    assert "--refresh trian" in said
    assert said.endswith(f"There are: {', '.join(stage.name for stage in stages.CHAIN)}")


def test_the_gate_is_no_stage_of_a_run(failing: Callable[..., str], config: Path) -> None:
    said = failing("run", "--config", config, "--refresh", "gate")
    assert said == "--refresh gate: the gate is no part of a run. It belongs to `artdetect retrain`"


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_no_model_yet_says_how_to_get_one(failing: Callable[..., str], roots: Path, command: str) -> None:
    extra = ["--out", roots / "out"] if command == "explain" else []
    assert "Train one with `artdetect run`" in failing(command, roots, *extra)


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_file_that_is_no_model_is_named(failing: Callable[..., str], roots: Path, command: str) -> None:
    file = write(roots / "x.keras", b"PK\x03\x04 no model")
    extra = ["--out", roots / "out"] if command == "explain" else []
    assert str(file) in failing(command, roots, "--model", file, *extra)


def test_a_table_that_cannot_be_written_is_named(failing: Callable[..., str], model: Path, tmp_path: Path) -> None:
    (picture := tmp_path / "a.jpg").write_bytes(jpeg(1))
    absent = tmp_path / "absent" / "x.csv"
    assert f"{absent}: there is no folder" in failing("predict", picture, "--csv", absent)
    assert f"{tmp_path}: a folder stands where a file" in failing("predict", picture, "--csv", tmp_path)
    below = picture / "x.csv"
    assert f"{below}: a file stands where a folder" in failing("predict", picture, "--csv", below)


def test_a_file_in_place_of_the_output_folder_is_named(
    failing: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    (picture := tmp_path / "a.jpg").write_bytes(jpeg(1))
    said = failing("explain", picture, "--out", picture)
    assert said == f"{picture}: a file stands where a folder is expected"


def test_a_number_of_steps_that_makes_no_sense_is_named(failing: Callable[..., str], tmp_path: Path) -> None:
    assert failing("explain", tmp_path, "--out", tmp_path, "--steps", 1).startswith("--steps 1: ")


# --- status ---


def test_status_as_json_has_a_row_a_stage_and_exit_1_while_anything_is_not_current(
    config: Path, roots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_set(roots / "art", train=1, test=1)
    assert main(["status", "--config", str(config), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["stages"]
    assert [row["stage"] for row in found["stages"]] == [stage.name for stage in stages.CHAIN]
    for row in found["stages"]:
        assert row == {"stage": row["stage"], "state": "missing", "why": ["never built"], "artifact": None}


def test_status_for_people_is_a_line_a_stage(config: Path, roots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_set(roots / "art", train=1, test=1)
    assert main(["status", "--config", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", *(stage.name for stage in stages.CHAIN)]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


# --- predict ---


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two pictures and a file that is none."""
    for name, content in {"a.jpg": jpeg(1), "b.jpg": b"<html>", "c.jpg": jpeg(2)}.items():
        write(tmp_path / "in" / name, content)
    return tmp_path / "in"


def test_predict_as_json_is_an_object_a_line(model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(mixed), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["path"] for row in rows] == [str(mixed / name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    detector = Detector.load(model)
    (p_ai,) = detector.p_ai(images.load(mixed / "a.jpg", detector.geometry)[None])
    called = "AI" if p_ai >= detector.rule.threshold else "human"
    assert rows[0] == {
        "path": str(mixed / "a.jpg"), "verdict": called, "p_ai": p_ai, "model": detector.id, "error": None,
        "called": called, "novelty": None, "generator": None,
    }  # fmt: skip
    assert rows[1]["p_ai"] is rows[1]["verdict"] is None
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


def test_a_picture_that_the_rule_leaves_undecided_is_unsure_everywhere(
    model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shy = replace(Detector.load(model), rule=DecisionRule(margin=30.0))
    shy.save(file := tmp_path / "shy.keras")
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file)]) == 0
    _, verdict, p_ai, named = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (verdict, named) == ("unsure", Detector.load(file).id)
    assert 0 <= float(p_ai) <= 1
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["called"]) == ("unsure", "AI" if row["p_ai"] >= 0.5 else "human")
    assert main(["predict", str(mixed / "a.jpg"), "--model", str(file), "--csv", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(newline="") as table:
        header, cells = csv.reader(table)
    assert header == KEYS
    assert (cells[1], cells[5]) == ("unsure", row["called"])


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


def test_predict_counts_on_a_terminal_what_goes_to_a_file(
    model: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert main(["predict", str(mixed), "--csv", str(tmp_path / "out.csv")]) == 1
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has gone
        while part := os.read(reader, 4096):
            said += part
    os.close(reader)
    assert re.search(rb"\d+ pictures", said)


def test_predict_ends_with_0_when_every_picture_was_read(
    model: Path, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mixed / "b.jpg").unlink()
    assert main(["predict", str(mixed), "--model", str(model / MODEL_FILE)]) == 0
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


# --- full disks and closed pipes ---


def test_a_disk_that_is_full_when_the_table_is_closed_is_one_line(
    failing: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    assert "the disk is full" in failing("predict", tmp_path / "absent.jpg", "--csv", "/dev/full")


def test_a_disk_that_is_full_while_the_table_is_written_is_one_line(model: Path, tmp_path: Path) -> None:
    """Nor does Python complain at exit of a file that it could not close."""
    paths = [tmp_path / "absent" / f"{number}.jpg" for number in range(400)]
    ended = artdetect("predict", *paths, "--csv", "/dev/full")
    assert ended.returncode == 2
    assert "the disk is full" in one_line(ended.stderr)


def test_a_full_disk_under_the_output_is_one_line(config: Path, roots: Path) -> None:
    data_set(roots / "art", train=1, test=1)
    with Path("/dev/full").open("w") as full:
        ended = artdetect("status", "--config", config, stdout=full, env=os.environ | {"PYTHONUNBUFFERED": ""})
    assert ended.returncode == 2
    assert "the disk is full" in one_line(ended.stderr)


def test_a_file_that_must_not_grow_is_one_line(failing: Callable[..., str], model: Path, mixed: Path) -> None:
    """`ulimit -f`, which stops root too; Keras unpacks the weights to a temporary file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        said = failing("predict", mixed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "ulimit" in said


def test_a_reader_that_has_seen_enough_is_no_error(config: Path, roots: Path) -> None:
    data_set(roots / "art", train=1, test=1)
    reading, writing = os.pipe()
    os.close(reading)
    ended = artdetect("status", "--config", config, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


# --- explain ---

CHEAP = ("--steps", 2, "--algorithm", "fast", "--quality", 0)


@pytest.fixture
def explain(
    model: Path, roots: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[list[str]], str]]:
    """Explains paths with the barely trained model into `out`: the exit code, the cells of stdout's lines, stderr."""

    def run(*arguments: object) -> tuple[int, list[list[str]], str]:
        code = main(["explain", *map(str, arguments), "--model", str(model), "--out", str(tmp_path / "out")])
        printed = capfd.readouterr()
        return code, [line.split("\t") for line in printed.out.splitlines()], printed.err

    return run


def test_explain_writes_a_figure_and_arrays_of_its_own_for_each_picture(
    explain: Callable[..., tuple[int, list[list[str]], str]], tmp_path: Path
) -> None:
    names = {"a-2.jpg": "a-2", "a.jpg": "a", "a.png": "a-3", "bad.jpg": None, "sub/a.jpg": "sub/a"}
    for number, (name, explained) in enumerate(names.items()):
        write(tmp_path / "in" / name, jpeg(number) if explained else b"")
    code, lines, said = explain(tmp_path / "in", *CHEAP)
    out = tmp_path / "out"
    assert code == 1
    shown = {path: figure for path, verdict, figure in lines if verdict != "error"}
    assert shown == {f"{tmp_path}/in/{name}": f"{out}/{taken}.png" for name, taken in names.items() if taken}
    (failed,) = [line for line in lines if line[1] == "error"]
    assert failed == [f"{tmp_path}/in/bad.jpg", "error", f"{tmp_path}/in/bad.jpg: the file is empty"]
    assert said == f"4 explained, 0 explained before and unchanged, 1 unreadable: {out}/explanations.parquet\n"
    for figure in shown.values():
        assert images.decode(Path(figure)).width > 100
        with np.load(Path(figure).with_suffix(".npz")) as arrays:
            assert arrays["heatmap"].shape == (32, 32)
            assert np.isfinite(arrays["heatmap"]).all()


def test_explained_again_nothing_is_done_and_the_exit_code_is_the_same(
    explain: Callable[..., tuple[int, list[list[str]], str]], mixed: Path
) -> None:
    assert explain(mixed, *CHEAP)[0] == 1
    code, lines, said = explain(mixed, *CHEAP)
    assert code == 1
    assert [line[:2] for line in lines] == [[str(mixed / "b.jpg"), "error"]]
    assert said.startswith("0 explained, 2 explained before and unchanged, 1 unreadable: ")


@pytest.mark.parametrize("method", ["xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"])
def test_each_method_explains_a_picture_alone_and_is_checked(
    explain: Callable[..., tuple[int, list[list[str]], str]], tmp_path: Path, method: str
) -> None:
    picture = write(tmp_path / "a.jpg", jpeg(1))
    steps = ("--steps", 2) if method in ("xrai", "integrated_gradients") else ()
    code, (line,), _ = explain(picture, "--method", method, *steps, "--quality", 1)
    assert (code, line[0], line[2]) == (0, str(picture), str(tmp_path / "out" / "a.png"))
    assert images.decode(Path(line[2])).width > 100
    quality = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert (quality["config"]["method"], quality["pictures"]) == (method, 1)


@pytest.mark.parametrize("option", [("--steps", 5), ("--algorithm", "fast")])
def test_an_option_that_the_method_does_not_take_is_named(
    failing: Callable[..., str], tmp_path: Path, option: tuple[str, object]
) -> None:
    said = failing("explain", tmp_path, "--out", tmp_path, "--method", "gradcam", *option)
    assert said == f"{option[0]}: method gradcam has no such setting"


def test_an_output_folder_of_something_else_or_of_other_settings_is_one_line_and_untouched(
    explain: Callable[..., tuple[int, list[list[str]], str]], failing: Callable[..., str], mixed: Path, model: Path
) -> None:
    explain(mixed / "a.jpg", *CHEAP)
    out = mixed.parent / "out"
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in out.rglob("*")}
    said = failing("explain", mixed, "--out", out, "--model", model, "--steps", 3, "--algorithm", "fast")
    assert "was begun with another steps (2, now 3); name a new or empty one" in said
    other = write(mixed.parent / "else" / "notes.txt", b"mine")
    assert "holds something else" in failing("explain", mixed, "--out", other.parent, "--model", model)
    assert [*other.parent.iterdir()] == [other]
    assert before == {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in out.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_explanations_on_a_full_disk_are_one_line(
    failing: Callable[..., str], model: Path, mixed: Path, roots: Path
) -> None:
    (out := roots / "out").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(out)], check=True)
    try:
        assert "the disk is full" in failing("explain", mixed / "a.jpg", "--out", out, "--model", model, *CHEAP)
    finally:
        subprocess.run(["umount", str(out)], check=True)
