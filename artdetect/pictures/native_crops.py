"""Native crops: where a large picture is cut into squares of the canonical size, without any resizing.

Shrinking a picture to the canonical square removes the finest traces of how it was made. Crops keep them.
"""

from typing import Any

from artdetect.pictures import content_draw

MAX_CROPS = 8
LARGE = 1.5  # the shorter side from which a picture has crops, relative to the canonical square's side


def is_large(side: Any, size: int) -> Any:
    """Whether a picture has crops: bool, or bool `(N,)` for N pictures.

    Args:
        side: Its shorter side in pixels, int, or int `(N,)`.
        size: Side of the canonical square, in pixels.
    """
    return side >= LARGE * size


def corners(width: int, height: int, size: int, count: int, sha256: str) -> list[tuple[int, int]]:
    """The upper left corners (left, top) of a picture's crops, drawn by its content.

    The picture is divided into a grid of cells. Each crop lies at a random place of a cell of its own, so that crops do
    not overlap wherever cells are as large as a crop. Where they are smaller, crops are spread evenly. (In statistics:
    stratified, or jittered, sampling.)

    Args:
        width, height: The upright picture's size, both at least `size`.
        size: Side of a crop.
        count: Number of crops.
        sha256: The digest of the picture's content, which seeds the draw.
    """
    columns, rows = _grid(width, height, count)
    rng = content_draw.generator("native crops", sha256)
    cells = sorted(rng.permutation(columns * rows)[:count].tolist())
    return [
        (
            _start(cell % columns, columns, width, size, rng.random()),
            _start(cell // columns, rows, height, size, rng.random()),
        )
        for cell in cells
    ]


def _grid(width: int, height: int, count: int) -> tuple[int, int]:
    """Columns and rows with at least `count` cells: the grid whose cells have the longest shorter side."""
    grids = [(columns, -(-count // columns)) for columns in range(1, count + 1)]
    return max(grids, key=lambda grid: (min(width / grid[0], height / grid[1]), -grid[0] * grid[1]))


def _start(cell: int, cells: int, length: int, size: int, chance: float) -> int:
    """Where a crop starts along one axis.

    Args:
        cell: Number of its cell.
        cells: Number of cells.
        length: Length of the axis.
        size: Side of the crop.
        chance: Its place within the cell, 0 to 1 (exclusive).
    """
    first, last = cell * length // cells, (cell + 1) * length // cells - size
    if last >= first:
        return first + int(chance * (last - first + 1))
    return cell * (length - size) // max(1, cells - 1)
