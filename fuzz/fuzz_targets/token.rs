//! The text of a token: what is read prints as it came, and no other text is taken for it.
//!
//! The input is the prefix of the installation, a line's end, and the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locum::directory::{PublicId, Token, TokenKind};

fuzz_target!(|input: &[u8]| {
    generated_tokens_read_back(input);
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (prefix, text) = input.split_once('\n').unwrap_or(("", input));
    let read = Token::parse(text, prefix);
    assert_eq!(Token::inspect(text, prefix).ok(), read.as_ref().ok().map(|token| (token.kind(), token.public_id())));
    let Ok(token) = read else { return };
    assert_eq!(token.expose(), text);
    assert!(text.len() <= Token::MAX_LENGTH);
    assert!(Token::claims(text), "what can be read claims to be a token");
    assert_eq!(PublicId::parse(token.public_id().as_str()), Some(token.public_id()));
    assert!(!format!("{token:?}").contains(&text[text.len() - 46..]), "the secret is shown");
    a_changed_character_is_noticed(text, prefix);
});

/// Whatever the random source says, what is made is a token.
fn generated_tokens_read_back(random: &[u8]) {
    let Some((kind, random)) = random.split_first() else { return };
    let kind = TokenKind::ALL[usize::from(*kind) % TokenKind::ALL.len()];
    // The drawing rejects some bytes, so a source that repeats itself needs every byte in it.
    let mut source = random.iter().copied().chain(0..=255).cycle();
    let token = Token::generate(kind, "acme", |buffer| buffer.fill_with(|| source.next().expect("it repeats")));
    let read = Token::parse(token.expose(), "acme").expect("what was made is read");
    assert_eq!((read.kind(), read.public_id()), (kind, token.public_id()));
}

/// CRC-32 finds every change of one character.
fn a_changed_character_is_noticed(text: &str, prefix: &str) {
    let at = text.bytes().map(usize::from).sum::<usize>() % text.len();
    let mut changed = text.as_bytes().to_vec();
    changed[at] = if changed[at] == b'Z' { b'a' } else { b'Z' };
    let changed = String::from_utf8(changed).expect("ASCII for ASCII");
    assert!(Token::parse(&changed, prefix).is_err(), "two texts are one token");
}
