//! Draft folders: what is written, what is refused, and what remains after a failure.

use std::collections::HashSet;
use std::time::Instant;

use serde_json::json;
use tiny_skia::{Color, Pixmap};

use super::*;
use crate::caller::Caller;
use crate::draft::finished::shapes::shape;
use crate::engine::paths::TOKEN;
use crate::lint::{self, Severity};
use crate::media::{MediaLimits, MediaStore};

/// Media in a folder: a 4 s clip, a picture, a 3 s sound.
struct Sources {
    folder: tempfile::TempDir,
}

impl Sources {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        put(
            "clip 一.mp4",
            include_bytes!("../../../tests/drafts/clip.mp4"),
        );
        put("wrong.png", &wav(24_000));
        let mut picture = Pixmap::new(90, 60).unwrap();
        picture.fill(Color::from_rgba8(20, 120, 220, 255));
        put("picture.jpg", &picture.encode_png().unwrap());
        put("sound.mp3", &wav(24_000));
        put("empty.mp4", b"");
        put(
            "page.mp4",
            b"<!DOCTYPE html><html><body>Not found</body></html>",
        );
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }
}

/// Silence of `samples` at 8 kHz.
fn wav(samples: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + samples).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend_from_slice(&8000_u32.to_le_bytes());
    bytes.extend_from_slice(&8000_u32.to_le_bytes());
    bytes.extend_from_slice(b"\x01\0\x08\0data");
    bytes.extend_from_slice(&samples.to_le_bytes());
    bytes.resize(bytes.len() + samples as usize, 128);
    bytes
}

fn clip_of(scale: f64) -> Value {
    json!({"alpha": 1.0, "flip": {"horizontal": false, "vertical": false}, "rotation": 0.0,
           "scale": {"x": scale, "y": scale}, "transform": {"x": 0, "y": 0}})
}

fn segment(
    id: &str,
    material: &str,
    start: i64,
    duration: i64,
    source: Value,
    more: Value,
) -> Value {
    let mut segment = json!({
        "enable_adjust": true, "last_nonzero_volume": 1.0, "reverse": false, "track_attribute": 0,
        "track_render_index": 0, "visible": true, "id": id, "material_id": material,
        "target_timerange": {"start": start, "duration": duration}, "source_timerange": source,
        "common_keyframes": [], "keyframe_refs": [], "speed": 1.0, "volume": 1.0,
        "extra_material_refs": ["nowhere"], "clip": clip_of(1.0),
        "uniform_scale": {"on": true, "value": 1.0}, "render_index": 0
    });
    for (key, value) in more.as_object().unwrap() {
        segment[key] = value.clone();
    }
    segment
}

fn text(id: &str, words: &str) -> Value {
    let content = json!({"text": words, "styles": [{"range": [0, words.chars().count()], "size": 8.0,
        "bold": false, "italic": false, "underline": false, "strokes": [],
        "fill": {"alpha": 1.0, "content": {"render_type": "solid", "solid": {"alpha": 1.0, "color": [1.0, 0.0, 0.0]}}},
        "font": {"id": "7290445778273702455", "path": "C:/文轩体.ttf"}}]});
    json!({"id": id, "content": content.to_string(), "type": "text", "alignment": 1, "check_flag": 7,
           "line_max_width": 0.82, "typesetting": 0, "fixed_width": -1, "fixed_height": -1})
}

