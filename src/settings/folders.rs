//! The standard folders of each system.

use std::path::{Path, PathBuf};

use super::os::Os;
use super::{DATA_DIR, Env, value};
use crate::error::{Error, Kind};
use crate::units::Edition;

const APP: &str = "capcut-mcp";

/// The error of everything that needs a folder if there is no home folder.
pub(crate) fn no_home() -> Error {
    Error::new(
        Kind::Unavailable,
        "this user has no home folder to keep drafts in",
    )
    .hint(format!("set a folder with `--data-dir` or `{DATA_DIR}`"))
}

/// The default folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub data_dir: Option<PathBuf>,
    pub config_file: Option<PathBuf>,
}

/// The standard folders of each system; `None` if they cannot be determined.
pub(crate) fn defaults(os: Os, env: Env<'_>) -> Defaults {
    let config = config_home(os, env);
    let (data, config) = match os {
        Os::Linux => (
            xdg(os, env, "XDG_DATA_HOME", &[".local", "share"]).map(|dir| os.join(&dir, &[APP])),
            config.map(|dir| os.join(&dir, &[APP])),
        ),
        Os::MacOs => {
            let dir = config.map(|dir| os.join(&dir, &[APP]));
            (dir.clone(), dir)
        }
        Os::Windows => (
            local_app_data(env).map(|dir| os.join(&dir, &[APP, "data"])),
            config.map(|dir| os.join(&dir, &[APP, "config"])),
        ),
    };
    Defaults {
        data_dir: data,
        config_file: config.map(|dir| os.join(&dir, &["tools.toml"])),
    }
}

/// The configuration folder of this user's programs.
pub(crate) fn config_home(os: Os, env: Env<'_>) -> Option<PathBuf> {
    match os {
        Os::Linux => xdg_config_home(os, env),
        Os::MacOs => Some(os.join(&home(os, env)?, &["Library", "Application Support"])),
        Os::Windows => value(env, "APPDATA")
            .map(PathBuf::from)
            .or_else(|| Some(os.join(&home(os, env)?, &["AppData", "Roaming"]))),
    }
}

/// The same for programs that follow the XDG specification on every system.
pub(crate) fn xdg_config_home(os: Os, env: Env<'_>) -> Option<PathBuf> {
    xdg(os, env, "XDG_CONFIG_HOME", &[".config"])
}

fn xdg(os: Os, env: Env<'_>, variable: &str, otherwise: &[&str]) -> Option<PathBuf> {
    value(env, variable)
        .map(PathBuf::from)
        // The specification says to ignore relative paths.
        .filter(|path| os == Os::Windows || path.as_os_str().to_string_lossy().starts_with('/'))
        .or_else(|| Some(os.join(&home(os, env)?, otherwise)))
}

/// The default drafts folders of the app of an edition, most likely first.
pub(crate) fn drafts_dirs(os: Os, env: Env<'_>, edition: Edition) -> Vec<PathBuf> {
    const PROJECTS: &[&str] = &["User Data", "Projects", "com.lveditor.draft"];
    let (folder, container) = match edition {
        Edition::Capcut => ("CapCut", "com.lemon.lvoverseas"),
        Edition::Jianying => ("JianyingPro", "com.lemon.lvpro"),
    };
    let projects = |base: &Path| os.join(&os.join(base, &[folder]), PROJECTS);
    match os {
        // Neither app exists there.
        Os::Linux => Vec::new(),
        Os::MacOs => home(os, env)
            .map(|home| {
                let container = os.join(&home, &["Library", "Containers", container, "Data"]);
                // App Store builds use a container, to which `Movies` may be a link.
                vec![
                    projects(&os.join(&home, &["Movies"])),
                    projects(&os.join(&container, &["Movies"])),
                ]
            })
            .unwrap_or_default(),
        Os::Windows => local_app_data(env)
            .map(|base| vec![projects(&base)])
            .unwrap_or_default(),
    }
}

/// The user's home folder.
pub(crate) fn home(os: Os, env: Env<'_>) -> Option<PathBuf> {
    let variable = match os {
        Os::Linux | Os::MacOs => "HOME",
        Os::Windows => "USERPROFILE",
    };
    value(env, variable).map(PathBuf::from)
}

/// The folder for machine-specific data of programs on Windows.
pub(crate) fn local_app_data(env: Env<'_>) -> Option<PathBuf> {
    value(env, "LOCALAPPDATA")
        .map(PathBuf::from)
        .or_else(|| Some(Os::Windows.join(&home(Os::Windows, env)?, &["AppData", "Local"])))
}
