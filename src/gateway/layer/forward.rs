//! Forwards what is permitted: identity headers set last, bodies streaming both ways.
//!
//! Architecture invariant: nothing but a `Permitted`, within its limits, is forwarded, and nothing makes one but the layer
//! that authorizes. No byte of a body moves before that (invariant 9): the body is first polled by the
//! connection to the app.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Body as _;
use tokio::time::Instant;
use tower::{Service, service_fn};

use super::ask::{Unserved, ask};
use super::limit_callers::WithinLimits;
use crate::gateway::body::{Body, StreamLimits};
use crate::gateway::client::Client;
use crate::gateway::early_hints::EarlyHints;
use crate::gateway::hygiene::{self, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REQUEST_ID};
use crate::gateway::identity_headers::Asked;
use crate::gateway::pace::Pace;
use crate::gateway::plan::Plan;
use crate::gateway::record::Decision;
use crate::gateway::refusal::{Format, Refusal, is_grpc};
use crate::gateway::tunnel::{Asker, Handshake, Told, Tunnel};
use crate::gateway::upstream::{BodyLimits, Bounds, Exchange, Failure, Fault, RequestBody};
use crate::gateway::visit::{Answered, RequestId, Visit};
use crate::policy::Accept;

/// The innermost service. Its future is boxed, although nothing else on the path of a known credential
/// is: unboxed, its 5 KiB would be moved once for every layer that hands it outwards, which costs more than
/// one allocation.
pub(in crate::gateway) fn forward(
    plan: Arc<Plan>,
    upstream: impl Exchange,
) -> impl Service<WithinLimits, Response = Answered, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
    service_fn(move |request: WithinLimits| {
        let (plan, upstream) = (Arc::clone(&plan), upstream.clone());
        Box::pin(async move { Ok(send(&plan, &upstream, request).await) })
    })
}

