//! What an entry is found by beside its target, its actor and its type: the apps that it concerns, and
//! who asked Locum for it (H2, H4).
//!
//! All of it is read out of the entry itself. So a list by app can be checked against the chain, and an
//! entry that was written before there was such a list finds its place in it.

use std::collections::BTreeSet;

use super::{Action, ActionType, Detail, Value};
use crate::directory::{Actor, AppName, Holding, Permission};

/// One more thing that an entry is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The entry concerns this app.
    App(AppName),
    /// Locum did it because this one asked for it.
    AskedBy(Actor),
}

impl Mark {
    /// The stored text: `app:NAME` or `asked:ACTOR`.
    pub fn to_stored(&self) -> String {
        match self {
            Self::App(app) => format!("app:{app}"),
            Self::AskedBy(actor) => format!("asked:{}", actor.to_stored()),
        }
    }
}

/// The marks of an action, as they are stored, in their order.
pub fn marks(action: &Action) -> BTreeSet<String> {
    let of_object = app_of_object(action);
    let of_details = action.details.iter().flat_map(|detail| apps_of(action.kind, detail));
    let apps = of_object.into_iter().chain(of_details).map(Mark::App);
    apps.chain(asked_by(action).map(Mark::AskedBy)).map(|mark| mark.to_stored()).collect()
}

/// The app of the role that an action was done to.
pub fn app_of_object(action: &Action) -> Option<AppName> {
    action.object.as_deref().and_then(app_of_holding)
}

/// The apps that one detail of an action speaks of.
pub fn apps_of(kind: ActionType, detail: &Detail) -> Vec<AppName> {
    match (kind, detail.field.as_str()) {
        (ActionType::RoleAdded | ActionType::RoleAccessUpdated, permission) => {
            Permission::parse(permission).ok().and_then(|permission| permission.app()).into_iter().collect()
        }
        // The apps that a token is narrowed to.
        (_, "app") => {
            let values = detail.before.iter().chain(&detail.after);
            values.filter_map(clear).filter_map(|app| AppName::parse(app).ok()).collect()
        }
        (_, holding) => app_of_holding(holding).into_iter().collect(),
    }
}

fn app_of_holding(text: &str) -> Option<AppName> {
    if let Some(app) = text.strip_prefix("admin:") {
        return AppName::parse(app).ok();
    }
    Holding::from_stored(text)?.app().cloned()
}

fn clear(value: &Value) -> Option<&str> {
    match value {
        Value::Clear(text) => Some(text),
        Value::Sealed { .. } => None,
    }
}

/// What Locum does by a rule names the rule as its cause; a deletion names whoever asked, too (H4).
fn asked_by(action: &Action) -> impl Iterator<Item = Actor> {
    let cause = action.cause.as_deref().filter(|_| action.actor == Actor::Locum).unwrap_or_default();
    cause.split(' ').filter_map(Actor::from_stored).filter(|actor| *actor != Actor::Locum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::AccountId;

    fn of(action: &Action) -> Vec<String> {
        marks(action).into_iter().collect()
    }

    fn by_root(kind: ActionType) -> Action {
        Action::new(kind, Actor::Host("root".into()))
    }

    /// H2
    #[test]
    fn an_action_knows_the_apps_that_it_concerns() {
        let changed = by_root(ActionType::RolesChanged)
            .detail("app:blog", None, Some("held"))
            .detail("role:wiki/editor", Some("held"), None)
            .detail("role:reports", None, Some("held"));
        assert_eq!(of(&changed), ["app:blog", "app:wiki"]);
        let role = by_root(ActionType::RoleAccessUpdated)
            .object("role:reports")
            .detail("app:write", None, Some("contained"))
            .detail("general:read", None, Some("contained"))
            .detail("blog:write", Some("contained"), None);
        assert_eq!(of(&role), ["app:app", "app:blog"], "`app:write` is a permission in the app `app`");
        assert_eq!(of(&by_root(ActionType::OperationRefused).object("role:blog/editor")), ["app:blog"]);
        let token = by_root(ActionType::PatCreated).object("0123456789ab").detail("app", None, Some("blog"));
        assert_eq!(of(&token), ["app:blog"]);
        assert!(of(&by_root(ActionType::UserAdded)).is_empty());
    }

    /// H4: a deletion is done by Locum and belongs to what its asker initiated.
    #[test]
    fn what_locum_was_asked_for_is_marked_with_the_asker() {
        let ann = Actor::Account(AccountId::from_bytes([7; 16]));
        let deleted = |cause: &str| Action::new(ActionType::UserDeleted, Actor::Locum).because(cause);
        assert_eq!(of(&deleted(&format!("P13 {}", ann.to_stored()))), [format!("asked:{}", ann.to_stored())]);
        assert_eq!(of(&deleted("host:root")), ["asked:host:root"]);
        assert!(of(&deleted("L1")).is_empty());
    }
}
