//! Opening: what is new, what is known, and what is newer than the program.

use locum::directory::reason::SEEDED;
use locum::directory::{Actor, AppName, Networks};
use locum::history::{Action, ActionType, ChainHash};
use locum::store::{Head, HistoryFilter, OpenError, Store};

use crate::world::*;

/// Takes back the fourth version of the schema.
const WITHOUT_CALLERS_AND_PERSONAL: &str = "DROP TABLE administrators; DROP TABLE app_administrators; \
    DROP TABLE granted_rights; DROP TABLE api_keys; DROP TABLE personal; DROP TABLE data_keys; \
    DROP TABLE arrivals; DROP TABLE legacy_names; DROP TABLE imported_names";
const WITHOUT_ROTATION: &str = "DROP INDEX pats_by_replaced; DROP INDEX pats_retiring; \
    ALTER TABLE pats DROP COLUMN replaces; ALTER TABLE pats DROP COLUMN overlap; \
    ALTER TABLE pats DROP COLUMN silence; ALTER TABLE pats DROP COLUMN retires_at";

/// Takes back the twelfth and the thirteenth.
const WITHOUT_WARNINGS: &str = "ALTER TABLE pats DROP COLUMN last_used_address; \
    ALTER TABLE pats DROP COLUMN last_used_app; DROP INDEX pats_by_expiry; ALTER TABLE pats DROP COLUMN warned_days";

/// Takes back the eleventh.
const WITHOUT_JOBS: &str = "DROP TABLE job_runs; DROP TABLE jobs";

/// Takes back the eighth.
const fn without_base(kept: Kept) -> &'static str {
    match kept {
        Kept::Sqlite => {
            "DROP TRIGGER history_is_not_deleted; DROP TRIGGER history_marks_are_not_deleted; DROP TABLE history_base; \
             CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history \
             BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
        }
        Kept::Postgres => {
            "DROP TABLE history_base; DROP FUNCTION history_base_moves_forward; \
             DROP FUNCTION history_is_kept_from_its_base CASCADE"
        }
    }
}

