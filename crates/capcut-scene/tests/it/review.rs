//! Reviews of documents with and without a fault of each kind; what a review suggests is applied, and the finding is gone.

use capcut_draft::{Document, Operation};
use capcut_scene::{FindingKind, MeasuredText, Review};
use serde_json::{Value, json};

use crate::support::movie;

/// A clip: its track's type, its material, its start and length in milliseconds, and further members.
struct Own(&'static str, Value, i64, i64, Value);

/// A document whose clips have a track each, apart from those with the same track name.
fn document((width, height): (u32, u32), clips: &[Own]) -> Document {
    let mut tracks: Vec<Value> = Vec::new();
    let (mut videos, mut texts, mut audios) = (Vec::new(), Vec::new(), Vec::new());
    for (index, Own(kind, material, start, length, more)) in clips.iter().enumerate() {
        let mut material = material.clone();
        material["id"] = format!("M{index}").into();
        match *kind {
            "text" => texts.push(material),
            "audio" => audios.push(material),
            _ => videos.push(material),
        }
        let mut clip = json!({
            "id": format!("S{index}"), "material_id": format!("M{index}"),
            "target_timerange": {"start": start * 1000, "duration": length * 1000},
            "source_timerange": {"start": 0, "duration": length * 1000},
            "clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": 1.0, "y": 1.0}, "transform": {"x": 0.0, "y": 0.0}},
            "speed": 1.0, "visible": true, "extra_material_refs": [],
            "uniform_scale": {"on": true, "value": 1.0}, "common_keyframes": [],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            clip[key.as_str()] = value.clone();
        }
        let name = clip["track"]
            .as_str()
            .map_or_else(|| format!("T{index}"), str::to_owned);
        match tracks.iter_mut().find(|track| track["name"] == name.as_str()) {
            Some(track) => track["segments"].as_array_mut().unwrap().push(clip),
            None => tracks.push(json!({
                "id": name, "name": name, "type": kind, "attribute": 0, "flag": 0, "segments": [clip]
            })),
        }
    }
    let root = json!({
        "id": "D", "fps": 30.0, "canvas_config": {"width": width, "height": height, "ratio": "original"},
        "render_index_track_mode_on": true, "tracks": tracks, "duration": 10_000_000,
        "materials": {"videos": videos, "texts": texts, "audios": audios},
    });
    Document::parse(root.to_string()).unwrap()
}

const WIDE: (u32, u32) = (1920, 1080);
const TALL: (u32, u32) = (1080, 1920);

fn text_of(words: &str, fill: [f64; 3]) -> Value {
    let style = json!({
        "range": [0, words.encode_utf16().count()], "size": 8.0,
        "fill": {"content": {"render_type": "solid", "solid": {"alpha": 1.0, "color": fill}}},
    });
    let content = json!({"text": words, "styles": [style]}).to_string();
    json!({"type": "text", "content": content, "font_size": 8.0, "alignment": 1})
}

fn text(words: &str, start: i64, length: i64, more: Value) -> Own {
    Own("text", text_of(words, [1.0; 3]), start, length, more)
}

fn picture(size: (u32, u32), start: i64, length: i64, more: Value) -> Own {
    let material = json!({"type": "photo", "path": "/m/a.png", "width": size.0, "height": size.1, "duration": 10_800_000_000_i64});
    Own("video", material, start, length, more)
}

fn at(x: f64, y: f64) -> Value {
    json!({"clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": 1.0, "y": 1.0}, "transform": {"x": x, "y": y}}})
}

fn review(document: &Document) -> Review {
    movie(document).review(document)
}

fn of_kind(review: &Review, kind: FindingKind) -> usize {
    let own = review.findings.iter();
    own.filter(|finding| finding.kind == kind).count()
}

/// Checks that a document has findings of a kind, and that what each suggests fixes it, alone, without a new finding.
fn fixes(mut document: Document, kind: FindingKind, count: usize) -> Document {
    let before = review(&document);
    assert_eq!(of_kind(&before, kind), count, "{before:#?}");
    let all = before.findings.len();
    for left in (0..count).rev() {
        let found = review(&document);
        let finding = found.findings.iter().find(|finding| finding.kind == kind);
        let finding = finding.unwrap();
        assert!(!finding.operations.is_empty(), "{finding:#?}");
        let operations: Vec<Operation> = finding
            .operations
            .iter()
            .map(|operation| Operation::read(operation).unwrap())
            .collect();
        document.apply_operations(&operations).unwrap();
        let after = review(&document);
        assert_eq!(of_kind(&after, kind), left, "{finding:#?} {after:#?}");
        assert!(after.findings.len() < all, "{finding:#?} {after:#?}");
    }
    document
}

