//! One exchange over HTTP/2: the head, the body on its way, and the answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, HOST, HeaderValue, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, Version, request};
use tokio::task::JoinHandle;

use super::connection::Place;
use crate::gateway::early_hints::EarlyHints;
use crate::gateway::upstream::http1::wait_for_head;
use crate::gateway::upstream::response_body::StreamLease;
use crate::gateway::upstream::{Bounds, Failure, Instance, RequestBody, ResponseBody};

/// More steps on the way (1xx) than any honest answer has before it (EX-007).
const MOST_STEPS: usize = 64;
/// The most fields of an answer's head.
const HEAD_FIELDS: usize = 200;

/// How an exchange ended without an answer.
pub(super) enum Unanswered {
    /// The app did not look at it, and the request is whole.
    NotProcessed(Box<Request<RequestBody>>),
    Failed(Failure),
}

pub(super) async fn exchange(
    mut place: Place,
    instance: &Arc<Instance>,
    request: Request<RequestBody>,
    bounds: &Bounds,
) -> Result<Response<ResponseBody>, Unanswered> {
    let running = instance.enter();
    let (head, body) = request.into_parts();
    let outgoing = outgoing(&head, instance, bounds).map_err(|why| Unanswered::Failed(Failure::Broken(why)))?;
    let has_body = !body.is_empty();
    let (answer, send) = match place.sender.send_request(outgoing, !has_body) {
        Ok(begun) => begun,
        Err(error) => {
            tracing::debug!(%error, upstream = %instance.authority(), "a stream to an app could not be begun");
            return Err(Unanswered::NotProcessed(Box::new(Request::from_parts(head, body))));
        }
    };
    let upload = if has_body { Upload::Running(Aborted(tokio::spawn(upload(body, send)))) } else { Upload::Empty };
    let answered = match wait_for_head(pin!(answer_of(answer, bounds.hints.as_ref())), bounds).await {
        Ok(answered) => answered,
        Err(failure) => {
            if matches!(failure, Failure::Silent) {
                place.doubt();
            }
            return Err(Unanswered::Failed(failure));
        }
    };
    let response = match answered {
        Ok(response) => response,
        Err(Fault::Stream(error)) if was_not_processed(&error) => {
            let untouched = bounds.progress.as_ref().is_none_or(|progress| progress.moved() == 0);
            let body = if untouched { upload.give_back().await } else { None };
            let request = body.map(|body| Box::new(Request::from_parts(head, body)));
            return Err(request.map_or_else(
                || Unanswered::Failed(broken(&place, &error, "stream_refused")),
                Unanswered::NotProcessed,
            ));
        }
        Err(Fault::Stream(error)) => {
            tracing::debug!(%error, upstream = %instance.authority(), "an app's stream failed");
            let why = if error.is_reset() { "stream_reset" } else { "connection_closed" };
            return Err(Unanswered::Failed(broken(&place, &error, why)));
        }
        Err(Fault::Answer(why)) => return Err(Unanswered::Failed(Failure::Broken(why))),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Unanswered::Failed(Failure::Broken("switched_unasked")));
    }
    if response.headers().len() > HEAD_FIELDS {
        return Err(Unanswered::Failed(Failure::Broken("head_fields")));
    }
    let lease = StreamLease::new(place, running, upload);
    let (head, body) = response.into_parts();
    let body = ResponseBody::of_http2(body, &head.headers, lease);
    Ok(Response::from_parts(head, body))
}

