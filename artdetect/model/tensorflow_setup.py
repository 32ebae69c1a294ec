"""Loads TensorFlow the same way everywhere: with deterministic kernels, and without its notes on what this CPU could do
and which GPU it lacks, which no setting keeps quiet.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


def load_tensorflow() -> None:
    """Import TensorFlow; call it before the first `import tensorflow` or `keras` of a process.

    What it writes to stderr meanwhile is shown only if it fails.
    """
    if "tensorflow" not in sys.modules:
        _import_silently()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _import_silently() -> None:
    with tempfile.TemporaryFile() as notes:
        try:
            with redirect_stderr(notes):
                import tensorflow as tf

                tf.config.list_physical_devices("GPU")
        except BaseException:
            notes.seek(0)
            os.write(2, notes.read())
            raise


@contextmanager
def redirect_stderr(file: IO[bytes]) -> Iterator[None]:
    """Write to this file what goes to stderr meanwhile, also from C++."""
    sys.stderr.flush()
    stderr = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
