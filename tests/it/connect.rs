//! `connect` and `disconnect`: the files of clients before and after, and the server that they start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{EXECUTABLE, Home, Ran};

/// Each client with its file in the tests' home and the key of its servers.
const CLIENTS: [(&str, &str, &str); 11] = [
    (
        "claude-desktop",
        "config/Claude/claude_desktop_config.json",
        "mcpServers",
    ),
    ("claude-code", ".claude.json", "mcpServers"),
    ("cursor", ".cursor/mcp.json", "mcpServers"),
    ("vscode", "config/Code/User/mcp.json", "servers"),
    (
        "windsurf",
        ".codeium/windsurf/mcp_config.json",
        "mcpServers",
    ),
    ("zed", "config/zed/settings.json", "context_servers"),
    ("lm-studio", ".lmstudio/mcp.json", "mcpServers"),
    ("gemini", ".gemini/settings.json", "mcpServers"),
    ("codex", ".codex/config.toml", "mcp_servers"),
    ("copilot", ".copilot/mcp-config.json", "mcpServers"),
    ("opencode", "config/opencode/opencode.json", "mcp"),
];

fn home() -> Home {
    let mut home = Home::embedded();
    // Clients on this machine are not those of the made-up home.
    home.set("PATH", "/usr/bin:/bin");
    home
}

#[track_caller]
fn fails(ran: &Ran, parts: &[&str]) {
    assert_ne!(ran.code, 0, "{ran:#?}");
    for part in parts {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything in a folder, by name.
fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                bytes(&entry.path()),
            )
        })
        .collect();
    all.sort();
    all
}

/// The entry as the client reads it.
fn entry(path: &Path, key: &str, name: &str) -> Value {
    let text = String::from_utf8(bytes(path)).expect("UTF-8");
    let document: Value = if path.extension().is_some_and(|ending| ending == "toml") {
        toml::from_str(&text).expect("TOML")
    } else {
        serde_json::from_str(&text).expect("JSON")
    };
    document[key][name].clone()
}

#[test]
fn each_client_is_connected_again_without_a_change_and_disconnected() {
    let home = home();
    for (client, file, key) in CLIENTS {
        let path = home.path().join(file);
        let ran = home
            .run(&["connect", client, "--edition", "jianying"])
            .success();
        let shown = path.to_str().expect("text");
        assert!(ran.stdout.contains(shown), "{}", ran.stdout);
        assert!(
            ran.stdout.contains("create_draft, add_video"),
            "{}",
            ran.stdout
        );
        let entry = entry(&path, key, "capcut");
        let mut line: Vec<Value> = Vec::new();
        match &entry["command"] {
            Value::Array(words) => line.extend(words.iter().cloned()),
            command => {
                line.push(command.clone());
                line.extend(entry["args"].as_array().expect("arguments").iter().cloned());
            }
        }
        let data = home.data();
        let expected = [EXECUTABLE, "serve", "--edition", "jianying", "--data-dir"];
        let expected: Vec<Value> = expected.map(Value::from).to_vec();
        assert_eq!(line[..5], expected, "{client}");
        assert_eq!(line[5], json!(data), "{client}");

        let folder = path.parent().expect("a folder");
        let before = listing(folder);
        let again = home
            .run(&["connect", client, "--edition", "jianying"])
            .success();
        assert!(
            again.stdout.contains("already connected"),
            "{}",
            again.stdout
        );
        assert_eq!(listing(folder), before, "{client}");

        // As if the executable had been moved since.
        let written = String::from_utf8(bytes(&path)).expect("UTF-8");
        fs::write(&path, written.replace(EXECUTABLE, "/old/capcut-mcp")).expect("the file");
        home.run(&["connect", client]).success();
        assert_eq!(bytes(&path), written.as_bytes(), "{client}");

        let gone = home.run(&["disconnect", client]).success();
        assert!(gone.stdout.contains("Disconnected."), "{}", gone.stdout);
        assert!(!path.exists(), "{client}: the file was made by connecting");
        let nothing = home.run(&["disconnect", client]).success();
        assert!(
            nothing.stdout.contains("not connected"),
            "{}",
            nothing.stdout
        );
    }
}

