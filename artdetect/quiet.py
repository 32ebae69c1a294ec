"""Loads TensorFlow without its notes on what this CPU could do and which GPU it lacks, which no setting keeps quiet."""

import os
import sys
import tempfile


def load_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; what it writes to stderr is shown only if that fails.

    Call before the first `import tensorflow` or `keras` of a process.
    """
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        stderr = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
