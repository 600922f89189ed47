//! A real PostgreSQL in a folder of its own, gone with the process that started it.
//!
//! A little shell stands between: it waits for the end of its standard input, which comes whatever way
//! the tests end, then stops the server and removes the folder. The server refuses to run as root, so
//! as root it runs as the user `postgres`.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub const USER: &str = "locum";
pub const PASSWORD: &str = "s3cr3t+of/the%tests";

/// Starts the server, waits for the end of its own input, stops the server and cleans up.
const KEEPER: &str = r#"folder=$1; shift
"$@" > "$folder/log" 2>&1 & server=$!
cat > /dev/null
kill -INT $server; wait $server; rm -rf "$folder""#;

/// A running server.
pub struct Postgres {
    port: u16,
    bin: PathBuf,
    keeper: Child,
    /// Its end is the end of the server.
    stdin: Option<ChildStdin>,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that all tests of this process share. It does not flush its files: no test here cuts
    /// the power.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["-c", "fsync=off", "-c", "max_connections=200"]))
    }

    /// A server of one's own, with more options of `postgres`.
    pub fn start(options: &[&str]) -> Self {
        Self::start_behind(&[], options)
    }

    /// The same behind `wrapper`, a command that runs its arguments.
    pub fn start_behind(wrapper: &[&OsStr], options: &[&str]) -> Self {
        let bin = bin_folder();
        let folder = tempfile::Builder::new().prefix("locum-postgres-").tempdir().expect("a temporary folder").keep();
        let password_file = folder.join("password");
        std::fs::write(&password_file, PASSWORD).expect("the password is written");
        let as_root = rustix::process::geteuid().is_root();
        if as_root {
            run(Command::new("chown").arg("-R").arg("postgres").arg(&folder));
        }
        let data = folder.join("data");
        run(as_postgres(as_root, &bin.join("initdb"))
            .args(["--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["-U", USER, "-A", "scram-sha-256", "--pwfile"])
            .arg(&password_file)
            .arg("-D")
            .arg(&data));
        let port = free_port();
        let mut server = as_postgres(as_root, &bin.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", "shared_buffers=32MB"]).args(options);
        let mut keeper = Command::new("sh")
            .arg("-c")
            .arg(KEEPER)
            .arg("sh")
            .arg(&folder)
            .args(wrapper)
            .arg(server.get_program())
            .args(server.get_args())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let stdin = keeper.stdin.take();
        let postgres = Self { port, bin, keeper, stdin, databases: AtomicU32::new(0) };
        postgres.wait_until_it_answers(&folder);
        postgres
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database; answers with its URL.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("locum_{number}");
        run(self.client("createdb").arg(&name));
        self.url(&name)
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        let password = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC);
        format!("postgres://{USER}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// One of the server's client programs, told how to reach it.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER]).env("PGPASSWORD", PASSWORD);
        command
    }

    fn wait_until_it_answers(&self, folder: &Path) {
        let started = Instant::now();
        loop {
            let ready = self.client("pg_isready").args(["-d", "postgres"]).output().expect("pg_isready runs");
            if ready.status.success() && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            if started.elapsed() > Duration::from_mins(1) {
                let mut log = String::new();
                let read = std::fs::File::open(folder.join("log")).and_then(|mut file| file.read_to_string(&mut log));
                panic!("PostgreSQL did not start ({read:?}): {log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            // the end of the input is what counts; flushing nothing cannot fail in a way that matters
            let _flushed = stdin.flush();
            drop(stdin);
            self.keeper.wait().expect("the shell ends");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Where the server's programs are: beside `pg_ctl` on the path, or where Debian keeps them.
fn bin_folder() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<PathBuf> = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    versions.sort();
    let on_path = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    on_path
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        .into_iter()
        .chain(versions.into_iter().rev())
        .find(|folder| folder.join("initdb").exists())
        .expect("PostgreSQL's server has to be installed for this test: `apt-get install postgresql`")
}

fn as_postgres(as_root: bool, program: &Path) -> Command {
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
