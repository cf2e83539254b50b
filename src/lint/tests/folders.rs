//! Tests with whole folders: mirrors, timelines, encrypted and open drafts, drafts of other programs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::{Severity, worst};
use super::*;
use crate::error::Kind;
use crate::golden;
use crate::units::Edition;

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
fn a_document_with_too_many_values_is_refused_before_it_is_parsed() {
    let made = Made::clean();
    made.write();
    made.put(
        "draft_info.json",
        format!("{{\"tracks\":[0{}]}}", ",0".repeat(6_000_000)),
    );
    let lint = super::super::lint(&made.folder(), &made.options());
    let error = lint.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(
        error.to_string().contains("more than 6000000 values"),
        "{error}"
    );
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

/// A rewritten document keeps everything else exactly: the order of keys, unknown fields, and numbers.
#[test]
fn fix_keeps_the_rest_of_the_document_bit_for_bit() {
    let odd = r#"{"z":0.6363961030678928,"a":[0.00800000037997961,1e-7,-0.0,5e-324,1.7976931348623157e+308],"m":{"big":18446744073709551615,"low":-9223372036854775808,"float":0.30000000000000004,"whole":1.0},"b":0.1,"text":"a/b\u0001😀"}"#;
    let mut made = Made::clean();
    made.write();
    made.document["duration"] = json!(1);
    let with_odd = |duration: i64| {
        let mut document = made.document.clone();
        document["duration"] = json!(duration);
        document
            .to_string()
            .replacen('{', &format!("{{\"odd\":{odd},"), 1)
    };
    let before = with_odd(1);
    let nested = ROOTS.map(|name| format!("Timelines/{}/{name}", made.timeline()));
    for name in nested.iter().map(String::as_str).chain(ROOTS) {
        made.put(name, &before);
    }
    assert_eq!(fix_twice(&made.folder(), &made.options()).left, []);
    let after = fs::read_to_string(made.folder().join("draft_info.json")).unwrap();
    assert_eq!(after, with_odd(4_000_000));
}

#[test]
fn documents_of_the_apps_are_unchanged_after_reading_and_writing() {
    let Some(drafts) = golden::app_drafts() else {
        return;
    };
    let mut count = 0;
    for folder in drafts {
        for (path, before) in snapshot_of(&folder) {
            let Ok(value) = serde_json::from_slice::<Value>(&before) else {
                continue;
            };
            let bits = |text: &[u8]| {
                let compact: Box<serde_json::value::RawValue> =
                    serde_json::from_slice(text).unwrap();
                numbers(compact.get())
            };
            assert_eq!(
                bits(&before),
                bits(value.to_string().as_bytes()),
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 20, "only {count} documents");
}

fn snapshot_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = snapshot(folder).into_iter();
    all.filter(|(_, bytes)| bytes.first() == Some(&b'{'))
        .collect()
}

/// The bits of all floats in a JSON text, in order, each read by the standard library.
fn numbers(json: &str) -> Vec<u64> {
    let mut is_text = false;
    let mut is_escaped = false;
    let mut all = Vec::new();
    let mut number = String::new();
    for character in json.chars() {
        if is_text {
            is_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character.is_ascii_digit()
            || "+-.eE".contains(character) && (!number.is_empty() || character == '-')
        {
            number.push(character);
        } else {
            if let Ok(float) = number.parse::<f64>() {
                all.push(float.to_bits());
            }
            number.clear();
            is_text = character == '"';
        }
    }
    all
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

#[test]
fn fix_does_not_panic_on_values_that_are_not_objects() {
    for styles in [json!(["x"]), json!([[0, 1]]), json!([{"range": [0, 1]}, 7])] {
        let mut made = Made::clean();
        let content = json!({"text": "words", "styles": styles});
        made.document["materials"]["texts"][0]["content"] = json!(content.to_string());
        made.document["tracks"][0]["segments"][0]["common_keyframes"] = json!([5, "x", [1]]);
        made.write();
        fix_twice(&made.folder(), &made.options());
        let text = made.read("draft_content.json")["materials"]["texts"][0]["content"].clone();
        let content: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let styles = content["styles"].as_array().unwrap();
        assert!(styles.iter().all(Value::is_object), "{styles:?}");
    }
}

#[test]
fn lint_and_fix_do_not_panic_on_any_json() {
    let made = Made::clean();
    for document in [
        "{}",
        r#"{"duration": -9e300}"#,
        r#"{"tracks": {}, "materials": [], "fps": "x", "platform": 3}"#,
        r#"{"tracks": [null, 1, {"segments": [null, {"target_timerange": {"start": -9e300, "duration": 9e300}, "extra_material_refs": [1, null]}]}], "materials": {"videos": [null, {"path": 4}], "texts": [{}], "speeds": 1}}"#,
    ] {
        made.put("draft_content.json", document);
        made.put("draft_info.json", document);
        made.put("draft_meta_info.json", r#"{"draft_materials": [1, {"type": 0}, {"value": [null, {"id": 3}]}], "draft_name": []}"#);
        assert_eq!(worst(&made.lint()), Some(Severity::Error));
        let fixed = fix_twice(&made.folder(), &made.options());
        assert!(
            fixed.left.iter().all(|problem| !problem.fixable),
            "{document}: {:#?}",
            fixed.left
        );
    }
}

impl Made {
    fn root_object_remove(&mut self, key: &str) {
        self.document.as_object_mut().unwrap().remove(key);
    }
}

#[test]
fn the_reference_draft_has_only_known_problems() {
    let reference = golden::folder().join("capcut-9.1");
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("ref_tok");
    fs::create_dir(&folder).unwrap();
    for name in ["draft_content.json", "draft_meta_info.json"] {
        fs::copy(reference.join(name), folder.join(name)).unwrap();
    }
    let options = LintOptions::new(root.path(), None);
    let problems = lint(&folder, &options).unwrap();
    let errors: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .collect();
    let missing = errors.iter().filter(|error| error.code == "media-missing");
    assert!(missing.clone().all(|error| error.what.contains("no file")));
    assert_eq!((missing.count(), errors.len()), (2, 3), "{errors:#?}");

    fs::create_dir_all(folder.join("assets/video")).unwrap();
    fs::create_dir_all(folder.join("assets/audio")).unwrap();
    fs::write(folder.join("assets/video/a.mp4"), example("clip.mp4")).unwrap();
    fs::write(folder.join("assets/audio/b.wav"), wav(10)).unwrap();
    let problems = lint(&folder, &options).unwrap();
    let mut found = codes(&problems);
    found.dedup();
    // The clip is one second shorter than the one with which the draft was made.
    assert_eq!(
        found,
        [
            "timelines-missing",
            "document-missing",
            "media-shorter",
            "draft-path",
            "cover-missing"
        ],
        "{problems:#?}"
    );
    let fixed = fix_twice(&folder, &options);
    assert_eq!(codes(&fixed.left), ["media-shorter", "cover-missing"]);
}

/// Writes a recorded folder to disk, with its media.
fn write_recorded(recorded: &Value, root: &Path, media: &Path) -> PathBuf {
    let folder = root.join("dfd_cat_1");
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    };
    for entry in recorded["tree"].as_array().unwrap() {
        let name = entry["path"].as_str().unwrap();
        match recorded["files"].get(name) {
            Some(file) if file["json"].is_null() => {
                put(name, file["text"].as_str().unwrap_or_default().as_bytes())
            }
            Some(file) => put(
                name,
                file["json"]
                    .to_string()
                    .replace("<draft-1>", "dfd_cat_1")
                    .as_bytes(),
            ),
            None if entry["kind"] == "file" && name.starts_with("assets/") => {
                let wanted = entry["size"].as_u64().unwrap();
                let same = fs::read_dir(media).unwrap().flatten().find(|file| {
                    file.metadata()
                        .is_ok_and(|metadata| metadata.len() == wanted)
                });
                let bytes = match same {
                    Some(file) => fs::read(file.path()).unwrap(),
                    // Images are converted when they are saved.
                    None => example("logo.png"),
                };
                put(name, &bytes);
            }
            None => {}
        }
    }
    folder
}

#[test]
fn recorded_folders_of_the_reference_server_have_known_problems_and_are_fixed() {
    let mut count = 0;
    for (name, recorded) in golden::recordings(golden::Part::Saved) {
        count += 1;
        let root = tempfile::tempdir().unwrap();
        fs::write(
            root.path().join("root_meta_info.json"),
            r#"{"all_draft_store": [], "draft_ids": 0}"#,
        )
        .unwrap();
        let folder = write_recorded(&recorded, root.path(), &golden::media());
        let data = tempfile::tempdir().unwrap();
        let options = LintOptions::new(data.path(), None);
        let problems = lint(&folder, &options).unwrap();
        let found = codes(&problems);
        for code in [
            "markers-stale",
            "shared-id",
            "template-device",
            "mirror-stale",
            "document-missing",
            "media-moved",
            "media-misnamed",
            "media-unlisted",
            "dangling-reference",
            "speed",
            "draft-path",
            "draft-name",
            "unregistered",
            "meta-duration",
        ] {
            assert!(found.contains(&code), "{name} lacks {code}: {problems:#?}");
        }
        let fixed = fix_twice(&folder, &options);
        assert!(
            worst(&fixed.left) <= Some(Severity::Info),
            "{name}: {:#?}",
            fixed.left
        );
        let document: Value =
            serde_json::from_slice(&fs::read(folder.join("draft_content.json")).unwrap()).unwrap();
        let edition = if name.starts_with("jianying") {
            "lv"
        } else {
            "cc"
        };
        assert_eq!(
            document["last_modified_platform"]["app_source"], edition,
            "{name}"
        );
        let system = if name.ends_with("windows") {
            "windows"
        } else {
            "mac"
        };
        assert_eq!(document["last_modified_platform"]["os"], system, "{name}");
        let before = &recorded["files"]["draft_info.json"]["json"];
        let count = |document: &Value| -> usize {
            document["tracks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|track| track["segments"].as_array().unwrap().len())
                .sum()
        };
        assert_eq!(count(&document), count(before), "no segment is lost");
        assert!(fixed.backup.unwrap().join("draft_info.json").is_file());
    }
    assert_eq!(count, 6);
}

#[cfg(unix)]
#[test]
fn documents_that_are_links_pipes_or_devices_are_refused() {
    use std::os::unix::fs::symlink;
    for name in [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
        "template-2.tmp",
        "Timelines/project.json",
    ] {
        let made = Made::clean();
        made.write();
        made.put(name, "{}");
        let path = made.folder().join(name);
        let elsewhere = made.root.path().join("elsewhere.json");
        fs::write(&elsewhere, made.document.to_string()).unwrap();
        let is_refused = |what: &str| {
            for error in [
                lint(&made.folder(), &made.options()).unwrap_err(),
                fix(&made.folder(), &made.options()).unwrap_err(),
            ] {
                let error = error.to_string();
                assert!(error.contains(what) && error.contains(name), "{error}");
            }
        };
        for target in [Path::new("/dev/zero"), &elsewhere] {
            fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            is_refused("symbolic link");
        }
        fs::remove_file(&path).unwrap();
        let made_pipe = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made_pipe.unwrap().success());
        is_refused("pipe");
    }
}

#[cfg(unix)]
#[test]
fn a_timelines_link_that_points_outside_the_draft_is_refused() {
    let made = Made::clean();
    made.write();
    let elsewhere = made.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("project.json"), "{}").unwrap();
    let timelines = made.folder().join("Timelines");
    fs::remove_dir_all(&timelines).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &timelines).unwrap();
    let error = fix(&made.folder(), &made.options()).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn fix_refuses_documents_with_values_that_cannot_be_rewritten() {
    for value in [r#""\ud800""#, r#""\udc00\ud800""#, "1e999"] {
        let made = Made::clean();
        made.write();
        let mut document = made.document.clone();
        // A fixable problem, together with a value that cannot be kept.
        document["tracks"].as_array_mut().unwrap().reverse();
        document["duration"] = json!(1);
        let text = document
            .to_string()
            .replacen("\"name\":\"\"", &format!("\"name\":{value}"), 1);
        for name in ["draft_content.json", "draft_info.json"] {
            made.put(name, &text);
        }
        lint(&made.folder(), &made.options()).unwrap();
        let error = fix(&made.folder(), &made.options()).unwrap_err();
        assert_eq!(error.kind, Kind::Conflict, "{error}");
        assert!(error.to_string().contains("line 1 column"), "{error}");
        let after = fs::read_to_string(made.folder().join("draft_content.json")).unwrap();
        assert_eq!(after, text);
    }
}
