//! `edit_draft` with `set`: every property of the list, values as people and models send them, names of the app's
//! catalog, on our own drafts and on drafts of an app.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Client, Home, media};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A document in the form of CapCut 8.5, with titles, three main clips, a logo and music.
fn app_draft(home: &Home, name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let document = fs::read_to_string(data.join("app.json")).expect("it is in the repository");
    let file = home.file(&format!("apps/{name}/draft_info.json"), document);
    file.parent().expect("a folder").to_owned()
}

fn open(client: &mut Client, folder: &Path) -> String {
    let opened = client.call("open_draft", json!({ "draft": text(folder) }));
    let opened = opened.expect("the draft opens");
    opened["draft_id"].as_str().expect("an id").to_owned()
}

fn try_set(client: &mut Client, draft: &str, clip: &str, values: &Value) -> Result<Value, String> {
    let mut operation = values.clone();
    operation["op"] = "set".into();
    operation["clip"] = clip.into();
    client.call(
        "edit_draft",
        json!({ "draft_id": draft, "operations": [operation] }),
    )
}

fn set(client: &mut Client, draft: &str, clip: &str, values: &Value) -> Value {
    match try_set(client, draft, clip, values) {
        Ok(reply) => reply,
        Err(error) => panic!("{values}: {error}"),
    }
}

fn script(client: &mut Client, draft: &str) -> String {
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    let read = read.expect("a document");
    read["script"].as_str().expect("a text").to_owned()
}

fn document(client: &mut Client, draft: &str) -> Value {
    serde_json::from_str(&script(client, draft)).expect("JSON")
}

/// The clip with these words or this file, and its materials by list.
struct Shown {
    clip: Value,
    materials: Vec<(String, Value)>,
}

