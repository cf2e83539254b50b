//! Saves that are stopped early, and what other processes see of a save.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::jobs::Slow;
use crate::support::{Client, Home, PATIENCE, Ran, Served, http, until};

/// A home whose saves wait for a slow server without a limit.
fn patient() -> Home {
    let mut home = Home::embedded();
    let config = home.file(
        "own.toml",
        "[limits.media]\nprobe_timeout_s = 600\nmin_speed_window_s = 600\n",
    );
    home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
    fs::create_dir(drafts(&home)).expect("a folder of drafts");
    home
}

fn drafts(home: &Home) -> PathBuf {
    home.path().join("drafts")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A draft whose sound is held back by the server during the save, and the arguments that save it.
fn draft(home: &Home, slow: &Slow) -> (Value, Value) {
    let made = home.call("create_draft", &json!({ "name": "trip" }));
    let draft = made.expect("a draft")["draft_id"].clone();
    let sound = json!({ "draft_id": draft, "audio_url": format!("{}/quick.wav", slow.url) });
    home.call("add_audio", &sound).expect("placed");
    let wish = json!({ "draft_id": draft, "draft_folder": drafts(home), "name": "trip" });
    (draft, wish)
}

fn plan_of(home: &Home, name: &str, slow: &Slow) -> Value {
    json!({
        "name": name,
        // A separate address: a download of another save would be shared.
        "audio": [{ "audio_url": format!("{}/quick.wav?for=plan", slow.url) }],
        "save": { "draft_folder": drafts(home) },
    })
}

fn plan(home: &Home, file: &str, name: &str, slow: &Slow) -> String {
    let plan = plan_of(home, name, slow);
    home.file(file, plan.to_string()).display().to_string()
}

/// Waits until the save is downloading and its folder exists.
fn is_held(home: &Home, slow: &Slow) {
    slow.begun.recv_timeout(PATIENCE).expect("it is fetched");
    let temporary = |name: &String| name.starts_with(".capcut-mcp-tmp-");
    assert!(names(&drafts(home)).iter().any(temporary));
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.expect("kill runs").success());
}

fn status(home: &Home, draft: &Value) -> Value {
    home.call("query_draft_status", &json!({ "task_id": draft }))
        .expect("a status")
}

#[track_caller]
fn failed(home: &Home, draft: &Value, why: &str) {
    let status = status(home, draft);
    assert_eq!(status["status"], "failed", "{status}");
    assert!(status["message"].to_string().contains(why), "{status}");
}

#[track_caller]
fn is_saved(home: &Home, folder: &str) {
    assert_eq!(names(&drafts(home)), [folder]);
    let sounds = drafts(home).join(folder).join("assets/audio");
    assert_eq!(names(&sounds).len(), 1);
}

#[cfg(unix)]
#[test]
fn a_terminated_call_leaves_no_partial_save_and_can_be_repeated() {
    let (home, slow) = (patient(), Slow::held());
    let (draft, wish) = draft(&home, &slow);
    let line = ["call", "save_draft", "--json", &wish.to_string()];
    let child = home.command(&line).spawn().expect("it starts");
    is_held(&home, &slow);
    terminate(&child);
    let ended = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(
        names(&drafts(&home)).is_empty(),
        "{:?}",
        names(&drafts(&home))
    );
    failed(&home, &draft, "");
    slow.release();
    home.call("save_draft", &wish).expect("saved");
    is_saved(&home, "trip");
    assert_eq!(status(&home, &draft)["status"], "completed");
}

#[cfg(unix)]
#[test]
fn a_terminated_plan_leaves_no_partial_save_and_can_be_resumed() {
    let (home, slow) = (patient(), Slow::held());
    let plan = plan(&home, "plan.json", "trip", &slow);
    let child = home
        .command(&["compose", &plan])
        .spawn()
        .expect("it starts");
    is_held(&home, &slow);
    terminate(&child);
    let ended = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 130, "{ended:?}");
    assert!(
        names(&drafts(&home)).is_empty(),
        "{:?}",
        names(&drafts(&home))
    );
    slow.release();
    let made = home.call("list_drafts", &json!({})).expect("listed");
    let id = made["drafts"][0]["draft_id"].as_str().expect("a draft");
    home.run(&["compose", &plan, "--resume", id]).success();
    is_saved(&home, "trip");
}

#[cfg(unix)]
#[test]
fn a_terminated_server_leaves_no_partial_save_and_its_jobs_can_be_resumed() {
    let (home, slow) = (patient(), Slow::held());
    let (draft, mut wish) = draft(&home, &slow);
    wish["wait_s"] = json!(0);
    let plan = plan_of(&home, "plan", &slow);
    let mut client = home.connected();
    let saving = client.call("save_draft", wish.clone()).expect("running");
    is_held(&home, &slow);
    let composing = client
        .call("compose_draft", json!({ "plan": plan, "wait_s": 0 }))
        .expect("running");
    is_held(&home, &slow);
    terminate(&client.child);
    assert_eq!(client.wait(), 130);
    assert!(
        names(&drafts(&home)).is_empty(),
        "{:?}",
        names(&drafts(&home))
    );
    for job in [&saving["job_id"], &composing["job_id"]] {
        let told = home.call("job_status", &json!({ "job_id": job }));
        assert_eq!(told.expect("a status")["status"], "interrupted");
    }
    failed(&home, &draft, "interrupted");
    slow.release();
    let resume = json!({ "resume": composing["job_id"] });
    let resumed = home.call("compose_draft", &resume).expect("resumed");
    assert_eq!(resumed["status"], "complete", "{resumed}");
    is_saved(&home, "plan");
}