/// A working document as from the reference API, with one object of every kind, unordered.
fn working(sources: &Sources) -> Value {
    let range = |start: i64, duration: i64| json!({"start": start, "duration": duration});
    let track = |id: &str, kind: &str, name: &str, segments: Value| {
        json!({"id": id, "type": kind, "name": name, "attribute": 0, "flag": 0,
               "is_default_name": false, "segments": segments})
    };
    let keyframe = |time: i64, value: f64| {
        json!({"id": format!("k{time}"), "curveType": "Line", "graphID": "", "time_offset": time,
               "values": [value], "left_control": {"x": 0.0, "y": 0.0}, "right_control": {"x": 0.0, "y": 0.0}})
    };
    json!({
        "id": "91E08AC5-22FB-47e2-9AA0-7DC300FAEA2B", "name": "", "fps": 30, "duration": 9_000_000,
        "canvas_config": {"width": 1080, "height": 1920, "ratio": "original"},
        "config": {"maintrack_adsorb": true},
        "tracks": [
            track("t0", "video", "video", json!([])),
            track("t1", "video", "video_main", json!([
                segment("s2", "v1", 2_010_000, 1_000_000, range(1_000_000, 2_000_000), json!({
                    "speed": 2.0, "extra_material_refs": ["sp2", "m1"],
                    "common_keyframes": [{"id": "kl", "material_id": "", "property_type": "KFTypePositionX",
                        "keyframe_list": [keyframe(500_000, 0.5), keyframe(0, 0.0)]}]})),
                segment("s1", "v1", 0, 2_010_000, range(0, 2_010_000), json!({
                    "extra_material_refs": ["sp1", "tr1", "cv1"]})),
            ])),
            track("t2", "audio", "audio_main", json!([
                segment("s3", "a1", 0, 3_000_000, range(0, 3_000_000), json!({"clip": null, "volume": 0.5,
                    "extra_material_refs": ["sp3", "af1"]})),
            ])),
            track("t3", "video", "overlay", json!([
                segment("s4", "p1", 1_000_000, 1_000_000, range(0, 1_000_000), json!({"speed": null, "clip": clip_of(0.5)})),
            ])),
            track("t4", "effect", "effect_main", json!([
                segment("s5", "e1", 0, 3_000_000, json!(null), json!({"render_index": 10000})),
            ])),
            track("t5", "sticker", "sticker_main", json!([
                segment("s6", "st1", 0, 3_000_000, json!(null), json!({"render_index": 14000})),
            ])),
            track("t6", "text", "text_main", json!([
                segment("s7", "x1", 0, 3_000_000, json!(null), json!({"render_index": 15000,
                    "extra_material_refs": ["gone", "an1"],
                    "common_keyframes": [{"id": "kt", "material_id": "", "property_type": "KFTypeAlpha",
                        "keyframe_list": [keyframe(0, 0.0), keyframe(1_000_000, 1.0)]}]})),
            ])),
            track("t7", "text", "subtitle", json!([
                segment("s8", "x2", 100_000, 1_500_000, json!(null), json!({"render_index": 15999})),
                segment("s9", "x3", 1_600_000, 1_200_000, json!(null), json!({"render_index": 15999})),
            ])),
        ],
        "materials": {
            "videos": [
                {"id": "v1", "material_id": "v1", "type": "video", "check_flag": 63487, "duration": 4_000_000,
                 "width": 64, "height": 36, "path": "", "remote_url": sources.path("clip 一.mp4"), "material_name": "video_1.mp4"},
                {"id": "p1", "material_id": "p1", "type": "photo", "check_flag": 63487, "duration": 10_800_000_000_i64,
                 "width": 0, "height": 0, "path": "", "remote_url": sources.path("picture.jpg"), "material_name": "image_1.png"}],
            "audios": [
                {"id": "a1", "type": "extract_music", "check_flag": 1, "duration": 3_000_000, "path": "",
                 "remote_url": sources.path("sound.mp3"), "name": "audio_1.mp3", "music_id": "a1", "local_material_id": "a1", "category_id": ""}],
            "texts": [text("x1", "Hello 😀 世界"), text("x2", "first line of words"), text("x3", "二行目")],
            "speeds": [{"id": "sp1", "type": "speed", "mode": 0, "speed": 1.0, "curve_speed": null},
                       {"id": "sp2", "type": "speed", "mode": 0, "speed": 2.0, "curve_speed": null},
                       {"id": "sp3", "type": "speed", "mode": 0, "speed": 1.0, "curve_speed": null}],
            "transitions": [{"id": "tr1", "type": "transition", "name": "Dissolve", "effect_id": "392FD26E", "duration": 500_000,
                             "resource_id": "6724846004274729480", "is_overlap": false, "platform": "all", "category_id": "", "category_name": ""}],
            "canvases": [{"id": "cv1", "type": "canvas_blur", "blur": 0.0625, "color": "#00000000", "source_platform": 0}],
            "common_mask": [{"id": "m1", "type": "mask", "name": "Split", "platform": "all", "resource_type": "line",
                             "resource_id": "7374020197990011409", "category": "video", "position_info": "",
                             "config": {"centerX": 0.0, "centerY": 0.0, "width": 0.5, "height": 0.5, "rotation": 0.0,
                                        "feather": 0.0, "roundCorner": 0.0, "invert": false, "aspectRatio": 1.0}}],
            "audio_fades": [{"id": "af1", "type": "audio_fade", "fade_type": 0, "fade_in_duration": 500_000, "fade_out_duration": 0}],
            "video_effects": [{"id": "e1", "type": "video_effect", "name": "Blur", "effect_id": "15206412", "apply_target_type": 2,
                               "resource_id": "6739752823140913675", "value": 1.0, "adjust_params": [], "render_index": 11000}],
            "stickers": [{"id": "st1", "type": "sticker", "resource_id": "7107529669750066445", "sticker_id": "7107529669750066445", "source_platform": 1}],
            "material_animations": [{"id": "an1", "type": "sticker_animation", "multi_language_current": "none",
                "animations": [{"id": "7210980292243231233", "resource_id": "7210980292243231233", "name": "Typewriter", "type": "in",
                                "start": 0, "duration": 500_000, "platform": "all", "panel": "", "material_type": "sticker", "anim_adjust_params": null},
                               {"id": "6724919382104871427", "resource_id": "6724919382104871427", "name": "Fade Out", "type": "out",
                                "start": 2_400_000, "duration": 600_000, "platform": "all", "panel": "", "material_type": "sticker", "anim_adjust_params": null}]}]
        }
    })
}

fn request(drafts: &Path, profile: &str) -> SaveRequest {
    SaveRequest {
        drafts: drafts.to_owned(),
        name: "My 草稿 draft".to_owned(),
        profile: Profile::named(profile, AppOs::Windows).unwrap(),
        target: None,
        terms: Terms::default(),
        zip: false,
        while_running: WhileRunning::Warn,
    }
}

fn subject(working: &Value) -> Subject {
    Subject {
        id: "dfd_cat_1795000000_0000abcd".to_owned(),
        edition: Edition::Capcut,
        notes: Vec::new(),
        working: working.to_string(),
    }
}

