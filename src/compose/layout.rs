//! Computes the start and end of every item before anything is created, without I/O.

use std::collections::HashMap;

use serde_json::json;

use super::aligned;
use super::ducking;
use super::item::{Item, round};
use super::jump_cuts;
use super::known::KnownMedia;
use super::levels;
use super::on_beats::{BeatClock, PlayedSound};
use super::section::Section;
use crate::error::Error;

/// The default duration of an image in seconds; the API's default.
const IMAGE_S: f64 = 3.0;
/// The most repetitions of a looped sound; more are a mistake, such as a sound of a millisecond.
const MOST_LOOPS: usize = 1000;

/// The keys of a looped sound that concern each repetition.
const LASTING: [&str; 2] = ["duck", "loudness_lufs"];

/// The start of the next item of a track that has no time.
#[derive(Clone, Copy)]
struct Cursor {
    at: f64,
    /// Whether all items before it have a known length.
    sure: bool,
}

/// Sets the start and end of every item; a looped sound becomes one item per repetition.
///
/// Media of unknown length keep an open end: the call reports the problem. Unless `all` items are given, positions that
/// follow from other items are not sure.
pub(crate) fn lay_out(mut items: Vec<Item>, lengths: &KnownMedia, all: bool) -> Vec<Item> {
    let begin = Cursor { at: 0.0, sure: all };
    let mut cursors: HashMap<String, Cursor> = HashMap::new();
    let mut pictures = begin;
    let clock = BeatClock::new(&items, lengths, |music| {
        played(music, &items, lengths, begin)
    });
    for item in items
        .iter_mut()
        .filter(|item| item.section == Section::Visuals)
    {
        // An item that is shown for the whole video does not define its length.
        if item.is_whole() {
            continue;
        }
        let cursor = cursors.entry(item.track().to_owned()).or_insert(begin);
        *cursor = place_visual(item, *cursor, lengths, &clock);
        pictures.at = pictures.at.max(cursor.at);
        pictures.sure &= cursor.sure;
    }
    // If the only picture is shown for the whole video, the sounds define the length.
    let whole = if pictures.at > 0.0 {
        pictures
    } else {
        end_of_sounds(&items, lengths, begin)
    };
    if pictures.at <= 0.0 && items.iter().any(|item| item.section == Section::Visuals) {
        pictures = whole;
    }
    for item in &mut items {
        match item.section {
            Section::Visuals if !item.is_whole() => {}
            Section::Visuals | Section::Texts | Section::Stickers | Section::Effects => {
                let track = item.track().to_owned();
                let cursor = cursors.entry(track).or_insert(begin);
                *cursor = place_shown(item, *cursor, whole);
            }
            Section::Subtitles | Section::Audio | Section::Keyframes => {}
        }
    }
    let mut cursors: HashMap<String, Cursor> = HashMap::new();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        if item.section == Section::Audio {
            let cursor = cursors.entry(item.track().to_owned()).or_insert(begin);
            out.extend(place_audio(item, cursor, pictures, lengths));
        } else {
            out.push(item);
        }
    }
    let mut out = jump_cuts::apply(out, lengths);
    aligned::apply(&mut out, lengths);
    levels::apply(&mut out, lengths);
    ducking::apply(&mut out, &lengths.speech);
    out
}

