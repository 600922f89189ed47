//! What a change is: all of it with its actions, or nothing; and what that costs when many come.

use std::time::Duration;

use futures_util::future::join_all;
use locum::directory::{Actor, Life};
use locum::history::{Action, ActionType, Actions};
use locum::store::{AccountFilter, ChangeError, HistoryFilter, Outcome, StoreError, Writer};

use crate::world::*;

claims! {
    /// H1
    async fn a_change_is_there_with_its_action(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let committed = try_add(&store, &ann).await.unwrap();
        assert_eq!(committed.epoch, Some(1));
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.account(ann.id).await.unwrap(), Some(ann.clone()));
        let entries = reader.history(&HistoryFilter::default()).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].sequence, entries[0].changed, entries[0].action.target), (1, true, Some(ann.id)));
        reader.audit().await.unwrap();
    }

    async fn what_was_committed_is_there_after_reopening(backend: Backend) {
        let ann = person("ann");
        let store = backend.open().await;
        add(&store, &[&ann]).await;
        store.close().await;
        let store = backend.open().await;
        let all = store.read().await.unwrap().accounts(&AccountFilter::default()).await.unwrap();
        assert_eq!(all, [ann]);
    }

    /// H1
    async fn a_refused_change_leaves_neither_change_nor_action(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let account = ann.clone();
        let answer = store.change(move |writer: &mut Writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            Err::<Outcome<()>, _>(StoreError::Rule { why: "no".into() })
        })).await;
        assert_eq!(answer.unwrap_err(), ChangeError::Rule(StoreError::Rule { why: "no".into() }));
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.account(ann.id).await.unwrap(), None);
        assert_eq!(reader.head().await.unwrap().sequence, 0);
        assert_eq!(store.statistics().commits, 0);
    }

    async fn what_came_to_no_change_is_not_kept(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let account = ann.clone();
        let answer = store.change(move |writer: &mut Writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            Ok::<_, StoreError>(Outcome::Unchanged(7))
        })).await.unwrap();
        assert_eq!((answer.value, answer.epoch), (7, None));
        assert_eq!(store.read().await.unwrap().account(ann.id).await.unwrap(), None);
    }

    /// H1: marked as such, and in the same chain.
    async fn an_action_without_a_change_is_marked(backend: Backend) {
        let store = backend.open().await;
        store.record(vec![Action::new(ActionType::OperationRefused, root())]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let entries = reader.history(&HistoryFilter::default()).await.unwrap();
        assert!(!entries[0].changed);
        let head = reader.audit().await.unwrap();
        assert_eq!((head.epoch, head.sequence), (0, 1), "the epoch counts changes");
    }

    /// H4
    async fn an_action_with_the_wrong_actor_takes_its_change_along(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let account = ann.clone();
        let answer = store.change(move |writer: &mut Writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            Ok::<_, StoreError>(Outcome::Changed((), Actions::one(Action::new(ActionType::UserAdded, Actor::Locum))))
        })).await;
        let wrong = StoreError::Actor { kind: "user_added", actor: "locum".into() };
        assert_eq!(answer.unwrap_err(), ChangeError::Store(wrong.clone()));
        assert_eq!(store.read().await.unwrap().account(ann.id).await.unwrap(), None);
        let record = store.record(vec![Action::new(ActionType::UserAdded, Actor::Locum)]).await;
        assert_eq!(record.unwrap_err(), wrong);
    }

    async fn what_waits_is_committed_together(backend: Backend) {
        let store = backend.open().await;
        let gate = Gate::close(&store).await;
        let people: Vec<_> = (0..60).map(|number| person(&format!("p{number}"))).collect();
        let adding = people.iter().map(|account| try_add(&store, account));
        let (answers, ()) = tokio::join!(biased; join_all(adding), gate.open());
        let epochs: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().epoch).collect();
        assert_eq!(epochs, vec![Some(1); 60], "one commit is one epoch");
        assert_eq!(store.statistics().commits, 1);
        assert_eq!(store.statistics().operations, 61);
        let head = store.read().await.unwrap().audit().await.unwrap();
        assert_eq!(head.sequence, 60);
    }

    async fn one_that_fails_takes_no_other_along(backend: Backend) {
        let store = backend.open().await;
        let gate = Gate::close(&store).await;
        let (ann, bob, cyd) = (person("ann"), person("bob"), person("cyd"));
        let orphan = pat_of(new_id(), 1);
        let refusing = store.change(|writer: &mut Writer| Box::pin(async move {
            writer.put_app(&locum::directory::AppName::parse("wiki").unwrap(), true).await?;
            Err::<Outcome<()>, _>(StoreError::Rule { why: "no".into() })
        }));
        let (first, foreign_key, second, rule, third, ()) = tokio::join!(
            biased; try_add(&store, &ann), add_pat(&store, &orphan), try_add(&store, &bob), refusing,
            try_add(&store, &cyd), gate.open(),
        );
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert!(matches!(foreign_key, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{foreign_key:?}");
        assert!(rule.is_err());
        assert_eq!(store.statistics().commits, 1);
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.accounts(&AccountFilter::default()).await.unwrap(), [ann, bob, cyd]);
        assert_eq!(reader.apps().await.unwrap(), []);
        assert_eq!(reader.audit().await.unwrap().sequence, 3);
    }

    async fn a_failure_that_the_operation_overlooks_is_not_overlooked(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let (account, orphan) = (ann.clone(), pat_of(new_id(), 1));
        let answer = write(&store, move |writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            let overlooked = writer.insert_pat(&orphan, &HASH, locum::directory::pepper::PepperVersion(1)).await;
            assert!(overlooked.is_err());
            Ok(())
        })).await;
        assert!(matches!(answer, Err(ChangeError::Store(StoreError::Rule { .. }))), "{answer:?}");
        assert_eq!(store.read().await.unwrap().account(ann.id).await.unwrap(), None);
        add(&store, &[&ann]).await;
    }

    async fn a_panic_ends_its_operation_only(backend: Backend) {
        let store = backend.open().await;
        let gate = Gate::close(&store).await;
        let (ann, bob) = (person("ann"), person("bob"));
        let account = ann.clone();
        let panicking = write::<()>(&store, move |writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            panic!("a rule with a mistake in it");
        }));
        let (panicked, added, ()) = tokio::join!(biased; panicking, try_add(&store, &bob), gate.open());
        assert_eq!(panicked.unwrap_err(), ChangeError::Store(StoreError::Panicked));
        added.unwrap();
        let all = store.read().await.unwrap().accounts(&AccountFilter::default()).await.unwrap();
        assert_eq!(all, [bob]);
    }

    async fn a_caller_that_goes_away_aborts_nothing(backend: Backend) {
        let store = backend.open().await;
        let gate = Gate::close(&store).await;
        let ann = person("ann");
        let mut going = Box::pin(try_add(&store, &ann));
        assert!(futures_util::poll!(&mut going).is_pending());
        drop(going);
        gate.open().await;
        add(&store, &[&person("bob")]).await;
        assert_eq!(store.read().await.unwrap().account(ann.id).await.unwrap(), Some(ann));
    }

    async fn a_full_queue_says_so_and_keeps_what_waits(backend: Backend) {
        let store = backend.open_with(&locum::store::Settings { queue: 2, ..backend.settings() }).await.unwrap();
        let gate = Gate::close(&store).await;
        let (ann, bob, cyd) = (person("ann"), person("bob"), person("cyd"));
        let (first, second, third, ()) =
            tokio::join!(biased; try_add(&store, &ann), try_add(&store, &bob), try_add(&store, &cyd), gate.open());
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(third.unwrap_err(), ChangeError::Store(StoreError::Overloaded { waiting: 2 }));
    }

    async fn an_operation_that_takes_too_long_is_ended_and_the_next_one_runs(backend: Backend) {
        let settings = locum::store::Settings { timeout: Duration::from_millis(1_500), ..backend.settings() };
        let store = backend.open_with(&settings).await.unwrap();
        let ann = person("ann");
        let account = ann.clone();
        let answer = write::<()>(&store, move |writer| Box::pin(async move {
            writer.insert_account(&account).await?;
            std::future::pending().await
        })).await;
        assert!(matches!(answer, Err(ChangeError::Store(StoreError::TimedOut { .. }))), "{answer:?}");
        add(&store, &[&ann]).await;
    }

    async fn a_closed_store_has_written_what_waited_and_refuses_the_rest(backend: Backend) {
        let store = backend.open().await;
        let gate = Gate::close(&store).await;
        let ann = person("ann");
        let (added, (), ()) = tokio::join!(biased; try_add(&store, &ann), store.close(), gate.open());
        added.unwrap();
        assert_eq!(try_add(&store, &person("bob")).await.unwrap_err(), ChangeError::Store(StoreError::Closed));
        assert_eq!(store.read().await.unwrap_err(), StoreError::Closed);
        let booking = store.bookkeeping().succeed(ann.id, Life::FIRST).await;
        assert_eq!(booking.unwrap_err(), StoreError::Closed);
        store.close().await;
        let store = backend.open().await;
        assert_eq!(store.read().await.unwrap().account(ann.id).await.unwrap(), Some(ann));
    }

    async fn readers_are_bounded_and_waited_for(backend: Backend) {
        let settings = locum::store::Settings { timeout: Duration::from_secs(1), readers: 1, ..backend.settings() };
        let store = backend.open_with(&settings).await.unwrap();
        let first = store.read().await.unwrap();
        assert!(matches!(store.read().await.unwrap_err(), StoreError::TimedOut { .. }));
        drop(first);
        store.read().await.unwrap().head().await.unwrap();
    }
}
