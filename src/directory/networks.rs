//! The networks that an account or a token is used from (T1, L10).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// A set of networks; the empty one is no restriction. Each network stands in it once, by the address that
/// it begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Every address there is, known or not.
    pub const ANY: Self = Self(Vec::new());

    /// Whether something may come from `address`. An unknown address is outside every network.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.0.is_empty()
            || address.is_some_and(|address| {
                let address = address.to_canonical();
                self.0.iter().any(|network| network.contains(&address))
            })
    }

    /// In the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    pub fn contains(&self, network: &IpNet) -> bool {
        self.0.contains(&network.trunc())
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        let mut networks: Vec<IpNet> = networks.into_iter().map(|network| network.trunc()).collect();
        networks.sort_unstable();
        networks.dedup();
        Self(networks)
    }
}

/// As they are stored: separated by spaces.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            fmt::Display::fmt(network, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    fn allows(networks: &Networks, address: &str) -> bool {
        networks.allow(Some(address.parse().unwrap()))
    }

    /// T1, L10
    #[test]
    fn an_address_is_inside_or_outside_and_an_unknown_one_is_outside() {
        assert!(Networks::ANY.allow(None) && allows(&Networks::ANY, "192.0.2.1"));
        let some = networks(&["192.0.2.0/24", "2001:db8::/32"]);
        for inside in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] {
            assert!(allows(&some, inside), "{inside}");
        }
        for outside in ["192.0.3.1", "2001:db9::1", "::192.0.2.1"] {
            assert!(!allows(&some, outside), "{outside}");
        }
        assert!(!some.allow(None));
    }

    /// T1
    #[test]
    fn one_network_is_in_a_set_once_however_it_is_written() {
        let some = networks(&["192.0.2.7/24", "10.0.0.0/8", "192.0.2.0/24"]);
        assert_eq!(some.to_string(), "10.0.0.0/8 192.0.2.0/24");
        assert_eq!(some, networks(&["192.0.2.0/24", "10.0.0.0/8"]));
        assert_eq!(Networks::ANY.to_string(), "");
    }
}
