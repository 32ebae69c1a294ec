"""pip's settings reach uv. pip itself reads them here, and uv itself follows them; nothing is asked of the network."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import PROJECT
from tools import install

OF_THIS_MACHINE = ("PIP_", "UV_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def pip_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's config file of pip; the settings of this machine do not count, but for those of /etc/pip.conf."""
    for name in os.environ:
        if name.startswith(OF_THIS_MACHINE):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path := tmp_path / "pip.conf"))
    return path


def test_a_persons_settings_of_pip_go_on_counting(pip_conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_conf.write_text(
        "[global]\nindex-url = https://user:secret@index.example/simple\ncert = /etc/of-the-firm.pem\n"
        "trusted-host = one.example\n    two.example\nproxy = http://proxy.example:3128\ntimeout = 7\nno-color = true\n"
        "[install]\ntimeout = 60\n[download]\ntimeout = 9\n"
    )
    monkeypatch.setenv("PIP_RETRIES", "9")
    monkeypatch.setenv("PIP_PROXY", "")  # pip ignores empty ones
    variables = install.uv_variables(install.read_pip_settings())
    expected = {
        "UV_DEFAULT_INDEX": "https://user:secret@index.example/simple",
        "UV_INSECURE_HOST": "one.example two.example",
        "UV_HTTP_TIMEOUT": "60",
        "UV_HTTP_RETRIES": "9",
        "SSL_CERT_FILE": "/etc/of-the-firm.pem",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }
    assert {name: variables.get(name) for name in expected} == expected


def test_certificates_are_trusted_as_pip_trusts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert install.uv_variables({})["UV_SYSTEM_CERTS"] == "1"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/bundle.pem")
    assert install.uv_variables({})["SSL_CERT_FILE"] == "/bundle.pem"
    assert install.uv_variables({"cert": "/own.pem"})["SSL_CERT_FILE"] == "/own.pem"


def test_a_persons_settings_of_uv_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert "UV_DEFAULT_INDEX" not in install.uv_variables({"index-url": "https://pip.example/simple"})


def test_a_persons_constraints_count_beside_the_projects(tmp_path: Path) -> None:
    variables = install.uv_variables(settings := {"constraint": "/a.txt /b.txt"})
    assert variables["UV_CONSTRAINT"] == variables["UV_BUILD_CONSTRAINT"] == "constraints-hashes.txt /a.txt /b.txt"
    assert install.pip_variables(settings) == {"PIP_CONSTRAINT": "constraints.txt /a.txt /b.txt"}


def test_a_setting_without_a_counterpart_leaves_the_work_to_pip(
    pip_conf: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pip_conf.write_text("[install]\nonly-binary = :all:\n")
    commands: list[list[str]] = []
    monkeypatch.setattr(install, "_run", lambda command, _: commands.append(list(command)) or ended(0))
    assert install.main(["dev"]) == 0
    assert commands == [[*install.PIP, "install", "--quiet", "--editable", ".[dev]"]]
    assert "'only-binary' has no counterpart in uv: installing with pip" in capfd.readouterr().err


@pytest.mark.parametrize("fails", ["uv", "install"])
def test_pip_installs_where_uv_cannot_be_had_or_fails(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], _: object) -> "subprocess.CompletedProcess[str]":
        commands.append(command)
        return ended(int(command[-1] == "uv" if fails == "uv" else Path(command[0]).name == "uv"))

    monkeypatch.setattr(install, "_run", run)
    monkeypatch.setattr(install, "read_pip_settings", dict)
    assert install.main([]) == 0
    assert commands[-1] == [*install.PIP, "install", "--quiet", "--editable", "."]
    assert len(commands) == (2 if fails == "uv" else 3)


def test_a_package_that_is_not_the_pinned_one_ends_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip, which takes no hashes here, must not install it instead; the next test has uv's real words."""
    wrong = f"error: Failed to download `six==1.17.0`\n  cause: {install.MISMATCH} for `six==1.17.0`\n"
    monkeypatch.setattr(install, "_run", lambda command, _: ended(Path(command[0]).name == "uv", wrong))
    monkeypatch.setattr(install, "read_pip_settings", dict)
    monkeypatch.setattr(install, "install_by_pip", None)
    with pytest.raises(SystemExit, match="not the one that was pinned"):
        install.main([])


def ended(code: int, stderr: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess([], code, stderr=stderr)


def test_uv_takes_packages_from_the_places_that_pip_names(pip_conf: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("this environment was installed by pip")
    index, links = tmp_path / "index", tmp_path / "links"
    for folder, version in ((index / "probe", "1.0"), (links, "2.0")):
        folder.mkdir(parents=True)
        write_wheel(folder, version)
    wheel = next((index / "probe").iterdir()).name
    (index / "probe" / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    gone = tmp_path / "gone"
    pip_conf.write_text(
        f"[global]\nindex-url = {index.as_uri()}\nextra-index-url = {gone.as_uri()}\nfind-links = {gone} {links}\n"
    )
    variables = install.uv_variables(install.read_pip_settings())
    for wanted, version in (("probe", "2.0"), ("probe<2", "1.0")):
        target = tmp_path / version
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-cache",
            "--python",
            sys.executable,
            "--target",
            target,
            wanted,
        ]
        subprocess.run(command, env={**os.environ, **variables}, cwd=PROJECT, check=True, timeout=180)
        assert [path.name for path in target.glob("*.dist-info")] == [f"probe-{version}.dist-info"]
    (hashes := tmp_path / "hashes.txt").write_text(f"probe==2.0 --hash=sha256:{'0' * 64}\n")
    variables |= {"UV_CONSTRAINT": str(hashes)}
    command = [uv, "pip", "install", "--no-cache", "--python", sys.executable, "--target", tmp_path / "wrong", "probe"]
    refused = subprocess.run(command, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True, timeout=180)
    assert refused.returncode != 0
    assert install.MISMATCH in refused.stderr


def write_wheel(folder: Path, version: str) -> None:
    """The smallest package there is."""
    info = f"probe-{version}.dist-info"
    with zipfile.ZipFile(folder / f"probe-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("probe.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: probe\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
