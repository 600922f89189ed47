//! The text of a token: how it is made, and how junk is known before anything is looked up (T5).
//!
//! `[PREFIX_]locum_pat_` + 12 base62 of public id + 40 base62 of secret + 6 base62 of CRC-32 over all
//! that stands before. base62 is `0-9A-Za-z`; the checksum is zero-padded, most significant digit first.

use std::fmt;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PUBLIC_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 40;
const CHECKSUM_LENGTH: usize = 6;
const PREFIX_LENGTH: usize = 16;
const MARKER_LENGTH: usize = "locum_scim_".len();
const TAIL_LENGTH: usize = PUBLIC_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH;

/// What a token is for; its marker stands in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    PersonalAccess,
    AdminApi,
    Scim,
    Invitation,
}

impl TokenKind {
    pub const ALL: [Self; 4] = [Self::PersonalAccess, Self::AdminApi, Self::Scim, Self::Invitation];

    pub const fn marker(self) -> &'static str {
        match self {
            Self::PersonalAccess => "locum_pat_",
            Self::AdminApi => "locum_key_",
            Self::Scim => "locum_scim_",
            Self::Invitation => "locum_inv_",
        }
    }
}

/// The public half of a token: 12 base62 characters that may be shown, logged and searched for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId([u8; PUBLIC_LENGTH]);

impl PublicId {
    /// Reads a public id.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; PUBLIC_LENGTH] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    /// A new public id from a source of random bytes.
    pub fn draw(random: impl FnMut(&mut [u8])) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PUBLIC_LENGTH));
        draw_characters(&mut text, PUBLIC_LENGTH, random);
        Self::parse(&text).expect("twelve characters of the alphabet were just drawn")
    }

    /// The public id that follows from `parts`, always the same one: for a request that may be
    /// repeated, and has to find what it made the first time (T3). Says nothing of the parts.
    pub fn derived(parts: &[Vec<u8>]) -> Self {
        let mut context = digest::Context::new(&digest::SHA512);
        context.update(b"locum public id 1");
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let mut characters = [b'0'; PUBLIC_LENGTH];
        for (character, pair) in characters.iter_mut().zip(digest.as_ref().chunks_exact(2)) {
            *character = ALPHABET[usize::from(u16::from_be_bytes([pair[0], pair[1]])) % ALPHABET.len()];
        }
        Self(characters)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a public id is ASCII letters and digits by construction")
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A whole, well-formed token: its checksum agrees. The text is wiped when it is dropped.
pub struct Token {
    text: Zeroizing<String>,
    kind: TokenKind,
    public_id: PublicId,
}

/// Why a text is not a token. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is not a token of this installation's format")]
    Shape,
    #[error("the token's checksum does not agree: it is mistyped or cut off")]
    Checksum,
}

impl Token {
    /// The longest text that can be a token, in bytes: the longest prefix, `_`, the longest marker, the tail.
    pub const MAX_LENGTH: usize = PREFIX_LENGTH + 1 + MARKER_LENGTH + TAIL_LENGTH;

    /// Makes a token of `kind`, with the installation's `prefix` (`""` for none), from a source of
    /// random bytes.
    pub fn generate(kind: TokenKind, prefix: &str, mut random: impl FnMut(&mut [u8])) -> Self {
        let public_id = PublicId::draw(&mut random);
        Self::with_public_id(kind, prefix, public_id, random)
    }

    /// Makes a token that has this public id.
    pub fn with_public_id(kind: TokenKind, prefix: &str, public_id: PublicId, random: impl FnMut(&mut [u8])) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 1 + MARKER_LENGTH + TAIL_LENGTH));
        if !prefix.is_empty() {
            text.push_str(prefix);
            text.push('_');
        }
        text.push_str(kind.marker());
        text.push_str(public_id.as_str());
        draw_characters(&mut text, SECRET_LENGTH, random);
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self { text, kind, public_id }
    }

    /// Whether a text *claims* to be a token: it has a marker, after a prefix or at its start. What
    /// does not is somebody else's, and is never judged.
    pub fn claims(text: &str) -> bool {
        marker_of(text).is_some()
    }

    /// Reads a whole token; the prefix of the installation, if any, has to stand before the marker.
    ///
    /// # Errors
    /// When the shape or the checksum is wrong.
    pub fn parse(text: &str, prefix: &str) -> Result<Self, TokenError> {
        let (kind, public_id) = Self::inspect(text, prefix)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), kind, public_id })
    }

    /// Says what a text is without keeping it: the judgement of [`Token::parse`] with nothing allocated,
    /// for the way of a request that is already known.
    ///
    /// # Errors
    /// When the shape or the checksum is wrong.
    pub fn inspect(text: &str, prefix: &str) -> Result<(TokenKind, PublicId), TokenError> {
        let (kind, found_prefix, tail) = marker_of(text).ok_or(TokenError::Shape)?;
        if found_prefix != prefix || tail.len() != TAIL_LENGTH || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(TokenError::Shape);
        }
        let (body, given) = text.split_at(text.len() - CHECKSUM_LENGTH);
        let agrees: bool = checksum(body.as_bytes()).ct_eq(given.as_bytes()).into();
        if !agrees {
            return Err(TokenError::Checksum);
        }
        Ok((kind, PublicId::parse(&tail[..PUBLIC_LENGTH]).ok_or(TokenError::Shape)?))
    }

    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    pub const fn public_id(&self) -> PublicId {
        self.public_id
    }

    /// The secret itself: for hashing, and for showing it the one time (T3).
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("kind", &self.kind).field("public_id", &self.public_id).finish_non_exhaustive()
    }
}

