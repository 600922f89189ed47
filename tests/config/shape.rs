//! Whether the file has the right form: known keys, right types, and every problem at once.

use super::*;

/// C1: a slip in a key is shown with line, column and the nearest known key.
#[test]
fn an_unknown_key_is_shown_with_the_nearest_known_one() {
    assert_eq!(
        wrong_beside_an_app("[server]\nlisten = \"127.0.0.1:1\"\n  lisen = \"127.0.0.1:2\""),
        "locum.toml:6:3: unknown key `lisen` in `[server]`, did you mean `listen`?"
    );
    assert_eq!(
        wrong_beside_an_app("[sevrer]"),
        "locum.toml:4:2: unknown key `sevrer` at the top level, did you mean `server`?"
    );
    assert_eq!(
        wrong_in_a_route("method = [\"GET\"]"),
        "locum.toml:4:1: unknown key `method` in `[[apps.wiki.routes]]`, did you mean `methods`?"
    );
    assert_eq!(
        wrong_in_an_app("upstream = \"http://127.0.0.1:3000\""),
        "locum.toml:2:1: unknown key `upstream` in `[apps.wiki]`, did you mean `upstreams`?"
    );
}

/// C1: a key in the wrong table is sent home, and one that is like no other is told what there is.
#[test]
fn an_unknown_key_without_a_near_one_is_told_where_to_look() {
    assert_eq!(
        wrong(&format!("thread = 1\n{APP}")),
        "locum.toml:1:1: unknown key `thread` at the top level; `threads` belongs into `[server]`"
    );
    assert_eq!(
        wrong_beside_an_app("[lockout]\ncolour = 1"),
        "locum.toml:5:1: unknown key `colour` in `[lockout]`; known here: `threshold` and `counts`"
    );
}

/// C1: a value of the wrong type is told the right one.
#[test]
fn a_wrong_type_is_told_the_right_one() {
    assert_eq!(
        wrong_beside_an_app("[server]\nthreads = \"2\""),
        "locum.toml:5:11: `server.threads` is a string; give a whole number from 0 to 1024"
    );
    assert_eq!(
        wrong_beside_an_app("[server]\nshutdown_timeout = 30"),
        "locum.toml:5:20: `server.shutdown_timeout` is a whole number; give a string, between quotes"
    );
    assert_eq!(
        wrong_in_an_app("hosts = \"a.example.org\""),
        "locum.toml:2:9: `apps.wiki.hosts` is a string; give a list, between `[` and `]`"
    );
    assert_eq!(
        wrong_in_an_app("hosts = [\n  \"a.example.org\",\n  1979-05-27,\n]"),
        "locum.toml:4:3: `apps.wiki.hosts` holds a date or time; give a string, between quotes"
    );
    assert_eq!(
        wrong_in_an_app("access_by_default = 1.5"),
        "locum.toml:2:21: `apps.wiki.access_by_default` is a number with a fraction; give `true` or `false`"
    );
    assert_eq!(
        wrong_beside_an_app("[redis]\non_loss = \"cout\""),
        "locum.toml:5:11: `redis.on_loss` cannot be `cout`, did you mean `count`?"
    );
    assert_eq!(
        wrong_beside_an_app("[lockout]\ncounts = \"nothing\""),
        "locum.toml:5:10: `lockout.counts` cannot be `nothing`; give `every-failure` or `guesses`"
    );
    assert_eq!(wrong("apps = 3"), "locum.toml:1:8: `apps` is a whole number; give a table");
}

/// C1, L1: numbers have bounds, however large they are written.
#[test]
fn a_number_out_of_range_is_told_the_range() {
    for (number, shown) in [("0", "0"), ("101", "101"), ("-5", "-5"), ("0xffff", "65535")] {
        assert_eq!(
            wrong_beside_an_app(&format!("[lockout]\nthreshold = {number}")),
            format!("locum.toml:5:13: `lockout.threshold` cannot be `{shown}`; give a whole number from 1 to 100")
        );
    }
    let huge = wrong_beside_an_app("[throttle]\nburst = 99999999999999999999999999");
    assert!(huge.starts_with("locum.toml:5:9: "), "{huge}");
}

