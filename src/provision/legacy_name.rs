//! Legacy names: linked to people, changed, taken away, and imported as the list that they are chosen from (U5).

use zeroize::Zeroizing;

use super::operation::{Attempt, Decided, Effects, Hand};
use super::reading::refused_if_not_allowed;
use super::{Error, Provision, Refusal, Request, Wanted, demands};
use crate::directory::legacy_name::LegacyName;
use crate::directory::rights::Operation;
use crate::directory::{Account, AppName, Holding, Username};
use crate::history::{Action, ActionType};
use crate::seal::{BlindIndex, DataKey, IndexKey, KeyId, Place};
use crate::store::SealedLegacyName;

/// What the history calls such a value.
const FIELD: &str = "legacy_name";
/// How many names are imported at once.
pub const MOST: usize = 10_000;

/// What came of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub added: usize,
    /// Those that stood in the list already, or are somebody's.
    pub known: usize,
}

/// Says what a person is called in an app, typed or out of the list of the app; the app is told from the next request on.
///
/// # Errors
/// When the caller may not, the person or the app is unknown, or somebody else is called so.
pub async fn link(
    provision: &Provision,
    request: &Request,
    username: Username,
    app: AppName,
    name: LegacyName,
) -> Result<(), Error> {
    provision
        .change(request, attempt("legacy_name_link", &username, &app), move |mut hand| {
            Box::pin(async move {
                let person = hand.person_of_app(&username, &app).await?;
                let digest = hand.legacy_digest(&app, &name).await?;
                if let Some(holder) = hand.writer.person_called(&app, &digest).await? {
                    return if holder.id == person.id {
                        Ok(Decided::AsItWas(()))
                    } else {
                        Err(Refusal::LegacyNameTaken(app).into())
                    };
                }
                let before = hand.unlink(&person, &app).await?;
                let key = hand.data_key(KeyId::of_person(person.id)).await?;
                let row = SealedLegacyName::row(person.id, &app);
                let sealed = key.seal(&SealedLegacyName::place(&row), name.as_str(), &*hand.provision.0.random);
                let imported = hand.writer.remove_imported(&app, &digest).await?;
                hand.writer.put_legacy_name(person.id, &app, &digest, &sealed, imported).await?;
                // Whoever was called otherwise is not called so any more, and nothing runs on under that name (R2).
                let (kind, effects) = match &before {
                    Some(_) => (ActionType::LegacyNameChanged, narrowed(&person)),
                    None => {
                        (ActionType::LegacyNameLinked, Effects { widened: [person.id].into(), ..Effects::default() })
                    }
                };
                let before = before.as_ref().map(|name| name.as_str());
                let action = hand.told(kind, &person, &app, &key, before, Some(name.as_str()));
                Hand::done((), action, effects)
            })
        })
        .await
}

/// Takes away what a person is called in an app; a name of the list goes back to it.
///
/// # Errors
/// When the caller may not, or the person or the app is unknown.
pub async fn remove(provision: &Provision, request: &Request, username: Username, app: AppName) -> Result<(), Error> {
    provision
        .change(request, attempt("legacy_name_remove", &username, &app), move |mut hand| {
            Box::pin(async move {
                let person = hand.person_of_app(&username, &app).await?;
                let Some(before) = hand.unlink(&person, &app).await? else { return Ok(Decided::AsItWas(())) };
                let key = hand.data_key(KeyId::of_person(person.id)).await?;
                let action = hand.told(ActionType::LegacyNameRemoved, &person, &app, &key, Some(before.as_str()), None);
                Hand::done((), action, narrowed(&person))
            })
        })
        .await
}

/// Adds names to the list of an app. What stands there already, and what is somebody's, is left as it is.
///
/// # Errors
/// When the caller may not, the app is unknown, or there are too many at once.
pub async fn import(
    provision: &Provision,
    request: &Request,
    app: AppName,
    names: Vec<LegacyName>,
) -> Result<Imported, Error> {
    let attempt = Attempt::to("legacy_names_import").with_holding(&Holding::App(app.clone()));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::Grant { app: Some(app.clone()) })?;
                hand.demand_app(&app).await?;
                if names.len() > MOST {
                    return Err(Refusal::TooManyNames { most: MOST, given: names.len() }.into());
                }
                let (index, key) = (hand.index_key().await?, hand.data_key(KeyId::of_app(&app)).await?);
                let mut imported = Imported { added: 0, known: 0 };
                for name in &names {
                    let digest = digest(&index, &app, name);
                    let is_somebodys = hand.writer.person_called(&app, &digest).await?.is_some();
                    if !is_somebodys && hand.put_imported(&key, &app, &digest, name.as_str()).await? {
                        imported.added += 1;
                    } else {
                        imported.known += 1;
                    }
                }
                if imported.added == 0 {
                    return Ok(Decided::AsItWas(imported));
                }
                let action = hand.action(ActionType::LegacyNamesImported).object(Holding::App(app).to_stored());
                let action = action.detail("names", None, Some(&imported.added.to_string()));
                Hand::done(imported, action, Effects::default())
            })
        })
        .await
}

