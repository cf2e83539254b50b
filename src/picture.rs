//! A picture of the timeline: tracks, clips with names and times, transitions, keyframes, captions.
//!
//! It is drawn from the document that `query_script` returns, so drafts on a server and drafts of this program
//! look the same. The picture is a list of shapes ([`shapes`]), which becomes SVG or, in [`png`], pixels.

pub(crate) mod outline;
pub(crate) mod png;
pub(crate) mod shapes;

use std::cmp::Reverse;
use std::fmt::Write;
use std::ops::Range;

use capcut_draft::{ClipRef, Document, Field, MaterialRef, RootRef, TextContent, TrackRef, field};

use self::shapes::{ShapeList, TextShape, ThemeColours, TimelineShape, TimelineTheme};
use crate::sorting;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 62.0;
const ROW: f64 = 46.0;
const CLIP: f64 = 38.0;

/// Of words on clips, and of their times.
const WORDS: u32 = 0xFF_FF_FF;
const TIMES: u32 = 0xDF_E5_EE;
const KEYFRAME: u32 = 0xFF_D1_66;

/// A drawn timeline.
#[derive(Debug)]
pub(crate) struct TimelinePicture {
    pub shapes: ShapeList,
    pub tracks: usize,
    /// The number of clips that are drawn.
    pub clips: usize,
    /// The length of the draft in seconds.
    pub duration_s: f64,
}

/// Draws the document, or the part of it within `window` (seconds).
pub(crate) fn draw(
    title: &str,
    document: &Document,
    window: Option<Range<f64>>,
    theme: TimelineTheme,
) -> TimelinePicture {
    let tracks = tracks(document);
    let duration = document.value(RootRef, &field::root::DURATION);
    let clips = tracks.iter().flat_map(|track| document.clips(*track));
    let end = clips.map(|clip| document.target(clip).end()).max();
    let duration_s = seconds(end.unwrap_or_default().max(duration));
    let window = window.unwrap_or(0.0..duration_s.max(0.001));
    let height = TOP + ROW * tracks.len().max(1) as f64 + 16.0;
    let colours = theme.colours();
    let mut drawing = Drawing {
        shapes: vec![TimelineShape::Rect {
            left: 0.0,
            top: 0.0,
            width: WIDTH,
            height,
            radius: 0.0,
            fill: colours.background,
            border: None,
        }],
        colours,
        scale: (WIDTH - LEFT - RIGHT) / (window.end - window.start),
        window,
        document,
    };
    let head = format!(
        "{title} · {}×{} · {}",
        document.value(RootRef, &field::root::CANVAS_WIDTH),
        document.value(RootRef, &field::root::CANVAS_HEIGHT),
        clock(duration_s)
    );
    let title = drawing.words((14.0, 24.0), colours.bright, 15.0, &head, WIDTH - 28.0);
    drawing.shapes.push(title);
    drawing.ruler(height);
    let mut clips = 0;
    for (row, track) in tracks.iter().enumerate() {
        clips += drawing.track(*track, TOP + ROW * row as f64);
    }
    if tracks.is_empty() {
        let nothing = "nothing on the timeline yet";
        let at = (LEFT, TOP + 26.0);
        let nothing = drawing.words(at, colours.pale, 13.0, nothing, WIDTH - LEFT);
        drawing.shapes.push(nothing);
    }
    TimelinePicture {
        shapes: ShapeList {
            width: WIDTH,
            height,
            shapes: drawing.shapes,
        },
        tracks: tracks.len(),
        clips,
        duration_s,
    }
}

/// The tracks that are not empty: topmost video first, as in the app, sound last.
fn tracks(document: &Document) -> Vec<TrackRef> {
    let mut tracks = document.tracks();
    tracks.retain(|track| document.clips(*track).len() > 0);
    tracks.reverse();
    sorting::sort_by_key(&mut tracks, |track| {
        let clips = document.clips(*track);
        let heights = clips.filter_map(|clip| document.get(clip, &field::clip::RENDER_INDEX));
        let kind = document.value(*track, &field::track::KIND);
        (kind == "audio", Reverse(heights.max()))
    });
    tracks
}

