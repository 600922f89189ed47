//! One connection to the collector: OTLP over HTTP/1.1, a request at a time, kept between batches.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use super::otlp;
use super::settings::Settings;

/// The most of an answer that is read: it says little.
const ANSWER_BYTES: usize = 64 * 1024;
/// The longest wait that a collector can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The collector, as one task speaks to it.
#[derive(Debug)]
pub(super) struct Collector {
    settings: Settings,
    host: HeaderValue,
    kept: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Ends the connection with its handle.
    _speaking: AbortOnDropHandle<()>,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum Untaken {
    /// It may be taken later, not before so long.
    Yet { why: String, wait: Duration },
    /// The collector will never take it.
    Ever(StatusCode),
}

impl Untaken {
    fn yet(why: impl std::fmt::Display) -> Self {
        Self::Yet { why: why.to_string(), wait: Duration::ZERO }
    }
}

impl Collector {
    pub(super) fn new(settings: Settings) -> Self {
        let host = HeaderValue::from_str(settings.endpoint.authority.as_str());
        let host = host.expect("an authority makes a header's value");
        Self { settings, host, kept: None }
    }

    /// Sends one batch; answers with how many of its spans the collector threw away.
    pub(super) async fn send(&mut self, batch: Bytes) -> Result<u64, Untaken> {
        // What fails in the middle leaves no connection behind.
        let kept = self.kept.take();
        let exchange = self.exchange(kept, batch);
        let (connection, rejected) = tokio::time::timeout(self.settings.timeout, exchange)
            .await
            .map_err(|_| Untaken::yet("no answer in time"))??;
        self.kept = Some(connection);
        Ok(rejected)
    }

    async fn exchange(&self, kept: Option<Connection>, batch: Bytes) -> Result<(Connection, u64), Untaken> {
        let mut connection = match kept {
            Some(connection) if connection.sender.is_ready() => connection,
            _ => self.connect().await.map_err(Untaken::yet)?,
        };
        let mut request = Request::new(Full::new(batch));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.settings.endpoint.path.parse().map_err(Untaken::yet)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("locum/", env!("CARGO_PKG_VERSION"))));
        headers.extend(self.settings.headers.iter().cloned());
        let response = connection.sender.send_request(request).await.map_err(Untaken::yet)?;
        let (head, body) = response.into_parts();
        match head.status {
            status if status.is_success() => {
                let answer = Limited::new(body, ANSWER_BYTES).collect().await.map_err(Untaken::yet)?;
                Ok((connection, otlp::rejected(&answer.to_bytes())))
            }
            // Those that may be better later, and no others (OTLP 1.7, "Retryable Response Codes").
            status if matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                let asked = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let wait = asked.map_or(Duration::ZERO, Duration::from_secs).min(LONGEST_WAIT);
                Err(Untaken::Yet { why: status.to_string(), wait })
            }
            status => Err(Untaken::Ever(status)),
        }
    }

    async fn connect(&self) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        let tcp = TcpStream::connect(self.settings.endpoint.authority.as_str()).await?;
        tcp.set_nodelay(true)?;
        let stream = match &self.settings.tls {
            None => Either::Left(tcp),
            Some(tls) => {
                let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
                Either::Right(connector.connect(tls.name.clone(), tcp).await?)
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let speaking: JoinHandle<()> = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the collector of traces ended with an error");
            }
        });
        Ok(Connection { sender, _speaking: AbortOnDropHandle::new(speaking) })
    }
}
