//! The completions in the shells themselves, where those are installed.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use crate::support::Home;

/// What a shell prints for a script; none where the shell is not installed.
fn shell(name: &str, arguments: &[&str]) -> Option<String> {
    let ran = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(ran) => Some(String::from_utf8_lossy(&ran.stdout).into_owned()),
        Err(_) => {
            eprintln!("skipped: {name} is not installed");
            None
        }
    }
}

/// A command line, what is completed, and what is not.
const LINES: [(&str, &[&str], &str); 4] = [
    ("capcut-mcp com", &["completions", "compose"], "serve"),
    (
        "capcut-mcp serve --backend ",
        &["auto", "embedded", "remote"],
        "add_text",
    ),
    ("capcut-mcp call add_t", &["add_text"], "add_video"),
    (
        "capcut-mcp compose --on-error ",
        &["continue", "stop"],
        "embedded",
    ),
];

fn check(shell: &str, line: &str, said: &str, wanted: &[&str], other: &str) {
    for word in wanted {
        assert!(said.contains(word), "{shell}, {line:?}: {word} in {said}");
    }
    assert!(
        !said.contains(other),
        "{shell}, {line:?}: {other} in {said}"
    );
}

#[test]
fn fish_completes_commands_options_and_values() {
    let home = Home::new();
    let script = home.run(&["completions", "fish"]).stdout;
    let file = home.file("capcut-mcp.fish", script);
    for (line, wanted, other) in LINES {
        let ask = format!("source {}; complete -C '{line}'", file.display());
        let Some(said) = shell("fish", &["--no-config", "-c", &ask]) else {
            return;
        };
        check("fish", line, &said, wanted, other);
    }
}

/// Types a line into an interactive zsh and prints what it lists, up to a word of it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; fpath=('$1' $fpath); autoload -Uz compinit; compinit -u -D; bindkey "^I" list-choices; echo REA""DY'
zpty -r z said '*READY*'
zpty -w -n z "$2"$'\t'
zpty -r z said "*$3*"
print -r -- $said
zpty -d z
"#;

#[test]
fn zsh_completes_commands_options_and_values() {
    let home = Home::new();
    let script = home.run(&["completions", "zsh"]).stdout;
    let file = home.file("_capcut-mcp", script);
    let folder = file.parent().expect("a folder").display().to_string();
    let typing = home.file("type.zsh", ZSH).display().to_string();
    for (line, wanted, other) in LINES {
        if shell("zsh", &["--version"]).is_none() {
            return;
        }
        let last = wanted.last().expect("a word");
        let said = shell(
            "timeout",
            &["60", "zsh", "-f", &typing, &folder, line, last],
        );
        let said = said.expect("`timeout` of coreutils");
        check("zsh", line, &said, wanted, other);
    }
}
