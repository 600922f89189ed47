//! Where clients come in, and whom they may have come by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AcmeTable, CertificateTable};

/// Where the gateway accepts requests, and with how many threads.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerTable {
    /// Address and port. Port 0 takes a free one and logs which.
    ///
    /// Put `0.0.0.0:8080` or `[::]:8080` here to be reached from other machines, over TLS (`server.tls`, or something
    /// in front that speaks it): tokens travel in every request.
    pub(crate) listen: String,
    /// Threads that serve requests; 0 means one per core.
    #[schemars(range(min = 0, max = 1024))]
    pub(crate) threads: u16,
    /// How long running requests may take to finish after SIGTERM, before they are cut.
    pub(crate) shutdown_timeout: String,
    /// How long new requests are still served after SIGTERM, while `/readyz` says 503 already, so that load balancers
    /// notice before anybody is turned away.
    pub(crate) shutdown_delay: String,
    /// Addresses and networks of the proxies in front of this gateway whose word about the client is taken, such as
    /// `10.1.0.7` or `10.1.0.0/24`. Empty: nobody's.
    ///
    /// The client's address is what `--network` of a token, the budget of failures, the log and the history go by.
    pub(crate) trusted_proxies: Vec<String>,
    /// The headers that every trusted proxy sets itself: `x-forwarded-for`, with it `x-forwarded-proto` and
    /// `x-forwarded-host`; or `forwarded` (RFC 7239) alone.
    ///
    /// Name none that a proxy lets pass as the client wrote it. Addresses are read from the right, past trusted proxies
    /// and no further. A request in which a trusted proxy wrote something that cannot be read is answered 400.
    pub(crate) trusted_headers: Vec<TrustedHeader>,
    /// Trusted proxies begin every connection with a header of the PROXY protocol, version 1 or 2.
    pub(crate) proxy_protocol: bool,
    /// Clients may speak HTTP/2 without TLS, when they begin with it ("prior knowledge"), as gRPC and proxies do.
    pub(crate) h2c: bool,
    /// A file with the certificates, in PEM, of the authorities of which every client has to show a certificate. Absent:
    /// clients show none.
    pub(crate) client_ca_file: Option<String>,
    /// Files with lists of revoked certificates (CRLs), in PEM or DER: a client whose certificate is in one is turned
    /// away. A reload reads them again.
    ///
    /// With any, every authority between a client and `client_ca_file` needs one, and a list past its date (`Next
    /// Update`) keeps the clients of its authority out.
    pub(crate) client_crl_files: Vec<String>,
    /// The certificates that the gateway shows. With at least one, or with `server.acme`, it speaks TLS (1.2 and 1.3),
    /// and nothing else.
    ///
    /// Each client gets the first that is for the name that it asks for, and where none is, the first of all. A
    /// reload reads the files again, without ending a connection.
    pub(crate) tls: Vec<CertificateTable>,
    /// Certificates that the gateway obtains and renews itself, from an authority that speaks ACME (RFC 8555), such as
    /// Let's Encrypt.
    ///
    /// The authority connects to port 443 of each name and has to reach this gateway there, without anything in
    /// between that ends TLS (`tls-alpn-01`, RFC 8737). `server.tls` may name others beside them, which come first.
    pub(crate) acme: AcmeTable,
}

/// A header in which a proxy speaks about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TrustedHeader {
    /// The addresses that the request came from, one appended by each proxy.
    XForwardedFor,
    /// Whether the client speaks `http` or `https`.
    XForwardedProto,
    /// The host that the client asked for; it takes the place of `Host`, for the choice of the app too.
    XForwardedHost,
    /// All of this in one header, RFC 7239.
    Forwarded,
}

impl Default for ServerTable {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            threads: 0,
            shutdown_timeout: "30s".to_owned(),
            shutdown_delay: "0s".to_owned(),
            trusted_proxies: Vec::new(),
            trusted_headers: vec![TrustedHeader::XForwardedFor, TrustedHeader::XForwardedProto],
            proxy_protocol: false,
            h2c: false,
            client_ca_file: None,
            client_crl_files: Vec::new(),
            tls: Vec::new(),
            acme: AcmeTable::default(),
        }
    }
}
