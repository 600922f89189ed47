//! The path of a request: whatever is accepted climbs in no reading, and is one route in all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locum::policy::{PathRefusal, Readings};

fuzz_target!(|path: &str| {
    let read = Readings::of(path);
    if !path.starts_with('/') {
        assert_eq!(read, Err(PathRefusal::NoSlash));
        return;
    }
    let Ok(readings) = read else { return };
    let readings: Vec<String> = match readings {
        Readings::Plain(plain) => {
            assert_eq!(plain, path);
            assert!(!plain.contains(['%', ';', '\\']) && !plain.contains("//"), "it is not plain");
            vec![plain.to_owned()]
        }
        Readings::Several(several) => several,
    };
    assert!(!readings.is_empty() && readings.len() <= 24, "{} readings", readings.len());
    for reading in &readings {
        assert!(reading.starts_with('/'), "{reading:?} leaves the tree");
        assert!(!reading.contains('\\') && !reading.chars().any(|c| c < ' ' || c == '\x7f'), "{reading:?}");
        assert!(!reading.split('/').any(|segment| segment == "." || segment == ".."), "{reading:?} climbs");
    }
    // As applications are known to read a path, each written down a second time.
    for known in [once(path), once(path).and_then(|path| once(&path)), parameters(path), slashes(path)] {
        let Some(known) = known else { continue };
        assert!(readings.contains(&known) || known.contains('%'), "{known:?} is missing of {path:?}: {readings:?}");
    }
});

/// Every escape decoded, where that gives text.
fn once(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|pair| std::str::from_utf8(pair).ok());
        let decoded = pair.filter(|pair| !pair.starts_with('+')).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        (bytes, rest) = match decoded {
            Some(byte) => ([bytes, vec![byte]].concat(), &after[2..]),
            None => ([bytes, vec![*first]].concat(), after),
        };
    }
    String::from_utf8(bytes).ok()
}

fn parameters(path: &str) -> Option<String> {
    let cut: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap_or("")).collect();
    Some(cut.join("/"))
}

fn slashes(path: &str) -> Option<String> {
    let mut merged = String::new();
    for c in path.chars().filter(|c| *c != '\0') {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    Some(merged)
}
