//! Templates: any draft with its slots filled, in one call and from plans, tables and batches.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, Home, media};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A draft in the form of CapCut 8.5, whose first title is `{{title}}`.
fn app_template(home: &Home, name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let document = fs::read_to_string(data.join("app.json")).expect("in the repository");
    let bye = "\\\"text\\\":\\\"Bye\\\"";
    assert!(document.contains(bye));
    let document = document.replace(bye, "\\\"text\\\":\\\"{{title}}\\\"");
    let file = home.file(&format!("apps/{name}/draft_info.json"), document);
    file.parent().expect("a folder").to_owned()
}

/// Our own draft: a clip of 4 s, a title, and music.
fn own_template(client: &mut Client, name: &str) -> String {
    let made = client.call(
        "create_draft",
        json!({ "width": 1080, "height": 1920, "name": name }),
    );
    let draft = made.expect("a draft")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for (tool, arguments) in [
        (
            "add_video",
            json!({ "video_url": text(&media("clip.mp4")), "target_start": 0, "end": 4 }),
        ),
        (
            "add_text",
            json!({ "text": "Title", "start": 0, "end": 2, "font_color": "#FF0000" }),
        ),
        (
            "add_audio",
            json!({ "audio_url": text(&media("music.mp3")), "end": 4 }),
        ),
    ] {
        let mut arguments = arguments;
        arguments["draft_id"] = draft.as_str().into();
        client.call(tool, arguments).expect("it is added");
    }
    let slots =
        json!([{ "op": "replace_text", "clip": "Title", "text": "{{title}} by {{author}}" }]);
    let slots = json!({ "draft_id": draft, "operations": slots });
    client.call("edit_draft", slots).expect("it has slots");
    draft
}

fn document(client: &mut Client, draft: &str) -> String {
    let read = client.call("query_script", json!({ "draft_id": draft }));
    read.expect("the document")["script"]
        .as_str()
        .expect("a text")
        .to_owned()
}

fn clips(client: &mut Client, draft: &str) -> Vec<Value> {
    let rows = client
        .call("inspect_draft", json!({ "draft_id": draft }))
        .expect("rows");
    let tracks = rows["tracks"].as_array().expect("tracks").clone();
    let of = |track: Value| track["clips"].as_array().cloned().unwrap_or_default();
    tracks.into_iter().flat_map(of).collect()
}

fn id(reply: &Value) -> String {
    reply["draft_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply}"))
        .to_owned()
}

#[test]
fn our_own_draft_is_a_template_and_the_copy_is_a_draft_like_others() {
    let home = Home::embedded();
    let mut client = home.connected();
    let template = own_template(&mut client, "Weekly");
    let before = document(&mut client, &template);
    let applied = client.call(
        "apply_template",
        json!({
            "draft": "Weekly",
            "media": { "clip.mp4": text(&media("picture.jpg")), "music": text(&media("voice.mp3")) },
            "texts": { "title": "Spring", "author": "Ann" },
            "name": "Week 12",
        }),
    );
    let applied = applied.expect("filled");
    let draft = id(&applied);
    assert_ne!(draft, template);
    assert_eq!(applied["name"], "Week 12");
    assert_eq!(
        document(&mut client, &template),
        before,
        "the template stays"
    );
    let after = document(&mut client, &draft);
    assert!(after.contains("Spring by Ann") && !after.contains("clip.mp4"));
    // The sound of 3 s ends before its slot of 4 s.
    let sound = clips(&mut client, &draft).pop().expect("a sound");
    assert!(sound["end"].as_f64().expect("its end") < 3.5, "{sound}");

    // It can be extended, edited and undone, but not to before it was made.
    let nothing = client.call("undo_draft", json!({ "draft_id": draft }));
    assert!(nothing.expect_err("no step").contains("no step"));
    let added = client.call(
        "add_text",
        json!({ "draft_id": draft, "text": "Added", "start": 2, "end": 3 }),
    );
    added.expect("added to the copy");
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(document(&mut client, &draft), after);
    // Another process computes the same draft.
    let read = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("read");
    assert!(read["script"] == after.as_str());

    let saved = client.call("save_draft", json!({ "draft_id": draft, "portable": true }));
    let saved = saved.expect("saved");
    let folder = PathBuf::from(saved["folder"].as_str().expect("a folder"));
    assert!(folder.ends_with("Week 12"), "{}", folder.display());
    let written = ["draft_info.json", "draft_content.json"]
        .iter()
        .find_map(|name| fs::read_to_string(folder.join(name)).ok())
        .expect("a document");
    assert!(written.contains("Spring by Ann") && written.contains("picture.jpg"));
}

