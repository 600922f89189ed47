//! What streams from an app to a client, and gives its connection back when all of it was said.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, SizeHint};
use hyper::body::Incoming;

use super::AppSide;
use super::http1::Lease;

/// The body of an app's answer. Dropped before its end, it takes its connection along.
pub(crate) struct ResponseBody {
    body: Incoming,
    lease: Option<Lease>,
    switched: Option<AppSide>,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        let mut body = Self { body, lease: Some(lease), switched: None };
        body.give_back_when_whole();
        body
    }

    /// Of an answer that switches to another protocol: there is no body, but a connection.
    pub(super) const fn switched(body: Incoming, side: AppSide) -> Self {
        Self { body, lease: None, switched: Some(side) }
    }

    /// The connection that has switched; closed, unless it is taken.
    pub(crate) const fn take_app_side(&mut self) -> Option<AppSide> {
        self.switched.take()
    }

    /// The next data; a frame of trailers is dropped.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.lease = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => {
                    self.give_back_when_whole();
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn give_back_when_whole(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
