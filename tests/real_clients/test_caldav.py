"""Radicale behind the gateway, and a CalDAV client that knows only a username and a PAT."""
import caldav
import pytest
from caldav.lib import error

from curl import curl

EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Billing run//EN
BEGIN:VEVENT
UID:billing-run-2026-12@example.test
DTSTAMP:20261101T000000Z
DTSTART:20261201T030000Z
DTEND:20261201T040000Z
SUMMARY:Billing run
END:VEVENT
END:VCALENDAR
"""


def client(locum, pat):
    return caldav.DAVClient(url=locum.url("/"), username=pat.username, password=pat.token, auth_type="basic")


def test_a_proxy_user_keeps_a_calendar_until_its_pat_is_revoked(locum, alices_robot):
    """P2, G2, G6, T6: written and read back as the proxy user; refused once the PAT is revoked."""
    calendar = client(locum, alices_robot).principal().make_calendar(name="Runs", cal_id="runs")
    calendar.save_event(EVENT)

    # A second client reads what the first wrote, under the name that the gateway gave to Radicale.
    [again] = client(locum, alices_robot).principal().calendars()
    assert again.url.path == f"/{alices_robot.username}/runs/"
    event = again.event_by_uid("billing-run-2026-12@example.test")
    assert event.icalendar_component["SUMMARY"] == "Billing run"

    locum.revoke(alices_robot)
    with pytest.raises(error.AuthorizationError):
        client(locum, alices_robot).principal().calendars()
    answer = curl(
        locum,
        locum.url(f"/{alices_robot.username}/runs/"),
        "--user", f"{alices_robot.username}:{alices_robot.token}",
        "--request", "PROPFIND",
    )  # fmt: skip
    assert answer.status == 401


def test_a_calendar_is_closed_to_another_proxy_user(locum, alice, alices_robot):
    """G6: the name that reaches Radicale is the caller's own, so Radicale's rule of ownership holds."""
    client(locum, alices_robot).principal().make_calendar(name="Private", cal_id="private")
    other = locum.pat(locum.proxy_user(f"{alices_robot.username}-other", alice))
    answer = curl(
        locum,
        locum.url(f"/{alices_robot.username}/private/"),
        "--user", f"{other.username}:{other.token}",
        "--request", "PROPFIND",
    )  # fmt: skip
    assert answer.status == 403


def test_the_calendar_is_closed_without_access_to_the_app(locum, bobs_robot):
    """R8: an account without access to the app is refused by the gateway."""
    with pytest.raises(error.DAVError):
        client(locum, bobs_robot).principal().make_calendar(name="None", cal_id="none")
    answer = curl(locum, locum.url("/"), "--user", f"{bobs_robot.username}:{bobs_robot.token}")
    assert answer.status == 403