/// What a clip shows or plays, for people.
fn label(document: &Document, clip: ClipRef) -> Option<String> {
    use field::material::{MATERIAL_NAME, NAME, PATH, REMOTE_URL, RESOURCE_ID, STICKER_ID};
    type Name = Field<MaterialRef, String>;
    const FILE: &[Name] = &[REMOTE_URL, MATERIAL_NAME, NAME, PATH];
    const ITEM: &[Name] = &[NAME, STICKER_ID, RESOURCE_ID];
    let material = document.main_material(clip)?;
    let names = match document.list_name(material) {
        "videos" | "audios" => FILE,
        "stickers" | "video_effects" | "effects" => ITEM,
        "texts" => {
            let content = document.value(material, &field::material::CONTENT);
            let content = TextContent::read(&content);
            let words = content.words();
            return Some(words.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        _ => return None,
    };
    names
        .iter()
        .filter_map(|name| document.get(material, name))
        .find_map(|name| last_part(&name))
}

/// The file name of a path or URL, without the query, which may contain a secret.
fn last_part(text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next()?;
    let name = text.rsplit(['/', '\\']).find(|part| !part.is_empty())?;
    Some(name.to_owned())
}

struct Drawing<'d> {
    document: &'d Document,
    shapes: Vec<TimelineShape>,
    colours: ThemeColours,
    /// Pixels per second.
    scale: f64,
    /// The range that is drawn, in seconds.
    window: Range<f64>,
}

impl Drawing<'_> {
    /// Start and end of a clip, in seconds.
    fn times(&self, clip: ClipRef) -> (f64, f64) {
        let target = self.document.target(clip);
        (seconds(target.start), seconds(target.end()))
    }

    /// The horizontal position of a time, in pixels.
    fn x(&self, second: f64) -> f64 {
        let second = second.clamp(self.window.start, self.window.end);
        LEFT + (second - self.window.start) * self.scale
    }

    /// Draws a track and returns the number of its visible clips.
    fn track(&mut self, track: TrackRef, y: f64) -> usize {
        let kind = self.document.get(track, &field::track::KIND);
        let kind = kind.as_deref().unwrap_or("?");
        let name = self.document.value(track, &field::track::NAME);
        let name = if name.is_empty() { kind } else { &name };
        let room = LEFT - 24.0;
        let name = self.words((14.0, y + 18.0), self.colours.bright, 12.0, name, room);
        let kind_shown = self.words((14.0, y + 33.0), self.colours.pale, 10.0, kind, room);
        self.shapes.extend([name, kind_shown]);
        let mut seen: Vec<ClipRef> = self.document.clips(track).collect();
        seen.retain(|clip| {
            let (start, end) = self.times(*clip);
            start < self.window.end && end > self.window.start || start == end
        });
        sorting::sort_by_key(&mut seen, |clip| self.document.target(*clip).start);
        let marks: Vec<Mark> = seen.iter().filter_map(|clip| self.mark(*clip)).collect();
        for clip in &seen {
            self.clip(kind, *clip, y, &marks);
        }
        // After all clips, as each mark overlaps the start of the next clip.
        for mark in &marks {
            self.transition(mark, y);
        }
        seen.len()
    }

    fn clip(&mut self, kind: &str, clip: ClipRef, y: f64, marks: &[Mark]) {
        let (start, end) = self.times(clip);
        let x = self.x(start);
        let width = (self.x(end) - x).max(2.0);
        // Text is placed between the transition marks.
        let free = free(x..x + width, marks);
        let label = label(self.document, clip).unwrap_or_else(|| "?".to_owned());
        let times = format!("{} – {}", clock(start), clock(end));
        let mut shapes = vec![TimelineShape::Rect {
            left: x,
            top: y,
            width,
            height: CLIP,
            radius: 5.0,
            fill: colour(kind),
            border: Some(self.colours.border),
        }];
        let room = free.end - free.start;
        let left = free.start + 6.0;
        if room > 22.0 {
            shapes.push(self.words((left, y + 16.0), WORDS, 12.0, &label, room - 10.0));
        }
        if room > 80.0 {
            shapes.push(self.words((left, y + 31.0), TIMES, 10.0, &times, room - 10.0));
        }
        for list in self.document.keyframes(clip) {
            for point in list.points {
                let at = start + seconds(point.offset);
                if self.window.contains(&at) {
                    let (x, y) = (self.x(at.min(end)), y + CLIP - 9.0);
                    shapes.push(TimelineShape::Polygon {
                        corners: vec![(x, y), (x + 4.0, y + 4.0), (x, y + 8.0), (x - 4.0, y + 4.0)],
                        fill: KEYFRAME,
                        opacity: 1.0,
                    });
                }
            }
        }
        self.shapes.push(TimelineShape::Group {
            title: format!("{label} · {times}"),
            shapes,
        });
    }

    /// The transition at the end of a clip.
    fn mark(&self, clip: ClipRef) -> Option<Mark> {
        let transition = self.document.companion(clip, &["transitions"])?;
        let name = self.document.get(transition, &field::material::NAME);
        let length = seconds(self.document.value(transition, &field::material::DURATION));
        let (start, end) = self.times(clip);
        if !(self.window.start..=self.window.end).contains(&end) {
            return None;
        }
        let middle = self.x(end);
        let half = (length * self.scale / 2.0).max(5.0);
        Some(Mark {
            name: name.unwrap_or_else(|| "transition".to_owned()),
            length,
            left: middle - half,
            right: middle + half,
            clip: self.x(start),
        })
    }

    fn transition(&mut self, mark: &Mark, y: f64) {
        let Mark {
            name,
            length,
            left,
            right,
            clip,
        } = mark;
        let low = y + CLIP;
        self.shapes.push(TimelineShape::Group {
            title: format!("{name}, {length} s"),
            shapes: vec![TimelineShape::Polygon {
                corners: vec![(*left, y), (*right, low), (*right, y), (*left, low)],
                fill: WORDS,
                opacity: 0.55,
            }],
        });
        let room = left - clip - 96.0;
        if room > 30.0 {
            self.shapes.push(TimelineShape::Text(TextShape {
                at: (left - 4.0, y + 31.0),
                is_right_aligned: true,
                colour: WORDS,
                size: 10.0,
                words: fit(name, room, 10.0),
                room,
            }));
        }
    }

    fn ruler(&mut self, height: f64) {
        let step = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
            3600.0,
        ]
        .into_iter()
        .find(|step| step * self.scale >= 70.0)
        .unwrap_or(7200.0);
        let first = (self.window.start / step).ceil() as usize;
        for mark in first..first + 200 {
            let at_time = mark as f64 * step;
            if at_time > self.window.end {
                break;
            }
            let x = self.x(at_time);
            self.shapes.push(TimelineShape::Line {
                x,
                top: 50.0,
                bottom: height - 8.0,
                colour: self.colours.grid,
            });
            if x < WIDTH - 40.0 {
                let at = (x + 3.0, 48.0);
                let time = self.words(at, self.colours.pale, 10.0, &clock(at_time), 70.0);
                self.shapes.push(time);
            }
        }
    }

    /// A line of words that is cut to the room.
    fn words(
        &self,
        at: (f64, f64),
        colour: u32,
        size: f64,
        words: &str,
        room: f64,
    ) -> TimelineShape {
        TimelineShape::Text(TextShape {
            at,
            is_right_aligned: false,
            colour,
            size,
            words: fit(words, room, size),
            room,
        })
    }
}

