//! A new connection to an app: reached, and proven to be it where TLS is spoken.
//!
//! Nothing of a request is sent before the handshake is over, and nothing that came before it is read as an
//! answer (TL-006): rustls takes the first bytes for what they are not, and ends.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::Instance;
use super::tls::AppTlsSettings;

/// How an app is spoken to.
#[derive(Debug, Clone, Default)]
pub struct TransportSettings {
    /// `None`: without TLS.
    pub tls: Option<AppTlsSettings>,
}

/// How one instance is spoken to, as one core does it.
#[derive(Clone, Default)]
pub(super) struct Way {
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// The bytes of a connection to an app: plain at the left, TLS at the right.
pub(super) type AppStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl TransportSettings {
    /// The ways to instances at these places. A host that no certificate can name was refused with the settings;
    /// here it is a name for which no certificate is good.
    pub(super) fn ways(&self, authorities: &[String]) -> impl Iterator<Item = Way> {
        let tls = self.tls.as_ref().map(|tls| (tls, tls.connector()));
        let nobody = || ServerName::try_from("invalid").expect("the constant is a name");
        authorities.iter().map(move |authority| {
            let tls = tls.as_ref();
            let tls =
                tls.map(|(tls, connector)| (connector.clone(), tls.name_of(authority).unwrap_or_else(|_| nobody())));
            Way { tls }
        })
    }
}

/// Connects within `limit`, TLS included; the error is a slug for the log.
pub(super) async fn connect(instance: &Instance, limit: Duration) -> Result<AppStream, &'static str> {
    let (way, upstream) = (instance.way(), instance.authority());
    let deadline = Instant::now() + limit;
    let tcp = match timeout_at(deadline, instance.reach()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::warn!(%error, %upstream, "an app could not be reached");
            return Err("connect");
        }
        Err(_) => {
            tracing::warn!(%upstream, "an app could not be reached in time");
            return Err("connect_timeout");
        }
    };
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %upstream, "an app's connection was gone at once");
        return Err("connect");
    }
    let Some((connector, name)) = &way.tls else {
        return Ok(Either::Left(tcp));
    };
    match timeout_at(deadline, connector.connect(name.clone(), tcp)).await {
        Ok(Ok(stream)) => Ok(Either::Right(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::warn!(%error, %upstream, name = %name.to_str(), "an app did not prove who it is");
            Err("tls")
        }
        Err(_) => {
            tracing::warn!(%upstream, "an app did not speak TLS in time");
            Err("tls_timeout")
        }
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.tls.as_ref().map(|(_, name)| name);
        f.debug_struct("Way").field("tls", &name).finish()
    }
}
