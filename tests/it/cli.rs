//! The commands, their output and their exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{EXECUTABLE, Home, Ran, media, media_server};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[track_caller]
fn fails(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, code, "{ran:#?}");
    assert_eq!(ran.stdout, "", "only results go to stdout");
    for part in parts {
        assert!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn help_and_version_go_to_stdout_and_option_errors_to_stderr() {
    let home = Home::new();
    let version = home.run(&["--version"]).success();
    assert_eq!(
        version.stdout.trim(),
        format!("capcut-mcp {}", env!("CARGO_PKG_VERSION"))
    );
    for line in [&["--help"][..], &["call", "--help"], &["help", "compose"]] {
        let help = home.run(line).success();
        assert!(help.stdout.contains("Examples:"), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
    fails(&home.run(&["call", "--loud"]), 2, &["--loud"]);
    fails(
        &home.run(&["--backend", "cloud", "tools"]),
        2,
        &["cloud", "`embedded`"],
    );
}

#[test]
fn calls_in_different_processes_work_on_the_same_draft() {
    let home = Home::new();
    let made = home
        .run(&["call", "create_draft", "aspect_ratio=16:9", "title=Trip"])
        .success();
    assert_eq!(
        made.stdout.lines().count(),
        1,
        "one line of JSON: {}",
        made.stdout
    );
    let draft = made.json()["draft_id"].as_str().expect("an id").to_owned();
    let id = format!("draft_id={draft}");
    let line = [
        "call",
        "add_text",
        &id,
        "text=Hello = world",
        "start=0",
        "end=3",
    ];
    let placed = home.run(&line).success().json();
    assert_eq!(placed["draft_id"], json!(draft));
    let script = home.run(&["call", "query_script", &id]).success();
    assert!(script.stdout.contains("Hello = world"), "{}", script.stdout);
    assert!(script.stdout.contains("1920"), "{}", script.stdout);
}

#[test]
fn arguments_are_read_from_pairs_a_file_or_stdin() {
    let home = Home::new();
    home.file("size.json", r#"{"width": 640, "height": 360}"#);
    let from_file = home.run(&["call", "create_draft", "--json", "@size.json"]);
    let from_stdin = home.run_with(
        &["call", "create_draft", "--json", "@-"],
        r#"{"width": "640", "height": 360.0}"#,
    );
    let from_pairs = home.run(&["call", "create_draft", "resolution=640x360"]);
    for ran in [from_file, from_stdin, from_pairs] {
        let draft = ran.success().json()["draft_id"].clone();
        let script = home
            .call("query_script", &json!({ "draft_id": draft }))
            .expect("a script");
        let text = script.to_string().replace(['\\', ' '], "");
        assert!(text.contains("\"width\":640"), "{text}");
        assert!(text.contains("\"height\":360"), "{text}");
    }
}

#[test]
fn a_path_is_relative_to_the_working_directory_of_the_call() {
    let home = Home::new();
    home.file("clip.mp4", fs::read(media("clip.mp4")).expect("the clip"));
    let draft = format!("draft_id={}", new_draft(&home));
    let placed = home
        .run(&["call", "add_video", &draft, "video_url=clip.mp4"])
        .success()
        .json();
    let script = home
        .call("query_script", &json!({ "draft_id": placed["draft_id"] }))
        .expect("a script");
    let absolute = home.path().join("clip.mp4");
    let absolute = absolute.to_str().expect("a plain path");
    assert!(script.to_string().contains(absolute), "{script}");
}

fn new_draft(home: &Home) -> String {
    let made = home.call("create_draft", &json!({})).expect("a draft");
    made["draft_id"].as_str().expect("an id").to_owned()
}

#[test]
fn the_exit_code_shows_the_kind_of_failure() {
    let home = Home::new();
    let faults = home.run(&["call", "add_text", "end=soon", "colour=red"]);
    fails(&faults, 2, &["`text`", "`end`", "\"soon\"", "`colour`"]);
    fails(
        &home.run(&["call", "ad_text"]),
        2,
        &["ad_text", "`add_text`", "hint: "],
    );
    fails(
        &home.run(&["call", "add_text", "hello"]),
        2,
        &["\"hello\"", "key=value"],
    );
    let unknown = [
        "call",
        "add_text",
        "draft_id=dfd_cat_1_00000000",
        "text=x",
        "start=0",
        "end=1",
    ];
    fails(&home.run(&unknown), 2, &["dfd_cat_1_00000000"]);

    let server = media_server();
    let gone = format!("video_url={}/range/nothing.mp4", server.url);
    let draft = format!("draft_id={}", new_draft(&home));
    fails(
        &home.run(&["call", "add_video", &draft, &gone]),
        3,
        &["404"],
    );
    let page = format!("video_url={}/html/clip.mp4", server.url);
    fails(
        &home.run(&["call", "add_video", &draft, &page]),
        3,
        &["/html/clip.mp4"],
    );

    let remote = home.run(&["call", "create_draft", "--backend", "remote"]);
    fails(&remote, 4, &["127.0.0.1", "hint: "]);
}

#[test]
fn the_tools_command_lists_the_tools_of_mcp() {
    let home = Home::new();
    let shell = home.run(&["tools", "--json"]).success().json();
    let mut client = home.serve_with(&["serve", "--tools", "full"]);
    client.initialize("2025-11-25");
    let listed = client.request("tools/list", json!({}));
    let names = |tools: &Value| -> Vec<String> {
        let tools = tools.as_array().expect("tools");
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&shell), names(&listed["result"]["tools"]));
    let one = home.run(&["tools", "add_text", "--json"]).success().json();
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let over_mcp = tools
        .iter()
        .find(|tool| tool["name"] == "add_text")
        .expect("add_text");
    assert_eq!(one["inputSchema"], over_mcp["inputSchema"]);
    assert_eq!(one["description"], over_mcp["description"]);

    let text = home.run(&["tools", "add_text"]).success().stdout;
    for part in ["text (string, required)", "start (number", "Also accepted:"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    fails(&home.run(&["tools", "add_txt"]), 2, &["`add_text`"]);
}

#[test]
fn the_doctor_reports_problems_and_sets_the_exit_code() {
    let home = Home::new();
    let sound = home.run(&["doctor", "--json"]).success().json();
    assert_eq!(sound["ok"], json!(true));
    let findings = sound["findings"].as_array().expect("findings");
    let finding = |what: &str| {
        let found = findings.iter().find(|finding| finding["what"] == what);
        found
            .unwrap_or_else(|| panic!("no {what}: {sound:#}"))
            .clone()
    };
    assert_eq!(finding("data folder")["detail"], json!(home.data()));
    assert_eq!(finding("data folder")["state"], "ok");
    assert_eq!(finding("CapCut API")["state"], "ok");

    let remote = home.run(&["doctor", "--backend", "remote"]);
    assert_eq!(remote.code, 1, "{remote:#?}");
    assert!(
        remote.stdout.contains("BAD   CapCut API"),
        "{}",
        remote.stdout
    );

    let file = home.file("mine.toml", "[lanes]\nloud = 3\n");
    let config = home.run(&["doctor", "--config", file.to_str().expect("a plain path")]);
    assert_eq!(config.code, 1, "{config:#?}");
    assert!(config.stdout.contains("loud"), "{}", config.stdout);
}

#[test]
fn the_doctor_empties_the_trash_on_request() {
    let home = Home::embedded();
    let make = || {
        let made = home.call("create_draft", &json!({})).expect("a draft");
        made["draft_id"].as_str().expect("an id").to_owned()
    };
    let (kept, gone) = (make(), make());
    home.call("delete_draft", &json!({ "draft_id": gone }))
        .expect("deleted");
    let told = |options: &[&str]| {
        let ran = home
            .run(&[&["doctor", "--json"], options].concat())
            .success();
        let findings = ran.json()["findings"].clone();
        let findings = findings.as_array().expect("findings").clone();
        let of = |what: &str| {
            let found = findings.iter().find(|finding| finding["what"] == what);
            found.expect(what)["detail"]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        (of("trash"), of("journal"))
    };
    let (trash, journal) = told(&[]);
    assert_eq!(trash, "1 draft");
    assert!(journal.contains("(1 draft), intact"), "{journal}");
    let restore = json!({ "draft_id": gone, "restore": true });
    home.call("delete_draft", &restore).expect("restored");
    home.call("delete_draft", &json!({ "draft_id": gone }))
        .expect("deleted again");
    assert_eq!(
        told(&["--empty-trash"]).0,
        "emptied: permanently removed 1 draft"
    );
    assert_eq!(told(&[]).0, "empty");
    let (code, text) = home.call("delete_draft", &restore).expect_err("gone");
    assert!(code == 2 && text.contains("no draft"), "{code}: {text}");
    home.call("query_script", &json!({ "draft_id": kept }))
        .expect("the other draft is still there");
}

/// Each limit; every `#` is replaced by a different number.
const LIMITS: &str = "
[api]
connections = #
connect_timeout_s = #.0
loopback_connect_timeout_s = #.0
probe_timeout_s = #.0
[lanes]
audio = { slots = #, waiting = #, timeout_s = #.0 }
visual = { slots = #, waiting = #, timeout_s = #.0 }
draft = { slots = #, waiting = #, timeout_s = #.0 }
query = { slots = #, waiting = #, timeout_s = #.0 }
[sync]
timeout_s = #.0
[limits]
response_bytes = #
queue_wait_s = #.0
look_timeout_s = #.0
recover_timeout_s = #.0
request_bytes = #
request_pause_s = #.0
request_timeout_s = #.0
message_bytes = #
[limits.media]
connect_timeout_s = #
answer_timeout_s = #
probe_timeout_s = #
max_bytes = #
max_probe_bytes = #
min_bytes_per_s = #
min_speed_window_s = #
redirects = #
tries = #
[tools]
save_draft = { timeout_s = #.0 }
";

#[test]
fn the_doctor_shows_every_limit_as_configured() {
    const FIRST: usize = 701;
    let mut settings = String::new();
    for (number, part) in LIMITS.split('#').enumerate() {
        if number > 0 {
            settings += &(FIRST + number).to_string();
        }
        settings += part;
    }
    let home = Home::new();
    let file = home.file("mine.toml", &settings);
    let line = [
        "doctor",
        "--limits",
        "--config",
        file.to_str().expect("a path"),
    ];
    let told = home.run(&line).success().stdout;
    let numbers = LIMITS.matches('#').count();
    assert_eq!(numbers, 35);
    for number in FIRST + 1..=FIRST + numbers {
        let number = number.to_string();
        let mut words = told.split(|c: char| !c.is_ascii_digit());
        assert!(
            words.any(|word| word == number),
            "{number} of {settings}\nis not in\n{told}"
        );
    }
}

#[test]
fn the_doctor_recognises_our_own_engine() {
    let served = Home::new();
    let engine = served.engine(&[]);
    let mut home = Home::new();
    home.api(&engine.url);
    let ran = home.run(&["doctor", "--backend", "remote"]).success();
    assert!(ran.stdout.contains(&engine.url), "{}", ran.stdout);
    assert!(ran.stdout.contains("capcut-mcp"), "{}", ran.stdout);
}

/// Completes each line in a real bash; returns the suggestions for its last word.
fn bash_completes(home: &Home, lines: &[&str]) -> Option<Vec<Vec<String>>> {
    let script = home.run(&["completions", "bash"]).success().stdout;
    let mut text = format!("{script}\n");
    for line in lines {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let (last, before) = (words.len() - 1, words.len() - 2);
        text += &format!(
            "COMP_WORDS=({}); COMP_CWORD={last}; COMPREPLY=(); \
             \"$(complete -p capcut-mcp | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" capcut-mcp {} {}; echo \"${{COMPREPLY[*]}}\"\n",
            words.join(" "),
            words[last],
            words[before],
        );
    }
    let file = home.file("completions.bash", text);
    let ran = std::process::Command::new("bash")
        .args(["--norc", "--noprofile"])
        .arg(file)
        .current_dir(home.path())
        .output();
    let Ok(ran) = ran else {
        eprintln!("SKIPPED: there is no bash on this machine");
        return None;
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    let offered: Vec<Vec<String>> = said
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert_eq!(offered.len(), lines.len(), "{ran:?}");
    Some(offered)
}

#[test]
fn bash_completes_commands_options_and_values() {
    let home = Home::new();
    home.file("first.yaml", "name: x\n");
    let cases: [(&str, &[&str]); 19] = [
        (
            "capcut-mcp co",
            &["compose", "config", "connect", "completions"],
        ),
        (
            "capcut-mcp connect c",
            &[
                "claude-desktop",
                "claude-code",
                "cursor",
                "codex",
                "copilot",
                "cherry-studio",
            ],
        ),
        ("capcut-mcp disconnect z", &["zed"]),
        (
            "capcut-mcp call add_vid",
            &["add_video", "add_video_keyframe"],
        ),
        ("capcut-mcp tools create", &["create_draft"]),
        ("capcut-mcp --edition ", &["capcut", "jianying"]),
        ("capcut-mcp call create_draft --edition j", &["jianying"]),
        (
            "capcut-mcp --edition jianying call search",
            &["search_catalog"],
        ),
        (
            "capcut-mcp call --backend ",
            &["auto", "remote", "embedded"],
        ),
        (
            "capcut-mcp serve --tools ",
            &["default", "compose", "api", "full"],
        ),
        ("capcut-mcp serve --recover ", &["ask", "auto"]),
        ("capcut-mcp engine --log warn", &["warn", "warning"]),
        ("capcut-mcp doctor --li", &["--limits"]),
        ("capcut-mcp doctor --log-format ", &["plain", "json"]),
        ("capcut-mcp compose --on-error ", &["continue", "stop"]),
        ("capcut-mcp compose --over", &["--overwrite"]),
        ("capcut-mcp compose --template fi", &["first.yaml"]),
        ("capcut-mcp completions f", &["fish"]),
        // No suggestions from this program: bash completes file names itself.
        ("capcut-mcp compose fi", &[]),
    ];
    let lines = cases.map(|(line, _)| line);
    let Some(offered) = bash_completes(&home, &lines) else {
        return;
    };
    for ((line, expected), offered) in cases.iter().zip(offered) {
        assert_eq!(offered, *expected, "{line}");
    }
    let all = bash_completes(&home, &["capcut-mcp call "]).expect("bash");
    let tools = home.run(&["tools", "--json"]).success().json();
    for tool in tools.as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name").to_owned();
        assert!(all[0].contains(&name), "{name}");
    }
}

#[test]
fn shell_completions_contain_option_values_and_tools() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]).success().stdout;
        // Elvish and PowerShell complete only commands and options.
        if matches!(shell, "bash" | "zsh" | "fish") {
            for value in ["jianying", "embedded", "add_video_keyframe", "warning"] {
                assert!(script.contains(value), "{value} for {shell}");
            }
        }
        // If the shell is installed, it must accept the script.
        let file = home.file(&format!("script.{shell}"), &script);
        if matches!(shell, "bash" | "zsh" | "fish")
            && let Ok(read) = std::process::Command::new(shell)
                .arg("-n")
                .arg(file)
                .output()
        {
            assert!(read.status.success(), "{shell}: {read:?}");
        }
    }
}

#[test]
fn limits_are_shown_only_on_request() {
    let home = Home::embedded();
    let limits = |arguments: &[&str]| {
        let text = home
            .run(&[&["doctor"], arguments].concat())
            .success()
            .stdout;
        text.matches("limits: ").count()
    };
    assert_eq!(limits(&[]), 0);
    assert_eq!(limits(&["--json"]), 0);
    assert_eq!(limits(&["--limits"]), 4);
}

#[test]
fn a_run_says_once_which_engine_was_used_and_where_the_zip_is() {
    let mut home = Home::new();
    // No server is configured, and none answers at the default addresses.
    let config = home.file(
        "tools.toml",
        "[api]\nbase_urls = [\"http://127.0.0.1:1\"]\n",
    );
    home.set("CAPCUT_MCP_CONFIG", config.to_str().expect("a path"));
    home.set("CAPCUT_API_URL", "");
    let plan = home.file(
        "plan.yaml",
        "name: p\ntexts:\n  - { text: one, start: 0, end: 1 }\nsave: { zip: true, draft_folder: out }\n",
    );
    let plan = plan.to_str().expect("a path");
    let told = home.run(&["compose", plan]).success();
    let said = format!("{}{}", told.stdout, told.stderr);
    assert_eq!(
        said.matches("made by the built-in engine").count(),
        1,
        "{said}"
    );
    assert!(
        !said.contains("no answer") && !said.contains("get_mask_types"),
        "{said}"
    );
    assert!(said.contains("1 of 1 item in draft"), "{said}");
    let zip = home.path().join("out/p.zip");
    assert!(zip.is_file(), "{said}");
    assert!(
        told.stdout.contains(zip.to_str().expect("a path")),
        "{said}"
    );
    for line in told
        .stdout
        .lines()
        .filter(|line| line.starts_with("note: "))
    {
        assert_eq!(said.matches(line).count(), 1, "{line} in {said}");
    }
    let made = home.call("create_draft", &json!({})).expect("a draft");
    assert_eq!(made["reason"], "made by the built-in engine");
    let link = json!({ "draft_id": made["draft_id"] });
    let link = home.call("generate_draft_url", &link).expect("a note");
    assert!(link.get("draft_url").is_none(), "{link}");
    // A configured server that does not answer is named in the reason.
    home.api("http://127.0.0.1:1");
    let made = home.call("create_draft", &json!({})).expect("a draft");
    let reason = made["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("made by the built-in engine: no answer from http://127.0.0.1:1 ("),
        "{reason}"
    );
}

#[test]
fn every_shell_gets_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]).success().stdout;
        for word in ["compose", "doctor", "--edition"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    fails(&home.run(&["completions", "cmd"]), 2, &["cmd"]);
}

#[test]
fn a_closed_stdout_is_not_a_failure() {
    let home = Home::new();
    let mut child = home
        .command(&["tools", "--json"])
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn logs_go_to_stderr_as_lines_or_as_json() {
    let home = Home::new();
    let line = [
        "call",
        "create_draft",
        "--log",
        "trace",
        "--log-format",
        "json",
    ];
    let ran = home.run(&line).success();
    ran.json();
    for line in ran.stderr.lines() {
        let event: Value = serde_json::from_str(line).expect("a JSON object per line");
        assert!(event["level"].is_string(), "{line}");
    }
    fails(
        &home.run(&["call", "create_draft", "--log", "a=b=c"]),
        2,
        &["--log"],
    );
}

#[test]
fn the_first_command_of_the_readme_makes_a_draft_and_prints_its_folder() {
    let home = Home::new();
    let plan = Path::new(ROOT).join("examples/first-draft.yaml");
    let plan = plan.to_str().expect("a plain path");
    let folder = home.path().join("my drafts");
    fs::create_dir(&folder).expect("a folder");
    let line = [
        "compose",
        plan,
        "--draft-folder",
        folder.to_str().expect("a plain path"),
    ];
    let ran = home.run(&line).success();
    let draft = folder.join("First draft");
    assert!(
        ran.stdout.contains(draft.to_str().expect("a plain path")),
        "{}",
        ran.stdout
    );
    for file in [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
    ] {
        assert!(draft.join(file).is_file(), "{file} is missing");
    }
    let content = fs::read_to_string(draft.join("draft_content.json")).expect("the draft");
    let content: Value = serde_json::from_str(&content).expect("JSON");
    let tracks = content["tracks"].as_array().expect("tracks");
    let lengths: Vec<_> = tracks
        .iter()
        .map(|track| track["segments"].as_array().map_or(0, Vec::len))
        .filter(|count| *count > 0)
        .collect();
    assert_eq!(lengths, [2, 1, 1, 3], "pictures, sound, title, subtitles");
}

#[cfg(unix)]
#[test]
fn the_basic_workflow_runs_as_single_calls_on_both_backends() {
    let served = Home::new();
    let examples = Path::new(ROOT).join("examples");
    let engine = served.engine(&["--allow-dir", &examples.to_string_lossy()]);
    let there = Home::remote(&engine.url);
    for home in [Home::new(), there] {
        std::os::unix::fs::symlink(&examples, home.path().join("examples")).expect("a link");
        let output = shell(&home, &["examples/calls/run.sh"])
            .env("CAPCUT", EXECUTABLE)
            .output()
            .expect("a shell");
        let ran = Ran::from(output).success();
        assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
        let saved: Value =
            serde_json::from_str(ran.stdout.lines().last().expect("the save")).expect("JSON");
        let folder = Path::new(saved["folder"].as_str().expect("a folder"));
        assert!(folder.join("draft_content.json").is_file(), "{ran:#?}");
    }
}

/// A shell with the environment of an executable that is started in this home.
#[cfg(unix)]
fn shell(home: &Home, arguments: &[&str]) -> Command {
    let model = home.command::<&str>(&[]);
    let mut command = Command::new("sh");
    command.args(arguments).current_dir(home.path()).env_clear();
    for (name, value) in model.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null());
    command
}

#[cfg(unix)]
#[test]
fn the_installer_replaces_only_its_own_file() {
    let home = Home::new();
    let folder = home.path().join("bin");
    let command = folder.join("capcut-mcp");
    let version = |number: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = home.file(&format!("{number}"), format!("#!/bin/sh\necho {number}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
        file
    };
    let install = |number: u32| {
        let output = shell(
            &home,
            &[&format!("{ROOT}/install.sh"), "--to", "bin", "--from"],
        )
        .arg(version(number))
        .output();
        Ran::from(output.expect("a shell"))
    };
    let names = || {
        let entries = fs::read_dir(&folder).expect("the folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let read = || fs::read_to_string(&command).expect("it is there");
    // A newer executable replaces the installed one. A file with the name of the installer's former temporary
    // file is not changed.
    home.file("bin/capcut-mcp.new", "mine");
    install(1).success();
    install(2).success();
    assert!(read().contains("echo 2"));
    assert_eq!(
        names(),
        [".capcut-mcp.installed", "capcut-mcp", "capcut-mcp.new"]
    );
    let beside = fs::read_to_string(folder.join("capcut-mcp.new")).expect("it stays");
    assert_eq!(beside, "mine");
    // The installer does not replace a changed file, another program's file, a link (even a dangling one) or a
    // folder.
    let refused = |what: &str| {
        let ran = install(3);
        assert_eq!(ran.code, 1, "{what}: {ran:?}");
        assert!(
            ran.stderr.contains("was not installed by"),
            "{what}: {ran:?}"
        );
        assert!(ran.stderr.contains("--to"), "{what}: {ran:?}");
        assert_eq!(names().len(), 3, "{what}: {:?}", names());
    };
    fs::write(&command, "#!/bin/sh\necho changed\n").expect("written");
    refused("a changed file");
    assert!(read().contains("changed"));
    fs::remove_file(&command).expect("removed");
    let target = home.file("elsewhere", "mine");
    for to in [&target, &home.path().join("nowhere")] {
        std::os::unix::fs::symlink(to, &command).expect("a link");
        refused("a link");
        assert_eq!(fs::read_link(&command).expect("a link"), *to);
        fs::remove_file(&command).expect("removed");
    }
    assert_eq!(fs::read_to_string(&target).expect("it stays"), "mine");
    fs::create_dir(&command).expect("a folder");
    refused("a folder");
    assert_eq!(fs::read_dir(&command).expect("a folder").count(), 0);
    fs::remove_dir(&command).expect("removed");
    // Without the installer's record, the file could belong to anyone.
    install(3).success();
    assert!(read().contains("echo 3"));
    fs::remove_file(folder.join(".capcut-mcp.installed")).expect("removed");
    let ran = install(4);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(read().contains("echo 3"));
}

#[cfg(unix)]
#[test]
fn a_second_installation_changes_nothing() {
    let home = Home::new();
    let script = format!("{ROOT}/install.sh");
    let install = || {
        let output = shell(&home, &[&script, "--from", EXECUTABLE])
            .env("SHELL", "/bin/bash")
            .output()
            .expect("a shell");
        Ran::from(output).success()
    };
    let tree = || {
        [
            ".local/bin/capcut-mcp",
            ".bashrc",
            ".profile",
            ".local/share/man/man1/capcut-mcp.1",
            ".local/share/man/man1/capcut-mcp-compose.1",
        ]
        .map(|name| {
            let file = home.path().join(name);
            let data = fs::metadata(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
            (data.modified().expect("a time"), data.len())
        })
    };
    let first = install();
    assert!(first.stdout.contains("Installed "), "{}", first.stdout);
    let before = tree();
    let second = install();
    assert!(
        second.stdout.contains("nothing changed"),
        "{}",
        second.stdout
    );
    assert_eq!(tree(), before);

    // The client configuration that the script prints starts the installed executable.
    let start = second.stdout.find("  {\n").expect("a configuration");
    let end = start + second.stdout[start..].find("\n  }\n").expect("its end") + 4;
    let configuration: Value = serde_json::from_str(&second.stdout[start..end]).expect("JSON");
    let command = configuration["mcpServers"]["capcut"]["command"]
        .as_str()
        .expect("a command");
    let version = Command::new(command)
        .arg("--version")
        .output()
        .expect("it starts");
    assert!(version.status.success());
    // A new shell finds it.
    let found = shell(&home, &["-c", ". ./.profile; command -v capcut-mcp"])
        .output()
        .expect("a shell");
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), command);
}
