//! `connect` and `disconnect`: add this server to the configuration of a client and remove it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::{Value, json};

use super::Options;
use super::completions::named;
use super::logs::LogFormat;
use super::tool_options::ToolOptions;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::settings::{self, Os, Recover, environment};
use clients::{CLIENTS, McpClient};
use file::ClientFile;
use server::{LaunchCommand, ServeOptions};
use syntax::SyntaxError;

mod by_hand;
mod clients;
pub(super) mod disconnect;
mod document;
mod file;
mod json;
mod list;
mod server;
mod start;
mod syntax;
mod tables;

/// The name of the entry, unless `--name` says otherwise.
const NAME: &str = "capcut";

/// How often an edit starts over because the client wrote its file at the same time.
const TRIES: usize = 3;

/// Clients without a configuration file: `connect` prints what to enter there.
const BY_HAND: [&str; 4] = ["cherry-studio", "dify", "n8n", "json"];

/// Connects a client: adds this server to its configuration, starts it as the client does and lists its tools.
///
/// Everything else in the file stays, comments included, and a backup is kept next to it. Options such as `--edition`
/// and `--backend` become options of the entry. A second run changes nothing, unless the executable has moved or
/// the options differ; then it updates its entry.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp connect claude-desktop
  capcut-mcp connect cursor --edition jianying      drafts for JianYing
  capcut-mcp connect vscode --print                 what would be written, and where; writes nothing
  capcut-mcp connect claude-code --project .        for one project, in its .mcp.json
  capcut-mcp connect --list                         which clients are installed, which connected
  capcut-mcp connect json                           the block for any other client")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Connect {
    /// claude-desktop, claude-code, cursor, vscode, windsurf, zed, lm-studio, gemini, codex, copilot or opencode. For
    /// cherry-studio, dify, n8n and json, the command prints what to enter.
    #[arg(value_name = "CLIENT", value_parser = named(names, |text| Ok(text.to_owned())), hide_possible_values = true, required_unless_present = "list")]
    client: Option<String>,
    /// Lists each client: whether it is installed, its file, and whether it is connected.
    #[arg(long, conflicts_with_all = ["client", "print", "force", "project", "file"])]
    list: bool,
    /// Prints the list as JSON.
    #[arg(long, requires = "list")]
    json: bool,
    /// Shows what would be written, but writes nothing.
    #[arg(long)]
    print: bool,
    /// Replaces an entry of the same name that starts something else.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    tools: ToolOptions,
    #[command(flatten)]
    place: EntryPlace,
}

/// The entry and its file.
#[derive(Debug, Args)]
struct EntryPlace {
    /// The name of the entry.
    #[arg(long, value_name = "NAME", default_value = NAME, value_parser = parse_name)]
    name: String,
    /// Uses the file of the project in this folder instead of the user's (claude-code, cursor and vscode).
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "file")]
    project: Option<PathBuf>,
    /// The client's file, if it is not at the client's default path.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

fn file_names() -> Vec<&'static str> {
    CLIENTS.iter().map(|client| client.name).collect()
}

fn names() -> Vec<&'static str> {
    file_names().into_iter().chain(BY_HAND).collect()
}

/// Checks an entry name. Clients use it as a prefix of tool names, where they allow only these characters.
fn parse_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 32 && text.chars().all(is_allowed) {
        return Ok(text.to_owned());
    }
    Err("a name has 1 to 32 letters, digits, `-` and `_`".to_owned())
}

/// Normalises the spelling of a client's name: `claude_desktop`, `LM Studio`, `vs-code`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

enum Target {
    File(&'static McpClient),
    ByHand(&'static str),
}

fn target(named: &str) -> Result<Target> {
    let wanted = plain(named);
    if let Some(client) = CLIENTS.iter().find(|client| plain(client.name) == wanted) {
        return Ok(Target::File(client));
    }
    if let Some(name) = BY_HAND.into_iter().find(|name| plain(name) == wanted) {
        return Ok(Target::ByHand(name));
    }
    Err(cli::nearest(
        "client",
        named,
        names().into_iter(),
        "`capcut-mcp connect --list` lists them; `capcut-mcp connect json` prints the block for any other",
    ))
}

impl EntryPlace {
    fn path(&self, client: &McpClient) -> Result<PathBuf> {
        let os = Os::current();
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| {
                Error::invalid(format!("{} is not a path", path.display())).source(error)
            })
        };
        if let Some(file) = &self.file {
            return absolute(file);
        }
        if let Some(project) = &self.project {
            let project = absolute(project)?;
            if !project.is_dir() {
                let project = project.display();
                return Err(Error::not_found(format!(
                    "`--project`: there is no folder {project}"
                )));
            }
            return client.project_file(os, &project).ok_or_else(|| {
                let all = CLIENTS.iter().filter(|client| client.has_project());
                let all: Vec<_> = all.map(|client| client.name).collect();
                Error::invalid(format!("`--project` is not for {}", client.name))
                    .hint(format!("`--project` works for {}", all.join(", ")))
            });
        }
        client.file(os, &environment, &Path::exists).ok_or_else(|| {
            Error::new(Kind::Unavailable, "this user has no home folder")
                .hint(format!("name the file of {} with `--file`", client.title))
        })
    }
}

