//! Every environment variable, directory and built-in default.
//!
//! The rest of the crate uses [`Settings`]; nothing else reads the environment. Everything that depends on the
//! operating system is a function of [`Os`] and the variables, so that all three systems can be tested on one.

mod choices;
mod folders;
mod os;
mod secret;
mod storage_keys;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::regular_file;
use crate::secrets::Hidden;
use crate::units::Edition;

pub(crate) use choices::{BackendChoice, Recover, ToolChoice, ToolsGiven};
pub(crate) use folders::{
    config_home, defaults, drafts_dirs, home, local_app_data, no_home, xdg_config_home,
};
pub(crate) use os::Os;
pub(crate) use storage_keys::StorageKeys;

/// The environment variables that are read, each with the option that it replaces.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (API_URL, "`--api-url`: the address of the CapCut API"),
    (
        DATA_DIR,
        "`--data-dir`: the folder for drafts, media and the journal",
    ),
    (
        STORE,
        "`--store`: the PostgreSQL database that keeps drafts, jobs and tokens, `postgres://…`",
    ),
    (STORE_FILE, "a file with that address"),
    (
        CONFIG,
        "`--config`: a file that overrides keys of `tools.toml`",
    ),
    (BACKEND, "`--backend`: `auto`, `remote` or `embedded`"),
    (EDITION, "`--edition`: `capcut` or `jianying`"),
    (
        RECOVER,
        "`--recover`: `ask` or `auto`, for drafts that a server has lost",
    ),
    (
        LOG,
        "`--log`: the log level, such as `info`, `WARNING` or `debug`",
    ),
    (LOG_FILE, "`--log-file`: also log to this file"),
    (LOG_FORMAT, "`--log-format`: `plain` or `json`"),
    (METRICS, "`--metrics`: where metrics are served"),
    (
        TOOLS,
        "`serve --tools`: profiles (`default`, `compose`, `api`, `full`) and tools that clients see and can call",
    ),
    (
        EXCLUDE,
        "`serve --exclude`: tools that clients neither see nor can call",
    ),
    (
        READ_ONLY,
        "`serve --read-only`: `true` leaves out all tools that change something",
    ),
    (
        AUDIT_LOG,
        "`--audit-log`: log who did what over HTTP to this file",
    ),
    (
        TOKENS,
        "tokens of callers over HTTP, for containers: lines `NAME TOKEN [read-only] [admin]`",
    ),
    (TOKENS_FILE, "a file with such lines"),
    (DRAFTS_DIR, "the folder where the app keeps its drafts"),
    (
        TOKEN,
        "`pull --token-file`: the token for a server, itself instead of a file",
    ),
    (
        CACHE_DIR,
        "the folder `Cache` of the app. Default: that next to its drafts",
    ),
    (
        storage_keys::KEY_ID,
        "the access key for object storage (`[storage]` in `tools.toml`)",
    ),
    (storage_keys::KEY_ID_FILE, "a file with the access key"),
    (storage_keys::SECRET, "its secret"),
    (storage_keys::SECRET_FILE, "a file with its secret"),
    (
        storage_keys::SESSION,
        "the session token, if the access key is a temporary one",
    ),
    (storage_keys::SESSION_FILE, "a file with the session token"),
];

const API_URL: &str = "CAPCUT_API_URL";
const DATA_DIR: &str = "CAPCUT_MCP_DATA_DIR";
const CONFIG: &str = "CAPCUT_MCP_CONFIG";
const BACKEND: &str = "CAPCUT_MCP_BACKEND";
const EDITION: &str = "CAPCUT_MCP_EDITION";
const RECOVER: &str = "CAPCUT_MCP_RECOVER";
const LOG: &str = "CAPCUT_MCP_LOG";
const TOOLS: &str = "CAPCUT_MCP_TOOLS";
const EXCLUDE: &str = "CAPCUT_MCP_EXCLUDE";
const READ_ONLY: &str = "CAPCUT_MCP_READ_ONLY";
const DRAFTS_DIR: &str = "CAPCUT_MCP_DRAFTS_DIR";
const CACHE_DIR: &str = "CAPCUT_MCP_CACHE_DIR";
const TOKEN: &str = "CAPCUT_MCP_TOKEN";
const LOG_FILE: &str = "CAPCUT_MCP_LOG_FILE";
const LOG_FORMAT: &str = "CAPCUT_MCP_LOG_FORMAT";
const AUDIT_LOG: &str = "CAPCUT_MCP_AUDIT_LOG";
const TOKENS: &str = "CAPCUT_MCP_TOKENS";
const TOKENS_FILE: &str = "CAPCUT_MCP_TOKENS_FILE";
const STORE: &str = "CAPCUT_MCP_STORE";
const STORE_FILE: &str = "CAPCUT_MCP_STORE_FILE";
const METRICS: &str = "CAPCUT_MCP_METRICS";

