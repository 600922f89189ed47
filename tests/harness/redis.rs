//! A real Redis on a free port, in a folder of its own, that can be stopped, frozen and started again.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long Redis may take to start, on a busy machine.
const START: Duration = Duration::from_secs(20);

/// A Redis; ends with the value.
pub struct Redis {
    child: Option<Child>,
    address: SocketAddr,
    options: Vec<OsString>,
    folder: TempDir,
}

impl Redis {
    /// Starts one that keeps across restarts what it was told.
    pub fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// The same with more options of `redis-server`.
    pub fn start_with(options: Vec<OsString>) -> Self {
        let mut redis = Self::stopped();
        redis.options = options;
        redis.restart();
        redis
    }

    /// A place where a Redis will be, and is not yet.
    pub fn stopped() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        Self { child: None, address, options: Vec::new(), folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Ends it at once, as `kill -9` does.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours can be killed");
            child.wait().expect("a killed child ends");
        }
    }

    /// Starts it on the same port, with what it had written down.
    pub fn restart(&mut self) {
        self.stop();
        let child = Command::new("redis-server")
            .args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server` is installed");
        self.child = Some(child);
        let started = Instant::now();
        while self.try_ask("PING").is_none_or(|answer| !answer.starts_with("+PONG")) {
            assert!(started.elapsed() < START, "Redis does not answer on {}", self.address);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it on the same port, having forgotten everything.
    pub fn restart_empty(&mut self) {
        self.stop();
        self.folder = tempfile::tempdir().expect("a temporary folder");
        self.restart();
    }

    /// Stops it in its tracks (`SIGSTOP`): connections stay, nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks in words, such as `DBSIZE`, and answers what came back, as it came.
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).expect("Redis answers")
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "{command}\r\nQUIT\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("Redis was started");
        kill_process(Pid::from_child(child), signal).expect("a child of ours takes signals");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
