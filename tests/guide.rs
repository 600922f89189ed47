//! The table of action types in `docs/guide.md` is the program's own.
//!
//! `LOCUM_BLESS=1 cargo test --test guide` writes it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fmt::Write as _;
use std::path::Path;

use locum::history::ActionType;
use locum::history::action_type::Causer;

const GUIDE: &str = include_str!("../docs/guide.md");
const BEGIN: &str = "<!-- action types -->\n";
const END: &str = "<!-- end of action types -->";

/// Who can be the actor, in the words of the guide.
fn actor(causer: Causer) -> &'static str {
    match causer {
        Causer::Operator => "an account or the host shell",
        Causer::Locum => "`locum`",
        Causer::Either => "either",
    }
}

fn table() -> String {
    let mut table = String::from("| type | who can be its actor | what it says |\n| --- | --- | --- |\n");
    for kind in ActionType::ALL {
        writeln!(table, "| `{}` | {} | {} |", kind.slug(), actor(kind.causer()), kind.words()).unwrap();
    }
    table
}

/// H4: every type of action stands in the guide, with who can be its actor and what it says.
#[test]
fn the_guide_lists_every_type_of_action() {
    let (before, rest) = GUIDE.split_once(BEGIN).expect("the guide says where the table begins");
    let (found, after) = rest.split_once(END).expect("the guide says where the table ends");
    let made = table();
    if std::env::var_os("LOCUM_BLESS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md");
        std::fs::write(file, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert!(found == made, "the table is not the program's: run LOCUM_BLESS=1 cargo test --test guide");
    }
}
