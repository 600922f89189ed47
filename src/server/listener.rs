//! Listening sockets: one per data-plane thread on the same address, and errors that say what to do.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait in the kernel until a thread accepts them.
const BACKLOG: i32 = 4096;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "another program already listens on `{address}`: stop it, or choose another address with `[server] listen` or `--listen` (port 0 takes a free one)"
    )]
    InUse { address: SocketAddr },
    #[error("`{address}` is not an address of this machine: choose another with `[server] listen` or `--listen`")]
    NotHere { address: SocketAddr },
    #[error("listening on `{address}` is not permitted: ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)")]
    NotPermitted { address: SocketAddr },
    #[error("cannot listen on `{address}`: {error}")]
    Other { address: SocketAddr, error: io::Error },
}

/// Binds `count` sockets to one address; with port 0 the first takes a free port and the others join
/// it. The address is probed first without sharing, because two gateways of one user could otherwise
/// share a port and steal each other's connections without a word.
///
/// # Errors
/// See [`ListenError`].
pub fn bind(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, ListenError> {
    let explain = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        io::ErrorKind::AddrNotAvailable => ListenError::NotHere { address },
        io::ErrorKind::PermissionDenied => ListenError::NotPermitted { address },
        _ => ListenError::Other { address, error },
    };
    drop(socket(address, false).map_err(explain)?);
    let mut listeners = Vec::with_capacity(count);
    let mut shared = address;
    for _ in 0..count.max(1) {
        let listener = socket(shared, true).map_err(explain)?;
        shared = listener.local_addr().map_err(explain)?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Deals sockets out to threads: every socket is accepted from, and every thread accepts. Where there are fewer
/// sockets than threads, threads share.
///
/// # Errors
/// When the system refuses another descriptor for a socket.
pub fn deal(sockets: &[TcpListener], threads: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let threads = threads.max(1);
    let of_thread = |thread: usize| {
        let own = sockets.iter().skip(thread).step_by(threads);
        let shared = sockets.get(thread % sockets.len().max(1)).into_iter().filter(|_| thread >= sockets.len());
        own.chain(shared).map(TcpListener::try_clone).collect()
    };
    (0..threads).map(of_thread).collect()
}

fn socket(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_of_a_gateway_share_the_port_that_the_first_one_got() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    /// Decision 7
    #[test]
    fn every_socket_has_a_thread_and_every_thread_a_socket() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 5).unwrap();
        for (count, threads, dealt) in
            [(1, 3, vec![1, 1, 1]), (2, 3, vec![1, 1, 1]), (5, 2, vec![3, 2]), (2, 2, vec![1, 1])]
        {
            let sizes: Vec<_> = deal(&sockets[..count], threads).unwrap().iter().map(Vec::len).collect();
            assert_eq!(sizes, dealt, "{count} sockets, {threads} threads");
        }
    }

    #[test]
    fn an_address_in_use_is_refused_even_by_another_gateway_of_the_same_user() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = first[0].local_addr().unwrap();
        assert!(matches!(bind(address, 2), Err(ListenError::InUse { .. })));
    }
}
