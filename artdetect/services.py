"""The services for unattended running on this machine: Prefect's server and dashboard, the deployments, a worker.

    python -m artdetect.services up        or `make up`; repeat it after editing prefect.yaml or moving the project
    python -m artdetect.services down      or `make down`
    python -m artdetect.services status    which services run

supervisord (configs/supervisord.conf) keeps the processes alive. While they run, Prefect commands in the project use
this server, because `up` writes a Prefect profile and `down` removes it. All state is in .prefect/. `web.access`
has the addresses and the auth string.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx
from filelock import FileLock

from artdetect.core import atomic, paths
from artdetect.core.errors import ArtdetectError, ServerError
from artdetect.web import access, database

POOL = "artdetect"
START_TIMEOUT = 180.0  # seconds; the first start creates the database
MAX_SOCKET_PATH = 95  # bytes that every system accepts, including a suffix that supervisord adds
ALREADY_STARTED = 60  # supervisord's fault code


def up() -> None:
    """Start the services that do not run, register the deployments of prefect.yaml, start the worker; say each step.

    Runs that no process works on any more are ended first: one that keeps its deployment's slot would block it.

    Services are stopped and started again if the server has lost its database, or if an earlier version left it running
    without the auth string.
    """
    with _lock():
        had_database, ran = database.check(access.state()), "server" in _running()
        _say("server: starting; the first time it creates its database")
        _start_server()
        if (lost := ran and not had_database) or not _wants_auth_string():
            problem = "has lost its database" if lost else "runs without the auth string"
            _say(f"server: it {problem}, so it is started again")
            _stop()
            _start_server()
            if not _wants_auth_string():
                raise ServerError(
                    f"another Prefect server uses {access.dashboard()}: set ARTDETECT_PORT to a free port"
                )
        _say(f"server: answers at {access.dashboard()}")
        _write_profile()
        template = str(paths.project() / "configs" / "work_pool.json")
        _prefect("work-pool", "create", POOL, "--type", "process", "--base-job-template", template, "--overwrite")
        _say("deployments: registering those of prefect.yaml")
        _prefect("--no-prompt", "deploy", "--all")
        if "worker" not in _running():
            _say("runs: looking for some that an earlier stop or a kill left active")
            for line in _python("tasks.engine.orphaned_runs").splitlines():
                _say(f"runs: {line}")
        _say("worker: starting")
        _start("worker")


def down() -> None:
    """Stop all services. Active runs end as crashed; the stages that they finished stay cached."""
    with _lock():
        access.profile().unlink(missing_ok=True)
        if _programs() is not None:
            _stop()


def status() -> list[tuple[str, str]]:
    """Each service and its state in supervisord's words; empty if nothing was started."""
    programs = _programs() or []
    return [(program["name"], f"{program['statename'].lower()} {program['description']}") for program in programs]


def _say(step: str) -> None:
    """Say what happens now, before it does."""
    print(step, flush=True)


def _running() -> set[str]:
    return {program["name"] for program in _programs() or [] if program["statename"] in ("STARTING", "RUNNING")}


def _lock() -> FileLock:
    return FileLock(access.state() / "serve.lock")


def _socket() -> Path:
    socket = access.state() / "supervisor.sock"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
        raise ServerError(f"{socket}: this path is too long for a socket: move the project to a shorter path")
    return socket


def _environment() -> dict[str, str]:
    artifacts = paths.artifacts()
    artifacts.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "ARTDETECT_PYTHON": sys.executable,
        "ARTDETECT_PORT": str(access.port()),
        "ARTDETECT_FILES": f"http://{access.HOST}:{access.files_port()}",
        "ARTDETECT_ARTIFACTS": str(artifacts),
        "ARTDETECT_DATA": str(paths.data()),
        "PREFECT_HOME": str(access.state()),
        "PREFECT_PROFILES_PATH": str(access.profile()),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        **access.client_settings(),
    }