/// Splits a text at the marker of its kind: kind, prefix without its underscore, what follows. Looks no
/// further than where a marker can stand, so that another's long token costs nothing.
fn marker_of(text: &str) -> Option<(TokenKind, &str, &str)> {
    let start = &text[..text.floor_char_boundary(PREFIX_LENGTH + 1 + MARKER_LENGTH)];
    TokenKind::ALL.into_iter().find_map(|kind| {
        let at = start.find(kind.marker())?;
        let prefix = match &text[..at] {
            "" => "",
            before => before.strip_suffix('_').filter(|prefix| is_prefix(prefix))?,
        };
        Some((kind, prefix, &text[at + kind.marker().len()..]))
    })
}

/// Whether a text can be an installation's prefix: 2–16 of `a-z 0-9`.
pub fn is_prefix(text: &str) -> bool {
    (2..=PREFIX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Appends `count` characters, each drawn by rejection, so that all 62 are equally likely. The text has
/// to have room for them: it would leave a copy behind when it grows.
fn draw_characters(text: &mut String, count: usize, mut random: impl FnMut(&mut [u8])) {
    let end = text.len() + count;
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < end {
        random(pool.as_mut_slice());
        let wanted = end - text.len();
        let digits = pool.iter().map(|byte| byte >> 2).filter(|digit| *digit < 62);
        text.extend(digits.take(wanted).map(|digit| char::from(ALPHABET[usize::from(digit)])));
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0_u8;
        move |pool| {
            for byte in pool {
                *byte = next;
                next = next.wrapping_add(7);
            }
        }
    }

    /// T5
    #[test]
    fn a_token_has_68_characters_and_reads_back() {
        let token = Token::generate(TokenKind::PersonalAccess, "", counting());
        assert_eq!(token.expose().len(), 68);
        let read = Token::parse(token.expose(), "").unwrap();
        assert_eq!((read.kind(), read.public_id()), (TokenKind::PersonalAccess, token.public_id()));
    }

    /// T5
    #[test]
    fn any_changed_character_is_known_by_the_checksum() {
        let token = Token::generate(TokenKind::PersonalAccess, "acme", counting());
        for at in "acme_locum_pat_".len()..token.expose().len() {
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(Token::parse(&text, "acme").unwrap_err(), TokenError::Checksum, "at {at}");
        }
    }

    /// T5: another installation's token, and what is no token at all.
    #[test]
    fn a_foreign_prefix_is_claimed_but_not_read() {
        let token = Token::generate(TokenKind::PersonalAccess, "acme", counting());
        assert!(Token::claims(token.expose()));
        assert_eq!(Token::parse(token.expose(), "").unwrap_err(), TokenError::Shape);
        assert!(!Token::claims("ghp_0123456789"));
        assert!(!Token::claims("BAD!locum_pat_x"));
    }

    /// T3: the same parts always come to the same id, and where one ends cannot be moved.
    #[test]
    fn a_derived_public_id_depends_on_each_part() {
        let id =
            |parts: &[&str]| PublicId::derived(&parts.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(id(&["host:root", "key"]), id(&["host:root", "key"]));
        assert_ne!(id(&["host:root", "key"]), id(&["host:roo", "tkey"]));
        assert!(PublicId::parse(id(&["a"]).as_str()).is_some());
        let token = Token::with_public_id(TokenKind::PersonalAccess, "", id(&["a"]), counting());
        assert_eq!(Token::parse(token.expose(), "").unwrap().public_id(), id(&["a"]));
    }

    /// T4
    #[test]
    fn debug_shows_no_secret() {
        let token = Token::generate(TokenKind::PersonalAccess, "", counting());
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.expose()[22..62]), "{shown}");
    }
}