/// Files that are there before, each of which comes back to the byte.
const STARTS: [(&str, &str); 14] = [
    ("empty", ""),
    ("white space", "\n\n"),
    ("an empty object", "{}"),
    ("an object on two lines", "{\n}\n"),
    ("a byte order mark", "\u{feff}{\n  \"theme\": \"dark\"\n}\n"),
    (
        "comments and trailing commas",
        "// settings\n{\n\t\"theme\": \"dark\", // night\n\t/* servers */\n\t\"KEY\": {\n\t\t\"a\": { \"command\": \"x\", }, // first\n\t\t// \"b\": {}\n\t},\n}\n",
    ),
    ("line ends of Windows", "{\r\n  \"a\": 1\r\n}\r\n"),
    ("no line end", "{\n    \"a\": 1\n}"),
    (
        "one line",
        "{\"a\":[1,2],\"KEY\":{\"b\":{\"command\":\"y\"}}}",
    ),
    ("null", "{\n  \"KEY\": null,\n  \"z\": 1\n}\n"),
    ("an empty list of servers", "{\n  \"KEY\": {}\n}\n"),
    (
        "several servers",
        "{\n  \"z\": 1,\n  \"KEY\": {\n    \"b\": {\n      \"url\": \"https://example.com\"\n    },\n    \"a\": { \"command\": \"x\" }\n  },\n  \"a\": 1.50\n}\n",
    ),
    (
        "a key twice",
        "{\"KEY\": {\"a\": {}}, \"KEY\": {\"b\": {}}}\n",
    ),
    (
        "letters of other scripts",
        "{\n  \"名前\": \"\\u0041 – 剪映\"\n}\n",
    ),
];

#[test]
fn what_is_in_a_file_stays_and_comes_back_to_the_byte() {
    let home = home();
    for (client, file, key) in CLIENTS {
        if client == "codex" {
            continue;
        }
        // Each start with one client, the first client with all.
        let path = home.path().join(file);
        for (index, (what, start)) in STARTS.iter().enumerate() {
            if client != "cursor" && index % CLIENTS.len() != client.len() % CLIENTS.len() {
                continue;
            }
            let start = start.replace("KEY", key);
            home.file(file, &start);
            let shown = home.run(&["connect", client, "--print"]).success();
            assert!(shown.stdout.contains(key), "{}", shown.stdout);
            assert_eq!(bytes(&path), start.as_bytes(), "--print: {what}");
            home.run(&["connect", client]).success();
            let text = String::from_utf8(bytes(&path)).expect("UTF-8");
            assert!(text.contains(EXECUTABLE), "{what}: {text}");
            if start.starts_with('\u{feff}') {
                assert!(text.starts_with("\u{feff}{"), "{what}");
            }
            if start.contains("\r\n") {
                assert_eq!(
                    text.matches('\n').count(),
                    text.matches("\r\n").count(),
                    "{what}"
                );
            }
            for line in start
                .lines()
                .filter(|line| line.contains("//") || line.contains("/*"))
            {
                assert!(text.contains(line), "{what}: {line} in {text}");
            }
            let backup = path.with_file_name(format!(
                "{}.capcut-mcp-backup",
                path.file_name().expect("a name").to_string_lossy()
            ));
            assert_eq!(bytes(&backup), start.as_bytes(), "{what}");
            let once = listing(path.parent().expect("a folder"));
            home.run(&["connect", client]).success();
            assert_eq!(listing(path.parent().expect("a folder")), once, "{what}");
            home.run(&["disconnect", client]).success();
            assert_eq!(
                String::from_utf8(bytes(&path)).expect("UTF-8"),
                start,
                "{what}"
            );
            for (name, _) in listing(path.parent().expect("a folder")) {
                if name.contains(".capcut-mcp-backup") {
                    fs::remove_file(path.with_file_name(name)).expect("a backup");
                }
            }
        }
    }
}

