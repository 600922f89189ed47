//! Who asks, and from where: what every operation is told before it is told what to do.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::directory::rights::{self, Grade, NotAllowed, Operation};
use crate::directory::{AccountId, Actor, AppName};
use crate::history::action_type::Causer;
use crate::history::{Action, ActionType};

pub use crate::directory::rights::Caller;

/// What the key stands under in the details of whatever was done with it (H3).
const API_KEY: &str = "api_key";

/// One call of an operation.
#[derive(Debug, Clone)]
pub struct Request {
    pub caller: Caller,
    /// Where the call came from; none on the host's own socket.
    pub address: Option<IpAddr>,
    pub request_id: Option<String>,
}

impl Request {
    /// Whoever holds the machine, by the name of the Unix user.
    pub fn from_host(unix_user: impl Into<String>) -> Self {
        Self { caller: Caller::HostShell { unix_user: unix_user.into() }, address: None, request_id: None }
    }

    /// Whether the caller has the right to `operation`.
    ///
    /// # Errors
    /// In every case that the table of rights does not allow by name.
    pub fn demand(&self, operation: &Operation) -> Result<(), NotAllowed> {
        rights::may(&self.caller, operation)
    }

    /// Who the history says acted (H3).
    pub fn actor(&self) -> Actor {
        match &self.caller {
            Caller::HostShell { unix_user } => Actor::Host(unix_user.clone()),
            Caller::Person { account, .. } | Caller::ProxyUser { account } | Caller::ApiKey { account, .. } => {
                Actor::Account(*account)
            }
            Caller::StandIn { holder, .. } => Actor::Account(*holder),
        }
    }

    /// The apps that the caller administers, if it administers only some (R5).
    pub(super) fn administered(&self) -> Option<&BTreeSet<AppName>> {
        match &self.caller {
            Caller::Person { grade: Grade::OfApps(apps), .. } | Caller::ApiKey { grade: Grade::OfApps(apps), .. } => {
                Some(apps)
            }
            _ => None,
        }
    }

    /// In which capacity the caller acts, whatever it acts on (H4).
    pub(super) fn causers(&self) -> &'static [Causer] {
        match &self.caller {
            Caller::HostShell { .. } => &[Causer::Host],
            Caller::Person { grade: Grade::None, .. } | Caller::ProxyUser { .. } | Caller::StandIn { .. } => {
                &[Causer::Anybody]
            }
            Caller::Person { .. } | Caller::ApiKey { .. } => &[Causer::Administrator, Causer::Anybody],
        }
    }

    /// The person who acts as itself, and so as the owner of what is its own.
    pub(super) const fn person(&self) -> Option<AccountId> {
        match &self.caller {
            Caller::Person { account, .. } => Some(*account),
            Caller::HostShell { .. } | Caller::ProxyUser { .. } | Caller::StandIn { .. } | Caller::ApiKey { .. } => {
                None
            }
        }
    }

    fn on_behalf_of(&self) -> Option<AccountId> {
        match &self.caller {
            Caller::StandIn { target, .. } => Some(*target),
            Caller::HostShell { .. } | Caller::Person { .. } | Caller::ProxyUser { .. } | Caller::ApiKey { .. } => None,
        }
    }

    /// An action that the caller does by this call.
    pub(crate) fn action(&self, kind: ActionType) -> Action {
        self.finish(Action::new(kind, self.actor()))
    }

    /// An action that Locum does because of this call, by the rule `cause`.
    pub(crate) fn consequence(&self, kind: ActionType, cause: impl Into<String>) -> Action {
        self.finish(Action::new(kind, Actor::Locum).because(cause))
    }

    fn finish(&self, mut action: Action) -> Action {
        action.on_behalf_of = self.on_behalf_of();
        if let Caller::ApiKey { key, .. } = &self.caller {
            action = action.detail(API_KEY, None, Some(key.as_str()));
        }
        action.from_address(self.address).in_request(self.request_id.clone())
    }
}
