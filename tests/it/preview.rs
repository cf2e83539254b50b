//! Previews of the timeline, over MCP and from a shell, for drafts on the engine and on a server.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::support::{Client, Home, media};

fn fill(client: &mut Client) -> Value {
    let draft = client
        .call("create_draft", json!({ "name": "Trip" }))
        .unwrap();
    let draft = draft["draft_id"].clone();
    let clip = media("clip.mp4").display().to_string();
    for (start, target) in [(0, 0), (1, 1)] {
        client
            .call(
                "add_video",
                json!({
                    "draft_id": draft, "video_url": clip, "start": start, "end": start + 1, "target_start": target,
                    "transition": "Dissolve", "transition_duration": 0.4
                }),
            )
            .unwrap();
    }
    let caption = json!({ "draft_id": draft, "text": "Grüße <1> & 2", "start": 0.5, "end": 1.5 });
    client.call("add_text", caption).unwrap();
    draft
}

/// Checks the picture that a client receives and the files on disk.
fn check(client: &mut Client) {
    client.initialize("2025-11-25");
    let draft = fill(client);
    let params = json!({ "name": "preview_draft", "arguments": { "draft_id": draft } });
    let answer = client.request("tools/call", params);
    let content = answer["result"]["content"].as_array().expect("content");
    let kinds: Vec<_> = content.iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "image"], "{answer}");
    assert_eq!(content[1]["mimeType"], "image/png");
    let data = content[1]["data"].as_str().expect("base64");
    let png = BASE64_STANDARD.decode(data).expect("base64");
    let shown = Pixmap::decode_png(&png).expect("a PNG");
    assert!(shown.width().max(shown.height()) <= 1568 && png.len() < 1 << 20);
    // The picture is not empty: background, clip, caption.
    for colour in [[0xff, 0xff, 0xff], [0x2f, 0x6f, 0xed], [0xb4, 0x57, 0x2f]] {
        let pixels = shown.pixels().iter();
        let count = pixels
            .filter(|pixel| [pixel.red(), pixel.green(), pixel.blue()] == colour)
            .count();
        assert!(count > 2000, "{colour:?}: {count} pixels");
    }

    let reply = &answer["result"]["structuredContent"];
    assert_eq!(
        (&reply["tracks"], &reply["clips"], &reply["duration"]),
        (&json!(2), &json!(3), &json!(2.0)),
        "{reply}"
    );
    let file = |key: &str| std::fs::read(reply[key].as_str().expect("a path")).expect("a file");
    assert_eq!(file("png"), png);
    let svg = String::from_utf8(file("svg")).expect("UTF-8");
    for words in [
        "Trip · ",
        "Dissolve",
        "Grüße &lt;1&gt; &amp; 2",
        "0:00.5 – 0:01.5",
    ] {
        assert!(svg.contains(words), "{words:?} in {svg}");
    }
}

#[test]
fn a_client_receives_a_preview_of_a_draft_on_the_engine() {
    let home = Home::new();
    check(&mut home.serve_with(&["serve", "--backend", "embedded"]));
}

#[test]
fn a_client_receives_a_preview_of_a_draft_on_a_server() {
    let theirs = Home::new();
    let examples = media("clip.mp4");
    let folder = examples.parent().expect("a folder").display().to_string();
    let server = theirs.engine(&["--allow-dir", &folder]);
    let mut home = Home::new();
    home.api(&server.url);
    check(&mut home.serve_with(&["serve", "--backend", "remote"]));
}

#[test]
fn a_shell_receives_the_files_and_can_preview_a_part() {
    let home = Home::new();
    let call =
        |tool: &str, arguments: Value| home.call_with(&["--backend", "embedded"], tool, &arguments);
    let draft = call("create_draft", json!({})).unwrap()["draft_id"].clone();
    let caption = |text: &str, start: u32| json!({ "draft_id": draft, "text": text, "start": start, "end": start + 2 });
    call("add_text", caption("early", 0)).unwrap();
    call("add_text", caption("late", 40)).unwrap();
    let all = call("preview_draft", json!({ "draft_id": draft })).unwrap();
    let part = json!({ "draft_id": draft, "start": 39, "end": 43 });
    let part = call("preview_draft", part).unwrap();
    assert_eq!((&all["clips"], &part["clips"]), (&json!(2), &json!(1)));
    let read = |reply: &Value| std::fs::read_to_string(reply["svg"].as_str().unwrap()).unwrap();
    assert!(read(&all).contains("early") && !read(&part).contains("early"));
    assert!(read(&part).contains("late"));

    let dark = json!({ "draft_id": draft, "theme": "dark" });
    let dark = call("preview_draft", dark).unwrap();
    assert_ne!(dark["png"], all["png"]);
    assert!(read(&dark).contains("#16181d") && !read(&all).contains("#16181d"));
    let grey = json!({ "draft_id": draft, "theme": "grey" });
    let (code, told) = call("preview_draft", grey).unwrap_err();
    assert_eq!(code, 2);
    assert!(told.contains("light") && told.contains("dark"), "{told}");

    let beyond = json!({ "draft_id": draft, "start": 50 });
    let (code, told) = call("preview_draft", beyond).unwrap_err();
    assert_eq!(code, 2);
    assert!(told.contains("50 s") && told.contains("42 s"), "{told}");
    let unknown = json!({ "draft_id": "dfd_cat_1_0" });
    assert_eq!(call("preview_draft", unknown).unwrap_err().0, 2);
}
