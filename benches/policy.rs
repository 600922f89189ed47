//! What authorising a request costs: finding its route among all of them, and deciding by its rule.
//!
//! `cargo bench --bench policy`. The table has twenty apps, each with a host of its own and ten routes.
//! Finding a route is what the gateway does for it: reading the host, reading the path, and looking.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use locum::directory::{AppName, Holding, Permission, Restrictions, RoleName, RoleSet};
use locum::policy::host::PresentedHost;
use locum::policy::{
    AppRoutes, Denial, HostName, PathPrefix, PathReading, Pattern, Permit, Principal, Readings, Route, RouteSettings,
    RouteTable, Rule, decide,
};

const APPS: usize = 20;
const ROUTES: usize = 10;

const HOST: &str = "app7.example.org:8443";
const PLAIN: &str = "/area7/reports/2026/summary.json";
/// It can be read in more ways than one, and all of them choose one route.
const ENCODED: &str = "/area7/reports/2026/r%C3%A9sum%C3%A9%2Fann.json";

criterion_group!(benches, authorising);
criterion_main!(benches);

fn role(name: &str) -> RoleName {
    RoleName::parse(name).expect("letters and digits")
}

fn permission(name: &str) -> Permission {
    Permission::parse(name).expect("a namespace and a name")
}

fn table() -> RouteTable {
    let apps: Vec<_> = (0..APPS)
        .map(|app| AppRoutes {
            name: AppName::parse(&format!("app{app}")).expect("letters and digits"),
            hosts: vec![HostName::parse(&format!("app{app}.example.org")).expect("a host")],
            path_prefix: PathPrefix::parse("/").expect("the widest prefix"),
            path_reading: PathReading::Exact,
            routes: (0..ROUTES).map(route).collect(),
        })
        .collect();
    RouteTable::build(&apps).expect("each app has its own host, and each route its own path")
}

/// A route for one of three roles, and for a permission that all of them contain.
fn route(number: usize) -> RouteSettings {
    let rule = Rule {
        forwards_encoded_slash: true,
        roles_any: ["auditor", "manager", "clerk"].map(role).to_vec(),
        permissions_all: vec![permission("general:read")],
        ..Rule::default()
    };
    RouteSettings { path: Pattern::parse(&format!("/area{number}/{{section}}/*")).expect("a pattern"), rule }
}

/// Twenty roles, of which one is asked for, and access to the app.
fn roles() -> RoleSet {
    let held = (0..19).map(|number| role(&format!("other-{number}"))).chain([role("clerk")]);
    let definitions: BTreeMap<_, _> = held.map(|role| (role, BTreeSet::from([permission("general:read")]))).collect();
    let mut own: BTreeSet<_> = definitions.keys().cloned().map(Holding::Role).collect();
    own.insert(Holding::App(AppName::parse("app7").expect("letters and digits")));
    RoleSet::resolve(&own, None, &definitions)
}

fn find<'a>(table: &'a RouteTable, path: &str) -> &'a Arc<Route> {
    let host = PresentedHost::parse(black_box(HOST)).expect("a host");
    let readings = Readings::of(black_box(path)).expect("a path that is not dangerous");
    table.find(&host, &readings, &Method::GET).expect("the route is there")
}

fn authorise(route: &Route, roles: &RoleSet, restrictions: &Restrictions) -> Result<Permit, Denial> {
    decide(&route.app, &route.rule, Some(Principal { roles, restrictions }), &Method::GET)
}

fn authorising(criterion: &mut Criterion) {
    let (table, roles, restrictions) = (table(), roles(), Restrictions::default());
    let mut group = criterion.benchmark_group("policy");

    group.bench_function("find the route of a plain path", |b| b.iter(|| find(&table, PLAIN)));
    group.bench_function("find the route of an encoded path", |b| b.iter(|| find(&table, ENCODED)));

    let found = find(&table, PLAIN);
    group.bench_function("decide", |b| {
        b.iter(|| authorise(black_box(found), black_box(&roles), &restrictions).expect("a clerk may read"));
    });
    group.bench_function("find and decide", |b| {
        b.iter(|| authorise(find(&table, PLAIN), black_box(&roles), &restrictions).expect("a clerk may read"));
    });
}
