//! Captions made of words, and captions as files: on the engine, over MCP and in plans.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::drafts::{clips, document_in, of_clip};
use crate::support::{Answer, Home, Server};

/// The same five words in the shape of each service.
fn transcript(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/field/transcripts")
        .join(name)
}

fn new_draft(home: &Home) -> String {
    let made = home.call("create_draft", &json!({})).expect("a draft");
    made["draft_id"].as_str().expect("an id").to_owned()
}

/// A draft with these captions, and what the call said.
fn with_captions(home: &Home, arguments: &Value) -> (String, Value) {
    let draft = new_draft(home);
    let mut call = arguments.clone();
    call["draft_id"] = json!(draft);
    let reply = home
        .call("add_subtitle", &call)
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    (draft, reply)
}

fn script(home: &Home, draft: &str) -> Value {
    let read = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    serde_json::from_str(read["script"].as_str().expect("a document")).expect("JSON")
}

/// What is stored of each caption: its text, start and end in milliseconds, and the material.
fn captions(document: &Value) -> Vec<(String, i64, i64, Value)> {
    clips(document)
        .into_iter()
        .map(|clip| {
            let text = of_clip(document, &clip, "texts")[0].clone();
            let content: Value =
                serde_json::from_str(text["content"].as_str().expect("content")).expect("JSON");
            let at = |key: &str| clip["target_timerange"][key].as_i64().expect("a time");
            let words = content["text"].as_str().expect("words").to_owned();
            (
                words,
                at("start") / 1000,
                (at("start") + at("duration")) / 1000,
                text,
            )
        })
        .collect()
}

/// Saves a draft for a version of CapCut; returns the document that the app reads.
fn saved(home: &Home, draft: &str, version: &str) -> (Value, Value) {
    let folder = home.path().join(format!("drafts {version}"));
    fs::create_dir_all(&folder).expect("a folder");
    let reply = home
        .call("save_draft", &json!({ "draft_id": draft, "draft_folder": folder, "app_version": version, "target_os": "windows" }))
        .unwrap_or_else(|error| panic!("{version}: {error:?}"));
    let place = PathBuf::from(reply["folder"].as_str().expect("a folder"));
    (document_in(&place).expect("a document"), reply)
}

#[test]
fn transcripts_of_every_service_become_captions_with_exact_word_times() {
    let home = Home::embedded();
    let mut tried = 0;
    for entry in fs::read_dir(transcript("")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let (draft, reply) = with_captions(&home, &json!({ "words": path }));
        let document = script(&home, &draft);
        let found = captions(&document);
        let [(text, start, _, material)] = found.as_slice() else {
            panic!("{name}: {found:?}")
        };
        assert_eq!(
            text.trim_end_matches('.'),
            "Our new watch is here",
            "{name}"
        );
        assert_eq!(*start, 100, "{name}");
        let words = &material["words"];
        let is = if name == "whisperx.json" { 950 } else { 1100 };
        assert_eq!(
            words["text"].as_array().expect("words").len(),
            9,
            "{name}: blanks are entries"
        );
        assert_eq!(
            words["start_time"],
            json!([0, 250, 250, 500, 500, 950, is, 1220, 1220]),
            "{name}"
        );
        let told = reply["notes"].to_string();
        assert_eq!(
            told.contains("estimated"),
            name == "whisperx.json",
            "{name}: {told}"
        );
        tried += 1;
    }
    assert_eq!(tried, 13);
}

