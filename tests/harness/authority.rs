//! An authority of one's own: it vouches for servers, and nobody but its own tests knows it.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, with its certificate in a file.
pub struct Authority {
    pub issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// What one server proves itself with, in files that only it can read.
pub struct Identity {
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a good list of names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority signs itself");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Self { issuer, folder };
        std::fs::write(authority.certificate(), authority.issuer.pem()).expect("the certificate is written");
        authority
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Vouches for a server of this name.
    pub fn vouch_for(&self, name: &str) -> Identity {
        self.vouch(&CertificateParams::new(vec![name.to_owned()]).expect("a name"))
    }

    /// Vouches for whatever the parameters say.
    pub fn vouch(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        let identity = Identity { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::write(identity.certificate(), certificate.pem()).expect("the certificate is written");
        std::fs::write(identity.key(), key.serialize_pem()).expect("the key is written");
        std::fs::set_permissions(identity.key(), Permissions::from_mode(0o600)).expect("the key is ours");
        identity
    }
}

impl Identity {
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    /// Options of `redis-server`, to speak TLS on this port.
    pub fn redis_options(&self, port: u16) -> Vec<OsString> {
        let words = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"].map(OsString::from);
        let files = ["--tls-cert-file".into(), self.certificate().into(), "--tls-key-file".into(), self.key().into()];
        words.into_iter().chain(files).collect()
    }

    /// Options of `postgres`, to speak TLS where it is asked for.
    pub fn postgres_options(&self) -> Vec<String> {
        if rustix::process::geteuid().is_root() {
            let given = Command::new("chown").arg("-R").arg("postgres").arg(self.folder.path()).status();
            assert!(given.expect("`chown` runs").success(), "the files become the server's");
        }
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.certificate().display()),
            format!("ssl_key_file={}", self.key().display()),
        ];
        settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
    }
}
