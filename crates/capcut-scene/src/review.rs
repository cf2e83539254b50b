//! What people would not like about a draft: texts that are cut off, covered or hard to read, pictures without enough
//! pixels, times at which nothing is shown, and what does not fit together in its sound; each with operations of
//! `capcut-draft` that fix it.
//!
//! What is inside compound clips is reviewed where it is seen in the draft, without operations, which cannot change it.

mod contrast;
mod heard;
mod inside;
mod pictures;
mod reading;
mod spans;
mod texts;

use std::sync::Arc;

use capcut_draft::{Document, Operation, TimeRange};
use serde_json::{Map, Value, json};

use crate::movie::{Clip, Movie, Timeline, Track, What};
use inside::Inside;

pub use contrast::{MeasurableTexts, MeasuredText};
pub use heard::HeardFile;

/// How many findings of each kind are kept.
const KEPT: usize = 8;
/// How many clips a finding names.
const NAMED: usize = 50;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A text leaves the canvas.
    OffCanvas,
    /// A text is near the edges, or where short-video apps show their own controls.
    OutsideSafeArea,
    /// Two texts are at the same place at the same time.
    TextOverlap,
    /// A text is hard to tell from what is below it.
    LowContrast,
    /// A text is not shown long enough to be read.
    TooFast,
    /// A picture is shown larger than its pixels allow.
    Enlarged,
    /// Nothing is shown.
    BlackGap,
    /// Nothing is heard for a long time while the picture continues.
    LongSilence,
    /// A sound is louder than somebody who speaks at the same time.
    MusicOverSpeech,
    /// Somebody speaks, and no caption is shown.
    SpeechWithoutCaption,
    /// A caption is shown over a voice that is silent then.
    CaptionWithoutSpeech,
}

impl FindingKind {
    /// A short name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OffCanvas => "off_canvas",
            Self::OutsideSafeArea => "outside_safe_area",
            Self::TextOverlap => "text_overlap",
            Self::LowContrast => "low_contrast",
            Self::TooFast => "too_fast",
            Self::Enlarged => "enlarged",
            Self::BlackGap => "black_gap",
            Self::LongSilence => "long_silence",
            Self::MusicOverSpeech => "music_over_speech",
            Self::SpeechWithoutCaption => "speech_without_caption",
            Self::CaptionWithoutSpeech => "caption_without_speech",
        }
    }
}

/// A thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: FindingKind,
    /// When, microseconds on the timeline.
    pub range: TimeRange,
    /// The clips, by their short ids, the one that `operations` change first; none for times without a clip.
    pub clips: Vec<Arc<str>>,
    /// In words.
    pub what: String,
    /// What was measured, and its limit, both in `unit`.
    pub value: f64,
    pub limit: f64,
    pub unit: &'static str,
    /// Operations that fix it, in the order in which they are applied; none if only a person can decide.
    pub operations: Vec<Value>,
}

/// All that is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// By time; at most a few of each kind.
    pub findings: Vec<Finding>,
    /// How many of each kind are not among them.
    pub left_out: Vec<(FindingKind, usize)>,
    /// What was not checked.
    pub notes: Vec<String>,
}

impl Review {
    /// Adds findings of a kind.
    pub fn add(&mut self, kind: FindingKind, mut found: Vec<Finding>) {
        found.sort_by_key(|finding| finding.range.start);
        if found.len() > KEPT {
            self.left_out.push((kind, found.len() - KEPT));
            found.truncate(KEPT);
        }
        self.findings.extend(found);
        self.findings
            .sort_by_key(|finding| (finding.range.start, finding.kind));
    }
}

impl Movie {
    /// Reviews all that can be told without the files. `document` is the one that the movie was read from: operations
    /// that it refuses are not suggested.
    #[must_use]
    pub fn review(&self, document: &Document) -> Review {
        let timeline = &self.timelines[0];
        let mut trial = Trial {
            document: document.clone(),
        };
        let mut review = Review::default();
        let all = Inside::all(self);
        let placed = texts::placed(&all);
        let (off, outside) = texts::edges(timeline.canvas, &placed);
        let (overlaps, is_cut) = texts::overlaps(timeline.canvas, &placed);
        review.add(FindingKind::OffCanvas, off);
        review.add(FindingKind::OutsideSafeArea, outside);
        review.add(FindingKind::TextOverlap, overlaps);
        review.add(
            FindingKind::TooFast,
            reading::too_fast(self, &all, &mut trial),
        );
        review.add(FindingKind::Enlarged, pictures::enlarged(self, &all));
        if is_cut {
            review.notes.push(
                "very many texts are shown at the same time: not all pairs were checked for overlaps"
                    .to_owned(),
            );
        }
        match pictures::gaps(self, timeline, &mut trial) {
            Some(gaps) => review.add(FindingKind::BlackGap, gaps),
            None => review
                .notes
                .push("the draft shows no picture and no text at any time".to_owned()),
        }
        review
    }
}

