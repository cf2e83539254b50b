//! `token`: makes, lists, revokes and rotates the tokens with which callers use a server over HTTP.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::access::tokens::{self, TOKENS_KEY, TokenChange, TokenEntry, TokenStore};
use crate::access::{Rights, TenantName, utc};
use crate::cli;
use crate::error::Result;
use crate::exec::App;
use crate::printable::counted;
use crate::settings::Settings;

/// Makes and revokes the tokens with which callers use a server over HTTP.
///
/// Each token belongs to a name: drafts, jobs, templates and files of one name are not visible to others. As soon as
/// there is a token, a server asks every caller over HTTP for one. Running servers notice changes within a second.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp token add alice                   prints the token, this once
  capcut-mcp token add dashboard --read-only
  capcut-mcp token add ci --expires 30d
  capcut-mcp token list
  capcut-mcp token rotate alice                a new token in place of the old one
  capcut-mcp token revoke alice")]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Makes a token and prints it. It cannot be shown again, because only its hash is kept.
    Add {
        /// Whose token it is: a-z, 0-9, `-`, `_` and `.`. `local` is the name of the drafts that the commands make.
        #[arg(value_name = "NAME", value_parser = parse_name)]
        name: TenantName,
        /// The token cannot change, save, upload, delete or generate anything.
        #[arg(long)]
        read_only: bool,
        /// The token also sees the drafts of all other names.
        #[arg(long)]
        admin: bool,
        /// When it expires: a number of minutes, hours, days or weeks, such as `12h` or `30d`. Default: never.
        #[arg(long, value_name = "TIME", value_parser = parse_lifetime)]
        expires: Option<u64>,
        /// Prints a JSON object with the token, its id and its rights.
        #[arg(long)]
        json: bool,
    },
    /// Lists the tokens: their ids, names, rights and last characters.
    List {
        /// Prints a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Revokes a token, or all tokens of a name.
    Revoke {
        /// The name, or the id that `token list` shows.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
    },
    /// Makes a new token in place of one, with the same name, rights and lifetime. The old one is refused from then on.
    Rotate {
        /// The name, or the id that `token list` shows.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        /// Prints a JSON object with the token, its id and its rights.
        #[arg(long)]
        json: bool,
    },
}

impl TokenCommand {
    pub(super) async fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let store = TokenList::of(settings)?;
        match self.action {
            TokenAction::Add {
                name,
                read_only,
                admin,
                expires,
                json,
            } => {
                let rights = Rights { read_only, admin };
                let new = store
                    .change(&|entries| tokens::add(entries, &name, rights, expires))
                    .await?;
                let same = |entry: &&TokenEntry| entry.name == name;
                let count = store.read().await?.iter().filter(same).count();
                let also = if count > 1 {
                    format!(" {name} has {} now.", counted(count, "token"))
                } else {
                    String::new()
                };
                let made = format!("Made a token for {}.{also}", described(&new.entry));
                print_new(&new.token, &new.entry, &made, json)
            }
            TokenAction::Rotate { which, json } => {
                let (new, old) = store
                    .change(&|entries| tokens::rotate(entries, &which))
                    .await?;
                let made = format!(
                    "Made a token for {}. Servers refuse the old one, which ended with {}.",
                    described(&new.entry),
                    old.ends_with
                );
                print_new(&new.token, &new.entry, &made, json)
            }
            TokenAction::List { json } => {
                let mut entries = store.read().await?;
                entries.sort_by(|a, b| (&a.name, a.created_s).cmp(&(&b.name, b.created_s)));
                if json {
                    return cli::print(&cli::json_text(&entries.iter().map(row).collect()));
                }
                cli::print(&listed(&entries))
            }
            TokenAction::Revoke { which } => {
                let revoked = store
                    .change(&|entries| tokens::revoke(entries, &which))
                    .await?;
                let ends: Vec<_> = revoked
                    .iter()
                    .map(|entry| format!("{} (…{})", entry.id, entry.ends_with))
                    .collect();
                let mut text = format!(
                    "revoked {} of {}: {}\nrunning servers refuse it within a second",
                    counted(revoked.len(), "token"),
                    revoked.first().map_or("", |entry| entry.name.as_str()),
                    ends.join(", "),
                );
                if store.read().await?.is_empty() {
                    text.push_str("\nthere are no tokens left: a server serves only programs on its own machine, which need none");
                }
                cli::print(&text)
            }
        }
    }
}

/// The list of tokens: a file in the data folder, or a value in a store that several servers use.
enum TokenList {
    File(TokenStore),
    Shared(Arc<App>),
}

impl TokenList {
    fn of(settings: Settings) -> Result<Self> {
        if settings.store.is_some() {
            return App::new(settings).map(Self::Shared);
        }
        Ok(Self::File(TokenStore::new(settings.data_dir()?)))
    }