impl Shown {
    /// The clip at a position of the document.
    fn of(document: &Value, track: &str, index: usize) -> Self {
        let tracks = document["tracks"].as_array().expect("tracks");
        let mut clips = tracks
            .iter()
            .filter(|own| own["type"] == track)
            .flat_map(|own| own["segments"].as_array().cloned().unwrap_or_default());
        let clip = clips.nth(index).expect("a clip");
        let mut ids: Vec<Value> = clip["extra_material_refs"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ids.push(clip["material_id"].clone());
        let lists = document["materials"].as_object().expect("lists");
        let materials = lists.iter().flat_map(|(list, all)| {
            let all = all.as_array().cloned().unwrap_or_default();
            let own = all.into_iter().filter(|one| ids.contains(&one["id"]));
            own.map(|one| (list.clone(), one)).collect::<Vec<_>>()
        });
        let materials = materials.collect();
        Self { clip, materials }
    }

    fn material(&self, list: &str) -> &Value {
        let found = self.materials.iter().find(|(own, _)| own == list);
        &found.unwrap_or_else(|| panic!("no {list}")).1
    }

    fn has(&self, list: &str) -> bool {
        self.materials.iter().any(|(own, _)| own == list)
    }

    fn style(&self) -> Value {
        let content = self.material("texts")["content"].as_str().expect("a text");
        let content: Value = serde_json::from_str(content).expect("JSON");
        content["styles"][0].clone()
    }
}

/// A draft of ours: two videos, a picture, a text, music, an effect and a sticker.
fn own_draft(client: &mut Client, edition: &str) -> String {
    let effect = if edition == "capcut" {
        "Blur"
    } else {
        "模糊"
    };
    let made = client.call(
        "create_draft",
        json!({ "width": 1000, "height": 2000, "name": "Own", "edition": edition }),
    );
    let draft = made.expect("a draft")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let clip = media("clip.mp4");
    let calls = [
        ("add_video", json!({ "video_url": text(&clip), "end": 1 })),
        (
            "add_video",
            json!({ "video_url": text(&clip), "target_start": 1, "end": 1 }),
        ),
        (
            "add_image",
            json!({ "image_url": text(&media("picture.jpg")), "end": 2, "track_name": "picture" }),
        ),
        ("add_text", json!({ "text": "Words", "end": 2 })),
        (
            "add_audio",
            json!({ "audio_url": text(&media("music.mp3")), "end": 2 }),
        ),
        ("add_effect", json!({ "effect_type": effect, "end": 2 })),
        (
            "add_sticker",
            json!({ "sticker_id": "7132097333274250789", "end": 2 }),
        ),
    ];
    for (tool, mut arguments) in calls {
        arguments["draft_id"] = draft.as_str().into();
        client.call(tool, arguments).expect("it is added");
    }
    draft
}

/// Every notation: the values as sent, the clip (its track and position), the path in it or in one of its materials,
/// and the stored value.
#[test]
fn values_are_read_as_people_and_models_send_them() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = own_draft(&mut client, "capcut");
    let video = "c1";
    let words = "Words";
    let cases: [(&str, Value, &str, &str, Value); 28] = [
        (
            video,
            json!({ "volume": "50%" }),
            "video",
            "/volume",
            json!(0.5),
        ),
        (
            video,
            json!({ "volume": "-6dB" }),
            "video",
            "/volume",
            json!(0.501_187),
        ),
        (
            video,
            json!({ "loudness": "2x" }),
            "video",
            "/volume",
            json!(2.0),
        ),
        (
            video,
            json!({ "Volume": "0.25" }),
            "video",
            "/volume",
            json!(0.25),
        ),
        (
            video,
            json!({ "opacity": "50%" }),
            "video",
            "/clip/alpha",
            json!(0.5),
        ),
        (
            video,
            json!({ "alpha": ".75" }),
            "video",
            "/clip/alpha",
            json!(0.75),
        ),
        (
            video,
            json!({ "rotation": "90deg" }),
            "video",
            "/clip/rotation",
            json!(90.0),
        ),
        (
            video,
            json!({ "rotation": "-45°" }),
            "video",
            "/clip/rotation",
            json!(-45.0),
        ),
        (
            video,
            json!({ "scale": "150%" }),
            "video",
            "/clip/scale/y",
            json!(1.5),
        ),
        (
            video,
            json!({ "scale_x": "2x" }),
            "video",
            "/clip/scale/x",
            json!(2.0),
        ),
        (
            video,
            json!({ "position_x": "250px" }),
            "video",
            "/clip/transform/x",
            json!(0.5),
        ),
        (
            video,
            json!({ "y": "500px" }),
            "video",
            "/clip/transform/y",
            json!(0.5),
        ),
        (
            video,
            json!({ "position_y": "-0,5" }),
            "video",
            "/clip/transform/y",
            json!(-0.5),
        ),
        (
            video,
            json!({ "flip_horizontal": "yes" }),
            "video",
            "/clip/flip/horizontal",
            json!(true),
        ),
        (
            video,
            json!({ "flip_horizontal": "off" }),
            "video",
            "/clip/flip/horizontal",
            json!(false),
        ),
        (
            video,
            json!({ "visible": 0 }),
            "video",
            "/visible",
            json!(false),
        ),
        (
            video,
            json!({ "visible": "1" }),
            "video",
            "/visible",
            json!(true),
        ),
        (
            words,
            json!({ "fontSize": "12pt" }),
            "text",
            "style/size",
            json!(12.0),
        ),
        (
            words,
            json!({ "font-size": "20" }),
            "text",
            "style/size",
            json!(20.0),
        ),
        (
            words,
            json!({ "color": "red" }),
            "text",
            "style/fill/content/solid/color",
            json!([1.0, 0.0, 0.0]),
        ),
        (
            words,
            json!({ "font_color": "rgb(0, 255, 0)" }),
            "text",
            "style/fill/content/solid/color",
            json!([0.0, 1.0, 0.0]),
        ),
        (
            words,
            json!({ "text_color": "蓝色" }),
            "text",
            "style/fill/content/solid/color",
            json!([0.0, 0.0, 1.0]),
        ),
        (
            words,
            json!({ "bold": "true", "italic": null, "font": "" }),
            "text",
            "style/bold",
            json!(true),
        ),
        (
            words,
            json!({ "align": "Centre" }),
            "text",
            "texts/alignment",
            json!(1),
        ),
        (
            words,
            json!({ "alignment": " LEFT " }),
            "text",
            "texts/alignment",
            json!(0),
        ),
        (
            words,
            json!({ "properties": { "letter_spacing": "3" } }),
            "text",
            "texts/letter_spacing",
            json!(3.0),
        ),
        (
            words,
            json!({ "property": "border_width", "value": "50%" }),
            "text",
            "style/strokes/0/width",
            json!(0.1),
        ),
        (
            "music.mp3",
            json!({ "fade_in": "1.5s" }),
            "audio",
            "audio_fades/fade_in_duration",
            json!(1_500_000),
        ),
    ];
    for (clip, values, track, place, expected) in cases {
        let clip_rows = set(&mut client, &draft, clip, &values);
        assert!(!clip_rows["changes"].to_string().is_empty());
        let shown = Shown::of(&document(&mut client, &draft), track, 0);
        let stored = match place.split_once('/') {
            Some(("", _)) => shown.clip.pointer(place).cloned(),
            Some(("style", path)) => shown.style().pointer(&format!("/{path}")).cloned(),
            Some((list, path)) => shown.material(list).pointer(&format!("/{path}")).cloned(),
            None => None,
        };
        let stored = stored.unwrap_or_else(|| panic!("{values}: nothing at {place}"));
        let is_equal = match (stored.as_f64(), expected.as_f64()) {
            (Some(stored), Some(expected)) => (stored - expected).abs() < 1e-6,
            _ => stored == expected,
        };
        assert!(is_equal, "{values}: {stored} at {place}, not {expected}");
    }
    // What is not given changes nothing, and a call with nothing else is an error.
    let before = script(&mut client, &draft);
    let error = try_set(
        &mut client,
        &draft,
        video,
        &json!({ "volume": null, "opacity": " " }),
    );
    assert!(error.expect_err("nothing").contains("names no property"));
    assert_eq!(script(&mut client, &draft), before);
    // A colour with its opacity sets both.
    set(
        &mut client,
        &draft,
        words,
        &json!({ "background_color": "rgba(0, 0, 255, 0.5)" }),
    );
    let shown = Shown::of(&document(&mut client, &draft), "text", 0);
    assert_eq!(shown.material("texts")["background_color"], "#0000ff");
    assert_eq!(shown.material("texts")["background_alpha"], 0.5);
    assert_eq!(
        shown.material("texts")["check_flag"].as_i64().unwrap_or(0) & 16,
        16
    );
}

