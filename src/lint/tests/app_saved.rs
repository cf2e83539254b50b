//! Drafts as the apps save them, of old and new versions, have no false problems and keep what the app wrote.

use serde_json::{Value, json};

use super::super::{Severity, worst};
use super::*;
use crate::golden;
use crate::units::Edition;

impl Made {
    /// Makes it a draft that the app saved.
    fn saved_by_app(&mut self) {
        for key in ["platform", "last_modified_platform"] {
            self.document[key]["device_id"] = json!("5d41402abc4b2a76b9719d911017c592");
        }
    }

    /// Makes it a draft of JianYing 2.8.5: with its id, without its source, and with plain texts.
    fn of_jianying_2(&mut self) {
        self.saved_by_app();
        self.document["version"] = json!(290_000);
        self.document["new_version"] = json!("48.0.0");
        for key in ["platform", "last_modified_platform"] {
            let platform = self.document[key].as_object_mut().unwrap();
            platform.remove("app_source");
            platform.insert("app_id".to_owned(), json!(3704));
            platform.insert("app_version".to_owned(), json!("2.8.5"));
        }
        self.root_object_remove("keyframes");
        self.document["materials"]["texts"][0]["content"] = json!("大家好 plain");
    }

    /// The problems, other than those that a clean draft of another version may have.
    fn errors(&self) -> Vec<&'static str> {
        let problems = self.lint();
        let all = problems
            .iter()
            .filter(|problem| problem.severity > Severity::Info);
        all.map(|problem| problem.code).collect()
    }
}

#[test]
fn only_videos_and_older_sounds_are_linked_to_the_list_of_media() {
    let mut made = Made::clean();
    for list in ["videos", "audios"] {
        for material in made.document["materials"][list].as_array_mut().unwrap() {
            if material["type"] != "video" {
                material["local_material_id"] = json!("");
            }
        }
    }
    made.write();
    assert_eq!(made.lint(), []);
    // A fix of something else does not link them.
    made.document["duration"] = json!(1);
    made.write();
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    made.document["duration"] = json!(4_000_000);
    assert_eq!(made.read("draft_info.json"), made.document);
}

#[test]
fn sounds_of_the_apps_library_need_no_entry_in_the_list_of_media() {
    for kind in ["music", "sound", "text_to_audio"] {
        let mut made = Made::clean();
        made.saved_by_app();
        let song = made.root.path().join("Cache/music/1f67.wav");
        fs::create_dir_all(song.parent().unwrap()).unwrap();
        fs::write(&song, wav(4)).unwrap();
        let sound = &mut made.document["materials"]["audios"][0];
        sound["type"] = json!(kind);
        sound["local_material_id"] = json!("");
        sound["path"] = json!(song);
        made.meta["draft_materials"][0]["value"]
            .as_array_mut()
            .unwrap()
            .pop();
        made.write();
        assert_eq!(codes(&made.lint()), ["media-outside"], "{kind}");
    }
}

#[test]
fn copies_of_a_text_effect_with_one_id_are_kept() {
    let mut made = Made::clean();
    let effect = json!({"id": "E1", "type": "text_effect", "resource_id": "7", "value": 1.0});
    let filter = json!({"id": "E2", "type": "filter", "value": 1.0});
    made.document["materials"]["effects"] = json!([effect, effect, effect]);
    made.write();
    assert_eq!(made.lint(), []);
    made.document["materials"]["effects"] = json!([effect, filter, effect, filter, effect]);
    made.write();
    assert_eq!(codes(&made.lint()), ["duplicate-id"]);
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    let left = made.read("draft_content.json")["materials"]["effects"].clone();
    assert_eq!(left, json!([effect, filter, effect, effect]));
}

#[test]
fn drafts_of_old_versions_keep_their_markers_and_parts() {
    let mut made = Made::clean();
    made.of_jianying_2();
    made.write();
    assert_eq!(made.errors(), [""; 0]);
    // Another fix, and the request for another app, leave them as they are.
    made.document["duration"] = json!(1);
    made.write();
    for edition in [None, Some(Edition::Jianying), Some(Edition::Capcut)] {
        let options = LintOptions {
            edition,
            ..made.options()
        };
        fix_twice(&made.folder(), &options);
        let mut wanted = made.document.clone();
        wanted["duration"] = json!(4_000_000);
        assert_eq!(made.read("draft_content.json"), wanted, "{edition:?}");
        let found = lint(&made.folder(), &options).unwrap();
        let is_foreign = codes(&found).contains(&"markers-of-other-app");
        assert_eq!(is_foreign, edition == Some(Edition::Capcut));
    }

    // In a draft of a new version, the same text is an error.
    let mut made = Made::clean();
    made.document["materials"]["texts"][0]["content"] = json!("plain");
    made.write();
    assert_eq!(made.errors(), ["text-content"]);
}

