//! The view of MCP Apps: who gets it, the page, and what results carry for it.

use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::rendering::image;
use crate::support::{Client, Home, McpOverHttp, media};

const PAGE: &str = "ui://capcut-mcp/preview.html";
const TIMELINE: &str = "capcut-mcp/timeline";
/// The tools whose drafts are shown.
const SHOWN: [&str; 3] = ["compose_draft", "generate_video", "preview_frame"];

/// The capabilities of a client that shows views of these types.
fn views(types: &Value) -> Value {
    json!({ "extensions": { "io.modelcontextprotocol/ui": { "mimeTypes": types } } })
}

fn apps() -> Value {
    views(&json!(["text/html;profile=mcp-app"]))
}

/// A client with these capabilities, and what the server announced.
fn connected(home: &Home, arguments: &[&str], capabilities: &Value) -> (Client, Value) {
    let start = ["serve", "--backend", "embedded"];
    let mut client = home.serve_with(&[&start[..], arguments].concat());
    let client_info = json!({ "name": "test", "version": "1" });
    let greeting = client.request(
        "initialize",
        json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client_info }),
    );
    client.notify("notifications/initialized", json!({}));
    (client, greeting["result"].clone())
}

fn tools(answer: &Value) -> Vec<Value> {
    answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

fn names(tools: &[Value], wanted: impl Fn(&Value) -> bool) -> Vec<&str> {
    let found = tools.iter().filter(|tool| wanted(&tool["_meta"]["ui"]));
    found
        .map(|tool| tool["name"].as_str().expect("a name"))
        .collect()
}

fn called(client: &mut Client, tool: &str, arguments: &Value) -> Value {
    let answer = client.request(
        "tools/call",
        json!({ "name": tool, "arguments": arguments }),
    );
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    answer["result"].clone()
}

#[test]
fn tools_name_the_view_for_clients_that_announce_it() {
    let home = Home::new();
    let (mut client, greeting) = connected(&home, &[], &apps());
    assert_eq!(
        greeting["capabilities"]["extensions"]["io.modelcontextprotocol/ui"],
        json!({ "mimeTypes": ["text/html;profile=mcp-app"] })
    );
    let with = client.request("tools/list", json!({}));
    let with = tools(&with);
    assert_eq!(
        names(&with, |ui| *ui == json!({ "resourceUri": PAGE })),
        SHOWN
    );
    assert_eq!(names(&with, |ui| !ui.is_null()), SHOWN);

    let listed = client.request("resources/list", json!({}));
    assert!(listed.to_string().contains(PAGE), "{listed}");

    for capabilities in [json!({}), views(&json!(["text/plain"])), views(&json!([]))] {
        let (mut client, _) = connected(&home, &[], &capabilities);
        let answer = client.request("tools/list", json!({}));
        assert!(
            !answer.to_string().contains("\"_meta\""),
            "{capabilities}: {answer}"
        );
        // Everything else is the same.
        let mut same = with.clone();
        for tool in &mut same {
            tool.as_object_mut().expect("a tool").remove("_meta");
        }
        assert_eq!(tools(&answer), same);
        let listed = client.request("resources/list", json!({}));
        assert!(!listed.to_string().contains(PAGE), "{listed}");
    }
}

#[test]
fn without_sessions_each_request_announces_it() {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    let mut modern = Client::modern(json!({}));
    let plain = client.request("tools/list", modern.clone());
    modern["_meta"]["io.modelcontextprotocol/clientCapabilities"] = apps();
    let with = client.request("tools/list", modern);
    assert_eq!(names(&tools(&plain), |ui| !ui.is_null()), [""; 0]);
    assert_eq!(names(&tools(&with), |ui| !ui.is_null()), SHOWN);
    let scope = |answer: &Value| answer["result"]["cacheScope"].clone();
    assert_eq!(
        (scope(&plain), scope(&with)),
        (json!("public"), json!("private"))
    );
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn sessions_over_http_have_it_too() {
    let home = Home::new();
    let served = home.serve_http(&["--backend", "embedded"]);
    let mut client = McpOverHttp::new(&served.url);
    client.ask(
        "initialize",
        &json!({ "protocolVersion": "2025-11-25", "capabilities": apps(), "clientInfo": { "name": "t", "version": "1" } }),
    );
    client.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let listed = client.ask("tools/list", &json!({}));
    assert_eq!(names(&tools(&listed), |ui| !ui.is_null()), SHOWN);
    let page = client.ask("resources/read", &json!({ "uri": PAGE }));
    assert!(page["result"]["contents"][0]["text"].is_string(), "{page}");
}

#[test]
fn the_page_is_small_and_needs_nothing_from_elsewhere() {
    let home = Home::new();
    for capabilities in [apps(), json!({})] {
        let (mut client, _) = connected(&home, &[], &capabilities);
        let answer = client.request("resources/read", json!({ "uri": PAGE }));
        let [page] = &answer["result"]["contents"].as_array().expect("contents")[..] else {
            panic!("{answer}");
        };
        assert_eq!(page["uri"], PAGE);
        assert_eq!(page["mimeType"], "text/html;profile=mcp-app");
        assert_eq!(
            page["_meta"]["ui"],
            json!({ "csp": {}, "permissions": {}, "prefersBorder": true })
        );
        let text = page["text"].as_str().expect("a text");
        assert!(text.starts_with("<!doctype html>"), "{text}");
        assert!(text.len() <= 13_000, "{} bytes", text.len());
        for foreign in [
            "http:",
            "https:",
            "data:",
            "src=",
            "@import",
            "url(",
            "innerHTML",
        ] {
            assert!(!text.contains(foreign), "{foreign}");
        }
        let unknown = client.request(
            "resources/read",
            json!({ "uri": "ui://capcut-mcp/other.html" }),
        );
        assert!(unknown["error"]["message"].is_string(), "{unknown}");
    }
}

/// A picture that compresses badly: squares of random colours.
fn noise(home: &Home) -> String {
    const SQUARE: usize = 4;
    let (width, height) = (1280_usize, 720_usize);
    let mut state = 1_u32;
    let mut colour = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [red, green, blue, _] = state.to_be_bytes();
        [red, green, blue, 255]
    };
    let columns = width / SQUARE;
    let squares: Vec<[u8; 4]> = (0..columns * height / SQUARE).map(|_| colour()).collect();
    let mut picture = Pixmap::new(width as u32, height as u32).expect("a picture");
    for (at, pixel) in picture.data_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (at % width, at / width);
        pixel.copy_from_slice(&squares[y / SQUARE * columns + x / SQUARE]);
    }
    let file = home.file("noise.png", picture.encode_png().expect("a PNG"));
    file.display().to_string()
}