#[test]
fn a_transcript_may_be_a_value_of_the_call_or_of_a_plan() {
    let home = Home::embedded();
    let words = json!([{ "text": "Hello", "start": 0.5, "end": 0.9 }, { "text": "world", "start": 0.9, "end": 1.4 }]);
    let (draft, _) = with_captions(&home, &json!({ "words": words, "time_offset": 2 }));
    let found = captions(&script(&home, &draft));
    assert_eq!((found[0].0.as_str(), found[0].1), ("Hello world", 2500));
    let plan = json!({ "subtitles": [{ "words": { "words": words }, "grouping": { "max_words": 1 }, "karaoke": { "color": "#00FF00" } }],
        "save": false });
    let report = home
        .call("compose_draft", &json!({ "plan": plan }))
        .expect("a report");
    let draft = report["draft_id"].as_str().expect("an id");
    let document = script(&home, draft);
    let found = captions(&document);
    assert_eq!(
        found
            .iter()
            .map(|caption| caption.0.as_str())
            .collect::<Vec<_>>(),
        ["Hello", "world"]
    );
    assert_eq!(found[0].3["ktv_color"], "#00ff00");
    for (wrong, part) in [
        (
            json!({ "words": { "name": "x" } }),
            "not a known transcript",
        ),
        (
            json!({ "words": words, "grouping": { "max_chars": 0 } }),
            "max_chars",
        ),
        (
            json!({ "words": words, "karaoke": { "color": "greenish" } }),
            "karaoke.color",
        ),
        (json!({ "words": words, "preset": "sparkle" }), "word-pop"),
    ] {
        let mut call = wrong.clone();
        call["draft_id"] = json!(draft);
        let error = home.call("add_subtitle", &call).expect_err("an error");
        assert!(format!("{error:?}").contains(part), "{part}: {error:?}");
    }
}

#[test]
fn words_are_native_from_8_9_on_and_plain_texts_before() {
    let home = Home::embedded();
    let arguments = json!({ "words": transcript("deepgram.json"), "karaoke": { "color": "#FF0000", "per": "word" } });
    let (draft, _) = with_captions(&home, &arguments);
    let (native, _) = saved(&home, &draft, "8.9.1");
    let found = captions(&native);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].3["words"]["text"][0], "Our");
    assert_eq!(found[0].3["ktv_color"], "#ff0000");
    let clip = clips(&native).remove(0);
    let animations = of_clip(&native, &clip, "material_animations");
    let effect = &animations[0]["animations"][0];
    assert_eq!(effect["type"], "caption");
    assert_eq!(effect["resource_id"], "7361356220424262161");
    assert_eq!(
        (&effect["material_type"], &effect["panel"]),
        (&json!("sticker"), &json!(""))
    );

    let (plain, reply) = saved(&home, &draft, "8.5.0");
    assert!(reply["notes"].to_string().contains("8.9"), "{reply}");
    let found = captions(&plain);
    assert_eq!(found.len(), 5, "one text for each word");
    let mut end = found[0].1;
    for (index, (text, start, until, material)) in found.iter().enumerate() {
        assert_eq!(text, "Our new watch is here.");
        assert_eq!(*start, end, "without a gap");
        end = *until;
        assert_eq!(material["words"]["text"], json!([]));
        assert_eq!(material["ktv_color"], "");
        let content: Value =
            serde_json::from_str(material["content"].as_str().expect("content")).expect("JSON");
        let red: Vec<&Value> = content["styles"]
            .as_array()
            .expect("styles")
            .iter()
            .filter(|style| style["fill"]["content"]["solid"]["color"] == json!([1.0, 0.0, 0.0]))
            .collect();
        assert_eq!(red.len(), 1, "{content}");
        let end = [3, 7, 13, 16, 22][index];
        assert_eq!(red[0]["range"], json!([0, end]));
    }
    assert!(
        !plain["materials"]["material_animations"]
            .to_string()
            .contains("caption")
    );
}

#[test]
fn presets_show_one_word_or_colour_one_word() {
    let home = Home::embedded();
    let (draft, _) = with_captions(
        &home,
        &json!({ "words": transcript("deepgram.json"), "preset": "word-pop" }),
    );
    let document = script(&home, &draft);
    let found = captions(&document);
    let words: Vec<(&str, i64)> = found
        .iter()
        .map(|caption| (caption.0.as_str(), caption.1))
        .collect();
    assert_eq!(
        words,
        [
            ("Our", 100),
            ("new", 350),
            ("watch", 600),
            ("is", 1200),
            ("here.", 1320)
        ]
    );
    for clip in clips(&document) {
        let animations = of_clip(&document, &clip, "material_animations");
        assert_eq!(animations[0]["animations"][0]["type"], "in");
    }
    let (draft, reply) = with_captions(
        &home,
        &json!({ "srt": "1\n00:00:01,000 --> 00:00:03,000\nOne two\n", "preset": "highlight" }),
    );
    assert!(reply["notes"].to_string().contains("estimated"), "{reply}");
    let found = captions(&saved(&home, &draft, "8.5.0").0);
    assert_eq!(found.len(), 2);
    let second: Value =
        serde_json::from_str(found[1].3["content"].as_str().expect("content")).expect("JSON");
    assert_eq!(
        second["styles"][1]["range"],
        json!([4, 7]),
        "only the word that is spoken"
    );
}

