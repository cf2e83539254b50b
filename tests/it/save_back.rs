//! Drafts that were opened are saved into their folders, or as copies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::racy::mix;
use crate::support::{Client, Home, full, media};

/// A document of the crate's tests.
fn data(name: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    fs::read(data.join(name)).expect("the document is in the repository")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// All files in a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(folder).expect("inside");
            let bytes = fs::read(&path).expect("a file");
            found.insert(text(inside).replace('\\', "/"), bytes);
        }
    }
    found
}

/// A draft folder of an app, with the mirrors that it keeps.
struct Kind {
    name: &'static str,
    document: Vec<u8>,
    /// The files that contain the document.
    mirrors: &'static [&'static str],
}

const ID: &str = "734CDCF0-7107-550A-8E99-18CA5B1BE1B7";

fn kinds() -> Vec<Kind> {
    vec![
        Kind {
            name: "CapCut 8.5 on macOS",
            document: data("app.json"),
            mirrors: &["draft_info.json", "draft_info.json.bak", "template-2.tmp"],
        },
        Kind {
            name: "CapCut with Timelines",
            document: data("app.json"),
            mirrors: &[
                "draft_content.json",
                "draft_content.json.bak",
                "template-2.tmp",
                "Timelines/734CDCF0-7107-550A-8E99-18CA5B1BE1B7/draft_content.json",
                "Timelines/734CDCF0-7107-550A-8E99-18CA5B1BE1B7/draft_content.json.bak",
                "Timelines/734CDCF0-7107-550A-8E99-18CA5B1BE1B7/template-2.tmp",
            ],
        },
        Kind {
            name: "JianYing 11.5, sparse",
            document: data("sparse.json"),
            mirrors: &["draft_content.json", "template-2.tmp"],
        },
        Kind {
            name: "of this program",
            document: data("finished.json"),
            mirrors: &["draft_content.json", "draft_info.json"],
        },
        Kind {
            name: "escaped",
            document: data("escapes.json"),
            mirrors: &["draft_content.json"],
        },
        Kind {
            name: "without a list of drafts",
            document: data("small.json"),
            mirrors: &["draft_info.json"],
        },
    ]
}

/// Writes the draft into a drafts folder with a list, as the app keeps it; returns its folder.
fn app_draft(home: &Home, kind: &Kind, name: &str) -> PathBuf {
    let root = home.path().join("apps");
    let folder = root.join(name);
    let file = |inside: &str, bytes: &[u8]| home.file(&format!("apps/{name}/{inside}"), bytes);
    for mirror in kind.mirrors {
        file(mirror, &kind.document);
    }
    let meta = format!(
        "{{\n  \"draft_fold_path\": {},\n  \"draft_id\": \"FA0DA377\",\n  \"draft_materials\": [{{\"type\": 0, \"value\": []}}, {{\"type\": 1, \"value\": []}}],\n  \"draft_name\": {},\n  \"draft_timeline_materials_size_\": 100,\n  \"tm_draft_cloud_entry_id\": 77,\n  \"tm_draft_modified\": 1700000000000000,\n  \"tm_duration\": 1,\n  \"unknown\": 1.50\n}}",
        json!(text(&folder)),
        json!(name)
    );
    file("draft_meta_info.json", meta.as_bytes());
    file(
        "draft_virtual_store.json",
        br#"{"draft_virtual_store":[{"type":0,"value":[]},{"type":1,"value":[]}]}"#,
    );
    file("beach.mp4", &fs::read(media("clip.mp4")).expect("a file"));
    if kind
        .mirrors
        .iter()
        .any(|mirror| mirror.starts_with("Timelines"))
    {
        let project = json!({ "create_time": 1, "id": "P", "main_timeline_id": ID, "update_time": 1,
            "timelines": [{ "id": ID, "name": "Timeline 01", "update_time": 1 }] });
        file("Timelines/project.json", project.to_string().as_bytes());
        let layout =
            json!({ "dockItems": [{ "timelineIds": [ID], "timelineNames": ["Timeline 01"] }] });
        file("timeline_layout.json", layout.to_string().as_bytes());
        file(&format!("Timelines/{ID}/draft.extra"), b"{}");
    }
    let list = json!({ "all_draft_store": [
        { "draft_fold_path": text(&folder), "draft_name": name, "draft_id": "FA0DA377", "tm_duration": 1,
          "tm_draft_modified": 1, "own_key": "kept" },
        { "draft_fold_path": text(&root.join("other")), "draft_name": "other", "tm_duration": 3, "tm_draft_modified": 9 },
    ], "draft_ids": 2, "root_path": text(&root) });
    home.file("apps/root_meta_info.json", list.to_string());
    folder
}

