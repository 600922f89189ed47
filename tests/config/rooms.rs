//! What the rooms are told of the configuration.

use std::time::Duration;

use locum::authn::lockout::{Counts, OnLoss};
use locum::gateway::{Field, Identity, Origin, Piece, Preset};

use super::*;

/// G6: each preset is told to the gateway as itself.
#[test]
fn every_preset_reaches_the_gateway() {
    for (name, preset) in [
        ("locum", Preset::Locum),
        ("oauth2-proxy", Preset::Oauth2Proxy),
        ("authelia", Preset::Authelia),
        ("authentik", Preset::Authentik),
        ("grafana", Preset::Grafana),
        ("gitea", Preset::Gitea),
        ("jenkins", Preset::Jenkins),
        ("remote-user", Preset::RemoteUser),
        ("cloudflare", Preset::Cloudflare),
        ("none", Preset::None),
    ] {
        let settings = read_with(APP, &[("LOCUM__APPS__WIKI__HEADERS", name)]).unwrap();
        assert_eq!(settings.gateway().apps[0].headers, preset);
    }
}

/// G6: headers of the operator's own, and whom the app sees.
#[test]
fn an_app_is_described_to_the_gateway() {
    let text = "\
[apps.wiki]
upstreams = [\"http://Wiki.internal\", \"http://10.0.0.2:3000/\"]
identity = \"owner\"
set_headers = { \"X-WEBAUTH-USER\" = \"{user}@{actor}\", \"X-Id\" = \"{request_id}\" }
connect_timeout = \"250ms\"
response_timeout = \"2m\"
idle_timeout = \"1h\"
tunnel_idle_timeout = \"2h\"
allowed_origins = [\"https://WWW.example.org:443\"]
routes = [{ path = \"/*\" }]
";
    let app = read(text).gateway().apps.remove(0);
    assert_eq!(app.upstreams, ["wiki.internal:80", "10.0.0.2:3000"]);
    assert_eq!(app.identity, Identity::Owner);
    let lines: Vec<(&str, &[Piece])> =
        app.set_headers.iter().map(|line| (line.name.as_str(), &line.value[..])).collect();
    let user_and_actor = [Piece::Field(Field::User), Piece::Literal("@".into()), Piece::Field(Field::Actor)];
    assert_eq!(lines, [("x-id", &[Piece::Field(Field::RequestId)][..]), ("x-webauth-user", &user_and_actor)]);
    assert_eq!(app.timeouts.connect, Duration::from_millis(250));
    assert_eq!(app.timeouts.response, Duration::from_mins(2));
    assert_eq!(app.timeouts.idle, Duration::from_hours(1));
    assert_eq!(app.tunnels.idle, Duration::from_hours(2));
    assert_eq!(app.tunnels.allowed_origins, [Origin::parse("https://www.example.org").unwrap()]);
}

/// L1, L6, L7, L8, T2, T3, T5, R8: what an operator decides about accounts and tokens.
#[test]
fn the_rooms_are_told_what_the_operator_decides() {
    let text = "\
[redis]
url = \"redis://cache\"
on_loss = \"closed\"
timeout = \"50ms\"
[lockout]
threshold = 3
counts = \"guesses\"
[throttle]
burst = 7
per_second = 2
[pats]
prefix = \"acme\"
longest_life = \"30d\"
confirm_within = \"5m\"
[apps.open]
access_by_default = true
path_prefix = \"/open\"
routes = [{ path = \"/*\" }]
[apps.wiki]
routes = [{ path = \"/*\" }]
";
    let settings = read(text);
    let lockout = settings.lockout();
    assert_eq!((lockout.threshold, lockout.counts, lockout.on_loss), (3, Counts::Guesses, OnLoss::Closed));
    assert_eq!(settings.redis_counts().map(|redis| redis.timeout), Some(Duration::from_millis(50)));
    let authn = settings.authn();
    assert_eq!(
        (authn.token_prefix.as_str(), authn.throttle.burst.get(), authn.throttle.per_second.get()),
        ("acme", 7, 2)
    );
    let provision = settings.provision();
    assert_eq!(provision.prefix, "acme");
    assert_eq!(provision.longest_life, Duration::from_hours(30 * 24));
    assert_eq!(provision.confirm_within, Duration::from_mins(5));
    assert_eq!(provision.default_apps.iter().map(ToString::to_string).collect::<Vec<_>>(), ["open"]);
}
