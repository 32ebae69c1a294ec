"""The table "what runs again": for each change, the stages that run, and the reasons they give.

One base run is built; each test changes a copy of it and runs the real flow against a real Prefect server.
"""

import html
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from artdetect.artifacts import registry, store
from artdetect.cli import main
from artdetect.compute import ComputeConfig
from artdetect.core import paths
from artdetect.core.errors import ArtifactError
from artdetect.monitoring import status
from flows.pipeline import pipeline

from .conftest import STAGES, artifacts, run, small, task_states

FROM_INDEX = STAGES[1:]


def artifact(stage: str) -> Path:
    """The one artifact of a stage."""
    (folder,) = [path.parent for path in (paths.artifacts() / stage).glob("*/record.json")]
    return folder


def picture(pictures: Path) -> Path:
    """One of the human-made training pictures."""
    return sorted((pictures / "train" / "impressionism").iterdir())[0]


def test_nothing_changed_nothing_runs(pictures: Path) -> None:
    """Prefect calls unchanged stages Cached."""
    state = pipeline(small(pictures), return_state=True)
    assert [(stage.stage, stage.ran) for stage in state.result()] == [(name, False) for name in STAGES]
    cached = dict.fromkeys(STAGES, ("Cached", "COMPLETED"))
    assert task_states(state.state_details.flow_run_id, cached) == cached


def command(page: str) -> list[str]:
    """The words of the command that a report names."""
    (found,) = re.findall(r'<pre class="command" tabindex="0"><code>(.*?)</code>', page)
    return shlex.split(html.unescape(found))


def keys() -> dict[str, list[str]]:
    return {stage: [artifact.key for artifact in store.stored(stage)] for stage in STAGES}


def test_the_reports_command_names_what_is_current(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = command((artifact("report") / "report.html").read_text())
    assert words[:2] == ["artdetect", "run"]
    monkeypatch.chdir(pictures.parent)
    assert main(["status", *words[2:]]) == 0


@pytest.mark.slow
def test_the_reports_command_makes_the_same_keys_from_scratch(
    pictures: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, before = (artifact("report") / "report.html").read_text(), keys()
    monkeypatch.chdir(pictures.parent)
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(roots / "again"))
    assert main(command(page)[1:]) == 0
    assert keys() == before
    assert (artifact("report") / "report.html").read_text() == page


@pytest.mark.slow
def test_a_champion_of_the_same_pictures_stands_beside(pictures: Path) -> None:
    """The page stays as it is when its model is promoted, too."""
    registry.promote(artifact("train").name, {"balance": artifact("balance").name}, "ann", "the first")
    changed = small(pictures, seed=1)
    assert list(run(changed)) == ["train", "evaluate", "explain", "report"]
    model, report = (store.stored(stage)[-1] for stage in ("train", "report"))
    page = (report.folder / "report.html").read_text()
    assert "Beside the figures of this model stand those of another one, the champion <code>notebook-" in page
    assert run(changed) == {}
    registry.promote(model.key, {}, "ann", "better")
    assert run(changed) == {}
    assert {stage.state for stage in status.status(changed)} == {"current"}


def test_an_added_copy_wakes_only_what_it_reaches(pictures: Path) -> None:
    """A second copy changes index and audit; balance drops it, so its table is as before and train stays cached.

    Evaluate reads the index for the test pictures' files; they are as before, so what it finds wakes nothing.
    """
    shutil.copy(picture(pictures), pictures / "train" / "impressionism" / "zz-copy.jpg")
    ran = run(small(pictures))
    assert ran["index"] == "1 picture added"
    assert list(ran) == ["index", "audit", "balance", "evaluate", "report"]


def test_a_picture_touched_and_a_cache_entry_gone(pictures: Path) -> None:
    """A builder was killed between publishing its artifact and Prefect's own record."""
    os.utime(picture(pictures))
    (artifact("train") / "prefect.json").unlink()
    assert {stage.state for stage in status.status(small(pictures))} == {"current"}
    assert run(small(pictures)) == {}
    assert (artifact("train") / "prefect.json").exists()


@pytest.mark.slow
def test_pictures_removed_and_replaced_and_others_compute(pictures: Path) -> None:
    """Also by one of the same size, a nanosecond later; the same time as well would be seen by no cache of facts.

    Who computes changes nothing, and sees the same.
    """
    config = small(pictures)
    others = config.model_copy(update={"compute": ComputeConfig(engine="processes", workers=2)})
    assert {stage.state for stage in status.status(others)} == {"current"}
    assert run(others) == {}

    def changes() -> str:
        return "; ".join(status.status(small(pictures))[1].why)

    first, second, third = sorted((pictures / "train" / "impressionism").iterdir())[:3]
    first.unlink()
    assert changes() == "1 picture removed"
    shutil.copy(sorted((pictures / "test" / "ukiyo_e").iterdir())[0], second)
    assert changes() == "1 picture removed; 1 picture replaced"
    before, data = third.stat(), bytearray(third.read_bytes())
    data[-3] ^= 1
    third.write_bytes(data)
    os.utime(third, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert changes() == "1 picture removed; 2 pictures replaced"
    ran = run(others)
    assert ran["index"] == "1 picture removed; 2 pictures replaced"
    assert list(ran) == FROM_INDEX


def test_a_deleted_artifact_is_rebuilt(pictures: Path) -> None:
    """It comes out as before, so nothing behind it runs."""
    shutil.rmtree(artifact("balance"))
    assert run(small(pictures)) == {"balance": "its artifact was deleted"}


@pytest.mark.slow
def test_a_corrupted_model_is_rebuilt(pictures: Path) -> None:
    """And the dashboard shows how far its training is."""
    model = artifact("train") / "model.keras"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    state = pipeline(small(pictures), return_state=True)
    ran = {stage.stage: stage.why for stage in state.result() if stage.ran}
    assert ran == {"train": "model.keras: content differs from its record"}
    (shown,) = [found for found in artifacts(state.state_details.flow_run_id) if found.key == "train"]
    assert shown.type == "progress"
    assert float(shown.data) == 100.0
    assert run(small(pictures)) == {}


def test_a_refresh_rebuilds_one_stage(pictures: Path) -> None:
    assert run(small(pictures), ("balance",)) == {"balance": "a refresh was requested"}


@pytest.mark.slow
def test_a_refresh_does_not_replace_the_champion_by_other_content(pictures: Path) -> None:
    """Without it, a refresh with damaged caches put another model in the champion's place, without the gate."""
    before = artifact("train")
    record = store.read(before).record
    with store.build("train", before.name, record["parts"]) as out:
        for name in record["outputs"]:
            shutil.copy(before / name, out / name)
        (out / "more.txt").write_text("so that its content is another")
    registry.promote(before.name, {}, "a person", "best")
    promoted = store.load("train", before.name)
    with pytest.raises(ArtifactError, match=f"train/{before.name}: its content was promoted"):
        run(small(pictures), ("train",))
    assert store.load("train", before.name) == promoted
    assert registry.champion_model() == before
    registry.alias_file().unlink()
    assert run(small(pictures), ("train",)) == {"train": "a refresh was requested"}
    assert store.load("train", before.name).digest != promoted.digest


@pytest.mark.slow
def test_a_vanished_data_set_is_noticed(pictures: Path, archive: Path) -> None:
    config = small(archive)
    run(config)
    (unpacked,) = [path for path in (paths.data() / "raw").glob("drawn-art-*") if path.is_dir()]
    shutil.rmtree(unpacked)
    ran = run(config)
    assert list(ran) == ["download"]
    assert ran["download"].endswith("is gone")