fn list_entry(folder: &Path) -> Value {
    let list = fs::read(folder.with_file_name("root_meta_info.json")).expect("the list");
    let list: Value = serde_json::from_slice(&list).expect("JSON");
    let entries = list["all_draft_store"].as_array().expect("entries").clone();
    let mut entries = entries.into_iter();
    let found = entries.find(|entry| entry["draft_fold_path"] == text(folder));
    found.expect("the draft is listed")
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn open(client: &mut Client, draft: &Path) -> String {
    let opened = client.call("open_draft", json!({ "draft": text(draft) }));
    let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", draft.display()));
    opened["draft_id"].as_str().expect("an id").to_owned()
}

fn edit(client: &mut Client, draft: &str, operations: Value) {
    let arguments = json!({ "draft_id": draft, "operations": operations });
    client.call("edit_draft", arguments).expect("an edit");
}

fn resize(client: &mut Client, draft: &str, width: u32) {
    edit(
        client,
        draft,
        json!([{ "op": "canvas", "width": width, "height": 1920 }]),
    );
}

fn save(client: &mut Client, draft: &str, more: Value) -> Result<Value, String> {
    let mut arguments = json!({ "draft_id": draft });
    for (name, value) in more.as_object().expect("arguments") {
        arguments[name] = value.clone();
    }
    client.call("save_draft", arguments)
}

fn saved(client: &mut Client, draft: &str) -> Value {
    save(client, draft, json!({})).unwrap_or_else(|error| panic!("{draft}: {error}"))
}

fn script(client: &mut Client, draft: &str) -> Vec<u8> {
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    let read = read.expect("a document");
    read["script"].as_str().expect("a text").as_bytes().to_vec()
}

#[test]
fn every_copy_of_the_document_in_a_folder_is_saved() {
    for (number, kind) in kinds().iter().enumerate() {
        let home = Home::embedded();
        let folder = app_draft(&home, kind, &format!("假期 ({number})"));
        let before = files(&folder);
        let mut client = home.connected();
        let draft = open(&mut client, &folder);

        // Without an edit nothing is written.
        let nothing = saved(&mut client, &draft);
        assert!(
            nothing["notes"].to_string().contains("nothing was written"),
            "{nothing}"
        );
        assert_eq!(files(&folder), before, "{}", kind.name);

        resize(&mut client, &draft, 1000);
        let reply = saved(&mut client, &draft);
        assert_eq!(reply["folder"], text(&folder), "{reply}");
        assert_eq!(reply["registered"], true, "{reply}");
        let edited = script(&mut client, &draft);
        assert_ne!(edited, kind.document, "{}", kind.name);
        let after = files(&folder);
        assert_eq!(
            after.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>(),
            "{}: no file is new",
            kind.name
        );
        for (name, bytes) in &after {
            if kind.mirrors.contains(&&**name) {
                assert!(*bytes == edited, "{}: {name}", kind.name);
            } else if !["draft_meta_info.json", "Timelines/project.json"].contains(&&**name) {
                assert!(*bytes == before[name], "{}: {name}", kind.name);
            }
        }
        // What the app keeps about the draft agrees; the rest of these files keeps its bytes.
        let entry = list_entry(&folder);
        let meta = String::from_utf8(after["draft_meta_info.json"].clone()).expect("text");
        assert!(meta.contains("\n  \"unknown\": 1.50\n}"), "{meta}");
        let meta: Value = serde_json::from_str(&meta).expect("JSON");
        assert_eq!(entry["tm_duration"], meta["tm_duration"]);
        assert_eq!(entry["tm_draft_modified"], meta["tm_draft_modified"]);
        assert_eq!(
            (&entry["own_key"], &entry["draft_id"]),
            (&json!("kept"), &json!("FA0DA377"))
        );
        assert_ne!(meta["tm_duration"], 1, "{meta}");

        // The backup has the files before.
        let note = reply["notes"].to_string();
        let (_, backup) = note
            .split_once("the files before this save are in ")
            .expect("a backup");
        let backup = PathBuf::from(backup.split(['"', ';']).next().expect("a path"));
        for mirror in kind.mirrors {
            assert!(fs::read(backup.join(mirror)).expect("a copy") == kind.document);
        }

        // Twice: the second time nothing changes.
        saved(&mut client, &draft);
        assert_eq!(files(&folder), after, "{}", kind.name);

        // Undo leaves the folder, says so, and the next save writes it.
        let undone = client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert!(
            undone["notes"].to_string().contains("out of date"),
            "{undone}"
        );
        assert_eq!(files(&folder), after, "{}", kind.name);
        saved(&mut client, &draft);
        let again = files(&folder);
        for mirror in kind.mirrors {
            assert!(again[*mirror] == kind.document, "{}: {mirror}", kind.name);
        }
    }
}

#[test]
fn a_document_outside_of_a_draft_folder_is_saved_at_its_path() {
    for name in [
        "api.json",
        "app.json",
        "escapes.json",
        "finished.json",
        "small.json",
        "sparse.json",
    ] {
        let home = Home::embedded();
        let file = home.file(&format!("documents/{name}"), data(name));
        let mut client = home.connected();
        let draft = open(&mut client, &file);
        saved(&mut client, &draft);
        assert_eq!(fs::read(&file).expect("the file"), data(name));
        resize(&mut client, &draft, 1000);
        saved(&mut client, &draft);
        assert_eq!(
            fs::read(&file).expect("the file"),
            script(&mut client, &draft),
            "{name}"
        );
        assert_eq!(files(&home.path().join("documents")).len(), 1);
        fs::write(&file, "{}").expect("written");
        resize(&mut client, &draft, 900);
        let refused = save(&mut client, &draft, json!({})).expect_err("changed since");
        assert!(refused.contains(name), "{refused}");
        assert_eq!(fs::read(&file).expect("the file"), b"{}");
    }
}

#[test]
fn drafts_of_the_apps_on_this_machine_are_saved() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/app-drafts");
    let Ok(folders) = fs::read_dir(&shared) else {
        eprintln!(
            "skipped: the drafts in {} are not on this machine",
            shared.display()
        );
        return;
    };
    for original in folders
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        let home = Home::embedded();
        for (name, bytes) in files(&original) {
            home.file(&format!("apps/trip/{name}"), bytes);
        }
        let folder = home.path().join("apps/trip");
        let before = files(&folder);
        let mut client = home.connected();
        let draft = open(&mut client, &folder);
        saved(&mut client, &draft);
        assert_eq!(files(&folder), before, "{}", original.display());
        resize(&mut client, &draft, 1000);
        saved(&mut client, &draft);
        let read = home.call("query_script", &json!({ "draft_id": draft }));
        let read = read.expect("the document");
        let edited = read["script"].as_str().expect("a text").as_bytes();
        let after = files(&folder);
        for (name, bytes) in &after {
            let is_document = [
                "draft_content.json",
                "draft_info.json",
                "draft_info.json.bak",
                "template-2.tmp",
            ];
            if is_document.contains(&&**name) {
                assert!(bytes == edited, "{}: {name}", original.display());
            } else if name != "draft_meta_info.json" {
                assert!(*bytes == before[name], "{}: {name}", original.display());
            }
        }
        let copy = save(&mut client, &draft, json!({ "name": "copy" }));
        assert_eq!(
            copy.expect("a copy")["folder"],
            text(&home.path().join("apps/copy"))
        );
        assert_eq!(files(&folder), after, "{}", original.display());
        let copied = files(&home.path().join("apps/copy"));
        for name in after.keys() {
            assert!(copied.contains_key(name), "{}: {name}", original.display());
        }
    }
}

