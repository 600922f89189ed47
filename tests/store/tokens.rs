//! Tokens, and the one look-up that an attempt to authenticate costs.

use std::time::Duration;

use locum::directory::pepper::PepperVersion;
use locum::directory::{AppName, LastUse, Networks, Pat, PatState, ReasonCode, Restrictions};
use locum::store::{ChangeError, Conflict, Store, StoreError};

use crate::world::*;

async fn save(store: &Store, pat: &Pat) -> Changed<()> {
    let pat = pat.clone();
    write(store, move |writer| Box::pin(async move { writer.save_pat_state(&pat).await })).await
}

claims! {
    /// T1, T2, T3, T6
    async fn a_token_reads_back_in_every_state(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let restrictions = Restrictions {
            networks: Networks::from_iter(["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]),
            apps: vec![AppName::parse("wiki").unwrap(), AppName::parse("ci").unwrap()],
            read_only: true,
        };
        let until = NOON.plus(Duration::from_mins(15));
        let pending = Pat { state: PatState::Pending { until }, restrictions, ..pat_of(bot.id, 1) };
        let revoked = PatState::Revoked { at: NOON, by: root(), reason: ReasonCode::parse("rotated").unwrap() };
        let revoked = Pat { state: revoked, ..pat_of(bot.id, 2) };
        let confirmed = pat_of(bot.id, 3);
        for pat in [&pending, &revoked, &confirmed] {
            add_pat(&store, pat).await.unwrap();
        }
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.pats(bot.id).await.unwrap(), [pending.clone(), revoked.clone(), confirmed]);
        assert_eq!(reader.pat(public_id(1)).await.unwrap(), Some(pending.clone()));
        let taken = StoreError::Conflict(Conflict::PublicIdTaken(public_id(1)));
        assert_eq!(add_pat(&store, &pending).await.unwrap_err(), ChangeError::Rule(taken));
    }

    /// T6: a revoked token stays revoked, whatever is written.
    async fn a_saved_state_holds_and_a_revoked_token_stays_revoked(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let pending = PatState::Pending { until: NOON.plus(Duration::from_secs(9)) };
        let mut pat = Pat { state: pending, ..pat_of(bot.id, 1) };
        add_pat(&store, &pat).await.unwrap();
        pat.confirm(NOON).unwrap();
        save(&store, &pat).await.unwrap();
        assert_eq!(store.read().await.unwrap().pat(pat.public_id).await.unwrap(), Some(pat.clone()));
        let confirmed = pat.clone();
        pat.revoke(NOON, root(), ReasonCode::parse("compromised").unwrap()).unwrap();
        save(&store, &pat).await.unwrap();
        let again = save(&store, &confirmed).await;
        assert!(matches!(again, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{again:?}");
        assert_eq!(store.read().await.unwrap().pat(pat.public_id).await.unwrap(), Some(pat));
    }

    /// T6: the reason has to stand in the code table.
    async fn a_reason_outside_the_code_table_is_refused(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        let mut pat = pat_of(ann.id, 1);
        add_pat(&store, &pat).await.unwrap();
        pat.revoke(NOON, root(), ReasonCode::parse("a_whim").unwrap()).unwrap();
        let answer = save(&store, &pat).await;
        assert!(matches!(answer, Err(ChangeError::Rule(StoreError::Rule { .. }))), "{answer:?}");
    }

    /// L4
    async fn a_look_up_finds_whatever_exists(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        let bot = proxy_of(&ann, "bot");
        add(&store, &[&ann, &bot]).await;
        let pat = pat_of(bot.id, 1);
        add_pat(&store, &pat).await.unwrap();
        let mut reader = store.read().await.unwrap();

        let both = reader.look_up(Some("bot"), Some(pat.public_id)).await.unwrap();
        assert_eq!(both.named.as_ref(), Some(&bot));
        let kept = both.pat.unwrap();
        assert_eq!((kept.pat, kept.account, kept.owner), (pat.clone(), bot.clone(), Some(ann.clone())));
        assert!(kept.hash.agrees_with(&HASH));
        assert_eq!(kept.pepper, PepperVersion(3));

        let under_another = reader.look_up(Some("ann"), Some(pat.public_id)).await.unwrap();
        assert_eq!((under_another.named, under_another.pat.map(|kept| kept.account)), (Some(ann), Some(bot.clone())));
        let unknown_token = reader.look_up(Some("bot"), Some(public_id(9))).await.unwrap();
        assert!(unknown_token.named == Some(bot) && unknown_token.pat.is_none());
        let unknown_name = reader.look_up(Some("Bot"), Some(pat.public_id)).await.unwrap();
        assert!(unknown_name.named.is_none() && unknown_name.pat.is_some(), "usernames are compared exactly");
        let nothing = reader.look_up(None, None).await.unwrap();
        assert!(nothing.named.is_none() && nothing.pat.is_none());
        let hostile = reader.look_up(Some("' OR '1'='1"), None).await.unwrap();
        assert!(hostile.named.is_none());
    }

    /// L4
    async fn a_name_that_no_database_can_hold_is_nobodys(backend: Backend) {
        let store = backend.open().await;
        let found = store.read().await.unwrap().look_up(Some("a\0b"), None).await.unwrap();
        assert!(found.named.is_none() && found.pat.is_none());
    }

    /// T8
    async fn the_last_use_only_moves_forward(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        add_pat(&store, &pat_of(ann.id, 1)).await.unwrap();
        let late = NOON.plus(Duration::from_secs(5));
        let books = store.bookkeeping();
        let last = LastUse { at: late, address: Some([192, 0, 2, 9].into()), app: AppName::parse("blog").ok() };
        books.used(vec![(public_id(1), last.clone()), (public_id(7), LastUse::at(late))]).await.unwrap();
        books.used(vec![(public_id(1), LastUse { at: NOON, address: None, app: AppName::parse("wiki").ok() })]).await.unwrap();
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.pat(public_id(1)).await.unwrap().unwrap().last_used, Some(last));
        assert_eq!(reader.head().await.unwrap().epoch, 2, "bookkeeping is no change");
    }
}
