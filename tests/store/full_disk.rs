//! A full disk: the change fails clearly, nothing is half done, and with room again it goes on.
//!
//! The disk is a small file system in memory, mounted where only one process sees it. That takes root,
//! or a kernel that lends namespaces to users; where there is neither, these tests fail.

use std::ffi::OsStr;
use std::path::Path;

use locum::directory::ReasonCode;

use locum::store::{AccountFilter, ChangeError, Location, Store, StoreError};

use crate::child::{Child, say};
use crate::postgres::Postgres;
use crate::world::*;

/// Fills the disk and empties it again; the last word is `fine`.
pub async fn fill(backend: Backend) {
    let ballast = backend.path().with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
    let store = backend.open().await;
    let (mut added, mut in_a_row) = (0, 0);
    let error = loop {
        // the first failure empties the log, which makes a little room once more
        match try_add(&store, &person(&format!("p{added}"))).await {
            Ok(_) => (added, in_a_row) = (added + 1, 0),
            Err(ChangeError::Rule(error) | ChangeError::Store(error)) if in_a_row == 3 => break error,
            Err(_) => in_a_row += 1,
        }
    };
    say(&error);
    assert_eq!(error, StoreError::Full { place: backend.path().display().to_string() });
    only_what_was_acknowledged_is_there(&store, added).await;
    let again = try_add(&store, &person("again")).await;
    assert!(matches!(again, Err(ChangeError::Store(StoreError::Full { .. }))), "still full: {again:?}");

    std::fs::remove_file(&ballast).unwrap();
    for _ in 0..20 {
        try_add(&store, &person(&format!("p{added}"))).await.unwrap();
        added += 1;
    }
    only_what_was_acknowledged_is_there(&store, added).await;
    store.close().await;
    assert_eq!(backend.sqlite_text("PRAGMA integrity_check").await, "ok");
    say("fine");
}

async fn only_what_was_acknowledged_is_there(store: &Store, added: u64) {
    let mut reader = store.read().await.unwrap();
    let accounts = reader.accounts(&AccountFilter { limit: 100_000, ..AccountFilter::default() }).await.unwrap();
    assert_eq!(accounts.len() as u64, added);
    assert_eq!(reader.audit().await.unwrap().sequence, added);
}

/// Runs a part on a disk of `size`.
fn on_a_disk_of(size: &str, part: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("locum.db"));
    let mount = format!(r#"mount -t tmpfs -o size={size} none "$0" && exec "$@""#);
    let own_view: &[&str] =
        if rustix::process::geteuid().is_root() { &["unshare", "-m"] } else { &["unshare", "-r", "-m"] };
    let own_view: Vec<&OsStr> = own_view.iter().map(OsStr::new).collect();
    let shell = [OsStr::new("sh"), OsStr::new("-c"), OsStr::new(&mount), folder.path().as_os_str()];
    let wrapper: Vec<&OsStr> = own_view.into_iter().chain(shell).collect();
    let said = Child::start(part, &location, &wrapper).says_all();
    assert!(!Path::new(&folder.path().join("locum.db")).exists(), "the disk was the child's own");
    said
}

#[test]
fn a_full_disk_fails_the_change_and_nothing_else() {
    let said = on_a_disk_of("3m", "fill");
    assert_eq!(said.last().map(String::as_str), Some("fine"), "{said:?}");
    assert!(said[0].contains("is full: make room"), "{said:?}");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let said = on_a_disk_of("16k", "open");
    assert!(said[0].contains("is full: make room"), "{said:?}");
}

/// A reason as long as nobody would write one, that does not get shorter by compression.
async fn add_long_reason(store: &Store, number: u32) -> Changed<()> {
    let meaning: String = (0..100_000).map(|_| char::from(rand::random_range(b' '..=b'~'))).collect();
    let code = ReasonCode::parse(&format!("r{number}")).unwrap();
    write(store, move |writer| Box::pin(async move { writer.insert_reason(&code, &meaning).await })).await
}

#[test]
fn a_full_disk_of_a_server_fails_the_change_and_nothing_else() {
    let disk = tempfile::tempdir_in("/tmp").unwrap();
    let as_root = rustix::process::geteuid().is_root();
    // PostgreSQL refuses root. Who only plays root, to be allowed to mount, plays a user again behind it.
    let (own_view, owner): (&[&str], _) = if as_root {
        (&["unshare", "-m"], r#"chown postgres "$0" && exec "$@""#)
    } else {
        (&["unshare", "-r", "-m"], r#"exec unshare -U --map-user=1000 --map-group=1000 -- "$@""#)
    };
    let mount = format!(r#"mount -t tmpfs -o size=14m none "$0" && {owner}"#);
    let own_view = own_view.iter().copied().map(OsStr::new);
    let shell = [OsStr::new("sh"), OsStr::new("-c"), OsStr::new(&mount), disk.path().as_os_str()];
    let wrapper: Vec<&OsStr> = own_view.chain(shell).collect();
    let server = Postgres::start_behind(&wrapper, &["-c", "fsync=off"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let everywhere = Backend::at_url(&server.url("postgres"));
        everywhere.run_sql(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display())).await;
        everywhere.run_sql("CREATE DATABASE crowded TABLESPACE small").await;
        let backend = Backend::at_url(&server.url("crowded"));
        backend.run_sql("CREATE TABLE ballast AS SELECT repeat('x', 500) AS x FROM generate_series(1, 4000)").await;

        let store = backend.open().await;
        let mut kept = 0;
        let error = loop {
            match add_long_reason(&store, kept).await {
                Ok(_) => kept += 1,
                Err(ChangeError::Rule(error) | ChangeError::Store(error)) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        let seeded = locum::directory::reason::SEEDED.len();
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.reasons().await.unwrap().len(), seeded + kept as usize);
        assert_eq!(reader.audit().await.unwrap().sequence, u64::from(kept));

        backend.run_sql("DROP TABLE ballast").await;
        for number in 0..5 {
            add_long_reason(&store, 1_000 + number).await.unwrap();
        }
        assert_eq!(reader.audit().await.unwrap().sequence, u64::from(kept) + 5);
    });
}
