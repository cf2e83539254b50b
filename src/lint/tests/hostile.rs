//! Tests with folders that no program should write: huge, broken, or with links and pipes.

use serde_json::{Value, json};

use super::super::{Severity, worst};
use super::*;
use crate::error::Kind;

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
fn fix_keeps_the_spelling_of_what_it_does_not_change() {
    let made = Made::clean();
    made.write();
    let mut document = made.document.clone();
    document["duration"] = json!(1);
    let unknown = "\"unknown\" : [1.50, 1e3,\n \"\\u00e9\"]";
    let text = document.to_string();
    let text = text.replacen("\"name\":\"\"", &format!("\"name\":\"\",{unknown}"), 1);
    assert!(text.contains(unknown), "{text}");
    for name in ["draft_content.json", "draft_info.json"] {
        made.put(name, &text);
    }
    fix(&made.folder(), &made.options()).unwrap();
    let after = fs::read_to_string(made.folder().join("draft_content.json")).unwrap();
    assert!(after != text && after.contains(unknown), "{after}");
}

/// What a clean draft reports if a part of its document is written differently.
fn with_part(from: &str, to: &str) -> (Made, Vec<Problem>) {
    let made = Made::clean();
    made.write();
    let text = made.document.to_string();
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let nested = format!("Timelines/{}", made.timeline());
    for name in ROOTS {
        made.put(name, &text);
        made.put(&format!("{nested}/{name}"), &text);
    }
    let problems = made.lint();
    (made, problems)
}

#[test]
fn values_that_other_programs_cannot_read_are_reported_with_their_place() {
    for (from, to, place) in [
        (r#""name":"""#, r#""name":"cut \ud83d""#, ": name"),
        (r#""name":"""#, r#""name":"","x":[{"y":1e999}]"#, ": x[0].y"),
        (r#""name":"""#, r#""name":"","\udc00":1"#, ": \u{fffd}"),
        (
            r#""material_name":"a.mp4""#,
            r#""material_name":"\ud83d""#,
            ": materials.videos[0].material_name",
        ),
        (
            r#""volume":1.0"#,
            r#""volume":-1e400"#,
            ": tracks[0].segments[0].volume",
        ),
    ] {
        let (_, problems) = with_part(from, to);
        let found: Vec<_> = problems.iter().map(|one| (one.code, &*one.path)).collect();
        let path = format!("draft_content.json{place}");
        assert_eq!(found, [("unreadable", &*path)], "{to}");
        assert_eq!(problems[0].severity, Severity::Error);
    }
}

#[test]
fn the_other_checks_continue_beside_such_values() {
    let (_, problems) = with_part(r#""fps":30.0"#, r#""fps":1e999"#);
    assert_eq!(codes(&problems), ["unreadable", "fps"]);
    let (_, problems) = with_part(r#""duration":2000000}"#, r#""duration":1e999}"#);
    assert!(codes(&problems).contains(&"time-range"), "{problems:#?}");
    assert!(!codes(&problems).contains(&"no-document"), "{problems:#?}");
}

#[test]
fn a_text_whose_content_was_cut_in_a_character_is_reported() {
    let (_, problems) = with_part("Hi 😀", r"Hi \\ud83d");
    assert_eq!(codes(&problems), ["text-content"]);
    assert!(problems[0].what.contains("surrogate pair"), "{problems:#?}");
}

#[test]
fn a_document_with_a_key_twice_is_unreadable() {
    for (from, to, key) in [
        (r#""fps":30.0"#, r#""fps":30.0,"fps":25.0"#, "`fps`"),
        (r#""fps":30.0"#, r#""fps":30.0,"tracks":[]"#, "`tracks`"),
        (
            r#""id":"S1""#,
            r#""id":"S1","\u0069d":"S1""#,
            "`tracks[0].segments[0].id`",
        ),
    ] {
        let (_, problems) = with_part(from, to);
        let all = codes(&problems);
        assert!(
            all.contains(&"unreadable") && all.contains(&"no-document"),
            "{all:?}"
        );
        let what = &problems
            .iter()
            .find(|one| one.code == "unreadable")
            .unwrap()
            .what;
        assert!(what.contains(key), "{what}");
    }
}

#[test]
fn a_document_that_is_nested_too_deeply_is_unreadable() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let (_, problems) = with_part(r#""name":"""#, &format!(r#""name":"","deep":{deep}"#));
    assert!(codes(&problems).contains(&"unreadable"), "{problems:#?}");
    assert!(codes(&problems).contains(&"no-document"), "{problems:#?}");
}

#[test]
fn fix_keeps_values_that_other_programs_cannot_read() {
    for value in [
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        "1e999",
        r#"{"\ud83d":[-1e999]}"#,
    ] {
        let mut made = Made::clean();
        made.document["duration"] = json!(1);
        let kept = format!("\"name\":{value}");
        let text = made
            .document
            .to_string()
            .replacen("\"name\":\"\"", &kept, 1);
        made.write();
        for name in ROOTS {
            made.put(name, &text);
        }
        fix_twice(&made.folder(), &made.options());
        let after = fs::read_to_string(made.folder().join("draft_content.json")).unwrap();
        let fixed = text.replacen("\"duration\":1,", "\"duration\":4000000,", 1);
        assert_eq!(after, fixed);
    }
}

#[test]
fn fix_does_not_compute_with_a_number_that_is_too_large() {
    // The length of the draft follows from its clips.
    let (made, problems) = with_part(
        r#"{"start":2000000,"duration":2000000}"#,
        r#"{"start":1e999,"duration":2000000}"#,
    );
    assert_eq!(codes(&problems), ["unreadable", "overlap"]);
    let before = fs::read(made.folder().join("draft_content.json")).unwrap();
    let fixed = fix(&made.folder(), &made.options()).unwrap();
    assert_eq!(fixed.changed, Vec::<String>::new());
    assert_eq!(
        fs::read(made.folder().join("draft_content.json")).unwrap(),
        before
    );
}

#[test]
fn fix_keeps_two_materials_that_differ_in_a_character_that_was_cut() {
    let speed = r#"{"id":"SP1","note":"\ud83d"},{"id":"SP1","note":"\ude00"}"#;
    let (made, problems) = with_part(r#""speeds":["#, &format!(r#""speeds":[{speed},"#));
    assert!(codes(&problems).contains(&"duplicate-id"), "{problems:#?}");
    fix(&made.folder(), &made.options()).unwrap();
    let after = fs::read_to_string(made.folder().join("draft_content.json")).unwrap();
    assert!(after.contains(speed), "{after}");
}
