//! `analyze_audio`: where somebody speaks in a file, where it is silent, how loud it is, and its beats.

use std::sync::Arc;

use capcut_sound::{Beats, Span, Wanted, overlaps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::sound::{Listener, spoken};
use crate::tool::Hints;

/// The most spans or beats of a kind in a reply.
const MOST: usize = 400;

/// Finds speech, silence, loudness and beats in a sound or video.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AnalyzeAudio {
    /// http(s) URL or absolute path.
    pub source: String,
    /// Default: all four.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<SoundAnalysis>,
    /// Lists only what is after this time in the file, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// Lists only what is before this time in the file, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum SoundAnalysis {
    Speech,
    Silence,
    Loudness,
    #[serde(alias = "beat", alias = "tempo")]
    Beats,
}

const ALL: [SoundAnalysis; 4] = [
    SoundAnalysis::Speech,
    SoundAnalysis::Silence,
    SoundAnalysis::Loudness,
    SoundAnalysis::Beats,
];

/// What the file contains. Times are seconds from its beginning.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AudioAnalysis {
    /// Seconds.
    pub duration: f64,
    pub codec: String,
    /// `[start, end]`, split at pauses from 0.2 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech: Option<Vec<[f64; 2]>>,
    /// `[start, end]` below -50 dB, from 0.3 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Vec<[f64; 2]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness: Option<MeasuredLoudness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beats: Option<FoundBeats>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// By EBU R128; null: too quiet or too short.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct MeasuredLoudness {
    pub lufs: Option<f64>,
    pub true_peak_db: Option<f64>,
}

/// The beats.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct FoundBeats {
    /// Per minute.
    pub tempo: f64,
    /// 0 to 1; below 0.35 it is a guess.
    pub confidence: f64,
    pub times: Vec<f64>,
}

impl LocalTool for AnalyzeAudio {
    const NAME: &'static str = "analyze_audio";
    const TITLE: &'static str = "Analyze audio";
    const HINTS: Hints = Hints {
        open_world: true,
        ..Hints::READ
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("start"),
        InputRule::Rare("end"),
        InputRule::Alias("url", "source"),
        InputRule::Alias("path", "source"),
        InputRule::Alias("file", "source"),
        InputRule::Alias("audio_url", "source"),
        InputRule::Alias("audio_path", "source"),
        InputRule::Alias("video_url", "source"),
        InputRule::Alias("video_path", "source"),
    ];
    type Reply = AudioAnalysis;

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.source.trim().is_empty() {
            faults.push("`source` is empty: give an http(s) URL or the path of a file".to_owned());
        }
        for (name, time) in [("start", self.start), ("end", self.end)] {
            if let Some(time) = time.filter(|time| !(0.0..=1e6).contains(time)) {
                faults.push(format!(
                    "`{name}` is {time} s; it must be from 0 to 1000000 s"
                ));
            }
        }
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start >= end
        {
            faults.push(format!(
                "`end` is {end} s, which is not after `start` ({start} s)"
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<AudioAnalysis> {
        let what = if self.what.is_empty() {
            &ALL[..]
        } else {
            &self.what
        };
        let is_wanted = |one: SoundAnalysis| what.contains(&one);
        let wanted = Wanted {
            speech: is_wanted(SoundAnalysis::Speech),
            loudness: is_wanted(SoundAnalysis::Loudness),
            beats: is_wanted(SoundAnalysis::Beats),
        };
        let listener = Listener {
            media: app.media.of(&context.caller),
            data: app.settings.data_dir()?.to_owned(),
        };
        let found = listener
            .analysis(&self.source, wanted, &context.cancel)
            .await?;
        let mut notes = Vec::new();
        let (from, to) = (self.start.unwrap_or(0.0), self.end.unwrap_or(f64::INFINITY));
        if from >= found.duration {
            return Err(Error::invalid(format!(
                "`start` is {from} s, and the sound lasts {} s",
                rounded(found.duration)
            ))
            .hint("give a time inside the sound"));
        }
        if wanted.speech
            && let Err(why) = spoken(&found, &self.source)
        {
            notes.push(why);
        }
        let listed = |spans: &[Span], kind: &str, notes: &mut Vec<String>| {
            let spans = overlaps(spans, from, to);
            let rows = spans
                .iter()
                .map(|span| [rounded(span.start), rounded(span.end)]);
            let last = spans.get(MOST - 1).map(|span| span.end);
            notes.extend(left_out(spans.len(), kind, last));
            rows.take(MOST).collect::<Vec<_>>()
        };
        let speech = found.speech.as_deref().filter(|_| wanted.speech);
        let speech = speech.map(|spans| listed(spans, "spans of speech", &mut notes));
        let silence = is_wanted(SoundAnalysis::Silence)
            .then(|| listed(&found.silence, "silences", &mut notes));
        let beats = found.beats.as_ref().filter(|_| wanted.beats);
        let beats = beats.map(|beats| listed_beats(beats, (from, to), &mut notes));
        Ok(AudioAnalysis {
            duration: rounded(found.duration),
            codec: found.codec,
            speech,
            silence,
            loudness: found.loudness.filter(|_| wanted.loudness).map(|loudness| {
                let tenth = |value: f64| (value * 10.0).round() / 10.0;
                MeasuredLoudness {
                    lufs: loudness.integrated.map(tenth),
                    true_peak_db: loudness.true_peak.map(tenth),
                }
            }),
            beats,
            notes,
        })
    }
}

fn listed_beats(beats: &Beats, (from, to): (f64, f64), notes: &mut Vec<String>) -> FoundBeats {
    let times = beats.times.iter().copied();
    let times: Vec<f64> = times
        .filter(|time| (from..=to).contains(time))
        .map(rounded)
        .collect();
    if beats.times.is_empty() {
        notes.push("no beats were found".to_owned());
    } else if !beats.is_certain() {
        notes.push(format!(
            "the beats are uncertain: confidence {:.2}, and steady music has {} or more",
            beats.confidence,
            Beats::UNCERTAIN
        ));
    }
    notes.extend(left_out(times.len(), "beats", times.get(MOST - 1).copied()));
    FoundBeats {
        tempo: (beats.tempo * 10.0).round() / 10.0,
        confidence: (beats.confidence * 100.0).round() / 100.0,
        times: times.into_iter().take(MOST).collect(),
    }
}

/// The note on what a reply does not list.
fn left_out(count: usize, kind: &str, last: Option<f64>) -> Option<String> {
    let last = last.filter(|_| count > MOST)?;
    Some(format!(
        "{MOST} of {count} {kind} are listed: for the others, give `start`: {}",
        rounded(last)
    ))
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
