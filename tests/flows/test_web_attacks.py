"""A web page attacks what `make up` started, over an installation of an earlier version: nothing of it gets through.

The page is open in a real browser, is served from another port of this machine, and knows everything but the password.
"""

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.browser import browser, executable
from benchmarks.deployed_project import ENDED, SMALL, Site, eventually, site
from tests import connections

pytestmark = pytest.mark.slow
REBOUND = "evil.example"  # a name that its owner lets point to 127.0.0.1
ATTACK = """<!doctype html><body>attack<script type="module">
const {api, deployment, run} = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const got = {}
async function attempt(name, action) {
  try { got[name] = await action() } catch (error) { got[name] = `refused: ${error}` }
}
async function text(path, options) {
  const answer = await fetch(api + path, options)
  return `${answer.status} ${await answer.text()}`
}
const json = {"Content-Type": "application/json"}
const create = `/deployments/${deployment}/create_flow_run`
await attempt("read", () => text("/admin/settings"))
await attempt("preflighted read", () => text("/deployments/filter", {method: "POST", headers: json, body: "{}"}))
await attempt("preflighted run", () => text(create, {method: "POST", headers: json, body: run}))
await attempt("guessed password", () => text(create, {method: "POST", body: run,
  headers: {...json, Authorization: "Basic " + btoa("artdetect:artdetect")}}))
for (const type of ["text/plain", "application/x-www-form-urlencoded", "none"]) {
  const [headers, body] = type === "none" ? [{}, new Blob([run])] : [{"Content-Type": type}, run]
  await attempt(`simple ${type}`, () => text(create, {method: "POST", headers, body}))
  await fetch(api + create, {method: "POST", mode: "no-cors", credentials: "include", headers, body}).catch(() => 0)
}
await attempt("websocket", () => new Promise((resolve, reject) => {
  const socket = new WebSocket(api.replace("http", "ws") + "/events/in")
  socket.onopen = () => resolve("open")
  socket.onerror = () => reject("closed")
}))
const frame = document.body.appendChild(document.createElement("iframe"))
frame.src = api.replace("/api", "/")
await new Promise(resolve => { frame.onload = resolve })
document.body.innerText = "ended " + JSON.stringify(got)
</script>"""


def run_with(command: str) -> dict[str, Any]:
    """A flow run that would start a command of its own."""
    variables = {"command": command, "env": {"OTHER": "1"}, "working_dir": "/"}
    return {"state": {"type": "SCHEDULED"}, "job_variables": variables, "enforce_parameter_schema": False}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project whose services an earlier version left running; `make up` of this version came after."""
    with site(tmp_path_factory.mktemp("site"), SMALL) as running:
        running.do("artdetect.services", "down")
        left_running(running)
        connections.taken()  # Prefect's own server asked GitHub for the types of workers
        running.do("artdetect.services", "up")
        yield running


def left_running(up: Site) -> None:
    """Start Prefect's own server without any protection, with the usual pool and a run that waits for a worker."""
    current = (up.folder / "configs" / "supervisord.conf").read_text()
    server = "-m prefect server start --host 127.0.0.1 --port %(ENV_ARTDETECT_PORT)s"
    earlier = up.folder / "configs" / "earlier.conf"
    earlier.write_text(current.replace("-m tasks.engine.server", server))
    folder = up.folder / ".prefect"
    environment = up.environment | {
        "ARTDETECT_PYTHON": sys.executable,
        "ARTDETECT_FILES_PORT": str(int(up.environment["ARTDETECT_PORT"]) + 1),
        "ARTDETECT_ARTIFACTS": str(up.folder / "artifacts"),
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"{up.dashboard}/api",
        "PREFECT_UI_API_URL": f"{up.dashboard}/api",
    }
    start = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(earlier)]
    subprocess.run(start, cwd=up.folder, env=environment, check=True)

    def answers() -> bool:
        try:
            return httpx.get(f"{up.dashboard}/api/deployments/name/housekeeping/nightly", timeout=180).is_success
        except httpx.HTTPError:
            return False

    assert eventually(answers)
    pool = ["prefect", "work-pool", "create", "artdetect", "--type", "process", "--overwrite"]
    subprocess.run([sys.executable, "-m", *pool], cwd=up.folder, env=environment, check=True, capture_output=True)
    found = httpx.get(f"{up.dashboard}/api/deployments/name/housekeeping/nightly", timeout=180).json()
    asked = run_with(f"touch {up.folder / 'waiting'}")
    answer = httpx.post(f"{up.dashboard}/api/deployments/{found['id']}/create_flow_run", json=asked, timeout=180)
    assert answer.status_code == 201, answer.text


@contextmanager
def attacker(folder: Path) -> Iterator[int]:
    """The port of a web server with the attacking page."""
    folder.mkdir()
    (folder / "index.html").write_text(ATTACK)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def deployment(up: Site) -> str:
    return up.request("GET", "deployments/name/housekeeping/nightly").json()["id"]


def by_hand(up: Site) -> list[dict[str, Any]]:
    """The flow runs that no schedule made."""
    return [run for run in up.query("flow_runs", limit=200) if not run["auto_scheduled"]]


