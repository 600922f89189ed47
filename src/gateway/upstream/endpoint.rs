//! Where one instance of an app is: its name, the addresses that this stands for, and the way to connect.
//!
//! Nothing on the way of a request asks a resolver: the addresses are those that were found last, and whoever
//! asks the resolver puts others here. A name with several addresses is asked at all of them in turn; one that
//! does not answer at once is no longer waited for alone (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// After this the next address is tried beside the one before (RFC 8305 §5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// One place where an app runs, as all cores know it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// `HOST:PORT`
    authority: Arc<str>,
    /// Empty until the name was resolved.
    addresses: ArcSwap<Vec<SocketAddr>>,
    turn: AtomicUsize,
}

impl Endpoint {
    pub(super) fn new(authority: &str) -> Self {
        let addresses = authority.parse().into_iter().collect();
        Self { authority: authority.into(), addresses: ArcSwap::from_pointee(addresses), turn: AtomicUsize::new(0) }
    }

    pub(super) const fn authority(&self) -> &Arc<str> {
        &self.authority
    }

    /// Whether it is written as an address, so that nobody needs to resolve anything.
    pub(super) fn is_address(&self) -> bool {
        self.authority.parse::<SocketAddr>().is_ok()
    }

    pub(super) fn addresses(&self) -> Arc<Vec<SocketAddr>> {
        self.addresses.load_full()
    }

    pub(super) fn put(&self, addresses: Vec<SocketAddr>) {
        self.addresses.store(Arc::new(addresses));
    }

    /// Connects to the first of its addresses that answers. The caller bounds the time.
    ///
    /// # Errors
    /// What the last address said, when none can be reached.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let addresses = self.addresses();
        match addresses[..] {
            [] => Err(io::Error::new(io::ErrorKind::NotFound, "the name has not been resolved")),
            [only] => TcpStream::connect(only).await,
            [..] => {
                let start = self.turn.fetch_add(1, Ordering::Relaxed);
                let in_turn = (0..addresses.len()).map(|step| addresses[(start + step) % addresses.len()]);
                connect_to_one_of(in_turn).await
            }
        }
    }
}

async fn connect_to_one_of(mut addresses: impl ExactSizeIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut connecting = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(next) = addresses.next() {
            connecting.push(TcpStream::connect(next));
        }
        tokio::select! {
            ended = connecting.next() => match ended {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => return Err(last),
            },
            () = sleep(NEXT_AFTER), if addresses.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};
    use tokio::time::{Instant, timeout};

    use super::*;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Refuses, as long as it is held.
    fn refusing() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    /// Has no room for another connection, so that nobody answers one more.
    fn silent() -> (Socket, SocketAddr, Vec<std::net::TcpStream>) {
        let (socket, address) = refusing();
        socket.listen(0).unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
        let held = std::iter::from_fn(|| connect().ok()).take(64).collect();
        (socket, address, held)
    }

    /// G8: every address of a name is used, and one that refuses or is silent costs no request.
    #[tokio::test]
    async fn all_addresses_of_a_name_are_used_and_one_stands_in_for_another() {
        let ((_a, first), (_b, second), (_c, refusing)) = (listening(), listening(), refusing());
        let (_d, silent, _held) = silent();
        let endpoint = Endpoint::new("app.test:80");
        assert!(endpoint.connect().await.is_err());
        endpoint.put(vec![first, second, refusing, silent]);
        let mut reached = Vec::new();
        let started = Instant::now();
        for _ in 0..8 {
            let connected = timeout(Duration::from_secs(5), endpoint.connect()).await.expect("in time");
            reached.push(connected.unwrap().peer_addr().unwrap());
        }
        assert!(reached.contains(&first) && reached.contains(&second), "{reached:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "a silent address was waited for");
        endpoint.put(vec![refusing, refusing]);
        assert_eq!(endpoint.connect().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn an_address_needs_no_resolver() {
        for (authority, is_address) in [("127.0.0.1:80", true), ("[::1]:80", true), ("localhost:80", false)] {
            let endpoint = Endpoint::new(authority);
            assert_eq!(
                (endpoint.is_address(), endpoint.addresses().len() == 1),
                (is_address, is_address),
                "{authority}"
            );
        }
    }
}
