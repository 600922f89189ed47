//! What only a file can suffer: each a clear message that says what would be right.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use locum::store::{AccountFilter, ChangeError, OpenError, Settings, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::child::Child;
use crate::world::*;

fn in_sqlite(claim: impl AsyncFnOnce(Backend)) {
    run(Kept::Sqlite, claim);
}

fn impatient(backend: &Backend) -> Settings {
    Settings { timeout: Duration::from_millis(1_500), ..backend.settings() }
}

async fn another_program(backend: &Backend) -> SqliteConnection {
    SqliteConnectOptions::new().filename(backend.path()).create_if_missing(true).connect().await.unwrap()
}

fn mode(backend: &Backend, suffix: &str) -> u32 {
    let mut path = backend.path().into_os_string();
    path.push(suffix);
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_can_read_the_database_and_what_lies_beside_it() {
    in_sqlite(async |backend| {
        std::fs::write(backend.path(), "").unwrap();
        std::fs::set_permissions(backend.path(), std::fs::Permissions::from_mode(0o664)).unwrap();
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        let _lock = locum::store::NodeLock::take(&store, "test").await.unwrap();
        for suffix in ["", "-wal", "-shm", ".lock"] {
            assert_eq!(mode(&backend, suffix), 0o600, "{suffix}");
        }
    });
}

#[test]
fn a_missing_folder_is_named() {
    in_sqlite(async |backend| {
        let folder = backend.path().with_file_name("missing");
        let backend = Backend::at_path(folder.join("locum.db").to_str().unwrap());
        let error = backend.try_open().await.unwrap_err();
        assert_eq!(error, OpenError::NoFolder { folder: folder.display().to_string() });
        assert!(error.to_string().contains("make it"), "{error}");
    });
}

#[test]
fn a_folder_in_the_place_of_the_file_is_named() {
    in_sqlite(async |backend| {
        std::fs::create_dir(backend.path()).unwrap();
        let error = backend.try_open().await.unwrap_err();
        assert_eq!(error, OpenError::Folder { place: backend.path().display().to_string() });
    });
}

#[test]
fn what_is_no_database_is_left_as_it_is() {
    in_sqlite(async |backend| {
        let text = "[server]\nlisten = \"127.0.0.1:8080\"\n".repeat(40);
        std::fs::write(backend.path(), &text).unwrap();
        let error = backend.try_open().await.unwrap_err();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
        assert_eq!(std::fs::read(backend.path()).unwrap(), text.as_bytes());
    });
}

#[test]
fn the_database_of_another_program_is_left_as_it_is() {
    in_sqlite(async |backend| {
        backend.try_tamper("").await.unwrap_err();
        let mut other = another_program(&backend).await;
        sqlx::raw_sql("CREATE TABLE recipes (name TEXT)").execute(&mut other).await.unwrap();
        other.close().await.unwrap();
        let before = std::fs::read(backend.path()).unwrap();
        let error = backend.try_open().await.unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        assert_eq!(std::fs::read(backend.path()).unwrap(), before);
    });
}

#[test]
fn a_damaged_database_is_said_to_be_damaged() {
    in_sqlite(async |backend| {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        store.close().await;
        let mut bytes = std::fs::read(backend.path()).unwrap();
        bytes[4_096..].fill(0xa5);
        std::fs::write(backend.path(), bytes).unwrap();
        let error = match backend.try_open().await {
            Err(OpenError::Store(error)) => error,
            Err(other) => panic!("{other}"),
            Ok(store) => store.read().await.unwrap().accounts(&AccountFilter::default()).await.unwrap_err(),
        };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
    });
}

#[test]
fn a_lock_of_another_program_fails_the_change_in_time_and_not_the_next() {
    in_sqlite(async |backend| {
        let store = backend.open_with(&impatient(&backend)).await.unwrap();
        add(&store, &[&person("ann")]).await;
        let mut other = another_program(&backend).await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let answer = try_add(&store, &person("bob")).await.unwrap_err();
        let locked = StoreError::Locked { place: backend.path().display().to_string() };
        assert_eq!(answer, ChangeError::Store(locked));
        let all = store.read().await.unwrap().accounts(&AccountFilter::default()).await.unwrap();
        assert_eq!(all.len(), 1, "reading goes on");
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        add(&store, &[&person("bob")]).await;
    });
}

#[test]
fn a_database_that_another_program_holds_alone_cannot_be_opened() {
    in_sqlite(async |backend| {
        backend.open().await.close().await;
        let mut other = another_program(&backend).await;
        let alone = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE head SET epoch = epoch + 1; COMMIT";
        sqlx::raw_sql(alone).execute(&mut other).await.unwrap();
        let error = backend.open_with(&impatient(&backend)).await.unwrap_err();
        assert!(matches!(error, OpenError::Store(StoreError::Locked { .. })), "{error}");
    });
}

#[test]
fn a_file_that_is_deleted_under_us_acknowledges_nothing_more() {
    in_sqlite(async |backend| {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        std::fs::remove_file(backend.path()).unwrap();
        let gone = ChangeError::Store(StoreError::Gone { place: backend.path().display().to_string() });
        assert_eq!(try_add(&store, &person("bob")).await.unwrap_err(), gone);
        std::fs::write(backend.path(), "another file").unwrap();
        assert_eq!(try_add(&store, &person("bob")).await.unwrap_err(), gone);
        assert!(matches!(store.read().await.unwrap_err(), StoreError::Gone { .. }), "nor is another file read");
    });
}

#[test]
fn a_folder_that_vanishes_acknowledges_nothing_more() {
    in_sqlite(async |backend| {
        let store = backend.open().await;
        std::fs::remove_dir_all(backend.path().parent().unwrap()).unwrap();
        let answer = try_add(&store, &person("ann")).await.unwrap_err();
        assert!(matches!(answer, ChangeError::Store(StoreError::Gone { .. })), "{answer}");
    });
}

#[test]
fn a_file_that_this_user_may_not_read_is_named() {
    in_sqlite(async |backend| {
        backend.open().await.close().await;
        let folder = backend.path().parent().unwrap().to_owned();
        // root may read everything, so another user has to try
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"].map(OsStr::new);
        let as_root = rustix::process::geteuid().is_root();
        let wrapper: &[&OsStr] = if as_root { &nobody } else { &[] };
        let open_folder = if as_root { 0o755 } else { 0o500 };
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(open_folder)).unwrap();
        std::fs::set_permissions(backend.path(), std::fs::Permissions::from_mode(if as_root { 0o600 } else { 0 }))
            .unwrap();
        let said = Child::start("open", &backend.location, wrapper).says_all();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(said[0].contains("permissions"), "{said:?}");
        assert!(said[0].contains(backend.path().to_str().unwrap()), "{said:?}");
    });
}
