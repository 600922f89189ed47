//! Rights over Locum itself: one pure function, complete, and printed as a matrix.
//!
//! Rights are not roles and are never inherited by proxy users or stand-ins. Every operation of the
//! administration takes its caller and asks [`may`] first.

use std::collections::BTreeSet;

use super::api_key::Scopes;
use super::{AccountId, AppName, PublicId};

/// Who calls an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever holds the machine, by Unix user name: break-glass, may do everything.
    HostShell { unix_user: String },
    /// A person who signed in.
    Person { account: AccountId, grade: Grade, granted: BTreeSet<Right> },
    /// A proxy user: has no rights over Locum at all (P14).
    ProxyUser { account: AccountId },
    /// A person standing in for another: has no rights over Locum while it lasts.
    StandIn { holder: AccountId, target: AccountId },
    /// A key of the admin API, acting as its person, with the grade that this person has, within its scopes.
    ApiKey { account: AccountId, grade: Grade, key: PublicId, scopes: Scopes },
}

/// The levels of people who run Locum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grade {
    None,
    /// Administrator of some apps only (R5).
    OfApps(BTreeSet<AppName>),
    Administrator,
    SuperAdministrator,
}

/// What can be granted to a plain person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    AddProxyUsers,
    UpdateUsersAndPermissions,
}

impl Right {
    pub const ALL: [Self; 2] = [Self::AddProxyUsers, Self::UpdateUsersAndPermissions];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::AddProxyUsers => "add_proxy_users",
            Self::UpdateUsersAndPermissions => "update_users_and_permissions",
        }
    }

    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.slug() == slug)
    }
}

/// What somebody wants to do, with what the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// See an account, its proxy users and sessions.
    SeeAccount {
        subject: Subject,
    },
    /// Add, confirm, rotate a token of a proxy user of `owner`.
    MakeToken {
        owner: AccountId,
    },
    /// Revoke a token of a proxy user of `owner`.
    RevokeToken {
        owner: AccountId,
    },
    /// Inactivate a proxy user of `owner`.
    InactivateProxyUser {
        owner: AccountId,
    },
    /// Activate or delete a proxy user, or change its roles.
    ManageProxyUser {
        owner: AccountId,
    },
    /// Add a proxy user that belongs to `owner` (P1).
    AddProxyUser {
        owner: AccountId,
    },
    /// List, add, invite, inactivate, activate, delete people.
    ManageUsers,
    /// Change what is known of a person: name, address, phone. Its own affair, and nobody's else (U2).
    EditPersonal {
        of: AccountId,
    },
    /// Give or take a role or an app; `None` for a system role.
    Grant {
        app: Option<AppName>,
    },
    /// Stand-ins: make, change, end.
    ManageStandIns,
    /// End somebody's sessions.
    EndSessions {
        of: AccountId,
    },
    /// Define roles and change what they contain; `None` for system roles.
    DefineRoles {
        app: Option<AppName>,
    },
    /// Add entries to a code table.
    ManageCodes,
    /// Jobs and schedules.
    ManageJobs,
    /// Read the action history; of one app, or of all.
    ReadHistory {
        app: Option<AppName>,
    },
    /// Hand out the whole action history, and sign where it stands.
    ExportHistory,
    ListAdministrators,
    /// Add an administrator, of everything or of one app; give and take the rights of plain people.
    EditAdministrator,
    /// Deactivate, reactivate, promote an administrator; make its account inactive or active, delete it.
    ManageAdministrator,
    /// SSO, SCIM, key rotation, backup, the running gateway itself.
    ManageInstallation,
    /// Make a key of the admin API that acts as `owner`.
    MakeApiKey {
        owner: AccountId,
    },
    /// List and revoke the keys of the admin API.
    ManageApiKeys,
    /// Look at the running gateway: its health, its metrics.
    SeeGateway,
    /// Downgrade, deactivate, reactivate a super administrator; change a username; release a name.
    BreakGlass,
}

/// Whose account is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Account { id: AccountId, owner: Option<AccountId> },
    Everybody,
}

