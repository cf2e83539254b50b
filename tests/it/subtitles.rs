//! Subtitles of every kind that people send: on the engine, given by MCP, the command line, HTTP and plans, and
//! on a server.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::drafts::document;
use crate::support::{Answer, Asked, Client, Home, Server};

/// An example file of `tests/field`.
fn field(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/field")
        .join(name)
}

/// The captions of a document by track: start and end in milliseconds, text.
fn captions(script: &Value) -> Vec<(String, Vec<(i64, i64, String)>)> {
    let document: Value =
        serde_json::from_str(script["script"].as_str().expect("a document")).expect("JSON");
    let words = |id: &Value| {
        let texts = document["materials"]["texts"].as_array().expect("texts");
        let text = texts
            .iter()
            .find(|text| text["id"] == *id)
            .expect("its text");
        content(text)["text"].as_str().expect("words").to_owned()
    };
    let tracks = document["tracks"].as_array().expect("tracks").iter();
    tracks
        .map(|track| {
            let segments = track["segments"].as_array().expect("segments").iter();
            let segments = segments.map(|segment| {
                let at =
                    |key: &str| segment["target_timerange"][key].as_i64().expect("a time") / 1000;
                (
                    at("start"),
                    at("start") + at("duration"),
                    words(&segment["material_id"]),
                )
            });
            (
                track["name"].as_str().expect("a name").to_owned(),
                segments.collect(),
            )
        })
        .collect()
}

fn content(text: &Value) -> Value {
    serde_json::from_str(text["content"].as_str().expect("content")).expect("JSON")
}

fn texts(script: &Value) -> Vec<Value> {
    let document: Value =
        serde_json::from_str(script["script"].as_str().expect("a document")).expect("JSON");
    document["materials"]["texts"]
        .as_array()
        .expect("texts")
        .clone()
}

/// Adds these subtitles to a new draft; returns the reply and the document.
fn added(home: &Home, arguments: &Value) -> (Value, Value) {
    let draft = home.call("create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let mut call = arguments.clone();
    call["draft_id"] = draft.clone();
    let reply = home
        .call("add_subtitle", &call)
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    let script = home
        .call("query_script", &json!({ "draft_id": draft }))
        .expect("a script");
    (reply, script)
}

fn notes(reply: &Value) -> Vec<&str> {
    let notes = reply["notes"].as_array().map_or(&[][..], Vec::as_slice);
    notes
        .iter()
        .map(|note| note.as_str().expect("a note"))
        .collect()
}

#[test]
fn every_example_file_gives_the_expected_captions() {
    let home = Home::embedded();
    let one = |text: &str| vec![("subtitle", vec![(0, 1000, text.to_owned())])];
    let of = |cues: &[(i64, i64, &str)]| {
        let cues = cues
            .iter()
            .map(|(start, end, text)| (*start, *end, (*text).to_owned()));
        vec![("subtitle", cues.collect::<Vec<_>>())]
    };
    for (name, expected, said) in [
        ("03-gbk.srt", one("测试字幕"), "read as GBK"),
        ("03-big5.srt", one("測試字幕"), "read as Big5"),
        ("03-cp1252.srt", one("Café"), "read as windows-1252"),
        (
            "04-zero-cue.srt",
            of(&[(0, 1000, "one"), (1000, 2000, "three")]),
            "cue 2: left out",
        ),
        ("04-zero-empty-last.srt", one("one"), "cue 2: left out"),
        (
            "05-overlap-1ms.srt",
            of(&[(0, 1000, "a"), (1000, 2000, "b")]),
            "cue 1: cut",
        ),
        (
            "06-tags.srt",
            of(&[(0, 1000, "Hi"), (1000, 2000, "yellow"), (2000, 3000, "top")]),
            "",
        ),
        ("07-references.vtt", one("See you at 5'30 \"x\" 你"), ""),
        (
            "08-counter-word.srt",
            of(&[(0, 2000, "a"), (2000, 3000, "b")]),
            "",
        ),
        ("08-escaped-arrow.srt", of(&[(1520, 4640, "a")]), ""),
        ("08-fullwidth-colon.srt", of(&[(1520, 4640, "a")]), ""),
        ("08-spaces.srt", of(&[(1520, 4640, "a")]), ""),
        ("21-colon.ass", of(&[(79_240, 80_240, "colon")]), ""),
        (
            "21-number-line.srt",
            of(&[(0, 1000, "First\n42"), (1000, 2000, "b")]),
            "",
        ),
    ] {
        let (reply, script) = added(&home, &json!({ "srt": field(name) }));
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(track, cues)| (track.to_owned(), cues))
            .collect();
        assert_eq!(captions(&script), expected, "{name}");
        let told = notes(&reply);
        assert!(
            said.is_empty() || told.iter().any(|note| note.contains(said)),
            "{name}: {told:?}"
        );
        assert!(!said.is_empty() || told.is_empty(), "{name}: {told:?}");
    }
    let (code, said) = home
        .call(
            "add_subtitle",
            &json!({ "draft_id": draft(&home), "srt": field("09-lrc-as.vtt") }),
        )
        .unwrap_err();
    assert!(
        code == 2 && said.contains("no cue was found") && said.contains("LRC"),
        "{said}"
    );
}

