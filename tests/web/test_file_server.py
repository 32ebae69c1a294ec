"""The file server gives files below artifacts/ to this machine's own pages, and nothing else."""

import asyncio
from pathlib import Path

import httpx
import pytest

from artdetect.web import file_server
from artdetect.web.guard import HEADERS


@pytest.fixture
def artifacts(roots: Path) -> Path:
    folder = roots / "artifacts"
    (folder / "report" / "k1").mkdir(parents=True)
    (folder / "report" / "k1" / "report.html").write_text("<html>the report</html>")
    (folder / "report" / "k1" / "index.html").write_text("<html>an index</html>")
    (roots / "secret.txt").write_text("secret")
    return folder


def request(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=file_server.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4201") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asked())


def test_a_file_with_the_security_headers(artifacts: Path) -> None:
    answer = request("/report/k1/report.html")
    assert (answer.status_code, answer.text) == (200, "<html>the report</html>")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert dict(answer.headers).items() >= {name.lower(): value for name, value in HEADERS.items()}.items()


@pytest.mark.parametrize("path", ["/", "/report", "/report/k1", "/report/k1/"])
def test_folders_are_not_listed(artifacts: Path, path: str) -> None:
    answer = request(path)
    assert answer.status_code == 404
    assert "k1" not in answer.text


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/report/..%2f..%2f..%2fsecret.txt"])
def test_no_path_leads_out(artifacts: Path, path: str) -> None:
    assert request(path).status_code == 404


def test_no_link_leads_out(artifacts: Path, roots: Path) -> None:
    (artifacts / "file").symlink_to(roots / "secret.txt")
    (artifacts / "folder").symlink_to(roots)
    (artifacts / "inside").symlink_to(artifacts / "report")
    assert request("/file").status_code == 404
    assert request("/folder/secret.txt").status_code == 404
    assert request("/inside/k1/report.html").status_code == 200


def test_only_this_machines_pages_and_only_reading(artifacts: Path) -> None:
    page = "/report/k1/report.html"
    assert request(page, Host="evil.example:4201").status_code == 403
    assert request(page, Origin="http://evil.example").status_code == 403
    assert request(page, method="POST").status_code == 405