#[test]
fn a_folder_that_changed_since_is_not_overwritten() {
    let kinds = kinds();
    let kind = &kinds[1];
    let changes: Vec<(&str, Option<&[u8]>)> = vec![
        (
            "draft_content.json",
            Some(b"{\"tracks\": [], \"materials\": {}}"),
        ),
        ("template-2.tmp", Some(b"{}")),
        ("draft_content.json.bak", Some(b"{}")),
        (
            "Timelines/734CDCF0-7107-550A-8E99-18CA5B1BE1B7/draft_content.json",
            Some(b"{}"),
        ),
        (
            "Timelines/project.json",
            Some(b"{\"main_timeline_id\": \"other\"}"),
        ),
        ("template-2.tmp", None),
        (
            "draft_info.json",
            Some(b"{\"tracks\": [], \"materials\": {}}"),
        ),
    ];
    for saved_before in [false, true] {
        for (name, content) in &changes {
            let home = Home::embedded();
            let folder = app_draft(&home, kind, "trip");
            let mut client = home.connected();
            let draft = open(&mut client, &folder);
            resize(&mut client, &draft, 1000);
            if saved_before {
                saved(&mut client, &draft);
                resize(&mut client, &draft, 900);
            }
            match content {
                Some(content) => fs::write(folder.join(name), content).expect("written"),
                None => fs::remove_file(folder.join(name)).expect("removed"),
            }
            let before = files(&folder);
            let refused = save(&mut client, &draft, json!({})).expect_err("changed since");
            for part in [*name, "`open_draft`", "`name`", "`overwrite`"] {
                assert!(refused.contains(part), "{part}: {refused}");
            }
            assert_eq!(files(&folder), before, "{name}");
            let replaced = save(&mut client, &draft, json!({ "overwrite": true }));
            let replaced = replaced.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                replaced["notes"].to_string().contains("had been changed"),
                "{replaced}"
            );
            let edited = script(&mut client, &draft);
            assert_eq!(
                fs::read(folder.join("draft_content.json")).expect("a file"),
                edited
            );
            // As the last save wrote it: it can be saved again.
            resize(&mut client, &draft, 800);
            saved(&mut client, &draft);
        }
    }
    // The app may write what it keeps about the draft at any time; that is not lost.
    let home = Home::embedded();
    let folder = app_draft(&home, kind, "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    resize(&mut client, &draft, 1000);
    let meta = folder.join("draft_meta_info.json");
    fs::write(
        &meta,
        "{\"draft_name\": \"Renamed\", \"new\": 1, \"tm_duration\": 0}",
    )
    .expect("written");
    saved(&mut client, &draft);
    let meta = json_of(&meta);
    assert_eq!(
        (&meta["draft_name"], &meta["new"]),
        (&json!("Renamed"), &json!(1))
    );
    assert_eq!(meta["tm_duration"], 10_000_000);
}