#[test]
fn impossible_values_are_refused_with_unit_range_and_meaning() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = own_draft(&mut client, "capcut");
    let before = script(&mut client, &draft);
    let cases: [(&str, Value, &[&str]); 20] = [
        (
            "c1",
            json!({ "volume": 80 }),
            &["`volume` is 80", "factor from 0 to 10", "did you mean 0.8?"],
        ),
        ("c1", json!({ "volume": -6 }), &["-6", "\"-6dB\" (0.501)"]),
        (
            "c1",
            json!({ "opacity": "150%" }),
            &["\"150%\"", "from 0 (invisible) to 1", "did you mean 1?"],
        ),
        ("c1", json!({ "opacity": 50 }), &["did you mean 0.5?"]),
        (
            "c1",
            json!({ "opacity": "half" }),
            &["`opacity` is \"half\"", "from 0 (invisible) to 1"],
        ),
        ("c1", json!({ "speed": 0 }), &["above 0", "did you mean 1?"]),
        (
            "c1",
            json!({ "position_x": 540 }),
            &["half canvases", "\"100px\""],
        ),
        (
            "c1",
            json!({ "position_x": "90000px" }),
            &["90000 pixels", "half canvases"],
        ),
        (
            "c1",
            json!({ "fade_in": -1 }),
            &["seconds", "did you mean 0?"],
        ),
        (
            "c1",
            json!({ "fade_in": "1.5 parsecs" }),
            &["1.5 parsecs", "seconds"],
        ),
        (
            "c1",
            json!({ "visible": "maybe" }),
            &["`visible` is \"maybe\"", "true or false"],
        ),
        (
            "c1",
            json!({ "background_blur": 3 }),
            &["from 0 to 1", "level 3", "0.75"],
        ),
        (
            "Words",
            json!({ "font_color": "redd" }),
            &["\"redd\"", "not a colour", "did you mean \"red\"?"],
        ),
        (
            "Words",
            json!({ "font_size": 0 }),
            &["1 to 300", "did you mean 8?"],
        ),
        (
            "Words",
            json!({ "alignment": "justified" }),
            &["\"justified\"", "\"left\", \"center\" or \"right\""],
        ),
        (
            "Words",
            json!({ "letter_spacing": 500 }),
            &["500", "from -10 to 100"],
        ),
        (
            "Words",
            json!({ "border_width": 120 }),
            &["from 0 to 100", "did you mean 100?"],
        ),
        (
            "Words",
            json!({ "volum": 1 }),
            &["no property \"volum\"", "did you mean \"volume\""],
        ),
        ("Words", json!({ "volume": 1 }), &["has no `volume`"]),
        (
            "Words",
            json!({ "size": 5, "font_size": 6 }),
            &["one property"],
        ),
    ];
    for (clip, values, parts) in cases {
        let error = try_set(&mut client, &draft, clip, &values).expect_err("it is refused");
        for part in parts {
            assert!(error.contains(part), "{values}: {part:?} is not in {error}");
        }
    }
    assert_eq!(script(&mut client, &draft), before);
}

