"""What connections cost that say nothing."""
import os
import pathlib
import resource
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from certificates import Authority
from gateway import Locum
from upstreams import Upstream

# 1,000 in tests/run; in tests/long as many as there are descriptors for, and 20,000 at the most.
WANTED = min(20_000, 1_000 * int(os.environ.get("LOCUM_TEST_SCALE", "1")))
APP = """
[apps.shop]
upstreams = ["http://127.0.0.1:{port}"]
[[apps.shop.routes]]
path = "/*"
public = true
"""
UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNVERIFIED.check_hostname, UNVERIFIED.verify_mode = False, ssl.CERT_NONE
REQUEST = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"


def literal(name: bytes, value: bytes) -> bytes:
    """A field of a head that is not to be remembered (RFC 7541, section 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


HEAD = {b":method": b"GET", b":scheme": b"http", b":authority": b"localhost", b":path": b"/x"}
# The preface, settings, and one request that ends with its head.
HTTP2_REQUEST = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(4, 0, 0)
    + frame(1, 5, 1, b"".join(literal(*field) for field in HEAD.items()))
)


@pytest.fixture(params=["plain", "tls", "http2"])
def gate(request, folder, tmp_path):
    home = folder / f"idle-{request.param}"
    home.mkdir()
    app = Upstream("nginx", home)
    server = "h2c = true" if request.param == "http2" else ""
    if request.param == "tls":
        certificate, key = Authority(tmp_path).issue("localhost")
        server = f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"'
    gate = Locum(home / "gate", APP.format(port=app.port), server)
    gate.start()
    gate.kind = request.param
    yield gate
    assert gate.stop() == 0, f"a gateway that was asked to stop ended badly\n{gate.log_tail()}"
    app.close()


def connected(gate: Locum) -> socket.socket:
    """A connection over which one request was answered, and which is kept open."""
    client = socket.create_connection(("127.0.0.1", gate.port), timeout=30)
    if gate.kind == "tls":
        client = UNVERIFIED.wrap_socket(client)
    client.sendall(HTTP2_REQUEST if gate.kind == "http2" else REQUEST)
    answer = b""
    while not answer.endswith(b"seen"):
        part = client.recv(4096)
        assert part, f"closed after {answer!r}"
        answer += part
    return client


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


# KiB of memory that one may cost, the buffers of its request included.
MOST = {"plain": 40, "tls": 80, "http2": 80}


def test_an_idle_connection_costs_little_memory(gate, many_descriptors, record_property):
    """DS-006: connections that were used once and are kept open: plain, with TLS, and of HTTP/2."""
    # A half of its descriptors is what the gateway gives to clients; all have to be there before the first is idle
    # for too long.
    wanted = min(WANTED, many_descriptors * 45 // 100)
    for _ in range(200):
        connected(gate).close()
    before = gate.memory()
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: connected(gate), range(wanted)))
    each = (gate.memory() - before) / wanted / 1024
    print(f"{gate.kind}: {wanted} idle connections cost {each:.1f} KiB each")
    record_property("kib_per_connection", round(each, 1))
    open_there = len(list(pathlib.Path(f"/proc/{gate.pid}/fd").iterdir()))
    assert open_there >= wanted, f"only {open_there} descriptors: they were not all open at once"
    for client in clients:
        client.close()
    assert each < MOST[gate.kind], f"an idle connection costs {each:.1f} KiB"
