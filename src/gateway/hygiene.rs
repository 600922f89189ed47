//! What of a client's head may pass: refused when it is ambiguous, removed when it is not the client's
//! to say, replaced when the gateway knows better (G5).
//!
//! Architecture invariant: this is the one place where inbound identity headers are removed, and it
//! runs on every request before a route is looked for. The names are the union over all apps, because
//! an app that is reached by one route reads the headers that another route was configured for.
//! `Locum-Authorization` and the headers for a username are the one kind that passes here and goes no
//! further than the step that reads it; their look-alikes do not pass.

use std::collections::HashSet;

use foldhash::fast::FixedState;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Version, header};

use super::identity_headers::Preset;
use super::refusal::Refusal;
use crate::authn::LOCUM_AUTHORIZATION;
use crate::authn::scheme::Scheme;

/// Names of a single hop (RFC 9110 §7.6.1); what they say ends here. `TE` and `Trailer` are said anew where trailers
/// are passed on.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// What a hop before us could have said, and a client must not: the address, host, scheme, path or
/// method that an application would believe in place of the real one.
const HOP_WORDS: [HeaderName; 45] = [
    FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("forwarded-for"),
    HeaderName::from_static("forwarded-proto"),
    HeaderName::from_static("x-remote-ip"),
    HeaderName::from_static("x-remote-addr"),
    HeaderName::from_static("x-originating-ip"),
    HeaderName::from_static("x-proxyuser-ip"),
    HeaderName::from_static("proxy-client-ip"),
    HeaderName::from_static("wl-proxy-client-ip"),
    HeaderName::from_static("cf-connecting-ipv6"),
    HeaderName::from_static("fly-client-ip"),
    HeaderName::from_static("x-azure-clientip"),
    HeaderName::from_static("x-appengine-user-ip"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("x-url-scheme"),
    HeaderName::from_static("x-script-name"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-http-host-override"),
    HeaderName::from_static("x-proxy-user"),
    HeaderName::from_static("x-client-cert"),
    HeaderName::from_static("x-ssl-client-cert"),
    HeaderName::from_static("x-ssl-client-dn"),
    HeaderName::from_static("x-ssl-client-s-dn"),
    HeaderName::from_static("x-ssl-client-verify"),
    HeaderName::from_static("ssl-client-cert"),
    HeaderName::from_static("ssl-client-s-dn"),
    HeaderName::from_static("ssl-client-verify"),
    HeaderName::from_static("x-accel-redirect"),
    HeaderName::from_static("x-sendfile"),
    HeaderName::from_static("proxy"),
];

/// Families of which every member is a hop's word or Locum's own.
const FAMILIES: [&str; 3] = ["x-forwarded-", "x-original-", OWN_FAMILY];
const OWN_FAMILY: &str = "x-locum-";

/// Names that mean something to every application; only their look-alikes are refused.
const LOOK_ALIKES: [&str; 5] =
    ["transfer-encoding", "content-length", "proxy-authorization", "http2-settings", "locum-authorization"];

/// What means something in a head and nothing behind a body (RFC 9110 §6.5.1), beside what is not the sender's to say.
const NOT_IN_TRAILERS: [HeaderName; 23] = [
    AUTHORIZATION,
    HOST,
    CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::COOKIE,
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
    header::PROXY_AUTHENTICATE,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::VARY,
    header::LOCATION,
    header::RETRY_AFTER,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::MAX_FORWARDS,
    header::ORIGIN,
];

/// The most names that `Connection` may nominate.
const MOST_NOMINATED: usize = 32;

/// The most that all fields of a head may take.
const LARGEST_HEAD_BYTES: usize = 64 * 1024;

pub(super) const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names that are only looked for, and never added to by a client: so nothing is won by names that share a place.
type Names<T> = HashSet<T, FixedState>;

/// The names that no client may set, compiled from what the apps are configured to receive.
#[derive(Debug)]
pub(super) struct Hygiene {
    /// Those of a single hop among them.
    removed: Names<HeaderName>,
    /// Where routes read the username beside a token.
    usernames: Vec<HeaderName>,
    folded: Names<Box<str>>,
}

/// What is done with one name of a client's head.
enum Treatment {
    Pass,
    Remove,
    Refuse,
}

impl Hygiene {
    /// `identity` are the names that any app is configured to receive, to which those of every preset are
    /// added: an app that was told by one name of a family reads the others too. `usernames` are those in which any route
    /// reads a username. A name that is both is an identity's, and no client can say it.
    pub(super) fn new(
        identity: impl IntoIterator<Item = HeaderName>,
        usernames: impl IntoIterator<Item = HeaderName>,
    ) -> Self {
        let families = Preset::ALL.into_iter().flat_map(Preset::names).map(HeaderName::from_static);
        let managed: Names<HeaderName> = identity.into_iter().chain(families).chain(HOP_WORDS).collect();
        let usernames: HashSet<HeaderName> = usernames.into_iter().collect();
        let usernames: Vec<HeaderName> = usernames.into_iter().collect();
        let mut folded: Names<Box<str>> = managed.iter().map(|name| fold(name.as_str()).into()).collect();
        folded.extend(usernames.iter().map(|name| fold(name.as_str()).into()));
        folded.extend(LOOK_ALIKES.map(Into::into));
        Self { removed: managed.into_iter().chain(HOP_BY_HOP).collect(), usernames, folded }
    }

    /// Takes from a client's head whatever is not the client's to say.
    ///
    /// # Errors
    /// When the head is ambiguous: nothing is repaired whose repair could change a meaning.
    pub(super) fn clean(&self, version: Version, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let mut reading = Reading::default();
        let mut removed: Vec<HeaderName> = Vec::new();
        for (name, value) in &*headers {
            reading.size += name.as_str().len() + value.len() + 4;
            match *name {
                HOST => reading.hosts += 1,
                CONTENT_LENGTH => reading.lengths += 1,
                AUTHORIZATION => {
                    reading.authorizations += 1;
                    reading.misspelt += usize::from(is_another_spelling(value));
                }
                _ => match self.treat(name) {
                    Treatment::Pass if *name == LOCUM_AUTHORIZATION => {
                        reading.own_authorizations += 1;
                        reading.misspelt += usize::from(is_another_spelling(value));
                    }
                    Treatment::Pass => {}
                    Treatment::Remove => {
                        reading.note_hop(name, value);
                        removed.push(name.clone());
                    }
                    Treatment::Refuse => reading.has_look_alike = true,
                },
            }
        }
        reading.conclude(version)?;
        if reading.nominates {
            // What `Connection` names is gone before ours is set, so it cannot reach ours.
            removed.extend(nominated(headers)?);
        }
        if reading.has_look_alike {
            return Err(Refusal::Malformed("header_look_alike"));
        }
        for name in removed {
            headers.remove(name);
        }
        Ok(())
    }

    /// Removes what only Locum reads.
    pub(super) fn take_what_is_locums(&self, headers: &mut HeaderMap) {
        headers.remove(&LOCUM_AUTHORIZATION);
        for name in &self.usernames {
            headers.remove(name);
        }
    }

    /// Takes from trailers whatever could be taken for a word of a head (TR-001).
    pub(super) fn clean_trailers(&self, trailers: &mut HeaderMap) {
        let dropped: Vec<HeaderName> = trailers.keys().filter(|name| !self.is_trailer(name)).cloned().collect();
        for name in dropped {
            trailers.remove(name);
        }
    }

    /// Whether something of this name is passed on behind a body.
    pub(super) fn passes_in_trailers(&self, name: &str) -> bool {
        HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| self.is_trailer(&name))
    }

    fn is_trailer(&self, name: &HeaderName) -> bool {
        let passes = matches!(self.treat(name), Treatment::Pass);
        passes && !self.usernames.contains(name) && !NOT_IN_TRAILERS.contains(name) && *name != LOCUM_AUTHORIZATION
    }

    fn treat(&self, name: &HeaderName) -> Treatment {
        if self.removed.contains(name) {
            return Treatment::Remove;
        }
        if self.usernames.contains(name) {
            return Treatment::Pass;
        }
        let text = name.as_str();
        if is_family(text) && is_plain(text) {
            return Treatment::Remove;
        }
        if !is_plain(text) {
            let folded = fold(text);
            if is_family(&folded) || self.folded.contains(&*folded) {
                return Treatment::Refuse;
            }
        }
        Treatment::Pass
    }
}

/// Whether a header is removed from every request whatever is configured, so that nobody can be asked to
/// send something in it.
pub fn never_arrives(name: &HeaderName) -> bool {
    let folded = fold(name.as_str());
    let of_a_hop = FAMILIES.iter().any(|family| *family != OWN_FAMILY && folded.starts_with(family));
    let of_a_family = Preset::ALL.into_iter().filter(|preset| *preset != Preset::Locum).flat_map(Preset::names);
    of_a_hop
        || HOP_BY_HOP.iter().chain(&HOP_WORDS).any(|known| known.as_str() == folded)
        || of_a_family.into_iter().any(|known| known == folded)
}

fn is_family(name: &str) -> bool {
    name.starts_with("x-") && FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether folding leaves the name as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// As applications fold the names of headers: everything that is neither letter nor digit is one.
fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// What one pass over a client's head has found that two readers could read in two ways.
#[derive(Default)]
struct Reading {
    size: usize,
    hosts: usize,
    lengths: usize,
    authorizations: usize,
    own_authorizations: usize,
    misspelt: usize,
    codings: usize,
    not_chunked: usize,
    other_expectations: usize,
    nominates: bool,
    has_look_alike: bool,
}

impl Reading {
    /// What is said for one hop goes no further, and is read before.
    fn note_hop(&mut self, name: &HeaderName, value: &HeaderValue) {
        match *name {
            CONNECTION => self.nominates = true,
            TRANSFER_ENCODING => {
                self.codings += 1;
                self.not_chunked += usize::from(!value.as_bytes().eq_ignore_ascii_case(b"chunked"));
            }
            EXPECT if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => self.other_expectations += 1,
            _ => {}
        }
    }

    fn conclude(&self, version: Version) -> Result<(), Refusal> {
        // The parser's buffer is no sharp limit: what arrived in one piece may be larger.
        if self.size > LARGEST_HEAD_BYTES {
            return Err(Refusal::HeadTooLarge);
        }
        let framed_twice = self.codings > 0 && self.lengths > 0;
        let odd_coding = self.codings > 1 || self.not_chunked > 0;
        let ambiguous = [
            (self.hosts > 1, "host_repeated"),
            (self.authorizations > 1 || self.own_authorizations > 1, "authorization_repeated"),
            (self.misspelt > 0, "authorization_spelling"),
            (self.lengths > 1, "content_length_repeated"),
            (odd_coding || framed_twice || self.codings > 0 && version < Version::HTTP_11, "transfer_encoding"),
        ];
        if let Some((_, word)) = ambiguous.into_iter().find(|(found, _)| *found) {
            return Err(Refusal::Malformed(word));
        }
        if self.other_expectations > 0 { Err(Refusal::UnknownExpectation) } else { Ok(()) }
    }
}

/// Whether an application that is lenient about what stands around a scheme's name would read one of ours
/// where we do not: then a credential that the gate should judge would pass as the app's own (G2).
fn is_another_spelling(value: &HeaderValue) -> bool {
    let start = value.as_bytes().iter().position(u8::is_ascii_alphanumeric).unwrap_or(value.len());
    let bare = &value.as_bytes()[start..];
    [Scheme::Basic, Scheme::Bearer].into_iter().any(|scheme| {
        let Some((name, rest)) = bare.split_at_checked(scheme.slug().len()) else { return false };
        let read_by_us = start == 0 && rest.first().is_none_or(|next| *next == b' ');
        let ends_there =
            rest.first().is_none_or(|next| !next.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(next));
        name.eq_ignore_ascii_case(scheme.slug().as_bytes()) && ends_there && !read_by_us
    })
}

/// Whether this is what nearly every `Connection` says, which is about the connection and no header.
const fn names_nothing(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close")
}

/// The names that `Connection` nominates. What frames the message, says whom it is for or who asks is not
/// the client's to take away: a bad credential that vanished would be none, and a public route open.
fn nominated(headers: &HeaderMap) -> Result<Vec<HeaderName>, Refusal> {
    let mut names = Vec::new();
    for value in headers.get_all(CONNECTION) {
        if names_nothing(value.as_bytes()) {
            continue;
        }
        let text = value.to_str().map_err(|_| Refusal::Malformed("connection"))?;
        for token in text.split(',').map(str::trim).filter(|token| !token.is_empty()) {
            if names_nothing(token.as_bytes()) {
                continue;
            }
            let name = HeaderName::from_bytes(token.as_bytes()).map_err(|_| Refusal::Malformed("connection"))?;
            if !matches!(name, HOST | CONTENT_LENGTH | AUTHORIZATION) && name != LOCUM_AUTHORIZATION {
                names.push(name);
            }
            if names.len() > MOST_NOMINATED {
                return Err(Refusal::Malformed("connection"));
            }
        }
    }
    Ok(names)
}

/// Whether a name is one of [`HOP_BY_HOP`], without hashing it.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    match *name {
        CONNECTION | TRANSFER_ENCODING | TE | TRAILER | UPGRADE | EXPECT | header::PROXY_AUTHORIZATION => true,
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings"),
    }
}

/// Takes from an app's head what is said for one hop only (RFC 9110 §7.6.1).
pub(super) fn clean_response(headers: &mut HeaderMap) {
    let mut removed: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if removed.is_empty() {
        return;
    }
    if removed.contains(&TRANSFER_ENCODING) {
        // Both at once: the coding framed the body, and the length is a lie.
        removed.push(CONTENT_LENGTH);
    }
    if let Ok(names) = nominated(headers) {
        removed.extend(names);
    }
    for name in removed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
