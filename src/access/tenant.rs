//! The names of tenants. A name is also the name of a folder, on every system.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest name, in bytes.
const LONGEST: usize = 64;
/// The tenant of stdio, of the commands and of callers without a token.
const LOCAL: &str = "local";
/// The start of the names that stand for claims of a provider.
const OF_CLAIMS: &str = "jwt-";
/// The bytes of a hash that are part of such a name.
const HASH_BYTES: usize = 16;

/// 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, beginning and ending with a letter or digit; no name that Windows
/// reserves for devices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TenantName(Arc<str>);

impl TenantName {
    pub(crate) fn local() -> Self {
        Self(LOCAL.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant of a provider's claim: the claim itself, or a hash of it if it cannot be a name. `local` and names
    /// with the prefix of such hashes are hashed too, so that no claim names a tenant that is not its own.
    pub(crate) fn of_claim(claim: &str) -> Self {
        match claim.parse::<Self>() {
            Ok(name) if name.as_str() != LOCAL && !claim.starts_with(OF_CLAIMS) => name,
            _ => {
                let hash = Sha256::digest(claim.as_bytes());
                let mut name = OF_CLAIMS.to_owned();
                for byte in &hash[..HASH_BYTES] {
                    name.push_str(&format!("{byte:02x}"));
                }
                Self(name.into())
            }
        }
    }
}

impl FromStr for TenantName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let may = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let is_name = bytes.len() <= LONGEST
            && bytes.first().is_some_and(|byte| may(*byte))
            && bytes.last().is_some_and(|byte| may(*byte))
            && bytes.iter().all(|byte| may(*byte) || b"-_.".contains(byte));
        if !is_name {
            let lower = text.to_ascii_lowercase();
            let instead = if lower != text && lower.parse::<Self>().is_ok() {
                format!("; use {lower:?}")
            } else {
                String::new()
            };
            return Err(format!(
                "{text:?} cannot be a name: it has to have 1 to {LONGEST} of a-z, 0-9, `-`, `_` and `.`, and to begin and end with a letter or digit{instead}"
            ));
        }
        if is_device(text) {
            return Err(format!(
                "{text:?} cannot be a name: Windows reserves it for a device"
            ));
        }
        Ok(Self(text.into()))
    }
}

/// Whether Windows opens a device instead of a file of this name.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let numbered = |device: &str| {
        stem.strip_prefix(device)
            .is_some_and(|number| number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit()))
    };
    ["con", "prn", "aux", "nul"].contains(&stem) || numbered("com") || numbered("lpt")
}

impl TryFrom<String> for TenantName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_folders_on_every_system() {
        let longest = "a".repeat(LONGEST);
        for name in [
            "a", "alice", "team-1", "a.b_c", "0", "local", "console", &longest,
        ] {
            assert_eq!(name.parse::<TenantName>().expect(name).as_str(), name);
        }
        let longer = "a".repeat(LONGEST + 1);
        for name in [
            "", ".", "..", "../a", "a/b", "a\\b", "-a", "a-", "a.", ".a", "Alice", "a b", "é",
            "张三", "a\0", "a\n", "con", "nul.txt", "com1", "lpt9", &longer,
        ] {
            assert!(name.parse::<TenantName>().is_err(), "{name:?}");
        }
        let error = "Alice".parse::<TenantName>().expect_err("upper case");
        assert!(error.ends_with("use \"alice\""), "{error}");
    }

    #[test]
    fn different_claims_are_different_tenants() {
        let claims = [
            "alice", "Alice", "auth0|12", "auth0|13", "local", "jwt-x", "", "../x", "a@b.c",
            "A@b.c", "con", "张三",
        ];
        let mut names: Vec<_> = claims.into_iter().map(TenantName::of_claim).collect();
        assert_eq!(names[0].as_str(), "alice");
        // A claim that is the name of another claim's hash.
        names.push(TenantName::of_claim(names[1].as_str()));
        for name in &names {
            assert_ne!(name.as_str(), LOCAL);
            assert_eq!(name.as_str().parse().as_ref(), Ok(name));
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
