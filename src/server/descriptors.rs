//! How many file descriptors the process has, and how many of them clients and apps may take.
//!
//! Whoever opens connections and says nothing needs no credential for it. So clients share a part, and
//! the rest is kept for what a crowd must not take away: the apps, the store, Redis, and the admin
//! socket, by which an operator revokes and looks while the crowd is there (DS-005). Apps have a part of
//! their own, because one client may want a hundred connections to them at once.

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

/// How many clients may be connected at once: a half of what is left, because most of them need a connection
/// to an app as well.
pub(super) fn for_clients(descriptors: u64) -> usize {
    at_least_one(left(descriptors) / 2)
}

/// How many connections to apps there may be at once, in use or kept: the rest.
pub(super) fn for_apps(descriptors: u64) -> usize {
    let left = left(descriptors);
    at_least_one(left - left / 2)
}

fn left(descriptors: u64) -> u64 {
    descriptors - RESERVED.min(descriptors / 2)
}

fn at_least_one(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::{for_apps, for_clients};

    /// DS-005
    #[test]
    fn clients_and_apps_leave_room_for_everything_else() {
        for (descriptors, clients, apps) in
            [(128, 32, 32), (1023, 383, 384), (20_000, 9_872, 9_872), (1, 1, 1), (0, 1, 1)]
        {
            let shares = (for_clients(descriptors), for_apps(descriptors));
            assert_eq!(shares, (clients, apps), "of {descriptors}");
        }
        assert!(for_clients(u64::MAX) > 1_000_000);
    }
}
