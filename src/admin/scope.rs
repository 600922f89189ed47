//! Which scope a key needs for which operation: one table by tag, written into the `OpenAPI` document, and enforced
//! from there (A6).
//!
//! Looking is `read`, whatever the method; everything else is `write`. An operation whose tag is not in the table
//! needs a scope that no key can have, and a test names it.

use std::collections::BTreeMap;

use http::Method;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, PathItem, path::Operation};

use crate::directory::api_key::{Access, Area, Scope};

/// The name of the security scheme in the document.
const SCHEME: &str = "api_key";

/// The part of the API that a tag belongs to.
const AREAS: [(&str, Area); 13] = [
    ("people", Area::People),
    ("proxy users", Area::People),
    ("names", Area::People),
    ("tokens", Area::Tokens),
    ("reasons", Area::Tokens),
    ("roles", Area::Roles),
    ("apps", Area::Roles),
    ("history", Area::History),
    ("administrators", Area::Administrators),
    ("api keys", Area::Keys),
    ("jobs", Area::Jobs),
    ("operation", Area::Gateway),
    ("gateway", Area::Gateway),
];

/// What looks although it is a `POST`, because what is asked about is long or secret.
const LOOKING: [&str; 2] = ["/v1/audit", "/v1/pats/check"];

/// The scope of each operation of a document.
#[derive(Debug, Default)]
pub(super) struct Needed(BTreeMap<(String, String), Scope>);

impl Needed {
    /// Reads the table, and writes it into the document.
    pub(super) fn write_into(document: &mut OpenApi) -> Self {
        let mut needed = Self::default();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let Some(scope) = scope_of(&method, path, operation) else { continue };
                operation.security = Some(vec![SecurityRequirement::new(SCHEME, [scope.to_string()])]);
                needed.0.insert((method.to_string(), path.clone()), scope);
            }
        }
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("A key of the admin API, `locum_key_…`. On the host's socket nothing is presented.".to_owned());
        document
            .components
            .get_or_insert_with(Components::default)
            .add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
        needed
    }

    /// What a key needs for this; `None` where no operation is.
    pub(super) fn of(&self, method: &Method, path: &str) -> Option<Scope> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.get(&(method.to_string(), path.to_owned())).copied()
    }

    /// For what stands beside the document.
    pub(super) const LOOK_AT_GATEWAY: Scope = Scope { area: Area::Gateway, access: Access::Read };
}

fn scope_of(method: &Method, path: &str, operation: &Operation) -> Option<Scope> {
    let tags = operation.tags.as_ref()?;
    let (_, area) = AREAS.into_iter().find(|(tag, _)| tags.iter().any(|known| known == tag))?;
    let looks = *method == Method::GET || LOOKING.contains(&path);
    Some(Scope { area, access: if looks { Access::Read } else { Access::Write } })
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
