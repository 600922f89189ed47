//! The protocols to which a route lets a connection switch (RFC 9110 §7.8).

/// Their names, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrades(Vec<Box<str>>);

pub const WEBSOCKET: &str = "websocket";

/// Another HTTP inside of a tunnel would ask for whatever it likes, and no rule would ever see it.
const HTTP_AGAIN: [&str; 4] = ["h2", "h2c", "http", "tls"];

/// Why a text is not the name of a protocol that can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    #[error("give the name of a protocol as it stands in `Upgrade`, such as `websocket`")]
    Shape,
    #[error("leave it out: requests inside of such a tunnel would be judged by nobody")]
    HttpAgain,
}

impl Upgrades {
    /// None at all.
    pub const NONE: Self = Self(Vec::new());

    pub const fn new(names: Vec<Box<str>>) -> Self {
        Self(names)
    }

    /// Reads one name, with its version where it has one (`name/version`).
    ///
    /// # Errors
    /// When it is no such name, or that of a protocol that would lead past every rule.
    pub fn name(text: &str) -> Result<Box<str>, UpgradeError> {
        let name = text.to_ascii_lowercase();
        let (protocol, version) = name.split_once('/').unwrap_or((&name, "1"));
        if ![protocol, version].into_iter().all(is_token) {
            return Err(UpgradeError::Shape);
        }
        if HTTP_AGAIN.contains(&protocol) {
            return Err(UpgradeError::HttpAgain);
        }
        Ok(name.into())
    }

    pub fn allow(&self, protocol: &str) -> bool {
        self.0.iter().any(|name| name.eq_ignore_ascii_case(protocol))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Upgrades {
    /// WebSockets, which many applications do not work without.
    fn default() -> Self {
        Self(vec![WEBSOCKET.into()])
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UP-007
    #[test]
    fn a_name_is_a_token_and_never_http_again() {
        for (text, read) in [
            ("websocket", Ok("websocket".into())),
            ("WebSocket", Ok("websocket".into())),
            ("tcp/1.0", Ok("tcp/1.0".into())),
            ("", Err(UpgradeError::Shape)),
            ("a b", Err(UpgradeError::Shape)),
            ("a,b", Err(UpgradeError::Shape)),
            ("a/", Err(UpgradeError::Shape)),
            ("h2c", Err(UpgradeError::HttpAgain)),
            ("HTTP/2.0", Err(UpgradeError::HttpAgain)),
            ("TLS/1.0", Err(UpgradeError::HttpAgain)),
        ] {
            assert_eq!(Upgrades::name(text), read, "{text}");
        }
        assert!(Upgrades::default().allow("WebSocket") && !Upgrades::default().allow("h2c"));
        assert!(!Upgrades::NONE.allow("websocket"));
    }
}
