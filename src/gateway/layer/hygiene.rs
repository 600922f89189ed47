//! Lets through what has one meaning: one host, one target, one framing, and no word that is not the
//! client's to say.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{ALLOW, CONTENT_LENGTH, COOKIE, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tower::{Layer, Service};

use super::{NowOr, Step, now};
use crate::gateway::body::Body;
use crate::gateway::plan::Plan;
use crate::gateway::refusal::Refusal;
use crate::gateway::tunnel::UpgradeRequest;
use crate::gateway::visit::{Answered, Visit};
use crate::policy::host::PresentedHost;

/// The longest path and query.
const LONGEST_TARGET: usize = 16 * 1024;

/// Refuses the ambiguous and removes the forged.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Hygiene {
    pub(in crate::gateway) plan: Arc<Plan>,
}

impl<S> Layer<S> for Hygiene {
    type Service = Sanitising<S>;

    fn layer(&self, inner: S) -> Sanitising<S> {
        Sanitising { plan: Arc::clone(&self.plan), inner }
    }
}

/// See [`Hygiene`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Sanitising<S> {
    plan: Arc<Plan>,
    inner: S,
}

/// A request with one meaning: its target is in origin form, its host is one and valid, and none of its
/// headers could pass for the gateway's.
#[derive(Debug)]
pub(in crate::gateway) struct Sanitised {
    visit: Visit,
    host: HeaderValue,
}

impl Sanitised {
    pub(super) fn into_parts(self) -> (Visit, HeaderValue) {
        (self.visit, self.host)
    }
}

impl<S: Step<Sanitised>> Service<Visit> for Sanitising<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut visit: Visit) -> Self::Future {
        match sanitise(&self.plan, &mut visit) {
            Ok(Target::App(host)) => Either::Right(self.inner.call(Sanitised { visit, host })),
            Ok(Target::Gateway) => now(Answered::own(options(), visit.record)),
            Err(refusal) => now(visit.refuse(&refusal)),
        }
    }
}

/// Whom a request is for.
enum Target {
    App(HeaderValue),
    /// `OPTIONS *` asks the server itself (RFC 9110 §9.3.7).
    Gateway,
}

fn sanitise(plan: &Plan, visit: &mut Visit) -> Result<Target, Refusal> {
    if let Some(fault) = visit.fault {
        return Err(fault.into());
    }
    if let Some(word) = visit.client.unreadable() {
        return Err(Refusal::Malformed(word));
    }
    // Before anything is removed that it stands in.
    visit.upgrade = UpgradeRequest::of(&visit.request);
    if visit.upgrade.as_ref().is_some_and(UpgradeRequest::is_of_http2) {
        // What HTTP/1.1 asks with a `GET` (RFC 8441 §4): one rule for both.
        *visit.request.method_mut() = Method::GET;
    }
    let (method, version) = (visit.request.method().clone(), visit.request.version());
    if method == Method::CONNECT {
        let names_a_host = visit.request.uri().authority().is_some();
        return Err(if names_a_host { Refusal::Connect } else { Refusal::Malformed("connect_target") });
    }
    if version == Version::HTTP_2 {
        as_in_http1(&mut visit.request, plan.clients.head_fields)?;
    }
    let host = one_host(visit)?;
    to_origin_form(visit, &host)?;
    let host = as_asked_outside(visit)?.unwrap_or(host);
    plan.clean(version, visit.request.headers_mut())?;
    let uri = visit.request.uri();
    if uri.path() == "*" {
        return if method == Method::OPTIONS { Ok(Target::Gateway) } else { Err(Refusal::Malformed("asterisk")) };
    }
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > LONGEST_TARGET) {
        return Err(Refusal::TargetTooLong);
    }
    Ok(Target::App(host))
}

/// What HTTP/2 says elsewhere or in pieces is put as an app of HTTP/1 expects it: `Host` for `:authority`
/// (RFC 9113 §8.3.1), and one cookie of its crumbs (§8.2.3). Where both are there, they are compared below.
fn as_in_http1(request: &mut Request<Incoming>, most_fields: usize) -> Result<(), Refusal> {
    let ended = request.body().is_end_stream();
    // Without it hyper keeps no scheme either, and what nobody can check is refused.
    let authority = request.uri().authority().ok_or(Refusal::Malformed("host_missing"))?;
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::Malformed("host"))?;
    let headers = request.headers_mut();
    if !headers.contains_key(HOST) {
        headers.insert(HOST, authority);
    }
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| Refusal::Malformed("cookie"))?;
        headers.insert(COOKIE, cookie);
    }
    // As many as the parser of HTTP/1 lets through.
    if headers.len() > most_fields {
        return Err(Refusal::HeadTooLarge);
    }
    if headers.get(CONTENT_LENGTH).is_some_and(|length| !is_plain_number(length.as_bytes())) {
        return Err(Refusal::Malformed("content_length"));
    }
    // A length that no body follows would leave the app waiting for one (CVE-2026-33555).
    if ended && headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(Refusal::Malformed("content_length"));
    }
    Ok(())
}

/// Digits, and no zero before others: every app reads the same number.
fn is_plain_number(text: &[u8]) -> bool {
    text == b"0" || (text.first().is_some_and(|first| *first != b'0') && text.iter().all(u8::is_ascii_digit))
}

/// Exactly one `Host`, and a valid one (RFC 9112 §3.2), from HTTP/1.0 clients too.
fn one_host(visit: &Visit) -> Result<HeaderValue, Refusal> {
    let mut hosts = visit.request.headers().get_all(HOST).iter();
    let host = hosts.next().ok_or(Refusal::Malformed("host_missing"))?;
    if hosts.next().is_some() {
        return Err(Refusal::Malformed("host_repeated"));
    }
    let text = host.to_str().map_err(|_| Refusal::Malformed("host"))?;
    PresentedHost::parse(text).map_err(|_| Refusal::Malformed("host"))?;
    Ok(host.clone())
}

/// The host that a trusted proxy was asked for. It takes the place of the one that the proxy asks for, so
/// that route, history and app read one and the same.
fn as_asked_outside(visit: &mut Visit) -> Result<Option<HeaderValue>, Refusal> {
    let Some(host) = visit.client.host().cloned() else { return Ok(None) };
    let text = host.to_str().map_err(|_| Refusal::Malformed("forwarded_host"))?;
    PresentedHost::parse(text).map_err(|_| Refusal::Malformed("forwarded_host"))?;
    visit.request.headers_mut().insert(HOST, host.clone());
    Ok(Some(host))
}

/// Reduces a target to path and query; an absolute one has to be for the scheme that is spoken, and for the
/// same host (RFC 9112 §3.2.2). A trusted proxy may pass on the scheme that it was asked by.
fn to_origin_form(visit: &mut Visit, host: &HeaderValue) -> Result<(), Refusal> {
    let uri = visit.request.uri();
    let Some(authority) = uri.authority() else { return Ok(()) };
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let real = default_port == visit.client.scheme().default_port() || visit.client.is_behind_proxy();
    if !real || !uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme)) {
        return Err(Refusal::Malformed("target_scheme"));
    }
    let hosts = PresentedHost::parse(authority.as_str()).ok().zip(host.to_str().ok());
    let same = hosts.is_some_and(|(target, host)| {
        PresentedHost::parse(host).is_ok_and(|host| host.is_same_as(&target, default_port))
    });
    if !same {
        return Err(Refusal::Malformed("target_host"));
    }
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *visit.request.uri_mut() = Uri::from(target);
    Ok(())
}

fn options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"));
    response
}
