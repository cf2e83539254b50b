//! The commands in the documents and in the help are run as they are written, except blocks that are marked with
//! `<!-- not run here: REASON -->`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::postgres::TestServer;
use super::support::{EXECUTABLE, Home, NOWHERE, Said, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A block of commands in a document.
struct Block {
    line: usize,
    language: String,
    text: String,
    /// Why it is not run.
    not_run: Option<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut not_run = None;
    for (at, line) in text.lines().enumerate() {
        match &mut open {
            Some(block) if line.trim() == "```" => {
                blocks.extend(open.take());
            }
            Some(block) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {
                if let Some(language) = line.trim().strip_prefix("```") {
                    open = Some(Block {
                        line: at + 1,
                        language: language.to_owned(),
                        text: String::new(),
                        not_run: not_run.take(),
                    });
                } else if let Some(reason) = line.trim().strip_prefix("<!-- not run here: ") {
                    not_run = Some(reason.trim_end_matches("-->").trim().to_owned());
                } else if !line.trim().is_empty() {
                    not_run = None;
                }
            }
        }
    }
    blocks
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut found = vec![
        root.join("README.md"),
        root.join("README.zh-CN.md"),
        root.join("CONTRIBUTING.md"),
        root.join("ARCHITECTURE.md"),
    ];
    for entry in fs::read_dir(root.join("docs")).expect("the documents") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// A home with the examples and a few media, in which `capcut-mcp` is on the search path.
fn reader() -> Home {
    let home = Home::embedded();
    copy(
        &Path::new(ROOT).join("examples"),
        &home.path().join("examples"),
    );
    copy(
        &Path::new(ROOT).join("examples/media"),
        &home.path().join("photos"),
    );
    fs::create_dir(home.path().join("bin")).expect("a folder");
    std::os::unix::fs::symlink(EXECUTABLE, home.path().join("bin/capcut-mcp")).expect("a link");
    home
}

fn shell(home: &Home, script: &str) -> Command {
    let mut command = home.command::<&str>(&[]);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(home.path())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell
        .env("PATH", format!("{}/bin:{path}", home.path().display()))
        .env("CAPCUT_API_URL", NOWHERE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let _ = &mut command;
    shell
}

/// Whether a command serves until it is stopped.
fn serves(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_ours = words.next() == Some("capcut-mcp");
    is_ours
        && match words.next() {
            Some("engine" | "studio" | "worker") => true,
            Some("serve") => words.any(|word| word == "--http"),
            _ => false,
        }
}

/// Starts a server as it is written, but on a free port, and stops it when it answers.
fn serve(home: &Home, line: &str) -> Result<(), String> {
    let command = line.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut words: Vec<&str> = words;
    let (option, free) = match words.get(1) {
        Some(&"serve") => ("--http", "127.0.0.1:0"),
        Some(&"worker") => ("--metrics", "127.0.0.1:0"),
        _ => ("--port", "0"),
    };
    match words.iter().position(|word| *word == option) {
        Some(at)
            if words
                .get(at + 1)
                .is_some_and(|value| !value.starts_with('-')) =>
        {
            words[at + 1] = free;
        }
        Some(at) => words.insert(at + 1, free),
        None => words.extend([option, free]),
    }
    let mut child = shell(home, &format!("exec {}", words.join(" ")))
        .spawn()
        .map_err(|e| e.to_string())?;
    let said = Said::collect(child.stderr.take().expect("stderr is piped"));
    let mut ended = None;
    until("the server answers", || {
        ended = child.try_wait().expect("its state");
        let text = said.text();
        let works = ["answers at ", "jobs run here", "The studio is at "];
        let works = works.iter().any(|words| text.contains(words));
        ended.is_some() || works
    });
    let _ = child.kill();
    let _ = child.wait();
    match ended {
        None => Ok(()),
        Some(status) => Err(format!("{status}: {}", said.text())),
    }
}

fn run(home: &Home, script: &str) -> Result<(), String> {
    let mut rest = String::new();
    for line in script.lines() {
        if serves(line) {
            serve(home, line)?;
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    if rest.trim().is_empty() {
        return Ok(());
    }
    let output = shell(home, &rest).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

#[test]
fn the_commands_of_the_documents_work() {
    let mut failed = Vec::new();
    let mut ran = 0;
    let mut skipped = Vec::new();
    for path in documents() {
        let name = path
            .strip_prefix(ROOT)
            .expect("below it")
            .display()
            .to_string();
        let home = reader();
        let mut settings = String::new();
        for block in blocks(&fs::read_to_string(&path).expect("a document")) {
            let place = format!("{name}:{}", block.line);
            // The reader copies the providers of a page into the settings file, one after the other.
            if block.language == "toml" && block.text.contains("[providers.") {
                settings.push_str(&block.text);
                home.file("config/capcut-mcp/tools.toml", &settings);
                if let Err(error) = run(&home, "capcut-mcp config check") {
                    failed.push(format!("{place}:\n{error}"));
                }
                ran += 1;
                continue;
            }
            let is_plan = block.language == "yaml" && block.text.contains("\nvisuals:");
            if !(is_plan || matches!(block.language.as_str(), "sh" | "bash" | "console")) {
                continue;
            }
            if let Some(reason) = block.not_run {
                assert!(reason.len() >= 10, "{place}: {reason}");
                skipped.push(format!("{place}: {reason}"));
                continue;
            }
            let script = if is_plan {
                home.file("plan-of-the-page.yaml", &block.text);
                "capcut-mcp compose plan-of-the-page.yaml --dry-run".to_owned()
            } else {
                block.text
            };
            if let Err(error) = run(&home, &script) {
                failed.push(format!("{place}:\n{script}{error}"));
            }
            ran += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n---\n"));
    assert!(ran >= 12, "only {ran} blocks were run");
    eprintln!("{ran} blocks; not run:\n{}", skipped.join("\n"));
}

/// The commands below "Examples:" in a help text, without what is said of them.
fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("Examples:").unwrap_or_default();
    examples
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.starts_with("capcut-mcp"))
        .map(|line| {
            // Two blanks separate a command from what is said of it; `zsh  >` is aligned.
            let command = line.replace("zsh  >", "zsh >");
            command.split("  ").next().unwrap_or_default().to_owned()
        })
        .collect()
}

#[test]
fn the_examples_of_the_help_work() {
    let home = reader();
    for (name, text) in [
        (
            "ad.yaml",
            "name: \"${product}\"\ntexts:\n  - text: \"${product}\"\n    duration: 2\n",
        ),
        (
            "story.yaml",
            "name: Story\ntexts:\n  - text: Once\n    duration: 2\n",
        ),
        (
            "empty.yaml",
            "name: Other\ntexts:\n  - text: Once\n    at: 60\n    duration: 2\n",
        ),
        (
            "my-video.yaml",
            "name: my-video\nvisuals:\n  - video_url: examples/media/clip.mp4\ntexts:\n  - text: A title\n    at: 12\n    duration: 2\n",
        ),
        (
            "operations.yaml",
            "- {op: replace_text, clip: c2, text: Another title}\n",
        ),
        ("products.csv", "product\nTea\nCoffee\n"),
        (
            "providers.toml",
            "[providers.voice]\nkind = \"command\"\nmakes = \"speech\"\ncommand = [\"cat\"]\nprice = 0\n",
        ),
        (
            "plans.jsonl",
            "{\"name\": \"A\", \"texts\": [{\"text\": \"a\", \"duration\": 1}]}\n",
        ),
    ] {
        home.file(name, text);
    }
    fs::copy(
        home.path().join("examples/media/clip.mp4"),
        home.path().join("clip.mp4"),
    )
    .expect("a clip");
    let apps = "Movies/CapCut/User Data/Projects/com.lveditor.draft";
    run(&home, &format!(
        "mkdir -p drafts plans '{apps}' .zfunc .config/fish/completions .local/share/bash-completion/completions
         capcut-mcp compose my-video.yaml --draft-folder '{apps}' && cp -r '{apps}/my-video' . && cp -r '{apps}/my-video' 'my-video (1)'
         capcut-mcp call save_draft draft_id=my-video name=Trip draft_folder=made zip=true && cp made/Trip.zip ."
    )).expect("a draft");
    // Without a token, no server starts at an address that others reach.
    home.run(&["token", "add", "team"]).success();
    let id = |plan: &str| {
        let ran = home.run(&["compose", plan, "--json"]).success();
        let (_, rest) = ran.stdout.rsplit_once("\"draft_id\":\"").expect("an id");
        rest.split('"').next().expect("an id").to_owned()
    };
    let (story, draft) = (id("story.yaml"), id("empty.yaml"));
    let databases = TestServer::shared().map(|server| [server.database(), server.database()]);
    for (name, address) in ["old-address", "new-address"]
        .iter()
        .zip(databases.iter().flatten())
    {
        home.file(name, address);
    }
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    let mut commands = vec![vec![]];
    let help = home.run(&["--help"]).success().stdout;
    let (_, listed) = help.split_once("Commands:").expect("commands");
    let names = listed
        .lines()
        .take_while(|line| !line.starts_with("Options"));
    for line in names.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().expect("a name");
        if name != "help" {
            commands.push(vec![name]);
        }
    }
    assert!(commands.len() >= 13, "{commands:?}");
    let mut failed = Vec::new();
    let mut ran = 0;
    for mut command in commands {
        command.push("--help");
        for example in examples(&home.run(&command).success().stdout) {
            // What the clients of other tests cover, what needs a server or the app, and what needs a program that is not here.
            let not_run = example.contains("connect")
                || example.contains("stats")
                || example.contains("capcut-mcp health")
                || (example.contains(" pull ") && !example.contains("--to"))
                || (example.contains("| jq") && !has_jq)
                || (example.contains("store copy") && databases.is_none());
            if not_run {
                continue;
            }
            let line = example
                .replace("dfd_cat_1767225600_0a1b2c3d", &story)
                .replace("draft_id=ID", &format!("draft_id={draft}"))
                .replace("\"ID\"", &format!("\"{draft}\""))
                .replace("http://192.168.1.20:9000", NOWHERE)
                .replace("~/.local/share/capcut-mcp", &home.data().to_string_lossy())
                .replace("postgres://capcut@db.example.com/capcut", "@old-address")
                .replace("--metrics 127.0.0.1:9464", "--metrics 127.0.0.1:0")
                .replace("mcp providers", "mcp --config providers.toml providers");
            // A draft of an example may have problems, and two may differ.
            let may_find = line.contains(" lint ") || line.contains(" diff ");
            if let Err(error) = run(&home, &line)
                && !(may_find && error.starts_with("exit status: 1"))
            {
                failed.push(format!("{line}: {error}"));
            }
            ran += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n---\n"));
    assert!(ran >= 40, "only {ran} examples");
}
