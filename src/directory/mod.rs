//! Who exists, and the rules between them: accounts, owners and their proxy users, roles, tokens.
//!
//! Pure words. Nothing here waits, reads a file, asks the time or draws a random number; what a rule
//! needs of the world is its argument. So every rule can be tested as a function, and the same rule
//! serves the store, the gateway and the administration.

pub mod account;
pub mod actor;
pub mod administrator;
pub mod api_key;
pub mod app;
pub mod holding;
pub mod key_lines;
pub mod legacy_name;
pub mod lockout;
pub mod networks;
pub mod owner_cascade;
pub mod pat;
pub mod pepper;
pub mod personal;
pub mod reason;
pub mod rights;
pub mod role;
pub mod role_set;
pub mod token;
pub mod tombstone;
pub mod username;

pub use account::{Account, AccountId, Kind, Life, State};
pub use actor::Actor;
pub use app::AppName;
pub use holding::Holding;
pub use legacy_name::LegacyName;
pub use networks::Networks;
pub use pat::{LastUse, Pat, PatState, Restrictions};
pub use personal::{DisplayName, Email, Personal, PersonalField, Phone};
pub use reason::ReasonCode;
pub use role::{Permission, RoleName};
pub use role_set::RoleSet;
pub use token::{PublicId, Token, TokenKind};
pub use username::Username;
