//! MCP over stdin and stdout: both protocol generations, over pipes and over sockets.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Heard, Home, PATIENCE, Server};

const EMBEDDED: &[&str] = &["serve", "--backend", "embedded"];
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Runs the check with a server on each kind of stream that clients use.
fn over_each_stream(home: &Home, arguments: &[&str], check: impl Fn(Client)) {
    check(home.serve_with(arguments));
    #[cfg(unix)]
    check(home.serve_over_sockets(arguments));
}

#[test]
fn each_legacy_revision_is_initialized_as_requested() {
    let home = Home::new();
    for (asked, answered) in LEGACY.map(|v| (v, v)).into_iter().chain([
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("nonsense", "2025-11-25"),
    ]) {
        over_each_stream(&home, EMBEDDED, |mut client| {
            let greeting = client.initialize(asked);
            assert_eq!(greeting["protocolVersion"], answered, "{asked}");
            assert_eq!(greeting["serverInfo"]["name"], "capcut-mcp");
            assert_eq!(greeting["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
            let instructions = greeting["instructions"].as_str().expect("instructions");
            for tool in ["compose_draft", "create_draft", "search_catalog"] {
                assert!(instructions.contains(tool), "{instructions}");
            }
            let tools = client.request("tools/list", json!({}));
            assert!(
                tools["result"]["resultType"].is_null(),
                "not in this protocol generation"
            );
            assert_eq!(client.end(), 0);
        });
    }
}

#[test]
fn the_stateless_protocol_needs_no_initialize() {
    let home = Home::new();
    over_each_stream(&home, EMBEDDED, |mut client| {
        let answer = client.request(
            "tools/call",
            Client::modern(json!({ "name": "create_draft", "arguments": {} })),
        );
        let result = &answer["result"];
        assert_eq!(result["resultType"], "complete", "{answer}");
        assert!(
            result["structuredContent"]["draft_id"].is_string(),
            "{answer}"
        );
        let answer = client.request("tools/list", Client::modern(json!({})));
        assert!(answer["result"]["ttlMs"].as_u64() > Some(0), "{answer}");
        assert_eq!(answer["result"]["cacheScope"], "public");
        assert_eq!(client.end(), 0);
    });
}

#[test]
fn a_client_can_discover_the_server_before_choosing_a_protocol() {
    let home = Home::new();
    over_each_stream(&home, EMBEDDED, |mut client| {
        let answer = client.request("server/discover", Client::modern(json!({})));
        let versions = &answer["result"]["supportedVersions"];
        let versions: Vec<&str> = versions
            .as_array()
            .expect("versions")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for version in LEGACY.into_iter().chain(["2026-07-28"]) {
            assert!(versions.contains(&version), "{version}: {versions:?}");
        }
        assert_eq!(
            client.initialize("2025-06-18")["protocolVersion"],
            "2025-06-18"
        );
        assert!(client.call("create_draft", json!({})).is_ok());
        assert_eq!(client.end(), 0);
    });
}

#[test]
fn a_draft_is_created_and_read_over_each_stream() {
    let home = Home::new();
    over_each_stream(&home, EMBEDDED, |mut client| {
        client.initialize("2025-11-25");
        let draft = client
            .call(
                "create_draft",
                json!({ "aspect_ratio": "16:9", "title": "Mine" }),
            )
            .expect("a draft");
        let draft = draft["draft_id"].clone();
        let text = json!({ "draft_id": draft, "text": 12, "start_time": "0", "end_time": "2.0", "position": "bottom" });
        client.call("add_text", text).expect("a text");
        let read = client
            .call("query_script", json!({ "draft_id": draft }))
            .expect("the document");
        let script = match &read["script"] {
            Value::String(text) => serde_json::from_str(text).expect("JSON"),
            script => script.clone(),
        };
        assert_eq!(script["canvas_config"]["width"], 1920);
        assert_eq!(
            script["materials"]["texts"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(client.end(), 0);
    });
}

#[test]
fn all_problems_of_a_call_are_reported_in_one_result() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let told = client
        .call(
            "add_text",
            json!({ "txt": "a", "start": "soon", "border_alpha": 7 }),
        )
        .expect_err("problems");
    for part in [
        "`txt`: `add_text` has no such argument; did you mean `text`?",
        "`start` is \"soon\", which is not a number; it must be seconds from 0 to 86400",
        "`border_alpha` is 7; it must be from 0 (invisible) to 1 (opaque); did you mean 0.07?",
        "`text` is missing",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn unknown_tools_and_methods_and_invalid_requests_are_protocol_errors() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    for (method, params, code, part) in [
        (
            "tools/call",
            json!({ "name": "add_txt" }),
            -32602,
            "did you mean `add_text`?",
        ),
        ("tools/call", json!({}), -32602, "`tools/call`"),
        (
            "tools/call",
            json!({ "name": "create_draft", "arguments": [] }),
            -32602,
            "`tools/call`",
        ),
        (
            "prompts/get",
            json!({ "name": "slide" }),
            -32602,
            "did you mean `slideshow`?",
        ),
        (
            "resources/read",
            json!({ "uri": 1 }),
            -32602,
            "`resources/read`",
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/tool", "name": "add_text" } }),
            -32602,
            "`completion/complete`",
        ),
        ("tools/cal", json!({}), -32601, "tools/cal"),
    ] {
        let answer = client.request(method, params);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn the_list_of_tools_never_changes() {
    let home = Home::new();
    let list = |mut client: Client| {
        client.initialize("2025-11-25");
        let first = client.request("tools/list", json!({}))["result"].take();
        let again = client.request("tools/list", json!({}))["result"].take();
        assert_eq!(first.to_string(), again.to_string());
        first
    };
    let first = list(home.serve_with(EMBEDDED));
    let again = list(home.serve_with(EMBEDDED));
    assert_eq!(first.to_string(), again.to_string());
    // A model reads this in every conversation: at most 28 KB and 6,000 tokens, which `tests/external/tokens.mjs` counts.
    // 4 bytes are a token here, so that this bound is the stricter one.
    let tools = first["tools"].as_array().expect("tools").iter();
    let read = tools.map(|tool| {
        let text = |key: &str| tool[key].as_str().expect("text").len();
        text("name") + text("description") + tool["inputSchema"].to_string().len()
    });
    let bytes: usize = read.sum();
    assert!(bytes <= 23_500, "{bytes} bytes");
    let all = first.to_string().len();
    assert!(all <= 40_960, "{all} bytes");
    eprintln!("{bytes} bytes that models read, {all} in all");
}

/// All tools as clients see them.
fn all_tools() -> Vec<Value> {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded", "--tools", "full"]);
    client.initialize("2025-11-25");
    let mut answer = client.request("tools/list", json!({}));
    match answer["result"]["tools"].take() {
        Value::Array(tools) => tools,
        other => panic!("{other}"),
    }
}

#[test]
fn listed_tools_match_their_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let update = std::env::var_os("UPDATE").is_some();
    let tools = all_tools();
    let mut names = BTreeSet::new();
    for tool in &tools {
        let name = tool["name"].as_str().expect("a name");
        let path = folder.join(format!("{name}.json"));
        names.insert(format!("{name}.json"));
        let is = serde_json::to_string_pretty(tool).expect("JSON") + "\n";
        if update {
            std::fs::create_dir_all(&folder).expect("the folder");
            std::fs::write(&path, is).expect("the snapshot");
        } else {
            let was = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                is, was,
                "{name} has changed; if it should, run the tests with UPDATE=1"
            );
        }
    }
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if !names.contains(&name) {
            assert!(update, "{name} belongs to no tool");
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    assert!(tools.len() >= 25, "{} tools", tools.len());
}

#[test]
fn every_tool_has_a_title_hints_and_schemas() {
    for tool in all_tools() {
        let name = tool["name"].as_str().expect("a name");
        let good = name.len() <= 48
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(good, "{name}");
        assert!(
            tool["title"].as_str().is_some_and(|t| !t.is_empty()),
            "{name}"
        );
        for hint in [
            "readOnlyHint",
            "destructiveHint",
            "idempotentHint",
            "openWorldHint",
        ] {
            assert!(tool["annotations"][hint].is_boolean(), "{name}: {hint}");
        }
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object", "{name}: {schema}");
            assert!(tool[schema]["properties"].is_object(), "{name}: {schema}");
        }
        // `additionalProperties` is given only for tools without arguments, where a client might invent some.
        let none = tool["inputSchema"]["properties"] == json!({});
        let said = tool["inputSchema"].get("additionalProperties");
        assert_eq!(said.is_some(), none, "{name}");
    }
}

#[test]
fn long_lists_of_names_are_listed_only_on_request() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let list = client.request("tools/list", json!({}));
    let shown = list["result"]["tools"].as_array().expect("tools");
    let all = all_tools();
    let hidden: Vec<&str> = all
        .iter()
        .filter(|tool| !shown.contains(tool))
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(shown.len() <= 28, "{} tools", shown.len());
    assert_eq!(shown.len() + hidden.len(), all.len());
    // They are not forbidden, only not listed.
    assert!(client.call("get_mask_types", json!({})).is_ok());
    assert!(
        client
            .call("query_script", json!({ "draft_id": "x" }))
            .is_err()
    );
    // Descriptions and schemas name only tools that are listed with them, or their profile.
    for tool in shown {
        let text = tool.to_string();
        for name in &hidden {
            let at = text.find(&format!("`{name}`"));
            let is_named = at.is_none_or(|at| text[at..].contains("` (profile `"));
            assert!(is_named, "{}: {name}", tool["name"]);
        }
    }
}

/// What `tools/list` returns with these options and variables, and what calls of these tools answer.
fn chosen(
    options: &[&str],
    variables: &[(&str, &str)],
    called: &[&str],
) -> (Vec<String>, Vec<Value>) {
    let mut home = Home::new();
    for (name, value) in variables {
        home.set(name, value);
    }
    let arguments: Vec<&str> = EMBEDDED.iter().chain(options).copied().collect();
    let mut client = home.serve_with(&arguments);
    client.initialize("2025-11-25");
    let list = client.request("tools/list", json!({}));
    let names = list["result"]["tools"].as_array().expect("tools").iter();
    let names = names.map(|tool| tool["name"].as_str().expect("a name").to_owned());
    let names = names.collect();
    let answers = called
        .iter()
        .map(|name| client.request("tools/call", json!({ "name": name, "arguments": {} })))
        .collect();
    assert_eq!(client.end(), 0);
    (names, answers)
}

#[test]
fn chosen_tools_are_listed_and_what_is_left_out_is_unknown() {
    let (names, answers) = chosen(&["--tools", "compose"], &[], &["add_text", "query_script"]);
    assert_eq!(names.len(), 8, "{names:?}");
    for answer in &answers {
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("`--tools` leaves it out"), "{message}");
    }
    let (names, answers) = chosen(
        &["--tools", "compose,query_script", "--exclude", "job_status"],
        &[],
        &["job_status", "query_script"],
    );
    assert!(
        names.contains(&"query_script".to_owned()) && names.len() == 8,
        "{names:?}"
    );
    let message = answers[0]["error"]["message"].as_str().expect("a message");
    assert!(message.contains("`--exclude` leaves it out"), "{message}");
    assert_eq!(answers[1]["result"]["isError"], true, "{}", answers[1]);
    let (names, answers) = chosen(&["--read-only"], &[], &["create_draft", "get_mask_types"]);
    assert!(!names.contains(&"save_draft".to_owned()), "{names:?}");
    assert!(names.contains(&"search_catalog".to_owned()), "{names:?}");
    assert_eq!(answers[0]["error"]["code"], -32602, "{}", answers[0]);
    assert_eq!(answers[1]["result"]["isError"], false, "{}", answers[1]);
}

#[test]
fn variables_choose_tools_as_options_do_and_options_override_them() {
    let variables = [
        ("CAPCUT_MCP_TOOLS", "compose"),
        ("CAPCUT_MCP_EXCLUDE", "undo_draft"),
        ("CAPCUT_MCP_READ_ONLY", "1"),
    ];
    let (names, _) = chosen(&[], &variables, &[]);
    assert_eq!(
        names,
        [
            "job_status",
            "search_catalog",
            "inspect_draft",
            "preview_draft"
        ]
    );
    let options = [
        "--tools",
        "undo_draft,add_text",
        "--exclude",
        "",
        "--read-only=false",
    ];
    let (names, _) = chosen(&options, &variables, &[]);
    assert_eq!(names, ["add_text", "undo_draft"]);
}

#[test]
fn a_choice_with_unknown_names_does_not_start() {
    let mut home = Home::new();
    let run = home
        .command(&["serve", "--tools", "default,add_txt"])
        .output()
        .expect("a run");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(
        told.contains("add_txt") && told.contains("`add_text`"),
        "{told}"
    );
    home.set("CAPCUT_MCP_EXCLUDE", "nonsense");
    let run = home.command(&["serve"]).output().expect("a run");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && told.contains("nonsense"), "{told}");
}

#[test]
fn hints_name_the_profile_of_tools_that_are_not_listed() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let answer = client.request("tools/call", json!({ "name": "get_timeline" }));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("`query_script` (profile `api`)"),
        "{message}"
    );
    assert!(message.contains("`inspect_draft` lists"), "{message}");
    let prompt =
        json!({ "name": "narrated_clip", "arguments": { "video": "a.mp4", "narration": "b.mp3" } });
    let answer = client.request("prompts/get", prompt);
    assert!(
        answer
            .to_string()
            .contains("get_video_duration (profile `full`)"),
        "{answer}"
    );
}

