//! Subtitle files as people and programs write them.

use serde_json::Value;

use super::*;
use crate::golden;

fn cues(text: &str) -> Vec<(i64, i64, String)> {
    parse(text, &Grouping::default())
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .cues
        .into_iter()
        .map(|cue| {
            let millis = |time: Micros| time.0 / 1000;
            (millis(cue.range.start), millis(cue.range.end()), cue.text)
        })
        .collect()
}

fn check(text: &str, expected: &[(i64, i64, &str)]) {
    let found = cues(text);
    let found: Vec<_> = found
        .iter()
        .map(|(a, b, text)| (*a, *b, text.as_str()))
        .collect();
    assert_eq!(found, expected, "{text:?}");
}

fn refused(text: &str, message: &str) {
    assert_eq!(
        parse(text, &Grouping::default()).unwrap_err().message,
        message,
        "{text:?}"
    );
}

const TWO: [(i64, i64, &str); 2] = [(0, 1000, "First\nline"), (1500, 2750, "Second")];

#[test]
fn srt_with_the_usual_errors_is_read() {
    let good = "1\n00:00:00,000 --> 00:00:01,000\nFirst\nline\n\n2\n00:00:01,500 --> 00:00:02,750\n<i>Second</i>\n";
    check(good, &TWO);
    check(&good.replace('\n', "\r\n"), &TWO);
    check(&good.replace('\n', "\r"), &TWO);
    check(&format!("\u{feff}{good}"), &TWO);
    check(&good.replace(',', "."), &TWO);
    check(&good.replace(" --> ", "-->"), &TWO);
    check(&good.replace(" --> ", "  -->\t "), &TWO);
    check(&good.replace("00:00:0", "00:0"), &TWO);
    check(&good.replace("\n\n", "\n"), &TWO);
    check(&good.replace('\n', "\n\n"), &TWO);
    check(
        &good.replace("1\n00", "7\n00").replace("\n2\n", "\n7\n"),
        &TWO,
    );
    check(&good.replace("1\n00", "00").replace("\n2\n", "\n"), &TWO);
    check(&good.replace("\n2\n", "\nbad\n"), &TWO);
    check(&good.replace("01,000\n", "01,000 X1:100 Y1:5\n"), &TWO);
    check(&good.replace("\n2\n", "\n２\n"), &TWO);
    check(&format!("{good}\n3\n"), &TWO);
    check(&inline(&good.replace('\n', "\\n")), &TWO);
    check(&inline(&good.replace('\n', "\\r\\n")), &TWO);
}

#[test]
fn a_number_can_be_text() {
    check(
        "1\n00:00:00,0 --> 00:00:01,0\n42\n\n2\n00:00:01,0 --> 00:00:02,0\n1\n2\n\n3\n00:00:02,0 --> 00:00:03,0\nx",
        &[(0, 1000, "42"), (1000, 2000, "1\n2"), (2000, 3000, "x")],
    );
    check(
        "00:01,0 --> 00:02,0\n5\n00:03,0 --> 00:04,0\n6 -> 7",
        &[(1000, 2000, "5"), (3000, 4000, "6 -> 7")],
    );
}

#[test]
fn digits_after_a_comma_are_milliseconds_and_after_a_point_decimals() {
    check(
        "1\n1:2:3,4 --> 01:02:03,50\nx",
        &[(3_723_004, 3_723_050, "x")],
    );
    check(
        "1\n1:2:3.4 --> 01:02:03.50\nx",
        &[(3_723_400, 3_723_500, "x")],
    );
    check("1\n00:00:01:250 --> 00:00:02:000\nx", &[(1250, 2000, "x")]);
}

#[test]
fn webvtt_comments_and_styles_are_not_text() {
    check(
        "WEBVTT - title\nKind: captions\n\nNOTE a comment\nover two lines\n\nSTYLE\n::cue { color: red }\n\nintro\n\
         00:01.000 --> 00:02.500 line:0 position:50%\n<v Ann>Hello <c.loud>you</c> &amp; <b>me</b>\n\n\
         2\n01:00:03.000 --> 01:00:04.000\n<00:00:03.500>a &lt;b&gt;\nline two\n00:05.000 --> 00:06.000 align:start\nclose\n",
        &[
            (1000, 2500, "Hello you & me"),
            (3_603_000, 3_604_000, "a <b>\nline two"),
            (5000, 6000, "close"),
        ],
    );
}

#[test]
fn ass_is_sorted_by_time_without_tags_and_drawings() {
    let head = "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n";
    let lines = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
         Dialogue: 0,0:00:02.00,0:00:03.50,Default,,0,0,0,,{\\pos(1,2)\\b1}Second, with\\Ncomma{\\b0}\n\
         Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,nothing\n\
         Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,First\\hone\n\
         Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}\n";
    let expected = [
        (500, 1500, "First\u{a0}one"),
        (2000, 3500, "Second, with\ncomma"),
    ];
    check(&format!("{head}{lines}"), &expected);
    check(lines.split_once('\n').unwrap().1, &expected);
    check(
        "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,a, b",
        &[(1000, 2000, "a, b")],
    );
    refused(
        "[Events]\nDialogue: 0,0:00:01.00,soon,Default,,0,0,0,,x",
        "cue 1, line 2: expected a time like `0:00:01.50`, found \"soon\"",
    );
}

