//! The key files beside the store: made once, readable by their owner only, never overwritten.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::house;
use crate::config::settings::{MasterKeySource, SecretsSettings};
use crate::directory::key_lines::KeyLinesError;
use crate::directory::pepper::Peppers;
use crate::directory::tombstone::TombstoneKey;
use crate::history::checkpoint::SigningKey;
use crate::provision::HistoryKey;
use crate::provision::keys::{KeyStorage, KeyStores};
use crate::seal::Keyring;

/// The longest key file that is read.
const LONGEST_FILE: u64 = 64 * 1024;

/// How long a program may take that prints a key.
const PATIENCE: Duration = Duration::from_secs(10);

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What the key files hold.
#[derive(Debug)]
pub struct Secrets {
    pub peppers: Peppers,
    pub tombstones: TombstoneKey,
}

/// Why a key file cannot be used. Never says what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("the key file `{}` does not exist: `locum init` makes it, or restore it from your backup of keys (without it no existing token can be checked)", .0.display())]
    Missing(PathBuf),
    #[error("the key file `{}` can be read by others (mode {mode:o}): run `chmod 600` on it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the pepper file `{}`: {error}", path.display())]
    Pepper { path: PathBuf, error: KeyLinesError },
    #[error("the tombstone key file `{}` has to hold 64 or more hexadecimal digits and nothing else", .0.display())]
    Tombstone(PathBuf),
    #[error("the key file `{}` does not exist, and nothing can be signed without it: `locum init` makes it beside the others, and the gateway need not be restarted", .0.display())]
    NoHistoryKey(PathBuf),
    #[error("the history key file `{}` has to hold 64 hexadecimal digits and nothing else", .0.display())]
    HistoryKey(PathBuf),
    #[error("the master key in {from}: {error}")]
    MasterKey { from: String, error: KeyLinesError },
    #[error("the program of `secrets.master_key_command` gave no master key: {0}")]
    MasterKeyCommand(String),
    #[error("the key file `{}`: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Reads both key files.
///
/// # Errors
/// When one is missing, open to others, or not what it should be.
pub fn read(pepper_file: &Path, tombstone_key_file: &Path) -> Result<Secrets, SecretsError> {
    let text = read_private(pepper_file)?;
    let peppers =
        Peppers::parse(&text).map_err(|error| SecretsError::Pepper { path: pepper_file.to_owned(), error })?;
    let text = read_private(tombstone_key_file)?;
    let tombstones =
        TombstoneKey::parse(&text).ok_or_else(|| SecretsError::Tombstone(tombstone_key_file.to_owned()))?;
    Ok(Secrets { peppers, tombstones })
}

/// Reads the key under which this installation signs what it says of its history.
///
/// # Errors
/// When it is missing, open to others, or not what it should be.
pub fn history_key(file: &Path) -> Result<SigningKey, SecretsError> {
    let text = read_private(file).map_err(|error| match error {
        SecretsError::Missing(file) => SecretsError::NoHistoryKey(file),
        other => other,
    })?;
    SigningKey::parse(&text).ok_or_else(|| SecretsError::HistoryKey(file.to_owned()))
}

/// The same, read whenever it is needed.
pub fn history_key_of(settings: &SecretsSettings) -> HistoryKey {
    let file = settings.history_key_file.clone();
    Arc::new(move || history_key(&file).map_err(|error| error.to_string()))
}

/// Reads the master key. An installation of an earlier version has no file of it, and needs none until something is
/// to be sealed; whether something is sealed already is the store's to say.
///
/// Waits for the program that prints it, where there is one: to be called at the start, or on a thread for such work.
///
/// # Errors
/// When it is open to others, not what it should be, or the program fails.
pub fn keyring(source: &MasterKeySource) -> Result<Keyring, SecretsError> {
    let parse =
        |text: &str, from: String| Keyring::parse(text).map_err(|error| SecretsError::MasterKey { from, error });
    match source {
        MasterKeySource::File(file) => match read_private(file) {
            Ok(text) => parse(&text, format!("`{}`", file.display())),
            Err(SecretsError::Missing(_)) => Ok(Keyring::empty()),
            Err(error) => Err(error),
        },
        MasterKeySource::Text(text) => parse(text.expose_secret(), "`secrets.master_key`".to_owned()),
        MasterKeySource::Command(words) => {
            let text = printed_by(words, PATIENCE).map_err(SecretsError::MasterKeyCommand)?;
            parse(&text, "what the program of `secrets.master_key_command` prints".to_owned())
        }
    }
}

