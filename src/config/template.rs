//! Values of headers that an operator writes, with places for what is known about the caller.

use super::nearest::{listed, nearest};
use crate::gateway::{Field, Piece};

/// What can stand between braces, and what it stands for.
const PLACEHOLDERS: [(&str, Field); 12] = [
    ("user", Field::User),
    ("name", Field::Name),
    ("email", Field::Email),
    ("legacy_name", Field::LegacyName),
    ("roles", Field::Roles),
    // Other gateways call them so.
    ("groups", Field::Roles),
    ("kind", Field::Kind),
    ("owner", Field::Owner),
    ("actor", Field::Actor),
    ("service", Field::Service),
    ("request_id", Field::RequestId),
    ("port", Field::Port),
];

/// Why a text is not the value of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("unknown placeholder `{{{name}}}`, {advice}")]
    Unknown { name: String, advice: String },
    #[error("a `{{` and its `}}` stand only around a placeholder, as in `{{user}}`")]
    Brace,
    #[error("a header holds visible ASCII characters and spaces only")]
    Character,
    #[error("a header without a value says nothing: write a placeholder, such as `{{user}}`, or leave it out")]
    Empty,
}

/// Reads text with placeholders between braces: `"{user}"`, `"{user}@example.org"`.
///
/// # Errors
/// When a placeholder is not known, a brace stands alone, or a character cannot stand in a header.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, TemplateError> {
    if text.trim().is_empty() {
        return Err(TemplateError::Empty);
    }
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(TemplateError::Character);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, after) = rest.split_once('{').map_or((rest, None), |(literal, after)| (literal, Some(after)));
        if literal.contains('}') {
            return Err(TemplateError::Brace);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        let Some(after) = after else { break };
        let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
        pieces.push(Piece::Field(field(name)?));
        rest = after;
    }
    Ok(pieces)
}

fn field(name: &str) -> Result<Field, TemplateError> {
    let known = || PLACEHOLDERS.into_iter().map(|(name, _)| name);
    let field = PLACEHOLDERS.into_iter().find(|(known, _)| *known == name).map(|(_, field)| field);
    field.ok_or_else(|| TemplateError::Unknown {
        name: name.chars().take(40).flat_map(char::escape_debug).collect(),
        advice: nearest(name, known()).map_or_else(
            || format!("known are {}", listed(known(), "and")),
            |near| format!("did you mean `{{{near}}}`?"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_placeholders_are_told_apart() {
        let pieces = parse("u={user}{kind};").unwrap();
        assert_eq!(
            pieces,
            [
                Piece::Literal("u=".into()),
                Piece::Field(Field::User),
                Piece::Field(Field::Kind),
                Piece::Literal(";".into()),
            ]
        );
    }

    #[test]
    fn an_unknown_placeholder_names_the_nearest() {
        let message = |text| parse(text).unwrap_err().to_string();
        assert_eq!(message("{usr}"), "unknown placeholder `{usr}`, did you mean `{user}`?");
        assert_eq!(
            message("{password}"),
            "unknown placeholder `{password}`, known are `user`, `name`, `email`, `legacy_name`, `roles`, `groups`, `kind`, \
             `owner`, `actor`, `service`, `request_id` and `port`"
        );
    }

    #[test]
    fn what_could_break_a_header_is_refused() {
        for (text, error) in [
            ("", TemplateError::Empty),
            ("  ", TemplateError::Empty),
            ("{user", TemplateError::Brace),
            ("user}", TemplateError::Brace),
            ("{user}}", TemplateError::Brace),
            ("{user}\r\nX: y", TemplateError::Character),
            ("ü", TemplateError::Character),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
        assert!(parse("{}").is_err());
        assert!(parse("{{user}}").is_err());
    }
}
