//! What is known of a person beside the username: name, email address, phone number (U1, A2).
//!
//! None of it is shown by `Debug`, and none of it stands in an error: what cannot be read is not repeated.

use std::fmt;

use zeroize::Zeroizing;

/// A person's name, for people to read: 1 to 200 characters, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(Zeroizing<String>);

/// An email address: compared without regard to the case of ASCII letters, shown as it was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(Zeroizing<String>);

/// A phone number: `+` and digits, which spaces, dots, hyphens and brackets may group.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(Zeroizing<String>);

/// Why a text is not what it should be. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonalError {
    #[error(
        "a name has 1 to {} characters, none of them a control character, and does not begin or end with a space",
        DisplayName::LONGEST
    )]
    Name,
    #[error("an email address is written `NAME@DOMAIN`, with at most {} bytes and without spaces", Email::LONGEST)]
    Email,
    #[error("a phone number is `+` and 7 to 15 digits, which spaces, dots, hyphens and brackets may group")]
    Phone,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersonalField {
    Name,
    Email,
    Phone,
}

impl PersonalField {
    pub const ALL: [Self; 3] = [Self::Name, Self::Email, Self::Phone];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.slug() == slug)
    }
}

/// What is known of one person. The default: nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Personal {
    pub name: Option<DisplayName>,
    pub email: Option<Email>,
    pub phone: Option<Phone>,
}

impl Personal {
    /// The text of one field.
    pub fn text(&self, field: PersonalField) -> Option<&str> {
        match field {
            PersonalField::Name => self.name.as_ref().map(DisplayName::as_str),
            PersonalField::Email => self.email.as_ref().map(Email::as_str),
            PersonalField::Phone => self.phone.as_ref().map(Phone::as_str),
        }
    }

    /// Takes in a text that was kept for a field.
    ///
    /// # Errors
    /// When it is not what the field holds.
    pub fn put(&mut self, field: PersonalField, text: &str) -> Result<(), PersonalError> {
        match field {
            PersonalField::Name => self.name = Some(DisplayName::parse(text)?),
            PersonalField::Email => self.email = Some(Email::parse(text)?),
            PersonalField::Phone => self.phone = Some(Phone::parse(text)?),
        }
        Ok(())
    }

    pub const fn is_empty(&self) -> bool {
        self.name.is_none() && self.email.is_none() && self.phone.is_none()
    }
}

/// What is to become of each field: `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonalChange {
    pub name: Option<Option<DisplayName>>,
    pub email: Option<Option<Email>>,
    pub phone: Option<Option<Phone>>,
}

impl PersonalChange {
    /// What is known after the change.
    #[must_use]
    pub fn applied_to(&self, before: &Personal) -> Personal {
        let Self { name, email, phone } = self.clone();
        Personal {
            name: name.unwrap_or_else(|| before.name.clone()),
            email: email.unwrap_or_else(|| before.email.clone()),
            phone: phone.unwrap_or_else(|| before.phone.clone()),
        }
    }
}

impl DisplayName {
    /// In characters.
    pub const LONGEST: usize = 200;

    /// # Errors
    /// [`PersonalError::Name`].
    pub fn parse(text: &str) -> Result<Self, PersonalError> {
        let good = (1..=Self::LONGEST).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(|c| c.is_control() || is_unseen(c));
        if good { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(PersonalError::Name) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What turns the direction of text, or cannot be seen: a name that reads as another's is not a name. Joiners stay,
/// for there are names that are written with them.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl Email {
    /// In bytes (RFC 5321 §4.5.3.1.3, without the angle brackets).
    pub const LONGEST: usize = 254;

    /// # Errors
    /// [`PersonalError::Email`].
    pub fn parse(text: &str) -> Result<Self, PersonalError> {
        let good = text.len() <= Self::LONGEST
            && !text.chars().any(|c| c.is_control() || c.is_whitespace() || is_unseen(c) || "<>(),;:\\\"".contains(c))
            && text.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
            });
        if good { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(PersonalError::Email) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two are compared.
    pub fn folded(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_ascii_lowercase())
    }
}

impl Phone {
    /// # Errors
    /// [`PersonalError::Phone`].
    pub fn parse(text: &str) -> Result<Self, PersonalError> {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        let good = text.len() <= 40
            && text.strip_prefix('+').is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_digit())
                    && rest.ends_with(|c: char| c.is_ascii_digit())
                    && rest.chars().all(|c| c.is_ascii_digit() || " .-()".contains(c))
            })
            && (7..=15).contains(&digits);
        if good { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(PersonalError::Phone) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shows_nothing {
    ($($word:ident),*) => {$(
        impl fmt::Debug for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($word), "(..)"))
            }
        }
    )*};
}

shows_nothing!(DisplayName, Email, Phone, Personal, PersonalChange);

#[cfg(test)]
mod tests {
    use super::*;

    /// U1: what people are called anywhere is taken, and what could pass for another's is not.
    #[test]
    fn names_addresses_and_numbers_are_told_from_what_is_none() {
        for good in ["Ann", "Ann Ångström", "安", "O’Neil-Smith, Jr."] {
            assert!(DisplayName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " Ann", "Ann ", "A\nnn", "A\u{202e}nn", "A\u{200b}nn", &"a".repeat(201)] {
            assert_eq!(DisplayName::parse(bad).unwrap_err(), PersonalError::Name, "{bad:?}");
        }
        for good in ["ann@example.org", "Ann.O+x@EXAMPLE.org", "ann@localhost", "ann@bücher.example"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "Ann <a@b>", "a@b\r\nBcc:x", "a@.b"] {
            assert_eq!(Email::parse(bad).unwrap_err(), PersonalError::Email, "{bad:?}");
        }
        for good in ["+41441234567", "+41 44 123 45 67", "+1 (555) 010-9999"] {
            assert!(Phone::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "044 123 45 67", "+12", "+1234567890123456", "+41 44 x", "+-1234567", "+1234567-"] {
            assert_eq!(Phone::parse(bad).unwrap_err(), PersonalError::Phone, "{bad:?}");
        }
    }

    /// E1, E3
    #[test]
    fn nothing_that_is_printed_shows_it() {
        let mut ann = Personal::default();
        for (field, text) in
            [(PersonalField::Name, "Ann"), (PersonalField::Email, "ann@x.org"), (PersonalField::Phone, "+411234567")]
        {
            ann.put(field, text).unwrap();
            assert_eq!(ann.text(field), Some(text));
        }
        let change = PersonalChange { name: Some(ann.name.clone()), ..PersonalChange::default() };
        let shown = format!("{ann:?} {change:?} {:?} {:?} {:?}", ann.name, ann.email, ann.phone);
        assert!(!shown.contains("Ann") && !shown.contains("ann") && !shown.contains("411"), "{shown}");
    }

    /// U1: what is not named stays.
    #[test]
    fn a_change_touches_what_it_names() {
        let mut before = Personal::default();
        before.put(PersonalField::Name, "Ann").unwrap();
        before.put(PersonalField::Email, "ann@x.org").unwrap();
        let change = PersonalChange { email: Some(None), ..PersonalChange::default() };
        let after = change.applied_to(&before);
        assert_eq!((after.text(PersonalField::Name), after.text(PersonalField::Email)), (Some("Ann"), None));
        assert!(PersonalChange::default().applied_to(&before) == before);
    }
}
