//! The clients that can be connected: where each keeps its list of servers, and in which format.

use std::path::{Path, PathBuf};

use super::document::ConfigFormat;
use crate::settings::{self, Env, Os};

/// The form of an entry that starts a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `command` and `args`.
    Plain,
    /// The same with `type` first.
    Typed(&'static str),
    /// GitHub Copilot's form: with `type` and the allowed tools.
    Copilot,
    /// One list `command` for the program and its arguments.
    Opencode,
}

#[derive(Debug)]
pub(super) struct McpClient {
    /// Its name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// The key of its servers.
    pub key: &'static str,
    pub shape: Shape,
    pub format: ConfigFormat,
    /// Whether it reads JSON with comments and trailing commas.
    pub reads_comments: bool,
    /// Its program on the search path, if it has one.
    programs: &'static [&'static str],
    /// Its file in a project's folder, if it has one.
    project: Option<&'static [&'static str]>,
    /// The possible paths of its file. The first whose folder exists is used.
    files: fn(Os, Env<'_>) -> Option<Vec<PathBuf>>,
    /// The index of the path to use if none of the folders exists; the first if the list is shorter.
    usual: usize,
    /// What makes it read its file.
    pub reload: &'static str,
}

const DEFAULT: McpClient = McpClient {
    name: "",
    title: "",
    key: "mcpServers",
    shape: Shape::Plain,
    format: ConfigFormat::Json,
    reads_comments: false,
    programs: &[],
    project: None,
    files: |_, _| None,
    usual: 0,
    reload: "",
};

pub(super) const CLIENTS: &[McpClient] = &[
    McpClient {
        name: "claude-desktop",
        title: "Claude Desktop",
        files: claude_desktop,
        usual: 1,
        reload: "Quit Claude Desktop and start it again.",
        ..DEFAULT
    },
    McpClient {
        name: "claude-code",
        title: "Claude Code",
        shape: Shape::Typed("stdio"),
        programs: &["claude"],
        project: Some(&[".mcp.json"]),
        files: |os, env| in_own(os, env, "CLAUDE_CONFIG_DIR", &[], &[".claude.json"]),
        reload: "Start a new session of Claude Code; `/mcp` shows the server.",
        ..DEFAULT
    },
    McpClient {
        name: "cursor",
        title: "Cursor",
        reads_comments: true,
        programs: &["cursor"],
        project: Some(&[".cursor", "mcp.json"]),
        files: |os, env| in_home(os, env, &[&[".cursor", "mcp.json"]]),
        reload: "Switch the server on in Cursor's settings under MCP, if it is not on already.",
        ..DEFAULT
    },
    McpClient {
        name: "vscode",
        title: "VS Code",
        key: "servers",
        shape: Shape::Typed("stdio"),
        reads_comments: true,
        programs: &["code"],
        project: Some(&[".vscode", "mcp.json"]),
        files: vscode,
        reload: "Start the server in VS Code with the command `MCP: List Servers`.",
        ..DEFAULT
    },
    McpClient {
        name: "windsurf",
        title: "Windsurf",
        programs: &["windsurf"],
        files: |os, env| {
            let folders = ["windsurf", "windsurf-next"];
            let paths = folders.map(|folder| [".codeium", folder, "mcp_config.json"]);
            in_home(os, env, &[&paths[0], &paths[1]])
        },
        reload: "Refresh the servers in Windsurf's Cascade panel.",
        ..DEFAULT
    },
    McpClient {
        name: "zed",
        title: "Zed",
        key: "context_servers",
        reads_comments: true,
        programs: &["zed", "zeditor"],
        files: zed,
        reload: "Zed reads the file immediately; its Agent panel shows the server.",
        ..DEFAULT
    },
    McpClient {
        name: "lm-studio",
        title: "LM Studio",
        programs: &["lms"],
        files: |os, env| {
            // Installations from before 2025 keep their files in the cache folder.
            let older: &[&str] = &[".cache", "lm-studio", "mcp.json"];
            in_home(os, env, &[&[".lmstudio", "mcp.json"], older])
        },
        reload: "Switch the server on in LM Studio's Program tab.",
        ..DEFAULT
    },
    McpClient {
        name: "gemini",
        title: "Gemini CLI",
        reads_comments: true,
        programs: &["gemini"],
        files: |os, env| {
            // The variable stands for the home folder, not for `.gemini` in it.
            let own = settings::value(env, "GEMINI_CLI_HOME").map(PathBuf::from);
            let home = own.or_else(|| settings::home(os, env))?;
            Some(vec![os.join(&home, &[".gemini", "settings.json"])])
        },
        reload: "Start Gemini CLI again; `/mcp` shows the server.",
        ..DEFAULT
    },
    McpClient {
        name: "codex",
        title: "Codex",
        key: "mcp_servers",
        format: ConfigFormat::Toml,
        programs: &["codex"],
        files: |os, env| in_own(os, env, "CODEX_HOME", &[".codex"], &["config.toml"]),
        reload: "Start Codex (or the ChatGPT desktop app) again; `/mcp` shows the server.",
        ..DEFAULT
    },
    McpClient {
        name: "copilot",
        title: "GitHub Copilot CLI",
        shape: Shape::Copilot,
        programs: &["copilot"],
        files: |os, env| in_own(os, env, "COPILOT_HOME", &[".copilot"], &["mcp-config.json"]),
        reload: "Start Copilot again; `/mcp show` shows the server.",
        ..DEFAULT
    },
    McpClient {
        name: "opencode",
        title: "opencode",
        key: "mcp",
        shape: Shape::Opencode,
        reads_comments: true,
        programs: &["opencode"],
        files: |os, env| {
            let folder = os.join(&settings::xdg_config_home(os, env)?, &["opencode"]);
            let names = ["opencode.json", "opencode.jsonc"];
            Some(names.map(|name| os.join(&folder, &[name])).to_vec())
        },
        reload: "Start opencode again.",
        ..DEFAULT
    },
];

