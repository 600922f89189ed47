//! The real binary in a folder of its own, with actors that have verbs.
//!
//! Everything goes through public doors: the command line, the configuration file, sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

/// How long a gateway may take to start, on a busy machine.
const START: Duration = Duration::from_mins(1);

/// How many file descriptors the gateway gets, in its environment.
const DESCRIPTORS: &str = "TEST_DESCRIPTORS";

/// How large a disk of its own the gateway gets, in its environment; mounted at `disk`, beside its
/// configuration, where only it sees it. That takes root, or a kernel that lends namespaces to users.
const DISK: &str = "TEST_DISK";

/// Says that its standard input is a socket that it is to listen on, handed over as systemd does it.
const SOCKET: &str = "TEST_SOCKET";

/// Says what `systemd-socket-activate` is told before it starts the gateway, which it does when somebody connects.
const BY_SYSTEMD: &str = "TEST_BY_SYSTEMD";

/// Starts the gateway (`$0`, with the configuration as its third argument) in what the environment says.
const SURROUNDINGS: &str = r#"
if [ -n "$TEST_BY_SYSTEMD" ]; then exec systemd-socket-activate -E LOCUM__LOG__FORMAT $TEST_BY_SYSTEMD "$0" "$@"; fi
if [ -n "$TEST_SOCKET" ]; then exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; fi
if [ -n "$TEST_DESCRIPTORS" ]; then ulimit -n "$TEST_DESCRIPTORS"; fi
if [ -z "$TEST_DISK" ]; then exec "$0" "$@"; fi
folder=$(dirname "$3")
mkdir -p "$folder/disk"
if [ "$(id -u)" = 0 ]; then as_user=; else as_user=-r; fi
exec unshare $as_user -m sh -c 'mount -t tmpfs -o size="$TEST_DISK" none "$0/disk" && exec "$@"' "$folder" "$0" "$@"
"#;

/// A configuration with one app, `app`, open to everybody who may reach it, and one, `ledger`, whose
/// routes need its role `ledger/clerk`. `EXTRA` is appended.
pub fn configuration(upstream: SocketAddr, extra: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
threads = 2

[apps.app]
hosts = ["app.test"]
upstreams = ["http://{upstream}"]
access_by_default = true

[[apps.app.routes]]
path = "/pub/*"
public = true

[[apps.app.routes]]
path = "/admin/*"
roles_any = ["admin"]

[[apps.app.routes]]
path = "/*"

[apps.ledger]
hosts = ["ledger.test"]
upstreams = ["http://{upstream}"]

[[apps.ledger.routes]]
path = "/*"
roles_any = ["ledger/clerk"]

{extra}
"#
    )
}

/// A running gateway.
pub struct Locum {
    child: Child,
    folder: Arc<TempDir>,
    address: SocketAddr,
    environment: Vec<(String, String)>,
    log: Arc<Mutex<String>>,
}

/// One answer of the gateway.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

impl Locum {
    /// Makes keys, writes the configuration and starts the gateway.
    pub fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same with variables in the gateway's environment.
    pub fn start_with(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::run(Self::prepare(configuration), environment)
    }

    /// Makes keys and writes the configuration.
    fn prepare(configuration: &str) -> Arc<TempDir> {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let file = folder.path().join("locum.toml");
        let init = Command::new(binary()).arg("init").arg("--config").arg(&file).output().expect("locum runs");
        assert!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        std::fs::write(&file, configuration).expect("the configuration is written");
        folder
    }

    /// With so few file descriptors as `ulimit -n` says.
    pub fn start_with_descriptors(configuration: &str, descriptors: u32) -> Self {
        Self::start_with(configuration, &[(DESCRIPTORS, &descriptors.to_string())])
    }

    /// With a disk of its own for what lies in `disk`.
    pub fn start_on_a_disk_of(size: &str, configuration: &str) -> Self {
        Self::start_with(configuration, &[(DISK, size)])
    }

    /// Fills its disk to the last byte.
    pub fn fill_disk(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("the disk of the gateway can be reached");
        let full = std::iter::repeat_with(|| ballast.write_all(&[1; 4096])).find_map(Result::err);
        assert_eq!(full.expect("no disk is endless").kind(), std::io::ErrorKind::StorageFull);
    }