#[test]
fn prompts_are_listed_and_filled_in() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let list = client.request("prompts/list", json!({}));
    let prompts = list["result"]["prompts"].as_array().expect("prompts");
    assert_eq!(prompts.len(), 12, "{list}");
    let arguments = json!({ "images": "a.png, b.png" });
    let answer = client.request(
        "prompts/get",
        json!({ "name": "slideshow", "arguments": arguments }),
    );
    let text = answer["result"]["messages"][0]["content"]["text"].as_str();
    assert!(text.is_some_and(|t| t.contains("a.png, b.png")), "{answer}");
    let answer = client.request("prompts/get", json!({ "name": "slideshow" }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn prompt_arguments_and_draft_ids_are_completed() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let mut ids = Vec::new();
    for name in ["Trip to Rome", "Twice", "Twice"] {
        let draft = client.call("create_draft", json!({ "name": name }));
        ids.push(draft.expect("a draft")["draft_id"].clone());
    }
    let mut complete = |reference: Value, name: &str, typed: &str| {
        let argument = json!({ "name": name, "value": typed });
        let params = json!({ "ref": reference, "argument": argument });
        client.request("completion/complete", params)
    };
    let prompt = |name: &str| json!({ "type": "ref/prompt", "name": name });
    let draft = json!({ "type": "ref/resource", "uri": "draft://{draft_id}" });

    let answer = complete(draft.clone(), "draft_id", "rome");
    let found = &answer["result"]["completion"];
    assert_eq!(found["values"], json!([ids[0]]), "{answer}");
    assert_eq!(
        (&found["total"], &found["hasMore"]),
        (&json!(1), &json!(false))
    );
    let answer = complete(prompt("check_draft"), "draft", "");
    let found = &answer["result"]["completion"]["values"];
    assert_eq!(found.as_array().map(Vec::len), Some(4), "{answer}");
    assert_eq!(
        found[0], "Trip to Rome",
        "a name of two drafts is not offered: {answer}"
    );
    let answer = complete(prompt("slideshow_zh"), "aspect_ratio", "9");
    assert_eq!(
        answer["result"]["completion"]["values"],
        json!(["9:16"]),
        "{answer}"
    );
    let answer = complete(prompt("slideshow"), "transition", "dissol");
    let first = answer["result"]["completion"]["values"][0].as_str();
    assert_eq!(first, Some("Dissolve"), "{answer}");
    let answer = complete(prompt("slideshow"), "transition", "");
    let found = &answer["result"]["completion"];
    assert_eq!(
        found["values"].as_array().map(Vec::len),
        Some(100),
        "{answer}"
    );
    assert_eq!(found["hasMore"], true, "{answer}");
    let answer = complete(prompt("slideshow"), "images", "/home");
    assert_eq!(
        answer["result"]["completion"]["values"],
        json!([]),
        "{answer}"
    );

    for (reference, name, part) in [
        (prompt("slide"), "images", "did you mean `slideshow`?"),
        (prompt("slideshow"), "musik", "has no argument `musik`"),
        (draft, "id", "draft://{draft_id}"),
    ] {
        let answer = complete(reference, name, "");
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn drafts_can_be_read_as_resources() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let draft = client
        .call("create_draft", json!({ "name": "Mine" }))
        .expect("a draft");
    let uri = format!("draft://{}", draft["draft_id"].as_str().expect("an id"));
    let list = client.request("resources/list", json!({}));
    let listed = &list["result"]["resources"][0];
    assert_eq!(
        (&listed["uri"], &listed["name"]),
        (&json!(uri), &json!("Mine"))
    );
    let answer = client.request("resources/read", json!({ "uri": uri }));
    let text = answer["result"]["contents"][0]["text"]
        .as_str()
        .expect("text");
    let document: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(document["canvas_config"]["width"], 1080);
    let clips = &list["result"]["resources"][1];
    assert_eq!(clips["uri"], format!("{uri}/clips"));
    let id = draft["draft_id"].clone();
    let text = json!({ "draft_id": id, "text": "Hello", "start": 0, "end": 1 });
    client.call("add_text", text).expect("a text");
    for named in [id.as_str().expect("an id"), "Mine"] {
        let uri = format!("draft://{named}/clips");
        let answer = client.request("resources/read", json!({ "uri": uri }));
        let contents = &answer["result"]["contents"][0];
        assert_eq!(contents["mimeType"], "text/plain", "{answer}");
        let text = contents["text"].as_str().expect("text");
        assert!(text.contains("c1") && text.contains("Hello"), "{text}");
    }
    for unknown in [
        "draft://dfd_cat_1_00000000",
        "draft://dfd_cat_1_00000000/clips",
    ] {
        let answer = client.request("resources/read", json!({ "uri": unknown }));
        assert_eq!(answer["error"]["code"], -32002, "{answer}");
    }
    let templates = client.request("resources/templates/list", json!({}));
    assert_eq!(
        templates["result"]["resourceTemplates"][0]["uriTemplate"],
        "draft://{draft_id}"
    );
}

/// An API that needs this long for a list and answers everything else immediately.
fn slow_api(delay: Duration) -> Server {
    Server::start(move |asked| {
        if asked.path.starts_with("/get_") {
            return Answer::success(&json!([{ "name": "slow" }])).delay(delay);
        }
        Answer::success(&json!({ "draft_id": "dfd_cat_1700000000_0123abcd", "draft_url": "" }))
    })
}

const REMOTE: &[&str] = &["serve", "--backend", "remote"];

#[test]
fn calls_under_way_at_the_end_of_input_are_answered() {
    let api = slow_api(Duration::from_millis(700));
    let mut home = Home::new();
    home.api(&api.url);
    over_each_stream(&home, REMOTE, |mut client| {
        client.initialize("2025-11-25");
        let id = client.ask("tools/call", json!({ "name": "get_font_types" }));
        client.close();
        let answer = client.answer(id);
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
        assert!(client.line().is_none());
        assert_eq!(client.wait(), 0, "{}", client.stderr());
    });
}

#[test]
fn a_client_that_leaves_without_a_request_is_not_an_error() {
    let home = Home::new();
    over_each_stream(&home, EMBEDDED, |mut client| {
        client.close();
        assert!(client.line().is_none());
        assert_eq!(client.wait(), 0);
        assert_eq!(client.stderr(), "");
    });
}

#[test]
fn an_idle_server_ends_immediately_when_its_client_leaves() {
    let home = Home::new();
    over_each_stream(&home, EMBEDDED, |mut client| {
        client.initialize("2025-11-25");
        client.request("ping", json!({}));
        let start = Instant::now();
        client.close();
        assert_eq!(client.wait(), 0);
        // The limit is generous for a debug build on a busy machine; the benchmark measures the real time.
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn line_ends_and_byte_order_marks_are_optional() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    let greeting = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } },
    });
    let early = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let bytes = format!("{early}\n\n\u{feff}{greeting}\r\n \r\n{list}");
    client.write(bytes.as_bytes()).expect("written");
    client.close();
    assert!(client.answer(1)["result"].is_object());
    assert!(client.answer(2)["result"].is_object());
    assert_eq!(client.wait(), 0);
}

