//! The header of a proxy: what is read stands in it, what comes behind it is left as it is, and no part of a
//! header is one.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use locum::server::hear_a_proxy;

fuzz_target!(|bytes: &[u8]| {
    let Some((client, tls, rest)) = hear_a_proxy(bytes) else { return };
    let (header, behind) = bytes.split_at(bytes.len() - rest.len());
    assert_eq!(rest, behind, "what is behind the header was changed");
    assert_eq!(hear_a_proxy(header), Some((client, tls, Vec::new())), "the header depends on what is behind it");
    for length in 0..header.len() {
        assert_eq!(hear_a_proxy(&header[..length]), None, "a part of a header was taken for one");
    }
    if let Ok(line) = std::str::from_utf8(header)
        && line.starts_with("PROXY ")
    {
        assert!(!tls && line.ends_with("\r\n"));
        let words: Vec<&str> = line.split([' ', '\r']).collect();
        let said = client.map(|client| words.contains(&"TCP4") == client.is_ipv4() && words[2].parse() == Ok(client));
        assert!(said.unwrap_or(words[1] == "UNKNOWN"));
    } else {
        let place = |address: IpAddr| match address {
            IpAddr::V4(address) => header[16..20] == address.octets(),
            IpAddr::V6(address) => header[16..32] == address.octets(),
        };
        assert!(client.is_none_or(place));
    }
});
