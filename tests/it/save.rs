//! Saved drafts: what leaves the machine, and crashes in the middle.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Home, media};

/// What names the machine of a draft that the app saved.
const IDS: [&str; 4] = [
    "device-0123",
    "disk-4567",
    "02:00:00:89:ab:cd",
    "26100.1742",
];

/// A folder of drafts with one that the app saved itself.
fn the_apps_folder(home: &mut Home) -> PathBuf {
    let drafts = home.path().join("app drafts");
    let platform = json!({
        "app_id": 359_289, "app_source": "cc", "app_version": "9.3.0", "os": "windows", "device_id": IDS[0],
        "hard_disk_id": IDS[1], "mac_address": IDS[2], "os_version": IDS[3]
    });
    let document = json!({
        "id": "x", "version": 360_000, "new_version": "184.0.0", "platform": platform,
        "last_modified_platform": platform, "tracks": [], "materials": {}
    });
    home.file("app drafts/0614/draft_content.json", document.to_string());
    home.file(
        "app drafts/root_meta_info.json",
        r#"{"all_draft_store": [], "draft_ids": 0}"#,
    );
    home.set("CAPCUT_MCP_DRAFTS_DIR", &drafts.display().to_string());
    drafts
}

fn call(home: &Home, tool: &str, arguments: Value) -> Value {
    home.call_with(&["--backend", "embedded"], tool, &arguments)
        .unwrap_or_else(|(code, told)| panic!("{tool}: {code}: {told}"))
}

fn small_draft(home: &Home, name: &str) -> Value {
    let draft = call(home, "create_draft", json!({ "name": name }))["draft_id"].clone();
    let clip = json!({ "draft_id": draft, "video_url": media("clip.mp4"), "start": 0, "end": 1 });
    call(home, "add_video", clip);
    draft
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Those of the words that stand in some file of the folder.
fn named<'a>(folder: &Path, words: &[&'a str]) -> Vec<&'a str> {
    let all = files(folder);
    assert!(all.len() > 4, "{all:?}");
    let bytes: Vec<u8> = all
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    words
        .iter()
        .copied()
        .filter(|word| text.contains(word))
        .collect()
}

#[test]
fn a_draft_that_leaves_the_machine_names_neither_it_nor_its_folders() {
    let mut home = Home::new();
    let drafts = the_apps_folder(&mut home);
    let here = home.path().display().to_string();
    let words: Vec<&str> = IDS.iter().copied().chain([here.as_str()]).collect();
    let draft = small_draft(&home, "trip");
    let saved = |arguments: Value| {
        let mut all = json!({ "draft_id": draft, "overwrite": true });
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let reply = call(&home, "save_draft", all);
        PathBuf::from(reply["folder"].as_str().expect("a folder"))
    };

    // In place, it is what the app on this machine writes itself.
    let stays = saved(json!({}));
    assert!(stays.starts_with(&drafts));
    assert_eq!(named(&stays, &words), words);
    let content = fs::read_to_string(stays.join("draft_content.json")).unwrap();
    assert!(content.contains("184.0.0"), "learnt from the app's draft");

    let out = home.path().join("out");
    for leaves in [
        json!({ "portable": true, "draft_folder": out }),
        json!({ "portable": true, "draft_folder": drafts }),
        json!({ "portable": true }),
        json!({ "target_os": "windows", "draft_folder": out }),
        json!({ "target_folder": "/Users/you/Movies/CapCut/User Data/Projects/com.lveditor.draft" }),
    ] {
        let folder = saved(leaves.clone());
        assert_eq!(named(&folder, &words), [""; 0], "{leaves}");
    }

    let zipped = saved(json!({ "zip": true }));
    let zip = fs::File::open(drafts.join("trip.zip")).expect("a zip");
    let mut zip = zip::ZipArchive::new(zip).unwrap();
    let unpacked = home.path().join("unpacked");
    zip.extract(&unpacked).unwrap();
    assert_eq!(named(&unpacked, &words), [""; 0]);
    assert_eq!(
        named(&zipped, &words),
        words,
        "beside the folder for this machine"
    );
}

#[test]
fn plans_are_saved_for_any_machine_and_for_a_version_when_the_shell_says_so() {
    let mut home = Home::new();
    the_apps_folder(&mut home);
    let here = home.path().display().to_string();
    let words: Vec<&str> = IDS.iter().copied().chain([here.as_str()]).collect();
    let plan = json!({ "name": "ad", "texts": [{ "text": "Hello", "start": 0, "end": 2 }] });
    let plan = home.file("ad.json", plan.to_string()).display().to_string();
    let line = [
        "--backend",
        "embedded",
        "compose",
        &plan,
        "--draft-folder",
        "out",
        "--portable",
    ];
    home.run(&line).success();
    let folder = home.path().join("out/ad");
    assert_eq!(named(&folder, &words), [""; 0]);

    let line = [
        "--backend",
        "embedded",
        "compose",
        &plan,
        "--draft-folder",
        "old",
        "--app-version",
        "7.9.0",
    ];
    home.run(&line).success();
    let content = fs::read_to_string(home.path().join("old/ad/draft_content.json")).unwrap();
    assert!(content.contains("\"7.9.0\"") && content.contains("\"155.0.0\""));
}