    async fn read(&self) -> Result<Vec<TokenEntry>> {
        match self {
            Self::File(store) => Ok(store.read()?.unwrap_or_default()),
            Self::Shared(app) => match app.journal.value(TOKENS_KEY).await? {
                Some(bytes) => tokens::parsed(&bytes, PLACE),
                None => Ok(Vec::new()),
            },
        }
    }

    async fn change<T>(&self, change: &TokenChange<'_, T>) -> Result<T> {
        let app = match self {
            Self::File(store) => return store.change(change),
            Self::Shared(app) => app,
        };
        loop {
            let seen = app.journal.value(TOKENS_KEY).await?;
            let (new, done) = tokens::changed(seen.as_deref(), PLACE, change)?;
            let set = app
                .journal
                .set_value(TOKENS_KEY, seen.as_deref(), Some(&new), None);
            // Another command may have changed the list meanwhile.
            if set.await? {
                return Ok(done);
            }
        }
    }
}

/// Where the tokens of several servers are, for people.
const PLACE: &str = "the list of tokens in the database";

/// Prints a new token on stdout, alone, so that a script can use it; the rest is for people.
fn print_new(token: &str, entry: &TokenEntry, made: &str, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let mut row = row(entry);
        row["token"] = token.into();
        return cli::print(&cli::json_text(&row));
    }
    cli::say(&format!(
        "{made}
It is shown only now: keep it where its user finds it. Clients send it in the header `Authorization`, as `Bearer TOKEN`; clients of the
CapCut API that can send no header begin the path with it: http://HOST:PORT/t/TOKEN/create_draft"
    ));
    cli::print(token)
}

/// `alice (id 1a2b3c4d, may change drafts, does not expire)`.
fn described(entry: &TokenEntry) -> String {
    let expires = match entry.expires_s {
        Some(expires_s) => format!("expires on {}", utc::readable(expires_s)),
        None => "does not expire".to_owned(),
    };
    format!(
        "{} (id {}, {}, {expires})",
        entry.name,
        entry.id,
        rights(entry)
    )
}

fn rights(entry: &TokenEntry) -> &'static str {
    match (entry.read_only, entry.admin) {
        (false, false) => "changes drafts",
        (true, false) => "only reads",
        (false, true) => "changes drafts and sees all",
        (true, true) => "only reads and sees all",
    }
}

fn row(entry: &TokenEntry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.name,
        "read_only": entry.read_only,
        "admin": entry.admin,
        "created": utc::text(entry.created_s),
        "expires": entry.expires_s.map(utc::text),
        "expired": entry.is_expired(utc::now_s()),
        "ends_with": entry.ends_with,
    })
}

fn listed(entries: &[TokenEntry]) -> String {
    if entries.is_empty() {
        return "there are no tokens\n`capcut-mcp token add NAME` makes one".to_owned();
    }
    let name = entries.iter().map(|entry| entry.name.as_str().len()).max();
    let name = name.unwrap_or_default().max(4);
    let mut text = format!(
        "{:<8}  {:<name$}  {:<27}  {:<20}  {:<20}  ends with\n",
        "id", "name", "rights", "created", "expires"
    );
    let now_s = utc::now_s();
    for entry in entries {
        let expires = match entry.expires_s {
            None => "never".to_owned(),
            Some(_) if entry.is_expired(now_s) => "expired".to_owned(),
            Some(expires_s) => utc::readable(expires_s),
        };
        text.push_str(&format!(
            "{:<8}  {:<name$}  {:<27}  {:<20}  {expires:<20}  {}\n",
            entry.id,
            entry.name.as_str(),
            rights(entry),
            utc::readable(entry.created_s),
            entry.ends_with,
        ));
    }
    text
}

fn parse_name(text: &str) -> Result<TenantName, String> {
    text.parse()
}

/// The longest lifetime in days.
const LONGEST_DAYS: u64 = 3650;

/// A lifetime in seconds.
fn parse_lifetime(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "{text:?} is not a time such as 30d: a number from 1 with m (minutes), h (hours), d (days) or w (weeks), at most {LONGEST_DAYS}d"
        )
    };
    let text = text.trim();
    let unit_s = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some('w') => 7 * 24 * 60 * 60,
        _ => return Err(bad()),
    };
    let number = &text[..text.len() - 1];
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let s = number.parse::<u64>().ok().filter(|_| is_number);
    s.and_then(|number| number.checked_mul(unit_s))
        .filter(|s| (1..=LONGEST_DAYS * 24 * 60 * 60).contains(s))
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit_and_a_limit() {
        for (text, s) in [
            ("1m", 60),
            ("12h", 43_200),
            ("30d", 2_592_000),
            (" 2w ", 1_209_600),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(parse_lifetime(text), Ok(s), "{text}");
        }
        for text in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "+1d",
            "1.5d",
            "3651d",
            "99999999999999999999d",
            "30 days",
            "1é",
        ] {
            let error = parse_lifetime(text).expect_err(text);
            assert!(error.contains("30d"), "{error}");
        }
    }
}
