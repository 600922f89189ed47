//! Rules: what a route asks of whoever comes through it.

use std::time::Duration;

use http::{HeaderName, Method};

use super::{PathRefusal, RateLimit, Upgrades};
use crate::directory::{Permission, RoleName};

/// Which schemes of credentials a route reads (G2). What no accepted scheme claims belongs to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// `Authorization: Basic username:PAT`
    pub basic: bool,
    /// `Authorization: Bearer PAT`
    pub bearer: bool,
    /// `Locum-Authorization` with either of the two, beside an `Authorization` of the app's own.
    pub locum_authorization: bool,
}

impl Accept {
    /// What only a public route can accept.
    pub const NOTHING: Self = Self { basic: false, bearer: false, locum_authorization: false };

    /// Whether a token can come alone, without the username that a Basic brings along.
    pub const fn takes_a_token_alone(self) -> bool {
        self.bearer || self.locum_authorization
    }
}

impl Default for Accept {
    fn default() -> Self {
        Self { basic: true, bearer: true, locum_authorization: false }
    }
}

/// The rule of one route. Every list that is empty asks for nothing; lists that are not add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// The methods it is for; empty for all that are usual.
    pub methods: Vec<Method>,
    pub accept: Accept,
    /// The header in which a token that comes alone has to be given the username of its proxy user.
    pub username_header: Option<HeaderName>,
    /// Open to everybody. An invalid credential is refused here too (G2).
    pub public: bool,
    /// At least one of these.
    pub roles_any: Vec<RoleName>,
    /// Every one of these.
    pub roles_all: Vec<RoleName>,
    /// At least one of these.
    pub permissions_any: Vec<Permission>,
    /// Every one of these.
    pub permissions_all: Vec<Permission>,
    /// A path with `%2F` goes on as it is. Else it is refused, because many apps read a slash there.
    pub forwards_encoded_slash: bool,
    /// A path with `//` is refused. Else it goes on as it is.
    pub refuses_doubled_slash: bool,
    /// The protocols to which a connection may switch.
    pub upgrades: Upgrades,
    pub timeouts: OwnTimeouts,
    /// The largest body of a request, in bytes.
    pub max_body: Option<u64>,
    /// Beside those of the app.
    pub rate_limits: Vec<RateLimit>,
}

/// How long a route waits for its app, where it says another thing than the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnTimeouts {
    /// For the head of the response.
    pub response: Option<Duration>,
    /// For the next bytes of a body.
    pub idle: Option<Duration>,
    /// For everything together.
    pub total: Option<Duration>,
}

impl Rule {
    /// Whether the rule is for requests of `method`. One without a list takes what applications
    /// expect: not `TRACE` and `CONNECT`, and no method that is only a known one misspelt in lower
    /// case (H1-049); who wants those names them.
    pub fn is_for(&self, method: &Method) -> bool {
        if !self.methods.is_empty() {
            return self.methods.contains(method);
        }
        let usual = !matches!(*method, Method::TRACE | Method::CONNECT);
        usual && !method.as_str().bytes().any(|b| b.is_ascii_lowercase())
    }

    /// Whether a path, as it came over the wire, may go on.
    ///
    /// # Errors
    /// When the rule does not forward paths of this kind.
    pub fn takes(&self, path: &str) -> Result<(), PathRefusal> {
        let encoded = |path: &str| path.split('%').skip(1).any(|part| part.starts_with("2F") || part.starts_with("2f"));
        if !self.forwards_encoded_slash && encoded(path) {
            return Err(PathRefusal::EncodedSlash);
        }
        if self.refuses_doubled_slash && path.contains("//") {
            return Err(PathRefusal::DoubledSlash);
        }
        Ok(())
    }

    /// Whether it asks for any role or permission.
    pub fn asks_for_roles(&self) -> bool {
        let roles = self.roles_any.len() + self.roles_all.len();
        roles + self.permissions_any.len() + self.permissions_all.len() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G5, PA-011
    #[test]
    fn slashes_in_disguise_have_to_be_asked_for() {
        let plain = Rule::default();
        let open = Rule { forwards_encoded_slash: true, refuses_doubled_slash: true, ..Rule::default() };
        for (path, by_default, turned_round) in [
            ("/a/b", None, None),
            ("/a%2Fb", Some(PathRefusal::EncodedSlash), None),
            ("/a/%2f", Some(PathRefusal::EncodedSlash), None),
            ("/a%252Fb", None, None),
            ("/a//b", None, Some(PathRefusal::DoubledSlash)),
        ] {
            assert_eq!(plain.takes(path).err(), by_default, "{path}");
            assert_eq!(open.takes(path).err(), turned_round, "{path}");
        }
    }

    /// H1-049
    #[test]
    fn unusual_methods_have_to_be_named() {
        let open = Rule::default();
        assert!(open.is_for(&Method::GET) && open.is_for(&Method::from_bytes(b"PROPFIND").unwrap()));
        let lower = Method::from_bytes(b"get").unwrap();
        assert!(!open.is_for(&lower) && !open.is_for(&Method::TRACE));
        let named = Rule { methods: vec![lower.clone()], ..Rule::default() };
        assert!(named.is_for(&lower) && !named.is_for(&Method::GET));
    }
}