/// What a program prints that has ended before `patience` is over. What it says beside that goes to the log as it is.
fn printed_by(words: &[String], patience: Duration) -> Result<Zeroizing<String>, String> {
    let until = Instant::now() + patience;
    let (program, arguments) = words.split_first().ok_or("it is not named")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let stdout = child.stdout.take().ok_or("its output cannot be read")?;
    let (hand_over, printed) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::new());
        let read = stdout.take(LONGEST_FILE).read_to_string(&mut text);
        // Nobody listens when it took too long.
        let _late = hand_over.send(read.map(|_| text));
    });
    let answer = printed.recv_timeout(patience);
    // It may have closed its output, and live on.
    let ended = end_of(&mut child, until).map_err(|error| format!("it did not end in {patience:?}: {error}"))?;
    match (answer, ended) {
        (Err(_), _) | (_, None) => Err(format!("it did not end in {patience:?}")),
        (Ok(Err(error)), _) => Err(format!("what it printed cannot be read: {error}")),
        (Ok(Ok(_)), Some(ended)) if !ended.success() => Err(format!("it ended with {ended}")),
        (Ok(Ok(text)), Some(_)) => Ok(text),
    }
}

/// How a program has ended; `None` when it had to be ended.
fn end_of(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(ended) = child.try_wait()? {
            return Ok(Some(ended));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads a file that nobody but its owner can.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, SecretsError> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SecretsError::Missing(path.to_owned()),
        _ => SecretsError::Io { path: path.to_owned(), error },
    };
    let file = File::open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & closed_to_others(metadata.uid(), rustix::process::geteuid().as_raw()) != 0 {
        return Err(SecretsError::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_FILE).read_to_string(&mut text).map_err(fault)?;
    Ok(text)
}

/// The bits that a key file's mode may not have. What root hands to a service by its group (a credential
/// of systemd, a mounted secret of a container) may be read by that group, and changed by nobody.
const fn closed_to_others(owner: u32, reader: u32) -> u32 {
    if owner == 0 && reader != 0 { 0o037 } else { 0o077 }
}

/// Makes the key files that do not exist yet, from `random`; says which it made.
///
/// # Errors
/// When a file cannot be written. A file that exists is left alone.
pub fn make_missing(files: &SecretsSettings, mut random: impl FnMut(&mut [u8])) -> Result<Vec<PathBuf>, SecretsError> {
    let mut made = Vec::new();
    let SecretsSettings { pepper_file, tombstone_key_file, history_key_file, master_key } = files;
    let own = [(pepper_file, "1 "), (tombstone_key_file, ""), (history_key_file, "")];
    let master = match master_key {
        MasterKeySource::File(file) => Some((file, "1 ")),
        MasterKeySource::Command(_) | MasterKeySource::Text(_) => None,
    };
    for (path, before) in own.into_iter().chain(master) {
        let text = key_line(before, &mut random);
        let written = write_new_private(path, text.as_bytes());
        if written.map_err(|error| SecretsError::Io { path: path.clone(), error })? {
            made.push(path.clone());
        }
    }
    Ok(made)
}

/// A key file that gets new versions, and what can take its place.
struct KeyPlace(MasterKeySource);

/// Where the keys that have versions are kept.
pub fn key_stores_of(settings: &SecretsSettings) -> KeyStores {
    let pepper = MasterKeySource::File(settings.pepper_file.clone());
    KeyStores { master: Arc::new(KeyPlace(settings.master_key.clone())), pepper: Arc::new(KeyPlace(pepper)) }
}

impl KeyStorage for KeyPlace {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        match &self.0 {
            MasterKeySource::File(file) => read_private(file).map_err(|error| error.to_string()),
            MasterKeySource::Text(text) => Ok(Zeroizing::new(text.expose_secret().to_owned())),
            MasterKeySource::Command(words) => printed_by(words, PATIENCE),
        }
    }

    fn add(&self, version: u32) -> Result<(), String> {
        let file = match &self.0 {
            MasterKeySource::File(file) => file,
            MasterKeySource::Text(_) => {
                return Err(format!(
                    "it stands in the environment: add a line `{version} HEX` there, restart, and what is kept moves by itself"
                ));
            }
            MasterKeySource::Command(_) => {
                return Err(format!(
                    "the program of `secrets.master_key_command` prints it: let it print a line `{version} HEX` too, and ask again"
                ));
            }
        };
        let mut text = self.read()?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&key_line(&format!("{version} "), house::random));
        // A name in a file system that is read-only, or a file that is mounted by itself, cannot be replaced.
        replace_private(file, text.as_bytes()).map_err(|error| {
            format!(
                "`{file}` cannot be replaced ({error}): add a line `{version} HEX` to it by whatever means made it, HEX being 64 \
                 random hexadecimal digits, and ask again (where it is a copy that systemd makes at the start, restart)",
                file = file.display()
            )
        })
    }
}

