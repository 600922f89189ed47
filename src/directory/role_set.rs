//! The role set in force: what an account effectively holds right now.

use std::collections::{BTreeMap, BTreeSet};

use super::{AppName, Holding, Permission, RoleName};

/// Roles, apps and permissions in force for one account, capped by its owner (P5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleSet {
    roles: BTreeSet<RoleName>,
    apps: BTreeSet<AppName>,
    permissions: BTreeSet<Permission>,
}

impl RoleSet {
    /// Resolves what is in force: for a proxy user only what its owner holds too, whatever the
    /// grants say (P5, checked here again); a role's permissions are those of its definition now (R6).
    pub fn resolve(
        own: &BTreeSet<Holding>,
        owner: Option<&BTreeSet<Holding>>,
        definitions: &BTreeMap<RoleName, BTreeSet<Permission>>,
    ) -> Self {
        let mut set = Self::default();
        for holding in own.iter().filter(|held| owner.is_none_or(|cap| cap.contains(*held))) {
            match holding {
                Holding::App(app) => {
                    set.apps.insert(app.clone());
                }
                Holding::Role(role) => {
                    set.permissions.insert(Permission::implied_by(role));
                    set.permissions.extend(definitions.get(role).into_iter().flatten().cloned());
                    set.roles.insert(role.clone());
                }
            }
        }
        set
    }

    pub fn has_role(&self, role: &RoleName) -> bool {
        self.roles.contains(role)
    }

    pub fn has_app(&self, app: &AppName) -> bool {
        self.apps.contains(app)
    }

    pub fn has_permission(&self, permission: &Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// The roles that an app is told: the system's and its own, never another app's.
    pub fn roles_for<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = &'a RoleName> {
        self.roles.iter().filter(move |role| role.app().is_none_or(|of| of == app))
    }

    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.iter()
    }

    pub fn apps(&self) -> impl Iterator<Item = &AppName> {
        self.apps.iter()
    }

    pub fn permissions(&self) -> impl Iterator<Item = &Permission> {
        self.permissions.iter()
    }
}