/// A transition mark; positions in pixels from the left.
struct Mark {
    name: String,
    /// In seconds.
    length: f64,
    left: f64,
    right: f64,
    /// The start of the clip that it belongs to.
    clip: f64,
}

/// The part of a clip that the marks leave free for text.
fn free(clip: Range<f64>, marks: &[Mark]) -> Range<f64> {
    let middle = |mark: &Mark| f64::midpoint(mark.left, mark.right);
    let mut free = clip.clone();
    for mark in marks {
        if mark.left >= clip.end || mark.right <= clip.start {
            continue;
        }
        if middle(mark) < f64::midpoint(clip.start, clip.end) {
            free.start = free.start.max(mark.right);
        } else {
            free.end = free.end.min(mark.left);
        }
    }
    free
}

fn colour(kind: &str) -> u32 {
    match kind {
        "video" => 0x2F_6F_ED,
        "audio" => 0x1F_9D_6B,
        "text" => 0xB4_57_2F,
        "sticker" => 0x8A_4F_D0,
        "effect" => 0xB0_3A_7C,
        "filter" | "adjust" => 0x6B_72_80,
        _ => 0x4B_55_63,
    }
}

/// Cuts the text to `width` pixels; characters of wide scripts are one em wide.
fn fit(words: &str, width: f64, size: f64) -> String {
    let of = |character: char| match character as u32 {
        ..0x1100 => size * 0.6,
        _ => size,
    };
    if words.chars().map(of).sum::<f64>() <= width {
        return words.to_owned();
    }
    let mut left = width - size;
    let fits = words.chars().take_while(|character| {
        left -= of(*character);
        left >= 0.0
    });
    let mut out: String = fits.collect();
    out.push('…');
    out
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// `0:03.5`, `1:02:00`.
fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as i64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut out = if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    };
    if tenth > 0 {
        let _ = write!(out, ".{tenth}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn draw(title: &str, script: &Value, window: Option<Range<f64>>) -> TimelinePicture {
        super::draw(title, &document(script), window, TimelineTheme::Light)
    }

    fn svg(picture: &TimelinePicture) -> String {
        picture.shapes.svg()
    }

    fn document(script: &Value) -> Document {
        Document::parse_object(script.to_string()).unwrap()
    }

    #[test]
    fn clips_are_drawn_with_their_name_and_times() {
        let script = json!({
        "canvas_config": {"width": 1080, "height": 1920}, "duration": 6_000_000,
        "materials": {
            "videos": [{"id": "m", "remote_url": "https://x/a%20b.mp4?token=1"}],
            "texts": [{"id": "t", "content": "{\"text\": \"你好 <世界> & more\"}"}],
            "transitions": [{"id": "x", "name": "Dissolve", "duration": 500_000}],
        },
        "tracks": [
            {"type": "video", "name": "video", "segments": []},
            {"type": "video", "name": "video_main", "segments": [
                {"material_id": "m", "target_timerange": {"start": 0, "duration": 6_000_000},
                 "extra_material_refs": ["x"],
                 "common_keyframes": [{"keyframe_list": [{"time_offset": 1_000_000}]}]}]},
            {"type": "text", "name": "text_main", "segments": [
                {"material_id": "t", "target_timerange": {"start": 1_500_000, "duration": 2_000_000}}]},
        ]});
        let picture = draw("Test", &script, None);
        assert_eq!(
            (picture.tracks, picture.clips, picture.duration_s),
            (2, 2, 6.0)
        );
        for part in [
            "a%20b.mp4",
            "你好 &lt;世界&gt; &amp; more",
            "0:01.5 – 0:03.5",
            "Dissolve, 0.5 s",
            "#ffd166",
        ] {
            assert!(svg(&picture).contains(part), "{part} in {}", svg(&picture));
        }
        assert!(!svg(&picture).contains("token"));
    }

    #[test]
    fn transition_marks_cover_no_text() {
        let clip = |material: &str, start: i64, transition: &str| {
            json!({"material_id": material, "extra_material_refs": [transition],
                "target_timerange": {"start": start * 1_000_000, "duration": 3_000_000}})
        };
        for length in [200_000, 1_000_000, 2_500_000] {
            let script = json!({
                "materials": {
                    "videos": [{"id": "a", "path": "first-long-name-of-a-clip.mp4"}, {"id": "b", "path": "second-long-name-of-a-clip.mp4"}],
                    "transitions": [{"id": "x", "name": "Dissolve", "duration": length}]},
                "tracks": [{"type": "video", "segments": [
                    clip("a", 0, "x"), clip("b", 3, "x"), clip("a", 6, "")]}]});
            let svg = svg(&draw("Test", &script, None));
            let number = |text: &str| text.parse::<f64>().expect("a number");
            let marks: Vec<Range<f64>> = svg
                .match_indices("<path d=\"M")
                .filter_map(|(at, _)| {
                    let path = svg[at..].split('>').next()?;
                    let mut corners = path.strip_prefix("<path d=\"M")?.split('L');
                    let left = corners.next()?.split(' ').next()?;
                    let right = corners.next()?.split(' ').next()?;
                    path.contains("0.55").then(|| number(left)..number(right))
                })
                .collect();
            assert_eq!(marks.len(), 2, "{svg}");
            let mut checked = 0;
            for text in svg.split("<text x=\"").skip(1) {
                let (x, rest) = text.split_once('"').expect("a position");
                let words = rest.split_once('>').expect("words").1;
                let words = words.split('<').next().expect("words");
                if !words.contains("-long") && !words.contains(" – ") {
                    continue;
                }
                let size = if words.contains(" – ") { 10.0 } else { 12.0 };
                let place = number(x)..number(x) + words.chars().count() as f64 * size * 0.6;
                for mark in &marks {
                    assert!(
                        place.end <= mark.start || place.start >= mark.end,
                        "{words} {place:?} {mark:?}"
                    );
                }
                checked += 1;
            }
            assert!(checked >= 2, "{svg}");
        }
    }

    #[test]
    fn a_window_is_enlarged_and_shows_only_its_clips() {
        let clip = |start: i64| json!({"target_timerange": {"start": start * 1_000_000, "duration": 2_000_000}});
        let script = json!({"tracks": [
            {"type": "text", "segments": (0..50).map(|n| clip(2 * n)).collect::<Vec<_>>()}]});
        assert_eq!(draw("x", &script, None).clips, 50);
        let part = draw("x", &script, Some(20.0..30.0));
        assert_eq!((part.clips, part.duration_s), (5, 100.0));
        let svg = svg(&part);
        assert!(svg.contains("0:20 – 0:22</text>") && !svg.contains("0:30 –"));
    }

    #[test]
    fn tracks_are_listed_from_top_to_bottom_with_sound_last() {
        let track = |kind: &str, name: &str, render_index: i64| {
            let target = json!({"start": 0, "duration": 1_000_000});
            json!({"type": kind, "name": name, "segments": [{"target_timerange": target, "render_index": render_index}]})
        };
        let script = json!({"tracks": [
            track("audio", "music", 0), track("text", "title", 15_000), track("video", "main", 0), track("video", "over", 1)]});
        let document = document(&script);
        let names: Vec<_> = tracks(&document)
            .into_iter()
            .map(|track| document.value(track, &field::track::NAME))
            .collect();
        assert_eq!(names, ["title", "over", "main", "music"]);
    }

    #[test]
    fn characters_not_allowed_in_xml_become_spaces() {
        let odd = "a\u{fffe}b\u{ffff}c\u{0}d\u{1b}e\u{85}f\u{1fffe}";
        let segment = json!({ "material_id": "m", "target_timerange": { "start": 0, "duration": 9_000_000 } });
        let draft = json!({
            "tracks": [{ "type": "text", "name": odd, "segments": [segment] }],
            "materials": { "texts": [{ "id": "m", "content": json!({ "text": odd }).to_string() }] },
        });
        let svg = svg(&draw(odd, &draft, None));
        let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(svg.chars().all(is_allowed), "{svg:?}");
        assert!(svg.contains("a b c d e f\u{1fffe}"), "{svg}");
    }

    #[test]
    fn light_and_dark_pictures_differ_in_colours_only() {
        let script = json!({"tracks": [{"type": "video", "segments": [
            {"target_timerange": {"start": 0, "duration": 2_000_000}}]}]});
        let [light, dark] = [TimelineTheme::Light, TimelineTheme::Dark].map(|theme| {
            super::draw("x", &document(&script), None, theme)
                .shapes
                .svg()
        });
        assert!(light.contains("#ffffff") && dark.contains("#16181d"));
        let shapes = |svg: &str| {
            let colours = |part: &str| part.get(6..).unwrap_or_default().to_owned();
            svg.split('#').map(colours).collect::<Vec<_>>()
        };
        assert_ne!(light, dark);
        assert_eq!(shapes(&light)[1..], shapes(&dark)[1..]);
    }

    #[test]
    fn empty_drafts_and_invalid_values_are_drawn() {
        let empty = draw("x", &json!({}), None);
        assert!(svg(&empty).contains("nothing on the timeline"));
        let odd = json!({"tracks": [{"segments": [{"target_timerange": {"start": "a"}}]}]});
        assert_eq!(draw("x", &odd, None).clips, 1);
    }
}
