//! Networks as they are written on the command line.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reads a network; a bare address is the network of itself alone.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        format!(
            "`{text}` is not a network: write an address or `ADDRESS/BITS`, such as `10.0.0.0/8` or `2001:db8::/32`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T1
    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert_eq!(parse_network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse_network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert!(parse_network("10.0.0.0/33").unwrap_err().contains("ADDRESS/BITS"));
    }
}
