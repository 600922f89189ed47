//! Watches Redis, and joins the two books when it comes back, came back empty, or is met for the first
//! time (L7).
//!
//! In rounds: everything that the store has is joined into Redis and the other way round, while the
//! store goes on counting; then, with the gate shut, what was counted meanwhile; then Redis counts. An
//! account whose count started again while Redis was lost has its streak in Redis cleared first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::books::{Touched, within_patience};
use super::carry::{Errand, Trip};
use super::{Loaded, Parts};
use crate::cluster::{FailureCounts, RedisCounts, Unavailable};
use crate::directory::lockout::{Counted, Streak};
use crate::directory::{AccountId, Life};

/// How often a Redis that is lost is asked whether it is back.
const LOST_PAUSE: Duration = Duration::from_millis(250);
/// How often at least, when it answers and the books cannot be joined.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a Redis that counts is asked whether it still knows what it knew.
const UP_PAUSE: Duration = Duration::from_secs(1);
/// How many accounts may be left for the round behind the shut gate.
const LAST_ROUND: usize = 64;
const MOST_ROUNDS: usize = 8;

/// Watches for as long as the lockout lives.
pub(super) async fn run(parts: Arc<Parts>) {
    let mut lost_pause = LOST_PAUSE;
    loop {
        tokio::time::sleep(if parts.books.is_lost() { lost_pause } else { UP_PAUSE }).await;
        if let Some(redis) = parts.books.redis() {
            let joinable = parts.look_after(redis).await.unwrap_or(true);
            lost_pause = if joinable { LOST_PAUSE } else { LONGEST_PAUSE.min(lost_pause * 2) };
        }
        if parts.unfinished.take_lost_sight()
            && let Err(error) = parts.find_trips().await
        {
            tracing::error!(%error, "the failure counts cannot be read");
            parts.unfinished.look_again();
        }
    }
}

impl Parts {
    /// See [`super::Lockout::load`].
    pub(super) async fn load(&self) -> Result<Loaded, Unavailable> {
        let loaded = self.load_store().await?;
        if let Some(redis) = self.books.redis() {
            if let Err(error) = self.look_after(redis).await {
                tracing::warn!(%error, "Redis cannot be reached: starting without it");
            }
            if self.books.is_lost() {
                metrics::gauge!("locum_redis_degraded").set(1.0);
            }
        }
        Ok(loaded)
    }

    /// Sends every trip on record on its way again, because one was lost sight of.
    async fn find_trips(&self) -> Result<(), Unavailable> {
        let mut streaks = within_patience(self.books.store().streaks()).await?;
        if let Some(redis) = self.books.counting_redis() {
            streaks.extend(redis.streaks().await?);
        }
        for (account, streak) in streaks.into_iter().filter(|(_, streak)| streak.tripped_at.is_some()) {
            self.send(Errand::Trip(Trip { account, life: streak.life, attempts: streak.attempts }));
        }
        Ok(())
    }

    /// Takes over what the store has on record.
    async fn load_store(&self) -> Result<Loaded, Unavailable> {
        let streaks = within_patience(self.books.store().streaks()).await?;
        let mut loaded = Loaded::default();
        for (account, streak) in &streaks {
            if streak.tripped_at.is_some() {
                loaded.tripped += 1;
            } else {
                loaded.open += 1;
            }
            self.take_over(*account, streak);
        }
        Ok(loaded)
    }

    /// Asks after Redis, and joins the books where that is due. False when Redis answers and they
    /// cannot be joined; an error when it does not answer.
    async fn look_after(&self, redis: &RedisCounts) -> Result<bool, Unavailable> {
        let _alone = self.books.join_alone().await;
        let probe = match redis.probe().await {
            Ok(probe) => probe,
            Err(error) => {
                self.books.lose(&error);
                return Err(error);
            }
        };
        let risky = probe.eviction.filter(|policy| policy != "noeviction");
        if risky.is_some() && self.books.eviction() != risky {
            tracing::warn!(policy = ?risky, "Redis may drop failure counts: set `maxmemory-policy noeviction`");
        }
        self.books.note_eviction(risky);
        if !probe.seeded {
            self.books.lose(&Unavailable::Failed("it does not know the failure counts".to_owned()));
        }
        if self.books.is_lost() {
            if let Err(error) = self.rejoin(redis).await {
                tracing::warn!(%error, "Redis answers, and the failure counts could not be joined yet");
                return Ok(false);
            }
        } else if self.books.take_copies_missing()
            && let Err(error) = self.copy_again(redis).await
        {
            tracing::warn!(%error, "the store's copy of the failure counts is behind");
            self.books.note_copies_missing();
            return Ok(false);
        }
        Ok(true)
    }

