//! `disconnect`: removes this server from a client's configuration.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::clients::McpClient;
use super::file::ClientFile;
use super::server::LaunchCommand;
use super::syntax::SyntaxError;
use super::{EntryPlace, TRIES, Target, described, faulty, file_names, is_ours, target};
use crate::cli;
use crate::cli::completions::named;
use crate::error::{Error, Kind, Result};

/// Removes this server from a client's configuration.
///
/// Only the entry that `connect` wrote is removed, and a backup of the file is kept next to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp disconnect cursor
  capcut-mcp disconnect claude-code --project .     from the project's .mcp.json
  capcut-mcp disconnect zed --print                 what would be removed; writes nothing")]
pub(in crate::cli) struct Disconnect {
    /// The client, as for `connect`.
    #[arg(value_name = "CLIENT", value_parser = named(file_names, |text| Ok(text.to_owned())), hide_possible_values = true)]
    client: String,
    /// Shows what would be removed, but writes nothing.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    place: EntryPlace,
}

impl Disconnect {
    pub(in crate::cli) fn run(&self) -> anyhow::Result<ExitCode> {
        let client = match target(&self.client)? {
            Target::File(client) => client,
            Target::ByHand(name) => {
                return Err(
                    Error::invalid(format!("{name} was not connected by this program"))
                        .hint("remove the server in the client, where you entered it")
                        .into(),
                );
            }
        };
        let path = self.place.path(client)?;
        for attempt in 1.. {
            let file = ClientFile::read(&path)?;
            let Some(removal) = self.removal(client, &file)? else {
                let (title, path) = (client.title, file.path().display());
                let name = &self.place.name;
                return cli::print(&format!(
                    "{title} is not connected: {path} has no server `{name}`. Nothing was changed."
                ));
            };
            if attempt == 1 {
                let path = file.path().display();
                cli::print(&format!(
                    "{}: removes `{}` from {path}",
                    client.title, self.place.name
                ))?;
            }
            if self.print {
                break;
            }
            let backup = match &removal {
                Some(text) => file.write(text),
                None => file.delete(),
            };
            match backup {
                Ok(backup) => {
                    let kept =
                        backup.map(|path| format!(" Backup of the file: {}", path.display()));
                    let gone = if removal.is_none() {
                        " The file contained nothing else and was removed."
                    } else {
                        ""
                    };
                    return cli::print(&format!("Disconnected.{gone}{}", kept.unwrap_or_default()));
                }
                Err(error) if error.kind == Kind::Conflict && attempt < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The text without the entry, or `Some(None)` to delete a file that was created for it; `None` if there is no such
    /// entry.
    #[expect(
        clippy::option_option,
        reason = "the two levels have different meanings"
    )]
    fn removal(&self, client: &McpClient, file: &ClientFile) -> Result<Option<Option<String>>> {
        let (format, key, name) = (client.format, client.key, self.place.name.as_str());
        let at = |fault| faulty(file.path(), &fault);
        let own = |text: &str| -> Result<Option<Value>, SyntaxError> {
            let entry = format.entries(text, key)?.shift_remove(name);
            Ok(entry.filter(|entry| is_ours(entry, client)))
        };
        let entries = format.entries(&file.text, key).map_err(at)?;
        let Some(there) = entries.get(name).filter(|there| !there.is_null()) else {
            return Ok(None);
        };
        if !is_ours(there, client) {
            return Err(Error::conflict(format!(
                "the server `{name}` in {} is not this program: {}",
                file.path().display(),
                described(there, client)
            ))
            .hint("the entry was not changed; `--name` selects another one"));
        }
        // If adding this entry to a backup (or to no file) gives exactly the current text, the backup is restored byte
        // for byte. The comparison needs the fields in the order in which `connect` writes them.
        let written =
            LaunchCommand::of(there, client.shape).map(|server| server.entry(client.shape));
        let entry = written.filter(|entry| entry == there);
        let entry = entry.as_ref().unwrap_or(there);
        let makes_this = |before: &str| {
            let free = format
                .entries(before, key)
                .is_ok_and(|entries| !entries.contains_key(name));
            free && format
                .add(before, key, name, entry)
                .is_ok_and(|text| text == file.text)
        };
        if let Some(before) = file.backups().into_iter().find(|before| makes_this(before)) {
            return Ok(Some(Some(before)));
        }
        if makes_this("") {
            return Ok(Some(None));
        }
        let mut text = format.remove(&file.text, key, name).map_err(at)?;
        while own(&text).map_err(at)?.is_some() {
            text = format.remove(&text, key, name).map_err(at)?;
        }
        format.check((&file.text, &text), key, name, None)?;
        Ok(Some(Some(text)))
    }
}