/// The keys of the user's settings file that stand for a variable, which overrides them.
pub(crate) const FILE_KEYS: [(&str, &str); 11] = [
    ("backend", BACKEND),
    ("edition", EDITION),
    ("recover", RECOVER),
    ("data_dir", DATA_DIR),
    ("drafts_dir", DRAFTS_DIR),
    ("cache_dir", CACHE_DIR),
    ("log.level", LOG),
    ("log.file", LOG_FILE),
    ("log.format", LOG_FORMAT),
    ("metrics.address", METRICS),
    ("http.audit_log", AUDIT_LOG),
];

/// The settings of this process. The command line overrides the environment, which overrides the defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub os: Os,
    /// The folder for drafts, media and the journal; see [`Settings::data_dir`].
    data_dir: Option<PathBuf>,
    /// The address of the database that keeps drafts, jobs and tokens; `None`: files in the data folder.
    pub store: Option<Hidden>,
    /// Whether workers take jobs from a queue; otherwise the process that accepts a job runs it.
    pub are_jobs_queued: bool,
    /// A file that overrides individual keys of `tools.toml`.
    pub config_file: Option<ConfigFile>,
    /// The address of the CapCut API, without a trailing slash; `None` if not set.
    pub api_url: Option<String>,
    pub backend: BackendChoice,
    pub edition: Edition,
    /// The requested edition. If none was requested, that of the server is used.
    pub asked_edition: Option<Edition>,
    /// What to do with a draft that its server has lost.
    pub recover: Recover,
    /// The log levels, with `target=level` for parts. The default depends on the command.
    pub log: Option<String>,
    pub log_file: Option<PathBuf>,
    /// `plain` or `json`, in the words of the user.
    pub log_format: Option<String>,
    /// Where metrics are served, in the words of the user.
    pub metrics: Option<String>,
    /// The audit log of callers over HTTP.
    pub audit_log: Option<PathBuf>,
    /// Tokens of callers over HTTP, as lines.
    pub tokens: Option<Hidden>,
    /// A file with such lines.
    pub tokens_file: Option<PathBuf>,
    /// Which tools clients see and can call.
    pub tools: ToolChoice,
    /// The token for a server.
    pub token: Option<String>,
    pub storage_keys: StorageKeys,
    /// The configured drafts folder of the app; see [`Settings::drafts_dirs`].
    pub drafts_dir: Option<PathBuf>,
    /// The configured cache folder of the app; see [`Settings::cache_dirs`].
    cache_dir: Option<PathBuf>,
    capcut_dirs: Vec<PathBuf>,
    jianying_dirs: Vec<PathBuf>,
    /// The variables whose options are on the command line.
    set_by_options: Vec<&'static str>,
}

/// What the command line sets; `None` for options that were not given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub data_dir: Option<PathBuf>,
    pub store: Option<String>,
    pub config_file: Option<PathBuf>,
    pub api_url: Option<String>,
    pub backend: Option<BackendChoice>,
    /// The backend if neither the command line nor the environment sets it.
    pub default_backend: BackendChoice,
    pub edition: Option<Edition>,
    pub recover: Option<Recover>,
    pub log: Option<String>,
    pub log_file: Option<PathBuf>,
    /// `plain` or `json`.
    pub log_format: Option<String>,
    pub audit_log: Option<PathBuf>,
    pub tools: ToolsGiven,
    pub drafts_dir: Option<PathBuf>,
}

