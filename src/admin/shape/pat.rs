//! Personal access tokens. The secret stands in one shape only, which is read and written by hand.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A token to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPat {
    /// The service or process that will use it, 1–200 characters.
    pub service: String,
    /// How long it lives; the longest life that is allowed when left out.
    #[serde(default)]
    pub life_seconds: Option<u64>,
    /// Networks that it may come from, `ADDRESS/BITS`; from everywhere when empty.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Apps that it may reach; all that its account reaches when empty.
    #[serde(default)]
    pub apps: Vec<String>,
    /// Only methods that read (RFC 9110 §9.2.1), `WebDAV`'s among them.
    #[serde(default)]
    pub read_only: bool,
}

/// How a token is to be replaced by a new one, for the same service and with the same restrictions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotatePat {
    /// For at most how long after the new token was confirmed the old one is valid; 0 ends it at once.
    pub overlap_seconds: u64,
    /// The old one ends sooner, once the new one is in use and the old one was not for so long: 300 at least, and less
    /// than the overlap.
    #[serde(default)]
    pub silence_seconds: Option<u64>,
    /// How long the new one lives; the longest life that is allowed when left out.
    #[serde(default)]
    pub life_seconds: Option<u64>,
}

/// What narrows a token beyond its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restrictions {
    pub networks: Vec<String>,
    pub apps: Vec<String>,
    pub read_only: bool,
}

/// One token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatView {
    pub public_id: String,
    /// The username of the proxy user.
    pub account: String,
    pub service: String,
    /// `pending`, `usable`, `lapsed`, `expired` or `revoked`.
    pub state: String,
    pub created_at: String,
    /// `locum`, `host:USER` or a username.
    pub created_by: String,
    /// Until when it has to be confirmed; `null` once it was.
    pub confirm_until: Option<String>,
    /// Invalid at this instant.
    pub expires_at: String,
    pub restrictions: Restrictions,
    /// To the half minute.
    pub last_used_at: Option<String>,
    /// The address that it was last used from.
    pub last_used_from: Option<String>,
    /// The app that it was last used for.
    pub last_used_app: Option<String>,
    /// The public id of the token whose place it takes.
    pub replaces: Option<String>,
    /// When it ends because another took its place; `null` while none has.
    pub retires_at: Option<String>,
    /// When, by whom and why it was revoked; `null` while it is not.
    pub revoked: Option<Revocation>,
}

/// When, by whom and why a token was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    pub at: String,
    pub by: String,
    pub reason: String,
}

/// A token just made: all of [`PatView`], and its secret this once. Purposefully not `Serialize`: the
/// one body that holds a secret is written by the one handler that may.
#[derive(Debug, ToSchema)]
pub struct MadePat {
    #[schema(inline)]
    pub pat: PatView,
    /// The whole token; absent when the request was repeated under its idempotency key.
    #[schema(value_type = Option<String>)]
    pub token: Option<PresentedToken>,
}

impl<'de> Deserialize<'de> for MadePat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Flat {
            #[serde(flatten)]
            pat: PatView,
            #[serde(default)]
            token: Option<PresentedToken>,
        }
        Flat::deserialize(deserializer).map(|Flat { pat, token }| Self { pat, token })
    }
}

/// The tokens of one proxy user, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PatList {
    pub pats: Vec<PatView>,
}

/// Why a token is to be revoked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokePat {
    /// A code of the code table.
    pub reason: String,
}

/// Why all tokens are to be revoked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllPats {
    /// A code of the code table.
    pub reason: String,
}

/// How many tokens were revoked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevokedPats {
    pub revoked: u64,
}

/// The text of a token on its way through; wiped when dropped, never shown.
pub struct PresentedToken(Zeroizing<String>);

impl PresentedToken {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PresentedToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for PresentedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedToken(..)")
    }
}

/// A token to be checked without side effects.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckPat {
    /// The whole token.
    #[schema(value_type = String)]
    pub token: PresentedToken,
    /// The address that it would come from.
    #[serde(default)]
    pub from: Option<String>,
}

/// What a token is. For a wrong secret there is one uniform answer: `state` is `unknown`, the rest is
/// `null` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedPat {
    /// `usable`, `pending`, `lapsed`, `expired`, `revoked`, `account_inactive`, `outside_networks` or
    /// `unknown`.
    pub state: String,
    /// Whether a request with it would be accepted from the given source.
    pub accepted: bool,
    pub public_id: Option<String>,
    pub account: Option<String>,
    pub owner: Option<String>,
    pub service: Option<String>,
    pub expires_at: Option<String>,
    /// Whole days until it expires.
    pub days_left: Option<u64>,
    /// The apps that it reaches.
    pub apps: Vec<String>,
    /// The roles in force.
    pub roles: Vec<String>,
    pub read_only: bool,
}
