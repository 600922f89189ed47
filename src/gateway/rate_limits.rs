//! The limits of rate of apps and routes, and how far each caller has come with them (G4).
//!
//! One set for all cores: a caller has its budget at this node, whichever core it meets. Where nothing is
//! configured, a request costs the look at two empty lists.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::refusal::Refusal;
use super::settings::{AppSettings, Settings};
use crate::authn::{Prefix, Records};
use crate::directory::AccountId;
use crate::policy::{Per, RateLimit, Route};

/// How many callers one limit remembers; beyond that those that have not come for longest begin anew.
const REMEMBERED: usize = 16 * 1024;

/// All limits, by the places of their apps and routes in the settings.
#[derive(Debug)]
pub(super) struct RateLimits(Vec<OfApp>);

#[derive(Debug)]
struct OfApp {
    own: Vec<Arc<Limit>>,
    routes: Vec<Vec<Arc<Limit>>>,
}

/// Which limit it is, by the same name in the settings before and after a reload: the app, the path and methods of
/// the route (of the app's own, none), the place among its limits, and what it says.
type Known = (String, usize, RateLimit);

struct Limit {
    settings: RateLimit,
    budgets: Budgets,
    clock: DefaultClock,
}

type Keyed<K> = RateLimiter<K, Records<K>, DefaultClock>;

enum Budgets {
    Sources(Keyed<Prefix>),
    Accounts(Keyed<Caller>),
    All(DefaultDirectRateLimiter),
}

/// Who is counted by account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Account(AccountId),
    /// Nobody who could be told from others by anything else.
    From(Prefix),
}

impl RateLimits {
    pub(super) fn of(settings: &Settings) -> Self {
        Self::made(settings, &HashMap::new())
    }

    /// The limits of new settings, in which each that was the same before goes on with its budgets: nobody is given
    /// a new one by a reload.
    pub(super) fn after(settings: &Settings, earlier: &Self, earlier_settings: &Settings) -> Self {
        let limits = earlier.0.iter().flat_map(|app| app.own.iter().chain(app.routes.iter().flatten()));
        let names = earlier_settings.apps.iter().flat_map(names).flatten();
        Self::made(settings, &names.zip(limits.cloned()).collect())
    }

    fn made(settings: &Settings, known: &HashMap<Known, Arc<Limit>>) -> Self {
        let limit = |name: Known| known.get(&name).cloned().unwrap_or_else(|| Arc::new(Limit::new(name.2)));
        let of_app = |app| {
            let mut lists = names(app).into_iter().map(|names| names.into_iter().map(limit).collect());
            OfApp { own: lists.next().unwrap_or_default(), routes: lists.collect() }
        };
        Self(settings.apps.iter().map(of_app).collect())
    }

    /// Charges what counts before anything is judged.
    ///
    /// # Errors
    /// When the source has no budget left.
    pub(super) fn charge_source(&self, route: &Route, address: IpAddr) -> Result<(), Refusal> {
        self.of_route(route).try_for_each(|limit| limit.charge_source(address))
    }

    /// Charges what counts of requests that may be made.
    ///
    /// # Errors
    /// When the caller, or all together, have no budget left.
    pub(super) fn charge_caller(
        &self,
        route: &Route,
        account: Option<AccountId>,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        self.of_route(route).try_for_each(|limit| limit.charge_account(account, address))?;
        // Last, so that one account's requests, refused for itself, take nothing from the others.
        self.of_route(route).try_for_each(Limit::charge_all)
    }

    /// The narrow ones first: what they refuse takes nothing from the app's own.
    fn of_route(&self, route: &Route) -> impl Iterator<Item = &Limit> {
        let app = &self.0[route.app_index];
        app.routes[route.number].iter().chain(&app.own).map(|limit| &**limit)
    }
}

/// The names of an app's limits: a list of its own, and one for each route.
fn names(app: &AppSettings) -> Vec<Vec<Known>> {
    let list = |of: &str, limits: &[RateLimit]| {
        limits.iter().enumerate().map(|(place, limit)| (of.to_owned(), place, *limit)).collect()
    };
    let name = app.routing.name.as_str();
    let routes = app.routing.routes.iter().map(|route| {
        let of = format!("{name} {} {:?}", route.path.as_str(), route.rule.methods);
        list(&of, &route.rule.rate_limits)
    });
    std::iter::once(list(name, &app.rate_limits)).chain(routes).collect()
}