/// What other operations change is refused with the name of the operation.
#[test]
fn settings_that_set_cannot_change_say_why() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = own_draft(&mut client, "capcut");
    for (name, reason) in [
        ("start", "`move`"),
        ("duration", "`trim`"),
        ("video_url", "`replace_media`"),
        ("track_name", "`move`"),
        ("relative_index", "`track`"),
        ("position", "`position_x`"),
        ("effect_category", "`effect_type`"),
    ] {
        let error = try_set(&mut client, &draft, "c1", &json!({ name: 1 })).expect_err(name);
        assert!(
            error.contains(&format!("`set` does not change `{name}`")) && error.contains(reason),
            "{name}: {error}"
        );
    }
}

/// Names of an edition's catalog, with their resource ids.
struct Names {
    edition: &'static str,
    transition: (&'static str, &'static str),
    mask: (&'static str, &'static str),
    mask_lists: &'static [&'static str],
    intro: (&'static str, &'static str),
    outro: (&'static str, &'static str),
    combo: (&'static str, &'static str),
    text_intro: (&'static str, &'static str),
    font: (&'static str, &'static str),
    sound: (&'static str, &'static str),
    effect: (&'static str, &'static str),
}

const CAPCUT: Names = Names {
    edition: "capcut",
    transition: ("mix", "6724845717472416269"),
    mask: ("Circle", "7374021188315517456"),
    mask_lists: &["common_mask"],
    intro: ("Fade In", "6798320778182922760"),
    outro: ("fade_out", "6798320902548230669"),
    combo: ("Zoom 1", "6759078592740594184"),
    text_intro: ("Typewriter", "7210980292243231233"),
    font: ("poppins bold", "7312373689708712449"),
    sound: ("Big House", "7350559836590838274"),
    effect: ("Heart Kisses", "6925620336390050305"),
};

const JIANYING: Names = Names {
    edition: "jianying",
    transition: ("3D空间", "7049979667406656014"),
    mask: ("圆形", "6791700663249146381"),
    mask_lists: &["masks"],
    intro: ("放大", "6798332733694153230"),
    outro: ("跳转闭幕", "7280420767378969143"),
    combo: ("三分割", "6873360856541827591"),
    text_intro: ("卡拉OK", "6771294855785091588"),
    font: ("文轩体", "7290445778273702455"),
    sound: ("8bit", "7161319747584266766"),
    effect: ("70s", "6706773500792689165"),
};