    /// Takes away what filled it.
    pub fn empty_disk(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    /// The path by which others see what only the gateway has mounted.
    fn ballast(&self) -> PathBuf {
        let folder = self.folder().strip_prefix("/").expect("temporary folders have absolute paths");
        Path::new(&format!("/proc/{}/root", self.pid())).join(folder).join("disk/ballast")
    }

    /// On a socket that is open already.
    pub fn start_on(configuration: &str, socket: &std::net::TcpListener) -> Self {
        let environment = vec![(SOCKET.to_owned(), "yes".to_owned())];
        Self::run_with(Self::prepare(configuration), environment, Self::as_input(socket))
    }

    /// On sockets that systemd opens: addresses, and names of files in the gateway's folder. Begins with the first that
    /// connects to one of them, who has to be another thread.
    pub fn start_by_systemd(configuration: &str, sockets: &[&str], names: &str) -> Self {
        let folder = Self::prepare(configuration);
        let place = |socket: &&str| match socket.parse::<SocketAddr>() {
            Ok(address) => format!("--listen={address} "),
            Err(_) => format!("--listen={} ", folder.path().join(socket).display()),
        };
        let words = sockets.iter().map(place).collect::<String>() + names;
        let environment = vec![(BY_SYSTEMD.to_owned(), words)];
        Self::run(folder, environment)
    }

    /// What it says when it does not start on such a socket.
    pub fn refused_on(configuration: &str, socket: &std::net::TcpListener) -> String {
        let folder = Self::prepare(configuration);
        let mut command = Self::command(&folder);
        let output = command.env(SOCKET, "yes").stdin(Self::as_input(socket)).output().expect("locum runs");
        assert!(!output.status.success(), "it started");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn as_input(socket: &std::net::TcpListener) -> Stdio {
        std::os::fd::OwnedFd::from(socket.try_clone().expect("another descriptor")).into()
    }

    fn command(folder: &Arc<TempDir>) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", SURROUNDINGS])
            .arg(binary())
            .args(["serve", "--config"])
            .arg(folder.path().join("locum.toml"));
        command.env("LOCUM__LOG__FORMAT", "json");
        command
    }

    fn run(folder: Arc<TempDir>, environment: Vec<(String, String)>) -> Self {
        Self::run_with(folder, environment, Stdio::null())
    }

    fn run_with(folder: Arc<TempDir>, environment: Vec<(String, String)>, input: Stdio) -> Self {
        let mut child = Self::command(&folder)
            .envs(environment.iter().cloned())
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("locum starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let (said, says) = std::sync::mpsc::channel();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = serving(&line) {
                    said.send(address).ok();
                }
                let mut kept = kept.lock().expect("nobody panics with the log in hand");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let Ok(address) = says.recv_timeout(START) else {
            child.kill().ok();
            panic!("the gateway did not start:\n{}", log.lock().unwrap());
        };
        Self { child, folder, address, environment, log }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder().join("locum.sock")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that the gateway has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// `kill -9`, and a new process on the same folder.
    #[cfg(feature = "failpoints")]
    pub fn kill_and_restart(self, environment: &[(&str, &str)]) -> Self {
        let folder = Arc::clone(&self.folder);
        drop(self);
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::run(folder, environment)
    }

    /// Ends by SIGTERM, and starts again on the same folder.
    pub fn restart(mut self) -> Self {
        self.terminate();
        let folder = Arc::clone(&self.folder);
        let environment = self.environment.clone();
        drop(self);
        Self::run(folder, environment)
    }

    /// Waits for its end, and says whether it was an orderly one.
    pub fn ended(&mut self) -> bool {
        self.child.wait().expect("the gateway ends").success()
    }

    /// SIGTERM; waits for the end and says whether it was an orderly one.
    pub fn terminate(&mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the gateway runs");
        self.child.wait().expect("the gateway ends").success()
    }

    /// Runs a command of the command line against this gateway.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with_input(arguments, "")
    }

    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(binary())
            .args(arguments)
            .env("LOCUM_ADMIN_SOCKET", self.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("locum runs");
        child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).ok();
        child.wait_with_output().expect("locum ends")
    }

