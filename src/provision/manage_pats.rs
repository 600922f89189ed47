//! The process *manage personal access tokens*: what it revokes, what it reports (T9, T12).
//!
//! It goes over the tokens and the proxy users in the order of their ids, a few in each transaction, and what it did is
//! written with how far it has come: whoever goes on after a run that died does nothing twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::household::{Doer, Plan};
use super::job::{self, Work, tell};
use super::operation::{Attempt, Decided, Effects};
use super::{Error, Provision};
use crate::clock::Timestamp;
use crate::directory::pat::Standing;
use crate::directory::{AccountId, Actor, Pat, PublicId, ReasonCode};
use crate::history::{ActionType, Actions};
use crate::store::{HistoryFilter, RunProgress};

/// Tokens that are looked at, and revoked at most, in one transaction.
const TOKENS: u32 = 200;
/// Proxy users that are looked at in one query.
const PROXIES: u32 = 50;
/// How far back stale credentials are looked for.
const STALE_WITHIN: Duration = Duration::from_hours(7 * 24);
/// How many entries about stale credentials are read.
const STALE_ENTRIES: u32 = 10_000;
const DAY: Duration = Duration::from_hours(24);
/// By which rule idle proxy users are made inactive.
const IDLE: &str = "T12";

/// What is managed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagePats {
    /// Whether expired tokens are revoked.
    pub revoke_expired: bool,
    /// Tokens that were not used for so many days are revoked; `None`: none.
    pub unused_days: Option<u32>,
    /// Proxy users that did not authenticate for so many days are reported.
    pub idle_days: u32,
    /// Whether those are made inactive, too.
    pub inactivate_idle: bool,
}

impl Default for ManagePats {
    fn default() -> Self {
        Self { revoke_expired: true, unused_days: None, idle_days: 365, inactivate_idle: false }
    }
}

/// Why a token is to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Expired,
    Unused,
}

impl Due {
    const fn slug(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unused => "unused",
        }
    }

    const fn kind(self) -> ActionType {
        match self {
            Self::Expired => ActionType::PatExpired,
            Self::Unused => ActionType::PatRevoked,
        }
    }

    fn reason(self) -> ReasonCode {
        match self {
            Self::Expired => ReasonCode::expired(),
            Self::Unused => ReasonCode::no_longer_in_use(),
        }
    }
}

impl ManagePats {
    fn due(&self, pat: &Pat, now: Timestamp) -> Option<Due> {
        match pat.standing(now) {
            Standing::Expired => self.revoke_expired.then_some(Due::Expired),
            Standing::Usable => {
                let unused = DAY * self.unused_days?;
                let since = pat.last_used.as_ref().map_or(pat.created_at, |last| last.at.max(pat.created_at));
                (now.since(since) >= unused).then_some(Due::Unused)
            }
            Standing::Pending | Standing::Lapsed | Standing::Revoked => None,
        }
    }
}

/// Where a run goes on.
enum Reached {
    /// After this token.
    Tokens(String),
    /// After this proxy user.
    Proxies(Option<AccountId>),
    Stale,
}

impl Reached {
    fn read(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("proxy", id)) => {
                let id = uuid::Uuid::parse_str(id).ok();
                Self::Proxies(id.map(|id| AccountId::from_bytes(*id.as_bytes())))
            }
            Some((_, after)) => Self::Tokens(after.to_owned()),
            None if text == "proxies" => Self::Proxies(None),
            None if text == "stale" => Self::Stale,
            None => Self::Tokens(String::new()),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Tokens(after) => format!("token {after}"),
            Self::Proxies(None) => "proxies".to_owned(),
            Self::Proxies(Some(id)) => format!("proxy {id}"),
            Self::Stale => "stale".to_owned(),
        }
    }
}

/// Does the next part, and says how far that is; whether there is more.
///
/// # Errors
/// When the store does not answer, or another has claimed the run. What was done is written; it is safe to go on.
pub async fn step(
    provision: &Provision,
    work: &Work,
    options: &ManagePats,
    progress: &mut RunProgress,
) -> Result<bool, Error> {
    match Reached::read(&progress.reached) {
        Reached::Tokens(after) => tokens(provision, work, options, progress, after).await.map(|()| true),
        Reached::Proxies(after) => proxies(provision, work, options, progress, after).await.map(|()| true),
        Reached::Stale => stale(provision, work, progress).await.map(|()| false),
    }
}

async fn tokens(
    provision: &Provision,
    work: &Work,
    options: &ManagePats,
    progress: &mut RunProgress,
    after: String,
) -> Result<(), Error> {
    let now = provision.clock().now();
    let pats = provision.0.store.read().await?.live_pats(&after, TOKENS).await?;
    let mut next = progress.clone();
    next.processed += pats.len() as u64;
    next.reached = match pats.last() {
        Some(last) if pats.len() == TOKENS as usize => Reached::Tokens(last.public_id.to_string()).write(),
        _ => Reached::Proxies(None).write(),
    };
    let due: Vec<_> = pats.iter().filter_map(|pat| Some((pat, options.due(pat, now)?))).collect();
    if work.dry_run || due.is_empty() {
        for (pat, due) in due {
            next.changed += 1;
            tell(&mut next, due.slug(), pat.public_id.as_str(), &pat.account.to_string());
        }
        job::book(provision, work, &next).await?;
    } else {
        let due = due.into_iter().map(|(pat, _)| pat.public_id).collect();
        next = revoke(provision, work, options.clone(), next, due).await?;
    }
    *progress = next;
    Ok(())
}

