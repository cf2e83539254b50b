//! What a call leaves in a draft's document, used to find out afterwards whether it was applied.

use std::collections::BTreeMap;
use std::fmt;

use capcut_draft::{ClipRef, Document, TrackRef, field};

use crate::sorting;
use crate::units::Micros;

/// What a tool's call leaves in its draft's document. Each tool defines this in its own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It changes nothing in a draft.
    Nothing,
    /// It changes something that cannot be found in the document.
    Unseen,
    Segments(ExpectedSegments),
    Keyframes(KeyframeTimes),
}

/// Segments, with those ends that follow from the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedSegments {
    pub evidence: Evidence,
    /// One per start; `None` if it depends on the length of a file.
    pub ends: Vec<Option<Micros>>,
}

/// The positions that a call fills. Segments of a track cannot overlap, so a position identifies the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Evidence {
    pub track: String,
    pub starts: Vec<Micros>,
    /// The `remote_url` of its material, if it has one.
    pub source: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyframeTimes {
    pub track: String,
    /// On the timeline.
    pub times: Vec<Micros>,
}

/// How much of a call's result a document contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvidenceMatch {
    /// All of it, this many times.
    Times(usize),
    /// A part of it.
    Part,
}

impl Leaves {
    /// One segment. Without a track name its position is unknown.
    pub(crate) fn segment(
        track: Option<&str>,
        start: Micros,
        end: Option<Micros>,
        source: Option<&str>,
    ) -> Self {
        Self::segments(track, vec![start], vec![end], source)
    }

    pub(crate) fn segments(
        track: Option<&str>,
        starts: Vec<Micros>,
        ends: Vec<Option<Micros>>,
        source: Option<&str>,
    ) -> Self {
        match track {
            Some(track) if !starts.is_empty() => Self::Segments(ExpectedSegments {
                evidence: Evidence {
                    track: track.to_owned(),
                    starts,
                    source: source.map(str::to_owned),
                },
                ends,
            }),
            _ => Self::Unseen,
        }
    }

    /// What identifies the call in a document, if anything does.
    pub(crate) fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Segments(placement) => Some(&placement.evidence),
            Self::Nothing | Self::Unseen | Self::Keyframes(_) => None,
        }
    }
}

impl Evidence {
    /// The ids of the clips of a document that the call left.
    pub(crate) fn clips(&self, document: &Document) -> Vec<String> {
        let is_named = |track: &TrackRef| document.value(*track, &field::track::NAME) == self.track;
        let clips = document
            .tracks()
            .into_iter()
            .filter(is_named)
            .flat_map(|track| document.clips(track));
        clips
            .filter(|clip| self.starts.contains(&Micros(document.target(*clip).start)))
            .map(|clip| document.id(clip).into_owned())
            .collect()
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.starts.first().copied().unwrap_or_default();
        write!(f, "track {:?} at {start}", self.track)
    }
}

/// A segment of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SegmentFacts {
    start: Micros,
    length: Micros,
    source: Option<String>,
    /// On the timeline.
    keyframes: Vec<Micros>,
}

/// The contents of each track of a draft's document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    tracks: BTreeMap<String, Vec<SegmentFacts>>,
    /// Names of the media that segments use, sorted.
    media: Vec<String>,
    texts: usize,
}

impl Contents {
    /// `None` if the document has no tracks.
    pub(crate) fn of(document: &Document) -> Option<Self> {
        if !document.has_tracks() {
            return None;
        }
        let mut contents = Self::default();
        for track in document.tracks() {
            let name = document.value(track, &field::track::NAME);
            let seen = contents.tracks.entry(name).or_default();
            for clip in document.clips(track) {
                let target = document.target(clip);
                let start = Micros(target.start);
                let main = document.main_material(clip);
                let list = main.map_or("", |main| document.list_name(main));
                let file = main.filter(|_| matches!(list, "videos" | "audios"));
                seen.push(SegmentFacts {
                    start,
                    length: Micros(target.duration),
                    source: file.and_then(|file| document.get(file, &field::material::REMOTE_URL)),
                    keyframes: keyframes(document, clip, start),
                });
                contents.texts += usize::from(list == "texts");
                let name = file.and_then(|file| document.material_name(file));
                contents.media.extend(name);
            }
            sorting::sort_by_key(seen, |seen| seen.start);
        }
        contents.media.sort_unstable();
        contents.media.dedup();
        Some(contents)
    }