impl Given {
    /// The variables of [`FILE_KEYS`] that these options replace.
    fn variables(&self) -> Vec<&'static str> {
        let is_path = |path: &Option<PathBuf>| {
            path.as_ref()
                .is_some_and(|path| !path.as_os_str().is_empty())
        };
        let given = [
            (BACKEND, self.backend.is_some()),
            (EDITION, self.edition.is_some()),
            (RECOVER, self.recover.is_some()),
            (DATA_DIR, is_path(&self.data_dir)),
            (DRAFTS_DIR, is_path(&self.drafts_dir)),
            (LOG, self.log.is_some()),
            (LOG_FILE, is_path(&self.log_file)),
            (LOG_FORMAT, self.log_format.is_some()),
            (AUDIT_LOG, is_path(&self.audit_log)),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(variable, _)| variable).collect()
    }
}

/// The user's settings file, and whether it must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    pub path: PathBuf,
    /// Whether its path was set on the command line or in the environment. Then it must exist.
    pub named: bool,
}

/// The folder with the data folders of the tenants of a server.
pub(crate) const TENANTS_DIR: &str = "tenants";

/// Reads a variable.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Settings {
    /// The settings of this process.
    pub(crate) fn current(given: Given) -> Result<Self> {
        Self::new(Os::current(), &environment, given)
    }

    /// The settings on a system of kind `os` with the variables of `env`.
    pub(crate) fn new(os: Os, env: Env<'_>, given: Given) -> Result<Self> {
        let defaults = defaults(os, env);
        let path = |given: Option<PathBuf>, variable| {
            given
                .filter(|path| !path.as_os_str().is_empty())
                .or_else(|| value(env, variable).map(PathBuf::from))
                .map(|path| expand(os, env, path))
        };
        let config_file = match path(given.config_file.clone(), CONFIG) {
            Some(path) => Some(ConfigFile { path, named: true }),
            None => defaults
                .config_file
                .map(|path| ConfigFile { path, named: false }),
        };
        let file = values_of(config_file.as_ref());
        let layered = |variable: &str| {
            value(env, variable).or_else(|| file.get(variable).map(OsString::from))
        };
        let named = |error: Error| match &config_file {
            Some(config) => in_words_of_the_file(error, &file, env, &config.path),
            None => error,
        };
        Self::of(os, &layered, env, given, config_file.clone()).map_err(named)
    }

    /// The settings from the options and the variables, where the file's values stand for variables that are not set.
    fn of(
        os: Os,
        env: Env<'_>,
        own: Env<'_>,
        given: Given,
        config_file: Option<ConfigFile>,
    ) -> Result<Self> {
        let defaults = defaults(os, own);
        let path = |given: Option<PathBuf>, variable| {
            given
                .filter(|path| !path.as_os_str().is_empty())
                .or_else(|| value(env, variable).map(PathBuf::from))
                .map(|path| expand(os, own, path))
        };
        let set_by_options = given.variables();
        let api_url = match given.api_url.filter(|url| !url.trim().is_empty()) {
            Some(url) => Some(address("--api-url", &url)?),
            None => match text(env, API_URL)? {
                Some(url) => Some(address(API_URL, &url)?),
                None => None,
            },
        };
        let is_asked = given.edition.is_some() || text(env, EDITION)?.is_some();
        let edition = choice(given.edition, env, EDITION)?;
        Ok(Self {
            os,
            data_dir: path(given.data_dir, DATA_DIR).or(defaults.data_dir),
            store: match given.store.filter(|url| !url.trim().is_empty()) {
                Some(url) => Some(Hidden(url.trim().to_owned())),
                None => secret::of(own, STORE, STORE_FILE)?,
            },
            are_jobs_queued: false,
            config_file,
            api_url,
            backend: choice_or(given.backend, env, BACKEND, given.default_backend)?,
            edition,
            asked_edition: is_asked.then_some(edition),
            recover: choice(given.recover, env, RECOVER)?,
            log: match given.log {
                Some(log) => Some(log),
                None => text(env, LOG)?,
            },
            log_file: path(given.log_file, LOG_FILE),
            log_format: match given.log_format {
                Some(format) => Some(format),
                None => text(env, LOG_FORMAT)?,
            },
            metrics: text(env, METRICS)?,
            audit_log: path(given.audit_log, AUDIT_LOG),
            tokens: text(own, TOKENS)?.map(Hidden),
            tokens_file: path(None, TOKENS_FILE),
            tools: tools(given.tools, env)?,
            token: text(env, TOKEN)?,
            storage_keys: StorageKeys::of(own)?,
            drafts_dir: path(given.drafts_dir, DRAFTS_DIR),
            cache_dir: path(None, CACHE_DIR),
            capcut_dirs: drafts_dirs(os, own, Edition::Capcut),
            jianying_dirs: drafts_dirs(os, own, Edition::Jianying),
            set_by_options,
        })
    }

    /// The folder for drafts, media and the journal. It need not exist yet.
    pub(crate) fn data_dir(&self) -> Result<&Path> {
        self.data_dir.as_deref().ok_or_else(no_home)
    }

    /// Refuses the values of a settings file that no setting can have.
    pub(crate) fn checked(file: &ConfigFile) -> Result<()> {
        let given = Given {
            config_file: Some(file.path.clone()),
            ..Given::default()
        };
        let own = |name: &str| {
            let is_key = FILE_KEYS.iter().any(|(_, variable)| *variable == name);
            if is_key { None } else { environment(name) }
        };
        Self::new(Os::current(), &own, given).map(|_| ())
    }

    /// The value of a setting of [`FILE_KEYS`] in this process, and where it comes from: an option, a variable, the
    /// settings file, or the default.
    pub(crate) fn origin(&self, variable: &'static str) -> (Option<String>, String) {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let value_here = match variable {
            BACKEND => Some(self.backend.name().to_owned()),
            EDITION => Some(self.edition.name().to_owned()),
            RECOVER => Some(self.recover.name().to_owned()),
            DATA_DIR => path(&self.data_dir),
            DRAFTS_DIR => path(&self.drafts_dir),
            CACHE_DIR => path(&self.cache_dir),
            LOG => Some(self.log.clone().unwrap_or_else(|| "info".to_owned())),
            LOG_FILE => path(&self.log_file),
            LOG_FORMAT => Some(
                self.log_format
                    .clone()
                    .unwrap_or_else(|| "plain".to_owned()),
            ),
            METRICS => self.metrics.clone(),
            AUDIT_LOG => path(&self.audit_log),
            _ => None,
        };
        let origin = if self.set_by_options.contains(&variable) {
            option_of(variable)
        } else if value(&environment, variable).is_some() {
            format!("`{variable}`")
        } else if values_of(self.config_file.as_ref()).contains_key(variable) {
            "the settings file".to_owned()
        } else {
            "the default".to_owned()
        };
        (value_here, origin)
    }

    /// The same settings for an engine with all its files in `folder`.
    pub(crate) fn in_folder(&self, folder: &Path, edition: Edition) -> Self {
        Self {
            data_dir: Some(folder.to_owned()),
            backend: BackendChoice::Embedded,
            edition,
            asked_edition: Some(edition),
            ..self.clone()
        }
    }

    /// The folder with the data folders of the tenants of a server, by name.
    pub(crate) fn tenants_dir(&self) -> Result<PathBuf> {
        Ok(self.data_dir()?.join(TENANTS_DIR))
    }

    /// The settings for the drafts of a tenant of a server: its data folder is in `tenants` of this process's data
    /// folder, and the folders of the app on this machine are not its own.
    ///
    /// `tenant` is used as the name of a folder: the caller has checked that it is one.
    pub(crate) fn for_tenant(&self, tenant: &str) -> Result<Self> {
        let data = self.tenants_dir()?.join(tenant);
        Ok(Self {
            data_dir: Some(data),
            drafts_dir: None,
            capcut_dirs: Vec::new(),
            jianying_dirs: Vec::new(),
            ..self.clone()
        })
    }

    /// Possible drafts folders of the app, most likely first: the configured folder, or those that the app uses by
    /// default. They need not exist.
    pub(crate) fn drafts_dirs(&self, edition: Edition) -> &[PathBuf] {
        match (&self.drafts_dir, edition) {
            (Some(dir), _) => std::slice::from_ref(dir),
            (None, Edition::Capcut) => &self.capcut_dirs,
            (None, Edition::Jianying) => &self.jianying_dirs,
        }
    }
}