#[test]
fn a_draft_of_an_app_is_a_template_by_folder_and_by_name() {
    let mut home = Home::embedded();
    let folder = app_template(&home, "Trip template");
    let apps = folder.parent().expect("a folder").to_owned();
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    let file = folder.join("draft_info.json");
    let before = fs::read(&file).expect("its file");
    let mut client = home.connected();
    for draft in [text(&folder), "Trip template"] {
        let arguments = json!({
            "draft": draft,
            // Its file has 4 s, as the slot; city.mp4 needs 6 s of it.
            "media": { "beach": text(&media("clip.mp4")), "city.mp4": text(&media("clip.mp4")) },
            "texts": { "title": "Lisbon", "c7": "Second" },
        });
        let applied = client.call("apply_template", arguments).expect("filled");
        let draft = id(&applied);
        let rows = clips(&mut client, &draft);
        let words = |id: &str| {
            let row = rows.iter().find(|row| row["id"] == id);
            row.map(|row| row["words"].clone()).unwrap_or_default()
        };
        assert_eq!(words("c8"), "Lisbon");
        assert_eq!(words("c7"), "Second");
        assert_eq!(rows[0]["media"], "clip.mp4");
        let still = rows.iter().find(|row| {
            row["media"]
                .as_str()
                .is_some_and(|name| name.starts_with("last-frame-"))
        });
        let still = still.unwrap_or_else(|| panic!("a frozen frame: {rows:?} {applied}"));
        assert_eq!(still["end"], 7.033, "{still}");
        let document = document(&mut client, &draft);
        let picture = document.split("last-frame-").next().expect("a path");
        let picture = picture.rsplit('"').next().expect("its folder");
        assert!(Path::new(picture).is_dir(), "{picture}");
        assert!(
            applied["notes"].to_string().contains("keep their files"),
            "{applied}"
        );
        let read = home
            .call("query_script", &json!({ "draft_id": draft }))
            .expect("read");
        assert!(read["script"] == document.as_str());
    }
    assert_eq!(
        fs::read(&file).expect("its file"),
        before,
        "the template stays"
    );
    let applied = client.call(
        "apply_template",
        json!({ "draft": "Trip template", "texts": { "title": "Lisbon" } }),
    );
    let draft = id(&applied.expect("filled"));
    let save = |client: &mut Client, more: Value| {
        let mut arguments = more;
        arguments["draft_id"] = draft.as_str().into();
        client.call("save_draft", arguments)
    };
    let over = save(&mut client, json!({ "name": "Trip template" }));
    assert!(over.expect_err("the template").contains("stays as it is"));
    for _ in 0..2 {
        let saved = save(&mut client, json!({})).expect("saved as a draft of its own");
        let folder = PathBuf::from(saved["folder"].as_str().expect("a folder"));
        assert_eq!(folder, apps.join("Trip template copy"));
        let written = fs::read_to_string(folder.join("draft_info.json")).expect("a document");
        let own_id = "734CDCF0-7107-550A-8E99-18CA5B1BE1B7";
        assert!(written.contains("Lisbon") && !written.contains(own_id));
    }
    assert_eq!(fs::read(&file).expect("its file"), before);
}

