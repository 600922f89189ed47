//! Rights over Locum itself: who may do what, as a table that is checked in.
//!
//! A change of policy is a change of `tests/matrix/rights.txt`, which anybody can read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use locum::directory::api_key::Scopes;
use locum::directory::rights::{Caller, Grade, Operation, Right, Subject, may};
use locum::directory::{AccountId, AppName, PublicId};

const MATRIX: &str = include_str!("matrix/rights.txt");

fn id(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn app(name: &str) -> Option<AppName> {
    AppName::parse(name).ok()
}

/// The caller's own account, and somebody else's.
const OWN: u8 = 1;
const OTHER: u8 = 2;

fn callers() -> Vec<(&'static str, Caller)> {
    let person = |grade, granted: &[Right]| Caller::Person {
        account: id(OWN),
        grade,
        granted: granted.iter().copied().collect::<BTreeSet<_>>(),
    };
    let key = |grade| Caller::ApiKey {
        account: id(OWN),
        grade,
        key: PublicId::parse("0123456789ab").expect("twelve letters and digits"),
        scopes: Scopes::parse(["all:write"]).expect("every scope that there is"),
    };
    let of_crm = || Grade::OfApps(app("crm").into_iter().collect());
    vec![
        ("host shell", Caller::HostShell { unix_user: "root".to_owned() }),
        ("super administrator", person(Grade::SuperAdministrator, &[])),
        ("administrator", person(Grade::Administrator, &[])),
        ("administrator of crm", person(of_crm(), &[])),
        ("person", person(Grade::None, &[])),
        ("person who may add proxy users", person(Grade::None, &[Right::AddProxyUsers])),
        ("person who may update users", person(Grade::None, &[Right::UpdateUsersAndPermissions])),
        ("proxy user", Caller::ProxyUser { account: id(OWN) }),
        ("person standing in", Caller::StandIn { holder: id(OWN), target: id(OTHER) }),
        ("key of a super administrator", key(Grade::SuperAdministrator)),
        ("key of an administrator", key(Grade::Administrator)),
        ("key of an administrator of crm", key(of_crm())),
    ]
}

fn operations() -> Vec<(&'static str, Operation)> {
    let see = |account: u8, owner: Option<u8>| Operation::SeeAccount {
        subject: Subject::Account { id: id(account), owner: owner.map(id) },
    };
    let (own, other) = (id(OWN), id(OTHER));
    vec![
        ("see the own account", see(OWN, None)),
        ("see an own proxy user", see(9, Some(OWN))),
        ("see somebody else's account", see(OTHER, None)),
        ("see somebody else's proxy user", see(9, Some(OTHER))),
        ("list everybody", Operation::SeeAccount { subject: Subject::Everybody }),
        ("make a token for an own proxy user", Operation::MakeToken { owner: own }),
        ("make a token for another's proxy user", Operation::MakeToken { owner: other }),
        ("revoke a token of an own proxy user", Operation::RevokeToken { owner: own }),
        ("revoke a token of another's proxy user", Operation::RevokeToken { owner: other }),
        ("inactivate an own proxy user", Operation::InactivateProxyUser { owner: own }),
        ("inactivate another's proxy user", Operation::InactivateProxyUser { owner: other }),
        ("activate, delete, change an own proxy user", Operation::ManageProxyUser { owner: own }),
        ("activate, delete, change another's proxy user", Operation::ManageProxyUser { owner: other }),
        ("add a proxy user of one's own", Operation::AddProxyUser { owner: own }),
        ("add a proxy user of somebody else", Operation::AddProxyUser { owner: other }),
        ("manage users", Operation::ManageUsers),
        ("change what is known of oneself", Operation::EditPersonal { of: own }),
        ("change what is known of somebody else", Operation::EditPersonal { of: other }),
        ("give or take a role of crm", Operation::Grant { app: app("crm") }),
        ("give or take a role of wiki", Operation::Grant { app: app("wiki") }),
        ("give or take a system role", Operation::Grant { app: None }),
        ("manage stand-ins", Operation::ManageStandIns),
        ("end own sessions", Operation::EndSessions { of: own }),
        ("end another's sessions", Operation::EndSessions { of: other }),
        ("define roles of crm", Operation::DefineRoles { app: app("crm") }),
        ("define roles of wiki", Operation::DefineRoles { app: app("wiki") }),
        ("define system roles", Operation::DefineRoles { app: None }),
        ("add to a code table", Operation::ManageCodes),
        ("manage jobs and schedules", Operation::ManageJobs),
        ("read the history of crm", Operation::ReadHistory { app: app("crm") }),
        ("read the history of wiki", Operation::ReadHistory { app: app("wiki") }),
        ("read the whole history", Operation::ReadHistory { app: None }),
        ("export the history", Operation::ExportHistory),
        ("list administrators", Operation::ListAdministrators),
        ("add or edit an administrator", Operation::EditAdministrator),
        ("deactivate or promote an administrator", Operation::ManageAdministrator),
        ("manage the installation", Operation::ManageInstallation),
        ("make a key of one's own", Operation::MakeApiKey { owner: own }),
        ("make a key that acts as somebody else", Operation::MakeApiKey { owner: other }),
        ("list and revoke keys", Operation::ManageApiKeys),
        ("look at the gateway", Operation::SeeGateway),
        ("break the glass", Operation::BreakGlass),
    ]
}

/// Callers across, operations down; the callers' names are numbered above, since they are long.
fn printed() -> String {
    let (callers, operations) = (callers(), operations());
    let mut table = String::new();
    for (number, (name, _)) in callers.iter().enumerate() {
        writeln!(table, "{:>2}  {name}", number + 1).expect("a string takes everything");
    }
    let width = operations.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let numbers = (1..=callers.len()).map(|number| format!("{number:>3}")).collect::<Vec<_>>().concat();
    writeln!(table, "\n{:width$} {numbers}", "").expect("a string takes everything");
    for (name, operation) in &operations {
        let cells: String =
            callers.iter().map(|(_, caller)| if may(caller, operation).is_ok() { "  ✔" } else { "  ✘" }).collect();
        writeln!(table, "{name:width$} {cells}").expect("a string takes everything");
    }
    table
}

/// The rights table, P1, P14, R5, A1, A4, A5: as it is printed in `tests/matrix/rights.txt`.
#[test]
fn the_matrix_is_the_one_that_is_checked_in() {
    let printed = printed();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rights.txt");
    std::fs::write(&place, &printed).expect("the target folder can be written");
    assert_eq!(
        printed,
        MATRIX,
        "rights have changed. If that is meant, look at the difference and take it over: \
         cp {} tests/matrix/rights.txt",
        place.display()
    );
}

/// The matrix names every operation that there is: a new one does not compile here until it has a row.
#[test]
fn every_operation_has_a_row() {
    let row = |operation: &Operation| match operation {
        Operation::SeeAccount { .. } => 0,
        Operation::MakeToken { .. } => 1,
        Operation::RevokeToken { .. } => 2,
        Operation::InactivateProxyUser { .. } => 3,
        Operation::ManageProxyUser { .. } => 4,
        Operation::AddProxyUser { .. } => 5,
        Operation::ManageUsers => 6,
        Operation::Grant { .. } => 7,
        Operation::ManageStandIns => 8,
        Operation::EndSessions { .. } => 9,
        Operation::DefineRoles { .. } => 10,
        Operation::ManageCodes => 11,
        Operation::ManageJobs => 12,
        Operation::ReadHistory { .. } => 13,
        Operation::ListAdministrators => 14,
        Operation::EditAdministrator => 15,
        Operation::ManageAdministrator => 16,
        Operation::ManageInstallation => 17,
        Operation::BreakGlass => 18,
        Operation::ExportHistory => 19,
        Operation::MakeApiKey { .. } => 20,
        Operation::ManageApiKeys => 21,
        Operation::SeeGateway => 22,
        Operation::EditPersonal { .. } => 23,
    };
    let rows: BTreeSet<_> = operations().iter().map(|(_, operation)| row(operation)).collect();
    assert_eq!(rows, (0..=23).collect());
}

/// P14: a proxy user, and a person while standing in, has no right over Locum at all.
#[test]
fn proxy_users_and_stand_ins_have_no_rights() {
    let nobody = [Caller::ProxyUser { account: id(OWN) }, Caller::StandIn { holder: id(OWN), target: id(OTHER) }];
    for caller in &nobody {
        for (name, operation) in operations() {
            assert!(may(caller, &operation).is_err(), "{caller:?} may {name}");
        }
    }
}

/// P1: over the network the owner is whoever asks; only the host shell names somebody else, and a key
/// mints nothing.
#[test]
fn nobody_on_the_network_adds_a_proxy_user_for_somebody_else() {
    for (name, caller) in callers() {
        let for_other = may(&caller, &Operation::AddProxyUser { owner: id(OTHER) }).is_ok();
        assert_eq!(for_other, matches!(caller, Caller::HostShell { .. }), "{name}");
        if let Caller::ApiKey { .. } = caller {
            assert!(may(&caller, &Operation::AddProxyUser { owner: id(OWN) }).is_err(), "{name}");
            assert!(may(&caller, &Operation::MakeToken { owner: id(OWN) }).is_err(), "{name}");
            assert!(may(&caller, &Operation::MakeApiKey { owner: id(OWN) }).is_err(), "{name}");
        }
    }
}