impl Settings {
    /// Possible folders of the app's cache, most likely first: the configured folder, or `Cache` next to `Projects`, in
    /// which the app keeps its drafts. They need not exist.
    pub(crate) fn cache_dirs(&self, edition: Edition) -> Vec<PathBuf> {
        if let Some(dir) = &self.cache_dir {
            return vec![dir.clone()];
        }
        // The app keeps its cache where it is when the drafts are moved elsewhere.
        let own = match edition {
            Edition::Capcut => &self.capcut_dirs,
            Edition::Jianying => &self.jianying_dirs,
        };
        self.drafts_dir
            .iter()
            .chain(own)
            .map(|drafts| {
                let data = self.os.parent(&self.os.parent(drafts));
                self.os.join(&data, &["Cache"])
            })
            .collect()
    }
}

/// The option that replaces a variable, as [`VARIABLES`] names it.
fn option_of(variable: &str) -> String {
    let listed = VARIABLES.iter().find(|(name, _)| *name == variable);
    let option = listed.and_then(|(_, says)| says.split('`').nth(1));
    format!("`{}`", option.unwrap_or(variable))
}

/// The values of [`FILE_KEYS`] in the user's settings file, by variable. A file that cannot be read has none: the manifest
/// reports it, with the line.
fn values_of(file: Option<&ConfigFile>) -> BTreeMap<&'static str, String> {
    let table = file
        .and_then(|file| regular_file::read_named(&file.path, FILE_BYTES).ok())
        .and_then(|read| read.text.parse::<toml::Table>().ok())
        .unwrap_or_default();
    let value = |key: &str| {
        let mut names = key.split('.');
        let first = table.get(names.next()?)?;
        let found = match names.next() {
            Some(name) => first.get(name)?,
            None => first,
        };
        found.as_str().filter(|text| !text.trim().is_empty())
    };
    FILE_KEYS
        .iter()
        .filter_map(|(key, variable)| Some((*variable, value(key)?.to_owned())))
        .collect()
}