#[test]
fn a_translation_is_shown_below_in_smaller_letters() {
    let home = Home::embedded();
    let srt = |a: &str, b: &str| {
        format!("1\n00:00:00,000 --> 00:00:01,000\n{a}\n\n2\n00:00:01,000 --> 00:00:02,000\n{b}\n")
    };
    let arguments = json!({ "srt": srt("Hello", "Bye"), "translation": srt("你好", "再见") });
    let (draft, _) = with_captions(&home, &arguments);
    let found = captions(&script(&home, &draft));
    assert_eq!(
        found
            .iter()
            .map(|caption| caption.0.as_str())
            .collect::<Vec<_>>(),
        ["Hello\n你好", "Bye\n再见"]
    );
    let content: Value =
        serde_json::from_str(found[0].3["content"].as_str().expect("content")).expect("JSON");
    let sizes: Vec<f64> = content["styles"]
        .as_array()
        .expect("styles")
        .iter()
        .map(|style| style["size"].as_f64().expect("a size"))
        .collect();
    assert!(sizes.len() == 2 && sizes[1] < sizes[0], "{sizes:?}");
}

const ASS: &str = "[Script Info]\nPlayResX: 1080\nPlayResY: 1920\n[V4+ Styles]\n\
    Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
    Style: Default,Arial,60,&H0000FFFF,&H00FFFFFF,&H00FF0000,&H00000000,-1,0,0,0,100,100,0,0,1,3,0,2,10,10,10,1\n\
    Style: Top,Arial,45,&H40FFFFFF,&H40FFFFFF,&H00000000,&H00000000,0,-1,0,0,100,100,0,0,1,0,0,8,10,10,10,1\n\
    [Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
    Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\k50}One {\\k50}two {\\k100}three\n\
    Dialogue: 0,0:00:03.00,0:00:04.00,Top,,0,0,0,,upper {\\c&H0000FF&}red{\\r} \\{x\\}\n\
    Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\\an5\\pos(270,480)}placed\n";

#[test]
fn ass_becomes_a_draft_and_the_same_ass() {
    let home = Home::embedded();
    let (draft, _) = with_captions(&home, &json!({ "srt": ASS }));
    let export = |draft: &str| {
        let reply = home
            .call(
                "export_subtitles",
                &json!({ "draft_id": draft, "format": "ass" }),
            )
            .expect("a text");
        assert_eq!(reply["count"], 3);
        reply["text"].as_str().expect("a text").to_owned()
    };
    let first = export(&draft);
    for part in [
        "PlayResX: 1080",
        ",60,&H0000FFFF,&H00FFFFFF,&H00FF0000,&H80000000,-1,0,0,",
        ",45,&H40FFFFFF,&H40FFFFFF,",
        "{\\k50}One {\\k50}two {\\k100}three",
        "\\c&H0000FF&}red{\\r} \\{x\\}",
        "{\\pos(270,480)}placed",
        "0:00:01.00,0:00:03.00,Default",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let (again, _) = with_captions(&home, &json!({ "srt": first }));
    assert_eq!(export(&again), first);
    let (stored, _) = saved(&home, &draft, "8.9.1");
    assert_eq!(captions(&stored)[0].3["ktv_color"], "#ffff00");
}

/// A document without its ids: each is replaced by the number of its first mention.
fn without_ids(document: &Value) -> Value {
    fn replaced(value: &Value, seen: &mut Vec<String>) -> Value {
        let is_id = |text: &str| {
            let text = text.strip_prefix("dfd_cat_").unwrap_or(text);
            text.len() >= 32
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_hexdigit() || matches!(letter, '-' | '_'))
        };
        match value {
            Value::String(text) if is_id(text) => {
                let known = seen.iter().position(|other| other == text);
                let number = known.unwrap_or_else(|| {
                    seen.push(text.clone());
                    seen.len() - 1
                });
                json!(number)
            }
            Value::Array(all) => all.iter().map(|value| replaced(value, seen)).collect(),
            Value::Object(all) => {
                let all = all.iter();
                all.map(|(key, value)| (key.clone(), replaced(value, seen)))
                    .collect()
            }
            other => other.clone(),
        }
    }
    replaced(document, &mut Vec::new())
}

