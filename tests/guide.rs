//! The tables of `docs/guide.md` are the program's own: action types and metrics.
//!
//! `LOCUM_BLESS=1 cargo test --test guide` writes the first.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "nothing here is asynchronous")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use locum::history::ActionType;
use locum::history::action_type::Causer;

const GUIDE: &str = include_str!("../docs/guide.md");
const BEGIN: &str = "<!-- action types -->\n";
const END: &str = "<!-- end of action types -->";

/// Who may cause it, in the words of the guide.
fn causers(kind: ActionType) -> String {
    kind.causers().iter().map(|causer| Causer::words(*causer)).collect::<Vec<_>>().join(", ")
}

fn table() -> String {
    let mut table = String::from("| type | who may cause it | what it says |\n| --- | --- | --- |\n");
    for kind in ActionType::ALL {
        writeln!(table, "| `{}` | {} | {} |", kind.slug(), causers(*kind), kind.words()).unwrap();
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

/// The names of the metrics that the program records, as its source has them.
fn metrics_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            metrics_in(&path, names);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            let calls = source.split(macro_name).skip(1);
            names.extend(
                calls
                    .filter_map(|call| call.trim_start().strip_prefix('"')?.split_once('"'))
                    .map(|(name, _)| name.to_owned()),
            );
        }
    }
}

/// G13: every metric stands in the guide.
#[test]
fn the_guide_lists_every_metric() {
    let mut names = BTreeSet::new();
    metrics_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    assert!(names.len() > 10 && names.contains("locum_requests_total"), "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !GUIDE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "these metrics are not in docs/guide.md: {missing:?}");
}