#[cfg(unix)]
#[test]
fn a_terminated_engine_leaves_no_partial_save() {
    let (home, slow) = (patient(), Slow::held());
    let (draft, wish) = draft(&home, &slow);
    let mut engine = home.engine(&["--allow-dir", &drafts(&home).to_string_lossy()]);
    let url = engine.url.clone();
    let cut_off = std::thread::spawn(move || {
        http(
            "POST",
            &format!("{url}/save_draft"),
            &[("Content-Type", "application/json")],
            wish.to_string().as_bytes(),
        )
    });
    is_held(&home, &slow);
    terminate(&engine.child);
    engine.child.wait().expect("it ends");
    let _ = cut_off.join();
    assert!(
        names(&drafts(&home)).is_empty(),
        "{:?}",
        names(&drafts(&home))
    );
    failed(&home, &draft, "interrupted");
}

/// The status of a draft's save over MCP, from the command line and over HTTP.
fn asked(home: &Home, client: &mut Client, engine: &Served, draft: &Value) -> [Value; 3] {
    let arguments = json!({ "task_id": draft });
    let over_mcp = client.call("query_draft_status", arguments.clone());
    let over_http = engine.output("/query_draft_status", &arguments);
    [
        over_mcp.expect("a status"),
        status(home, draft),
        over_http.expect("a status"),
    ]
}

#[test]
fn the_status_of_another_process_s_save_is_correct() {
    let (home, slow) = (patient(), Slow::held());
    let (draft_id, mut wish) = draft(&home, &slow);
    wish["wait_s"] = json!(0);
    let engine = home.engine(&[]);
    let (mut saving, mut asking) = (home.connected(), home.connected());
    let first = saving.call("save_draft", wish.clone()).expect("running");
    is_held(&home, &slow);
    // The first piece of the sound is a twentieth of it.
    until("the progress is reported", || {
        let told = asked(&home, &mut asking, &engine, &draft_id);
        let is_fetching = |told: &Value| {
            assert_eq!(told["status"], "processing", "{told}");
            told["total_files"] == 1 && told["progress"] == 10
        };
        told.iter().all(is_fetching)
    });
    home.call("cancel_job", &json!({ "job_id": first["job_id"] }))
        .expect("cancelled");
    until("the end is reported", || {
        let told = asked(&home, &mut asking, &engine, &draft_id);
        told.iter().all(|told| {
            told["status"] == "failed" && told["message"].to_string().contains("cancelled")
        })
    });
    // The same process starts it again, and is killed during the save.
    saving.call("save_draft", wish.clone()).expect("running");
    is_held(&home, &slow);
    for told in asked(&home, &mut asking, &engine, &draft_id) {
        assert_eq!(told["status"], "processing", "{told}");
    }
    saving.child.kill().expect("killed");
    saving.wait();
    for told in asked(&home, &mut asking, &engine, &draft_id) {
        assert_eq!(told["status"], "failed", "{told}");
        assert!(
            told["message"].to_string().contains("interrupted"),
            "{told}"
        );
    }
    // A process that saved the draft itself also sees a later save by another process.
    slow.release();
    asking.call("save_draft", wish.clone()).expect("running");
    until("it is saved", || {
        asked(&home, &mut asking, &engine, &draft_id)
            .iter()
            .all(|told| {
                told["status"] == "completed"
                    && told["progress"] == 100
                    && told["completed_files"] == 1
            })
    });
    fs::remove_dir_all(drafts(&home)).expect("removed");
    let error = home.call(
        "save_draft",
        &json!({ "draft_id": draft_id, "draft_folder": home.file("file", "") }),
    );
    error.expect_err("a file is not a folder");
    for told in asked(&home, &mut asking, &engine, &draft_id) {
        assert_eq!(told["status"], "failed", "{told}");
    }
}

#[test]
fn plans_saved_under_one_name_by_two_processes_get_separate_folders() {
    let (home, held, free) = (patient(), Slow::held(), Slow::held());
    free.release();
    let first = plan(&home, "first.json", "trip", &held);
    let second = plan(&home, "second.json", "trip", &free);
    let child = home
        .command(&["compose", &first])
        .spawn()
        .expect("it starts");
    is_held(&home, &held);
    let told = home.run(&["compose", &second]).success();
    assert!(told.stdout.contains("trip (2)"), "{told:?}");
    assert!(
        told.stdout.contains("there is another draft named"),
        "{told:?}"
    );
    held.release();
    let ended = Ran::from(child.wait_with_output().expect("it ends")).success();
    assert!(!ended.stdout.contains("trip (2)"), "{ended:?}");
    assert_eq!(names(&drafts(&home)), ["trip", "trip (2)"]);
}

#[test]
fn a_name_that_another_process_is_saving_is_refused_for_a_draft_without_a_plan() {
    let (home, slow) = (patient(), Slow::held());
    let (_, mut wish) = draft(&home, &slow);
    wish["wait_s"] = json!(0);
    let mut client = home.connected();
    client.call("save_draft", wish.clone()).expect("running");
    is_held(&home, &slow);
    let other = home.call("create_draft", &json!({})).expect("a draft");
    let wish = json!({
        "draft_id": other["draft_id"],
        "draft_folder": drafts(&home),
        "name": "trip",
    });
    let (code, told) = home
        .call("save_draft", &wish)
        .expect_err("the name is taken");
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("another save is writing"), "{told}");
    // The name is free as soon as that process has ended.
    client.child.kill().expect("killed");
    client.wait();
    home.call("save_draft", &wish).expect("saved");
    assert_eq!(names(&drafts(&home)), ["trip"]);
}
