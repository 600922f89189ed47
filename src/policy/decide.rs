//! The decision: a principal, a rule and a method in; a permit or a denial with its reason out.
//!
//! [`Permit`] has a private field and this file is its only maker: what forwards a request takes a
//! `Permit`, so forwarding without a decision does not compile.

use http::Method;

use super::Rule;
use crate::directory::{AppName, Restrictions, RoleSet};

/// Who asks: the roles in force, and what the credential is restricted to.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    pub roles: &'a RoleSet,
    pub restrictions: &'a Restrictions,
}

/// Leave to forward one request.
///
/// Nothing but [`decide`] makes one:
///
/// ```compile_fail
/// let permit = locum::policy::Permit(());
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Permit(());

/// Why somebody may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Nobody is known, and the route is not public.
    CredentialRequired,
    /// The token is read-only and the method is not safe.
    TokenReadOnly,
    /// The token is restricted to other apps.
    TokenOtherApps,
    /// No access to the app (R8).
    NoAppAccess,
    RoleMissing,
    PermissionMissing,
}

impl Denial {
    pub const ALL: [Self; 6] = [
        Self::CredentialRequired,
        Self::TokenReadOnly,
        Self::TokenOtherApps,
        Self::NoAppAccess,
        Self::RoleMissing,
        Self::PermissionMissing,
    ];

    /// The name in the log and in metrics.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::CredentialRequired => "credential_required",
            Self::TokenReadOnly => "token_read_only",
            Self::TokenOtherApps => "token_other_apps",
            Self::NoAppAccess => "no_app_access",
            Self::RoleMissing => "role_missing",
            Self::PermissionMissing => "permission_missing",
        }
    }

    /// What a refused caller is told: stable, and without a word on roles (G3).
    pub const fn id(self) -> &'static str {
        match self {
            Self::CredentialRequired => "A1",
            Self::TokenReadOnly => "A2",
            Self::TokenOtherApps => "A3",
            Self::NoAppAccess => "A4",
            Self::RoleMissing => "A5",
            Self::PermissionMissing => "A6",
        }
    }
}

/// Decides whether a request may be forwarded. What a token is restricted to binds on public routes
/// too; the token's networks were judged with the credential (L10).
///
/// # Errors
/// The first reason to refuse, in the order of [`Denial`].
pub fn decide(app: &AppName, rule: &Rule, who: Option<Principal<'_>>, method: &Method) -> Result<Permit, Denial> {
    let Some(Principal { roles, restrictions }) = who else {
        return if rule.public { Ok(Permit(())) } else { Err(Denial::CredentialRequired) };
    };
    if restrictions.read_only && !is_safe(method) {
        return Err(Denial::TokenReadOnly);
    }
    if !restrictions.allow_app(app) {
        return Err(Denial::TokenOtherApps);
    }
    if rule.public {
        return Ok(Permit(()));
    }
    if !has_access(roles, app) {
        return Err(Denial::NoAppAccess);
    }
    let any_role = rule.roles_any.is_empty() || rule.roles_any.iter().any(|role| roles.has_role(role));
    if !any_role || !rule.roles_all.iter().all(|role| roles.has_role(role)) {
        return Err(Denial::RoleMissing);
    }
    let any_permission =
        rule.permissions_any.is_empty() || rule.permissions_any.iter().any(|asked| roles.has_permission(asked));
    if !any_permission || !rule.permissions_all.iter().all(|asked| roles.has_permission(asked)) {
        return Err(Denial::PermissionMissing);
    }
    Ok(Permit(()))
}

/// Access to an app is given alone, or with the first role in it (R8).
fn has_access(roles: &RoleSet, app: &AppName) -> bool {
    roles.has_app(app) || roles.roles().any(|role| role.app() == Some(app))
}