async fn save_it(working: &Value, request: &SaveRequest) -> Result<SavedPackage> {
    let media = MediaStore::new(MediaLimits::default(), None).of(&Caller::user());
    save_document(subject(working), request, &media, &Arc::default(), &|_| {}).await
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn drafts_folder() -> tempfile::TempDir {
    let drafts = tempfile::tempdir().unwrap();
    fs::write(
        drafts.path().join(registry::FILE),
        r#"{"all_draft_store":[],"draft_ids":0,"root_path":""}"#,
    )
    .unwrap();
    drafts
}

#[tokio::test]
async fn lint_finds_no_problems_in_saved_drafts_of_any_profile() {
    let sources = Sources::new();
    for profile in [
        "capcut-win",
        "capcut-mac",
        "jianying-win",
        "jianying-mac",
        "capcut_legacy",
        "jianying_legacy",
        "jianying_pro_10",
    ] {
        let drafts = drafts_folder();
        let saved = save_it(&working(&sources), &request(drafts.path(), profile))
            .await
            .unwrap();
        assert!(saved.registered, "{:?}", saved.notes);
        assert_eq!(saved.files, 3);
        let problems =
            lint::lint(&saved.folder, &lint::LintOptions::new(drafts.path(), None)).unwrap();
        assert_eq!(problems, [], "{profile}");
    }
}

/// Writes drafts for independent readers: `tests/external/` runs this test first.
#[tokio::test]
async fn drafts_for_independent_readers_are_written() {
    let sources = Sources::new();
    let given = std::env::var_os("CAPCUT_TEST_DRAFT_OUT").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let out = given.unwrap_or_else(|| temporary.path().to_owned());
    for profile in ["capcut-win", "capcut-mac", "jianying-win", "jianying-mac"] {
        let drafts = out.join(profile);
        fs::create_dir_all(&drafts).unwrap();
        fs::write(
            drafts.join(registry::FILE),
            r#"{"all_draft_store":[],"draft_ids":0,"root_path":""}"#,
        )
        .unwrap();
        let working = working(&sources);
        let saved = save_it(&working, &request(&drafts, profile)).await.unwrap();
        let name = saved.folder.file_name().unwrap().to_str().unwrap();
        fs::create_dir_all(drafts.join("working")).unwrap();
        let file = drafts.join(format!("working/{name}.json"));
        fs::write(file, working.to_string()).unwrap();
        let document = read(&saved.folder, "draft_content.json");
        assert_eq!(document["tracks"].as_array().unwrap().len(), 7);
    }
}

#[tokio::test]
async fn every_object_of_a_saved_draft_has_all_keys_of_its_kind() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let saved = save_it(&working(&sources), &request(drafts.path(), "capcut-mac"))
        .await
        .unwrap();
    let mut checked = std::collections::BTreeMap::<String, usize>::new();
    let mut check = |kind: &str, object: &Value| {
        let lacks: Vec<_> = shape(kind)
            .keys()
            .filter(|key| object.get(key.as_str()).is_none())
            .collect();
        assert!(lacks.is_empty(), "{kind} lacks {lacks:?}");
        *checked.entry(kind.to_owned()).or_default() += 1;
    };
    let draft = read(&saved.folder, "draft_content.json");
    check("root", &draft);
    for track in draft["tracks"].as_array().unwrap() {
        check("track", track);
        for segment in track["segments"].as_array().unwrap() {
            check("segment", segment);
        }
    }
    for (list, kind) in [
        ("videos", "video"),
        ("audios", "audio"),
        ("texts", "text"),
        ("canvases", "canvas"),
        ("material_animations", "material_animation"),
        ("placeholder_infos", "placeholder_info"),
        ("speeds", "speed"),
        ("sound_channel_mappings", "sound_channel_mapping"),
        ("material_colors", "material_color"),
        ("vocal_separations", "vocal_separation"),
        ("beats", "beats"),
        ("transitions", "transition"),
        ("common_mask", "common_mask"),
        ("video_effects", "video_effect"),
        ("stickers", "sticker"),
    ] {
        for material in draft["materials"][list].as_array().unwrap() {
            check(kind, material);
        }
    }
    let meta = read(&saved.folder, "draft_meta_info.json");
    check("meta", &meta);
    let bin = &meta["draft_materials"].as_array().unwrap()[0]["value"];
    for entry in bin.as_array().unwrap() {
        check("bin_entry", entry);
    }
    assert!(
        checked.len() == 20,
        "the draft does not contain every kind: {checked:?}"
    );
}

#[tokio::test]
async fn the_document_matches_the_app() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let saved = save_it(&working(&sources), &request(drafts.path(), "capcut-mac"))
        .await
        .unwrap();
    let draft = read(&saved.folder, "draft_content.json");
    assert_eq!(draft, read(&saved.folder, "draft_info.json"));
    assert_eq!(draft["name"], "My 草稿 draft");
    assert_ne!(draft["id"], "91E08AC5-22FB-47e2-9AA0-7DC300FAEA2B");
    assert_eq!(
        (&draft["new_version"], &draft["platform"]["os"]),
        (&json!("179.0.0"), &json!("mac"))
    );
    let tracks = draft["tracks"].as_array().unwrap();
    let flags: Vec<_> = tracks
        .iter()
        .map(|track| track["flag"].as_i64().unwrap())
        .collect();
    assert_eq!(flags, [0, 0, 2, 0, 0, 0, 1]);
    let clips = &tracks[0]["segments"];
    assert_eq!(
        clips[0]["target_timerange"],
        json!({"start": 0, "duration": 2_000_000}),
        "sorted, on frames"
    );
    assert_eq!(
        clips[1]["target_timerange"]["start"], 2_000_000,
        "still touching"
    );
    let source = &clips[1]["source_timerange"];
    assert_eq!(source["start"], 1_000_000);
    let times: Vec<_> = clips[1]["common_keyframes"][0]["keyframe_list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|keyframe| keyframe["time_offset"].as_i64().unwrap())
        .collect();
    assert_eq!(
        times,
        [1_000_000, 2_000_000],
        "on the clock of the file, in order"
    );
    let picture = &tracks[2]["segments"][0];
    assert_eq!(picture["speed"], 1.0);
    assert_eq!(
        tracks[5]["segments"][0]["common_keyframes"][0]["property_type"],
        "KFTypeGlobalAlpha"
    );
    let materials = &draft["materials"];
    let photo = &materials["videos"][1];
    assert_eq!(photo["type"], "photo");
    assert_eq!(photo["duration"], 10_800_000_000_i64);
    assert_eq!(
        (&photo["width"], &photo["height"]),
        (&json!(90), &json!(60))
    );
    assert_eq!(materials["videos"][0]["has_audio"], true);
    assert!(
        materials["audios"][0]["path"]
            .as_str()
            .unwrap()
            .ends_with("/assets/audio/sound.wav")
    );
    assert!(
        photo["path"]
            .as_str()
            .unwrap()
            .ends_with("/assets/image/picture.png")
    );
    assert_eq!(materials["texts"][1]["type"], "subtitle");
    assert_eq!(materials["common_mask"].as_array().unwrap().len(), 1);
    assert!(materials.get("masks").is_none());
    let text = draft.to_string();
    assert!(!text.contains("remote_url") && !text.contains("nowhere"));
}