#[test]
fn a_table_of_codex_stays_and_comes_back_to_the_byte() {
    let home = home();
    for start in [
        "",
        "# mine\nmodel = \"gpt\" # best\n\n[mcp_servers.other]\ncommand = \"x\"\n\n# last\n[tui]\nnotifications = true",
        "model = 'o'\r\n[mcp_servers]\r\n",
        "mcp_servers = { other = { command = \"x\" } } # inline\n",
    ] {
        let path = home.file(".codex/config.toml", start);
        home.run(&["connect", "codex"]).success();
        assert_eq!(
            entry(&path, "mcp_servers", "capcut")["command"],
            json!(EXECUTABLE)
        );
        home.run(&["disconnect", "codex"]).success();
        assert_eq!(String::from_utf8(bytes(&path)).expect("UTF-8"), start);
    }
    let moved = "[mcp_servers.capcut] # ours\ncommand = \"/old/capcut-mcp\"\nargs = [\"serve\"]\nstartup_timeout_sec = 20\n[mcp_servers.capcut.env]\nTOKEN = \"t\"\n";
    let path = home.file(".codex/config.toml", moved);
    let ran = home.run(&["connect", "codex"]).success();
    assert!(!ran.stdout.contains("\"t\""), "{}", ran.stdout);
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    let command = format!("command = \"{EXECUTABLE}\"\n");
    assert!(
        text.starts_with(&format!("[mcp_servers.capcut] # ours\n{command}args = ")),
        "{text}"
    );
    assert!(
        text.ends_with("startup_timeout_sec = 20\n[mcp_servers.capcut.env]\nTOKEN = \"t\"\n"),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_edited_stays_as_it_is() {
    let home = home();
    let check = |client: &str, file: &str, start: &[u8], parts: &[&str]| {
        let path = home.file(file, start);
        for line in [
            &["connect", client][..],
            &["connect", client, "--force"],
            &["disconnect", client],
        ] {
            let ran = home.run(line);
            fails(&ran, parts);
            assert!(
                ran.stderr.contains(path.to_str().expect("text")),
                "{}",
                ran.stderr
            );
        }
        let folder = path.parent().expect("a folder");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let left: Vec<_> = listing(folder)
            .into_iter()
            .filter(|(left, _)| left.contains(&name))
            .collect();
        assert_eq!(left, [(name, start.to_vec())]);
        fs::remove_file(path).expect("the file");
    };
    check(
        "cursor",
        ".cursor/mcp.json",
        b"{\n  \"a\": 1\n  \"b\": 2\n}\n",
        &["line 2, column 9"],
    );
    check(
        "zed",
        "config/zed/settings.json",
        b"{\n  \"a\": [1,\n}",
        &["line 3, column 1"],
    );
    check(
        "cursor",
        ".cursor/mcp.json",
        b"{\n  \"mcpServers\": []\n}\n",
        &["line 2, column 17", "a list"],
    );
    check("cursor", ".cursor/mcp.json", b"[]", &["line 1, column 1"]);
    check(
        "cursor",
        ".cursor/mcp.json",
        b"{\"a\": \"\xff\"}",
        &["UTF-8", "byte 8"],
    );
    check(
        "codex",
        ".codex/config.toml",
        b"a = 1\nb = = 2\n",
        &["line 2, column 5"],
    );
    check(
        "codex",
        ".codex/config.toml",
        b"mcp_servers = 1\n",
        &["line 1", "not a table"],
    );
    let folder = home.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let ran = home.run(&[
        "connect",
        "cursor",
        "--file",
        folder.to_str().expect("text"),
    ]);
    fails(&ran, &["folder"]);
}

#[test]
fn an_entry_that_is_not_ours_is_replaced_only_by_force() {
    let home = home();
    let start = "{\n  \"mcpServers\": {\n    \"capcut\": { \"command\": \"npx\", \"args\": [\"other\", \"--key\", \"hidden\", \"--k=hidden\"] }, // theirs\n    \"b\": {}\n  }\n}\n";
    let path = home.file(".cursor/mcp.json", start);
    fails(
        &home.run(&["connect", "cursor"]),
        &["`capcut`", "npx other", "--force", "--name"],
    );
    let ran = home.run(&["disconnect", "cursor"]);
    fails(&ran, &["npx other --key … --k=…"]);
    assert!(!ran.stderr.contains("hidden"), "{}", ran.stderr);
    assert_eq!(bytes(&path), start.as_bytes());
    home.run(&["connect", "cursor", "--name", "capcut2"])
        .success();
    home.run(&["disconnect", "cursor", "--name", "capcut2"])
        .success();
    assert_eq!(bytes(&path), start.as_bytes());
    home.run(&["connect", "cursor", "--force"]).success();
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    assert!(text.contains("}, // theirs\n    \"b\": {}"), "{text}");
    assert!(text.contains(EXECUTABLE) && !text.contains("npx"), "{text}");
    let name = home.run(&["connect", "cursor", "--name", "my server"]);
    fails(&name, &["letters"]);
}

#[test]
fn an_entry_of_ours_follows_the_executable_and_keeps_what_the_user_added() {
    let home = home();
    let start = json!({ "mcpServers": { "capcut": {
        "command": r"C:\old\capcut-mcp.exe",
        "args": ["serve", "--tools", "full"],
        "env": { "CAPCUT_MCP_DATA_DIR": home.data(), "TOKEN": "secret-value" },
        "disabled": false,
    } } });
    let path = home.file(".codeium/windsurf/mcp_config.json", format!("{start:#}\n"));
    let ran = home
        .run(&["connect", "windsurf", "--backend", "embedded"])
        .success();
    assert!(!ran.stdout.contains("secret-value"), "{}", ran.stdout);
    let entry = entry(&path, "mcpServers", "capcut");
    let mut expected = start["mcpServers"]["capcut"].clone();
    expected["command"] = json!(EXECUTABLE);
    expected["args"] = json!(["serve", "--tools", "full", "--backend", "embedded"]);
    assert_eq!(entry, expected);
    let again = home.run(&["connect", "windsurf"]).success();
    assert!(
        again.stdout.contains("already connected"),
        "{}",
        again.stdout
    );
}

#[test]
fn only_the_fields_that_differ_are_written() {
    let home = home();
    let start = "{\n  \"context_servers\": {\n    \"capcut\": {\n      \"args\": [\n        \"serve\", // over stdio\n      ],\n      \"command\": \"/old/capcut-mcp\", // moved\n      \"env\": { \"CAPCUT_MCP_DATA_DIR\": \"~/data\" },\n    },\n  },\n}\n";
    let path = home.file("config/zed/settings.json", start);
    home.run(&["connect", "zed", "--print"]).success();
    home.run(&["connect", "zed"]).success();
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    assert_eq!(text, start.replace("/old/capcut-mcp", EXECUTABLE));
    let codex = "[mcp_servers.capcut]\nargs = [\n  \"serve\", # over stdio\n]\ncommand = \"/old/capcut-mcp\"\nenv = { CAPCUT_MCP_DATA_DIR = \"~/data\" }\n";
    let path = home.file(".codex/config.toml", codex);
    home.run(&["connect", "codex"]).success();
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    assert_eq!(text, codex.replace("/old/capcut-mcp", EXECUTABLE));
}

#[test]
fn disconnecting_after_other_changes_removes_only_the_entry() {
    let home = home();
    let path = home.file(
        ".cursor/mcp.json",
        "{\n  \"mcpServers\": {\n    \"a\": {} // one\n  }\n}\n",
    );
    home.run(&["connect", "cursor"]).success();
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    fs::write(
        &path,
        text.replace("\"a\": {}", "\"a\": { \"command\": \"new\" }"),
    )
    .expect("the file");
    let shown = home.run(&["disconnect", "cursor", "--print"]).success();
    assert!(
        shown.stdout.contains("removes `capcut`"),
        "{}",
        shown.stdout
    );
    home.run(&["disconnect", "cursor"]).success();
    let text = String::from_utf8(bytes(&path)).expect("UTF-8");
    assert_eq!(
        text,
        "{\n  \"mcpServers\": {\n    \"a\": { \"command\": \"new\" } // one\n  }\n}\n"
    );
}

#[cfg(unix)]
#[test]
fn mode_links_and_write_protection_are_kept() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let home = home();
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    let kept = home.file("dotfiles/claude.json", "{\"numStartups\": 3}\n");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).expect("the mode");
    let link = home.path().join(".claude.json");
    symlink("dotfiles/claude.json", &link).expect("a link");
    // Only root can give a file away.
    let given = std::os::unix::fs::chown(&kept, Some(1234), Some(1235)).is_ok();
    home.run(&["connect", "claude-code"]).success();
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(mode(&kept), 0o640);
    let owner = fs::metadata(&kept).expect("there");
    assert!(!given || (owner.uid(), owner.gid()) == (1234, 1235));
    assert_eq!(entry(&kept, "mcpServers", "capcut")["type"], json!("stdio"));
    let backup = home.path().join("dotfiles/claude.json.capcut-mcp-backup");
    assert_eq!(mode(&backup), 0o640);
    home.run(&["disconnect", "claude-code"]).success();
    assert_eq!(bytes(&kept), b"{\"numStartups\": 3}\n");

    // A link to a file that is not there yet.
    fs::create_dir_all(home.path().join(".cursor")).expect("a folder");
    symlink(
        "../dotfiles/cursor.json",
        home.path().join(".cursor/mcp.json"),
    )
    .expect("a link");
    home.run(&["connect", "cursor"]).success();
    assert!(home.path().join("dotfiles/cursor.json").is_file());
    symlink("loop", home.path().join("loop")).expect("a link");
    fails(
        &home.run(&["connect", "cursor", "--file", "loop"]),
        &["links"],
    );

    let locked = home.file(".lmstudio/mcp.json", "{}\n");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o444)).expect("the mode");
    fails(
        &home.run(&["connect", "lm-studio"]),
        &["read-only", "chmod"],
    );
    assert_eq!(bytes(&locked), b"{}\n");
    assert_eq!(listing(locked.parent().expect("a folder")).len(), 1);
}

