//! Retention: entries of the history that are older than an age are moved to an archive, behind a signed
//! statement; what remains verifies, and with the archive all of it does (H7).
//!
//! Part by part, each of at most so many entries. The order of a part is what keeps everything through the end of
//! the process at any moment:
//!
//! 1. what an earlier run moved out and did not remove any more is removed;
//! 2. the entries are written to a file, their chain followed on the way, a signed checkpoint at the end; the file
//!    is flushed, gets its name, and the folder is flushed;
//! 3. one change says, signed, that the history now begins after them (its *base*), with its action;
//! 4. only now are they removed, a few at a time. The database refuses to remove anything else.
//!
//! A run that ends after 2 left a file that the next one finds, compares with the history and goes on with.

mod archive;

use std::path::PathBuf;
use std::time::Duration;

use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Refusal, Request};
use crate::clock::Timestamp;
use crate::directory::rights::Operation;
use crate::history::checkpoint::{PublicKey, Purpose, Signed, SigningKey};
use crate::history::{Action, ActionType, Place};
use crate::store::Reader;
use archive::Archive;
use uuid::Uuid;

/// How many entries are removed in one transaction.
const REMOVED_AT_ONCE: u32 = 500;
/// How many entries are looked at in one query.
const LOOKED_AT_ONCE: u32 = 10_000;

/// For how long the history is kept, and where older entries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// `None`: for ever.
    pub keep: Option<Duration>,
    /// `None`: nothing can be moved out.
    pub archive: Option<PathBuf>,
    /// How many entries one file of the archive holds at most.
    pub part: u64,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { keep: None, archive: None, part: 100_000 }
    }
}

/// What is to be moved out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Entries before this instant; those older than the age that is configured when not said.
    pub before: Option<Timestamp>,
    /// Only says what would be moved.
    pub dry_run: bool,
}

/// What was moved out, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries before this instant.
    pub before: Timestamp,
    /// The first of them.
    pub from: u64,
    pub entries: u64,
    /// The files of the archive that were written, in their order.
    pub files: Vec<PathBuf>,
}

/// Who lets entries be moved out.
#[derive(Debug, Clone)]
enum By {
    Caller(Request),
    /// The age that is configured.
    Age,
}

impl By {
    fn request(&self) -> Request {
        match self {
            Self::Caller(request) => request.clone(),
            Self::Age => Request::from_host("locum"),
        }
    }

    fn action(&self, hand: &Hand<'_>) -> Action {
        match self {
            Self::Caller(_) => hand.action(ActionType::HistoryTrimmed),
            Self::Age => hand.request.consequence(ActionType::HistoryTrimmed, "H7"),
        }
    }
}

/// Moves old entries to the archive.
///
/// # Errors
/// When the caller may not, no archive is configured, the instant is not allowed, the history does not hold, or the
/// archive or the store cannot be written. What was moved until then stays so, and the next run goes on.
pub async fn trim(provision: &Provision, request: &Request, wish: Wish) -> Result<Trimmed, Error> {
    let trimming = async {
        request.demand(&Operation::ManageInstallation)?;
        if wish.before.is_some() && provision.settings().retention.keep.is_none() {
            // Nobody has written down how much of it is to stay: then it is for whoever holds the machine to say.
            request.demand(&Operation::BreakGlass)?;
        }
        let before = due(provision, wish.before)?;
        if wish.dry_run {
            return count(provision, before).await;
        }
        run_whole(provision, By::Caller(request.clone()), before).await
    };
    let trimmed = trimming.await;
    if let Err(Error::Refused(refusal)) = &trimmed
        && (!wish.dry_run || matches!(refusal, Refusal::NotAllowed(_)))
    {
        provision.record_refusal(request, Attempt::to("history_trim"), refusal).await?;
    }
    trimmed
}

/// Moves out what is older than the age that is configured; `None` where none is. No right is asked for: this is Locum's
/// own work, and nobody can call it from outside.
///
/// # Errors
/// As [`trim`].
pub async fn trim_by_age(provision: &Provision) -> Result<Option<Trimmed>, Error> {
    if provision.settings().retention.keep.is_none() {
        return Ok(None);
    }
    let before = due(provision, None)?;
    run_whole(provision, By::Age, before).await.map(Some)
}

/// Counts what [`trim_by_age`] would move; `None` where no age is configured.
///
/// # Errors
/// When the store does not answer.
pub async fn count_by_age(provision: &Provision) -> Result<Option<Trimmed>, Error> {
    if provision.settings().retention.keep.is_none() {
        return Ok(None);
    }
    let before = due(provision, None)?;
    count(provision, before).await.map(Some)
}

/// Entries before which instant are to go. What is younger than the age that is configured stays, whoever asks.
fn due(provision: &Provision, wished: Option<Timestamp>) -> Result<Timestamp, Refusal> {
    let (settings, now) = (provision.settings(), provision.clock().now());
    if settings.retention.archive.is_none() {
        return Err(Refusal::NoArchive);
    }
    let latest = settings.retention.keep.map(|keep| now.minus(keep));
    match (wished, latest) {
        (None, None) => Err(Refusal::NoAge),
        (None, Some(latest)) => Ok(latest),
        (Some(wished), latest) => {
            let latest = latest.unwrap_or(now);
            if wished > latest { Err(Refusal::TooYoung { latest }) } else { Ok(wished) }
        }
    }
}