/// Whether exactly this name stands in the list of an app and belongs to nobody; and how many do.
///
/// # Errors
/// When the caller may not, or the app is unknown.
pub async fn find(
    provision: &Provision,
    request: &Request,
    app: &AppName,
    name: Option<&LegacyName>,
) -> Result<(bool, u64), Error> {
    let reading = async {
        request.demand(&Operation::Grant { app: Some(app.clone()) })?;
        let mut reader = provision.0.store.read().await?;
        demands::demand_app(&mut reader, app).await?;
        let free = reader.imported_count(app).await?;
        let found = match (name, reader.data_key(KeyId::INDEX).await?) {
            (Some(name), Some(wrapped)) => {
                let index = IndexKey::unwrap(&wrapped, provision.keyring())?;
                reader.is_imported(app, &digest(&index, app, name)).await?
            }
            (None, _) | (_, None) => false,
        };
        Ok((found, free))
    };
    refused_if_not_allowed(provision, request, "legacy_name_find", reading.await).await
}

fn attempt(operation: &'static str, username: &Username, app: &AppName) -> Attempt {
    Attempt::to(operation).with_account(username).with_holding(&Holding::App(app.clone()))
}

fn narrowed(person: &Account) -> Effects {
    Effects { narrowed: [person.id].into(), ..Effects::default() }
}

/// One name in two apps has two digests.
fn digest(index: &IndexKey, app: &AppName, name: &LegacyName) -> BlindIndex {
    index.digest(&format!("legacy:{app}"), name.as_str())
}

impl Hand<'_> {
    /// The person, once the caller may say who it is in this app.
    async fn person_of_app(&mut self, username: &Username, app: &AppName) -> Result<Account, Error> {
        let may = |_| Operation::Grant { app: Some(app.clone()) };
        let person = self.account(username, Wanted::Person, may).await?;
        self.demand_reach(&person).await?;
        self.demand_app(app).await?;
        Ok(person)
    }

    async fn legacy_digest(&mut self, app: &AppName, name: &LegacyName) -> Result<BlindIndex, Error> {
        Ok(digest(&self.index_key().await?, app, name))
    }

    /// Takes away what the person is called in the app, and answers with it.
    async fn unlink(&mut self, person: &Account, app: &AppName) -> Result<Option<Zeroizing<String>>, Error> {
        let names = self.writer.legacy_names(person.id).await?;
        let Some(linked) = names.into_iter().find(|linked| linked.app == *app) else { return Ok(None) };
        let name = linked.open(self.provision.keyring())?;
        self.writer.remove_legacy_name(person.id, app).await?;
        if linked.imported
            && let Ok(free) = LegacyName::parse(&name)
        {
            let (digest, key) = (self.legacy_digest(app, &free).await?, self.data_key(KeyId::of_app(app)).await?);
            self.put_imported(&key, app, &digest, &name).await?;
        }
        Ok(Some(name))
    }

    async fn put_imported(
        &mut self,
        key: &DataKey,
        app: &AppName,
        digest: &BlindIndex,
        name: &str,
    ) -> Result<bool, Error> {
        let row = [app.as_str().as_bytes(), digest.as_bytes()].concat();
        let place = Place { table: "imported_names", column: "sealed", row: &row };
        let sealed = key.seal(&place, name, &*self.provision.0.random);
        Ok(self.writer.put_imported(app, digest, &sealed).await?)
    }

    fn told(
        &self,
        kind: ActionType,
        person: &Account,
        app: &AppName,
        key: &DataKey,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Action {
        let mut action = self.action(kind).to(person.id).object(Holding::App(app.clone()).to_stored());
        action.details = vec![self.sealed_detail(key, FIELD, before, after)];
        action
    }
}
