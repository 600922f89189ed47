//! What bounds clients.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use locum::config::settings::Limits;
use locum::gateway::SlotSettings;
use locum::policy::Per;

use super::*;

/// G12: every limit can be said, has bounds, and is what the program takes by itself where it is not.
#[test]
fn the_limits_reach_the_server_and_have_bounds() {
    assert_eq!(read(APP).limits, Limits::default());
    let said = "[limits]\nconnections = 7\nhandshake_timeout = \"1s\"\nhead_timeout = \"2s\"\nidle_timeout = \"3s\"\n\
                stall_timeout = \"4s\"\nmin_rate = 0\nhead_bytes = \"16KiB\"\nhead_fields = 50\n\
                http2_head_bytes = \"8KiB\"\nhttp2_streams = 8\nrequests = 9\nreserved_percent = 30\njudgement_wait = \"90ms\"\n";
    let settings = read(&format!("{APP}{said}"));
    let seconds = Duration::from_secs;
    let limits = Limits {
        connections: 7,
        handshake_timeout: seconds(1),
        head_timeout: seconds(2),
        idle_timeout: seconds(3),
        stall_timeout: seconds(4),
        min_rate: None,
        head_bytes: 16 * 1024,
        head_fields: 50,
        http2_head_bytes: 8 * 1024,
        http2_streams: 8,
        ..Limits::default()
    };
    assert_eq!(settings.limits, limits);
    let slots = |requests, reserved_percent| SlotSettings { requests: NonZeroUsize::new(requests), reserved_percent };
    assert_eq!((settings.gateway().slots, SlotSettings::default()), (slots(9, 30), slots(0, 20)));
    assert_eq!(read(APP).gateway().slots, SlotSettings::default());
    let waits = (settings.authn().judgement_wait, read(APP).authn().judgement_wait);
    assert_eq!(waits, (Duration::from_millis(90), Duration::from_millis(500)));
    let clients = settings.gateway().clients;
    assert_eq!((clients.head_fields, clients.stall_timeout, clients.min_rate), (50, seconds(4), None));
    for (key, problem) in [
        ("head_bytes = \"1KiB\"", "locum.toml:5:14: `limits.head_bytes` cannot be `1KiB`; give from `8KiB` to `1MiB`"),
        (
            "http2_head_bytes = \"64\"",
            "locum.toml:5:20: `limits.http2_head_bytes` cannot be `64`; give a whole number and one of `B`, `KiB`, `MiB`, \
             `GiB`, such as `10MiB`",
        ),
        ("judgement_wait = \"3s\"", "locum.toml:5:18: `limits.judgement_wait` cannot be `3s`; give at most `2s`"),
        ("stall_timeout = \"0s\"", "locum.toml:5:17: `limits.stall_timeout` cannot be `0s`; give more than nothing"),
    ] {
        assert_eq!(wrong_beside_an_app(&format!("[limits]\n{key}")), problem);
    }
    for key in [
        "http2_streams = 0",
        "http2_streams = 1001",
        "head_fields = 5",
        "connections = -1",
        "requests = -1",
        "reserved_percent = 91",
    ] {
        assert!(wrong_beside_an_app(&format!("[limits]\n{key}")).contains("give a whole number from"), "{key}");
    }
}

/// G4: a route's size stands in place of the app's, and its rates beside them.
#[test]
fn sizes_and_rates_reach_the_routes() {
    let text = "\
[apps.wiki]
max_body = \"10MiB\"
rate_limits = [{ per = \"account\", requests = 100, every = \"1m\", burst = 20 }]
routes = [
  { path = \"/*\" },
  { path = \"/up/*\", max_body = \"1GiB\", rate_limits = [{ per = \"source\", requests = 5 }, { per = \"all\", requests = 9 }] },
]
";
    let app = read(text).gateway().apps.remove(0);
    let routes = &app.routing.routes;
    assert_eq!((routes[0].rule.max_body, routes[1].rule.max_body), (Some(10 << 20), Some(1 << 30)));
    let limit = app.rate_limits[0];
    assert_eq!((limit.per, limit.requests.get(), limit.every), (Per::Account, 100, Duration::from_mins(1)));
    assert_eq!(limit.burst.get(), 20);
    let limits: Vec<_> = routes[1].rule.rate_limits.iter().map(|limit| (limit.per, limit.burst)).collect();
    assert_eq!(limits, [(Per::Source, NonZeroU32::new(5).unwrap()), (Per::All, NonZeroU32::new(9).unwrap())]);
    assert!(routes[0].rule.rate_limits.is_empty());
    for (key, problem) in [
        ("max_body = \"10\"", "`apps.wiki.max_body` cannot be `10`"),
        ("rate_limits = [{ per = \"account\", requests = 0 }]", "give a whole number from 1"),
        ("rate_limits = [{ per = \"user\", requests = 1 }]", "give `source`, `account` or `all`"),
        ("rate_limits = [{ per = \"all\", requests = 1, every = \"0s\" }]", "give more than nothing"),
    ] {
        let wrong = wrong_in_an_app(key);
        assert!(wrong.contains(problem), "{key}: {wrong}");
    }
}