#[test]
fn slow_calls_run_in_parallel() {
    let api = slow_api(Duration::from_secs(1));
    let mut home = Home::new();
    home.api(&api.url);
    let mut client = home.serve_with(REMOTE);
    client.initialize("2025-11-25");
    // Different lists, because identical requests may be combined into one.
    let lists = [
        "get_font_types",
        "get_mask_types",
        "get_transition_types",
        "get_text_intro_types",
    ];
    let ids: BTreeSet<u64> = lists
        .iter()
        .map(|name| client.ask("tools/call", json!({ "name": name })))
        .collect();
    for id in &ids {
        let answer = client.answer(*id);
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
    let at_once = api.most_connections();
    assert!((4..=8).contains(&at_once), "{at_once} at the same time");
}

/// An address that accepts a request, never answers, and reports when the client disconnects.
fn silent_api() -> (String, mpsc::Receiver<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, gone) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let sender = sender.clone();
            thread::spawn(move || {
                let _ = stream.read_to_end(&mut Vec::new());
                let _ = sender.send(Instant::now());
            });
        }
    });
    (url, gone)
}

#[test]
fn a_cancelled_call_closes_its_connection_and_gets_no_answer() {
    let (url, gone) = silent_api();
    let mut home = Home::new();
    home.api(&url);
    over_each_stream(&home, REMOTE, |mut client| {
        client.initialize("2025-11-25");
        let id = client.ask("tools/call", json!({ "name": "get_font_types" }));
        thread::sleep(Duration::from_millis(300));
        assert!(gone.try_recv().is_err(), "the call is under way");
        let start = Instant::now();
        client.notify(
            "notifications/cancelled",
            json!({ "requestId": id, "reason": "enough" }),
        );
        // Cancellations of unknown or invalid requests have no effect.
        client.notify("notifications/cancelled", json!({ "requestId": 4711 }));
        client.notify("notifications/cancelled", json!({ "requestId": {} }));
        let at = gone
            .recv_timeout(PATIENCE)
            .expect("the connection to the API is closed");
        assert!(at - start < Duration::from_secs(1), "{:?}", at - start);
        let ping = client.ask("ping", json!({}));
        // The next answer is the one to the ping.
        assert_eq!(client.message().expect("an answer")["id"], ping);
        assert!(matches!(
            client.hear(Duration::from_millis(200)),
            Heard::Silence
        ));
        assert_eq!(client.end(), 0);
    });
}

