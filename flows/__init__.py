"""What runs. Importing this package keeps Prefect's state inside the project and its telemetry off."""

import os

from artdetect import paths

os.environ.setdefault("PREFECT_HOME", str(paths.project() / ".prefect"))
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
