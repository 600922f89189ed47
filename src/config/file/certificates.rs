//! Where the certificates of the gateway come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Certificates that the gateway obtains and renews itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AcmeTable {
    /// The names, each with a certificate of its own; none with `*`. Empty: no certificate is obtained.
    pub(crate) domains: Vec<String>,
    /// The URL of the authority's directory. To name domains is to agree to the terms of its service.
    pub(crate) directory: String,
    /// The e-mail address that the authority may write to. Empty: none.
    pub(crate) contact: String,
    /// Where the account and the certificates are kept, with their keys. Made where it is missing, for nobody but the
    /// gateway.
    pub(crate) folder: String,
    /// A file with the certificate (PEM) of the authority that vouches for the ACME server itself, where that is one of
    /// your own. Only it is believed then; without it the authorities that this machine trusts are.
    pub(crate) ca_file: Option<String>,
    /// The key identifier of an external account binding (RFC 8555 §7.3.4), for an authority that signs only for its customers:
    /// it gives the identifier and the key. They are used once, when the gateway makes its account.
    pub(crate) eab_key_id: Option<String>,
    /// A file with the MAC key that belongs to it, as the authority gives it (base64url); readable by its owner only.
    pub(crate) eab_mac_key_file: Option<String>,
}

/// A certificate of the gateway, and its key.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateTable {
    /// In PEM: the gateway's own certificate first, then those between it and the authority.
    pub(crate) certificate_file: String,
    /// Its private key, in PEM.
    pub(crate) key_file: String,
}

impl Default for AcmeTable {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
            contact: String::new(),
            folder: "acme".to_owned(),
            ca_file: None,
            eab_key_id: None,
            eab_mac_key_file: None,
        }
    }
}