/// Names the key in the file instead of the variable that it stands for.
fn in_words_of_the_file(
    mut error: Error,
    file: &BTreeMap<&'static str, String>,
    env: Env<'_>,
    path: &Path,
) -> Error {
    for (key, variable) in FILE_KEYS {
        if file.contains_key(variable) && value(env, variable).is_none() {
            let named = format!("`{key}` in {}", path.display());
            error.message = error.message.replace(&format!("`{variable}`"), &named);
        }
    }
    error
}

/// Maximum size of a settings file in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// A variable of this process. If the home folder's variable is missing, the system is asked: services and
/// containers often run without it.
pub(crate) fn environment(variable: &str) -> Option<OsString> {
    let asked = || directories::BaseDirs::new();
    std::env::var_os(variable).or_else(|| match variable {
        "HOME" | "USERPROFILE" => asked().map(|dirs| dirs.home_dir().into()),
        "LOCALAPPDATA" if cfg!(windows) => asked().map(|dirs| dirs.data_local_dir().into()),
        "APPDATA" if cfg!(windows) => asked().map(|dirs| dirs.config_dir().into()),
        _ => None,
    })
}

/// This machine's host name.
pub(crate) fn machine_name() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = environment("COMPUTERNAME")?.to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Whether this process can open a window: on Linux, a graphical session says where.
pub(crate) fn has_screen() -> bool {
    let session = ["WAYLAND_DISPLAY", "DISPLAY"];
    let is_set = |variable: &&str| std::env::var_os(variable).is_some_and(|it| !it.is_empty());
    Os::current() != Os::Linux || session.iter().any(is_set)
}

/// The value of a variable; an empty one counts as not set.
pub(crate) fn value(env: Env<'_>, variable: &str) -> Option<OsString> {
    env(variable).filter(|value| !value.is_empty())
}

fn text(env: Env<'_>, variable: &str) -> Result<Option<String>> {
    value(env, variable)
        .map(|value| {
            value.into_string().map_err(|value| {
                Error::invalid(format!(
                    "`{variable}` is not Unicode: {:?}",
                    value.to_string_lossy()
                ))
            })
        })
        .transpose()
        .map(|text| text.filter(|text| !text.trim().is_empty()))
}

fn choice<T: FromStr<Err = String> + Default>(
    given: Option<T>,
    env: Env<'_>,
    variable: &str,
) -> Result<T> {
    choice_or(given, env, variable, T::default())
}

fn choice_or<T: FromStr<Err = String>>(
    given: Option<T>,
    env: Env<'_>,
    variable: &str,
    default: T,
) -> Result<T> {
    if let Some(given) = given {
        return Ok(given);
    }
    match text(env, variable)? {
        None => Ok(default),
        Some(text) => text
            .trim()
            .to_lowercase()
            .parse()
            .map_err(|error| Error::invalid(format!("`{variable}`: {error}"))),
    }
}

