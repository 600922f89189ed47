//! The addresses that the names of instances stand for, asked for again and again beside the requests.
//!
//! The system's resolver tells no TTL, so what it says is believed for [`EVERY`] and then asked for again; the
//! resolver, or the cache behind it, knows the TTL. While it fails or does not answer, what it said last holds.
//! One question a name is on its way at a time, however long it takes (0012).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::shared::SharedApps;

/// How long an answer of the resolver is believed.
const EVERY: Duration = Duration::from_secs(5);
/// The most addresses of one name that are used.
const MOST_ADDRESSES: usize = 16;
/// After this long a resolver is said to hang.
const SLOW: Duration = Duration::from_secs(5);

type Look = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Who knows the addresses of `HOST:PORT`, and how long an answer holds.
#[derive(Clone)]
pub struct Resolver {
    look: Arc<Look>,
    every: Duration,
}

impl Resolver {
    /// The system's: its hosts file, its name service, its search list.
    pub fn system() -> Self {
        let look = |name: String| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            Box::pin(async move { Ok(tokio::net::lookup_host(name).await?.collect()) })
        };
        Self { look: Arc::new(look), every: EVERY }
    }

    /// Another one.
    pub fn new(
        every: Duration,
        look: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { look: Arc::new(look), every }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("every", &self.every).finish_non_exhaustive()
    }
}

/// Begins to ask for every name, and returns when each was asked for once, or does not come.
pub(super) async fn keep(apps: &SharedApps, resolver: &Resolver, tasks: &mut JoinSet<()>) {
    let mut named: BTreeMap<Arc<str>, Vec<Arc<Endpoint>>> = BTreeMap::new();
    for endpoint in apps.iter().flat_map(|app| &app.endpoints).filter(|endpoint| !endpoint.is_address()) {
        named.entry(Arc::clone(endpoint.authority())).or_default().push(Arc::clone(endpoint));
    }
    let (asked, mut all_asked) = mpsc::channel::<()>(1);
    for (name, endpoints) in named {
        tasks.spawn(keep_one(name, endpoints, resolver.clone(), asked.clone()));
    }
    drop(asked);
    // It is closed when the last of them was asked for; a resolver that hangs must not keep the gateway from starting.
    let _in_time = timeout(SLOW, all_asked.recv()).await;
}

async fn keep_one(name: Arc<str>, endpoints: Vec<Arc<Endpoint>>, resolver: Resolver, asked: mpsc::Sender<()>) {
    let mut first = Some(asked);
    let mut failing = false;
    loop {
        let mut looking = (resolver.look)(name.to_string());
        let found = if let Ok(found) = timeout(SLOW, looking.as_mut()).await {
            found
        } else {
            failed(&name, &mut failing, &"it does not answer");
            looking.await
        };
        match found.map(usable) {
            Ok(found) if found.is_empty() => failed(&name, &mut failing, &"it knows no address"),
            Ok(found) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(upstream = %name, "the resolver knows an app's name again");
                }
                put(&name, &endpoints, &found);
            }
            Err(error) => failed(&name, &mut failing, &error),
        }
        drop(first.take());
        sleep(resolver.every).await;
    }
}

/// In the order of the resolver, none twice.
fn usable(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut usable = Vec::new();
    for address in found {
        if usable.len() < MOST_ADDRESSES && !usable.contains(&address) {
            usable.push(address);
        }
    }
    usable
}

/// Many servers of names tell the same addresses in another order each time: that is no change.
fn put(name: &str, endpoints: &[Arc<Endpoint>], found: &[SocketAddr]) {
    for endpoint in endpoints {
        let known = endpoint.addresses();
        if known.len() != found.len() || !found.iter().all(|address| known.contains(address)) {
            tracing::debug!(upstream = name, ?found, "an app's name stands for other addresses");
            endpoint.put(found.to_vec());
        }
    }
}

/// Said once, until it is well again.
fn failed(name: &str, failing: &mut bool, why: &dyn fmt::Display) {
    metrics::counter!("locum_upstream_resolution_failures_total", "upstream" => name.to_owned()).increment(1);
    if !std::mem::replace(failing, true) {
        tracing::warn!(upstream = name, %why, "an app's name cannot be resolved: what it stood for before holds");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// What a resolver is to say next.
    #[derive(Clone)]
    enum Say {
        Addresses(&'static [&'static str]),
        Nothing,
        Fail,
        Hang,
    }

    async fn asked_again(asked: &AtomicUsize, times: usize) {
        let before = asked.load(Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < before + times {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// G8: what the resolver says is used; while it fails, knows nothing or hangs, what it said last holds, and it is
    /// asked for one name once at a time.
    #[tokio::test]
    async fn what_was_known_last_holds_while_the_resolver_fails() {
        let say = Arc::new(Mutex::new(Say::Addresses(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"])));
        let asked = Arc::new(AtomicUsize::new(0));
        let (saying, asking) = (Arc::clone(&say), Arc::clone(&asked));
        let resolver = Resolver::new(Duration::from_millis(5), move |_name| {
            asking.fetch_add(1, Ordering::SeqCst);
            let say = saying.lock().unwrap().clone();
            Box::pin(async move {
                match say {
                    Say::Addresses(addresses) => Ok(addresses.iter().map(|text| text.parse().unwrap()).collect()),
                    Say::Nothing => Ok(Vec::new()),
                    Say::Fail => Err(io::Error::other("no name server")),
                    Say::Hang => std::future::pending().await,
                }
            })
        });
        let endpoints: Vec<_> = (0..2).map(|_| Arc::new(Endpoint::new("app.test:80"))).collect();
        let (sender, mut receiver) = mpsc::channel(1);
        let task = tokio::spawn(keep_one("app.test:80".into(), endpoints.clone(), resolver, sender));
        assert!(receiver.recv().await.is_none());
        let known = |endpoints: &[Arc<Endpoint>]| {
            endpoints.iter().map(|endpoint| endpoint.addresses().to_vec()).collect::<Vec<_>>()
        };
        let before = known(&endpoints);
        assert_eq!(before[0].len(), 2);
        assert_eq!(before[0], before[1]);

        for wrong in [Say::Fail, Say::Nothing, Say::Addresses(&["10.0.0.2:80", "10.0.0.1:80"])] {
            *say.lock().unwrap() = wrong;
            asked_again(&asked, 2).await;
            assert_eq!(known(&endpoints), before);
        }
        *say.lock().unwrap() = Say::Addresses(&["10.0.0.3:80"]);
        asked_again(&asked, 2).await;
        assert_eq!(known(&endpoints), vec![vec!["10.0.0.3:80".parse().unwrap()]; 2]);
        *say.lock().unwrap() = Say::Hang;
        sleep(Duration::from_millis(200)).await;
        let before = asked.load(Ordering::SeqCst);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(asked.load(Ordering::SeqCst), before, "asked again while the first had not come back");
        assert_eq!(endpoints[0].addresses().len(), 1);
        task.abort();
    }
}