fn draft(home: &Home) -> Value {
    home.call("create_draft", &json!({})).expect("a draft")["draft_id"].clone()
}

#[test]
fn overlapping_captions_go_on_a_second_track_above_the_first() {
    let home = Home::embedded();
    let (reply, script) = added(&home, &json!({ "srt": field("05-rolling.vtt") }));
    assert_eq!(
        captions(&script),
        [
            (
                "subtitle".to_owned(),
                vec![(5910, 13559, "first line".to_owned())]
            ),
            (
                "subtitle 2".to_owned(),
                vec![(10320, 16080, "second line".to_owned())]
            ),
        ]
    );
    assert_eq!(reply["count"], 2);
    assert_eq!(
        (reply["start"].as_f64(), reply["end"].as_f64()),
        (Some(5.91), Some(16.08))
    );
    assert!(
        notes(&reply)[0].contains("cue 2: on track `subtitle 2`"),
        "{reply}"
    );
    let document: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let height = |track: usize| {
        document["tracks"][track]["segments"][0]["clip"]["transform"]["y"]
            .as_f64()
            .unwrap()
    };
    assert!(height(1) > height(0) + 0.02, "{} {}", height(0), height(1));
    // The same captions at a later time go on the same tracks. At the same time they are refused, with a hint to
    // `track_name`. A named track gets its own second track.
    let same =
        json!({ "draft_id": reply["draft_id"], "srt": field("05-rolling.vtt"), "time_offset": 20 });
    let again = home.call("add_subtitle", &same).unwrap();
    assert!(notes(&again)[0].contains("`subtitle 2`"), "{again}");
    let (_, said) = home
        .call(
            "add_subtitle",
            &json!({ "draft_id": reply["draft_id"], "srt": field("05-rolling.vtt") }),
        )
        .unwrap_err();
    assert!(
        said.contains("cue 1") && said.contains("track_name"),
        "{said}"
    );
    let english = json!({ "draft_id": reply["draft_id"], "srt": field("05-rolling.vtt"), "track_name": "subtitle 2", "time_offset": 100 });
    let other = home.call("add_subtitle", &english).unwrap();
    assert!(notes(&other)[0].contains("`subtitle 2 2`"), "{other}");
    let lint = home
        .call("save_draft", &json!({ "draft_id": reply["draft_id"] }))
        .unwrap();
    assert!(lint["folder"].is_string(), "{lint}");
}

