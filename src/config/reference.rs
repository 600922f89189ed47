//! The reference of the configuration, made from the same shape that checks it.

use std::fmt::{self, Write as _};

use super::shape::{Key, Shape};

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let Shape::Table(tables) = Shape::file() else {
        return page;
    };
    for table in tables {
        // Writing into a string cannot fail.
        if section(&mut page, &table.name, table).is_err() {
            break;
        }
    }
    page
}

const INTRODUCTION: &str = "\
<!-- Made by `locum::config::reference()` from src/config/file.rs; a test compares the two. -->

# Configuration

One TOML file, by default `locum.toml` in the working directory, or `--config FILE`. Every key may be left out, but for
the `path` of a route; what is left out has the default given here. Whatever is not a key listed here is a problem, and
`locum check` shows all problems at once, each with its line and column.

- **Durations** are a whole number and a unit: `250ms`, `2s`, `15m`, `12h`, `90d`, `2w`.
- **Files** that are given by a relative path start at the folder of the configuration file.
- **The environment** overrides any key that holds one value: `LOCUM__SERVER__LISTEN=0.0.0.0:8080` sets `listen` in
  `[server]`, `LOCUM__APPS__WIKI__HEADERS=none` sets `headers` in `[apps.wiki]` (`_` stands for `-` too). Lists, routes
  and `set_headers` are set in the file only, and an app must be there to be changed.
- **Secrets** need not stand in the file: `url_file` names a file that holds the URL, and
  `LOCUM__REDIS__URL_FILE=/run/secrets/redis` does the same from the environment.
- **Editors** that know JSON schema complete and check the file, by its first line `#:schema locum.schema.json`
  (`locum config schema` prints it).
";

fn section(page: &mut String, path: &str, table: &Key) -> fmt::Result {
    let (heading, keys, inner) = match &table.shape {
        Shape::Table(keys) => (format!("[{path}]"), keys, path.to_owned()),
        Shape::Named { placeholder, each } => match &**each {
            Shape::Table(keys) => (format!("[{path}.{placeholder}]"), keys, format!("{path}.{placeholder}")),
            _ => return Ok(()),
        },
        Shape::List(each) => match &**each {
            Shape::Table(keys) => (format!("[[{path}]]"), keys, path.to_owned()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    writeln!(page, "\n## `{heading}`\n\n{}", table.description)?;
    let (sections, rows): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(|key| has_a_section(&key.shape));
    writeln!(page, "\n| key | default | meaning |\n| --- | --- | --- |")?;
    for key in rows {
        row(page, key)?;
    }
    for key in sections {
        section(page, &format!("{inner}.{}", key.name), key)?;
    }
    Ok(())
}

fn has_a_section(shape: &Shape) -> bool {
    match shape {
        Shape::Table(_) => true,
        Shape::Named { each, .. } | Shape::List(each) => has_a_section(each),
        Shape::Choice(_) | Shape::Text | Shape::Integer { .. } | Shape::Boolean | Shape::Unread => false,
    }
}

fn row(page: &mut String, key: &Key) -> fmt::Result {
    let default = match &key.default {
        Some(default) => format!("`{default}`"),
        None if key.required => "required".to_owned(),
        None => "none".to_owned(),
    };
    let mut meaning = key.description.replace("\n\n", "<br>");
    match &key.shape {
        Shape::Integer { min, max } if *max < i128::from(i64::MAX) => write!(meaning, " From {min} to {max}.")?,
        Shape::Integer { min, .. } => write!(meaning, " From {min} on.")?,
        _ => {}
    }
    for word in words(&key.shape) {
        write!(meaning, "<br>`{}`: {}", word.word, word.description)?;
    }
    writeln!(page, "| `{}` | {default} | {} |", key.name, meaning.replace('|', "\\|"))
}

fn words(shape: &Shape) -> &[super::shape::Word] {
    match shape {
        Shape::Choice(words) => words,
        Shape::List(each) => words(each),
        _ => &[],
    }
}