    /// Runs a command that has to succeed; answers with what it printed.
    pub fn run_cli(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "locum {arguments:?}: {stderr}\n{}", self.log());
        String::from_utf8(output.stdout).expect("the command line prints UTF-8")
    }

    /// Runs a command with `--json` that has to succeed.
    pub fn json_cli(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let text = self.run_cli(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
    }

    /// Adds a person, and the proxy user `NAME-ci` of that person; answers with a usable PAT of it.
    pub fn add_proxy_user_of(&self, person: &str) -> ProxyUser {
        self.run_cli(&["person", "add", person]);
        let username = format!("{person}-ci");
        self.run_cli(&["proxy-user", "add", &username, "--owner", person]);
        self.new_pat(&username)
    }

    /// Makes and confirms a PAT.
    pub fn new_pat(&self, username: &str) -> ProxyUser {
        let made = self.json_cli(&["pat", "add", username, "--service", "tests", "--confirm"]);
        ProxyUser {
            username: username.to_owned(),
            pat: made["token"].as_str().expect("a token").to_owned(),
            public_id: made["public_id"].as_str().expect("a public id").to_owned(),
        }
    }

    pub fn state_of(&self, username: &str) -> String {
        let shown = self.json_cli(&["proxy-user", "show", username]);
        shown["state"].as_str().expect("a state").to_owned()
    }

    /// The actions of one type done to an account, newest first.
    pub fn actions(&self, username: &str, kind: &str) -> Vec<Value> {
        let all = self.json_cli(&["history", "--account", username, "--type", kind, "--limit", "500"]);
        all.as_array().expect("an array").clone()
    }

    /// One GET with `Connection: close` from the loopback address.
    pub fn get(&self, host: &str, path: &str, headers: &str) -> Answer {
        self.get_from(Ipv4Addr::LOCALHOST.into(), host, path, headers)
    }

    /// The same from another address of the loopback network.
    pub fn get_from(&self, source: IpAddr, host: &str, path: &str, headers: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        self.send_from(source, request.as_bytes())
    }

    /// Sends bytes and reads until the end of the connection.
    pub fn send(&self, bytes: &[u8]) -> Answer {
        self.send_from(Ipv4Addr::LOCALHOST.into(), bytes)
    }

    pub fn send_from(&self, source: IpAddr, bytes: &[u8]) -> Answer {
        let mut stream = connect_from(source, self.address);
        stream.write_all(bytes).expect("the request is sent");
        read_answer(&mut stream)
    }
}

impl Drop for Locum {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A proxy user with a usable PAT.
#[derive(Debug, Clone)]
pub struct ProxyUser {
    pub username: String,
    pub pat: String,
    pub public_id: String,
}

impl ProxyUser {
    /// The header line of `Authorization: Basic`.
    pub fn basic(&self) -> String {
        basic(&self.username, &self.pat)
    }

    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.pat)
    }

    /// A well-formed PAT with the public id of this one and another secret.
    pub fn guess(&self, number: u64) -> String {
        let body = format!("locum_pat_{}{number:040}", self.public_id);
        format!("{body}{}", checksum(&body))
    }
}

/// The header line of `Authorization: Basic` for any name and password.
pub fn basic(username: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

/// The checksum at the end of a token, written here a second time so that the tests do not believe
/// the program's own.
pub fn checksum(body: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = String::new();
    for _ in 0..6 {
        digits.insert(0, char::from(DIGITS[rest as usize % DIGITS.len()]));
        rest /= 62;
    }
    digits
}

pub fn connect_from(source: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("the source address is ours");
    socket.connect(&to.into()).expect("the gateway accepts");
    let stream: TcpStream = socket.into();
    stream.set_nodelay(true).expect("the socket is connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("the timeout is not zero");
    stream
}

/// Reads one answer from a connection that the gateway closes after it.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset && !bytes.is_empty() => {}
        Err(error) => panic!("the answer could not be read: {error}; so far: {}", String::from_utf8_lossy(&bytes)),
    }
    parse_answer(&bytes)
}

pub fn parse_answer(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.lines().any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding: chunked"));
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        if size == 0 || after.len() < size {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap_or("");
    }
    body
}

/// A loopback address on which nothing listens.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

fn serving(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] != "serving" {
        return None;
    }
    line["listen"].as_str()?.parse().ok()
}

/// The program that was built with the tests, or the one that `LOCUM_BIN` names.
pub fn binary() -> &'static str {
    static BINARY: LazyLock<String> = LazyLock::new(|| {
        let named = std::env::var_os("LOCUM_BIN").map(|named| named.into_string().expect("a path in UTF-8"));
        named.unwrap_or_else(|| env!("CARGO_BIN_EXE_locum").to_owned())
    });
    &BINARY
}
