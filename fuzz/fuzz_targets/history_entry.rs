//! The canonical bytes of a history entry: one entry has one form, and no other bytes are read as it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locum::history::canonical::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = decode(bytes) else { return };
    assert_eq!(encode(&entry), bytes, "an entry has two forms: {entry:?}");
    for length in 0..bytes.len() {
        assert_ne!(decode(&bytes[..length]).as_ref(), Ok(&entry), "cut at {length}");
    }
});