fn exported_ass(home: &Home, draft: &str) -> String {
    let call = json!({ "draft_id": draft, "format": "ass" });
    let reply = home.call("export_subtitles", &call).expect("a text");
    reply["text"].as_str().expect("a text").to_owned()
}

/// The lines of a script that begin so.
fn script_lines<'a>(script: &'a str, start: &str) -> Vec<&'a str> {
    let lines = script.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

#[test]
fn scripts_of_three_kinds_become_drafts_and_scripts_and_the_same_drafts() {
    let home = Home::embedded();
    let folder = tempfile::tempdir().expect("a folder");
    for (name, canvas) in [
        ("22-karaoke.ass", [1280, 720]),
        ("22-signs.ass", [1920, 1080]),
        ("22-fonts.ass", [1920, 1080]),
        ("22-signs.ass", [1080, 1920]),
        ("22-fonts.ass", [1080, 1920]),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/field")
            .join(name);
        let file = fs::read_to_string(&path).expect("a script");
        let add = |srt: &str| {
            let made = home
                .call(
                    "create_draft",
                    &json!({ "width": canvas[0], "height": canvas[1] }),
                )
                .expect("a draft");
            let draft = made["draft_id"].as_str().expect("an id").to_owned();
            let reply = home
                .call("add_subtitle", &json!({ "draft_id": draft, "srt": srt }))
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            (draft, reply)
        };
        let (first, _) = add(&file);
        let script_of_first = exported_ass(&home, &first);
        let (second, reply) = add(&script_of_first);
        assert!(
            !reply.to_string().contains("left out"),
            "{name}: a script of ours loses nothing: {reply}"
        );
        let documents = [&first, &second].map(|draft| without_ids(&script(&home, draft)));
        for (one, other) in documents[0]["materials"]["texts"]
            .as_array()
            .expect("texts")
            .iter()
            .zip(
                documents[1]["materials"]["texts"]
                    .as_array()
                    .expect("texts"),
            )
        {
            assert_eq!(one, other, "{name} {canvas:?}\n{script_of_first}");
        }
        for (one, other) in clips(&documents[0]).iter().zip(&clips(&documents[1])) {
            assert_eq!(one, other, "{name} {canvas:?}\n{script_of_first}");
        }
        assert_eq!(documents[0], documents[1], "{name} {canvas:?}");
        assert_eq!(exported_ass(&home, &second), script_of_first, "{name}");
        // The same in the encoding and with the line ends of Windows.
        let windows = folder.path().join(name);
        let bytes: Vec<u8> = format!("\u{feff}{}", file.replace('\n', "\r\n"))
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        fs::write(&windows, bytes).expect("a file");
        let (third, _) = add(windows.to_str().expect("UTF-8"));
        assert_eq!(without_ids(&script(&home, &third)), documents[0], "{name}");
    }
}