#[tokio::test]
async fn every_segment_has_the_materials_that_the_app_would_add() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let saved = save_it(&working(&sources), &request(drafts.path(), "capcut-win"))
        .await
        .unwrap();
    let draft = read(&saved.folder, "draft_content.json");
    let lists: HashMap<&str, &str> = draft["materials"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(name, all)| {
            all.as_array()
                .unwrap()
                .iter()
                .map(move |one| (one["id"].as_str().unwrap(), name.as_str()))
        })
        .collect();
    let companions = |track: usize, segment: usize| -> Vec<&str> {
        draft["tracks"][track]["segments"][segment]["extra_material_refs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| lists[id.as_str().unwrap()])
            .collect()
    };
    assert_eq!(
        companions(0, 0),
        [
            "speeds",
            "placeholder_infos",
            "transitions",
            "canvases",
            "sound_channel_mappings",
            "material_colors",
            "vocal_separations"
        ]
    );
    assert_eq!(companions(0, 1).last(), Some(&"common_mask"));
    assert_eq!(
        companions(1, 0),
        [
            "speeds",
            "placeholder_infos",
            "audio_fades",
            "beats",
            "sound_channel_mappings",
            "vocal_separations"
        ]
    );
    assert_eq!(companions(3, 0), [""; 0]);
    assert_eq!(companions(5, 0), ["material_animations"]);
    assert_eq!(companions(6, 0), ["material_animations"]);
}