#[test]
fn errors_name_the_number_and_line_of_a_broken_cue() {
    refused("hello", "no cue was found: line 1 is \"hello\"");
    refused(
        "1\nnot a time\nx",
        "cue 1, line 2: expected times like `00:00:01,000 --> 00:00:02,500`, found \"not a time\"",
    );
    refused(
        "1\n00:00:05,000 --> 00:00:03,000\nback",
        "no cue can be shown: cue 1: left out, because it ends before it starts",
    );
    refused(
        "1\n00:00:00,0 --> 00:00:01,0\na\n\n2\n00:00:01,0 --> 00:00:x2,0\nb",
        "cue 2, line 6: expected times like `00:00:01,000 --> 00:00:02,500`, found \"00:00:01,0 --> 00:00:x2,0\"",
    );
    refused(
        "1\n00:00:00,0 --> 00:00:01,0\na\n\n2\nno times\n\n3\n00:00:02,0 --> 00:00:03,0\nb",
        "cue 2, line 6: expected times like `00:00:01,000 --> 00:00:02,500`, found \"no times\"",
    );
}

#[test]
fn parse_as_api_reads_all_that_the_api_reads_and_more() {
    let empty = "1\n00:00:00,000 --> 00:00:01,000\n\n2\n00:00:01,000 --> 00:00:02,000\nx";
    let texts: Vec<String> = parse_as_api(empty, &Grouping::default())
        .unwrap()
        .cues
        .into_iter()
        .map(|cue| cue.text)
        .collect();
    assert_eq!(texts, ["", "x"]);
    check(empty, &[(1000, 2000, "x")]);

    let error = parse_as_api("hello", &Grouping::default()).unwrap_err();
    assert_eq!(error.message, "Expected a number at line 1, got 'hello'");
    let backwards = parse_as_api(
        "1\n00:00:05,000 --> 00:00:03,000\nback",
        &Grouping::default(),
    )
    .unwrap();
    assert_eq!(
        (backwards.cues.len(), backwards.notes.lines(true)),
        (
            0,
            vec!["cue 1: left out, because it ends before it starts".to_owned()]
        )
    );
    assert!(
        parse_as_api("1", &Grouping::default())
            .unwrap()
            .cues
            .is_empty()
    );
    assert!(
        parse_as_api("", &Grouping::default())
            .unwrap()
            .cues
            .is_empty()
    );
    assert_eq!(
        parse_as_api("WEBVTT\n\n00:01.000 --> 00:02.000\nx", &Grouping::default())
            .unwrap()
            .cues
            .len(),
        1
    );
    assert_eq!(
        parse_as_api(
            "\u{feff}1\n00:00:00,000 --> 00:00:01,000\nx",
            &Grouping::default()
        )
        .unwrap()
        .cues
        .len(),
        1
    );
    assert_eq!(inline("and/nor"), "and/nor");
}

#[test]
fn odd_texts_are_read_or_refused_without_panic() {
    for text in [
        "-->",
        ":-->:",
        "1\n0: --> \n",
        "99:99:999999999,999999999 --> 999999999:0:0,0\nx",
        "{",
        "[Events]\nFormat:\nDialogue: {\\p1",
        "WEBVTT\n\n<",
        "18446744073709551615\n00:00:00,0 --> 00:00:01,0\nx\n\n0\n",
        "999999999\n00:00:00,0 --> 00:00:01,0\nx\n\n1000000000\ny",
        "\u{2028}\u{85}\u{b}",
    ] {
        drop(parse(text, &Grouping::default()));
        drop(parse_as_api(&inline(text), &Grouping::default()));
    }
    let long = "1\n00:00:00,0 --> 00:00:01,0\nx\n\n".repeat(20_000);
    assert_eq!(
        parse(&long, &Grouping::default()).unwrap().cues.len(),
        20_000
    );
}

/// The text of a recorded call, as the engine would read it; `None` if it would not find it.
fn recorded_text(srt: &str) -> Option<String> {
    let file = srt
        .strip_prefix("http://127.0.0.1:9180/")
        .or_else(|| srt.strip_prefix("/media-fixtures/"));
    let Some(file) = file else {
        return (!srt.starts_with("http")).then(|| inline(srt).into_owned());
    };
    let file = file.replace("%E5%AD%97%E5%B9%95%20%E4%B8%80", "字幕 一");
    std::fs::read(golden::media().join(file))
        .ok()
        .map(|bytes| decode_as_api(&bytes).0)
}

