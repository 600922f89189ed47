//! A whole configuration file: settings or problems at places that exist, the same each time, and a password
//! is in no message.
#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use locum::config::{self, Place, Problems, Purpose, Settings, Source};

const PASSWORD: &str = "hunter2hunter2";

fuzz_target!(|text: &str| {
    match read(text) {
        Ok(settings) => {
            assert!(!config::remarks(&settings).is_empty());
            let again = read(text).expect("it was right a moment ago");
            assert_eq!(format!("{settings:?}"), format!("{again:?}"));
        }
        Err(problems) => every_problem_has_a_place(text, &problems),
    }
    let with_password = format!("{text}\n[store]\nurl = \"postgres://me:{PASSWORD}@db/x\"\n");
    match read(&with_password) {
        Ok(settings) => assert!(!format!("{settings:?}").contains(PASSWORD)),
        Err(problems) => {
            let shown = format!("{problems}{problems:?}{}", problems.for_terminal(false, 80));
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
    }
});

fn read(text: &str) -> Result<Settings, Problems> {
    let nothing = |_: &Path| Err(io::ErrorKind::NotFound.into());
    config::read(Source::new("locum.toml", text.to_owned()), Path::new("/"), [], Purpose::Serve, &nothing)
}

fn every_problem_has_a_place(text: &str, problems: &Problems) {
    let source = Source::new("locum.toml", text.to_owned());
    assert!(problems.iter().len() > 0);
    for problem in problems.iter() {
        let Place::Text(range) = problem.place() else { continue };
        assert!(text.get(range.clone()).is_some(), "{range:?} of {} bytes", text.len());
        let (line, column) = source.line_and_column(range.start);
        assert!(line >= 1 && line <= text.matches('\n').count() + 1 && column >= 1);
    }
    assert_eq!(problems.to_string().lines().count(), problems.iter().len(), "one line a problem");
}
