//! Who is at the other end of the socket, and whether it may be there.
//!
//! The kernel says which user opened the connection (`SO_PEERCRED`); nothing that the peer sends can
//! change it. Root and the user that runs the gateway hold the machine, or the gateway, anyway;
//! everybody else is refused, whatever the mode of the socket's file may have become.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;

use super::AdminState;
use super::extract::Asked;
use super::problem::Problem;
use crate::provision;

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

/// Refuses whoever is not known to be allowed; says to the handlers who asks, under which request id.
pub(super) async fn admit(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().filter(|peer| peer.is_allowed(state.own_uid)) else {
        tracing::warn!("a peer that may not use the admin socket was refused");
        return Problem::peer_not_allowed().into_response();
    };
    let mut asked = provision::Request::from_host(peer.unix_user.clone());
    let id = request_id(&request).unwrap_or_else(|| state.provision.new_request_id());
    let shown = HeaderValue::from_str(&id);
    asked.request_id = Some(id);
    request.extensions_mut().insert(Asked(asked));
    let mut response = next.run(request).await;
    if let Ok(id) = shown {
        response.headers_mut().insert("x-request-id", id);
    }
    response
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