def _supervisor() -> Any:
    from supervisor.xmlrpc import SupervisorTransport

    return ServerProxy("http://127.0.0.1", SupervisorTransport(None, None, f"unix://{_socket()}")).supervisor


def _programs() -> list[dict[str, Any]] | None:
    """supervisord's programs, or None if it does not run."""
    try:
        return _supervisor().getAllProcessInfo()
    except OSError:
        return None


def _start_server() -> None:
    _start_supervisor()
    for program in ("server", "files"):
        _start(program)
    _await_server()


def _start_supervisor() -> None:
    if _programs() is not None:
        return
    configuration = paths.project() / "configs" / "supervisord.conf"
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)]
    subprocess.run(command, env=_environment(), check=True)
    until = time.monotonic() + 30
    while _programs() is None:
        if time.monotonic() > until:
            raise ServerError(f"supervisord did not start: see {access.state() / 'supervisord.log'}")
        time.sleep(0.1)


def _stop() -> None:
    _supervisor().stopAllProcesses()
    _supervisor().shutdown()
    until = time.monotonic() + 60
    while _programs() is not None and time.monotonic() < until:
        time.sleep(0.2)


def _start(program: str) -> None:
    try:
        _supervisor().startProcess(program)
    except Fault as fault:
        if fault.faultCode == ALREADY_STARTED:
            return
        log = access.state() / f"{program}.log"
        raise ServerError(f"{program} did not start ({fault.faultString}): see the end of {log}") from None


def _await_server() -> None:
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until:
        states = {program["name"]: program["statename"] for program in _programs() or []}
        if states.get("server") in ("FATAL", "EXITED", "BACKOFF"):
            break
        try:
            if httpx.get(f"{access.dashboard()}/api/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise ServerError(
        f"Prefect's server does not answer at {access.dashboard()}: see the end of {access.state() / 'server.log'}. "
        "If another program uses that port, choose another one with ARTDETECT_PORT"
    )


def _wants_auth_string() -> bool:
    """Whether the server refuses a request without the auth string and takes one with it."""
    given = httpx.BasicAuth(*access.auth_string().split(":"))
    try:
        answers = [httpx.get(f"{access.dashboard()}/api/version", auth=auth, timeout=60) for auth in (None, given)]
    except httpx.HTTPError as error:
        raise ServerError(f"Prefect's server at {access.dashboard()} stopped answering ({error})") from None
    return [answer.status_code for answer in answers] == [401, 200]


def _write_profile() -> None:
    """Make `prefect` and `artdetect` use this server in the project; see [tool.prefect] in pyproject.toml."""
    settings = "".join(f'{name} = "{value}"\n' for name, value in access.client_settings().items())
    atomic.write(access.profile(), f'active = "{POOL}"\n\n[profiles.{POOL}]\n{settings}', mode=0o600)


def _prefect(*arguments: str) -> str:
    return _python("prefect", *arguments)


def _python(module: str, *arguments: str) -> str:
    """The output of a module, run as a program."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=_environment(),
        cwd=paths.project(),
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise ServerError(f"`{module} {' '.join(arguments)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Run a command; the exit code is 0, 1 (`status`: not everything runs), or 2 (something did not start)."""
    if list(arguments) not in (["up"], ["down"], ["status"]):
        print("usage: python -m artdetect.services up | down | status", file=sys.stderr)
        return 2
    try:
        if arguments[0] == "up":
            up()
            print(
                f"Dashboard: {access.dashboard()}; it asks once for the password: cat {access.auth_file()}\n"
                "Run now:   .venv/bin/prefect deployment run 'pipeline/train' --watch"
            )
        elif arguments[0] == "down":
            down()
        else:
            services = status()
            print("\n".join(f"{name:8}{state}" for name, state in services) or "nothing runs. Start it with `make up`")
            return 0 if services and all(state.startswith("running") for _, state in services) else 1
    except ArtdetectError as error:
        print(f"artdetect: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
