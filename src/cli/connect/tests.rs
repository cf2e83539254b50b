//! Edits of configurations change only the entry.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::clients::{CLIENTS, Shape};
use super::document::ConfigFormat;
use super::server::{LaunchCommand, link};
use super::*;

const JSON: ConfigFormat = ConfigFormat::Json;

fn entry() -> Value {
    json!({ "command": "/bin/capcut-mcp", "args": ["serve"] })
}

fn add(text: &str) -> String {
    JSON.add(text, "mcpServers", "capcut", &entry())
        .expect(text)
}

fn remove(text: &str) -> String {
    JSON.remove(text, "mcpServers", "capcut").expect(text)
}

#[test]
fn an_entry_is_added_in_the_style_of_the_file() {
    let check = |before: &str, after: &str| assert_eq!(add(before), after, "{before}");
    check(
        "",
        "{\n  \"mcpServers\": {\n    \"capcut\": {\n      \"command\": \"/bin/capcut-mcp\",\n      \"args\": [\"serve\"]\n    }\n  }\n}\n",
    );
    // Tabs, a trailing comma and comments at both ends of the last line.
    check(
        "{\n\t\"mcpServers\": {\n\t\t// the first\n\t\t\"a\": {}, // its comment\n\t\t// \"b\": {}\n\t},\n}\n",
        "{\n\t\"mcpServers\": {\n\t\t// the first\n\t\t\"a\": {}, // its comment\n\t\t\"capcut\": {\n\t\t\t\"command\": \"/bin/capcut-mcp\",\n\t\t\t\"args\": [\"serve\"]\n\t\t},\n\t\t// \"b\": {}\n\t},\n}\n",
    );
    check(
        "{\"theme\":\"dark\"}",
        "{\"theme\":\"dark\",\"mcpServers\":{\"capcut\":{\"command\":\"/bin/capcut-mcp\",\"args\":[\"serve\"]}}}",
    );
    check(
        "{\"mcpServers\": {\"a\": {\"command\": \"b\"}}}\n",
        "{\"mcpServers\": {\"a\": {\"command\": \"b\"}, \"capcut\": {\"command\": \"/bin/capcut-mcp\", \"args\": [\"serve\"]}}}\n",
    );
    let crlf = add("{\r\n    \"mcpServers\": null\r\n}\r\n");
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
    assert!(
        crlf.contains("\r\n        \"capcut\": {\r\n            \"command\""),
        "{crlf}"
    );
    let commented = add("// nothing yet\n");
    assert!(commented.starts_with("// nothing yet\n{\n"), "{commented}");
    let inside = add("{ /* none */ }");
    assert!(
        inside.starts_with("{ /* none */\n  \"mcpServers\""),
        "{inside}"
    );
    let line = add("{\n  // none\n}\n");
    assert!(line.starts_with("{\n  // none\n  \"mcpServers\""), "{line}");
}

