//! Tokens: random texts that callers send. Only their hashes are kept.

mod given;
mod live;
mod store;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Rights, TenantName};
use crate::error::{Error, Result};
use crate::secrets::TOKEN_PREFIX;

pub(crate) use live::{LiveTokens, TokenSources};
pub(crate) use store::{
    SharedTokens, TOKENS_KEY, TokenChange, TokenStore, add, changed, parsed, revoke, rotate,
};

/// The random bytes of a token.
const RANDOM_BYTES: usize = 32;
/// The length of the end of a token that lists show.
const SHOWN_END: usize = 4;

/// The SHA-256 hash of a token. A token is random, so that the hash needs no salt.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let bad = "`sha256` is not a SHA-256 hash in Base64";
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad)?;
        bytes.try_into().map(Self).map_err(|_| bad)
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        URL_SAFE_NO_PAD.encode(hash.0)
    }
}

/// What is known of a token. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenEntry {
    /// Names it in lists, in the audit log and for `revoke`.
    pub id: String,
    pub name: TenantName,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub admin: bool,
    pub created_s: u64,
    /// `None`: it does not expire.
    #[serde(default)]
    pub expires_s: Option<u64>,
    /// The last characters of the token.
    pub ends_with: String,
    sha256: TokenHash,
}

impl TokenEntry {
    pub(crate) fn rights(&self) -> Rights {
        Rights {
            read_only: self.read_only,
            admin: self.admin,
        }
    }

    pub(crate) fn is_expired(&self, now_s: u64) -> bool {
        self.expires_s.is_some_and(|expires_s| expires_s <= now_s)
    }
}

/// A token that a caller sent, looked up.
#[derive(Debug)]
pub(crate) enum LookedUp<'a> {
    Valid(&'a TokenEntry),
    Expired(&'a TokenEntry),
    Unknown,
}

/// All tokens of a listener.
#[derive(Debug, Default)]
pub(crate) struct TokenTable {
    entries: Vec<TokenEntry>,
}

impl TokenTable {
    /// Refuses two entries for the same token: their rights could differ.
    fn new(entries: Vec<TokenEntry>) -> Result<Self> {
        for (at, entry) in entries.iter().enumerate() {
            let same = |other: &&TokenEntry| other.sha256 == entry.sha256;
            if let Some(other) = entries[..at].iter().find(same) {
                return Err(Error::invalid(format!(
                    "the token that ends with {} is listed twice, for {} and for {}",
                    entry.ends_with, other.name, entry.name
                ))
                .hint("keep one of the two entries"));
            }
        }
        Ok(Self { entries })
    }

    /// Expired tokens count too: when the last token expires, the listener does not become open.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the token with this id is listed and has not expired.
    pub(crate) fn has(&self, id: &str, now_s: u64) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.id == id && !entry.is_expired(now_s))
    }

    /// Compares with every entry, and in constant time, so that the time of an answer says nothing about the hashes.
    pub(crate) fn look_up(&self, token: &str, now_s: u64) -> LookedUp<'_> {
        let hash = TokenHash::of(token);
        let mut found = None;
        for entry in &self.entries {
            if bool::from(hash.0.ct_eq(&entry.sha256.0)) {
                found = Some(entry);
            }
        }
        match found {
            Some(entry) if entry.is_expired(now_s) => LookedUp::Expired(entry),
            Some(entry) => LookedUp::Valid(entry),
            None => LookedUp::Unknown,
        }
    }
}

/// A new token, and the id of its entry.
fn generate() -> Result<(String, String)> {
    let mut bytes = [0; RANDOM_BYTES + 4];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the system has no random numbers"))?;
    let (random, id) = bytes.split_at(RANDOM_BYTES);
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((token, id))
}

/// The end of a token that lists show.
fn end_of(token: &str) -> String {
    let start = token.len().saturating_sub(SHOWN_END);
    token.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, token: &str, expires_s: Option<u64>) -> TokenEntry {
        TokenEntry {
            id: name.to_owned(),
            name: name.parse().expect("a name"),
            read_only: false,
            admin: false,
            created_s: 0,
            expires_s,
            ends_with: end_of(token),
            sha256: TokenHash::of(token),
        }
    }

    #[test]
    fn tokens_are_found_until_they_expire() {
        let entries = vec![
            entry("a", "first token", None),
            entry("b", "second token", Some(100)),
        ];
        let table = TokenTable::new(entries).expect("a table");
        let name = |token, now_s| match table.look_up(token, now_s) {
            LookedUp::Valid(entry) => format!("valid {}", entry.name),
            LookedUp::Expired(entry) => format!("expired {}", entry.name),
            LookedUp::Unknown => "unknown".to_owned(),
        };
        assert_eq!(name("first token", u64::MAX), "valid a");
        assert_eq!(name("second token", 99), "valid b");
        assert_eq!(name("second token", 100), "expired b");
        for token in ["", "first", "first token ", "First token", "second tokem"] {
            assert_eq!(name(token, 0), "unknown", "{token:?}");
        }
    }

    #[test]
    fn a_token_is_listed_once() {
        let entries = vec![entry("a", "same", None), entry("b", "same", None)];
        let error = TokenTable::new(entries).expect_err("ambiguous");
        assert!(error.message.contains("for a and for b"), "{error}");
    }

    #[test]
    fn new_tokens_are_random_and_recognised_as_secrets() {
        let (one, id) = generate().expect("random");
        let (other, other_id) = generate().expect("random");
        assert_ne!(one, other);
        assert_ne!(id, other_id);
        assert_eq!(one.len(), TOKEN_PREFIX.len() + 43);
        let line = format!("GET /t/{one}/create_draft");
        let shown = crate::secrets::without(&line);
        assert_eq!(shown, "GET /t/…/create_draft");
        assert!(one.ends_with(&end_of(&one)) && end_of(&one).len() == SHOWN_END);
        assert_eq!(end_of("é"), "é");
    }

    #[test]
    fn the_debug_text_of_an_entry_has_no_hash() {
        let text = format!("{:?}", entry("a", "x", None));
        assert!(text.contains("sha256: …"), "{text}");
    }
}