fn place_visual(
    item: &mut Item,
    cursor: Cursor,
    lengths: &KnownMedia,
    clock: &BeatClock,
) -> Cursor {
    let is_image = item.arguments.contains_key("image_url");
    let key = if is_image { "start" } else { "target_start" };
    let given = item.number(key);
    let at = given.unwrap_or(cursor.at);
    item.follows = given.is_none();
    item.open_place = given.is_none() && !cursor.sure;
    item.arguments.insert(key.to_owned(), json!(at));
    let is_asked = ["end", "duration"]
        .iter()
        .any(|key| item.number(key).is_some() || item.extra_number(key).is_some());
    let end = if is_image {
        let end = item.number("end");
        let end = end.unwrap_or(at + item.extra_number("duration").unwrap_or(IMAGE_S));
        let end = clock
            .end(item, at, (Some(end), is_asked), None)
            .unwrap_or(end);
        item.arguments.insert("end".to_owned(), json!(end));
        Some(end)
    } else {
        let start = item.number("start").unwrap_or(0.0);
        let speed = speed(item);
        let length = lengths.get(item.source().unwrap_or_default()).map(|l| l.0);
        let shown = |end: f64| at + (end - start) / speed;
        let usual = item.ends_at(length).map(shown);
        match clock.end(item, at, (usual, is_asked), length.map(shown)) {
            Some(beat) => {
                let end = round(start + (beat - at) * speed);
                item.arguments.insert("end".to_owned(), json!(end));
                Some(beat)
            }
            None => usual,
        }
    };
    let cursor = Cursor {
        at: end.unwrap_or(at),
        sure: end.is_some() && (given.is_some() || cursor.sure),
    };
    item.span = cursor.sure.then_some((at, cursor.at));
    cursor
}

/// How a sound is played if the pictures do not end it.
fn played(
    music: &Item,
    items: &[Item],
    lengths: &KnownMedia,
    begin: Cursor,
) -> Option<PlayedSound> {
    let mut cursors: HashMap<&str, Cursor> = HashMap::new();
    for item in items.iter().filter(|item| item.section == Section::Audio) {
        let cursor = cursors.entry(item.track()).or_insert(begin);
        if item.place != music.place {
            drop(place_audio(item.clone(), cursor, begin, lengths));
            continue;
        }
        let follows = cursor.sure.then_some(cursor.at);
        let length = lengths.get(item.source().unwrap_or_default()).map(|l| l.1);
        let to = item.clone().ends_at(length);
        return Some(PlayedSound {
            at: item.number("target_start").or(follows)?,
            from: item.number("start").unwrap_or(0.0),
            to,
            speed: speed(item),
            turns: if item.is_loop() && to.is_some() {
                MOST_LOOPS
            } else {
                1
            },
        });
    }
    None
}

/// The end of the sounds that do not depend on the pictures.
fn end_of_sounds(items: &[Item], lengths: &KnownMedia, begin: Cursor) -> Cursor {
    let mut cursors: HashMap<&str, Cursor> = HashMap::new();
    let mut end = begin;
    for item in items.iter().filter(|item| item.section == Section::Audio) {
        if item.extras.contains_key("fit") || item.is_loop() {
            continue;
        }
        let cursor = cursors.entry(item.track()).or_insert(begin);
        for placed in place_audio(item.clone(), cursor, begin, lengths) {
            end.sure &= placed.span.is_some();
        }
        end.at = end.at.max(cursor.at);
    }
    end
}

/// Places a text, a sticker or an effect, or a picture that is shown for the whole video.
fn place_shown(item: &mut Item, cursor: Cursor, whole: Cursor) -> Cursor {
    let given = item.number("start");
    let is_whole = item.is_whole();
    let fits = item.number("end").is_none_or(|end| end > cursor.at);
    // The start follows from an end and a length.
    let said = item.number("end").zip(item.extra_number("duration"));
    let given = given.or_else(|| said.map(|(end, length)| (end - length).max(0.0)));
    let start = given.unwrap_or(if is_whole || !fits { 0.0 } else { cursor.at });
    item.follows = given.is_none() && !is_whole;
    // Its end is any valid one: the review of the plan reports what no length can be known of.
    let has_no_length = is_whole && item.number("end").is_none() && whole.at <= start;
    if has_no_length && !whole.sure {
        let error = Error::media(
            "the length of the whole video is unknown, as no file that sets it can be read",
        );
        item.fail("duration", &error.hint("give seconds"));
    }
    let end = match item.number("end") {
        Some(end) => end,
        None if has_no_length => start + IMAGE_S,
        None if is_whole => whole.at,
        None => {
            let usual = item.number_or_default("end").unwrap_or(IMAGE_S);
            start + item.extra_number("duration").unwrap_or(usual)
        }
    };
    let sure = (!item.follows || cursor.sure) && (!is_whole || whole.sure);
    item.open_place = !sure;
    item.arguments
        .insert("start".to_owned(), json!(round(start)));
    item.arguments.insert("end".to_owned(), json!(round(end)));
    item.span = sure.then_some((start, if has_no_length { start } else { end }));
    Cursor { at: end, sure }
}

