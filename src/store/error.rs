//! What can go wrong with a database, in words that say what would be right.
//!
//! Two families: what stands in the way of opening it, and what goes wrong while it is open. Both
//! name the *place*: the path of a file, or `host:port/database`; never a URL, because a URL may hold
//! a password. `StoreError` is `Clone`, because one failed commit is the answer of every operation
//! that was in it.

use std::time::Duration;

use crate::directory::{PublicId, ReasonCode, RoleName, Username};

/// Why a store cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the folder `{folder}` for the database does not exist: make it, or name another place in `[store] url`")]
    NoFolder { folder: String },
    #[error("`{place}` is a folder: name the database file inside it in `[store] url`")]
    Folder { place: String },
    #[error("`{place}` is not a database of Locum: {why}; name another place in `[store] url`")]
    NotOurs { place: String, why: String },
    #[error(
        "the database `{place}` has schema version {found}, made by locum {made_by}; this is locum \
         {program}, which knows versions up to {known}: start the newer program"
    )]
    Newer { place: String, found: i64, made_by: String, known: i64, program: String },
    #[error(
        "the database `{place}` needs schema version {known} and has {found}, but `{by}` is using it: stop \
         that one first"
    )]
    InUse { place: String, by: String, found: i64, known: i64 },
    #[error("SQLite {found} is too old: from 3.51.3 on its write-ahead log cannot corrupt a database")]
    SqliteTooOld { found: String },
    #[error("PostgreSQL {found} at `{place}` is too old: version 13 or newer is needed")]
    PostgresTooOld { place: String, found: String },
    /// Says nothing of the URL: whatever part of it was misread may be the password.
    #[error(
        "the URL of the database cannot be read: write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and \
         `%XX` for special characters in the password"
    )]
    Url,
    /// Names no parameter: it may be a part of the password.
    #[error(
        "the URL of the database has a parameter after its `?` that is not known; known are `sslmode`, `sslrootcert`, \
         `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, `user`, `password`, `dbname`, `options`, `application_name` \
         and `statement-cache-capacity`"
    )]
    Parameter,
    #[error(
        "`sslmode=verify-ca` in the URL of the database would take any server for the right one whose certificate any \
         authority has signed: write `sslmode=verify-full`"
    )]
    HalfVerified,
    #[error("`sslrootcert` in the URL of the database is looked at only with `sslmode=verify-full`: write both")]
    Unverified,
    #[error("the database server at `{place}` refuses user `{user}`: check the user and the password of `[store] url`")]
    Credentials { place: String, user: String },
    #[error(
        "the database `{database}` does not exist at `{place}`: create it with `createdb`, or name another \
         in `[store] url`"
    )]
    NoDatabase { place: String, database: String },
    #[error(
        "not all of what is moved into the database `{place}` has arrived: run `locum db move` again, or name the old \
         database in `[store] url`"
    )]
    HalfArrived { place: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What goes wrong with an open store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the database `{place}` is locked by another program: end that program, or try again when it is done")]
    Locked { place: String },
    #[error("the database file `{place}` is gone or another file took its place: put it back and start again")]
    Gone { place: String },
    #[error("the disk that holds the database `{place}` is full: make room and try again; nothing of this was kept")]
    Full { place: String },
    #[error("the database `{place}` is damaged: restore it from a backup ({why})")]
    Damaged { place: String, why: String },
    #[error(
        "the database `{place}` cannot be opened or written with this program's permissions: {why}; give its \
         user the file and the folder around it"
    )]
    Permission { place: String, why: String },
    #[error(
        "the database server at `{place}` cannot be reached: {why}; see that it runs and that the address is right"
    )]
    Unreachable { place: String, why: String },
    #[error(
        "the database server at `{place}` does not prove who it is: {why}; see that `sslrootcert` names the authority of \
         its certificate, and that the host is one that the certificate names"
    )]
    Untrusted { place: String, why: String },
    #[error("the database `{place}` did not answer within {} ms", .after.as_millis())]
    TimedOut { place: String, after: Duration },
    #[error("{waiting} operations wait for the database already: try again later")]
    Overloaded { waiting: usize },
    #[error("the store was closed: this program is shutting down")]
    Closed,
    #[error(
        "the connection to `{place}` broke during the commit: look whether the change was made, then repeat it if not"
    )]
    InDoubt { place: String },
    #[error("an operation on the store panicked; nothing of it was kept")]
    Panicked,
    #[error("a fault in Locum, not in the database: {why}")]
    Fault { why: String },
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("the database refuses what breaks its rules: {why}")]
    Rule { why: String },
    #[error("an action of type `{kind}` cannot have the actor `{actor}`")]
    Actor { kind: &'static str, actor: String },
    #[error("the database holds in `{column}` what this program cannot read: {why}")]
    Unreadable { column: String, why: String },
    #[error("the database `{place}` failed: {why}")]
    Failed { place: String, why: String },
}

/// Why a change was not made: its own rule said no, or the store could not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E> {
    #[error(transparent)]
    Rule(E),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What stands in the way of a new name (P2) or code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("the username `{0}` is taken: choose another")]
    UsernameTaken(Username),
    #[error("the username `{wanted}` differs from `{existing}` only in case: choose another")]
    LookAlike { wanted: Username, existing: Username },
    #[error("this email address belongs to another person already")]
    EmailTaken,
    #[error("the public id `{0}` is taken: make another token")]
    PublicIdTaken(PublicId),
    #[error("the role `{0}` exists already")]
    RoleExists(RoleName),
    #[error("the reason `{0}` exists already")]
    ReasonExists(ReasonCode),
}

impl StoreError {
    pub(crate) fn unreadable(column: &str, why: String) -> Self {
        Self::Unreadable { column: column.to_owned(), why }
    }
}
