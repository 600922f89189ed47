//! The small tables: administration, lockout, throttle, tokens, keys, log.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Findings, Surroundings};
use crate::authn::ThrottleSettings;
use crate::authn::lockout::{self, LockoutSettings};
use crate::config::conform::quoted;
use crate::config::file::{
    AdminTable, Counts, HistoryTable, LockoutTable, LogFormat, LogTable, OnLoss, PatsTable, RedisTable, SecretsTable,
    ThrottleTable,
};
use crate::config::nearest::{listed, nearest};
use crate::config::problems::Problem;
use crate::config::settings::{MasterKeySource, PatsSettings, SecretsSettings};
use crate::config::tree::At;
use crate::directory::{pat, token};
use crate::provision::RetentionSettings;
use crate::telemetry::log;

/// The longest path that fits into the address of a Unix socket (`sun_path` less its NUL).
const SOCKET_PATH_BYTES: usize = 107;

pub(super) fn admin_socket(
    table: &AdminTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let at = at.key("socket");
    let socket = around.path(&at, &table.socket, findings)?;
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH_BYTES {
        let wrong = format!("`{}` is a path of {length} bytes, with the folder of this file", at.name());
        let advice = format!("a Unix socket's path has at most {SOCKET_PATH_BYTES}: give a shorter one");
        findings.add(Problem::at(at.place(), wrong).instead(advice));
        return None;
    }
    Some(socket)
}

pub(super) const fn lockout(table: &LockoutTable, redis: &RedisTable) -> LockoutSettings {
    let counts = match table.counts {
        Counts::EveryFailure => lockout::Counts::EveryFailure,
        Counts::Guesses => lockout::Counts::Guesses,
    };
    let on_loss = match redis.on_loss {
        OnLoss::Count => lockout::OnLoss::Count,
        OnLoss::Closed => lockout::OnLoss::Closed,
    };
    LockoutSettings { threshold: table.threshold, counts, on_loss }
}

pub(super) fn throttle(table: &ThrottleTable, at: &At<'_>, findings: &mut Findings) -> Option<ThrottleSettings> {
    let mut positive = |key: &str, number: u32| {
        let read = NonZeroU32::new(number).ok_or("give at least 1");
        findings.value(&at.key(key), &number.to_string(), read)
    };
    let burst = positive("burst", table.burst);
    let per_second = positive("per_second", table.per_second);
    Some(ThrottleSettings { burst: burst?, per_second: per_second? })
}

pub(super) fn pats(table: &PatsTable, at: &At<'_>, findings: &mut Findings) -> Option<PatsSettings> {
    let good = table.prefix.is_empty() || token::is_prefix(&table.prefix);
    let prefix = if good { Ok(table.prefix.clone()) } else { Err("give 2 to 16 of `a-z` and `0-9`, or nothing") };
    let prefix = findings.value(&at.key("prefix"), &table.prefix, prefix);

    let life_at = at.key("longest_life");
    let longest_life = findings.duration(&life_at, &table.longest_life).and_then(|life| {
        let life = if life > pat::LONGEST_LIFE { Err("give at most `365d`") } else { Ok(life) };
        findings.value(&life_at, &table.longest_life, life)
    });
    let confirm_within = findings.duration(&at.key("confirm_within"), &table.confirm_within);
    Some(PatsSettings { prefix: prefix?, longest_life: longest_life?, confirm_within: confirm_within? })
}

