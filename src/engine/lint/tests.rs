use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn shared(name: &str) -> Option<PathBuf> {
    let shared = std::env::var("CAPCUT_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let path = PathBuf::from(shared).join(name);
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
        return None;
    }
    Some(path)
}

/// A draft that nothing is wrong with.
fn good() -> Value {
    json!({
        "id": "A", "version": 360_000, "new_version": "179.0.0", "fps": 30.0, "duration": 2_000_000,
        "canvas_config": {"width": 1080, "height": 1920},
        "platform": {"app_source": "cc", "app_version": "9.1.0", "os": "windows", "device_id": ""},
        "last_modified_platform": {"app_source": "cc", "app_version": "9.1.0", "os": "windows", "device_id": ""},
        "tracks": [
            {"id": "T1", "type": "text", "name": "", "segments": [
                {"id": "S1", "material_id": "X1", "speed": 1.0, "extra_material_refs": [],
                 "source_timerange": null, "target_timerange": {"start": 0, "duration": 1_000_000}},
                {"id": "S2", "material_id": "X2", "speed": 1.0, "extra_material_refs": [],
                 "source_timerange": null, "target_timerange": {"start": 1_000_000, "duration": 1_000_000}}]},
            {"id": "T2", "type": "video", "name": "", "segments": [
                {"id": "S3", "material_id": "V1", "speed": 2.0, "extra_material_refs": ["P1"],
                 "common_keyframes": [],
                 "source_timerange": {"start": 2_000_000, "duration": 2_000_000},
                 "target_timerange": {"start": 0, "duration": 1_000_000}}]}],
        "materials": {
            "texts": [{"id": "X1", "content": r#"{"text":"a😀","styles":[{"range":[0,3]}]}"#},
                      {"id": "X2", "content": r#"{"text":"bc","styles":[{"range":[0,1]},{"range":[1,2]}]}"#}],
            "videos": [{"id": "V1", "type": "video", "duration": 5_000_000, "check_flag": 62_978_047}],
            "speeds": [{"id": "P1", "speed": 2.0, "curve_speed": null}],
            "masks": [], "common_mask": []}
    })
}

fn codes(document: &Value) -> Vec<(&'static str, String)> {
    let mut problems = Problems::default();
    document::check("d", document, &mut problems);
    problems
        .0
        .into_iter()
        .filter(|problem| problem.code != "fields-missing")
        .map(|problem| (problem.code, problem.path))
        .collect()
}

/// `change` makes exactly this one problem.
fn check(code: &str, path: &str, change: impl FnOnce(&mut Value)) {
    let mut document = good();
    change(&mut document);
    let found = codes(&document);
    assert_eq!(
        found,
        [(code, format!("d: {path}"))].map(|(code, path)| (
            Box::leak(code.to_owned().into_boxed_str()) as &'static str,
            path
        )),
        "{code}"
    );
}

#[test]
fn nothing_is_wrong_with_a_good_document() {
    assert_eq!(codes(&good()), []);
}

#[test]
fn each_fault_in_a_document_is_found_at_its_place() {
    check("markers-missing", "new_version", |d| {
        d["new_version"] = json!("")
    });
    check("markers-missing", "version, platform", |d| {
        d["version"] = json!(null);
        d["platform"]["app_source"] = json!("xx");
    });
    check("markers-stale", "new_version", |d| {
        d["new_version"] = json!("110.0.0")
    });
    check("template-device", "platform.device_id", |d| {
        d["platform"]["device_id"] = json!(document::TEMPLATE_DEVICE)
    });
    check("template-id", "id", |d| {
        d["id"] = json!("91E08AC5-22FB-47e2-9AA0-7DC300FAEA2B")
    });
    check("fps", "fps", |d| d["fps"] = json!(0));
    check("canvas", "canvas_config", |d| {
        d["canvas_config"]["height"] = json!(0)
    });
    check("duration", "duration", |d| d["duration"] = json!(9_000_000));
    check("duplicate-id", "materials.texts[1].id", |d| {
        d["materials"]["texts"][1]["id"] = json!("X1");
        d["tracks"][0]["segments"][1]["material_id"] = json!("X1");
    });
    check("duplicate-id", "tracks[0].segments[1].id", |d| {
        d["tracks"][0]["segments"][1]["id"] = json!("S1")
    });
    check("id-missing", "tracks[1].id", |d| {
        d["tracks"][1]["id"] = json!("")
    });
    check(
        "material-missing",
        "tracks[1].segments[0].material_id",
        |d| d["tracks"][1]["segments"][0]["material_id"] = json!("gone"),
    );
    check("material-kind", "tracks[1].segments[0].material_id", |d| {
        d["tracks"][1]["segments"][0]["material_id"] = json!("X1")
    });
    check(
        "dangling-reference",
        "tracks[0].segments[0].extra_material_refs[0]",
        |d| d["tracks"][0]["segments"][0]["extra_material_refs"] = json!(["gone"]),
    );
    check(
        "time-range",
        "tracks[0].segments[1].target_timerange",
        |d| {
            d["tracks"][0]["segments"][1]["target_timerange"]["duration"] = json!(0);
            d["duration"] = json!(1_000_000);
        },
    );
    check("overlap", "tracks[0].segments[1]", |d| {
        d["tracks"][0]["segments"][1]["target_timerange"] =
            json!({"start": 500_000, "duration": 1_500_000});
    });
    check("unsorted", "tracks[0].segments", |d| {
        d["tracks"][0]["segments"].as_array_mut().unwrap().reverse();
    });
    check("off-grid", "tracks", |d| {
        d["tracks"][1]["segments"][0]["target_timerange"] =
            json!({"start": 0, "duration": 1_010_000})
    });
    check("speed", "tracks[1].segments[0].speed", |d| {
        d["tracks"][1]["segments"][0]["speed"] = json!(null)
    });
    check(
        "speed-times",
        "tracks[1].segments[0].source_timerange",
        |d| {
            d["tracks"][1]["segments"][0]["source_timerange"]["duration"] = json!(1_000_000);
        },
    );
    check(
        "speed-material",
        "tracks[1].segments[0].extra_material_refs",
        |d| d["materials"]["speeds"][0]["speed"] = json!(1.0),
    );
    check(
        "beyond-media",
        "tracks[1].segments[0].source_timerange",
        |d| d["materials"]["videos"][0]["duration"] = json!(3_000_000),
    );
    check("main-track-gap", "tracks[1].segments[0]", |d| {
        d["tracks"][1]["segments"][0]["target_timerange"]["start"] = json!(1_000_000)
    });
    check(
        "keyframe-clock",
        "tracks[1].segments[0].common_keyframes",
        |d| {
            d["tracks"][1]["segments"][0]["common_keyframes"] =
                json!([{"keyframe_list": [{"time_offset": 0}, {"time_offset": 900_000}]}]);
        },
    );
    check("text-ranges", "materials.texts[0].content", |d| {
        d["materials"]["texts"][0]["content"] =
            json!(r#"{"text":"a😀","styles":[{"range":[0,2]}]}"#);
    });
    check("text-content", "materials.texts[0].content", |d| {
        d["materials"]["texts"][0]["content"] = json!("hello")
    });
    check("check-flag", "materials.videos[0].check_flag", |d| {
        d["materials"]["videos"][0]["check_flag"] = json!(7)
    });
    check("mask-list", "materials.masks", |d| {
        d["materials"]["masks"] = json!([{"id": "M"}])
    });
    check("track-name", "tracks[0].name", |d| {
        d["tracks"][0]["name"] = json!(null)
    });
    check("track-type", "tracks[0].type", |d| {
        d["tracks"][0]["type"] = json!("hologram")
    });
    check("structure", "tracks", |d| {
        d["tracks"] = json!(null);
        d["duration"] = json!(0);
    });
}

#[test]
fn no_value_of_a_wrong_kind_breaks_the_check() {
    let wrong = [
        json!(null),
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": [null]}),
    ];
    let mut seen = 0;
    for pointer in [
        "",
        "/tracks",
        "/tracks/0",
        "/tracks/0/segments",
        "/tracks/1/segments/0",
        "/tracks/1/segments/0/target_timerange",
        "/tracks/1/segments/0/extra_material_refs",
        "/materials",
        "/materials/texts",
        "/materials/texts/0",
        "/materials/texts/0/content",
        "/platform",
        "/fps",
        "/duration",
    ] {
        for value in &wrong {
            let mut document = good();
            *document.pointer_mut(pointer).unwrap() = value.clone();
            codes(&document);
            seen += 1;
        }
    }
    assert_eq!(seen, 98);
}

#[test]
fn what_is_no_draft_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let error = lint(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is no draft"), "{error}");
    let error = lint(&folder.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("there is no folder"), "{error}");
}

#[test]
fn an_encrypted_draft_is_explained_and_a_broken_one_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("draft_info.json"),
        "r3fKa8Zt0hRkQ9r3fKa8Zt0hRkQ==",
    )
    .unwrap();
    fs::write(folder.path().join("draft_content.json"), "{\"tracks\": [").unwrap();
    let problems = lint(folder.path()).unwrap();
    let of = |code: &str| {
        problems
            .iter()
            .find(|problem| problem.code == code)
            .unwrap()
    };
    assert!(of("encrypted").what.contains("JianYing since 6.0"));
    assert!(
        of("unreadable").what.contains("EOF"),
        "{:?}",
        of("unreadable")
    );
}

#[test]
fn the_reference_draft_lacks_only_its_media_and_its_place() {
    let Some(reference) = shared("reference-draft") else {
        return;
    };
    let codes: std::collections::BTreeSet<_> = lint(&reference)
        .unwrap()
        .into_iter()
        .map(|problem| problem.code)
        .collect();
    let expected = [
        "cover",
        "draft-name",
        "foreign-path",
        "media-missing",
        "mirror-missing",
    ];
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn three_thousand_segments_are_checked() {
    let mut document = good();
    let texts: Vec<_> = (0..3000)
        .map(|n| json!({"id": format!("x{n}"), "content": r#"{"text":"bc","styles":[{"range":[0,2]}]}"#}))
        .collect();
    let segments: Vec<_> = (0..3000)
        .map(|n| json!({"id": format!("s{n}"), "material_id": format!("x{n}"), "speed": 1.0, "extra_material_refs": [],
                        "target_timerange": {"start": n * 100_000, "duration": 100_000}}))
        .collect();
    document["materials"]["texts"] = json!(texts);
    document["tracks"][0]["segments"] = json!(segments);
    document["duration"] = json!(300_000_000);
    let folder = tempfile::tempdir().unwrap();
    for name in ["draft_content.json", "draft_info.json"] {
        fs::write(folder.path().join(name), document.to_string()).unwrap();
    }
    let started = std::time::Instant::now();
    let problems = lint(folder.path()).unwrap();
    eprintln!("3,000 segments: checked in {:?}", started.elapsed());
    assert!(problems.iter().all(|problem| problem.code != "overlap"));
}
