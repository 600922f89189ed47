//! Key files in memory, as they are on a disk: read anew each time, and added to.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use locum::provision::keys::{KeyStorage, KeyStores};
use zeroize::Zeroizing;

/// The text of one.
#[derive(Clone)]
pub struct KeyFile(Arc<Mutex<String>>);

impl KeyFile {
    /// With a first version, all of whose bytes are this one.
    pub fn of(byte: &str) -> Self {
        Self(Arc::new(Mutex::new(format!("1 {}\n", byte.repeat(32)))))
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    pub fn put(&self, text: &str) {
        text.clone_into(&mut self.0.lock().unwrap());
    }
}

impl KeyStorage for KeyFile {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        Ok(Zeroizing::new(self.text()))
    }

    fn add(&self, version: u32) -> Result<(), String> {
        let byte = format!("{:02x}", version.wrapping_mul(37) % 256);
        writeln!(self.0.lock().unwrap(), "{version} {}", byte.repeat(32)).map_err(|error| error.to_string())
    }
}

pub fn stores(master: &KeyFile, pepper: &KeyFile) -> KeyStores {
    KeyStores { master: Arc::new(master.clone()), pepper: Arc::new(pepper.clone()) }
}

/// Of which nobody looks at what becomes of them.
pub fn first_versions() -> KeyStores {
    stores(&KeyFile::of("12"), &KeyFile::of("ab"))
}
