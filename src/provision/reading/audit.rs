//! Proving the history: following its chain, saying where it stands under the installation's signature, and
//! handing all of it out (H5).

use std::sync::Arc;

use super::refused_if_not_allowed;
use crate::directory::rights::Operation;
use crate::history::chain::Verifier;
use crate::history::checkpoint::{PublicKey, Purpose, Signed, SigningKey, Statement};
use crate::history::export::{Head as ExportHead, Line};
use crate::history::{Link, Place};
use crate::provision::retention::base_signed;
use crate::provision::{Error, Provision, Refusal, Request};
use crate::store::{AuditError, Head};
use uuid::Uuid;

/// How many entries are read and handed out at once.
const PAGE: u32 = 256;

/// What following the chain came to. A broken chain is an answer.
#[derive(Debug)]
pub struct Audit {
    pub head: Head,
    /// What its first entry follows: the last one that was moved to the archive, if any was (H7).
    pub begins_after: Place,
    /// How many checkpoints were compared.
    pub checkpoints: usize,
    pub broken: Option<String>,
}

/// Follows the chain of the whole history, by checkpoints too that were kept elsewhere. `key` is what these
/// are checked with; the installation's own where none is given.
///
/// # Errors
/// When the caller may not, the store does not answer, or a key is needed that cannot be read.
pub async fn audit(
    provision: &Provision,
    request: &Request,
    checkpoints: &[Signed],
    key: Option<PublicKey>,
) -> Result<Audit, Error> {
    let reading = async {
        request.demand(&Operation::ReadHistory { app: None })?;
        let mut reader = provision.0.store.read().await?;
        let (head, base) = (reader.head().await?, reader.base().await?);
        let begins_after = base.as_ref().map_or(Place::GENESIS, |base| base.place);
        let answer = |broken: Option<String>| Audit { head, begins_after, checkpoints: checkpoints.len(), broken };
        if !checkpoints.is_empty() || base.is_some() {
            let key = match key {
                Some(key) => key,
                None => provision.history_key().await?.public_key(),
            };
            let installation = reader.installation().await?;
            let forged = checkpoints.iter().find_map(|signed| signed.check(&key, installation).err());
            if let Some(forged) = forged {
                return Ok(answer(Some(forged.to_string())));
            }
            let unsigned = base.map(|base| base_signed(&base.signed, base.place, &key, installation));
            if let Some(Err(why)) = unsigned {
                return Ok(answer(Some(why)));
            }
        }
        let known: Vec<Place> = checkpoints.iter().map(|signed| signed.statement.place()).collect();
        match reader.audit_by(&known).await {
            Ok(head) => Ok(Audit { head, ..answer(None) }),
            Err(AuditError::Store(error)) => Err(error.into()),
            Err(broken @ (AuditError::Broken(_) | AuditError::Misfiled(_))) => Ok(answer(Some(broken.to_string()))),
        }
    };
    refused_if_not_allowed(provision, request, "audit_verify", reading.await).await
}

/// Says where the history stands, signed, to be kept elsewhere.
///
/// # Errors
/// When the caller may not, or the key cannot be read.
pub async fn checkpoint(provision: &Provision, request: &Request) -> Result<Signed, Error> {
    let reading = async {
        request.demand(&Operation::ExportHistory)?;
        let key = provision.history_key().await?;
        let mut reader = provision.0.store.read().await?;
        let (installation, place) = (reader.installation().await?, reader.head().await?.place());
        Ok(provision.sign(&key, Purpose::Checkpoint, installation, place))
    };
    refused_if_not_allowed(provision, request, "audit_checkpoint", reading.await).await
}

/// The installation, the key that its signatures are checked with, and after which entry its history begins.
///
/// # Errors
/// When the caller may not, or the key cannot be read.
pub async fn key(provision: &Provision, request: &Request) -> Result<(Uuid, PublicKey, Place), Error> {
    let reading = async {
        request.demand(&Operation::ReadHistory { app: None })?;
        let key = provision.history_key().await?;
        let mut reader = provision.0.store.read().await?;
        Ok((reader.installation().await?, key.public_key(), reader.begins_after().await?))
    };
    refused_if_not_allowed(provision, request, "audit_key", reading.await).await
}

