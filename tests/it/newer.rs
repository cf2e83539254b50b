//! What the engine accepts over HTTP in addition to the recorded API: endpoints and arguments of newer sources,
//! values that the reference never reads, and ids chosen by callers.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Home, Served, media};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn draft(served: &Served) -> String {
    let created = served.output("/create_draft", &json!({}));
    let created = created.expect("a draft is made");
    created["draft_id"].as_str().expect("its id").to_owned()
}

fn script(served: &Served, draft: &str) -> Value {
    let output = served.output("/query_script", &json!({ "draft_id": draft }));
    let output = output.expect("the draft can be read");
    serde_json::from_str(output.as_str().expect("a text")).expect("the document is JSON")
}

/// One segment of the draft's first track of this type.
fn segment(script: &Value, kind: &str) -> Value {
    let tracks = script["tracks"].as_array().expect("tracks");
    let mut tracks = tracks.iter().filter(|track| track["type"] == kind);
    let segment = tracks.find_map(|track| track["segments"].get(0));
    segment.expect("a segment").clone()
}

#[test]
fn null_and_numeric_text_give_the_same_draft_as_the_default_and_the_number() {
    let home = Home::new();
    let folder = media("clip.mp4").parent().expect("a folder").to_owned();
    let served = home.engine(&["--allow-dir", text(&folder)]);
    let clip = media("clip.mp4");
    let picture = media("picture.jpg");
    let cases = [
        (
            "/add_text",
            json!({ "text": "Hi", "start": 0, "end": 2 }),
            json!({ "background_color": null, "background_height": null, "shadow_color": null, "shadow_angle": null,
                    "shadow_alpha": null, "intro_duration": "1", "outro_duration": null, "height": null, "width": "1080",
                    "background_width": "0.14" }),
            "text",
        ),
        (
            "/add_subtitle",
            json!({ "srt": "1\n00:00:00,000 --> 00:00:02,000\nHi\n" }),
            json!({ "background_color": null, "background_style": null, "height": null }),
            "text",
        ),
        (
            "/add_video",
            json!({ "video_url": text(&clip), "end": 1 }),
            json!({ "mask_center_x": null, "mask_size": "1", "mask_feather": null, "transition_duration": null,
                    "height": null, "width": "1080", "draft_folder": null }),
            "video",
        ),
        (
            "/add_image",
            json!({ "image_url": text(&picture), "end": 1 }),
            json!({ "outro_animation_duration": null, "combo_animation_duration": "0.5", "intro_animation_duration": "1",
                    "mask_rotation": null, "transition_duration": "1" }),
            "video",
        ),
    ];
    for (path, plain, loose, kind) in cases {
        let [one, other] = [&json!({}), &loose].map(|extra| {
            let mut body = plain.as_object().expect("an object").clone();
            body.extend(extra.as_object().expect("an object").clone());
            body.insert("draft_id".into(), json!(draft(&served)));
            let done = served.output(path, &Value::Object(body));
            let done = done.unwrap_or_else(|error| panic!("{path} {extra}: {error}"));
            let id = done["draft_id"].as_str().expect("an id").to_owned();
            let mut segment = segment(&script(&served, &id), kind);
            for random in ["id", "material_id", "extra_material_refs"] {
                segment[random].take();
            }
            segment
        });
        assert_eq!(one, other, "{path}");
    }
}

#[test]
fn the_size_of_a_new_draft_may_be_null_or_text() {
    let home = Home::new();
    let served = home.engine(&[]);
    for (size, width, height) in [
        (json!({ "width": null, "height": null }), 1080.0, 1920.0),
        (json!({ "width": "720", "height": " 1280 " }), 720.0, 1280.0),
        (json!({ "height": null, "width": 16 }), 16.0, 1920.0),
    ] {
        let created = served.output("/create_draft", &size).expect("a draft");
        let id = created["draft_id"].as_str().expect("an id").to_owned();
        let canvas = script(&served, &id)["canvas_config"].clone();
        let canvas = (canvas["width"].as_f64(), canvas["height"].as_f64());
        assert_eq!(canvas, (Some(width), Some(height)), "{size}");
    }
    for size in [json!({ "width": "wide" }), json!({ "height": "0" })] {
        let error = served.output("/create_draft", &size).unwrap_err();
        assert!(error.contains("pixels"), "{size}: {error}");
    }
}

