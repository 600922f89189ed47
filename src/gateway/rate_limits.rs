//! The limits of rate of apps and routes, and how far each caller has come with them (G4).
//!
//! One set for all cores: a caller has its budget at this node, whichever core it meets. Where nothing is
//! configured, a request costs the look at two empty lists.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::refusal::Refusal;
use super::settings::Settings;
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
    own: Vec<Limit>,
    routes: Vec<Vec<Limit>>,
}

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
        let all = |limits: &[RateLimit]| limits.iter().map(|limit| Limit::new(*limit)).collect();
        let of_app = |app: &super::AppSettings| OfApp {
            own: all(&app.rate_limits),
            routes: app.routing.routes.iter().map(|route| all(&route.rule.rate_limits)).collect(),
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
        self.of_route(route).try_for_each(|limit| limit.charge_caller(account, address))
    }

    fn of_route(&self, route: &Route) -> impl Iterator<Item = &Limit> {
        let app = &self.0[route.app_index];
        app.own.iter().chain(&app.routes[route.number])
    }
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

    fn charge_caller(&self, account: Option<AccountId>, address: IpAddr) -> Result<(), Refusal> {
        let charged = match &self.budgets {
            Budgets::Sources(_) => Ok(()),
            Budgets::Accounts(accounts) => {
                let caller = account.map_or_else(|| Caller::From(Prefix::of(Some(address))), Caller::Account);
                accounts.check_key(&caller)
            }
            Budgets::All(all) => all.check(),
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
        let address = "192.0.2.1".parse().unwrap();
        assert!((0..1_000).all(|_| limit.charge_caller(None, address).is_ok()));
    }
}