#[test]
fn removing_deletes_the_entry_its_comma_and_its_line() {
    let check = |before: &str, after: &str| assert_eq!(remove(before), after, "{before}");
    check(r#"{"mcpServers": {"capcut": {}}}"#, r#"{"mcpServers": {}}"#);
    check(
        r#"{"mcpServers": {"capcut": {}, "b": 1}}"#,
        r#"{"mcpServers": {"b": 1}}"#,
    );
    check(
        r#"{"mcpServers": {"a": 1, "capcut": {}}}"#,
        r#"{"mcpServers": {"a": 1}}"#,
    );
    check(
        "{\"mcpServers\": {\n  \"a\": 1, // one\n  \"capcut\": {} // ours\n}}",
        "{\"mcpServers\": {\n  \"a\": 1 // one\n   // ours\n}}",
    );
    // The comment must not absorb the brace that closes the object.
    check(
        "{\"mcpServers\": {\n  \"a\": 1, // one\n  \"capcut\": {} }}",
        "{\"mcpServers\": {\n  \"a\": 1 // one\n   }}",
    );
    check(
        "{\"mcpServers\": {\r\n  \"capcut\": {} /* x */,\r\n  \"b\": 2\r\n}}",
        "{\"mcpServers\": {\r\n   /* x */\r\n  \"b\": 2\r\n}}",
    );
}

#[test]
fn the_last_of_two_equal_keys_is_edited() {
    let text = r#"{"mcpServers": {"a": {}}, "mcpServers": {"b": {}}}"#;
    let with = add(text);
    assert!(with.contains(r#"{"b": {}, "capcut""#), "{with}");
    assert_eq!(remove(&with), text);
}

#[test]
fn unreadable_configurations_give_an_error_with_its_position() {
    let check = |format: ConfigFormat, text: &str, place: (usize, usize), part: &str| {
        let fault = format.entries(text, "servers").expect_err(text);
        assert_eq!(
            (fault.line, fault.column),
            place,
            "{text}: {}",
            fault.message
        );
        assert!(fault.message.contains(part), "{part} in {}", fault.message);
    };
    check(JSON, "{\n  \"a\": 1\n  \"b\": 2\n}", (2, 9), "comma");
    check(
        JSON,
        "{\n  \"servers\": [1]\n}",
        (2, 14),
        "a list, not an object",
    );
    check(JSON, "[]", (1, 1), "a list");
    check(JSON, "{\"ä\": tru}", (1, 7), "token");
    check(ConfigFormat::Toml, "a = 1\nb = = 2\n", (2, 5), "");
    check(
        ConfigFormat::Toml,
        "a = 1\nservers = 3\n",
        (2, 1),
        "not a table",
    );
    let deep = "[".repeat(100_000);
    assert!(JSON.entries(&deep, "servers").is_err());
}

const TOML: ConfigFormat = ConfigFormat::Toml;

#[test]
fn tables_are_added_changed_and_removed_in_every_form() {
    let key = "mcp_servers";
    let start = [
        "",
        "# mine\nmodel = \"o\" # best\n",
        "model = 'o'\r\n\r\n[mcp_servers.other]\r\ncommand = \"x\"\r\n",
        "[mcp_servers.other]\ncommand = \"x\"\n[mcp_servers.other.env]\nA = \"1\"\n\n# last\n[tui]\nx = [\n  1, # one\n  2,\n]\n",
        "mcp_servers.other.command = \"x\"\n",
        "mcp_servers = { other = { command = \"x\" } }\n[tui]\n",
        "mcp_servers = {}\n",
        "[[lists]]\nmcp_servers = [{ capcut = { a = 1 } }]\n",
        "text = \"\"\"\n[mcp_servers.capcut]\ncommand = 1\n\"\"\"\n",
        "[mcp_servers]\nother.command = \"x\"\n",
    ];
    for text in start {
        let with = TOML.add(text, key, "capcut", &entry()).expect(text);
        TOML.check((text, &with), key, "capcut", Some(&entry()))
            .expect(text);
        let mut moved = entry();
        moved["command"] = json!(r"C:\new\capcut-mcp.exe");
        let changed = TOML.update(&with, key, "capcut", &["command", "args"], &moved);
        let changed = changed.expect(text);
        TOML.check((&with, &changed), key, "capcut", Some(&moved))
            .expect(text);
        for edited in [&with, &changed] {
            let without = TOML.remove(edited, key, "capcut").expect(text);
            assert_eq!(without.replace("{ }", "{}"), text);
        }
    }
}

#[test]
fn removing_a_table_leaves_the_comments_of_its_neighbours() {
    let text = "# before\n[mcp_servers.capcut]\n# inside\ncommand = \"c\"\n\n[mcp_servers.capcut.env]\nA = \"1\" # one\n\n# of the next\n[tui]\n";
    let left = TOML.remove(text, "mcp_servers", "capcut").expect("TOML");
    assert_eq!(left, "# before\n\n# of the next\n[tui]\n");
    let dotted = "[mcp_servers]\na.command = 1\ncapcut.command = \"c\"\ncapcut.args = []\n# end\n";
    let left = TOML.remove(dotted, "mcp_servers", "capcut").expect("TOML");
    assert_eq!(left, "[mcp_servers]\na.command = 1\n# end\n");
}

#[test]
fn options_are_set_and_others_stay() {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let own = LaunchCommand {
        command: "/old/capcut-mcp".to_owned(),
        args: words("serve --edition=capcut --tools full --backend auto"),
        env: vec![("CAPCUT_MCP_DATA_DIR".to_owned(), "/mine".to_owned())],
    };
    assert!(own.is_ours());
    let options = vec![
        ("--edition", "jianying".to_owned()),
        ("--backend", "remote".to_owned()),
    ];
    let updated = own.updated("/new/capcut-mcp", &options, Some("/data"));
    assert_eq!(updated.command, "/new/capcut-mcp");
    assert_eq!(
        updated.args,
        words("serve --edition jianying --tools full --backend remote"),
        "the data folder is the user's"
    );
    let new = LaunchCommand::new("c".to_owned(), &options, Some("/data"));
    assert_eq!(
        new.args,
        words("serve --edition jianying --backend remote --data-dir /data")
    );
}

#[test]
fn this_program_is_recognised_by_its_name_and_command() {
    let ours = |command: &str, args: &[&str]| {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        LaunchCommand {
            command: command.to_owned(),
            args,
            env: Vec::new(),
        }
        .is_ours()
    };
    assert!(ours("/a/capcut-mcp", &["serve"]));
    assert!(ours(
        r"C:\a b\capcut-mcp.EXE",
        &["--backend", "auto", "serve"]
    ));
    assert!(!ours("/a/capcut-mcp", &["engine"]));
    assert!(!ours("/a/capcut-mcp-2", &["serve"]));
    assert!(!ours("npx", &["capcut-mcp", "serve"]));
}

#[test]
fn every_entry_says_what_it_starts() {
    let server = LaunchCommand::new(
        r"C:\x\capcut-mcp.exe".to_owned(),
        &super::server::ServeOptions::new(),
        Some("D:\\d"),
    );
    for client in CLIENTS {
        let entry = server.entry(client.shape);
        let block = client
            .format
            .block(client.key, "capcut", &entry)
            .expect("a block");
        let entries = client.format.entries(&block, client.key).expect("entries");
        let read = LaunchCommand::of(&entries["capcut"], client.shape);
        assert_eq!(read.as_ref(), Some(&server), "{block}");
    }
    assert_eq!(
        LaunchCommand::of(&json!({ "url": "http://x" }), Shape::Plain),
        None
    );
}

#[test]
fn every_client_is_found_by_each_spelling_of_its_name() {
    for (spelled, name) in [
        ("claude_desktop", "claude-desktop"),
        ("Claude Desktop", "claude-desktop"),
        ("LMStudio", "lm-studio"),
        ("vs-code", "vscode"),
        ("N8N", "n8n"),
    ] {
        match target(spelled) {
            Ok(Target::File(client)) => assert_eq!(client.name, name),
            Ok(Target::ByHand(client)) => assert_eq!(client, name),
            Err(error) => panic!("{spelled}: {error}"),
        }
    }
    let error = target("claude").err().expect("ambiguous").to_string();
    assert!(
        error.contains("`claude-code`") && error.contains("`claude-desktop`"),
        "{error}"
    );
}

#[test]
fn the_documents_list_the_links_and_files_of_the_code() {
    for file in ["README.md", "README.zh-CN.md", "docs/clients.md"] {
        crate::checks::check_section(file, "links", &documented("links"));
    }
    crate::checks::check_section("docs/clients.md", "files", &documented("files"));
}

/// The documents' links and table, as the code has them.
fn documented(what: &str) -> String {
    let server = LaunchCommand::new(
        "capcut-mcp".to_owned(),
        &super::server::ServeOptions::new(),
        None,
    );
    let env = |variables: &'static [(&str, &str)]| {
        move |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| std::ffi::OsString::from(value))
        }
    };
    let unix = env(&[("HOME", "~")]);
    let windows = env(&[
        ("USERPROFILE", "%USERPROFILE%"),
        ("APPDATA", "%APPDATA%"),
        ("LOCALAPPDATA", "%LOCALAPPDATA%"),
    ]);
    if what == "links" {
        let titles = [
            ("cursor", "Cursor"),
            ("lm-studio", "LM Studio"),
            ("cherry-studio", "Cherry Studio"),
        ];
        let lines = titles.map(|(client, title)| {
            let link = link(client, NAME, &server).expect("a link");
            format!("- {title}: `{link}`")
        });
        return lines.join("\n");
    }
    let mut table =
        "| client | Linux | macOS | Windows | key |\n|---|---|---|---|---|\n".to_owned();
    for client in CLIENTS {
        let files = |os, env: settings::Env<'_>| {
            let files = client.files(os, env);
            let shown = files.iter().map(|file| format!("`{}`", file.display()));
            shown.collect::<Vec<_>>().join(", ")
        };
        table += &format!(
            "| `{}` | {} | {} | {} | `{}` |\n",
            client.name,
            files(Os::Linux, &unix),
            files(Os::MacOs, &unix),
            files(Os::Windows, &windows),
            client.key
        );
    }
    table
}

