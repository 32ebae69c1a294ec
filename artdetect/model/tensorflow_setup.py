"""Loads TensorFlow the same way everywhere: with deterministic kernels and without start-up messages.

TensorFlow has no setting that silences its messages about the CPU's features and missing GPUs.
"""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


def load_tensorflow() -> None:
    """Import TensorFlow. Call this before the first `import tensorflow` or `import keras` of a process.

    What the import writes to stderr is shown only if it fails.
    """
    if "tensorflow" not in sys.modules:
        _import_silently()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _import_silently() -> None:
    collects = gc.isenabled()
    gc.disable()  # a fifth of the time, and what is imported stays
    with tempfile.TemporaryFile() as messages:
        try:
            with redirect_stderr(messages):
                import tensorflow as tf

                tf.config.list_physical_devices("GPU")
        except BaseException:
            messages.seek(0)
            os.write(2, messages.read())
            raise
        finally:
            if collects:
                gc.enable()


@contextmanager
def redirect_stderr(file: IO[bytes]) -> Iterator[None]:
    """Send stderr to this file while the context is open, including output from C++."""
    sys.stderr.flush()
    stderr = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