#[test]
fn what_a_style_says_is_in_the_script_that_is_exported() {
    let home = Home::embedded();
    let exported = |name: &str, canvas: [u32; 2]| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/field")
            .join(name);
        let made = home
            .call(
                "create_draft",
                &json!({ "width": canvas[0], "height": canvas[1] }),
            )
            .expect("a draft");
        let call = json!({ "draft_id": made["draft_id"], "srt": path });
        let reply = home.call("add_subtitle", &call).expect("captions");
        let draft = made["draft_id"].as_str().expect("an id");
        (exported_ass(&home, draft), reply["notes"].to_string())
    };
    // On a canvas of its own size, a script is as it was, with the names of styles and fonts that a draft has.
    let (script, notes) = exported("22-karaoke.ass", [640, 480]);
    assert_eq!(
        script_lines(&script, "Style:"),
        [
            "Style: Default,Poppins-Regular,20,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1",
            "Style: Style2,Poppins-Regular,20,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,2,2,2,10,10,40,1",
        ]
    );
    assert_eq!(
        script_lines(&script, "Dialogue:")[1],
        "Dialogue: 0,0:00:04.00,0:00:08.20,Default,,0,0,0,,{\\kf60}How {\\kf40}I {\\kf80}won{\\kf40}der\\N{\\kf70}what {\\kf60}you {\\kf70}are"
    );
    let arial = "cues 1, 2 and 3: the app's library has no font";
    assert!(notes.contains(arial) && notes.contains("Arial"), "{notes}");
    let (script, _) = exported("22-signs.ass", [1280, 720]);
    let styles = script_lines(&script, "Style:");
    for (index, expected) in [
        (
            0,
            "Poppins-Regular,52,&H00FFFFFF,&H00FFFFFF,&H00080808,&H96000000,-1,0,0,0,100,100,0,0,1,2.6,1.3,2,135,135,40,1",
        ),
        (
            1,
            "Poppins-Regular,52,&H00E8F4FF,&H00E8F4FF,&H20101040,&H80000000,-1,-1,0,0,95,100,0.6,0,1,2.6,0,2,135,135,40,1",
        ),
        (
            2,
            "Poppins-Regular,44,&H1E3C78D2,&H1E3C78D2,&H00F0F0F0,&H80000000,0,0,0,0,90,110,1.5,8,1,2,3,4,40,40,0,1",
        ),
        (
            5,
            "Poppins-Regular,32,&H00202020,&H00202020,&H30E0E0E0,&H80000000,0,0,-1,0,100,100,0,0,3,6,0,9,30,30,25,1",
        ),
    ] {
        assert!(styles[index].ends_with(expected), "{expected}: {styles:?}");
    }
    for part in [
        "Default,,0,0,60,,{\\an8}Attention",
        "{\\pos(900,333)\\xshad4\\yshad-2}Bakery",
        ",20,60,20,,{\\an7}Left, from the margins",
        "Default,,200,0,0,,To the right",
    ] {
        assert!(script.contains(part), "{part}: {script}");
    }
    let (script, notes) = exported("22-fonts.ass", [1920, 1080]);
    for part in [
        "今宋体,40,&H0000FFFF,&H0000FFFF,&H00000000,&H7F000000,0,0,0,0,100,120,0,0,1,1.5,2,9,40,40,20,1",
        "Default,,0,0,0,,你好，世界！{\\r\\fs40}\\NHello, world!",
        "宋体{\\r\\fnPoppins-Regular}雅黑，😀表情",
        "Default,,0,0,120,,{\\an1}左下角",
    ] {
        assert!(script.contains(part), "{part}: {script}");
    }
    for font in ["cues 1, 5, 6 and 7: ", "站酷酷黑体", "cue 3: ", "微软雅黑"] {
        assert!(notes.contains(font), "{font}: {notes}");
    }
}

