//! Where each client keeps its file on each system, with simulated homes and disks.

use std::ffi::OsString;

use super::*;

type Pairs = &'static [(&'static str, &'static str)];

const LINUX: Pairs = &[("HOME", "/home/me")];
const MAC: Pairs = &[("HOME", "/Users/me"), ("XDG_CONFIG_HOME", "/Users/me/xdg")];
const WINDOWS: Pairs = &[
    ("USERPROFILE", r"C:\Users\me"),
    ("APPDATA", r"C:\Users\me\AppData\Roaming"),
    ("LOCALAPPDATA", r"C:\Users\me\AppData\Local"),
];

fn client(name: &str) -> &'static McpClient {
    let found = CLIENTS.iter().find(|client| client.name == name);
    found.expect(name)
}

fn file(name: &str, os: Os, pairs: &[(&str, &str)], disk: &[&str]) -> String {
    let env = |variable: &str| {
        let found = pairs.iter().find(|(known, _)| *known == variable);
        found.map(|(_, value)| OsString::from(value))
    };
    let exists = |path: &Path| disk.iter().any(|there| Path::new(there) == path);
    let file = client(name).file(os, &env, &exists).expect(name);
    file.to_str().expect("text").to_owned()
}

#[test]
fn each_client_has_its_file_on_each_system() {
    let check = |name: &str, linux: &str, mac: &str, windows: &str| {
        assert_eq!(
            file(name, Os::Linux, LINUX, &[]),
            format!("/home/me/{linux}")
        );
        assert_eq!(file(name, Os::MacOs, MAC, &[]), format!("/Users/me/{mac}"));
        assert_eq!(
            file(name, Os::Windows, WINDOWS, &[]),
            format!(r"C:\Users\me\{windows}")
        );
    };
    let everywhere = |name: &str, path: &str| check(name, path, path, &path.replace('/', "\\"));
    check(
        "claude-desktop",
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        r"AppData\Roaming\Claude\claude_desktop_config.json",
    );
    check(
        "vscode",
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        r"AppData\Roaming\Code\User\mcp.json",
    );
    check(
        "zed",
        ".config/zed/settings.json",
        ".config/zed/settings.json",
        r"AppData\Roaming\Zed\settings.json",
    );
    check(
        "opencode",
        ".config/opencode/opencode.json",
        "xdg/opencode/opencode.json",
        r".config\opencode\opencode.json",
    );
    everywhere("claude-code", ".claude.json");
    everywhere("cursor", ".cursor/mcp.json");
    everywhere("windsurf", ".codeium/windsurf/mcp_config.json");
    everywhere("lm-studio", ".lmstudio/mcp.json");
    everywhere("gemini", ".gemini/settings.json");
    everywhere("codex", ".codex/config.toml");
    everywhere("copilot", ".copilot/mcp-config.json");
    assert_eq!(CLIENTS.len(), 11);
}

#[test]
fn environment_variables_of_the_clients_move_their_files() {
    for (name, variable, expected) in [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/own/.claude.json"),
        ("codex", "CODEX_HOME", "/own/config.toml"),
        ("copilot", "COPILOT_HOME", "/own/mcp-config.json"),
        ("gemini", "GEMINI_CLI_HOME", "/own/.gemini/settings.json"),
        ("vscode", "XDG_CONFIG_HOME", "/own/Code/User/mcp.json"),
        (
            "claude-desktop",
            "XDG_CONFIG_HOME",
            "/own/Claude/claude_desktop_config.json",
        ),
        ("zed", "XDG_CONFIG_HOME", "/own/zed/settings.json"),
        ("opencode", "XDG_CONFIG_HOME", "/own/opencode/opencode.json"),
    ] {
        let pairs = [("HOME", "/home/me"), (variable, "/own")];
        assert_eq!(file(name, Os::Linux, &pairs, &[]), expected);
    }
}

#[test]
fn an_existing_variant_is_preferred() {
    let insiders = "/home/me/.config/Code - Insiders/User";
    let found = file("vscode", Os::Linux, LINUX, &[insiders]);
    assert_eq!(found, format!("{insiders}/mcp.json"));
    let both = [insiders, "/home/me/.config/Code/User"];
    let found = file("vscode", Os::Linux, LINUX, &both);
    assert_eq!(found, "/home/me/.config/Code/User/mcp.json");
    let flatpak = "/home/me/.var/app/dev.zed.Zed/config/zed";
    let found = file("zed", Os::Linux, LINUX, &[flatpak]);
    assert_eq!(found, format!("{flatpak}/settings.json"));
    let package =
        r"C:\Users\me\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude";
    let disk = [package, r"C:\Users\me\AppData\Roaming\Claude"];
    let found = file("claude-desktop", Os::Windows, WINDOWS, &disk);
    assert_eq!(found, format!(r"{package}\claude_desktop_config.json"));
    let with_comments = "/home/me/.config/opencode/opencode.jsonc";
    let disk = ["/home/me/.config/opencode", with_comments];
    assert_eq!(file("opencode", Os::Linux, LINUX, &disk), with_comments);
}

#[test]
fn a_client_is_found_by_its_folder_its_file_or_its_program() {
    let found = |name: &str, os: Os, pairs: &[(&str, &str)], disk: &[&str]| {
        let env = |variable: &str| {
            let found = pairs.iter().find(|(known, _)| *known == variable);
            found.map(|(_, value)| OsString::from(value))
        };
        let exists = |path: &Path| disk.iter().any(|there| Path::new(there) == path);
        client(name).is_found(os, &env, &exists)
    };
    // Every home has the folder of `.claude.json`.
    assert!(!found("claude-code", Os::Linux, LINUX, &["/home/me"]));
    assert!(found(
        "claude-code",
        Os::Linux,
        LINUX,
        &["/home/me/.claude.json"]
    ));
    assert!(found("cursor", Os::MacOs, MAC, &["/Users/me/.cursor"]));
    let pairs = [("USERPROFILE", r"C:\me"), ("PATH", r"C:\x;C:\npm")];
    assert!(found(
        "claude-code",
        Os::Windows,
        &pairs,
        &[r"C:\npm\claude.cmd"]
    ));
    assert!(!found(
        "codex",
        Os::Windows,
        &pairs,
        &[r"C:\npm\claude.cmd"]
    ));
}
