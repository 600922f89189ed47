"""Load and slow attacks by the tools that people use for them."""
import base64
import re
import subprocess
import threading
import time

import pytest

from certificates import Authority
from gateway import Locum, Pat, plain_environment
from upstreams import Upstream, node_app

# Takes the whole of a body before it answers, and answers with more than any buffer between holds.
PATIENT = """
const page = Buffer.alloc(16 << 20, 'x');
require('http').createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end(request.method === 'GET' ? page : 'taken'));
}).listen(Number(process.argv[1]), '127.0.0.1');
"""

APPS = """
[apps.shop]
upstreams = ["http://127.0.0.1:{port}"]
[[apps.shop.routes]]
path = "/*"

[apps.patient]
path_prefix = "/patient"
upstreams = ["http://127.0.0.1:{patient}"]
[[apps.patient.routes]]
path = "/*"
public = true
"""


@pytest.fixture(scope="module")
def patient():
    with node_app(PATIENT) as port:
        yield port


@pytest.fixture(scope="module")
def shop(folder):
    home = folder / "loaded"
    home.mkdir()
    app = Upstream("nginx", home)
    yield app
    app.close()


@pytest.fixture(scope="module")
def plain(folder, shop, patient):
    yield from running(Locum(folder / "plain", APPS.format(port=shop.port, patient=patient)))


@pytest.fixture(scope="module")
def secure(folder, shop, patient, tmp_path_factory):
    certificate, key = Authority(tmp_path_factory.mktemp("authority")).issue("localhost")
    server = f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"'
    yield from running(Locum(folder / "secure", APPS.format(port=shop.port, patient=patient), server))


def running(gate: Locum):
    gate.start()
    yield gate
    assert gate.stop() == 0, f"a gateway that was asked to stop ended badly\n{gate.log_tail()}"


_robots: dict[Locum, Pat] = {}


def robot(gate: Locum) -> Pat:
    if gate not in _robots:
        _robots[gate] = gate.pat(gate.proxy_user("robot", gate.person("owner", apps=["shop"])))
    return _robots[gate]


REQUESTS = 20_000


@pytest.mark.parametrize(
    "scheme, options",
    [("http", []), ("http", ["--h1"]), ("https", []), ("https", ["--h1"])],
    ids=["h2c", "http1", "h2", "http1-tls"],
)
def test_h2load_gets_every_answer(request, scheme, options):
    """G1, G11: thousands of requests over HTTP/2 and HTTP/1.1, with TLS and without, many on one connection."""
    gate = request.getfixturevalue("plain" if scheme == "http" else "secure")
    pat = robot(gate)
    pair = base64.b64encode(f"{pat.username}:{pat.token}".encode()).decode()
    done = subprocess.run(
        [
            "h2load", "-n", str(REQUESTS), "-c", "20", "-m", "1" if options else "20", "-H", f"authorization: Basic {pair}",
            *options, f"{scheme}://127.0.0.1:{gate.port}/report",
        ],
        env=plain_environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = done.stdout + done.stderr
    tally = re.search(r"requests: (\d+) total, .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said)
    assert tally and tally.groups() == (str(REQUESTS), str(REQUESTS), str(REQUESTS), "0", "0"), said
    assert f"status codes: {REQUESTS} 2xx" in said, said


# The mode of slowhttptest, and the path on which it is tried.
ATTACKS = {
    "slow heads": ["-H", "-i", "2", "-x", "24", "-t", "GET"],
    "slow bodies": ["-B", "-i", "2", "-s", "8192", "-t", "POST", "-x", "10"],
    "slow readers": ["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "5", "-k", "3"],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_slowhttptest_does_not_keep_others_out(plain, attack):
    """G12: 800 clients who send or take as little as they can; good ones notice nothing."""
    pat = robot(plain)
    slow = subprocess.Popen(
        [
            "slowhttptest", *ATTACKS[attack], "-c", "800", "-r", "400", "-l", "10", "-p", "2", "-v", "1",
            "-u", f"http://127.0.0.1:{plain.port}/patient/page",
        ],
        env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(slow.stdout.read()), daemon=True)
    reader.start()
    slowest, asked = 0.0, 0
    while slow.poll() is None:
        began = time.monotonic()
        answer = subprocess.run(
            ["curl", "-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5",
             "-u", f"{pat.username}:{pat.token}", plain.url("/report")],
            env=plain_environment(), capture_output=True, text=True, timeout=10,
        )  # fmt: skip
        assert answer.stdout == "200", (attack, answer)
        slowest, asked = max(slowest, time.monotonic() - began), asked + 1
        time.sleep(0.1)
    reader.join(timeout=10)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(said))
    assert asked > 20, f"the attack was over before anybody could ask\n{text}"
    assert slowest < 2, f"a good client waited {slowest:.1f} s during {attack}"
    assert re.findall(r"service available:\s+(\w+)", text)[-1:] == ["YES"], text
