//! Tests with drafts for other machines and other apps.

use serde_json::json;

use super::super::{Severity, worst};
use super::*;
use crate::units::Edition;

#[test]
fn a_portable_draft_has_no_problems_and_stays_portable_after_a_fix() {
    let mut made = Made::clean();
    made.meta["draft_fold_path"] = json!("");
    made.meta["draft_root_path"] = json!("");
    made.write();
    assert_eq!(made.lint(), []);
    made.document["duration"] = json!(1);
    made.document["materials"]["videos"][0]["local_material_id"] = json!("");
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let here = made.root.path().canonicalize().unwrap();
    let here = here.to_str().unwrap();
    for (name, bytes) in snapshot(&made.folder()) {
        assert!(
            !String::from_utf8_lossy(&bytes).contains(here),
            "{}",
            name.display()
        );
    }

    // With an absolute path it is not portable.
    made.document["materials"]["videos"][0]["path"] = json!(made.folder().join("assets/a.mp4"));
    made.write();
    assert!(codes(&made.lint()).contains(&"draft-path"));
}

#[test]
fn a_draft_saved_for_another_machine_keeps_its_paths() {
    let mut made = Made::clean();
    made.meta["draft_fold_path"] = json!(format!("/mnt/other machine/{NAME}"));
    made.meta["draft_root_path"] = json!("/mnt/other machine");
    for (list, file) in [("videos", "a.mp4"), ("audios", "c.wav")] {
        made.document["materials"][list][0]["path"] =
            json!(format!("/mnt/other machine/{NAME}/assets/{file}"));
    }
    let elsewhere = json!({"draft": "x", "document": "", "elsewhere": true});
    made.put(".capcut-mcp.json", elsewhere.to_string());
    made.write();
    assert_eq!(made.lint(), []);
    made.document["duration"] = json!(1);
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    made.document["duration"] = json!(4_000_000);
    assert_eq!(made.read("draft_info.json"), made.document);
    assert_eq!(made.read("draft_meta_info.json"), made.meta);
}

#[test]
fn markers_of_the_other_app_are_replaced_for_the_requested_edition() {
    let made = Made::clean();
    made.write();
    let options = LintOptions {
        edition: Some(Edition::Jianying),
        ..made.options()
    };
    let problems = lint(&made.folder(), &options).unwrap();
    assert_eq!(codes(&problems), ["markers-of-other-app"]);
    let fixed = fix_twice(&made.folder(), &options);
    assert!(fixed.left.is_empty(), "{:#?}", fixed.left);
    let document = made.read("draft_info.json");
    assert_eq!(document["last_modified_platform"]["app_source"], "lv");
    assert_eq!(document["version"], 360_000);
}

#[test]
fn markers_are_copied_from_the_newest_draft_of_the_app_without_its_machine_ids() {
    let mut made = Made::clean();
    made.root_object_remove("new_version");
    made.write();
    fs::write(
        made.root.path().join("root_meta_info.json"),
        r#"{"all_draft_store": []}"#,
    )
    .unwrap();
    let app = json!({
        "version": 360_000, "new_version": "191.0.0", "tracks": [],
        "last_modified_platform": {
            "app_id": 359_289, "app_source": "cc", "app_version": "9.8.0", "os": "windows",
            "os_version": "10", "device_id": "secret-1", "hard_disk_id": "secret-2", "mac_address": "secret-3"
        }
    });
    let other = made.root.path().join("of the app");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("draft_content.json"), app.to_string()).unwrap();
    let fixed = fix_twice(&made.folder(), &made.options());
    assert!(fixed.left.is_empty(), "{:#?}", fixed.left);
    assert!(
        fixed.changed.contains(&"../root_meta_info.json".to_owned()),
        "{:?}",
        fixed.changed
    );
    let document = made.read("draft_content.json");
    assert_eq!(document["new_version"], "191.0.0");
    assert!(!document.to_string().contains("secret"));
}

#[test]
fn a_draft_for_another_machine_is_checked_and_keeps_its_paths() {
    let mut made = Made::clean();
    made.meta["draft_fold_path"] = json!(format!("D:/CapCut Drafts/{NAME}"));
    made.meta["draft_root_path"] = json!("D:/CapCut Drafts");
    made.document["materials"]["videos"][0]["path"] =
        json!(format!("D:/CapCut Drafts/{NAME}/assets/a.mp4"));
    made.document["materials"]["audios"][0]["path"] = json!("E:\\music\\song.wav");
    made.meta["draft_materials"][0]["value"][2]["file_Path"] = json!("E:/music/song.wav");
    made.write();
    let problems = made.lint();
    assert_eq!(worst(&problems), Some(Severity::Info), "{problems:#?}");
    assert!(codes(&problems).contains(&"media-elsewhere"));
    assert!(
        fix_twice(&made.folder(), &made.options())
            .changed
            .is_empty()
    );
}
