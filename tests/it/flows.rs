//! The workflow files of `examples/dify` and `examples/n8n`, against the executable over HTTP.

use serde_json::{Value, json};

use crate::support::{Home, Served, http, media_server};
use dify::{Registered, Run};
use graph::{Flow, example};

mod dify;
mod graph;
mod n8n;

fn server(home: &Home) -> Served {
    home.serve_http(&["--backend", "embedded"])
}

fn run(file: &str, server: &Registered, inputs: &Value) -> Run {
    let flow = Flow::read(&example(file));
    dify::run(&flow, server, inputs).unwrap_or_else(|message| panic!("{file}: {message}"))
}

fn basic_inputs(video_url: &str) -> Value {
    json!({ "video_title": "Über 世界 \"1\"", "video_description": "A clip", "video_url": video_url,
        "video_duration": 2, "title_text": "Hello 世界", "effect_type": "fade_in" })
}

#[test]
fn the_basic_workflow_of_dify_makes_a_saved_draft() {
    let home = Home::new();
    let served = server(&home);
    let media = media_server();
    let dify = Registered::new(&served.url, &[]);
    let inputs = basic_inputs(&format!("{}/range/clip.mp4", media.url));
    let ran = run("dify/basic.yml", &dify, &inputs);
    assert_eq!(ran.end, "result", "{ran:?}");
    let draft = &ran.outputs["draft_id"];
    let shown = served
        .output("/query_script", &json!({ "draft_id": draft }))
        .expect("the draft is there")
        .to_string();
    assert!(shown.contains("Hello 世界"), "{shown}");
    check_saved(&ran.outputs["video_url"]);
    assert_eq!(ran.outputs["video_description"], "A clip");
    let tools: Vec<_> = ran.calls.iter().map(|(tool, _)| tool.as_str()).collect();
    assert_eq!(
        tools,
        [
            "create_draft",
            "add_video",
            "add_text",
            "add_effect",
            "save_draft"
        ]
    );
}

/// A saved draft can be downloaded from the link of the workflow's result.
fn check_saved(link: &Value) {
    let link = link.as_str().expect("a link");
    let (status, body) = http("GET", link, &[], b"");
    assert_eq!(status, 200, "{link}");
    assert!(body.starts_with("PK"), "{link} is not a zip file");
}

#[test]
fn dify_sends_its_token_with_every_request() {
    let home = Home::new();
    let token = home.run(&["token", "add", "dify"]).success().stdout;
    let authorization = format!("Bearer {}", token.trim());
    let served = home.serve_http(&["--backend", "embedded", "--allow-host", "127.0.0.1"]);
    let media = media_server();
    let dify = Registered::new(&served.url, &[("Authorization", &authorization)]);
    let inputs = basic_inputs(&format!("{}/range/clip.mp4", media.url));
    let ran = run("dify/basic.yml", &dify, &inputs);
    assert_eq!(ran.end, "result", "{ran:?}");
    let (status, _) = http("POST", &format!("{}/mcp", served.url), &[], b"{}");
    assert_eq!(status, 401);
}

#[test]
fn an_empty_duration_uses_the_whole_video() {
    let home = Home::new();
    let served = server(&home);
    let media = media_server();
    let dify = Registered::new(&served.url, &[]);
    let mut inputs = basic_inputs(&format!("{}/plain/clip.mp4", media.url));
    inputs["video_duration"] = json!("");
    let ran = run("dify/basic.yml", &dify, &inputs);
    assert_eq!(ran.end, "result", "{ran:?}");
}

