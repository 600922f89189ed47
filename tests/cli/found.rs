//! Which gateway is meant, and what happens where none runs or another process has the store.

use std::fs::File;
use std::io::Write as _;

use crate::{Installation, command, into_ran, locum};

/// C4: nothing named, nothing there: a message that says what would be right.
#[test]
fn without_a_name_and_without_a_development_folder_it_asks_which() {
    let folder = tempfile::tempdir().unwrap();
    let ran = locum(&["person", "list"], "", folder.path());
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`--config FILE` or `--state DIR`") && ran.err.contains("LOCUM_ADMIN_SOCKET"), "{ran:?}");
}

/// C4: a state folder is named by `--state`, and `./locum-dev` is found by itself.
#[test]
fn a_state_folder_is_found() {
    let at = Installation::with_household();
    let folder = at.path().to_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let by_state = locum(&["person", "list", "--json", "--state", folder], "", elsewhere.path()).json();
    assert_eq!(by_state[0]["username"], "ann");
    std::os::unix::fs::symlink(at.path(), elsewhere.path().join("locum-dev")).unwrap();
    let by_default = locum(&["person", "list", "--json"], "", elsewhere.path()).json();
    assert_eq!(by_default, by_state);
    let none = locum(&["person", "list", "--state", "nothing"], "", elsewhere.path());
    assert!(none.code == 1 && none.err.contains("`nothing` is no state folder"), "{none:?}");
}

/// C4: a `./locum-dev` that somebody else could have put there is not taken for ours; named, it is.
#[test]
fn a_development_folder_that_others_can_write_to_is_not_found_by_itself() {
    use std::os::unix::fs::PermissionsExt as _;
    let at = Installation::with_household();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(at.path(), elsewhere.path().join("locum-dev")).unwrap();
    std::fs::set_permissions(at.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = locum(&["person", "list"], "", elsewhere.path());
    assert!(ran.code == 1 && ran.err.contains("others can write to it"), "{ran:?}");
    let named = locum(&["person", "list", "--state", "locum-dev"], "", elsewhere.path());
    assert_eq!(named.code, 0, "{named:?}");
}

/// C4: the variable names a running gateway; the options win over it.
#[test]
fn the_variable_names_a_running_gateway_and_options_win_over_it() {
    let at = Installation::with_household();
    let socket = at.path().join("nobody.sock");
    let with_variable = |arguments: &[&str]| {
        into_ran(command(arguments, at.path()).env("LOCUM_ADMIN_SOCKET", &socket).output().unwrap())
    };
    let ran = with_variable(&["person", "list"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no gateway listens on `") && ran.err.contains("nobody.sock"), "{ran:?}");
    let file = at.configuration();
    assert_eq!(with_variable(&["person", "list", "--config", file.to_str().unwrap()]).code, 0);
}

/// Decision 20: another process has the store: refused, and the holder named.
#[test]
fn a_store_that_another_process_has_is_refused_with_its_holder() {
    let at = Installation::with_household();
    let mut lock = File::options().write(true).truncate(true).open(at.path().join("locum.db.lock")).unwrap();
    lock.lock().unwrap();
    writeln!(lock, "locum serve, process 4711 on gate-1").unwrap();
    let ran = at.run(&["person", "add", "bob"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("locum serve, process 4711 on gate-1 is using the store"), "{ran:?}");
    lock.unlock().unwrap();
    assert_eq!(at.json(&["person", "list"]).as_array().unwrap().len(), 1);
}

/// Commands at the same time wait for each other: scripts that run several lose nothing.
#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let at = Installation::with_household();
    let file = at.configuration();
    let children: Vec<_> = (0..4)
        .map(|number| {
            let name = format!("person-{number}");
            let arguments = ["person", "add", &name, "--config", file.to_str().unwrap()].map(str::to_owned);
            let folder = at.path().to_owned();
            std::thread::spawn(move || locum(&arguments.each_ref().map(String::as_str), "", &folder))
        })
        .collect();
    let ran: Vec<_> = children.into_iter().map(|child| child.join().unwrap()).collect();
    assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
    assert_eq!(at.json(&["person", "list"]).as_array().unwrap().len(), 5);
}

/// The health check is of a running gateway only.
#[test]
fn the_health_check_fails_where_no_gateway_runs() {
    let at = Installation::new();
    let ran = at.run(&["healthcheck"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no gateway listens on"), "{ran:?}");
    assert!(!at.path().join("locum.db").exists(), "a health check makes nothing");
}
