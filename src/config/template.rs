//! Values of headers that an operator writes, with places for what is known about the caller.

use super::nearest::{listed, nearest};

/// The value of one header: `"{user}"`, `"{user}@example.org"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Visible ASCII and spaces.
    Literal(Box<str>),
    Placeholder(Placeholder),
}

/// What can be told about the caller of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The name that the app is to see.
    User,
    /// The system's roles and the app's own, separated by commas.
    Roles,
    /// The same as `{roles}`, under the name that other gateways use.
    Groups,
    /// `person` or `proxy`.
    Kind,
    /// The owner of a proxy user; empty for a person.
    Owner,
    /// What the token is for, as given when it was made.
    Service,
    /// The id of the request, as in the log.
    RequestId,
}

impl Placeholder {
    pub const ALL: [Self; 7] =
        [Self::User, Self::Roles, Self::Groups, Self::Kind, Self::Owner, Self::Service, Self::RequestId];

    /// As it stands between the braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Roles => "roles",
            Self::Groups => "groups",
            Self::Kind => "kind",
            Self::Owner => "owner",
            Self::Service => "service",
            Self::RequestId => "request_id",
        }
    }

    fn parse(name: &str) -> Result<Self, TemplateError> {
        Self::ALL.into_iter().find(|placeholder| placeholder.name() == name).ok_or_else(|| {
            let known = || Self::ALL.into_iter().map(Self::name);
            let near = nearest(name, known());
            TemplateError::Unknown {
                name: name.chars().take(40).flat_map(char::escape_debug).collect(),
                advice: near.map_or_else(
                    || format!("known are {}", listed(known(), "and")),
                    |near| format!("did you mean `{{{near}}}`?"),
                ),
            }
        })
    }
}

/// Why a text is not the value of a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("unknown placeholder `{{{name}}}`, {advice}")]
    Unknown { name: String, advice: String },
    #[error("a `{{` and its `}}` stand only around a placeholder, as in `{{user}}`")]
    Brace,
    #[error("a header holds visible ASCII characters and spaces only")]
    Character,
    #[error("a header without a value says nothing: write a placeholder, such as `{{user}}`, or leave it out")]
    Empty,
}

impl Template {
    /// Reads text with placeholders between braces.
    ///
    /// # Errors
    /// When a placeholder is not known, a brace stands alone, or a character cannot stand in a header.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
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
            pieces.push(Piece::Placeholder(Placeholder::parse(name)?));
            rest = after;
        }
        Ok(Self(pieces))
    }

    /// In the order in which they are written, never empty.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_placeholders_are_told_apart() {
        let template = Template::parse("u={user}{kind};").unwrap();
        assert_eq!(
            template.pieces(),
            [
                Piece::Literal("u=".into()),
                Piece::Placeholder(Placeholder::User),
                Piece::Placeholder(Placeholder::Kind),
                Piece::Literal(";".into()),
            ]
        );
    }

    #[test]
    fn an_unknown_placeholder_names_the_nearest() {
        let message = |text| Template::parse(text).unwrap_err().to_string();
        assert_eq!(message("{usr}"), "unknown placeholder `{usr}`, did you mean `{user}`?");
        assert_eq!(
            message("{email}"),
            "unknown placeholder `{email}`, known are `user`, `roles`, `groups`, `kind`, `owner`, `service` and \
             `request_id`"
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
            assert_eq!(Template::parse(text), Err(error), "{text:?}");
        }
        assert!(Template::parse("{}").is_err());
        assert!(Template::parse("{{user}}").is_err());
    }
}
