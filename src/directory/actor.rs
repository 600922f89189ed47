//! Who did something: a person or proxy user, the host shell, or Locum itself (H3).

use super::AccountId;

/// The one who acts. Accounts stand here by id; their username is joined when somebody reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Internal work; the cause (which rule, which job) is written beside it.
    Locum,
    /// Whoever holds the machine, by Unix user name.
    Host(String),
    Account(AccountId),
}

impl Actor {
    /// The stored text: `locum`, `host:NAME` or `account:UUID`.
    pub fn to_stored(&self) -> String {
        match self {
            Self::Locum => "locum".to_owned(),
            Self::Host(user) => format!("host:{user}"),
            Self::Account(id) => format!("account:{id}"),
        }
    }

    /// Reads what [`Actor::to_stored`] wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        if text == "locum" {
            return Some(Self::Locum);
        }
        if let Some(user) = text.strip_prefix("host:") {
            return Some(Self::Host(user.to_owned()));
        }
        let id = uuid::Uuid::parse_str(text.strip_prefix("account:")?).ok()?;
        Some(Self::Account(AccountId::from_bytes(*id.as_bytes())))
    }
}
