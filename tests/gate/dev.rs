//! `serve --dev`: from an empty folder to an answer of the example app, or of a real one (C3).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;

use crate::locum::binary;
use crate::upstream::Upstream;

/// A started `serve --dev`, killed when dropped, and what it wrote into `dev.env`.
struct Dev {
    process: std::process::Child,
    environment: BTreeMap<String, String>,
}

impl Dev {
    fn start(state: &Path, more: &[&str]) -> Self {
        let before = std::fs::metadata(state.join("dev.env")).and_then(|data| data.modified()).ok();
        let process = Command::new(binary())
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut dev = Self { process, environment: BTreeMap::new() };
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let now = std::fs::metadata(state.join("dev.env")).and_then(|data| data.modified()).ok();
            if now.is_some() && now != before {
                break;
            }
            let ended = dev.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "dev.env was not written ({ended:?})");
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = String::from_utf8(std::fs::read(state.join("dev.env")).unwrap()).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        dev.environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        dev
    }

    fn value(&self, name: &str) -> &str {
        self.environment.get(name).unwrap_or_else(|| panic!("{name} is missing"))
    }

    /// What real curl gets for `/hello?a=b` with a password, and the status behind it.
    fn curl(&self, password: &str) -> String {
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-w", "\n%{http_code}", "-u"])
            .arg(format!("{}:{password}", self.value("LOCUM_USERNAME")))
            .arg(format!("{}/hello?a=b", self.value("LOCUM_URL")))
            .output()
            .expect("curl is installed");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// C3: from nothing to an answer, with real curl; a second start works on what is there.
#[test]
fn serve_dev_gives_a_gateway_to_try_and_a_second_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("dev");
    let dev = Dev::start(&state, &[]);
    let pat = dev.value("LOCUM_PAT").to_owned();
    let answer = dev.curl(&pat);
    assert!(answer.ends_with("\n200"), "{answer}");
    let seen: serde_json::Value = serde_json::from_str(answer.trim_end_matches("200")).unwrap();
    assert_eq!((seen["method"].as_str(), seen["path"].as_str()), (Some("GET"), Some("/hello")));
    assert_eq!(seen["headers"]["x-locum-user"], dev.value("LOCUM_USERNAME"));
    assert_eq!(seen["headers"]["x-locum-owner"], dev.value("LOCUM_OWNER"));
    drop(dev);

    let again = Dev::start(&state, &[]);
    assert_eq!(again.value("LOCUM_PAT"), pat, "the token goes on");
    assert!(again.curl(&pat).ends_with("\n200"));
    for number in 0..5 {
        assert!(again.curl(&format!("wrong-{number}")).ends_with("\n401"));
    }
    assert!(again.curl(&pat).ends_with("\n401"), "the fifth wrong attempt shut the account");
    drop(again);

    let third = Dev::start(&state, &[]);
    let shown = Command::new(binary())
        .args(["proxy-user", "show", "--json", third.value("LOCUM_USERNAME")])
        .env("LOCUM_ADMIN_SOCKET", third.value("LOCUM_ADMIN_SOCKET"))
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["state"], "inactive", "a start repairs nothing by itself");
}

/// C3, G6, G7: `--upstream` puts a real app where the example was. The app is told who asks and never sees
/// the token; the next start with the same folder and app goes on, and one without the app has the example
/// again, because the file of the operator was not touched.
#[test]
fn serve_dev_with_an_upstream_puts_a_real_app_there_start_after_start() {
    let app = Upstream::answering(|_| b"the real app".to_vec());
    let (folder, url) = (tempfile::tempdir().unwrap(), format!("http://{}", app.address));
    let state = folder.path().join("dev");
    let mut tokens = Vec::new();
    for start in 1..=2 {
        let dev = Dev::start(&state, &["--upstream", &url]);
        let pat = dev.value("LOCUM_PAT").to_owned();
        assert_eq!(dev.curl(&pat), "the real app\n200", "start {start}");
        assert_eq!(app.count(), start, "one request a start");
        let seen = app.last();
        assert_eq!(seen.request_line(), "GET /hello?a=b HTTP/1.1");
        assert_eq!(seen.value("x-locum-user").as_deref(), Some(dev.value("LOCUM_USERNAME")));
        assert_eq!(seen.value("x-locum-owner").as_deref(), Some(dev.value("LOCUM_OWNER")));
        assert_eq!(seen.value("x-locum-kind").as_deref(), Some("proxy"));
        assert_eq!(seen.value("authorization"), None);
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{pat}", dev.value("LOCUM_USERNAME")));
        let text = seen.text();
        assert!(!text.contains(&pat) && !text.contains(&pair), "the token arrived: {text}");
        assert!(dev.curl("wrong").ends_with("\n401"));
        assert_eq!(app.count(), start, "a refused request does not arrive");
        tokens.push(pat);
    }
    assert_eq!(tokens[0], tokens[1], "the token goes on");

    let without = Dev::start(&state, &[]);
    assert!(without.curl(&tokens[0]).contains("\"path\": \"/hello\""), "{}", without.curl(&tokens[0]));
    assert_eq!(app.count(), 2);
}
