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
        assert!(error.to_string().contains("at byte "), "{error}");
        let after = fs::read_to_string(made.folder().join("draft_content.json")).unwrap();
        assert_eq!(after, text);
    }
}
