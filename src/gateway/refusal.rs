//! Refusals: the only place where the gateway chooses a status (G3, L4).
//!
//! The answer to a refused credential is one and the same whatever was wrong with it; the reason goes
//! to the log. After a malformed or ambiguous message the connection is closed, because nobody can say
//! where the next one would start (invariant 10).

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::body::Body;
use super::record::Decision;
use crate::policy::{Accept, Denial, Per, RateLimit};

/// Why the gateway answers instead of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The message is malformed, or could be read in two ways.
    Malformed(&'static str),
    TargetTooLong,
    HeadTooLarge,
    UnknownExpectation,
    /// The body is larger than the route takes.
    BodyTooLarge,
    /// The body stood still, or came more slowly than it may.
    SlowBody,
    Connect,
    NoRoute,
    Method {
        allowed: Vec<Method>,
    },
    /// No credential, or one that is not good; why is for the log only.
    Unauthenticated {
        accept: Accept,
        reason: &'static str,
    },
    Denied(Denial),
    /// A page elsewhere asks for a tunnel with its visitor's credential.
    ForeignOrigin,
    /// A tunnel over HTTP/2 that the route does not allow.
    NoTunnel,
    Throttled(Duration),
    /// More requests than a limit of rate allows.
    RateLimited {
        limit: RateLimit,
        wait: Duration,
    },
    /// Nobody could decide.
    Undecided(&'static str),
    /// More is to be done here than can be.
    Shed(&'static str),
    /// As many requests run at the app, or as many connections to apps are in use, as may be.
    Full(&'static str),
    /// The app is known to be away; it is asked again after this.
    Unavailable(Duration),
    /// The app could not be reached, or what it answered is no answer.
    BadUpstream(&'static str),
    SilentUpstream,
    /// A fault in Locum itself.
    Fault,
}

/// The format in which a caller wants to read why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 9457.
    #[default]
    Problem,
    Page,
    /// A status of gRPC, in the head of an answer without a body.
    Grpc,
}

impl Format {
    /// A page only for who asks for HTML by name and does not like JSON as much; programs that take
    /// anything get a problem document.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        if headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
            return Self::Grpc;
        }
        let mut liking = (0.0_f32, 0.0_f32);
        for value in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            for range in value.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let kind = parts.next().unwrap_or_default();
                let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
                match kind.to_ascii_lowercase().as_str() {
                    "text/html" | "application/xhtml+xml" => liking.0 = liking.0.max(quality),
                    "application/json" | "application/problem+json" => liking.1 = liking.1.max(quality),
                    _ => {}
                }
            }
        }
        if liking.0 > liking.1 { Self::Page } else { Self::Problem }
    }
}

