"""curl as any program: Basic and Bearer, two owners and their apps, and what the apps get to see."""
import base64

import pytest

from curl import curl

REPORTS = "reports.example.test"
ORDERS = "orders.example.test"


def basic(pat):
    return ("--user", f"{pat.username}:{pat.token}")


def bearer(pat):
    return ("--oauth2-bearer", pat.token)


@pytest.mark.parametrize("credential", [basic, bearer])
def test_a_proxy_user_is_let_in_with_its_pat(locum, reports, alices_robot, credential):
    """G2: `Basic username:PAT` and `Bearer PAT`, as curl sends them."""
    answer = curl(locum, locum.url("/monthly?year=2026", REPORTS), *credential(alices_robot))
    assert answer.status == 200
    assert answer.json()["path"] == "/monthly?year=2026"
    assert reports.last().value("X-Locum-User") == alices_robot.username


@pytest.mark.parametrize("credential", [basic, bearer])
def test_http2_is_spoken_without_tls(locum, reports, alices_robot, credential):
    """G1: HTTP/2 as curl (nghttp2) speaks it, with an upload; the app gets HTTP/1.1."""
    url = locum.url("/monthly?year=2026", REPORTS)
    options = ["--http2-prior-knowledge", *credential(alices_robot)]
    answer = curl(locum, url, *options)
    assert answer.status == 200
    assert answer.json()["path"] == "/monthly?year=2026"
    assert reports.last().value("X-Locum-User") == alices_robot.username
    upload = curl(locum, url, *options, "--data-binary", "x" * 100_000)
    assert upload.status == 200
    locum.revoke(alices_robot)
    assert curl(locum, url, *options).status == 401


def test_early_hints_come_before_the_answer(locum, alices_robot):
    """G1: who asks as a browser on its way to a page sees the app's hint over HTTP/1.1; all others the answer alone."""
    url = locum.url("/hinted", REPORTS)
    assert curl(locum, url, *basic(alices_robot)).before == (), "programs are told nothing before the answer"
    page = ["--header", "Sec-Fetch-Mode: navigate", *basic(alices_robot)]
    hinted = curl(locum, url, *page)
    assert hinted.status == 200
    assert [head.splitlines() for head in hinted.before] == [
        ["HTTP/1.1 103 Early Hints", "link: </style.css>; rel=preload"]
    ]
    for version in ("--http2-prior-knowledge", "--http1.0"):
        answer = curl(locum, url, version, *page)
        assert (answer.status, answer.before) == (200, ())


def test_a_pat_in_the_url_is_a_basic_credential(locum, alices_robot):
    """T5: the token is safe in URLs."""
    assert curl(locum, locum.url("/", REPORTS, pat=alices_robot)).status == 200


def test_a_stranger_is_asked_for_a_credential(locum, reports):
    """G3: 401 carries both challenges, and nothing reaches the app."""
    before = len(reports.received)
    answer = curl(locum, locum.url("/", REPORTS))
    assert answer.status == 401
    challenges = " ".join(answer.headers["www-authenticate"])
    assert 'Basic realm="Locum"' in challenges and "Bearer" in challenges
    assert answer.headers["content-type"] == ["application/problem+json"]
    assert len(reports.received) == before


@pytest.mark.parametrize("credential", [basic, bearer])
def test_a_revoked_pat_is_refused_at_once(locum, reports, alices_robot, credential):
    """T6, R2: the very next request after `pat revoke` returned is refused."""
    url = locum.url("/", REPORTS)
    assert curl(locum, url, *credential(alices_robot)).status == 200
    locum.revoke(alices_robot)
    before = len(reports.received)
    assert curl(locum, url, *credential(alices_robot)).status == 401
    assert len(reports.received) == before


def test_the_fifth_wrong_attempt_shuts_the_account(locum, alices_robot):
    """L1: four failures leave a good PAT good, five in a row make the account inactive and its PAT useless."""
    url = locum.url("/", REPORTS)

    def guess(times):
        return [curl(locum, url, "--user", f"{alices_robot.username}:wrong-{n}").status for n in range(times)]

    assert guess(4) == [401] * 4
    assert curl(locum, url, *basic(alices_robot)).status == 200
    assert guess(5) == [401] * 5
    assert curl(locum, url, *basic(alices_robot)).status == 401

    assert locum.read("proxy-user", "show", alices_robot.username)["state"] == "inactive"
    trips = [action for action in locum.read("history", "--account", alices_robot.username) if action["actor"] == "locum"]
    assert trips, "the history does not say who made the account inactive"
    locum.run("proxy-user", "activate", alices_robot.username)
    assert curl(locum, url, *basic(alices_robot)).status == 401
    assert curl(locum, url, *basic(locum.pat(alices_robot.username))).status == 200


def test_each_owners_robot_reaches_its_own_app_and_no_other(locum, alices_robot, bobs_robot):
    """G4, P3: two apps by host name with different roles; the wrong one answers 403."""
    reached = {
        (robot.username.split("-")[0], host): curl(locum, locum.url("/", host), *basic(robot)).status
        for robot in (alices_robot, bobs_robot)
        for host in (REPORTS, ORDERS)
    }
    assert reached == {
        ("alice", REPORTS): 200,
        ("alice", ORDERS): 403,
        ("bob", REPORTS): 403,
        ("bob", ORDERS): 200,
    }


def test_apps_under_path_prefixes_are_told_apart_too(locum, alices_robot, bobs_robot):
    """G4: two apps on one host name, by the first part of the path."""
    reached = {
        (robot.username.split("-")[0], path): curl(locum, locum.url(path), *basic(robot)).status
        for robot in (alices_robot, bobs_robot)
        for path in ("/wiki/start", "/tickets/7")
    }
    assert reached == {
        ("alice", "/wiki/start"): 200,
        ("alice", "/tickets/7"): 403,
        ("bob", "/wiki/start"): 403,
        ("bob", "/tickets/7"): 200,
    }