/// A JSON value as text, with comments, trailing commas and white space as `noise` has them.
fn written(value: &Value, noise: &mut Noise) -> String {
    let list = |noise: &mut Noise, parts: Vec<String>, open: char, close: char| {
        let mut text = format!("{open}{}", noise.next());
        let count = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            text += &part;
            text += &noise.next();
            if index + 1 < count || noise.flip() {
                text.push(',');
                text += &noise.next();
            }
        }
        text.push(close);
        text
    };
    match value {
        Value::Object(map) => {
            let mut parts = Vec::new();
            for (key, value) in map {
                let (before, after) = (noise.next(), noise.next());
                let value = written(value, noise);
                parts.push(format!("{}{before}:{after}{value}", json!(key)));
            }
            list(noise, parts, '{', '}')
        }
        Value::Array(items) => {
            let parts = items.iter().map(|item| written(item, noise)).collect();
            list(noise, parts, '[', ']')
        }
        plain => plain.to_string(),
    }
}

struct Noise {
    seeds: Vec<u8>,
    at: usize,
}

impl Noise {
    fn seed(&mut self) -> u8 {
        self.at += 1;
        self.seeds[self.at % self.seeds.len()]
    }

    fn flip(&mut self) -> bool {
        self.seed().is_multiple_of(2)
    }

