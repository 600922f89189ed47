//! The canonical bytes of an entry: what is stored, and what the chain runs over.
//!
//! Version 1: the byte `1`, then each field in a fixed order, each as a presence byte and, where
//! present, a big-endian `u32` length and its bytes. Never a serialisation whose key order or number
//! format could differ between two programs. Personal data stands here only in sealed form, so the
//! chain stays valid when a person's key is destroyed (U7).

use std::net::IpAddr;

use super::{Action, ActionType, Detail, Entry, Value};
use crate::clock::Timestamp;
use crate::directory::{AccountId, Actor};

const VERSION: u8 = 1;

/// Why stored bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    #[error("the entry is cut off")]
    CutOff,
    #[error("the entry has version {0}, this program reads version {VERSION}")]
    Version(u8),
    #[error("the entry's `{0}` cannot be read")]
    Field(&'static str),
    #[error("the entry is not written as Locum writes it")]
    Form,
}

/// Writes the canonical bytes.
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut out = vec![VERSION];
    let action = &entry.action;
    put(&mut out, Some(&entry.sequence.to_be_bytes()));
    put(&mut out, Some(&entry.at.as_millis().to_be_bytes()));
    put(&mut out, Some(&[u8::from(entry.changed)]));
    put(&mut out, Some(action.kind.slug().as_bytes()));
    put(&mut out, Some(action.actor.to_stored().as_bytes()));
    put(&mut out, action.cause.as_deref().map(str::as_bytes));
    put(&mut out, action.on_behalf_of.as_ref().map(|id| id.as_bytes().as_slice()));
    put(&mut out, action.target.as_ref().map(|id| id.as_bytes().as_slice()));
    put(&mut out, action.object.as_deref().map(str::as_bytes));
    let address = action.address.map(|address| address.to_string());
    put(&mut out, address.as_deref().map(str::as_bytes));
    put(&mut out, action.request_id.as_deref().map(str::as_bytes));
    for detail in &action.details {
        put(&mut out, Some(detail.field.as_bytes()));
        put_value(&mut out, detail.before.as_ref());
        put_value(&mut out, detail.after.as_ref());
    }
    out
}

fn put(out: &mut Vec<u8>, field: Option<&[u8]>) {
    let Some(bytes) = field else {
        out.push(0);
        return;
    };
    let length = u32::try_from(bytes.len()).expect("no field of an entry comes near 4 GiB: every input is bounded");
    out.push(1);
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

fn put_value(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => put(out, None),
        Some(Value::Clear(text)) => {
            put(out, Some(b"clear"));
            put(out, Some(text.as_bytes()));
        }
        Some(Value::Sealed { key, bytes }) => {
            put(out, Some(b"sealed"));
            put(out, Some(key.as_bytes()));
            put(out, Some(bytes));
        }
    }
}

