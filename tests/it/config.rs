//! The settings file: what it sets, what overrides it, and the command `config`.

use serde_json::json;

use super::support::{Home, until};

#[test]
fn the_file_sets_what_options_and_variables_do_not() {
    let mut home = Home::new();
    let log = home.path().join("calls.log");
    let data = home.path().join("other data");
    home.file(
        "tools.toml",
        format!(
            "backend = \"embedded\"\nedition = \"jianying\"\ndata_dir = {}\n[log]\nlevel = \"debug\"\nfile = {}\nformat = \"json\"\n[metrics]\naddress = \"127.0.0.1:0\"\n",
            json!(data),
            json!(log)
        ),
    );
    home.set("CAPCUT_MCP_CONFIG", "tools.toml")
        .set("CAPCUT_MCP_DATA_DIR", "");
    let made = home.call("create_draft", &json!({})).expect("a draft");
    assert_eq!(made["edition"], "jianying", "{made}");
    assert!(
        data.join("journal.db").is_file(),
        "the data folder of the file"
    );
    let lines = std::fs::read_to_string(&log).expect("the log");
    let last = lines.lines().last().expect("a line");
    let line: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(line["level"], "INFO", "{line}");
    let engine = home.engine(&[]);
    until("metrics are served", || {
        engine.stderr().contains("metrics are served at")
    });
    drop(engine);
    // A variable overrides the file, an option overrides both.
    home.set("CAPCUT_MCP_EDITION", "capcut");
    let made = home.call("create_draft", &json!({})).expect("a draft");
    assert_eq!(made["edition"], "capcut", "{made}");
    let made = home.call_with(&["--edition", "jianying"], "create_draft", &json!({}));
    assert_eq!(made.expect("a draft")["edition"], "jianying");
    let shown = home.run(&["config", "show"]).success().stdout;
    for (key, value, origin) in [
        ("edition", "capcut", "CAPCUT_MCP_EDITION"),
        ("backend", "embedded", "the settings file"),
        ("log.format", "json", "the settings file"),
        ("recover", "ask", "default"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key)).expect(key);
        assert!(line.contains(value) && line.contains(origin), "{line}");
    }
}

#[test]
fn an_option_is_told_from_a_variable_the_file_and_the_default() {
    let mut home = Home::new();
    home.file("tools.toml", "backend = \"embedded\"\nrecover = \"auto\"\n");
    home.set("CAPCUT_MCP_CONFIG", "tools.toml")
        .set("CAPCUT_MCP_EDITION", "jianying");
    let options = [
        "config",
        "show",
        "--edition",
        "capcut",
        "--backend",
        "auto",
        "--log",
        "debug",
        "--log-format",
        "json",
    ];
    let shown = home.run(&options).success().stdout;
    for (key, value, origin) in [
        ("edition", "capcut", "`--edition`"),
        ("backend", "auto", "`--backend`"),
        ("log.level", "debug", "`--log`"),
        ("log.format", "json", "`--log-format`"),
        ("recover", "auto", "the settings file"),
        ("log.file", "-", "the default"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key)).expect(key);
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells[1], value, "{line}");
        assert!(line.ends_with(origin), "{line}");
    }
}

#[test]
fn a_wrong_value_in_the_file_is_named_with_key_and_file() {
    let mut home = Home::new();
    home.set("CAPCUT_MCP_CONFIG", "tools.toml");
    for (text, expected) in [
        ("backend = \"server\"\n", "`backend` in "),
        ("edition = \"final cut\"\n", "`edition` in "),
        ("backend = 3\n", "backend"),
        ("bakend = \"auto\"\n", "backend"),
        ("[log]\nlvl = \"info\"\n", "level"),
        ("[log]\nformat = \"xml\"\n", "`plain` or `json`"),
    ] {
        home.file("tools.toml", text);
        let ran = home.run(&["call", "create_draft"]);
        assert_eq!(ran.code, 2, "{text}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{text}: {}", ran.stderr);
    }
}

#[test]
fn a_written_file_is_valid_and_changes_nothing() {
    let home = Home::new();
    let ran = home.run(&["config", "init"]).success();
    let path = home.path().join("config/capcut-mcp/tools.toml");
    assert!(
        ran.stdout.contains(&*path.to_string_lossy()),
        "{}",
        ran.stdout
    );
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(text.contains("# backend = \"\""), "{text}");
    let active = text
        .lines()
        .filter(|line| !(line.is_empty() || line.starts_with(['#', '['])));
    assert_eq!(active.count(), 0, "{text}");
    home.run(&["config", "check"]).success();
    home.run(&["call", "create_draft"]).success();
    // What is in the comments is valid too.
    let live = text.replace("\n# backend = \"\"", "\nbackend = \"embedded\"");
    home.file("config/capcut-mcp/tools.toml", &live);
    home.run(&["config", "check"]).success();
    assert_eq!(
        home.run(&["config", "init"]).code,
        2,
        "an existing file is not replaced"
    );
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), live);
    home.file("bad.toml", "[lanes\n");
    let ran = home.run(&["config", "check", "bad.toml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("bad.toml:1:"), "{}", ran.stderr);
}
