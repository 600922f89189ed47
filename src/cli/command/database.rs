//! `locum db …`: copies of the embedded database, and moving it to PostgreSQL.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::admin::peer;
use crate::admin::shape::{ApiKeyView, AuditView, AuditWish, RevokeAllPats, RevokeApiKey, RevokedPats};
use crate::cli::arguments::{DbCommand, Global, MoveArguments, RestoreArguments};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::find::{self, Meant};
use crate::cli::in_process::{InProcess, holder, open_store, readable};
use crate::cli::output::{Output, table};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::history::ActionType;
use crate::provision::backup;
use crate::store::{self, Location, Progress, Restoration, Store, transfer};

/// Why the tokens of a restored database are revoked.
const RESTORED: &str = "other";

pub(in crate::cli) async fn db(global: &Global, command: DbCommand, output: Output) -> Result<(), Failure> {
    match command {
        DbCommand::Backup { to } => {
            let client = Client::connect(global).await?;
            let done = backup(&client, &to, output).await;
            client.close().await;
            done
        }
        DbCommand::Restore(asked) => restore(&*configured(global)?, &asked, output).await,
        DbCommand::Move(asked) => move_to(&*configured(global)?, &asked, output).await,
    }
}

fn configured(global: &Global) -> Result<Box<Settings>, Failure> {
    match find::meant(global)? {
        Meant::Configured(settings) => Ok(settings),
        Meant::Socket(_) | Meant::Server(_) => {
            Err(Failure::Usage("name the configuration of the database, with `--config FILE`".into()))
        }
    }
}