/// The history as JSON Lines, from the entry `from` to where it stands now; its chain is followed on the way. From its
/// first entry that is kept, where none is named.
///
/// # Errors
/// When the caller may not, the key cannot be read, or there is no entry before `from` to go on from.
pub async fn export(provision: &Provision, request: &Request, from: Option<u64>) -> Result<Export, Error> {
    let reading = async {
        request.demand(&Operation::ExportHistory)?;
        let key = Arc::new(provision.history_key().await?);
        let mut reader = provision.0.store.read().await?;
        let (installation, head) = (reader.installation().await?, reader.head().await?);
        let base = reader.begins_after().await?;
        let from = from.unwrap_or(base.sequence + 1);
        let follows = match from.checked_sub(1) {
            Some(before) if before == base.sequence => base,
            Some(before) if before < base.sequence => {
                return Err(Refusal::MovedOut { sequence: from, first: base.sequence + 1 }.into());
            }
            Some(before) if before <= head.sequence => match reader.links(before, 1).await?.pop() {
                Some(link) if link.sequence == before => link.place(),
                _ => return Err(Refusal::NoSuchEntry { sequence: from, last: head.sequence }.into()),
            },
            _ => return Err(Refusal::NoSuchEntry { sequence: from, last: head.sequence }.into()),
        };
        Ok(Export {
            provision: provision.clone(),
            key,
            installation,
            verifier: Verifier::after(follows),
            through: head.place(),
            stage: Stage::Head,
        })
    };
    refused_if_not_allowed(provision, request, "audit_export", reading.await).await
}

/// An export on its way, page by page, in constant memory. It holds no connection between two pages.
pub struct Export {
    provision: Provision,
    key: Arc<SigningKey>,
    installation: Uuid,
    verifier: Verifier,
    through: Place,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Entries,
    Done,
}

impl Export {
    /// The next lines, each with its end; `None` after the last. A chain that does not hold is not signed: the
    /// last line says so, and is none of an export.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        match self.stage {
            Stage::Done => Ok(None),
            Stage::Head => {
                self.stage = Stage::Entries;
                let Place { sequence, hash } = self.verifier.at();
                let head = Line::Head(ExportHead { installation: self.installation, sequence, hash });
                Ok(Some(self.write(&[head])))
            }
            Stage::Entries => {
                let at = self.verifier.at().sequence;
                let left = u32::try_from(self.through.sequence - at).map_or(PAGE, |left| left.min(PAGE));
                if left > 0 {
                    let mut reader = self.provision.0.store.read().await?;
                    let links = reader.links(at + 1, left).await?;
                    let base = reader.begins_after().await?.sequence;
                    if base > at {
                        let why = format!("entries up to {base} were moved to the archive meanwhile: begin anew");
                        return Ok(Some(self.break_off(&why)));
                    }
                    return Ok(Some(self.page(links)));
                }
                self.stage = Stage::Done;
                Ok(Some(match self.verifier.ends_at(self.through) {
                    Ok(()) => {
                        let signed =
                            self.provision.sign(&self.key, Purpose::Checkpoint, self.installation, self.through);
                        self.write(&[Line::Checkpoint(signed)])
                    }
                    Err(broken) => self.break_off(&broken.to_string()),
                }))
            }
        }
    }

    fn page(&mut self, links: Vec<Link>) -> String {
        if links.is_empty() {
            let at = self.verifier.at().sequence;
            return self.break_off(&format!("the history ends at entry {at}: its tail was cut off"));
        }
        let mut followed = Vec::with_capacity(links.len());
        for link in links {
            if let Err(broken) = self.verifier.follow(&link) {
                let whole = self.write(&followed);
                return whole + &self.break_off(&broken.to_string());
            }
            followed.push(Line::Entry(link));
        }
        self.write(&followed)
    }

    fn write(&mut self, lines: &[Line]) -> String {
        let mut text = String::new();
        for line in lines {
            match line.write() {
                Ok(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(why) => return text + &self.break_off(&why),
            }
        }
        text
    }

    fn break_off(&mut self, why: &str) -> String {
        self.stage = Stage::Done;
        tracing::error!(why, "an export of the history broke off: its chain does not hold");
        serde_json::json!({ "broken": why }).to_string() + "\n"
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("verifier", &self.verifier).field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Provision {
    /// The key under which this installation signs. Read each time: it is needed rarely, and may have been made since
    /// this process started.
    pub(in crate::provision) async fn history_key(&self) -> Result<SigningKey, Error> {
        let read = Arc::clone(&self.0.history_key);
        match tokio::task::spawn_blocking(move || read()).await {
            Ok(Ok(key)) => Ok(key),
            Ok(Err(why)) => Err(Refusal::HistoryKey(why).into()),
            Err(_panicked) => Err(Error::Interrupted),
        }
    }

    pub(in crate::provision) fn sign(
        &self,
        key: &SigningKey,
        purpose: Purpose,
        installation: Uuid,
        place: Place,
    ) -> Signed {
        let Place { sequence, hash } = place;
        let at = self.clock().now();
        key.sign(Statement { purpose, installation, sequence, hash, at })
    }
}