#[test]
fn odd_scripts_are_read_and_stay_the_same_once_exported() {
    const FORMAT: &str = "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
        Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding";
    let home = Home::embedded();
    let dialogue = |style: &str, text: &str| {
        format!("[Events]\nDialogue: 0,0:00:01.00,0:00:03.00,{style},,0,0,0,,{text}\n")
    };
    let style = |values: &str| {
        format!(
            "[Script Info]\nPlayResX: 1080\nPlayResY: 1920\n[V4+ Styles]\n{FORMAT}\nStyle: A,{values}\n"
        )
    };
    let usual = "Arial,60,&HFFFFFF,&HFF,&H0,&H0,0,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1";
    let plain = dialogue("A", "words");
    for (script, said) in [
        (format!("[V4+ Styles]\n{plain}"), ""),
        (
            format!("{}{plain}", style(usual).replace("Style: A", "Style: B")),
            "its style \\\"A\\\" is not in the file: it has none",
        ),
        (
            format!("{}Style: A,{usual}\n{plain}", style(usual)),
            "style \\\"A\\\" is defined more than once",
        ),
        (
            format!(
                "{}{plain}",
                style(&usual.replace("10,10,10,1", "-40,-20,-300,1"))
            ),
            "",
        ),
        (
            format!(
                "{}{plain}",
                style(&usual.replace("10,10,10,1", "900,900,5000,1"))
            ),
            "",
        ),
        (
            format!("{}{plain}", style(&usual.replace("10,10,10,1", "x,,NaN,1"))),
            "",
        ),
        (
            format!(
                "{}{plain}",
                style(
                    "Arial,1e9,&HFFFFFF,&HFF,&H0,&H0,0,0,0,0,0,-5,-100000,1e300,1,1e300,inf,99,1,1,1,1"
                )
            ),
            "",
        ),
        (
            format!(
                "{}{plain}",
                style("Arial,0.01,zz,,&H,&HFFFFFFFFFF,7,7,7,1,1e5,1e5,400,725,3,-3,9,5,0,0,0,1")
            ),
            "strikethrough",
        ),
        (format!("{}{plain}", style(",,,,")), ""),
        (
            format!(
                "{}{}",
                style(usual),
                dialogue(
                    "A",
                    "{\\k50}one {\\k0}two {\\k-7}three {\\k100}four {\\kt10}five"
                )
            ),
            "",
        ),
        (
            format!(
                "{}{}",
                style(usual),
                dialogue("A", "{\\k999999}one {\\k999999}two")
            ),
            "",
        ),
        (
            format!(
                "{}{}",
                style(usual),
                dialogue("A", "{\\shad-4\\fsp-3\\frz725.5\\fscx0}words {\\frz20}more")
            ),
            "shadows, scales, spacing and rotations within the text",
        ),
        (
            format!(
                "{}{}",
                style(usual),
                dialogue("A", "{\\pos(-500,99999)\\an9}words")
            ),
            "",
        ),
        (
            format!(
                "{}{}",
                style(usual),
                dialogue("A", "{\\pos(1,2}w{\\fn}o{\\fnArial, {\\b1}Bold}rds {\\r")
            ),
            "",
        ),
    ] {
        let (first, reply) = with_captions(&home, &json!({ "srt": script }));
        assert!(
            reply["notes"].to_string().contains(said),
            "{script}: {reply}"
        );
        let exported = exported_ass(&home, &first);
        let (second, _) = with_captions(&home, &json!({ "srt": exported }));
        // Places that are not at whole pixels, as without margins, are once moved by less than one.
        let settled = exported_ass(&home, &second);
        let (third, _) = with_captions(&home, &json!({ "srt": settled }));
        assert_eq!(exported_ass(&home, &third), settled, "{script}");
        let one = without_ids(&self::script(&home, &second));
        assert_eq!(
            one,
            without_ids(&self::script(&home, &third)),
            "{script}\n{exported}"
        );
    }
}

#[test]
fn a_transcript_of_two_hours_becomes_captions_and_a_script() {
    let home = Home::embedded();
    let words: Vec<Value> = (0..18_000)
        .map(|index| {
            let start = f64::from(index) * 0.4;
            let text = if index % 9 == 8 { "all." } else { "all" };
            json!({ "text": text, "start": start, "end": start + 0.35 })
        })
        .collect();
    let file = home.file("long.json", json!(words).to_string());
    let arguments = json!({ "srt": file, "karaoke": { "color": "#FFD400" } });
    let (draft, reply) = with_captions(&home, &arguments);
    assert_eq!(reply["count"], 2000, "{reply}");
    let script = exported_ass(&home, &draft);
    let lines = script_lines(&script, "Dialogue:");
    assert_eq!(lines.len(), 2000);
    assert!(script.matches("{\\k").count() >= 18_000);
    assert!(lines[1999].contains(",1:59:5"), "{}", lines[1999]);
    let file = home.file("long.ass", &script);
    let (again, _) = with_captions(&home, &json!({ "srt": file }));
    assert_eq!(exported_ass(&home, &again), script);
}

#[test]
fn the_ways_in_which_words_are_sung_stay_apart() {
    let home = Home::embedded();
    let script = |first: &str, second: &str| {
        let (head, _) = ASS.split_once("Dialogue:").expect("events");
        format!(
            "{head}Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{{{first}30}}One {{{second}50}}two {{{second}100}}three\n"
        )
    };
    for (tag, written, name) in [
        ("\\k", "\\k", "Karaoke"),
        ("\\kf", "\\kf", "Karaoke fill"),
        ("\\K", "\\kf", "Karaoke fill"),
        ("\\ko", "\\ko", "Karaoke outline"),
    ] {
        let (draft, reply) = with_captions(&home, &json!({ "srt": script(tag, tag) }));
        assert!(!reply.to_string().contains("mixes"), "{reply}");
        let document = self::script(&home, &draft);
        let animations = document["materials"]["material_animations"].to_string();
        assert!(animations.contains(&format!("\"{name}\"")), "{animations}");
        let export = |draft: &str| {
            let call = json!({ "draft_id": draft, "format": "ass" });
            let reply = home.call("export_subtitles", &call).expect("a text");
            reply["text"].as_str().expect("a text").to_owned()
        };
        let first = export(&draft);
        let sung = format!("{{{written}30}}One {{{written}50}}two {{{written}100}}three");
        assert!(first.contains(&sung), "{tag}: {first}");
        let (again, _) = with_captions(&home, &json!({ "srt": first }));
        assert_eq!(export(&again), first, "{tag}");
        // Older versions of the app have plain texts in the colour.
        let (stored, _) = saved(&home, &draft, "3.8.0");
        assert!(captions(&stored).len() >= 3, "{tag}");
    }
    let (_, reply) = with_captions(&home, &json!({ "srt": script("\\kf", "\\ko") }));
    assert!(
        reply["notes"].to_string().contains("cue 1: mixes"),
        "{reply}"
    );
}

