//! The tables of an embedded database, as it describes itself: their columns, and an order of tables and rows in which
//! nothing comes before what it refers to.
//!
//! Nothing here is written down twice: a table that a migration adds is moved like the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::value::{Row, Value};

/// What each database has for itself: how it came to be, who has it, where its history ends, and what moves into it.
const ITS_OWN: [&str; 4] = ["schema_version", "node_holder", "head", "arrivals"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
    /// Columns and expressions by which no two rows are alike.
    order: Vec<Column>,
}

/// A column, or an expression in the place of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Bytes,
}

/// What one row says, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) values: Vec<Value>,
    pub(super) key: Vec<Value>,
}

impl Table {
    /// Rows from the one after `after` on, in their order: `$1` and so on are its key.
    pub(super) fn page(&self, after: Option<usize>, limit: u32) -> String {
        let keys = self.order.iter().enumerate().map(|(at, column)| format!("{} AS key_{at}", column.text));
        let shown: Vec<String> = self.columns.iter().map(|column| column.text.clone()).chain(keys).collect();
        let order: Vec<&str> = self.order.iter().map(|column| column.text.as_str()).collect();
        let mut sql = format!("SELECT {} FROM {}", shown.join(", "), self.name);
        if let Some(values) = after {
            write!(sql, " WHERE ({}) > ({})", order.join(", "), places(1, values)).expect("text takes everything");
        }
        write!(sql, " ORDER BY {} LIMIT {limit}", order.join(", ")).expect("text takes everything");
        sql
    }

    /// The key of the last row.
    pub(super) fn last(&self) -> String {
        let keys = self.order.iter().enumerate().map(|(at, column)| format!("{} AS key_{at}", column.text));
        let backwards: Vec<String> = self.order.iter().map(|column| format!("{} DESC", column.text)).collect();
        let keys: Vec<String> = keys.collect();
        format!("SELECT {} FROM {} ORDER BY {} LIMIT 1", keys.join(", "), self.name, backwards.join(", "))
    }

    pub(super) fn insert(&self, rows: usize) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.text.as_str()).collect();
        let width = columns.len();
        let rows: Vec<String> = (0..rows).map(|row| format!("({})", places(row * width + 1, width))).collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.name, columns.join(", "), rows.join(", "))
    }

    pub(super) fn line(&self, row: &Row) -> Result<Line, StoreError> {
        let values = self.columns.iter().map(|column| column.read(row, &column.text)).collect::<Result<_, _>>()?;
        Ok(Line { values, key: self.key(row)? })
    }

    pub(super) fn key(&self, row: &Row) -> Result<Vec<Value>, StoreError> {
        self.order.iter().enumerate().map(|(at, column)| column.read(row, &format!("key_{at}"))).collect()
    }
}

impl Column {
    fn read(&self, row: &Row, name: &str) -> Result<Value, StoreError> {
        Ok(match self.kind {
            Kind::Int => Value::Int(row.optional_int(name)?),
            Kind::Text => Value::Text(row.optional_text(name)?),
            Kind::Bytes => Value::Bytes(row.optional_bytes(name)?),
        })
    }
}

fn places(from: usize, count: usize) -> String {
    (from..from + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// One column's part in a foreign key.
struct Reference {
    constraint: i64,
    to: String,
    column: String,
    there: String,
}

/// All tables that are moved, each after those that it refers to.
pub(super) async fn tables(session: &mut Session) -> Result<Vec<Table>, StoreError> {
    const COLUMNS: &str = "SELECT t.name AS of_table, c.name AS name, c.type AS kind, c.pk AS key_place \
        FROM sqlite_master t JOIN pragma_table_info(t.name) c \
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid";
    const REFERENCES: &str = "SELECT t.name AS of_table, f.id AS id, f.\"table\" AS parent, f.\"from\" AS child, \
        f.\"to\" AS there FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f \
        WHERE t.type = 'table' ORDER BY t.name, f.id, f.seq";
    let mut references: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    for row in session.rows(REFERENCES, Vec::new()).await? {
        references.entry(row.text("of_table")?).or_default().push(Reference {
            constraint: row.int("id")?,
            to: row.text("parent")?,
            column: row.text("child")?,
            there: row.text("there")?,
        });
    }
    let mut columns: BTreeMap<String, Vec<(Column, i64)>> = BTreeMap::new();
    for row in session.rows(COLUMNS, Vec::new()).await? {
        let (table, text) = (row.text("of_table")?, row.text("name")?);
        if ITS_OWN.contains(&table.as_str()) {
            continue;
        }
        let kind = kind(&row.text("kind")?).ok_or_else(|| {
            StoreError::unreadable(&text, format!("a column of `{table}` has a type that is not known"))
        })?;
        columns.entry(table).or_default().push((Column { text, kind }, row.int("key_place")?));
    }
    let none = Vec::new();
    let tables = columns.into_iter().map(|(name, columns)| {
        let order = order(&name, &columns, references.get(&name).unwrap_or(&none));
        Table { name, columns: columns.into_iter().map(|(column, _)| column).collect(), order }
    });
    in_turn(tables.collect(), &references)
}

fn kind(declared: &str) -> Option<Kind> {
    match declared {
        "INTEGER" => Some(Kind::Int),
        "TEXT" => Some(Kind::Text),
        "BLOB" => Some(Kind::Bytes),
        _ => None,
    }
}

/// The primary key; before it, where rows refer to rows of the same table, whether this one does: those of others come
/// first.
fn order(table: &str, columns: &[(Column, i64)], references: &[Reference]) -> Vec<Column> {
    let own: Vec<&Reference> = references.iter().filter(|reference| reference.to == table).collect();
    let constraints: BTreeSet<i64> = own.iter().map(|reference| reference.constraint).collect();
    let refers = constraints.into_iter().map(|constraint| {
        let parts = || own.iter().filter(move |reference| reference.constraint == constraint);
        let absent: Vec<String> = parts().map(|part| format!("{} IS NULL", part.column)).collect();
        let itself: Vec<String> = parts().map(|part| format!("{} = {}", part.column, part.there)).collect();
        let (absent, itself) = (absent.join(" OR "), itself.join(" AND "));
        let text = format!("CAST(CASE WHEN {absent} OR ({itself}) THEN 0 ELSE 1 END AS BIGINT)");
        Column { text, kind: Kind::Int }
    });
    let mut key: Vec<&(Column, i64)> = columns.iter().filter(|(_, place)| *place > 0).collect();
    key.sort_by_key(|(_, place)| *place);
    refers.chain(key.into_iter().map(|(column, _)| column.clone())).collect()
}

fn in_turn(mut left: Vec<Table>, references: &BTreeMap<String, Vec<Reference>>) -> Result<Vec<Table>, StoreError> {
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waiting: BTreeSet<String> = left.iter().map(|table| table.name.clone()).collect();
        let waits = |table: &Table| {
            let to = references.get(&table.name).into_iter().flatten().map(|reference| &reference.to);
            to.into_iter().any(|to| *to != table.name && waiting.contains(to))
        };
        let (later, now): (Vec<Table>, Vec<Table>) = left.into_iter().partition(waits);
        if now.is_empty() {
            return Err(StoreError::Fault { why: "its tables refer to each other in a circle".to_owned() });
        }
        ordered.extend(now);
        left = later;
    }
    Ok(ordered)
}
