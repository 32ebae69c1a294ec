"""The properties of picture files, without their pixels, as numbers for a classifier."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

NO_QUALITY = -1  # that a file has no JPEG quality is informative too


def properties(table: "pd.DataFrame") -> dict[str, dict[str, np.ndarray]]:
    """The features of each property: property -> feature name -> float32 `(n,)`. Constant properties are left out.

    Args:
        table: `n` rows with the columns width, height, bytes, jpeg_quality, has_exif, format and mode of an index.
    """
    pixels = (table.width * table.height).clip(lower=1)
    numbers = {
        "width": table.width,
        "height": table.height,
        "bytes per pixel": table.bytes / pixels,
        "bytes": table.bytes,
        "JPEG quality": table.jpeg_quality.astype(float).fillna(NO_QUALITY),
        "EXIF": table.has_exif,
    }
    features = {name: {name: values.to_numpy(dtype=np.float32)} for name, values in numbers.items()}
    for name in ("format", "mode"):
        values = table[name].fillna("none")
        features[name] = {
            f"{name} is {value}": (values == value).to_numpy(dtype=np.float32) for value in sorted(set(values))
        }
    return {
        name: columns
        for name, columns in features.items()
        if any(len(values) and values.min() < values.max() for values in columns.values())
    }
