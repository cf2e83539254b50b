use std::collections::BTreeSet;

use super::*;
use crate::engine::lint::Severity;

fn codes(problems: &[Problem]) -> BTreeSet<&'static str> {
    problems.iter().map(|problem| problem.code).collect()
}

/// Every file of a folder with its content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// Puts a folder of the reference server on disk as it was recorded, media included.
fn recorded(drafts: &Path, file: &Path) -> PathBuf {
    let recording: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let folder = drafts.join("dfd_cat_1");
    for item in recording["tree"].as_array().unwrap() {
        let path = folder.join(item["path"].as_str().unwrap());
        if item["kind"] == "dir" {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"some bytes").unwrap();
        }
    }
    for (name, file) in recording["files"].as_object().unwrap() {
        let path = folder.join(name);
        match file.get("json") {
            Some(json) => {
                fs::write(path, json.to_string().replace("<draft-1>", "dfd_cat_1")).unwrap()
            }
            None => fs::write(path, file["text"].as_str().unwrap_or_default()).unwrap(),
        }
    }
    folder
}

#[test]
fn the_reference_servers_drafts_are_mended() {
    let shared = std::env::var("CAPCUT_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let saved = PathBuf::from(shared).join("capcut-api/saved");
    if !saved.is_dir() {
        eprintln!("skipped: no {}", saved.display());
        return;
    }
    let mut count = 0;
    for entry in fs::read_dir(saved).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let drafts = tempfile::tempdir().unwrap();
        fs::write(
            drafts.path().join(registry::FILE),
            r#"{"all_draft_store":[],"draft_ids":0,"root_path":""}"#,
        )
        .unwrap();
        let folder = recorded(drafts.path(), &file);
        let before = lint(&folder).unwrap();
        for code in [
            "dangling-reference",
            "draft-name",
            "fields-missing",
            "foreign-path",
            "markers-stale",
            "media-moved",
            "mirror-differs",
            "mirror-missing",
            "template-device",
            "template-id",
            "unregistered",
        ] {
            // Its JianYing drafts say that they are CapCut's, too.
            assert!(
                codes(&before).contains(code),
                "{code} in {}: {:?}",
                file.display(),
                codes(&before)
            );
        }
        let mended = fix(&folder, None).unwrap();
        let left: Vec<_> = mended
            .left
            .iter()
            .filter(|problem| problem.fixable || problem.severity == Severity::Error)
            .collect();
        assert!(left.is_empty(), "{}: {left:#?}", file.display());
        let kept = mended.backup.unwrap();
        assert!(kept.join("draft_info.json").is_file());
        let once = content(drafts.path());
        let again = fix(&folder, None).unwrap();
        assert!(again.fixed.is_empty() && again.backup.is_none());
        assert!(
            once == content(drafts.path()),
            "the second time changes nothing"
        );
        count += 1;
    }
    assert_eq!(count, 6);
}

fn small_draft(folder: &Path, media: &Path) {
    fs::create_dir_all(folder).unwrap();
    let document = json!({
        "id": "A", "fps": 30.0, "duration": 0, "canvas_config": {"width": 1080, "height": 1920},
        "from_the_future": {"kept": [1, 2.5]},
        "tracks": [
            {"id": "T1", "type": "text", "segments": [
                {"id": "S2", "material_id": "X1", "speed": 1.0, "extra_material_refs": ["gone"], "target_timerange": {"start": 1_000_000, "duration": 1_000_000}},
                {"id": "S1", "material_id": "X2", "speed": null, "target_timerange": {"start": 0, "duration": 1_000_000}}]},
            {"id": "T2", "type": "video", "name": "", "segments": [
                {"id": "S3", "material_id": "V1", "speed": 2.0, "extra_material_refs": ["P1"], "source_timerange": {"start": 0, "duration": 2_000_000}, "target_timerange": {"start": 0, "duration": 1_000_000}}]}],
        "materials": {
            "texts": [{"id": "X1", "content": r#"{"text":"a😀b","styles":[{"range":[0,2]},{"range":[2,3]}]}"#},
                      {"id": "X2", "content": r#"{"text":"bc","styles":[{"range":[0,4]}]}"#}],
            "videos": [{"id": "V1", "type": "video", "duration": 5_000_000, "path": media.to_string_lossy(), "check_flag": 7}],
            "speeds": [{"id": "P1", "speed": 1.0}], "masks": [{"id": "M1", "type": "mask"}]}
    });
    fs::write(folder.join("draft_content.json"), document.to_string()).unwrap();
}

#[test]
fn a_draft_of_another_tool_is_mended_and_what_is_not_known_stays() {
    let drafts = tempfile::tempdir().unwrap();
    let media = drafts.path().join("clip.mp4");
    fs::write(&media, b"\0\0\0\x18ftypmp42").unwrap();
    let folder = drafts.path().join("my draft");
    small_draft(&folder, &media);
    let mended = fix(&folder, Some(Edition::Capcut)).unwrap();
    assert!(mended.left.is_empty(), "{:#?}", mended.left);
    for code in [
        "media-outside",
        "meta-missing",
        "markers-missing",
        "unsorted",
        "text-ranges",
        "check-flag",
        "speed",
        "speed-material",
        "cover",
    ] {
        assert!(codes(&mended.fixed).contains(code), "{code}");
    }
    let document: Value =
        serde_json::from_slice(&fs::read(folder.join("draft_info.json")).unwrap()).unwrap();
    assert_eq!(document["from_the_future"], json!({"kept": [1, 2.5]}));
    let content: Value = serde_json::from_str(
        document["materials"]["texts"][0]["content"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        content["styles"],
        json!([{"range": [0, 3]}, {"range": [3, 4]}])
    );
    assert_eq!(document["materials"]["common_mask"][0]["id"], "M1");
    let path = document["materials"]["videos"][0]["path"].as_str().unwrap();
    assert!(path.ends_with("my draft/assets/video/clip.mp4"), "{path}");
    assert!(media.is_file(), "the file itself stays where it was");
}

#[test]
fn markers_come_from_the_newest_draft_of_the_app_beside_it() {
    let drafts = tempfile::tempdir().unwrap();
    let theirs = drafts.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    let platform = json!({"app_id": 359_289, "app_source": "cc", "app_version": "9.8.0", "os": "mac", "device_id": "d"});
    let document =
        json!({"version": 360_000, "new_version": "190.0.0", "last_modified_platform": platform});
    fs::write(theirs.join("draft_info.json"), document.to_string()).unwrap();
    let media = drafts.path().join("clip.mp4");
    fs::write(&media, b"\0\0\0\x18ftypmp42").unwrap();
    let folder = drafts.path().join("mine");
    small_draft(&folder, &media);
    fix(&folder, None).unwrap();
    let document: Value =
        serde_json::from_slice(&fs::read(folder.join("draft_content.json")).unwrap()).unwrap();
    assert_eq!(document["new_version"], "190.0.0");
    assert_eq!(document["platform"]["app_version"], "9.8.0");
}

#[test]
fn an_encrypted_draft_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("draft_info.json"),
        "r3fKa8Zt0hRkQ9r3fKa8Zt0hRkQ==",
    )
    .unwrap();
    let before = content(folder.path());
    let error = fix(folder.path(), None).unwrap_err();
    assert!(error.to_string().contains("encrypted"), "{error}");
    assert!(before == content(folder.path()));
}
