"""Real programs through the real gateway: one `locum serve`, real apps behind it, real clients before it.

The gateway is started once for all tests, on the embedded store, with apps by host name and by path
prefix. Each test makes proxy users and PATs of its own through the command line, so that one test's
revocations never meet another's. What cannot be started is an error, never a skipped test.
"""
import itertools
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from echo_app import EchoApp
from gateway import BINARY, Locum, plain_environment
from git_app import GitApp
from ports import free_port, wait_until_listening

# Who holds what: the two owners differ in exactly the apps that the tests tell apart.
ALICE = {"roles": ["reports/reader", "git/writer", "packages/reader", "wiki/author"], "apps": ["calendar"]}
BOB = {"roles": ["orders/clerk", "tickets/agent"], "apps": []}


def apps_section(ports: dict[str, int]) -> str:
    return f"""
# By host name: 127.0.0.1 and localhost are two names here, as two domains would be elsewhere.
[apps.calendar]
hosts = ["127.0.0.1"]
upstreams = ["http://127.0.0.1:{ports['calendar']}"]
headers = "none"
set_headers = {{ "X-Remote-User" = "{{user}}" }}
[[apps.calendar.routes]]
path = "/*"

[apps.packages]
hosts = ["localhost"]
upstreams = ["http://127.0.0.1:{ports['packages']}"]
[[apps.packages.routes]]
path = "/*"
accept = ["basic"]
roles_any = ["packages/reader"]

# By path prefix, on a host that another app has the rest of.
[apps.git]
hosts = ["127.0.0.1"]
path_prefix = "/git"
upstreams = ["http://127.0.0.1:{ports['git']}"]
set_headers = {{ "X-Remote-User" = "{{user}}" }}
[[apps.git.routes]]
path = "/*"
roles_any = ["git/writer"]

[apps.wiki]
hosts = ["127.0.0.1"]
path_prefix = "/wiki"
upstreams = ["http://127.0.0.1:{ports['reports']}"]
[[apps.wiki.routes]]
path = "/*"
roles_any = ["wiki/author"]

[apps.tickets]
hosts = ["127.0.0.1"]
path_prefix = "/tickets"
upstreams = ["http://127.0.0.1:{ports['orders']}"]
[[apps.tickets.routes]]
path = "/*"
roles_any = ["tickets/agent"]

[apps.reports]
hosts = ["reports.example.test"]
upstreams = ["http://127.0.0.1:{ports['reports']}"]
[[apps.reports.routes]]
path = "/*"
roles_any = ["reports/reader"]
[[apps.reports.routes]]
path = "/public/*"
public = true

[apps.orders]
hosts = ["orders.example.test"]
upstreams = ["http://127.0.0.1:{ports['orders']}"]
headers = "oauth2-proxy"
set_headers = {{ "X-WEBAUTH-USER" = "{{user}}" }}
[[apps.orders.routes]]
path = "/*"
roles_any = ["orders/clerk"]
"""


@pytest.fixture(scope="session")
def folder():
    # Short on purpose: the path of a Unix socket has little room.
    path = pathlib.Path(tempfile.mkdtemp(prefix="locum-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def reports():
    app = EchoApp()
    yield app
    app.close()


@pytest.fixture(scope="session")
def orders():
    app = EchoApp()
    yield app
    app.close()


@pytest.fixture(scope="session")
def git_app(folder):
    repositories = folder / "repositories"
    repositories.mkdir()
    app = GitApp(repositories, "/git")
    yield app
    app.close()


def served(command: list, port: int, log: pathlib.Path, what: str):
    """Runs an app of its own for as long as the tests last."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        wait_until_listening(port, process, what)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def radicale(folder):
    port = free_port()
    config = folder / "radicale.ini"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = http_x_remote_user\n"
        f"[rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {folder / 'collections'}\n"
    )
    command = [sys.executable, "-m", "radicale", "--config", str(config)]
    yield from served(command, port, folder / "radicale.log", "Radicale")


@pytest.fixture(scope="session")
def packages_folder(folder):
    path = folder / "packages"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def pypiserver(folder, packages_folder):
    port = free_port()
    # No password of its own and no way out to the public index: what it serves, it serves through the gateway.
    command = [
        sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port),
        "-a", ".", "-P", ".", "--disable-fallback", str(packages_folder),
    ]  # fmt: skip
    yield from served(command, port, folder / "pypiserver.log", "pypiserver")


@pytest.fixture(scope="session")
def locum(folder, reports, orders, git_app, radicale, pypiserver):
    if not BINARY.exists():
        pytest.exit(f"no binary at {BINARY}: build it, or say where it is in LOCUM_BIN", returncode=3)
    home = folder / "locum"
    home.mkdir()
    ports = {
        "calendar": radicale,
        "packages": pypiserver,
        "git": git_app.port,
        "reports": reports.port,
        "orders": orders.port,
    }
    gateway = Locum(home, apps_section(ports))
    gateway.start()
    for person in (ALICE, BOB):
        for role in person["roles"]:
            gateway.run("role", "add", role)
    yield gateway
    assert gateway.stop() == 0, f"a gateway that was asked to stop ended badly\n{gateway.log_tail()}"


@pytest.fixture(scope="session")
def alice(locum):
    """An owner who may reach the calendar, the repositories, the packages, the reports and the wiki."""
    return locum.person("alice", **ALICE)


@pytest.fixture(scope="session")
def bob(locum):
    """An owner who may reach the orders and the tickets, and nothing that is alice's."""
    return locum.person("bob", **BOB)


_numbers = itertools.count(1)


@pytest.fixture
def alices_robot(locum, alice):
    """A new proxy user of alice's with one PAT."""
    return locum.pat(locum.proxy_user(f"alice-robot-{next(_numbers)}", alice))


@pytest.fixture
def bobs_robot(locum, bob):
    """A new proxy user of bob's with one PAT."""
    return locum.pat(locum.proxy_user(f"bob-robot-{next(_numbers)}", bob))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the gateway wrote meanwhile."""
    report = yield
    gateway = item.funcargs.get("locum") if hasattr(item, "funcargs") else None
    if report.failed and gateway is not None:
        report.sections.append(("the gateway's log", gateway.log_tail()))
    return report
