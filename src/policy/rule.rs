//! Rules: what a route asks of whoever comes through it.

use http::{HeaderName, Method};

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

    /// Whether it asks for any role or permission.
    pub fn asks_for_roles(&self) -> bool {
        let roles = self.roles_any.len() + self.roles_all.len();
        roles + self.permissions_any.len() + self.permissions_all.len() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
