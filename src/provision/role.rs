//! Roles: defined, and what they contain changed for everybody who holds them (R6).

use std::collections::BTreeSet;

use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Refusal, Request};
use crate::directory::rights::Operation;
use crate::directory::{Holding, Permission, RoleName};
use crate::history::{Action, ActionType, Actions};

/// Defines a role with what it contains.
///
/// # Errors
/// When the caller may not, the role exists, or its app or the namespace of a permission does not.
pub async fn add(
    provision: &Provision,
    request: &Request,
    role: RoleName,
    permissions: BTreeSet<Permission>,
) -> Result<(), Error> {
    let attempt = Attempt::to("role_add").with_holding(&Holding::Role(role.clone()));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::DefineRoles { app: role.app().cloned() })?;
                if let Some(app) = role.app() {
                    hand.demand_app(app).await?;
                }
                hand.demand_namespaces(&permissions).await?;
                hand.demand_permissions(permissions.iter())?;
                if hand.writer.role(&role).await?.is_some() {
                    return Err(Refusal::RoleExists(role).into());
                }
                hand.writer.insert_role(&role, &permissions).await?;
                let mut added = hand.action(ActionType::RoleAdded).object(Holding::Role(role).to_stored());
                for permission in &permissions {
                    added = added.detail(permission.as_str(), None, Some("contained"));
                }
                Hand::done((), added, Effects::default())
            })
        })
        .await
}

/// Replaces what a role contains: *role access updated*, for everyone who holds it.
///
/// # Errors
/// When the caller may not, the role is not defined, or the namespace of a permission does not exist.
pub async fn set_permissions(
    provision: &Provision,
    request: &Request,
    role: RoleName,
    permissions: BTreeSet<Permission>,
) -> Result<(), Error> {
    let attempt = Attempt::to("role_set").with_holding(&Holding::Role(role.clone()));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::DefineRoles { app: role.app().cloned() })?;
                let before = hand.demand_role(&role).await?;
                hand.demand_namespaces(&permissions).await?;
                if before == permissions {
                    return Ok(Decided::AsItWas(()));
                }
                hand.demand_permissions(before.symmetric_difference(&permissions))?;
                hand.writer.set_role_permissions(&role, &permissions).await?;

                let holding = Holding::Role(role);
                let mut updated = hand.action(ActionType::RoleAccessUpdated).object(holding.to_stored());
                for permission in before.difference(&permissions) {
                    updated = updated.detail(permission.as_str(), Some("contained"), None);
                }
                for permission in permissions.difference(&before) {
                    updated = updated.detail(permission.as_str(), None, Some("contained"));
                }
                let holders = hand.writer.holders(&holding).await?;
                let mut effects = Effects::default();
                let holders_now = holders.iter().copied();
                if before.is_subset(&permissions) {
                    effects.widened.extend(holders_now);
                } else {
                    effects.narrowed.extend(holders_now);
                }
                // One for the role, and one for each account whose access it changes (H2).
                let each: Vec<Action> = holders.iter().map(|holder| updated.clone().to(*holder)).collect();
                let actions = each.into_iter().fold(Actions::one(updated), Actions::and);
                Ok(Decided::Changed((), actions, effects))
            })
        })
        .await
}

impl Hand<'_> {
    /// Refuses whoever would put something into a role, or take it out, that is not theirs to define: an administrator of one
    /// app what belongs to another, or to all (R5).
    fn demand_permissions<'p>(&self, permissions: impl Iterator<Item = &'p Permission>) -> Result<(), Error> {
        for permission in permissions {
            self.request.demand(&Operation::DefineRoles { app: permission.app() })?;
        }
        Ok(())
    }

    async fn demand_namespaces(&mut self, permissions: &BTreeSet<Permission>) -> Result<(), Error> {
        let apps = self.writer.apps().await?;
        for permission in permissions {
            if permission.app().is_some_and(|app| apps.iter().all(|known| known.name != app)) {
                return Err(Refusal::UnknownNamespace(permission.namespace().to_owned()).into());
            }
        }
        Ok(())
    }
}
