//! The history as JSON Lines, one object a line (H5):
//!
//! ```text
//! {"locum_history":1,"installation":"…","follows":{"sequence":0,"hash":"00…"}}   what the first entry follows
//! {"sequence":1,"at":"…","type":"user_added", …, "canonical":"…","hash":"…"}     the entries, in their order
//! {"checkpoint":{"statement":"checkpoint","sequence":1, …,"signature":"…"}}      where it ended, signed
//! ```
//!
//! `canonical` holds the bytes that the chain runs over, in base64; everything before it says the same for
//! people and programs, by ids and never by names, so that an export outlives nobody's deletion. A line has
//! one form: reading it compares it, byte for byte, with what Locum writes for those bytes. Several exports,
//! each beginning where the one before ended, can stand in one file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checkpoint::{Signed, Written};
use super::{ChainHash, Entry, Link, Value, canonical};

/// The version of the form of these lines.
const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Head(Head),
    Entry(Link),
    Checkpoint(Signed),
}

/// How a file of an archive is called that holds these entries (H7).
pub fn archive_name(from: u64, through: u64) -> String {
    format!("history-{from:012}-{through:012}.jsonl")
}

/// The first and the last entry of a file of an archive, by its name; `None` when it is called otherwise.
pub fn archive_span(name: &str) -> Option<(u64, u64)> {
    let (from, through) = name.strip_prefix("history-")?.strip_suffix(".jsonl")?.split_once('-')?;
    let span = (from.parse().ok()?, through.parse().ok()?);
    (archive_name(span.0, span.1) == name).then_some(span)
}

/// What an export begins with: whose history it is, and the entry that its first one follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub installation: Uuid,
    /// 0 where the export begins with the first entry of all.
    pub sequence: u64,
    pub hash: ChainHash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead {
    locum_history: u32,
    installation: Uuid,
    follows: Follows,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Follows {
    sequence: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCheckpoint {
    checkpoint: Written,
}

#[derive(Serialize)]
struct WrittenEntry<'a> {
    sequence: u64,
    at: String,
    #[serde(rename = "type")]
    kind: &'static str,
    changed: bool,
    actor: String,
    cause: Option<&'a str>,
    on_behalf_of: Option<String>,
    target: Option<String>,
    object: Option<&'a str>,
    address: Option<String>,
    request_id: Option<&'a str>,
    details: Vec<WrittenDetail<'a>>,
    canonical: String,
    hash: String,
}

#[derive(Serialize)]
struct WrittenDetail<'a> {
    field: &'a str,
    before: Option<WrittenValue<'a>>,
    after: Option<WrittenValue<'a>>,
}

/// A text, or an object for what is sealed.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenValue<'a> {
    Clear(&'a str),
    Sealed { key: &'a str, sealed: String },
}

/// What is read of an entry's line; the rest of it has to follow from this.
#[derive(Deserialize)]
struct Kernel {
    canonical: String,
    hash: String,
}

impl Line {
    /// The line, without its end.
    ///
    /// # Errors
    /// When the bytes of an entry cannot be read: somebody changed them.
    pub fn write(&self) -> Result<String, String> {
        let written = match self {
            Self::Head(Head { installation, sequence, hash }) => serde_json::to_string(&WrittenHead {
                locum_history: VERSION,
                installation: *installation,
                follows: Follows { sequence: *sequence, hash: hash.to_string() },
            }),
            Self::Entry(link) => {
                let entry = canonical::decode(&link.canonical).map_err(|error| error.to_string())?;
                if entry.sequence != link.sequence {
                    return Err(format!("its bytes are those of entry {}", entry.sequence));
                }
                serde_json::to_string(&written_entry(&entry, link))
            }
            Self::Checkpoint(signed) => serde_json::to_string(&WrittenCheckpoint { checkpoint: signed.into() }),
        };
        written.map_err(|error| error.to_string())
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    /// When it is none, or is written in another way than Locum writes it.
    pub fn read(text: &str) -> Result<Self, String> {
        let line = if text.starts_with("{\"locum_history\":") {
            Self::Head(read_head(text)?)
        } else if text.starts_with("{\"checkpoint\":") {
            let written: WrittenCheckpoint = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Self::Checkpoint(written.checkpoint.try_into()?)
        } else {
            Self::Entry(read_entry(text)?)
        };
        if line.write()? == text { Ok(line) } else { Err("it says other things than its bytes do".to_owned()) }
    }
}

fn read_head(text: &str) -> Result<Head, String> {
    let WrittenHead { locum_history, installation, follows } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if locum_history != VERSION {
        return Err(format!("it has version {locum_history}, and this program reads version {VERSION}"));
    }
    let hash = ChainHash::parse(&follows.hash).ok_or("`hash` has to be 64 hexadecimal digits")?;
    Ok(Head { installation, sequence: follows.sequence, hash })
}

fn read_entry(text: &str) -> Result<Link, String> {
    let kernel: Kernel = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let canonical = STANDARD.decode(&kernel.canonical).map_err(|_| "`canonical` is not base64")?;
    let hash = ChainHash::parse(&kernel.hash).ok_or("`hash` has to be 64 hexadecimal digits")?;
    let entry = canonical::decode(&canonical).map_err(|error| error.to_string())?;
    Ok(Link { sequence: entry.sequence, canonical, hash })
}

fn written_entry<'a>(entry: &'a Entry, link: &Link) -> WrittenEntry<'a> {
    let action = &entry.action;
    WrittenEntry {
        sequence: entry.sequence,
        at: entry.at.to_string(),
        kind: action.kind.slug(),
        changed: entry.changed,
        actor: action.actor.to_stored(),
        cause: action.cause.as_deref(),
        on_behalf_of: action.on_behalf_of.map(|id| id.to_string()),
        target: action.target.map(|id| id.to_string()),
        object: action.object.as_deref(),
        address: action.address.map(|address| address.to_string()),
        request_id: action.request_id.as_deref(),
        details: action
            .details
            .iter()
            .map(|detail| WrittenDetail {
                field: &detail.field,
                before: detail.before.as_ref().map(written_value),
                after: detail.after.as_ref().map(written_value),
            })
            .collect(),
        canonical: STANDARD.encode(&link.canonical),
        hash: link.hash.to_string(),
    }
}