impl Connect {
    pub(super) fn run(self, options: Options) -> anyhow::Result<ExitCode> {
        let Some(named) = self.client.as_deref() else {
            return list::run(self.json);
        };
        let target = target(named)?;
        let mut words = words(&options);
        words.extend(self.tools.words());
        let data_dir = options
            .settings()?
            .data_dir()
            .ok()
            .map(text_of)
            .transpose()?;
        let command = text_of(&this_executable()?)?;
        let server = LaunchCommand::new(command, &words, data_dir.as_deref());
        let client = match target {
            Target::File(client) => client,
            Target::ByHand(name) => {
                if self.place.file.is_some() || self.place.project.is_some() {
                    return Err(Error::invalid(format!(
                        "`--file` and `--project` have no effect for {name}: no file is written"
                    ))
                    .into());
                }
                return cli::print(&by_hand::steps(name, &self.place.name, &server, &words)?);
            }
        };
        let path = self.place.path(client)?;
        let edit =
            |file: &ClientFile| self.edit(client, file, &server, &words, data_dir.as_deref());
        let mut file = ClientFile::read(&path)?;
        let mut change = edit(&file)?;
        cli::print(&self.shown(client, &file, &change)?)?;
        for note in self.notes(client, &path, &file, &words) {
            cli::say(&format!("note: {note}"));
        }
        if self.print {
            return match change.text {
                Some(_) => Ok(ExitCode::SUCCESS),
                None => cli::print(&format!("\n{} is already connected.", client.title)),
            };
        }
        let mut tries = 1;
        let written = loop {
            let Some(text) = &change.text else {
                break format!(
                    "\n{} is already connected; nothing was changed.",
                    client.title
                );
            };
            client.format.check(
                (&file.text, text),
                client.key,
                &self.place.name,
                Some(&change.entry),
            )?;
            match file.write(text) {
                Ok(Some(backup)) => {
                    break format!("\nConnected. Backup of the file: {}", backup.display());
                }
                Ok(None) => break "\nConnected. The file is new.".to_owned(),
                Err(error) if error.kind == Kind::Conflict && tries < TRIES => {
                    tries += 1;
                    file = ClientFile::read(&path)?;
                    change = edit(&file)?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        cli::print(&written)?;
        let tools = self.check(client, &path)?;
        cli::print(&format!(
            "The server starts and offers {} tools: {}\n{}",
            tools.len(),
            tools.join(", "),
            client.reload
        ))
    }

    /// Plans the change of a file.
    fn edit(
        &self,
        client: &McpClient,
        file: &ClientFile,
        server: &LaunchCommand,
        words: &ServeOptions,
        data_dir: Option<&str>,
    ) -> Result<Change> {
        let (format, key, name) = (client.format, client.key, self.place.name.as_str());
        let at = |fault| faulty(file.path(), &fault);
        let entries = format.entries(&file.text, key).map_err(at)?;
        let fresh = server.entry(client.shape);
        let Some(there) = entries.get(name) else {
            let text = format.add(&file.text, key, name, &fresh).map_err(at)?;
            return Ok(Change {
                text: Some(text),
                entry: fresh,
            });
        };
        if there.is_null() {
            let text = format.replace(&file.text, key, name, &fresh).map_err(at)?;
            return Ok(Change {
                text: Some(text),
                entry: fresh,
            });
        }
        let known = LaunchCommand::of(there, client.shape);
        let text = match known.filter(LaunchCommand::is_ours) {
            _ if self.force => format.replace(&file.text, key, name, &fresh),
            Some(own) => {
                let updated = own
                    .updated(&server.command, words, data_dir)
                    .entry(client.shape);
                let changed = server::fields(client.shape).iter().copied();
                let changed = changed.filter(|field| updated[field] != there[field]);
                let changed: Vec<&str> = changed.collect();
                if changed.is_empty() {
                    let entry = there.clone();
                    return Ok(Change { text: None, entry });
                }
                let mut entry = there.clone();
                for field in &changed {
                    entry[field] = updated[field].clone();
                }
                let text = format
                    .update(&file.text, key, name, &changed, &entry)
                    .map_err(at)?;
                return Ok(Change {
                    text: Some(text),
                    entry,
                });
            }
            None => {
                return Err(Error::conflict(format!(
                    "{} already has another server named `{name}`: {}",
                    file.path().display(),
                    described(there, client)
                ))
                .hint("`--name OTHER` adds this one next to it, `--force` replaces it"));
            }
        };
        let text = Some(text.map_err(at)?).filter(|_| fresh != *there);
        Ok(Change { text, entry: fresh })
    }

    fn shown(&self, client: &McpClient, file: &ClientFile, change: &Change) -> Result<String> {
        let block = client
            .format
            .block(client.key, &self.place.name, &without_values(&change.entry))
            .map_err(|fault| faulty(file.path(), &fault))?;
        let new = if file.exists() { "" } else { " (a new file)" };
        let server = LaunchCommand::of(&change.entry, client.shape).filter(|_| self.print);
        let link = server.and_then(|server| server::link(client.name, &self.place.name, &server));
        let link = link.map(|link| format!("\nThe same as a link: {link}\n"));
        let link = link.unwrap_or_default();
        Ok(format!(
            "{}: {}{new}\n\n{block}{link}",
            client.title,
            file.path().display()
        ))
    }

    /// Notes for the user that are not errors.
    fn notes(
        &self,
        client: &McpClient,
        path: &Path,
        file: &ClientFile,
        words: &ServeOptions,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        let is_usual = self.place.file.is_none() && self.place.project.is_none();
        let os = Os::current();
        if is_usual && !client.is_found(os, &environment, &Path::exists) {
            notes.push(format!("{} was not found on this machine", client.title));
        }
        let others = client.files(os, &environment).into_iter();
        let others = others.filter(|other| {
            is_usual
                && other != path
                && os.parent(other) != os.parent(path)
                && os.parent(other).exists()
        });
        for other in others {
            notes.push(format!(
                "{} may also read {}; to write that file, use `--file`",
                client.title,
                other.display()
            ));
        }
        if let Ok(entries) = client.format.entries(&file.text, client.key) {
            for other in own_names(&entries, client).filter(|other| **other != self.place.name) {
                notes.push(format!("`{other}` in the same file starts this program too; `capcut-mcp disconnect {} --name {other}` removes it", client.name));
            }
        }
        let is_strict = client.format == document::ConfigFormat::Json && !client.reads_comments;
        if is_strict
            && !file.text.trim().is_empty()
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&file.text)
        {
            notes.push(format!("line {} is not plain JSON (a comment or trailing comma), which {} may not be able to read", error.line(), client.title));
        }
        let given: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        for (variable, stands_for) in settings::VARIABLES {
            let option = stands_for
                .trim_start_matches("`serve ")
                .trim_start_matches('`');
            let option = option.split('`').next().unwrap_or_default();
            let is_written = option == "--data-dir" || given.contains(&option);
            if is_written || settings::value(&environment, variable).is_none() {
                continue;
            }
            let advice = if option.starts_with("--") {
                format!("`{option}` writes it into the entry")
            } else {
                "add it to the environment in the entry".to_owned()
            };
            notes.push(format!(
                "{variable} is set in this shell, where the client does not see it; {advice}"
            ));
        }
        notes
    }

    /// Starts the server that the file now names, as the client will.
    fn check(&self, client: &McpClient, path: &Path) -> Result<Vec<String>> {
        let file = ClientFile::read(path)?;
        let entries = client
            .format
            .entries(&file.text, client.key)
            .map_err(|fault| faulty(path, &fault))?;
        let entry = entries.get(&self.place.name);
        let server = entry.and_then(|entry| LaunchCommand::of(entry, client.shape));
        let server = server.ok_or_else(|| {
            Error::conflict(format!(
                "another program removed the entry from {}",
                path.display()
            ))
        })?;
        start::tools(&server, Os::current(), &environment).map_err(|error| {
            let line = server.line().join(" ");
            Error::new(
                error.kind,
                format!(
                    "the entry was written, but the server that it starts does not work: {error}"
                ),
            )
            .hint(format!(
                "try it in a shell: {line}; `capcut-mcp disconnect {}` removes the entry",
                client.name
            ))
        })
    }
}

/// A change of a file: its new text, if that differs, and the resulting entry.
struct Change {
    text: Option<String>,
    entry: Value,
}

/// The names of the entries that start this program.
fn own_names<'a>(
    entries: &'a serde_json::Map<String, Value>,
    client: &'a McpClient,
) -> impl Iterator<Item = &'a String> {
    let own = entries.iter().filter(|(_, entry)| is_ours(entry, client));
    own.map(|(name, _)| name)
}

