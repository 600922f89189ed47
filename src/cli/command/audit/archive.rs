//! Following files: those of an export, and those of an archive in the order of their entries.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::LONGEST;
use crate::cli::exit::Failure;
use crate::history::checkpoint::{PublicKey, Signed};
use crate::history::export::archive_span;
use crate::history::exported::{Exported, Held};

/// Follows files of an archive, or those in its folder, up to the entry `through`.
pub(super) fn verify(archive: &[PathBuf], key: PublicKey, kept: Vec<Signed>, through: u64) -> Result<Held, Failure> {
    let mut files = Vec::new();
    for place in archive {
        if place.is_dir() {
            files.extend(chosen(place, through)?);
        } else {
            files.push(place.clone());
        }
    }
    follow(&files, key, kept, "archive")
}

/// Follows files one after another.
pub(super) fn follow(files: &[PathBuf], key: PublicKey, kept: Vec<Signed>, what: &str) -> Result<Held, Failure> {
    let mut exported = Exported::new(key, kept);
    for file in files {
        exported.next_file();
        let not_whole = |why: &dyn std::fmt::Display| Failure::failed(format!("`{}`: {why}", file.display()));
        let mut reader = BufReader::new(File::open(file).map_err(|error| not_whole(&error))?);
        while let Some(line) = next_line(&mut reader).map_err(|error| not_whole(&error))? {
            exported.line(&line).map_err(|untrusted| not_whole(&untrusted))?;
        }
    }
    exported.end().map_err(|untrusted| Failure::failed(format!("the {what} is not whole: {untrusted}")))
}

/// The files of a folder that lead, one after another, to the entry `through`. A run that was ended left one beside
/// them perhaps, with entries that another holds too.
fn chosen(folder: &Path, through: u64) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error: io::Error| Failure::failed(format!("the archive `{}`: {error}", folder.display()));
    let mut spans = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        spans.extend(span_of(&file).map(|(from, through)| (from, through, file)));
    }
    let (mut chosen, mut ends) = (Vec::new(), through);
    while ends > 0 {
        let Some((from, _, file)) = spans.iter().find(|(from, through, _)| *through == ends && from <= through) else {
            break;
        };
        chosen.push(file.clone());
        ends = from.saturating_sub(1);
    }
    if chosen.is_empty() && through > 0 {
        let why = format!("no file of it ends with entry {through}, after which the history here begins");
        return Err(fault(io::Error::other(why)));
    }
    chosen.reverse();
    Ok(chosen)
}

/// The first and the last entry of a file of an archive, by its name.
fn span_of(file: &Path) -> Option<(u64, u64)> {
    archive_span(file.file_name()?.to_str()?)
}

/// The next line of a file, without its end; `None` at the end of the file.
fn next_line(reader: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.take(LONGEST).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() == Some('\n') {
        return Ok(Some(line));
    }
    Err(io::Error::other("it ends in the middle of a line: it broke off while it was written"))
}