#[test]
fn markup_becomes_styles_and_positions() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).expect("a draft");
    client
        .call(
            "add_subtitle",
            json!({ "draft_id": made["draft_id"], "srt": field("06-tags.srt") }),
        )
        .expect("captions");
    let script = client
        .call("query_script", json!({ "draft_id": made["draft_id"] }))
        .expect("a script");
    let texts = texts(&script);
    let style = |text: usize| content(&texts[text])["styles"][0].clone();
    assert_eq!(style(0)["italic"], true);
    assert_eq!(
        style(1)["fill"]["content"]["solid"]["color"],
        json!([1.0, 1.0, 0.0])
    );
    assert_eq!(
        (style(1)["italic"].clone(), style(1)["bold"].clone()),
        (json!(false), json!(false))
    );
    let document: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let place =
        |cue: usize| document["tracks"][0]["segments"][cue]["clip"]["transform"]["y"].clone();
    assert_eq!((place(0), place(2)), (json!(-0.8), json!(0.8)));
    assert_eq!(client.end(), 0);
}

#[test]
fn ass_styles_apply_unless_the_call_overrides_them() {
    let home = Home::embedded();
    let ass = "[V4+ Styles]\nStyle: D,Arial,20,&H0000FFFF,&H0,&H00FF0000,&H0,-1,0,0,0,100,100,0,0,1,2,0,7,0,0,0,1\n\
        [Events]\nDialogue: 0,0:00:00.00,0:00:01.00,D,,0,0,0,,one {\\c&H0000FF&}red\\Ntwo\n\
        Dialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,,{\\k10}ka{\\pos(192,144)}ra\n";
    let (reply, script) = added(&home, &json!({ "srt": ass }));
    let told = notes(&reply).join("\n");
    assert!(
        told.contains("no font \"Arial\"") && !told.contains("karaoke"),
        "{told}"
    );
    let texts = texts(&script);
    assert_eq!(texts[1]["ktv_color"], "#ffff00");
    assert_eq!(texts[1]["words"]["text"], json!(["kara"]));
    assert_eq!(texts[0]["alignment"], 0);
    let styles = content(&texts[0])["styles"].as_array().unwrap().clone();
    assert_eq!(styles.len(), 2);
    assert_eq!(styles[0]["range"], json!([0, 4]));
    assert_eq!(styles[0]["bold"], true);
    assert_eq!(
        styles[0]["fill"]["content"]["solid"]["color"],
        json!([1.0, 1.0, 0.0])
    );
    assert_eq!(
        styles[0]["strokes"][0]["content"]["solid"]["color"],
        json!([0.0, 0.0, 1.0])
    );
    assert_eq!(styles[1]["range"], json!([4, 11]));
    assert_eq!(
        styles[1]["fill"]["content"]["solid"]["color"],
        json!([1.0, 0.0, 0.0])
    );
    let document: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let place = |cue: usize| document["tracks"][0]["segments"][cue]["clip"]["transform"].clone();
    // Its margins are zero, so that it begins in the corner.
    let (x, y) = (place(0)["x"].as_f64(), place(0)["y"].as_f64());
    assert!(x.is_some_and(|x| (-0.9..-0.75).contains(&x)), "{x:?}");
    assert!(y.is_some_and(|y| (0.9..0.97).contains(&y)), "{y:?}");
    assert!(place(1)["y"].as_f64().unwrap().abs() < 0.1, "{}", place(1));
    // The call's options override the style, and marked words override the call's options.
    let own = json!({ "srt": ass, "font_color": "#00FF00", "position": "bottom" });
    let (_, script) = added(&home, &own);
    let styles = content(&self::texts(&script)[0])["styles"].clone();
    assert_eq!(
        styles[0]["fill"]["content"]["solid"]["color"],
        json!([0.0, 1.0, 0.0])
    );
    assert_eq!(
        styles[1]["fill"]["content"]["solid"]["color"],
        json!([1.0, 0.0, 0.0])
    );
    let document: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    assert_eq!(
        document["tracks"][0]["segments"][0]["clip"]["transform"]["y"],
        -0.8
    );
}

