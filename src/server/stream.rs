//! The bytes of a connection, as the server of HTTP reads them: plain, or out of TLS.

use std::io::Cursor;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, Chain, Join, join};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::data_plane::Limits;
use super::taken::{Blocked, Taken};

/// A client's connection: plain at the left, TLS at the right.
pub(super) type Stream = Either<Rewound, Box<TlsStream<Rewound>>>;

/// A socket of which some was read while something before the first request was looked for: that comes first.
pub(super) type Rewound = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, Taken>;

/// Puts what was read already in front of what is still to come.
pub(super) fn rewound(tcp: TcpStream, early: Vec<u8>, limits: &Limits) -> Rewound {
    let (incoming, outgoing) = tcp.into_split();
    let outgoing = Taken::new(outgoing, limits.stall_timeout, limits.min_rate);
    join(Cursor::new(early).chain(incoming), outgoing)
}

/// Since when and for how long the socket of a connection has had no room.
pub(super) fn blocked(stream: &Stream) -> Arc<Blocked> {
    match stream {
        Either::Left(plain) => plain.writer().blocked(),
        Either::Right(tls) => tls.get_ref().0.writer().blocked(),
    }
}
