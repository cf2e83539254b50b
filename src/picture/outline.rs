//! The tracks and clips of a draft in few characters, for a page that shows the timeline.

use capcut_draft::{Document, RootRef, TrackRef, field};
use serde::Serialize;

use super::{label, seconds, tracks};
use crate::sorting;

/// The longest outline in JSON, in characters.
pub(crate) const MOST: usize = 16_000;
/// How many tracks are listed.
const TRACKS: usize = 40;
/// The longest name of a track, in characters.
const NAME: usize = 40;
/// The longest labels of clips, in characters; of these, the longest with which all clips fit.
const LABELS: [usize; 3] = [32, 12, 0];

/// Tracks and clips, in at most [`MOST`] characters.
#[derive(Debug, Serialize)]
pub(crate) struct TimelineOutline {
    /// Of the canvas, in pixels.
    width: i64,
    height: i64,
    /// Seconds.
    duration: f64,
    /// Topmost first, sound last.
    tracks: Vec<TrackOutline>,
    /// The number of clips that are not listed.
    left_out: usize,
}

#[derive(Debug, Serialize)]
struct TrackOutline {
    kind: String,
    name: String,
    /// In the order of time.
    clips: Vec<ClipOutline>,
    /// The number of its later clips, which are not listed.
    more: usize,
}

/// Start and end in seconds, and what it shows or plays.
#[derive(Debug, Serialize)]
struct ClipOutline(
    f64,
    f64,
    #[serde(skip_serializing_if = "String::is_empty")] String,
);

/// The outline of a document. If it is too long, the labels of clips are shortened, then left out, and then the last clips of each track.
pub(crate) fn outline(document: &Document) -> TimelineOutline {
    let tracks = tracks(document);
    for label in LABELS {
        let made = TimelineOutline::new(document, &tracks, label, 1.0);
        if made.fits() {
            return made;
        }
    }
    let mut part = 1.0;
    loop {
        part *= 0.8;
        let made = TimelineOutline::new(document, &tracks, 0, part);
        if made.fits() || part < 1e-6 {
            return made;
        }
    }
}

impl TimelineOutline {
    /// With labels of at most `label` characters, and this part of the clips of each track.
    fn new(document: &Document, tracks: &[TrackRef], label: usize, part: f64) -> Self {
        let all = || tracks.iter().flat_map(|track| document.clips(*track));
        let end = all().map(|clip| document.target(clip).end()).max();
        let listed = tracks.iter().take(TRACKS);
        let listed: Vec<_> = listed
            .map(|track| TrackOutline::new(document, *track, label, part))
            .collect();
        let shown: usize = listed.iter().map(|track| track.clips.len()).sum();
        Self {
            width: document.value(RootRef, &field::root::CANVAS_WIDTH),
            height: document.value(RootRef, &field::root::CANVAS_HEIGHT),
            duration: seconds(
                end.unwrap_or_default()
                    .max(document.value(RootRef, &field::root::DURATION)),
            ),
            tracks: listed,
            left_out: all().count() - shown,
        }
    }

    /// The length in JSON.
    pub(crate) fn characters(&self) -> usize {
        let text = serde_json::to_string(self).unwrap_or_default();
        text.chars().count()
    }

    fn fits(&self) -> bool {
        self.characters() <= MOST
    }
}

impl TrackOutline {
    fn new(document: &Document, track: TrackRef, label_length: usize, part: f64) -> Self {
        let mut clips: Vec<_> = document.clips(track).collect();
        sorting::sort_by_key(&mut clips, |clip| document.target(*clip).start);
        let all = clips.len();
        clips.truncate((all as f64 * part).ceil() as usize);
        let kind = document.get(track, &field::track::KIND);
        Self {
            kind: cut(&kind.unwrap_or_default(), NAME),
            name: cut(&document.value(track, &field::track::NAME), NAME),
            more: all - clips.len(),
            clips: clips
                .into_iter()
                .map(|clip| {
                    let target = document.target(clip);
                    let label = label(document, clip).filter(|_| label_length > 0);
                    ClipOutline(
                        rounded(target.start),
                        rounded(target.end()),
                        cut(&label.unwrap_or_default(), label_length),
                    )
                })
                .collect(),
        }
    }
}

/// Seconds with two decimals.
fn rounded(micros: i64) -> f64 {
    (seconds(micros) * 100.0).round() / 100.0
}

/// A text of at most `length` characters.
fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept = text.chars().take(length.saturating_sub(1));
    kept.chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(words: &str) -> Value {
        json!({ "id": words, "content": json!({ "text": words }).to_string() })
    }

    fn clip(material: &str, start: usize) -> Value {
        json!({ "material_id": material,
            "target_timerange": { "start": start * 1_000_000, "duration": 900_000 } })
    }

    fn outlined(script: &Value) -> Value {
        let document = Document::parse_object(script.to_string()).unwrap();
        let made = outline(&document);
        assert!(made.fits());
        serde_json::to_value(made).unwrap()
    }

    #[test]
    fn tracks_and_clips_are_listed_with_times_and_labels() {
        let made = outlined(&json!({
            "canvas_config": { "width": 1080, "height": 1920 }, "duration": 4_000_000,
            "materials": { "texts": [text("你好"), text(&"long ".repeat(20))] },
            "tracks": [
                { "type": "audio", "name": "music", "segments": [clip("?", 0)] },
                { "type": "text", "name": "", "segments": [clip(&"long ".repeat(20), 3), clip("你好", 1)] },
            ],
        }));
        assert_eq!(
            made,
            json!({ "width": 1080, "height": 1920, "duration": 4.0, "left_out": 0, "tracks": [
                { "kind": "text", "name": "", "more": 0, "clips": [
                    [1.0, 1.9, "你好"], [3.0, 3.9, "long long long long long long l…"]] },
                { "kind": "audio", "name": "music", "more": 0, "clips": [[0.0, 0.9]] },
            ] })
        );
    }

    #[test]
    fn many_clips_lose_their_labels_and_more_are_counted() {
        let words = "你好世界 ".repeat(8);
        let of = |clips: usize, tracks: usize| {
            let segments: Vec<Value> = (0..clips).map(|n| clip(&words, 1_000 + n)).collect();
            let track = json!({ "type": "text", "name": words.repeat(9), "segments": segments });
            outlined(
                &json!({ "materials": { "texts": [text(&words)] }, "tracks": vec![track; tracks] }),
            )
        };
        let count = |made: &Value| -> usize {
            let tracks = made["tracks"].as_array().unwrap().iter();
            tracks
                .map(|track| track["clips"].as_array().unwrap().len())
                .sum()
        };
        let few = of(100, 1);
        assert_eq!((count(&few), &few["left_out"]), (100, &json!(0)));
        assert_eq!(few["tracks"][0]["clips"][99].as_array().unwrap().len(), 3);
        let many = of(900, 1);
        assert_eq!((count(&many), &many["left_out"]), (900, &json!(0)));
        assert_eq!(many["tracks"][0]["clips"][0], json!([1000.0, 1000.9]));
        for (clips, tracks) in [(20_000, 1), (500, 30), (1, 1_000), (30, 900)] {
            let made = of(clips, tracks);
            let shown = count(&made);
            assert!(shown >= tracks.min(TRACKS), "{clips} × {tracks}: {shown}");
            assert_eq!(made["left_out"], json!(clips * tracks - shown));
            let more = made["tracks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|track| track["more"].as_u64().unwrap());
            let unlisted = tracks.saturating_sub(TRACKS) * clips;
            assert_eq!(
                more.sum::<u64>() as usize + unlisted,
                clips * tracks - shown
            );
        }
    }
}