/// Tries operations without a change of the document.
struct Trial {
    document: Document,
}

impl Trial {
    /// The first of these lists of operations that the document takes; none if it takes none.
    fn first(&mut self, candidates: Vec<Vec<Value>>) -> Vec<Value> {
        let is_taken = |operations: &Vec<Value>| {
            let read: Result<Vec<Operation>, _> = operations.iter().map(Operation::read).collect();
            read.is_ok_and(|operations| {
                self.document
                    .plan_operations(&operations, &capcut_draft::NoResources)
                    .is_ok()
            })
        };
        candidates.into_iter().find(is_taken).unwrap_or_default()
    }
}

/// Whether a text's or picture's place and size are the same at all times.
fn is_still(clip: &Clip) -> bool {
    [
        &clip.x,
        &clip.y,
        &clip.scale_x,
        &clip.scale_y,
        &clip.rotation,
    ]
    .iter()
    .all(|value| value.is_fixed())
}

/// `set` for clips; keyframes of place and size are removed if there are any, as they would hide the new values.
fn set(clips: &[Arc<str>], is_still: bool, values: Map<String, Value>) -> Value {
    let clip = match clips {
        [one] => json!(&**one),
        several => json!(several.iter().map(|clip| &**clip).collect::<Vec<_>>()),
    };
    let mut operation = json!({ "op": "set", "clip": clip });
    if let Some(members) = operation.as_object_mut() {
        if !is_still {
            members.insert("motion".to_owned(), "none".into());
        }
        members.extend(values);
    }
    operation
}

/// The scale of a clip as values of `set`.
fn scale_values(scale: (f64, f64), values: &mut Map<String, Value>) {
    let (x, y) = (floor_to(scale.0, 1e4), floor_to(scale.1, 1e4));
    if x == y {
        values.insert("scale".to_owned(), x.into());
    } else {
        values.insert("scale_x".to_owned(), x.into());
        values.insert("scale_y".to_owned(), y.into());
    }
}

fn floor_to(number: f64, steps: f64) -> f64 {
    (number * steps).floor() / steps
}

/// For people: up to two digits.
fn tidy(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// The words of a text, shortened, in quotes.
fn shown_words(words: &str) -> String {
    const SHOWN: usize = 40;
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Clips of a finding: the first and how many others.
fn named(clips: &[Arc<str>], words: &str) -> String {
    match clips {
        [one] => format!("{one} {}", shown_words(words)),
        [one, others @ ..] => format!(
            "{one} {} and {} more of its track",
            shown_words(words),
            others.len()
        ),
        [] => String::new(),
    }
}

/// The time that ranges cover together.
fn spanned(ranges: impl Iterator<Item = TimeRange>) -> TimeRange {
    let all = ranges.map(|range| (range.start, range.end()));
    let (start, end) = all
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
        .unwrap_or_default();
    TimeRange::between(start, end)
}

/// The text of a clip.
fn layout_of(clip: &Clip) -> Option<&Arc<capcut_text::TextLayout>> {
    match &clip.what {
        What::Text(layout) if layout.clusters() > 0 => Some(layout),
        _ => None,
    }
}

fn words_of(layout: &capcut_text::TextLayout) -> String {
    let parts = layout.text().parts.iter();
    parts.map(|part| part.text.as_str()).collect()
}

/// The tracks of a timeline with their texts that can be seen.
fn texts_of(
    timeline: &Timeline,
) -> impl Iterator<Item = (usize, &Track, usize, &Clip, &Arc<capcut_text::TextLayout>)> {
    timeline
        .tracks
        .iter()
        .enumerate()
        .flat_map(|(track_index, track)| {
            let clips = track.clips.iter().enumerate();
            clips.filter_map(move |(index, clip)| {
                let layout = layout_of(clip)?;
                let is_seen = !clip.opacity.is_fixed() || clip.opacity.base > 0.02;
                is_seen.then_some((track_index, track, index, clip, layout))
            })
        })
}