#[test]
fn a_template_that_was_edited_keeps_its_clip_ids_in_the_copy() {
    let home = Home::embedded();
    let folder = app_template(&home, "Trip");
    let mut client = home.connected();
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let template = id(&opened.expect("opened"));
    let edited = client.call(
        "edit_draft",
        json!({ "draft_id": template, "operations": [
            { "op": "split", "clip": "c1", "at": 1.0 },
            { "op": "remove", "clip": "c6" },
        ] }),
    );
    edited.expect("edited");
    let ids = |rows: Vec<Value>| {
        let ids = rows.into_iter().map(|row| row["id"].clone());
        ids.collect::<Vec<_>>()
    };
    let before = ids(clips(&mut client, &template));
    let applied = client.call(
        "apply_template",
        json!({ "draft": template, "texts": { "c7": "Seven" } }),
    );
    let draft = id(&applied.expect("filled"));
    assert_eq!(ids(clips(&mut client, &draft)), before);
    let inspect = json!({ "draft_id": draft, "query": "c7" });
    let rows = home
        .call("inspect_draft", &inspect)
        .expect("rows")
        .to_string();
    assert!(rows.contains("Seven"), "{rows}");
    // A copy is a template as well.
    let again = client.call(
        "apply_template",
        json!({ "draft": draft, "texts": { "Seven": "Eight" } }),
    );
    assert!(
        again.expect("filled")["changes"]
            .to_string()
            .contains("Eight")
    );
}

#[test]
fn names_that_are_no_slots_and_open_slots_are_reported() {
    let home = Home::embedded();
    let mut client = home.connected();
    let template = own_template(&mut client, "Weekly");
    let count = |client: &mut Client| {
        let list = client.call("list_drafts", json!({})).expect("a list");
        list["drafts"].as_array().map_or(0, Vec::len)
    };
    let wrong = client.call(
        "apply_template",
        json!({ "draft": template, "texts": { "titel": "x" }, "media": { "clip.mov4": text(&media("clip.mp4")) } }),
    );
    let wrong = wrong.expect_err("no such slots");
    assert!(
        wrong.contains("\"title\"") && wrong.contains("\"clip\""),
        "{wrong}"
    );
    let strict = client.call(
        "apply_template",
        json!({ "draft": template, "texts": { "title": "x" }, "strict": true }),
    );
    let strict = strict.expect_err("an open slot");
    assert!(
        strict.contains("\"author\"") && strict.contains("strict"),
        "{strict}"
    );
    let unknown = client.call("apply_template", json!({ "draft": "Weekli" }));
    assert!(unknown.expect_err("unknown").contains("Weekl"));
    assert_eq!(count(&mut client), 1, "nothing was made");
    let open = client.call(
        "apply_template",
        json!({ "draft": template, "texts": { "title": "x" } }),
    );
    let open = open.expect("filled");
    assert_eq!(open["open"], json!(["author"]));
    assert!(open["notes"].to_string().contains("author"), "{open}");
}

#[test]
fn a_group_repeats_with_other_values() {
    let home = Home::embedded();
    let mut client = home.connected();
    let template = own_template(&mut client, "Weekly");
    let set = |title: &str| json!({ "texts": { "title": title }, "media": { "clip.mp4": text(&media("picture.jpg")) } });
    let applied = client.call(
        "apply_template",
        json!({
            "draft": template,
            "texts": { "author": "Ann" },
            "repeat": { "clips": ["clip.mp4", "{{title}} by {{author}}"], "sets": [set("One"), set("Two"), set("Three")] },
        }),
    );
    let applied = applied.expect("filled");
    let rows = clips(&mut client, &id(&applied));
    for (at, words) in ["One by Ann", "Two by Ann", "Three by Ann"]
        .iter()
        .enumerate()
    {
        let row = rows.iter().find(|row| row["words"] == *words);
        let row = row.unwrap_or_else(|| panic!("{words}: {rows:?}"));
        assert_eq!(row["start"].as_f64(), Some(4.0 * at as f64), "{row}");
    }
}