#[test]
fn a_caller_can_choose_the_id_of_a_new_draft_once() {
    let home = Home::new();
    let served = home.engine(&[]);
    let mine = json!({ "draft_id": "my_draft_001" });
    let created = served.output("/create_draft", &mine).expect("a draft");
    assert_eq!(created["draft_id"], "my_draft_001");
    let text = json!({ "draft_id": "my_draft_001", "text": "Hi", "start": 0, "end": 1 });
    let added = served.output("/add_text", &text).expect("a text");
    assert_eq!(added["draft_id"], "my_draft_001");
    let again = served.output("/create_draft", &mine).unwrap_err();
    assert!(again.contains("my_draft_001"), "{again}");
    assert_eq!(script(&served, "my_draft_001")["duration"], 1_000_000);
    for id in ["../evil", "a/b", ".hidden", "a\u{1b}[2J"] {
        let error = served.output("/create_draft", &json!({ "draft_id": id }));
        let error = error.unwrap_err();
        assert!(error.contains("cannot be the id"), "{id}: {error}");
    }
    for none in [json!(null), json!("")] {
        let created = served.output("/create_draft", &json!({ "draft_id": none }));
        let created = created.expect("a draft");
        assert!(
            created["draft_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("dfd_cat_"))
        );
    }
}

#[test]
fn the_length_of_media_is_a_number_of_seconds() {
    let home = Home::new();
    let clip = media("clip.mp4");
    let folder = clip.parent().expect("a folder");
    let served = home.engine(&["--allow-dir", text(folder)]);
    let length = served.output("/get_duration", &json!({ "media_url": text(&clip) }));
    assert!(length.expect("a length").as_f64().is_some_and(|s| s > 1.0));
    let missing = served.output("/get_duration", &json!({})).unwrap_err();
    assert!(missing.contains("media_url"), "{missing}");
    let refused = served.output("/get_duration", &json!({ "media_url": "/etc/hostname" }));
    let refused = refused.unwrap_err();
    assert!(refused.contains("--allow-dir"), "{refused}");
}

#[test]
fn projects_are_listed_and_read_in_allowed_folders() {
    let home = Home::new();
    let drafts = home.data().join("drafts");
    std::fs::create_dir_all(&drafts).expect("a folder");
    let closed = home.engine(&[]);
    for (path, body) in [
        ("/list_projects", json!({})),
        ("/read_project", json!({ "project_name": "Trip" })),
        ("/read_project", json!({ "project_path": text(&drafts) })),
    ] {
        let error = closed.output(path, &body).unwrap_err();
        assert!(error.contains("--allow-dir"), "{path} {body}: {error}");
    }
    drop(closed);

    let served = home.engine(&["--allow-dir", text(&drafts)]);
    let id = draft(&served);
    let hello = json!({ "draft_id": id, "text": "Hello", "start": 0, "end": 2 });
    served.output("/add_text", &hello).expect("a text");
    let save = json!({ "draft_id": id, "draft_folder": text(&drafts), "project_name": "Trip" });
    served.output("/save_draft", &save).expect("it is saved");
    let (status, listed) = served.get("/list_projects");
    assert_eq!(status, 200, "{listed}");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["output"]["projects"][0]["name"], "Trip", "{listed}");
    let posted = served.output("/list_projects", &json!({})).expect("a list");
    assert_eq!(posted, listed["output"]);
    let by_path = json!({ "project_path": text(&drafts.join("Trip")) });
    for body in [json!({ "project_name": "Trip" }), by_path] {
        let read = served.output("/read_project", &body).expect("a project");
        assert_eq!(read["texts"], json!(["Hello"]), "{read}");
        assert_eq!(read["duration"], 2.0, "{read}");
    }
    for body in [
        json!({ "project_name": "Nothing" }),
        json!({ "project_name": ".." }),
        json!({ "project_name": "Trip/../Trip" }),
        json!({}),
        json!({ "project_path": "/etc" }),
    ] {
        served.output("/read_project", &body).expect_err("refused");
    }
}

#[test]
fn an_unknown_filter_on_a_clip_is_refused_and_not_ignored() {
    let home = Home::new();
    let clip = media("clip.mp4");
    let folder = clip.parent().expect("a folder");
    let served = home.engine(&["--allow-dir", text(folder)]);
    let id = draft(&served);
    let body = json!({ "draft_id": id, "video_url": text(&clip), "filter_type": "No such filter", "filter_intensity": 80 });
    let error = served.output("/add_video", &body).unwrap_err();
    assert!(error.contains("\"No such filter\""), "{error}");
    let without = json!({ "draft_id": id, "video_url": text(&clip), "filter_type": null, "filter_intensity": 80 });
    served.output("/add_video", &without).expect("a clip");
}