#[tokio::test]
async fn all_missing_media_are_listed_and_nothing_is_saved() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let mut working = working(&sources);
    let videos = &mut working["materials"]["videos"];
    videos[0]["remote_url"] = json!(sources.path("empty.mp4"));
    videos[1]["remote_url"] = json!("http://127.0.0.1:9/gone.png?token=secret");
    working["materials"]["audios"][0]["remote_url"] = json!(sources.path("page.mp4"));
    let error = save_it(&working, &request(drafts.path(), "capcut-win"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Media);
    let text = error.to_string();
    for part in [
        "3 of 3",
        "empty.mp4",
        "is empty",
        "http://127.0.0.1:9/gone.png",
        "page.mp4",
        "track \"video_main\" at",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(fs::read_dir(drafts.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_sound_in_place_of_a_picture_is_refused() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let mut working = working(&sources);
    working["materials"]["videos"][1]["remote_url"] = json!(sources.path("wrong.png"));
    let error = save_it(&working, &request(drafts.path(), "capcut-win"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("it contains no picture"),
        "{error}"
    );
}

#[tokio::test]
async fn a_draft_for_another_machine_has_only_that_machines_paths() {
    let sources = Sources::new();
    for (os, folder, root) in [
        (AppOs::Windows, r"D:\CapCut 草稿\", "D:/CapCut 草稿"),
        (AppOs::Windows, r"\\nas\share\drafts", "//nas/share/drafts"),
        (
            AppOs::Macos,
            "/Users/me/Movies/My Drafts",
            "/Users/me/Movies/My Drafts",
        ),
    ] {
        let drafts = tempfile::tempdir().unwrap();
        let mut request = request(drafts.path(), "capcut-win");
        request
            .profile
            .platform
            .insert("device_id".to_owned(), json!("this-machine"));
        request.target = Some(TargetMachine {
            os,
            folder: Some(folder.to_owned()),
        });
        let saved = save_it(&working(&sources), &request).await.unwrap();
        let draft = read(&saved.folder, "draft_info.json");
        let path = draft["materials"]["videos"][0]["path"].as_str().unwrap();
        assert_eq!(
            path,
            format!("{root}/My 草稿 draft/assets/video/clip 一.mp4")
        );
        let meta = read(&saved.folder, "draft_meta_info.json");
        assert_eq!(meta["draft_root_path"], root);
        let here = drafts.path().to_string_lossy().into_owned();
        for text in [draft.to_string(), meta.to_string()] {
            assert!(!text.contains(&here) && !text.contains("this-machine"));
        }
        let problems =
            lint::lint(&saved.folder, &lint::LintOptions::new(drafts.path(), None)).unwrap();
        assert!(
            problems
                .iter()
                .all(|problem| problem.severity < Severity::Warning
                    || cfg!(not(target_os = "linux"))),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn a_zip_file_contains_everything_and_works_in_any_folder() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let mut request = request(drafts.path(), "capcut-win");
    request.zip = true;
    request
        .profile
        .platform
        .insert("device_id".to_owned(), json!("this-machine"));
    let saved = save_it(&working(&sources), &request).await.unwrap();
    let file = fs::File::open(saved.zip.unwrap()).unwrap();
    let mut zip = zip::ZipArchive::new(file).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut zip.by_name("My 草稿 draft/draft_content.json").unwrap(),
        &mut text,
    )
    .unwrap();
    let draft: Value = serde_json::from_str(&text).unwrap();
    let path = draft["materials"]["audios"][0]["path"].as_str().unwrap();
    assert_eq!(path, format!("{TOKEN}/assets/audio/sound.wav"));
    assert!(!text.contains("this-machine") && !text.contains(&*drafts.path().to_string_lossy()));
    let names: Vec<_> = zip
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    for name in [
        "INSTALL.txt",
        "My 草稿 draft/assets/video/clip 一.mp4",
        "My 草稿 draft/draft_cover.jpg",
    ] {
        assert!(
            names.iter().any(|other| other == name),
            "{name} in {names:?}"
        );
    }
    assert!(
        !names.iter().any(|name| name.contains("capcut-mcp")),
        "{names:?}"
    );
    let once: HashSet<_> = names.iter().collect();
    assert_eq!(once.len(), names.len());
}

#[tokio::test]
async fn saving_again_writes_the_same_draft_and_keeps_one_list_entry() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let request = request(drafts.path(), "capcut-win");
    let first = save_it(&working(&sources), &request).await.unwrap();
    let before = read(&first.folder, "draft_content.json");
    let second = save_it(&working(&sources), &request).await.unwrap();
    assert_eq!(first.folder, second.folder);
    assert_eq!(before, read(&second.folder, "draft_content.json"));
    let list = read(drafts.path(), registry::FILE);
    assert_eq!(list["all_draft_store"].as_array().unwrap().len(), 1);
    assert_eq!(list["all_draft_store"][0]["draft_name"], "My 草稿 draft");
}

/// Prints the time for a draft with a thousand segments; `cargo test --release -- --nocapture`.
#[tokio::test]
async fn a_thousand_segments_are_saved_and_checked() {
    let sources = Sources::new();
    let mut working = working(&sources);
    let texts: Vec<_> = (0..1000)
        .map(|n| text(&format!("text{n}"), "some words to read"))
        .collect();
    let segments: Vec<_> = (0..1000)
        .map(|n| {
            segment(
                &format!("seg{n}"),
                &format!("text{n}"),
                n * 1_000_000,
                1_000_000,
                json!(null),
                json!({"render_index": 15000}),
            )
        })
        .collect();
    working["materials"]["texts"] = json!(texts);
    working["materials"]["videos"] = json!([]);
    working["materials"]["audios"] = json!([]);
    working["tracks"] = json!([
        {"id": "t", "type": "text", "name": "texts", "attribute": 0, "flag": 0, "is_default_name": false, "segments": segments}]);
    let drafts = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let saved = save_it(&working, &request(drafts.path(), "capcut-win"))
        .await
        .unwrap();
    let taken = started.elapsed();
    let started = Instant::now();
    let problems = lint::lint(&saved.folder, &lint::LintOptions::new(drafts.path(), None)).unwrap();
    eprintln!(
        "1,000 segments: saved in {taken:?}, checked in {:?}",
        started.elapsed()
    );
    assert_eq!(problems, []);
    let draft = read(&saved.folder, "draft_content.json");
    assert_eq!(
        draft["tracks"][0]["segments"].as_array().unwrap().len(),
        1000
    );
}

fn plain(sources: &Sources, clip: &str) -> Value {
    let mut working = working(sources);
    working["materials"]["videos"][0]["remote_url"] = json!(clip);
    working
}

#[tokio::test]
async fn saving_again_keeps_files_of_the_user_and_the_app() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let request = request(drafts.path(), "capcut-win");
    let first = save_it(&working(&sources), &request).await.unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = first.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("notes.txt", b"mine");
    put("recording/voice.m4a", b"spoken");
    put("assets/video/clip \u{4e00}-2.mp4", b"a clip of the user");
    fs::create_dir_all(first.folder.join("a/b/empty")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/hosts", first.folder.join("link")).unwrap();
    // Of two clips with the same name, the second would get the name of the user's file.
    let again = sources.folder.path().join("more");
    fs::create_dir(&again).unwrap();
    fs::copy(
        sources.path("clip \u{4e00}.mp4"),
        again.join("clip \u{4e00}.mp4"),
    )
    .unwrap();
    let mut working = working(&sources);
    let mut second = working["materials"]["videos"][0].clone();
    second["id"] = json!("v2");
    second["remote_url"] = json!(again.join("clip \u{4e00}.mp4"));
    working["materials"]["videos"]
        .as_array_mut()
        .unwrap()
        .push(second);
    working["tracks"][1]["segments"][0]["material_id"] = json!("v2");
    for _ in 0..2 {
        let saved = save_it(&working, &request).await.unwrap();
        let is = |name: &str, bytes: &[u8]| {
            assert_eq!(fs::read(saved.folder.join(name)).unwrap(), bytes, "{name}");
        };
        is("notes.txt", b"mine");
        is("recording/voice.m4a", b"spoken");
        is("assets/video/clip \u{4e00}-2.mp4", b"a clip of the user");
        assert!(saved.folder.join("a/b/empty").is_dir());
        assert!(
            saved
                .folder
                .join("assets/video/clip \u{4e00}-3.mp4")
                .is_file()
        );
        #[cfg(unix)]
        assert!(
            fs::symlink_metadata(saved.folder.join("link"))
                .unwrap()
                .is_symlink()
        );
        assert!(
            !saved.notes.iter().any(|note| note.contains("kept")),
            "{:?}",
            saved.notes
        );
        assert!(!drafts.path().join(staging::BACKUPS).exists());
    }
}

#[tokio::test]
async fn media_in_the_drafts_own_folder_stay_where_they_are() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let request = request(drafts.path(), "capcut-win");
    let first = save_it(&working(&sources), &request).await.unwrap();
    let own = first.folder.join("recording/take 1.mp4");
    fs::create_dir(first.folder.join("recording")).unwrap();
    fs::copy(sources.path("clip \u{4e00}.mp4"), &own).unwrap();
    let bytes = fs::read(&own).unwrap();
    let ours = first.folder.join("assets/audio/sound.wav");
    let mut working = plain(&sources, &own.to_string_lossy());
    // A file that we wrote ourselves, now used as a source.
    working["materials"]["audios"][0]["remote_url"] = json!(ours);
    for _ in 0..3 {
        let saved = save_it(&working, &request).await.unwrap();
        assert_eq!(fs::read(&own).unwrap(), bytes);
        assert!(ours.is_file());
        let document = read(&saved.folder, "draft_content.json");
        let path = document["materials"]["videos"][0]["path"].as_str().unwrap();
        assert!(path.ends_with("/recording/take 1.mp4"), "{path}");
        let problems =
            lint::lint(&saved.folder, &lint::LintOptions::new(drafts.path(), None)).unwrap();
        assert_eq!(problems, []);
    }
    // When no longer used, the user's file stays, and ours is removed.
    let saved = save_it(
        &plain(&sources, &sources.path("clip \u{4e00}.mp4")),
        &request,
    )
    .await;
    saved.unwrap();
    assert_eq!(fs::read(&own).unwrap(), bytes);
}

#[tokio::test]
async fn an_edited_draft_is_replaced_only_with_overwrite_and_backed_up() {
    let sources = Sources::new();
    let edits: [(&str, &dyn Fn(&Path)); 6] = [
        ("draft_content.json", &|folder| {
            fs::write(folder.join("draft_content.json"), "{\"edited\": 1}").unwrap();
        }),
        ("draft_meta_info.json", &|folder| {
            fs::write(folder.join("draft_meta_info.json"), "{\"edited\": 1}").unwrap();
        }),
        ("draft_cover.jpg", &|folder| {
            fs::write(folder.join("draft_cover.jpg"), "another").unwrap();
        }),
        ("draft_settings", &|folder| {
            fs::remove_file(folder.join("draft_settings")).unwrap();
        }),
        ("Timelines", &|folder| {
            fs::create_dir_all(folder.join("Timelines/1")).unwrap();
            fs::write(folder.join("Timelines/1/draft_content.json"), "{}").unwrap();
        }),
        ("assets/audio/sound.wav", &|folder| {
            fs::write(folder.join("assets/audio/sound.wav"), wav(99)).unwrap();
        }),
    ];
    for (name, edit) in edits {
        let drafts = drafts_folder();
        let mut request = request(drafts.path(), "capcut-win");
        let first = save_it(&working(&sources), &request).await.unwrap();
        edit(&first.folder);
        fs::write(first.folder.join("notes.txt"), "mine").unwrap();
        let before = existing::walk(&first.folder).unwrap();
        let error = save_it(&working(&sources), &request).await.unwrap_err();
        assert_eq!(error.kind, Kind::Conflict);
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains("`overwrite`"),
            "{text}"
        );
        assert_eq!(existing::walk(&first.folder).unwrap(), before, "{name}");
        request.terms.overwrite = true;
        let saved = save_it(&working(&sources), &request).await.unwrap();
        let note = saved.notes.iter().find(|note| note.contains("edited"));
        assert!(
            note.is_some_and(|note| note.contains(name)),
            "{:?}",
            saved.notes
        );
        let backups = fs::read_dir(drafts.path().join(staging::BACKUPS)).unwrap();
        let backup = backups.map(|entry| entry.unwrap().path()).next().unwrap();
        assert_eq!(existing::walk(&backup).unwrap(), before, "{name}");
        assert_eq!(fs::read(saved.folder.join("notes.txt")).unwrap(), b"mine");
        assert!(
            !saved.folder.join("Timelines/1").exists(),
            "it belongs to the other draft"
        );
        // The new draft is unchanged since we wrote it.
        request.terms.overwrite = false;
        save_it(&working(&sources), &request).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_of_an_earlier_version_is_replaced_if_its_documents_are_unchanged() {
    let sources = Sources::new();
    for (with_hash, edited) in [(true, false), (true, true), (false, false), (false, true)] {
        let drafts = drafts_folder();
        let mut request = request(drafts.path(), "capcut-win");
        let first = save_it(&working(&sources), &request).await.unwrap();
        let marker = Marker::read(&first.folder).unwrap();
        let mut old = json!({ "draft": marker.draft });
        if with_hash {
            old["document"] = json!(marker.document);
        }
        fs::write(first.folder.join(marker::FILE), old.to_string()).unwrap();
        fs::write(first.folder.join("notes.txt"), "mine").unwrap();
        if edited {
            fs::write(first.folder.join("draft_info.json"), "{}").unwrap();
        }
        let again = save_it(&working(&sources), &request).await;
        assert_eq!(again.is_err(), edited, "{with_hash}: {again:?}");
        request.terms.overwrite = true;
        let saved = save_it(&working(&sources), &request).await.unwrap();
        assert!(drafts.path().join(staging::BACKUPS).exists());
        assert_eq!(fs::read(saved.folder.join("notes.txt")).unwrap(), b"mine");
        assert!(!saved.folder.join("assets/audio/sound-2.wav").exists());
    }
}

#[tokio::test]
async fn a_draft_that_is_open_in_the_app_is_not_replaced() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let mut request = request(drafts.path(), "capcut-win");
    let first = save_it(&working(&sources), &request).await.unwrap();
    fs::write(first.folder.join(".locked"), "").unwrap();
    let before = existing::walk(drafts.path()).unwrap();
    for overwrite in [false, true] {
        request.terms.overwrite = overwrite;
        let error = save_it(&working(&sources), &request).await.unwrap_err();
        assert!(error.to_string().contains("open in the app"), "{error}");
        assert_eq!(existing::walk(drafts.path()).unwrap(), before);
    }
}

#[tokio::test]
async fn a_foreign_zip_file_is_replaced_only_with_overwrite_and_backed_up() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let mut request = request(drafts.path(), "capcut-win");
    request.zip = true;
    let zip = drafts.path().join("My 草稿 draft.zip");
    fs::write(&zip, "of the user").unwrap();
    let error = save_it(&working(&sources), &request).await.unwrap_err();
    assert!(error.to_string().contains(".zip"), "{error}");
    assert_eq!(fs::read(&zip).unwrap(), b"of the user");
    assert_eq!(
        fs::read_dir(drafts.path()).unwrap().count(),
        1,
        "nothing was saved"
    );
    request.terms.overwrite = true;
    let saved = save_it(&working(&sources), &request).await.unwrap();
    assert_eq!(saved.zip, Some(zip.clone()));
    let backup = fs::read_dir(drafts.path().join(staging::BACKUPS)).unwrap();
    let backup = backup.map(|entry| entry.unwrap().path()).next().unwrap();
    assert_eq!(fs::read(backup).unwrap(), b"of the user");
    // Our zip file is replaced silently, unless it was changed.
    request.terms.overwrite = false;
    for _ in 0..3 {
        save_it(&working(&sources), &request).await.unwrap();
    }
    fs::write(&zip, "changed").unwrap();
    save_it(&working(&sources), &request).await.unwrap_err();
    assert_eq!(fs::read(&zip).unwrap(), b"changed");
    // Another draft with this name does not replace it either.
    fs::remove_dir_all(saved.folder).unwrap();
    save_it(&working(&sources), &request).await.unwrap_err();
    assert_eq!(fs::read(&zip).unwrap(), b"changed");
}

#[tokio::test]
async fn drafts_of_one_plan_replace_each_other_and_others_get_a_number() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let media = MediaStore::new(MediaLimits::default(), None).of(&Caller::user());
    let save = async |draft: &str, plan: &str, batch: Option<&str>, overwrite: bool| {
        let mut request = request(drafts.path(), "capcut-win");
        request.name = "Trip".to_owned();
        request.terms.origin.plan = Some(plan.to_owned());
        request.terms.origin.batch = batch.map(str::to_owned);
        request.terms.overwrite = overwrite;
        let mut subject = subject(&working(&sources));
        draft.clone_into(&mut subject.id);
        let saved = save_document(subject, &request, &media, &Arc::default(), &|_| {}).await?;
        let name = saved
            .folder
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let said = saved
            .notes
            .iter()
            .any(|note| note.contains(&format!("\"{name}\"")) && note.contains("another"));
        assert_eq!(said, name != "Trip", "{:?}", saved.notes);
        let meta = read(&saved.folder, "draft_meta_info.json");
        assert_eq!(meta["draft_name"], name);
        Ok::<_, Error>((
            name,
            saved.notes.iter().any(|note| note.contains("is kept in")),
        ))
    };
    let is = |saved: Result<(String, bool)>, name: &str, kept: bool| {
        assert_eq!(saved.unwrap(), (name.to_owned(), kept));
    };
    fs::create_dir(drafts.path().join("Trip (2)")).unwrap();
    is(save("d1", "one", None, false).await, "Trip", false);
    is(save("d2", "one", None, false).await, "Trip", true);
    is(save("d3", "two", None, false).await, "Trip (3)", false);
    is(save("d4", "two", None, false).await, "Trip (3)", true);
    // Drafts of one batch never replace each other; in the next run, each finds its own.
    is(save("d5", "row 1", Some("b1"), true).await, "Trip", true);
    is(
        save("d6", "row 2", Some("b1"), true).await,
        "Trip (2)",
        true,
    );
    is(
        save("d7", "row 2", Some("b2"), false).await,
        "Trip (2)",
        true,
    );
    is(save("d8", "row 1", Some("b2"), false).await, "Trip", true);
    // After an edit, replacing the draft of the same plan requires `overwrite`.
    fs::write(drafts.path().join("Trip/draft_info.json"), "{}").unwrap();
    let error = save("d9", "row 1", None, false).await.unwrap_err();
    assert!(error.to_string().contains("changed since"), "{error}");
    is(save("d9", "row 1", None, true).await, "Trip", true);
}

#[tokio::test]
async fn concurrent_saves_of_drafts_with_one_name_all_get_a_folder() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let media = MediaStore::new(MediaLimits::default(), None).of(&Caller::user());
    let covers = Arc::default();
    let saves = (0..6).map(|number| {
        let mut request = request(drafts.path(), "capcut-win");
        request.terms.origin.plan = Some(format!("row {number}"));
        let mut subject = subject(&working(&sources));
        subject.id = format!("d{number}");
        let (media, covers) = (&media, &covers);
        async move { save_document(subject, &request, media, covers, &|_| {}).await }
    });
    let saved = futures::future::join_all(saves).await;
    let folders: HashSet<_> = saved
        .into_iter()
        .map(|saved| saved.unwrap().folder)
        .collect();
    assert_eq!(folders.len(), 6);
}

#[tokio::test]
async fn the_number_of_backups_is_limited() {
    let sources = Sources::new();
    let drafts = tempfile::tempdir().unwrap();
    let mut request = request(drafts.path(), "capcut-win");
    request.terms.overwrite = true;
    fs::create_dir_all(
        drafts
            .path()
            .join(staging::BACKUPS)
            .join("My 草稿 draft of mine 17"),
    )
    .unwrap();
    for round in 0..14 {
        let saved = save_it(&json!({"tracks": [], "materials": {}}), &request)
            .await
            .unwrap();
        fs::write(
            saved.folder.join("draft_info.json"),
            format!("{{\"edit\": {round}}}"),
        )
        .unwrap();
    }
    let _ = sources;
    let backups = fs::read_dir(drafts.path().join(staging::BACKUPS)).unwrap();
    let names: Vec<String> = backups
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 11, "ten, and another draft's: {names:?}");
    let newest = names
        .iter()
        .filter(|name| !name.contains("of mine"))
        .max()
        .unwrap();
    let document = drafts
        .path()
        .join(staging::BACKUPS)
        .join(newest)
        .join("draft_info.json");
    assert_eq!(fs::read_to_string(document).unwrap(), "{\"edit\": 12}");
}