#[test]
fn a_draft_that_is_open_in_the_app_is_not_saved() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[0], "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    resize(&mut client, &draft, 1000);
    fs::write(folder.join(".locked"), "").expect("written");
    let before = files(&folder);
    for overwrite in [false, true] {
        let refused = save(&mut client, &draft, json!({ "overwrite": overwrite }));
        let refused = refused.expect_err("it is open");
        assert!(
            refused.contains(".locked") && refused.contains("`name`"),
            "{refused}"
        );
    }
    assert_eq!(files(&folder), before);
    let copy = save(&mut client, &draft, json!({ "name": "copy" })).expect("a copy");
    let copy = PathBuf::from(copy["folder"].as_str().expect("a folder"));
    assert!(!copy.join(".locked").exists());
    fs::remove_file(folder.join(".locked")).expect("removed");
    saved(&mut client, &draft);
}

#[test]
fn two_processes_edit_and_save_one_draft() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[1], "trip");
    let (mut one, mut two) = (home.connected(), home.connected());
    let draft = open(&mut one, &folder);
    let document = folder.join("draft_content.json");
    for round in 0..3 {
        edit(
            &mut one,
            &draft,
            json!([{ "op": "set", "clip": "c13", "volume": 0.5 + f64::from(round) / 10.0 }]),
        );
        edit(
            &mut two,
            &draft,
            json!([{ "op": "set", "clip": "c9", "rotation": 10 + round }]),
        );
        let ids = [&mut one, &mut two].map(|client| {
            let params = json!({ "name": "save_draft", "arguments": { "draft_id": draft } });
            client.ask("tools/call", params)
        });
        for (client, id) in [&mut one, &mut two].into_iter().zip(ids) {
            let answer = client.answer(id);
            assert!(answer["result"]["isError"] != json!(true), "{answer}");
        }
        assert_eq!(
            fs::read(&document).expect("a file"),
            script(&mut two, &draft)
        );
    }
    // Another draft from the same folder does not overwrite what this one wrote.
    let other = open(&mut two, &folder);
    resize(&mut two, &other, 1000);
    resize(&mut one, &draft, 900);
    saved(&mut one, &draft);
    let refused = save(&mut two, &other, json!({})).expect_err("changed since");
    assert!(refused.contains("draft_content.json"), "{refused}");
    assert_eq!(
        fs::read(&document).expect("a file"),
        script(&mut one, &draft)
    );
}

