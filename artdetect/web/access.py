"""Who may reach the services: their addresses, the auth string, and the names that a request may use for them.

All services listen on this machine only. That does not keep out the web pages that a person has open, whose requests
come from this machine, too. So Prefect's API wants the auth string, and `guard` checks Host and Origin.
"""

import os
import secrets
from pathlib import Path

from artdetect.core import atomic, paths
from artdetect.core.errors import ConfigError

HOST = "127.0.0.1"
PORT = 4200  # unless ARTDETECT_PORT is set; artifacts are served on the next port
USER = "artdetect"  # before the colon of the auth string; Prefect compares the whole


def port() -> int:
    """The port of Prefect's server: `ARTDETECT_PORT`, or 4200; ConfigError if that is no port."""
    given = os.environ.get("ARTDETECT_PORT") or str(PORT)
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 65_535):  # the next one is the file server's
        raise ConfigError(f"ARTDETECT_PORT={given}: expected a number from 1 to 65534")
    return int(given)


def dashboard() -> str:
    """The address of Prefect's server, which is also that of its dashboard."""
    return f"http://{HOST}:{port()}"


def files_port() -> int:
    """The port of the file server for artifacts."""
    return port() + 1


def state() -> Path:
    """The folder in which the services keep their state."""
    folder = paths.project() / ".prefect"
    folder.mkdir(exist_ok=True)
    return folder


def profile() -> Path:
    """The file by which Prefect commands find the server; it exists while `make up` is in effect."""
    return state() / "profiles.toml"


def auth_file() -> Path:
    """The file with the auth string, which its owner alone can read."""
    return state() / "auth-string"


def auth_string() -> str:
    """The user name and password that Prefect's API wants, `artdetect:…`; made at the first start."""
    file = auth_file()
    if not file.is_file() or not file.read_text().strip():
        atomic.write(file, f"{USER}:{secrets.token_urlsafe(32)}\n", mode=0o600)
    return file.read_text().strip()


def client_settings() -> dict[str, str]:
    """Prefect's settings for the programs that use the server: commands, worker, runs."""
    return {"PREFECT_API_URL": f"{dashboard()}/api", "PREFECT_API_AUTH_STRING": auth_string()}


def server_settings() -> dict[str, str]:
    """Prefect's settings for the server.

    Tokens against request forgery stay off: the browser never adds the auth string by itself, so another page cannot
    make it send one.
    """
    own = ",".join(f"http://{name}:{port()}" for name in (HOST, "localhost"))
    return {
        "PREFECT_SERVER_API_AUTH_STRING": auth_string(),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own,
        "PREFECT_SERVER_UI_API_URL": "/api",  # relative, so that the dashboard works under every name of the server
        "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",  # for `prefect deployment run --watch`
        "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",  # artifacts of runs that housekeeping deleted
    }


def names(host: str = HOST) -> frozenset[str]:
    """The host names that requests may use for a service, as they stand in an address.

    Args:
        host: The address that the service listens on.

    Raises:
        ConfigError: `ARTDETECT_HOSTS` has something else than names.
    """
    further = [name.strip().lower() for name in os.environ.get("ARTDETECT_HOSTS", "").split(",") if name.strip()]
    if wrong := [name for name in further if set(name) & set("/*@ :") and not name.startswith("[")]:
        raise ConfigError(f"ARTDETECT_HOSTS: {wrong[0]!r} is not a host name; give names without port, comma-separated")
    own = f"[{host}]" if ":" in host else host
    return frozenset({"localhost", "127.0.0.1", "[::1]", own.lower(), *further})