#[test]
fn plans_tables_and_lines_fill_templates() {
    let home = Home::embedded();
    let mut client = home.connected();
    let template = own_template(&mut client, "Weekly");
    drop(client);
    home.file(
        "pictures/one.jpg",
        fs::read(media("picture.jpg")).expect("a picture"),
    );
    home.file(
        "plan.yaml",
        "template: Weekly\nname: Show ${title}\nmedia:\n  clip.mp4: pictures/one.jpg\ntexts:\n  title: ${title}\n  author: ${number}\nsave: {portable: true}\n",
    );
    let one = home
        .run(&[
            "compose",
            "plan.yaml",
            "--set",
            "title=A",
            "--set",
            "number=1",
            "--json",
        ])
        .success();
    let report: Value =
        serde_json::from_str(one.stdout.lines().last().unwrap_or_default()).expect("a report");
    let report = &report["report"];
    assert_eq!(report["outcome"], "complete", "{report}");
    assert_eq!(report["totals"]["ok"], 3, "{report}");
    let folder = report["folder"].as_str().expect("a folder");
    assert!(folder.ends_with("Show A"), "{folder}");

    home.file("rows.csv", "title,number\nB,2\nC,3\n");
    let many = ["compose", "--template", "plan.yaml", "--inputs", "rows.csv"];
    let many = home.run(&many).success();
    assert!(
        many.stdout.contains("2 of 2 drafts are complete"),
        "{}",
        many.stdout
    );
    let lines: String = ["D", "E"]
        .iter()
        .map(|title| {
            json!({ "template": { "draft": template, "texts": { "title": title, "author": "x" } },
                    "name": title, "save": false })
            .to_string()
                + "\n"
        })
        .collect();
    home.file("plans.jsonl", lines);
    let lines = home.run(&["compose", "plans.jsonl"]).success();
    assert!(
        lines.stdout.contains("2 of 2 drafts are complete"),
        "{}",
        lines.stdout
    );
    let dry = [
        "compose",
        "plan.yaml",
        "--set",
        "title=A",
        "--set",
        "number=1",
        "--dry-run",
    ];
    home.run(&dry).success();
    for title in ["B", "C", "D", "E"] {
        let list = home.call("list_drafts", &json!({})).expect("a list");
        let name = if title < "D" {
            format!("Show {title}")
        } else {
            title.to_owned()
        };
        let mut drafts = list["drafts"].as_array().expect("drafts").iter();
        let draft = drafts.find(|draft| draft["name"] == name.as_str());
        let draft = draft.unwrap_or_else(|| panic!("{name}: {list}"));
        let read = home.call("query_script", &json!({ "draft_id": draft["draft_id"] }));
        let read = read.expect("read")["script"].to_string();
        assert!(read.contains(&format!("{title} by ")), "{title}");
    }
}

