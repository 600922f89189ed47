//! The route table: host → app by the longest path prefix → route by specificity and method (G4).
//!
//! Two things are decided here on the side of caution. The most specific path wins *before* the method
//! is looked at: a method that its routes do not name is refused, and never falls through to a wider,
//! weaker route. And when a path can be read in several ways, all readings have to end at the same
//! route, or the request is refused as ambiguous (G5).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::Method;

use super::host::PresentedHost;
use super::pattern::segments_of;
use super::{Accept, HostName, PathPrefix, PathReading, Pattern, Readings, Rule};
use crate::directory::AppName;

/// One app's part of the table.
#[derive(Debug, Clone)]
pub struct AppRoutes {
    pub name: AppName,
    /// Where it answers; none for every host that no other app has.
    pub hosts: Vec<HostName>,
    pub path_prefix: PathPrefix,
    pub path_reading: PathReading,
    pub routes: Vec<RouteSettings>,
}

/// One route as it is configured. Its pattern is compared with the whole path of the request.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    pub path: Pattern,
    pub rule: Rule,
}

/// A route that a request was found to belong to.
#[derive(Debug)]
pub struct Route {
    /// The app's place in the list that the table was built from.
    pub app_index: usize,
    pub app: AppName,
    /// The route's place among those of its app.
    pub number: usize,
    pub path: Pattern,
    pub rule: Rule,
}

/// Why there is no route for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No app has this host and path, or the app has no route for it.
    NoRoute,
    /// The most specific routes for this path are not for this method, but for those.
    Method { allowed: Vec<Method> },
    /// Two readings of the path would have chosen different routes.
    Ambiguous,
}

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    pub app: AppName,
    /// The route's place among those of its app.
    pub route: Option<usize>,
    pub what: TableFault,
}

/// The ways in which apps and routes contradict each other or themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    #[error("the app `{other}` already answers {where_}: give one of them another host or path prefix")]
    SamePlace { other: AppName, where_: String },
    #[error("the app has no routes, so every request would be refused: add at least one")]
    NoRoutes,
    #[error("no path under `{0}` can match: a route's path is the whole path of the URL")]
    OutsidePrefix(String),
    #[error("an earlier route of the app is for the same path and method: one request would have two rules")]
    SameRoute,
    #[error("a public route asks nobody for roles or permissions: take away `public` or the lists")]
    PublicWithRoles,
    #[error(
        "the route accepts no scheme, so nobody could come through it: accept `basic`, `bearer` or \
         `locum-authorization`, or make it public"
    )]
    AcceptsNothing,
}

impl fmt::Display for TableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app `{}`", self.app)?;
        if let Some(route) = self.route {
            write!(f, ", route {}", route + 1)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// All routes of all apps, ready to be asked.
#[derive(Debug)]
pub struct RouteTable {
    apps: Vec<Entry>,
    /// For each host that some app names: the apps that could answer there, in the order of asking.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// The same for every name below one that some app names.
    below: HashMap<Box<str>, Vec<usize>>,
    /// The apps for every host.
    elsewhere: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    reading: PathReading,
    /// The prefix and the paths of the routes, as the app reads them.
    prefix: PathPrefix,
    /// Routes of one shape stand together; the most specific shape first.
    shapes: Vec<Vec<Arc<Route>>>,
}

impl RouteTable {
    /// Builds the table.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn build(apps: &[AppRoutes]) -> Result<Self, Vec<TableProblem>> {
        let problems = Self::problems(apps);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut table = Self {
            apps: apps.iter().enumerate().map(|(at, app)| Entry::new(at, app)).collect(),
            exact: HashMap::new(),
            below: HashMap::new(),
            elsewhere: in_order_of_asking(apps, ""),
        };
        for host in apps.iter().flat_map(|app| &app.hosts) {
            match host {
                HostName::Exact(name) => table.exact.insert(name.clone(), in_order_of_asking(apps, name)),
                HostName::Below(name) => {
                    table.below.insert(name.clone(), in_order_of_asking(apps, &format!("*.{name}")))
                }
            };
        }
        Ok(table)
    }

    /// Everything that is wrong with apps and routes, in their order.
    pub fn problems(apps: &[AppRoutes]) -> Vec<TableProblem> {
        let mut problems = Vec::new();
        for (at, app) in apps.iter().enumerate() {
            let mut report = |route, what| problems.push(TableProblem { app: app.name.clone(), route, what });
            for earlier in &apps[..at] {
                if let Some(where_) = shared_place(earlier, app) {
                    report(None, TableFault::SamePlace { other: earlier.name.clone(), where_ });
                }
            }
            if app.routes.is_empty() {
                report(None, TableFault::NoRoutes);
            }
            for (number, route) in app.routes.iter().enumerate() {
                for fault in faults_of(app, number, route) {
                    report(Some(number), fault);
                }
            }
        }
        problems
    }

    /// Finds the route of a request.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&self, host: &PresentedHost<'_>, path: &Readings<'_>, method: &Method) -> Result<&Arc<Route>, Miss> {
        let candidates = host.with_lower_case(|host| self.candidates(host));
        let mut readings = path.iter().map(|path| self.choose(candidates, path));
        let chosen = readings.next().flatten();
        let place = |chosen: Option<(&Entry, &[Arc<Route>])>| chosen.map(|(_, shape)| shape.as_ptr());
        if readings.any(|other| place(other) != place(chosen)) {
            return Err(Miss::Ambiguous);
        }
        let (app, shape) = chosen.ok_or(Miss::NoRoute)?;
        let hides = |path| segments_of(path).any(|part| app.reading.hides(part));
        if app.reading != PathReading::Exact && path.iter().any(hides) {
            return Err(Miss::Ambiguous);
        }
        let named = shape.iter().find(|route| !route.rule.methods.is_empty() && route.rule.is_for(method));
        named.or_else(|| shape.iter().find(|route| route.rule.is_for(method))).ok_or_else(|| {
            let allowed = shape.iter().flat_map(|route| route.rule.methods.iter().cloned()).collect();
            Miss::Method { allowed }
        })
    }

    fn candidates(&self, host: &str) -> &[usize] {
        let exact = self.exact.get(host);
        let below =
            || std::iter::successors(Some(host), |name| above(name)).skip(1).find_map(|name| self.below.get(name));
        exact.or_else(below).unwrap_or(&self.elsewhere)
    }

    /// The app, and its routes of the most specific shape, for one reading of a path.
    fn choose(&self, candidates: &[usize], path: &str) -> Option<(&Entry, &[Arc<Route>])> {
        let app = candidates.iter().map(|at| &self.apps[*at]).find(|app| app.has(path))?;
        Some((app, app.most_specific(path)?))
    }
}