#[test]
fn an_invalid_line_is_answered_in_both_protocols() {
    let home = Home::new();
    let long = "x".repeat(17 << 20);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let values = [
        r#""\ud83d""#,
        "1e400",
        "NaN",
        "\"a\tb\"",
        &deep,
        &format!("\"{long}\""),
    ];
    let modern = Client::modern(json!({})).to_string();
    for (first, params) in [
        (Some("2025-11-25"), "{}"),
        (Some("2024-11-05"), "{}"),
        (None, modern.as_str()),
    ] {
        over_each_stream(&home, EMBEDDED, |mut client| {
            if let Some(version) = first {
                client.initialize(version);
            }
            for (number, value) in values.iter().enumerate() {
                let id = format!("bad {number}");
                let line = format!(
                    r#"{{"params":{{"name":"create_draft","arguments":{{"name":{value}}},"_meta":{params}}},"method":"tools/call","jsonrpc":"2.0","id":"{id}"}}"#
                );
                client.write(line.as_bytes()).expect("the server reads");
                client.write(b"\n").expect("the server reads");
                let answer = client.message().expect("an answer");
                assert_eq!(answer["id"], id, "{answer}");
                let code = answer["error"]["code"].as_i64();
                assert!(matches!(code, Some(-32700 | -32600)), "{answer}");
            }
            client
                .write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}\n{\"cut\n")
                .expect("the server reads");
            let answer = client.message().expect("an answer");
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&json!(1), &json!(-32700))
            );
            let answer = client.message().expect("an answer");
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&Value::Null, &json!(-32700))
            );
            let params = serde_json::from_str::<Value>(params).expect("JSON");
            let list = client.request("tools/list", params);
            assert!(
                list["result"]["tools"].is_array(),
                "the server continues: {list}"
            );
            assert_eq!(client.end(), 0);
        });
    }
}