/// Methods that only read: RFC 9110 §9.2.1, and those that the IANA registry of methods calls safe,
/// without which a read-only token could not read a calendar.
fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::directory::{Holding, Permission, RoleName};

    const ROLES: [&str; 3] = ["staff", "shop/clerk", "wiki/author"];
    const PERMISSIONS: [&str; 2] = ["general:read", "shop:pay"];

    fn shop() -> AppName {
        AppName::parse("shop").unwrap()
    }

    fn role(name: &str) -> RoleName {
        RoleName::parse(name).unwrap()
    }

    fn permission(name: &str) -> Permission {
        Permission::parse(name).unwrap()
    }

    /// The roles of `ROLES` at the given places; the first has `general:read`, the second `shop:pay`.
    fn roles(held: &[usize], app: bool) -> RoleSet {
        let mut own: BTreeSet<Holding> = held.iter().map(|at| Holding::Role(role(ROLES[*at]))).collect();
        own.extend(app.then(|| Holding::App(shop())));
        let definitions: BTreeMap<_, _> =
            ROLES.iter().zip(PERMISSIONS).map(|(name, has)| (role(name), BTreeSet::from([permission(has)]))).collect();
        RoleSet::resolve(&own, None, &definitions)
    }

    fn ask(rule: &Rule, roles: &RoleSet, restrictions: &Restrictions, method: &Method) -> Result<Permit, Denial> {
        decide(&shop(), rule, Some(Principal { roles, restrictions }), method)
    }

    /// R8
    #[test]
    fn access_is_given_alone_or_with_a_role_of_the_app() {
        let (rule, free) = (Rule::default(), Restrictions::default());
        assert!(ask(&rule, &roles(&[], true), &free, &Method::GET).is_ok());
        assert!(ask(&rule, &roles(&[1], false), &free, &Method::GET).is_ok());
        assert_eq!(ask(&rule, &roles(&[0, 2], false), &free, &Method::GET), Err(Denial::NoAppAccess));
    }

    /// G4: a public route asks for nobody, and yet a restricted token stays restricted.
    #[test]
    fn a_public_route_is_open_but_not_to_a_token_that_is_for_another_app() {
        let rule = Rule { public: true, ..Rule::default() };
        assert_eq!(decide(&shop(), &rule, None, &Method::POST), Ok(Permit(())));
        let elsewhere = Restrictions { apps: vec![AppName::parse("wiki").unwrap()], ..Restrictions::default() };
        assert_eq!(ask(&rule, &roles(&[], false), &elsewhere, &Method::GET), Err(Denial::TokenOtherApps));
    }

    #[test]
    fn nobody_is_refused_where_the_route_is_not_public() {
        assert_eq!(decide(&shop(), &Rule::default(), None, &Method::GET), Err(Denial::CredentialRequired));
    }

    #[test]
    fn a_read_only_token_reads_and_does_nothing_else() {
        let reading = Restrictions { read_only: true, ..Restrictions::default() };
        for (method, allowed) in [("GET", true), ("HEAD", true), ("PROPFIND", true), ("POST", false), ("MOVE", false)] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let decided = ask(&Rule::default(), &roles(&[], true), &reading, &method);
            assert_eq!(decided.is_ok(), allowed, "{method}");
        }
    }

    proptest! {
        /// G4: a permit on a route that is not public means that every part of the rule is met, and a
        /// denial that one is not.
        #[test]
        fn a_permit_means_that_everything_asked_for_is_held(
            held in prop::collection::vec(0..3_usize, 0..3),
            app in any::<bool>(),
            any_roles in prop::collection::vec(0..3_usize, 0..3),
            all_roles in prop::collection::vec(0..3_usize, 0..3),
            any_permissions in prop::collection::vec(0..2_usize, 0..3),
            all_permissions in prop::collection::vec(0..2_usize, 0..3),
            read_only in any::<bool>(),
            post in any::<bool>(),
        ) {
            let rule = Rule {
                roles_any: any_roles.iter().map(|at| role(ROLES[*at])).collect(),
                roles_all: all_roles.iter().map(|at| role(ROLES[*at])).collect(),
                permissions_any: any_permissions.iter().map(|at| permission(PERMISSIONS[*at])).collect(),
                permissions_all: all_permissions.iter().map(|at| permission(PERMISSIONS[*at])).collect(),
                ..Rule::default()
            };
            let method = if post { Method::POST } else { Method::GET };
            let restrictions = Restrictions { read_only, ..Restrictions::default() };
            let decided = ask(&rule, &roles(&held, app), &restrictions, &method);
            let has = |at: &usize| held.contains(at);
            let expected = !(read_only && post)
                && (app || has(&1))
                && (any_roles.is_empty() || any_roles.iter().any(has)) && all_roles.iter().all(has)
                && (any_permissions.is_empty() || any_permissions.iter().any(has)) && all_permissions.iter().all(has);
            prop_assert_eq!(decided.is_ok(), expected, "{:?}", decided);
        }
    }
}