/// Whether a path exists.
pub(super) type Exists<'a> = &'a dyn Fn(&Path) -> bool;

impl McpClient {
    /// Every possible path of the client's file. None if there is no home folder.
    pub(super) fn files(&self, os: Os, env: Env<'_>) -> Vec<PathBuf> {
        (self.files)(os, env).unwrap_or_default()
    }

    /// The client's file on this machine: in the first of its folders that exists, else at its usual path. Of two
    /// names in one folder, the one that exists.
    pub(super) fn file(&self, os: Os, env: Env<'_>, exists: Exists<'_>) -> Option<PathBuf> {
        let files = self.files(os, env);
        let usual = files.get(self.usual).or(files.first())?;
        let mut folders = files.iter().map(|file| os.parent(file));
        let folder = folders
            .find(|folder| exists(folder))
            .unwrap_or_else(|| os.parent(usual));
        let mut here = files.iter().filter(|file| os.parent(file) == folder);
        let first = here.clone().next();
        here.find(|file| exists(file)).or(first).cloned()
    }

    /// The client's file in a project's folder.
    pub(super) fn project_file(&self, os: Os, project: &Path) -> Option<PathBuf> {
        Some(os.join(project, self.project?))
    }

    pub(super) fn has_project(&self) -> bool {
        self.project.is_some()
    }

    /// Whether the client seems to be on this machine: one of its folders or its program is there.
    pub(super) fn is_found(&self, os: Os, env: Env<'_>, exists: Exists<'_>) -> bool {
        let home = settings::home(os, env);
        let files = self.files(os, env);
        let left_files = files.iter().any(|file| {
            let folder = os.parent(file);
            let is_shared = home.as_ref() == Some(&folder);
            exists(if is_shared { file } else { &folder })
        });
        left_files
            || self
                .programs
                .iter()
                .any(|name| on_search_path(os, env, name, exists))
    }
}

fn on_search_path(os: Os, env: Env<'_>, name: &str, exists: Exists<'_>) -> bool {
    let (separator, endings): (char, &[&str]) = match os {
        Os::Windows => (';', &[".exe", ".cmd"]),
        Os::Linux | Os::MacOs => (':', &[""]),
    };
    let path = env("PATH").unwrap_or_default();
    let path = path.to_string_lossy();
    path.split(separator)
        .filter(|dir| !dir.is_empty())
        .any(|dir| {
            let file = |ending: &&str| os.join(Path::new(dir), &[&format!("{name}{ending}")]);
            endings.iter().map(file).any(|file| exists(&file))
        })
}

fn in_home(os: Os, env: Env<'_>, paths: &[&[&str]]) -> Option<Vec<PathBuf>> {
    let home = settings::home(os, env)?;
    Some(paths.iter().map(|names| os.join(&home, names)).collect())
}

/// In the folder that the client's environment variable names, else in one below the home folder.
fn in_own(
    os: Os,
    env: Env<'_>,
    variable: &str,
    otherwise: &[&str],
    names: &[&str],
) -> Option<Vec<PathBuf>> {
    let folder = match settings::value(env, variable) {
        Some(folder) => PathBuf::from(folder),
        None => os.join(&settings::home(os, env)?, otherwise),
    };
    Some(vec![os.join(&folder, names)])
}

fn claude_desktop(os: Os, env: Env<'_>) -> Option<Vec<PathBuf>> {
    const NAMES: [&str; 2] = ["Claude", "claude_desktop_config.json"];
    let usual = os.join(&settings::config_home(os, env)?, &NAMES);
    if os != Os::Windows {
        return Some(vec![usual]);
    }
    // Since February 2026 the installer is an MSIX package: the app sees this folder in place of %APPDATA%, and its
    // "Edit Config" button still opens the other one (anthropics/claude-code#26073).
    let package = ["Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming"];
    let packaged = os.join(&settings::local_app_data(env)?, &package);
    Some(vec![os.join(&packaged, &NAMES), usual])
}

fn vscode(os: Os, env: Env<'_>) -> Option<Vec<PathBuf>> {
    let config = settings::config_home(os, env)?;
    let file = |base: &Path, app: &str| os.join(base, &[app, "User", "mcp.json"]);
    let mut files = vec![file(&config, "Code"), file(&config, "Code - Insiders")];
    if os == Os::Linux {
        // The Snap is not confined and uses the usual folder; Flatpak has its own.
        let flatpak = [".var", "app", "com.visualstudio.code", "config"];
        files.push(file(&os.join(&settings::home(os, env)?, &flatpak), "Code"));
    }
    files.push(file(&config, "VSCodium"));
    Some(files)
}

fn zed(os: Os, env: Env<'_>) -> Option<Vec<PathBuf>> {
    const FILE: &str = "settings.json";
    Some(match os {
        Os::Windows => vec![os.join(&settings::config_home(os, env)?, &["Zed", FILE])],
        // On macOS too, not in Library.
        Os::MacOs => vec![os.join(&settings::home(os, env)?, &[".config", "zed", FILE])],
        Os::Linux => {
            let flatpak = [".var", "app", "dev.zed.Zed", "config", "zed", FILE];
            vec![
                os.join(&settings::xdg_config_home(os, env)?, &["zed", FILE]),
                os.join(&settings::home(os, env)?, &flatpak),
            ]
        }
    })
}

#[cfg(test)]
mod tests;
