"""Made-up pictures of a few pixels in AI-ArtBench's layout, for tests that need files and not art."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

FOLDERS = ("baroque", "AI_LD_baroque", "ukiyo-e", "AI_SD_ukiyo_e")


def jpeg(seed: int | tuple[int, ...], side: int = 24, base: int = 128, **options: object) -> bytes:
    """A JPEG of blocks of colour around `base`; another seed is another content."""
    blocks = np.random.default_rng(seed).integers(-60, 60, (6, 6, 3)) + base
    file = io.BytesIO()
    picture = Image.fromarray(blocks.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def data_set(root: Path, train: int = 4, test: int = 2, folders: tuple[str, ...] = FOLDERS) -> Path:
    """`train` and `test` pictures in each folder below `root`; AI pictures are the brighter ones."""
    for split, count in (("train", train), ("test", test)):
        for place, folder in enumerate(folders):
            for number in range(count):
                content = jpeg((split == "test", place, number), base=180 if folder.startswith("AI_") else 70)
                write(root / split / folder / f"{number:03d}.jpg", content)
    return root


def no_groups(folder: Path) -> None:
    """Write what the audit says of duplicates where there are none."""
    none = pd.DataFrame({"path": pd.Series(dtype="str"), "group": pd.Series(dtype="int64")})
    none.to_parquet(folder / "groups.parquet", index=False)