#[test]
fn new_media_are_copied_into_the_folder_and_missing_media_are_named() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[1], "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    let source = home.file(
        "downloads/新 clip.mp4",
        fs::read(media("clip.mp4")).expect("a file"),
    );
    edit(
        &mut client,
        &draft,
        json!([{ "op": "replace_media", "clip": "c1", "media": text(&source), "length": "speed" }]),
    );
    let reply = saved(&mut client, &draft);
    // city.mp4 and logo.png are named by the document, and not in the folder.
    let notes = reply["notes"].to_string();
    assert!(
        notes.contains("missing media") && notes.contains("city.mp4"),
        "{notes}"
    );
    let copy = folder.join("assets/video/新 clip.mp4");
    assert!(fs::read(&copy).expect("the copy") == fs::read(&source).expect("the source"));
    let document = json_of(&folder.join("draft_content.json"));
    let videos = document["materials"]["videos"]
        .as_array()
        .expect("videos")
        .clone();
    let own = videos
        .iter()
        .find(|video| video["path"] == text(&copy))
        .expect("it is used");
    let meta = json_of(&folder.join("draft_meta_info.json"));
    let bin = &meta["draft_materials"][0]["value"];
    assert_eq!(bin.as_array().map(Vec::len), Some(1), "{meta}");
    assert_eq!(bin[0]["id"], own["local_material_id"]);
    let store = json_of(&folder.join("draft_virtual_store.json"));
    assert_eq!(
        store["draft_virtual_store"][1]["value"][0]["child_id"],
        bin[0]["id"]
    );
    let size = 100 + fs::metadata(&copy).expect("a file").len();
    assert_eq!(meta["draft_timeline_materials_size_"], size);
    assert_eq!(list_entry(&folder)["draft_timeline_materials_size"], size);

    // Saved again without the source: the copy stays in use.
    fs::remove_file(&source).expect("removed");
    resize(&mut client, &draft, 1000);
    let reply = saved(&mut client, &draft);
    assert!(!reply["notes"].to_string().contains("新 clip"), "{reply}");
    let again = json_of(&folder.join("draft_content.json"));
    assert_eq!(
        again["materials"]["videos"],
        document["materials"]["videos"]
    );
    assert_eq!(files(&folder.join("assets")).len(), 1);
    assert_eq!(
        json_of(&folder.join("draft_meta_info.json"))["draft_materials"],
        meta["draft_materials"]
    );
}

#[test]
fn a_copy_has_its_own_ids_and_leaves_the_original() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[1], "trip");
    let inside = text(&folder).to_owned();
    let document = String::from_utf8(data("app.json")).expect("text");
    let document = document.replace("/Users/user/song.mp3", &format!("{inside}/beach.mp4"));
    for mirror in kinds()[1].mirrors {
        fs::write(folder.join(mirror), &document).expect("written");
    }
    fs::create_dir(folder.join(".backup")).expect("a folder");
    fs::write(folder.join(".backup/1.json"), "{}").expect("written");
    let before = files(&folder);
    let list = list_entry(&folder);
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    resize(&mut client, &draft, 1000);
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    for (more, to) in [
        (
            json!({ "name": "Copy: 二" }),
            home.path().join("apps/Copy_ 二"),
        ),
        (
            json!({ "draft_folder": text(&elsewhere) }),
            elsewhere.join("trip"),
        ),
    ] {
        let reply = save(&mut client, &draft, more.clone()).expect("a copy");
        assert_eq!(reply["folder"], text(&to), "{reply}");
        assert_eq!(files(&folder), before);
        assert_eq!(list_entry(&folder), list);
        let copied = files(&to);
        let root = json_of(&to.join("draft_content.json"));
        let id = root["id"].as_str().expect("an id");
        assert_ne!(id, ID);
        assert_eq!(root["canvas_config"]["width"], 1000);
        let written = &copied["draft_content.json"];
        for name in ["template-2.tmp", "draft_content.json.bak"] {
            assert!(copied[name] == *written, "{name}");
            assert!(
                copied[&format!("Timelines/{id}/{name}")] == *written,
                "{name}"
            );
        }
        assert_eq!(copied[&format!("Timelines/{id}/draft.extra")], b"{}");
        let project = json_of(&to.join("Timelines/project.json"));
        assert_eq!(project["main_timeline_id"], id);
        assert_eq!(project["timelines"][0]["id"], id);
        assert_eq!(
            json_of(&to.join("timeline_layout.json"))["dockItems"][0]["timelineIds"][0],
            id
        );
        assert!(
            !copied
                .keys()
                .any(|name| name.contains(ID) || name.starts_with(".backup"))
        );
        assert!(copied["beach.mp4"] == before["beach.mp4"]);
        let texts = String::from_utf8(written.clone()).expect("text");
        assert!(
            !texts.contains(&format!("{inside}/"))
                && texts.contains(&format!("{}/beach.mp4", text(&to)))
        );
        let meta = json_of(&to.join("draft_meta_info.json"));
        assert_ne!(meta["draft_id"], "FA0DA377");
        assert_eq!(meta["draft_fold_path"], text(&to));
        assert_eq!(meta["tm_draft_cloud_entry_id"], -1);
        assert_eq!(meta["unknown"], 1.5);
        if to.starts_with(home.path().join("apps")) {
            let entry = list_entry(&to);
            assert_eq!(entry["draft_id"], meta["draft_id"]);
            assert_eq!(entry["draft_name"], "Copy_ 二");
            assert_eq!(reply["registered"], true);
        }
        // The same copy again: with the same ids, and the draft's own folder stays what it was.
        save(&mut client, &draft, more).expect("a copy");
        assert_eq!(json_of(&to.join("draft_content.json"))["id"], id);
        let undone = client.call("undo_draft", json!({ "draft_id": draft }));
        let undone = undone.expect("undone")["notes"].to_string();
        assert!(
            undone.contains("the copy in") && undone.contains("out of date"),
            "{undone}"
        );
        client
            .call("undo_draft", json!({ "draft_id": draft, "redo": true }))
            .expect("brought back");
        // The copy opens, and its media are found.
        let copy = open(&mut client, &to);
        resize(&mut client, &copy, 700);
        saved(&mut client, &copy);
        assert_eq!(
            json_of(
                &to.join("draft_info.json")
                    .with_file_name("draft_content.json")
            )["canvas_config"]["width"],
            700
        );
        fs::write(to.join("draft_content.json"), written).ok();
    }
    // The name of its own folder means the folder itself; another draft is not replaced.
    save(&mut client, &draft, json!({ "name": "trip" })).expect("its own folder");
    assert_eq!(json_of(&folder.join("draft_content.json"))["id"], ID);
    home.file("apps/taken/draft_content.json", "{}");
    let taken = save(&mut client, &draft, json!({ "name": "taken" })).expect_err("another draft");
    assert!(taken.contains("another draft"), "{taken}");
    let refused = save(
        &mut client,
        &draft,
        json!({ "portable": true, "zip": true }),
    )
    .expect_err("no");
    assert!(refused.contains("`portable`, `zip`"), "{refused}");
}

