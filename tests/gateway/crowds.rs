//! Many clients at once, and some that leave in the middle: nobody ever gets somebody else's answer.

use std::time::Duration;

use crate::client::Client;
use crate::upstream::{Seen, Upstream};
use crate::world::{Credential, World};

/// An app that answers with the name that it was told.
fn naming() -> Upstream {
    Upstream::answering(|seen: &Seen| seen.value("X-Locum-User").unwrap_or_default().into_bytes())
}

fn get(credential: &Credential) -> String {
    format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", credential.basic())
}

/// CC-002: while half of the clients break off in the middle, every answer that arrives is the caller's own.
#[test]
fn every_answer_is_the_callers_own_while_others_break_off() {
    let upstream = naming();
    let world = World::before(upstream.address);
    let credentials: Vec<_> = (0..6).map(|n| world.proxy_user(&format!("robot-{n}"), &["user"])).collect();
    let address = world.address;
    let callers: Vec<_> = credentials
        .into_iter()
        .enumerate()
        .map(|(number, credential)| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                for round in 0..200 {
                    client.send(get(&credential));
                    match (round + number) % 4 {
                        // Gone before the answer.
                        0 => client = Client::connect(address),
                        // Gone with half of a second request on its way.
                        1 => {
                            client.send("POST /app/x HTTP/1.1\r\nHost: app.test\r\n");
                            client = Client::connect(address);
                        }
                        _ => {
                            let answer = client.answer().expect("there is an answer");
                            assert_eq!((answer.status, answer.text()), (200, credential.username.clone()));
                        }
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
}

/// AU-031: valid callers are let in by the hundreds while others fail as the same account.
#[test]
fn valid_callers_are_let_in_while_others_fail_as_the_same_account() {
    let upstream = naming();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let (address, good) = (world.address, get(&billing));
    // Four failures in a row, one short of the fifth, answered before the crowd comes.
    for _ in 0..4 {
        let mut client = Client::connect(address);
        client.send("GET /app/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Basic YmlsbGluZzpub25zZW5zZQ==\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 401);
    }
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let good = good.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let mut client = Client::connect(address);
                    client.send(&good);
                    assert_eq!(client.answer().unwrap().status, 200);
                }
            })
        })
        .collect();
    for caller in crowd {
        caller.join().unwrap();
    }
}

/// RV-007: what an app is told changes with the next request after a change.
#[test]
fn a_change_of_roles_is_told_at_once() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    let mut told = |expected: &str| {
        client.send(get(&billing));
        assert_eq!(client.answer().unwrap().status, 200);
        assert_eq!(upstream.last().value("X-Locum-Roles").as_deref(), Some(expected));
    };
    for _ in 0..3 {
        told("user");
        world.grant("billing-owner", "admin");
        told("admin,user");
        world.remove("billing-owner", "admin");
    }
    told("user");
    std::thread::sleep(Duration::from_millis(10));
    told("user");
}