fn over_picture(canvas: (u32, u32), texts: Vec<Own>) -> Document {
    let mut clips = vec![picture(canvas, 0, 10_000, json!({}))];
    clips.extend(texts);
    document(canvas, &clips)
}

#[test]
fn a_draft_without_faults_has_no_findings() {
    for canvas in [WIDE, TALL, (1080, 1080)] {
        let texts = vec![
            text("A title", 0, 3000, json!({})),
            text("and one below", 0, 3000, at(0.0, -0.4)),
        ];
        let found = review(&over_picture(canvas, texts));
        assert_eq!(found, Review::default(), "{canvas:?}");
    }
}

#[test]
fn texts_beyond_the_canvas_are_moved_into_the_safe_area() {
    for (x, y) in [(1.0, 0.0), (-1.1, 0.0), (0.0, 1.0), (0.3, -1.0), (5.0, 9.0)] {
        for canvas in [WIDE, TALL] {
            let texts = vec![text("Beyond the edge", 0, 4000, at(x, y))];
            fixes(over_picture(canvas, texts), FindingKind::OffCanvas, 1);
        }
    }
    // Too large at any place, turned, and with a movement that never shows it whole.
    let large = json!({"clip": {"alpha": 1.0, "rotation": 30.0, "scale": {"x": 15.0, "y": 15.0}, "transform": {"x": 0.2, "y": 0.0}}});
    let found = fixes(
        over_picture(WIDE, vec![text("Far too large", 0, 4000, large)]),
        FindingKind::OffCanvas,
        1,
    );
    assert!(review(&found).findings.is_empty());
    let moving = |from: f64, to: f64| {
        json!({"common_keyframes": [{"id": "K", "property_type": "KFTypePositionX", "material_id": "", "keyframe_list": [
            {"id": "a", "curveType": "Line", "time_offset": 0, "values": [from], "left_control": {"x": 0.0, "y": 0.0}, "right_control": {"x": 0.0, "y": 0.0}},
            {"id": "b", "curveType": "Line", "time_offset": 4_000_000, "values": [to], "left_control": {"x": 0.0, "y": 0.0}, "right_control": {"x": 0.0, "y": 0.0}},
        ]}]})
    };
    let never = over_picture(WIDE, vec![text("Never", 0, 4000, moving(1.5, 1.2))]);
    fixes(never, FindingKind::OffCanvas, 1);
    let enters = over_picture(WIDE, vec![text("Enters", 0, 4000, moving(1.5, 0.0))]);
    assert_eq!(review(&enters), Review::default());
}

#[test]
fn captions_at_one_place_are_moved_together() {
    let low = || {
        let mut more = at(0.0, -0.8);
        more["track"] = "captions".into();
        more
    };
    let captions = || {
        vec![
            text("One", 0, 2000, low()),
            text("Two with\nmore lines", 2000, 2000, low()),
            text("Three", 4000, 2000, low()),
        ]
    };
    let found = review(&over_picture(TALL, captions()));
    let finding = &found.findings[0];
    assert_eq!(finding.clips.len(), 3, "{found:#?}");
    assert_eq!(
        (finding.range.start, finding.range.duration),
        (0, 6_000_000)
    );
    assert_eq!(finding.limit, 20.0);
    let fixed = fixes(
        over_picture(TALL, captions()),
        FindingKind::OutsideSafeArea,
        1,
    );
    assert!(review(&fixed).findings.is_empty());
    // On other canvases apps cover nothing.
    assert_eq!(
        review(&over_picture((1080, 1080), captions())),
        Review::default()
    );
}

#[test]
fn texts_that_overlap_get_places_of_their_own() {
    for more in [json!({}), at(0.02, 0.02), at(0.0, 0.05)] {
        let texts = vec![
            text("The first title", 0, 4000, json!({})),
            text("Another one", 1000, 4000, more),
        ];
        fixes(over_picture(WIDE, texts), FindingKind::TextOverlap, 1);
    }
    let one_after_the_other = vec![
        text("First", 0, 2000, json!({})),
        text("Second", 2000, 2000, json!({})),
    ];
    assert_eq!(
        review(&over_picture(WIDE, one_after_the_other)),
        Review::default()
    );
    // Many at one place: each finding can be fixed in turn.
    let words = ["Alpha", "Beta", "Gamma", "Delta"];
    let texts = words
        .iter()
        .map(|words| text(words, 0, 4000, json!({})))
        .collect();
    let mut left = over_picture(WIDE, texts);
    for _ in 0..10 {
        let found = review(&left);
        let Some(finding) = found.findings.first() else {
            break;
        };
        let operation = Operation::read(&finding.operations[0]).unwrap();
        left.apply_operations(&[operation]).unwrap();
    }
    assert_eq!(review(&left), Review::default());
}

