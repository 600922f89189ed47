//! Why an operation did not happen: a rule that says no, with what would be right, or a fault.
//!
//! A refusal is an answer: it has a stable code, it names the rule, and it is recorded where an
//! identified caller tried a change. A fault is no answer: nothing is known but that nothing changed.

use crate::clock::Timestamp;
use crate::directory::administrator::Level;
use crate::directory::api_key::Scope;
use crate::directory::owner_cascade::CascadeRefusal;
use crate::directory::pat::PatRefusal;
use crate::directory::rights::NotAllowed;
use crate::directory::{AppName, Kind, PublicId, ReasonCode, RoleName, Username};
use crate::seal::SealError;
use crate::store::StoreError;

/// A rule that says no. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),

    #[error("this caller has ended: its account or its key is not in force any more")]
    CallerEnded,
    #[error("nobody changes what it may do itself: ask another administrator, or use the host shell")]
    OwnAdministration,
    #[error("`{0}` is of a higher level than you: nobody acts on a higher level")]
    HigherLevel(Username),
    #[error(
        "`{0}` is the last super administrator that is active: make another one first, or use `locum admin deactivate {0} --force` on the host"
    )]
    LastSuperAdministrator(Username),
    #[error("`{0}` is no administrator: `locum admin list` shows all, `locum admin add {0}` makes it one")]
    NotAnAdministrator(Username),
    #[error("`{username}` is already of the level {}: see `locum admin promote` and `locum admin reactivate`", level.slug())]
    IsAdministrator { username: Username, level: Level },
    #[error("the administration of `{0}` is inactive: use `locum admin reactivate {0}` first")]
    AdministrationInactive(Username),

    #[error("there is no account `{name}`{}", suggest(.nearest))]
    UnknownAccount { name: String, nearest: Vec<String> },
    #[error("there is no role `{name}`{}`locum role add {name}` defines it", suggest_before(.nearest))]
    UnknownRole { name: RoleName, nearest: Vec<String> },
    #[error(
        "there is no app `{name}`{}apps are written in the configuration as `[apps.{name}]`", suggest_before(.nearest))]
    UnknownApp { name: AppName, nearest: Vec<String> },
    #[error(
        "there is no reason `{code}`{}`locum reason list` shows all, `locum reason add` makes a new one", suggest_before(.nearest))]
    UnknownReason { code: ReasonCode, nearest: Vec<String> },
    #[error("there is no token with the public id `{0}`: `locum pat list` shows those of a proxy user")]
    UnknownPat(PublicId),
    #[error(
        "`{0}` is no namespace of permissions: use `general`, `global`, `cost-centre`, `notification` or the name of an app"
    )]
    UnknownNamespace(String),

    #[error("there is no key of the admin API with the public id `{0}`: `locum api-key list` shows all")]
    UnknownApiKey(PublicId),
    #[error("the key `{0}` is revoked already")]
    ApiKeyRevoked(PublicId),
    #[error("a key acts as a person: name the administrator that it is for")]
    KeyOfNobody,
    #[error("this key does not reach so far: it would need the scope `{0}`")]
    OutOfScope(Scope),

    #[error("`{0}` is a proxy user, and only a person can stand here: see `locum proxy-user`")]
    NotAPerson(Username),
    #[error("`{0}` is a person, and only a proxy user can stand here: see `locum person`")]
    NotAProxyUser(Username),

    #[error("the username `{0}` is taken: choose another")]
    UsernameTaken(Username),
    #[error(
        "the username `{wanted}` differs only in case from `{existing}`, and applications fold case: choose another"
    )]
    UsernameLookAlike { wanted: Username, existing: Username },
    #[error(
        "the username `{0}` belonged to a deleted account, and applications may keep data under it: choose another, or set it free with `locum name release {0}`"
    )]
    UsernameDeleted(Username),
    #[error("the username `{0}` is kept for Locum itself, which acts under it in the history: choose another")]
    UsernameReserved(Username),
    #[error("no deleted account had the username `{0}`: there is nothing to release")]
    NameNotKept(Username),

    #[error(transparent)]
    Cascade(#[from] CascadeRefusal),
    #[error("`{0}` is inactive: mark it active first")]
    AccountInactive(Username),

    #[error("the token `{public_id}` stays as it is: {refusal}")]
    PatState { public_id: PublicId, refusal: PatRefusal },
    #[error(transparent)]
    PatWish(#[from] PatRefusal),
    #[error("this idempotency key was used for another request, which made the token `{0}`: use a new key")]
    KeyReused(PublicId),

    #[error(
        "this email address belongs to another person already: find out whose it is with `locum person list --email`"
    )]
    EmailTaken,
    #[error("somebody else is linked to this name in `{0}` already: a name belongs to one person")]
    LegacyNameTaken(AppName),
    #[error("{given} names are too many at once: import at most {most}, then the rest")]
    TooManyNames { most: usize, given: usize },
    #[error(transparent)]
    NoMasterKey(SealError),
    #[error("{0}")]
    KeyStorage(String),

    #[error("the role `{0}` is defined already: `locum role set` changes what it contains")]
    RoleExists(RoleName),
    #[error("the reason `{0}` stands in the table already")]
    ReasonExists(ReasonCode),
    #[error("a reason needs a text of 1 to 200 characters that says what it means, this one has {0}")]
    ReasonText(usize),
    #[error("`{0}` cannot be copied onto itself")]
    SameAccount(Username),
    #[error("PostgreSQL has its own tools: `pg_dump` while the gateway runs, or its continuous archiving")]
    NotEmbedded,
    #[error("{0}")]
    HistoryKey(String),
    #[error("the history has no entry {sequence} to begin with: its last is {last}")]
    NoSuchEntry { sequence: u64, last: u64 },
    #[error("there is no job `{0}`: `locum job list` shows all")]
    UnknownJob(String),
    #[error("the job `{job}` has no run {run}: `locum job runs {job}` shows those that are known")]
    UnknownRun { job: String, run: u64 },
    #[error("`{0}` cannot be the name of a job: use a letter, then up to 63 of `a-z 0-9 - _`")]
    JobName(String),
    #[error("run {run} of the job `{job}` is not over: one runs at a time, `locum job runs {job}` says how far it is")]
    JobRunning { job: String, run: u64 },
    #[error("entry {sequence} was moved to the archive: what is kept here begins with entry {first}")]
    MovedOut { sequence: u64, first: u64 },
    #[error("nothing is moved out of the history before `[history] archive` names a folder for it")]
    NoArchive,
    #[error("say before which instant: `[history] keep`, the age that would say it, is not set")]
    NoAge,
    #[error("what is younger than `[history] keep` stays: nothing after {latest} can be moved out")]
    TooYoung { latest: Timestamp },
    #[error("old entries are being moved to the archive already: wait until that is done")]
    TrimmedAlready,
    #[error("the history does not hold, and so nothing is moved out of it: {0}; see `locum audit verify`")]
    BrokenHistory(String),
    #[error("the archive `{place}` cannot be used: {why}")]
    Archive { place: String, why: String },
}