    /// Joins the books and lets Redis count. While this goes on, the store counts; what it counts is
    /// joined in rounds that get shorter, the last one behind the shut gate.
    async fn rejoin(&self, redis: &RedisCounts) -> Result<(), Unavailable> {
        self.books.flush_copies().await;
        let touched = self.books.take_touched();
        let all = within_patience(self.books.store().streaks()).await?;
        self.fill_redis(redis, touched, all).await?;
        self.fill_store(redis).await?;
        for _round in 0..MOST_ROUNDS {
            let touched = self.books.take_touched();
            let few = touched.len() <= LAST_ROUND;
            self.join_touched(redis, touched).await?;
            if few {
                break;
            }
        }
        let gate = self.books.take_gate().await;
        self.join_touched(redis, self.books.take_touched()).await?;
        redis.note_seeded().await?;
        self.books.win_back(&gate);
        Ok(())
    }

    async fn join_touched(&self, redis: &RedisCounts, touched: HashMap<AccountId, Touched>) -> Result<(), Unavailable> {
        if touched.is_empty() {
            return Ok(());
        }
        match within_patience(self.books.store().streaks()).await {
            Ok(mut streaks) => {
                streaks.retain(|(account, _)| touched.contains_key(account));
                self.fill_redis(redis, touched, streaks).await
            }
            Err(error) => {
                self.books.put_back(touched);
                Err(error)
            }
        }
    }

    /// Clears in Redis what a success has made void, then joins streaks of the store into it. Puts the
    /// touched accounts back when it does not come to the end: all of this can be repeated.
    async fn fill_redis(
        &self,
        redis: &RedisCounts,
        touched: HashMap<AccountId, Touched>,
        streaks: Vec<(AccountId, Streak)>,
    ) -> Result<(), Unavailable> {
        let joined = async {
            for (account, touched) in &touched {
                if let Some(life) = touched.cleared_in {
                    redis.succeed(*account, life).await?;
                }
            }
            for (account, streak) in &streaks {
                self.take_over(*account, streak);
                let answer = redis.join(*account, streak, self.settings().threshold).await?;
                self.shut_if_tripped(*account, streak.life, answer);
            }
            Ok(())
        };
        let joined = joined.await;
        if joined.is_err() {
            self.books.put_back(touched);
        }
        joined
    }

    /// Takes over what Redis has on record, and joins it into the store; not where the store has
    /// counted on meanwhile, for a success there may have made it void. The next round sees to those.
    async fn fill_store(&self, redis: &RedisCounts) -> Result<(), Unavailable> {
        for (account, streak) in redis.streaks().await? {
            self.take_over(account, &streak);
            let _gate = self.books.take_gate().await;
            if self.books.is_touched(account) {
                continue;
            }
            let joined = self.books.store().join(account, &streak, self.settings().threshold);
            let answer = within_patience(joined).await?;
            self.shut_if_tripped(account, streak.life, answer);
        }
        Ok(())
    }

    /// Has every streak copied from Redis into the store again, because the copy of some step was
    /// dropped.
    async fn copy_again(&self, redis: &RedisCounts) -> Result<(), Unavailable> {
        let mut streaks = within_patience(self.books.store().streaks()).await?;
        streaks.extend(redis.streaks().await?);
        for (account, streak) in streaks {
            self.books.copy_again(account, streak.life).await;
        }
        Ok(())
    }

    fn shut_if_tripped(&self, account: AccountId, life: Life, answer: Counted) {
        match answer {
            Counted::Tripped(attempts) => self.shut(Trip { account, life, attempts }),
            Counted::Locked => self.shut_again(account, life),
            Counted::Counted(_) | Counted::Stale | Counted::Repeated(_) => {}
        }
    }
}
