//! What people see: tables and sentences at 80 columns.

use insta::assert_snapshot;

use crate::{Installation, settled};

fn household() -> Installation {
    let at = Installation::new();
    at.say(&["role", "add", "reports", "--permission", "general:read"]);
    at.say(&["role", "add", "wiki/editor", "--permission", "wiki:write"]);
    at.say(&["person", "add", "ann", "--role", "reports"]);
    at.say(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    at
}

/// No line is wider than a terminal of 80 columns.
fn shown(text: &str) -> String {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    settled(text)
}

#[test]
fn adding_says_what_comes_next() {
    let at = Installation::new();
    assert_snapshot!(at.say(&["person", "add", "ann"]), @r"
    added person `ann`
    next: locum proxy-user add ann-ci --owner ann
    ");
    assert_snapshot!(at.say(&["proxy-user", "add", "ann-ci", "--owner", "ann"]), @r"
    added proxy user `ann-ci` of `ann`
    next: locum pat add ann-ci --service TEXT
    ");
    assert_snapshot!(at.say(&["role", "add", "reports"]), @r"
    defined role `reports`
    next: locum role grant ACCOUNT reports
    ");
}

#[test]
fn an_account_is_shown_field_by_field() {
    let at = household();
    assert_snapshot!(shown(&at.say(&["person", "show", "ann"])), @r"
    username     ann
    kind         person
    state        active
    proxy users  ann-ci
    roles        reports
    apps         blog
    added        2026-01-01 00:00:00
    ");
    at.say(&["proxy-user", "inactivate", "ann-ci"]);
    let text = at.say(&["proxy-user", "show", "ann-ci"]);
    let user = at.json(&["history", "--type", "user_added"])[0]["actor"].as_str().unwrap().to_owned();
    assert_snapshot!(shown(&text).replace(&user, "host:USER"), @r"
    username   ann-ci
    kind       proxy
    state      inactive since 2026-01-01 00:00:00 by host:USER (marked_inactive)
    owner      ann
    used from  everywhere
    roles      reports
    apps       blog
    added      2026-01-01 00:00:00
    ");
}

#[test]
fn lists_are_tables() {
    let at = household();
    assert_snapshot!(shown(&at.say(&["person", "list"])), @r"
    USERNAME  NAME  EMAIL  STATE   ADDED
    ann       -     -      active  2026-01-01 00:00
    ");
    assert_snapshot!(shown(&at.say(&["proxy-user", "list"])), @r"
    USERNAME  OWNER  STATE   ADDED
    ann-ci    ann    active  2026-01-01 00:00
    ");
    assert_snapshot!(shown(&at.say(&["role", "list"])), @r"
    ROLE         APP   PERMISSIONS
    reports      -     general:read
    wiki/editor  wiki  wiki:write
    ");
    assert_snapshot!(shown(&at.say(&["role", "show", "reports"])), @r"
    role         reports
    app          -
    permissions  general:read
    held by      ann, ann-ci
    ");
    assert_snapshot!(shown(&at.say(&["app", "list"])), @r"
    APP   STATE
    blog  configured
    wiki  configured
    ");
    assert_snapshot!(shown(&at.say(&["reason", "list"])), @r"
    CODE                  MEANING
    account_inactivated   The account was made inactive
    administration_ended  The person no longer runs Locum
    compromised           The token was, or may have been, seen by others
    expired               The token had expired
    no_longer_in_use      The service no longer uses the token
    other                 Another reason
    owner_left            The owner of the proxy user left
    rotated               A newer token took its place
    ");
}

#[test]
fn a_token_is_shown_once_with_what_it_may() {
    let at = household();
    let text =
        at.say(&["pat", "add", "ann-ci", "--service", "nightly build", "--network", "10.0.0.0/8", "--read-only"]);
    let id = at.json(&["pat", "list", "ann-ci"])[0]["public_id"].as_str().unwrap().to_owned();
    assert_snapshot!(settled(&text).replace(&id, "PUBLIC-ID"), @r"
    public id      PUBLIC-ID
    proxy user     ann-ci
    service        nightly build
    expires        2026-01-01 00:00:00 UTC
    restricted to  10.0.0.0/8, safe methods

    The token, shown this once:

      locum_pat_...

    it is pending: once it is copied, run `locum pat confirm PUBLIC-ID` before 2026-01-01 00:00:00 UTC
    ");
    assert_snapshot!(shown(&at.say(&["pat", "list", "ann-ci"])).replace(&id, "PUBLIC-ID   "), @r"
    PUBLIC ID     SERVICE        STATE    EXPIRES           LAST USED
    PUBLIC-ID     nightly build  pending  2026-01-01 00:00  -
    ");
    at.say(&["pat", "confirm", &id]);
    let revoked = at.say(&["pat", "revoke", &id, "--reason", "no_longer_in_use"]);
    assert_snapshot!(revoked.replace(&id, "PUBLIC-ID"), @"revoked `PUBLIC-ID` of `ann-ci`");
    assert_snapshot!(shown(&at.say(&["pat", "list", "ann-ci"])).replace(&id, "PUBLIC-ID   "), @r"
    PUBLIC ID     SERVICE        STATE                 EXPIRES           LAST USED
    PUBLIC-ID     nightly build  revoked               2026-01-01 00:00  -
                                 (no_longer_in_use)
    ");
    let user = at.json(&["history", "--type", "user_added"])[0]["actor"].as_str().unwrap().to_owned();
    let text = at.say(&["pat", "show", &id]);
    assert_snapshot!(settled(&text).replace(&id, "PUBLIC-ID").replace(&user, "host:USER"), @r"
    public id      PUBLIC-ID
    proxy user     ann-ci
    service        nightly build
    state          revoked since 2026-01-01 00:00:00 by host:USER (no_longer_in_use)
    made           2026-01-01 00:00:00 by host:USER
    expires        2026-01-01 00:00:00
    last used      -
    restricted to  10.0.0.0/8, safe methods
    ");
}

/// H3
#[test]
fn the_history_is_read_entry_by_entry() {
    let at = household();
    let user = at.json(&["history", "--type", "user_added"])[0]["actor"].as_str().unwrap().to_owned();
    at.say(&["person", "inactivate", "ann"]);
    assert_snapshot!(shown(&at.say(&["history", "--limit", "5"])).replace(&user, "host:USER"), @r"
    2026-01-01 00:00:00  proxy_user_marked_inactive
        to ann-ci, by locum (P13), state: active -> inactive,
        request ID
    2026-01-01 00:00:00  user_marked_inactive
        to ann, by host:USER, state: active -> inactive,
        request ID
    2026-01-01 00:00:00  roles_changed
        to ann-ci, by host:USER, +app:blog, +role:reports,
        request ID
    2026-01-01 00:00:00  proxy_user_added
        to ann-ci, by host:USER, owner: ann,
        request ID
    2026-01-01 00:00:00  roles_changed
        to ann, by host:USER, +app:blog, +role:reports,
        request ID
    ");
}

#[test]
fn errors_are_one_line_on_the_error_output() {
    let at = household();
    let ran = at.run(&["person", "show", "anne"]);
    assert_eq!(ran.out, "");
    assert_snapshot!(ran.err, @"error: there is no account `anne`: did you mean `ann` or `ann-ci`?");
}