/// Newer sources save into the app's own folder unless `auto_deploy` is false, and additionally into another
/// folder if one is named.
#[test]
fn auto_deploy_chooses_the_folder_of_a_save_or_the_answer_says_why_not() {
    let home = Home::new();
    let apps = home
        .path()
        .join("Movies/CapCut/User Data/Projects/com.lveditor.draft");
    std::fs::create_dir_all(&apps).expect("a folder");
    let named = home.path().join("named");
    std::fs::create_dir(&named).expect("a folder");
    let mut home = home;
    home.set("CAPCUT_MCP_DRAFTS_DIR", text(&apps));
    let served = home.engine(&["--allow-dir", text(&named)]);
    let save = |options: Value| {
        let id = draft(&served);
        let hello = json!({ "draft_id": id, "text": "Hello", "start": 0, "end": 2 });
        served.output("/add_text", &hello).expect("a text");
        let mut body = json!({ "draft_id": id });
        body.as_object_mut()
            .expect("an object")
            .extend(options.as_object().cloned().expect("options"));
        let (_, saved) = served.post("/save_draft", &body);
        let saved: Value = serde_json::from_str(&saved).expect("JSON");
        assert_eq!(saved["success"], true, "{saved}");
        saved
    };
    let message = |saved: &Value| saved["output"]["message"].to_string();
    for silent in [
        json!({}),
        json!({ "draft_folder": named }),
        json!({ "draft_folder": named, "auto_deploy": false }),
    ] {
        let saved = save(silent);
        assert!(saved["output"].get("message").is_none(), "{saved}");
    }
    let stays = save(json!({ "auto_deploy": false }));
    let own = home.data().join("drafts").display().to_string();
    assert!(
        stays["folder"]
            .as_str()
            .expect("a folder")
            .starts_with(&own),
        "{stays}"
    );
    // The draft is in both folders, each time it is saved.
    let copied = |saved: &Value| {
        let folder = Path::new(saved["folder"].as_str().expect("a folder")).to_owned();
        assert!(folder.starts_with(&named), "{saved}");
        let copy = apps.join(folder.file_name().expect("a name"));
        let of = |folder: &Path| {
            let text = std::fs::read_to_string(folder.join("draft_content.json"));
            let text = text.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            let document: Value = serde_json::from_str(&text).expect("JSON");
            document["materials"]["texts"].to_string()
        };
        assert_eq!(of(&copy), of(&folder));
        copy
    };
    let saved = save(json!({ "draft_folder": named, "auto_deploy": true }));
    assert!(saved["output"].get("message").is_none(), "{saved}");
    assert!(
        saved["notes"]
            .to_string()
            .contains("a copy is in the app's folder"),
        "{saved}"
    );
    let copy = copied(&saved);
    let id = saved_id(&copy);
    let again = |options: Value| {
        let mut body = json!({ "draft_id": id, "draft_folder": named, "auto_deploy": true });
        body.as_object_mut()
            .expect("an object")
            .extend(options.as_object().cloned().expect("options"));
        let (_, saved) = served.post("/save_draft", &body);
        serde_json::from_str::<Value>(&saved).expect("JSON")
    };
    let text = json!({ "draft_id": id, "text": "More", "start": 3, "end": 4 });
    served.output("/add_text", &text).expect("a text");
    copied(&again(json!({})));
    // What the app changed in its copy is not replaced.
    let document = copy.join("draft_content.json");
    let changed = std::fs::read_to_string(&document).expect("a file") + " ";
    std::fs::write(&document, &changed).expect("written");
    let told = again(json!({}));
    let said = message(&told);
    assert_eq!(told["success"], true, "{told}");
    assert!(said.contains("`auto_deploy` made no copy"), "{told}");
    assert_eq!(std::fs::read_to_string(&document).expect("a file"), changed);
    let replaced = again(json!({ "overwrite": true }));
    assert!(replaced["output"].get("message").is_none(), "{replaced}");
    copied(&replaced);

    // Without a folder of the app there is nothing to copy into.
    std::fs::remove_dir_all(&apps).expect("removed");
    let told = again(json!({}));
    assert!(
        message(&told).contains("no drafts folder of the app"),
        "{told}"
    );
}

/// The draft of a folder, whose name is its id.
fn saved_id(folder: &Path) -> String {
    folder
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}
