//! `connect --list`: which clients are installed and which are connected.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::clients::CLIENTS;
use super::file::ClientFile;
use super::{NAME, faulty, own_names};
use crate::cli;
use crate::error::Error;
use crate::settings::{Os, environment};

/// Each client, with its file on this machine.
pub(super) fn run(as_json: bool) -> anyhow::Result<ExitCode> {
    let os = Os::current();
    let mut rows = Vec::new();
    for client in CLIENTS {
        let found = client.is_found(os, &environment, &Path::exists);
        let file = client.file(os, &environment, &Path::exists);
        let entries = file.as_deref().map(|path| {
            let file = ClientFile::read(path)?;
            let entries = client.format.entries(&file.text, client.key);
            let entries = entries.map_err(|fault| faulty(path, &fault))?;
            Ok::<_, Error>(own_names(&entries, client).cloned().collect::<Vec<_>>())
        });
        let (connected, error) = match entries {
            Some(Ok(names)) => (names, None),
            Some(Err(error)) => (Vec::new(), Some(error.message)),
            None => (Vec::new(), Some("this user has no home folder".to_owned())),
        };
        rows.push((client, found, file, connected, error));
    }
    if as_json {
        let rows = rows
            .into_iter()
            .map(|(client, found, file, connected, error)| {
                json!({
                    "client": client.name,
                    "title": client.title,
                    "found": found,
                    "file": file,
                    "connected": connected,
                    "error": error,
                })
            });
        return cli::print(&cli::json_text(&rows.collect()));
    }
    let mut text = String::new();
    for (client, found, file, connected, error) in rows {
        let found = if found { "found" } else { "not found" };
        let state = match (&error, connected.as_slice()) {
            (Some(_), _) => "not readable".to_owned(),
            (None, []) => "not connected".to_owned(),
            (None, names) if names == [NAME] => "connected".to_owned(),
            (None, names) => format!("connected as {}", names.join(", ")),
        };
        let detail = error.or_else(|| Some(file?.display().to_string()));
        let (name, detail) = (client.name, detail.unwrap_or_default());
        text += &format!("{name:<15} {found:<10} {state:<14} {detail}\n");
    }
    cli::print(&text)
}