/// A plan with this number of texts over a picture.
fn plan(home: &Home, texts: usize) -> Value {
    let text = |n: usize| json!({ "text": format!("Caption {n} of a long draft 字幕"), "start": n, "end": n as f64 + 0.9 });
    json!({
        "name": format!("{texts} clips"), "width": 1280, "height": 720, "save": false,
        "visuals": [{ "image_url": noise(home), "duration": texts }],
        "texts": (0..texts).map(text).collect::<Vec<_>>(),
    })
}

fn clips(timeline: &Value) -> usize {
    let tracks = timeline["tracks"]
        .as_array()
        .unwrap_or_else(|| panic!("{timeline}"))
        .iter();
    tracks
        .map(|track| track["clips"].as_array().expect("clips").len())
        .sum()
}

#[test]
fn results_for_a_view_are_complete_and_below_90_000_characters() {
    let home = Home::new();
    for (texts, listed) in [(100, 101), (1_000, 1_001), (1_500, 0)] {
        let (mut client, _) = connected(&home, &[], &apps());
        let made = called(
            &mut client,
            "compose_draft",
            &json!({ "plan": plan(&home, texts) }),
        );
        let frame = json!({ "draft_id": made["structuredContent"]["draft_id"], "at": 1.5 });
        let shown = called(&mut client, "preview_frame", &frame);
        for result in [&made, &shown] {
            let characters = result.to_string().chars().count();
            assert!(characters < 90_000, "{texts}: {characters} characters");
            let timeline = &result["_meta"][TIMELINE];
            assert_eq!(
                (&timeline["width"], &timeline["height"]),
                (&json!(1280), &json!(720))
            );
            assert_eq!(timeline["duration"], texts as f64);
            let left_out = timeline["left_out"].as_u64().expect("a count") as usize;
            assert_eq!(clips(timeline) + left_out, texts + 1);
            if listed > 0 {
                assert_eq!((clips(timeline), left_out), (listed, 0));
            } else {
                assert!(left_out > 0);
            }
            let text = result["content"][0]["text"].as_str().expect("a text");
            let text: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(text, result["structuredContent"]);
        }
        let reply = &shown["structuredContent"];
        assert_eq!(reply["draft"], frame["draft_id"]);
        assert_eq!(reply["duration"], texts as f64);
        let answer = json!({ "result": shown });
        let (kind, bytes) = image(&answer);
        // The image is as large as the limit allows.
        assert_eq!(kind, "image/jpeg");
        assert!(bytes.len() > 30_000, "{} bytes", bytes.len());

        let (mut plain, _) = connected(&home, &[], &json!({}));
        let same = called(&mut plain, "preview_frame", &frame);
        assert!(same["_meta"].is_null(), "{}", same["_meta"]);
        assert_eq!(same["structuredContent"], *reply);
        assert_eq!(same["content"], shown["content"]);
    }
}

