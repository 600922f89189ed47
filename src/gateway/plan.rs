//! The settings, compiled for one core: routes, apps and what each core counts, shared with nobody.
//!
//! Every core has a plan of its own. What looks shared in it (routes, instances) is counted by
//! references, and a count that two cores write would cost more than the copy.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::hygiene::Hygiene;
use super::identity_headers::{Asked, IdentityHeaders, Rendered};
use super::refusal::Refusal;
use super::settings::{ClientSettings, Problem, SecretHeaderSettings, Settings, Timeouts};
use super::trailers::Trailers;
use super::tunnel::TunnelSettings;
use super::upstream::{Instances, SharedApps};
use crate::authn::Proven;
use crate::authz::InForce;
use crate::directory::PublicId;
use crate::policy::RouteTable;

/// How many principals' headers are remembered on one core.
const RENDERED: usize = 10_000;

/// One core's view of the settings. Each stack makes its own; what it does to heads can be had, and
/// measured, without a connection.
#[derive(Debug)]
pub struct Plan {
    hygiene: Arc<Hygiene>,
    pub(super) clients: ClientSettings,
    pub(super) table: RouteTable,
    /// By the route's `app_index`.
    pub(super) apps: Vec<App>,
    /// How many instances all apps have together.
    pub(super) instances: usize,
}

/// One app, as far as forwarding goes.
#[derive(Debug)]
pub(super) struct App {
    pub(super) instances: Instances,
    pub(super) timeouts: Timeouts,
    pub(super) tunnels: TunnelSettings,
    /// Whether it has a place for trailers of requests.
    pub(super) takes_trailers: bool,
    /// Whether what it says before an answer is passed on.
    pub(super) early_hints: bool,
    headers: IdentityHeaders,
    secret: Option<SecretHeaderSettings>,
    rendered: Mutex<quick_cache::unsync::Cache<PublicId, Told>>,
    /// For who is nobody.
    anonymous: Box<Rendered>,
}

/// What an app is told of one principal, and what that was made from. The two are held here, so that no
/// other can ever stand at their addresses.
#[derive(Debug, Clone)]
struct Told {
    proven: Arc<Proven>,
    in_force: Arc<InForce>,
    headers: Arc<Rendered>,
}

impl Plan {
    /// A plan that shares nothing with any other.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn compile(settings: &Settings) -> Result<Self, Vec<Problem>> {
        Self::compile_with(settings, &SharedApps::new(&settings.apps, usize::MAX, 0))
    }

    /// A plan for one of several cores.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub(super) fn compile_with(settings: &Settings, shared: &SharedApps) -> Result<Self, Vec<Problem>> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let table = RouteTable::build(&settings.routes())
            .map_err(|problems| problems.into_iter().map(Problem::Routes).collect::<Vec<_>>())?;
        let mut numbers = 0..;
        let apps: Vec<App> = settings
            .apps
            .iter()
            .zip(shared.iter())
            .map(|(app, shared)| {
                let headers = IdentityHeaders::of(app);
                App {
                    instances: Instances::new(app, shared, &mut numbers),
                    timeouts: app.timeouts,
                    tunnels: app.tunnels.clone(),
                    takes_trailers: app.transport.http2,
                    early_hints: app.early_hints,
                    anonymous: headers.render(None),
                    rendered: Mutex::new(quick_cache::unsync::Cache::new(RENDERED)),
                    headers,
                    secret: app.secret_header.clone(),
                }
            })
            .collect();
        let identity = apps.iter().flat_map(|app| app.headers.managed().iter().cloned());
        let secrets = settings.apps.iter().filter_map(|app| Some(app.secret_header.as_ref()?.name().clone()));
        let identity = identity.chain(secrets);
        let routes = settings.apps.iter().flat_map(|app| &app.routing.routes);
        let usernames = routes.filter_map(|route| route.rule.username_header.clone());
        Ok(Self {
            hygiene: Arc::new(Hygiene::new(identity, usernames)),
            clients: settings.clients,
            table,
            apps,
            instances: settings.apps.iter().map(|app| app.upstreams.len()).sum(),
        })
    }

    /// Takes from a client's head whatever is not the client's to say (G5).
    ///
    /// # Errors
    /// When the head is ambiguous or too large.
    pub fn clean(&self, version: Version, headers: &mut HeaderMap) -> Result<(), Refusal> {
        self.hygiene.clean(version, headers)
    }

    /// What becomes of trailers that are passed on, or not.
    pub(super) fn trailers(&self, passed: bool) -> Trailers {
        if passed { Trailers::Passed(Arc::clone(&self.hygiene)) } else { Trailers::Dropped }
    }

    /// Takes out of a head the headers that are read by Locum and by nobody else (G7), once they were read.
    pub(super) fn take_what_is_locums(&self, headers: &mut HeaderMap) {
        self.hygiene.take_what_is_locums(headers);
    }

    /// Sets what the app at `app_index`, its place in the settings, is told of its caller (G6); whatever
    /// stands there under the same names is overwritten.
    pub fn tell(
        &self,
        app_index: usize,
        who: Option<(&Arc<Proven>, &Arc<InForce>)>,
        asked: Asked<'_>,
        headers: &mut HeaderMap,
    ) {
        self.apps[app_index].tell(who, asked, |name, value| {
            headers.insert(name.clone(), value.clone());
        });
    }
}

impl App {
    /// Hands every identity header of one request to `set`.
    fn tell(
        &self,
        who: Option<(&Arc<Proven>, &Arc<InForce>)>,
        asked: Asked<'_>,
        mut set: impl FnMut(&HeaderName, &HeaderValue),
    ) {
        match who {
            None => self.anonymous.iter().for_each(|(name, value)| set(name, value)),
            Some((proven, in_force)) => {
                self.rendered(proven, in_force).iter().for_each(|(name, value)| set(name, value));
            }
        }
        if self.headers.has_request_lines() {
            let who = who.map(|(proven, in_force)| (&**proven, &**in_force));
            let lines = self.headers.render_for_request(who, asked);
            lines.iter().for_each(|(name, value)| set(name, value));
        }
        if let Some(secret) = &self.secret {
            set(secret.name(), secret.value());
        }
    }

    fn rendered(&self, proven: &Arc<Proven>, in_force: &Arc<InForce>) -> Arc<Rendered> {
        // The cache is whole after every call, so a panic elsewhere leaves nothing half done.
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = rendered.get(&proven.pat)
            && Arc::ptr_eq(&told.proven, proven)
            && Arc::ptr_eq(&told.in_force, in_force)
        {
            return Arc::clone(&told.headers);
        }
        let headers: Arc<Rendered> = self.headers.render(Some((proven, in_force))).into();
        let told = Told { proven: Arc::clone(proven), in_force: Arc::clone(in_force), headers: Arc::clone(&headers) };
        rendered.insert(proven.pat, told);
        headers
    }
}