#[test]
fn the_edition_is_told_by_the_apps_id_if_its_source_is_missing() {
    let mut made = Made::clean();
    for key in ["platform", "last_modified_platform"] {
        let platform = made.document[key].as_object_mut().unwrap();
        platform.remove("app_source");
        platform.insert("app_id".to_owned(), json!(3704));
        platform.insert("app_version".to_owned(), json!("10.6.0"));
    }
    made.write();
    assert_eq!(made.errors(), ["markers-missing"]);
    assert!(fix_twice(&made.folder(), &made.options()).left.is_empty());
    assert_eq!(made.read("draft_info.json")["platform"]["app_source"], "lv");
}

#[test]
fn flags_of_pictures_are_the_apps_own_in_drafts_that_it_saved() {
    for flag in [511, 7, 62_978_047 - 4096, 188_807_167] {
        let mut made = Made::clean();
        made.document["materials"]["videos"][1]["check_flag"] = json!(flag);
        made.write();
        let is_reported = !made.lint().is_empty();
        assert_eq!(is_reported, flag != 188_807_167, "{flag}");
        fix_twice(&made.folder(), &made.options());
        let fixed = made.read("draft_info.json")["materials"]["videos"][1]["check_flag"].clone();
        let fixed = fixed.as_i64().unwrap();
        assert_eq!(fixed & flag, flag, "no bit is removed from {flag}");
        assert_eq!(fixed & 0xf7ff, 0xf7ff);

        made.saved_by_app();
        made.write();
        assert_eq!(made.lint(), [], "{flag}");
    }
}

#[test]
fn clips_of_old_versions_overlap_in_a_transition() {
    let made = |version: &str, is_overlap: bool, start: i64| {
        let mut made = Made::clean();
        made.saved_by_app();
        for key in ["platform", "last_modified_platform"] {
            made.document[key]["app_version"] = json!(version);
        }
        made.document["materials"]["transitions"] = json!([{"id": "X1", "type": "transition", "duration": 500_000, "is_overlap": is_overlap}]);
        let clips = &mut made.document["tracks"][0]["segments"];
        clips[0]["extra_material_refs"] = json!(["SP1", "X1"]);
        clips[1]["target_timerange"]["start"] = json!(start);
        made.document["duration"] = json!(start + 2_000_000);
        made.meta["tm_duration"] = json!(start + 2_000_000);
        made.write();
        made.errors()
    };
    assert_eq!(made("1.5.0", true, 1_500_000), [""; 0]);
    assert_eq!(made("1.5.0", true, 1_000_000), ["overlap"]);
    assert_eq!(made("1.5.0", false, 1_500_000), ["overlap"]);
    assert_eq!(made("9.1.0", true, 1_500_000), ["overlap"]);
}

#[test]
fn a_missing_path_without_a_name_is_not_called_a_file() {
    let mut made = Made::clean();
    let video = &mut made.document["materials"]["videos"][0];
    video["path"] = json!("");
    video["material_name"] = json!("");
    made.write();
    let problems = made.lint();
    assert!(
        problems
            .iter()
            .all(|problem| !problem.what.contains("\"\"")),
        "{problems:#?}"
    );
}

/// Problems that the recorded folders really have: their media, metadata and covers are not part of the recordings,
/// and their folders have other names.
const REAL: [&str; 2] = ["meta-missing", "draft-name"];

#[test]
fn drafts_that_the_apps_saved_have_no_false_problems() {
    let Some(drafts) = golden::app_drafts() else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    for folder in drafts {
        let options = LintOptions::new(data.path(), None);
        let problems = lint(&folder, &options).unwrap();
        let other: Vec<_> = problems
            .iter()
            .filter(|problem| problem.severity > Severity::Info && !REAL.contains(&problem.code))
            .collect();
        assert!(other.is_empty(), "{}: {other:#?}", folder.display());
        let no_name = problems
            .iter()
            .any(|problem| problem.code == "meta-missing");
        let most = if no_name {
            Severity::Error
        } else {
            Severity::Warning
        };
        assert!(worst(&problems) <= Some(most));

        // A fix leaves the documents of the app as they are.
        let copy = data.path().join(folder.file_name().unwrap());
        fs::create_dir(&copy).unwrap();
        for (file, bytes) in snapshot(&folder) {
            if file.parent() == Some(&folder) {
                fs::write(copy.join(file.file_name().unwrap()), bytes).unwrap();
            }
        }
        fix_twice(&copy, &options);
        for name in ROOTS {
            let before: Option<Value> = fs::read(folder.join(name))
                .ok()
                .map(|bytes| serde_json::from_slice(&bytes).unwrap());
            let after = fs::read(copy.join(name)).ok();
            assert!(
                before.is_none() || after == fs::read(folder.join(name)).ok(),
                "{}",
                folder.display()
            );
        }
    }
}
