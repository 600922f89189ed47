//! From the file to the settings: every value parsed, and every rule between them, all problems at once.
//!
//! Each function reads all of its keys before it gives up on any, so one wrong value hides no other. A
//! function answers `None` when something of its own was wrong; the problem is then in the findings.

mod admin;
mod app_secret;
mod app_tls;
mod apps;
mod header_names;
mod limits;
mod resilience;
mod routes;
mod server;
mod tables;
mod tls;
mod tracing;
mod urls;

use std::fmt::Display;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::Purpose;
use super::conform::quoted;
use super::duration;
use super::file::File;
use super::problems::Problem;
use super::settings::Settings;
use super::tree::At;
use urls::Reported;

/// What the values of a configuration are judged by, beside themselves.
pub(super) struct Surroundings<'a> {
    /// Where relative paths start: the folder of the file.
    pub(super) folder: &'a Path,
    /// Reads a file that the configuration names.
    pub(super) read_file: &'a dyn Fn(&Path) -> io::Result<String>,
    pub(super) purpose: Purpose,
}

impl Surroundings<'_> {
    fn path(&self, at: &At<'_>, text: &str, findings: &mut Findings) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            let wrong = format!("`{}` names no file", at.name());
            findings.add(Problem::at(at.place(), wrong).instead("give a path; a relative one starts at this file"));
            return None;
        }
        Some(self.folder.join(text))
    }

    /// The text of a file that a key names, or a problem.
    fn text_of(&self, at: &At<'_>, file: &str, findings: &mut Findings) -> Option<(PathBuf, Zeroizing<String>)> {
        let path = self.path(at, file, findings)?;
        match (self.read_file)(&path) {
            Ok(text) => Some((path, Zeroizing::new(text))),
            Err(error) => {
                let wrong = format!("`{}`: {} cannot be read: {error}", at.name(), quoted(&path.to_string_lossy()));
                findings.add(Problem::at(at.place(), wrong).instead("give a file that Locum may read"));
                None
            }
        }
    }

    /// The same for a file that nobody but its owner may read.
    fn secret_of(&self, at: &At<'_>, file: &str, findings: &mut Findings) -> Option<(PathBuf, Zeroizing<String>)> {
        let (path, text) = self.text_of(at, file, findings)?;
        let mode = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            // The text did not come from a file: there is no mode to look at.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return unusable(Err(error), at, &path.to_string_lossy(), findings),
        };
        if mode & 0o077 != 0 {
            let path = path.to_string_lossy();
            let wrong = format!("`{}`: {} can be read by others (mode {mode:o})", at.name(), quoted(&path));
            findings.add(Problem::at(at.place(), wrong).instead("run `chmod 600` on it"));
            return None;
        }
        Some((path, text))
    }
}

/// What was made of a file that a key names, or a problem.
fn unusable<T, E: Display>(read: Result<T, E>, at: &At<'_>, path: &str, findings: &mut Findings) -> Option<T> {
    let problem = |error: E| {
        let wrong = format!("`{}`: {} cannot be used", at.name(), quoted(path));
        Problem::at(at.place(), wrong).instead(error.to_string())
    };
    read.map_err(|error| findings.add(problem(error))).ok()
}

/// What was found to be wrong so far.
#[derive(Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A value, or the problem `KEY cannot be VALUE; WHAT WOULD BE RIGHT`.
    fn value<T, E: Display>(&mut self, at: &At<'_>, text: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(advice) => {
                let wrong = format!("`{}` cannot be {}", at.name(), quoted(text));
                self.add(Problem::at(at.place(), wrong).instead(advice.to_string()));
                None
            }
        }
    }

    /// A value whose error is a whole sentence.
    fn sentence<T, E: Display>(&mut self, at: &At<'_>, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(Problem::at(at.place(), error.to_string()));
                None
            }
        }
    }

    /// A duration that is longer than nothing.
    fn duration(&mut self, at: &At<'_>, text: &str) -> Option<Duration> {
        let duration = self.value(at, text, duration::parse(text))?;
        if duration.is_zero() {
            return self.value(at, text, Err("give more than nothing"));
        }
        Some(duration)
    }

    /// The same where nothing is a choice.
    fn optional_duration(&mut self, at: &At<'_>, text: Option<&String>) -> Result<Option<Duration>, Reported> {
        text.map(|text| self.duration(at, text).ok_or(Reported)).transpose()
    }

    /// Every item of a list, or `None` when one of them is wrong.
    fn each<I, T>(
        &mut self,
        at: &At<'_>,
        items: &[I],
        mut read: impl FnMut(&mut Self, At<'_>, &I) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<Option<T>> =
            items.iter().enumerate().map(|(index, item)| read(self, at.item(index), item)).collect();
        read.into_iter().collect()
    }
}

/// Makes the settings of a file, or says everything that is wrong with it.
///
/// `found` is what was wrong with its shape.
pub(super) fn validate(
    file: &File,
    root: &At<'_>,
    around: &Surroundings<'_>,
    found: Vec<Problem>,
) -> Result<Settings, Vec<Problem>> {
    let mut findings = Findings { problems: found };
    let settings = settings(file, root, around, &mut findings);
    match settings {
        Some(settings) if findings.problems.is_empty() => Ok(settings),
        _ => Err(findings.problems),
    }
}

fn settings(file: &File, root: &At<'_>, around: &Surroundings<'_>, findings: &mut Findings) -> Option<Settings> {
    let server = server::server(&file.server, &root.key("server"), around, findings);
    let store = urls::store(&file.store, &root.key("store"), around, findings);
    let redis = urls::redis(&file.redis, &root.key("redis"), around, findings);
    let lockout = tables::lockout(&file.lockout, &file.redis);
    let throttle = tables::throttle(&file.throttle, &root.key("throttle"), findings);
    let limits = limits::limits(&file.limits, &root.key("limits"), findings);
    let judgement_wait = limits::judgement_wait(&file.limits, &root.key("limits"), findings);
    let pats = tables::pats(&file.pats, &root.key("pats"), findings);
    let secrets = tables::secrets(&file.secrets, &root.key("secrets"), around, findings);
    let history = tables::history(&file.history, &root.key("history"), around, findings);
    let log = tables::log(&file.log, &root.key("log"), findings);
    let access_log = tracing::access_log(&file.log, &root.key("log"), findings);
    let tracing = tracing::tracing(&file.tracing, &root.key("tracing"), around, findings);
    let listen = server.as_ref().map(|server| server.listen);
    let admin = admin::admin(&file.admin, &root.key("admin"), listen, around, findings);
    let monitoring = server::monitoring(&file.monitoring, &root.key("monitoring"), listen, findings);
    let network = admin.as_ref().and_then(|admin| admin.network.as_ref()).map(|network| network.listen);
    let own: Vec<_> = [listen, network, monitoring.as_ref().ok().copied().flatten()].into_iter().flatten().collect();
    let apps = apps::apps(&file.apps, root, &own, around, findings);
    Some(Settings {
        server: server?,
        admin: admin?,
        monitoring: monitoring.ok()?,
        store: store?,
        redis: redis.ok()?,
        lockout,
        throttle: throttle?,
        limits: limits?,
        slots: limits::slots(&file.limits),
        judgement_wait: judgement_wait?,
        pats: pats?,
        secrets: secrets?,
        history: history?,
        log: log?,
        access_log: access_log?,
        tracing: tracing.ok()?,
        apps: apps?,
    })
}
