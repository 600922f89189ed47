//! Let's Encrypt's own test server, `pebble`, and the name server that leads every name to this machine. Its signers are new
//! at each start, it refuses good nonces now and then, and it takes its time over proofs.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::locum::free_address;

pub struct Pebble {
    server: Process,
    names: Process,
    address: SocketAddr,
    management: SocketAddr,
    names_management: SocketAddr,
    folder: tempfile::TempDir,
    authority: Authority,
}

/// A program that ends with its holder.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Pebble {
    /// Looks at proofs on this port of every name, in what `environment` says; `more` goes to its configuration.
    pub fn start(gate: SocketAddr, environment: &[(&str, &str)], more: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::new();
        let identity = authority.vouch_for("localhost");
        let [address, management, names, names_management] = std::array::from_fn(|_| free_address());
        let mut settings = json!({
            "listenAddress": address,
            "managementListenAddress": management,
            "certificate": identity.certificate(),
            "privateKey": identity.key(),
            "httpPort": 1,
            "tlsPort": gate.port(),
        });
        let more = more.as_object().expect("an object").clone();
        settings.as_object_mut().expect("an object").extend(more);
        let file = folder.path().join("pebble.json");
        std::fs::write(&file, json!({ "pebble": settings }).to_string()).expect("the configuration is written");

        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        resolver.args(["-dns01", &names.to_string(), "-management", &names_management.to_string()]);
        let names_process = run(resolver, &folder.path().join("names.log"));
        let mut server = Command::new("pebble");
        server.arg("-config").arg(&file).args(["-strict", "-dnsserver", &names.to_string()]);
        server.envs(environment.iter().copied());
        let server = run(server, &folder.path().join("pebble.log"));
        let pebble = Self { server, names: names_process, address, management, names_management, folder, authority };
        for address in [address, management, names, names_management] {
            pebble.wait_for(address);
        }
        pebble
    }

    fn wait_for(&self, address: SocketAddr) {
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ids = (self.server.0.id(), self.names.0.id());
            assert!(started.elapsed() < Duration::from_secs(20), "{ids:?} {address}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The table `[server.acme]` of a gate.
    pub fn table(&self, names: &[&str]) -> String {
        format!(
            "[server.acme]\ndirectory = \"https://localhost:{}/dir\"\ndomains = {names:?}\nca_file = \"{}\"\n\
             contact = \"ops@example.org\"\n",
            self.address.port(),
            self.authority.certificate().display()
        )
    }

    /// A file with the certificate of the authority that its certificates are to be believed by.
    pub fn root(&self) -> PathBuf {
        let file = self.folder.path().join("root.pem");
        let url = format!("https://localhost:{}/roots/0", self.management.port());
        // On this machine only, and curl takes an authority without a name for the server itself.
        curl(&["-k", "-o", &file.display().to_string(), &url]);
        file
    }

    /// Leads a name somewhere else.
    pub fn lead(&self, name: &str, to: &str) {
        let body = json!({ "host": format!("{name}."), "addresses": [to] }).to_string();
        curl(&["-d", &body, &format!("http://{}/add-a", self.names_management)]);
    }

    /// Everything that it has said so far.
    pub fn log(&self) -> String {
        let said = |name: &str| std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[said("names.log"), said("pebble.log")].concat()).into_owned()
    }
}

fn run(mut command: Command, log: &Path) -> Process {
    let said = File::create(log).expect("a log can be written");
    let too = said.try_clone().expect("another descriptor");
    let started = command.stdin(Stdio::null()).stdout(said).stderr(too).spawn();
    Process(started.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display())))
}

fn curl(arguments: &[&str]) {
    let asked = Command::new("curl").args(["-q", "-sSf", "--max-time", "20"]).args(arguments).output();
    let asked = asked.expect("curl runs");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
}