/// A line of a key file.
fn key_line(before: &str, mut random: impl FnMut(&mut [u8])) -> Zeroizing<String> {
    let mut key = Zeroizing::new([0_u8; 32]);
    random(key.as_mut_slice());
    let digits = key.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(HEX[usize::from(digit)]));
    let mut text = Zeroizing::new(String::with_capacity(before.len() + 2 * key.len() + 1));
    text.push_str(before);
    text.extend(digits);
    text.push('\n');
    text
}

/// Writes a file with mode 0600 unless it exists; says whether it wrote. The content is on the disk
/// when this returns.
///
/// # Errors
/// As the file system says.
pub fn write_new_private(path: &Path, content: &[u8]) -> io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    };
    file.write_all(content)?;
    file.sync_all()?;
    Ok(true)
}

/// Replaces a file by one with mode 0600, at once or not at all.
///
/// # Errors
/// As the file system says.
pub fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an earlier process left there is taken away, never written through: it may be a link.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The name has to last too, not only the file.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E1: a start waits for no program that does not end.
    #[test]
    fn a_program_that_lives_on_is_not_waited_for() {
        let shell = |script: &str| ["sh", "-c", script].map(str::to_owned);
        let patience = Duration::from_secs(5);
        assert_eq!(*printed_by(&shell("echo a key"), patience).unwrap(), "a key\n");
        let started = Instant::now();
        for script in ["sleep 60", "echo a key; exec >&-; exec sleep 60"] {
            let given_up = printed_by(&shell(script), Duration::from_millis(300)).unwrap_err();
            assert!(given_up.contains("did not end"), "{given_up}");
        }
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(printed_by(&shell("echo a key; exit 3"), patience).unwrap_err().contains("exit status: 3"));
    }

    /// T4: what stands beside the file is replaced, and not what it may be a link to.
    #[test]
    fn a_private_file_is_never_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("dev.env"), folder.path().join("other"));
        std::fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("dev.env.new")).unwrap();
        replace_private(&file, b"ours").unwrap();
        assert_eq!((std::fs::read(&file).unwrap(), std::fs::read(&other).unwrap()), (b"ours".into(), b"theirs".into()));
    }

    #[test]
    fn a_key_that_root_hands_over_may_be_read_by_the_group_it_is_handed_to() {
        let (root, service) = (0, 65_532);
        assert_eq!(0o440 & closed_to_others(root, service), 0);
        assert_ne!(0o444 & closed_to_others(root, service), 0);
        assert_ne!(0o460 & closed_to_others(root, service), 0);
        assert_ne!(0o440 & closed_to_others(root, root), 0);
        assert_ne!(0o440 & closed_to_others(service, service), 0);
    }

    #[test]
    fn keys_are_made_once_and_only_their_owner_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let (pepper, tombstone) = (folder.path().join("pepper"), folder.path().join("tombstone.key"));
        let history = folder.path().join("history.key");
        let files = SecretsSettings {
            pepper_file: pepper.clone(),
            tombstone_key_file: tombstone.clone(),
            history_key_file: history.clone(),
            master_key: MasterKeySource::File(folder.path().join("master.key")),
        };
        assert!(matches!(history_key(&history), Err(SecretsError::NoHistoryKey(_))));
        assert!(matches!(read(&pepper, &tombstone), Err(SecretsError::Missing(_))));

        assert_eq!(make_missing(&files, |bytes| bytes.fill(3)).unwrap().len(), 4);
        let before = std::fs::read(&pepper).unwrap();
        std::fs::remove_file(&history).unwrap();
        assert_eq!(
            make_missing(&files, |bytes| bytes.fill(4)).unwrap(),
            std::slice::from_ref(&history),
            "the one that is missing"
        );
        assert!(history_key(&history).is_ok());
        assert_eq!(std::fs::read(&pepper).unwrap(), before);
        assert!(read(&pepper, &tombstone).is_ok());

        std::fs::set_permissions(&pepper, Permissions::from_mode(0o640)).unwrap();
        let error = read(&pepper, &tombstone).unwrap_err();
        assert!(matches!(error, SecretsError::Open { mode: 0o640, .. }), "{error}");
        assert!(!error.to_string().contains("0303"), "{error}");
    }
}