/// A small random generator with the same sequence on every system.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn seeds() -> Vec<String> {
    [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": "a", "method": "ping", "params": {} }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "create_draft", "arguments": { "width": 1080, "resolution": "1920x1080", "name": "x" } } }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "add_text", "arguments": {
            "draft_id": "dfd_cat_1_00000000", "text": "Hallo \u{1f600}", "start": 0, "end": 1.5, "text_styles": [{ "start": 0, "end": 1 }] }, "_meta": { "progressToken": 1 } } }),
        json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": { "name": "get_mask_types" } }),
        json!({ "jsonrpc": "2.0", "id": 5, "method": "prompts/get", "params": { "name": "slideshow", "arguments": { "images": "a" } } }),
        json!({ "jsonrpc": "2.0", "id": 6, "method": "resources/read", "params": { "uri": "draft://x" } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 3 } }),
        json!({ "jsonrpc": "2.0", "id": 7, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 8, "error": { "code": 1, "message": "m" } }),
        json!({ "jsonrpc": "2.0", "id": 9, "method": "initialize", "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "id": 10, "method": "server/discover", "params": Client::modern(json!({})) }),
        json!({ "jsonrpc": "2.0", "id": 11, "method": "resources/list", "params": { "cursor": "x" } }),
        json!({ "jsonrpc": "2.0", "id": 12, "method": "logging/setLevel", "params": { "level": "debug" } }),
        json!({ "jsonrpc": "2.0", "id": 13, "method": "completion/complete", "params": { "ref": { "type": "ref/prompt", "name": "slideshow" }, "argument": { "name": "images", "value": "" } } }),
    ]
    .iter()
    .map(Value::to_string)
    .collect()
}

