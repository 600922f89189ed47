//! `locum audit …`: proving the history, of a gateway, and of an export without one.

mod archive;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::admin::shape::{AuditKeyView, AuditView, AuditWish, CheckpointView, TrimView, TrimWish};
use crate::cli::arguments::{AuditCommand, ExportArguments, TrimArguments, VerifyArguments};
use crate::cli::client::{Client, path, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, print};
use crate::history::checkpoint::{PublicKey, Signed, Written};
use crate::history::export::Line;
use crate::history::exported::Held;

/// The longest line of an export that is read, and the longest file of checkpoints.
const LONGEST: u64 = 16 * 1024 * 1024;

pub(in crate::cli) async fn audit(client: &Client, command: AuditCommand, output: Output) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(asked) => verify(client, &asked, output).await,
        AuditCommand::Checkpoint => {
            let checkpoint: CheckpointView = client.get(&path(&["audit", "checkpoint"])).await?;
            print(&serde_json::to_string(&checkpoint).map_err(Failure::failed)?)
        }
        AuditCommand::Key => {
            let key: AuditKeyView = client.get(&path(&["audit", "key"])).await?;
            output.answer(&key, |key| key.public_key.clone())
        }
        AuditCommand::Export(asked) => export(client, &asked, output).await,
        AuditCommand::Trim(asked) => trim(client, asked, output).await,
    }
}

async fn trim(client: &Client, asked: TrimArguments, output: Output) -> Result<(), Failure> {
    let wish = TrimWish { before: asked.before, dry_run: asked.dry_run };
    let trimmed: TrimView = client.post_slowly(&path(&["audit", "trim"]), &wish).await?;
    output.answer(&trimmed, |trimmed| {
        let TrimView { dry_run, before, from, entries, files } = trimmed;
        let Some(last) = entries.checked_sub(1) else { return format!("no entries before {before}") };
        let (through, moved) = (from + last, if *dry_run { "would move" } else { "moved" });
        let moved = format!("{moved} {entries} entries before {before}, {from} to {through}");
        std::iter::once(moved).chain(files.iter().cloned()).collect::<Vec<_>>().join("\n")
    })
}

async fn verify(client: &Client, asked: &VerifyArguments, output: Output) -> Result<(), Failure> {
    let mut kept = kept(&asked.checkpoints)?;
    let public_key = asked.public_key.as_deref().map(public_key).transpose()?;
    let mut archived = None;
    if !asked.archive.is_empty() {
        let known: AuditKeyView = client.get(&path(&["audit", "key"])).await?;
        let own = || self::public_key(&known.public_key);
        let key = public_key.map_or_else(own, Ok)?;
        let (before, after) = kept.into_iter().partition(|kept| kept.statement.sequence <= known.begins_after);
        kept = after;
        archived = Some(archive::verify(&asked.archive, key, before, known.begins_after)?);
    }
    let wish = AuditWish {
        checkpoints: kept.iter().map(CheckpointView::from).collect(),
        public_key: public_key.map(|key| key.to_string()),
    };
    let audit: AuditView = client.post_slowly(&path(&["audit"]), &wish).await?;
    if let Some(broken) = &audit.broken {
        if output.is_json() {
            output.answer(&audit, |_| String::new())?;
        }
        return Err(Failure::failed(format!("the history is not whole: {broken}")));
    }
    let Some(archived) = archived else {
        return output.answer(&audit, |audit| {
            let AuditView { entries, head, checkpoints, begins_after, .. } = audit;
            let moved = match begins_after {
                0 => String::new(),
                last => format!("; entries up to {last} are in the archive"),
            };
            format!("the history is whole: {entries} entries, head {head}{}{moved}", agreeing(*checkpoints))
        });
    };
    let through = archived.through;
    if (through.sequence, through.hash.to_string()) != (audit.begins_after, audit.begins_after_hash.clone()) {
        let (ends, begins) = (through.sequence, audit.begins_after);
        return Err(Failure::failed(format!(
            "the archive ends with entry {ends}, and the history here begins after entry {begins}: one does not go on \
             where the other ends"
        )));
    }
    let (from, agreed) = (archived.follows + 1, archived.agreed + audit.checkpoints);
    let mut document = serde_json::to_value(&audit).map_err(Failure::failed)?;
    document["archive_from"] = from.into();
    document["checkpoints"] = agreed.into();
    output.answer(&document, |_| {
        let (entries, head) = (audit.entries, &audit.head);
        let last = through.sequence;
        format!(
            "the history is whole: entries {from} to {last} in the archive and the rest to {entries} here, head \
             {head}{}",
            agreeing(agreed)
        )
    })
}

fn agreeing(checkpoints: usize) -> String {
    match checkpoints {
        0 => String::new(),
        1 => "; the checkpoint agrees".to_owned(),
        several => format!("; {several} checkpoints agree"),
    }
}

/// Checks export files by themselves: asks nobody.
pub(in crate::cli) fn offline(asked: &VerifyArguments, output: Output) -> Result<(), Failure> {
    let Some(key) = &asked.public_key else {
        return Err(Failure::Usage("`--export` needs `--public-key`: `locum audit key` prints it".into()));
    };
    let held = archive::follow(&asked.exports, public_key(key)?, kept(&asked.checkpoints)?, "export")?;
    let Held { follows, through, agreed } = held;
    let document = json!({
        "whole": true, "from": follows + 1, "through": through.sequence, "head": through.hash.to_string(),
        "checkpoints": agreed,
    });
    output.answer(&document, |_| {
        let (from, to, hash) = (follows + 1, through.sequence, through.hash);
        format!("the export is whole: entries {from} to {to}, head {hash}{}", agreeing(agreed))
    })
}