/// The head as HTTP/2 says it (RFC 9113 §8.3.1): `:authority` in place of `Host`, and no word of one hop.
fn outgoing(head: &request::Parts, instance: &Instance, bounds: &Bounds) -> Result<Request<()>, &'static str> {
    let host = head.headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()).ok_or("host")?;
    let mut uri = head.uri.clone().into_parts();
    uri.scheme = Some(if instance.way().speaks_tls() { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(host);
    let mut outgoing = Request::new(());
    *outgoing.method_mut() = head.method.clone();
    *outgoing.uri_mut() = Uri::from_parts(uri).map_err(|_| "target")?;
    *outgoing.version_mut() = Version::HTTP_2;
    *outgoing.headers_mut() = head.headers.clone();
    let headers = outgoing.headers_mut();
    headers.remove(HOST);
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    if bounds.takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(outgoing)
}

/// Why no answer came.
enum Fault {
    Stream(h2::Error),
    Answer(&'static str),
}

/// The head of the answer, past the steps on the way, of which hints are passed on.
async fn answer_of(mut answer: ResponseFuture, hints: Option<&EarlyHints>) -> Result<Response<RecvStream>, Fault> {
    let mut steps = 0;
    poll_fn(|cx| {
        let mut to_be_written = false;
        while let Poll::Ready(Some(step)) = answer.poll_informational(cx) {
            let step = step.map_err(Fault::Stream)?;
            steps += 1;
            if steps > MOST_STEPS {
                return Poll::Ready(Err(Fault::Answer("steps")));
            }
            if let Some(hints) = hints.filter(|_| step.status() == StatusCode::EARLY_HINTS) {
                to_be_written |= hints.tell(step.into_parts().0.headers);
            }
        }
        if to_be_written {
            // Once more, when the client's connection has been flushed.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        pin!(&mut answer).poll(cx).map_err(Fault::Stream)
    })
    .await
}

/// A stream that broke, by itself or with its connection.
fn broken(place: &Place, error: &h2::Error, why: &'static str) -> Failure {
    if error.is_reset() || place.tells_of_the_end() { Failure::Broken(why) } else { Failure::Lost(why) }
}

/// Whether the app says that it has not looked at the request (RFC 9113 §8.7).
fn was_not_processed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM) && error.is_reset())
}

/// The body of the request, on its way in a task of its own, since it may go on after the answer has begun.
#[derive(Debug)]
pub(in crate::gateway::upstream) enum Upload {
    Empty,
    Running(Aborted),
}

impl Upload {
    /// The body, of a stream that has ended.
    async fn give_back(self) -> Option<RequestBody> {
        match self {
            Self::Empty => Some(RequestBody::empty()),
            Self::Running(mut task) => (&mut task.0).await.ok().flatten(),
        }
    }
}

/// A task that ends with its holder.
#[derive(Debug)]
pub(in crate::gateway::upstream) struct Aborted(JoinHandle<Option<RequestBody>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a body as fast as the app takes it. The body comes back when the stream ended before the body did.
async fn upload(mut body: RequestBody, mut send: SendStream<Bytes>) -> Option<RequestBody> {
    loop {
        send.reserve_capacity(1);
        let part = poll_fn(|cx| {
            // What the app no longer wants is not asked of the client.
            if send.poll_reset(cx).is_ready() {
                return Poll::Ready(Part::Unwanted);
            }
            while send.capacity() == 0 {
                match ready!(send.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Part::Unwanted),
                }
            }
            body.poll_part(cx).map(Part::Of)
        });
        let begun = match part.await {
            Part::Unwanted => return Some(body),
            Part::Of(None) => {
                // An error says that the stream has ended: so has the exchange, which says why.
                let _ended = send.send_data(Bytes::new(), true);
                return None;
            }
            Part::Of(Some(Err(_))) => {
                send.send_reset(Reason::CANCEL);
                return None;
            }
            Part::Of(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => send.send_data(data, false),
                Err(frame) => {
                    let _ended = frame.into_trailers().map(|trailers| send.send_trailers(trailers));
                    return None;
                }
            },
        };
        if begun.is_err() {
            return None;
        }
    }
}

enum Part {
    /// The stream has ended, or the app wants no more.
    Unwanted,
    Of(Option<Result<http_body::Frame<Bytes>, crate::gateway::body::BodyError>>),
}
