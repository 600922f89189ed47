//! The bytes of a connection, as the server of HTTP reads them: plain, or out of TLS.

use std::io::Cursor;

use tokio::io::{AsyncReadExt as _, Chain, Join, join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// A client's connection: plain at the left, TLS at the right.
pub(super) type Stream = Either<Rewound, Box<TlsStream<Rewound>>>;

/// A socket of which some was read while something before the first request was looked for: that comes first.
pub(super) type Rewound = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

/// Puts what was read already in front of what is still to come.
pub(super) fn rewound(tcp: TcpStream, early: Vec<u8>) -> Rewound {
    let (incoming, outgoing) = tcp.into_split();
    join(Cursor::new(early).chain(incoming), outgoing)
}