#[test]
fn texts_that_are_too_fast_are_shown_longer() {
    let latin = "This sentence has some forty characters.";
    let cjk = "这句话有很多很多很多的字，一秒钟读不完。";
    let on = |more: &str| json!({"track": more});
    for words in [
        latin,
        cjk,
        "하나 둘 셋 넷 다섯 여섯 일곱 여덟",
        "ひらがなとカタカナと漢字",
    ] {
        // With room after it, with room before it, and without room.
        let alone = vec![text(words, 0, 1000, json!({}))];
        fixes(over_picture(WIDE, alone), FindingKind::TooFast, 1);
        let before = vec![
            text(words, 4000, 1000, on("t")),
            text("Hi", 5000, 1000, on("t")),
        ];
        fixes(over_picture(WIDE, before), FindingKind::TooFast, 1);
        let full = vec![
            text("Hello", 0, 1000, on("t")),
            text(words, 1000, 1000, on("t")),
            text("Hi", 2000, 1000, on("t")),
        ];
        fixes(over_picture(WIDE, full), FindingKind::TooFast, 1);
    }
    let found = review(&over_picture(WIDE, vec![text(latin, 0, 1000, json!({}))]));
    assert_eq!(
        (found.findings[0].value, found.findings[0].limit),
        (40.0, 17.0)
    );
    for (words, length) in [(latin, 2400), (cjk, 2600)] {
        let slow = over_picture(WIDE, vec![text(words, 0, length, json!({}))]);
        assert_eq!(review(&slow), Review::default(), "{words}");
    }
}

#[test]
fn pictures_without_enough_pixels_become_smaller() {
    let scaled = |x: f64, y: f64| {
        json!({
            "clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": x, "y": y}, "transform": {"x": 0.0, "y": 0.0}},
            "uniform_scale": {"on": x == y, "value": 1.0},
        })
    };
    for (size, more) in [
        ((640, 360), json!({})),
        ((1920, 1080), scaled(3.0, 3.0)),
        ((1920, 1080), scaled(1.0, 2.5)),
        ((100, 4000), scaled(9.0, 9.0)),
    ] {
        let own = document(WIDE, &[picture(size, 0, 4000, more)]);
        fixes(own, FindingKind::Enlarged, 1);
    }
    for size in [(960, 540), (4000, 3000), (1, 1), (0, 0)] {
        let own = document(WIDE, &[picture(size, 0, 4000, json!({}))]);
        assert_eq!(review(&own), Review::default(), "{size:?}");
    }
}

#[test]
fn gaps_are_filled() {
    let on = || json!({"track": "main"});
    let video = |start: i64, length: i64, file: i64| {
        let material = json!({"type": "video", "path": "/m/a.mp4", "width": 1920, "height": 1080, "duration": file * 1000});
        Own("video", material, start, length, json!({"track": "main"}))
    };
    let audio = |start: i64, length: i64| {
        let material = json!({"type": "extract_music", "path": "/m/a.mp3", "duration": 60_000_000});
        Own("audio", material, start, length, json!({"track": "music"}))
    };
    let still = |start: i64, length: i64| picture(WIDE, start, length, on());
    for (clips, gap) in [
        (vec![still(0, 1000), still(2000, 1000)], (1.0, 2.0)),
        (vec![still(500, 1000)], (0.0, 0.5)),
        (
            vec![video(0, 1000, 9000), video(2000, 1000, 1000)],
            (1.0, 2.0),
        ),
        // No file is long enough: what follows moves.
        (
            vec![
                video(0, 1000, 1000),
                video(2000, 1000, 1000),
                audio(0, 3000),
            ],
            (1.0, 2.0),
        ),
        // Sounds are longer than the pictures.
        (vec![video(0, 1000, 1000), audio(0, 3000)], (1.0, 3.0)),
        (
            vec![video(0, 1000, 1000), audio(2000, 1000), audio(4000, 1000)],
            (1.0, 5.0),
        ),
    ] {
        let own = document(WIDE, &clips);
        let found = review(&own);
        let range = found.findings[0].range;
        assert_eq!(
            (range.start as f64 / 1e6, range.end() as f64 / 1e6),
            gap,
            "{found:#?}"
        );
        fixes(own, FindingKind::BlackGap, 1);
    }
    // A text, a sticker or a second track over the gap is something.
    let words = || text("Chapter", 1000, 1000, json!({}));
    let sticker = || Own("sticker", json!({"type": "sticker"}), 1000, 1000, json!({}));
    for other in [words(), picture((960, 540), 900, 1200, json!({}))] {
        let own = document(WIDE, &[still(0, 1000), still(2000, 1000), other]);
        assert_eq!(review(&own), Review::default());
    }
    let mut own = document(WIDE, &[still(0, 1000), still(2000, 1000), sticker()]).write();
    let root: Value = serde_json::from_slice(&own).unwrap();
    let mut root = root;
    let stickers = root["materials"]["videos"]
        .as_array_mut()
        .unwrap()
        .pop()
        .unwrap();
    root["materials"]["stickers"] = json!([stickers]);
    own = root.to_string().into_bytes();
    assert_eq!(review(&Document::parse(own).unwrap()), Review::default());
    // Only sound, and nothing at all.
    let found = review(&document(WIDE, &[audio(0, 1000)]));
    assert!(
        found.findings.is_empty() && found.notes.len() == 1,
        "{found:#?}"
    );
    assert_eq!(review(&document(WIDE, &[])), Review::default());
}