#[test]
fn a_project_has_a_file_of_its_own() {
    let home = home();
    fs::create_dir(home.path().join("app")).expect("a folder");
    for (client, file, key) in [
        ("claude-code", "app/.mcp.json", "mcpServers"),
        ("cursor", "app/.cursor/mcp.json", "mcpServers"),
        ("vscode", "app/.vscode/mcp.json", "servers"),
    ] {
        home.run(&["connect", client, "--project", "app"]).success();
        let entry = entry(&home.path().join(file), key, "capcut");
        assert_eq!(entry["command"], json!(EXECUTABLE), "{client}");
    }
    assert!(!home.path().join(".claude.json").exists());
    fails(
        &home.run(&["connect", "zed", "--project", "app"]),
        &["claude-code, cursor, vscode"],
    );
    fails(
        &home.run(&["connect", "cursor", "--project", "none"]),
        &["none"],
    );
}

#[test]
fn the_list_shows_who_is_here_and_connected() {
    let home = home();
    home.run(&["connect", "cursor"]).success();
    home.run(&["connect", "zed", "--name", "video"]).success();
    home.file(".gemini/settings.json", "{ broken");
    let rows = home.run(&["connect", "--list", "--json"]).success().json();
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), CLIENTS.len());
    let row = |name: &str| rows.iter().find(|row| row["client"] == name).expect(name);
    assert_eq!(row("cursor")["connected"], json!(["capcut"]));
    assert_eq!(row("cursor")["found"], json!(true));
    assert_eq!(row("zed")["connected"], json!(["video"]));
    assert!(
        row("gemini")["error"]
            .as_str()
            .expect("an error")
            .contains("line 1")
    );
    assert_eq!(row("codex")["found"], json!(false));
    assert_eq!(
        row("codex")["file"],
        json!(home.path().join(".codex/config.toml"))
    );
    let text = home.run(&["connect", "--list"]).success().stdout;
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .expect(name)
            .to_owned()
    };
    assert!(line("zed").contains("connected as video"), "{text}");
    assert!(line("codex").contains("not found  not connected"), "{text}");
}

