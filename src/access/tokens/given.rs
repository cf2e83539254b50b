//! Tokens from a file or a variable, for containers: lines `NAME TOKEN [read-only] [admin]`.

use super::{TokenEntry, TokenHash, end_of};
use crate::access::TenantName;
use crate::error::{Error, Result};
use crate::secrets;

/// The shortest token, in characters: 128 bits need 22 of Base64; texts that people invent are shorter.
const SHORTEST: usize = 32;
/// The longest token, in characters, so that it fits into a header.
const LONGEST: usize = 512;
/// The fewest different characters: `aaaa…` is not random.
const DIFFERENT: usize = 8;

/// The tokens of a text; `place` names it in errors, which never quote a line. A token in it is known as a secret from
/// then on.
pub(super) fn read(text: &str, place: &str) -> Result<Vec<TokenEntry>> {
    let mut entries = Vec::new();
    // In a variable, lines can also be separated by `;`, because many files of variables have no line breaks.
    let lines = text.trim_start_matches('\u{feff}').split(['\n', ';']);
    for (number, line) in lines.enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what: String| {
            Error::invalid(format!("{place}: line {}: {what}", number + 1)).hint(
                "write each line as `NAME TOKEN`, optionally followed by `read-only` or `admin`; `openssl rand -hex 32` makes a token",
            )
        };
        let mut words = line.split_whitespace();
        let (Some(name), Some(token)) = (words.next(), words.next()) else {
            return Err(fault("there is no token after the name".to_owned()));
        };
        secrets::know(token);
        let name: TenantName = name.parse().map_err(fault)?;
        check(token).map_err(fault)?;
        let mut entry = TokenEntry {
            id: format!("given-{}", entries.len() + 1),
            name,
            read_only: false,
            admin: false,
            created_s: 0,
            expires_s: None,
            ends_with: end_of(token),
            sha256: TokenHash::of(token),
        };
        for word in words {
            match word {
                "read-only" => entry.read_only = true,
                "admin" => entry.admin = true,
                _ => {
                    return Err(fault(
                        "only `read-only` and `admin` can follow the token".to_owned(),
                    ));
                }
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn check(token: &str) -> Result<(), String> {
    let length = token.chars().count();
    // The characters that `Authorization: Bearer` can carry (RFC 6750).
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(may) {
        return Err("the token has characters other than A-Z, a-z, 0-9 and `-._~+/=`".to_owned());
    }
    if length < SHORTEST {
        return Err(format!(
            "the token has {length} characters; it needs at least {SHORTEST} random ones"
        ));
    }
    if length > LONGEST {
        return Err(format!(
            "the token has {length} characters; the most are {LONGEST}"
        ));
    }
    let mut different: Vec<u8> = token.bytes().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT {
        return Err(format!(
            "the token has only {} different characters; it has to be random",
            different.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn lines_have_a_name_a_token_and_rights() {
        let text = format!(
            "\u{feff}# team\r\n\r\nalice {TOKEN}1 \r\n  bob\t{TOKEN}2 read-only\ncarol {TOKEN}3 admin;dan {TOKEN}4 admin read-only"
        );
        let entries = read(&text, "x").expect("entries");
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.read_only, entry.admin))
            .collect();
        assert_eq!(
            shown,
            [
                ("alice", false, false),
                ("bob", true, false),
                ("carol", false, true),
                ("dan", true, true)
            ]
        );
        assert!(read("", "x").expect("none").is_empty());
    }

    #[test]
    fn weak_tokens_and_other_lines_are_refused_without_quoting_them() {
        for (line, what) in [
            ("alice", "no token after the name"),
            ("alice short-secret-value", "has 18 characters"),
            (&format!("Alice {TOKEN}"), "use \"alice\""),
            (&format!("alice {TOKEN}é"), "characters other than"),
            (
                &format!("alice {}", "ab".repeat(40)),
                "2 different characters",
            ),
            (&format!("alice {}", TOKEN.repeat(17)), "the most are 512"),
            (&format!("alice {TOKEN} readonly"), "only `read-only`"),
        ] {
            let error = read(&format!("# one\n{line}"), "the variable").expect_err(line);
            let text = error.to_string();
            assert!(text.starts_with("the variable: line 2: "), "{text}");
            assert!(text.contains(what), "{text}");
            let token = line.split(' ').nth(1).unwrap_or("no token");
            assert!(token == "no token" || !text.contains(token), "{text}");
        }
    }
}
