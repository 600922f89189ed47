//! `kill -9` between any two steps of moving old entries to the archive: nothing is lost, and the next run finishes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use locum::clock::{FixedClock, Timestamp};
use locum::cluster::{InFlight, Subjects};
use locum::directory::Actor;
use locum::directory::pepper::Peppers;
use locum::directory::tombstone::TombstoneKey;
use locum::history::checkpoint::SigningKey;
use locum::history::exported::Exported;
use locum::history::{Action, ActionType};
use locum::provision::retention::{self, Wish};
use locum::provision::{Parts, Provision, Request, RetentionSettings, Settings, reading};
use locum::seal::Keyring;
use locum::store::{self, Location, Store};

use crate::key_files::first_versions;
use crate::postgres::Postgres;

const STEP: &str = "LOCUM_TRIM_STEP";
const PLACE: &str = "LOCUM_TRIM_PLACE";
const ARCHIVE: &str = "LOCUM_TRIM_ARCHIVE";

const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// So many that they are written and removed in several goes, and are in three files.
const ENTRIES: u64 = 1_700;
const PART: u64 = 800;

fn location(place: &str) -> Location {
    if place.starts_with("postgres:") {
        return Location::Postgres(place.to_owned().into());
    }
    Location::Sqlite(place.into())
}

async fn open(place: &str, archive: &Path, now: Timestamp) -> Provision {
    let settings =
        store::Settings { location: location(place), readers: 4, timeout: Duration::from_secs(10), queue: 4_096 };
    let clock = Arc::new(FixedClock::at(now));
    let retention = RetentionSettings { keep: None, archive: Some(archive.to_owned()), part: PART };
    Provision::new(Parts {
        store: Store::open(&settings, clock.clone()).await.unwrap(),
        subjects: Subjects::new(),
        in_flight: InFlight::new(),
        counts: None,
        peppers: Arc::new(Peppers::parse(&format!("1 {}", "ab".repeat(32))).unwrap()),
        tombstones: Arc::new(TombstoneKey::parse(&"cd".repeat(32)).unwrap()),
        history_key: Arc::new(|| Ok(SigningKey::parse(&"ef".repeat(32)).unwrap())),
        keyring: Keyring::parse(&format!("1 {}", "12".repeat(32))).unwrap(),
        key_stores: first_versions(),
        clock,
        random: Arc::new(|_| {}),
        settings: Settings { retention, ..Settings::default() },
    })
}

async fn trim(provision: &Provision) -> u64 {
    let wish = Wish { before: Some(NOON.plus(Duration::from_hours(1))), dry_run: false };
    retention::trim(provision, &Request::from_host("root"), wish).await.unwrap().entries
}

/// Not a test but the door through which the other process comes in: it moves entries until it reaches its step.
#[test]
fn moves_entries_until_it_is_killed() {
    let said = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
    let (Some(step), Some(place), Some(archive)) = (said(STEP), said(PLACE), said(ARCHIVE)) else { return };
    let _scenario = fail::FailScenario::setup();
    fail::cfg_callback(&step, || {
        println!("\n> reached");
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let provision = open(&place, Path::new(&archive), NOON.plus(Duration::from_hours(2))).await;
        trim(&provision).await;
    });
    println!("\n> ended");
}

fn killed_at(step: &str, place: &str, archive: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trim::moves_entries_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(STEP, step)
        .env(PLACE, place)
        .env(ARCHIVE, archive)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("> ").map(str::to_owned));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said.as_deref(), Some("reached"), "{step}");
}

/// What the archive and the rest hold, followed from the first entry of all to the head.
async fn nothing_is_lost(provision: &Provision, archive: &Path) {
    let host = Request::from_host("root");
    let audit = reading::audit(provision, &host, &[], None).await.unwrap();
    assert_eq!(audit.broken, None);
    let mut reader = provision.store().read().await.unwrap();
    let begins_after = reader.begins_after().await.unwrap().sequence;
    let mut exported = Exported::new(SigningKey::parse(&"ef".repeat(32)).unwrap().public_key(), Vec::new());
    let mut files: Vec<_> = std::fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let through = name.trim_end_matches(".jsonl").rsplit_once('-').unwrap().1.parse::<u64>().unwrap();
        if through > begins_after {
            continue;
        }
        exported.next_file();
        String::from_utf8(std::fs::read(file).unwrap()).unwrap().lines().for_each(|line| exported.line(line).unwrap());
    }
    let mut export = reading::export(provision, &host, None).await.unwrap();
    while let Some(text) = export.next().await.unwrap() {
        text.lines().for_each(|line| exported.line(line).unwrap());
    }
    let held = exported.end().unwrap();
    assert_eq!((held.follows, held.through), (0, audit.head.place()));
    assert!(held.through.sequence >= ENTRIES);
}

fn killed_at_every_step(place: impl Fn() -> String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for step in ["trim::writing", "trim::written", "trim::archived", "trim::based", "trim::removing"] {
        let (place, folder) = (place(), tempfile::tempdir().unwrap());
        let archive = folder.path().join("archive");
        let action = Action::new(ActionType::AttemptFailed, Actor::Locum).because("L1");
        runtime.block_on(async {
            let provision = open(&place, &archive, NOON).await;
            provision.store().record(vec![action; usize::try_from(ENTRIES).unwrap()]).await.unwrap();
            provision.store().close().await;
        });
        // Twice: the second time it goes on where the first was ended.
        for _ in 0..2 {
            killed_at(step, &place, &archive);
            runtime.block_on(async {
                let provision = open(&place, &archive, NOON.plus(Duration::from_hours(2))).await;
                nothing_is_lost(&provision, &archive).await;
                provision.store().close().await;
            });
        }
        runtime.block_on(async {
            let provision = open(&place, &archive, NOON.plus(Duration::from_hours(2))).await;
            trim(&provision).await;
            nothing_is_lost(&provision, &archive).await;
            let mut reader = provision.store().read().await.unwrap();
            let base = reader.begins_after().await.unwrap().sequence;
            assert_eq!((base, reader.links(1, 1).await.unwrap()[0].sequence), (ENTRIES, ENTRIES + 1), "{step}");
            drop(reader);
            assert_eq!(trim(&provision).await, 0);
            provision.store().close().await;
        });
    }
}

/// H7
#[test]
fn a_run_that_is_killed_loses_nothing_and_the_next_finishes_it_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    killed_at_every_step(|| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        folder.path().join(format!("{number}.db")).display().to_string()
    });
}

/// H7
#[test]
fn a_run_that_is_killed_loses_nothing_and_the_next_finishes_it_in_postgres() {
    killed_at_every_step(|| Postgres::shared().database());
}
