//! How many file descriptors the process has, and how many of them clients may take.
//!
//! Whoever opens connections and says nothing needs no credential for it. So clients share a part, and
//! the rest is kept for what a crowd must not take away: the apps, the store, Redis, and the admin
//! socket, by which an operator revokes and looks while the crowd is there (DS-005).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the store, Redis, the admin socket, listeners and files.
const RESERVED: u64 = 256;

/// Raises the limit of this process to what it may have; answers what it has then.
pub(super) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current.unwrap_or(u64::MAX)
        }
    }
}

/// How many clients may be connected at once: each may need a connection to an app as well.
pub(super) fn for_clients(descriptors: u64) -> usize {
    let left = descriptors - RESERVED.min(descriptors / 2);
    usize::try_from(left / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::for_clients;

    #[test]
    fn clients_leave_room_for_everything_else() {
        for (descriptors, clients) in [(128, 32), (1024, 384), (20_000, 9_872), (1, 1), (0, 1)] {
            assert_eq!(for_clients(descriptors), clients, "of {descriptors}");
        }
        assert!(for_clients(u64::MAX) > 1_000_000);
    }
}
