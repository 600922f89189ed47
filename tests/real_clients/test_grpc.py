"""gRPC through the gateway, by grpcio on both sides: HTTP/2 with TLS and without in, and without out."""
import base64
import itertools
import pathlib
import shutil
import tempfile

import grpc
import pytest

from certificates import Authority
from gateway import Locum
from grpc_app import SERVICE, GrpcApp
from ports import free_port

names = (f"caller-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def app():
    app = GrpcApp(free_port())
    app.start()
    yield app
    app.stop()


@pytest.fixture(scope="module", params=["h2c", "tls"])
def gate(app, request):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="locum-grpc-"))
    authority, server = None, "h2c = true"
    if request.param == "tls":
        authority = Authority(folder)
        certificate, key = authority.issue("gate.example.test")
        server = f'[[server.tls]]\ncertificate_file = "{certificate}"\nkey_file = "{key}"'
    away = free_port()
    gate = Locum(
        folder,
        f"""
[apps.echo]
upstreams = ["http://127.0.0.1:{app.port}"]
http2 = true
[[apps.echo.routes]]
path = "/{SERVICE}/*"
[[apps.echo.routes]]
path = "/{SERVICE}/Secret"
roles_any = ["nobody"]

[apps.away]
path_prefix = "/away.Gone"
upstreams = ["http://127.0.0.1:{away}"]
http2 = true
[[apps.away.routes]]
path = "/away.Gone/*"
public = true
""",
        server,
    )
    gate.authority = authority
    gate.start()
    gate.run("role", "add", "nobody")
    gate.person("grpc-owner", apps=["echo"])
    yield gate
    gate.stop()
    shutil.rmtree(folder)


@pytest.fixture
def pat(gate):
    return gate.pat(gate.proxy_user(next(names), "grpc-owner"))


@pytest.fixture
def channel(gate):
    address = f"127.0.0.1:{gate.port}"
    if gate.authority is None:
        opened = grpc.insecure_channel(address)
    else:
        opened = grpc.secure_channel(address, grpc.ssl_channel_credentials(gate.authority.certificate.read_bytes()))
    with opened as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        yield channel


def credential(pat) -> tuple[tuple[str, str], ...]:
    pair = base64.b64encode(f"{pat.username}:{pat.token}".encode()).decode()
    return (("authorization", f"Basic {pair}"), ("x-locum-user", "root"))


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


def test_a_call_arrives_with_who_makes_it(channel, app, pat):
    """G1, G6: a message there, one back, the trailers of the app; the app is told who calls."""
    answer, call = channel.unary_unary(path("Unary")).with_call(b"hello", metadata=credential(pat), timeout=10)
    assert answer == b"hello"
    assert call.code() == grpc.StatusCode.OK
    trailers = dict(call.trailing_metadata())
    assert trailers["x-length"] == "5" and trailers["x-raw-bin"] == b"\x00\xff"
    method, metadata = app.seen[-1]
    assert method == "Unary"
    assert metadata["x-locum-user"] == pat.username
    assert "authorization" not in metadata


def test_streams_go_in_both_directions(channel, pat):
    """G1: many messages there, many back, and both at once, each sent only when the one before was answered."""
    metadata = credential(pat)
    parts = [bytes([number]) * 50_000 for number in range(60)]
    assert channel.stream_unary(path("Collect"))(iter(parts), metadata=metadata, timeout=20) == b"".join(parts)
    counted = list(channel.unary_stream(path("Count"))(b"500", metadata=metadata, timeout=20))
    assert counted == [str(number).encode() for number in range(500)]

    said = []

    def in_turn():
        for word in (b"one", b"two", b"three"):
            heard_before = len(said)
            yield word
            while len(said) == heard_before:
                pass

    for answer in channel.stream_stream(path("Talk"))(in_turn(), metadata=metadata, timeout=20):
        said.append(answer)
    assert said == [b"ONE", b"TWO", b"THREE"]


def test_many_calls_at_once_are_not_mixed_up(channel, pat):
    """G1: calls share connections, and each gets its own answer."""
    call = channel.unary_unary(path("Unary"))
    waiting = [call.future(str(number).encode() * 100, metadata=credential(pat), timeout=20) for number in range(300)]
    for number, answer in enumerate(waiting):
        assert answer.result() == str(number).encode() * 100


def test_a_status_of_the_app_reaches_the_caller(channel, pat):
    """G1: an error of the app comes in its trailers, with its message."""
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(path("Abort"))(b"", metadata=credential(pat), timeout=10)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == "nicht möglich: 100 %"
    with pytest.raises(grpc.RpcError) as missing:
        channel.unary_unary(path("Missing"))(b"", metadata=credential(pat), timeout=10)
    assert missing.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_refused_call_is_told_a_status_of_grpc(channel, app, pat):
    """G3: the gate answers in gRPC, not in HTTP that a library has to guess from; nothing reaches the app."""
    before = len(app.seen)
    wrong = (("authorization", "Basic bm9ib2R5Om5vbnNlbnNl"),)
    cases = [
        (path("Unary"), None, grpc.StatusCode.UNAUTHENTICATED, "A valid username and token are needed."),
        (path("Unary"), wrong, grpc.StatusCode.UNAUTHENTICATED, "A valid username and token are needed."),
        (path("Secret"), credential(pat), grpc.StatusCode.PERMISSION_DENIED, "does not allow this"),
        ("/no.Such/Method", credential(pat), grpc.StatusCode.UNIMPLEMENTED, "There is nothing here."),
        ("/away.Gone/Call", None, grpc.StatusCode.UNAVAILABLE, "did not answer as it should"),
    ]
    for method, metadata, status, text in cases:
        for call in (channel.unary_unary(method), channel.unary_stream(method)):
            with pytest.raises(grpc.RpcError) as refused:
                answer = call(b"hello", metadata=metadata, timeout=10)
                next(answer)
            assert refused.value.code() == status, method
            assert text in refused.value.details(), method
    assert len(app.seen) == before


def test_a_caller_that_leaves_is_gone_for_the_app(channel, app, pat):
    """G1: a deadline, a cancelled call and a closed channel reach the app at once."""
    wait = channel.unary_stream(path("Wait"))
    late = wait(b"deadline", metadata=credential(pat), timeout=1)
    with pytest.raises(grpc.RpcError) as ended:
        list(late)
    assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert app.left.get(timeout=10) == "deadline"
    assert any(name == "grpc-timeout" or method == "Wait" for method, metadata in app.seen for name in metadata)

    cancelled = wait(b"cancelled", metadata=credential(pat))
    assert next(cancelled) == b"waiting"
    cancelled.cancel()
    assert app.left.get(timeout=10) == "cancelled"


def test_a_revoked_token_ends_a_running_call(channel, gate, app, pat):
    """R3: what runs is cut, and the app learns of it."""
    running = channel.unary_stream(path("Wait"))(b"revoked", metadata=credential(pat))
    assert next(running) == b"waiting"
    gate.revoke(pat)
    with pytest.raises(grpc.RpcError) as ended:
        list(running)
    assert ended.value.code() != grpc.StatusCode.OK
    assert app.left.get(timeout=10) == "revoked"