#[test]
fn recorded_calls_return_the_recorded_captions() {
    let (mut accepted, mut errors) = (0, 0);
    for (name, case) in golden::recordings(golden::Part::Cases) {
        let steps: Vec<&Value> = case["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["path"] == "/add_subtitle")
            .collect();
        let mut ours = Vec::new();
        let mut complete = !steps.is_empty();
        for step in steps {
            let srt = step["request"]["srt"].as_str().unwrap_or_default();
            let Some(text) = recorded_text(srt) else {
                complete = false;
                continue;
            };
            let read = parse_as_api(&text, &Grouping::default());
            if step["response"]["success"] == true {
                let offset = step["request"]["time_offset"].as_f64().unwrap_or_default();
                let offset = Micros::from_seconds_truncated(offset);
                // Behaviour of the API that is not reproduced: a line break for `/n`, and cues that end before
                // they start.
                match read {
                    Ok(cues) if !srt.contains("/n") || srt.starts_with("http") => {
                        ours.extend(
                            cues.cues.into_iter().map(|cue| {
                                (cue.range.start + offset, cue.range.duration, cue.text)
                            }),
                        );
                    }
                    _ => complete = false,
                }
                continue;
            }
            complete = false;
            let message = step["response"]["error"].as_str().unwrap_or_default();
            if let (Err(error), true) = (read, message.contains("Expected a number")) {
                assert!(
                    message.contains(&error.message),
                    "{message} {}",
                    error.message
                );
                errors += 1;
            }
        }
        let scripts = &case["script"]["tracks"];
        if !complete || !case["more_scripts"].is_null() || !scripts.is_array() {
            continue;
        }
        let material = |id: &Value| {
            let texts = case["script"]["materials"]["texts"].as_array().unwrap();
            let content = texts.iter().find(|text| text["id"] == *id)?["content"].as_str()?;
            let content: Value = serde_json::from_str(content).unwrap();
            content["text"].as_str().map(str::to_owned)
        };
        let mut recorded = Vec::new();
        for track in scripts.as_array().unwrap() {
            for segment in track["segments"].as_array().unwrap() {
                let at = |field: &str| Micros(segment["target_timerange"][field].as_i64().unwrap());
                if let Some(text) = material(&segment["material_id"]) {
                    recorded.push((at("start"), at("duration"), text));
                }
            }
        }
        for cue in &ours {
            assert!(recorded.contains(cue), "{name}: {cue:?} {recorded:?}");
        }
        accepted += ours.len();
    }
    eprintln!("{accepted} recorded captions, {errors} recorded errors");
    assert!(accepted >= 40 && errors >= 2, "{accepted} {errors}");
}

/// The example files as people send them.
fn field(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field/");
    std::fs::read(format!("{path}{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn read(text: &str) -> Subtitles {
    parse(text, &Grouping::default()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// All notes on a text after its cues are moved.
fn notes(text: &str, offset: f64) -> Vec<String> {
    let laid = read(text).laid(Micros::from_seconds(offset)).unwrap();
    laid.notes.lines(true)
}

#[test]
fn files_in_old_encodings_are_decoded() {
    for (name, said) in [
        ("03-gbk.srt", "测试字幕"),
        ("03-big5.srt", "測試字幕"),
        ("03-cp1252.srt", "Café"),
    ] {
        let (text, note) = decode(&field(name));
        assert_eq!(read(&text).cues[0].text, said, "{name}");
        assert!(note.unwrap().contains("not UTF-8"), "{name}");
        // The API loses the characters, and a note says so.
        let (text, note) = decode_as_api(&field(name));
        assert!(
            parse_as_api(&text, &Grouping::default()).unwrap().cues[0]
                .text
                .contains('\u{fffd}')
        );
        assert!(note.unwrap().contains("save it as UTF-8"), "{name}");
    }
}

#[test]
fn a_cue_without_length_is_left_out_with_a_note() {
    let zero = ["cue 2: left out, because it ends when it starts"];
    let file = String::from_utf8(field("04-zero-cue.srt")).unwrap();
    check(&file, &[(0, 1000, "one"), (1000, 2000, "three")]);
    assert_eq!(notes(&file, 0.0), zero);
    let file = String::from_utf8(field("04-zero-empty-last.srt")).unwrap();
    check(&file, &[(0, 1000, "one")]);
    assert_eq!(notes(&file, 0.0), zero);
    let vtt = "WEBVTT\n\n00:00.000 --> 00:01.000\na\n\n00:01.000 --> 00:01.000\nb\n";
    check(vtt, &[(0, 1000, "a")]);
    assert_eq!(notes(vtt, 0.0), zero);
    let ass = "[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,D,,0,0,0,,a\nDialogue: 0,0:00:05.00,0:00:04.00,D,,0,0,0,,b\n";
    check(ass, &[(0, 1000, "a")]);
    assert_eq!(
        notes(ass, 0.0),
        ["cue 2: left out, because it ends before it starts"]
    );
}

#[test]
fn notes_name_the_first_cues_and_count_the_others() {
    let mut text = String::from("1\n00:00:00,0 --> 00:00:01,0\na\n\n");
    for number in 2..40 {
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!("{number}\n00:00:02,0 --> 00:00:02,0\nx\n\n"),
        );
    }
    assert_eq!(
        notes(&text, 0.0),
        ["cues 2, 3, 4, 5, 6 and 33 more: left out, because it ends when it starts"]
    );
    let hidden = read(&text).notes.lines(false);
    assert_eq!(
        hidden,
        ["38 cues: left out, because it ends when it starts"]
    );
}

fn lanes(text: &str) -> Vec<Vec<(i64, i64, String)>> {
    let laid = read(text).laid(Micros::ZERO).unwrap();
    let lane = |lane: &Vec<Cue>| {
        let cue = |cue: &Cue| {
            (
                cue.range.start.0 / 1000,
                cue.range.end().0 / 1000,
                cue.text.clone(),
            )
        };
        lane.iter().map(cue).collect()
    };
    laid.lanes.iter().map(lane).collect()
}

#[test]
fn small_overlaps_are_cut_and_others_use_additional_lanes() {
    let small = String::from_utf8(field("05-overlap-1ms.srt")).unwrap();
    assert_eq!(
        lanes(&small),
        [[(0, 1000, "a".to_owned()), (1000, 2000, "b".to_owned())]]
    );
    assert_eq!(
        notes(&small, 0.0),
        ["cue 1: cut by up to 0.1 s, because the next cue starts before it ends"]
    );
    let rolling = String::from_utf8(field("05-rolling.vtt")).unwrap();
    assert_eq!(
        lanes(&rolling),
        [
            [(5910, 13559, "first line".to_owned())],
            [(10320, 16080, "second line".to_owned())]
        ]
    );
    let bilingual = "1\n00:00:00,0 --> 00:00:02,0\n你好\n\n2\n00:00:00,0 --> 00:00:02,0\nHello\n\n3\n00:00:02,0 --> 00:00:03,0\n再见\n\n4\n00:00:02,0 --> 00:00:03,0\nBye\n";
    let laid = read(bilingual).laid(Micros::ZERO).unwrap();
    assert_eq!(laid.lanes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    let below = laid.lines_below(|cue| cue.text.len());
    let lines = |lane: usize| {
        below[lane]
            .iter()
            .map(|below| below.lines)
            .collect::<Vec<_>>()
    };
    assert_eq!((lines(0), lines(1)), (vec![0, 0], vec![6, 6]));
    let joined: Vec<String> = laid.joined().into_iter().map(|(_, text)| text).collect();
    assert_eq!(joined, ["Hello\n你好", "Bye\n再见"]);
    let twice = "1\n00:00:00,0 --> 00:00:02,0\nx\n\n2\n00:00:00,0 --> 00:00:02,0\nx\n";
    assert_eq!(lanes(twice), [[(0, 2000, "x".to_owned())]]);
    assert!(notes(twice, 0.0)[0].starts_with("cue 2: left out, because the same text"));
}

#[test]
fn cues_that_overlap_are_joined_for_a_single_track() {
    let rolling = String::from_utf8(field("05-rolling.vtt")).unwrap();
    let sent = for_api(&rolling, None, Micros::ZERO, &Grouping::default(), &[]).unwrap();
    assert_eq!(
        sent.srt.unwrap(),
        "1\n00:00:05,910 --> 00:00:10,320\nfirst line\n\n2\n00:00:10,320 --> 00:00:13,559\nsecond line\nfirst line\n\n\
         3\n00:00:13,559 --> 00:00:16,080\nsecond line\n\n"
    );
    assert!(sent.notes.lines(true)[0].starts_with("cue 2: overlaps another"));
    // A text that the API can read is sent unchanged.
    let plain = "1\n00:00:00,000 --> 00:00:01,000\na\n";
    assert!(
        for_api(plain, None, Micros::ZERO, &Grouping::default(), &[])
            .unwrap()
            .srt
            .is_none()
    );
    let tags = String::from_utf8(field("06-tags.srt")).unwrap();
    let sent = for_api(&tags, None, Micros::ZERO, &Grouping::default(), &[]).unwrap();
    assert!(sent.srt.unwrap().contains("\nyellow\n"));
    assert!(sent.notes.lines(true)[0].starts_with("cues 1, 2 and 3: bold"));
}

/// The styles of a text's first cue: the range and the style of each part.
fn parts(text: &str) -> (String, Vec<(u32, u32, String)>) {
    let cue = read(text).cues.remove(0);
    let told = |part: &cue::CueSpan| {
        let letters = &part.letters;
        let mut told = Vec::new();
        let mut flag = |name: &str, value: Option<bool>| {
            told.extend(value.map(|on| {
                if on {
                    name.to_owned()
                } else {
                    format!("no {name}")
                }
            }));
        };
        flag("bold", letters.bold);
        flag("italic", letters.italic);
        flag("underline", letters.underline);
        told.extend(
            letters
                .color
                .map(|c| format!("#{:02x}{:02x}{:02x}", c.0, c.1, c.2)),
        );
        told.extend(letters.outline.map(|width| format!("outline {width}")));
        (part.from, part.to, told.join(" "))
    };
    (cue.text, cue.parts.iter().map(told).collect())
}

fn srt_of(text: &str) -> String {
    format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n")
}

#[test]
fn tags_in_srt_become_styles_and_text_stays() {
    let tagged = |text: &str, plain: &str, expected: &[(u32, u32, &str)]| {
        let (said, found) = parts(&srt_of(text));
        let found: Vec<(u32, u32, &str)> = found
            .iter()
            .map(|(from, to, told)| (*from, *to, told.as_str()))
            .collect();
        assert_eq!(
            (said.as_str(), found.as_slice()),
            (plain, expected),
            "{text}"
        );
    };
    tagged("<i>Hi</i>", "Hi", &[(0, 2, "italic")]);
    tagged("<I>Hi</I> you", "Hi you", &[(0, 2, "italic")]);
    tagged(
        "a <b>b <i>c</b></i> d",
        "a b c d",
        &[(2, 4, "bold"), (4, 5, "bold italic")],
    );
    tagged("<u>x</u>", "x", &[(0, 1, "underline")]);
    tagged(
        "<font color=\"#ffff00\">yellow</font>",
        "yellow",
        &[(0, 6, "#ffff00")],
    );
    tagged(
        "<font color=red size='3'>r</font>",
        "r",
        &[(0, 1, "#ff0000")],
    );
    tagged(
        "<font face=\"Arial\" color='00ff00'>g</font>",
        "g",
        &[(0, 1, "#00ff00")],
    );
    tagged(
        "<span style=\"color: #0000ff; font-weight: bold\">b</span>",
        "b",
        &[(0, 1, "bold #0000ff")],
    );
    tagged(
        "{\\i1}it{\\i0} no",
        "it no",
        &[(0, 2, "italic"), (2, 5, "no italic")],
    );
    tagged("{\\c&H0000FF&}red", "red", &[(0, 3, "#ff0000")]);
    tagged("{b}x{/b}y", "xy", &[(0, 1, "bold"), (1, 2, "no bold")]);
    tagged("<blink x=1>a</blink>", "a", &[]);
    tagged("<xyz>a</xyz>", "a", &[]);
    tagged("one<br>two<br/>three", "one\ntwo\nthree", &[]);
    // Not markup.
    tagged("I <3 you", "I <3 you", &[]);
    tagged("a < b > c", "a < b > c", &[]);
    tagged("<Laughing>", "<Laughing>", &[]);
    tagged("x = {1, 2}", "x = {1, 2}", &[]);
    tagged(
        "1 &lt; 2 &amp;&#39;&quot; AT&T; R&D &lti",
        "1 < 2 &'\" AT&T; R&D &lti",
        &[],
    );
    tagged("&lt;i&gt;", "<i>", &[]);
    let top = read(&srt_of("{\\an8}top")).cues.remove(0);
    assert_eq!((top.text.as_str(), top.place.anchor), ("top", Some((0, 1))));
    assert!(notes(&srt_of("<s>x</s> <font size=3>y</font>"), 0.0).len() == 2);
}

#[test]
fn all_character_references_are_decoded() {
    let file = String::from_utf8(field("07-references.vtt")).unwrap();
    check(&file, &[(0, 1000, "See you at 5'30 \"x\" 你")]);
    let vtt = |text: &str| format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n");
    check(
        &vtt("&eacute;&hellip;&mdash;&euro;&nbsp;&#146;&#x1F3AC;&copy;&frac12; &unknown;"),
        &[(0, 1000, "é…—€\u{a0}’🎬©½ &unknown;")],
    );
}

#[test]
fn settings_and_tags_of_webvtt_are_applied() {
    let vtt = "WEBVTT\n\nSTYLE\n::cue(.loud) { color: #ff8800; font-weight: bold }\n::cue(b) { text-decoration: underline }\n\n\
         REGION\nid:a\n\n00:00.000 --> 00:01.000 line:0 position:10% align:start size:40%\n\
         <v Ann><c.loud>a</c> <c.yellow>b</c> <b>c</b> <00:00:00.500>d <ruby>漢<rt>kan</rt></ruby>\n";
    let (text, found) = parts(vtt);
    assert_eq!(text, "a b c d 漢(kan)");
    let found: Vec<&str> = found.iter().map(|(.., told)| told.as_str()).collect();
    assert_eq!(found, ["bold #ff8800", "#ffff00", "bold underline"]);
    let subtitles = read(vtt);
    let place = subtitles.cues[0].place;
    assert_eq!(place.anchor, Some((-1, 1)));
    assert_eq!(place.point, (Some(0.1), Some(0.0)));
    assert_eq!((place.width, place.align), (Some(0.4), Some(-1)));
    let told = subtitles.notes.lines(true).join("\n");
    let words = &subtitles.cues[0].words;
    let times: Vec<(u32, i64)> = words
        .iter()
        .map(|word| (word.from, word.start.0 / 1000))
        .collect();
    assert_eq!(times[0], (0, 0));
    assert!(times.contains(&(6, 500)), "{times:?}");
    for part in ["voices", "ruby"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let place = |settings: &str| {
        let text = format!(
            "WEBVTT\n\nREGION\nid:low width:40% lines:2\nregionanchor:0%,100% viewportanchor:10%,90%\n\n\
             REGION\nid:up\nwidth:50%\nregionanchor:100%,0%\nviewportanchor:100%,0%\nscroll:up\n\n\
             00:00.000 --> 00:01.000 {settings}\nx\n"
        );
        let subtitles = read(&text);
        let place = subtitles.cues[0].place;
        let near = |number: Option<f64>| number.map(|number| (number * 1e4).round() / 1e4);
        let point = (near(place.point.0), near(place.point.1));
        let told = subtitles.notes.lines(true).join("\n");
        (place.anchor, point, near(place.width), told)
    };
    let (anchor, point, width, told) = place("region:low");
    assert_eq!(
        (anchor, point, width),
        (Some((0, -1)), (Some(0.3), Some(0.9)), Some(0.4))
    );
    assert!(told.contains("region \"up\" does not scroll"), "{told}");
    let (anchor, point, width, _) = place("region:low align:start size:50%");
    assert_eq!(
        (anchor, point, width),
        (Some((-1, -1)), (Some(0.1), Some(0.9)), Some(0.2))
    );
    let (_, point, ..) = place("region:up position:20%");
    assert_eq!(point, (Some(0.6), Some(0.1599)));
    // A line of its own takes a cue out of its region.
    let (_, point, width, _) = place("region:low line:10%");
    assert_eq!((point, width), ((None, Some(0.1)), None));
    let (anchor, point, ..) = place("position:30%,line-left line:50%,center");
    assert_eq!((anchor, point), (Some((-1, 0)), (Some(0.3), Some(0.5))));
    for (settings, said) in [
        (
            "region:none",
            "cue 1: its region is not defined in the file",
        ),
        (
            "align:up",
            "cue 1: its setting `align` has a value that is not known",
        ),
        ("line:x", "cue 1: its setting `line`"),
        ("position:x", "cue 1: its setting `position`"),
        ("color:red", "cue 1: the setting `color` is not known"),
    ] {
        let (.., told) = place(settings);
        assert!(told.contains(said), "{settings}: {told}");
    }
    let upright = read("WEBVTT\n\n00:00.000 --> 00:01.000 vertical:rl line:-1\nx\n");
    assert!(upright.cues[0].place.vertical);
    assert_eq!(upright.cues[0].place.anchor, Some((0, -1)));
}

#[test]
fn styles_and_overrides_of_ass_are_applied() {
    let ass = "[Script Info]\nPlayResX: 1920\nPlayResY: 1080\n[V4+ Styles]\n\
        Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
        Style: Default,Arial,50,&H0000FFFF,&H000000FF,&H00FF0000,&H00000000,-1,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1\n\
        Style: Top,Arial,50,&H80FFFFFF,&H000000FF,&H00000000,&H00000000,0,-1,-1,0,100,100,0,0,3,2,2,9,10,10,10,1\n\
        [Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
        Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{\\i1}slanted{\\i0} {\\c&H0000FF&\\bord5\\3c&H00FF00&}red{\\r} usual\n\
        Dialogue: 0,0:00:01.00,0:00:02.00,Top,,0,0,0,,{\\k20}ka{\\kf30}ra{\\t(0,500,\\fs40)}o{\\pos(960,540)}ke\n\
        Dialogue: 0,0:00:02.00,0:00:03.00,*Default,,0,0,5,,{\\an7\\fnArial\\blur2}x{\\p1}m 0 0 l 1 1{\\p0}\n";
    let subtitles = read(ass);
    let [first, second, third] = subtitles.cues.as_slice() else {
        panic!("{:?}", subtitles.cues)
    };
    assert_eq!(first.text, "slanted red usual");
    assert_eq!(first.style.bold, Some(true));
    assert_eq!(
        first.style.color,
        Some(crate::draft::text::Rgb(255, 255, 0))
    );
    assert_eq!(first.style.outline, Some(20.0));
    assert_eq!(
        first.style.outline_color,
        Some(crate::draft::text::Rgb(0, 0, 255))
    );
    assert_eq!(first.place.anchor, Some((0, -1)));
    assert_eq!(first.style.font.as_deref(), Some("Arial"));
    // Two pixels of an em of 45.
    assert_eq!(first.frame.shadow, (Some(0.0444), Some(0.0444)));
    assert_eq!(
        first.place.margins,
        Some((10.0 / 1920.0, 10.0 / 1920.0, 10.0 / 1080.0))
    );
    let (_, found) = parts(ass);
    let found: Vec<(u32, u32, &str)> = found
        .iter()
        .map(|(from, to, told)| (*from, *to, told.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (0, 7, "italic"),
            (7, 8, "no italic"),
            (8, 11, "no italic #ff0000 outline 50")
        ]
    );
    assert_eq!(
        (second.style.italic, second.style.underline),
        (Some(true), Some(true))
    );
    assert_eq!(second.style.outline, None);
    assert_eq!(second.style.alpha, Some(0.498));
    let black = crate::draft::text::Rgb(0, 0, 0);
    let expected = cue::CueBox {
        color: black,
        alpha: 1.0,
        padding: 0.0444,
    };
    assert_eq!(second.frame.background, Some(expected));
    assert_eq!(second.frame.shadow, (None, None));
    assert_eq!(second.place.anchor, Some((1, 1)));
    assert_eq!(second.place.point, (Some(0.5), Some(0.5)));
    assert_eq!(
        (third.text.as_str(), third.place.anchor),
        ("x", Some((-1, 1)))
    );
    let margins = third.place.margins.map(|(.., end)| end);
    assert_eq!(margins, Some(5.0 / 1080.0), "the dialogue's own margin");
    // `ka` and `ra` are syllables of a word, sung after each other.
    let sung: Vec<(u32, u32, i64, i64)> = second
        .words
        .iter()
        .map(|word| (word.from, word.to, word.start.0 / 1000, word.end.0 / 1000))
        .collect();
    assert_eq!(sung, [(0, 2, 1000, 1200), (2, 7, 1200, 1500)]);
    let sung = second.sung.map(|karaoke| karaoke.color);
    assert_eq!(sung, Some(crate::draft::text::Rgb(255, 255, 255)));
    assert_eq!(second.style.color, Some(crate::draft::text::Rgb(255, 0, 0)));
    let told = subtitles.notes.lines(true).join("\n");
    for part in [
        "cue 2: transformations",
        "cue 2: the shadow of the box",
        "cue 3: drawings",
        "cue 3: blurs",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn styles_of_ssa_are_applied() {
    let ssa = "[Script Info]\n[V4 Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, TertiaryColour, BackColour, Bold, Italic, BorderStyle, Outline, Shadow, Alignment\n\
        Style: Default,Arial,20,65535,0,0,255,-1,0,1,2,0,6\n[Events]\nFormat: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
        Dialogue: Marked=0,0:00:00.00,0:00:01.00,*Default,,0,0,0,,x\n";
    let cue = read(ssa).cues.remove(0);
    assert_eq!(cue.style.color, Some(crate::draft::text::Rgb(255, 255, 0)));
    assert_eq!(
        cue.style.outline_color,
        Some(crate::draft::text::Rgb(255, 0, 0))
    );
    assert_eq!(cue.place.anchor, Some((0, 1)));
}

#[test]
fn times_are_read_as_people_write_them() {
    for name in [
        "08-fullwidth-colon.srt",
        "08-spaces.srt",
        "08-escaped-arrow.srt",
    ] {
        let text = String::from_utf8(field(name)).unwrap();
        check(&text, &[(1520, 4640, "a")]);
    }
    let counter = String::from_utf8(field("08-counter-word.srt")).unwrap();
    check(&counter, &[(0, 2000, "a"), (2000, 3000, "b")]);
    for times in [
        "00:00:01,500 --> 00:00:02,500",
        "00：00：01，500 --> 00：00：02，500",
        "００:００:０１,５００ --> ００:００:０２,５００",
        "00 : 00 : 01 , 500 --> 00 : 00 : 02 , 500",
        "00:00:01 500 --> 00:00:02 500",
        "00:00:01.500 --&gt; 00:00:02.500",
        "00:00:01;500 -> 00:00:02;500",
        "00:00:01.5 —> 00:00:02.5",
        "0:0:1.5 ---> 0:0:2.5",
        "00:01.500 → 00:02.500",
        "00:00:01:500 --> 00:00:02:500",
        "00:00:01:50 --> 00:00:02:50",
    ] {
        check(&format!("1\n{times}\nx\n"), &[(1500, 2500, "x")]);
    }
    for label in [
        "1.", "#1", "[1]", "1)", "第1条", "1个", "No. 1", "1：", "字幕1", "１",
    ] {
        let second = label.replace(['1', '１'], "2");
        check(
            &format!(
                "{label}\n00:00:00,0 --> 00:00:01,0\na\n\n{second}\n00:00:01,0 --> 00:00:02,0\nb\n"
            ),
            &[(0, 1000, "a"), (1000, 2000, "b")],
        );
    }
    let colon = String::from_utf8(field("21-colon.ass")).unwrap();
    check(&colon, &[(79_240, 80_240, "colon")]);
}

#[test]
fn cue_numbers_are_distinguished_from_numbers_in_the_text() {
    let file = String::from_utf8(field("21-number-line.srt")).unwrap();
    check(&file, &[(0, 1000, "First\n42"), (1000, 2000, "b")]);
    let t = |number: u32| format!("00:00:0{number},000 --> 00:00:0{},000", number + 1);
    let (a, b, c) = (t(0), t(1), t(2));
    // A cue whose text is a number, before a cue whose number is missing.
    check(
        &format!("1\n{a}\nx\n\n2\n{b}\n42\n\n{c}\ny\n"),
        &[(0, 1000, "x"), (1000, 2000, "42"), (2000, 3000, "y")],
    );
    // The first number is missing.
    check(
        &format!("{a}\nx\n\n2\n{b}\ny\n\n3\n{c}\nz\n"),
        &[(0, 1000, "x"), (1000, 2000, "y"), (2000, 3000, "z")],
    );
    // One in the middle is missing.
    check(
        &format!("1\n{a}\nx\n\n{b}\ny\n\n3\n{c}\nz\n"),
        &[(0, 1000, "x"), (1000, 2000, "y"), (2000, 3000, "z")],
    );
    check(
        &format!("A title\n\n1\n{a}\nx\n\n2\n{b}\ny\n"),
        &[(0, 1000, "x"), (1000, 2000, "y")],
    );
}

#[test]
fn cues_before_0_s_are_cut_or_left_out() {
    let text = "1\n00:00:00,0 --> 00:00:01,0\na\n\n2\n00:00:02,0 --> 00:00:04,0\nb\n\n3\n00:00:05,0 --> 00:00:06,0\nc\n";
    assert_eq!(
        notes(text, -3.0),
        [
            "cue 1: left out, because it ends before 0 s",
            "cue 2: cut, because it starts before 0 s"
        ]
    );
    let laid = read(text).laid(Micros::from_seconds(-3.0)).unwrap();
    let starts: Vec<i64> = laid.lanes[0].iter().map(|cue| cue.range.start.0).collect();
    assert_eq!(starts, [0, 2_000_000]);
    let error = read(text).laid(Micros::from_seconds(-10.0)).unwrap_err();
    assert!(
        error.message.contains("`time_offset`") && error.message.contains("cue 1"),
        "{error}"
    );
    // The text for a server that adds the offset itself.
    let sent = for_api(
        text,
        None,
        Micros::from_seconds(-3.0),
        &Grouping::default(),
        &[],
    )
    .unwrap();
    assert!(
        sent.srt
            .unwrap()
            .starts_with("1\n00:00:03,000 --> 00:00:04,000\nb\n")
    );
    check(
        "1\n-00:00:01,000 --> 00:00:02,000\nx\n",
        &[(-1000, 2000, "x")],
    );
}

#[test]
fn the_error_for_a_text_without_cues_says_what_it_looks_like() {
    let lrc = String::from_utf8(field("09-lrc-as.vtt")).unwrap();
    for (text, part) in [
        (lrc.as_str(), "LRC"),
        ("[00:01.00]first\n[00:03.50]second", "LRC"),
        ("[ti:Song]\n[00:01.00]first", "LRC"),
        ("", "empty"),
        ("\n \n", "empty"),
        ("<!DOCTYPE html><html>", "a web page"),
        ("<?xml version=\"1.0\"?><tt></tt>", "XML"),
        ("{\"segments\": []}", "JSON"),
        ("{0}{25}hello", "MicroDVD"),
        ("0:00:00.000,0:00:01.000\nhello", "SBV"),
        ("WEBVTT\n", "no cue"),
        ("[Script Info]\n[Events]\n", "no cue"),
    ] {
        let error = parse(text, &Grouping::default()).unwrap_err();
        assert!(
            error.message.starts_with("no cue was found"),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert!(error.hint.is_some(), "{text}");
    }
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("1\n00:00:00,000 --> 00:00:01,000\n".to_owned()),
            Just("00:01.000 --> 00:02.000 line:-1 position:5%\n".to_owned()),
            Just("WEBVTT\n\n".to_owned()),
            Just("\n\nSTYLE\n::cue(b){color:red}\n\n".to_owned()),
            Just("[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,D,,0,0,0,,".to_owned()),
            Just("[V4+ Styles]\nStyle: D,A,20,&HFF,".to_owned()),
            "[<{}>/\\\\&;a-z0-9 #.\n-]{0,12}",
            Just("{\\t(0,1,\\fs4)\\an8\\pos(1,2)}".to_owned()),
            Just("<font color=é>".to_owned()),
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn texts_are_read_or_refused_and_read_texts_can_be_laid_out(text in pieces(), offset in -5.0..5.0) {
            let offset = Micros::from_seconds(offset);
            let text = inline(&text);
            drop(for_api(&text, None, offset, &Grouping::default(), &[]));
            for subtitles in [parse(&text, &Grouping::default()), parse_as_api(&text, &Grouping::default())].into_iter().flatten() {
                let Ok(laid) = subtitles.laid(offset) else { continue };
                for lane in &laid.lanes {
                    for cue in lane {
                        prop_assert!(cue.range.start >= Micros::ZERO && cue.range.duration > Micros::ZERO);
                        let count = cue.text.chars().count() as u32;
                        let mut done = 0;
                        for part in &cue.parts {
                            prop_assert!(done <= part.from && part.from < part.to && part.to <= count);
                            done = part.to;
                        }
                    }
                }
                prop_assert!(laid.notes.lines(true).len() <= 21);
            }
        }
    }
}

/// Texts that would take minutes if the time were quadratic in their length.
#[test]
fn long_odd_texts_are_read_in_linear_time() {
    let many = 50_000;
    let start = "1\n00:00:00,000 --> 00:00:01,000\n";
    for piece in [
        "<",
        "{",
        "<a",
        "<a ",
        "{\\",
        "&",
        "&a",
        "<i>",
        "</i>",
        "[",
        "<b x=",
        "a\n\n2\n",
        "\n",
        "-->",
        "<ruby><rt>",
    ] {
        drop(parse(
            &format!("{start}{}", piece.repeat(many)),
            &Grouping::default(),
        ));
        drop(parse(
            &format!(
                "WEBVTT\n\n00:00.000 --> 00:01.000\n{}>}}",
                piece.repeat(many)
            ),
            &Grouping::default(),
        ));
    }
    drop(parse(
        &format!("WEBVTT\n\nSTYLE\n{}", "::cue{".repeat(many)),
        &Grouping::default(),
    ));
    drop(parse(
        &format!(
            "[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,D,,0,0,0,,{}",
            "{\\t(\\r".repeat(many)
        ),
        &Grouping::default(),
    ));
    let mut same_time = String::new();
    for number in 0..20_000 {
        same_time.push_str("00:00:00,000 --> 01:00:01,000\n");
        same_time.push_str(&number.to_string());
        same_time.push_str("\n\n");
    }
    let laid = read(&same_time).laid(Micros::ZERO).unwrap();
    assert_eq!(laid.lanes.len(), 8);
}