fn tools(given: ToolsGiven, env: Env<'_>) -> Result<ToolChoice> {
    let names = |given: Option<String>, variable| match given {
        Some(given) => Ok(Some(given)),
        None => text(env, variable),
    };
    let read_only = match (given.read_only, text(env, READ_ONLY)?) {
        (Some(given), _) => given,
        (None, None) => false,
        (None, Some(text)) => match text.trim().to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" => false,
            _ => {
                return Err(Error::invalid(format!(
                    "`{READ_ONLY}` is {text:?}; it must be `true` or `false`"
                )));
            }
        },
    };
    Ok(ToolChoice {
        tools: names(given.tools, TOOLS)?,
        exclude: names(given.exclude, EXCLUDE)?,
        read_only,
    })
}

/// A path in the home folder: `~`, `~/Videos/a.mp4`.
pub(crate) fn in_home(path: &str) -> Option<PathBuf> {
    below_home(Os::current(), &environment, path)
}

fn below_home(os: Os, env: Env<'_>, path: &str) -> Option<PathBuf> {
    let below = path
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))?;
    let home = home(os, env)?;
    let below = below.trim_start_matches(['/', '\\']);
    Some(if below.is_empty() {
        home
    } else {
        os.join(&home, &[below])
    })
}

/// Expands `~` in a path: no shell does that for paths in a client's configuration.
fn expand(os: Os, env: Env<'_>, path: PathBuf) -> PathBuf {
    if let Some(path) = below_home(os, env, &path.to_string_lossy()) {
        return path;
    }
    if os == Os::current() {
        return std::path::absolute(&path).unwrap_or(path);
    }
    path
}

