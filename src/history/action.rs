//! One action: who did what to whom, when, from where, and what was before and after (H3).

use std::net::IpAddr;

use super::ActionType;
use crate::clock::Timestamp;
use crate::directory::{AccountId, Actor};

/// An action before it has its place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub kind: ActionType,
    pub actor: Actor,
    /// Which rule or job made Locum act, such as `L1`; only beside the actor `locum`.
    pub cause: Option<String>,
    /// For whom the actor acted, where the two differ.
    pub on_behalf_of: Option<AccountId>,
    /// The account that it was done to.
    pub target: Option<AccountId>,
    /// What else it was done to: a token's public id, a role, an app, a reason code.
    pub object: Option<String>,
    pub address: Option<IpAddr>,
    pub request_id: Option<String>,
    pub details: Vec<Detail>,
}

/// One thing that was before and after; either side is absent when there was nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub field: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// A value in the history: readable, or sealed under somebody's key (E1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Clear(String),
    Sealed { key: String, bytes: Vec<u8> },
}

/// An action in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 1, without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    /// Whether something changed with it; `false` for a refused operation, a counted failure and the
    /// like (H1).
    pub changed: bool,
    pub action: Action,
}

impl Action {
    pub fn new(kind: ActionType, actor: Actor) -> Self {
        Self {
            kind,
            actor,
            cause: None,
            on_behalf_of: None,
            target: None,
            object: None,
            address: None,
            request_id: None,
            details: Vec::new(),
        }
    }

    #[must_use]
    pub fn to(mut self, target: AccountId) -> Self {
        self.target = Some(target);
        self
    }

    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub fn from_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    #[must_use]
    pub fn in_request(mut self, request_id: Option<String>) -> Self {
        self.request_id = request_id;
        self
    }

    /// Adds what was before and after of one field.
    #[must_use]
    pub fn detail(mut self, field: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let clear = |text: &str| Value::Clear(text.to_owned());
        self.details.push(Detail { field: field.to_owned(), before: before.map(clear), after: after.map(clear) });
        self
    }
}

/// The actions of one change: at least one, so that a change without its trace cannot be written
/// (H1).
#[derive(Debug, Clone)]
pub struct Actions(Vec<Action>);

impl Actions {
    pub fn one(action: Action) -> Self {
        Self(vec![action])
    }

    /// `None` when there is none: then there was no change either.
    pub fn from_vec(actions: Vec<Action>) -> Option<Self> {
        if actions.is_empty() { None } else { Some(Self(actions)) }
    }

    #[must_use]
    pub fn and(mut self, action: Action) -> Self {
        self.0.push(action);
        self
    }

    pub fn as_slice(&self) -> &[Action] {
        &self.0
    }
}
