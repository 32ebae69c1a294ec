"""What must stay apart: the library from Prefect, and what is asked often from what is slow to load."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import artdetect
from artdetect import config as configs
from artdetect.artifacts.stages import CHAIN, GATE, STAGES
from artdetect.core.config_section import Section
from artdetect.gate.config import GateConfig
from tests import PROJECT
from tests.tiny_dataset import data_set

LIBRARY = sorted((PROJECT / "artdetect").rglob("*.py"))
SLOW = ("prefect", "tensorflow", "keras", "matplotlib", "sklearn", "skimage", "saliency", "numba")


def imported(source: Path) -> set[str]:
    """The top-level packages that a file imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).split(".")[0])
    return names


def loaded(program: str, *arguments: str) -> set[str]:
    """The top-level packages in `sys.modules` after a program, in a process of its own."""
    last = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\n{last}", *arguments],
        cwd=PROJECT,
        text=True,
        capture_output=True,
        check=True,
    )
    return set(ended.stdout.splitlines()[-1].split())


def test_no_test_or_product_file_needs_a_private_module_of_the_tests() -> None:
    for source in LIBRARY:
        assert "tests" not in imported(source), source


def test_the_package_gives_its_public_names_and_loads_them_late() -> None:
    assert not loaded("import artdetect; artdetect.ArtdetectError; dir(artdetect)") & {*SLOW, "numpy", "pydantic"}
    for name in artdetect.__all__:
        assert getattr(artdetect, name)
        assert name in dir(artdetect)
    with pytest.raises(AttributeError, match="'artdetect' has no attribute 'Guess'"):
        artdetect.Guess  # noqa: B018


def test_importing_the_library_loads_nothing_slow() -> None:
    found = loaded(
        "import artdetect, artdetect.cli, artdetect.config, artdetect.monitoring.status, artdetect.model.detector"
    )
    assert not found & set(SLOW)


def test_status_loads_nothing_slow(roots: Path) -> None:
    data_set(roots / "art", train=1, test=1)
    (roots / "art.toml").write_text(f'[download]\nurl = "{roots}/art"\n')
    program = "import sys\nfrom artdetect.cli import main\nassert main(sys.argv[1:]) == 1"
    found = loaded(program, "status", "--config", str(roots / "art.toml"))
    assert "artdetect" in found
    assert not found & set(SLOW)


def test_status_over_built_artifacts_loads_nothing_slow(roots: Path) -> None:
    """With a download and an index to look into, which is where Parquet is read."""
    data_set(roots / "art", train=2, test=1)
    (roots / "art.toml").write_text(f'[download]\nurl = "{roots}/art"\n')
    program = f"""
import sys
from pathlib import Path
from artdetect import config, download, index
from artdetect.artifacts import stages, store
from artdetect.monitoring import status
from artdetect.index import scan
loaded = config.load(Path({str(roots / "art.toml")!r}))
plan = stages.plan(stages.STAGES["download"], loaded.download, download.fingerprint(loaded.download))
with store.build("download", plan.key, plan.parts) as out:
    download.run(loaded.download, out)
pictures = scan.scan(Path({str(roots / "art")!r}))
plan = stages.plan(stages.STAGES["index"], loaded.index, {{"pictures": pictures.digest}})
with store.build("index", plan.key, plan.parts) as out:
    index.run(loaded.index, pictures, out)
assert [stage.state for stage in status.status(loaded)][:3] == ["current", "current", "missing"]
"""
    assert not loaded(program) & set(SLOW)


@pytest.mark.parametrize("stage", CHAIN, ids=lambda stage: stage.name)
def test_every_stage_has_a_section_a_module_with_run_and_inputs_that_come_before(stage) -> None:
    names = [earlier.name for earlier in CHAIN]
    section = configs.Config.model_fields[stage.name].annotation
    assert isinstance(section, type)
    assert issubclass(section, Section)
    module = importlib.import_module(stage.module)
    assert callable(module.run)
    assert section.__module__.startswith(stage.module)  # beside its stage: an option elsewhere reruns nothing
    assert (PROJECT / "tasks" / f"{stage.name}.py").is_file()
    for source in stage.inputs:
        assert (
            source in ("source", "pictures", GATE.name)  # an earlier retraining decided, if one did
            or source.startswith("champion")
            or names.index(source) < names.index(stage.name)
        )


def test_the_gate_is_a_stage_beside_the_chain() -> None:
    assert GATE not in CHAIN
    assert STAGES["gate"] is GATE
    assert configs.Config.model_fields["gate"].annotation is GateConfig
    assert callable(importlib.import_module(GATE.module).run)


def test_a_flow_can_rebuild_every_stage_of_the_chain_and_no_other() -> None:
    from flows.parameters import StageName

    assert get_args(StageName) == tuple(stage.name for stage in CHAIN)


def test_every_package_that_a_key_names_is_installed() -> None:
    from artdetect.core import digests

    for stage in STAGES.values():
        assert set(digests.versions(stage.packages)) == {"python", *stage.packages}


def test_the_command_works_from_any_folder(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "artdetect.cli", "--version"], cwd=tmp_path, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
