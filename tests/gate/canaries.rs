//! What lies on disks, searched for what must not lie there: the database, its log, dumps, copies (E3).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::locum::{Locum, configuration};
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::upstream::Upstream;

const NAME: &str = "Zéphyrine Canárybird";
const EMAIL: &str = "zephyrine.canary@example.org";
const PHONE: &str = "+41987650321";

/// Words that stand nowhere: each in the forms in which it could be found.
fn canaries(secrets: &[&str]) -> Vec<Vec<u8>> {
    let words = ["Zéphyrine", "Canárybird", "zephyrine", "canary@", "canarylegacy", "987650321"]
        .into_iter()
        .chain(secrets.iter().copied());
    words
        .flat_map(|word| {
            let hex: String = word
                .bytes()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
                .collect();
            let wide: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [word.to_lowercase().into_bytes(), hex.into_bytes(), wide]
        })
        .collect()
}

fn demand_none(of: &[Vec<u8>], place: &str, content: &[u8]) {
    assert!(content.len() > 100, "{place} holds nothing that could be searched");
    let folded = String::from_utf8_lossy(content).to_lowercase().into_bytes();
    for canary in of {
        let found = |text: &[u8]| text.windows(canary.len()).any(|window| window == canary);
        assert!(!found(content) && !found(&folded), "{place} holds {}", String::from_utf8_lossy(canary));
    }
}

/// A person of whom all is known, with a token that is used and guessed at; answers with what is secret.
fn life(gate: &Locum) -> Vec<String> {
    gate.run_cli(&["person", "add", "zoe", "--name", "Someone", "--email", EMAIL, "--phone", PHONE]);
    gate.run_cli(&["person", "set", "zoe", "--name", NAME]);
    gate.run_cli(&["legacy-name", "set", "zoe", "--app", "app", "--name", "canarylegacy77"]);
    gate.run_cli(&["proxy-user", "add", "zoe-ci", "--owner", "zoe"]);
    let user = gate.new_pat("zoe-ci");
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
    assert_eq!(gate.get("app.test", "/", &crate::locum::basic("zoe-ci", &user.guess(1))).status, 401);
    // The history tells it to who may read it, and holds it sealed.
    assert!(gate.run_cli(&["history", "--account", "zoe"]).contains(NAME));
    let export = gate.run_cli(&["audit", "export"]);
    demand_none(&canaries(&[]), "the exported history", export.as_bytes());
    let key = std::fs::read(gate.folder().join("master.key")).unwrap();
    let key = String::from_utf8(key).unwrap().trim().trim_start_matches("1 ").to_owned();
    // A token's secret stands after its public id.
    vec![user.pat[22..].to_owned(), user.pat.clone(), key]
}

/// E3, LG-005: the embedded database, its log and a copy of both hold no name, address, phone number and no token; nor
/// does what the gateway wrote to its log.
#[test]
fn the_embedded_database_holds_no_canary() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let secrets = life(&gate);
    let canaries = canaries(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    let backup = tempfile::tempdir().unwrap();
    for file in ["locum.db", "locum.db-wal"] {
        std::fs::copy(gate.folder().join(file), backup.path().join(file)).unwrap();
        demand_none(&canaries, file, &std::fs::read(backup.path().join(file)).unwrap());
    }
    demand_none(&canaries, "the log", gate.log().as_bytes());
    let found = |needle: &str| {
        let all = ["locum.db", "locum.db-wal"].map(|file| std::fs::read(backup.path().join(file)).unwrap()).concat();
        all.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    assert!(found("zoe-ci"), "the search finds what is there: a username is no secret");

    // Ended, the log is in the file; what was destroyed is in neither.
    gate.run_cli(&["person", "delete", "zoe"]);
    let mut gate = gate;
    assert!(gate.terminate());
    demand_none(&canaries, "the database at rest", &std::fs::read(gate.folder().join("locum.db")).unwrap());
    assert_eq!(wrapped_keys(&gate.folder().join("locum.db")), 1, "the key of the index, and no person's");
}

fn wrapped_keys(database: &Path) -> i64 {
    use sqlx::{ConnectOptions as _, Connection as _, Row as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        let row = sqlx::query("SELECT count(*) AS keys FROM data_keys").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get("keys")
    })
}

/// E3: so with PostgreSQL and Redis, by what their own programs dump.
#[test]
fn the_dumps_of_the_servers_hold_no_canary() {
    let (upstream, postgres, redis) = (Upstream::echo(), Postgres::shared(), Redis::start());
    let url = postgres.database();
    let extra = format!("[store]\nurl = \"{url}\"\n\n[redis]\nurl = \"{}\"\n", redis.url());
    let gate = Locum::start(&configuration(upstream.address, &extra));
    let secrets = life(&gate);
    let canaries = canaries(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    let dumped: Command = postgres.client("pg_dump");
    let dump = run(dumped, &["--dbname", &url]);
    assert!(String::from_utf8_lossy(&dump).contains("zoe-ci"), "the dump holds the directory");
    demand_none(&canaries, "the dump of PostgreSQL", &dump);
    assert_ne!(redis.ask("DBSIZE").lines().next(), Some(":0"), "the failure is counted there");
    demand_none(&canaries, "what Redis wrote", &written_by(&redis));
}

/// Everything that Redis has on its disk, after it was told to save.
fn written_by(redis: &Redis) -> Vec<u8> {
    assert!(redis.ask("SAVE").starts_with("+OK"), "Redis saves");
    let answer = redis.ask("CONFIG GET dir");
    let folder = answer.lines().map(str::trim).find(|line| line.starts_with('/')).expect("it says where its files are");
    let (mut folders, mut bytes) = (vec![PathBuf::from(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                bytes.extend(std::fs::read(path).unwrap());
            }
        }
    }
    bytes
}

fn run(mut command: Command, arguments: &[&str]) -> Vec<u8> {
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
