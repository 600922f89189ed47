//! Trailers: what may stand behind a body, and which way it goes.
//!
//! They are never merged into a head, so nothing in them can be taken for a header (TR-001); what would mean something
//! there (who asks, how the message is framed, whom it is for) is dropped from them all the same, because there
//! are programs that merge.

use std::sync::Arc;

use http::header::{TE, TRAILER};
use http::{HeaderMap, HeaderValue, Version};

use super::hygiene::Hygiene;

/// The most that all trailers of one message may take, as hyper has it for HTTP/1 (TR-003).
const LARGEST_BYTES: usize = 16 * 1024;

/// What a client says of trailers, before its head is cleaned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// It may send some: it announced them, or HTTP/2 needs no announcement.
    pub(super) sends: bool,
    /// It takes some: it said so, or HTTP/2 has a place for them in any case.
    pub(super) takes: bool,
    /// It said that it takes some (`TE: trailers`).
    pub(super) asks: bool,
}

impl Terms {
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Self {
        let is_http2 = version == Version::HTTP_2;
        let asks = headers.get_all(TE).iter().any(names_trailers);
        Self { sends: is_http2 || headers.contains_key(TRAILER), takes: is_http2 || asks, asks }
    }
}

fn names_trailers(te: &HeaderValue) -> bool {
    let mut codings = te.as_bytes().split(|byte| *byte == b',');
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// What becomes of the trailers of one message.
#[derive(Debug, Clone)]
pub(super) enum Trailers {
    Dropped,
    /// Passed on, without what this removes.
    Passed(Arc<Hygiene>),
}

/// There is more of them than may be.
#[derive(Debug)]
pub(super) struct TooLarge;

impl Trailers {
    /// What is passed on of them, if anything is.
    ///
    /// # Errors
    /// When there is more than anybody needs.
    pub(super) fn pass(&self, mut trailers: HeaderMap) -> Result<Option<HeaderMap>, TooLarge> {
        let size: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > LARGEST_BYTES {
            return Err(TooLarge);
        }
        let Self::Passed(hygiene) = self else { return Ok(None) };
        hygiene.clean_trailers(&mut trailers);
        Ok((!trailers.is_empty()).then_some(trailers))
    }

    /// Those that an app announced, as a header that may be passed on.
    pub(super) fn announced(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let Self::Passed(hygiene) = self else { return None };
        let values = headers.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
        let names = values.flat_map(|value| value.split(',')).map(str::trim);
        let passed: Vec<&str> = names.filter(|name| hygiene.passes_in_trailers(name)).collect();
        HeaderValue::from_str(&passed.join(", ")).ok().filter(|names| !names.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn passed() -> Trailers {
        let managed = [HeaderName::from_static("x-own-identity")];
        Trailers::Passed(Arc::new(Hygiene::new(managed, [HeaderName::from_static("x-login")])))
    }

    /// TR-001
    #[test]
    fn what_would_mean_something_in_a_head_is_dropped_from_trailers() {
        let sent = [
            ("grpc-status", "0"),
            ("x-checksum", "abc"),
            ("authorization", "Basic eA=="),
            ("locum-authorization", "Bearer x"),
            ("host", "other.test"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("x-locum-user", "root"),
            ("x_locum_user", "root"),
            ("x-own-identity", "root"),
            ("x-login", "root"),
            ("x-forwarded-for", "10.0.0.1"),
            ("connection", "close"),
            ("te", "gzip"),
            ("cookie", "a=b"),
            ("set-cookie", "a=b"),
            ("content-type", "text/html"),
            ("trailer", "x"),
        ];
        let left = passed().pass(headers(&sent)).unwrap().unwrap();
        let names: Vec<&str> = left.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["grpc-status", "x-checksum"]);
        assert!(Trailers::Dropped.pass(headers(&sent)).unwrap().is_none());
        assert!(passed().pass(headers(&[("host", "x")])).unwrap().is_none(), "nothing is left of it");
        let announced = passed().announced(&headers(&[("trailer", "X-Checksum, X-Locum-User,Host , x y")]));
        assert_eq!(announced.unwrap(), "X-Checksum");
    }

    /// TR-003
    #[test]
    fn trailers_have_a_bound() {
        let of = |size: usize| {
            let value = HeaderValue::from_str(&"a".repeat(size)).unwrap();
            HeaderMap::from_iter([(HeaderName::from_static("x-a"), value)])
        };
        assert!(passed().pass(of(LARGEST_BYTES - 7)).is_ok());
        assert!(passed().pass(of(LARGEST_BYTES - 6)).is_err());
        assert!(Trailers::Dropped.pass(of(LARGEST_BYTES - 6)).is_err());
    }

    /// H2-012
    #[test]
    fn a_client_says_whether_it_takes_trailers() {
        let http1 = |lines: &[(&'static str, &'static str)]| Terms::of(Version::HTTP_11, &headers(lines));
        assert_eq!(http1(&[]), Terms::default());
        assert_eq!(http1(&[("te", "gzip;q=1, Trailers")]), Terms { takes: true, asks: true, sends: false });
        assert_eq!(http1(&[("te", "gzip"), ("trailer", "x")]), Terms { sends: true, ..Terms::default() });
        let http2 = Terms::of(Version::HTTP_2, &headers(&[]));
        assert_eq!(http2, Terms { sends: true, takes: true, asks: false });
    }
}
