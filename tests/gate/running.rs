//! What is running when an access is withdrawn or runs out is cut.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use locum::clock::{Clock as _, SystemClock, Timestamp};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::locum::{Locum, ProxyUser, configuration, connect_from};

/// An app that streams for ever: a chunk each 20 ms.
pub fn endless_app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut request = [0; 4096];
                if stream.read(&mut request).is_err() {
                    return;
                }
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                let mut alive = stream.write_all(head.as_bytes()).is_ok();
                while alive {
                    alive = stream.write_all(b"8\r\ndata: x\n\r\n").is_ok();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    address
}

/// What the user is being sent by an [`endless_app`], once it has begun.
pub fn running_stream(gate: &Locum, user: &ProxyUser) -> TcpStream {
    let mut stream = connect_from(Ipv4Addr::LOCALHOST.into(), gate.address());
    let request = format!("GET /events HTTP/1.1\r\nHost: app.test\r\n{}\r\n", user.basic());
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = vec![0; 4096];
    let mut got = 0;
    while !received[..got].ends_with(b"data: x\n\r\n") {
        let more = stream.read(&mut received[got..]).expect("the stream runs");
        assert!(more > 0, "the stream ended before it ran: {}", String::from_utf8_lossy(&received[..got]));
        got += more;
    }
    stream
}

/// Withdraws something from the person named and the token with that public id.
type Withdraw<'a> = &'a dyn Fn(&str, &str);

/// R2, R3: whatever withdraws access also cuts what is running.
#[test]
fn a_running_stream_is_cut_when_access_is_withdrawn() {
    let gate = Locum::start(&configuration(endless_app(), ""));
    gate.run_cli(&["role", "add", "admin"]);
    let withdrawals: [(&str, Withdraw<'_>); 5] = [
        ("pat revoke", &|_, pat| drop(gate.run_cli(&["pat", "revoke", pat, "--reason", "other"]))),
        ("proxy-user inactivate", &|name, _| drop(gate.run_cli(&["proxy-user", "inactivate", &format!("{name}-ci")]))),
        ("person inactivate", &|name, _| drop(gate.run_cli(&["person", "inactivate", name]))),
        ("person delete", &|name, _| drop(gate.run_cli(&["person", "delete", name]))),
        ("app remove", &|name, _| drop(gate.run_cli(&["app", "remove", name, "app"]))),
    ];
    for (number, (what, withdraw)) in withdrawals.iter().enumerate() {
        let name = format!("user{number}");
        let user = gate.add_proxy_user_of(&name);
        let mut stream = running_stream(&gate, &user);
        withdraw(&name, &user.public_id);
        let withdrawn = Instant::now();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(withdrawn.elapsed() < Duration::from_secs(2), "{what}: cut after {:?}", withdrawn.elapsed());
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{what}: a cut is not a clean end ({ended:?})");
    }
}

/// T7, R3: both tokens of a rotation are good while they overlap; then the old one is refused, what runs with it is cut,
/// and the history says why. The new one goes on.
#[test]
fn a_rotated_token_ends_with_what_runs_and_its_successor_goes_on() {
    let gate = Locum::start(&configuration(endless_app(), ""));
    let old = gate.add_proxy_user_of("ann");
    let mut ending = running_stream(&gate, &old);
    let rotated = gate.json_cli(&["pat", "rotate", &old.public_id, "--overlap", "3s", "--confirm"]);
    let confirmed = Instant::now();
    let new = ProxyUser {
        username: old.username.clone(),
        pat: rotated["token"].as_str().unwrap().to_owned(),
        public_id: rotated["public_id"].as_str().unwrap().to_owned(),
    };
    let mut staying = running_stream(&gate, &new);
    drop(running_stream(&gate, &old));
    assert!(confirmed.elapsed() < Duration::from_secs(3), "this machine is too slow to see the overlap");

    let mut rest = Vec::new();
    drop(ending.read_to_end(&mut rest));
    let lasted = confirmed.elapsed();
    assert!(lasted > Duration::from_millis(2_500) && lasted < Duration::from_secs(5), "cut after {lasted:?}");
    assert_eq!(gate.get("app.test", "/", &old.basic()).status, 401);
    let mut more = [0; 64];
    assert!(staying.read(&mut more).unwrap() > 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    let revoked = loop {
        if let Some(revoked) = gate.actions("ann-ci", "pat_revoked").first() {
            break revoked.clone();
        }
        assert!(Instant::now() < deadline, "nobody has ended the token");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((&revoked["actor"], &revoked["object"]), (&"locum".into(), &old.public_id.as_str().into()));
    assert_eq!(gate.json_cli(&["pat", "show", &old.public_id])["revoked"]["reason"], "rotated");
}

/// Lets a token that nobody has used yet expire at `instant`. Past Locum, which gives none less than a minute.
fn set_expiry(gate: &Locum, user: &ProxyUser, instant: Timestamp) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gate.folder().join("locum.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        let changed = sqlx::query("UPDATE pats SET expires_at = ? WHERE public_id = ?")
            .bind(instant.as_millis())
            .bind(&user.public_id)
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1);
        connection.close().await.unwrap();
    });
}

/// R3: expiry cuts what runs by itself, at its instant and not before, and nothing else.
#[test]
fn a_running_stream_is_cut_when_its_token_runs_out() {
    let gate = Locum::start(&configuration(endless_app(), ""));
    let user = gate.add_proxy_user_of("ann");
    let lasting = gate.new_pat("ann-ci");
    let instant = SystemClock.now().plus(Duration::from_secs(3));
    set_expiry(&gate, &user, instant);
    let (mut stream, mut other) = (running_stream(&gate, &user), running_stream(&gate, &lasting));
    assert!(SystemClock.now() < instant, "the streams took too long to begin");
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    let cut = SystemClock.now();
    assert!(cut >= instant, "cut at {cut}, and it expires at {instant}");
    let late = cut.since(instant);
    assert!(late < Duration::from_secs(1), "cut {late:?} after its instant");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut is not a clean end ({ended:?})");
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 401);
    let mut more = [0; 4096];
    for _ in 0..20 {
        assert!(other.read(&mut more).unwrap() > 0, "the other token's runs on");
    }
}