    fn next(&mut self) -> String {
        let number = self.at;
        match self.seed() % 9 {
            0 => format!(" // c{number}, \"x\": {{\n"),
            1 => format!("/* d{number} }} */"),
            2 => format!("\n  /* e{number}\n   , */ "),
            3 | 4 => "\n    ".to_owned(),
            5 => "\r\n\t".to_owned(),
            6 => " ".to_owned(),
            _ => String::new(),
        }
    }
}

fn comments(text: &str) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    for word in words {
        let is_mark = word.starts_with(['c', 'd', 'e'])
            && word.len() > 1
            && word[1..].parse::<usize>().is_ok();
        if is_mark {
            *found.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    found
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~äß\\\\\"]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[A-Z]{1,3}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn simple_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~äß\\\\\"]{0,8}".prop_map(Value::from),
        prop::collection::vec("[a-z#\\]]{0,3}", 0..3).prop_map(Value::from),
    ];
    prop::collection::hash_map("[A-Z]{1,3}", leaf, 0..4).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn connecting_and_disconnecting_keeps_everything_else(
        others in prop::collection::hash_map("[A-Z]{1,3}", values(), 0..4),
        servers in prop::option::of(prop::collection::hash_map("[A-Z]{1,3}", values(), 0..4)),
        seeds in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut document: serde_json::Map<String, Value> = others.into_iter().collect();
        let has_servers = servers.is_some();
        if let Some(servers) = servers {
            document.insert("mcpServers".to_owned(), servers.into_iter().collect());
        }
        let mut noise = Noise { seeds, at: 0 };
        let text = noise.next() + &written(&Value::Object(document), &mut noise) + &noise.next();
        let whole = |text: &str| {
            // The document as an entry of another object.
            let wrapped = format!("{{\"all\": {}\n}}", text.trim_start_matches('\u{feff}'));
            JSON.entries(&wrapped, "all").expect("JSON with comments")
        };
        let with = add(&text);
        JSON.check((&text, &with), "mcpServers", "capcut", Some(&entry())).expect("only the entry");
        prop_assert_eq!(comments(&with), comments(&text));
        let mut moved = entry();
        moved["command"] = json!("/elsewhere/capcut-mcp");
        let updated = JSON.update(&with, "mcpServers", "capcut", &["command"], &moved).expect("an update");
        JSON.check((&with, &updated), "mcpServers", "capcut", Some(&moved)).expect("only the entry");
        let without = remove(&updated);
        prop_assert_eq!(comments(&without), comments(&text));
        let (before, mut after) = (whole(&text), whole(&without));
        if !has_servers && after.get("mcpServers") == Some(&json!({})) {
            after.shift_remove("mcpServers");
        }
        prop_assert_eq!(before, after);
    }

    #[test]
    fn tables_keep_everything_else(
        others in prop::collection::hash_map("[A-Z]{1,3}", simple_values(), 0..4),
        servers in prop::collection::hash_map("[A-Z]{1,3}", simple_values(), 0..4),
        comments in prop::collection::vec(any::<bool>(), 1..10),
        crlf in any::<bool>(),
    ) {
        let mut document: serde_json::Map<String, Value> = others.into_iter().collect();
        if !servers.is_empty() {
            document.insert("mcp_servers".to_owned(), servers.into_iter().collect());
        }
        let newline = if crlf { "\r\n" } else { "\n" };
        let mut text = String::new();
        let plain = toml::to_string(&document).expect("TOML");
        for (number, line) in plain.lines().enumerate() {
            if comments[number % comments.len()] {
                text += &format!("# [mcp_servers.capcut] {number}{newline}");
            }
            text += &format!("{line}{newline}");
        }
        let key = "mcp_servers";
        let with = TOML.add(&text, key, "capcut", &entry()).expect("added");
        TOML.check((&text, &with), key, "capcut", Some(&entry())).expect("only the entry");
        prop_assert!(with.starts_with(&text), "{}", with);
        prop_assert_eq!(TOML.remove(&with, key, "capcut").expect("removed"), text);
    }
}
