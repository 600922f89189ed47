//! The archive: a folder of exports, each with the entries that follow those of the one before.
//!
//! `history-000000000001-000000000500.jsonl` holds the entries 1 to 500, in the form of `locum audit export`, its end
//! signed. A file gets its name when it is whole and on the disk, and is never written again.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Part, place_of, stop_at};
use crate::clock::Timestamp;
use crate::history::chain::Verifier;
use crate::history::checkpoint::{PublicKey, Purpose, SigningKey};
use crate::history::export::{Head, Line, archive_name, archive_span};
use crate::history::exported::{Exported, Held};
use crate::history::{Link, Place, canonical};
use crate::provision::{Error, Provision, Refusal};

/// Held by whoever writes to the folder.
const LOCK: &str = "history.lock";
/// What is being written.
const UNFINISHED: &str = "history.unfinished";
/// How many entries are read and written at once.
const PAGE: u32 = 256;
/// The longest line that is read.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// An archive that nobody else writes to, for as long as this is held.
#[derive(Debug)]
pub(super) struct Archive {
    folder: PathBuf,
    _lock: File,
}

impl Archive {
    /// Makes the folder where it is missing, for nobody but this user.
    pub(super) async fn open(folder: PathBuf) -> Result<Self, Error> {
        let place = folder.clone();
        let opened = blocking(&folder, move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
            let folder = std::fs::metadata(&place)?;
            if folder.mode() & 0o022 != 0 || folder.uid() != rustix::process::geteuid().as_raw() {
                let why = "it belongs to another user, or others can write to it: what is moved there is deleted here";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(place.join(LOCK))
        });
        let lock = opened.await?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Refusal::TrimmedAlready.into()),
            Err(TryLockError::Error(error)) => Err(refusal(&folder, &error).into()),
        }
    }

    /// The next part of the archive: what an earlier run wrote, or else at most `most` entries before `before`, written
    /// now. `None` when there are none.
    pub(super) async fn part(
        &self,
        provision: &Provision,
        key: &SigningKey,
        before: Timestamp,
        most: u64,
    ) -> Result<Option<Part>, Error> {
        let follows = provision.0.store.read().await?.begins_after().await?;
        if let Some(part) = self.left_behind(provision, key, follows, before).await? {
            return Ok(Some(part));
        }
        self.write(provision, key, follows, before, most).await
    }

    /// A whole file of the entries that come next, from a run that ended before it could say so.
    async fn left_behind(
        &self,
        provision: &Provision,
        key: &SigningKey,
        follows: Place,
        before: Timestamp,
    ) -> Result<Option<Part>, Error> {
        let (folder, first) = (self.folder.clone(), follows.sequence + 1);
        let public_key = key.public_key();
        let found = blocking(&self.folder, move || {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(&folder)? {
                let file = entry?.path();
                if span_of(&file).is_some_and(|(from, _)| from == first) {
                    found.push((held(&file, public_key), file));
                }
            }
            Ok(found)
        });
        for (held, file) in found.await? {
            let foreign = |why: String| Refusal::Archive { place: file.display().to_string(), why };
            let (held, youngest) = held.map_err(foreign)?;
            let known = place_of(&mut provision.0.store.read().await?, held.through.sequence).await?;
            if held.follows != follows.sequence || known != Some(held.through) {
                let why = "it begins where this history does, and its entries are others: give each installation a \
                           folder of its own";
                return Err(foreign(why.to_owned()).into());
            }
            if youngest < before {
                return Ok(Some(Part { file, follows, through: held.through }));
            }
        }
        Ok(None)
    }

    async fn write(
        &self,
        provision: &Provision,
        key: &SigningKey,
        follows: Place,
        before: Timestamp,
        most: u64,
    ) -> Result<Option<Part>, Error> {
        let installation = provision.0.store.read().await?.installation().await?;
        let head = Line::Head(Head { installation, sequence: follows.sequence, hash: follows.hash });
        let mut verifier = Verifier::after(follows);
        self.begin(lines(&[head])?).await?;
        loop {
            let at = verifier.at().sequence;
            let left = most - (at - follows.sequence);
            let page = u32::try_from(left).map_or(PAGE, |left| left.min(PAGE));
            if page == 0 {
                break;
            }
            let links = provision.0.store.read().await?.links(at + 1, page).await?;
            let whole = links.len() == page as usize;
            let old = follow_older(&mut verifier, links, before)?;
            let all_old = old.len() == page as usize;
            self.append(lines(&old.into_iter().map(Line::Entry).collect::<Vec<_>>())?).await?;
            stop_at("trim::writing").await;
            if !whole || !all_old {
                break;
            }
        }
        let through = verifier.at();
        if through == follows {
            return Ok(None);
        }
        let signed = provision.sign(key, Purpose::Checkpoint, installation, through);
        self.append(lines(&[Line::Checkpoint(signed)])?).await?;
        stop_at("trim::written").await;
        let file = self.finish(follows.sequence + 1, through.sequence).await?;
        // Read back before anything is deleted for it.
        let (read, public_key) = (file.clone(), key.public_key());
        let (there, _youngest) =
            blocking(&self.folder, move || held(&read, public_key).map_err(io::Error::other)).await?;
        if (there.follows, there.through) != (follows.sequence, through) {
            let why = "what was written there is not what is there".to_owned();
            return Err(Refusal::Archive { place: file.display().to_string(), why }.into());
        }
        Ok(Some(Part { file, follows, through }))
    }

    /// Writes over what an earlier run did not finish.
    async fn begin(&self, text: String) -> Result<(), Error> {
        let path = self.folder.join(UNFINISHED);
        blocking(&self.folder, move || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(path)?.write_all(text.as_bytes())
        })
        .await
    }

    async fn append(&self, text: String) -> Result<(), Error> {
        let path = self.folder.join(UNFINISHED);
        blocking(&self.folder, move || OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())).await
    }

    /// Flushes the file, gives it its name, and flushes that.
    async fn finish(&self, from: u64, through: u64) -> Result<PathBuf, Error> {
        let folder = self.folder.clone();
        blocking(&self.folder, move || {
            let unfinished = folder.join(UNFINISHED);
            let file = folder.join(archive_name(from, through));
            OpenOptions::new().append(true).open(&unfinished)?.sync_all()?;
            if file.try_exists()? {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` exists", file.display())));
            }
            std::fs::rename(&unfinished, &file)?;
            File::open(&folder)?.sync_all()?;
            Ok(file)
        })
        .await
    }
}

/// Follows `links` up to the first that is not older than `before`, and answers with those.
fn follow_older(verifier: &mut Verifier, links: Vec<Link>, before: Timestamp) -> Result<Vec<Link>, Refusal> {
    let broken = |why: String| Refusal::BrokenHistory(why);
    let mut older = Vec::with_capacity(links.len());
    for link in links {
        let entry = canonical::decode(&link.canonical);
        let entry = entry.map_err(|error| broken(format!("entry {} cannot be read: {error}", link.sequence)))?;
        if entry.at >= before {
            break;
        }
        verifier.follow(&link).map_err(|why| broken(why.to_string()))?;
        older.push(link);
    }
    Ok(older)
}

fn lines(lines: &[Line]) -> Result<String, Refusal> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.write().map_err(Refusal::BrokenHistory)?);
        text.push('\n');
    }
    Ok(text)
}

/// The first and the last entry of a file of the archive, by its name.
fn span_of(file: &Path) -> Option<(u64, u64)> {
    archive_span(file.file_name()?.to_str()?)
}

/// What a file of the archive holds, and when its youngest entry was written.
fn held(file: &Path, key: PublicKey) -> Result<(Held, Timestamp), String> {
    let mut exported = Exported::new(key, Vec::new());
    let mut youngest = Timestamp::from_millis(i64::MIN);
    let mut reader = BufReader::new(File::open(file).map_err(|error| error.to_string())?);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LONGEST_LINE).read_line(&mut line).map_err(|error| error.to_string())? == 0 {
            break;
        }
        let line = line.strip_suffix('\n').ok_or("it ends in the middle of a line")?;
        exported.line(line).map_err(|untrusted| untrusted.to_string())?;
        if let Ok(Line::Entry(link)) = Line::read(line) {
            let entry = canonical::decode(&link.canonical).map_err(|error| error.to_string())?;
            youngest = youngest.max(entry.at);
        }
    }
    Ok((exported.end().map_err(|untrusted| untrusted.to_string())?, youngest))
}

/// Does what blocks where it holds nobody up.
async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(folder, &error).into()),
        Err(_panicked) => Err(Error::Interrupted),
    }
}

fn refusal(folder: &Path, error: &io::Error) -> Refusal {
    Refusal::Archive { place: folder.display().to_string(), why: error.to_string() }
}
