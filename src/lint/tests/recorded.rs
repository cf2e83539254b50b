//! Tests with recorded drafts: of the apps, of the reference API and of its server.

use serde_json::{Value, json};

use super::super::{Severity, worst};
use super::*;
use crate::golden;

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