#[test]
fn words_are_read_from_a_url_and_over_http() {
    let file = fs::read(transcript("openai-verbose.json")).expect("a transcript");
    let served = file.clone();
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/words" => Answer::new(200, "application/octet-stream", served.clone()),
        _ => Answer::new(404, "text/plain", "nothing"),
    });
    let home = Home::embedded();
    let url = format!("{}/words", server.url);
    let (draft, _) = with_captions(&home, &json!({ "words": url, "karaoke": {} }));
    let found = captions(&script(&home, &draft));
    assert_eq!(found[0].0.trim_end_matches('.'), "Our new watch is here");
    assert_eq!(found[0].3["ktv_color"], "#ffd400");
    // The HTTP API of the engine takes the same transcript and the same arguments.
    let there = Home::embedded();
    let engine = there.engine(&[]);
    let draft = engine.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let words = String::from_utf8(file).expect("UTF-8");
    let call = json!({
        "draft_id": draft, "srt": words, "preset": "highlight", "karaoke": { "color": "#00FF00" },
        "translation": "1\n00:00:00,000 --> 00:00:02,000\n你好\n",
    });
    engine.output("/add_subtitle", &call).expect("captions");
    let read = engine
        .output("/query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    let document: Value = serde_json::from_str(read.as_str().expect("a document")).expect("JSON");
    let found = captions(&document);
    assert!(
        found[0].0.contains("Our new watch") && found[0].0.ends_with("你好"),
        "{found:?}"
    );
    assert_eq!(found[0].3["ktv_color"], "#00ff00");
    let animations = document["materials"]["material_animations"].to_string();
    assert!(animations.contains("Highlight"), "{animations}");
}

#[test]
fn a_server_without_words_receives_plain_captions_and_refuses_emphasis() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
        "/create_draft" | "/add_subtitle" => {
            Answer::success(&json!({ "draft_id": "dfd_cat_1_12345678", "draft_url": "http://h/d" }))
        }
        _ => Answer::new(404, "text/html", ""),
    });
    let home = Home::remote(&server.url);
    let words = json!([{ "text": "Hello", "start": 0.5, "end": 0.9 }, { "text": "world", "start": 0.9, "end": 1.4 }]);
    let (draft, _) = with_captions(&home, &json!({ "words": words }));
    let asked = server.asked();
    let sent = asked.iter().rfind(|asked| asked.path == "/add_subtitle");
    let sent = sent.expect("it was asked").json();
    let srt = sent["srt"].as_str().expect("srt");
    assert!(
        srt.contains("00:00:00,500 -->") && srt.contains("Hello world"),
        "{srt}"
    );
    let count = server.count("/add_subtitle");
    for (more, named) in [
        (json!({ "karaoke": { "color": "#FFD400" } }), "karaoke"),
        (json!({ "preset": "highlight" }), "preset"),
        (
            json!({ "translation": "1\n00:00:00,500 --> 00:00:01,400\nHallo\n" }),
            "translation",
        ),
    ] {
        let mut call = more.clone();
        call["draft_id"] = json!(draft);
        call["words"] = words.clone();
        let (_, error) = home.call("add_subtitle", &call).expect_err("refused");
        assert!(error.contains(named), "{named}: {error}");
    }
    assert_eq!(server.count("/add_subtitle"), count);
}

