//! The history: in its order, filtered, and anything done to it found (H2, H3, H5).

use std::sync::Arc;
use std::time::Duration;

use locum::clock::{Clock, FixedClock};
use locum::directory::{Actor, AppName};
use locum::history::chain::Broken;
use locum::history::{Action, ActionType, Place};
use locum::store::{AuditError, HistoryFilter, Store};

use crate::world::*;

const UNLOCK_SQLITE: &str = "DROP TRIGGER history_is_not_changed; DROP TRIGGER history_is_not_deleted;";
const UNLOCK_POSTGRES: &str = "ALTER TABLE history DISABLE TRIGGER USER;";

const UNLOCK_MARKS_SQLITE: &str =
    "DROP TRIGGER history_marks_are_not_changed; DROP TRIGGER history_marks_are_not_deleted;";
const UNLOCK_MARKS_POSTGRES: &str = "ALTER TABLE history_marks DISABLE TRIGGER USER;";

/// An action about one thing that is held.
fn held(holding: &str) -> Action {
    Action::new(ActionType::OperationRefused, root()).detail(holding, None, Some("held"))
}

/// A store with ten entries, its history open to whoever reaches the database.
async fn ten_entries(backend: &Backend) -> Store {
    let store = backend.open().await;
    for number in 0..10 {
        add(&store, &[&person(&format!("p{number}"))]).await;
    }
    backend.tamper(if backend.kept == Kept::Sqlite { UNLOCK_SQLITE } else { UNLOCK_POSTGRES }).await;
    store.read().await.unwrap().audit().await.unwrap();
    store
}

/// A store with ten entries.
async fn ten_people(backend: &Backend) -> Store {
    let store = backend.open().await;
    for number in 0..10 {
        add(&store, &[&person(&format!("p{number}"))]).await;
    }
    store
}

/// The places of the chain, one for each entry.
async fn places(store: &Store) -> Vec<Place> {
    let links = store.read().await.unwrap().links(1, 100).await.unwrap();
    links.iter().map(locum::history::Link::place).collect()
}

async fn audit(store: &Store) -> AuditError {
    store.read().await.unwrap().audit().await.unwrap_err()
}