/// A line that clients could send, damaged in one of several ways, without a line end.
fn broken_line(dice: &mut Dice, seeds: &[String]) -> Vec<u8> {
    const TOKENS: [&str; 16] = [
        "null",
        "[]",
        "{}",
        "\"\"",
        "-1",
        "1e999",
        "true",
        "\\ud800",
        "\"jsonrpc\"",
        "99999999999999999999",
        "[[[[[[[[",
        "\u{0}",
        "\u{feff}",
        "id",
        "{\"a\":",
        ",",
    ];
    let mut line = seeds[dice.roll(seeds.len())].clone().into_bytes();
    match dice.roll(8) {
        // Unchanged, so that the server also does real work.
        0 => {}
        1 => {
            for _ in 0..=dice.roll(8) {
                let at = dice.roll(line.len());
                line[at] = dice.roll(256) as u8;
            }
        }
        2 => line.truncate(dice.roll(line.len())),
        3 => {
            let at = dice.roll(line.len());
            let token = TOKENS[dice.roll(TOKENS.len())];
            line.splice(at..at, token.bytes());
        }
        4 => {
            let (from, to) = (dice.roll(line.len()), dice.roll(line.len()));
            line.drain(from.min(to)..from.max(to));
        }
        5 => {
            let other = seeds[dice.roll(seeds.len())].as_bytes();
            let at = dice.roll(line.len());
            line.truncate(at);
            line.extend_from_slice(&other[at.min(other.len())..]);
        }
        6 => line = (0..dice.roll(200)).map(|_| dice.roll(256) as u8).collect(),
        _ => {
            // Replaces one of the message's values.
            let mut message: Value = serde_json::from_slice(&line).expect("a seed");
            let token = TOKENS[dice.roll(8)];
            let value = serde_json::from_str(token).unwrap_or(Value::Null);
            if let Some(members) = message.as_object_mut() {
                let keys: Vec<String> = members.keys().cloned().collect();
                members.insert(keys[dice.roll(keys.len())].clone(), value);
            }
            line = message.to_string().into_bytes();
        }
    }
    line.retain(|byte| *byte != b'\n');
    line
}

