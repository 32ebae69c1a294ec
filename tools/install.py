"""Installs the project into the environment that runs this script: by uv, or by pip where uv cannot.

uv takes seconds where pip takes minutes, but does not read pip's settings. So that a person's index, certificates and
proxy go on counting, they are translated. With a setting that has no counterpart, and where uv cannot be had or fails,
pip installs. uv checks the sha256 of every package; where one is wrong, nothing is installed. The environment is still
empty, so this is the standard library only.

    .venv/bin/python tools/install.py        # what predict and serve need
    .venv/bin/python tools/install.py dev    # everything
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

PROJECT = Path(__file__).resolve().parent.parent
CONSTRAINTS, HASHES = "constraints.txt", "constraints-hashes.txt"  # relative to the project
MISMATCH = "Hash mismatch"  # uv's words for a package with another sha256
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
# They say how pip works and what it prints, not what is installed from where.
INDIFFERENT = {
    *("break-system-packages", "cache-dir", "config-file", "disable-pip-version-check", "exists-action", "log"),
    *("no-color", "no-input", "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet"),
    *("require-virtualenv", "root-user-action", "use-feature", "verbose"),
}


def main(extras: Sequence[str]) -> int:
    """Install the project with these extras; the exit code."""
    package = f".[{','.join(extras)}]" if extras else "."
    settings = read_pip_settings()
    if (problem := install_by_uv(package, settings)) is None:
        return 0
    print(f"{problem}: installing with pip, which takes some minutes", file=sys.stderr)
    return install_by_pip(package, settings)


def read_pip_settings() -> dict[str, str]:
    """The settings that `pip install` follows, of its files and PIP_ variables: values by option."""
    listing = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    return parse_pip_settings(listing)


def parse_pip_settings(listing: str) -> dict[str, str]:
    """The settings in the output of `pip config list`: values by option. As in pip, variables win, unless empty."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section in sections and (setting := str(ast.literal_eval(value)).strip()):
            sections[section][option.lower().replace("_", "-")] = setting
    return sections["global"] | sections["install"] | sections[":env:"]


def install_by_uv(package: str, settings: Mapping[str, str]) -> str | None:
    """Install with the version of uv that the constraints name; the reason if that is not possible.

    Raises:
        SystemExit: A package has another sha256 than the one that was pinned.
    """
    try:
        variables = uv_variables(settings)
    except KeyError as unknown:
        return f"pip's setting {unknown} has no counterpart in uv"
    if _run([*PIP, "install", "--quiet", "uv"], pip_variables(settings)).returncode:
        return "uv is not available"
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--editable", package]
    ended = _run(install, variables)
    print(ended.stderr, end="", file=sys.stderr)
    if MISMATCH in ended.stderr:
        raise SystemExit("a package is not the one that was pinned: nothing is installed")
    return "uv failed" if ended.returncode else None


def install_by_pip(package: str, settings: Mapping[str, str]) -> int:
    """Install with pip; its exit code."""
    ended = _run([*PIP, "install", "--quiet", "--editable", package], pip_variables(settings))
    print(ended.stderr, end="", file=sys.stderr)
    return ended.returncode


def pip_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The variable with the project's constraints beside the person's; unlike the option, builds follow it, too."""
    return {"PIP_CONSTRAINT": " ".join([CONSTRAINTS, *_own_constraints(settings)])}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """pip's settings, and the project's constraints, as variables for uv. Its own settings win over them.

    Raises:
        KeyError: A setting has no counterpart.
    """
    constraints = " ".join([HASHES, *_own_constraints(settings)])
    variables = {"UV_CONSTRAINT": constraints, "UV_BUILD_CONSTRAINT": constraints}
    bundle = settings.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    variables |= {"SSL_CERT_FILE": bundle} if bundle else {"UV_SYSTEM_CERTS": "1"}  # like pip
    for option, value in settings.items():
        match option:
            case "index-url":
                variables["UV_DEFAULT_INDEX"] = value
            case "extra-index-url":
                variables["UV_INDEX"] = " ".join(filter(_is_there, value.split()))
                variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's: the best version of all indexes
            case "find-links":
                variables["UV_FIND_LINKS"] = ",".join(filter(_is_there, value.split()))
            case "trusted-host":
                variables["UV_INSECURE_HOST"] = " ".join(value.split())
            case "client-cert":
                variables["SSL_CLIENT_CERT"] = value
            case "proxy":
                variables |= dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), value)
            case "timeout" | "default-timeout":
                variables["UV_HTTP_TIMEOUT"] = value
            case "retries":
                variables["UV_HTTP_RETRIES"] = value
            case "cert" | "constraint":
                pass  # above
            case _ if option not in INDIFFERENT:
                raise KeyError(option)
    return {name: value for name, value in variables.items() if value and not _is_own_setting(name)}


def _own_constraints(settings: Mapping[str, str]) -> list[str]:
    return settings.get("constraint", "").split()


def _is_own_setting(name: str) -> bool:
    """Whether a person has set this variable for uv."""
    return name.startswith("UV_") and name in os.environ and "CONSTRAINT" not in name


def _is_there(place: str) -> bool:
    """Whether a place may have packages: pip only warns of a folder that does not exist, uv fails."""
    address = urlsplit(place)
    if address.scheme == "file":
        return Path(unquote(address.path)).exists()
    return bool(address.scheme) or Path(place).exists()


def _run(command: Sequence[str], variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=PROJECT, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
