//! Token secrets: 256 random bits behind a readable prefix and before a checksum, so that scanners can find leaked ones.
//!
//! `eyv_` + 43 characters of base64url + 6 characters of base64url over the CRC-32 of what stands before them.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::{error::Result, model::TokenKind, random};

/// A token's secret. `Debug` does not show it; [`reveal`](Self::reveal) does, once, to whoever made it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

const fn prefix(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Session => "eys_",
        TokenKind::Service => "eyv_",
        TokenKind::Run => "eyr_",
        TokenKind::Discovery => "eyd_",
    }
}

impl TokenSecret {
    /// A new secret for a token of this kind.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(kind: TokenKind) -> Result<Self> {
        let mut bytes = [0_u8; 32];
        random::fill(&mut bytes)?;
        let body = format!("{}{}", prefix(kind), BASE64URL_NOPAD.encode(&bytes));
        let check = checksum(&body);
        Ok(Self(body + &check))
    }

    /// Takes what a client sent, if it has the form of a secret and its checksum fits. Says nothing about its being valid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = TokenKind::ALL.iter().any(|kind| text.starts_with(prefix(*kind)));
        if !known || text.len() != 4 + 43 + 6 || !text.is_ascii() {
            return None;
        }
        let (body, check) = text.split_at(text.len() - 6);
        (checksum(body) == check).then(|| Self(text.to_owned()))
    }

    /// SHA-256 of the secret: what is kept and looked up.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

fn checksum(body: &str) -> String {
    BASE64URL_NOPAD.encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_parse_and_one_wrong_character_is_found() {
        let secret = TokenSecret::generate(TokenKind::Service).unwrap();
        assert!(secret.reveal().starts_with("eyv_"));
        assert_eq!(TokenSecret::parse(secret.reveal()).unwrap(), secret);
        let mut wrong = secret.reveal().to_owned().into_bytes();
        wrong[10] = if wrong[10] == b'A' { b'B' } else { b'A' };
        assert!(TokenSecret::parse(&String::from_utf8(wrong).unwrap()).is_none());
        assert!(!format!("{secret:?}").contains(&secret.reveal()[4..]));
    }
}