async fn send(plan: &Plan, upstream: &impl Exchange, within: WithinLimits) -> Answered {
    let (visit, destination, slot, who, permit) = within.into_inner().into_parts();
    let Visit { mut request, peer, client, hangup, id, trailers, upgrade: wish, trace, mut record, .. } = visit;
    let format = Format::preferred(request.headers());
    let app = &plan.apps[destination.route.app_index];
    let timeouts = app.timeouts.with(destination.route.rule.timeouts);
    let deadline = timeouts.total.map(|total| Instant::now() + total);
    let guard = who.as_ref().map(|who| Arc::clone(&who.guard));
    if let Some(guard) = &guard {
        hangup.watch(guard);
    }

    let most = destination.route.rule.max_body;
    if most.is_some_and(|most| request.body().size_hint().lower() > most) {
        return Answered::refused(&Refusal::BodyTooLarge, format, &id, record);
    }

    let asker = Asker { is_judged: who.is_some(), host: &destination.host, scheme: client.scheme(), id: &id };
    let upgrades = &destination.route.rule.upgrades;
    let handshake = wish.map(|wish| Handshake::of(&wish, &mut request, upgrades, &app.tunnels, &asker)).transpose();
    let handshake = match handshake {
        Ok(handshake) => handshake.flatten(),
        Err(refusal) => return Answered::refused(&refusal, format, &id, record),
    };

    // Whoever wants to switch waits for that answer and no other.
    let wants_hints = app.early_hints && handshake.is_none();
    let hints = wants_hints.then(|| EarlyHints::to_client_of(&request, &peer)).flatten();
    let (mut head, body) = request.into_parts();
    let (body, progress) = if body.is_end_stream() {
        (RequestBody::empty(), None)
    } else {
        let limits = BodyLimits {
            idle: timeouts.idle,
            // Without a rate it may be as slow as it likes, and only not stand still.
            pace: plan.clients.min_rate.map(|rate| Pace::new(plan.clients.stall_timeout, Some(rate))),
            most,
        };
        let passes = plan.trailers(trailers.sends && app.takes_trailers);
        let (body, progress) = RequestBody::streaming(body, guard.clone(), limits, passes);
        (body, Some(progress))
    };
    head.extensions.clear();
    head.version = http::Version::HTTP_11;
    if !body.is_empty() && !head.headers.contains_key(CONTENT_LENGTH) {
        // Said explicitly, because without it nobody expects a body with a `GET`.
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    set_hop_words(&mut head.headers, &client, &destination.host, &id);
    if let Some(trace) = &trace {
        record.asked_at = trace.tell(&mut head.headers);
    }
    // The last to touch the head, so that nothing can take away or overwrite what it says (G5).
    let told = who.as_ref().map(|who| (&who.proven, &who.in_force));
    let words = Asked { request_id: id.as_str(), port: client.port() };
    plan.tell(destination.route.app_index, told, words, &mut head.headers);

    let (takes_trailers, may_switch) = (trailers.asks, handshake.is_some());
    let bounds = Bounds { timeouts, deadline, guard, takes_trailers, progress, hints, may_switch, alone: None };
    let outgoing = Request::from_parts(head, body);
    match ask(app, upstream, outgoing, &bounds, &mut record, &permit).await {
        Ok((mut response, entered)) => {
            let switch = match handshake.map(|handshake| handshake.conclude(&mut response, &peer)).transpose() {
                Ok(switch) => switch.flatten(),
                Err(refusal) => return Answered::refused(&refusal, format, &id, record),
            };
            record.decision = Decision::Permitted;
            if let Some(progress) = bounds.progress.as_ref().filter(|_| is_a_conversation(response.headers())) {
                progress.is_a_conversation();
            }
            let trailers = plan.trailers(trailers.takes);
            let announced = trailers.announced(response.headers());
            hygiene::clean_response(response.headers_mut());
            if let Some(announced) = announced {
                response.headers_mut().insert(TRAILER, announced);
            }
            let mut response = match switch.zip(response.body_mut().take_app_side()) {
                None => {
                    let limits = StreamLimits { idle: timeouts.idle, deadline };
                    response.map(|body| Body::streaming(body, bounds.guard, limits, trailers, (slot, entered)))
                }
                Some((switch, side)) => {
                    switch.announce(response.headers_mut());
                    let told = Told {
                        id: id.clone(),
                        route: Arc::clone(&destination.route),
                        who: record.who.clone(),
                        upstream: record.upstream.clone(),
                    };
                    hangup.hand_over(Tunnel::new(switch, side, (slot, entered), bounds.guard, &app.tunnels, told));
                    response.map(|_| Body::empty())
                }
            };
            if destination.route.rule.accept.locum_authorization {
                // A cache keeps no answer to an `Authorization` for everybody (RFC 9111 §3.5), but of this
                // header it has never heard.
                response.headers_mut().append(VARY, HeaderValue::from_static("Locum-Authorization"));
            }
            Answered { response, record }
        }
        Err(unserved) => {
            let fault = bounds.progress.as_ref().and_then(|progress| progress.fault());
            let refusal = refusal_of(unserved, fault, destination.route.rule.accept);
            Answered::refused(&refusal, format, &id, record)
        }
    }
}

/// What the client is told when the app has not answered. The app is not to blame for a request that never came to
/// its end.
fn refusal_of(unserved: Unserved, fault: Option<Fault>, accept: Accept) -> Refusal {
    let failure = match unserved {
        Unserved::Busy => return Refusal::Full("app_full"),
        Unserved::Away(wait) => return Refusal::Unavailable(wait),
        Unserved::Failed(failure) => failure,
    };
    match (failure, fault) {
        (Failure::Broken(_) | Failure::Lost(_), Some(Fault::TooLarge)) => Refusal::BodyTooLarge,
        (Failure::Broken(_) | Failure::Lost(_), Some(Fault::Slow)) => Refusal::SlowBody,
        (Failure::Broken(_) | Failure::Lost(_), Some(Fault::Broken)) => Refusal::Malformed("body"),
        (Failure::Unreachable { why, .. } | Failure::Broken(why) | Failure::Lost(why), _) => Refusal::BadUpstream(why),
        (Failure::Refused(_), _) => Refusal::BadUpstream("stream_refused"),
        (Failure::Full | Failure::NoSocket(_), _) => Refusal::Full("app_connections_full"),
        (Failure::Silent, _) => Refusal::SilentUpstream,
        // Withdrawn while it waited: answered as if it had come a moment later.
        (Failure::Cut, _) => Refusal::Unauthenticated { accept, reason: "cut" },
    }
}

/// Whether an app answers while it goes on listening, as those of gRPC do: its client has then said as much as
/// it wants to.
fn is_a_conversation(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(is_grpc)
}

/// What the gateway knows of the client, in place of what anybody said: one address, so that no two apps
/// can count from different ends.
fn set_hop_words(headers: &mut HeaderMap, client: &Client, host: &HeaderValue, id: &RequestId) {
    headers.insert(X_FORWARDED_FOR, client.forwarded_for().clone());
    headers.insert(X_FORWARDED_PROTO, client.scheme().value());
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(X_REQUEST_ID, id.as_value().clone());
}