#[test]
fn a_document_alone_becomes_a_draft_folder() {
    let home = Home::embedded();
    let drafts = home.path().join("drafts");
    fs::create_dir(&drafts).expect("a folder");
    for name in ["app.json", "small.json", "sparse.json", "escapes.json"] {
        let file = home.file(&format!("documents/{name}"), data(name));
        let mut client = home.connected();
        let draft = open(&mut client, &file);
        let more = json!({ "draft_folder": text(&drafts), "name": name });
        let reply =
            save(&mut client, &draft, more).unwrap_or_else(|error| panic!("{name}: {error}"));
        let folder = PathBuf::from(reply["folder"].as_str().expect("a folder"));
        assert_eq!(fs::read(&file).expect("the file"), data(name));
        let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
        assert_eq!(opened.expect("it opens")["name"], name);
        assert!(folder.join("draft_meta_info.json").is_file());
    }
}

#[test]
fn encrypted_copies_are_left_and_the_restored_states_of_the_app_are_put_away() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[2], "trip");
    let secret = "r3fKa8Zt0hRkQmV5c29tZXRoaW5n==";
    fs::write(folder.join("draft_info.json"), secret).expect("written");
    fs::create_dir(folder.join(".backup")).expect("a folder");
    fs::write(folder.join(".backup/1.json"), "an earlier state").expect("written");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    resize(&mut client, &draft, 1000);
    let reply = saved(&mut client, &draft);
    let notes = reply["notes"].to_string();
    assert!(
        notes.contains("encrypted") && notes.contains("draft_info.json"),
        "{notes}"
    );
    assert_eq!(
        fs::read_to_string(folder.join("draft_info.json")).expect("a file"),
        secret
    );
    assert!(!folder.join(".backup").exists(), "{notes}");
    let backups = files(&home.data().join("backups"));
    assert!(
        backups
            .iter()
            .any(|(name, bytes)| name.ends_with(".backup/1.json") && bytes == b"an earlier state")
    );
}

#[test]
fn a_new_name_reaches_the_app_and_is_undone() {
    let home = Home::embedded();
    let folder = app_draft(&home, &kinds()[0], "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    edit(
        &mut client,
        &draft,
        json!([{ "op": "rename", "name": "夏天 2026" }]),
    );
    saved(&mut client, &draft);
    let meta = folder.join("draft_meta_info.json");
    assert_eq!(json_of(&meta)["draft_name"], "夏天 2026");
    assert_eq!(list_entry(&folder)["draft_name"], "夏天 2026");
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    saved(&mut client, &draft);
    assert_eq!(json_of(&meta)["draft_name"], "trip");
    assert_eq!(list_entry(&folder)["draft_name"], "trip");
}

