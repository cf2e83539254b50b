//! Long runs: as jobs, cancelled, killed, and resumed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plans::{compose, plan, remote};
use crate::racy::{Manners, Racy};
use crate::support::{Client, Home, until};

/// Starts a job with this number of pictures on a server with this latency; returns the server, the home, the
/// client and the job.
fn begun(latency_ms: u64, pictures: usize) -> (Racy, Home, Client, Value) {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(latency_ms),
        steady: true,
    });
    let home = Home::remote(&api.server.url);
    let mut client = home.connected();
    let asked = json!({ "plan": plan(pictures), "wait_s": 0 });
    let running = client.call("compose_draft", asked).expect("running");
    assert_eq!(running["status"], "running", "{running}");
    (api, home, client, running)
}

#[test]
fn a_resumed_run_adds_only_missing_items() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let whole = plan(12);
    let mut part = whole.clone();
    part["visuals"] = json!(whole["visuals"].as_array().expect("pictures")[..5]);
    part["texts"] = json!([]);
    let begun = client
        .call("compose_draft", json!({ "plan": part }))
        .expect("begun");
    let id = begun["draft_id"].as_str().expect("a draft").to_owned();
    let before = api.server.count("/add_");
    let done = client
        .call("compose_draft", json!({ "plan": whole, "resume": id }))
        .expect("resumed");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["draft_id"], json!(id));
    assert_eq!(
        api.server.count("/add_") - before,
        7 + 2,
        "only missing items are sent"
    );
    assert_eq!(api.draft(&id).values().map(Vec::len).sum::<usize>(), 17);
}

#[test]
fn resuming_a_draft_that_the_server_forgot_fails() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let begun = client
        .call("compose_draft", json!({ "plan": plan(2) }))
        .expect("begun");
    api.forget();
    let error = client
        .call(
            "compose_draft",
            json!({ "plan": plan(4), "resume": begun["draft_id"] }),
        )
        .expect_err("the draft is gone");
    assert!(
        error.contains(begun["draft_id"].as_str().expect("an id")),
        "{error}"
    );
}

#[test]
fn long_work_is_answered_as_a_running_job() {
    let (_api, home, mut client, running) = begun(300, 12);
    let job = running["job_id"].clone();
    client.call("list_drafts", json!({})).expect("a light call");
    let meanwhile = client
        .call("job_status", json!({ "job_id": job }))
        .expect("a status");
    assert_eq!(meanwhile["status"], "running", "{meanwhile}");
    let done = client
        .call("job_status", json!({ "job_id": job, "wait_s": 30 }))
        .expect("done");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["report"]["totals"]["ok"], 17);
    assert_eq!(client.end(), 0);
    // Another process finds the job.
    let mut client = home.connected();
    let again = client
        .call("job_status", json!({ "job_id": job }))
        .expect("remembered");
    assert_eq!(again["status"], "complete");
}

#[test]
fn a_job_continues_after_its_client_disconnects() {
    let (_api, home, client, running) = begun(80, 12);
    assert_eq!(client.end(), 0);
    let mut client = home.connected();
    let done = client
        .call("job_status", json!({ "job_id": running["job_id"] }))
        .expect("remembered");
    assert_eq!(done["status"], "complete", "{done}");
}

#[test]
fn another_process_can_wait_for_and_cancel_a_job() {
    let (_api, home, _client, running) = begun(50, 12);
    let done = home
        .call(
            "job_status",
            &json!({ "job_id": running["job_id"], "wait_s": 60 }),
        )
        .expect("waited for");
    assert_eq!(done["status"], "complete", "{done}");

    let (api, home, mut client, running) = begun(400, 400);
    until("some items were added", || api.server.count("/add_") >= 4);
    let job = json!({ "job_id": running["job_id"] });
    let told = home.call("cancel_job", &job).expect("cancelled");
    assert_eq!(told["status"], "cancelled", "{told}");
    assert!(
        told["report"]["totals"]["skipped"].as_u64() > Some(0),
        "{told}"
    );
    let told = client.call("job_status", job).expect("a status");
    assert_eq!(told["status"], "cancelled", "{told}");
    api.server.wait_until_idle();
    assert!(api.server.count("/add_") < 400, "it was really stopped");
}

#[test]
fn a_killed_run_is_interrupted_and_resumable() {
    let (api, home, mut client, running) = begun(60, 12);
    until("some items were added", || api.server.count("/add_") >= 4);
    client.child.kill().expect("killed");
    client.wait();
    let mut client = home.connected();
    let told = client
        .call("job_status", json!({ "job_id": running["job_id"] }))
        .expect("a status");
    assert_eq!(told["status"], "interrupted", "{told}");
    let id = told["draft_id"].as_str().expect("a draft").to_owned();
    until("the server has finished its calls", || {
        let segments = api.draft(&id).values().map(Vec::len).sum::<usize>();
        segments == api.server.count("/add_")
    });
    let done = client
        .call("compose_draft", json!({ "resume": running["job_id"] }))
        .expect("resumed");
    assert_eq!(done["status"], "complete", "{done}");
    let id = done["draft_id"].as_str().expect("a draft");
    assert_eq!(api.draft(id).values().map(Vec::len).sum::<usize>(), 17);
    assert_eq!(api.drafts(), 1);
}