#[test]
fn subtitles_without_any_cue_are_refused() {
    let home = Home::embedded();
    let draft = draft(&home);
    for (srt, part) in [
        ("", "empty"),
        (" \n", "empty"),
        ("WEBVTT\n\n[00:01.00]first line\n[00:03.50]second", "LRC"),
        ("hello", "line 1"),
        ("1\n00:00:02,000 --> 00:00:01,000\nback\n", "cue 1"),
    ] {
        let (code, said) = home
            .call("add_subtitle", &json!({ "draft_id": draft, "srt": srt }))
            .unwrap_err();
        assert!(
            code == 2 && said.contains("srt") && said.contains(part),
            "{srt:?}: {said}"
        );
    }
    let script = home
        .call("query_script", &json!({ "draft_id": draft }))
        .unwrap();
    assert_eq!(captions(&script), []);
}

#[test]
fn captions_before_the_start_are_cut_or_left_out() {
    let home = Home::embedded();
    let srt = "1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:09,000 --> 00:00:12,000\nb\n";
    let (reply, script) = added(&home, &json!({ "srt": srt, "time_offset": -10 }));
    assert_eq!(captions(&script)[0].1, [(0, 2000, "b".to_owned())]);
    let told = notes(&reply).join("\n");
    assert!(
        told.contains("cue 1: left out") && told.contains("cue 2: cut"),
        "{told}"
    );
    let all = json!({ "draft_id": reply["draft_id"], "srt": srt, "time_offset": -30 });
    let (code, said) = home.call("add_subtitle", &all).unwrap_err();
    assert!(
        code == 2 && said.contains("time_offset") && said.contains("cue 1"),
        "{said}"
    );
}

#[test]
fn encoding_problems_are_reported_over_http_next_to_the_output() {
    let home = Home::new();
    let folder = field("");
    let engine = home.engine(&["--allow-dir", folder.to_str().expect("a path")]);
    let post = |srt: Value| {
        let body = json!({ "srt": srt });
        let (_, text) = engine.post("/add_subtitle", &body);
        serde_json::from_str::<Value>(&text).expect("an envelope")
    };
    let answer = post(json!(field("03-gbk.srt")));
    assert_eq!(answer["success"], true, "{answer}");
    assert!(notes(&answer)[0].contains("save it as UTF-8"), "{answer}");
    let answer = post(json!(field("04-zero-cue.srt")));
    assert_eq!(answer["success"], true, "{answer}");
    assert!(notes(&answer)[0].contains("cue 2: left out"), "{answer}");
}

/// A server that accepts every call.
fn server() -> Server {
    Server::start(|asked: &Asked| match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
        "/create_draft" | "/add_subtitle" => {
            Answer::success(&json!({ "draft_id": "dfd_cat_1_12345678", "draft_url": "http://h/d" }))
        }
        _ => Answer::new(404, "text/html", ""),
    })
}

