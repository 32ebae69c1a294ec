"""Pictures just below the limit of 178 million pixels: memory stays bounded, whatever their number."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from artdetect.pictures.images import MAX_PIXELS
from tests import PROJECT

SIDE = int(MAX_PIXELS**0.5) - 1
MAX_MEGABYTES = 2000  # one decoded picture takes 0.7 GB, and two threads work
PROGRAM = """
import json, sys
from pathlib import Path
from artdetect.core.host import peak_memory
from artdetect.model.predict import find_model, predict
rows = [row.error for row in predict(find_model(Path(sys.argv[1])), map(Path, sys.argv[2:]))]
print(json.dumps([rows, peak_memory()]))
"""


@pytest.mark.slow
def test_memory_is_bounded_under_the_largest_pictures(
    model: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (90, 120, 150)).save(file, "JPEG")
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for path in paths:
        path.write_bytes(file.getvalue())
    ended = subprocess.run([sys.executable, "-c", PROGRAM, model, *paths], cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    errors, megabytes = json.loads(ended.stdout)
    assert errors == [None] * len(paths)
    assert megabytes < MAX_MEGABYTES
    record_property("tries", len(paths))
    record_property("note", f"at most {megabytes:.0f} MB of memory")
