//! `LOCUM__SERVER__LISTEN=…`: single values from the environment, above those of the file.
//!
//! Every key that holds one value has exactly one name: `LOCUM`, the tables and the key, in capitals,
//! joined by two underscores, with `_` for `-`. Lists and tables of free names are set in the file only.
//! An app can be changed so but not made: a slip in a variable's name must not open another way in.
//!
//! The environment is an argument; nothing here reads it.

use std::ffi::OsString;

use super::conform::{dotted, quoted};
use super::nearest::nearest;
use super::problems::{Place, Problem};
use super::shape::Shape;
use super::tree::{Entry, Node, Table, Value};

const PREFIX: &str = "LOCUM__";

/// Puts every `LOCUM__…` of the environment into the tree, and says which of them it could not place.
pub(super) fn apply(tree: &mut Table, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Problem> {
    let mut known = Vec::new();
    collect(Shape::file(), Some(tree), &mut Vec::new(), &mut known);
    let mut given: Vec<(OsString, OsString)> =
        environment.into_iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())).collect();
    given.sort();

    let mut problems = Vec::new();
    for (name, value) in given {
        let name = name.to_string_lossy().into_owned();
        match read(&name, value, &known) {
            Ok((variable, value)) => put(tree, &variable.path, Place::Variable(name), value),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// A variable that could be set.
struct Variable {
    name: String,
    path: Vec<String>,
    shape: &'static Shape,
}

/// Every variable that this tree knows; free names only where the tree has them already.
fn collect(shape: &'static Shape, tree: Option<&Table>, path: &mut Vec<String>, found: &mut Vec<Variable>) {
    let mut descend = |name: &str, shape: &'static Shape| {
        let below = match tree.and_then(|table| table.entries.get(name)).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        };
        path.push(name.to_owned());
        collect(shape, below, path, found);
        path.pop();
    };
    match shape {
        Shape::Table(keys) => keys.iter().for_each(|key| descend(&key.name, &key.shape)),
        Shape::Named { each, .. } if matches!(**each, Shape::Table(_)) => {
            let names = tree.into_iter().flat_map(|table| table.entries.keys());
            names.for_each(|name| descend(name, each));
        }
        Shape::Named { .. }
        | Shape::List(_)
        | Shape::Choice(_)
        | Shape::Text
        | Shape::Integer { .. }
        | Shape::Boolean
        | Shape::Unread => {
            let name = format!("{PREFIX}{}", path.join("__").to_uppercase().replace('-', "_"));
            found.push(Variable { name, path: path.clone(), shape });
        }
    }
}

fn read<'k>(name: &str, value: OsString, known: &'k [Variable]) -> Result<(&'k Variable, Value), Problem> {
    let problem = |wrong: String| Problem::at(Place::Variable(name.to_owned()), wrong);
    let Some(variable) = known.iter().find(|variable| variable.name == name) else {
        let problem = problem("unknown override".to_owned());
        return Err(match nearest(name, known.iter().map(|variable| variable.name.as_str())) {
            Some(near) => problem.did_you_mean(near),
            None => problem.instead("overrides are named `LOCUM__TABLE__KEY`, and apps must be in the file"),
        });
    };
    let Ok(value) = value.into_string() else {
        return Err(problem("the value is not UTF-8".to_owned()));
    };
    let path = || variable.path.iter().fold(String::new(), |path, key| dotted(&path, key));
    let read = match variable.shape {
        Shape::Text | Shape::Choice(_) => Some(Value::Text(value.clone())),
        Shape::Integer { .. } => value.parse().ok().map(Value::Integer),
        Shape::Boolean => value.parse().ok().map(Value::Boolean),
        Shape::Table(_) | Shape::Named { .. } | Shape::List(_) | Shape::Unread => {
            return Err(problem(format!("`{}` holds more than one value", path())).instead("set it in the file"));
        }
    };
    // Only a number or a switch is repeated here: it is no secret.
    read.map(|value| (variable, value))
        .ok_or_else(|| problem(format!("`{}` cannot be {}", path(), quoted(&value))).instead(variable.shape.wanted()))
}

/// Puts a value at its path. Where the file has something else than a table on the way, that stays, and is
/// reported when the tree is checked.
fn put(tree: &mut Table, path: &[String], place: Place, value: Value) {
    let Some((key, tables)) = path.split_last() else {
        return;
    };
    let mut table = tree;
    for name in tables {
        let entry = table.entries.entry(name.clone()).or_insert_with(|| Entry {
            key: place.clone(),
            node: Node { place: place.clone(), value: Value::Table(Table::default()) },
        });
        let Value::Table(below) = &mut entry.node.value else {
            return;
        };
        table = below;
    }
    table.entries.insert(key.clone(), Entry { key: place.clone(), node: Node { place, value } });
}
