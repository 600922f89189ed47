"""nginx, HAProxy, node and gunicorn behind the gateway: whatever a client sends, each sees one request or none.

What two readers of HTTP could read in two ways is sent through the real gateway to four real servers that
read it in their own four ways. Each must see exactly the request that the gateway decided about, with the
identity that it found, or nothing at all (invariants 8 and 10).
"""
import base64
import itertools
import socket
import time

import pytest

from gateway import Locum
from upstreams import Upstream

KINDS = ["nginx", "haproxy", "node", "gunicorn"]

# The request that nobody may ever see: its route asks for a role that no caller here has.
SMUGGLED = "GET /admin/smuggled HTTP/1.1\r\nHost: {H}\r\nX-Locum-User: root\r\n\r\n"
CHUNKED_SMUGGLED = "0\r\n\r\n" + SMUGGLED

ONE, NONE, AT_MOST_ONE = "one", "none", "at most one"
# None, and no answer of HTTP/1 either: the gateway here speaks HTTP/2 with who begins with it.
OTHER_PROTOCOL = "other protocol"


def post(framing: str, body: str = "", *, line: str = "POST /app/x HTTP/1.1") -> str:
    return f"{line}\r\nHost: {{H}}\r\n{{V}}{framing}\r\n{body}"


def get(path: str, lines: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: {{H}}\r\n{{V}}{lines}\r\n"


# What is sent; whether the app sees one request, none, or the beginning of one; and the target that it sees.
CORPUS = {
    # A body that looks like a request stays a body.
    "length": (post(f"Content-Length: {len('GET /admin/smuggled HTTP/1.1') + 4}\r\n", "GET /admin/smuggled HTTP/1.1\r\n\r\n"), ONE),
    "get with a body": (get("/app/x", "Content-Length: 5\r\n") + "hello", ONE),
    "chunks": (post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), ONE),
    "chunk extension": (post("Transfer-Encoding: chunked\r\n", "5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), ONE),
    "trailers": (post("Transfer-Encoding: chunked\r\nTrailer: X-Locum-User\r\n", "5\r\nhello\r\n0\r\nX-Locum-User: root\r\nContent-Length: 50\r\nHost: evil\r\n\r\n"), ONE),
    "capital coding": (post("TRANSFER-ENCODING: Chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), ONE),
    "expect": (post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), ONE),
    # Two framings, or one that is none.
    "CL.TE": (post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", CHUNKED_SMUGGLED), NONE),
    "TE.CL": (post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE.TE": (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKED_SMUGGLED), NONE),
    "TE twice": (post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKED_SMUGGLED), NONE),
    "TE list": (post("Transfer-Encoding: gzip, chunked\r\n", CHUNKED_SMUGGLED), NONE),
    "TE x": (post("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE vertical tab": (post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE quoted": (post("Transfer-Encoding: \"chunked\"\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE before colon": (post("Transfer-Encoding : chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE folded": (post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE behind LF": (post("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE behind CR": (post("X: y\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE underscore": (post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "TE in 1.0": (post("Transfer-Encoding: chunked\r\n", CHUNKED_SMUGGLED, line="POST /app/x HTTP/1.0"), NONE),
    "TE with NUL": (post("Transfer-Encoding: chunked\0\r\nContent-Length: 3\r\n", CHUNKED_SMUGGLED), NONE),
    "CL twice": (post("Content-Length: 0\r\nContent-Length: 5\r\n", SMUGGLED), NONE),
    "CL twice alike": (post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), NONE),
    "CL list": (post("Content-Length: 5, 5\r\n", "hello"), NONE),
    "CL plus": (post("Content-Length: +5\r\n", "hello"), NONE),
    "CL hex": (post("Content-Length: 0x5\r\n", "hello"), NONE),
    "CL empty": (post("Content-Length:\r\n", SMUGGLED), NONE),
    "CL nominated": (post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), ONE),
    # Chunks that are none.
    "chunk 0x": (post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "chunk space": (post("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "chunk too large": (post("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "chunk bare LF": (post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "chunk extension LF": (post("Transfer-Encoding: chunked\r\n", "5;\nhello\r\n" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "chunk without end": (post("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX" + CHUNKED_SMUGGLED), AT_MOST_ONE),
    "trailer bare LF": (post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\r\n" + SMUGGLED), AT_MOST_ONE),
    # Heads.
    "bare LF": ("GET /app/x HTTP/1.1\nHost: {H}\n{V}\n", NONE),
    "fragment": (get("/app/x#/../admin"), NONE),
    "two hosts": (get("/app/x", "Host: evil.test\r\n"), NONE),
    "other host in the target": (get("http://evil.test/app/x"), NONE),
    "same host in the target": (get("http://{H}/app/x"), ONE),
    "version": ("GET /app/x HTTP/1.2\r\nHost: {H}\r\n{V}\r\n", NONE),
    "tab in the line": ("GET\t/app/x HTTP/1.1\r\nHost: {H}\r\n{V}\r\n", NONE),
    "second request in the target": ("GET /app/x HTTP/1.1 /admin HTTP/1.1\r\nHost: {H}\r\n{V}\r\n", NONE),
    "preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED, OTHER_PROTOCOL),
    "upgrade": (get("/app/x", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"), ONE),
    # Identity.
    "forged identity": (get("/app/x", "X-Locum-User: root\r\n"), ONE),
    "forged alias": (get("/app/x", "X_Locum_User: root\r\n"), NONE),
    "forged behind CR": (get("/app/x", "X: y\rX-Locum-User: root\r\n"), NONE),
    "identity nominated": (get("/app/x", "Connection: close, X-Locum-User\r\n"), ONE),
    # Paths.
    "climbing": (get("/app/../admin/x"), NONE),
    "climbing encoded": (get("/app/%2e%2e/admin/x"), NONE),
    "climbing twice encoded": (get("/app/%252e%252e/admin/x"), NONE),
    "climbing with parameters": (get("/app/..;/admin/x"), NONE),
    "encoded slash": (get("/app/..%2fadmin/x"), NONE),
    "backslash": (get("/app\\..\\admin/x"), NONE),
    "doubled slash": (get("//admin/x"), NONE),
    "overlong": (get("/app/%c0%ae%c0%ae/admin/x"), NONE),
    "NUL": (get("/app/x%00"), NONE),
    "encoded question mark": (get("/app/a%3Fb"), ONE),
    "encoded hash": (get("/app/a%23b"), ONE),
    "dots": (get("/app/...?a={|}"), ONE),
    "letters": (get("/app/%C3%A9"), ONE),
}  # fmt: skip


@pytest.fixture(scope="module")
def apps(folder):
    home = folder / "upstreams"
    home.mkdir()
    apps = {}
    try:
        for kind in KINDS:
            apps[kind] = Upstream(kind, home)
        yield apps
    finally:
        for app in apps.values():
            app.close()


@pytest.fixture(scope="module")
def gate(folder, apps):
    home = folder / "gate"
    home.mkdir()
    sections = [
        f"""
[apps.{kind}]
hosts = ["{kind}.test"]
upstreams = ["http://127.0.0.1:{app.port}"]
[[apps.{kind}.routes]]
path = "/app/*"
[[apps.{kind}.routes]]
path = "/admin/*"
roles_any = ["{kind}/admin"]
"""
        for kind, app in apps.items()
    ]
    gate = Locum(home, "".join(sections))
    gate.start()
    for kind in KINDS:
        gate.run("role", "add", f"{kind}/admin")
    yield gate
    assert gate.stop() == 0, f"a gateway that was asked to stop ended badly\n{gate.log_tail()}"


@pytest.fixture(scope="module")
def credential(gate):
    owner = gate.person("owner", apps=KINDS)
    pat = gate.pat(gate.proxy_user("robot", owner))
    pair = base64.b64encode(f"{pat.username}:{pat.token}".encode()).decode()
    return f"Authorization: Basic {pair}\r\n"


def exchange(gate: Locum, sent: bytes) -> bytes:
    """Sends the bytes on a connection of their own, and reads until the answer is there or nothing more comes."""
    with socket.create_connection(("127.0.0.1", gate.port), timeout=10) as client:
        client.sendall(sent)
        client.settimeout(0.3)
        answer = b""
        try:
            while part := client.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError):
            pass
    return answer


_marks = itertools.count(1)


def seen_until_now(gate: Locum, app: Upstream, credential: str) -> list[list[str]]:
    """All that the app has seen. A last request, on whatever connection the gateway keeps, pushes out before it
    what might be left in one, and says when the record is complete."""
    mark = f"/app/mark-{next(_marks)}"
    exchange(gate, f"GET {mark} HTTP/1.1\r\nHost: {app.kind}.test\r\n{credential}Connection: close\r\n\r\n".encode())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        seen = app.seen()
        if any(target == mark for _, target, *_ in seen):
            return seen
        time.sleep(0.01)
    raise AssertionError(f"{mark} never reached {app.kind}: {seen[-3:]}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_server_behind_the_gateway_sees_one_request_or_none(gate, apps, credential, kind):
    """G1, G5: the corpus of ambiguous messages, read by a server of another maker."""
    app = apps[kind]
    wrong = []
    for name, (request, must) in CORPUS.items():
        sent = request.replace("{V}", credential).replace("{H}", f"{kind}.test").encode("latin-1")
        before = len(seen_until_now(gate, app, credential))
        answer = exchange(gate, sent)
        seen = [line for line in seen_until_now(gate, app, credential)[before:] if not line[1].startswith("/app/mark-")]
        final = [status for word in answer.split(b"HTTP/1.1 ")[1:] if (status := word.split(b" ")[0]) != b"100"]
        target = request.split(" ")[1].removeprefix("http://{H}")
        method = request.split(" ")[0]
        count = {ONE: [1], NONE: [0], AT_MOST_ONE: [0, 1], OTHER_PROTOCOL: [0]}[must]
        if len(seen) not in count or any(line != [method, target, "robot"] for line in seen):
            wrong.append(f"{name}: {kind} saw {seen}")
        # An app may answer before it has read the body whose end is wrong.
        statuses = {ONE: [[b"200"]], NONE: [[b"400"]], AT_MOST_ONE: [[b"400"], [b"200"]], OTHER_PROTOCOL: [[]]}[must]
        if final not in statuses:
            wrong.append(f"{name}: answered {final}")
    assert not wrong, "\n".join(wrong)