claims! {
    /// T6
    async fn a_new_database_has_its_head_and_its_code_table(backend: Backend) {
        let store = backend.open().await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.head().await.unwrap(), Head { epoch: 0, sequence: 0, hash: ChainHash::GENESIS });
        let reasons = reader.reasons().await.unwrap();
        assert_eq!(reasons.len(), SEEDED.len());
        for (code, meaning) in SEEDED {
            assert!(reasons.iter().any(|(found, words)| found.as_str() == code && words == meaning), "{code}");
        }
        reader.audit().await.unwrap();
    }

    async fn a_database_newer_than_the_program_is_refused_with_both_versions(backend: Backend) {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        store.close().await;
        backend.tamper("INSERT INTO schema_version VALUES (42, '9.8.7', 0)").await;
        let error = backend.try_open().await.unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 42, known: 7.., .. }), "{error}");
        let shown = error.to_string();
        for part in ["version 42", "locum 9.8.7", "knows versions up to ", concat!("locum ", env!("CARGO_PKG_VERSION"))] {
            assert!(shown.contains(part), "`{part}` is missing: {shown}");
        }
        backend.tamper("DELETE FROM schema_version WHERE version = 42").await;
        assert_eq!(backend.open().await.read().await.unwrap().audit().await.unwrap().sequence, 1, "nothing is lost");
    }

    /// L10: what the version before wrote is all there, and is used from everywhere as it was.
    async fn a_database_of_the_version_before_is_brought_forward_with_everything_in_it(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let ci = proxy_of(&ann, "ann-ci");
        add(&store, &[&ann, &ci]).await;
        let pat = pat_of(ci.id, 1);
        add_pat(&store, &pat).await.unwrap();
        let before = store.read().await.unwrap().head().await.unwrap();
        store.close().await;
        backend.tamper(WITHOUT_WARNINGS).await;
        backend.tamper(WITHOUT_JOBS).await;
        backend.tamper(without_base(backend.kept)).await;
        backend.tamper(WITHOUT_CALLERS_AND_PERSONAL).await;
        backend.tamper("ALTER TABLE accounts DROP COLUMN networks; DROP TABLE history_marks; DROP TABLE installation").await;
        backend.tamper(WITHOUT_ROTATION).await;
        backend.tamper("DELETE FROM schema_version WHERE version >= 2").await;

        let store = backend.open().await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.head().await.unwrap(), before);
        assert_eq!(reader.account(ann.id).await.unwrap(), Some(ann));
        let found = reader.look_up(Some("ann-ci"), Some(pat.public_id)).await.unwrap();
        assert_eq!((found.named, found.pat.map(|kept| kept.pat)), (Some(ci.clone()), Some(pat)));
        reader.audit().await.unwrap();
        drop(reader);
        let networks = Networks::from_iter(["192.0.2.0/24".parse().unwrap()]);
        confine(&store, ci.id, &networks).await.unwrap();
        store.close().await;
        let again = backend.open().await;
        assert_eq!(again.read().await.unwrap().account(ci.id).await.unwrap().unwrap().networks, networks);
    }

    /// H2: what the version before wrote into the history is found by app, and by who asked for it.
    async fn the_entries_of_the_version_before_are_found_by_what_they_concern(backend: Backend) {
        let store = backend.open().await;
        let granted = |app: &str| {
            Action::new(ActionType::OperationRefused, root()).detail(&format!("app:{app}"), None, Some("held"))
        };
        let deleted = Action::new(ActionType::UserDeleted, Actor::Locum).because("P13 host:root");
        // more than are read at once
        let many: Vec<_> = (0..1_200).map(|_| granted("blog")).collect();
        store.record(many).await.unwrap();
        store.record(vec![granted("wiki"), deleted]).await.unwrap();
        let before = store.read().await.unwrap().audit().await.unwrap();
        store.close().await;
        backend.tamper(WITHOUT_WARNINGS).await;
        backend.tamper(WITHOUT_JOBS).await;
        backend.tamper(without_base(backend.kept)).await;
        backend.tamper(WITHOUT_CALLERS_AND_PERSONAL).await;
        backend.tamper("DROP TABLE history_marks; DROP TABLE installation; DELETE FROM schema_version WHERE version >= 3").await;
        backend.tamper(WITHOUT_ROTATION).await;

        let store = backend.open().await;
        let mut reader = store.read().await.unwrap();
        let app = |name| HistoryFilter { app: Some(AppName::parse(name).unwrap()), limit: 2_000, ..Default::default() };
        assert_eq!(reader.history(&app("blog")).await.unwrap().len(), 1_200);
        assert_eq!(reader.history(&app("wiki")).await.unwrap()[0].sequence, 1_201);
        let asked = HistoryFilter { actor: Some(root()), limit: 1, ..Default::default() };
        assert_eq!(reader.history(&asked).await.unwrap()[0].sequence, 1_202);
        assert_eq!(reader.audit().await.unwrap(), before);
    }

    /// H5
    async fn each_installation_has_an_id_of_its_own_that_stays(backend: Backend) {
        let id = async |store: Store| {
            let id = store.read().await.unwrap().installation().await.unwrap();
            store.close().await;
            id
        };
        let first = id(backend.open().await).await;
        assert_eq!(id(backend.open().await).await, first);
        assert_ne!(id(Backend::new(backend.kept).open().await).await, first);
    }

    async fn opening_again_changes_nothing(backend: Backend) {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        let before = store.read().await.unwrap().head().await.unwrap();
        store.close().await;
        for _ in 0..3 {
            let store = backend.open().await;
            assert_eq!(store.read().await.unwrap().head().await.unwrap(), before);
            store.close().await;
        }
    }
}
