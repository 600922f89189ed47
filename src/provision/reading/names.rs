//! Usernames in place of ids: what is stored says who by id, what is shown says it by name.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::directory::{AccountId, Actor, Username};
use crate::history::{Entry, Value};
use crate::provision::{Error, Provision, sealing};
use crate::store::Reader;

/// Usernames by id, for showing what is stored by id, and the texts of what is stored sealed. Deleted accounts have
/// neither.
#[derive(Clone, Default)]
pub struct Names {
    usernames: BTreeMap<AccountId, Username>,
    opened: BTreeMap<Vec<u8>, Zeroizing<String>>,
}

impl Names {
    /// The account's username, or its id when it is deleted.
    pub fn of(&self, account: AccountId) -> String {
        self.usernames.get(&account).map_or_else(|| account.to_string(), Username::to_string)
    }

    /// How an actor is shown: `locum`, `host:USER` or a username.
    pub fn of_actor(&self, actor: &Actor) -> String {
        match actor {
            Actor::Locum | Actor::Host(_) => actor.to_stored(),
            Actor::Account(id) => self.of(*id),
        }
    }

    /// A text in which actors stand as they are stored, with usernames in place of ids.
    pub fn of_text(&self, text: &str) -> String {
        let words = text.split(' ').map(|word| match Actor::from_stored(word) {
            Some(actor) => self.of_actor(&actor),
            None => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A value of the history as it is shown; `(sealed)` when its key was destroyed.
    pub fn of_value(&self, value: &Value) -> String {
        match value {
            Value::Clear(text) => self.of_text(text),
            Value::Sealed { bytes, .. } => {
                self.opened.get(bytes).map_or_else(|| "(sealed)".to_owned(), |text| text.as_str().to_owned())
            }
        }
    }

    /// Opens what an entry holds sealed, where its key still exists.
    pub(super) async fn open(
        &mut self,
        reader: &mut Reader,
        provision: &Provision,
        entry: &Entry,
    ) -> Result<(), Error> {
        for detail in &entry.action.details {
            for value in detail.before.iter().chain(&detail.after) {
                if let Value::Sealed { bytes, .. } = value
                    && let Some(text) = sealing::open_value(reader, provision, &detail.field, value).await?
                {
                    self.opened.insert(bytes.clone(), text);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn add(&mut self, reader: &mut Reader, account: AccountId) -> Result<(), Error> {
        if !self.usernames.contains_key(&account)
            && let Some(found) = reader.account(account).await?
        {
            self.usernames.insert(account, found.username);
        }
        Ok(())
    }

    pub(super) async fn add_actor(&mut self, reader: &mut Reader, actor: &Actor) -> Result<(), Error> {
        match actor {
            Actor::Account(id) => self.add(reader, *id).await,
            Actor::Locum | Actor::Host(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("usernames", &self.usernames).finish_non_exhaustive()
    }
}
