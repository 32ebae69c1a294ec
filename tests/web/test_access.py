"""The auth string: made once, different in each project, and for its owner alone."""

from pathlib import Path

import pytest

from artdetect.core import paths
from artdetect.core.errors import ConfigError
from artdetect.web import access


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    return tmp_path


def test_the_auth_string_is_made_once_and_only_its_owner_can_read_it(project: Path) -> None:
    made = access.auth_string()
    user, password = made.split(":")
    assert (user, len(password)) == ("artdetect", 43)  # 256 bits
    assert access.auth_string() == made
    file = access.auth_file()
    assert file.is_relative_to(project / ".prefect")
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    assert access.auth_string() != made


def test_an_empty_file_is_no_auth_string(project: Path) -> None:
    access.auth_file().touch()
    assert len(access.auth_string()) > 40


def test_server_and_clients_have_the_same_auth_string(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_PORT", "5000")
    client, server = access.client_settings(), access.server_settings()
    assert client["PREFECT_API_AUTH_STRING"] == server["PREFECT_SERVER_API_AUTH_STRING"] == access.auth_string()
    assert client["PREFECT_API_URL"] == "http://127.0.0.1:5000/api"
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:5000,http://localhost:5000"


@pytest.mark.parametrize("given", ["http", "0", "65535", "-1", "²"])
def test_a_port_that_is_none_is_an_error(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_PORT", given)
    with pytest.raises(ConfigError, match="ARTDETECT_PORT"):
        access.port()
