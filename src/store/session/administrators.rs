//! Reading who runs Locum.

use crate::clock::Timestamp;
use crate::directory::administrator::{Administration, AdministrationState, Held, Level};
use crate::directory::rights::Right;
use crate::directory::{Account, AccountId, AppName, Username};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::{account, actor};
use crate::store::value::{Row, Value};

/// Which administrators a list is about, of a level or of apps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdministratorFilter {
    pub level: Option<Level>,
    /// Only those who administer this app by a right of its own.
    pub app: Option<AppName>,
    /// Only what stands after this username in the list: where the page before ended.
    pub after: Option<Username>,
    pub limit: u32,
}

impl Session {
    /// Everything that an account holds over Locum itself: one query, so one consistent picture.
    pub async fn rights_held(&mut self, account: AccountId) -> Result<Held, StoreError> {
        const SQL: &str = "SELECT m.level, m.inactive_at, m.inactive_by, p.app, r.granted \
            FROM accounts a \
            LEFT JOIN administrators m ON m.account = a.id \
            LEFT JOIN app_administrators p ON p.account = a.id \
            LEFT JOIN granted_rights r ON r.account = a.id \
            WHERE a.id = $1";
        let rows = self.rows(SQL, vec![account.as_bytes().as_slice().into()]).await?;
        let mut held = Held::default();
        for row in &rows {
            held.administration = administration(row)?;
            if let Some(app) = row.optional_text("app")? {
                let unreadable = |error: crate::directory::app::AppNameError| error.to_string();
                let app = AppName::parse(&app).map_err(|error| StoreError::unreadable("app", unreadable(error)))?;
                held.apps.insert(app);
            }
            if let Some(granted) = row.optional_text("granted")? {
                let right = Right::from_slug(&granted);
                let unreadable = || StoreError::unreadable("granted", format!("`{granted}` is no right"));
                held.granted.insert(right.ok_or_else(unreadable)?);
            }
        }
        Ok(held)
    }

    /// A page of those who administer everything or an app, by username, whatever the case.
    pub async fn administrators(&mut self, filter: &AdministratorFilter) -> Result<Vec<(Account, Held)>, StoreError> {
        const SQL: &str = "SELECT a.id, a.username, a.owner, a.life, a.created_at, a.inactive_at, a.inactive_by, \
            a.inactive_reason, a.networks FROM accounts a LEFT JOIN administrators m ON m.account = a.id \
            WHERE (m.account IS NOT NULL OR EXISTS (SELECT 1 FROM app_administrators p WHERE p.account = a.id)) \
              AND ($1 = '' OR m.level = $1) \
              AND ($2 = '' OR EXISTS (SELECT 1 FROM app_administrators p WHERE p.account = a.id AND p.app = $2)) \
              AND a.folded > $3 ORDER BY a.folded LIMIT $4";
        let values: Vec<Value> = vec![
            filter.level.map_or("", Level::slug).into(),
            filter.app.as_ref().map_or("", AppName::as_str).into(),
            filter.after.as_ref().map(Username::folded).unwrap_or_default().into(),
            i64::from(filter.limit).into(),
        ];
        let mut found = Vec::new();
        for row in self.rows(SQL, values).await? {
            let account = account(&row, "")?;
            let held = self.rights_held(account.id).await?;
            found.push((account, held));
        }
        Ok(found)
    }

    /// How many super administrators there are beside this one whose level is in force (A4).
    pub async fn other_super_administrators(&mut self, beside: AccountId) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT count(*) AS others FROM administrators m JOIN accounts a ON a.id = m.account \
            WHERE m.level = 'super_administrator' AND m.inactive_at IS NULL AND a.inactive_at IS NULL \
            AND m.account <> $1";
        let row = self.row(SQL, vec![beside.as_bytes().as_slice().into()]).await?;
        row.map_or(Ok(0), |row| row.unsigned("others"))
    }
}

fn administration(row: &Row) -> Result<Option<Administration>, StoreError> {
    let Some(level) = row.optional_text("level")? else { return Ok(None) };
    let unreadable = || StoreError::unreadable("level", format!("`{level}` is no level"));
    let level = Level::from_slug(&level).ok_or_else(unreadable)?;
    let state = match row.optional_int("inactive_at")? {
        None => AdministrationState::Active,
        Some(at) => AdministrationState::Inactive {
            at: Timestamp::from_millis(at),
            by: actor("inactive_by", &row.text("inactive_by")?)?,
        },
    };
    Ok(Some(Administration { level, state }))
}