#[test]
fn a_draft_of_this_program_is_saved_with_its_edits_and_without_them_after_an_undo() {
    let home = Home::embedded();
    let drafts = home.path().join("drafts");
    fs::create_dir(&drafts).expect("a folder");
    let mut client = home.connected();
    let made = client
        .call("create_draft", json!({ "name": "Own" }))
        .expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let words = json!({ "draft_id": draft, "text": "First", "start": 0, "end": 1 });
    client.call("add_text", words).expect("added");
    let into = json!({ "draft_folder": text(&drafts) });
    let reply = save(&mut client, &draft, into.clone()).expect("saved");
    let folder = PathBuf::from(reply["folder"].as_str().expect("a folder"));
    let shows = |words: &str| {
        ["draft_content.json", "draft_info.json"]
            .iter()
            .all(|name| {
                let document = fs::read_to_string(folder.join(name)).expect("a document");
                document.contains(words)
            })
    };
    assert!(shows("First"));
    edit(
        &mut client,
        &draft,
        json!([{ "op": "replace_text", "clip": "c1", "text": "Second" }]),
    );
    save(&mut client, &draft, into.clone()).expect("saved");
    assert!(shows("Second") && !shows("First"));
    let undone = client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert!(
        undone["notes"].to_string().contains("out of date"),
        "{undone}"
    );
    assert!(shows("Second"));
    save(&mut client, &draft, into).expect("saved");
    assert!(shows("First") && !shows("Second"));
}

fn rounds() -> u64 {
    if full() { 200 } else { 12 }
}

/// The files of a draft that are not temporary.
fn lasting(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(folder);
    found.retain(|name, _| !name.starts_with(".capcut-mcp-"));
    found
}

#[test]
fn a_kill_during_a_save_leaves_the_old_or_the_new_files() {
    let home = Home::embedded();
    let kinds = kinds();
    let folder = app_draft(&home, &kinds[1], "trip");
    let mut client = home.connected();
    let draft = open(&mut client, &folder);
    let (mut done, mut midway, mut span_us) = (0, 0, 40_000);
    for round in 0..rounds() {
        let old = lasting(&folder);
        resize(&mut client, &draft, 200 + round as u32);
        if round % 5 == 0 {
            // A new file belongs to the change as well.
            let source = home.file(
                &format!("downloads/{round}.mp4"),
                fs::read(media("clip.mp4")).expect("a file"),
            );
            edit(
                &mut client,
                &draft,
                json!([{ "op": "replace_media", "clip": "c1", "media": text(&source), "length": "speed" }]),
            );
        }
        let acknowledged = script(&mut client, &draft);
        let start = std::time::Instant::now();
        let params = json!({ "name": "save_draft", "arguments": { "draft_id": draft } });
        client.ask("tools/call", params);
        thread::sleep(Duration::from_micros(mix(round + 900) % span_us));
        client.child.kill().expect("killed");
        client.wait();
        let killed_after = start.elapsed();
        let left = files(&folder);
        let is_midway = left
            .keys()
            .any(|name| name.starts_with(".capcut-mcp-change/"));
        midway += u64::from(is_midway);
        // The next command, of each kind.
        client = home.connected();
        match round % 4 {
            0 => drop(open(&mut client, &folder)),
            1 => drop(
                client
                    .call("inspect_draft", json!({ "draft_id": draft }))
                    .expect("rows"),
            ),
            2 => drop(
                client
                    .call("validate_draft", json!({ "draft_folder": text(&folder) }))
                    .expect("problems"),
            ),
            _ => resize(&mut client, &draft, 100),
        }
        assert_eq!(
            files(&folder)
                .keys()
                .filter(|name| name.starts_with(".capcut-mcp-"))
                .count(),
            0
        );
        let now = lasting(&folder);
        let document = &now["draft_content.json"];
        for mirror in kinds[1].mirrors {
            assert!(now[*mirror] == *document, "round {round}: {mirror} differs");
        }
        if now == old {
            assert_ne!(*document, acknowledged);
        } else {
            let meta: Value = serde_json::from_slice(&now["draft_meta_info.json"]).expect("JSON");
            let before: Value = serde_json::from_slice(&old["draft_meta_info.json"]).expect("JSON");
            assert_ne!(
                meta["tm_draft_modified"], before["tm_draft_modified"],
                "round {round}"
            );
            let width =
                &serde_json::from_slice::<Value>(document).expect("JSON")["canvas_config"]["width"];
            assert_eq!(*width, 200 + round, "round {round}");
            done += 1;
        }
        // What was acknowledged is there, and can be saved.
        if round % 4 == 3 {
            client
                .call("undo_draft", json!({ "draft_id": draft }))
                .expect("undone");
        }
        assert!(script(&mut client, &draft) == acknowledged, "round {round}");
        saved(&mut client, &draft);
        let width = &json_of(&folder.join("draft_content.json"))["canvas_config"]["width"];
        assert_eq!(*width, 200 + round, "round {round}");
        // About half of the kills are to be before the end of the save.
        let killed_us = killed_after.as_micros() as u64;
        span_us = if now == old {
            span_us.max(killed_us) + 2_000
        } else {
            (span_us * 9 / 10).max(2_000)
        };
    }
    eprintln!("killed midway: {midway}, saved: {done} of {}", rounds());
    assert!(midway > 0 || !full(), "no kill hit the middle of a save");
}