fn is_ours(entry: &Value, client: &McpClient) -> bool {
    LaunchCommand::of(entry, client.shape).is_some_and(|server| server.is_ours())
}

/// Describes an entry for messages: what it starts, or its address.
fn described(entry: &Value, client: &McpClient) -> String {
    match (LaunchCommand::of(entry, client.shape), &entry["url"]) {
        (Some(server), _) => format!("it starts {}", server.outline()),
        (None, Value::String(url)) => format!("it is at {}", crate::secrets::address(url)),
        _ => "it starts something else".to_owned(),
    }
}

/// An entry for display. The values in its environment may be secret, so they are masked.
fn without_values(entry: &Value) -> Value {
    let mut entry = entry.clone();
    for key in ["env", "environment"] {
        let values = entry.get_mut(key).and_then(Value::as_object_mut);
        for value in values.into_iter().flat_map(|map| map.values_mut()) {
            *value = "…".into();
        }
    }
    entry
}

fn faulty(path: &Path, fault: &SyntaxError) -> Error {
    Error::invalid(format!(
        "{}, line {}, column {}: {}; the file was not changed",
        path.display(),
        fault.line,
        fault.column,
        fault.message
    ))
    .hint("correct that line and run this again")
}

/// The given options, as options of `serve`.
fn words(options: &Options) -> ServeOptions {
    let mut words = ServeOptions::new();
    let path = |path: &PathBuf| {
        let text = path.to_string_lossy();
        let below_home = settings::in_home(&text);
        let path = below_home
            .unwrap_or_else(|| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        path.to_string_lossy().into_owned()
    };
    let mut add = |name, value: Option<String>| {
        words.extend(value.map(|value| (name, value)));
    };
    add(
        "--backend",
        options.backend.map(|backend| backend.name().to_owned()),
    );
    add(
        "--edition",
        options.edition.map(|edition| edition.name().to_owned()),
    );
    let recover = options.recover.map(|recover| match recover {
        Recover::Ask => "ask",
        Recover::Auto => "auto",
    });
    add("--recover", recover.map(str::to_owned));
    let api_url = options
        .api_url
        .as_ref()
        .map(|url| url.trim().trim_end_matches('/'));
    add(
        "--api-url",
        api_url.filter(|url| !url.is_empty()).map(str::to_owned),
    );
    add("--data-dir", options.data_dir.as_ref().map(path));
    add("--config", options.config.as_ref().map(path));
    add("--log", options.log.clone());
    let is_json = options.log_format == Some(LogFormat::Json);
    add("--log-format", is_json.then(|| "json".to_owned()));
    add("--log-file", options.log_file.as_ref().map(path));
    words
}

fn this_executable() -> Result<PathBuf> {
    let real = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .map_err(|error| {
            Error::internal("cannot determine the path of this executable").source(error)
        })?;
    let called = std::env::args_os().next();
    let resolve = |path: &Path| std::fs::canonicalize(path).ok();
    Ok(server::executable(
        Os::current(),
        &environment,
        called.as_deref(),
        &real,
        &resolve,
    ))
}

/// A path as text for configurations.
fn text_of(path: &Path) -> Result<String> {
    // On Windows, `canonicalize` adds this prefix to the drive letter; not all programs accept it.
    let without_prefix = |text: &str| {
        let plain = text.strip_prefix(r"\\?\");
        let plain = plain.filter(|plain| plain.as_bytes().get(1) == Some(&b':'));
        plain.unwrap_or(text).to_owned()
    };
    let text = path.to_str().map(without_prefix);
    text.ok_or_else(|| {
        Error::invalid(format!(
            "{} is not Unicode, so it cannot be written into a configuration",
            path.display()
        ))
        .hint("move the executable to a path that is valid Unicode")
    })
}

#[cfg(test)]
mod tests;
