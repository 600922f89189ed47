//! Accounts from elsewhere (C6): what can be added is, and every line that cannot is named.

use serde_json::{Value, json};

use crate::Installation;

fn import(at: &Installation, kind: &[&str], text: &str) -> (i32, Value) {
    let file = at.path().join("given");
    std::fs::write(&file, text).unwrap();
    let ran = at.run(&[&["import", kind[0], file.to_str().unwrap()], &kind[1..], &["--json"]].concat());
    (ran.code, serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}")))
}

fn refused(report: &Value) -> Vec<(u64, &str)> {
    let lines = report["refused"].as_array().unwrap().iter();
    lines.map(|line| (line["line"].as_u64().unwrap(), line["code"].as_str().unwrap())).collect()
}

/// C6
#[test]
fn a_table_adds_accounts_and_every_line_it_refuses_is_named() {
    let at = Installation::new();
    at.say(&["role", "add", "reports", "--permission", "general:read"]);
    let table = "\u{feff}username,kind,owner,roles,networks,email\r\n\
                 ann,person,,reports,,ann@example.org\r\n\
                 ann-ci,proxy,ann,,10.0.0.0/8 ::1/128,\r\n\
                 bad name,,,,,\r\n\
                 bob,,,nope,,\r\n\
                 \"cyd\",,,,,\r\n\
                 ANN,,,,,\r\n\
                 dan,proxy,,,,\r\n\
                 eve,person,ann,,,\r\n\
                 fay,robot,,,,\r\n\
                 gus,,\r\n\
                 hal,,,,,ANN@example.org\r\n";
    let (code, report) = import(&at, &["csv"], table);
    assert_eq!((code, &report["added"]), (1, &json!(3)), "{report}");
    let expected = [
        (4, "invalid_request"),
        (5, "unknown_role"),
        (7, "username_look_alike"),
        (8, "invalid_request"),
        (9, "invalid_line"),
        (10, "invalid_line"),
        (11, "invalid_line"),
        (12, "email_taken"),
    ];
    assert_eq!(refused(&report), expected, "{report:#}");
    assert_eq!(at.json(&["proxy-user", "show", "ann-ci"])["networks"], json!(["10.0.0.0/8", "::1/128"]));
    assert_eq!(at.json(&["person", "show", "ann"])["roles"], json!(["reports"]));
    // given again, what was added is only said to be there
    let (code, again) = import(&at, &["csv"], "username\nann\nida\n");
    assert_eq!((code, &again["added"], refused(&again)), (1, &json!(1), vec![(2, "username_taken")]));
    assert_eq!(import(&at, &["csv"], "username\njo\n").0, 0);
}

/// C6
#[test]
fn a_table_without_names_of_columns_adds_nothing() {
    let at = Installation::new();
    let file = at.path().join("given");
    for text in ["", "ann,person\nbob,person\n", "username,admin\nann,yes\n"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(at.run(&["import", "csv", file.to_str().unwrap()]).code, 1, "{text:?}");
        assert_eq!(at.json(&["person", "list"]), json!([]), "{text:?}");
    }
}

/// C6: names become proxy users; of their hashes nothing is kept or said.
#[test]
fn a_password_file_adds_proxy_users_without_their_passwords() {
    let at = Installation::new();
    at.say(&["person", "add", "ann"]);
    let text = "# integrations\n\nci:$apr1$Zk8.abcd$hashofapassword\nnightly:{SHA}hashofapassword=\nhashofapassword\nci:again\n";
    let (code, report) = import(&at, &["htpasswd", "--owner", "ann"], text);
    assert_eq!((code, &report["added"]), (1, &json!(2)), "{report}");
    assert_eq!(refused(&report), [(5, "invalid_line"), (6, "username_taken")]);
    assert!(!report.to_string().contains("hashofapassword"));
    let owned = at.json(&["proxy-user", "list", "--owner", "ann"]);
    let names: Vec<_> = owned.as_array().unwrap().iter().map(|account| account["username"].clone()).collect();
    assert_eq!(names, ["ci", "nightly"]);
}
