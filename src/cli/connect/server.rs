//! The server as clients start it: its command and arguments, and the form of its entry.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::clients::Shape;
use crate::settings::{Env, Os};

/// The environment variable with which a user may have set the data folder in an entry.
const DATA_DIR: &str = "CAPCUT_MCP_DATA_DIR";

/// The option whose value, if it has one, is in the same word.
const READ_ONLY: &str = "--read-only";

/// A program, its arguments and the variables that a client adds to its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaunchCommand {
    pub command: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// Options of `serve`, as `--name` and its value.
pub(super) type ServeOptions = Vec<(&'static str, String)>;

impl LaunchCommand {
    /// This program with these options and this data folder, unless an option sets another. Clients do not see the
    /// variables of a shell, and clients in a sandbox have different ones.
    pub(super) fn new(command: String, options: &ServeOptions, data_dir: Option<&str>) -> Self {
        let mut server = Self {
            command,
            args: vec!["serve".to_owned()],
            env: Vec::new(),
        };
        server.set(options, data_dir);
        server
    }

    /// What an entry starts; `None` if it does not start a program, as for servers over HTTP.
    pub(super) fn of(entry: &Value, shape: Shape) -> Option<Self> {
        let words = |value: &Value| -> Vec<String> {
            let words = value.as_array().into_iter().flatten();
            words.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (command, args, env) = if shape == Shape::Opencode {
            let mut line = words(&entry["command"]).into_iter();
            (line.next()?, line.collect(), &entry["environment"])
        } else {
            let command = entry["command"].as_str()?.to_owned();
            (command, words(&entry["args"]), &entry["env"])
        };
        let env = env.as_object().into_iter().flatten();
        let env = env.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let env = env.collect();
        Some(Self { command, args, env })
    }

    /// Whether it is this program, at any path: judged by its name and the command `serve`.
    pub(super) fn is_ours(&self) -> bool {
        let name = self.command.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".exe").unwrap_or(&name);
        name == "capcut-mcp" && self.args.iter().any(|word| word == "serve")
    }

    /// The same server with this program's current path and these options; its other options stay.
    pub(super) fn updated(
        &self,
        command: &str,
        options: &ServeOptions,
        data_dir: Option<&str>,
    ) -> Self {
        let mut server = Self {
            command: command.to_owned(),
            ..self.clone()
        };
        server.set(options, data_dir);
        server
    }

    fn set(&mut self, options: &ServeOptions, data_dir: Option<&str>) {
        for (name, value) in options {
            self.set_option(name, value);
        }
        let is_set = self.env.iter().any(|(name, _)| name == DATA_DIR)
            || self.args.iter().any(|word| is_option(word, "--data-dir"));
        if let Some(dir) = data_dir.filter(|_| !is_set) {
            self.set_option("--data-dir", dir);
        }
    }

    fn set_option(&mut self, name: &str, value: &str) {
        match self.args.iter().position(|word| is_option(word, name)) {
            Some(at) if self.args[at] == name && name != READ_ONLY && at + 1 < self.args.len() => {
                value.clone_into(&mut self.args[at + 1]);
            }
            Some(at) => self
                .args
                .splice(at..=at, words_of(name, value))
                .for_each(drop),
            None => self.args.extend(words_of(name, value)),
        }
    }

    /// The entry of a configuration.
    pub(super) fn entry(&self, shape: Shape) -> Value {
        let mut entry = Map::new();
        match shape {
            Shape::Typed(kind) => {
                entry.insert("type".to_owned(), kind.into());
            }
            Shape::Copilot | Shape::Opencode => {
                entry.insert("type".to_owned(), "local".into());
            }
            Shape::Plain => {}
        }
        if shape == Shape::Opencode {
            entry.insert("command".to_owned(), self.line().into());
        } else {
            entry.insert("command".to_owned(), self.command.clone().into());
            entry.insert("args".to_owned(), self.args.clone().into());
        }
        if shape == Shape::Copilot {
            entry.insert("tools".to_owned(), json!(["*"]));
        }
        Value::Object(entry)
    }

    /// The command line for messages, without the values of options of other programs: they may be keys.
    pub(super) fn outline(&self) -> String {
        let mut line = self.command.clone();
        let mut is_value = false;
        for word in &self.args {
            line.push(' ');
            match word.split_once('=') {
                Some((name, _)) if name.starts_with("--") => line += &format!("{name}=…"),
                _ if is_value && !word.starts_with('-') => line.push('…'),
                _ => line += word,
            }
            is_value = word.starts_with("--") && !word.contains('=');
        }
        line
    }

    /// The command and its arguments.
    pub(super) fn line(&self) -> Vec<String> {
        let command = std::iter::once(self.command.clone());
        command.chain(self.args.iter().cloned()).collect()
    }
}

/// The fields of an entry that name the program.
pub(super) fn fields(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Opencode => &["command"],
        _ => &["command", "args"],
    }
}

/// An option and its value as words of a command line.
pub(super) fn words_of(name: &str, value: &str) -> Vec<String> {
    if name == READ_ONLY {
        return vec![format!("{name}={value}")];
    }
    vec![name.to_owned(), value.to_owned()]
}

/// `--name` or `--name=…`.
fn is_option(word: &str, name: &str) -> bool {
    let rest = word.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// A link that makes a client ask whether it should add the server.
pub(super) fn link(client: &str, name: &str, server: &LaunchCommand) -> Option<String> {
    let entry = server.entry(Shape::Plain);
    let config = |value: &Value| percent(&STANDARD.encode(value.to_string()));
    Some(match client {
        "cursor" => format!(
            "cursor://anysphere.cursor-deeplink/mcp/install?name={name}&config={}",
            config(&entry)
        ),
        "lm-studio" => format!("lmstudio://add_mcp?name={name}&config={}", config(&entry)),
        "cherry-studio" => {
            let servers = json!({ "mcpServers": { name: entry } });
            format!("cherrystudio://mcp/install?servers={}", config(&servers))
        }
        _ => return None,
    })
}

/// Escapes Base64 for a query: only these of its characters need it.
fn percent(base64: &str) -> String {
    base64
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

/// The path by which this executable was called, if that is a link to it: the link remains valid when a package is
/// updated.
pub(super) fn executable(
    os: Os,
    env: Env<'_>,
    called: Option<&OsStr>,
    real: &Path,
    resolve: &dyn Fn(&Path) -> Option<PathBuf>,
) -> PathBuf {
    let is_this = |path: &PathBuf| resolve(path).as_deref() == Some(real);
    let called = called.map_or(real, Path::new);
    let named = called.to_string_lossy();
    if named.contains(['/', '\\']) {
        let absolute = std::path::absolute(called).unwrap_or_else(|_| real.to_owned());
        return Some(absolute)
            .filter(is_this)
            .unwrap_or_else(|| real.to_owned());
    }
    let separator = if os == Os::Windows { ';' } else { ':' };
    let path = env("PATH").unwrap_or_default();
    let path = path.to_string_lossy();
    path.split(separator)
        .filter(|dir| Path::new(dir).is_absolute())
        .map(|dir| os.join(Path::new(dir), &[&named]))
        .find(is_this)
        .unwrap_or_else(|| real.to_owned())
}
