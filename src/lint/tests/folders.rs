//! Tests with whole folders: mirrors, timelines, encrypted and open drafts.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::{Severity, worst};
use super::*;
use crate::error::Kind;

fn set_age(file: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn the_newest_of_several_different_documents_takes_precedence() {
    let made = Made::clean();
    made.write();
    let mut edited = made.document.clone();
    edited["tracks"][3]["segments"][0]["id"] = json!("EDITED");
    made.put(
        "draft_info.json",
        serde_json::to_string_pretty(&edited).unwrap(),
    );
    set_age(&made.folder().join("draft_content.json"), 60);
    let place = format!("Timelines/{}", made.timeline());
    let nested = ROOTS.map(|name| format!("{place}/{name}"));
    for name in &nested {
        set_age(&made.folder().join(name), 60);
    }
    assert_eq!(codes(&made.lint()), ["mirror-differs"; 3]);
    let fixed = fix_twice(&made.folder(), &made.options());
    assert_eq!(
        fixed.changed,
        ["draft_content.json", &nested[0], &nested[1]]
    );
    assert!(fixed.left.is_empty());
    for name in nested
        .iter()
        .map(String::as_str)
        .chain(["draft_content.json"])
    {
        assert_eq!(made.read(name), edited);
    }
    let old: Value = serde_json::from_slice(
        &fs::read(fixed.backup.unwrap().join("draft_content.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(old, made.document, "the original is kept");
}

#[test]
fn the_main_timeline_gets_the_bytes_of_the_document() {
    let made = Made::clean();
    made.write();
    let nested = format!("Timelines/{}/draft_info.json", made.timeline());
    made.put(&nested, "{\"tracks\": []}");
    set_age(&made.folder().join(&nested), 60);
    assert_eq!(codes(&made.lint()), ["mirror-differs"]);
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    assert_eq!(made.read(&nested), made.document);

    made.put(
        &nested,
        serde_json::to_string_pretty(&made.document).unwrap(),
    );
    set_age(&made.folder().join(&nested), 60);
    let problems = made.lint();
    assert_eq!(codes(&problems), ["mirror-differs"]);
    assert_eq!(problems[0].severity, Severity::Warning, "same content");
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let root = fs::read(made.folder().join("draft_info.json")).unwrap();
    assert_eq!(fs::read(made.folder().join(&nested)).unwrap(), root);
}

#[test]
fn a_replaced_id_is_replaced_in_the_timelines_too() {
    let mut made = Made::clean();
    let shared_id = "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B";
    made.document["id"] = json!(shared_id);
    made.move_timeline(shared_id);
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let id = made.read("draft_info.json")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(id, shared_id);
    let project = made.read("Timelines/project.json");
    assert_eq!(
        (&project["main_timeline_id"], &project["timelines"][0]["id"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(
        made.read("timeline_layout.json")["dockItems"][0]["timelineIds"],
        json!([id])
    );
    assert_eq!(
        made.read(&format!("Timelines/{id}/draft_content.json"))["id"],
        json!(id)
    );
    assert!(!made.folder().join("Timelines").join(shared_id).exists());
}

#[test]
fn missing_timelines_are_written_completely() {
    let made = Made::clean();
    fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
    fs::remove_file(made.folder().join("timeline_layout.json")).unwrap();
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let id = made.timeline();
    let root = fs::read(made.folder().join("draft_content.json")).unwrap();
    for name in ["draft_content.json", "draft_info.json", "template-2.tmp"] {
        let nested = made.folder().join(format!("Timelines/{id}/{name}"));
        assert_eq!(fs::read(nested).unwrap(), root, "{name}");
    }
    for name in [
        "draft_cover.jpg",
        "template.tmp",
        "common_attachment/attachment_script_video.json",
    ] {
        assert!(
            made.folder()
                .join(format!("Timelines/{id}/{name}"))
                .is_file(),
            "{name}"
        );
    }
    assert_eq!(
        made.read("timeline_layout.json")["dockItems"][0]["timelineIds"],
        json!([id])
    );
}

#[test]
fn older_drafts_and_drafts_that_the_app_saved_before_8_9_need_no_timelines() {
    for (version, scheme, device) in [
        ("6.7.0", "140.0.0", ""),
        ("8.5.0-beta4", "167.0.0", "9e107d9d372bb6826bd81d3542a419d6"),
    ] {
        let mut made = Made::clean();
        fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
        made.document["new_version"] = json!(scheme);
        made.document["last_modified_platform"]["app_version"] = json!(version);
        made.document["last_modified_platform"]["device_id"] = json!(device);
        made.write();
        assert_eq!(made.lint(), [], "{version}");
    }
}

#[test]
fn fix_moves_away_backups_that_the_app_would_restore() {
    for (version, scheme, is_moved) in [("11.4.2", "185.0.0", true), ("10.6.0", "169.0.0", false)] {
        let mut made = Made::clean();
        made.document["new_version"] = json!(scheme);
        let platform = &mut made.document["last_modified_platform"];
        platform["app_source"] = json!("lv");
        platform["app_version"] = json!(version);
        made.document["duration"] = json!(1);
        made.write();
        made.put(".backup/20261126/one.json", "{}");
        assert!(codes(&made.lint()).contains(&"leftovers"));
        let fixed = fix_twice(&made.folder(), &made.options());
        assert_eq!(
            made.folder().join(".backup").exists(),
            !is_moved,
            "{version}"
        );
        let kept = fixed.backup.unwrap().join(".backup/20261126/one.json");
        assert_eq!(kept.is_file(), is_moved, "{version}");
        assert_eq!(
            fixed.notes.len(),
            usize::from(is_moved),
            "{:?}",
            fixed.notes
        );
    }
}

#[test]
fn values_that_newer_jianying_omits_have_their_defaults() {
    let mut made = Made::clean();
    let platform = &mut made.document["last_modified_platform"];
    platform["app_source"] = json!("lv");
    platform["app_version"] = json!("11.5.0");
    platform["device_id"] = json!("9e107d9d372bb6826bd81d3542a419d6");
    made.document["new_version"] = json!("187.0.0");
    for key in ["fps", "config", "keyframes"] {
        made.root_object_remove(key);
    }
    let is_default = |value: &Value| value.as_f64() == Some(0.0) || value.as_f64() == Some(1.0);
    for track in made.document["tracks"].as_array_mut().unwrap() {
        let track = track.as_object_mut().unwrap();
        track.retain(|key, value| key != "name" && !is_default(value));
        for segment in track["segments"].as_array_mut().unwrap() {
            let segment = segment.as_object_mut().unwrap();
            segment.retain(|_, value| !is_default(value));
            for key in ["target_timerange", "source_timerange"] {
                if let Some(range) = segment[key].as_object_mut() {
                    range.retain(|_, value| !is_default(value));
                }
            }
        }
    }
    for speed in made.document["materials"]["speeds"].as_array_mut().unwrap() {
        speed
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !is_default(value));
    }
    made.write();
    assert_eq!(made.lint(), []);

    // A fix of another problem does not add the omitted values.
    made.document["tracks"][3]["segments"][0]["extra_material_refs"] = json!(["nothing"]);
    made.write();
    let problems = made.lint();
    assert_eq!(codes(&problems), ["dangling-reference"]);
    assert_eq!(
        problems[0].severity,
        Severity::Error,
        "the app crashes when it opens the draft"
    );
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    made.document["tracks"][3]["segments"][0]["extra_material_refs"] = json!([]);
    assert_eq!(made.read("draft_info.json"), made.document);
}

#[test]
fn the_document_that_the_app_reads_first_is_reported_if_missing() {
    let made = Made::clean();
    made.write();
    fs::remove_file(made.folder().join("draft_content.json")).unwrap();
    let problems = made.lint();
    assert_eq!(codes(&problems), ["document-missing"]);
    assert_eq!(problems[0].severity, Severity::Warning);
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());

    let mut made = Made::clean();
    made.document["last_modified_platform"]["device_id"] =
        json!("9e107d9d372bb6826bd81d3542a419d6");
    made.write();
    fs::remove_file(made.folder().join("draft_info.json")).unwrap();
    let problems = made.lint();
    assert_eq!(
        codes(&problems),
        ["document-missing"],
        "CapCut on Windows saves only one of the two"
    );
    assert_eq!(
        (problems[0].severity, problems[0].fixable),
        (Severity::Info, false)
    );
    assert!(
        fix_twice(&made.folder(), &made.options())
            .changed
            .is_empty()
    );
}

#[test]
fn an_encrypted_draft_is_reported_and_not_changed() {
    let made = Made::clean();
    made.write();
    fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
    for name in [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
    ] {
        made.put(name, "r3fKa8Zt0hRkQmV5c29tZXRoaW5nbG9uZ2Vy+/==");
    }
    let problems = made.lint();
    assert!(
        problems
            .iter()
            .all(|problem| problem.code == "encrypted" && !problem.fixable)
    );
    assert_eq!(worst(&problems), Some(Severity::Error));
    assert!(
        problems[0].what.contains("JianYing"),
        "{}",
        problems[0].what
    );
    let before = snapshot(made.root.path());
    let error = fix(&made.folder(), &made.options()).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.to_string().contains("encrypted"), "{error}");
    assert_eq!(snapshot(made.root.path()), before);
}

#[test]
fn fix_refuses_a_draft_that_is_open_in_the_app() {
    let mut made = Made::clean();
    made.document["duration"] = json!(1);
    made.write();
    made.put(".locked", "");
    assert!(codes(&made.lint()).contains(&"open-in-app"));
    let before = snapshot(made.root.path());
    let error = fix(&made.folder(), &made.options()).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.to_string().contains("close the draft"), "{error}");
    assert_eq!(snapshot(made.root.path()), before);
}

#[test]
fn a_broken_document_is_reported_and_replaced_by_its_intact_copy() {
    let made = Made::clean();
    made.write();
    let text = made.document.to_string();
    made.put("draft_content.json", &text[..text.len() / 2]);
    let problems = made.lint();
    assert!(codes(&problems).contains(&"unreadable"), "{problems:#?}");
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    assert_eq!(made.read("draft_content.json"), made.document);

    fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
    for name in ROOTS {
        made.put(name, "Bad gateway");
    }
    let problems = made.lint();
    assert!(codes(&problems).contains(&"no-document"), "{problems:#?}");
    assert_eq!(
        fix_twice(&made.folder(), &made.options()).changed,
        Vec::<String>::new()
    );
}

#[test]
fn a_folder_that_is_not_a_draft_is_refused_with_the_name_of_the_draft_inside_it() {
    let made = Made::clean();
    made.write();
    let error = lint(made.root.path(), &made.options()).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.to_string().contains(NAME), "{error}");
    let error = lint(&made.root.path().join("nowhere"), &made.options()).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
}

#[test]
fn a_list_entry_that_names_a_missing_document_is_corrected() {
    let mut made = Made::clean();
    made.document["last_modified_platform"]["os"] = json!("mac");
    made.write();
    fs::remove_file(made.folder().join("draft_info.json")).unwrap();
    let entry = json!({
        "draft_fold_path": made.folder(), "draft_name": NAME,
        "draft_json_file": made.folder().join("draft_info.json")
    });
    let list = made.root.path().join("root_meta_info.json");
    fs::write(&list, json!({"all_draft_store": [entry]}).to_string()).unwrap();
    assert!(codes(&made.lint()).contains(&"registered-wrongly"));
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());

    fs::write(&list, "r3fKa8Zt0hRkQmV5c29tZXRoaW5nbG9uZ2Vy").unwrap();
    assert_eq!(
        codes(&made.lint()),
        ["registry"],
        "an unreadable list is not changed"
    );
    assert!(
        fix_twice(&made.folder(), &made.options())
            .changed
            .is_empty()
    );
}

#[test]
fn a_file_with_a_wrong_extension_is_renamed_in_the_draft_and_in_its_lists() {
    let mut made = Made::clean();
    made.put("assets/b.png", example("picture.jpg"));
    made.document["materials"]["videos"][1]["material_name"] = json!("b.png");
    made.write();
    let fixed = fix_twice(&made.folder(), &made.options());
    assert!(fixed.left.is_empty(), "{:#?}", fixed.left);
    assert!(made.folder().join("assets/b.jpg").is_file());
    let video = &made.read("draft_content.json")["materials"]["videos"][1];
    assert_eq!(video["path"], format!("{TOKEN}/assets/b.jpg"));
    assert_eq!(video["material_name"], "b.jpg");
    let entries = &made.read("draft_meta_info.json")["draft_materials"][0]["value"];
    assert_eq!(entries[1]["file_Path"], "./assets/b.jpg");
    assert_eq!(entries.as_array().unwrap().len(), 3, "no second entry");
    let index = fs::read_to_string(fixed.backup.unwrap().join("backup.json")).unwrap();
    assert!(index.contains("assets/b.png"), "{index}");

    // The file is not renamed if another file has the new name.
    let made = Made::clean();
    made.put("assets/b.png", example("picture.jpg"));
    made.put("assets/b.jpg", "another");
    made.write();
    assert_eq!(
        codes(&fix_twice(&made.folder(), &made.options()).left),
        ["media-misnamed"]
    );
}

#[test]
fn keyframe_times_are_converted_to_file_times_with_the_speed() {
    let mut made = Made::clean();
    let segment = &mut made.document["tracks"][0]["segments"][0];
    segment["speed"] = json!(1.5);
    segment["source_timerange"] = json!({"start": 1_000_000, "duration": 3_000_000});
    segment["common_keyframes"] = json!([{"property_type": "KFTypePositionX", "keyframe_list": [
        {"time_offset": 0, "values": [0.0]}, {"time_offset": 1_000_000, "values": [0.5]}
    ]}]);
    made.document["materials"]["speeds"][0]["speed"] = json!(1.5);
    made.write();
    assert_eq!(codes(&made.lint()), ["keyframe-clock"]);
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let keyframes = &made.read("draft_info.json")["tracks"][0]["segments"][0]["common_keyframes"]
        [0]["keyframe_list"];
    assert_eq!(keyframes[0]["time_offset"], 1_000_000);
    assert_eq!(keyframes[1]["time_offset"], 2_500_000);
    assert_eq!(keyframes[1]["values"], json!([0.5]));
}

#[test]
fn fixed_text_ranges_count_emoji_as_two_units() {
    let mut made = Made::clean();
    let content = json!({"text": "😀 go", "styles": [{"range": [0, 1], "size": 9}, {"range": [1, 4], "size": 5}]});
    made.document["materials"]["texts"][0]["content"] = json!(content.to_string());
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let text = made.read("draft_content.json")["materials"]["texts"][0]["content"].clone();
    let content: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert_eq!(content["styles"][0]["range"], json!([0, 2]));
    assert_eq!(content["styles"][1]["range"], json!([2, 5]));
}
