"""Which model judges a person's pictures, and which one does so only if it is named."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from artdetect import retrain
from artdetect.artifacts import file_names, registry, store
from artdetect.cli import main
from artdetect.core.errors import ModelError
from artdetect.housekeeping import retention
from artdetect.model import choice
from artdetect.model.detector import Detector
from artdetect.monitoring import model_table
from tests.tiny_dataset import jpeg, write

NOTICE = "Drawn by a program.\n\n\x1b[31mRed\x1b[0m art\u202e."


def with_card(model: Path, path: Path, **entries: Any) -> Path:
    """A copy of a model file with other entries in its card."""
    with zipfile.ZipFile(model / file_names.MODEL) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "artdetect.json":
                content = json.dumps(json.loads(content) | entries).encode()
            target.writestr(name, content)
    return path


@pytest.fixture
def project(model: Path, roots: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which a model of real pictures was trained, and then a demonstration; and an unused starter."""
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "artifacts"))
    with store.build("train", "real", {}) as out:
        shutil.copy(model / file_names.MODEL, out)
    with store.build("train", "demo", {}) as out:
        with_card(model, out / file_names.MODEL, demonstration=True, notice=NOTICE)
    with_card(model, roots / "starter.keras", name="starter", notice="Photographed.")
    write(roots / "a.jpg", jpeg(1))
    return roots


def with_starter(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "STARTER_FILE", project / "starter.keras")


def test_a_newer_demonstration_is_passed_over(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert choice.choose() == choice.Choice(store.place("train", "real"), "newest", "real")
        with_starter(project, monkeypatch)


def test_without_an_own_model_it_is_the_starter(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(store.place("train", "real"))
    with pytest.raises(ModelError, match=r"the only model, train/demo, is a demonstration.*--model demo") as error:
        choice.choose()
    assert "--model starter" not in str(error.value)
    with_starter(project, monkeypatch)
    assert choice.choose() == choice.Choice(project / "starter.keras", "starter")
    shutil.rmtree(store.place("train", "demo"))
    assert choice.choose().role == "starter"


def test_the_champion_comes_first_but_not_as_a_demonstration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is another model used silently in its place."""
    registry.promote("real", {}, "me", "real art")
    assert choice.choose() == choice.Choice(store.place("train", "real"), "champion", "real")
    registry.promote("demo", {}, "me", "to try it")
    with_starter(project, monkeypatch)
    with pytest.raises(ModelError, match=r"the champion, train/demo, is a demonstration.*run --config.*model starter"):
        choice.choose()


def test_a_model_can_be_named_by_path_as_starter_and_as_demo(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.place("train", "demo")
    assert choice.choose(folder) == choice.Choice(folder, "named")
    assert choice.choose(Path("demo")) == choice.Choice(folder, "demo", "demo")
    with pytest.raises(ModelError, match="this copy of artdetect has no starter"):
        choice.choose(Path("starter"))
    with_starter(project, monkeypatch)
    assert choice.choose(Path("starter")).path == project / "starter.keras"
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="there is no demonstration model"):
        choice.choose(Path("demo"))


@pytest.mark.parametrize("command", [["predict"], ["explain", "--out", "out"]])
def test_commands_refuse_a_demonstration_and_obey_who_names_it(
    command: list[str], project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    shutil.rmtree(store.place("train", "real"))
    assert main([*command, "a.jpg"]) == 2
    refused = capsys.readouterr()
    assert (refused.out, refused.err.count("\n")) == ("", 1)
    assert "is a demonstration" in refused.err
    options = ["--quality", "0", "--method", "gradcam"] if command[0] == "explain" else []
    assert main([*command, "a.jpg", "--model", "demo", *options]) == 0
    first, second, *_ = capsys.readouterr().err.splitlines()
    its = Detector.load(store.place("train", "demo")).id
    assert first.startswith(f"artdetect: model {its}: the newest demonstration, train/demo. It is a demonstration: ")
    assert (
        second == f"artdetect: model {its}: its training data say: Drawn by a program. \\x1b[31mRed\\x1b[0m art\\u202e."
    )


def test_predict_says_which_model_answers(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_starter(project, monkeypatch)
    monkeypatch.setenv("ARTDETECT_LOG", "json")
    picture = str(project / "a.jpg")
    assert main(["predict", picture, "--json"]) == 0
    printed = capsys.readouterr()
    line = json.loads(printed.err.splitlines()[0])
    assert line["message"] == f"model {json.loads(printed.out)['model']}: the newest own one, train/real"
    assert main(["predict", picture, "--json", "--model", "starter"]) == 0
    printed = capsys.readouterr()
    which, says = (json.loads(line)["message"] for line in printed.err.splitlines()[:2])
    assert json.loads(printed.out)["model"].startswith("starter-")
    assert which == f"model {json.loads(printed.out)['model']}: the starter that comes with artdetect"
    assert says.endswith(": its training data say: Photographed.")


def test_the_first_champion_is_a_real_model_where_there_is_one(project: Path) -> None:
    assert (("train", "real"), "newest model") in retention.roots(1, 1)
    assert retrain.current_champion().train == "real"


def test_a_demonstration_project_retrains_too(project: Path) -> None:
    shutil.rmtree(store.place("train", "real"))
    assert retrain.current_champion().train == "demo"


def test_models_lists_the_starter_and_the_notices_without_control_characters(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_starter(project, monkeypatch)
    demo, real, starter = model_table.table()
    assert [row["key"] for row in (demo, real, starter)] == ["demo", "real", "starter"]
    assert [row["demonstration"] for row in (demo, real, starter)] == [True, False, False]
    assert demo["notice"] == NOTICE
    assert (starter["preset"], starter["fault"], starter["why"]) == ("notebook", None, "comes with artdetect")
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "Training data of demo: Drawn by a program. \\x1b[31mRed" in printed
    assert "Training data of starter: Photographed." in printed
    assert "\x1b" not in printed
    (project / "starter.keras").write_bytes(b"damaged")
    assert "not a model file" in model_table.table()[-1]["fault"]
