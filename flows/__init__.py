"""The Prefect flows. Importing this package keeps Prefect's state in the project, and strangers and telemetry out."""

import os

from artdetect.web import access

os.environ.setdefault("PREFECT_HOME", str(access.state()))
os.environ.setdefault("PREFECT_PROFILES_PATH", str(access.profile()))
if "PREFECT_API_URL" not in os.environ and not access.profile().exists():  # Prefect starts a temporary server
    own = access.server_settings() | {"PREFECT_API_AUTH_STRING": access.auth_string()}
    os.environ.update({name: value for name, value in own.items() if name not in os.environ})
# The temporary server creates its database on first start; on a busy machine the default 20 s are too short.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