#[test]
fn ten_thousand_damaged_lines_do_not_stop_the_server() {
    const LINES: usize = 10_000;
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let seeds = seeds();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut answers = 0;
    for batch in 0..LINES / 100 {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.extend(broken_line(&mut dice, &seeds));
            bytes.push(b'\n');
        }
        client
            .write(&bytes)
            .unwrap_or_else(|e| panic!("batch {batch}: {e}; {}", client.stderr()));
        // Once the ping is answered, the server has read the batch. Every line before it must be a message.
        let ping = format!("ping {batch}");
        client.send(&json!({ "jsonrpc": "2.0", "id": ping, "method": "ping" }));
        loop {
            let message = client.message().expect("the server is running");
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
            let known = ["result", "error", "method"]
                .iter()
                .any(|key| message.get(key).is_some());
            assert!(known, "{message}");
            if message["id"] == json!(ping) {
                break;
            }
            answers += 1;
        }
    }
    assert!(answers > LINES / 20, "only {answers} answers");
    client.call("create_draft", json!({})).expect("a draft");
    assert_eq!(client.end(), 0);
}

#[test]
fn logs_never_reach_stdout() {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded", "--log", "trace"]);
    client.initialize("2025-11-25");
    client.write(b"nonsense\n{\"id\":1}\n").expect("written");
    client.call("create_draft", json!({})).expect("a draft");
    client
        .call("create_draft", json!({ "width": "x" }))
        .expect_err("an error");
    client.close();
    while let Some(message) = client.message() {
        assert_eq!(message["jsonrpc"], "2.0");
    }
    assert!(!client.stderr().is_empty());
}

