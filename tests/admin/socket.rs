//! The Unix socket: who can stand in its place, who can connect, how it ends.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use locum::admin::{Afterwards, BoundSocket, Peer, SocketError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

fn whoami() -> Router {
    Router::new().route(
        "/",
        get(async |axum::Extension(peer): axum::Extension<Peer>| format!("{} {}", peer.uid, peer.unix_user)),
    )
}

async fn ask(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: l\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// C4: mode 0600, the kernel's word for who is at the other end, and gone at the end.
#[tokio::test]
async fn the_socket_is_private_knows_its_peer_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locum.sock");
    let bound = BoundSocket::bind(&path).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(bound.serve(whoami(), async {
        ended.await.ok();
        Afterwards::Remove
    }));
    let uid = rustix::process::getuid().as_raw();
    assert!(ask(&path).await.contains(&format!("\r\n\r\n{uid} ")));
    end.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
    assert!(!path.exists());
}

/// A socket that is served is left alone; one that its process left behind is replaced; what is no socket
/// is not touched.
#[tokio::test]
async fn only_a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locum.sock");
    let bound = BoundSocket::bind(&path).await.unwrap();
    assert!(matches!(BoundSocket::bind(&path).await, Err(SocketError::InUse(_))));
    drop(bound);
    assert!(path.exists(), "as after kill -9");
    drop(BoundSocket::bind(&path).await.unwrap());

    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(BoundSocket::bind(&file).await, Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

/// Nobody else may be able to put a socket in the place of ours.
#[tokio::test]
async fn a_folder_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refusal = BoundSocket::bind(&open.join("s")).await.unwrap_err();
    assert!(refusal.to_string().contains("chmod go-w"), "{refusal}");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o1777)).unwrap();
    drop(BoundSocket::bind(&open.join("s")).await.unwrap());

    let absent = BoundSocket::bind(&folder.path().join("absent/s")).await.unwrap_err();
    assert!(matches!(absent, SocketError::Folder { .. }), "{absent}");
    let long = folder.path().join("x".repeat(120));
    assert!(matches!(BoundSocket::bind(&long).await, Err(SocketError::TooLong(_))));
}

/// A socket of another gateway that took the path meanwhile is not removed at our end.
#[tokio::test]
async fn anothers_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locum.sock");
    let first = BoundSocket::bind(&path).await.unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    let second = BoundSocket::bind(&path).await.unwrap();
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), inode);
    first.serve(whoami(), std::future::ready(Afterwards::Remove)).await;
    assert!(path.exists());
    second.serve(whoami(), std::future::ready(Afterwards::Remove)).await;
    assert!(!path.exists());
}
