"""A decode process that a file's metadata end, as a fault in a native reader does."""

import os
from typing import Any

from artdetect.pictures import declared_provenance
from artdetect.serve import decode_process


def _abort(data: bytes) -> Any:
    os.abort()


if __name__ == "__main__":
    declared_provenance.read = _abort
    decode_process.main()