    /// How often the document contains the result of a call.
    pub(crate) fn find(&self, evidence: &Evidence) -> EvidenceMatch {
        let seen = self.track(&evidence.track);
        let count = |start: Micros| {
            let first = seen.partition_point(|seen| seen.start < start);
            seen[first..]
                .iter()
                .take_while(|seen| seen.start == start)
                // A server may drop a file's URL: CapCutAPI 1.1.0 does so once it has fetched the file.
                .filter(|seen| {
                    evidence.source.is_none()
                        || seen.source.is_none()
                        || seen.source == evidence.source
                })
                .count()
        };
        let counts = || evidence.starts.iter().map(|&start| count(start));
        match (counts().min(), counts().max()) {
            (Some(least), Some(most)) if least == most => EvidenceMatch::Times(least),
            // Captions with the same start cannot be distinguished.
            (Some(least), Some(_)) if least > 0 => EvidenceMatch::Times(least),
            _ => EvidenceMatch::Part,
        }
    }

    /// Whether another segment occupies the position of one of the call's segments.
    pub(crate) fn covers(&self, evidence: &Evidence) -> bool {
        let seen = self.track(&evidence.track);
        evidence.starts.iter().any(|&start| {
            let later = seen.partition_point(|seen| seen.start <= start);
            let before = seen[..later].iter().any(|seen| {
                let end = seen.start + seen.length;
                end > start && (seen.start < start || seen.source != evidence.source)
            });
            before || seen.iter().any(|seen| seen.start == start)
        })
    }

    /// The times of the expected keyframes that are missing.
    pub(crate) fn lacks<'a>(&self, wanted: &'a KeyframeTimes) -> impl Iterator<Item = Micros> + 'a {
        let there: Vec<Micros> = self
            .track(&wanted.track)
            .iter()
            .flat_map(|seen| seen.keyframes.iter().copied())
            .collect();
        let times = wanted.times.iter().copied();
        times.filter(move |time| !there.contains(time))
    }

    /// The number of segments of each track that is not empty.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.tracks
            .iter()
            .filter(|(_, seen)| !seen.is_empty())
            .map(|(name, seen)| (name.clone(), seen.len()))
            .collect()
    }

    /// What a copy of this document lacks or has differently. Lengths may be measured and sources renamed
    /// between copies, so only positions, texts and media are compared.
    pub(crate) fn differences(&self, copy: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let starts = |contents: &Self, track: &str| -> Vec<Micros> {
            contents
                .track(track)
                .iter()
                .map(|seen| seen.start)
                .collect()
        };
        let mut names: Vec<&String> = self.tracks.keys().chain(copy.tracks.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (ours, theirs) = (starts(self, name), starts(copy, name));
            if ours != theirs {
                differences.push(format!(
                    "track {name:?}: {} of {} segments",
                    theirs.len(),
                    ours.len()
                ));
            }
        }
        if self.texts != copy.texts {
            differences.push(format!("{} of {} texts", copy.texts, self.texts));
        }
        let missing = self.media.iter().filter(|name| !copy.media.contains(name));
        differences.extend(missing.map(|name| format!("the media file {name:?} is not in it")));
        differences
    }

    fn track(&self, name: &str) -> &[SegmentFacts] {
        self.tracks.get(name).map_or(&[], Vec::as_slice)
    }
}

