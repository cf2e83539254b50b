//! Providers that are programs of the user.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{compose, home_with, paid, saved_plan};
use crate::support::Home;
use crate::support::services::made::Voice;

/// A shell script that counts its runs in `runs`, and then does this. `$1` is the file with the text, `$2` what it writes.
fn home_of(script: &str, more: &str) -> (Home, PathBuf) {
    let mut home = home_with(&[]);
    let wave = home.file("voice.wav", Voice::tones("Hello there.", 1.0).wave);
    let runs = home.path().join("runs");
    let file = home.file(
        "speak.sh",
        format!(
            "echo run >> '{}'\nvoice='{}'\n{script}\n",
            runs.display(),
            wave.display()
        ),
    );
    let section = format!(
        "[providers.voice]\nkind = \"command\"\nmakes = \"speech\"\ncommand = [\"/bin/sh\", \"{}\", \"{{text_file}}\", \"{{out}}\"]\ntimeout_s = 1.5\n{more}\n",
        file.display()
    );
    home.file("tools.toml", format!("{}\n{section}", paid("")));
    home.set("OF_PROGRAM", "value-of-the-variable")
        .set("STUB_KEY", "key-that-no-program-gets");
    (home, runs)
}

fn runs(file: &PathBuf) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn said(reply: &Result<Value, String>) -> String {
    reply.as_ref().map_or_else(Clone::clone, Value::to_string)
}

const FAULTS: [(&str, &str); 5] = [
    ("echo 'no voice' >&2; exit 3", "exit code 3"),
    ("sleep 30", "did not end within 1.5 s"),
    (": > \"$2\"", "empty file"),
    (
        "echo '<html><body>log in</body></html>' > \"$2\"",
        "not usable",
    ),
    ("true", "did not write"),
];

#[test]
fn a_program_with_a_price_is_not_run_again_by_itself() {
    for (script, problem) in FAULTS {
        let (home, counted) = home_of(script, "price = 0.5");
        let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello there." }] }));
        let reply = said(&compose(&mut home.connected(), &plan, &json!({})));
        assert!(
            reply.contains(problem) && reply.contains("billed"),
            "{script}: {reply}"
        );
        let reply = said(&compose(&mut home.connected(), &plan, &json!({})));
        assert!(reply.contains("billed"), "{script}: {reply}");
        assert_eq!(runs(&counted), 1, "{script}");
        let _ = compose(
            &mut home.connected(),
            &plan,
            &json!({ "retry_uncertain": true }),
        );
        assert_eq!(runs(&counted), 2, "{script}");
    }
}

#[test]
fn a_free_program_may_run_again() {
    for (script, problem) in FAULTS {
        let (home, counted) = home_of(script, "price = 0.0");
        let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello there." }] }));
        for count in 1..=2 {
            let reply = said(&compose(&mut home.connected(), &plan, &json!({})));
            assert!(
                reply.contains(problem) && !reply.contains("billed"),
                "{script}: {reply}"
            );
            assert_eq!(runs(&counted), count, "{script}");
        }
    }
    let (home, counted) = home_of("cp \"$voice\" \"$2\"", "price = 0.0");
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello there." }] }));
    for _ in 0..2 {
        super::completed(&mut home.connected(), &plan);
    }
    assert_eq!(runs(&counted), 1);
}

#[test]
fn a_program_gets_its_words_and_only_the_named_variables() {
    let script = "env > \"$HOME/environment\"; cp \"$1\" \"$HOME/words\"; cp \"$voice\" \"$2\"";
    let (home, _) = home_of(script, "price = 0.0\nenv = [\"OF_PROGRAM\"]");
    let words = "-rf $(touch x) `id` \"quoted\" 'Grüße' 你好 🎬";
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": words }] }));
    super::completed(&mut home.connected(), &plan);
    assert_eq!(
        fs::read_to_string(home.path().join("words")).expect("the words"),
        words
    );
    let environment = fs::read_to_string(home.path().join("environment")).expect("variables");
    assert!(
        environment.contains("OF_PROGRAM=value-of-the-variable"),
        "{environment}"
    );
    for name in [
        "STUB_KEY",
        "CAPCUT_MCP_DATA_DIR",
        "key-that-no-program-gets",
    ] {
        assert!(!environment.contains(name), "{environment}");
    }
}

#[test]
fn a_program_ends_with_everything_that_it_started() {
    let mark = format!("{}", 4000 + u64::from(std::process::id()) % 1000);
    let (home, _) = home_of(&format!("sleep {mark}.5 & sleep {mark}.5"), "price = 0.0");
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello there." }] }));
    let _ = compose(&mut home.connected(), &plan, &json!({}));
    let is_there = || {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines
            .into_iter()
            .any(|line| line == format!("sleep\0{mark}.5\0").as_bytes())
    };
    crate::support::until("its processes have ended", || !is_there());
}