pub(super) fn secrets(
    table: &SecretsTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<SecretsSettings> {
    let pepper_file = around.path(&at.key("pepper_file"), &table.pepper_file, findings);
    let tombstone_at = at.key("tombstone_key_file");
    let tombstone_key_file = around.path(&tombstone_at, &table.tombstone_key_file, findings);
    let history_at = at.key("history_key_file");
    let history_key_file = around.path(&history_at, &table.history_key_file, findings);
    let master_at = at.key("master_key_file");
    let master_key = master_key(table, at, around, findings);
    let settings = SecretsSettings {
        pepper_file: pepper_file?,
        tombstone_key_file: tombstone_key_file?,
        history_key_file: history_key_file?,
        master_key: master_key?,
    };
    let SecretsSettings { pepper_file, tombstone_key_file, history_key_file, master_key } = &settings;
    let is_master = |file: &PathBuf| matches!(master_key, MasterKeySource::File(master) if master == file);
    let never = "give each key a file of its own: the pepper is rotated, this key never is";
    let apart = "give each key a file of its own";
    let same = [
        (&tombstone_at, tombstone_key_file == pepper_file, "pepper_file", never),
        (&history_at, history_key_file == pepper_file, "pepper_file", apart),
        (&history_at, history_key_file == tombstone_key_file, "tombstone_key_file", apart),
        (&master_at, is_master(pepper_file), "pepper_file", apart),
        (&master_at, is_master(tombstone_key_file), "tombstone_key_file", apart),
        (&master_at, is_master(history_key_file), "history_key_file", apart),
    ];
    if let Some((at, _, other, advice)) = same.into_iter().find(|(_, same, ..)| *same) {
        let wrong = format!("`{}` is the same file as `secrets.{other}`", at.name());
        findings.add(Problem::at(at.place(), wrong).instead(advice));
        return None;
    }
    Some(settings)
}

/// Where the master key is: in the environment, else what a program prints, else in its file.
fn master_key(
    table: &SecretsTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<MasterKeySource> {
    if let Some(text) = &table.master_key {
        return Some(MasterKeySource::Text(text.clone()));
    }
    if let [program, ..] = &table.master_key_command[..] {
        if !Path::new(program).is_absolute() {
            let at = at.key("master_key_command");
            let wrong = format!("`{}` begins with {}, which is not the path of a program", at.name(), quoted(program));
            findings.add(Problem::at(at.place(), wrong).instead("give its whole path, such as `/usr/local/bin/kms`"));
            return None;
        }
        return Some(MasterKeySource::Command(table.master_key_command.clone()));
    }
    let file = around.path(&at.key("master_key_file"), &table.master_key_file, findings)?;
    Some(MasterKeySource::File(file))
}

/// Entries are moved away only where there is a place for them.
pub(super) fn history(
    table: &HistoryTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<RetentionSettings> {
    const LEAST: Duration = Duration::from_hours(24);
    let archive_at = at.key("archive");
    let archive = match &table.archive {
        None => None,
        Some(folder) => Some(around.path(&archive_at, folder, findings)?),
    };
    let keep_at = at.key("keep");
    let keep = match &table.keep {
        None => None,
        Some(text) => {
            let keep = findings.duration(&keep_at, text)?;
            let keep = if keep < LEAST { Err("give at least `1d`") } else { Ok(keep) };
            Some(findings.value(&keep_at, text, keep)?)
        }
    };
    if keep.is_some() && archive.is_none() {
        let wrong = format!("`{}` needs `{}`", keep_at.name(), archive_at.name());
        findings.add(Problem::at(keep_at.place(), wrong).instead("name the folder that old entries are moved to"));
        return None;
    }
    Some(RetentionSettings { keep, archive, ..RetentionSettings::default() })
}

/// What `tracing` would silently take for the name of a target is refused: `inof` would write nothing at all.
pub(super) fn log(table: &LogTable, at: &At<'_>, findings: &mut Findings) -> Option<log::Settings> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let at = at.key("level");
    let known = |level: &str| LEVELS.contains(&level.to_ascii_lowercase().as_str());
    let slip = table.level.split(',').find(|part| !part.contains('=') && !known(part));
    if let Some(slip) = slip {
        let problem = Problem::at(at.place(), format!("`{}` cannot be {}", at.name(), quoted(slip)));
        findings.add(match nearest(slip, LEVELS) {
            Some(level) => problem.did_you_mean(level),
            None => problem.instead(format!("give {}", listed(LEVELS, "or"))),
        });
        return None;
    }
    let filter = if log::is_filter(&table.level) {
        Ok(table.level.clone())
    } else {
        Err("give a level, or directives such as `info,locum::gateway=debug`")
    };
    let filter = findings.value(&at, &table.level, filter)?;
    let format = match table.format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Json => log::Format::Json,
        LogFormat::Text => log::Format::Text,
    };
    Some(log::Settings { format, filter })
}
