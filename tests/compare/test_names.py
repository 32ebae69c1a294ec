"""How a person names an evaluation."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from artdetect.artifacts import registry, store
from artdetect.artifacts.lineage import lineage
from artdetect.compare import compare, find, previous
from artdetect.core.errors import ArtifactError, ConfigError

from .conftest import NEW, OLD, evaluated, evaluated_again, pictures, predicted


def test_newest_and_previous_and_the_one_before(pair: tuple[Path, Path]) -> None:
    assert (find("previous"), find("newest")) == pair
    assert previous(pair[1]) == pair[0]
    with pytest.raises(ArtifactError, match=f"evaluate/{OLD}: there is no evaluation before it"):
        previous(pair[0])


def test_a_champion_that_a_retraining_judged_again_comes_before_the_challenger(pair: tuple[Path, Path]) -> None:
    again = evaluated_again(OLD)
    assert (find("previous"), find("newest")) == (again, pair[1])
    assert previous(again) == pair[0]


def test_the_champion_is_the_newest_evaluation_of_its_model(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ArtifactError, match=r"there is no champion yet\. .*`artdetect promote KEY`"):
        find("champion")
    evaluated = {folder: lineage(folder)["train"].folder.name for folder in pair}
    registry.promote(evaluated[pair[0]], {}, "me", "")
    assert find("champion") == pair[0]


def test_without_any_evaluation_it_says_how_to_get_one() -> None:
    for name in ("newest", "previous"):
        with pytest.raises(ArtifactError, match="artdetect run"):
            find(name)
    with pytest.raises(ArtifactError, match="There are: none yet"):
        find("abcd")


@pytest.mark.parametrize("name", [NEW, NEW[:4], f"1{NEW}", f"1{NEW[:5]}"])
def test_a_key_or_its_beginning_names_an_evaluation_or_its_model(pair: tuple[Path, Path], name: str) -> None:
    assert find(name) == pair[1]


def test_a_folder_stands_for_its_evaluation_too(
    pair: tuple[Path, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(str(pair[0])) == find(str(root / "train" / f"1{OLD}")) == pair[0]
    monkeypatch.chdir(root)
    assert find(f"evaluate/{OLD}/") == pair[0]
    with pytest.raises(ConfigError, match="it is of stage balance; name one of evaluate, train, report"):
        find(f"balance/2{OLD}")
    with pytest.raises(ArtifactError, match="evaluate/absent: there is no artifact"):
        find("evaluate/absent")


def test_an_evaluation_below_another_project_is_compared_with_its_own_artifacts(
    pair: tuple[Path, Path], root: Path, tmp_path: Path
) -> None:
    root.rename(tmp_path / "elsewhere")
    folder = find(str(tmp_path / "elsewhere" / "train" / f"1{NEW}"))
    assert folder == tmp_path / "elsewhere" / "evaluate" / NEW
    assert compare(previous(folder), folder, 20)["new"]["artifacts"]["balance"] == f"2{NEW}"


def test_a_report_stands_for_the_evaluation_it_shows(pair: tuple[Path, Path]) -> None:
    with store.build("report", "9876543210", {"inputs": {"evaluate": store.load("evaluate", OLD).digest}}) as out:
        (out / "report.html").write_text("<html>")
    assert find("9876") == pair[0]


def test_a_model_stands_for_its_newest_evaluation(pair: tuple[Path, Path]) -> None:
    again = evaluated_again(OLD)
    assert find(f"1{OLD}") == again


def test_a_model_without_an_evaluation_is_an_error(pair: tuple[Path, Path], root: Path) -> None:
    shutil.rmtree(pair[0])
    with pytest.raises(ArtifactError, match=f"train/1{OLD}: there is no evaluation of it"):
        find(f"1{OLD}")


def test_a_key_that_is_too_short_unknown_or_ambiguous_is_an_error(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match=r"'fed': give at least 4 characters"):
        find("fed")
    with pytest.raises(ArtifactError, match=f"abcdef: no such key.*evaluate/{NEW}, train/1{NEW}, evaluate/{OLD}"):
        find("abcdef")
    evaluated("fedcffff", predicted(pictures(30), 1))
    with pytest.raises(ArtifactError, match=f"fedc: could be evaluate/{NEW}, evaluate/fedcffff"):
        find("fedc")


@pytest.mark.parametrize("change", [{"parts": []}, {"outputs": None}, {"started": 3}])
def test_a_broken_record_is_an_error_and_no_candidate(pair: tuple[Path, Path], change: dict[str, Any]) -> None:
    record = pair[1] / store.RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    with pytest.raises(ArtifactError, match=rf"{NEW}: its record\.json is not that of an artifact"):
        find(str(pair[1]))
    assert find("newest") == pair[0]
