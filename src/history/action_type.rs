//! The types of actions, and who may cause each (H4): one table, checked when an action is written.

use crate::directory::Actor;

/// Who can be the actor of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causer {
    /// An account or the host shell, by an operation of the administration.
    Operator,
    /// Locum itself, with a cause.
    Locum,
    /// Either: an operator directly, or Locum as the consequence of a rule.
    Either,
}

macro_rules! action_types {
    ($($variant:ident = $slug:literal, $causer:ident, $words:literal;)*) => {
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

            pub const fn causer(self) -> Causer {
                match self { $(Self::$variant => Causer::$causer,)* }
            }

            /// What it means, for the table of the guide.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

action_types! {
    UserAdded = "user_added", Operator, "A person was added.";
    UserMarkedActive = "user_marked_active", Operator, "A person was made active again.";
    UserMarkedInactive = "user_marked_inactive", Operator, "A person was made inactive.";
    PersonalDataChanged = "personal_data_changed", Operator, "The name, email address or phone number of a person changed; the values are sealed, and readable as long as the person exists.";
    UserDeleted = "user_deleted", Locum, "A person was deleted; done by Locum, the cause names who asked.";
    ProxyUserAdded = "proxy_user_added", Operator, "A proxy user was added.";
    ProxyUserMarkedActive = "proxy_user_marked_active", Operator, "A proxy user was made active again.";
    ProxyUserMarkedInactive = "proxy_user_marked_inactive", Either, "A proxy user was made inactive: by an operator, with its owner, or by failed attempts.";
    ProxyUserNetworksChanged = "proxy_user_networks_changed", Operator, "The networks that a proxy user may be used from changed.";
    ProxyUserDeleted = "proxy_user_deleted", Locum, "A proxy user was deleted; done by Locum, the cause names who asked.";
    PatCreated = "pat_created", Operator, "A token was made; pending until it is confirmed.";
    PatConfirmed = "pat_confirmed", Operator, "A token was confirmed as copied.";
    PatRotated = "pat_rotated", Operator, "Another token was confirmed in the place of this one, which ends after the overlap that was chosen.";
    PatRevoked = "pat_revoked", Either, "A token was revoked: by an operator, with its account, or once another took its place.";
    RolesChanged = "roles_changed", Either, "The roles or apps that an account holds changed: by an operator, or by the owner's change.";
    AdminStatusChanged = "admin_status_changed", Either, "What a person is among those who run Locum changed: its level, whether that is in force, or the apps that it administers.";
    RightsChanged = "rights_changed", Operator, "A right over Locum was granted to a plain person, or taken.";
    RoleAdded = "role_added", Operator, "A role was defined.";
    RoleAccessUpdated = "role_access_updated", Operator, "What a role contains changed, for everyone who holds it.";
    ReasonAdded = "reason_added", Operator, "A reason joined the code table.";
    NameReleased = "name_released", Operator, "The username of a deleted account was set free.";
    AppRegistered = "app_registered", Locum, "An app appeared in the configuration.";
    AppDisabled = "app_disabled", Locum, "An app vanished from the configuration; its roles are kept.";
    AppEnabled = "app_enabled", Locum, "A vanished app came back to the configuration.";
    ConfigReloaded = "config_reloaded", Either, "The configuration was read anew and taken up: asked for by an operator, or by SIGHUP.";
    HistoryTrimmed = "history_trimmed", Either, "Old entries of the history were moved to the archive: asked for by an operator, or by their age.";
    OperationRefused = "operation_refused", Operator, "An identified caller tried something that a rule refuses; nothing changed.";
    AttemptFailed = "attempt_failed", Locum, "A failed attempt to authenticate was counted.";
    AttemptsLocked = "attempts_locked", Locum, "Too many failures in a row: the account was shut.";
    StaleCredential = "stale_credential", Locum, "An expired or revoked token is still being presented.";
    OutsideNetworks = "outside_networks", Locum, "A right token was presented from outside the networks that it or its account names.";
}

impl ActionType {
    /// Whether `actor` can be the actor of this type (H4).
    pub const fn allows(self, actor: &Actor) -> bool {
        match (self.causer(), actor) {
            (Causer::Either, _)
            | (Causer::Operator, Actor::Host(_) | Actor::Account(_))
            | (Causer::Locum, Actor::Locum) => true,
            (Causer::Operator, Actor::Locum) | (Causer::Locum, Actor::Host(_) | Actor::Account(_)) => false,
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
    }
}
