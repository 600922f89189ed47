//! Usernames in place of ids: what is stored says who by id, what is shown says it by name.

use std::collections::BTreeMap;

use crate::directory::{AccountId, Actor, Username};
use crate::provision::Error;
use crate::store::Reader;

/// Usernames by id, for showing what is stored by id. Deleted accounts have none.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<AccountId, Username>);

impl Names {
    /// The account's username, or its id when it is deleted.
    pub fn of(&self, account: AccountId) -> String {
        self.0.get(&account).map_or_else(|| account.to_string(), Username::to_string)
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

    pub(super) async fn add(&mut self, reader: &mut Reader, account: AccountId) -> Result<(), Error> {
        if !self.0.contains_key(&account)
            && let Some(found) = reader.account(account).await?
        {
            self.0.insert(account, found.username);
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
