//! Many drafts from one template or many plans: reported line by line, and continued after an interruption.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::plans::remote;
use crate::support::{Answer, Home, Server, media, until};

#[test]
fn a_killed_csv_batch_continues_where_it_stopped() {
    let home = Home::embedded();
    home.file(
        "plan.yaml",
        format!(
            "name: ${{name}}\nvisuals:\n  - image_url: {}\n    duration: ${{seconds}}\ntexts:\n  - text: ${{name}}\n",
            media("logo.png").display()
        ),
    );
    let rows: String = (0..8)
        .map(|n| format!("Draft {n},{}\n", n % 3 + 1))
        .collect();
    home.file("rows.csv", format!("name,seconds\n{rows}"));
    let line = [
        "compose",
        "--template",
        "plan.yaml",
        "--inputs",
        "rows.csv",
        "--report",
        "out.jsonl",
        "--jobs",
        "2",
    ];
    let mut child = home.command(&line).spawn().expect("the batch starts");
    let report = home.path().join("out.jsonl");
    let complete = || {
        std::fs::read_to_string(&report)
            .unwrap_or_default()
            .matches("\"complete\"")
            .count()
    };
    until("some drafts are complete", || complete() >= 2);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let before = complete();
    let ran = home.run(&line);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(
        complete(),
        8,
        "each draft is completed once, {before} of them before the kill"
    );
    assert!(
        ran.stdout.contains("8 of 8 drafts are complete"),
        "{}",
        ran.stdout
    );
}

/// The statuses in a report's lines for drafts.
fn statuses(home: &Home, report: &str) -> Vec<String> {
    let text = std::fs::read_to_string(home.path().join(report)).expect("a report");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .filter(|line| line["status"] != "started")
        .map(|line| line["status"].as_str().expect("a status").to_owned())
        .collect()
}

#[test]
fn plans_are_read_from_stdin_lines_and_on_error_stop_ends_the_batch() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let picture =
        |url: String| json!({ "visuals": [{ "image_url": url, "duration": 1 }], "save": false });
    let good = picture(media("logo.png").to_string_lossy().into_owned());
    let lines = format!(
        "{good}\n\n{}\n{good}\n",
        picture(format!("{}/a.png", nothing.url))
    );
    let ran = home.run_with(
        &[
            "compose",
            "-",
            "--jobs",
            "1",
            "--on-error",
            "stop",
            "--report",
            "stop.jsonl",
        ],
        &lines,
    );
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("1 of 3 drafts are complete"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("skipped"), "{}", ran.stdout);
    assert_eq!(statuses(&home, "stop.jsonl"), ["complete", "failed"]);
    let ran = home.run_with(
        &[
            "compose", "-", "--jobs", "1", "--report", "go.jsonl", "--json",
        ],
        &lines,
    );
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert_eq!(
        statuses(&home, "go.jsonl"),
        ["complete", "failed", "complete"]
    );
    let last = ran.stdout.lines().last().expect("a summary");
    let summary: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(
        (&summary["event"], &summary["complete"]),
        (&json!("summary"), &json!(2))
    );
    // All plans are checked before the first one starts; valid ones are made even if others are not.
    let wrong = format!("{good}\n{{\"texts\": [{{}}]}}\nnot JSON\n");
    let ran = home.run_with(&["compose", "-", "--report", "some.jsonl"], &wrong);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("texts[0].text"), "{}", ran.stdout);
    let mut found = statuses(&home, "some.jsonl");
    found.sort();
    assert_eq!(found, ["complete", "failed", "failed"]);
    // With `--on-error stop`, a plan that is known to be invalid in advance counts as the first failure.
    let stop = [
        "compose",
        "-",
        "--report",
        "none.jsonl",
        "--on-error",
        "stop",
    ];
    let ran = home.run_with(&stop, &wrong);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("skipped"), "{}", ran.stdout);
    assert_eq!(statuses(&home, "none.jsonl"), ["failed", "failed"]);
    // If all plans are invalid, nothing is made.
    let ran = home.run_with(&["compose", "-"], "{\"texts\": [{}]}\n[]\n");
    assert_eq!(ran.code, 2, "{}", ran.stdout);
}

