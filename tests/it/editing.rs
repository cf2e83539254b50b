//! Opening, inspecting, changing and undoing: drafts of the apps and our own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, Home, media};

/// A document in the form of CapCut 8.5, with titles, three main clips, a logo and music.
fn app_document() -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    fs::read_to_string(data.join("app.json")).expect("the document is in the repository")
}

/// A folder with that document, as the app keeps it.
fn app_draft(home: &Home, name: &str) -> PathBuf {
    let file = home.file(&format!("apps/{name}/draft_info.json"), app_document());
    file.parent().expect("a folder").to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn open(client: &mut Client, folder: &Path) -> String {
    let opened = client.call("open_draft", json!({ "draft": text(folder) }));
    let opened = opened.expect("the draft opens");
    opened["draft_id"].as_str().expect("an id").to_owned()
}

fn edit(client: &mut Client, draft: &str, operations: Value) -> Value {
    let arguments = json!({ "draft_id": draft, "operations": operations });
    client.call("edit_draft", arguments).expect("an edit")
}

fn document(client: &mut Client, draft: &str) -> String {
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    match read {
        Ok(read) => read["script"].as_str().expect("a text").to_owned(),
        Err(error) => panic!("{error}"),
    }
}

/// All rows of a draft, by clip id.
fn clip(client: &mut Client, draft: &str, id: &str) -> Option<Value> {
    let rows = client.call("inspect_draft", json!({ "draft_id": draft }));
    let rows = rows.expect("rows");
    let tracks = rows["tracks"].as_array().expect("tracks").clone();
    let mut clips = tracks
        .iter()
        .flat_map(|track| track["clips"].as_array().cloned().unwrap_or_default());
    clips.find(|clip| clip["id"] == id)
}

/// Documents to open: those of the repository, and more if they are on this machine.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("crates/capcut-draft/tests/data");
    let mut found: Vec<PathBuf> = fs::read_dir(own)
        .expect("documents in the repository")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    let more = root.join("../shared/app-drafts");
    match fs::read_dir(&more) {
        Ok(folders) => found.extend(
            folders
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        ),
        Err(_) => eprintln!(
            "skipped: the drafts in {} are not on this machine",
            more.display()
        ),
    }
    found
}