impl Limit {
    fn new(settings: RateLimit) -> Self {
        let clock = DefaultClock::default();
        let one = (settings.every / settings.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(one).expect("it is more than nothing").allow_burst(settings.burst);
        let budgets = match settings.per {
            Per::Source => Budgets::Sources(RateLimiter::new(quota, Records::up_to(REMEMBERED), clock.clone())),
            Per::Account => Budgets::Accounts(RateLimiter::new(quota, Records::up_to(REMEMBERED), clock.clone())),
            Per::All => Budgets::All(RateLimiter::direct_with_clock(quota, clock.clone())),
        };
        Self { settings, budgets, clock }
    }

    fn charge_source(&self, address: IpAddr) -> Result<(), Refusal> {
        let charged = match &self.budgets {
            Budgets::Sources(sources) => sources.check_key(&Prefix::of(Some(address))),
            Budgets::Accounts(_) | Budgets::All(_) => Ok(()),
        };
        charged.map_err(|until| self.refusal(until.wait_time_from(self.clock.now())))
    }

    fn charge_account(&self, account: Option<AccountId>, address: IpAddr) -> Result<(), Refusal> {
        let charged = match &self.budgets {
            Budgets::Accounts(accounts) => {
                let caller = account.map_or_else(|| Caller::From(Prefix::of(Some(address))), Caller::Account);
                accounts.check_key(&caller)
            }
            Budgets::Sources(_) | Budgets::All(_) => Ok(()),
        };
        charged.map_err(|until| self.refusal(until.wait_time_from(self.clock.now())))
    }

    fn charge_all(&self) -> Result<(), Refusal> {
        let charged = match &self.budgets {
            Budgets::All(all) => all.check(),
            Budgets::Sources(_) | Budgets::Accounts(_) => Ok(()),
        };
        charged.map_err(|until| self.refusal(until.wait_time_from(self.clock.now())))
    }

    const fn refusal(&self, wait: Duration) -> Refusal {
        Refusal::RateLimited { limit: self.settings, wait }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::directory::AppName;
    use crate::gateway::identity_headers::Preset;
    use crate::gateway::settings::{Identity, Resilience, Timeouts};
    use crate::gateway::tunnel::TunnelSettings;
    use crate::gateway::upstream::TransportSettings;
    use crate::policy::{AppRoutes, PathPrefix, PathReading, Pattern, RouteSettings, Rule};

    fn limit(per: Per, requests: u32, burst: u32) -> Limit {
        let (requests, burst) = (NonZeroU32::new(requests).unwrap(), NonZeroU32::new(burst).unwrap());
        Limit::new(RateLimit { per, requests, every: Duration::from_hours(1), burst })
    }

    /// G4: a burst, and what is told of the wait.
    #[test]
    fn who_has_spent_the_burst_is_told_how_long_to_wait() {
        let limit = limit(Per::Source, 60, 2);
        let address = "192.0.2.1".parse().unwrap();
        assert!(limit.charge_source(address).is_ok() && limit.charge_source(address).is_ok());
        let Err(Refusal::RateLimited { wait, .. }) = limit.charge_source(address) else { panic!("it was let in") };
        assert!(wait > Duration::from_secs(55) && wait <= Duration::from_mins(1), "{wait:?}");
    }

    /// G4: the smallest piece of IPv6 that one customer gets is one source.
    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let limit = limit(Per::Source, 1, 1);
        assert!(limit.charge_source("2001:db8:1:2::1".parse().unwrap()).is_ok());
        assert!(limit.charge_source("2001:db8:1:2:ffff::9".parse().unwrap()).is_err());
        assert!(limit.charge_source("2001:db8:1:3::1".parse().unwrap()).is_ok());
    }

    /// G4: nothing is too small or too large to be a quota.
    #[test]
    fn the_fastest_limit_is_one_that_can_be_kept() {
        let most = NonZeroU32::new(1_000_000_000).unwrap();
        let limit =
            Limit::new(RateLimit { per: Per::All, requests: most, every: Duration::from_millis(1), burst: most });
        assert!((0..1_000).all(|_| limit.charge_all().is_ok()));
    }

    /// An app with one route.
    fn settings(own: Vec<RateLimit>, of_route: Vec<RateLimit>) -> Settings {
        let rule = Rule { rate_limits: of_route, ..Rule::default() };
        let routing = AppRoutes {
            name: AppName::parse("app").unwrap(),
            hosts: Vec::new(),
            path_prefix: PathPrefix::parse("/").unwrap(),
            path_reading: PathReading::Exact,
            routes: vec![RouteSettings { path: Pattern::parse("/*").unwrap(), rule }],
        };
        let app = AppSettings {
            routing,
            upstreams: vec!["a:1".to_owned()],
            transport: TransportSettings::default(),
            headers: Preset::None,
            set_headers: Vec::new(),
            secret_header: None,
            identity: Identity::Account,
            timeouts: Timeouts::default(),
            tunnels: TunnelSettings::default(),
            early_hints: true,
            resilience: Resilience::default(),
            rate_limits: own,
        };
        Settings { apps: vec![app], ..Settings::default() }
    }

    fn route(settings: &Settings) -> Route {
        let AppRoutes { name, routes, .. } = &settings.apps[0].routing;
        let RouteSettings { path, rule } = &routes[0];
        Route { app_index: 0, app: name.clone(), number: 0, path: path.clone(), rule: rule.clone() }
    }

    fn hourly(per: Per, burst: u32) -> RateLimit {
        limit(per, 1, burst).settings
    }

    /// G4: one caller's refused requests take nothing from what all have together.
    #[test]
    fn who_is_refused_for_itself_spends_nothing_of_the_others() {
        let settings = settings(vec![hourly(Per::All, 3)], vec![hourly(Per::Account, 2)]);
        let (limits, route) = (RateLimits::of(&settings), route(&settings));
        let from = |last: u8| limits.charge_caller(&route, None, IpAddr::from([192, 0, 2, last]));
        assert!(from(1).is_ok() && from(1).is_ok());
        assert!((0..100).all(|_| from(1).is_err()));
        assert!(from(2).is_ok(), "the third of all is left for another caller");
        assert!(from(3).is_err());
    }

    /// G4, G12: a reload gives nobody a new budget, unless the limit is another one.
    #[test]
    fn what_was_spent_stays_spent_while_the_limit_is_the_same() {
        let before = settings(vec![hourly(Per::All, 9)], vec![hourly(Per::Account, 1)]);
        let limits = RateLimits::of(&before);
        let here = IpAddr::from([192, 0, 2, 1]);
        assert!(limits.charge_caller(&route(&before), None, here).is_ok());
        let same = RateLimits::after(&before, &limits, &before);
        assert!(same.charge_caller(&route(&before), None, here).is_err());
        let wider = settings(vec![hourly(Per::All, 9)], vec![hourly(Per::Account, 2)]);
        let wider_limits = RateLimits::after(&wider, &limits, &before);
        assert!(wider_limits.charge_caller(&route(&wider), None, here).is_ok());
    }
}