/// The clips that names are set on: their selectors, and the track and position of each in the document.
struct Clips {
    /// A video before another one on its track.
    video: (&'static str, usize),
    text: (&'static str, usize),
    sound: (&'static str, usize),
    effect: &'static str,
}

/// Sets every kind of name, checks what the document has, and undoes it to the same bytes.
fn check_names(client: &mut Client, draft: &str, names: &Names, clips: &Clips) {
    let before = script(client, draft);
    let (video, video_at) = clips.video;
    let (words, text_at) = clips.text;
    let (sound, sound_at) = clips.sound;
    let mut steps = 0;
    let mut change = |client: &mut Client, clip: &str, values: Value| {
        let reply = set(client, draft, clip, &values);
        steps += 1;
        reply
    };
    let shown = |client: &mut Client, track: &str, at: usize| {
        Shown::of(&document(client, draft), track, at)
    };

    // In one call, in any order of the keys: the transition is there before its length is set.
    change(
        client,
        video,
        json!({ "transition_duration": "0.4s", "transition": names.transition.0 }),
    );
    let found = shown(client, "video", video_at);
    assert_eq!(
        found.material("transitions")["resource_id"],
        names.transition.1
    );
    assert_eq!(found.material("transitions")["duration"], 400_000);

    change(
        client,
        video,
        json!({ "mask_feather": "25%", "mask_type": names.mask.0, "mask_size": 0.4 }),
    );
    let found = shown(client, "video", video_at);
    for list in names.mask_lists {
        let mask = found.material(list);
        assert_eq!(mask["resource_id"], names.mask.1);
        assert_eq!(mask["config"]["height"], 0.4);
        assert_eq!(mask["config"]["feather"], 0.25);
        let width = mask["config"]["width"].as_f64().expect("a number");
        let canvas = document(client, draft)["canvas_config"].clone();
        let side = |key: &str| canvas[key].as_f64().expect("a number");
        assert!(
            (width - 0.4 * side("height") / side("width")).abs() < 1e-9,
            "a circle is as wide as high: {width}"
        );
    }

    change(
        client,
        video,
        json!({ "intro_animation": names.intro.0, "intro_duration": 0.3, "outro_animation": names.outro.0 }),
    );
    let found = shown(client, "video", video_at);
    let animations = found.material("material_animations")["animations"].clone();
    let length = found.clip["target_timerange"]["duration"]
        .as_i64()
        .expect("a time");
    let [intro, outro] = animations.as_array().expect("a list").as_slice() else {
        panic!("{animations}");
    };
    assert_eq!(intro["resource_id"], names.intro.1);
    assert_eq!(
        (&intro["type"], &intro["duration"]),
        (&json!("in"), &json!(300_000))
    );
    assert_eq!(outro["resource_id"], names.outro.1);
    assert_eq!(outro["start"], length - 500_000);

    // The animation of the whole clip takes their place.
    change(
        client,
        video,
        json!({ "combo_animation": names.combo.0, "combo_animation_duration": 0 }),
    );
    let found = shown(client, "video", video_at);
    let animations = found.material("material_animations")["animations"].clone();
    assert_eq!(animations.as_array().map(Vec::len), Some(1), "{animations}");
    assert_eq!(animations[0]["resource_id"], names.combo.1);
    assert_eq!(animations[0]["duration"], length);

    change(
        client,
        words,
        json!({ "font": names.font.0, "intro_animation": names.text_intro.0 }),
    );
    let found = shown(client, "text", text_at);
    assert_eq!(found.style()["font"]["id"], names.font.1);
    let animation = &found.material("material_animations")["animations"][0];
    assert_eq!(animation["resource_id"], names.text_intro.1);
    assert_eq!(animation["material_type"], "sticker");

    change(
        client,
        sound,
        json!({ "effect_params": [100], "effect_type": names.sound.0 }),
    );
    let found = shown(client, "audio", sound_at);
    let effect = found.material("audio_effects");
    assert_eq!(effect["resource_id"], names.sound.1);
    let first = &effect["audio_adjust_params"][0];
    assert_eq!(first["value"], first["max_value"]);

    change(
        client,
        clips.effect,
        json!({ "effect_type": names.effect.0 }),
    );
    let found = shown(client, "effect", 0);
    assert_eq!(
        found.material("video_effects")["resource_id"],
        names.effect.1
    );

    // "none" removes, other values are refused with the nearest names.
    change(
        client,
        video,
        json!({ "transition": "none", "mask_type": "none", "combo_animation": "none" }),
    );
    let found = shown(client, "video", video_at);
    assert!(!found.has("transitions") && !found.has("common_mask") && !found.has("masks"));
    assert_eq!(
        found.material("material_animations")["animations"],
        json!([])
    );
    let error = try_set(
        client,
        draft,
        video,
        &json!({ "transition": "no such thing" }),
    );
    let error = error.expect_err("unknown");
    assert!(
        error.contains("`transition`") && error.contains("search_catalog"),
        "{error}"
    );

    let undone = client.call("undo_draft", json!({ "draft_id": draft, "steps": steps }));
    undone.expect("undone");
    assert_eq!(script(client, draft), before);
}

#[test]
fn names_of_the_catalog_are_set_on_our_own_drafts_of_both_editions() {
    let home = Home::embedded();
    let mut client = home.connected();
    for names in [CAPCUT, JIANYING] {
        let draft = own_draft(&mut client, names.edition);
        let clips = Clips {
            video: ("c1", 0),
            text: ("Words", 0),
            sound: ("music.mp3", 0),
            effect: "c6",
        };
        check_names(&mut client, &draft, &names, &clips);
    }
}

#[test]
fn names_of_the_catalog_are_set_on_opened_drafts_of_both_editions() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clips = Clips {
        video: ("c2", 1),
        text: ("c6", 0),
        sound: ("c13", 0),
        effect: "c10",
    };
    let folder = app_draft(&home, "CapCut");
    let draft = open(&mut client, &folder);
    check_names(&mut client, &draft, &CAPCUT, &clips);

    let file = app_draft(&home, "JianYing").join("draft_info.json");
    let mut lines = fs::read_to_string(&file).expect("a document");
    for (from, to) in [
        ("\"app_id\":359289", "\"app_id\":3704"),
        ("\"app_source\":\"cc\"", "\"app_source\":\"lv\""),
        ("\"app_version\":\"8.5.0\"", "\"app_version\":\"5.8.0\""),
        ("\"new_version\":\"167.0.0\"", "\"new_version\":\"110.0.0\""),
    ] {
        assert!(lines.contains(from), "{from}");
        lines = lines.replace(from, to);
    }
    fs::write(&file, lines).expect("written");
    let draft = open(&mut client, file.parent().expect("a folder"));
    check_names(&mut client, &draft, &JIANYING, &clips);
}

/// What an opened draft gets has all keys that its app's version writes, and a name of the other app is translated.
#[test]
fn what_is_added_to_an_opened_draft_is_as_its_app_writes_it() {
    let home = Home::embedded();
    let mut client = home.connected();
    let folder = app_draft(&home, "Summer");
    let draft = open(&mut client, &folder);
    let reply = set(
        &mut client,
        &draft,
        "c2",
        &json!({ "transition": "叠化", "mask_type": "Circle", "intro_animation": "Fade_In" }),
    );
    assert!(reply["notes"].to_string().contains("in CapCut"), "{reply}");
    let found = Shown::of(&document(&mut client, &draft), "video", 1);
    let transition = found.material("transitions");
    assert_eq!(transition["third_resource_id"], transition["resource_id"]);
    for key in ["path", "source_platform", "request_id", "category_id"] {
        assert!(transition.get(key).is_some(), "{key}: {transition}");
    }
    assert!(found.material("common_mask")["config"]["expansion"].is_number());
    let animation = &found.material("material_animations")["animations"][0];
    assert_eq!(animation["third_resource_id"], animation["resource_id"]);
    // A mask is visible only with these bits.
    let flags = found.material("videos")["check_flag"].as_i64();
    assert!(
        flags.is_none_or(|flags| flags & 0xf7ff == 0xf7ff),
        "{flags:?}"
    );
    let saved = client.call("save_draft", json!({ "draft_id": draft }));
    saved.expect("saved");
    let problems = client.call("validate_draft", json!({ "draft_folder": text(&folder) }));
    let problems = problems.expect("checked").to_string();
    for code in [
        "check-flag",
        "mask-list",
        "dangling",
        "duplicate-id",
        "range",
    ] {
        assert!(!problems.contains(code), "{code}: {problems}");
    }
}

/// A setting gives the same document, whether it is given when the clip is added or set afterwards.
#[test]
fn a_value_that_is_set_is_stored_as_one_that_was_added() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    let picture = media("picture.jpg");
    let video = json!({ "video_url": text(&clip), "end": 2 });
    let image = json!({ "image_url": text(&picture), "end": 2 });
    let words = json!({ "text": "Words", "end": 2 });
    let sound = json!({ "audio_url": text(&media("music.mp3")), "end": 2 });
    let sticker = json!({ "sticker_id": "7132097333274250789", "end": 2 });
    let effect = json!({ "effect_type": "Blur", "end": 2 });
    let cases: Vec<(&str, &Value, Value)> = vec![
        (
            "add_video",
            &video,
            json!({ "volume": 0.3, "transform_x": 0.2, "transform_y": -0.3 }),
        ),
        (
            "add_video",
            &video,
            json!({ "transition": "Mix", "transition_duration": 0.6 }),
        ),
        (
            "add_image",
            &image,
            json!({ "mask_type": "Circle", "mask_size": 0.6, "mask_feather": 30, "mask_rotation": 20 }),
        ),
        (
            "add_image",
            &image,
            json!({ "mask_type": "Rectangle", "mask_size": 0.6, "mask_rect_width": 0.3, "mask_round_corner": 40, "mask_invert": true }),
        ),
        (
            "add_image",
            &image,
            json!({ "intro_animation": "Fade_In", "intro_animation_duration": 0.8, "outro_animation": "Fade_Out" }),
        ),
        (
            "add_image",
            &image,
            json!({ "intro_animation": "Fade_In", "intro_animation_duration": 0 }),
        ),
        (
            "add_image",
            &image,
            json!({ "combo_animation": "Zoom_1", "combo_animation_duration": 0 }),
        ),
        (
            "add_text",
            &words,
            json!({ "font": "Poppins_Bold", "font_size": 14, "font_color": "#00FF00", "font_alpha": 0.5 }),
        ),
        (
            "add_text",
            &words,
            json!({ "border_width": 30, "border_color": "#FF0000", "border_alpha": 0.5 }),
        ),
        (
            "add_text",
            &words,
            json!({ "background_color": "#112233", "background_alpha": 0.4, "background_style": 1, "background_round_radius": 0.3, "background_width": 0.2, "background_height": 0.3, "background_horizontal_offset": 0.75, "background_vertical_offset": 0.25 }),
        ),
        (
            "add_text",
            &words,
            json!({ "shadow_enabled": true, "shadow_color": "#0000FF", "shadow_alpha": 0.5, "shadow_angle": 30, "shadow_distance": 8, "shadow_smoothing": 0.3 }),
        ),
        (
            "add_text",
            &words,
            json!({ "intro_animation": "Typewriter", "intro_duration": 0.7, "outro_animation": "Fade_Out", "outro_duration": 0.2 }),
        ),
        (
            "add_text",
            &words,
            json!({ "fixed_width": 0.5, "fixed_height": 0.25, "vertical": true }),
        ),
        (
            "add_text",
            &words,
            json!({ "bubble_effect_id": "361595", "bubble_resource_id": "6742029398926430728", "effect_effect_id": "7296357486490144036" }),
        ),
        (
            "add_audio",
            &sound,
            json!({ "volume": 0.5, "fade_in": 0.5, "fade_out": 0.4 }),
        ),
        (
            "add_audio",
            &sound,
            json!({ "effect_type": "Big_House", "effect_params": [40] }),
        ),
        (
            "add_sticker",
            &sticker,
            json!({ "scale_x": 0.5, "scale_y": 0.5, "rotation": 30, "alpha": 0.6, "flip_horizontal": true }),
        ),
        (
            "add_effect",
            &effect,
            json!({ "effect_type": "Heart_Kisses" }),
        ),
    ];
    for (tool, plain, values) in cases {
        let mut both = Vec::new();
        for is_set in [false, true] {
            let made = client.call(
                "create_draft",
                json!({ "width": 1080, "height": 1920, "name": "Both" }),
            );
            let draft = made.expect("a draft")["draft_id"]
                .as_str()
                .expect("an id")
                .to_owned();
            let mut arguments = plain.clone();
            arguments["draft_id"] = draft.as_str().into();
            if !is_set {
                for (name, value) in values.as_object().expect("values") {
                    arguments[name] = value.clone();
                }
            }
            client.call(tool, arguments).expect("it is added");
            if is_set {
                set(&mut client, &draft, "c1", &values);
            }
            let saved = client.call(
                "save_draft",
                json!({ "draft_id": draft, "draft_folder": text(&home.file("saved/x", "")) .trim_end_matches("/x"), "name": format!("{tool} {is_set}"), "overwrite": true }),
            );
            let saved = saved.expect("saved");
            let folder = saved["folder"].as_str().or(saved["draft_folder"].as_str());
            both.push(look(Path::new(folder.expect("a folder"))));
        }
        assert_eq!(both[1], both[0], "{tool} {values}");
    }
}

/// What a saved draft shows of its one clip: its look and its materials without ids, in a fixed order.
fn look(folder: &Path) -> Value {
    let file = ["draft_content.json", "draft_info.json"]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|file| file.exists());
    let document = fs::read_to_string(file.expect("a document")).expect("a text");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let tracks = document["tracks"].as_array().expect("tracks");
    let kind = tracks[0]["type"].as_str().expect("a type");
    let shown = Shown::of(&document, kind, 0);
    let mut look: Vec<String> = shown
        .materials
        .into_iter()
        .map(|(list, mut material)| {
            if let Some(members) = material.as_object_mut() {
                for key in ["id", "path", "local_material_id", "music_id"] {
                    members.remove(key);
                }
                // The order of keys in the content of a text does not matter.
                if let Some(Value::String(content)) = members.get("content").cloned() {
                    members["content"] = sorted(serde_json::from_str(&content).expect("JSON"));
                }
            }
            format!("{list}: {}", sorted(material))
        })
        .collect();
    look.sort();
    json!({
        "clip": sorted(shown.clip["clip"].clone()), "volume": shown.clip["volume"],
        "uniform_scale": shown.clip["uniform_scale"], "materials": look,
    })
}

