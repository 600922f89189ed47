//! What streams from an app to a client, and gives its connection back when all of it was said.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::AppSide;
use super::http1::Lease;
use super::http2::{Place, Upload};
use super::instances::Running;
use crate::gateway::body::BodyError;

/// The body of an app's answer. Dropped before its end, it takes its connection along, or its stream.
pub(crate) struct ResponseBody(Source);

enum Source {
    Http1 { body: Incoming, lease: Option<Lease>, switched: Option<AppSide> },
    Http2 { body: RecvStream, length: Option<u64>, lease: Option<StreamLease> },
}

/// What one stream of HTTP/2 holds until its answer has ended.
#[derive(Debug)]
pub(super) struct StreamLease {
    /// First, so that the stream ends before its place is free.
    _upload: Upload,
    _place: Place,
    _running: Running,
}

impl StreamLease {
    pub(super) const fn new(place: Place, running: Running, upload: Upload) -> Self {
        Self { _upload: upload, _place: place, _running: running }
    }
}

type Part = Option<Result<Frame<Bytes>, BodyError>>;

impl ResponseBody {
    pub(super) fn of_http1(body: Incoming, lease: Lease) -> Self {
        let mut body = Self(Source::Http1 { body, lease: Some(lease), switched: None });
        body.give_back_when_whole();
        body
    }

    /// Of an answer that switches to another protocol: there is no body, but a connection.
    pub(super) const fn switched(body: Incoming, side: AppSide) -> Self {
        Self(Source::Http1 { body, lease: None, switched: Some(side) })
    }

    /// The connection that has switched; closed, unless it is taken.
    pub(crate) const fn take_app_side(&mut self) -> Option<AppSide> {
        match &mut self.0 {
            Source::Http1 { switched, .. } => switched.take(),
            Source::Http2 { .. } => None,
        }
    }

    /// The headers say how long it is to be, which h2 holds the app to.
    pub(super) fn of_http2(body: RecvStream, headers: &HeaderMap, lease: StreamLease) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let mut body = Self(Source::Http2 { body, length, lease: Some(lease) });
        body.give_back_when_whole();
        body
    }

    /// The next data, or the trailers.
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Part> {
        let part = match &mut self.0 {
            Source::Http1 { body, .. } => ready!(Pin::new(body).poll_frame(cx))
                .map(|part| part.map_err(|error| BodyError::Upstream(error.into()))),
            Source::Http2 { body, length, .. } => {
                let part = ready!(poll_stream(body, cx));
                if let (Some(length), Some(Ok(data))) = (length, &part) {
                    *length = length.saturating_sub(data.data_ref().map_or(0, |data| data.len() as u64));
                }
                part.map(|part| part.map_err(|error| BodyError::Upstream(error.into())))
            }
        };
        match &part {
            None => self.give_back(),
            Some(Ok(_)) => self.give_back_when_whole(),
            Some(Err(_)) => self.close(),
        }
        Poll::Ready(part)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Http1 { body, .. } => body.is_end_stream(),
            Source::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Http1 { body, .. } => body.size_hint(),
            Source::Http2 { body, .. } if body.is_end_stream() => SizeHint::with_exact(0),
            Source::Http2 { length, .. } => length.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }

    fn give_back_when_whole(&mut self) {
        if self.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        match &mut self.0 {
            Source::Http1 { lease, .. } => {
                if let Some(lease) = lease.take() {
                    lease.give_back();
                }
            }
            Source::Http2 { lease, .. } => *lease = None,
        }
    }

    fn close(&mut self) {
        match &mut self.0 {
            Source::Http1 { lease, .. } => *lease = None,
            Source::Http2 { lease, .. } => *lease = None,
        }
    }
}

fn poll_stream(body: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
    if let Some(data) = ready!(body.poll_data(cx)) {
        let data = data.and_then(|data| {
            // Nobody asks for data before there is room for it, so what was handed over makes room for more.
            body.flow_control().release_capacity(data.len())?;
            Ok(Frame::data(data))
        });
        return Poll::Ready(Some(data));
    }
    let trailers = ready!(body.poll_trailers(cx));
    Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