#[test]
fn the_basic_workflow_of_dify_ends_with_the_error_of_the_step_that_failed() {
    let home = Home::new();
    let served = server(&home);
    let media = media_server();
    let dify = Registered::new(&served.url, &[]);
    let url = |path: &str| format!("{}/{path}", media.url);
    let failing = |change: &dyn Fn(&mut Value)| {
        let mut inputs = basic_inputs(&url("range/clip.mp4"));
        change(&mut inputs);
        let ran = run("dify/basic.yml", &dify, &inputs);
        let error = ran.outputs["error"].as_str().expect("an error").to_owned();
        assert!(error.starts_with("ERROR "), "{error}");
        assert_eq!(ran.outputs.len(), 1, "{ran:?}");
        (ran.end, error)
    };
    for missing in [url("nothing.mp4"), url("html/clip.mp4"), "clip".to_owned()] {
        let (end, error) = failing(&|inputs| inputs["video_url"] = json!(missing));
        assert_eq!(end, "error_add_video", "{error}");
    }
    let (end, error) = failing(&|inputs| inputs["effect_type"] = json!("no such effect"));
    assert_eq!(end, "error_add_effect", "{error}");
    assert!(error.contains("no such effect"), "{error}");
    // What a workflow did not fill in.
    let (end, error) = failing(&|inputs| inputs["title_text"] = json!("{{#llm.text#}}"));
    assert_eq!(end, "error_add_text", "{error}");
}

#[test]
fn the_batch_workflow_of_dify_continues_after_a_video_that_fails() {
    let home = Home::new();
    let served = server(&home);
    let media = media_server();
    let dify = Registered::new(&served.url, &[]);
    let url = |path: &str| format!("{}/{path}", media.url);
    let videos = json!([
        { "url": url("range/clip.mp4"), "title": "First" },
        { "url": url("nothing.mp4"), "title": "Bad \"row\"" },
        { "title": "No address" },
        {},
        { "video_url": url("plain/clip.mp4"), "video_title": "最后" },
    ]);
    let inputs = json!({ "video_list": videos.to_string(), "effect_type": "fade_in" });
    let ran = run("dify/batch.yml", &dify, &inputs);
    assert_eq!(ran.outputs["summary"], "2 of 5 drafts were made", "{ran:?}");
    assert_eq!(ran.outputs["succeeded"], 2);
    assert_eq!(ran.outputs["failed"], 3);
    let rows = ran.outputs["rows"].as_array().expect("rows");
    let mut drafts = Vec::new();
    for (row, video) in rows.iter().zip(videos.as_array().expect("videos")) {
        let keys: Vec<_> = row.as_object().expect("a row").keys().cloned().collect();
        if row["status"] == "success" {
            assert_eq!(keys, ["draft_id", "video_url", "status"]);
            check_saved(&row["video_url"]);
            drafts.push(row["draft_id"].clone());
        } else {
            assert_eq!(keys, ["config", "error", "status"]);
            assert_eq!(&row["config"], video);
            let error = row["error"].as_str().expect("an error");
            assert!(error.starts_with("ERROR "), "{error}");
        }
    }
    let states: Vec<_> = rows.iter().map(|row| row["status"].clone()).collect();
    assert_eq!(states, ["success", "error", "error", "error", "success"]);
    assert_ne!(drafts[0], drafts[1], "each video has its own draft");
    let progress: Vec<_> = ran
        .codes
        .iter()
        .filter(|(node, _)| node == "video")
        .map(|(_, outputs)| outputs["progress"].clone())
        .collect();
    assert_eq!(
        progress,
        [
            "1 of 5: First",
            "2 of 5: Bad \"row\"",
            "3 of 5: No address",
            "4 of 5: Video",
            "5 of 5: 最后"
        ]
    );
}

#[test]
fn the_batch_workflow_of_dify_refuses_what_is_not_a_list_of_videos() {
    let home = Home::new();
    let served = server(&home);
    let dify = Registered::new(&served.url, &[]);
    let flow = Flow::read(&example("dify/batch.yml"));
    for (list, expected) in [
        ("https://example.com/a.mp4", "not JSON"),
        ("{}", "not a list"),
        ("[\"https://example.com/a.mp4\"]", "not a list"),
    ] {
        let inputs = json!({ "video_list": list, "effect_type": "fade_in" });
        let message = dify::run(&flow, &dify, &inputs).expect_err("it is refused");
        assert!(message.contains(expected), "{list}: {message}");
    }
    let ran = run(
        "dify/batch.yml",
        &dify,
        &json!({ "video_list": "[]", "effect_type": "fade_in" }),
    );
    assert_eq!(ran.outputs["summary"], "0 of 0 drafts were made");
}