/// C1: every error in the form of the file comes with its place.
#[test]
fn text_that_is_not_toml_is_shown_at_each_place() {
    let problems = wrong("[server\n[store]\nurl = \"sqlite:a\nurl_file = 'x'\n");
    let places: Vec<&str> = problems.lines().filter_map(|line| line.split(": not TOML: ").next()).collect();
    assert_eq!(places, ["locum.toml:1:8", "locum.toml:3:16"], "{problems}");
}

/// C1: no problem hides another.
#[test]
fn ten_problems_in_one_file_are_reported_at_once() {
    let text = "\
[server]
lisen = \"127.0.0.1:80\"
threads = true
shutdown_timeout = \"5 parsecs\"
[store]
url = \"mysql://db\"
[lockout]
threshold = 500
[pats]
prefix = \"ACME\"
longest_life = \"2y\"
[apps.wiki]
hosts = [\"wiki.example.org:443\"]
upstreams = [\"h2c://wiki\"]
[[apps.wiki.routes]]
path = \"admin\"
roles_any = [\"other/editor\"]
";
    let problems = read_with(text, &[]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "\
locum.toml:2:1: unknown key `lisen` in `[server]`, did you mean `listen`?
locum.toml:3:11: `server.threads` is true or false; give a whole number from 0 to 1024
locum.toml:4:20: `server.shutdown_timeout` cannot be `5 parsecs`; give a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`, such as `250ms` or `15m`
locum.toml:6:7: `store.url` is not the URL of a store; give `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`
locum.toml:8:13: `lockout.threshold` cannot be `500`; give a whole number from 1 to 100
locum.toml:10:10: `pats.prefix` cannot be `ACME`; give 2 to 16 of `a-z` and `0-9`, or nothing
locum.toml:11:16: `pats.longest_life` cannot be `2y`; give a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`, such as `250ms` or `15m`
locum.toml:13:10: `apps.wiki.hosts` cannot be `wiki.example.org:443`; hosts are written without a port here: an app answers on whatever port the gateway listens on
locum.toml:14:14: `apps.wiki.upstreams` cannot be `h2c://wiki`; give `http://HOST:PORT`, and `http2 = true` for the app
locum.toml:16:8: `apps.wiki.routes.path` cannot be `admin`; a path starts with `/`
locum.toml:17:14: the role `other/editor` belongs to the app `other`, not to `wiki`; give a role of this app, or one of the system"
    );
    assert_eq!(problems.iter().len(), 11);
}

/// C1: on a terminal each problem stands under its line, and a password in that line is not shown.
#[test]
fn a_terminal_sees_the_line_but_no_password() {
    let text = format!("{APP}[redis]\nurl = \"redis://:hunter2@cache\"\non_los = \"count\"\n");
    let page = read_with(&text, &[]).unwrap_err().for_terminal(false, 80);
    insta::assert_snapshot!(page, @r#"
      × unknown key `on_los` in `[redis]`
       ╭─[locum.toml:6:1]
     5 │ url = "redis://********@cache"
     6 │ on_los = "count"
       · ──────
       ╰────
      help: did you mean `on_loss`?

    1 problem in the configuration `locum.toml`
    "#);
}

#[test]
fn a_problem_stays_on_one_line_whatever_is_written() {
    assert_eq!(
        wrong_beside_an_app("[\"a\\nb\"]\n[redis]\nurl_file = \"\"\"a\nb\"\"\""),
        "locum.toml:4:2: unknown key `a\\nb` at the top level; known here: `server`, `admin`, `monitoring`, `store`, `redis`, \
         `lockout`, `throttle`, `limits`, `pats`, `secrets`, `history`, `log`, `tracing` and `apps`\n\
         locum.toml:6:12: `redis.url_file`: `/etc/locum/a\\nb` cannot be read: entity not found; give a file that Locum \
         may read"
    );
}