#[test]
fn drafts_on_disk_have_a_timeline_and_failures_have_none() {
    let home = Home::new();
    let (mut client, _) = connected(&home, &[], &apps());
    let plan = json!({ "plan": {
        "width": 640, "height": 360, "save": { "draft_folder": home.path().join("drafts") },
        "visuals": [{ "image_url": media("logo.png"), "duration": 2 }], "texts": [{ "text": "<b>&\"", "start": 0.5, "end": 1 }],
    } });
    let made = called(&mut client, "compose_draft", &plan);
    let folder = &made["structuredContent"]["report"]["folder"];
    assert!(folder.is_string(), "{made}");
    let shown = called(
        &mut client,
        "preview_frame",
        &json!({ "draft": folder, "at": 0.7 }),
    );
    let timeline = &shown["_meta"][TIMELINE];
    assert_eq!(
        timeline["tracks"][0]["clips"],
        json!([[0.5, 1.0, "<b>&\""]]),
        "{timeline}"
    );
    assert_eq!(shown["structuredContent"]["width"], 640, "{shown}");
    assert_eq!(shown["structuredContent"]["draft"], *folder);
    for (tool, arguments) in [
        ("preview_frame", json!({ "draft": folder, "at": 9 })),
        ("preview_frame", json!({ "draft_id": "none", "at": 0 })),
        (
            "compose_draft",
            json!({ "plan": { "visuals": [{ "image_url": "/none.png" }] } }),
        ),
    ] {
        let answer = client.request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        );
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(answer["result"]["_meta"].is_null(), "{answer}");
    }
    let planned = called(
        &mut client,
        "compose_draft",
        &json!({ "dry_run": true, "plan": { "texts": [{ "text": "a", "start": 0, "end": 1 }] } }),
    );
    assert!(planned["_meta"].is_null(), "{planned}");
}

#[test]
fn what_only_the_page_calls_is_not_for_models() {
    let home = Home::new();
    let (mut client, _) = connected(&home, &["--tools", "compose"], &apps());
    let listed = client.request("tools/list", json!({}));
    let listed = tools(&listed);
    let only_app = |ui: &Value| *ui == json!({ "visibility": ["app"] });
    assert_eq!(names(&listed, only_app), ["preview_frame"]);
    let plan =
        json!({ "plan": { "save": false, "texts": [{ "text": "a", "start": 0, "end": 1 }] } });
    let made = called(&mut client, "compose_draft", &plan);
    let frame = json!({ "draft": made["structuredContent"]["draft_id"], "at": 0.5 });
    image(&json!({ "result": called(&mut client, "preview_frame", &frame) }));

    let (mut plain, _) = connected(&home, &["--tools", "compose"], &json!({}));
    let answer = plain.request("tools/list", json!({}));
    assert_eq!(tools(&answer).len() + 1, listed.len());
    let refused = plain.request(
        "tools/call",
        json!({ "name": "preview_frame", "arguments": frame }),
    );
    assert!(refused["error"]["message"].is_string(), "{refused}");

    // What was left out stays out, and what shows no draft needs nothing.
    for arguments in [
        &["--tools", "compose", "--exclude", "preview_frame"][..],
        &["--tools", "job_status,add_text"],
    ] {
        let (mut client, _) = connected(&home, arguments, &apps());
        let listed = client.request("tools/list", json!({}));
        assert_eq!(names(&tools(&listed), only_app), [""; 0], "{arguments:?}");
        let refused = client.request(
            "tools/call",
            json!({ "name": "preview_frame", "arguments": frame }),
        );
        assert!(refused["error"]["message"].is_string(), "{refused}");
    }
}
