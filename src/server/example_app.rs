//! The example app of `serve --dev`: answers every request with what it received, as JSON, so that a
//! newcomer sees what an application behind the gate sees.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// The most of a body that is read to count it.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// Starts the app on a free port of the loopback address; it runs until the runtime ends.
///
/// # Errors
/// When no port is free.
pub async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(serve(TokioIo::new(stream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the example app could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(address)
}

async fn serve(io: TokioIo<tokio::net::TcpStream>) {
    let served =
        hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service_fn(answer));
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the example app ended early");
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body_bytes = Limited::new(body, LONGEST_BODY).collect().await.map(|body| body.to_bytes().len());
    let mut headers = Map::new();
    for name in parts.headers.keys() {
        let values = parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name.as_str().to_owned(), Value::from(values.collect::<Vec<_>>().join(", ")));
    }
    let seen = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers,
        "body_bytes": body_bytes.ok(),
    });
    let mut text = format!("{seen:#}");
    text.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