fn address(place: &str, url: &str) -> Result<String> {
    let url = url.trim().trim_end_matches('/');
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            url.get(..scheme.len())
                .filter(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map(|scheme| &url[scheme.len()..]);
    match host {
        Some(host) if !host.is_empty() && !host.starts_with([':', '?', '#']) => Ok(url.to_owned()),
        _ => Err(
            Error::invalid(format!("`{place}`: {url:?} is not an address"))
                .hint("write it like `http://127.0.0.1:9000`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    type Pairs = &'static [(&'static str, &'static str)];

    fn env(pairs: Pairs) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        }
    }

    fn settings(os: Os, pairs: Pairs, given: Given) -> Result<Settings> {
        Settings::new(os, &env(pairs), given)
    }

    fn check_defaults(os: Os, pairs: Pairs, data_dir: Option<&str>, config_file: Option<&str>) {
        let defaults = defaults(os, &env(pairs));
        // Compared as text: a path of one system is not parsed correctly on another.
        let text = |path: Option<PathBuf>| path.map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(text(defaults.data_dir).as_deref(), data_dir, "{os}");
        assert_eq!(text(defaults.config_file).as_deref(), config_file, "{os}");
    }

    #[test]
    fn each_system_uses_its_own_folders() {
        check_defaults(
            Os::Linux,
            &[("HOME", "/home/me")],
            Some("/home/me/.local/share/capcut-mcp"),
            Some("/home/me/.config/capcut-mcp/tools.toml"),
        );
        check_defaults(
            Os::Linux,
            &[
                ("HOME", "/home/me"),
                ("XDG_DATA_HOME", "/data"),
                ("XDG_CONFIG_HOME", "relative"),
            ],
            Some("/data/capcut-mcp"),
            Some("/home/me/.config/capcut-mcp/tools.toml"),
        );
        check_defaults(
            Os::MacOs,
            &[("HOME", "/Users/me"), ("XDG_DATA_HOME", "/data")],
            Some("/Users/me/Library/Application Support/capcut-mcp"),
            Some("/Users/me/Library/Application Support/capcut-mcp/tools.toml"),
        );
        check_defaults(
            Os::Windows,
            &[
                ("LOCALAPPDATA", "C:\\Users\\me\\AppData\\Local"),
                ("APPDATA", "C:\\Users\\me\\AppData\\Roaming"),
            ],
            Some("C:\\Users\\me\\AppData\\Local\\capcut-mcp\\data"),
            Some("C:\\Users\\me\\AppData\\Roaming\\capcut-mcp\\config\\tools.toml"),
        );
        check_defaults(
            Os::Windows,
            &[("USERPROFILE", "D:\\me"), ("HOME", "/c/me")],
            Some("D:\\me\\AppData\\Local\\capcut-mcp\\data"),
            Some("D:\\me\\AppData\\Roaming\\capcut-mcp\\config\\tools.toml"),
        );
    }

    #[test]
    fn a_missing_home_is_an_error_only_when_a_folder_is_needed() {
        for os in [Os::Linux, Os::MacOs, Os::Windows] {
            let settings = settings(os, &[("HOME", ""), ("USERPROFILE", "")], Given::default());
            let settings = settings.expect("starting needs no home");
            assert_eq!(settings.config_file, None);
            let error = settings.data_dir().unwrap_err();
            assert_eq!(error.kind, Kind::Unavailable);
            assert!(error.to_string().contains("--data-dir"), "{error}");
        }
    }

    fn check_drafts(os: Os, pairs: Pairs, edition: Edition, expected: &[&str]) {
        let dirs = drafts_dirs(os, &env(pairs), edition);
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.to_str().unwrap()).collect();
        assert_eq!(dirs, expected, "{} on {os}", edition.app());
    }

    #[test]
    fn default_drafts_folders_match_each_system() {
        check_drafts(
            Os::MacOs,
            &[("HOME", "/Users/me")],
            Edition::Capcut,
            &[
                "/Users/me/Movies/CapCut/User Data/Projects/com.lveditor.draft",
                "/Users/me/Library/Containers/com.lemon.lvoverseas/Data/Movies/CapCut/User Data/Projects/com.lveditor.draft",
            ],
        );
        check_drafts(
            Os::MacOs,
            &[("HOME", "/Users/me")],
            Edition::Jianying,
            &[
                "/Users/me/Movies/JianyingPro/User Data/Projects/com.lveditor.draft",
                "/Users/me/Library/Containers/com.lemon.lvpro/Data/Movies/JianyingPro/User Data/Projects/com.lveditor.draft",
            ],
        );
        check_drafts(
            Os::Windows,
            &[("LOCALAPPDATA", "C:\\Local")],
            Edition::Capcut,
            &["C:\\Local\\CapCut\\User Data\\Projects\\com.lveditor.draft"],
        );
        check_drafts(
            Os::Windows,
            &[("USERPROFILE", "C:\\Users\\me")],
            Edition::Jianying,
            &[
                "C:\\Users\\me\\AppData\\Local\\JianyingPro\\User Data\\Projects\\com.lveditor.draft",
            ],
        );
        check_drafts(Os::Linux, &[("HOME", "/home/me")], Edition::Capcut, &[]);
        check_drafts(Os::Windows, &[], Edition::Capcut, &[]);
    }

    #[test]
    fn a_configured_drafts_folder_overrides_the_defaults() {
        let settings = settings(
            Os::MacOs,
            &[("HOME", "/Users/me"), (DRAFTS_DIR, "~/Elsewhere")],
            Given::default(),
        )
        .unwrap();
        for edition in Edition::ALL {
            assert_eq!(
                settings.drafts_dirs(edition),
                [PathBuf::from("/Users/me/Elsewhere")]
            );
        }
    }

    #[test]
    fn the_command_line_overrides_the_environment_which_overrides_the_defaults() {
        const ENV: Pairs = &[
            ("HOME", "/home/me"),
            (API_URL, "http://localhost:9001/"),
            (DATA_DIR, "/env/data"),
            (CONFIG, "/env/tools.toml"),
            (BACKEND, "Remote"),
            (EDITION, "jianying"),
            (RECOVER, "auto"),
            (LOG, "debug"),
            (TOOLS, "full"),
            (EXCLUDE, "delete_draft"),
            (READ_ONLY, "Yes"),
        ];
        let plain = settings(Os::Linux, &[("HOME", "/home/me")], Given::default()).unwrap();
        assert_eq!(plain.api_url, None);
        assert_eq!(plain.backend, BackendChoice::Auto);
        assert_eq!(plain.edition, Edition::Capcut);
        assert_eq!(plain.recover, Recover::Ask);
        assert_eq!(plain.log, None);
        assert_eq!(plain.tools, ToolChoice::default());
        assert!(!plain.config_file.unwrap().named);

        let environment = settings(Os::Linux, ENV, Given::default()).unwrap();
        assert_eq!(
            environment.api_url.as_deref(),
            Some("http://localhost:9001")
        );
        assert_eq!(environment.data_dir().unwrap(), Path::new("/env/data"));
        assert_eq!(environment.backend, BackendChoice::Remote);
        assert_eq!(environment.edition, Edition::Jianying);
        assert_eq!(environment.recover, Recover::Auto);
        assert_eq!(environment.log.as_deref(), Some("debug"));
        assert_eq!(environment.tools.tools.as_deref(), Some("full"));
        assert_eq!(environment.tools.exclude.as_deref(), Some("delete_draft"));
        assert!(environment.tools.read_only);
        assert_eq!(
            environment.config_file,
            Some(ConfigFile {
                path: "/env/tools.toml".into(),
                named: true
            })
        );

        let given = Given {
            api_url: Some("https://api.example".into()),
            data_dir: Some("/given".into()),
            store: None,
            config_file: Some("/given/tools.toml".into()),
            backend: Some(BackendChoice::Embedded),
            default_backend: BackendChoice::Auto,
            edition: Some(Edition::Capcut),
            recover: Some(Recover::Ask),
            log: Some("trace".into()),
            log_file: None,
            log_format: None,
            audit_log: None,
            tools: ToolsGiven {
                tools: Some("compose".into()),
                exclude: Some(String::new()),
                read_only: Some(false),
            },
            drafts_dir: Some("/given/drafts".into()),
        };
        let given = settings(Os::Linux, ENV, given).unwrap();
        assert_eq!(given.api_url.as_deref(), Some("https://api.example"));
        assert_eq!(given.data_dir().unwrap(), Path::new("/given"));
        assert_eq!(
            given.config_file.unwrap().path,
            Path::new("/given/tools.toml")
        );
        assert_eq!(given.backend, BackendChoice::Embedded);
        assert_eq!(given.edition, Edition::Capcut);
        assert_eq!(given.recover, Recover::Ask);
        assert_eq!(given.log.as_deref(), Some("trace"));
        assert_eq!(given.tools.tools.as_deref(), Some("compose"));
        assert_eq!(given.tools.exclude.as_deref(), Some(""));
        assert!(!given.tools.read_only);
        assert_eq!(
            given.drafts_dir.as_deref(),
            Some(Path::new("/given/drafts"))
        );
    }

    #[test]
    fn an_invalid_value_is_refused_with_the_variable_and_the_choices() {
        let check = |pairs: Pairs, expected: &[&str]| {
            let error = settings(Os::Linux, pairs, Given::default()).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument);
            for part in expected {
                assert!(error.to_string().contains(part), "{part:?} in {error}");
            }
        };
        check(&[(BACKEND, "cloud")], &[BACKEND, "cloud", "`embedded`"]);
        check(&[(EDITION, "pro")], &[EDITION, "pro", "`jianying`"]);
        check(&[(READ_ONLY, "some")], &[READ_ONLY, "some", "`true`"]);
        check(&[(RECOVER, "yes")], &[RECOVER, "yes", "`auto`"]);
        check(
            &[(API_URL, "localhost:9000")],
            &[API_URL, "localhost:9000", "http://127.0.0.1:9000"],
        );
        check(&[(API_URL, "http://")], &[API_URL]);
        check(&[(API_URL, "file:///etc")], &[API_URL]);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        const ENV: Pairs = &[
            ("HOME", "/home/me"),
            (API_URL, " "),
            (DATA_DIR, ""),
            (EDITION, ""),
        ];
        let settings = settings(Os::Linux, ENV, Given::default()).unwrap();
        assert_eq!(settings.api_url, None);
        assert_eq!(settings.edition, Edition::Capcut);
        let data_dir = settings.data_dir().unwrap();
        assert_eq!(data_dir, Path::new("/home/me/.local/share/capcut-mcp"));
    }

    #[test]
    fn this_process_has_settings() {
        let settings = Settings::current(Given {
            api_url: Some("http://127.0.0.1:9000".into()),
            data_dir: Some("here".into()),
            backend: Some(BackendChoice::Auto),
            edition: Some(Edition::Capcut),
            log: Some("info".into()),
            ..Given::default()
        })
        .unwrap();
        assert!(settings.data_dir().unwrap().is_absolute());
        assert_eq!(settings.os, Os::current());
    }
}