#[test]
fn a_missing_file_fails_its_own_row_only() {
    let home = Home::embedded();
    home.file(
        "plan.yaml",
        "name: ${n}\nvisuals:\n  - {image_url: \"${file}\", duration: 1}\nsave: false\n",
    );
    let logo = media("logo.png");
    let logo = logo.display();
    home.file(
        "rows.csv",
        format!("n,file\na,{logo}\nb,gone.png\nc\nd,{logo},e\ne,{logo}\n"),
    );
    let line = "compose --template plan.yaml --inputs rows.csv --report out.jsonl --retry-count 1 --retry-delay 0";
    let line: Vec<&str> = line.split(' ').collect();
    let ran = home.run(&line);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    let report = std::fs::read_to_string(home.path().join("out.jsonl")).expect("a report");
    let failed = |label: &str| {
        let lines = report
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .filter(|line| line["label"] == label && line["status"] == "failed")
            .map(|line| line["errors"].to_string())
            .next()
            .unwrap_or_default()
    };
    assert!(failed("line 3").contains("gone.png"), "{report}");
    assert!(failed("line 4").contains("${file}"), "{report}");
    assert!(failed("line 5").contains("has 3 values"), "{report}");
    assert_eq!(report.matches("\"complete\"").count(), 2, "{report}");
}

#[test]
fn rows_with_one_name_get_numbered_folders_and_zip_files_are_named() {
    let home = Home::embedded();
    home.file(
        "plan.yaml",
        "name: Same\ntexts: [{text: \"${n}\"}]\nsave: {zip: true}\n",
    );
    home.file("rows.csv", "n\none\ntwo\n");
    let line = "compose --template plan.yaml --inputs rows.csv --report out.jsonl --jobs 1";
    let line: Vec<&str> = line.split(' ').collect();
    let ran = home.run(&line).success();
    let report = std::fs::read_to_string(home.path().join("out.jsonl")).expect("a report");
    let lines: Vec<Value> = report
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["status"] == "complete")
        .collect();
    let names: Vec<&str> = lines
        .iter()
        .map(|line| {
            let folder = line["folder"].as_str().expect("a folder");
            folder.rsplit('/').next().expect("a name")
        })
        .collect();
    assert_eq!(names, ["Same", "Same (2)"], "{report}");
    let notes = lines[1]["notes"].to_string();
    assert!(notes.contains("Same (2)"), "{report}");
    for line in &lines {
        let zip = line["zip"].as_str().expect("a zip file");
        assert!(std::path::Path::new(zip).is_file(), "{zip}");
        assert!(ran.stdout.contains(zip), "{}", ran.stdout);
    }
}

#[test]
fn an_inserted_row_adds_one_draft() {
    let home = Home::embedded();
    home.file("plan.yaml", "name: ${n}\ntexts: [{text: \"${n}\"}]\n");
    let line = "compose --template plan.yaml --inputs rows.csv --report out.jsonl --json";
    let line: Vec<&str> = line.split(' ').collect();
    let complete = |rows: &str| {
        home.file("rows.csv", format!("n\n{rows}"));
        let ran = home.run(&line);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        let report = std::fs::read_to_string(home.path().join("out.jsonl")).expect("a report");
        report.matches("\"complete\"").count()
    };
    assert_eq!(complete("a\nb\nb\n"), 3);
    assert_eq!(complete("new\na\nb\nb\n"), 4);
    assert_eq!(complete("b\nnew\n\nb\na\nb\n"), 5);
    let drafts = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(
        drafts["drafts"].as_array().map(Vec::len),
        Some(5),
        "{drafts}"
    );
}

#[test]
fn a_batch_retries_and_reads_its_inputs_from_stdin() {
    let home = Home::embedded();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let logo = std::fs::read(media("logo.png")).expect("the logo");
    let shaky = Server::start(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < 2 {
            Answer::new(404, "text/plain", "not yet")
        } else {
            Answer::new(200, "image/png", logo.clone())
        }
    });
    home.file(
        "plan.toml",
        format!(
            "name = \"${{title}}\"\nsave = false\n[[visuals]]\nimage_url = \"{}/a.png\"\nduration = \"${{seconds}}\"\n",
            shaky.url
        ),
    );
    let ran = home.run_with(
        &[
            "compose",
            "--template",
            "plan.toml",
            "--inputs",
            "-",
            "--retries",
            "3",
            "--retry-delay",
            "0",
            "--report",
            "out.jsonl",
        ],
        "{\"title\": \"One\", \"seconds\": 1.5}\n",
    );
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(statuses(&home, "out.jsonl"), ["complete"]);
    let text = std::fs::read_to_string(home.path().join("out.jsonl")).expect("a report");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert!(last["tries"].as_u64().expect("a number") > 1, "{last}");
}