fn written_value(value: &Value) -> WrittenValue<'_> {
    match value {
        Value::Clear(text) => WrittenValue::Clear(text),
        Value::Sealed { key, bytes } => WrittenValue::Sealed { key, sealed: STANDARD.encode(bytes) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::directory::{AccountId, Actor};
    use crate::history::checkpoint::{Purpose, SigningKey, Statement};
    use crate::history::{Action, ActionType, Detail};

    fn link() -> Link {
        let mut action = Action::new(ActionType::RolesChanged, Actor::Account(AccountId::from_bytes([1; 16])))
            .to(AccountId::from_bytes([2; 16]))
            .object("say \"hi\"\n")
            .from_address(Some("2001:db8::1".parse().unwrap()))
            .in_request(Some("r-1".into()))
            .detail("role:reports", None, Some("held"));
        let sealed = Value::Sealed { key: "k1".into(), bytes: vec![0, 255, 7] };
        action.details.push(Detail { field: "name".into(), before: Some(sealed), after: None });
        let entry = Entry { sequence: 1, at: Timestamp::from_millis(1_795_000_000_123), changed: true, action };
        let canonical = canonical::encode(&entry);
        let hash = ChainHash::GENESIS.followed_by(1, &canonical);
        Link { sequence: 1, canonical, hash }
    }

    fn lines() -> [Line; 3] {
        let installation = Uuid::from_u128(7);
        let statement = Statement {
            purpose: Purpose::Checkpoint,
            installation,
            sequence: 1,
            hash: link().hash,
            at: Timestamp::from_millis(0),
        };
        let signed = SigningKey::parse(&"ab".repeat(32)).unwrap().sign(statement);
        [
            Line::Head(Head { installation, sequence: 0, hash: ChainHash::GENESIS }),
            Line::Entry(link()),
            Line::Checkpoint(signed),
        ]
    }

    /// H5
    #[test]
    fn every_line_reads_back_exactly() {
        for line in lines() {
            let text = line.write().unwrap();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(Line::read(&text), Ok(line), "{text}");
        }
    }

    /// H5: sealed values stand in an export as they are sealed, clear ones as texts.
    #[test]
    fn an_entry_says_for_people_what_its_bytes_say() {
        let text = Line::Entry(link()).write().unwrap();
        for part in [
            r#"{"sequence":1,"at":"2026-11-18T11:06:40.123Z","type":"roles_changed","changed":true,"actor":"account:"#,
            r#""cause":null,"#,
            r#""object":"say \"hi\"\n","address":"2001:db8::1","request_id":"r-1""#,
            r#"{"field":"role:reports","before":null,"after":"held"}"#,
            r#"{"field":"name","before":{"key":"k1","sealed":"AP8H"},"after":null}"#,
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    /// H5: a line whose readable part was changed is not read, and neither is any cut of one.
    #[test]
    fn a_line_says_what_its_bytes_say_or_is_not_read() {
        let text = Line::Entry(link()).write().unwrap();
        for (from, to) in
            [("\"held\"", "\"gone\""), ("r-1", "r-2"), ("\"type\":", "\"kind\":"), (",\"hash\"", ", \"hash\"")]
        {
            assert!(text.contains(from));
            assert!(Line::read(&text.replacen(from, to, 1)).is_err(), "{from}");
        }
        for line in lines() {
            let text = line.write().unwrap();
            for end in 0..text.len() {
                assert!(Line::read(&text[..end]).is_err(), "{}", &text[..end]);
            }
        }
    }
}