#[test]
fn cancelling_stops_waiting_calls_and_reports_what_was_done() {
    let (api, _home, mut client, running) = begun(400, 40);
    until("some items were added", || api.server.count("/add_") >= 4);
    let stopped = client
        .call("cancel_job", json!({ "job_id": running["job_id"] }))
        .expect("stopped");
    assert_eq!(stopped["status"], "cancelled", "{stopped}");
    let sent = api.server.count("/add_");
    assert!(sent < 45, "{sent} of 45 were sent");
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(
        api.server.count("/add_"),
        sent,
        "nothing is sent afterwards"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_tool_call_and_says_how_to_resume() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(400),
        steady: true,
    });
    let home = Home::remote(&api.server.url);
    let arguments = json!({ "plan": plan(40) }).to_string();
    let file = home.file("arguments.json", arguments);
    let file = format!("@{}", file.display());
    let child = home
        .command(&["call", "compose_draft", "--json", &file])
        .spawn()
        .expect("it starts");
    until("some items were added", || api.server.count("/add_") >= 6);
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("cancelled; done until then:") && said.contains("`resume`: \"dfd_cat_"),
        "{said}"
    );
    assert!(api.server.count("/add_") < 45);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_run_and_reports_what_was_done() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(400),
        steady: true,
    });
    let home = Home::remote(&api.server.url);
    let file = home.file("plan.json", plan(40).to_string());
    let child = home
        .command(&["compose", &file.to_string_lossy(), "--json"])
        .spawn()
        .expect("it starts");
    until("some items were added", || api.server.count("/add_") >= 6);
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let event: Value = serde_json::from_str(text.lines().last().expect("a report")).expect("JSON");
    let report = &event["report"];
    assert_eq!(report["outcome"], "cancelled", "{report}");
    assert!(report["totals"]["ok"].as_u64() >= Some(1), "{report}");
    assert!(report["totals"]["skipped"].as_u64() >= Some(20), "{report}");
    let count = api.server.count("/add_");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        api.server.count("/add_"),
        count,
        "nothing is sent afterwards"
    );
}

#[test]
fn both_branches_are_waited_for_with_a_limit() {
    let api = Racy::start(Manners {
        latency: Duration::from_secs(2),
        steady: true,
    });
    let mut home = Home::new();
    let file = home.file("own.toml", "[sync]\ntimeout_s = 0.4\n");
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote")
        .set("CAPCUT_MCP_CONFIG", &file.to_string_lossy());
    let (code, report, stderr) = compose(&home, &plan(4), &[]);
    assert_eq!(code, 1, "{stderr}");
    let rows = report["items"].as_array().expect("rows");
    let late: Vec<&Value> = rows
        .iter()
        .filter(|row| {
            row["error"]
                .as_str()
                .is_some_and(|e| e.contains("sync point"))
        })
        .collect();
    assert_eq!(late.len(), 3 + 4, "sounds and pictures: {report}");
    assert_eq!(
        report["totals"]["ok"], 2,
        "the texts are still added: {report}"
    );
    let phase = report["phases"]["fan_out_ms"].as_f64().expect("a time");
    assert!((390.0..1500.0).contains(&phase), "{phase}");
}

/// A restarted server has forgotten its drafts: the draft is recreated from the journal on the engine, where the
/// run continues.
#[test]
fn a_run_continues_after_its_server_restarted() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(30),
        steady: true,
    });
    let mut home = Home::new();
    let file = home.file("own.toml", "[retry]\nunsent = { tries = 1, backoff = \"linear\", first_wait_s = 0.1, longest_wait_s = 0.1, jitter = false }\n[breaker]\nfailures = 1000\n");
    home.api(&api.server.url)
        .set("CAPCUT_MCP_CONFIG", &file.to_string_lossy());
    let mut client = home.connected();
    let whole = plan(4);
    let job = client
        .call("compose_draft", json!({ "plan": whole, "wait_s": 0 }))
        .expect("running");
    until("some items were added", || api.server.count("/add_") >= 3);
    api.down.store(true, Ordering::SeqCst);
    api.forget();
    let broken = client
        .call(
            "job_status",
            json!({ "job_id": job["job_id"], "wait_s": 60 }),
        )
        .expect("a status");
    assert_ne!(broken["status"], "complete", "{broken}");
    let draft = broken["draft_id"].clone();
    assert!(
        broken["report"]["totals"]["ok"].as_u64() < Some(9),
        "{broken}"
    );
    api.down.store(false, Ordering::SeqCst);
    let moved = client
        .call(
            "recover_draft",
            json!({ "draft_id": draft, "to": "embedded" }),
        )
        .expect("recreated");
    let done = client
        .call(
            "compose_draft",
            json!({ "plan": whole, "resume": moved["draft_id"] }),
        )
        .expect("resumed");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["report"]["totals"]["segments_in_draft"], 9, "{done}");
}

#[test]
fn a_draft_that_another_process_deleted_is_not_edited_on_its_server() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).expect("made");
    let text = |start: u32| json!({ "draft_id": made["draft_id"], "text": "a", "start": start, "end": start + 1 });
    client.call("add_text", text(0)).expect("added");
    let draft = json!({ "draft_id": made["draft_id"] });
    home.call("delete_draft", &draft).expect("deleted");
    let error = client.call("add_text", text(1)).expect_err("it is deleted");
    assert!(
        error.contains("in the trash") && error.contains("restore"),
        "{error}"
    );
    assert_eq!(api.server.count("/add_text"), 1, "nothing was sent");
    assert_eq!(api.drafts(), 1, "it does not count as lost");
    let back = json!({ "draft_id": made["draft_id"], "restore": true });
    home.call("delete_draft", &back).expect("restored");
    client.call("add_text", text(1)).expect("added");
}
