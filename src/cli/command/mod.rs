//! The commands, by family: a call or two of the admin API, and what is printed.

pub(super) mod account;
pub(super) mod administrator;
pub(super) mod api_key;
pub(super) mod audit;
pub(super) mod catalogue;
pub(super) mod check;
pub(super) mod database;
pub(super) mod history;
pub(super) mod import;
pub(super) mod init;
pub(super) mod job;
pub(super) mod keys;
pub(super) mod legacy_name;
pub(super) mod pat;
pub(super) mod pat_check;
pub(super) mod program;
pub(super) mod role;
