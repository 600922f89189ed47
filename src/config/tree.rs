//! The configuration as a tree in which every value knows where it came from.
//!
//! The file and the environment both end up in this one tree, so whatever is found to be wrong later,
//! by whichever check, can be shown at its place: a range of the file, or the name of a variable. What a
//! check has found to be wrong is taken out, so that the checks after it can go on with the rest, and all
//! problems come at once.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeInteger, DeTable, DeValue};

use super::conform::dotted;
use super::problems::Place;

/// Purposefully without `Debug`: a value may be a secret.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

pub(super) enum Value {
    Text(String),
    /// Saturates at the ends of `i128`; TOML's integers have no bound of their own.
    Integer(i128),
    Float,
    Boolean(bool),
    Instant,
    List(Vec<Node>),
    Table(Table),
}

/// A table's entries by key, and the keys that were taken out because something is wrong with them.
#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) removed: BTreeSet<String>,
}

pub(super) struct Entry {
    /// Where the key itself stands.
    pub(super) key: Place,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn from_toml(table: DeTable<'_>) -> Self {
        let entries = table.into_iter().map(|(key, value)| {
            let place = Place::Text(key.span());
            let entry = Entry { key: place, node: Node::from_toml(value) };
            (key.into_inner().into_owned(), entry)
        });
        Self { entries: entries.collect(), removed: BTreeSet::new() }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
        self.removed.insert(key.to_owned());
    }

    /// The tree as plain JSON, for serde. Values that JSON does not have were refused before.
    pub(super) fn to_json(&self) -> serde_json::Value {
        self.entries.iter().map(|(key, entry)| (key.clone(), entry.node.to_json())).collect()
    }
}

impl Node {
    fn from_toml(value: toml::Spanned<DeValue<'_>>) -> Self {
        let place = Place::Text(value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(integer) => Value::Integer(saturated(&integer)),
            DeValue::Float(_) => Value::Float,
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(_) => Value::Instant,
            DeValue::Array(items) => Value::List(items.into_iter().map(Self::from_toml).collect()),
            DeValue::Table(table) => Value::Table(Table::from_toml(table)),
        };
        Self { place, value }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a whole number",
            Value::Float => "a number with a fraction",
            Value::Boolean(_) => "true or false",
            Value::Instant => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) => text.as_str().into(),
            Value::Integer(integer) => i64::try_from(*integer).map_or(serde_json::Value::Null, Into::into),
            Value::Boolean(boolean) => (*boolean).into(),
            Value::Float | Value::Instant => serde_json::Value::Null,
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(table) => table.to_json(),
        }
    }
}

fn saturated(integer: &DeInteger<'_>) -> i128 {
    let text = integer.as_str();
    let end = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(text, integer.radix()).unwrap_or(end)
}

/// A way into the tree by keys and indexes, whether or not anything stands there.
///
/// Where the tree has nothing, because the value is a default, the place is that of the nearest table
/// around it.
#[derive(Clone)]
pub(super) struct At<'tree> {
    here: Option<&'tree Node>,
    table: Option<&'tree Table>,
    place: Place,
    key_place: Place,
    /// As a person would write it: `apps.wiki.hosts`.
    name: String,
}

impl<'tree> At<'tree> {
    pub(super) fn root(table: &'tree Table) -> Self {
        let start = Place::Text(0..0);
        Self { here: None, table: Some(table), place: start.clone(), key_place: start, name: String::new() }
    }

    pub(super) fn key(&self, key: &str) -> Self {
        let entry = self.table.and_then(|table| table.entries.get(key));
        let key_place = entry.map(|entry| entry.key.clone());
        self.below(entry.map(|entry| &entry.node), key_place, dotted(&self.name, key))
    }

    pub(super) fn item(&self, index: usize) -> Self {
        let items = match self.here.map(|node| &node.value) {
            Some(Value::List(items)) => Some(items),
            _ => None,
        };
        let node = items.and_then(|items| items.get(index));
        self.below(node, node.map(|node| node.place.clone()), self.name.clone())
    }

    fn below(&self, node: Option<&'tree Node>, key_place: Option<Place>, name: String) -> Self {
        Self {
            here: node,
            table: match node.map(|node| &node.value) {
                Some(Value::Table(table)) => Some(table),
                _ => None,
            },
            place: node.map_or_else(|| self.place.clone(), |node| node.place.clone()),
            key_place: key_place.unwrap_or_else(|| self.key_place.clone()),
            name,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    pub(super) fn key_place(&self) -> Place {
        self.key_place.clone()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the operator wrote it, rightly or wrongly.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.entries.contains_key(key))
    }

    /// Whether any key below was written, was wrong, and was taken out.
    pub(super) fn lost_any(&self) -> bool {
        self.table.is_some_and(|table| !table.removed.is_empty())
    }

    /// Whether it was written, was wrong, and was taken out.
    pub(super) fn was_removed(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.removed.contains(key))
    }
}
