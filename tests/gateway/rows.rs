//! The tables of cases: one raw request each, and what must become of it.

use crate::client::Client;
use crate::upstream::{Seen, Upstream};
use crate::world::World;

/// What must become of a request.
#[derive(Debug, Clone, Copy)]
enum Must {
    /// This status (400 for most), the connection closed, and nothing reached the app.
    Close(&'static [u16]),
    /// This status, and nothing reached the app.
    Refuse(&'static [u16]),
    /// 200, and the app got this target.
    Forward(&'static str),
}

use Must::{Close, Forward, Refuse};

type Row = (&'static str, &'static str, Must);

/// Runs each row on a connection of its own. `{V}` stands for a valid credential with the role `user`,
/// `{A}` for one that has `admin` too; an empty line is added where a row has none.
fn run(rows: &[Row]) {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let (valid, admin) = (world.proxy_user("billing", &["user"]), world.proxy_user("keeper", &["user", "admin"]));
    let mut failures = Vec::new();
    for (id, request, must) in rows {
        let text = request.replace("{V}", &valid.basic()).replace("{A}", &admin.basic());
        let text = if text.contains("\r\n\r\n") { text } else { format!("{text}\r\n") };
        let before = upstream.count();
        let mut client = world.client();
        client.send(text.as_bytes());
        if let Err(why) = judge(&mut client, &upstream, before, *must) {
            failures.push(format!("{id}: {request:.120?}: {why:.200}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn judge(client: &mut Client, upstream: &Upstream, before: usize, must: Must) -> Result<(), String> {
    let answer = client.answer();
    let arrived = upstream.count() - before;
    let status = answer.as_ref().map_or(0, |answer| answer.status);
    match must {
        Close(statuses) | Refuse(statuses) => {
            if !statuses.contains(&status) {
                return Err(format!("answered {status}"));
            }
            if arrived > 0 {
                return Err(format!("reached the app: {}", upstream.last().text()));
            }
            let closes = matches!(must, Close(_));
            if closes && !client.is_closed() {
                return Err("the connection stayed open".to_owned());
            }
        }
        Forward(target) => {
            if status != 200 || arrived != 1 {
                return Err(format!("answered {status}, {arrived} reached the app"));
            }
            if upstream.last().target() != target {
                return Err(format!("arrived as {}", upstream.last().target()));
            }
        }
    }
    Ok(())
}

const BAD: Must = Close(&[400]);

/// H1-003 to H1-024: framing that two readers could read in two ways is refused, and the connection closed.
#[test]
fn ambiguous_framing_is_refused() {
    run(&[
        ("H1-003", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 5, 5\r\n\r\nhello", BAD),
        ("H1-004", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: \r\n\r\n", BAD),
        ("H1-005", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: +5\r\n\r\nhello", BAD),
        ("H1-006", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: -1\r\n\r\n", BAD),
        ("H1-007", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 0x5\r\n\r\nhello", BAD),
        ("H1-008", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 1_0\r\n\r\nhello", BAD),
        (
            "H1-014",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
        ),
        (
            "H1-016",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            BAD,
        ),
        (
            "H1-016",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            BAD,
        ),
        ("H1-017", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", BAD),
        (
            "H1-018",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            Close(&[400, 501]),
        ),
        ("H1-021", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding: \r\n\r\n0\r\n\r\n", BAD),
        (
            "H1-022",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
            BAD,
        ),
        ("H1-023", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", BAD),
        ("H1-024", "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", BAD),
        ("H1-030", "POST /app/e HTTP/1.0\r\nHost: app.test\r\n{V}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    ]);
}

/// H1-038 to H1-055: heads that are no heads.
#[test]
fn malformed_heads_are_refused() {
    let many = format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{{V}}{}\r\n", "X-Aaaaaaaaa: 12345\r\n".repeat(101));
    let long = format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{{V}}X-A: {}\r\n\r\n", "a".repeat(70 * 1024));
    let target = format!("GET /app/{} HTTP/1.1\r\nHost: app.test\r\n{{V}}\r\n", "a".repeat(20 * 1024));
    let (many, long, target) = (&*many.leak(), &*long.leak(), &*target.leak());
    run(&[
        ("H1-038", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X-A: a\0b\r\n\r\n", BAD),
        ("H1-039", "GET /app/x HTTP/1.1\r\n Host: app.test\r\n{V}\r\n", BAD),
        ("H1-040", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}nonsense\r\n\r\n", BAD),
        ("H1-041", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X A: b\r\n\r\n", BAD),
        ("H1-041", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X(A): b\r\n\r\n", BAD),
        ("H1-042", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}: b\r\n\r\n", BAD),
        ("H1-045", many, Close(&[431])),
        ("H1-046", long, Close(&[431])),
        ("H1-047", target, Close(&[414])),
        ("H1-048", "G=\":< /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("H1-049", "get /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[405, 501])),
        ("H1-050", "GET /app/x HTTP/1.2\r\nHost: app.test\r\n{V}\r\n", Close(&[400, 505])),
        ("H1-050", "GET /app/x HTTP/2.0\r\nHost: app.test\r\n{V}\r\n", Close(&[400, 505])),
        ("H1-050", "GET /app/x HTTP/1.1.1\r\nHost: app.test\r\n{V}\r\n", Close(&[400, 505])),
        ("H1-050", "GET /app/x http/1.1\r\nHost: app.test\r\n{V}\r\n", Close(&[400, 505])),
        ("H1-051", "GET /\r\n\r\n", BAD),
        ("H1-052", "GET  /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("H1-052", "GET\t/app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("H1-053", "\r\n\r\nGET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/x")),
        ("H1-054", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
        ("H1-055", "\x16\x03\x01\x02\x00\x01\x00\x01\x7f\x03\x03\r\n\r\n", BAD),
        ("TRACE", "TRACE /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[405])),
    ]);
}

/// G5, PA-001 to PA-075: one reading of the path, or none.
#[test]
fn ambiguous_paths_are_refused() {
    run(&[
        ("PA-001", "GET /pub/../admin/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-005", "GET /pub/.%2e/admin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-007", "GET /../../etc/passwd HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-012", "GET /enc/..%2f..%2fadmin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/a%5cb HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/a\\b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-014", "GET /app/a%00b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-017", "GET /app/%c0%afadmin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-018", "GET /app/%e0%80%af HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-020", "GET /app/é HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-023", "GET /app/a b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-028", "GET /admin%20/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403, 404])),
        ("PA-028", "GET /admin./x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403, 404])),
        ("PA-028", "GET /admin%2e/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403, 404])),
        ("PA-027", "GET /ADMIN/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403, 404])),
        ("PA-031", "GET //admin/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-011", "GET /app/group%2Fproject HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-011", "GET /enc/group%2f..%2fadmin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("doubled slash", "GET /enc/a//b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-027", "GET /ADMIN/x HTTP/1.1\r\nHost: windows.test\r\n{V}\r\n", Refuse(&[403])),
        ("PA-027", "GET /%41dmin/x HTTP/1.1\r\nHost: windows.test\r\n{V}\r\n", Refuse(&[403])),
        ("PA-028", "GET /admin%20/x HTTP/1.1\r\nHost: windows.test\r\n{V}\r\n", BAD),
        ("PA-028", "GET /admin./x HTTP/1.1\r\nHost: windows.test\r\n{V}\r\n", BAD),
        ("PA-028", "GET /admin%2e/x HTTP/1.1\r\nHost: windows.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/a|b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/{a} HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/<a> HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-013", "GET /app/a\"b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-051", "GET /pub/..%23/bar HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-032", "GET ///evil.com/ HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[400, 404])),
        ("PA-033", "GET /pub//../admin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-040", "GET /admin;a=b/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-041", "GET /pub/..;/admin/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-042", "GET /admin/x/ HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403])),
        ("PA-043", "GET /admin;/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-043", "GET /;x/admin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-060", "GET /admin/x?y=/pub/ok HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403])),
        ("PA-061", "GET /admin/x?/pub/ HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[403])),
        ("PA-070", "GET /app/./admin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-070", "GET /app/%2e/admin HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
    ]);
}

/// G5, PA-008 to PA-063: what only looks dangerous arrives as it was written.
#[test]
fn unusual_paths_arrive_byte_for_byte() {
    run(&[
        ("PA-008", "GET /app/... HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/...")),
        ("PA-008", "GET /app/..a HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/..a")),
        ("PA-011", "GET /enc/group%2Fproject HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/enc/group%2Fproject")),
        ("doubled slash", "GET /app/a//b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/a//b")),
        ("PA-027", "GET /ADMIN/x HTTP/1.1\r\nHost: windows.test\r\n{A}\r\n", Forward("/ADMIN/x")),
        ("PA-016", "GET /app/a%23b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/a%23b")),
        ("PA-021", "GET /app/%C3%A9 HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/%C3%A9")),
        ("PA-025", "GET /app/%61 HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/%61")),
        ("PA-042", "GET /admin/x/ HTTP/1.1\r\nHost: app.test\r\n{A}\r\n", Forward("/admin/x/")),
        ("PA-063", "GET /app/q?a='{|}é HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/q?a='{|}Ã©")),
        ("PA-080", "GET http://app.test/app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/x")),
        ("PA-080", "GET http://APP.test:80/app/x?y HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Forward("/app/x?y")),
    ]);
}

/// PA-081 to PA-090: targets in other forms than a path.
#[test]
fn other_forms_of_target_are_refused() {
    run(&[
        ("PA-081", "GET http://evil.test/app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-082", "GET https://app.test/app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-083", "GET ftp://app.test/ HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-084", "GET http://user:pw@app.test/app HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-085", "OPTIONS * HTTP/1.1\r\nHost: app.test\r\n\r\n", Refuse(&[200, 204])),
        ("PA-086", "GET * HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-088", "GET app.test:80 HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-089", "CONNECT app.test:443 HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Close(&[405, 501])),
        ("PA-063", "GET /app/q?a=\"b\" HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-090", "CONNECT / HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
    ]);
}

/// HO-001 to HO-015: exactly one host, and the same one however it is written.
#[test]
fn a_host_is_one_and_valid() {
    run(&[
        ("HO-001", "GET /app/x HTTP/1.1\r\n{V}\r\n", BAD),
        ("HO-002", "GET /app/x HTTP/1.1\r\nHost: app.test\r\nHost: evil.test\r\n{V}\r\n", BAD),
        ("HO-003", "GET /app/x HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("HO-004", "GET /app/x HTTP/1.1\r\nHost: app.test, b\r\n{V}\r\n", BAD),
        ("HO-006", "GET /app/x HTTP/1.1\r\nHost: app.test:99999\r\n{V}\r\n", BAD),
        ("HO-006", "GET /app/x HTTP/1.1\r\nHost: app.test:80:80\r\n{V}\r\n", BAD),
        ("HO-006", "GET /app/x HTTP/1.1\r\nHost: app.test:abc\r\n{V}\r\n", BAD),
        ("HO-008", "GET /app/x HTTP/1.1\r\nHost: app.test:443\r\n{V}\r\n", Forward("/app/x")),
        ("HO-010", "GET /app/x HTTP/1.1\r\nHost: APP.Test\r\n{V}\r\n", Forward("/app/x")),
        ("HO-010", "GET /admin/x HTTP/1.1\r\nHost: APP.Test.\r\n{V}\r\n", Refuse(&[403])),
        ("HO-012", "GET /app/x HTTP/1.0\r\n{V}\r\n", BAD),
        ("HO-015", "GET /x HTTP/1.1\r\nHost: [::1]:8080\r\n{V}\r\n", Forward("/x")),
        ("HO-015", "GET /x HTTP/1.1\r\nHost: [0::1]\r\n{V}\r\n", Forward("/x")),
        ("FC-001", "GET /x HTTP/1.1\r\nHost: nobody.test\r\n{V}\r\n", Refuse(&[404])),
        ("FC-001", "GET /elsewhere HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", Refuse(&[404])),
        ("G4", "GET /x HTTP/1.1\r\nHost: deep.down.secret.test\r\n{V}\r\n", Forward("/x")),
        ("G4", "POST /read/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n{V}\r\n", Refuse(&[405])),
    ]);
}

/// HD-002, HD-003, HD-020, HD-024, HD-042, EX-004: heads that try to say what is not theirs to say.
#[test]
fn words_that_could_be_taken_for_ours_are_refused_or_ignored() {
    run(&[
        ("HD-002", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}x_locum-user: admin\r\n\r\n", BAD),
        ("HD-002", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X-Locum_User: admin\r\n\r\n", BAD),
        ("HD-003", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X.Locum.User: admin\r\n\r\n", BAD),
        ("HD-003", "GET /pub/x HTTP/1.1\r\nHost: app.test\r\nX_WEBAUTH_USER: admin\r\n\r\n", BAD),
        ("HD-020", "GET /admin/x HTTP/1.1\r\nHost: app.test\r\n{V}X-Forwarded-Uri: /pub/x\r\n\r\n", Refuse(&[403])),
        ("HD-024", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}X_Forwarded_Proto: https\r\n\r\n", BAD),
        ("HD-031", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("HD-042", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}{V}\r\n", BAD),
        (
            "HD-042",
            "GET /pub/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
            BAD,
        ),
        (
            "EX-004",
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 0\r\nExpect: foo\r\n\r\n",
            Close(&[417]),
        ),
        (
            "EX-004",
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 0\r\nExpect: y 100-continue\r\n\r\n",
            Close(&[417]),
        ),
        ("UP-006", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}Upgrade: websocket\r\n\r\n", Forward("/app/x")),
    ]);
}

/// G1, H1-001, PA-050: what the parser would let pass, and nobody could see afterwards.
#[test]
fn what_the_parser_would_let_pass_is_refused() {
    run(&[
        ("bare LF", "GET /app/x HTTP/1.1\nHost: app.test\r\n{V}\r\n", BAD),
        ("bare LF", "GET /app/x HTTP/1.1\r\nHost: app.test\nX-A: b\r\n{V}\r\n", BAD),
        ("bare LF", "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\n\r\n\r\n", BAD),
        ("bare LF", "\nGET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("bare CR", "GET /app/x HTTP/1.1\r\nHost: app.test\r\nX-A: a\rb\r\n{V}\r\n", BAD),
        ("bare CR", "GET /app/x HTTP/1.1\rHost: app.test\r\n{V}\r\n", BAD),
        (
            "H1-001",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            BAD,
        ),
        (
            "H1-002",
            "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{V}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            BAD,
        ),
        ("PA-050", "GET /pub/x#/app HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-050", "GET /pub/x?a#b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("PA-050", "GET http://app.test/pub/x#b HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
        ("H1-053", "\r\n\r\n\r\n\r\n\r\n\r\nGET /app/x HTTP/1.1\r\nHost: app.test\r\n{V}\r\n", BAD),
    ]);
}

/// G3, H1-055: a head that is not read is answered as everything that is refused, and at once, even if
/// there will never be a line to wait for the end of.
#[test]
fn a_head_that_is_not_read_is_answered_by_a_problem_document() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    for sent in ["GET /pub/x HTTP/1.1\nHost: app.test\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01"] {
        let mut client = world.client();
        client.send(sent);
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.value("content-type")), (400, Some("application/problem+json")));
        assert_eq!(answer.value("connection"), Some("close"));
        assert!(answer.text().contains("bad-request"), "{}", answer.text());
        assert!(client.is_closed());
    }
    assert_eq!(upstream.count(), 0);
}

/// G1, H1-062: what is pipelined is looked at head by head, wherever the reads end; what came before a
/// refused head is answered, and nothing that comes behind it is ever read.
#[test]
fn every_head_of_a_connection_is_looked_at() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user", "admin"]).basic();
    let sent = format!(
        "POST /app/a HTTP/1.1\r\nHost: app.test\r\n{v}Content-Length: 5\r\n\r\nfirst\
         POST /app/b HTTP/1.1\r\nHost: app.test\r\n{v}Transfer-Encoding: chunked\r\n\r\n6;x=y\r\nsecond\r\n0\r\nX: y\r\n\r\n\
         GET /admin/c HTTP/1.1\nHost: app.test\r\n{v}\r\nGET /admin/d HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"
    );
    for piece in [1, 7, 1000, 100_000] {
        let before = upstream.count();
        let mut client = world.client();
        for piece in sent.as_bytes().chunks(piece) {
            client.send(piece);
        }
        assert_eq!(client.answer().unwrap().text(), "first", "in pieces of {piece}");
        assert_eq!(client.answer().unwrap().text(), "second", "in pieces of {piece}");
        assert_eq!(client.answer().unwrap().status, 400, "in pieces of {piece}");
        assert!(client.is_closed());
        let targets: Vec<_> = upstream.seen()[before..].iter().map(Seen::target).collect();
        assert_eq!(targets, ["/app/a", "/app/b"], "in pieces of {piece}");
    }
}

/// G3: a client that is refused while it sends still gets its answer, not a reset in its place.
#[test]
fn a_refused_client_that_goes_on_sending_gets_its_answer() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let mut client = world.client();
    client.send("POST /app/x HTTP/1.1\nHost: app.test\r\nContent-Length: 4000000\r\n\r\n");
    for _ in 0..40 {
        client.send(vec![b'a'; 100_000]);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(client.answer().unwrap().status, 400);
    assert_eq!(upstream.count(), 0);
}

/// H1-011, H1-012: a length beside a coding is refused, and what follows is never taken for a request.
#[test]
fn a_length_beside_a_coding_smuggles_nothing() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let valid = world.proxy_user("billing", &["user", "admin"]);
    let (length, coding) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for framing in [format!("{length}{coding}"), format!("{coding}{length}")] {
        let mut client = world.client();
        client.send(format!(
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{v}{framing}\r\n0\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: app.test\r\n{v}\r\n",
            v = valid.basic()
        ));
        assert_eq!(client.answer().map(|answer| answer.status), Some(400));
        assert!(client.is_closed());
        assert_eq!(upstream.count(), 0);
    }
}

/// H1-026, H1-027, H1-031, H1-032, TR-003: a body that breaks its framing never arrives as a whole one.
#[test]
fn broken_chunks_never_arrive_as_a_whole_body() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let valid = world.proxy_user("billing", &["user"]);
    let trailers = format!("5\r\nhello\r\n0\r\nX-A: {}\r\n\r\n", "a".repeat(17 * 1024));
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(64 * 1024));
    let mut failures = Vec::new();
    for (id, body) in [
        ("H1-026", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("H1-026", "+5\r\nhello\r\n0\r\n\r\n"),
        ("H1-026", "-5\r\nhello\r\n0\r\n\r\n"),
        ("H1-026", "5_0\r\nhello\r\n0\r\n\r\n"),
        ("H1-026", "5 \r\nhello\r\n0\r\n\r\n"),
        ("H1-026", " 5\r\nhello\r\n0\r\n\r\n"),
        ("H1-027", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("H1-031", "5\r\nhelloXX\r\n0\r\n\r\n"),
        ("H1-032", &extension),
        ("TR-003", &trailers),
    ] {
        let before = upstream.count();
        let mut client = world.client();
        let v = valid.basic();
        client.send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{v}Transfer-Encoding: chunked\r\n\r\n{body}"));
        let status = client.answer().map(|answer| answer.status);
        if !client.is_closed() {
            failures.push(format!("{id} {body:.20?}: the connection stayed open"));
        }
        let whole = upstream.seen().iter().skip(before).filter(|seen| seen.whole).count();
        if whole > 0 || status != Some(400) {
            failures.push(format!("{id} {body:.20?}: answered {status:?}, {whole} whole requests arrived"));
        }
        // Whatever was begun to the app is gone: the next request comes on another connection.
        let mut next = world.client();
        next.send(format!("GET /app/next HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"));
        assert_eq!(next.answer().map(|answer| answer.status), Some(200));
        let seen = upstream.seen();
        let last = seen.last().expect("the next request arrived").connection;
        if seen[before..seen.len() - 1].iter().any(|broken| broken.connection == last) {
            failures.push(format!("{id} {body:.20?}: the app's connection was used again"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// H1-001, H1-035, H1-062: framing that is unusual but clear.
#[test]
fn unusual_framing_keeps_its_place() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user"]).basic();

    let mut client = world.client();
    client.send(format!(
        "GET /app/x HTTP/1.1\r\nHost: app.test\r\n{v}Content-Length: 5\r\n\r\nhelloGET /app/y HTTP/1.1\r\nHost: app.test\r\n{v}\r\nnonsense\r\n\r\n"
    ));
    assert_eq!(client.answer().unwrap().text(), "hello");
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(client.answer().unwrap().status, 400);
    assert!(client.is_closed());
    let seen = upstream.seen();
    assert_eq!(seen[0].value("content-length").as_deref(), Some("5"));
    assert_eq!(seen[1].target(), "/app/y");

    let mut client = world.client();
    client.send(format!(
        "POST /app/e HTTP/1.1\r\nHost: app.test\r\n{v}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
    ));
    assert_eq!(client.answer().unwrap().status, 400);
    assert_eq!(upstream.count(), 2);
}

/// H1-053: a client that never begins is not fed for ever.
#[test]
fn empty_lines_without_end_close_the_connection() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let mut client = world.client();
    client.send("\r\n".repeat(80 * 1024));
    let _answered = client.answer();
    assert!(client.is_closed());
    assert_eq!(upstream.count(), 0);
}
