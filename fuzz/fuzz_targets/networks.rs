//! Networks that narrow a token: what is read prints as it came, and an address is inside exactly when its
//! first bits are the network's.
//!
//! The input is an address, and after it one network a line.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use locum::directory::Networks;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let address = lines.next().and_then(|line| line.parse::<IpAddr>().ok());
    let networks: Vec<IpNet> = lines.filter_map(|line| line.parse().ok()).collect();
    for network in &networks {
        assert_eq!(network.to_string().parse(), Ok(*network), "it does not read back");
    }
    let narrowed: Networks = networks.iter().copied().collect();
    let printed = narrowed.to_string();
    let again: Networks = printed.split_whitespace().map(|word| word.parse::<IpNet>().expect("a network")).collect();
    assert_eq!(again, narrowed, "what is stored does not read back");
    assert_eq!(narrowed.allow(None), networks.is_empty(), "an address that is not known is nowhere");
    let Some(address) = address else { return };
    let inside = networks.iter().any(|network| is_inside(address.to_canonical(), network));
    assert_eq!(narrowed.allow(Some(address)), networks.is_empty() || inside);
    if let IpAddr::V4(address) = address {
        let mapped = IpAddr::V6(address.to_ipv6_mapped());
        assert_eq!(narrowed.allow(Some(mapped)), narrowed.allow(Some(address.into())), "one host");
    }
});

/// Bit by bit, as nobody would write it who wants it quick.
fn is_inside(address: IpAddr, network: &IpNet) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(Ipv4Addr::to_bits(address)) << 96, 4),
        IpAddr::V6(address) => (address.to_bits(), 6),
    };
    let ((a, a_version), (b, b_version)) = (bits(address), bits(network.addr()));
    let same = |bit: u32| (a >> (127 - bit)) & 1 == (b >> (127 - bit)) & 1;
    a_version == b_version && (0..u32::from(network.prefix_len())).all(same)
}