#[test]
fn the_batch_workflow_of_dify_has_a_row_for_each_video_although_the_server_is_gone() {
    let home = Home::new();
    let served = server(&home);
    let dify = Registered::new(&served.url, &[]);
    drop(served);
    let videos = json!([{ "url": "https://example.com/a.mp4", "title": "A" }, { "title": "B" }]);
    let inputs = json!({ "video_list": videos.to_string(), "effect_type": "fade_in" });
    let ran = run("dify/batch.yml", &dify, &inputs);
    // One try and three retries of the first call of each video.
    assert_eq!(ran.calls.len(), 8, "{ran:?}");
    assert!(
        ran.calls
            .iter()
            .all(|call| *call == ("create_draft".to_owned(), false))
    );
    assert_eq!(ran.outputs["failed"], 2);
    for (row, video) in ran.outputs["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .zip(videos.as_array().expect("videos"))
    {
        assert_eq!(&row["config"], video);
        assert_eq!(row["status"], "error");
    }
}

#[test]
fn the_workflows_of_dify_fit_the_tools() {
    let home = Home::new();
    let served = server(&home);
    let tools = Registered::new(&served.url, &[]).tools;
    for file in ["dify/basic.yml", "dify/batch.yml"] {
        let faults = Flow::read(&example(file)).faults(&tools);
        assert!(faults.is_empty(), "{file}: {faults:#?}");
    }
    // The same checks find what is wrong.
    for (correct, wrong, expected) in [
        (
            "tool_name: add_text",
            "tool_name: add_words",
            "no tool add_words",
        ),
        ("effect_type:", "effect:", "no parameter effect"),
        (
            "target: check_add_text",
            "target: check_text",
            "node is missing",
        ),
        (
            "sourceHandle: 'true'",
            "sourceHandle: 'yes'",
            "no such handle",
        ),
        ("- draft_id", "- draft", "no output before it"),
        ("- save_draft\n", "- save\n", "no output before it"),
        (
            "provider_id: capcut",
            "provider_id: other",
            "not a tool of the server",
        ),
        ("max_retries: 3", "max_retries: 30", "more retries"),
        (
            "isInIteration: true",
            "isInIteration: false",
            "crosses an iteration",
        ),
    ] {
        let text = example("dify/batch.yml").replace(correct, wrong);
        let faults = Flow::read(&text).faults(&tools);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{wrong}: {faults:#?}"
        );
    }
}

#[test]
fn the_workflow_of_n8n_fits_the_tools() {
    let home = Home::new();
    let served = server(&home);
    let tools = Registered::new(&served.url, &[]).tools;
    let text = example("n8n/workflow.json");
    let faults = n8n::faults(&text, &tools);
    assert!(faults.is_empty(), "{faults:#?}");
    for (correct, wrong, expected) in [
        (
            "\"value\": \"add_text\"",
            "\"value\": \"add_words\"",
            "no tool add_words",
        ),
        (
            "\"effect_type\": \"={{",
            "\"effect\": \"={{",
            "no parameter effect",
        ),
        (
            "\"node\": \"Failed\"",
            "\"node\": \"Failures\"",
            "no node Failures",
        ),
        ("$('Each video')", "$('Each row')", "no node Each row"),
        (".text.draft_id", ".text.draft", "no output draft"),
        ("\"endpointUrl\"", "\"url\"", "no setting url"),
    ] {
        let faults = n8n::faults(&text.replace(correct, wrong), &tools);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{wrong}: {faults:#?}"
        );
    }
}
