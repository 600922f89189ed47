//! Hosts, as a client writes them and as an app is configured: one host has one name, whatever its spelling.
//!
//! The input is two hosts, one a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locum::policy::HostName;
use locum::policy::host::PresentedHost;

fuzz_target!(|text: &str| {
    let (text, other) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(name) = HostName::parse(text) {
        let printed = name.to_string();
        assert_eq!(HostName::parse(&printed), Ok(name.clone()), "it does not read back");
        assert_eq!(HostName::parse(&text.to_ascii_uppercase()), Ok(name), "case makes another host");
        assert!(!printed.bytes().any(|b| b.is_ascii_uppercase()));
    }
    let (Ok(host), other) = (PresentedHost::parse(text), PresentedHost::parse(other)) else { return };
    assert!(text.is_ascii() && !text.contains(['@', '/', '\\', '%', ' ', ',']));
    assert!(host.is_same_as(&host, 80));
    let upper = text.to_ascii_uppercase();
    let upper = PresentedHost::parse(&upper).expect("case makes no host wrong");
    assert!(host.is_same_as(&upper, 80) && upper.is_same_as(&host, 80));
    let Ok(other) = other else { return };
    assert_eq!(host.is_same_as(&other, 80), other.is_same_as(&host, 80));
});