/// What the contrast of the first text is, on pixels of a colour.
fn judged(document: &Document, below: [u8; 3]) -> Option<capcut_scene::Finding> {
    let movie = movie(document);
    let texts = movie.measurable_texts();
    assert_eq!(texts.len(), 1);
    let own: MeasuredText = texts.measured(0).unwrap();
    assert_eq!(own.below.layers.len(), 1);
    assert_eq!(own.media, [0]);
    own.judge(&[below; 4])
}

#[test]
fn texts_without_contrast_get_an_outline() {
    for (fill, below, is_found) in [
        ([1.0; 3], [255; 3], true),
        ([1.0; 3], [0; 3], false),
        ([0.0; 3], [20; 3], true),
        ([0.5; 3], [140; 3], true),
        ([1.0, 1.0, 0.0], [255; 3], true),
        ([1.0, 1.0, 0.0], [0, 0, 128], false),
    ] {
        let own = Own("text", text_of("Words", fill), 0, 4000, json!({}));
        let mut own = over_picture(WIDE, vec![own]);
        let Some(finding) = judged(&own, below) else {
            assert!(!is_found, "{fill:?} on {below:?}");
            continue;
        };
        assert!(is_found && finding.value < finding.limit, "{finding:#?}");
        let operation = Operation::read(&finding.operations[0]).unwrap();
        own.apply_operations(&[operation]).unwrap();
        assert_eq!(judged(&own, below), None, "{finding:#?}");
    }
}

#[test]
fn the_number_of_findings_is_limited() {
    let texts = (0..500).map(|index| {
        text(
            &format!("Text number {index}"),
            index * 10,
            40,
            at(3.0, 0.0),
        )
    });
    let found = review(&over_picture(WIDE, texts.collect()));
    assert!(found.findings.len() <= 40, "{}", found.findings.len());
    assert!(found.left_out.iter().any(|(_, count)| *count > 400));
    // All texts can be measured, the first ones spread over the draft.
    let texts = (0..100).map(|index| text("a", index * 50, 40, json!({})));
    let movie = movie(&over_picture(WIDE, texts.collect()));
    let texts = movie.measurable_texts();
    let times: Vec<i64> = texts.times().collect();
    let mut sorted = times.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((texts.len(), sorted.len()), (100, 100));
    assert!(times[..4].iter().max() > Some(&4_000_000), "{times:?}");
    assert!((0..100).all(|index| texts.measured(index).is_some()));
}

/// A draft that shows another one as a compound clip, at a scale, from 1 s on for some milliseconds.
fn around(inner: &Document, scale: f64, length: i64, others: Vec<Own>) -> Document {
    let place = json!({"scale": {"x": scale, "y": scale}, "transform": {"x": 0.0, "y": 0.0}, "alpha": 1.0, "rotation": 0.0});
    let compound = Own(
        "video",
        json!({"type": "video"}),
        1000,
        length,
        json!({"clip": place, "extra_material_refs": ["D"]}),
    );
    let mut clips = vec![compound];
    clips.extend(others);
    let outer = document(WIDE, &clips).write();
    let mut outer: Value = serde_json::from_slice(&outer).unwrap();
    let inner: Value = serde_json::from_slice(&inner.clone().write()).unwrap();
    outer["duration"] = json!((1000 + length) * 1000);
    outer["materials"]["drafts"] = json!([{"id": "D", "type": "combination", "draft": inner}]);
    Document::parse(outer.to_string()).unwrap()
}

