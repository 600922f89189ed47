//! The JSON schema of [`File`], read back as the shape that a configuration must have.
//!
//! The schema is made from the structs of [`super::file`]; the checks, the names of the environment
//! overrides and the reference read this shape. So a key that is added there is known everywhere, and
//! none of them can disagree about what it is.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::schema;

/// What may stand in one place of the configuration.
#[derive(Debug)]
pub(super) enum Shape {
    /// A table with known keys.
    Table(Vec<Key>),
    /// A table whose keys the operator chooses; what those are called in the reference, and their shape.
    Named {
        placeholder: String,
        each: Box<Shape>,
    },
    List(Box<Shape>),
    /// One of these words.
    Choice(Vec<Word>),
    Text,
    Integer {
        min: i128,
        max: i128,
    },
    Boolean,
    /// Something that the schema says in a way not read here: left to serde.
    Unread,
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) description: String,
    /// Absent where leaving the key out means that there is none.
    pub(super) default: Option<Json>,
    pub(super) required: bool,
}

#[derive(Debug)]
pub(super) struct Word {
    pub(super) word: String,
    pub(super) description: String,
}

static FILE: LazyLock<Shape> = LazyLock::new(|| {
    let schema = schema::of_file();
    Shape::read(&schema, &schema)
});

impl Shape {
    /// The shape of the whole file.
    pub(super) fn file() -> &'static Self {
        &FILE
    }

    fn read(schema: &Json, root: &Json) -> Self {
        if let Some(target) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            return root.pointer(target).map_or(Self::Unread, |schema| Self::read(schema, root));
        }
        if let Some(words) = schema["oneOf"].as_array() {
            return Self::choice(words);
        }
        match type_of(schema) {
            Some("object") if schema["properties"].is_object() => Self::Table(keys(schema, root)),
            Some("object") if schema["additionalProperties"].is_object() => Self::Named {
                placeholder: text_of(&schema["x-name"]),
                each: Box::new(Self::read(&schema["additionalProperties"], root)),
            },
            Some("array") => Self::List(Box::new(Self::read(&schema["items"], root))),
            Some("string") => Self::Text,
            Some("boolean") => Self::Boolean,
            Some("integer") => Self::Integer {
                min: schema["minimum"].as_i64().unwrap_or(i64::MIN).into(),
                max: schema["maximum"].as_i64().unwrap_or(i64::MAX).into(),
            },
            _ => Self::Unread,
        }
    }

    fn choice(words: &[Json]) -> Self {
        let read = |word: &Json| {
            let description = text_of(&word["description"]);
            word["const"].as_str().map(|word| Word { word: word.to_owned(), description })
        };
        words.iter().map(read).collect::<Option<_>>().map_or(Self::Unread, Self::Choice)
    }

    /// What to write here, for people.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Table(_) | Self::Named { .. } => "give a table".to_owned(),
            Self::List(each) => format!("give a list, {}", each.example()),
            Self::Choice(words) => {
                let words = words.iter().map(|word| word.word.as_str());
                format!("give {}", super::nearest::listed(words, "or"))
            }
            Self::Text => "give a string, between quotes".to_owned(),
            Self::Integer { min, max } if *max == i128::from(i64::MAX) => {
                format!("give a whole number from {min} on")
            }
            Self::Integer { min, max } => format!("give a whole number from {min} to {max}"),
            Self::Boolean => "give `true` or `false`".to_owned(),
            Self::Unread => "see the reference of the configuration".to_owned(),
        }
    }

    const fn example(&self) -> &'static str {
        match self {
            Self::Table(_) | Self::Named { .. } => "`[[ ]]` before each of its tables",
            _ => "between `[` and `]`",
        }
    }
}

fn keys(schema: &Json, root: &Json) -> Vec<Key> {
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| Key {
            name: name.clone(),
            shape: Shape::read(schema, root),
            description: text_of(&schema["description"]),
            default: schema.get("default").cloned(),
            required: required(name),
        })
        .collect()
}

/// The type, leaving aside that the key may be absent.
fn type_of(schema: &Json) -> Option<&str> {
    match &schema["type"] {
        Json::String(one) => Some(one),
        Json::Array(several) => several.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

fn text_of(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(shape: &Shape, path: &str, found: &mut Vec<String>) {
        match shape {
            Shape::Unread => found.push(path.to_owned()),
            Shape::Table(keys) => {
                for key in keys {
                    unread(&key.shape, &format!("{path}.{}", key.name), found);
                }
            }
            Shape::Named { each, .. } | Shape::List(each) => unread(each, &format!("{path}.*"), found),
            Shape::Choice(_) | Shape::Text | Shape::Integer { .. } | Shape::Boolean => {}
        }
    }

    #[test]
    fn the_whole_schema_is_read() {
        let mut found = Vec::new();
        unread(Shape::file(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_key_says_what_it_is() {
        fn silent(shape: &Shape) -> Vec<&str> {
            match shape {
                Shape::Table(keys) => keys
                    .iter()
                    .flat_map(|key| {
                        let own = key.description.is_empty().then_some(key.name.as_str());
                        own.into_iter().chain(silent(&key.shape))
                    })
                    .collect(),
                Shape::Named { each, .. } | Shape::List(each) => silent(each),
                _ => Vec::new(),
            }
        }
        assert_eq!(silent(Shape::file()), Vec::<&str>::new());
    }
}
