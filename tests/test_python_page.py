"""Every block of code in docs/how-to/python.md runs, one after the other, as one program."""

import re
from pathlib import Path

import pytest

from artdetect import Pipeline
from artdetect.model import choice
from tests import PROJECT
from tests.tiny_dataset import write

BLOCKS = re.findall(r"^```python\n(.*?)^```", (PROJECT / "docs" / "how-to" / "python.md").read_text(), re.M | re.S)


@pytest.mark.slow
def test_every_block_of_the_page_runs(
    server: str, roots: Path, archive: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(
        roots / "art.toml",
        f'[download]\nurl = "{archive}"\n[train]\npreset = "notebook"\n[evaluate]\nrobustness_pictures = 0\n'
        '[explain]\npictures_per_group = 0\nmethod = "gradcam"\n'.encode(),
    )
    monkeypatch.setenv("ARTDETECT_CONFIG", str(config))
    Pipeline(changes=["train.epochs=1"]).run()
    monkeypatch.setattr(choice, "STARTER_FILE", PROJECT / "artdetect" / "starter" / "model.npz")
    pictures = next(path for path in sorted((unpacked / "test").iterdir()) if path.is_dir())
    (roots / "folder").symlink_to(pictures)
    monkeypatch.chdir(roots)
    names: dict[str, object] = {}
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        exec(compile(block, "docs/how-to/python.md", "exec"), names)
    assert (roots / "figure.png").stat().st_size > 10_000
    assert len(names["table"]) == len(list(pictures.iterdir()))