fn suggest(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            format!(": did you mean {}?", names.join(" or "))
        }
    }
}

/// The same where something follows.
fn suggest_before(nearest: &[String]) -> String {
    let suggestion = suggest(nearest);
    if suggestion.is_empty() { "; ".to_owned() } else { format!("{suggestion} ") }
}

impl Refusal {
    /// The stable name of the refusal, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "not_allowed",
            Self::CallerEnded => "caller_ended",
            Self::UnknownApiKey(_) => "unknown_api_key",
            Self::ApiKeyRevoked(_) => "api_key_revoked",
            Self::KeyOfNobody => "key_of_nobody",
            Self::OutOfScope(_) => "out_of_scope",
            Self::OwnAdministration => "own_administration",
            Self::HigherLevel(_) => "higher_level",
            Self::LastSuperAdministrator(_) => "last_super_administrator",
            Self::NotAnAdministrator(_) => "not_an_administrator",
            Self::IsAdministrator { .. } => "is_administrator",
            Self::AdministrationInactive(_) => "administration_inactive",
            Self::UnknownAccount { .. } => "unknown_account",
            Self::UnknownRole { .. } => "unknown_role",
            Self::UnknownApp { .. } => "unknown_app",
            Self::UnknownReason { .. } => "unknown_reason",
            Self::UnknownPat(_) => "unknown_pat",
            Self::UnknownNamespace(_) => "unknown_namespace",
            Self::NotAPerson(_) => "not_a_person",
            Self::NotAProxyUser(_) => "not_a_proxy_user",
            Self::UsernameTaken(_) => "username_taken",
            Self::UsernameLookAlike { .. } => "username_look_alike",
            Self::UsernameDeleted(_) => "username_deleted",
            Self::UsernameReserved(_) => "username_reserved",
            Self::NameNotKept(_) => "name_not_kept",
            Self::Cascade(CascadeRefusal::NotHeldByOwner { .. }) => "not_held_by_owner",
            Self::Cascade(CascadeRefusal::OwnerInactive(_)) => "owner_inactive",
            Self::AccountInactive(_) => "account_inactive",
            Self::PatState { refusal, .. } | Self::PatWish(refusal) => match refusal {
                PatRefusal::AlreadyConfirmed => "pat_already_confirmed",
                PatRefusal::Lapsed => "pat_lapsed",
                PatRefusal::Revoked => "pat_revoked",
                PatRefusal::Expired => "pat_expired",
                PatRefusal::Service(_) => "service_name",
                PatRefusal::TooLong { .. } => "life_too_long",
                PatRefusal::TooShort => "life_too_short",
                PatRefusal::NotUsable(_) => "pat_not_usable",
                PatRefusal::AlreadyRotated => "pat_already_rotated",
                PatRefusal::OverlapTooLong { .. } => "overlap_too_long",
                PatRefusal::Silence => "silence",
            },
            Self::KeyReused(_) => "idempotency_key_reused",
            Self::EmailTaken => "email_taken",
            Self::LegacyNameTaken(_) => "legacy_name_taken",
            Self::TooManyNames { .. } => "too_many_names",
            Self::NoMasterKey(_) => "no_master_key",
            Self::KeyStorage(_) => "key_storage",
            Self::RoleExists(_) => "role_exists",
            Self::ReasonExists(_) => "reason_exists",
            Self::ReasonText(_) => "reason_text",
            Self::SameAccount(_) => "same_account",
            Self::NotEmbedded => "not_embedded",
            Self::HistoryKey(_) => "history_key",
            Self::NoSuchEntry { .. } => "no_such_entry",
            Self::UnknownJob(_) => "unknown_job",
            Self::UnknownRun { .. } => "unknown_run",
            Self::JobName(_) => "job_name",
            Self::JobRunning { .. } => "job_running",
            Self::MovedOut { .. } => "moved_out",
            Self::NoArchive => "no_archive",
            Self::NoAge => "no_age",
            Self::TooYoung { .. } => "too_young",
            Self::TrimmedAlready => "trimmed_already",
            Self::BrokenHistory(_) => "broken_history",
            Self::Archive { .. } => "archive",
        }
    }

    /// The rule that says no, by the id of its requirement.
    pub const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::UsernameTaken(_) | Self::UsernameLookAlike { .. } => Some("P2"),
            Self::UsernameReserved(_) => Some("H3"),
            Self::UsernameDeleted(_) | Self::NameNotKept(_) => Some("P12"),
            Self::Cascade(CascadeRefusal::NotHeldByOwner { .. }) => Some("P5"),
            Self::Cascade(CascadeRefusal::OwnerInactive(_)) => Some("P11"),
            Self::NotAPerson(_) => Some("P14"),
            Self::AccountInactive(_) | Self::NotAProxyUser(_) => Some("T1"),
            Self::PatState { refusal, .. } | Self::PatWish(refusal) => match refusal {
                PatRefusal::AlreadyConfirmed | PatRefusal::Lapsed => Some("T3"),
                PatRefusal::Revoked => Some("T6"),
                PatRefusal::Expired | PatRefusal::TooLong { .. } | PatRefusal::TooShort => Some("T2"),
                PatRefusal::Service(_) => Some("T1"),
                PatRefusal::NotUsable(_)
                | PatRefusal::AlreadyRotated
                | PatRefusal::OverlapTooLong { .. }
                | PatRefusal::Silence => Some("T7"),
            },
            Self::KeyReused(_) => Some("T3"),
            Self::UnknownReason { .. } | Self::ReasonExists(_) | Self::ReasonText(_) => Some("T6"),
            Self::UnknownRole { .. } | Self::UnknownNamespace(_) | Self::RoleExists(_) => Some("R6"),
            Self::EmailTaken => Some("U1"),
            Self::LegacyNameTaken(_) | Self::TooManyNames { .. } => Some("U5"),
            Self::NoMasterKey(_) => Some("E1"),
            Self::KeyStorage(_) => Some("E2"),
            Self::UnknownApp { .. } => Some("R8"),
            Self::NotEmbedded => Some("C5"),
            Self::OwnAdministration
            | Self::HigherLevel(_)
            | Self::NotAnAdministrator(_)
            | Self::IsAdministrator { .. } => Some("A1"),
            Self::LastSuperAdministrator(_) => Some("A4"),
            Self::AdministrationInactive(_) => Some("A5"),
            Self::CallerEnded
            | Self::UnknownApiKey(_)
            | Self::ApiKeyRevoked(_)
            | Self::KeyOfNobody
            | Self::OutOfScope(_) => Some("A6"),
            Self::HistoryKey(_) | Self::NoSuchEntry { .. } | Self::BrokenHistory(_) => Some("H5"),
            Self::UnknownJob(_) | Self::UnknownRun { .. } | Self::JobName(_) | Self::JobRunning { .. } => Some("T9"),
            Self::MovedOut { .. }
            | Self::NoArchive
            | Self::NoAge
            | Self::TooYoung { .. }
            | Self::TrimmedAlready
            | Self::Archive { .. } => Some("H7"),
            Self::NotAllowed(_) | Self::UnknownAccount { .. } | Self::UnknownPat(_) | Self::SameAccount(_) => None,
        }
    }

    /// Names that were perhaps meant.
    pub fn nearest(&self) -> &[String] {
        match self {
            Self::UnknownAccount { nearest, .. }
            | Self::UnknownRole { nearest, .. }
            | Self::UnknownApp { nearest, .. }
            | Self::UnknownReason { nearest, .. } => nearest,
            _ => &[],
        }
    }
}

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is sealed cannot be opened.
    #[error(transparent)]
    Seal(SealError),
    /// Another process goes on with this run of a job, or it was removed.
    #[error("another process goes on with this run, or its job was removed")]
    RunLost,
    #[error("pepper version {0} is not in the pepper file, and a key was hashed under it: put it back")]
    Pepper(u32),
    /// The store did its part or not; who asks again learns which.
    #[error("the operation was interrupted: ask for the present state before you try again")]
    Interrupted,
}

impl From<NotAllowed> for Error {
    fn from(refusal: NotAllowed) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoMasterKey => Self::Refused(Refusal::NoMasterKey(error)),
            SealError::NoVersion(_) | SealError::WrongKey(_) | SealError::Damaged(_) => Self::Seal(error),
        }
    }
}

impl From<CascadeRefusal> for Error {
    fn from(refusal: CascadeRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<PatRefusal> for Error {
    fn from(refusal: PatRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

/// Refuses a person where a proxy user is meant, or the other way round.
pub(super) fn demand_kind(username: &Username, kind: Kind, wanted: Wanted) -> Result<(), Refusal> {
    match (kind, wanted) {
        (Kind::Person, Wanted::ProxyUser) => Err(Refusal::NotAProxyUser(username.clone())),
        (Kind::Proxy { .. }, Wanted::Person) => Err(Refusal::NotAPerson(username.clone())),
        (Kind::Person, Wanted::Person | Wanted::Either) | (Kind::Proxy { .. }, Wanted::ProxyUser | Wanted::Either) => {
            Ok(())
        }
    }
}

/// Which kind of account an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Person,
    ProxyUser,
    Either,
}
