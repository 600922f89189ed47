//! Who is at the other end, and whether it may be there.
//!
//! On the host's socket the kernel says which user opened the connection (`SO_PEERCRED`); nothing that the peer sends
//! can change it. Root and the user that runs the gateway hold the machine, or the gateway, anyway; everybody else is
//! refused, whatever the mode of the socket's file may have become.
//!
//! Over the network there are keys of the admin API, and nothing else (AD-006): every other credential, and a key that
//! is not in force for whatever reason, get the same answer, and are charged to their source (L8).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, header};

use super::AdminState;
use super::extract::Asked;
use super::problem::Problem;
use super::scope::Needed;
use crate::authn::Sources;
use crate::provision::{self, Caller, caller};

/// The longest request id that is taken from a caller.
const LONGEST_REQUEST_ID: usize = 64;

/// The user at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    /// The name of the user; the number in digits where there is none.
    pub unix_user: String,
}

impl Peer {
    /// Whether this user may use the admin API of a process that runs as `own_uid`.
    pub const fn is_allowed(&self, own_uid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid
    }
}

/// A connection from the network: where from, and what its failures are charged to.
#[derive(Debug, Clone)]
pub struct FromNetwork {
    pub address: IpAddr,
    pub budgets: Arc<Sources>,
}

/// What the door goes by.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) state: AdminState,
    pub(super) needed: Arc<Needed>,
}

/// Refuses whoever is not known to be allowed; says to the handlers who asks, under which request id.
pub(super) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let state = &door.state;
    let id = request_id(&request).unwrap_or_else(|| state.provision.new_request_id());
    let shown = HeaderValue::from_str(&id);
    let admitted = match request.extensions().get::<Peer>() {
        Some(peer) if peer.is_allowed(state.own_uid) => Ok(provision::Request::from_host(peer.unix_user.clone())),
        None if let Some(from) = request.extensions().get::<FromNetwork>() => {
            let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
            by_key(&door, from, (request.method(), path), request.headers(), &id).await
        }
        _ => {
            tracing::warn!("a peer that may not use the admin socket was refused");
            Err(Problem::peer_not_allowed())
        }
    };
    let mut response = match admitted {
        Ok(mut asked) => {
            asked.request_id = Some(id);
            request.extensions_mut().insert(Asked(asked));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Ok(id) = shown {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Whoever presents a key that is in force and reaches so far.
async fn by_key(
    door: &Door,
    from: &FromNetwork,
    (method, path): (&Method, Option<&str>),
    headers: &HeaderMap,
    id: &str,
) -> Result<provision::Request, Problem> {
    let provision = &door.state.provision;
    if let Some(wait) = from.budgets.exhausted(Some(from.address)) {
        return Err(Problem::throttled(wait));
    }
    let caller = match presented(headers) {
        None => None,
        Some(key) => caller::api_key(provision, key).await?,
    };
    let Some(caller) = caller else {
        from.budgets.charge(Some(from.address));
        metrics::counter!("locum_admin_refused_total").increment(1);
        tracing::warn!(address = %from.address, request_id = id, "no key of the admin API that is in force was presented");
        return Err(Problem::key_needed());
    };
    let Caller::ApiKey { scopes, .. } = &caller else { return Err(Problem::key_needed()) };
    let (scopes, address) = (scopes.clone(), Some(from.address));
    let asked = provision::Request { caller, address, request_id: Some(id.to_owned()) };
    // What no route is for is answered as such, whatever the scopes.
    let Some(path) = path else { return Ok(asked) };
    let needed = match path {
        super::DOCUMENT => return Ok(asked),
        super::METRICS => Needed::LOOK_AT_GATEWAY,
        path => door.needed.of(method, path).ok_or_else(Problem::no_such_method)?,
    };
    if scopes.allow(needed) {
        return Ok(asked);
    }
    let operation = format!("{} {path}", method.as_str().to_ascii_lowercase());
    Err(caller::out_of_scope(provision, &asked, &operation, needed).await.into())
}

/// The one `Authorization: Bearer …` of a request.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, key) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn request_id(request: &Request) -> Option<String> {
    let id = request.headers().get("x-request-id")?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ((1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.chars().all(plain)).then(|| id.to_owned())
}

/// The name of the Unix user with this number, as `/etc/passwd` knows it; the number where it does not.
pub async fn unix_user(uid: u32) -> String {
    let known = tokio::fs::read_to_string("/etc/passwd").await.ok();
    known.and_then(|passwd| name_in(&passwd, uid)).unwrap_or_else(|| uid.to_string())
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C4: break-glass is for whoever holds the machine or runs the gateway.
    #[test]
    fn only_root_and_the_gateways_own_user_are_allowed() {
        let peer = |uid| Peer { uid, unix_user: uid.to_string() };
        assert!(peer(0).is_allowed(998));
        assert!(peer(998).is_allowed(998));
        assert!(!peer(1000).is_allowed(998));
        assert!(!peer(1000).is_allowed(0));
    }

    #[test]
    fn the_name_of_a_user_is_found_by_its_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# odd line\nlocum:x:998:998::/var/lib/locum:/bin/false\n";
        assert_eq!(name_in(passwd, 998).as_deref(), Some("locum"));
        assert_eq!(name_in(passwd, 99), None);
    }
}
