//! The types of actions, and who may cause each (H4): one table, checked when an action is written.

use crate::directory::Actor;

/// Who can cause an action: in which capacity somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causer {
    /// Whoever holds the machine.
    Host,
    /// One of those who run Locum, in person or by a key of the admin API; also of one app (R5).
    Administrator,
    /// The person whose account it is done to, or whose proxy user's.
    Owner,
    /// Whoever an invitation was sent to.
    Recipient,
    /// Any account that is known by its credential.
    Anybody,
    /// Locum itself, with a cause.
    Locum,
}

impl Causer {
    /// For the table of the guide.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Administrator => "administrator",
            Self::Owner => "owner",
            Self::Recipient => "recipient",
            Self::Anybody => "any account",
            Self::Locum => "`locum`",
        }
    }
}

macro_rules! action_types {
    ($($variant:ident = $slug:literal, [$($causer:ident)*], $words:literal;)*) => {
        /// What kind of thing was done. The slug is stored and shown; it never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ActionType { $(#[doc = $words] $variant,)* }

        impl ActionType {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            pub fn from_slug(slug: &str) -> Option<Self> {
                match slug { $($slug => Some(Self::$variant),)* _ => None }
            }

            /// Who may cause it (H4).
            pub const fn causers(self) -> &'static [Causer] {
                match self { $(Self::$variant => &[$(Causer::$causer),*],)* }
            }

            /// What it means, for the table of the guide.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

action_types! {
    UserAdded = "user_added", [Host Administrator], "A person was added.";
    UserMarkedActive = "user_marked_active", [Host Administrator], "A person was made active again.";
    UserMarkedInactive = "user_marked_inactive", [Host Administrator], "A person was made inactive.";
    PersonalDataChanged = "personal_data_changed", [Host Owner], "The name, email address or phone number of a person changed; the values are sealed, and readable as long as the person exists.";
    LegacyNameLinked = "legacy_name_linked", [Host Administrator], "A person was linked to its name in an app; the name is sealed.";
    LegacyNameChanged = "legacy_name_changed", [Host Administrator], "The name that a person is linked to in an app changed.";
    LegacyNameRemoved = "legacy_name_removed", [Host Administrator], "The link of a person to its name in an app was removed.";
    LegacyNamesImported = "legacy_names_imported", [Host Administrator], "Names were added to the list of an app, from which people are linked.";
    UserDeleted = "user_deleted", [Locum], "A person was deleted; done by Locum, the cause names who asked.";
    ProxyUserAdded = "proxy_user_added", [Host Owner], "A proxy user was added.";
    ProxyUserMarkedActive = "proxy_user_marked_active", [Host Administrator], "A proxy user was made active again.";
    ProxyUserMarkedInactive = "proxy_user_marked_inactive", [Host Administrator Owner Locum], "A proxy user was made inactive: by an operator, with its owner, or by failed attempts.";
    ProxyUserNetworksChanged = "proxy_user_networks_changed", [Host Administrator], "The networks that a proxy user may be used from changed.";
    ProxyUserDeleted = "proxy_user_deleted", [Locum], "A proxy user was deleted; done by Locum, the cause names who asked.";
    PatCreated = "pat_created", [Host Owner], "A token was made; pending until it is confirmed.";
    PatConfirmed = "pat_confirmed", [Host Owner], "A token was confirmed as copied.";
    PatRotated = "pat_rotated", [Host Owner], "Another token was confirmed in the place of this one, which ends after the overlap that was chosen.";
    PatRevoked = "pat_revoked", [Host Administrator Owner Locum], "A token was revoked: by an operator, with its account, or once another took its place.";
    PatExpiring = "pat_expiring", [Locum], "A token expires within 30, 7 or 1 days; said once each.";
    PatExpired = "pat_expired", [Locum], "An expired token was revoked.";
    RolesChanged = "roles_changed", [Host Administrator Owner Locum], "The roles or apps that an account holds changed: by an operator, or by the owner's change.";
    AdminStatusChanged = "admin_status_changed", [Host Administrator Locum], "What a person is among those who run Locum changed: its level, whether that is in force, or the apps that it administers.";
    RightsChanged = "rights_changed", [Host Administrator], "A right over Locum was granted to a plain person, or taken.";
    ApiKeyCreated = "api_key_created", [Host Administrator], "A key of the admin API was made.";
    ApiKeyRevoked = "api_key_revoked", [Host Administrator Locum], "A key of the admin API was revoked: by an operator, or with the administration of its person.";
    RoleAdded = "role_added", [Host Administrator], "A role was defined.";
    RoleAccessUpdated = "role_access_updated", [Host Administrator], "What a role contains changed, for everyone who holds it.";
    ReasonAdded = "reason_added", [Host Administrator], "A reason joined the code table.";
    NameReleased = "name_released", [Host], "The username of a deleted account was set free.";
    BackupTaken = "backup_taken", [Host Administrator], "A copy of the database was handed out.";
    DatabaseRestored = "database_restored", [Host], "The database was replaced by a copy of an earlier time; what was done since then is not in this history.";
    DatabaseMoved = "database_moved", [Host], "Everything was moved into this database from another.";
    AppRegistered = "app_registered", [Locum], "An app appeared in the configuration.";
    AppDisabled = "app_disabled", [Locum], "An app vanished from the configuration; its roles are kept.";
    AppEnabled = "app_enabled", [Locum], "A vanished app came back to the configuration.";
    KeyRotated = "key_rotated", [Host Administrator], "The master key or the pepper got a new version, which is in force.";
    KeyRotationCompleted = "key_rotation_completed", [Locum], "Nothing is left under the older versions of the master key.";
    ConfigReloaded = "config_reloaded", [Host Administrator Locum], "The configuration was read anew and taken up: asked for by an operator, or by SIGHUP.";
    HistoryTrimmed = "history_trimmed", [Host Administrator Locum], "Old entries of the history were moved to the archive: asked for by an operator, or by their age.";
    JobSaved = "job_saved", [Host Administrator], "A job was saved under its name, and is done once; or saved anew.";
    JobRemoved = "job_removed", [Host Administrator], "A job was removed, with its schedule and what is known of its runs.";
    JobStarted = "job_started", [Host Administrator], "Somebody asked for a run of a job.";
    JobRun = "job_run", [Locum], "A run of a job is over; its cause names the job and who asked for it.";
    OperationRefused = "operation_refused", [Host Anybody], "An identified caller tried something that a rule refuses; nothing changed.";
    AttemptFailed = "attempt_failed", [Locum], "A failed attempt to authenticate was counted.";
    AttemptsLocked = "attempts_locked", [Locum], "Too many failures in a row: the account was shut.";
    StaleCredential = "stale_credential", [Locum], "An expired or revoked token is still being presented.";
    OutsideNetworks = "outside_networks", [Locum], "A right token was presented from outside the networks that it or its account names.";
}

impl ActionType {
    /// Whether one who acts in this capacity may cause it (H4).
    pub fn is_caused_by(self, causer: Causer) -> bool {
        self.causers().contains(&causer)
    }

    /// Whether `actor` can be the actor of this type. In which capacity an account acts is not said by its id: what
    /// asks for the operation knows, and is asked by [`Self::is_caused_by`].
    pub fn allows(self, actor: &Actor) -> bool {
        match actor {
            Actor::Locum => self.is_caused_by(Causer::Locum),
            Actor::Host(_) => self.is_caused_by(Causer::Host),
            Actor::Account(_) => {
                use Causer::{Administrator, Anybody, Owner, Recipient};
                [Administrator, Owner, Recipient, Anybody].iter().any(|causer| self.is_caused_by(*causer))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// H4
    #[test]
    fn every_slug_is_unique_and_reads_back() {
        let slugs: BTreeSet<_> = ActionType::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), ActionType::ALL.len());
        for kind in ActionType::ALL {
            assert_eq!(ActionType::from_slug(kind.slug()), Some(*kind));
        }
    }

    /// H4: a deletion is done by Locum, caused by whoever asked.
    #[test]
    fn the_actor_of_a_type_is_fixed() {
        assert!(ActionType::UserDeleted.allows(&Actor::Locum));
        assert!(!ActionType::UserDeleted.allows(&Actor::Host("root".into())));
        assert!(!ActionType::UserAdded.allows(&Actor::Locum));
        let somebody = Actor::Account(crate::directory::AccountId::from_bytes([7; 16]));
        assert!(ActionType::PatCreated.allows(&somebody) && !ActionType::NameReleased.allows(&somebody));
        assert!(!ActionType::PatCreated.is_caused_by(Causer::Administrator), "who may use a token makes it");
        for kind in ActionType::ALL {
            assert!(!kind.causers().is_empty(), "{kind:?}");
        }
    }
}
