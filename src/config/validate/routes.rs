//! The routes of one app, each by itself.

use http::Method;

use super::header_names::username_header;
use super::{Findings, limits};
use crate::config::conform::quoted;
use crate::config::file::{AcceptedScheme, RouteTable, Slashes};
use crate::config::problems::Problem;
use crate::config::tree::At;
use crate::directory::{AppName, Permission, RoleName};
use crate::policy::{Accept, OwnTimeouts, Pattern, RouteSettings, Rule, Upgrades};

/// `app` is the table of the app; `name` is absent where it was wrong itself, and `max_body` is the app's.
pub(super) fn routes(
    tables: &[RouteTable],
    name: Option<&AppName>,
    max_body: Option<u64>,
    app: &At<'_>,
    findings: &mut Findings,
) -> Option<Vec<RouteSettings>> {
    let at = app.key("routes");
    if tables.is_empty() {
        if !app.was_removed("routes") {
            let wrong = format!("`{}` has no route, so every request to it would be refused", app.name());
            let advice = format!("add `[[{}]]` with a path, such as `path = \"/*\"`", at.name());
            findings.add(Problem::at(app.key_place(), wrong).instead(advice));
        }
        return None;
    }
    findings.each(&at, tables, |findings, at, table| route(table, name, max_body, &at, findings))
}

fn route(
    table: &RouteTable,
    name: Option<&AppName>,
    max_body: Option<u64>,
    at: &At<'_>,
    findings: &mut Findings,
) -> Option<RouteSettings> {
    let path = findings.value(&at.key("path"), &table.path, Pattern::parse(&table.path));
    let methods =
        findings.each(&at.key("methods"), &table.methods, |findings, at, text| findings.value(&at, text, method(text)));
    let username_header = match &table.username_header {
        None => Some(None),
        Some(text) => username_header(text, &at.key("username_header"), findings).map(Some),
    };
    let roles_any = roles(&table.roles_any, name, &at.key("roles_any"), findings);
    let roles_all = roles(&table.roles_all, name, &at.key("roles_all"), findings);
    let permissions_any = permissions(&table.permissions_any, &at.key("permissions_any"), findings);
    let permissions_all = permissions(&table.permissions_all, &at.key("permissions_all"), findings);
    let upgrades = findings.each(&at.key("upgrades"), &table.upgrades, |findings, at, text| {
        findings.value(&at, text, Upgrades::name(text))
    });
    let response = findings.optional_duration(&at.key("response_timeout"), table.response_timeout.as_ref());
    let idle = findings.optional_duration(&at.key("idle_timeout"), table.idle_timeout.as_ref());
    let total = findings.optional_duration(&at.key("total_timeout"), table.total_timeout.as_ref());
    let own_max_body = limits::max_body(table.max_body.as_deref(), &at.key("max_body"), findings);
    let rate_limits = limits::rate_limits(&table.rate_limits, &at.key("rate_limits"), findings);
    let consistent = consistent(table, at, findings);
    let rule = Rule {
        methods: methods?,
        accept: Accept {
            basic: table.accept.contains(&AcceptedScheme::Basic),
            bearer: table.accept.contains(&AcceptedScheme::Bearer),
            locum_authorization: table.accept.contains(&AcceptedScheme::LocumAuthorization),
        },
        username_header: username_header?,
        public: table.public,
        roles_any: roles_any?,
        roles_all: roles_all?,
        permissions_any: permissions_any?,
        permissions_all: permissions_all?,
        forwards_encoded_slash: table.encoded_slash == Slashes::Forward,
        refuses_doubled_slash: table.doubled_slash == Slashes::Refuse,
        upgrades: Upgrades::new(upgrades?),
        timeouts: OwnTimeouts { response: response.ok()?, idle: idle.ok()?, total: total.ok()? },
        max_body: own_max_body.ok()?.or(max_body),
        rate_limits: rate_limits?,
    };
    consistent.then_some(RouteSettings { path: path?, rule })
}

fn method(text: &str) -> Result<Method, String> {
    let capitals = text.to_ascii_uppercase();
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| "give a method such as `GET`".to_owned())?;
    match text {
        "CONNECT" => Err("leave it out: the gateway forwards no tunnels of this kind".to_owned()),
        _ if capitals != text => Err(format!("methods are written in capitals: give `{capitals}`")),
        _ => Ok(method),
    }
}

/// A role of another app could be given to nobody for the sake of this one, so naming it is a slip.
fn roles(texts: &[String], app: Option<&AppName>, at: &At<'_>, findings: &mut Findings) -> Option<Vec<RoleName>> {
    findings.each(at, texts, |findings, at, text| {
        let role = findings.sentence(&at, RoleName::parse(text))?;
        match (role.app(), app) {
            (Some(owner), Some(app)) if owner != app => {
                let wrong = format!("the role {} belongs to the app `{owner}`, not to `{app}`", quoted(text));
                findings.add(Problem::at(at.place(), wrong).instead("give a role of this app, or one of the system"));
                None
            }
            _ => Some(role),
        }
    })
}

/// A route may also ask for the permission `role:ROLE` that a role implies.
fn permissions(texts: &[String], at: &At<'_>, findings: &mut Findings) -> Option<Vec<Permission>> {
    findings.each(at, texts, |findings, at, text| match text.strip_prefix("role:") {
        Some(role) => findings.sentence(&at, RoleName::parse(role)).map(|role| Permission::implied_by(&role)),
        None => findings.sentence(&at, Permission::parse(text)),
    })
}

/// Whether what the route asks for can be asked together.
fn consistent(table: &RouteTable, at: &At<'_>, findings: &mut Findings) -> bool {
    if table.accept.is_empty() && !table.public {
        let at = at.key("accept");
        let wrong = "the route accepts no credential, so nobody could pass";
        let advice = "give one or more of `\"basic\"`, `\"bearer\"` and `\"locum-authorization\"`, or `public = true`";
        findings.add(Problem::at(at.place(), wrong).instead(advice));
        return false;
    }
    let alone = [AcceptedScheme::Bearer, AcceptedScheme::LocumAuthorization];
    if table.username_header.is_some() && !alone.iter().any(|scheme| table.accept.contains(scheme)) {
        let at = at.key("username_header");
        let wrong = "the route accepts no token that comes alone, so nobody would read `username_header`";
        let advice = "accept `\"bearer\"` or `\"locum-authorization\"`, or leave this out: Basic brings its username";
        findings.add(Problem::at(at.key_place(), wrong).instead(advice));
        return false;
    }
    let demands = [
        ("roles_any", &table.roles_any),
        ("roles_all", &table.roles_all),
        ("permissions_any", &table.permissions_any),
        ("permissions_all", &table.permissions_all),
    ];
    let asked: Vec<&str> = demands.iter().filter(|(_, names)| !names.is_empty()).map(|(key, _)| *key).collect();
    if !table.public {
        return true;
    }
    for key in &asked {
        let at = at.key(key);
        let wrong = format!("a public route asks nobody who they are, so `{key}` cannot hold");
        findings.add(Problem::at(at.key_place(), wrong).instead("leave out either this or `public = true`"));
    }
    asked.is_empty()
}