#[test]
fn other_clients_are_told_what_to_enter() {
    let home = home();
    let block = home
        .run(&["connect", "json", "--edition", "jianying"])
        .success()
        .json();
    assert_eq!(block["mcpServers"]["capcut"]["command"], json!(EXECUTABLE));
    let cherry = home.run(&["connect", "cherry-studio"]).success().stdout;
    for part in [EXECUTABLE, "serve", "cherrystudio://mcp/install?servers="] {
        assert!(cherry.contains(part), "{part} in {cherry}");
    }
    for client in ["dify", "n8n"] {
        let line = [
            "connect",
            client,
            "--edition",
            "jianying",
            "--data-dir",
            "/srv/my data",
        ];
        let told = home.run(&line).success().stdout;
        for part in [
            "http://host.docker.internal:8080/mcp",
            &format!("{EXECUTABLE} token add {client} --data-dir \"/srv/my data\"\n"),
            &format!("{EXECUTABLE} serve --http 0.0.0.0:8080 --edition jianying"),
            "host.docker.internal:host-gateway",
            "300",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
    let dify = home.run(&["connect", "dify"]).success().stdout;
    for part in [
        "SSRF_PROXY_ALLOW_PRIVATE_DOMAINS=host.docker.internal",
        "Server Identifier:  capcut\n",
        "Authorization: Bearer TOKEN",
    ] {
        assert!(dify.contains(part), "{part} in {dify}");
    }
    fails(
        &home.run(&["connect", "claud-desktop"]),
        &["`claude-desktop`", "--list"],
    );
    fails(&home.run(&["disconnect", "dify"]), &["dify"]);
    fails(&home.run(&["connect"]), &["CLIENT"]);
    let link = home.run(&["connect", "cursor", "--print"]).success().stdout;
    assert!(
        link.contains("cursor://anysphere.cursor-deeplink/mcp/install?name=capcut&config="),
        "{link}"
    );
    assert!(!home.path().join(".cursor").exists());
}

#[test]
fn what_does_not_start_is_an_error_although_it_is_written() {
    let home = home();
    let config = home.file("tools.toml", "limits = 3\n");
    let ran = home.run(&[
        "connect",
        "cursor",
        "--config",
        config.to_str().expect("text"),
    ]);
    fails(&ran, &["was written", "does not work", "disconnect"]);
    assert!(ran.stdout.contains("Connected."), "{}", ran.stdout);
}

#[test]
fn the_examples_of_the_help_work() {
    let home = home();
    let mut run = 0;
    for command in ["connect", "disconnect"] {
        let help = home.run(&[command, "--help"]).success().stdout;
        let (_, examples) = help.split_once("Examples:").expect("examples");
        for line in examples
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let line = line.split("  ").next().expect("a command");
            let words: Vec<&str> = line.split(' ').skip(1).collect();
            home.run(&words).success();
            run += 1;
        }
    }
    assert_eq!(run, 9);
}

#[test]
fn what_the_user_should_know_is_a_note() {
    let mut home = home();
    home.file(
        ".claude.json",
        "{\n  // mine\n  \"mcpServers\": {\n    \"capcut\": null\n  }\n}\n",
    );
    home.set("CAPCUT_MCP_EDITION", "jianying");
    let ran = home.run(&["connect", "claude-code"]).success();
    for part in ["line 2", "comment", "CAPCUT_MCP_EDITION", "`--edition`"] {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    let line = [
        "connect",
        "claude-code",
        "--name",
        "video",
        "--edition",
        "capcut",
    ];
    let ran = home.run(&line).success();
    let other = "disconnect claude-code --name capcut";
    assert!(ran.stderr.contains(other), "{}", ran.stderr);
    assert!(!ran.stderr.contains("CAPCUT_MCP_EDITION"), "{}", ran.stderr);
    let ran = home.run(&["connect", "copilot"]).success();
    assert!(
        ran.stderr.contains("not found on this machine"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_large_file_loses_nothing() {
    let home = home();
    let history: Vec<String> = (0..40_000)
        .map(|number| format!("prompt {number} {}", "x".repeat(100)))
        .collect();
    let start = format!(
        "{:#}\n",
        json!({ "projects": { "/a": { "history": history } } })
    );
    let path = home.file(".claude.json", &start);
    home.run(&["connect", "claude-code"]).success();
    let document: Value = serde_json::from_slice(&bytes(&path)).expect("JSON");
    assert_eq!(
        document["projects"]["/a"]["history"]
            .as_array()
            .map(Vec::len),
        Some(40_000)
    );
    home.run(&["disconnect", "claude-code"]).success();
    assert_eq!(bytes(&path), start.as_bytes());
}

/// Homes as each system has them: the files are written and started here whatever system the path is of.
#[test]
fn homes_of_three_systems_are_written_alike() {
    let home = home();
    for (client, file, key) in [
        (
            "claude-desktop",
            "mac/Library/Application Support/Claude/claude_desktop_config.json",
            "mcpServers",
        ),
        (
            "claude-desktop",
            "windows/AppData/Roaming/Claude/claude_desktop_config.json",
            "mcpServers",
        ),
        (
            "vscode",
            "mac/Library/Application Support/Code/User/mcp.json",
            "servers",
        ),
        (
            "vscode",
            "windows/AppData/Roaming/Code/User/mcp.json",
            "servers",
        ),
        (
            "zed",
            "windows/AppData/Roaming/Zed/settings.json",
            "context_servers",
        ),
        ("codex", "windows/.codex/config.toml", "mcp_servers"),
    ] {
        let line = ["connect", client, "--file", file];
        home.run(&line).success();
        let path = home.path().join(file);
        assert_eq!(
            entry(&path, key, "capcut")["args"][0],
            json!("serve"),
            "{file}"
        );
        home.run(&["disconnect", client, "--file", file]).success();
        assert!(!path.exists(), "{file}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_on_the_search_path_is_what_is_written() {
    use std::os::unix::fs::symlink;
    let home = home();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let link: PathBuf = bin.join("capcut-mcp");
    symlink(EXECUTABLE, &link).expect("a link");
    let ran = Command::new("sh")
        .args(["-c", "capcut-mcp connect json"])
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOME", home.path())
        .output()
        .expect("a shell");
    let block: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(block["mcpServers"]["capcut"]["command"], json!(link));
}

#[test]
fn an_entry_leaves_out_tools_that_change_something() {
    let home = home();
    let ran = home.run(&["connect", "cursor", "--read-only"]).success();
    assert!(
        !ran.stdout.contains("create_draft") && ran.stdout.contains("inspect_draft"),
        "{}",
        ran.stdout
    );
    let (_, file, key) = CLIENTS
        .into_iter()
        .find(|(client, ..)| *client == "cursor")
        .expect("a client");
    let path = home.path().join(file);
    let arguments = |path: &Path| entry(path, key, "capcut")["args"].to_string();
    let is_read_only = |path: &Path| arguments(path).contains("--read-only");
    assert!(is_read_only(&path), "{}", arguments(&path));
    // It stays in the entry until it is taken back.
    let again = home.run(&["connect", "cursor"]).success();
    assert!(is_read_only(&path), "{}", again.stdout);
    let back = home
        .run(&["connect", "cursor", "--read-only=false"])
        .success();
    assert!(back.stdout.contains("create_draft"), "{}", back.stdout);
    assert!(
        !arguments(&path).contains("--read-only=true")
            && !arguments(&path).contains("\"--read-only\""),
        "{}",
        arguments(&path)
    );
}
