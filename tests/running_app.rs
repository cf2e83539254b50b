//! Saving while the app runs. A process of the app's name is seen by every save on the machine, so this is a binary of
//! its own: no other test runs at the same time.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A process that is called as the app is.
struct App(Child);

impl App {
    fn start(folder: &Path) -> Self {
        let program = folder.join("JianyingPro");
        std::fs::copy("/bin/sleep", &program).expect("a copy");
        let mut child = Command::new(&program).arg("60").spawn().expect("it starts");
        assert_eq!(child.try_wait().expect("its state"), None);
        Self(child)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn call(data: &Path, tool: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_capcut-mcp"))
        .args(["--backend", "embedded", "--edition", "jianying"])
        .args(["call", tool])
        .args(arguments)
        .env("CAPCUT_MCP_DATA_DIR", data)
        .env("HOME", data)
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

fn reply(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_save_while_the_app_runs_is_refused_if_wanted_and_else_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, drafts) = (folder.path().join("data"), folder.path().join("drafts"));
    std::fs::create_dir(&drafts).expect("a folder");
    let list = r#"{"all_draft_store": [], "draft_ids": 0}"#;
    std::fs::write(drafts.join("root_meta_info.json"), list).expect("a list");

    let draft = reply(&call(&data, "create_draft", &["name=Open"]))["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let draft = format!("draft_id={draft}");
    reply(&call(
        &data,
        "add_text",
        &[&draft, "text=a", "start=0", "end=1"],
    ));
    let into = format!("draft_folder={}", drafts.display());
    let save = |more: &[&str]| call(&data, "save_draft", &[&[&*draft, &*into], more].concat());
    let is_saved = || drafts.join("Open").exists();

    let app = App::start(folder.path());
    let refused = save(&["refuse_while_running=true"]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("is running (JianyingPro)") && said.contains("quit the app"),
        "{said}"
    );
    assert!(!is_saved());

    let warned = reply(&save(&[]))["next"].to_string();
    assert!(
        warned.contains("is running (JianyingPro)") && warned.contains("quit and restart it"),
        "{warned}"
    );
    assert!(is_saved());

    drop(app);
    let notes = reply(&save(&["refuse_while_running=true"])).to_string();
    assert!(!notes.contains("is running"), "{notes}");

    // A draft that was opened is not saved into its folder while the app runs, with no option.
    let folder = drafts.join("Theirs");
    std::fs::create_dir(&folder).expect("a folder");
    let document =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data/sparse.json");
    let file = folder.join("draft_content.json");
    std::fs::copy(document, &file).expect("a document");
    let opened = reply(&call(
        &data,
        "open_draft",
        &[&format!("draft={}", folder.display())],
    ));
    let id = format!("draft_id={}", opened["draft_id"].as_str().expect("an id"));
    let resize = r#"operations=[{"op": "canvas", "width": 1000, "height": 1920}]"#;
    reply(&call(&data, "edit_draft", &[&id, resize]));
    let before = std::fs::read(&file).expect("a file");
    let app = App::start(data.parent().expect("a folder"));
    for more in [&[][..], &["overwrite=true"]] {
        let refused = call(&data, "save_draft", &[&[&*id], more].concat());
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            said.contains("is running (JianyingPro)") && said.contains("`name`"),
            "{said}"
        );
    }
    assert_eq!(std::fs::read(&file).expect("a file"), before);
    let copy = reply(&call(&data, "save_draft", &[&*id, "name=Copy"]));
    assert!(
        copy["next"]
            .to_string()
            .contains("is running (JianyingPro)"),
        "{copy}"
    );
    drop(app);
    reply(&call(&data, "save_draft", &[&id]));
    assert_ne!(std::fs::read(&file).expect("a file"), before);
}
