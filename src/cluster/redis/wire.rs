//! How a streak is written to Redis, and how the scripts answer.
//!
//! A streak is one hash of four fields: `life`, `count`, `tripped_at` (absent when it has not) and
//! `attempts`, one line `ID ADDRESS AT` an attempt, the address `-` where it is unknown.

use std::net::IpAddr;

use redis::{ErrorKind, FromRedisValue, ParsingError, Value};

use crate::clock::Timestamp;
use crate::directory::Life;
use crate::directory::lockout::{Attempt, AttemptId, Counted, Streak};

/// The fields of a streak, in the order in which [`streak_of`] takes them.
pub(super) const FIELDS: [&str; 3] = ["life", "attempts", "tripped_at"];

/// What a script answered: a word, and what the word needs.
#[derive(Debug)]
pub(super) enum Answer {
    Counted(Counted),
    Cleared,
    Sunk,
    /// The script was reached after its deadline and did nothing.
    Late,
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (word, rest): (String, Option<Value>) = match value {
            Value::Array(items) => {
                let mut items = items.into_iter();
                let word = items.next().ok_or_else(|| unreadable("an empty answer"))?;
                (String::from_redis_value(word)?, items.next())
            }
            _ => return Err(unreadable("an answer that is no array")),
        };
        let rest = rest.unwrap_or(Value::Nil);
        Ok(match word.as_str() {
            "counted" => Self::Counted(Counted::Counted(u32::from_redis_value(rest)?)),
            "repeated" => Self::Counted(Counted::Repeated(u32::from_redis_value(rest)?)),
            "tripped" => {
                let text = String::from_redis_value(rest)?;
                let attempts = attempts_of(&text).ok_or_else(|| unreadable("attempts"))?;
                Self::Counted(Counted::Tripped(attempts))
            }
            "locked" => Self::Counted(Counted::Locked),
            "stale" => Self::Counted(Counted::Stale),
            "cleared" => Self::Cleared,
            "sunk" => Self::Sunk,
            "late" => Self::Late,
            _ => return Err(unreadable("an unknown word")),
        })
    }
}

fn unreadable(what: &str) -> ParsingError {
    ParsingError::from(format!("the failure counts answered with {what} that cannot be read"))
}

pub(super) fn id_text(id: AttemptId) -> String {
    format!("{:032x}", id.0)
}

pub(super) fn address_text(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "-".to_owned(), |address| address.to_string())
}

/// Reads a hash's [`FIELDS`]; `None` when there is no failure on record.
pub(super) fn streak_of(fields: [Option<String>; 3]) -> Result<Option<Streak>, redis::RedisError> {
    let wrong = || redis::RedisError::from((ErrorKind::UnexpectedReturnType, "a streak that cannot be read"));
    let [life, attempts, tripped_at] = fields;
    let Some(life) = life else { return Ok(None) };
    let life = Life(life.parse().map_err(|_| wrong())?);
    let attempts = attempts_of(attempts.as_deref().unwrap_or_default()).ok_or_else(wrong)?;
    let tripped_at = tripped_at.map(|text| instant_of(&text).ok_or_else(wrong)).transpose()?;
    let open = !attempts.is_empty() || tripped_at.is_some();
    Ok(open.then_some(Streak { life, attempts, tripped_at }))
}

fn attempts_of(text: &str) -> Option<Vec<Attempt>> {
    text.lines().map(attempt_of).collect()
}

fn attempt_of(line: &str) -> Option<Attempt> {
    let mut words = line.split(' ');
    let (id, address, at) = (words.next()?, words.next()?, words.next()?);
    let id = AttemptId(u128::from_str_radix(id, 16).ok()?);
    let address = if address == "-" { None } else { Some(address.parse().ok()?) };
    words.next().is_none().then_some(Attempt { id, address, at: instant_of(at)? })
}

fn instant_of(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_millis)
}