#[test]
fn a_batch_over_mcp_is_a_job_with_one_line_per_draft() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let template =
        json!({ "texts": [{ "text": "${title}", "start": 0, "end": 1 }], "save": false });
    let wrong = client.call(
        "compose_batch",
        json!({ "plans": [template, { "effects": [{ "effect_type": "Nope" }] }] }),
    );
    let error = wrong.expect_err("two problems");
    assert!(
        error.contains("plans[1]: effects[0].effect_type"),
        "{error}"
    );
    assert_eq!(api.drafts(), 0);
    let mixed = json!({
        "template": template, "inputs": [{ "title": "a" }, {}], "plans": [{ "texts": [{}] }],
        "on_error": "continue", "retry_count": 1, "retry_delay": 0,
    });
    let begun = client.call("compose_batch", mixed).expect("begun");
    let wait = json!({ "job_id": begun["job_id"], "wait_s": 30 });
    let done = client.call("job_status", wait).expect("done");
    assert_eq!(done["status"], "partial", "{done}");
    let line = |index: usize| done["report"]["drafts"][index].to_string();
    assert!(line(0).contains("\"complete\""), "{done}");
    assert!(
        line(1).contains("line 2") && line(1).contains("texts[0].text: the placeholder"),
        "{done}"
    );
    assert!(
        line(2).contains("\"failed\"") && line(2).contains("plans[0]"),
        "{done}"
    );
    assert_eq!(api.drafts(), 1);
    let begun = client
        .call(
            "compose_batch",
            json!({ "template": template, "inputs": [{ "title": "a" }, { "title": "b" }] }),
        )
        .expect("begun");
    let done = client
        .call(
            "job_status",
            json!({ "job_id": begun["job_id"], "wait_s": 30 }),
        )
        .expect("done");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(
        done["report"]["drafts"].as_array().map(Vec::len),
        Some(2),
        "{done}"
    );
    assert_eq!(api.drafts(), 3);
}

#[test]
fn a_report_is_used_by_one_batch_at_a_time() {
    let (home, api) = remote(300);
    let line = "{\"texts\": [{\"text\": \"a\", \"start\": 0, \"end\": 1}], \"save\": false}\n";
    let plans = home.file("plans.jsonl", line.repeat(8));
    let plans = plans.to_string_lossy().into_owned();
    let batch = ["compose", &plans, "--report", "out.jsonl", "--jobs", "1"];
    let mut first = home.command(&batch).spawn().expect("the batch starts");
    let report = home.path().join("out.jsonl");
    until("the first batch has started", || {
        std::fs::read_to_string(&report).is_ok_and(|text| text.contains("started"))
    });
    let second = home.run(&batch);
    assert_eq!(second.code, 2, "{}\n{}", second.stdout, second.stderr);
    assert!(
        second
            .stderr
            .contains("out.jsonl is in use by another batch"),
        "{}",
        second.stderr
    );
    assert!(first.wait().expect("it ends").success());
    assert_eq!(statuses(&home, "out.jsonl"), ["complete"; 8]);
    assert_eq!(api.drafts(), 8);
    // A file that is not a report is not changed.
    let thesis = home.file("thesis.txt", "Chapter 1\n");
    let ran = home.run(&["compose", &plans, "--report", "thesis.txt"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(
        ran.stderr.contains("thesis.txt is not a report"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        std::fs::read_to_string(thesis).expect("the thesis"),
        "Chapter 1\n"
    );
    assert_eq!(api.drafts(), 8);
}

#[test]
fn a_batch_is_not_retried_after_its_client_disconnected() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let mut client = home.connected();
    let plan =
        json!({ "visuals": [{ "image_url": format!("{}/a.png", nothing.url), "duration": 1 }] });
    let wish = json!({ "plans": [plan], "retries": 20, "retry_delay_s": 3600 });
    let begun = client.call("compose_batch", wish).expect("begun");
    until("the media was requested once", || {
        nothing.count("/a.png") > 0
    });
    assert_eq!(client.end(), 0);
    let job = json!({ "job_id": begun["job_id"] });
    let told = home.call("job_status", &job).expect("remembered");
    // None of its drafts was completed.
    assert_eq!(told["status"], "failed", "{told}");
}

#[test]
fn jobs_of_a_disconnected_client_end_at_their_limit() {
    let (mut home, _api) = remote(500);
    let config = home.file("own.toml", "[limits]\nafter_client_s = 0.2\n");
    home.set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
    let mut client = home.connected();
    let texts: Vec<Value> = (0..50)
        .map(|n| json!({ "text": "a", "start": n, "end": n + 1 }))
        .collect();
    let plans = vec![json!({ "texts": texts, "save": false }); 20];
    let begun = client
        .call("compose_batch", json!({ "plans": plans }))
        .expect("begun");
    assert_eq!(client.end(), 0);
    let job = json!({ "job_id": begun["job_id"] });
    let told = home.call("job_status", &job).expect("remembered");
    assert_eq!(told["status"], "cancelled", "{told}");
}