fn keyframes(document: &Document, clip: ClipRef, start: Micros) -> Vec<Micros> {
    let lists = document.keyframes(clip);
    let points = lists.iter().flat_map(|list| &list.points);
    points.map(|point| start + Micros(point.offset)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(script: &serde_json::Value) -> Option<Contents> {
        Contents::of(&Document::parse(script.to_string()).unwrap())
    }

    fn contents() -> Contents {
        let script = json!({
            "materials": {
                "videos": [{ "id": "m", "remote_url": "http://h/a", "material_name": "a.mp4" }],
                "texts": [{ "id": "t" }, { "id": "u" }, { "id": "unused" }],
            },
            "tracks": [
                { "name": "video_main", "segments": [{
                    "material_id": "m", "target_timerange": { "start": 2_000_000, "duration": 3_000_000 },
                    "common_keyframes": [{ "keyframe_list": [{ "time_offset": 500_000 }] }],
                }] },
                { "name": "subtitle", "segments": [
                    { "material_id": "u", "target_timerange": { "start": 3_500_000.0, "duration": 1 } },
                    { "material_id": "t", "target_timerange": { "start": 1_500_000, "duration": 1 } },
                ] },
            ],
        });
        of(&script).unwrap()
    }

    fn evidence(track: &str, starts: &[f64], source: Option<&str>) -> Evidence {
        let starts: Vec<Micros> = starts.iter().map(|&s| Micros::from_seconds(s)).collect();
        let ends = vec![None; starts.len()];
        Leaves::segments(Some(track), starts, ends, source)
            .evidence()
            .unwrap()
            .clone()
    }

    #[test]
    fn a_position_on_a_track_identifies_the_call() {
        let find = |track, start, source| contents().find(&evidence(track, &[start], Some(source)));
        assert_eq!(
            find("video_main", 2.0, "http://h/a"),
            EvidenceMatch::Times(1)
        );
        assert_eq!(
            find("video_main", 3.0, "http://h/a"),
            EvidenceMatch::Times(0)
        );
        assert_eq!(
            find("video_main", 2.0, "http://h/other"),
            EvidenceMatch::Times(0)
        );
        assert_eq!(find("other", 2.0, "http://h/a"), EvidenceMatch::Times(0));
    }

    #[test]
    fn captions_are_found_complete_or_in_part() {
        let find = |starts: &[f64]| contents().find(&evidence("subtitle", starts, None));
        assert_eq!(find(&[1.5, 3.5]), EvidenceMatch::Times(1));
        assert_eq!(find(&[1.0, 3.0]), EvidenceMatch::Times(0));
        assert_eq!(find(&[1.5, 3.5, 5.5]), EvidenceMatch::Part);
    }

    #[test]
    fn a_segment_in_the_same_position_explains_a_missing_one() {
        let covers =
            |start| contents().covers(&evidence("video_main", &[start], Some("http://h/b")));
        assert!(covers(2.0) && covers(4.9));
        assert!(!covers(1.0) && !covers(5.0));
    }

    #[test]
    fn keyframes_are_compared_by_timeline_time() {
        let wanted = KeyframeTimes {
            track: "video_main".into(),
            times: [2.5, 9.0].map(Micros::from_seconds).to_vec(),
        };
        let lacks: Vec<Micros> = contents().lacks(&wanted).collect();
        assert_eq!(lacks, [Micros::from_seconds(9.0)]);
    }

    #[test]
    fn differences_list_what_a_copy_lacks() {
        let whole = contents();
        assert_eq!(whole.differences(&whole), Vec::<String>::new());
        let mut copy = whole.clone();
        copy.tracks.get_mut("subtitle").unwrap().pop();
        copy.tracks.remove("video_main");
        copy.texts = 1;
        copy.media.clear();
        let differences = whole.differences(&copy).join("\n");
        for said in [
            "\"subtitle\": 1 of 2 segments",
            "\"video_main\": 0 of 1",
            "1 of 2 texts",
            "\"a.mp4\"",
        ] {
            assert!(differences.contains(said), "{said}: {differences}");
        }
        assert_eq!(of(&json!({ "materials": { "texts": [] } })), None);
    }
}