/// Checkpoints that were kept in files, one or several in each.
fn kept(files: &[PathBuf]) -> Result<Vec<Signed>, Failure> {
    let mut kept = Vec::new();
    for file in files {
        let unreadable =
            |why: &dyn std::fmt::Display| Failure::failed(format!("the checkpoint file `{}`: {why}", file.display()));
        let text = read(file).map_err(|error| unreadable(&error))?;
        let before = kept.len();
        for written in serde_json::Deserializer::from_str(&text).into_iter::<Written>() {
            let written = written.map_err(|error| unreadable(&error))?;
            kept.push(Signed::try_from(written).map_err(|why| unreadable(&why))?);
        }
        if kept.len() == before {
            return Err(unreadable(&"it holds no checkpoint"));
        }
    }
    Ok(kept)
}

/// A public key as it is typed: its digits, or a file with them.
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    if let Some(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let why = match read(Path::new(text)) {
        Ok(digits) => match PublicKey::parse(&digits) {
            Some(key) => return Ok(key),
            None => "what it holds is no key".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    Err(Failure::Failed(format!("`--public-key {text}`: give 64 hexadecimal digits, or a file with them ({why})")))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

async fn export(client: &Client, asked: &ExportArguments, output: Output) -> Result<(), Failure> {
    let Some(file) = &asked.to else {
        let mut out = io::stdout();
        return hand_out(client, asked.from, &mut out).await;
    };
    let fault = |error: io::Error| Failure::failed(format!("`{}` cannot be written: {error}", file.display()));
    let options = OpenOptions::new().read(true).append(true).create(true).mode(0o600).clone();
    let mut open = options.open(file).map_err(fault)?;
    let before = end_of(&open).map_err(fault)?;
    let last = before.last;
    let from = match (last, asked.from) {
        (None, Some(from)) => from,
        (None, None) => client.get::<AuditKeyView>(&path(&["audit", "key"])).await?.begins_after + 1,
        (Some(last), None) => last + 1,
        (Some(last), Some(from)) if from == last + 1 => from,
        (Some(last), Some(_)) => {
            let words = format!("`{}` ends with entry {last}: leave `--from` out to go on there", file.display());
            return Err(Failure::Usage(words));
        }
    };
    hand_out(client, Some(from), &mut open).await?;
    open.sync_all().map_err(fault)?;
    let through = end_of(&open).map_err(fault)?.last.unwrap_or(0);
    if before.signed && last == Some(through) {
        // Nothing new: the file stays as it was.
        open.set_len(before.length).map_err(fault)?;
    }
    let document = json!({ "file": file.display().to_string(), "from": from, "through": through });
    output.answer(&document, |_| match through.checked_sub(from) {
        Some(_) => format!("exported entries {from} to {through} to {}", file.display()),
        None => format!("no entries since entry {through}"),
    })
}

/// Where an export in a file ends.
#[derive(Default)]
struct End {
    /// The last entry that it holds.
    last: Option<u64>,
    /// Whether its last line is a checkpoint.
    signed: bool,
    length: u64,
}

/// How an export begins.
const BEGINS: &str = "{\"locum_history\":";

/// Where an export in a file ends; what follows its last whole line is cut off, because an export that broke off left it
/// there. A file that is no export stays as it is.
fn end_of(mut file: &File) -> io::Result<End> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut end = End::default();
    let mut line = String::new();
    loop {
        line.clear();
        let strange = |why| io::Error::other(format!("it holds something else than an export: {why}"));
        let read = reader.by_ref().take(LONGEST).read_line(&mut line)?;
        if read as u64 == LONGEST {
            return Err(strange("a line is longer than any of an export".to_owned()));
        }
        if !line.ends_with('\n') {
            let of_an_export = end.last.is_some() || line.starts_with(BEGINS) || BEGINS.starts_with(&line);
            if !of_an_export {
                return Err(strange("it does not begin like one".to_owned()));
            }
            break;
        }
        let (last, signed) = match Line::read(line.trim_end_matches('\n')).map_err(strange)? {
            Line::Head(head) => (head.sequence, false),
            Line::Entry(entry) => (entry.sequence, false),
            Line::Checkpoint(signed) => (signed.statement.sequence, true),
        };
        end = End { last: Some(last), signed, length: end.length + read as u64 };
    }
    drop(reader);
    file.set_len(end.length)?;
    Ok(end)
}

/// Writes what the gateway hands out. A last line that says what is broken is the failure.
async fn hand_out(client: &Client, from: Option<u64>, out: &mut impl Write) -> Result<(), Failure> {
    let from = from.map(|from| from.to_string());
    let mut tail = Vec::new();
    client
        .stream(&path_with(&["audit", "export"], &[("from", from.as_deref())]), |bytes| {
            let last = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            tail.extend_from_slice(&bytes[..last]);
            write_lines(out, &mut tail)?;
            tail.extend_from_slice(&bytes[last..]);
            Ok(())
        })
        .await?;
    if tail.is_empty() { Ok(()) } else { Err(Failure::failed("the export broke off in the middle of a line")) }
}

/// Writes whole lines, up to one that says what is broken.
fn write_lines(out: &mut impl Write, lines: &mut Vec<u8>) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Broken {
        broken: String,
    }
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"{\"broken\":") {
            let Broken { broken } = serde_json::from_slice(line).map_err(Failure::failed)?;
            return Err(Failure::failed(format!("the history is not whole, and the export ends here: {broken}")));
        }
        out.write_all(line).map_err(|error| Failure::failed(format!("the export cannot be written: {error}")))?;
    }
    lines.clear();
    out.flush().map_err(|error| Failure::failed(format!("the export cannot be written: {error}")))
}