#[test]
fn a_client_that_stops_reading_ends_the_server() {
    let home = Home::new();
    let mut child = home
        .command(EMBEDDED)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the executable starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let start = Instant::now();
    // stdin stays open: the broken stdout ends the server.
    let _ = std::io::Write::write_all(&mut stdin, format!("{request}\n").as_bytes());
    while child.try_wait().expect("its state").is_none() {
        assert!(start.elapsed() < PATIENCE, "the server does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_key_that_is_given_twice_is_refused_and_nothing_is_added() {
    let home = Home::new();
    let mut client = home.serve_with(EMBEDDED);
    client.initialize("2025-11-25");
    let made = client.call("create_draft", json!({})).expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    // The second form has a member that tool calls do not have.
    for (id, extra) in [(100, ""), (101, ",\"unknown\":1")] {
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"add_text\",\"arguments\":\
             {{\"draft_id\":\"{draft}\",\"text\":\"a\",\"end\":1,\"text\":\"b\"}}{extra}}}}}\n"
        );
        client.write(line.as_bytes()).expect("the server reads");
        let answer = client.answer(id);
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        assert!(
            result
                .to_string()
                .contains("`text` is given twice in one object"),
            "{answer}"
        );
    }
    let script = client
        .call(
            "query_script",
            json!({ "draft_id": draft, "path": "/tracks" }),
        )
        .expect("a part");
    assert!(!script.to_string().contains("target_timerange"), "{script}");
}