/// Counts what would be moved.
async fn count(provision: &Provision, before: Timestamp) -> Result<Trimmed, Error> {
    let mut reader = provision.0.store.read().await?;
    let base = reader.begins_after().await?;
    let mut entries = 0;
    loop {
        let (older, done) = reader.older(base.sequence + entries, before, LOOKED_AT_ONCE).await?;
        entries += older;
        if done {
            return Ok(Trimmed { before, from: base.sequence + 1, entries, files: Vec::new() });
        }
    }
}

/// In a task of its own: a caller that goes away would leave half of a write behind, which the next run would meet.
async fn run_whole(provision: &Provision, by: By, before: Timestamp) -> Result<Trimmed, Error> {
    let provision = provision.clone();
    tokio::spawn(async move { run(&provision, by, before).await }).await.unwrap_or(Err(Error::Interrupted))
}

async fn run(provision: &Provision, by: By, before: Timestamp) -> Result<Trimmed, Error> {
    let Ok(_turn) = provision.0.trimming.try_lock() else { return Err(Refusal::TrimmedAlready.into()) };
    let settings = provision.settings();
    let Some(folder) = settings.retention.archive.clone() else { return Err(Refusal::NoArchive.into()) };
    let key = provision.history_key().await?;
    let archive = Archive::open(folder).await?;
    // Before anything is removed: a base that somebody else has written is no reason to.
    let base = believed_base(provision, &key).await?;
    remove_moved_out(provision).await?;
    let mut trimmed = Trimmed { before, from: base.sequence + 1, entries: 0, files: Vec::new() };
    loop {
        let Some(part) = archive.part(provision, &key, before, settings.retention.part).await? else {
            return Ok(trimmed);
        };
        stop_at("trim::archived").await;
        rebase(provision, &by, &key, &part).await?;
        stop_at("trim::based").await;
        remove_moved_out(provision).await?;
        let moved = part.through.sequence - part.follows.sequence;
        trimmed.entries += moved;
        metrics::counter!("locum_history_trimmed_entries_total").increment(moved);
        trimmed.files.push(part.file);
    }
}

/// A file of the archive whose entries are to be removed.
#[derive(Debug)]
struct Part {
    file: PathBuf,
    /// What its first entry follows.
    follows: Place,
    through: Place,
}

/// Where the history begins that is kept, once it is shown that this installation said so.
async fn believed_base(provision: &Provision, key: &SigningKey) -> Result<Place, Error> {
    let mut reader = provision.0.store.read().await?;
    let Some(base) = reader.base().await? else { return Ok(Place::GENESIS) };
    let installation = reader.installation().await?;
    base_signed(&base.signed, base.place, &key.public_key(), installation).map_err(Refusal::BrokenHistory)?;
    Ok(base.place)
}

/// Whether `signed`, as JSON, says that the history which is kept begins after `place`.
///
/// # Errors
/// Says what does not agree.
pub(super) fn base_signed(signed: &str, place: Place, key: &PublicKey, installation: Uuid) -> Result<(), String> {
    let begins = format!("it begins after entry {}, and that is not as this installation signed it", place.sequence);
    let signed = Signed::from_json(signed).map_err(|why| format!("{begins}: {why}"))?;
    signed.check_as(Purpose::Base, key, installation).map_err(|forged| format!("{begins}: {forged}"))?;
    if signed.statement.place() == place {
        return Ok(());
    }
    let other = signed.statement.sequence;
    Err(format!("{begins}: what was signed speaks of entry {other}, or of another history"))
}

/// Says, signed and with its action, that the history begins after `part`.
async fn rebase(provision: &Provision, by: &By, key: &SigningKey, part: &Part) -> Result<(), Error> {
    let installation = provision.0.store.read().await?.installation().await?;
    let signed = provision.sign(key, Purpose::Base, installation, part.through).to_json();
    let (by, follows, through) = (by.clone(), part.follows, part.through);
    let file = part.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let request = by.request();
    let rebased = provision
        .change(&request, Attempt::to("history_trim"), move |hand| {
            Box::pin(async move {
                if let By::Caller(_) = &by {
                    hand.request.demand(&Operation::ManageInstallation)?;
                }
                if hand.writer.begins_after().await? != follows {
                    return Ok(Decided::AsItWas(false));
                }
                hand.writer.set_history_base(through, &signed).await?;
                let trimmed = by
                    .action(&hand)
                    .object(file)
                    .detail("begins_after", Some(&follows.sequence.to_string()), Some(&through.sequence.to_string()))
                    .detail("hash", Some(&follows.hash.to_string()), Some(&through.hash.to_string()));
                Hand::done(true, trimmed, Effects::default())
            })
        })
        .await?;
    // By another node.
    if rebased { Ok(()) } else { Err(Refusal::TrimmedAlready.into()) }
}

/// Removes what stands before the base.
async fn remove_moved_out(provision: &Provision) -> Result<(), Error> {
    let bookkeeping = provision.0.store.bookkeeping();
    while bookkeeping.remove_moved_out(REMOVED_AT_ONCE).await? == u64::from(REMOVED_AT_ONCE) {
        stop_at("trim::removing").await;
    }
    Ok(())
}

/// Where fault tests end the process between two steps.
#[cfg(feature = "failpoints")]
async fn stop_at(step: &'static str) {
    let stopped = tokio::task::spawn_blocking(move || fail::fail_point!(step)).await;
    debug_assert!(stopped.is_ok(), "nothing panics at a point");
}

#[cfg(not(feature = "failpoints"))]
async fn stop_at(_step: &'static str) {}

/// The hash of an entry that is there.
async fn place_of(reader: &mut Reader, sequence: u64) -> Result<Option<Place>, Error> {
    let link = reader.links(sequence, 1).await?.pop();
    Ok(link.filter(|link| link.sequence == sequence).map(|link| link.place()))
}