/// Why an operation is refused: the caller lacks a right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this caller may not {0}")]
pub struct NotAllowed(pub &'static str);

impl Operation {
    /// What the operation is, in words that complete "may not …".
    pub const fn words(&self) -> &'static str {
        match self {
            Self::SeeAccount { .. } => "see this account",
            Self::MakeToken { .. } => "make or confirm tokens of this proxy user",
            Self::RevokeToken { .. } => "revoke tokens of this proxy user",
            Self::InactivateProxyUser { .. } => "mark this proxy user inactive",
            Self::ManageProxyUser { .. } => "activate, delete or change this proxy user",
            Self::AddProxyUser { .. } => "add proxy users for this owner",
            Self::ManageUsers => "manage users",
            Self::EditPersonal { .. } => "change the name, address or phone of this person",
            Self::Grant { .. } => "give or take this role or app",
            Self::ManageStandIns => "update users and permissions",
            Self::EndSessions { .. } => "end these sessions",
            Self::DefineRoles { .. } => "define or change this role",
            Self::ManageCodes => "add entries to a code table",
            Self::ManageJobs => "manage jobs and schedules",
            Self::ReadHistory { .. } => "read this history",
            Self::ExportHistory => "export the history",
            Self::ListAdministrators => "list administrators",
            Self::EditAdministrator => "add or edit administrators",
            Self::ManageAdministrator => "deactivate, reactivate or promote administrators",
            Self::ManageInstallation => "manage the installation's identity, keys or backups",
            Self::MakeApiKey { .. } => "make keys of the admin API for this person",
            Self::ManageApiKeys => "list or revoke keys of the admin API",
            Self::SeeGateway => "look at the gateway's health and metrics",
            Self::BreakGlass => "do what only the host shell can do",
        }
    }
}

/// Whether `caller` may do `operation`; the table of rights in one place.
///
/// # Errors
/// [`NotAllowed`] in every case that is not allowed by name.
pub fn may(caller: &Caller, operation: &Operation) -> Result<(), NotAllowed> {
    let allowed = match caller {
        Caller::HostShell { .. } => true,
        Caller::ProxyUser { .. } | Caller::StandIn { .. } => false,
        Caller::Person { account, grade, granted } => {
            own_affair(*account, operation)
                || granted_right(*account, granted, operation)
                || graded(grade, operation)
                || adds_own(*account, grade, operation)
                || makes_own_key(*account, grade, operation)
        }
        Caller::ApiKey { grade, .. } => {
            !matches!(operation, Operation::AddProxyUser { .. }) && graded(grade, operation)
        }
    };
    if allowed { Ok(()) } else { Err(NotAllowed(operation.words())) }
}

/// What everybody may do with what is one's own.
fn own_affair(caller: AccountId, operation: &Operation) -> bool {
    match operation {
        Operation::SeeAccount { subject: Subject::Account { id, owner } } => *id == caller || *owner == Some(caller),
        Operation::MakeToken { owner }
        | Operation::RevokeToken { owner }
        | Operation::InactivateProxyUser { owner } => *owner == caller,
        Operation::EndSessions { of } | Operation::EditPersonal { of } => *of == caller,
        _ => false,
    }
}

/// What a right granted to a plain person adds.
fn granted_right(caller: AccountId, granted: &BTreeSet<Right>, operation: &Operation) -> bool {
    match operation {
        Operation::AddProxyUser { owner } => *owner == caller && granted.contains(&Right::AddProxyUsers),
        Operation::ManageStandIns => granted.contains(&Right::UpdateUsersAndPermissions),
        _ => false,
    }
}

/// Administrators of every grade add proxy users, as their owner (P1).
fn adds_own(caller: AccountId, grade: &Grade, operation: &Operation) -> bool {
    matches!(operation, Operation::AddProxyUser { owner } if *owner == caller) && *grade != Grade::None
}

/// Super administrators make keys that act as themselves (A6). A key makes none: it would live for ever.
fn makes_own_key(caller: AccountId, grade: &Grade, operation: &Operation) -> bool {
    matches!(operation, Operation::MakeApiKey { owner } if *owner == caller) && *grade == Grade::SuperAdministrator
}

/// What the grade of an administrator allows.
fn graded(grade: &Grade, operation: &Operation) -> bool {
    match grade {
        Grade::None => false,
        Grade::OfApps(apps) => match operation {
            Operation::ListAdministrators => true,
            Operation::Grant { app: Some(app) }
            | Operation::DefineRoles { app: Some(app) }
            | Operation::ReadHistory { app: Some(app) } => apps.contains(app),
            _ => false,
        },
        Grade::Administrator | Grade::SuperAdministrator => match operation {
            Operation::SeeAccount { .. }
            | Operation::RevokeToken { .. }
            | Operation::InactivateProxyUser { .. }
            | Operation::ManageProxyUser { .. }
            | Operation::ManageUsers
            | Operation::Grant { .. }
            | Operation::ManageStandIns
            | Operation::EndSessions { .. }
            | Operation::DefineRoles { .. }
            | Operation::ManageCodes
            | Operation::ManageJobs
            | Operation::ReadHistory { .. }
            | Operation::ListAdministrators
            | Operation::EditAdministrator
            | Operation::SeeGateway => true,
            Operation::ExportHistory
            | Operation::ManageAdministrator
            | Operation::ManageInstallation
            | Operation::ManageApiKeys => *grade == Grade::SuperAdministrator,
            Operation::MakeToken { .. }
            | Operation::AddProxyUser { .. }
            | Operation::MakeApiKey { .. }
            | Operation::EditPersonal { .. }
            | Operation::BreakGlass => false,
        },
    }
}