def test_a_role_given_to_the_owner_opens_the_app_and_its_removal_shuts_it(locum, alice, alices_robot):
    """P6, P7: the owner's roles reach its proxy users and leave them, each by the next request."""
    url = locum.url("/", ORDERS)
    assert curl(locum, url, *basic(alices_robot)).status == 403
    locum.run("role", "grant", alice, "orders/clerk")
    try:
        assert curl(locum, url, *basic(alices_robot)).status == 200
    finally:
        locum.run("role", "remove", alice, "orders/clerk")
    assert curl(locum, url, *basic(alices_robot)).status == 403


def test_a_host_that_no_app_has_is_not_found(locum, alices_robot):
    """G4: no match is refused."""
    assert curl(locum, locum.url("/", "nobody.example.test"), *basic(alices_robot)).status == 404


def test_the_app_learns_who_is_there(locum, reports, alice, alices_robot):
    """G6: the native set of identity headers."""
    curl(locum, locum.url("/", REPORTS), *basic(alices_robot))
    request = reports.last()
    assert request.value("X-Locum-User") == alices_robot.username
    assert request.value("X-Locum-Kind") == "proxy"
    assert request.value("X-Locum-Owner") == alice
    assert request.value("X-Locum-Service") == "real client"
    assert "reader" in request.value("X-Locum-Roles")
    assert request.value("X-Request-Id")


def test_an_app_gets_the_names_it_is_configured_for(locum, orders, bobs_robot):
    """G6: a preset, and one more name beside it."""
    curl(locum, locum.url("/", ORDERS), *basic(bobs_robot))
    request = orders.last()
    assert request.value("X-Forwarded-User") == bobs_robot.username
    assert request.value("X-WEBAUTH-USER") == bobs_robot.username


@pytest.mark.parametrize("credential", [basic, bearer])
def test_the_credential_never_reaches_the_app(locum, reports, alices_robot, credential):
    """G7, T4: a consumed credential is not forwarded, in no spelling."""
    curl(locum, locum.url("/", REPORTS), *credential(alices_robot))
    arrived = reports.last()
    assert arrived.values("Authorization") == []
    encoded = base64.b64encode(f"{alices_robot.username}:{alices_robot.token}".encode()).decode()
    assert alices_robot.secret not in arrived.text()
    assert encoded not in arrived.text()


def test_the_credential_is_in_no_log(locum, alices_robot):
    """T4: neither a good attempt nor a bad one leaves the secret in the log."""
    curl(locum, locum.url("/", REPORTS), *basic(alices_robot))
    curl(locum, locum.url("/", REPORTS), "--user", f"nobody:{alices_robot.token}")
    log = locum.log_once_it_has(f'"account":"{alices_robot.username}"', '"status":401')
    assert alices_robot.secret not in log
    assert base64.b64encode(f"{alices_robot.username}:{alices_robot.token}".encode()).decode() not in log


FORGED = "root-forged-by-the-client"
IDENTITY_NAMES = [
    "X-Locum-User", "x-locum-user", "X-LOCUM-ROLES", "X-Locum-Kind", "X-Locum-Owner", "X-Locum-Service",
    "X-Forwarded-User", "X-WEBAUTH-USER", "X-Remote-User",
]  # fmt: skip


@pytest.mark.parametrize("name", IDENTITY_NAMES)
@pytest.mark.parametrize("path", ["/", "/public/page"])
def test_a_forged_identity_header_never_arrives(locum, reports, alices_robot, name, path):
    """G5: names that *any* app is configured for are removed on every route, public ones too."""
    credential = basic(alices_robot) if path == "/" else ()
    answer = curl(locum, locum.url(path, REPORTS), *credential, "--header", f"{name}: {FORGED}")
    assert answer.status == 200
    assert FORGED not in reports.last().text()


@pytest.mark.parametrize("name", ["X_Locum_User", "X-Locum_User", "x.locum.user", "X_WEBAUTH_USER"])
def test_another_spelling_of_an_identity_header_is_refused(locum, reports, alices_robot, name):
    """G5: what an app might fold to an identity header is refused, not repaired."""
    before = len(reports.received)
    answer = curl(locum, locum.url("/", REPORTS), *basic(alices_robot), "--header", f"{name}: {FORGED}")
    assert answer.status == 400
    assert len(reports.received) == before


def test_connection_cannot_name_an_identity_header_away(locum, reports, alices_robot):
    """G5: a client that declares our header as hop-by-hop does not get rid of it."""
    answer = curl(locum, locum.url("/", REPORTS), *basic(alices_robot), "--header", "Connection: X-Locum-User")
    assert answer.status == 200
    assert reports.last().value("X-Locum-User") == alices_robot.username


def test_a_bearer_of_the_apps_own_passes_on_a_public_route(locum, reports):
    """G2: what Locum does not claim is neither judged nor taken away."""
    answer = curl(locum, locum.url("/public/page", REPORTS), "--oauth2-bearer", "an-access-token-of-the-app")
    assert answer.status == 200
    assert reports.last().value("Authorization") == "Bearer an-access-token-of-the-app"


def test_an_upload_arrives_whole(locum, reports, alices_robot, tmp_path):
    """G1: a body of a few megabytes, streamed by curl in chunks of unknown number."""
    content = bytes(range(256)) * 12_000
    (tmp_path / "upload").write_bytes(content)
    answer = curl(
        locum, locum.url("/upload", REPORTS), *basic(alices_robot), "--upload-file", str(tmp_path / "upload")
    )
    assert answer.status == 200
    assert reports.last().body == content
