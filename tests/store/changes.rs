//! What a change is: all of it with its actions, or nothing.

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
}
