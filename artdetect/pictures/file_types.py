"""Which file names are those of pictures."""

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"))


def is_candidate(name: str) -> bool:
    """Whether a file name is that of a picture: a known suffix in any case, and not hidden (`.x`, `._x.jpg`)."""
    name = name.rpartition("/")[2]
    _, dot, suffix = name.rpartition(".")
    return dot + suffix.lower() in SUFFIXES and not name.startswith(".")