/// Revokes those that are due still, in one transaction with how far the run has come.
async fn revoke(
    provision: &Provision,
    work: &Work,
    options: ManagePats,
    progress: RunProgress,
    due: Vec<PublicId>,
) -> Result<RunProgress, Error> {
    let (own, request) = (work.clone(), work.request());
    let mut next = progress;
    let revoked = provision.change(&request, Attempt::to("manage_pats"), move |mut hand| {
        Box::pin(async move {
            let (mut actions, mut effects) = (Vec::new(), Effects::default());
            for public_id in due {
                let Some(mut pat) = hand.writer.live_pat(public_id).await? else { continue };
                let (Some(due), before) = (options.due(&pat, hand.now), pat.standing(hand.now)) else { continue };
                if pat.revoke(hand.now, Actor::Locum, due.reason()).is_err() {
                    continue;
                }
                hand.writer.save_pat_state(&pat).await?;
                let action = own.action(&hand, due.kind()).to(pat.account).object(public_id.as_str());
                actions.push(action.detail("state", Some(before.slug()), Some("revoked")).detail(
                    "reason",
                    None,
                    Some(due.reason().as_str()),
                ));
                effects.ended_pats.push((pat.account, public_id));
                next.changed += 1;
                tell(&mut next, due.slug(), public_id.as_str(), &pat.account.to_string());
            }
            Ok(match Actions::from_vec(actions) {
                Some(actions) => {
                    hand.step(&own, &next).await?;
                    Decided::Changed((next, true), actions, effects)
                }
                None => Decided::AsItWas((next, false)),
            })
        })
    });
    let (next, written) = revoked.await?;
    if !written {
        job::book(provision, work, &next).await?;
    }
    Ok(next)
}

async fn proxies(
    provision: &Provision,
    work: &Work,
    options: &ManagePats,
    progress: &mut RunProgress,
    after: Option<AccountId>,
) -> Result<(), Error> {
    let since = provision.clock().now().minus(DAY * options.idle_days);
    let idle = provision.0.store.read().await?.idle_proxies(since, after, PROXIES).await?;
    for account in &idle {
        let mut next = progress.clone();
        next.processed += 1;
        next.reached = Reached::Proxies(Some(account.id)).write();
        let mut told = next.clone();
        tell(&mut told, "idle", "-", &account.id.to_string());
        told.changed += u64::from(options.inactivate_idle);
        if !options.inactivate_idle || work.dry_run {
            next = told;
            job::book(provision, work, &next).await?;
        } else if inactivate(provision, work, account.id, since, told.clone()).await? {
            next = told;
        } else {
            job::book(provision, work, &next).await?;
        }
        *progress = next;
    }
    if idle.len() < PROXIES as usize {
        progress.reached = Reached::Stale.write();
        job::book(provision, work, progress).await?;
    }
    Ok(())
}

/// Makes a proxy user inactive that is idle still, with its tokens (T12, P10).
async fn inactivate(
    provision: &Provision,
    work: &Work,
    account: AccountId,
    since: Timestamp,
    progress: RunProgress,
) -> Result<bool, Error> {
    let own = work.clone();
    provision
        .change(&work.request(), Attempt::to("manage_pats"), move |mut hand| {
            Box::pin(async move {
                if !hand.writer.is_idle_proxy(account, since).await? {
                    return Ok(Decided::AsItWas(false));
                }
                let Some(account) = hand.writer.account(account).await? else { return Ok(Decided::AsItWas(false)) };
                hand.step(&own, &progress).await?;
                let household = hand.household(&account).await?;
                let changes = household.inactivate_proxy(account.id);
                let doer = Doer::Locum { cause: IDLE, reason: ReasonCode::idle() };
                let plan = Plan { target: account.id, doer, cascade: IDLE };
                hand.carry_out(&household, &changes, &plan, Vec::new(), true).await
            })
        })
        .await
}

/// Reports which tokens that are expired or revoked are presented all the same (L6).
async fn stale(provision: &Provision, work: &Work, progress: &mut RunProgress) -> Result<(), Error> {
    let since = Some(provision.clock().now().minus(STALE_WITHIN));
    let kind = Some(ActionType::StaleCredential);
    let filter = HistoryFilter { kind, since, limit: STALE_ENTRIES, ..HistoryFilter::default() };
    let entries = provision.0.store.read().await?.history(&filter).await?;
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries {
        let (Some(object), Some(account)) = (entry.action.object, entry.action.target) else { continue };
        if seen.insert(object.clone()) {
            progress.processed += 1;
            tell(progress, "stale", &object, &account.to_string());
        }
    }
    job::book(provision, work, progress).await
}