#[test]
fn a_server_receives_readable_srt_and_changes_are_reported() {
    let server = server();
    let home = Home::remote(&server.url);
    let draft = draft(&home);
    let sent = |srt: Value, offset: f64| {
        let call = json!({ "draft_id": draft, "srt": srt, "time_offset": offset });
        let reply = home
            .call("add_subtitle", &call)
            .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        let asked = server.asked();
        let last = asked
            .iter()
            .rfind(|asked| asked.path == "/add_subtitle")
            .expect("it was asked");
        let told = notes(&reply).join("\n");
        (last.json()["srt"].as_str().expect("srt").to_owned(), told)
    };
    for (name, words, said) in [
        ("03-gbk.srt", "测试字幕", "read as GBK"),
        (
            "04-zero-cue.srt",
            "2\n00:00:01,000 --> 00:00:02,000\nthree",
            "cue 2: left out",
        ),
        (
            "05-rolling.vtt",
            "second line\nfirst line",
            "cue 2: overlaps",
        ),
        ("06-tags.srt", "\nyellow\n", "cues 1, 2 and 3: bold, italic"),
        ("08-spaces.srt", "00:00:01,520 --> 00:00:04,640\na", ""),
        ("21-colon.ass", "00:01:19,240 --> 00:01:20,240", ""),
    ] {
        let (srt, told) = sent(json!(field(name)), 0.0);
        assert!(srt.contains(words), "{name}: {srt}");
        assert!(told.contains(said), "{name}: {told}");
    }
    let (srt, told) = sent(json!("1\n00:00:00,000 --> 00:00:01,000\n<b>x</b>\n"), 0.0);
    assert!(
        srt.ends_with("\nx\n\n") && told.contains("cue 1: bold"),
        "{srt} {told}"
    );
    let (srt, told) = sent(json!("1\n00:00:00,000 --> 00:00:03,000\nx\n"), -1.0);
    assert!(
        srt.contains("00:00:01,000 --> 00:00:03,000") && told.contains("cue 1: cut"),
        "{srt} {told}"
    );
    // Files that the server can read itself, and URLs that only the server can reach, are passed on unchanged.
    let plain = "1\n00:00:00,000 --> 00:00:01,000\nx\n";
    assert_eq!(sent(json!(plain), 0.0), (plain.to_owned(), String::new()));
    let file = home.file("plain.srt", plain);
    assert_eq!(sent(json!(file), 0.0).0, file.display().to_string());
    assert_eq!(
        sent(json!("/on/the/server/only.srt"), 0.0).0,
        "/on/the/server/only.srt"
    );
    let before = server.asked().len();
    let (code, said) = home
        .call(
            "add_subtitle",
            &json!({ "draft_id": draft, "srt": field("09-lrc-as.vtt") }),
        )
        .unwrap_err();
    assert!(code == 2 && said.contains("LRC"), "{said}");
    assert_eq!(
        server
            .asked()
            .iter()
            .skip(before)
            .filter(|asked| asked.path == "/add_subtitle")
            .count(),
        0
    );
}

