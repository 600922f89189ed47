"""WebSockets between real libraries: `websockets` on both sides, and HTTP/2 by `h2` (RFC 8441)."""
import base64
import contextlib
import http.client
import os
import socket
import ssl
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from certificates import Authority
from gateway import Locum
from websocket_app import WebSocketApp

HOST = "board.example.test"


@pytest.fixture(scope="module")
def app():
    app = WebSocketApp()
    yield app
    app.close()


def section(port: int) -> str:
    return f"""
[apps.board]
upstreams = ["http://127.0.0.1:{port}"]
allowed_origins = ["https://www.example.org"]
access_by_default = true
[[apps.board.routes]]
path = "/*"
[[apps.board.routes]]
path = "/plain/*"
upgrades = []
"""


@pytest.fixture(scope="module")
def board(folder, app):
    """A gateway of its own, because one of the tests stops it."""
    home = folder / "board"
    home.mkdir()
    gateway = Locum(home, section(app.port))
    gateway.start()
    gateway.person("carol")
    yield gateway
    assert gateway.stop() == 0, gateway.log_tail()


@pytest.fixture
def pat(board, request):
    name = request.node.name.split("[")[0].replace("test_", "").replace("_", "-")[:32].strip("-")
    return board.pat(board.proxy_user(name, "carol"))


def basic(pat) -> str:
    return "Basic " + base64.b64encode(f"{pat.username}:{pat.token}".encode()).decode()


def opened(board, path="/ws", pat=None, **more):
    headers = dict(more.pop("headers", {}))
    if pat:
        headers["Authorization"] = basic(pat)
    return connect(f"ws://127.0.0.1:{board.port}{path}", additional_headers=headers, max_size=None, proxy=None, **more)


def metric(board, name: str) -> float:
    connection = http.client.HTTPConnection("locum")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(board.folder / "locum.sock"))
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def until(what: str, is_so, seconds: float = 10.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_websocket_library_speaks_to_another(board, app, compression):
    """G1: subprotocols, compression, text and bytes, empty and large messages, pieces, pings and codes of closing."""
    pat = board.pat(board.proxy_user(f"library-{compression or 'plain'}".lower(), "carol"))
    before = metric(board, "locum_tunnels_open")
    with opened(board, "/ws?room=1", pat, subprotocols=["other", "board"], compression=compression) as socket:
        assert socket.subprotocol == "board"
        extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        assert extensions.startswith("permessage-deflate") == bool(compression)
        handshake = app.handshakes[-1]
        assert handshake.path == "/ws?room=1"
        assert handshake.headers["X-Locum-User"] == pat.username
        assert "Authorization" not in handshake.headers
        for message in ["hello", "", "ä€🙂" * 1000, b"", bytes(range(256)) * 16, os.urandom(8 << 20), "x" * (8 << 20)]:
            socket.send(message)
            assert socket.recv(timeout=30) == message
        # A message in fragments, both ways; the library puts them together again.
        socket.send(part for part in ["in pieces ", "one ", "two"])
        assert socket.recv(timeout=30) == "inpiecesonetwo"
        assert socket.ping().wait(10), "the app's pong came back"
        socket.send("ping")
        assert socket.recv(timeout=30) == "alive", "our pong reached the app"
        assert metric(board, "locum_tunnels_open") == before + 1
        socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as asked")
    until("it was counted", lambda: metric(board, "locum_tunnels_open") == before)
    log = board.log_once_it_has('"target":"locum::tunnel"', f'"account":"{pat.username}"')
    [end] = [line for line in log.splitlines() if "locum::tunnel" in line and pat.username in line]
    assert '"ended":"closed"' in end and '"bytes_to_client":' in end
    request_id = end.split('"request_id":"')[1].split('"')[0]
    assert any(request_id in line and '"status":101' in line for line in log.splitlines())


def test_the_client_closes_with_a_code_of_its_own(board, app, pat):
    """G1: what a client says last, its app hears."""
    with opened(board, pat=pat) as socket:
        socket.send("x")
        assert socket.recv(timeout=10) == "x"
        before = len(app.closed)
        socket.close(4999, "enough")
    until("the app heard it", lambda: len(app.closed) > before)
    assert app.closed[-1] == 4999


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ws", {}, 401),
        ("/ws/refused", {"Authorization": ...}, 403),
        ("/ws", {"Authorization": ..., "Origin": "https://evil.test"}, 403),
        ("/ws", {"Authorization": ..., "Origin": "https://www.example.org"}, 101),
    ],
)
def test_who_may_not_gets_no_websocket(board, app, path, headers, status):
    """UP-002, UP-008: without a credential, for an app that does not want it, from a page elsewhere."""
    pat = board.pat(board.proxy_user(f"may-not-{abs(hash((path, str(headers)))) % 10**9}", "carol"))
    headers = {name: basic(pat) if value is ... else value for name, value in headers.items()}
    if status == 101:
        with opened(board, path, headers=headers):
            return
    with pytest.raises(InvalidStatus) as refused, opened(board, path, headers=headers):
        pass
    assert refused.value.response.status_code == status


def test_a_revoked_token_closes_its_websocket(board, app, pat):
    """R3: the client is told 1008, within the bound, and comes back to a 401."""
    with opened(board, pat=pat) as socket:
        socket.send("x")
        assert socket.recv(timeout=10) == "x"
        board.revoke(pat)
        revoked = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert time.monotonic() - revoked < 2
        assert closed.value.rcvd.code == 1008
    with pytest.raises(InvalidStatus) as refused, opened(board, pat=pat):
        pass
    assert refused.value.response.status_code == 401


