"""The Prefect flows. Importing this package keeps Prefect's state inside the project and its telemetry off."""

import os

from artdetect.core import paths

os.environ.setdefault("PREFECT_HOME", str(paths.project() / ".prefect"))
os.environ.setdefault(
    "PREFECT_PROFILES_PATH", str(paths.project() / ".prefect" / "profiles.toml")
)  # written by `make up`
# The temporary server creates its database on first start; on a busy machine the default 20 s are too short.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