async fn backup(client: &Client, to: &Path, output: Output) -> Result<(), Failure> {
    let fault = |error: io::Error| Failure::failed(format!("`{}` cannot be written: {error}", to.display()));
    let part = part_of(to);
    if to.exists() {
        return Err(Failure::failed(format!("`{}` is there already: name another file", to.display())));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(fault)?;
    let mut written = 0_u64;
    let route = path(&["backup"]);
    let taken = client.stream_slowly(&route, |bytes| {
        written += bytes.len() as u64;
        file.write_all(bytes).map_err(fault)
    });
    let put = match taken.await {
        Ok(()) => put(&file, &part, to).map_err(fault),
        Err(failure) => Err(failure),
    };
    if put.is_err()
        && let Err(error) = std::fs::remove_file(&part)
    {
        // Nobody is to take a part for the whole; its name says that it is one.
        tracing::warn!(%error, part = %part.display(), "a part of a copy was left behind");
    }
    put?;
    let document = json!({ "file": to.display().to_string(), "bytes": written });
    output.answer(&document, |_| {
        format!("wrote {} ({written} bytes); keep the key files apart: without them it is of no use", to.display())
    })
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    name.into()
}

fn put(file: &File, part: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    // Fails when somebody made it meanwhile.
    std::fs::hard_link(part, to)?;
    std::fs::remove_file(part)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

async fn restore(settings: &Settings, asked: &RestoreArguments, output: Output) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let user = peer::unix_user(rustix::process::getuid().as_raw()).await;
    let restoration = Restoration::begin(&settings.store(), &asked.from, &holder(&user), Arc::clone(&clock)).await;
    let restoration = restoration.map_err(Failure::failed)?;
    let ready = ready(settings, &restoration, asked, &user).await;
    let revoked = match ready {
        Ok(revoked) => revoked,
        Err(failure) => {
            restoration.give_up().await.map_err(Failure::failed)?;
            return Err(failure);
        }
    };
    let kept = restoration.put_in_place(clock.now()).await.map_err(Failure::failed)?;
    let document = json!({
        "restored": asked.from.display().to_string(), "kept": kept.display().to_string(),
        "revoked_pats": revoked.as_ref().map(|revoked| revoked.pats),
        "revoked_api_keys": revoked.as_ref().map(|revoked| revoked.api_keys),
    });
    output.answer(&document, |_| {
        let tokens = revoked
            .as_ref()
            .map(|Revoked { pats, api_keys }| format!("; {pats} tokens and {api_keys} API keys were revoked"));
        let tokens = tokens.unwrap_or_default();
        format!("restored {}{tokens}; what was there is now {}", asked.from.display(), kept.display())
    })
}

/// Looks at the copy before it is anybody's database, and revokes its tokens where that is wanted.
async fn ready(
    settings: &Settings,
    restoration: &Restoration,
    asked: &RestoreArguments,
    user: &str,
) -> Result<Option<Revoked>, Failure> {
    let copy = Settings { store: Location::Sqlite(restoration.copy().to_owned()), ..settings.clone() };
    let store = open_store(&copy, Arc::new(SystemClock)).await?;
    let checked = async {
        restoration.check(&store, &asked.from).await.map_err(Failure::failed)?;
        readable(&store, &settings.secrets).await
    };
    let checked = checked.await;
    store.close().await;
    checked?;
    let client = Client::InProcess(Box::new(InProcess::open(&copy).await?));
    let revoked = believed(&client, asked).await;
    client.close().await;
    let revoked = revoked?;
    let store = open_store(&copy, Arc::new(SystemClock)).await?;
    let noted = backup::note(&store, ActionType::DatabaseRestored, user).await.map_err(Failure::failed);
    store.close().await;
    noted?;
    Ok(revoked)
}

/// Whether the history is this installation's from its beginning on; then what is to become of tokens.
async fn believed(client: &Client, asked: &RestoreArguments) -> Result<Option<Revoked>, Failure> {
    let audit: AuditView = client.post_slowly(&path(&["audit"]), &AuditWish::default()).await?;
    if let Some(broken) = audit.broken {
        let file = asked.from.display();
        return Err(Failure::failed(format!(
            "the history in `{file}` is not whole, and nothing was changed: {broken}"
        )));
    }
    if !asked.tokens.revoke_all {
        return Ok(None);
    }
    let wish = RevokeAllPats { reason: RESTORED.to_owned() };
    let pats: RevokedPats = client.post_slowly(&path(&["pats", "revoke-all"]), &wish).await?;
    let mut revoked = Revoked { pats: pats.revoked, api_keys: 0 };
    for key in super::api_key::every(client, None).await? {
        if key.revoked.is_none() {
            let wish = RevokeApiKey { reason: RESTORED.to_owned() };
            client.post::<ApiKeyView>(&path(&["api-keys", &key.public_id, "revoke"]), &wish).await?;
            revoked.api_keys += 1;
        }
    }
    Ok(Some(revoked))
}

/// How many were revoked.
struct Revoked {
    pats: u64,
    api_keys: u64,
}

async fn move_to(settings: &Settings, asked: &MoveArguments, output: Output) -> Result<(), Failure> {
    let url = match (&asked.to, &asked.to_file) {
        (Some(url), _) => url.clone(),
        (None, Some(file)) => tokio::fs::read_to_string(file)
            .await
            .map_err(|error| Failure::failed(format!("`{}` cannot be read: {error}", file.display())))?,
        (None, None) => return Err(Failure::Usage("name the new database, with `--to URL`".into())),
    };
    let url = url.trim().to_owned();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Failure::Usage("the new database is one of PostgreSQL: `postgres://USER@HOST/DATABASE`".into()));
    }
    let from = settings.store();
    let to = store::Settings { location: Location::Postgres(url.into()), ..from.clone() };
    let user = peer::unix_user(rustix::process::getuid().as_raw()).await;
    let mut shown = Shown::new(output);
    let moved = transfer(&from, &to, &holder(&user), Arc::new(SystemClock), |progress| shown.show(progress)).await;
    shown.end();
    let moved = moved.map_err(Failure::failed)?;
    let store = Store::open(&to, Arc::new(SystemClock)).await.map_err(Failure::failed)?;
    let noted = backup::note(&store, ActionType::DatabaseMoved, &user).await.map_err(Failure::failed);
    store.close().await;
    noted?;
    let rows: serde_json::Map<_, _> = moved.tables.iter().map(|(table, rows)| (table.clone(), json!(rows))).collect();
    let document = json!({ "place": moved.place, "rows": rows, "entries": moved.head.sequence, "head": moved.head.hash.to_string() });
    output.answer(&document, |_| {
        let rows = moved.tables.iter().map(|(table, rows)| vec![table.clone(), rows.to_string()]);
        let head = moved.head;
        format!(
            "{}\nall of it is in {}: every row was compared, and the history is whole: {} entries, head {}\n\
             name it in `[store] url`, and start the gateway; the old database stays as it is",
            table(&["TABLE", "ROWS"], rows),
            moved.place,
            head.sequence,
            head.hash
        )
    })
}

/// How far it has come, on one line of a terminal.
struct Shown {
    on: bool,
    any: bool,
}

impl Shown {
    fn new(output: Output) -> Self {
        Self { on: !output.is_json() && io::stderr().is_terminal(), any: false }
    }

    fn show(&mut self, progress: Progress<'_>) {
        if !self.on {
            return;
        }
        self.any = true;
        let words = match progress {
            Progress::Copied { table, rows } => format!("copied {rows} rows of {table}"),
            Progress::Compared { table, rows } => format!("compared {rows} rows of {table}"),
            Progress::Following => "following the chain of the history".to_owned(),
        };
        // A terminal that is gone is no reason to stop.
        let _gone = write!(io::stderr(), "\r\u{1b}[K{words}");
    }

    fn end(&self) {
        if self.any {
            let _gone = writeln!(io::stderr());
        }
    }
}