#[cfg(unix)]
#[tokio::test]
async fn pipes_and_links_in_the_drafts_folder_do_not_block_a_save() {
    let sources = Sources::new();
    let drafts = drafts_folder();
    let pipe = |path: PathBuf| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let request = request(drafts.path(), "capcut-win");
    let saved = save_it(&working(&sources), &request).await.unwrap();
    pipe(drafts.path().join(".capcut-mcp-tmp-0.lock"));
    pipe(drafts.path().join(".capcut-mcp-root_meta_info.json.x"));
    pipe(saved.folder.join("a pipe"));
    let saved = save_it(&working(&sources), &request).await.unwrap();
    assert!(fs::symlink_metadata(saved.folder.join("a pipe")).is_ok());
    // A document that became a pipe counts as changed.
    fs::remove_file(saved.folder.join("draft_info.json")).unwrap();
    pipe(saved.folder.join("draft_info.json"));
    let error = save_it(&working(&sources), &request).await.unwrap_err();
    assert!(error.to_string().contains("draft_info.json"), "{error}");
    // A pipe instead of the draft's folder.
    let other = SaveRequest {
        name: "pipe".to_owned(),
        ..request.clone()
    };
    pipe(drafts.path().join("pipe"));
    save_it(&working(&sources), &other).await.unwrap_err();
    // The lock, a link to a file of the user or a pipe: the draft is saved, the list is not changed.
    let lock = drafts.path().join(".capcut-mcp.lock");
    let precious = sources.folder.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    for round in 0..2 {
        fs::remove_file(&lock).unwrap();
        if round == 0 {
            std::os::unix::fs::symlink(&precious, &lock).unwrap();
        } else {
            pipe(lock.clone());
        }
        let next = SaveRequest {
            name: format!("next {round}"),
            ..request.clone()
        };
        let saved = save_it(&working(&sources), &next).await.unwrap();
        assert!(!saved.registered);
        assert!(
            saved
                .notes
                .iter()
                .any(|note| note.contains("cannot be locked")),
            "{:?}",
            saved.notes
        );
        assert_eq!(fs::read(&precious).unwrap(), b"mine");
    }
}