/// With the keys of objects in alphabetical order, and without `null`, which means the same as no value.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.retain(|(_, value)| !value.is_null());
            members.sort_by(|one, other| one.0.cmp(&other.0));
            let members = members.into_iter();
            members.map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            json!((number * 1e6).round() / 1e6)
        }
        // Colours are written in both cases.
        Value::String(text) if text.starts_with('#') => text.to_lowercase().into(),
        other => other,
    }
}

#[test]
fn a_shell_and_a_file_of_operations_take_the_same_values() {
    let home = Home::embedded();
    let folder = app_draft(&home, "Trip");
    let edited = home
        .run(&[
            "edit",
            text(&folder),
            "set c1 volume=50% opacity=25% rotation=90deg",
            "set c6 font_color=red bold=yes font_size=12pt font=Poppins_Bold",
            "set c2 transition=Mix transition_duration=0.5s",
        ])
        .success();
    let draft = edited.stdout.lines().last().unwrap_or_default();
    let draft = draft.trim_start_matches("draft ").to_owned();
    let operations = home.file(
        "operations.yaml",
        "- {op: set, clip: c1, volume: -6dB, flip_horizontal: on, scale: null}\n\
         - op: set\n  clip: c6\n  text: 2026\n  italic: \"yes\"\n  background_color: \"#112233\"\n  mask_type:\n",
    );
    home.run(&["edit", &draft, "--file", text(&operations)])
        .success();
    let refused = home.run(&["edit", &draft, "set c1 volume=5000%"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("from 0 to 10"),
        "{}",
        refused.stderr
    );

    let mut client = home.connected();
    let document = document(&mut client, &draft);
    let first = Shown::of(&document, "video", 0);
    let volume = first.clip["volume"].as_f64().expect("a number");
    assert!((volume - 0.501_187).abs() < 1e-6, "{volume}");
    assert_eq!(first.clip["clip"]["alpha"], 0.25);
    assert_eq!(first.clip["clip"]["rotation"], 90.0);
    assert_eq!(first.clip["clip"]["flip"]["horizontal"], true);
    let second = Shown::of(&document, "video", 1);
    assert_eq!(second.material("transitions")["name"], "Mix");
    let words = Shown::of(&document, "text", 0);
    let style = words.style();
    assert_eq!(
        (&style["bold"], &style["italic"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(style["size"], 12.0);
    assert_eq!(words.material("texts")["font_title"], "Poppins-Bold");
    assert!(
        words.material("texts")["content"]
            .to_string()
            .contains("2026")
    );
}

#[test]
fn times_of_operations_are_read_as_those_of_all_arguments() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = own_draft(&mut client, "capcut");
    for (sent, seconds) in [
        (json!("2 seconds"), 2.0),
        (json!("1500ms"), 1.5),
        (json!("0:03"), 3.0),
        (json!("２ 秒"), 2.0),
        (json!("1，5"), 1.5),
        (json!("0.5min"), 30.0),
        (json!(" 4 "), 4.0),
        (json!(2.5), 2.5),
    ] {
        let operations = json!([{ "op": "move", "clip": "Words", "at": sent }]);
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": operations }),
            )
            .unwrap_or_else(|error| panic!("{sent}: {error}"));
        let document = document(&mut client, &draft);
        let shown = Shown::of(&document, "text", 0);
        let start = shown.clip["target_timerange"]["start"].as_f64();
        // On frames of 30 a second.
        let away = (start.expect("a start") / 1e6 - seconds).abs();
        assert!(away < 0.034, "{sent}: {start:?}");
    }
    for wrong in [json!("soon"), json!("1:75"), json!("5 parsecs")] {
        let operations = json!([{ "op": "move", "clip": "Words", "at": wrong }]);
        let error = client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": operations }),
            )
            .expect_err("it is no time");
        assert!(error.contains("seconds"), "{wrong}: {error}");
    }
}
