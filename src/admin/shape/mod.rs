//! The shapes of the admin API: what is sent and answered, as JSON.
//!
//! Requests refuse unknown fields. Accounts are named by username everywhere; times are RFC 3339 in
//! UTC with milliseconds; states, types and codes are slugs. A field is never left out when it has no
//! value: it is `null`, so that programs can rely on it.

mod account;
mod administrator;
mod api_key;
mod audit;
mod catalogue;
mod job;
mod keys;
mod legacy_name;
mod pat;
mod record;

pub use account::{
    AccountNetworks, AccountPage, AccountSummary, AccountView, Inactivity, NewPerson, NewProxyUser, PersonChange,
};
pub use administrator::{
    AdministratorPage, AdministratorView, EndAdministration, EndedAdministration, NewAdministrator,
};
pub use api_key::{ApiKeyPage, ApiKeyView, MadeApiKey, NewApiKey, RevokeApiKey};
pub use audit::{AuditKeyView, AuditView, AuditWish, CheckpointView, TrimView, TrimWish};
pub use catalogue::{
    AppList, AppView, CopyRoles, NewReason, NewRole, ReasonList, ReasonView, RoleContents, RoleList, RoleSummary,
    RoleView,
};
pub use job::{JobList, JobView, ManagePatsOptions, ReportLine, RunList, RunView, SaveJob, StartRun, StartedRun};
pub use keys::{KeysView, PepperView, RotateKeys, VersionUse, VersionedKeyView};
pub use legacy_name::{FoundLegacyNames, ImportLegacyNames, ImportedLegacyNames, LegacyNameView, LinkLegacyName};
pub use pat::{
    CheckPat, CheckedPat, MadePat, NewPat, PatList, PatView, PresentedToken, Restrictions, Revocation, RevokeAllPats,
    RevokePat, RevokedPats, RotatePat,
};
pub use record::{EntryPage, EntryView, FieldChange, HealthView, ReloadedView, RestartingView};