def test_a_run_that_an_earlier_version_accepted_starts_the_flow_and_not_its_command(up: Site) -> None:
    proof = up.folder / "waiting"
    assert eventually(lambda: proof.exists() or {run["state_type"] for run in by_hand(up)} <= ENDED, 180), up.log()
    assert not proof.exists()
    (run,) = by_hand(up)
    assert (run["state_type"], "command" in run["job_variables"]) == ("COMPLETED", True), up.log()


@pytest.mark.parametrize("name", ["command", "env", "working_dir", "stream_output", "env.PATH"])
def test_the_password_does_not_buy_job_variables_of_a_run(up: Site, name: str) -> None:
    body = {"state": {"type": "SCHEDULED"}, "job_variables": {name: "x"}}
    answer = up.request("POST", f"deployments/{deployment(up)}/create_flow_run", json=body)
    assert (answer.status_code, "not allowed" in answer.text) == (422, True), answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic YXJ0ZGV0ZWN0OmFydGRldGVjdA=="}, 401),
        ({"Host": REBOUND}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_requests_of_strangers_are_refused(up: Site, headers: dict[str, str], status: int) -> None:
    for path in ("deployments/filter", f"deployments/{deployment(up)}/create_flow_run"):
        answer = httpx.post(f"{up.dashboard}/api/{path}", json=run_with("true"), headers=headers, timeout=180)
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("header", [{"Host": REBOUND}, {"Origin": "http://127.0.0.1:9999"}])
def test_the_right_password_does_not_open_the_server_to_a_foreign_name_or_page(up: Site, header: dict) -> None:
    assert up.request("GET", "admin/settings", headers=header).status_code == 403
    assert up.request("OPTIONS", "flows/filter", headers=header).status_code == 403


@pytest.mark.parametrize("settings", [{}, {"PREFECT_API_AUTH_STRING": "artdetect:wrong"}])
def test_a_command_with_another_password_says_what_to_do(up: Site, tmp_path: Path, settings: dict[str, str]) -> None:
    environment = up.environment | {
        "PREFECT_API_URL": f"{up.dashboard}/api",
        "PREFECT_PROFILES_PATH": str(tmp_path / "none.toml"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "artdetect.cli", "gc", "--dry-run", "--prune-prefect"],
        cwd=tmp_path,
        env=environment | settings,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 2
    assert "PREFECT_API_AUTH_STRING" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_secret_is_for_its_owner_alone(up: Site) -> None:
    holders = [
        path.name
        for path in (up.folder / ".prefect").rglob("*")
        if path.is_file() and up.auth_string.encode() in path.read_bytes()
    ]
    assert sorted(holders) == ["auth-string", "profiles.toml"]
    assert {(up.folder / ".prefect" / name).stat().st_mode & 0o777 for name in holders} == {0o600}


def test_a_page_in_a_browser_gets_nothing_and_the_dashboard_and_commands_go_on(up: Site, tmp_path: Path) -> None:
    if executable() is None:
        pytest.skip("no chromium on this machine")
    before = len(by_hand(up))
    port = up.environment["ARTDETECT_PORT"]
    attack = {"deployment": deployment(up), "run": json.dumps(run_with(f"touch {tmp_path / 'from-a-page'}"))}
    with (
        attacker(tmp_path / "page") as other,
        browser("light", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as page,
    ):
        up.log_in(page)  # the victim has the dashboard open, and the browser knows the password
        for name in ("127.0.0.1", REBOUND):
            target = json.dumps(attack | {"api": f"http://{name}:{port}/api"})
            address = f"http://{name}:{other}/#" + httpx.QueryParams({"": target}).__str__()[1:].replace("+", "%20")
            got = json.loads(page.open(address, lambda text: text.startswith("ended")).removeprefix("ended "))
            assert len(got) == 8
            assert all(answer.startswith("refused: ") for answer in got.values()), got
            page.call("Page.navigate", url="about:blank")
        for path in ("", "api/health", "ui-settings"):
            shown = page.open(f"http://{REBOUND}:{port}/{path}", lambda text: bool(text.strip()))
            assert "does not answer to the name" in shown, shown

        page.open(f"{up.dashboard}/deployments", lambda text: "nightly" in text)
        page.open(f"{up.dashboard}/v2/deployments/deployment/{deployment(up)}/run", lambda text: "Submit" in text)
        submit = "[...document.querySelectorAll('button')].find(one => one.innerText == 'Submit')?.click()"
        for _ in range(6):  # the form loses a click that comes before its scripts are ready
            page.evaluate(submit)
            if eventually(lambda: len(by_hand(up)) > before, 60):
                break
        assert len(by_hand(up)) == before + 1
    assert "Completed" in up.do("prefect", "deployment", "run", "housekeeping/nightly", "--watch")
    assert eventually(lambda: all(run["state_type"] == "COMPLETED" for run in by_hand(up))), by_hand(up)
    assert len(by_hand(up)) == before + 2
    assert not (tmp_path / "from-a-page").exists()