#[test]
fn relative_paths_of_words_and_translations_are_those_of_the_shell() {
    let home = Home::embedded();
    let folder = home.path().join("work");
    fs::create_dir_all(&folder).expect("a folder");
    let words = json!([{ "text": "Hello", "start": 0.5, "end": 0.9 }, { "text": "world", "start": 0.9, "end": 1.4 }]);
    fs::write(folder.join("words.json"), words.to_string()).expect("written");
    let other = "1\n00:00:00,500 --> 00:00:01,400\nHallo Welt\n";
    fs::write(folder.join("other.srt"), other).expect("written");
    let draft = new_draft(&home);
    let id = format!("draft_id={draft}");
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        let output = command.current_dir(&folder).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
    };
    run(&[
        "call",
        "add_subtitle",
        &id,
        "words=words.json",
        "translation=other.srt",
    ]);
    let found = captions(&script(&home, &draft));
    assert_eq!(found[0].0, "Hello world\nHallo Welt");
    let picture = crate::support::media("picture.jpg");
    fs::copy(picture, folder.join("picture.jpg")).expect("copied");
    run(&[
        "call",
        "add_image",
        &id,
        "image_url=picture.jpg",
        "start=0",
        "end=2",
    ]);
    run(&["call", "export_subtitles", &id, "path=out.srt"]);
    let written = fs::read_to_string(folder.join("out.srt")).expect("a file");
    assert!(written.contains("Hallo Welt"), "{written}");
}

#[test]
fn word_times_of_webvtt_are_kept() {
    let home = Home::embedded();
    let vtt = "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nOne <00:00:01.500>two <00:00:02.250>three &amp; <b>four</b>\n";
    let (draft, _) = with_captions(&home, &json!({ "srt": vtt }));
    let found = captions(&script(&home, &draft));
    assert_eq!(found[0].3["words"]["text"][2], "two");
    assert_eq!(found[0].3["words"]["start_time"][2], 500);
    let export = |format: &str| {
        let reply = home
            .call(
                "export_subtitles",
                &json!({ "draft_id": draft, "format": format }),
            )
            .expect("a text");
        reply["text"].as_str().expect("a text").to_owned()
    };
    let written = export("vtt");
    assert!(
        written.starts_with(
            "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nOne <00:00:01.500>two <00:00:02.250>three"
        ),
        "{written}"
    );
    assert!(
        written.contains("&amp; ") && written.contains("<b>"),
        "{written}"
    );
    let srt = export("srt");
    assert!(
        srt.starts_with("1\n00:00:01,000 --> 00:00:03,000\nOne two three & <b>four</b>\n"),
        "{srt}"
    );
}

#[test]
fn subtitles_are_written_to_files_and_do_not_replace_one() {
    let home = Home::embedded();
    let (draft, _) = with_captions(
        &home,
        &json!({ "srt": "1\n00:00:00,000 --> 00:00:01,000\nHallo 世界\n" }),
    );
    let file = home.path().join("out.vtt");
    let export = |arguments: Value| {
        let mut call = arguments;
        call["draft_id"] = json!(draft);
        home.call("export_subtitles", &call)
    };
    let reply = export(json!({ "path": file })).expect("a file");
    assert_eq!((&reply["format"], reply.get("text")), (&json!("vtt"), None));
    let written = fs::read_to_string(&file).expect("a file");
    assert!(written.contains("Hallo 世界"));
    fs::write(&file, "mine").expect("a file");
    let error = format!(
        "{:?}",
        export(json!({ "path": file })).expect_err("it exists")
    );
    assert!(
        error.contains("exists already") && error.contains("overwrite"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    export(json!({ "path": file, "overwrite": true })).expect("replaced");
    assert_eq!(fs::read_to_string(&file).expect("a file"), written);
    for (arguments, part) in [
        (json!({ "path": home.path().join("out.txt") }), "ending"),
        (
            json!({ "path": home.path().join("none/out.srt") }),
            "cannot be written",
        ),
        (
            json!({ "path": home.path(), "format": "srt", "overwrite": true }),
            "folder",
        ),
        (json!({ "track": "nothing" }), "subtitle"),
    ] {
        let error = format!("{:?}", export(arguments).expect_err("an error"));
        assert!(error.contains(part), "{part}: {error}");
    }
    let left: Vec<_> = fs::read_dir(home.path())
        .expect("a folder")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let empty = new_draft(&home);
    let error = home
        .call("export_subtitles", &json!({ "draft_id": empty }))
        .expect_err("no texts");
    assert!(format!("{error:?}").contains("no texts"), "{error:?}");
}