#[test]
fn plans_check_subtitles_report_changes_and_resume() {
    let home = Home::embedded();
    let plan = |name: &str| {
        json!({
            "name": "Plan", "texts": [{ "text": "x", "start": 0, "end": 1 }],
            "subtitles": [{ "srt": field(name) }], "save": false,
        })
    };
    let mut client = home.connected();
    let said = client.call("compose_draft", json!({ "plan": plan("09-lrc-as.vtt") }));
    let said = said.expect_err("nothing to show");
    assert!(
        said.contains("subtitles[0].srt") && said.contains("LRC"),
        "{said}"
    );
    let broken = home.file(
        "broken.srt",
        "1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n00:00:x1,000 --> 00:00:02,000\nb\n",
    );
    let file = home.file(
        "broken.json",
        json!({ "subtitles": [{ "srt": broken }], "save": false }).to_string(),
    );
    let ran = home.run(&["compose".as_ref(), file.as_os_str()]);
    let said = &ran.stderr;
    assert!(
        ran.code == 2 && said.contains("subtitles[0].srt") && said.contains("line 6"),
        "{ran:?}"
    );

    for name in [
        "05-rolling.vtt",
        "04-zero-cue.srt",
        "03-gbk.srt",
        "06-tags.srt",
    ] {
        let made = client
            .call("compose_draft", json!({ "plan": plan(name) }))
            .expect("made");
        let told = made.to_string();
        let part = match name {
            "05-rolling.vtt" => "subtitle 2",
            "04-zero-cue.srt" => "cue 2: left out",
            "03-gbk.srt" => "read as GBK",
            _ => "",
        };
        assert!(
            told.contains(part) && !told.contains("but this run expected"),
            "{name}: {told}"
        );
        let draft = json!({ "draft_id": made["draft_id"] });
        let before = client
            .call("query_script", draft.clone())
            .expect("a script");
        client
            .call(
                "compose_draft",
                json!({ "plan": plan(name), "resume": made["draft_id"] }),
            )
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let after = client.call("query_script", draft).expect("a script");
        assert_eq!(captions(&after), captions(&before), "{name}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn captions_that_are_wider_than_the_canvas_get_a_note() {
    let home = Home::embedded();
    let srt = "1\n00:00:00,000 --> 00:00:01,000\nHi\n\n2\n00:00:01,000 --> 00:00:02,000\nA sentence that is long\n\n\
               3\n00:00:02,000 --> 00:00:03,000\nAnother sentence that is long\n";
    let (large, _) = added(&home, &json!({ "srt": srt, "font_size": 48 }));
    let said = notes(&large).join("\n");
    assert!(
        said.contains("cue 2 and 1 more: the text is about 2760 pixels wide at `font_size` 48, and the canvas is 1080"),
        "{said}"
    );
    let (usual, _) = added(&home, &json!({ "srt": srt, "font_size": 8 }));
    assert!(usual["notes"].is_null(), "{usual}");
}

#[test]
fn captions_at_the_same_time_are_as_far_apart_as_their_lines_are_high() {
    let home = Home::embedded();
    let mut client = home.connected();
    let long = "These are words that are broken into lines as they are wider than a caption";
    let chinese = "这是一个很长的中文字幕它会在画布的宽度处换行显示成为几行";
    // What each shows, and how many lines are between the middles of the first and the second.
    for (first, second, font_size, lines) in [
        ("One", "Two", 8.0, 1.0),
        ("One\nmore", "Two", 8.0, 1.5),
        ("One", "Two\nmore", 12.0, 1.5),
        ("One\nmore", "Two\nmore", 5.0, 2.0),
        (long, "Two", 15.0, 3.0),
        ("One", chinese, 10.0, 2.0),
    ] {
        let srt = format!(
            "1\n00:00:00,000 --> 00:00:04,000\n{first}\n\n2\n00:00:01,000 --> 00:00:04,000\n{second}\n\n\
             3\n00:00:01,500 --> 00:00:04,000\nThree\n"
        );
        let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
        let add = json!({ "draft_id": draft, "srt": srt, "font_size": font_size });
        client.call("add_subtitle", add).expect("captions");
        let overlaps = |client: &mut Client| {
            let look = json!({ "draft_id": draft, "look": true });
            let look = client.call("validate_draft", look).expect("a look")["look"].clone();
            let findings = look["findings"].as_array().expect("findings").iter();
            findings
                .filter(|found| found["code"] == "text_overlap")
                .count()
        };
        assert_eq!(overlaps(&mut client), 0, "{srt}");
        let document = document(&mut client, &draft);
        let height = |track: usize| {
            let y = &document["tracks"][track]["segments"][0]["clip"]["transform"]["y"];
            y.as_f64().expect("a number")
        };
        // In half canvases of 1920 pixels; an em is 5 pixels.
        let line = font_size * 5.0 * 1.22 / 960.0;
        let apart = (height(1) - height(0)) / line;
        assert!((lines..lines + 0.6).contains(&apart), "{srt} {apart}");
        // With a line less between them, they would overlap.
        let nearer = json!({
            "draft_id": draft,
            "operations": [{ "op": "set", "clip": "c2", "position_y": height(1) - line }],
        });
        client.call("edit_draft", nearer).expect("edited");
        assert!(overlaps(&mut client) > 0, "{srt}");
    }
    // Captions at the upper edge are moved downwards.
    let ass = "[Script Info]\nPlayResX: 1080\nPlayResY: 1920\n[Events]\nFormat: Start, End, Text\n\
               Dialogue: 0:00:00.00,0:00:04.00,{\\an8}Above\\Nit all\nDialogue: 0:00:01.00,0:00:04.00,{\\an8}Below\n";
    let (_, script) = added(&home, &json!({ "srt": ass }));
    let document: Value = serde_json::from_str(script["script"].as_str().unwrap()).unwrap();
    let heights: Vec<f64> = (0..2)
        .map(|track| &document["tracks"][track]["segments"][0]["clip"]["transform"]["y"])
        .map(|y| y.as_f64().expect("a number"))
        .collect();
    let line = 8.0 * 5.0 * 1.22 / 960.0;
    assert!(
        heights[0] > 0.0 && (1.0..2.2).contains(&((heights[0] - heights[1]) / line)),
        "{heights:?}"
    );
}