claims! {
    /// H5, AG-001
    async fn a_changed_entry_is_named(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper(
            "UPDATE history SET canonical = (SELECT canonical FROM history WHERE sequence = 3) WHERE sequence = 4",
        ).await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Changed(4)));
    }

    /// H5, AG-001
    async fn a_removed_entry_is_named(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper("DELETE FROM history WHERE sequence = 6").await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Missing { expected: 6, found: 7 }));
    }

    /// H5, AG-001
    async fn two_swapped_entries_are_found(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper(
            "UPDATE history SET sequence = 1004 WHERE sequence = 4; \
             UPDATE history SET sequence = 4 WHERE sequence = 5; \
             UPDATE history SET sequence = 5 WHERE sequence = 1004",
        ).await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Changed(4)));
    }

    /// H5
    async fn a_cut_tail_is_found(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper("DELETE FROM history WHERE sequence > 8").await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Tail { expected: 10, found: 8 }));
    }

    /// H5
    async fn a_head_that_was_set_back_is_found(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper("UPDATE head SET hash = (SELECT hash FROM history WHERE sequence = 9)").await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Changed(10)));
    }

    /// H5: a column that is searched cannot hide an entry from a list.
    async fn an_entry_filed_under_something_else_is_found(backend: Backend) {
        let store = ten_entries(&backend).await;
        backend.tamper("UPDATE history SET target = NULL WHERE sequence = 2").await;
        assert_eq!(audit(&store).await, AuditError::Misfiled(2));
    }

    /// H2, H5: an entry is found by app, and nobody can take it out of that list or put another in unseen.
    async fn an_entry_filed_under_another_app_is_found(backend: Backend) {
        for tampering in [
            "DELETE FROM history_marks",
            "UPDATE history_marks SET mark = 'app:wiki'",
            "INSERT INTO history_marks (mark, sequence) VALUES ('asked:host:eve', 11)",
        ] {
            let backend = Backend::new(backend.kept);
            let store = ten_entries(&backend).await;
            store.record(vec![held("app:blog")]).await.unwrap();
            store.read().await.unwrap().audit().await.unwrap();
            assert!(backend.try_tamper("DELETE FROM history_marks").await.is_err(), "append-only");
            assert!(backend.try_tamper("UPDATE history_marks SET mark = 'x'").await.is_err(), "append-only");
            let unlock = if backend.kept == Kept::Sqlite { UNLOCK_MARKS_SQLITE } else { UNLOCK_MARKS_POSTGRES };
            backend.tamper(unlock).await;
            backend.tamper(tampering).await;
            assert_eq!(audit(&store).await, AuditError::Misfiled(11), "{tampering}");
        }
    }

    /// H2: an action knows the apps that it concerns, and is listed with each of them once.
    async fn the_history_is_filtered_by_app(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        let both = held("app:blog").detail("role:wiki/editor", Some("held"), None).to(ann.id);
        let of_role = Action::new(ActionType::OperationRefused, root()).object("role:blog/editor");
        let narrowed = Action::new(ActionType::PatCreated, root()).detail("app", None, Some("wiki"));
        store.record(vec![both, of_role, narrowed, held("role:reports")]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let mut sequences = async |name: &str, filter: HistoryFilter| -> Vec<u64> {
            let filter = HistoryFilter { app: Some(AppName::parse(name).unwrap()), ..filter };
            reader.history(&filter).await.unwrap().into_iter().map(|entry| entry.sequence).collect()
        };
        let all = HistoryFilter::default;
        assert_eq!(sequences("blog", all()).await, [3, 2]);
        assert_eq!(sequences("wiki", all()).await, [4, 2]);
        assert_eq!(sequences("ledger", all()).await, [0; 0]);
        assert_eq!(sequences("blog", HistoryFilter { target: Some(ann.id), ..all() }).await, [2]);
        assert_eq!(sequences("wiki", HistoryFilter { kind: Some(ActionType::PatCreated), ..all() }).await, [4]);
        assert_eq!(sequences("wiki", HistoryFilter { before: Some(4), limit: 1, ..all() }).await, [2]);
        assert_eq!(sequences("blog", HistoryFilter { actor: Some(root()), since: Some(NOON), ..all() }).await, [3, 2]);
        assert_eq!(sequences("blog", HistoryFilter { until: Some(NOON), ..all() }).await, [0; 0]);
    }

    /// H2, H4: a deletion is done by Locum and is among what its asker initiated, page by page.
    async fn what_locum_was_asked_for_is_among_what_the_asker_initiated(backend: Backend) {
        let store = backend.open().await;
        let ann = Actor::Account(new_id());
        let deleted = |cause: &str| Action::new(ActionType::UserDeleted, Actor::Locum).because(cause);
        let done = || Action::new(ActionType::OperationRefused, ann.clone()).object("app:blog");
        let asked = || deleted(&format!("P13 {}", ann.to_stored()));
        store.record(vec![done(), asked(), deleted("host:root"), done(), asked(), done()]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let mut sequences = async |filter: HistoryFilter| -> Vec<u64> {
            reader.history(&filter).await.unwrap().into_iter().map(|entry| entry.sequence).collect()
        };
        let by = |actor: &Actor| HistoryFilter { actor: Some(actor.clone()), ..HistoryFilter::default() };
        assert_eq!(sequences(by(&ann)).await, [6, 5, 4, 2, 1]);
        assert_eq!(sequences(HistoryFilter { limit: 2, ..by(&ann) }).await, [6, 5]);
        assert_eq!(sequences(HistoryFilter { limit: 2, before: Some(5), ..by(&ann) }).await, [4, 2]);
        let deletions = HistoryFilter { kind: Some(ActionType::UserDeleted), ..by(&ann) };
        assert_eq!(sequences(deletions).await, [5, 2]);
        let of_blog = HistoryFilter { app: Some(AppName::parse("blog").unwrap()), ..by(&ann) };
        assert_eq!(sequences(of_blog).await, [6, 4, 1]);
        assert_eq!(sequences(by(&root())).await, [3]);
        assert_eq!(sequences(by(&Actor::Locum)).await, [5, 3, 2]);
    }

    /// H5
    async fn the_history_is_append_only(backend: Backend) {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        for statements in ["UPDATE history SET actor = 'locum'", "DELETE FROM history"] {
            assert!(backend.try_tamper(statements).await.is_err(), "{statements}");
        }
        store.read().await.unwrap().audit().await.unwrap();
    }

    /// H7: what stands before the base, and nothing else, is removed; the base is an entry, and only moves on.
    async fn only_what_was_moved_out_is_removed(backend: Backend) {
        let store = ten_people(&backend).await;
        store.record(vec![held("app:blog")]).await.unwrap();
        assert_eq!(store.bookkeeping().remove_moved_out(100).await.unwrap(), 0, "there is no base");
        let places = places(&store).await;
        let rebase = async |place: Place| {
            write(&store, move |writer| Box::pin(async move { writer.set_history_base(place, "{}").await })).await
        };
        rebase(Place { hash: places[4].hash, ..places[3] }).await.unwrap_err();
        rebase(places[5]).await.unwrap();
        rebase(places[5]).await.unwrap_err();
        rebase(places[2]).await.unwrap_err();
        for statement in ["DELETE FROM history", "DELETE FROM history_marks", "DELETE FROM history_base"] {
            assert!(backend.try_tamper(statement).await.is_err(), "{statement}");
        }
        let bookkeeping = store.bookkeeping();
        assert_eq!(bookkeeping.remove_moved_out(4).await.unwrap(), 4);
        assert_eq!(bookkeeping.remove_moved_out(4).await.unwrap(), 2);
        assert_eq!(bookkeeping.remove_moved_out(4).await.unwrap(), 0);
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.links(1, 1).await.unwrap()[0].sequence, 7);
        assert_eq!(reader.begins_after().await.unwrap(), places[5]);
        reader.audit_by(&places[5..]).await.unwrap();
        let elsewhere = AuditError::Broken(Broken::Elsewhere { expected: 5, begins_after: 6 });
        assert_eq!(reader.audit_by(&places[4..5]).await, Err(elsewhere));
    }

    /// H7: a base that somebody moves on without removing, or removes without moving on, hides nothing.
    async fn what_is_kept_begins_where_its_base_says(backend: Backend) {
        let store = ten_people(&backend).await;
        let places = places(&store).await;
        write(&store, move |writer| Box::pin(async move { writer.set_history_base(places[5], "{}").await }))
            .await
            .unwrap();
        let mut reader = store.read().await.unwrap();
        reader.audit().await.unwrap();
        let listed = reader.history(&HistoryFilter::default()).await.unwrap();
        assert_eq!(listed.last().unwrap().sequence, 7, "what was moved out is not listed, removed or not");
        drop(reader);
        backend.tamper(if backend.kept == Kept::Sqlite { UNLOCK_SQLITE } else { UNLOCK_POSTGRES }).await;
        backend.tamper("DELETE FROM history WHERE sequence < 9").await;
        assert_eq!(audit(&store).await, AuditError::Broken(Broken::Missing { expected: 7, found: 9 }));
    }

    /// H5: a history that somebody wrote anew holds by itself; what was known of the one before tells it apart, and
    /// where it begins to differ.
    async fn a_history_that_was_written_anew_is_told_apart_by_what_was_known(backend: Backend) {
        let people: Vec<_> = (0..6).map(|number| person(&format!("p{number}"))).collect();
        let mut places = Vec::new();
        let store = backend.open().await;
        for person in &people {
            add(&store, &[person]).await;
            places.push(store.read().await.unwrap().head().await.unwrap().place());
        }
        store.read().await.unwrap().audit_by(&places).await.unwrap();
        store.close().await;

        let other = Backend::new(backend.kept);
        let store = other.open().await;
        for index in [0, 1, 2, 4, 3, 5] {
            add(&store, &[&people[index]]).await;
        }
        let mut reader = store.read().await.unwrap();
        reader.audit().await.unwrap();
        reader.audit_by(&places[..3]).await.unwrap();
        let rewritten = |after, through| AuditError::Broken(Broken::Rewritten { after, through });
        assert_eq!(reader.audit_by(&places).await, Err(rewritten(3, 4)));
        assert_eq!(reader.audit_by(&[places[1], places[5]]).await, Err(rewritten(2, 6)));
        let cut = AuditError::Broken(Broken::Cut { expected: 7, found: 6 });
        assert_eq!(reader.audit_by(&[Place { sequence: 7, ..places[5] }]).await, Err(cut));
    }

    /// H2
    async fn the_history_is_filtered_and_paged_newest_first(backend: Backend) {
        let store = backend.open().await;
        let (ann, bob) = (person("ann"), person("bob"));
        add(&store, &[&ann, &bob]).await;
        let by_ann = Actor::Account(ann.id);
        store.record(vec![
            Action::new(ActionType::OperationRefused, by_ann.clone()).to(bob.id),
            Action::new(ActionType::AttemptFailed, Actor::Locum).to(bob.id).because("L1"),
        ]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let mut sequences = async |filter: HistoryFilter| -> Vec<u64> {
            reader.history(&filter).await.unwrap().into_iter().map(|entry| entry.sequence).collect()
        };
        let all = HistoryFilter::default;
        assert_eq!(sequences(all()).await, [4, 3, 2, 1]);
        assert_eq!(sequences(HistoryFilter { target: Some(bob.id), ..all() }).await, [4, 3, 2]);
        assert_eq!(sequences(HistoryFilter { actor: Some(by_ann), ..all() }).await, [3]);
        assert_eq!(sequences(HistoryFilter { kind: Some(ActionType::UserAdded), ..all() }).await, [2, 1]);
        assert_eq!(sequences(HistoryFilter { limit: 2, ..all() }).await, [4, 3]);
        assert_eq!(sequences(HistoryFilter { before: Some(3), ..all() }).await, [2, 1]);
    }

    /// H2
    async fn the_history_is_filtered_by_date(backend: Backend) {
        let clock = Arc::new(FixedClock::at(NOON));
        let store = Store::open(&backend.settings(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let hour = Duration::from_hours(1);
        for username in ["ann", "bob", "cyd"] {
            add(&store, &[&person(username)]).await;
            clock.advance(hour);
        }
        let mut reader = store.read().await.unwrap();
        let mut sequences = async |since, until| -> Vec<u64> {
            let filter = HistoryFilter { since, until, ..HistoryFilter::default() };
            reader.history(&filter).await.unwrap().into_iter().map(|entry| entry.sequence).collect()
        };
        assert_eq!(sequences(Some(NOON.plus(hour)), None).await, [3, 2]);
        assert_eq!(sequences(None, Some(NOON.plus(hour))).await, [1]);
        assert_eq!(sequences(Some(NOON.plus(hour)), Some(NOON.plus(hour * 2))).await, [2]);
    }

    /// H3
    async fn an_entry_reads_back_with_everything_in_it(backend: Backend) {
        let store = backend.open().await;
        let action = Action::new(ActionType::OperationRefused, root())
            .to(new_id())
            .object("role:reports")
            .from_address(Some("2001:db8::7".parse().unwrap()))
            .in_request(Some("r-1".into()))
            .detail("code", Some("before"), Some("after"));
        store.record(vec![action.clone()]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let entry = reader.history(&HistoryFilter::default()).await.unwrap().remove(0);
        assert_eq!((entry.action, entry.at), (action, NOON));
        let links = reader.links(1, 10).await.unwrap();
        assert_eq!((links.len(), links[0].hash), (1, reader.head().await.unwrap().hash));
    }
}