#[test]
fn a_kill_while_a_draft_is_fixed_leaves_the_old_or_the_new_files() {
    let kinds = kinds();
    let kind = &kinds[1];
    let fault = |document: &[u8]| -> Vec<u8> {
        let mut document: Value = serde_json::from_slice(document).expect("JSON");
        document["tracks"][0]["segments"][0]["material_id"] = "GONE".into();
        document["id"] = "0A0B0C0D-7107-550A-8E99-18CA5B1BE1B7".into();
        document.to_string().into_bytes()
    };
    let broken = |home: &Home| {
        let folder = app_draft(home, kind, "trip");
        for mirror in kind.mirrors {
            fs::write(folder.join(mirror), fault(&kind.document)).expect("written");
        }
        fs::remove_file(folder.join("template-2.tmp")).expect("removed");
        fs::write(
            folder.join("logo.png"),
            fs::read(media("clip.mp4")).expect("a file"),
        )
        .expect("written");
        folder
    };
    // What the fix makes of it, without the files that have times in them.
    let comparable = |folder: &Path| -> BTreeMap<String, Vec<u8>> {
        let mut found = lasting(folder);
        for name in ["draft_meta_info.json", "Timelines/project.json"] {
            found.insert(name.to_owned(), Vec::new());
        }
        found
    };
    let home = Home::embedded();
    let folder = broken(&home);
    let old = comparable(&folder);
    home.run(&["lint", "--fix", text(&folder)]);
    let new = comparable(&folder);
    assert_ne!(old, new);
    let moved: Vec<_> = old.keys().filter(|name| !new.contains_key(*name)).collect();
    assert!(!moved.is_empty(), "files were renamed: {:?}", new.keys());
    let (mut kept, mut midway, mut span_us) = (0, 0, 60_000);
    for round in 0..rounds() {
        let home = Home::embedded();
        let folder = broken(&home);
        let start = std::time::Instant::now();
        let mut child = home
            .command(&["lint", "--fix", text(&folder)])
            .spawn()
            .expect("it starts");
        thread::sleep(Duration::from_micros(mix(round + 333) % span_us));
        child.kill().expect("killed");
        child.wait().expect("it ended");
        let killed_us = start.elapsed().as_micros() as u64;
        let left = files(&folder);
        midway += u64::from(
            left.keys()
                .any(|name| name.starts_with(".capcut-mcp-change/")),
        );
        home.run(&["lint", text(&folder)]);
        let now = comparable(&folder);
        // Run again, the fix is complete; what was complete does not change. New ids differ from run to run.
        home.run(&["lint", "--fix", text(&folder)]);
        let again = comparable(&folder);
        assert!(
            again.keys().eq(new.keys()),
            "round {round}: {:?}",
            again.keys()
        );
        if now != old {
            assert!(again == now, "round {round}: the fix was not complete");
        }
        let document = &again["draft_content.json"];
        for (name, bytes) in &again {
            if name.ends_with("draft_content.json") || name.ends_with("template-2.tmp") {
                assert!(bytes == document, "round {round}: {name} differs");
            }
        }
        kept += u64::from(now == old);
        span_us = if now == old {
            span_us.max(killed_us) + 4_000
        } else {
            (span_us * 9 / 10).max(4_000)
        };
    }
    eprintln!("killed midway: {midway}, as before: {kept} of {}", rounds());
    assert!(midway > 0 || !full(), "no kill hit the middle of a fix");
}

#[test]
fn the_folder_of_a_timeline_opens_the_draft_that_contains_it() {
    let mut found = 0;
    for kind in kinds() {
        let home = Home::embedded();
        let folder = app_draft(&home, &kind, "nested");
        let mut client = home.connected();
        let Ok(timelines) = fs::read_dir(folder.join("Timelines")) else {
            continue;
        };
        for timeline in timelines.flatten().map(|entry| entry.path()) {
            if timeline.is_dir() {
                let opened = client.call("open_draft", json!({ "draft": text(&timeline) }));
                let file = opened.expect("a draft")["file"].take();
                let whole = client.call("open_draft", json!({ "draft": text(&folder) }));
                assert_eq!(file, whole.expect("a draft")["file"]);
                let draft = open(&mut client, &timeline);
                resize(&mut client, &draft, 720);
                let reply = saved(&mut client, &draft);
                let saved = reply["folder"].as_str().expect("a folder");
                assert_eq!(
                    Path::new(saved).canonicalize().expect("it exists"),
                    folder.canonicalize().expect("it exists"),
                );
                found += 1;
            }
        }
    }
    assert!(found > 0);
}
