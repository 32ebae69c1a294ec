"""Which config commands and deployments use where none is named."""

from pathlib import Path

import pytest

from artdetect import config
from artdetect.core import default_config, paths
from artdetect.core.errors import ConfigError
from tests.tiny_dataset import write


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    monkeypatch.delenv(default_config.VARIABLE, raising=False)
    for number, name in enumerate(("sample", "own", "other", "third"), start=1):
        write(tmp_path / "configs" / f"{name}.toml", f'[download]\nurl = "art"\n[train]\nseed = {number}\n'.encode())
    return tmp_path


def test_each_place_goes_before_the_next(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load().train.seed == 1
    write(project / "pyproject.toml", b'[tool.artdetect]\nconfig = "configs/own.toml"\n')
    assert config.load().train.seed == config.chosen(None).train.seed == 2
    write(project / "artdetect.toml", b'config = "configs/other.toml"\n')
    assert default_config.find() == default_config.DefaultConfig(project / "configs" / "other.toml", "artdetect.toml")
    assert str(default_config.find()) == "configs/other.toml (artdetect.toml)"
    assert config.load(changes=["train.epochs=9"]).train.seed == 3
    monkeypatch.setenv(default_config.VARIABLE, "configs/third.toml")
    assert config.load().train.seed == 4
    assert config.load(project / "configs" / "own.toml").train.seed == 2


def test_a_default_that_is_not_there_says_who_names_it(project: Path) -> None:
    write(project / "artdetect.toml", b'config = "configs/absent.toml"\n')
    with pytest.raises(ConfigError, match=r"absent\.toml: there is no such config file \(named by artdetect\.toml\)"):
        config.load()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("artdetect.toml", b"config = 3\n", "artdetect.toml: expected one line"),
        ("artdetect.toml", b"confg = 'a.toml'\n", "artdetect.toml: expected one line"),
        ("artdetect.toml", b"config = \n", "not readable as TOML"),
        ("pyproject.toml", b"[tool]\nartdetect = 3\n", r"pyproject.toml \[tool.artdetect\]: expected one line"),
    ],
)
def test_another_content_is_an_error(project: Path, name: str, content: bytes, message: str) -> None:
    write(project / name, content)
    with pytest.raises(ConfigError, match=message):
        default_config.find()