#[test]
fn a_plan_with_a_draft_of_an_app_saves_new_drafts() {
    let mut home = Home::embedded();
    let folder = app_template(&home, "Trip template");
    let apps = folder.parent().expect("a folder").to_owned();
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    home.file(
        "plan.yaml",
        "template: Trip template\ntexts:\n  title: ${title}\n",
    );
    home.file("rows.csv", "title\nLisbon\nRome\n");
    let many = ["compose", "--template", "plan.yaml", "--inputs", "rows.csv"];
    for _ in 0..2 {
        let ran = home.run(&many).success();
        assert!(
            ran.stdout.contains("2 of 2 drafts are complete"),
            "{}",
            ran.stdout
        );
    }
    let words = |name: &str| {
        let file = apps.join(name).join("draft_info.json");
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let both = words("Trip template copy") + &words("Trip template copy (2)");
    assert!(both.contains("Lisbon") && both.contains("Rome"));
    // The second run replaced the drafts of the first.
    let drafts = fs::read_dir(&apps).expect("the folder").flatten();
    let drafts = drafts.filter(|entry| entry.path().join("draft_info.json").is_file());
    assert_eq!(drafts.count(), 3);
    assert!(words("Trip template").contains("{{title}}"));
}

#[test]
fn a_plan_with_a_template_is_checked_before_anything_is_made() {
    let home = Home::embedded();
    let mut client = home.connected();
    own_template(&mut client, "Weekly");
    let mut refused = |plan: Value, parts: &[&str]| {
        let error = client.call("compose_draft", json!({ "plan": plan }));
        let error = error.expect_err("refused");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    refused(
        json!({ "template": "Weekly", "texts": { "titel": "x" } }),
        &["template", "\"title\""],
    );
    refused(
        json!({ "template": "Weekly", "visuals": [{ "image_url": "/a.png" }], "width": 100 }),
        &["visuals", "width"],
    );
    refused(json!({ "template": 5 }), &["template"]);
    refused(json!({ "media": { "a": "/b" } }), &["media", "`template`"]);
    refused(
        json!({ "template": { "draft": "Weekly", "text": {} } }),
        &["template.text"],
    );
    let list = client.call("list_drafts", json!({})).expect("a list");
    assert_eq!(list["drafts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_batch_over_mcp_fills_a_template() {
    let home = Home::embedded();
    let mut client = home.connected();
    own_template(&mut client, "Weekly");
    let started = client.call(
        "compose_batch",
        json!({
            "template": { "template": "Weekly", "name": "${title}", "save": false,
                          "texts": { "title": "${title}", "author": "B" } },
            "inputs": [{ "title": "One" }, { "title": "Two" }],
        }),
    );
    let job = started.expect("started")["job_id"].clone();
    crate::support::until("the batch is done", || {
        let state = client
            .call("job_status", json!({ "job_id": job }))
            .expect("its state");
        assert_ne!(state["status"], "failed", "{state}");
        state["status"] == "done" || state["status"] == "complete"
    });
    let list = client
        .call("list_drafts", json!({}))
        .expect("a list")
        .to_string();
    assert!(
        list.contains("\"One\"") && list.contains("\"Two\""),
        "{list}"
    );
}

#[test]
fn a_plan_with_a_template_is_resumed_only_with_the_same_values() {
    let home = Home::embedded();
    let mut client = home.connected();
    own_template(&mut client, "Weekly");
    let blocked = home.file("blocked", "a file, not a folder");
    let plan = |title: &str, save: Value| {
        json!({ "template": "Weekly", "name": "Resumed", "save": save,
                "texts": { "title": title, "author": "A" } })
    };
    let folder = json!({ "draft_folder": blocked });
    let failed = client.call("compose_draft", json!({ "plan": plan("One", folder) }));
    let failed = failed.expect_err("it cannot be saved");
    let list = client.call("list_drafts", json!({ "query": "Resumed" }));
    let list = list.expect("a list");
    let draft = list["drafts"][0]["draft_id"].clone();
    assert!(failed.contains(draft.as_str().expect("an id")), "{failed}");
    let other = json!({ "plan": plan("Two", json!({ "portable": true })), "resume": draft });
    let other = client.call("compose_draft", other);
    assert!(
        other
            .expect_err("other values")
            .contains("without `resume`")
    );
    let same = json!({ "plan": plan("One", json!({ "portable": true })), "resume": draft });
    let same = client.call("compose_draft", same).expect("saved");
    assert_eq!(same["status"], "complete", "{same}");
    assert_eq!(same["draft_id"], draft);
}

#[test]
fn a_draft_on_a_server_is_a_template_here() {
    let there = Home::embedded();
    let served = there.engine(&[]);
    let mut home = Home::new();
    home.api(&served.url);
    let mut client = home.connected();
    let made = client.call("create_draft", json!({ "name": "Far" }));
    let made = made.expect("made");
    assert_eq!(made["backend"], "remote", "{made}");
    let draft = id(&made);
    for (text, start) in [("First", 0), ("Second", 1)] {
        let arguments =
            json!({ "draft_id": draft, "text": text, "start": start, "end": start + 1 });
        client.call("add_text", arguments).expect("a text");
    }
    let applied = client.call(
        "apply_template",
        json!({ "draft": draft, "texts": { "First": "Here" } }),
    );
    let applied = id(&applied.expect("filled"));
    let document = document(&mut client, &applied);
    assert!(document.contains("Here") && document.contains("Second"));
    let saved = client.call(
        "save_draft",
        json!({ "draft_id": applied, "portable": true }),
    );
    saved.expect("saved");
}

#[test]
fn without_ffmpeg_a_short_video_repeats_with_a_note() {
    let mut home = Home::embedded();
    let folder = app_template(&home, "Trip");
    let empty = text(home.path()).to_owned();
    home.set("PATH", &empty);
    let applied = home.call(
        "apply_template",
        // 6 s of its file are shown, and the clip has 4 s.
        &json!({ "draft": text(&folder), "media": { "c2": text(&media("clip.mp4")) } }),
    );
    let applied = applied.expect("filled");
    let notes = applied["notes"].to_string();
    assert!(
        notes.contains("repeats") && notes.contains("`ffmpeg` is not installed"),
        "{notes}"
    );
    assert!(
        applied["changes"].to_string().contains("repeats 2 times"),
        "{applied}"
    );
}
