//! Checking a token without side effects: no failure counted, no use recorded (T13).
//!
//! For the host socket and the admin API only. Whatever does not prove the secret gets one answer: a
//! mistyped token, an unknown one and a wrong secret cannot be told apart.

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::directory::pat::Standing;
use crate::directory::pepper::Peppers;
use crate::directory::{AppName, PublicId, RoleName, RoleSet, Token, TokenKind, Username};
use crate::store::{Store, StoreError};

/// What a check says of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// This is no token of this installation.
    Unknown,
    Known(Box<Report>),
}

/// What is known of a token whose secret is right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Report {
    pub public_id: PublicId,
    pub service: String,
    pub standing: Standing,
    pub expires_at: Timestamp,
    /// Whole days until it expires; 0 on the last one, and when it has expired.
    pub days_left: u64,
    pub account: Username,
    pub account_active: bool,
    pub owner: Option<Username>,
    pub owner_active: bool,
    /// Whether token and account may be used from the address that was asked about.
    pub source_allowed: bool,
    /// Only safe methods.
    pub read_only: bool,
    /// Whether a request with it would be let in now, from that address.
    pub usable: bool,
    /// The apps that it reaches; none when it is not usable.
    pub apps: Vec<AppName>,
    /// The roles that it carries; none when it is not usable.
    pub roles: Vec<RoleName>,
}

/// Checks the text of a token as if it came from `from` at `now`.
///
/// # Errors
/// When the store cannot be read.
pub async fn check(
    store: &Store,
    peppers: &Peppers,
    token_prefix: &str,
    token: &str,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Checked, StoreError> {
    let Ok(token) = Token::parse(token.trim(), token_prefix) else { return Ok(Checked::Unknown) };
    if token.kind() != TokenKind::PersonalAccess {
        return Ok(Checked::Unknown);
    }
    let mut reader = store.read().await?;
    let Some(kept) = reader.look_up(None, Some(token.public_id())).await?.pat else { return Ok(Checked::Unknown) };
    if !peppers.hash(kept.pepper, &token).is_some_and(|hash| hash.agrees_with(&kept.hash)) {
        return Ok(Checked::Unknown);
    }
    let in_force = match reader.principal(kept.account.id).await? {
        None => RoleSet::default(),
        Some(found) => RoleSet::resolve(&found.own, found.owners.as_ref(), &found.definitions),
    };
    let (standing, expires_at) = (kept.pat.standing(now), kept.pat.ends_at());
    let owner_active = kept.owner.as_ref().is_some_and(|owner| owner.state.is_active());
    let account_active = kept.account.state.is_active();
    let source_allowed = kept.account.networks.allow(from) && kept.pat.restrictions.networks.allow(from);
    let usable = standing == Standing::Usable && account_active && owner_active && source_allowed;
    let reached = if usable { in_force } else { RoleSet::default() };
    Ok(Checked::Known(Box::new(Report {
        public_id: kept.pat.public_id,
        service: kept.pat.service,
        standing,
        expires_at,
        days_left: expires_at.since(now).as_secs() / (24 * 60 * 60),
        account: kept.account.username,
        account_active,
        owner: kept.owner.map(|owner| owner.username),
        owner_active,
        source_allowed,
        read_only: kept.pat.restrictions.read_only,
        usable,
        apps: reached.apps().filter(|app| kept.pat.restrictions.allow_app(app)).cloned().collect(),
        roles: reached.roles().cloned().collect(),
    })))
}