/// Reads canonical bytes.
///
/// # Errors
/// Names what cannot be read; stored bytes that fail here have been changed by somebody.
pub fn decode(bytes: &[u8]) -> Result<Entry, CanonicalError> {
    let (version, rest) = bytes.split_first().ok_or(CanonicalError::CutOff)?;
    if *version != VERSION {
        return Err(CanonicalError::Version(*version));
    }
    let mut fields = Fields(rest);
    let sequence = u64::from_be_bytes(fields.array("sequence")?);
    let at = Timestamp::from_millis(i64::from_be_bytes(fields.array("at")?));
    let changed = match fields.array::<1>("changed")? {
        [0] => false,
        [1] => true,
        _ => return Err(CanonicalError::Field("changed")),
    };
    let kind = ActionType::from_slug(&fields.text("type")?).ok_or(CanonicalError::Field("type"))?;
    let actor = Actor::from_stored(&fields.text("actor")?).ok_or(CanonicalError::Field("actor"))?;
    let mut action = Action::new(kind, actor);
    action.cause = fields.optional_text("cause")?;
    action.on_behalf_of = fields.account("on_behalf_of")?;
    action.target = fields.account("target")?;
    action.object = fields.optional_text("object")?;
    action.address = match fields.optional_text("address")? {
        None => None,
        Some(text) => Some(text.parse::<IpAddr>().map_err(|_| CanonicalError::Field("address"))?),
    };
    action.request_id = fields.optional_text("request_id")?;
    while !fields.0.is_empty() {
        let field = fields.text("field")?;
        let (before, after) = (fields.value()?, fields.value()?);
        action.details.push(Detail { field, before, after });
    }
    let entry = Entry { sequence, at, changed, action };
    // An address or an id can be written in several ways, and only one of them is ours.
    if encode(&entry) == bytes { Ok(entry) } else { Err(CanonicalError::Form) }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, CanonicalError> {
        let (presence, rest) = self.0.split_first().ok_or(CanonicalError::CutOff)?;
        self.0 = rest;
        match presence {
            0 => Ok(None),
            1 => {
                let (length, rest) = self.0.split_first_chunk::<4>().ok_or(CanonicalError::CutOff)?;
                let length = u32::from_be_bytes(*length) as usize;
                let (field, rest) = rest.split_at_checked(length).ok_or(CanonicalError::CutOff)?;
                self.0 = rest;
                Ok(Some(field))
            }
            _ => Err(CanonicalError::Field("presence")),
        }
    }

    fn array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], CanonicalError> {
        let field = self.next()?.ok_or(CanonicalError::Field(name))?;
        field.try_into().map_err(|_| CanonicalError::Field(name))
    }

    fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, CanonicalError> {
        let Some(field) = self.next()? else { return Ok(None) };
        String::from_utf8(field.to_vec()).map(Some).map_err(|_| CanonicalError::Field(name))
    }

    fn text(&mut self, name: &'static str) -> Result<String, CanonicalError> {
        self.optional_text(name)?.ok_or(CanonicalError::Field(name))
    }

    fn account(&mut self, name: &'static str) -> Result<Option<AccountId>, CanonicalError> {
        let Some(field) = self.next()? else { return Ok(None) };
        let bytes = field.try_into().map_err(|_| CanonicalError::Field(name))?;
        Ok(Some(AccountId::from_bytes(bytes)))
    }

    fn value(&mut self) -> Result<Option<Value>, CanonicalError> {
        let Some(form) = self.next()? else { return Ok(None) };
        match form {
            b"clear" => Ok(Some(Value::Clear(self.text("value")?))),
            b"sealed" => {
                let key = self.text("key")?;
                let bytes = self.next()?.ok_or(CanonicalError::Field("value"))?.to_vec();
                Ok(Some(Value::Sealed { key, bytes }))
            }
            _ => Err(CanonicalError::Field("value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let target = AccountId::from_bytes([7; 16]);
        let mut action = Action::new(ActionType::RolesChanged, Actor::Host("root".into()))
            .to(target)
            .object("role:reports")
            .from_address(Some("2001:db8::1".parse().unwrap()))
            .in_request(Some("0192".into()))
            .detail("role:reports", None, Some("held"));
        action.details.push(Detail {
            field: "name".into(),
            before: Some(Value::Sealed { key: "k1".into(), bytes: vec![0, 1, 2] }),
            after: None,
        });
        Entry { sequence: 42, at: Timestamp::from_millis(1_700_000_000_123), changed: true, action }
    }

    /// H5
    #[test]
    fn an_entry_reads_back_exactly() {
        assert_eq!(decode(&encode(&entry())).unwrap(), entry());
    }

    /// H5: an entry has one form; the same words in another spelling were not written by Locum.
    #[test]
    fn another_spelling_of_an_entry_is_not_read() {
        let bytes = encode(&entry());
        let (ours, longer) = (b"\x0b2001:db8::1".as_slice(), b"\x0c2001:0db8::1".as_slice());
        let at = bytes.windows(ours.len()).position(|window| window == ours).unwrap();
        let other = [&bytes[..at], longer, &bytes[at + ours.len()..]].concat();
        assert_eq!(decode(&other), Err(CanonicalError::Form));
    }

    /// H5: no cut, wherever it falls, is read as a shorter entry, except at the end of a detail,
    /// where the chain's hash tells.
    #[test]
    fn a_cut_entry_never_reads_as_the_whole_one() {
        let bytes = encode(&entry());
        for length in 0..bytes.len() {
            assert_ne!(decode(&bytes[..length]).ok(), Some(entry()), "cut at {length}");
        }
    }
}