#[test]
fn every_document_opens_with_its_bytes_and_its_rows_fit_on_pages() {
    let home = Home::embedded();
    let mut client = home.connected();
    for path in documents() {
        let arguments = json!({ "draft": text(&path) });
        let opened = client.call("open_draft", arguments);
        let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let draft = opened["draft_id"].as_str().expect("an id").to_owned();
        let file = opened["file"].as_str().expect("its file");
        let bytes = fs::read_to_string(file).expect("a text");
        let read = home.call("query_script", &json!({ "draft_id": draft }));
        let read = read.expect("the document");
        assert!(read["script"] == bytes, "{}: other bytes", path.display());
        let (mut offset, mut clips) = (0, 0);
        loop {
            let arguments = json!({ "draft_id": draft, "offset": offset });
            let result = client.request(
                "tools/call",
                json!({ "name": "inspect_draft", "arguments": arguments }),
            );
            let result = &result["result"];
            let lines = result["content"][0]["text"].as_str().expect("lines");
            let rows = &result["structuredContent"];
            assert!(
                lines.len() <= 4096,
                "{}: {} bytes",
                path.display(),
                lines.len()
            );
            assert!(rows.to_string().len() <= 8192, "{}", path.display());
            let tracks = rows["tracks"].as_array().expect("tracks");
            let count: usize = tracks
                .iter()
                .map(|track| track["clips"].as_array().map_or(0, Vec::len))
                .sum();
            clips += count;
            match rows["next_offset"].as_u64() {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(
            Some(clips as u64),
            opened["clips"].as_u64(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn common_wishes_need_at_most_three_calls() {
    let home = Home::embedded();
    let folder = app_draft(&home, "假期 (1)");
    let before = app_document();
    let mut client = home.connected();

    // Change the title: open, edit.
    let draft = open(&mut client, &folder);
    let words = clip(&mut client, &draft, "c6").expect("the title")["words"].clone();
    let changed = edit(
        &mut client,
        &draft,
        json!([{ "op": "replace_text", "clip": "c6", "text": "A new title" }]),
    );
    assert_eq!(changed["clips"], json!(["c6"]));
    let row = clip(&mut client, &draft, "c6").expect("the title");
    assert_eq!(row["words"], "A new title");
    assert_ne!(row["words"], words);

    // Swap the second clip for a file.
    let file = media("clip.mp4");
    edit(
        &mut client,
        &draft,
        json!([{ "op": "replace_media", "clip": "c2", "media": text(&file), "length": "speed" }]),
    );
    // Everything after 10 s two seconds later: here from 7 s on.
    edit(
        &mut client,
        &draft,
        json!([{ "op": "shift", "from": 7, "by": 2 }]),
    );
    // Remove the music.
    edit(
        &mut client,
        &draft,
        json!([{ "op": "remove", "clip": "Music" }]),
    );
    assert_eq!(clip(&mut client, &draft, "c13"), None);
    let changed = document(&mut client, &draft);
    assert_ne!(changed, before);

    // Undo that.
    let undone = client.call("undo_draft", json!({ "draft_id": draft }));
    assert_eq!(undone.expect("undone")["undoable"], 3);
    assert!(clip(&mut client, &draft, "c13").is_some());
    let redone = client.call("undo_draft", json!({ "draft_id": draft, "redo": true }));
    assert_eq!(redone.expect("redone")["redoable"], 0);
    assert_eq!(document(&mut client, &draft), changed);
    let all = client.call("undo_draft", json!({ "draft_id": draft, "steps": 4 }));
    assert_eq!(all.expect("undone")["undoable"], 0);
    assert_eq!(document(&mut client, &draft), before);
    let nothing = client.call("undo_draft", json!({ "draft_id": draft }));
    assert!(nothing.expect_err("nothing is left").contains("no step"));
    let file = fs::read_to_string(folder.join("draft_info.json")).expect("its file");
    assert_eq!(file, before, "the app's file was not touched");
}

#[test]
fn what_was_not_asked_for_keeps_its_bytes() {
    let home = Home::embedded();
    let folder = app_draft(&home, "trip");
    let before = app_document();
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    edit(
        &mut client,
        &draft,
        json!([{ "op": "set", "clip": "c9", "rotation": 12.5 }]),
    );
    let after = document(&mut client, &draft);
    let same = before
        .bytes()
        .zip(after.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let rest = before
        .bytes()
        .rev()
        .zip(after.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let changed = &after[same..after.len() - rest];
    assert!(changed.len() < 10, "{changed}");
    assert!(changed.contains("12.5"), "{changed}");

    // A failing operation leaves nothing of the others.
    let failed = client.call(
        "edit_draft",
        json!({ "draft_id": draft, "operations": [
            { "op": "set", "clip": "c13", "volume": 0.5 },
            { "op": "set", "clip": "c13", "volume": 5000 },
        ] }),
    );
    assert!(failed.expect_err("too loud").contains("operations[1]"));
    assert_eq!(document(&mut client, &draft), after);
    let tried = client.call(
        "edit_draft",
        json!({ "draft_id": draft, "dry_run": true, "operations": [{ "op": "remove", "clip": "c1" }] }),
    );
    assert!(
        !tried.expect("a plan")["changes"]
            .as_array()
            .expect("changes")
            .is_empty()
    );
    assert_eq!(document(&mut client, &draft), after);
}

/// The document with a text that was cut in the middle of an emoji, and a number that is too large.
fn cut_document() -> String {
    let whole = app_document();
    assert_eq!(whole.matches("Bye").count(), 1);
    let cut = whole.replacen("Bye", r"Bye \\ud83d", 1);
    cut.replacen('{', "{\"cut\": \"\\ud83d\", \"big\": [-1e999], ", 1)
}

#[test]
fn a_draft_with_a_text_cut_in_an_emoji_is_opened_edited_saved_and_checked() {
    let home = Home::embedded();
    let before = cut_document();
    let file = home.file("apps/cut/draft_info.json", &before);
    let folder = file.parent().expect("a folder");
    let mut client = home.connected();
    let draft = open(&mut client, folder);
    assert_eq!(document(&mut client, &draft), before);
    let rows = client
        .call(
            "inspect_draft",
            json!({ "draft_id": draft, "query": "Bye" }),
        )
        .expect("rows");
    assert!(rows.to_string().contains("Bye \u{fffd}"), "{rows}");

    // What is beside such values is edited, and they keep their bytes.
    edit(
        &mut client,
        &draft,
        json!([
            { "op": "set", "clip": "Bye \u{fffd}", "font_size": 12 },
            { "op": "set", "clip": "c13", "volume": 0.5 },
            { "op": "rename", "name": "Cut" },
        ]),
    );
    let after = document(&mut client, &draft);
    for kept in [
        r#"{"cut": "\ud83d", "big": [-1e999], "#,
        r#"\"text\":\"Bye \\ud83d\""#,
    ] {
        assert!(after.contains(kept), "{kept}: {after}");
    }
    client
        .call("preview_draft", json!({ "draft_id": draft }))
        .expect("a picture");
    client
        .call("save_draft", json!({ "draft_id": draft }))
        .expect("a save");
    assert_eq!(fs::read_to_string(&file).expect("the document"), after);

    // The cut text is reported; new words repair it.
    let text = text(folder);
    let checked = home.run(&["lint", text]);
    for place in [
        "draft_info.json: cut",
        "draft_info.json: big[0]",
        "text-content",
    ] {
        assert!(
            checked.stdout.contains(place),
            "{place}: {}",
            checked.stdout
        );
    }
    edit(
        &mut client,
        &draft,
        json!([{ "op": "replace_text", "clip": "Bye \u{fffd}", "text": "Bye 😀" }]),
    );
    client
        .call("save_draft", json!({ "draft_id": draft }))
        .expect("a save");
    let checked = home.run(&["lint", text]);
    assert!(
        !checked.stdout.contains("text-content"),
        "{}",
        checked.stdout
    );
    client
        .call("undo_draft", json!({ "draft_id": draft, "steps": 2 }))
        .expect("undone");
    assert_eq!(document(&mut client, &draft), before);
}

#[test]
fn a_renamed_draft_is_found_by_its_new_name_until_that_is_undone() {
    let home = Home::embedded();
    let folder = app_draft(&home, "Opened");
    let mut client = home.connected();
    let own = client
        .call("create_draft", json!({ "name": "Made" }))
        .expect("a draft");
    let own = own["draft_id"].as_str().expect("an id").to_owned();
    let words = json!({ "draft_id": own, "text": "one", "start": 0, "end": 1 });
    client.call("add_text", words).expect("a text");
    let opened = open(&mut client, &folder);
    for (draft, name) in [(own, "Made"), (opened, "Opened")] {
        let other = format!("{name} 夏天");
        let second = format!("{name} again");
        for new in [&other, &second] {
            let rename = json!([{ "op": "rename", "name": "x" }, { "op": "rename", "name": new }]);
            edit(&mut client, &draft, rename);
            assert_eq!(listed_name(&mut client, &draft), *new);
        }
        // By its exact name, where an id is expected.
        let rows = client.call("inspect_draft", json!({ "draft_id": second }));
        assert_eq!(rows.expect("rows")["draft_id"], draft.as_str());
        for (arguments, expected) in [
            (json!({ "steps": 1 }), other.as_str()),
            (json!({ "steps": 1 }), name),
            (json!({ "steps": 2, "redo": true }), second.as_str()),
            (json!({ "steps": 2 }), name),
        ] {
            let mut arguments = arguments;
            arguments["draft_id"] = draft.clone().into();
            client.call("undo_draft", arguments).expect("undone");
            assert_eq!(listed_name(&mut client, &draft), expected);
        }
        let gone = client.call("inspect_draft", json!({ "draft_id": second }));
        assert!(gone.is_err(), "{gone:?}");
    }
}

/// The name of a draft in the list.
fn listed_name(client: &mut Client, draft: &str) -> String {
    let found = client.call("list_drafts", json!({ "query": draft }));
    let found = found.expect("a list");
    found["drafts"][0]["name"]
        .as_str()
        .expect("a name")
        .to_owned()
}

#[test]
fn an_edit_that_needs_a_number_that_is_too_large_is_refused_with_its_place() {
    let home = Home::embedded();
    let large = "\"target_timerange\":{\"start\":1e999,\"was\":";
    let whole = app_document().replacen("\"target_timerange\":{\"start\":", large, 1);
    assert!(whole.contains(large), "a clip");
    let file = home.file("apps/big/draft_info.json", &whole);
    let mut client = home.connected();
    let draft = open(&mut client, file.parent().expect("a folder"));
    let arguments =
        json!({ "draft_id": draft, "operations": [{ "op": "split", "clip": "c1", "at": 0.5 }] });
    let error = client.call("edit_draft", arguments).expect_err("refused");
    assert!(
        error.contains("tracks/0/segments/0/target_timerange/start is too large"),
        "{error}"
    );
    assert_eq!(document(&mut client, &draft), whole);
    edit(
        &mut client,
        &draft,
        json!([{ "op": "set", "clip": "c13", "volume": 0.5 }]),
    );
    assert!(document(&mut client, &draft).contains(large));
}

#[test]
fn wrong_names_are_answered_with_the_nearest() {
    let mut home = Home::embedded();
    let folder = app_draft(&home, "Summer trip");
    let apps = folder.parent().expect("a folder").to_owned();
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    let mut client = home.connected();
    let opened = client.call("open_draft", json!({ "draft": "Summer trip" }));
    let draft = opened.expect("by name")["draft_id"].clone();
    let error = client.call("open_draft", json!({ "draft": "Sumer trip" }));
    assert!(
        error
            .expect_err("no such draft")
            .contains("\"Summer trip\"")
    );
    let error = client.call("open_draft", json!({ "draft": text(&folder.join("gone")) }));
    assert!(
        error
            .expect_err("no such folder")
            .contains("does not exist")
    );
    let near = |operation: Value, part: &str, client: &mut Client| {
        let arguments = json!({ "draft_id": draft, "operations": [operation] });
        let error = client.call("edit_draft", arguments).expect_err("refused");
        assert!(error.contains(part), "{error}");
    };
    near(
        json!({ "op": "remove", "clip": "beech.mp4" }),
        "beach.mp4",
        &mut client,
    );
    near(
        json!({ "op": "mvoe", "clip": "c1" }),
        "\"move\"",
        &mut client,
    );
    near(
        json!({ "op": "set", "clip": "c1", "volum": 1 }),
        "\"volume\"",
        &mut client,
    );
    near(
        json!({ "op": "track", "track": "Titels", "mute": true }),
        "Titles",
        &mut client,
    );
    let error = client.call(
        "inspect_draft",
        json!({ "draft_id": draft, "query": "beech" }),
    );
    assert!(error.expect_err("no hit").contains("beach"));
    let other = format!("{}0", draft.as_str().expect("an id"));
    let error = client.call("inspect_draft", json!({ "draft_id": other }));
    assert!(
        error
            .expect_err("no draft")
            .contains(draft.as_str().expect("an id"))
    );
    // Decomposed characters, as macOS may write them.
    app_draft(&home, "Cafe\u{301} 假期(1)");
    let opened = client.call("open_draft", json!({ "draft": "Café 假期(1)" }));
    opened.expect("by its composed name");
}

/// Our own draft with a picture, two texts and music.
fn own_draft(client: &mut Client) -> String {
    let made = client.call(
        "create_draft",
        json!({ "width": 1080, "height": 1920, "name": "Own" }),
    );
    let draft = made.expect("a draft")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut add = |tool: &str, mut arguments: Value| {
        arguments["draft_id"] = draft.as_str().into();
        client.call(tool, arguments).expect("it is added");
    };
    add(
        "add_video",
        json!({ "video_url": text(&media("clip.mp4")), "target_start": 0, "end": 2 }),
    );
    add("add_text", json!({ "text": "First", "start": 0, "end": 1 }));
    add(
        "add_text",
        json!({ "text": "Second", "start": 1, "end": 2 }),
    );
    add(
        "add_audio",
        json!({ "audio_url": text(&media("music.mp3")), "end": 2 }),
    );
    draft
}

#[test]
fn our_own_drafts_are_edited_extended_undone_and_saved() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = own_draft(&mut client);
    let before = document(&mut client, &draft);
    edit(
        &mut client,
        &draft,
        json!([
            { "op": "replace_text", "clip": "First", "text": "Changed" },
            { "op": "set", "clip": "music.mp3", "volume": 0.25 },
        ]),
    );
    // Short ids do not depend on what is added later.
    assert_eq!(
        clip(&mut client, &draft, "c2").expect("a row")["words"],
        "Changed"
    );
    let added = client.call(
        "add_text",
        json!({ "draft_id": draft, "text": "Third", "start": 2, "end": 3 }),
    );
    added.expect("added to the edited draft");
    let added = client.call(
        "add_image",
        json!({ "draft_id": draft, "image_url": text(&media("picture.jpg")), "start": 0, "end": 1, "track_name": "logo" }),
    );
    added.expect("added on a new track");
    let taken = client.call(
        "add_text",
        json!({ "draft_id": draft, "text": "Over it", "start": 2.5, "end": 3.5 }),
    );
    assert!(taken.expect_err("occupied").contains("occupied"));
    assert_eq!(
        clip(&mut client, &draft, "c2").expect("a row")["words"],
        "Changed"
    );
    let edited = document(&mut client, &draft);
    for words in ["Changed", "Second", "Third"] {
        assert!(edited.contains(words), "{words}");
    }

    let saved = client.call("save_draft", json!({ "draft_id": draft, "portable": true }));
    let saved = saved.expect("saved");
    let folder = saved["folder"].as_str().or(saved["draft_folder"].as_str());
    let folder = folder.unwrap_or_else(|| panic!("{saved}"));
    let written = fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default();
            name == "draft_content.json" || name == "draft_info.json"
        });
    let written = fs::read_to_string(written.expect("a document")).expect("a text");
    assert!(
        written.contains("Changed") && written.contains("Third"),
        "{folder}"
    );
    assert!(!written.contains("First"));
    assert!(written.contains("\"volume\":0.25"));

    // Undone to before the edit, it is our own draft again, and everything can be brought back.
    let undone = client.call("undo_draft", json!({ "draft_id": draft, "steps": 3 }));
    let undone = undone.expect("undone");
    assert!(
        undone["notes"].to_string().contains("out of date"),
        "{undone}"
    );
    assert_eq!(document(&mut client, &draft), before);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("the music is undone");
    assert!(!document(&mut client, &draft).contains("music.mp3"));
    client
        .call(
            "undo_draft",
            json!({ "draft_id": draft, "redo": true, "steps": 4 }),
        )
        .expect("brought back");
    assert_eq!(document(&mut client, &draft), edited);
}

#[test]
fn a_checkpoint_is_returned_to() {
    let home = Home::embedded();
    let folder = app_draft(&home, "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    let change = |volume: f64, checkpoint: Option<&str>, client: &mut Client| {
        let arguments = json!({ "draft_id": draft, "checkpoint": checkpoint,
            "operations": [{ "op": "set", "clip": "c13", "volume": volume }] });
        let arguments: serde_json::Map<String, Value> = arguments
            .as_object()
            .expect("an object")
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        client
            .call("edit_draft", Value::Object(arguments))
            .expect("an edit");
    };
    change(0.5, Some("quiet"), &mut client);
    let quiet = document(&mut client, &draft);
    change(0.6, None, &mut client);
    change(0.7, None, &mut client);
    let back = client.call(
        "undo_draft",
        json!({ "draft_id": draft, "checkpoint": "quiet" }),
    );
    assert_eq!(
        back.expect("undone")["steps"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(document(&mut client, &draft), quiet);
    let wrong = client.call(
        "undo_draft",
        json!({ "draft_id": draft, "checkpoint": "quit" }),
    );
    assert!(wrong.expect_err("unknown").contains("quiet"));
    // Of two checkpoints with one name, the last one that stands.
    let back = |client: &mut Client| {
        let arguments = json!({ "draft_id": draft, "checkpoint": "quiet" });
        client.call("undo_draft", arguments)
    };
    change(0.8, Some("quiet"), &mut client);
    let later = document(&mut client, &draft);
    change(0.9, None, &mut client);
    back(&mut client).expect("undone");
    assert_eq!(document(&mut client, &draft), later);
    let error = back(&mut client).expect_err("already there");
    assert!(error.contains("already"), "{error}");
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(document(&mut client, &draft), quiet);
    change(1.0, None, &mut client);
    back(&mut client).expect("undone");
    assert_eq!(document(&mut client, &draft), quiet);
}

#[test]
fn acknowledged_edits_survive_a_kill() {
    let home = Home::embedded();
    let folder = app_draft(&home, "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    for round in 1..=5 {
        let clip = edit(
            &mut client,
            &draft,
            json!([{ "op": "split", "clip": "c13", "at": f64::from(10 - round) - 2.0 }]),
        );
        assert!(!clip["changes"].as_array().expect("changes").is_empty());
        let acknowledged = document(&mut client, &draft);
        client.child.kill().expect("killed");
        client.child.wait().expect("it ended");
        client = home.connected();
        assert_eq!(document(&mut client, &draft), acknowledged);
    }
}

#[test]
fn drafts_are_shown_edited_and_compared_at_a_shell() {
    let mut home = Home::embedded();
    let folder = app_draft(&home, "Summer trip");
    let apps = folder.parent().expect("a folder").to_owned();
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    let shown = home.run(&["show", "Summer trip"]).success();
    assert!(shown.stdout.contains("beach.mp4"), "{}", shown.stdout);
    let edited = home
        .run(&[
            "edit",
            text(&folder),
            "replace_text c6 \"New title\"",
            "set c13 volume=0.5",
        ])
        .success();
    let draft = edited.stdout.lines().last().unwrap_or_default();
    let draft = draft.trim_start_matches("draft ").to_owned();
    let operations = home.file("operations.yaml", "- {op: remove, clip: c13}\n");
    home.run(&[
        "edit",
        &draft,
        "--file",
        text(&operations),
        "--checkpoint",
        "silent",
    ])
    .success();
    let history = home.run(&["history", &draft]).success();
    assert!(history.stdout.contains("New title") && history.stdout.contains("[silent]"));
    let same = home.run(&["diff", &draft, &draft]);
    assert_eq!(same.code, 0, "{}", same.stderr);
    let differs = home.run(&["diff", text(&folder), &draft]);
    assert_eq!(differs.code, 1, "{}", differs.stderr);
    assert!(differs.stdout.contains("New title"), "{}", differs.stdout);
    assert!(
        differs.stdout.contains("removed: audio"),
        "{}",
        differs.stdout
    );
    let unknown = home.run(&["show", "Sumer trip"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("Summer trip"),
        "{}",
        unknown.stderr
    );
}

/// A home whose apps have "Summer trip", with its own file of facts, and an encrypted draft.
fn home_with_apps() -> Home {
    let mut home = Home::embedded();
    let folder = app_draft(&home, "Summer trip");
    let meta = json!({ "draft_name": "Summer trip (Porto)", "tm_duration": 12_500_000 });
    home.file("apps/Summer trip/draft_meta_info.json", meta.to_string());
    app_draft(&home, "Plain");
    let encrypted = "r3fKa8Zt0hRkQmV5c29tZXRoaW5nIGVuY3J5cHRlZA==";
    home.file("apps/Locked/draft_content.json", encrypted);
    let apps = folder.parent().expect("a folder").to_owned();
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    home
}

#[test]
fn drafts_of_the_apps_are_listed() {
    let home = home_with_apps();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({ "name": "Mine" }));
    let made = made.expect("a draft")["draft_id"].clone();
    let mut list = |arguments: Value| {
        let list = client.call("list_drafts", arguments).expect("a list");
        list["drafts"].as_array().expect("drafts").clone()
    };
    let here = list(json!({}));
    assert_eq!(here, list(json!({ "where": "here" })));
    assert_eq!(here.len(), 1);
    assert_eq!(here[0]["draft_id"], made);
    let app = list(json!({ "where": "app" }));
    let named = |name: &str| {
        let found = app.iter().find(|draft| draft["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {app:?}")).clone()
    };
    assert_eq!(app.len(), 3);
    let trip = named("Summer trip (Porto)");
    assert_eq!(trip["duration"], 12.5);
    assert_eq!(trip["encrypted"], false);
    assert!(trip["modified"].as_i64() > Some(1_600_000_000), "{trip}");
    let folder = trip["folder"].as_str().expect("its folder");
    assert!(Path::new(folder).ends_with("Summer trip"), "{folder}");
    assert_eq!(named("Plain")["duration"], 10.0);
    assert_eq!(named("Locked")["encrypted"], true);
    assert_eq!(named("Locked")["duration"], Value::Null);
    let all = list(json!({ "where": "all" }));
    assert_eq!(all.len(), 4);
    let page = list(json!({ "where": "all", "limit": 2, "offset": 2 }));
    assert_eq!(page, all[2..]);
    let found = list(json!({ "where": "all", "query": "PORTO" }));
    assert_eq!(found.len(), 1);
    let wrong = home.call("list_drafts", &json!({ "where": "apps" }));
    assert!(wrong.expect_err("no such place").1.contains("app"));
}

#[test]
fn unknown_drafts_that_an_app_has_are_opened_with_open_draft() {
    let home = home_with_apps();
    let mut client = home.connected();
    client
        .call("create_draft", json!({ "name": "Other" }))
        .expect("a draft");
    for (named, shown) in [
        ("Summer trip", "\"Summer trip"),
        ("Summer trip (Porto)", "\"Summer trip (Porto)\""),
        ("Sumer trip", "\"Summer trip\""),
    ] {
        for tool in ["inspect_draft", "query_script"] {
            let error = client.call(tool, json!({ "draft_id": named }));
            let error = error.expect_err("not here");
            assert!(
                error.contains("`open_draft`") && error.contains(shown),
                "{tool} {named}: {error}"
            );
        }
    }
    let error = client.call("inspect_draft", json!({ "draft_id": "Something else" }));
    let error = error.expect_err("nowhere");
    assert!(!error.contains("Summer"), "{error}");
    // `open_draft` and templates suggest the drafts here as well.
    let error = client.call("apply_template", json!({ "draft": "Othr" }));
    assert!(error.expect_err("nowhere").contains("\"Other\""));
}

#[test]
fn a_duplicate_has_an_id_and_a_history_of_its_own() {
    let home = home_with_apps();
    let mut client = home.connected();
    let mine = own_draft(&mut client);
    edit(
        &mut client,
        &mine,
        json!([{ "op": "replace_text", "clip": "First", "text": "Changed" }]),
    );
    let opened = client.call("open_draft", json!({ "draft": "Plain" }));
    let opened = opened.expect("opened")["draft_id"].clone();
    let opened = opened.as_str().expect("an id").to_owned();
    edit(
        &mut client,
        &opened,
        json!([{ "op": "remove", "clip": "c6" }]),
    );
    for (draft, name, words) in [(mine, "Own copy", "c3"), (opened, "Plain copy", "c7")] {
        let before = document(&mut client, &draft);
        let copied = client.call("open_draft", json!({ "draft": draft, "duplicate": true }));
        let copied = copied.expect("a copy");
        assert_eq!(copied["name"], name, "{copied}");
        let copy = copied["draft_id"].as_str().expect("an id").to_owned();
        assert_ne!(copy, draft);
        let undone = client.call("undo_draft", json!({ "draft_id": copy }));
        assert!(undone.expect_err("a new history").contains("no step"));
        edit(
            &mut client,
            &copy,
            json!([{ "op": "replace_text", "clip": words, "text": "Only here" }]),
        );
        assert_eq!(document(&mut client, &draft), before);
        assert!(document(&mut client, &copy).contains("Only here"));
        let undone = client.call("undo_draft", json!({ "draft_id": copy }));
        assert_eq!(undone.expect("undone")["undoable"], 0);
        let diff = home.run(&["diff", &draft, &copy]);
        assert_eq!(diff.code, 0, "{}{}", diff.stdout, diff.stderr);
    }
    let of_app = client.call(
        "open_draft",
        json!({ "draft": "Summer trip", "duplicate": true }),
    );
    assert_eq!(of_app.expect("a copy")["name"], "Summer trip (Porto) copy");
}

#[test]
fn a_run_of_a_plan_is_one_step_of_undo() {
    let home = Home::embedded();
    let mut client = home.connected();
    let first = json!({ "name": "Run", "save": false, "texts": [
        { "text": "one", "start": 0, "end": 1 },
        { "text": "two", "start": 1, "end": 2 },
        { "text": "three", "start": 2, "end": 3 },
    ], "visuals": [{ "image_url": text(&media("picture.jpg")), "duration": 3 }] });
    let made = client.call("compose_draft", json!({ "plan": first }));
    let draft = made.expect("made")["draft_id"].clone();
    let id = draft.as_str().expect("an id").to_owned();
    let composed = document(&mut client, &id);
    let mut second = first.clone();
    let more = [
        json!({ "text": "four", "start": 3, "end": 4 }),
        json!({ "text": "five", "start": 4, "end": 5 }),
    ];
    second["texts"].as_array_mut().expect("texts").extend(more);
    let resumed = client.call("compose_draft", json!({ "plan": second, "resume": id }));
    resumed.expect("resumed");
    let longer = document(&mut client, &id);
    edit(
        &mut client,
        &id,
        json!([{ "op": "replace_text", "clip": "five", "text": "5" }]),
    );
    let edited = document(&mut client, &id);

    let history = home.run(&["history", &id, "--json"]).success();
    let history: Value = serde_json::from_str(&history.stdout).expect("JSON");
    let steps = history["steps"].as_array().expect("steps");
    let calls: Vec<u64> = steps
        .iter()
        .filter_map(|step| step["calls"].as_u64())
        .collect();
    assert_eq!(calls, [4, 2, 1], "{history}");
    let mut undo = |arguments: Value, left: u64, expected: Option<&str>| {
        let mut arguments = arguments;
        arguments["draft_id"] = id.as_str().into();
        let undone = client.call("undo_draft", arguments).expect("undone");
        assert_eq!(undone["undoable"], left, "{undone}");
        if let Some(expected) = expected {
            assert!(document(&mut client, &id) == expected, "{undone}");
        }
    };
    undo(json!({}), 2, Some(&longer));
    undo(json!({}), 1, Some(&composed));
    undo(json!({}), 0, None);
    undo(json!({ "redo": true }), 1, Some(&composed));
    undo(json!({ "redo": true, "steps": 2 }), 3, Some(&edited));
    undo(json!({ "steps": 2 }), 1, Some(&composed));
}

/// On the compact form, on a document, and across the edit between them.
#[test]
fn each_call_of_an_own_draft_is_undone_and_brought_back() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({ "name": "Own" }));
    let draft = made.expect("made")["draft_id"].clone();
    let id = draft.as_str().expect("an id").to_owned();
    home.file("one.srt", "1\n00:00:00,000 --> 00:00:01,000\ncaption\n");
    let srt = home.path().join("one.srt");
    let calls = |at: u32| {
        let span = |mut arguments: Value| {
            arguments["start"] = at.into();
            arguments["end"] = (at + 1).into();
            arguments
        };
        let sound = json!({ "audio_url": text(&media("music.mp3")), "end": 1, "target_start": at });
        let clip = json!({ "video_url": text(&media("clip.mp4")), "end": 1, "target_start": at });
        let point = json!({ "track_name": "image_main", "property_type": "alpha",
            "time": f64::from(at) + 0.5, "value": "0.5" });
        [
            ("add_text", span(json!({ "text": "words" }))),
            (
                "add_image",
                span(json!({ "image_url": text(&media("logo.png")) })),
            ),
            ("add_video", clip),
            ("add_audio", sound),
            ("add_subtitle", json!({ "srt": srt, "time_offset": at })),
            (
                "add_sticker",
                span(json!({ "sticker_id": "7107529669750066445" })),
            ),
            ("add_effect", span(json!({ "effect_type": "Flicker" }))),
            ("add_video_keyframe", point),
        ]
    };
    let mut states = vec![document(&mut client, &id)];
    for at in [0, 2] {
        for (tool, mut arguments) in calls(at) {
            arguments["draft_id"] = id.as_str().into();
            let added = client.call(tool, arguments);
            added.unwrap_or_else(|error| panic!("{tool} at {at}: {error}"));
            let now = document(&mut client, &id);
            assert_ne!(now, states[states.len() - 1], "{tool} at {at}");
            states.push(now);
        }
        if at == 0 {
            let volume = json!([{ "op": "set", "clip": "music.mp3", "volume": 0.5 }]);
            edit(&mut client, &id, volume);
            states.push(document(&mut client, &id));
        }
    }
    let undo = |client: &mut Client, redo: bool| {
        let arguments = json!({ "draft_id": id, "redo": redo });
        client.call("undo_draft", arguments)
    };
    for left in (0..states.len() - 1).rev() {
        let undone = undo(&mut client, false).expect("undone");
        assert_eq!(undone["undoable"], left, "{undone}");
        assert!(document(&mut client, &id) == states[left], "{undone}");
    }
    let nothing = undo(&mut client, false).expect_err("at the beginning");
    assert!(nothing.contains("no step"), "{nothing}");
    // Another process brings them back.
    let mut client = home.connected();
    for state in &states[1..] {
        let redone = undo(&mut client, true).expect("brought back");
        assert!(document(&mut client, &id) == *state, "{redone}");
    }
    let nothing = undo(&mut client, true).expect_err("at the end");
    assert!(nothing.contains("nothing was undone"), "{nothing}");
    // Beyond the beginning: nothing changes.
    let steps = states.len();
    let beyond = json!({ "draft_id": id, "steps": steps });
    let error = client.call("undo_draft", beyond).expect_err("too many");
    assert!(
        error.contains(&steps.to_string()) && error.contains(&(steps - 1).to_string()),
        "{error}"
    );
    assert!(document(&mut client, &id) == states[steps - 1]);
    // After another change, what was undone stays undone.
    undo(&mut client, false).expect("undone");
    let more = json!({ "draft_id": id, "text": "more", "start": 8, "end": 9 });
    client.call("add_text", more).expect("added");
    let changed = document(&mut client, &id);
    let error = undo(&mut client, true).expect_err("changed since");
    assert!(error.contains("since its last change"), "{error}");
    assert!(document(&mut client, &id) == changed);
    undo(&mut client, false).expect("undone");
    assert!(document(&mut client, &id) == states[steps - 2]);
    undo(&mut client, true).expect("brought back");
    assert!(document(&mut client, &id) == changed);
}

#[test]
fn a_run_on_a_server_is_one_step_after_the_draft_moved_here() {
    let there = Home::embedded();
    let served = there.engine(&[]);
    let mut home = Home::new();
    home.api(&served.url);
    let mut client = home.connected();
    let plan = json!({ "name": "Far", "save": false, "texts": [
        { "text": "one", "start": 0, "end": 1 },
        { "text": "two", "start": 1, "end": 2 },
    ] });
    let made = client.call("compose_draft", json!({ "plan": plan }));
    let made = made.expect("made");
    assert_eq!(made["report"]["backend"], "remote", "{made}");
    let undone = client.call("undo_draft", json!({ "draft_id": made["draft_id"] }));
    let undone = undone.expect("undone");
    assert_eq!(undone["undoable"], 0, "{undone}");
    assert_eq!(undone["redoable"], 1, "{undone}");
    let here = undone["draft_id"].as_str().expect("an id");
    assert!(!document(&mut client, here).contains("two"));
}

/// A draft with a text on a server, and the home of a client of that server.
fn draft_on_a_server(home: &mut Home, url: &str) -> String {
    home.api(url);
    let made = home
        .call("create_draft", &json!({ "name": "Far" }))
        .expect("made");
    assert_eq!(made["backend"], "remote", "{made}");
    let id = made["draft_id"].as_str().expect("an id").to_owned();
    let hello = json!({ "draft_id": id, "text": "Hello", "start": 0, "end": 2 });
    home.call("add_text", &hello).expect("added");
    id
}

#[test]
fn with_the_backend_remote_edits_are_refused_and_nothing_changes() {
    let there = Home::embedded();
    let served = there.engine(&[]);
    let mut home = Home::new();
    let id = draft_on_a_server(&mut home, &served.url);
    let script = || {
        let script = served.output("/query_script", &json!({ "draft_id": id }));
        script.expect("the server's draft")
    };
    let listed = || home.call("list_drafts", &json!({})).expect("drafts")["drafts"].clone();
    let (before, drafts) = (script(), listed());
    let remote = ["--backend", "remote"];
    let all = [
        json!([{ "op": "set", "clip": "Hello", "font_size": 12 }]),
        json!([{ "op": "replace_text", "clip": "Hello", "text": "Bye" }]),
        json!([{ "op": "move", "clip": "Hello", "at": 4 }]),
        json!([{ "op": "remove", "clip": "Hello" }]),
    ];
    for operations in all {
        let edit = json!({ "draft_id": id, "operations": operations });
        let (_, error) = home
            .call_with(&remote, "edit_draft", &edit)
            .expect_err("refused");
        assert!(
            error.contains("`edit_draft` runs on the embedded engine")
                && error.contains("`--backend remote` allows only a server"),
            "{error}"
        );
    }
    let undo = json!({ "draft_id": id });
    let (_, error) = home
        .call_with(&remote, "undo_draft", &undo)
        .expect_err("refused");
    assert!(
        error.contains("`undo_draft` runs on the embedded engine"),
        "{error}"
    );
    assert_eq!(script(), before);
    assert_eq!(listed(), drafts);
    // The draft stays usable on its server.
    let more = json!({ "draft_id": id, "text": "More", "start": 2, "end": 3 });
    home.call_with(&remote, "add_text", &more).expect("added");
}

#[test]
fn the_old_id_answers_after_an_edit_moved_the_draft_here() {
    let there = Home::embedded();
    let served = there.engine(&[]);
    let mut home = Home::new();
    let id = draft_on_a_server(&mut home, &served.url);
    let edit = |text: &str, new: &str| {
        let operations = json!([{ "op": "replace_text", "clip": text, "text": new }]);
        home.call(
            "edit_draft",
            &json!({ "draft_id": id, "operations": operations }),
        )
    };
    let edited = edit("Hello", "Bye").expect("edited");
    let new = edited["draft_id"].as_str().expect("an id").to_owned();
    assert_ne!(new, id);
    let said = edited["notes"].to_string();
    assert!(
        said.contains(&new) && said.contains("keep the server's copy"),
        "{edited}"
    );
    // The old id answers and says where the draft is now, for tools of servers as well.
    let again = edit("Bye", "Hello again").expect("edited");
    assert_eq!(again["draft_id"], new.as_str(), "{again}");
    let added = home
        .call(
            "add_text",
            &json!({ "draft_id": id, "text": "More", "start": 10, "end": 11, "track_name": "more" }),
        )
        .expect("added");
    let notes = added["notes"].to_string();
    assert!(notes.contains(&format!("continues as {new}")), "{added}");
    let rows = home
        .call("inspect_draft", &json!({ "draft_id": id }))
        .expect("rows");
    assert!(rows.to_string().contains("More"), "{rows}");
    // Also where no server is used.
    let embedded = ["--backend", "embedded"];
    let late = json!({ "draft_id": id, "text": "Late", "start": 12, "end": 13 });
    for (tool, arguments) in [
        ("add_text", late),
        ("query_script", json!({ "draft_id": id })),
    ] {
        let reply = home.call_with(&embedded, tool, &arguments);
        let reply = reply.unwrap_or_else(|(_, error)| panic!("{tool}: {error}"));
        assert!(
            reply["notes"].to_string().contains(&new) || reply["draft_id"] == new.as_str(),
            "{tool}: {reply}"
        );
    }
    assert!(document(&mut home.connected(), &new).contains("Late"));
    let rows = home
        .call("inspect_draft", &json!({ "draft_id": new }))
        .expect("rows");
    assert!(rows.to_string().contains("Hello again"), "{rows}");
    let theirs = served.output("/query_script", &json!({ "draft_id": id }));
    assert!(theirs.expect("their draft").to_string().contains("Hello"));
}