fn speed(item: &Item) -> f64 {
    item.number("speed")
        .filter(|speed| *speed > 0.0)
        .unwrap_or(1.0)
}

fn place_audio(
    mut item: Item,
    cursor: &mut Cursor,
    pictures: Cursor,
    lengths: &KnownMedia,
) -> Vec<Item> {
    let given = item.number("target_start");
    let target = given.unwrap_or(cursor.at);
    item.follows = given.is_none();
    item.open_place = given.is_none() && !cursor.sure;
    item.arguments
        .insert("target_start".to_owned(), json!(target));
    let start = item.number("start").unwrap_or(0.0);
    let speed = speed(&item);
    let end = item.ends_at(lengths.get(item.source().unwrap_or_default()).map(|l| l.1));
    let once = end.map_or(0.0, |end| (end - start) / speed);
    let fits = item.extras.contains_key("fit") || item.is_loop();
    let sure = end.is_some() && (given.is_some() || cursor.sure) && (!fits || pictures.sure);
    *cursor = Cursor { at: target, sure };
    if once <= 0.0 {
        // Nothing to repeat or cut: the end is open, or before the start, which the check reports.
        return vec![item];
    }
    let stop = if fits && pictures.at > target {
        pictures.at
    } else {
        target + once
    };
    let turns = if item.is_loop() {
        (((stop - target) / once - 1e-6).ceil().max(1.0) as usize).min(MOST_LOOPS)
    } else {
        1
    };
    let mut out = Vec::with_capacity(turns);
    for turn in 0..turns {
        let mut turned = item.clone();
        let at = cursor.at;
        let played = once.min(stop - at);
        let arguments = &mut turned.arguments;
        arguments.insert("target_start".to_owned(), json!(round(at)));
        arguments.insert("end".to_owned(), json!(round(start + played * speed)));
        // The fades apply to the sound as a whole, not to each repetition.
        if turn > 0 {
            arguments.shift_remove("fade_in");
            turned
                .extras
                .retain(|key, _| LASTING.contains(&key.as_str()));
            turned.notes.clear();
        }
        if turn + 1 < turns {
            arguments.shift_remove("fade_out");
        }
        if turns > 1 {
            turned.path = format!("{}#{}", item.path, turn + 1);
        }
        cursor.at += played;
        turned.span = sure.then_some((at, cursor.at));
        out.push(turned);
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::compose::plan::Plan;
    use crate::compose::review::{conflicts, notes};
    use crate::compose::source::Places;

    /// The items of a plan in which `clip` is 4 s long, with a sound of 3 s, and `music` 10 s.
    pub(in crate::compose) fn laid_out(plan: Value) -> Vec<Item> {
        let plan = Plan::from_value(
            &plan,
            &Places::default(),
            &BTreeMap::new(),
            None,
            &crate::styles::Styles::default(),
        )
        .unwrap();
        let (items, faults) = plan.items();
        assert_eq!(faults, [""; 0]);
        let lengths = [("/clip", (4.0, 3.0)), ("/music", (10.0, 10.0))];
        let lengths = lengths.map(|(source, both)| (source.to_owned(), both));
        let known = KnownMedia {
            lengths: HashMap::from(lengths),
            ..KnownMedia::default()
        };
        lay_out(items, &known, true)
    }

    fn spans(items: &[Item]) -> Vec<(&str, Option<(f64, f64)>)> {
        items
            .iter()
            .map(|item| (item.path.as_str(), item.span))
            .collect()
    }

    #[test]
    fn items_without_a_time_follow_the_previous_item_on_their_track() {
        let items = laid_out(json!({ "visuals": [
            { "video_url": "/clip" },
            { "image_url": "/a.png" },
            { "video_url": "/clip", "start": 1, "duration": 2, "speed": 2 },
            { "image_url": "/a.png", "track_name": "over", "duration": 1.5 },
            { "image_url": "/a.png", "start": 20, "end": 21 },
            { "video_url": "/clip", "end": 9 },
            { "image_url": "/a.png", "track_name": "over" },
        ]}));
        let expected = [
            (0.0, 4.0),
            (4.0, 7.0),
            (7.0, 8.0),
            (0.0, 1.5),
            (20.0, 21.0),
            (21.0, 25.0),
            (1.5, 4.5),
        ];
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(found, expected);
        assert_eq!(items[2].arguments["end"], 3.0, "a second from 1 to 3");
    }

    #[test]
    fn texts_stickers_and_effects_without_a_time_follow_each_other() {
        let items = laid_out(json!({
            "texts": [
                { "text": "a" },
                { "text": "b", "duration": 2 },
                { "text": "c", "start": 20 },
                { "text": "d", "end": 30 },
                { "text": "e", "track_name": "other", "duration": 1 },
                { "text": "f", "end": 3, "track_name": "other" },
                { "text": "g", "end": 0.5, "track_name": "third" },
            ],
            "stickers": [{ "sticker_id": "1", "duration": 1.5 }, { "sticker_id": "2", "end": 4 }],
            "effects": [{ "effect_type": "x", "duration": 1 }, { "effect_type": "y" }],
        }));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        let expected = [
            (0.0, 5.0),
            (5.0, 7.0),
            (20.0, 25.0),
            (25.0, 30.0),
            (0.0, 1.0),
            (1.0, 3.0),
            (0.0, 0.5),
            (0.0, 1.5),
            (1.5, 4.0),
            (0.0, 1.0),
            (1.0, 4.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(items[1].arguments["start"], 5.0);
        let items = laid_out(json!({ "texts": [
            { "text": "a", "at": "0:01", "duration": "1500ms" },
            { "text": "b", "duration": "0:02" },
            { "text": "c", "end": 9, "duration": 2 },
            { "text": "d", "start": 9, "end": 10, "duration": 1 },
            { "text": "e", "duration": "" },
        ]}));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(
            found,
            [
                (1.0, 2.5),
                (2.5, 4.5),
                (7.0, 9.0),
                (9.0, 10.0),
                (10.0, 15.0)
            ]
        );
        assert_eq!(conflicts(&items), [""; 0]);
    }

    #[test]
    fn items_accept_the_names_for_times_that_calls_accept() {
        let items = laid_out(json!({ "visuals": [
            { "video_url": "/clip", "source_start": 1, "source_end": 3 },
            { "image_url": "/a.png", "at": 5, "duration": 1 },
            { "video_url": "/clip", "at": 8, "source_start": "1s", "duration": 2 },
        ]}));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(found, [(0.0, 2.0), (5.0, 6.0), (8.0, 10.0)]);
    }

    #[test]
    fn items_shown_for_the_whole_video_end_with_the_pictures() {
        let items = laid_out(json!({
            "visuals": [{ "video_url": "/clip" }, { "image_url": "/a.png", "duration": 6 },
                { "image_url": "/b.png", "track_name": "mark", "duration": "whole" }],
            "texts": [{ "text": "a", "duration": "Whole" }, { "text": "b", "start": 2, "duration": "whole", "track_name": "t" }],
            "stickers": [{ "sticker_id": "1", "duration": "whole" }],
            "effects": [{ "effect_type": "x", "duration": "whole" }],
        }));
        let found: Vec<_> = items[2..].iter().filter_map(|item| item.span).collect();
        assert_eq!(
            found,
            [
                (0.0, 10.0),
                (0.0, 10.0),
                (2.0, 10.0),
                (0.0, 10.0),
                (0.0, 10.0)
            ]
        );
        // One picture for a whole song.
        let items = laid_out(json!({
            "audio": [{ "audio_url": "/music" }, { "audio_url": "/clip", "loop": true, "track_name": "b" }],
            "visuals": [{ "image_url": "/a.png", "duration": "whole" }],
        }));
        assert_eq!(items.last().unwrap().span, Some((0.0, 10.0)));
        assert_eq!(
            items[4].span,
            Some((9.0, 10.0)),
            "the loop ends with the picture"
        );
        assert_eq!(notes(&items), [""; 0]);
        for alone in [
            json!({ "texts": [{ "text": "a", "duration": "whole" }] }),
            json!({ "visuals": [{ "image_url": "/a.png", "duration": "whole" }] }),
            json!({
                "visuals": [{ "image_url": "/a.png", "duration": "whole" }],
                "audio": [{ "audio_url": "/music", "loop": true }],
            }),
        ] {
            let found = conflicts(&laid_out(alone));
            assert!(
                matches!(found.as_slice(), [only] if only.contains("no picture or sound of the plan sets the length")),
                "{found:?}"
            );
        }
        let late = json!({ "image_url": "/a.png", "duration": "whole", "start": 12 });
        let found = conflicts(&laid_out(
            json!({ "visuals": [late], "audio": [{ "audio_url": "/music" }] }),
        ));
        assert!(found[0].contains("ends at 12 s or before"), "{found:?}");
    }

    #[test]
    fn sounds_fit_the_pictures_and_are_repeated_until_their_end() {
        let items = laid_out(json!({
            "visuals": [{ "image_url": "/a.png", "duration": 7 }],
            "audio": [
                { "audio_url": "/music", "fit": "video", "track_name": "a" },
                { "audio_url": "/clip", "loop": true, "fade_in": 1, "fade_out": 0.5, "track_name": "b", "id": "voice" },
                { "audio_url": "/clip", "duration": 1, "track_name": "c", "target_start": 2 },
                { "audio_url": "/clip", "track_name": "c" },
            ],
            "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx", "align_to": "voice", "time_offset": 0.25 }],
        }));
        let found = spans(&items);
        assert_eq!(
            found[..6],
            [
                ("audio[0]", Some((0.0, 7.0))),
                ("audio[1]#1", Some((0.0, 3.0))),
                ("audio[1]#2", Some((3.0, 6.0))),
                ("audio[1]#3", Some((6.0, 7.0))),
                ("audio[2]", Some((2.0, 3.0))),
                ("audio[3]", Some((3.0, 6.0))),
            ]
        );
        let faded = |index: usize| {
            let arguments = &items[index].arguments;
            (
                arguments.contains_key("fade_in"),
                arguments.contains_key("fade_out"),
            )
        };
        assert_eq!(
            [faded(1), faded(2), faded(3)],
            [(true, false), (false, false), (false, true)]
        );
        // They belong to each repetition.
        let subtitles = items.last().unwrap();
        assert_eq!(subtitles.arguments["time_offset"], 0.25);
        let heard = subtitles.arguments["heard"].as_array().unwrap();
        assert_eq!(heard.len(), 3);
        assert_eq!(heard[2], json!({ "from": 0.0, "to": 1.0, "at": 6.0 }));
    }

    #[test]
    fn after_an_unknown_length_positions_are_open_until_a_time_is_given() {
        let items = laid_out(json!({
            "visuals": [
                { "video_url": "/unknown" },
                { "image_url": "/a.png" },
                { "image_url": "/a.png", "start": 5, "end": 6 },
            ],
            "audio": [{ "audio_url": "/music", "fit": "video" }],
        }));
        let found: Vec<_> = items.iter().map(|item| item.span).collect();
        assert_eq!(found, [None, None, None, Some((5.0, 6.0))]);
        assert_eq!(conflicts(&items), [""; 0]);
    }
}