class Http2:
    """One connection of HTTP/2 without TLS, spoken by `h2` in one thread."""

    def __init__(self, port: int):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.sock.sendall(self.h2.data_to_send())
        self.events: list = []

    def until(self, kind, stream: int):
        while True:
            for event in self.events:
                if isinstance(event, kind) and getattr(event, "stream_id", 0) in (stream, 0):
                    self.events.remove(event)
                    return event
            data = self.sock.recv(65536)
            assert data, "the connection ended"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.events.append(event)
            self.sock.sendall(self.h2.data_to_send())

    def connect(self, stream: int, path: str, pat, **more):
        head = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
            (":authority", HOST), ("sec-websocket-version", "13"), ("authorization", basic(pat)),
            *more.items(),
        ]  # fmt: skip
        self.h2.send_headers(stream, head)
        self.sock.sendall(self.h2.data_to_send())
        return dict(self.until(h2.events.ResponseReceived, stream).headers)

    def send(self, stream: int, data: bytes):
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if room == 0:
                self.until(h2.events.WindowUpdated, stream)
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.sock.sendall(self.h2.data_to_send())

    def read(self, stream: int, length: int) -> bytes:
        data = b""
        while len(data) < length:
            data += self.until(h2.events.DataReceived, stream).data
        return data


def masked(opcode: Opcode, data: bytes) -> bytes:
    return Frame(opcode, data).serialize(mask=True)


def test_a_websocket_over_http2(board, app, pat):
    """G1: announced, opened by an extended CONNECT, two of them on one connection, with a large message each."""
    http2 = Http2(board.port)
    http2.until(h2.events.RemoteSettingsChanged, 0)
    assert http2.h2.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
    for stream in (1, 3):
        headers = http2.connect(stream, f"/ws?stream={stream}", pat, **{"sec-websocket-protocol": "chat"})
        assert headers[":status"] == "200"
        assert headers["sec-websocket-protocol"] == "chat"
        assert "sec-websocket-accept" not in headers
        assert app.handshakes[-1].headers["X-Locum-User"] == pat.username
    for stream in (1, 3):
        http2.send(stream, masked(Opcode.TEXT, b"hello"))
        assert http2.read(stream, 7) == b"\x81\x05hello"
        large = os.urandom(200_000)
        http2.send(stream, masked(Opcode.BINARY, large))
        assert http2.read(stream, 10 + len(large)) == b"\x82\x7f" + len(large).to_bytes(8, "big") + large
    http2.send(1, masked(Opcode.CLOSE, (1000).to_bytes(2, "big")))
    assert http2.read(1, 4) == b"\x88\x02\x03\xe8"
    http2.until(h2.events.StreamEnded, 1)
    board.revoke(pat)
    assert http2.read(3, 4)[:4] == b"\x88\x12" + (1008).to_bytes(2, "big")
    http2.until(h2.events.StreamEnded, 3)


def test_a_websocket_goes_through_tls_on_both_sides(folder, tmp_path):
    """G1, G11: `wss` to the gateway, and from there to the app; the page's origin is `https`."""
    home = folder / "wss"
    home.mkdir()
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    app = WebSocketApp(server)
    gateway = Locum(
        home,
        f"""
[apps.board]
upstreams = ["https://127.0.0.1:{app.port}"]
access_by_default = true
[apps.board.tls]
ca_file = "{authority.certificate}"
[[apps.board.routes]]
path = "/*"
""",
        f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"',
    )
    gateway.start()
    gateway.person("carol")
    pat = gateway.pat(gateway.proxy_user("wss", "carol"))
    client = ssl.create_default_context(cafile=authority.certificate)
    url = f"wss://localhost:{gateway.port}/ws"
    headers = {"Authorization": basic(pat)}
    for origin in [None, f"https://localhost:{gateway.port}"]:
        with connect(url, ssl=client, origin=origin, additional_headers=headers, max_size=None, proxy=None) as wss:
            for message in ["hello", os.urandom(4 << 20)]:
                wss.send(message)
                assert wss.recv(timeout=30) == message
            assert app.handshakes[-1].headers["X-Forwarded-Proto"] == "https"
    with pytest.raises(InvalidStatus) as refused:
        with connect(url, ssl=client, origin="http://localhost", additional_headers=headers, proxy=None):
            pass
    assert refused.value.response.status_code == 403
    with connect(url, ssl=client, additional_headers=headers, proxy=None) as wss:
        gateway.revoke(pat)
        with pytest.raises(ConnectionClosed) as closed:
            wss.recv(timeout=10)
        assert closed.value.rcvd.code == 1008
    assert gateway.stop() == 0
    app.close()


def test_a_route_without_upgrades_refuses_a_websocket_over_http2(board, app, pat):
    """UP-009: the app is not asked."""
    before = len(app.handshakes)
    assert Http2(board.port).connect(1, "/plain/x", pat)[":status"] == "501"
    assert len(app.handshakes) == before


def test_a_gateway_that_stops_tells_its_websockets_to_come_back(folder, app):
    """R3: 1012 at once, and the gateway does not wait for its deadline."""
    home = folder / "leaving"
    home.mkdir()
    gateway = Locum(home, section(app.port))
    gateway.start()
    gateway.person("carol")
    pat = gateway.pat(gateway.proxy_user("leaving", "carol"))
    sockets = contextlib.ExitStack()
    codes = []

    def listen(socket):
        try:
            socket.recv(timeout=20)
        except ConnectionClosed as closed:
            codes.append(closed.rcvd and closed.rcvd.code)

    with sockets:
        opened_now = [sockets.enter_context(opened(gateway, pat=pat)) for _ in range(20)]
        threads = [threading.Thread(target=listen, args=(socket,)) for socket in opened_now]
        for thread in threads:
            thread.start()
        started = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - started < 8
        for thread in threads:
            thread.join()
    assert codes == [1012] * 20
