//! The handlers, by what they are about.

pub(super) mod administrators;
pub(super) mod api_keys;
pub(super) mod audit;
pub(super) mod backup;
pub(super) mod catalogue;
pub(super) mod health;
pub(super) mod history;
pub(super) mod holdings;
pub(super) mod jobs;
pub(super) mod keys;
pub(super) mod legacy_names;
pub(super) mod operation;
pub(super) mod pats;
pub(super) mod people;
pub(super) mod proxy_users;
pub(super) mod roles;
mod show;

use super::problem::Problem;

/// How many entries a page has when nobody says.
const PAGE: u32 = 100;
/// How many entries a page has at most.
const LARGEST_PAGE: u32 = 1_000;

fn page_size(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(PAGE) {
        size @ 1..=LARGEST_PAGE => Ok(size),
        size => Err(Problem::invalid(format!("a page has 1 to {LARGEST_PAGE} entries, not {size}"))),
    }
}