impl Entry {
    fn new(app_index: usize, app: &AppRoutes) -> Self {
        let reading = app.path_reading;
        let route = |(number, settings): (usize, &RouteSettings)| {
            let path = settings.path.read_as(reading);
            Arc::new(Route { app_index, app: app.name.clone(), number, path, rule: settings.rule.clone() })
        };
        let mut routes: Vec<_> = app.routes.iter().enumerate().map(route).collect();
        routes.sort_by(|a, b| a.path.by_specificity(&b.path));
        let shapes = routes.chunk_by(|a, b| a.path.has_shape_of(&b.path)).map(<[_]>::to_vec).collect();
        Self { reading, prefix: app.path_prefix.read_as(reading), shapes }
    }

    /// Whether a path is the app's.
    fn has(&self, path: &str) -> bool {
        self.prefix.has(segments_of(&self.reading.fold(path)))
    }

    /// The routes of the most specific shape for a path of the app's.
    fn most_specific(&self, path: &str) -> Option<&[Arc<Route>]> {
        let path = self.reading.fold(path);
        let shape = self.shapes.iter().find(|shape| shape[0].path.matches(segments_of(&path)))?;
        Some(shape)
    }
}

/// The apps that could answer for `host`: those that name it more closely first (itself, then the
/// longest name above it, then every host), and of those the one with the longest prefix.
fn in_order_of_asking(apps: &[AppRoutes], host: &str) -> Vec<usize> {
    let distance = |app: &AppRoutes| {
        if app.hosts.is_empty() {
            return Some(usize::MAX);
        }
        app.hosts.iter().filter_map(|named| distance(named, host)).min()
    };
    let mut order: Vec<_> = (0..apps.len()).filter_map(|at| Some((distance(&apps[at])?, at))).collect();
    order.sort_by_key(|(distance, at)| (*distance, std::cmp::Reverse(apps[*at].path_prefix.length())));
    order.into_iter().map(|(_, at)| at).collect()
}

/// How far `named` stands above `host`; `None` when it does not name it. A `host` that starts with `*.`
/// is any name below another.
fn distance(named: &HostName, host: &str) -> Option<usize> {
    match named {
        HostName::Exact(name) => (**name == *host).then_some(0),
        HostName::Below(name) => {
            let labels = host.strip_suffix(&**name)?.strip_suffix('.')?;
            Some(labels.split('.').count())
        }
    }
}

/// The name without its first label.
fn above(host: &str) -> Option<&str> {
    host.split_once('.').map(|(_, above)| above)
}

/// Where both apps answer, if they answer at one place.
fn shared_place(a: &AppRoutes, b: &AppRoutes) -> Option<String> {
    // Read as the less exact of the two reads it: there they would meet.
    let reading = if a.path_reading == PathReading::Exact { b.path_reading } else { a.path_reading };
    if a.path_prefix.read_as(reading) != b.path_prefix.read_as(reading) {
        return None;
    }
    if a.hosts.is_empty() && b.hosts.is_empty() {
        return Some(format!("on every host under `{}`", a.path_prefix));
    }
    let host = a.hosts.iter().find(|host| b.hosts.contains(host))?;
    Some(format!("on `{host}` under `{}`", a.path_prefix))
}

fn faults_of(app: &AppRoutes, number: usize, route: &RouteSettings) -> Vec<TableFault> {
    let mut faults = Vec::new();
    let rule = &route.rule;
    if !route.path.read_as(app.path_reading).can_match_under(&app.path_prefix.read_as(app.path_reading)) {
        faults.push(TableFault::OutsidePrefix(app.path_prefix.to_string()));
    }
    let same = |earlier: &&RouteSettings| {
        let methods = &earlier.rule.methods;
        let meets = (methods.is_empty() && rule.methods.is_empty()) || methods.iter().any(|m| rule.methods.contains(m));
        meets && earlier.path.read_as(app.path_reading).has_shape_of(&route.path.read_as(app.path_reading))
    };
    if app.routes[..number].iter().any(|earlier| same(&earlier)) {
        faults.push(TableFault::SameRoute);
    }
    if rule.public && rule.asks_for_roles() {
        faults.push(TableFault::PublicWithRoles);
    }
    if !rule.public && rule.accept == Accept::NOTHING {
        faults.push(TableFault::AcceptsNothing);
    }
    faults
}

#[cfg(test)]
mod tests;
