//! What limiters of rate remember of each key, in a bounded cache: whoever owns many keys pushes out its own
//! records, not the memory of this process.

use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// The theoretical arrival time of each key, in nanoseconds since the start; zero means none yet.
#[derive(Debug)]
pub struct Records<K>(Arc<quick_cache::sync::Cache<K, Arc<AtomicU64>>>);

impl<K: Hash + Eq + Clone> Records<K> {
    /// Remembers so many keys at most.
    pub fn up_to(most: usize) -> Self {
        Self(Arc::new(quick_cache::sync::Cache::new(most)))
    }

    /// The same records, of which nothing is ever written.
    pub(super) fn read_only(&self) -> ReadOnly<K> {
        ReadOnly(Self(Arc::clone(&self.0)))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K: Hash + Eq + Clone> StateStore for Records<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, step: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(record) = self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::new(AtomicU64::new(0))));
        let mut before = record.load(Ordering::Acquire);
        loop {
            let (answer, after) = step(arrival(before))?;
            match record.compare_exchange_weak(before, after.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(answer),
                Err(current) => before = current,
            }
        }
    }
}

/// See [`Records::read_only`].
pub(super) struct ReadOnly<K>(Records<K>);

impl<K: Hash + Eq + Clone> StateStore for ReadOnly<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, step: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let before = self.0.0.peek(key).and_then(|record| arrival(record.load(Ordering::Acquire)));
        step(before).map(|(answer, _)| answer)
    }
}

fn arrival(nanos: u64) -> Option<Nanos> {
    (nanos != 0).then(|| Nanos::new(nanos))
}