/// `application/grpc`, whatever the messages are written in; what browsers speak (`application/grpc-web`) has no
/// trailers and is answered as HTTP.
pub(super) fn is_grpc(content_type: &HeaderValue) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let (name, rest) = content_type.as_bytes().split_at(GRPC.len().min(content_type.len()));
    name.eq_ignore_ascii_case(GRPC) && rest.first().is_none_or(|next| b"+; ".contains(next))
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnknownExpectation => StatusCode::EXPECTATION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Connect | Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Denied(_) | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NoTunnel => StatusCode::NOT_IMPLEMENTED,
            Self::Throttled(_) | Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Undecided(_) | Self::Shed(_) | Self::Full(_) | Self::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::BadUpstream(_) => StatusCode::BAD_GATEWAY,
            Self::SilentUpstream => StatusCode::GATEWAY_TIMEOUT,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same in gRPC: as its libraries read a status of HTTP, which they would do if they got one
    /// (grpc, `doc/http-grpc-status-mapping.md`), but for what no server of gRPC would answer otherwise.
    const fn grpc_status(&self) -> &'static str {
        match self {
            // INTERNAL
            Self::Malformed(_) | Self::Fault => "13",
            // UNKNOWN
            Self::TargetTooLong | Self::UnknownExpectation | Self::Connect => "2",
            // RESOURCE_EXHAUSTED, as gRPC itself has it for metadata or a message that is too large
            Self::HeadTooLarge | Self::BodyTooLarge => "8",
            // DEADLINE_EXCEEDED
            Self::SlowBody => "4",
            // UNIMPLEMENTED
            Self::NoRoute | Self::Method { .. } | Self::NoTunnel => "12",
            // UNAUTHENTICATED
            Self::Unauthenticated { .. } => "16",
            // PERMISSION_DENIED
            Self::Denied(_) | Self::ForeignOrigin => "7",
            // UNAVAILABLE
            Self::Throttled(_)
            | Self::RateLimited { .. }
            | Self::Undecided(_)
            | Self::Shed(_)
            | Self::Full(_)
            | Self::BadUpstream(_)
            | Self::SilentUpstream
            | Self::Unavailable(_) => "14",
        }
    }

    /// What a client may read. Fixed texts: nothing that it sent comes back.
    const fn text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed(_) => ("Bad request", "The request is malformed, or could be read in more than one way."),
            Self::TargetTooLong => ("Address too long", "The address of the request is too long."),
            Self::HeadTooLarge => ("Headers too large", "The headers of the request are too large."),
            Self::UnknownExpectation => {
                ("Expectation failed", "The only expectation that is understood is 100-continue.")
            }
            Self::BodyTooLarge => ("Body too large", "The body of the request is larger than is taken here."),
            Self::SlowBody => ("Request timeout", "The body of the request came too slowly."),
            Self::Connect => ("Method not allowed", "This is no forward proxy."),
            Self::NoRoute => ("Not found", "There is nothing here."),
            Self::Method { .. } => ("Method not allowed", "There is something here, but not for this method."),
            Self::Unauthenticated { .. } => ("Not authenticated", "A valid username and token are needed."),
            Self::Denied(_) => ("Not allowed", "The credential is good, but it does not allow this."),
            Self::ForeignOrigin => ("Not allowed", "A page of another site may not ask for this."),
            Self::NoTunnel => ("Not implemented", "This protocol is not spoken here."),
            Self::Throttled(_) => {
                ("Too many failures", "Too many attempts from this address have failed. Try again later.")
            }
            Self::RateLimited { .. } => {
                ("Too many requests", "More requests were made than are allowed here. Try again later.")
            }
            Self::Undecided(_) => ("Not now", "Whether this is allowed cannot be decided at the moment. Try again."),
            Self::Shed(_) => ("Overloaded", "There is more to do here than can be done at the moment. Try again."),
            Self::Full(_) => ("Too busy", "There is no room for another request to the application. Try again."),
            Self::Unavailable(_) => ("Not available", "The application is not available. Try again later."),
            Self::BadUpstream(_) => ("Bad gateway", "The application did not answer as it should."),
            Self::SilentUpstream => ("Gateway timeout", "The application did not answer in time."),
            Self::Fault => ("Internal error", "The gateway failed to handle the request."),
        }
    }

    const fn slug(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "bad-request",
            Self::TargetTooLong => "target-too-long",
            Self::HeadTooLarge => "headers-too-large",
            Self::UnknownExpectation => "expectation-failed",
            Self::BodyTooLarge => "body-too-large",
            Self::SlowBody => "request-timeout",
            Self::Connect | Self::Method { .. } => "method-not-allowed",
            Self::NoRoute => "not-found",
            Self::Unauthenticated { .. } => "not-authenticated",
            Self::Denied(_) | Self::ForeignOrigin => "not-allowed",
            Self::NoTunnel => "not-implemented",
            Self::Throttled(_) => "too-many-failures",
            Self::RateLimited { .. } => "too-many-requests",
            Self::Undecided(_) => "not-now",
            Self::Shed(_) => "overloaded",
            Self::Full(_) => "too-busy",
            Self::Unavailable(_) => "not-available",
            Self::BadUpstream(_) => "bad-gateway",
            Self::SilentUpstream => "gateway-timeout",
            Self::Fault => "internal-error",
        }
    }

    /// Why, for the log.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(reason)
            | Self::Unauthenticated { reason, .. }
            | Self::Undecided(reason)
            | Self::Shed(reason)
            | Self::Full(reason)
            | Self::BadUpstream(reason) => reason,
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "headers_too_large",
            Self::UnknownExpectation => "unknown_expectation",
            Self::BodyTooLarge => "body_too_large",
            Self::SlowBody => "body_too_slow",
            Self::Connect => "connect",
            Self::NoRoute => "no_route",
            Self::Method { .. } => "method",
            Self::Denied(denial) => denial.slug(),
            Self::ForeignOrigin => "foreign_origin",
            Self::NoTunnel => "upgrade_not_allowed",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "app_away",
            Self::RateLimited { limit, .. } => match limit.per {
                Per::Source => "rate_limit_source",
                Per::Account => "rate_limit_account",
                Per::All => "rate_limit_all",
            },
            Self::SilentUpstream => "response_timeout",
            Self::Fault => "panic",
        }
    }

    pub(super) const fn decision(&self) -> Decision {
        match self {
            Self::Malformed(_)
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::UnknownExpectation
            | Self::NoTunnel
            | Self::BodyTooLarge
            | Self::SlowBody
            | Self::Connect => Decision::Rejected,
            Self::NoRoute | Self::Method { .. } => Decision::Unrouted,
            Self::Unauthenticated { .. } => Decision::Unauthenticated,
            Self::Denied(_) | Self::ForeignOrigin => Decision::Denied,
            Self::Throttled(_) | Self::RateLimited { .. } => Decision::Throttled,
            Self::Undecided(_) | Self::Fault => Decision::Failed,
            Self::Shed(_) => Decision::Shed,
            Self::Full(_) | Self::Unavailable(_) | Self::BadUpstream(_) | Self::SilentUpstream => {
                Decision::UpstreamFailed
            }
        }
    }

    const fn closes(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::UnknownExpectation
            | Self::BodyTooLarge
            | Self::SlowBody
            | Self::Connect
            | Self::Fault => true,
            Self::NoRoute
            | Self::Method { .. }
            | Self::Unauthenticated { .. }
            | Self::Denied(_)
            | Self::ForeignOrigin
            | Self::NoTunnel
            | Self::Throttled(_)
            | Self::RateLimited { .. }
            | Self::Undecided(_)
            | Self::Shed(_)
            | Self::Full(_)
            | Self::Unavailable(_)
            | Self::BadUpstream(_)
            | Self::SilentUpstream => false,
        }
    }

    const fn try_again_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(wait) | Self::RateLimited { wait, .. } | Self::Unavailable(wait) => Some(*wait),
            Self::Undecided(_) | Self::Shed(_) | Self::Full(_) => Some(Duration::from_secs(1)),
            Self::Malformed(_)
            | Self::TargetTooLong
            | Self::HeadTooLarge
            | Self::UnknownExpectation
            | Self::BodyTooLarge
            | Self::SlowBody
            | Self::Connect
            | Self::Fault
            | Self::NoRoute
            | Self::Method { .. }
            | Self::Unauthenticated { .. }
            | Self::Denied(_)
            | Self::ForeignOrigin
            | Self::NoTunnel
            | Self::BadUpstream(_)
            | Self::SilentUpstream => None,
        }
    }

    /// The answer, with the id under which the log knows the request.
    pub(super) fn answer(&self, format: Format, request_id: &str) -> Response<Body> {
        let (status, content_type, body) = match format {
            Format::Problem => (self.status(), "application/problem+json", self.problem(request_id)),
            Format::Page => (self.status(), "text/html; charset=utf-8", self.page(request_id)),
            Format::Grpc => (StatusCode::OK, "application/grpc", String::new()),
        };
        let mut response = Response::new(Body::whole(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if format == Format::Page {
            headers.insert("content-security-policy", HeaderValue::from_static(PAGE_POLICY));
        }
        if format == Format::Grpc {
            headers.insert("grpc-status", HeaderValue::from_static(self.grpc_status()));
            // Letters, digits and punctuation without a `%`, so that nothing of it has to be encoded.
            if let Ok(message) = HeaderValue::from_str(&self.grpc_message(request_id)) {
                headers.insert("grpc-message", message);
            }
        }
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Self::Unauthenticated { accept, .. } = self {
            challenge(*accept, headers);
        }
        if let Some(wait) = self.try_again_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(rounded_up(wait)));
        }
        if let Self::RateLimited { limit, wait } = self {
            say_the_limit(limit, *wait, headers);
        }
        if let Self::Method { allowed } = self {
            let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            // Methods are tokens, so their list is a header's value.
            if let Ok(value) = HeaderValue::from_str(&allowed) {
                headers.insert(ALLOW, value);
            }
        }
        response
    }

    fn problem(&self, request_id: &str) -> String {
        let (title, detail) = self.text();
        let (status, slug) = (self.status().as_u16(), self.slug());
        let mut text = format!(
            r#"{{"type":"urn:locum:problem:{slug}","title":"{title}","status":{status},"detail":"{detail}","code":"{slug}""#
        );
        if let Self::Denied(denial) = self {
            let _infallible = write!(text, r#","reason":"{}""#, denial.id());
        }
        let _infallible = write!(text, r#","request_id":"{request_id}"}}"#);
        text.push('\n');
        text
    }

    fn grpc_message(&self, request_id: &str) -> String {
        let (_, detail) = self.text();
        match self {
            Self::Denied(denial) => format!("{detail} (reason {}, request {request_id})", denial.id()),
            _ => format!("{detail} (request {request_id})"),
        }
    }

    fn page(&self, request_id: &str) -> String {
        let (title, detail) = self.text();
        let reason = match self {
            Self::Denied(denial) => format!(" · reason {}", denial.id()),
            _ => String::new(),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:1.1rem/1.5 system-ui,sans-serif;\
             max-width:34rem;margin:18vh auto;padding:0 1rem;color:#222;background:#fff}}small{{color:#666}}\
             @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}small{{color:#999}}}}</style></head>\
             <body><h1>{title}</h1><p>{detail}</p><p><small>{} · request {request_id}{reason}</small></p></body></html>\n",
            self.status().as_u16(),
        )
    }
}

/// Nothing but the style that the page brings along.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// One challenge for each scheme that the route accepts, whatever was presented.
fn challenge(accept: Accept, headers: &mut HeaderMap) {
    if accept.basic {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="Locum", charset="UTF-8""#));
    }
    if accept.bearer {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="Locum""#));
    }
    if accept.locum_authorization {
        // Not `Basic` again: who reads that would answer in `Authorization`, which may be the app's. The
        // registered schemes have no word for another header, so this names the header itself.
        let challenge = r#"Locum-Authorization realm="Locum", schemes="Basic Bearer", charset="UTF-8""#;
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
}

/// Which limit it was, as the draft of the working group has it (draft-ietf-httpapi-ratelimit-headers).
fn say_the_limit(limit: &RateLimit, wait: Duration, headers: &mut HeaderMap) {
    let (per, seconds) = (limit.per.slug(), limit.every.as_secs().max(1));
    for (name, text) in [
        ("ratelimit-policy", format!("\"{per}\";q={};w={seconds}", limit.requests)),
        ("ratelimit", format!("\"{per}\";r=0;t={}", rounded_up(wait))),
    ] {
        // Names, digits and punctuation are a header's value.
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// In whole seconds, so that who waits as long is let in.
fn rounded_up(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).clamp(1, 86_400) as u64
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use http_body_util::BodyExt;

    use super::*;

    const BOTH: Accept = Accept { basic: true, bearer: true, locum_authorization: false };

    const HOURLY: RateLimit = RateLimit {
        per: Per::Account,
        requests: NonZeroU32::MIN,
        every: Duration::from_hours(1),
        burst: NonZeroU32::MIN,
    };

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::Malformed("x"),
            Refusal::TargetTooLong,
            Refusal::HeadTooLarge,
            Refusal::UnknownExpectation,
            Refusal::BodyTooLarge,
            Refusal::SlowBody,
            Refusal::Connect,
            Refusal::NoRoute,
            Refusal::Method { allowed: vec![Method::GET, Method::POST] },
            Refusal::Unauthenticated { accept: BOTH, reason: "x" },
            Refusal::Denied(Denial::RoleMissing),
            Refusal::ForeignOrigin,
            Refusal::NoTunnel,
            Refusal::Throttled(Duration::from_millis(1_001)),
            Refusal::RateLimited { limit: HOURLY, wait: Duration::from_millis(1_001) },
            Refusal::Undecided("x"),
            Refusal::Shed("x"),
            Refusal::Full("x"),
            Refusal::Unavailable(Duration::from_secs(1)),
            Refusal::BadUpstream("x"),
            Refusal::SilentUpstream,
            Refusal::Fault,
        ]
    }

    async fn text(response: Response<Body>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// G3
    #[tokio::test]
    async fn every_refusal_is_a_problem_document_or_a_page_and_is_never_kept() {
        for refusal in all() {
            let response = refusal.answer(Format::Problem, "id-1");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            let status = response.status().as_u16();
            let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!(problem["status"], status);
            assert_eq!(problem["request_id"], "id-1");
            let page = text(refusal.answer(Format::Page, "id-1")).await;
            assert!(page.starts_with("<!doctype html>") && page.contains("id-1"), "{page}");
        }
    }

    /// G1, G3: who speaks gRPC is told in gRPC, in the head of an answer without a body.
    #[tokio::test]
    async fn a_refused_call_of_grpc_is_told_a_status_of_grpc() {
        for refusal in all() {
            let response = refusal.answer(Format::Grpc, "id-1");
            assert_eq!(
                (response.status(), &response.headers()[CONTENT_TYPE]),
                (StatusCode::OK, &HeaderValue::from_static("application/grpc"))
            );
            let message = response.headers()["grpc-message"].to_str().unwrap();
            assert!(message.contains("id-1") && !message.contains('%'), "{message}");
            assert_ne!(response.headers()["grpc-status"], "0");
            assert!(text(response).await.is_empty());
        }
        let status = |refusal: Refusal| refusal.answer(Format::Grpc, "id").headers()["grpc-status"].clone();
        assert_eq!(status(Refusal::Unauthenticated { accept: BOTH, reason: "x" }), "16");
        assert_eq!(status(Refusal::Denied(Denial::RoleMissing)), "7");
        assert_eq!(status(Refusal::BadUpstream("x")), "14");
        for (content_type, format) in [
            ("application/grpc", Format::Grpc),
            ("Application/gRPC+proto", Format::Grpc),
            ("application/grpc; a=b", Format::Grpc),
            ("application/grpc-web+proto", Format::Problem),
            ("application/json", Format::Problem),
            ("application/grp", Format::Problem),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(Format::preferred(&headers), format, "{content_type}");
        }
    }

    /// L4: whatever was wrong with a credential, the answer is one and the same.
    #[tokio::test]
    async fn a_refused_credential_is_told_nothing() {
        let answer = |reason| Refusal::Unauthenticated { accept: BOTH, reason }.answer(Format::Problem, "id");
        let (unknown, expired) = (answer("unknown_user"), answer("expired"));
        assert_eq!(unknown.headers(), expired.headers());
        assert_eq!(text(unknown).await, text(expired).await);
    }

    #[test]
    fn challenges_are_those_of_the_schemes_that_the_route_accepts() {
        let (basic, bearer) = (r#"Basic realm="Locum", charset="UTF-8""#, r#"Bearer realm="Locum""#);
        let own = r#"Locum-Authorization realm="Locum", schemes="Basic Bearer", charset="UTF-8""#;
        for (accept, challenges) in [
            (BOTH, &[basic, bearer][..]),
            (Accept { basic: true, ..Accept::NOTHING }, &[basic]),
            (Accept { locum_authorization: true, ..Accept::NOTHING }, &[own]),
            (Accept { locum_authorization: true, ..BOTH }, &[basic, bearer, own]),
        ] {
            let response = Refusal::Unauthenticated { accept, reason: "x" }.answer(Format::Problem, "id");
            let told: Vec<_> = response.headers().get_all(WWW_AUTHENTICATE).iter().collect();
            assert_eq!(told, challenges, "{accept:?}");
        }
    }

    /// L8: whoever waits as long as told is not refused for being early.
    #[test]
    fn waiting_is_told_in_whole_seconds_rounded_up() {
        let response = Refusal::Throttled(Duration::from_millis(1_001)).answer(Format::Problem, "id");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn a_page_is_for_who_asks_for_one() {
        for (accept, format) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Page),
            ("*/*", Format::Problem),
            ("application/json, text/html;q=0.9", Format::Problem),
            ("text/html;q=0", Format::Problem),
            ("text/html;q=x", Format::Problem),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Format::preferred(&headers), format, "{accept}");
        }
        assert_eq!(Format::preferred(&HeaderMap::new()), Format::Problem);
    }
}