#[test]
fn a_failed_zip_file_does_not_panic_or_print() {
    use std::io::{Seek as _, Write as _};
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }
    impl std::io::Seek for Full {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }
    let mut failed = None;
    let mut output = archive::CheckedWriter::new(Full, &mut failed);
    let first = output.write(b"some").unwrap_err();
    assert_eq!(first.kind(), std::io::ErrorKind::StorageFull);
    // The writes that complete the file on drop must succeed.
    output.write_all(b"more").unwrap();
    assert_eq!(output.stream_position().unwrap(), 4);
    output.rewind().unwrap();
    assert_eq!(output.seek(std::io::SeekFrom::End(-1)).unwrap(), 3);
    output.flush().unwrap();
    assert_eq!(failed.unwrap().kind(), std::io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn notes_report_lengths_that_differ_at_the_save() {
    let sources = Sources::new();
    // The clip lasts 4 s, the sound 3 s.
    for (noted, told) in [
        (4_000_000, None),
        (2_000_000, Some("the file lasts")),
        (3_500_000, Some("the file lasts")),
        (9_000_000, Some("where its media ends")),
    ] {
        let drafts = tempfile::tempdir().unwrap();
        let mut working = working(&sources);
        working["materials"]["videos"][0]["duration"] = json!(noted);
        let range = json!({"start": 0, "duration": noted});
        working["tracks"][1]["segments"] = json!([segment("s1", "v1", 0, noted, range, json!({}))]);
        let saved = save_it(&working, &request(drafts.path(), "capcut-win"))
            .await
            .unwrap();
        let notes = saved.notes.join("\n");
        for what in ["the file lasts", "where its media ends"] {
            assert_eq!(notes.contains(what), told == Some(what), "{noted}: {notes}");
        }
    }
}
