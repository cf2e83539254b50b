//! What an edit leaves in a draft's document, so that it can be told afterwards whether it was applied.

use serde_json::Value;

use crate::engine::subtitle;
use crate::tools::Object;
use crate::units::Micros;

/// The places that a call fills: on one track nothing can overlap, so a place tells the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Evidence {
    track: String,
    /// Microseconds.
    starts: Vec<i64>,
    /// The `remote_url` of its material, if it has one.
    source: Option<String>,
}

/// What is found in a document of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// So many times, whole.
    Times(usize),
    /// Some of it.
    Part,
}

/// How the API's calls name the track, its default, the start, and the source.
struct Shape {
    path: &'static str,
    track: &'static str,
    start: &'static str,
    source: Option<&'static str>,
}

const SHAPES: [Shape; 6] = [
    Shape {
        path: "/add_video",
        track: "video_main",
        start: "target_start",
        source: Some("video_url"),
    },
    Shape {
        path: "/add_audio",
        track: "audio_main",
        start: "target_start",
        source: Some("audio_url"),
    },
    Shape {
        path: "/add_image",
        track: "image_main",
        start: "start",
        source: Some("image_url"),
    },
    Shape {
        path: "/add_text",
        track: "text_main",
        start: "start",
        source: None,
    },
    Shape {
        path: "/add_sticker",
        track: "sticker_main",
        start: "start",
        source: None,
    },
    Shape {
        path: "/add_effect",
        track: "effect_01",
        start: "start",
        source: None,
    },
];

impl Evidence {
    /// What the call with this body leaves; `None` where that cannot be told, as of keyframes, which
    /// are not seen before a refresh.
    pub(crate) fn of(path: &str, body: &Object) -> Option<Self> {
        if path == "/add_subtitle" {
            return Self::of_captions(body);
        }
        let shape = SHAPES.iter().find(|shape| shape.path == path)?;
        let source = match shape.source {
            Some(key) => Some(body.get(key)?.as_str()?.to_owned()),
            None => None,
        };
        Some(Self {
            track: track(body, shape.track)?,
            starts: vec![Micros::from_seconds(number(body, shape.start)?).0],
            source,
        })
    }

    fn of_captions(body: &Object) -> Option<Self> {
        let srt = body.get("srt")?.as_str()?;
        // An address or a path on the server's machine: what it holds is not known here.
        if !srt.contains("-->") {
            return None;
        }
        let offset = Micros::from_seconds_truncated(number(body, "time_offset")?);
        let cues = subtitle::parse_as_api(&subtitle::inline(srt)).ok()?;
        let starts: Vec<i64> = cues
            .iter()
            .map(|cue| (cue.range.start + offset).0)
            .collect();
        if starts.is_empty() {
            return None;
        }
        Some(Self {
            track: track(body, "subtitle")?,
            starts,
            source: None,
        })
    }

    /// How often the document has it.
    pub(crate) fn find(&self, script: &Value) -> Found {
        let source_of = |segment: &Value| {
            let id = segment["material_id"].as_str()?;
            ["videos", "audios"]
                .iter()
                .filter_map(|list| script["materials"][*list].as_array())
                .flatten()
                .find(|material| material["id"] == id)?["remote_url"]
                .as_str()
                .map(str::to_owned)
        };
        let segments: Vec<&Value> = script["tracks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|track| track["name"] == self.track.as_str())
            .flat_map(|track| track["segments"].as_array().into_iter().flatten())
            .collect();
        let count = |start: i64| {
            segments
                .iter()
                .filter(|segment| {
                    segment["target_timerange"]["start"]
                        .as_f64()
                        .map(|s| s as i64)
                        == Some(start)
                })
                .filter(|segment| self.source.is_none() || source_of(segment) == self.source)
                .count()
        };
        let counts: Vec<usize> = self.starts.iter().map(|&start| count(start)).collect();
        match (counts.iter().min(), counts.iter().max()) {
            (Some(least), Some(most)) if least == most => Found::Times(*least),
            // Captions that start together are counted for each other.
            (Some(least), Some(_)) if *least > 0 => Found::Times(*least),
            _ => Found::Part,
        }
    }
}

fn track(body: &Object, default: &str) -> Option<String> {
    match body.get("track_name") {
        None => Some(default.to_owned()),
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => None,
    }
}

/// A time in seconds, 0 where there is none.
fn number(body: &Object, key: &str) -> Option<f64> {
    match body.get(key) {
        None => Some(0.0),
        Some(value) => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evidence(path: &str, body: &Value) -> Option<Evidence> {
        Evidence::of(path, body.as_object().unwrap())
    }

    fn script() -> Value {
        json!({
            "materials": { "videos": [{ "id": "m", "remote_url": "http://h/a" }] },
            "tracks": [
                { "name": "video_main", "segments": [{ "material_id": "m", "target_timerange": { "start": 2_000_000 } }] },
                { "name": "subtitle", "segments": [
                    { "material_id": "t", "target_timerange": { "start": 1_500_000 } },
                    { "material_id": "u", "target_timerange": { "start": 3_500_000.0 } },
                ] },
            ],
        })
    }

    #[test]
    fn a_place_on_a_track_tells_the_call() {
        let mut body = json!({ "video_url": "http://h/a", "target_start": 2 });
        let find = |body: &Value| evidence("/add_video", body).unwrap().find(&script());
        assert_eq!(find(&body), Found::Times(1));
        body["target_start"] = json!(3.0);
        assert_eq!(find(&body), Found::Times(0));
        body["target_start"] = json!(2.0);
        body["video_url"] = json!("http://h/other");
        assert_eq!(find(&body), Found::Times(0));
        body["video_url"] = json!("http://h/a");
        body["track_name"] = json!("other");
        assert_eq!(find(&body), Found::Times(0));
    }

    #[test]
    fn captions_are_there_whole_or_in_part() {
        let srt = "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:03,000 --> 00:00:04,000\nb\n";
        let find = |srt: &str, offset: f64| {
            let body = json!({ "srt": srt, "time_offset": offset });
            evidence("/add_subtitle", &body).unwrap().find(&script())
        };
        assert_eq!(find(srt, 0.5), Found::Times(1));
        assert_eq!(find(srt, 0.0), Found::Times(0));
        let more = format!("{srt}\n3\n00:00:05,000 --> 00:00:06,000\nc\n");
        assert_eq!(find(&more, 0.5), Found::Part);
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        assert_eq!(evidence("/add_video_keyframe", &json!({})), None);
        assert_eq!(
            evidence("/add_subtitle", &json!({ "srt": "http://h/a.srt" })),
            None
        );
        assert_eq!(
            evidence(
                "/add_video",
                &json!({ "video_url": "u", "target_start": "1m2" })
            ),
            None
        );
        assert_eq!(evidence("/add_text", &json!({ "track_name": null })), None);
    }
}