#[test]
fn what_is_inside_compound_clips_is_judged_where_it_is_seen() {
    let beyond = || over_picture(WIDE, vec![text("Beyond the edge", 500, 4000, at(1.0, 0.0))]);
    let below = || picture(WIDE, 0, 10_000, json!({}));
    let only = |document: &Document, kind: FindingKind| {
        let mut found = review(document).findings;
        assert_eq!(found.len(), 1, "{kind:?} {found:#?}");
        assert_eq!(found[0].kind, kind, "{found:#?}");
        found.remove(0)
    };
    // The compound clip ends before the text in it does.
    let own = only(
        &around(&beyond(), 1.0, 3000, vec![below()]),
        FindingKind::OffCanvas,
    );
    assert_eq!((own.range.start, own.range.end()), (1_500_000, 4_000_000));
    assert!(
        own.clips[0].contains('/') && own.operations.is_empty(),
        "{own:#?}"
    );
    assert!(own.what.contains("in a compound clip"), "{}", own.what);
    // A compound clip shows nothing beyond its own canvas, also where it is small.
    only(
        &around(&beyond(), 0.5, 3000, vec![below()]),
        FindingKind::OffCanvas,
    );
    // What is near an edge of it is in the middle of the draft.
    let near = over_picture(WIDE, vec![text("Near the edge", 0, 4000, at(0.0, -0.92))]);
    only(
        &around(&near, 1.0, 3000, vec![below()]),
        FindingKind::OutsideSafeArea,
    );
    let small = around(&near, 0.5, 3000, vec![below()]);
    assert_eq!(review(&small), Review::default());
    // A text of the draft over one inside: the former is moved.
    let title = over_picture(WIDE, vec![text("One title", 0, 4000, json!({}))]);
    let over = around(
        &title,
        1.0,
        3000,
        vec![below(), text("Another one", 1000, 3000, json!({}))],
    );
    fixes(over, FindingKind::TextOverlap, 1);
    // Too fast because the compound clip is short.
    let words = "These forty characters last for a second";
    let fast = over_picture(WIDE, vec![text(words, 0, 4000, json!({}))]);
    assert_eq!(review(&fast), Review::default());
    let own = only(
        &around(&fast, 1.0, 1000, vec![below()]),
        FindingKind::TooFast,
    );
    assert_eq!(own.value, 40.0);
    // Enlarged by the compound clip, and by what is inside.
    let pixels = document(WIDE, &[picture((1280, 720), 0, 10_000, json!({}))]);
    assert_eq!(review(&pixels), Review::default());
    let own = only(
        &around(&pixels, 2.0, 3000, vec![below()]),
        FindingKind::Enlarged,
    );
    assert_eq!(own.value, 300.0);
    // A compound clip that is empty for a second shows nothing then.
    let late = document(WIDE, &[picture(WIDE, 1000, 9000, json!({}))]);
    let start = || picture(WIDE, 0, 1000, json!({}));
    let own = only(
        &around(&late, 1.0, 3000, vec![start()]),
        FindingKind::BlackGap,
    );
    assert_eq!((own.range.start, own.range.end()), (1_000_000, 2_000_000));
    assert_eq!(
        review(&around(&pixels, 1.0, 3000, vec![start()])),
        Review::default()
    );
}

#[test]
fn texts_inside_compound_clips_are_measured_against_what_is_below_them_there() {
    let title = over_picture(WIDE, vec![text("White", 0, 4000, json!({}))]);
    let own = around(
        &title,
        0.5,
        3000,
        vec![text("Above", 1000, 3000, at(0.0, 0.8))],
    );
    let movie = movie(&own);
    let texts = movie.measurable_texts();
    assert_eq!(texts.len(), 2);
    let inside = (0..2)
        .filter_map(|index| texts.measured(index))
        .find(|text| text.clip.contains('/'))
        .unwrap();
    // The picture in the compound clip, not the text above it.
    assert_eq!((inside.below.layers.len(), inside.media.len()), (1, 1));
    let [left, top, right, bottom] = inside.area;
    assert!(
        left > 0.25 && right < 0.75 && top > 0.25 && bottom < 0.75,
        "{:?}",
        inside.area
    );
    let found = inside.judge(&[[255; 3]]).unwrap();
    assert!(
        found.operations.is_empty() && found.what.contains("in a compound clip"),
        "{found:#?}"
    );
    assert_eq!(inside.judge(&[[0; 3]]), None);
}
