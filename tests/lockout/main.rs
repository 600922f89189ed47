//! The lockout: what counts failures, and what follows from the fifth.
//!
//! `battery` is the specification of `cluster::FailureCounts` and runs against each backend;
//! `redis_away` is what a Redis has to stand by itself; `shutting` and `two_books` go through
//! `authn::lockout::Lockout`, over a real store and a real Redis.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs one kind of server")]
#[path = "../harness/authority.rs"]
mod authority;
mod battery;
mod machine;
mod node;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/postgres.rs"]
mod postgres_server;
mod redis_away;
#[path = "../harness/redis.rs"]
mod redis_server;
mod redis_tls;
mod shutting;
mod two_books;
mod world;

/// Runs every claim of the battery against each backend.
macro_rules! battery {
    ($($world:ident: $($claim:ident),*;)*) => {$(
        mod $world {
            $(
                #[test]
                fn $claim() {
                    crate::world::run(crate::world::$world, crate::battery::$claim);
                }
            )*
        }
    )*};
}

macro_rules! every_backend {
    ($($claim:ident,)*) => {
        battery! {
            redis: $($claim),*;
            sqlite: $($claim),*;
            postgres: $($claim),*;
        }
    };
}

every_backend! {
    every_step_answers_as_the_state_machine_does,
    of_many_parallel_failures_exactly_one_trips,
    a_repeated_attempt_counts_once,
    an_earlier_life_is_stale_and_a_new_one_starts_at_zero,
    a_success_starts_the_count_again,
    a_success_after_the_trip_is_none,
    halves_are_joined_by_union,
    halves_that_make_a_whole_trip_once,
    a_tripped_half_locks_the_other,
    every_open_streak_is_listed,
    what_is_forgotten_starts_anew,
    no_flood_of_names_makes_anything_grow,
}
