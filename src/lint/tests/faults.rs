//! One problem at a time.

use serde_json::{Value, json};

use super::super::Severity;
use super::*;

/// Adds a problem to a clean draft.
type Spoil = fn(&mut Made);

/// The code of a problem, whether it is fixable, and how to cause it.
const FAULTS: &[(&str, bool, Spoil)] = &[
    ("markers-missing", true, |made| {
        drop(made.root_object().remove("new_version"))
    }),
    ("markers-missing", true, |made| {
        drop(made.root_object().remove("last_modified_platform"))
    }),
    ("markers-missing", true, |made| {
        made.document["version"] = json!("360000")
    }),
    ("markers-stale", true, |made| {
        made.document["new_version"] = json!("110.0.0");
        made.document["last_modified_platform"]["app_version"] = json!("6.5.0");
    }),
    ("template-device", true, |made| {
        made.document["platform"]["device_id"] = json!("c4ca4238a0b923820dcc509a6f75849b");
        made.document["platform"]["hard_disk_id"] = json!("307563e0192a94465c0e927fbc482942");
        made.document["platform"]["mac_address"] = json!("c3371f2d4fb02791c067ce44d8fb4ed5");
    }),
    ("shared-id", true, |made| {
        made.document["id"] = json!("91E08AC5-22FB-47e2-9AA0-7DC300FAEA2B")
    }),
    ("shared-id", true, |made| {
        // As the newer reference server writes it: the folder of the timeline has the shared id as well.
        made.document["id"] = json!("91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B");
        made.move_timeline("91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B");
    }),
    ("shared-id", true, |made| {
        made.meta["draft_id"] = json!("989869B1-B560-489C-9C6F-4B444F24BF36")
    }),
    ("id-missing", true, |made| made.document["id"] = json!("")),
    ("id-missing", true, |made| {
        made.document["tracks"][0]["segments"][1]["id"] = Value::Null
    }),
    ("id-missing", true, |made| made.meta["draft_id"] = json!("")),
    ("id-missing", false, |made| {
        made.document["materials"]["texts"][0]["id"] = json!("")
    }),
    ("fps", true, |made| made.document["fps"] = json!(0)),
    ("canvas", false, |made| {
        made.document["canvas_config"]["width"] = json!(0)
    }),
    ("structure", false, |made| {
        drop(made.root_object().remove("tracks"))
    }),
    ("parts-missing", true, |made| {
        drop(made.root_object().remove("config"))
    }),
    ("duration", true, |made| {
        made.document["duration"] = json!(9_000_000)
    }),
    ("duplicate-id", true, |made| {
        let twice = made.document["materials"]["videos"][0].clone();
        made.push("videos", twice);
    }),
    ("duplicate-id", false, |made| {
        made.document["materials"]["audios"][0]["id"] = json!("V1");
    }),
    ("duplicate-id", true, |made| {
        made.document["tracks"][1]["segments"][0]["id"] = json!("S1")
    }),
    ("text-content", false, |made| {
        made.document["materials"]["texts"][0]["content"] = json!("{oops")
    }),
    ("text-ranges", true, |made| {
        made.text(&json!({"text": "Hi 😀", "styles": [{"range": [0, 4]}]}))
    }),
    ("text-ranges", true, |made| {
        made.text(&json!({"text": "Hi", "styles": [{"range": [0, 9]}]}))
    }),
    ("text-style", false, |made| {
        made.text(&json!({"text": "Hi", "styles": []}))
    }),
    ("check-flag", true, |made| {
        made.document["materials"]["videos"][0]["check_flag"] = json!(7)
    }),
    ("check-flag", true, |made| {
        // A large number without the bit of the background.
        made.document["materials"]["videos"][0]["check_flag"] = json!(188_807_167 - 4096)
    }),
    ("mask-list", true, |made| {
        made.document["materials"]["masks"] = json!([{"id": "M1", "type": "mask"}])
    }),
    ("track-type", false, |made| {
        made.document["tracks"][3]["type"] = json!("texts")
    }),
    ("track-name", true, |made| {
        made.document["tracks"][2]["name"] = Value::Null
    }),
    ("unsorted", true, |made| {
        made.document["tracks"][0]["segments"]
            .as_array_mut()
            .unwrap()
            .reverse();
    }),
    ("overlap", false, |made| {
        made.target(0, 1, 1_000_000, 2_000_000)
    }),
    ("overlap", true, |made| {
        let mut second = made.document["tracks"][3]["segments"][0].clone();
        second["id"] = json!("S6");
        made.document["tracks"][3]["segments"]
            .as_array_mut()
            .unwrap()
            .push(second);
        made.target(3, 1, 1_000_000, 2_000_000);
    }),
    ("main-track-gap", false, |made| {
        made.target(0, 1, 2_500_000, 2_000_000)
    }),
    ("main-track-gap", false, |made| {
        made.document["tracks"][0]["segments"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    }),
    ("time-range", false, |made| made.target(1, 0, 1_000_000, 0)),
    ("time-range", false, |made| {
        made.document["tracks"][1]["segments"][0]["target_timerange"] = json!("0-1")
    }),
    ("off-grid", false, |made| {
        made.target(3, 0, 15_000, 2_000_000)
    }),
    ("material-missing", false, |made| {
        made.document["tracks"][0]["segments"][0]["material_id"] = json!("gone")
    }),
    ("material-kind", false, |made| {
        made.document["tracks"][0]["segments"][0]["material_id"] = json!("T1")
    }),
    ("dangling-reference", true, |made| {
        made.document["tracks"][3]["segments"][0]["extra_material_refs"] = json!(["nothing"]);
    }),
    ("audio-clip", true, |made| {
        made.document["tracks"][2]["segments"][0]["clip"] = json!({"alpha": 1.0})
    }),
    ("speed", true, |made| {
        made.document["tracks"][1]["segments"][0]["speed"] = Value::Null
    }),
    ("speed-material", true, |made| {
        made.document["materials"]["speeds"][0]["speed"] = json!(2.0)
    }),
    ("speed-times", false, |made| made.source(0, 0, 0, 4_000_000)),
    ("beyond-media", false, |made| {
        made.source(0, 0, 4_000_000, 2_000_000)
    }),
    ("keyframe-order", true, |made| {
        made.keyframes(&[900_000, 100_000])
    }),
    ("keyframe-clock", true, |made| {
        made.source(0, 0, 1_500_000, 2_000_000);
        made.keyframes(&[0, 1_000_000]);
    }),
    ("keyframe-outside", false, |made| {
        made.keyframes(&[0, 4_500_000])
    }),
    ("media-length", false, |made| {
        made.document["materials"]["videos"][0]["duration"] = json!(0)
    }),
    ("media-size", false, |made| {
        made.document["materials"]["videos"][0]["width"] = json!(0)
    }),
    ("media-missing", false, |made| {
        fs::remove_file(made.folder().join("assets/a.mp4")).unwrap();
    }),
    ("media-moved", true, |made| {
        made.document["materials"]["videos"][0]["path"] =
            json!("/Users/someone/Movies/old/assets/a.mp4");
    }),
    ("media-moved", true, |made| {
        made.document["materials"]["videos"][0]["path"] = json!(r"C:\Users\me\old\assets\A.mp4");
    }),
    ("media-moved", true, |made| {
        made.document["materials"]["videos"][0]["path"] = json!("")
    }),
    ("media-moved", true, |made| {
        made.compound(r"C:\Users\me\old\assets\a.mp4");
    }),
    ("media-missing", false, |made| {
        made.compound("/gone/away.mp4")
    }),
    ("media-missing", false, |made| {
        let video = &mut made.document["materials"]["videos"][0];
        video["path"] = json!("");
        video["material_name"] = json!("");
    }),
    ("media-outside", false, |made| {
        let file = made.root.path().join("far.mp4");
        fs::write(&file, example("clip.mp4")).unwrap();
        made.document["materials"]["videos"][0]["path"] = json!(file);
    }),
    ("media-empty", false, |made| made.put("assets/a.mp4", "")),
    ("media-kind", false, |made| {
        made.put("assets/a.mp4", "<!DOCTYPE html><title>404</title>")
    }),
    ("media-kind", false, |made| {
        made.put("assets/c.wav", example("logo.png"))
    }),
    ("media-kind", false, |made| made.put("assets/a.mp4", wav(4))),
    ("media-damaged", false, |made| made.cut("assets/a.mp4")),
    ("media-damaged", false, |made| made.cut("assets/b.png")),
    ("media-damaged", false, |made| made.cut("assets/c.wav")),
    ("media-shorter", false, |made| {
        made.put("assets/c.wav", wav(2))
    }),
    ("media-misnamed", true, |made| {
        made.put("assets/c.wav", example("music.mp3"))
    }),
    ("meta-missing", true, |made| made.meta = Value::Null),
    ("meta-unreadable", true, |made| made.meta = json!([])),
    ("meta-duration", true, |made| {
        made.meta["tm_duration"] = json!(0)
    }),
    ("meta-duration", true, |made| {
        made.meta["tm_duration"] = json!(i64::MIN)
    }),
    ("meta-duration", true, |made| {
        made.meta["tm_duration"] = json!(i64::MAX)
    }),
    ("draft-path", true, |made| {
        made.meta["draft_fold_path"] = json!("/somewhere/else")
    }),
    ("draft-path", true, |made| {
        made.meta["draft_root_path"] = json!("")
    }),
    ("draft-name", true, |made| {
        made.meta["draft_name"] = json!("0707")
    }),
    ("media-unlisted", true, |made| {
        made.meta["draft_materials"][0]["value"] = json!([])
    }),
    ("media-unlisted", true, |made| {
        made.meta["draft_materials"] = Value::Null
    }),
    ("media-unlinked", true, |made| {
        made.document["materials"]["videos"][0]["local_material_id"] = json!("")
    }),
    ("media-unlinked", true, |made| {
        // Up to CapCut 8.9, the user's sounds are linked as well.
        made.document["materials"]["audios"][0]["local_material_id"] = json!("");
        made.document["new_version"] = json!("175.0.0");
        made.document["last_modified_platform"]["app_version"] = json!("8.9.1");
    }),
    ("for-another-system", false, |made| {
        made.meta["draft_fold_path"] = json!(format!("D:/Drafts/{NAME}"));
    }),
    ("cover-missing", false, |made| {
        fs::remove_file(made.folder().join("draft_cover.jpg")).unwrap()
    }),
    ("leftovers", false, |made| {
        made.put("draft_content.json.bak", "{}")
    }),
    ("mirror-stale", true, |made| {
        made.put("template-2.tmp", "{\"tracks\": []}")
    }),
    ("mirror-stale", true, |made| made.put("template-2.tmp", "")),
    ("timelines-missing", true, |made| {
        fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
    }),
    ("timelines-missing", true, |made| {
        fs::remove_dir_all(made.folder().join("Timelines")).unwrap();
        made.document["new_version"] = json!("151.0.0");
        made.document["last_modified_platform"]["app_version"] = json!("7.7.0-beta1");
    }),
    ("timeline-missing", true, |made| {
        fs::remove_file(made.folder().join("Timelines/project.json")).unwrap();
    }),
    ("timeline-missing", true, |made| {
        made.put("Timelines/project.json", r#"{"main_timeline_id": "../.."}"#);
    }),
    ("timeline-missing", true, |made| {
        let id = made.timeline();
        fs::remove_dir_all(made.folder().join(format!("Timelines/{id}"))).unwrap();
    }),
    ("timeline-missing", true, |made| {
        let id = made.timeline();
        fs::remove_file(
            made.folder()
                .join(format!("Timelines/{id}/draft_content.json")),
        )
        .unwrap();
    }),
    ("timeline-id", true, |made| {
        made.document["id"] = json!("0F3C9F5B-0000-4C2B-9D0B-2A2C5C0C9F11");
    }),
    ("timeline-id", true, |made| {
        let id = made.timeline();
        let project = json!({"main_timeline_id": id, "timelines": [{"id": "another"}]});
        made.put("Timelines/project.json", project.to_string());
    }),
    ("unregistered", true, |made| {
        let list = json!({"all_draft_store": [{"draft_name": "x", "draft_fold_path": "/x", "pippit_extra": ""}], "draft_ids": 1});
        fs::write(
            made.root.path().join("root_meta_info.json"),
            list.to_string(),
        )
        .unwrap();
    }),
];

impl Made {
    fn root_object(&mut self) -> &mut serde_json::Map<String, Value> {
        self.document.as_object_mut().unwrap()
    }

    fn push(&mut self, list: &str, material: Value) {
        self.document["materials"][list]
            .as_array_mut()
            .unwrap()
            .push(material);
    }

    /// Adds a compound clip in a compound clip, with the clip `a.mp4` at this path.
    fn compound(&mut self, path: &str) {
        let mut video = self.document["materials"]["videos"][0].clone();
        video["path"] = json!(path);
        let clip = json!({"id": "C1", "material_id": "V1"});
        let inner = json!({"materials": {"videos": [video]}, "tracks": [{"type": "video", "segments": [clip]}]});
        let outer = json!({"materials": {"drafts": [{"id": "D1", "draft": inner}]}, "tracks": []});
        self.document["materials"]["drafts"] = json!([{"id": "D2", "draft": outer}]);
    }

    fn text(&mut self, content: &Value) {
        self.document["materials"]["texts"][0]["content"] = json!(content.to_string());
    }

    fn target(&mut self, track: usize, segment: usize, start: i64, duration: i64) {
        let range = json!({"start": start, "duration": duration});
        self.document["tracks"][track]["segments"][segment]["target_timerange"] = range;
    }

    fn source(&mut self, track: usize, segment: usize, start: i64, duration: i64) {
        let range = json!({"start": start, "duration": duration});
        self.document["tracks"][track]["segments"][segment]["source_timerange"] = range;
    }

    fn keyframes(&mut self, times: &[i64]) {
        let all: Vec<_> = times
            .iter()
            .map(|time| json!({"time_offset": time, "values": [0.5]}))
            .collect();
        self.document["tracks"][0]["segments"][0]["common_keyframes"] =
            json!([{"property_type": "KFTypeAlpha", "keyframe_list": all}]);
    }
}

#[test]
fn a_clean_draft_has_no_problems() {
    let made = Made::clean();
    made.write();
    assert_eq!(made.lint(), Vec::new());
    let before = snapshot(made.root.path());
    let fixed = fix(&made.folder(), &made.options()).unwrap();
    assert!(fixed.changed.is_empty() && fixed.backup.is_none() && fixed.left.is_empty());
    assert_eq!(snapshot(made.root.path()), before, "nothing is changed");
}

#[test]
fn every_problem_is_found_and_fixable_ones_are_fixed_permanently() {
    for (number, (code, fixable, spoil)) in FAULTS.iter().enumerate() {
        let fault = format!("{code} (fault {number})");
        let mut made = Made::clean();
        spoil(&mut made);
        made.write();
        if made.meta.is_null() {
            fs::remove_file(made.folder().join("draft_meta_info.json")).unwrap();
        }
        let problems = made.lint();
        let found = problems.iter().find(|problem| problem.code == *code);
        let found = found.unwrap_or_else(|| panic!("{fault} is not found, but {problems:#?}"));
        assert_eq!(found.fixable, *fixable, "{fault}");
        assert!(!found.path.is_empty() && !found.what.is_empty() && !found.hint.is_empty());
        let worst = found.severity;
        assert!(
            problems
                .iter()
                .all(|other| other.severity <= worst.max(Severity::Warning)),
            "{fault} makes other errors: {problems:#?}"
        );

        let fixed = fix_twice(&made.folder(), &made.options());
        assert!(
            fixed.left.iter().all(|problem| !problem.fixable),
            "{fault}: fixable problems remain: {:#?}",
            fixed.left
        );
        let is_left = codes(&fixed.left).contains(code);
        assert_eq!(is_left, !fixable, "{fault}: {:#?}", fixed.left);
        if *fixable {
            assert!(fixed.left.is_empty(), "{fault}: {:#?}", fixed.left);
            let backup = fixed.backup.expect("something changed");
            assert!(backup.join("backup.json").is_file(), "{fault}");
        }
        let document = made.read("draft_content.json");
        assert_eq!(
            document["of_a_newer_app"],
            json!({"deep": [null, "x"]}),
            "{fault}"
        );
        assert_eq!(
            document["materials"]["videos"][0]["unknown_to_us"],
            json!({"keep": [1, 2.5]})
        );
    }
}

#[test]
fn every_problem_code_has_a_test() {
    // Problems that need a special draft are tested in `folders.rs`.
    const BESIDE: &[&str] = &[
        "encrypted",
        "unreadable",
        "no-document",
        "open-in-app",
        "mirror-differs",
        "document-missing",
        "markers-of-other-app",
        "media-elsewhere",
        "media-unreadable",
        "registered-wrongly",
        "registry",
    ];
    let sources = [
        include_str!("../files.rs"),
        include_str!("../markers.rs"),
        include_str!("../materials.rs"),
        include_str!("../media.rs"),
        include_str!("../meta.rs"),
        include_str!("../timeline.rs"),
        include_str!("../timelines.rs"),
    ];
    for source in sources {
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let code = pair[1]
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix("\","));
            let (true, Some(code)) = (["Error,", "Warning,", "Info,"].contains(&pair[0]), code)
            else {
                continue;
            };
            assert!(
                BESIDE.contains(&code) || FAULTS.iter().any(|(known, ..)| *known == code),
                "no test causes the problem `{code}`"
            );
        }
    }
}
