"""`artdetect explain`: outputs, resuming, and refused options."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artdetect.cli import main
from artdetect.explain import explanation as explanations
from artdetect.pictures import images
from tests.tiny_dataset import jpeg, write

CHEAP = ("--method", "xrai", "--steps", 2, "--algorithm", "fast", "--quality", 0)


@pytest.fixture
def explain(
    model: Path, roots: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[list[str]], str]]:
    """Explains paths with the barely trained model into `out`: the exit code, the cells of stdout's lines, stderr."""

    def run(*arguments: object) -> tuple[int, list[list[str]], str]:
        code = main(["explain", *map(str, arguments), "--model", str(model), "--out", str(tmp_path / "out")])
        printed = capfd.readouterr()
        message = "".join(line for line in printed.err.splitlines(True) if not line.startswith("artdetect: model "))
        return code, [line.split("\t") for line in printed.out.splitlines()], message

    return run


def test_explain_writes_a_figure_and_arrays_for_each_picture(
    explain: Callable[..., tuple[int, list[list[str]], str]], tmp_path: Path
) -> None:
    names = {"a-2.jpg": "a-2", "a.jpg": "a", "a.png": "a-3", "bad.jpg": None, "sub/a.jpg": "sub/a"}
    for number, (name, explained) in enumerate(names.items()):
        write(tmp_path / "in" / name, jpeg(number) if explained else b"")
    code, lines, message = explain(tmp_path / "in", *CHEAP)
    out = tmp_path / "out"
    assert code == 1
    shown = {path: figure for path, verdict, figure in lines if verdict != "error"}
    assert shown == {f"{tmp_path}/in/{name}": f"{out}/{taken}.png" for name, taken in names.items() if taken}
    (failed,) = [line for line in lines if line[1] == "error"]
    assert failed == [f"{tmp_path}/in/bad.jpg", "error", "the file is empty"]
    assert (
        message
        == f"artdetect: 4 explained, 0 explained before and unchanged, 1 unreadable: {out}/explanations.parquet\n"
    )
    for figure in shown.values():
        assert images.decode(Path(figure)).width > 100
        with np.load(Path(figure).with_suffix(".npz")) as arrays:
            assert arrays["heatmap"].shape == (32, 32)
            assert np.isfinite(arrays["heatmap"]).all()


@pytest.mark.slow
def test_a_second_explain_does_nothing_and_exits_with_the_same_code(
    explain: Callable[..., tuple[int, list[list[str]], str]], mixed: Path
) -> None:
    assert explain(mixed, *CHEAP)[0] == 1
    code, lines, message = explain(mixed, *CHEAP)
    assert code == 1
    assert [line[:2] for line in lines] == [[str(mixed / "b.jpg"), "error"]]
    assert message.startswith("artdetect: 0 explained, 2 explained before and unchanged, 1 unreadable: ")


SLOW_METHODS = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("integrated_gradients", "blur_ig", "smoothgrad")
]


@pytest.mark.parametrize("method", ["evidence", "xrai", "gradcam", *SLOW_METHODS])
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
    message = failing("explain", tmp_path, "--out", tmp_path, "--method", "gradcam", *option)
    assert message == f"{option[0]}: method gradcam has no such setting"


def test_an_output_folder_of_something_else_or_of_other_settings_is_one_line_and_untouched(
    explain: Callable[..., tuple[int, list[list[str]], str]], failing: Callable[..., str], mixed: Path, model: Path
) -> None:
    explain(mixed / "a.jpg", *CHEAP)
    out = mixed.parent / "out"
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in out.rglob("*")}
    message = failing(
        "explain", mixed, "--out", out, "--model", model, "--method", "xrai", "--steps", 3, "--algorithm", "fast"
    )
    assert "an earlier run here used another steps (2, now 3); name a new or empty folder" in message
    other = write(mixed.parent / "else" / "notes.txt", b"mine")
    assert "contains something else" in failing("explain", mixed, "--out", other.parent, "--model", model)
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


@pytest.mark.slow
def test_class_and_compat_shape_the_map_and_of_the_other_class_it_has_the_other_sign(
    explain: Callable[..., tuple[int, list[list[str]], str]], tmp_path: Path
) -> None:
    write(tmp_path / "in" / "a.jpg", jpeg(3, side=90))
    maps = {}
    for name, options in {
        "ai": ("--class", "ai"),
        "human": ("--class", "human"),
        "package": ("--method", "xrai", "--compat", "saliency"),
    }.items():
        method = () if "--method" in options else ("--method", "integrated_gradients")
        assert explain(tmp_path / "in", *options, *method, "--steps", 2, "--quality", 0)[0] == 0
        maps[name] = explanations.load(tmp_path / "out" / "a.npz")
        shutil.rmtree(tmp_path / "out")
    assert (maps["ai"].target, maps["human"].target) == (0, 1)
    np.testing.assert_allclose(maps["human"].heatmap, -maps["ai"].heatmap, atol=1e-6)
    assert np.abs(maps["ai"].heatmap).max() > 1e-4
    assert maps["package"].heatmap.shape == (32, 32)  # the model's picture; the artwork plays no part
    assert {name: maps["package"].config[name] for name in ("compat", "baselines", "steps")} == {
        "compat": "saliency", "baselines": "min_max", "steps": 2
    }  # fmt: skip
