//! What is heard: long silence, music that is louder than speech, speech without captions, and captions without speech.

use std::sync::Arc;

use capcut_draft::{ClipSelector, Document, TimeRange};
use serde_json::{Value, json};

use super::spans::{length, united, widened, within, without};
use super::{Finding, FindingKind, Review, Trial, named, spanned, texts_of, tidy, words_of};
use crate::movie::{Clip, Movie, Sound, Timeline, Track, What};

/// The shortest silence that is found, microseconds.
const SILENCE: i64 = 3_000_000;
/// The shortest speech without a caption that is found, microseconds.
const UNCAPTIONED: i64 = 1_000_000;
/// How far captions and speech may be from each other, microseconds.
const NEAR: i64 = 500_000;
/// The shortest time for which music is louder than speech, microseconds.
const LOUDER: i64 = 500_000;
/// How far below speech music is after the operation that fixes it, decibels.
const BELOW_SPEECH: f64 = 12.0;
/// What is quieter than this is not heard: -50 dB.
const INAUDIBLE: f64 = 0.003;
/// The steps in which a volume that changes is read, microseconds; a long clip has longer ones.
const STEP: i64 = 100_000;
const STEPS: i64 = 50_000;
/// Findings that are fixed by a trial; more are not shown anyway.
const TRIED: usize = 32;
/// The most copies of a sound that fill a silence.
const COPIES: i64 = 20;

/// What is heard in a file, in microseconds from its beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeardFile {
    /// 0 for a file without sound.
    pub duration: i64,
    /// Where somebody speaks; empty for music and noise.
    pub speech: Vec<TimeRange>,
    /// Where nothing is heard.
    pub silence: Vec<TimeRange>,
    /// The mean level of each [`HeardFile::LEVEL`], dB of full scale.
    pub levels: Vec<f32>,
}

impl HeardFile {
    /// The length that a level stands for, microseconds.
    pub const LEVEL: i64 = 500_000;

    fn level_at(&self, time: f64) -> Option<f64> {
        if time < 0.0 || time >= self.duration as f64 {
            return None;
        }
        let level = self.levels.get((time / Self::LEVEL as f64) as usize)?;
        Some(f64::from(*level))
    }
}

/// A sound with what is known of it.
struct Known<'m> {
    sound: &'m Sound,
    /// `None` if its file was not heard.
    file: Option<&'m HeardFile>,
    /// When it is heard on the timeline. All of it if its file was not heard.
    audible: Vec<TimeRange>,
    /// When somebody speaks.
    speech: Vec<TimeRange>,
}

impl<'m> Known<'m> {
    fn new(sound: &'m Sound, file: Option<&'m HeardFile>) -> Self {
        let loud = loud(sound);
        let shown = |set: &[TimeRange]| on_timeline(sound, set);
        let (audible, speech) = match file {
            None => (loud, Vec::new()),
            Some(file) => {
                let all = shown(&[TimeRange::between(0, file.duration)]);
                let heard = without(&all, &shown(&file.silence));
                let both = |set: &[TimeRange]| -> Vec<TimeRange> {
                    let parts = loud.iter().flat_map(|range| within(set, *range));
                    parts.collect()
                };
                (both(&heard), both(&shown(&file.speech)))
            }
        };
        Self {
            sound,
            file,
            audible,
            speech,
        }
    }

    fn is_voice(&self) -> bool {
        self.file.is_some_and(|file| !file.speech.is_empty())
    }

    /// Whether operations can change it: clips inside compound clips cannot be named.
    fn is_own(&self) -> bool {
        !self.sound.clip.contains('/')
    }

    /// The mean power between two times on the timeline, 1 = full scale; 0 where it is not heard.
    fn power(&self, range: TimeRange) -> f64 {
        let Some(file) = self.file else { return 0.0 };
        let count = (range.duration / STEP).clamp(1, 600);
        let mut sum = 0.0;
        for index in 0..count {
            let time = range.start + range.duration * (2 * index + 1) / (2 * count);
            if time < self.sound.range.start || time >= self.sound.range.end() {
                continue;
            }
            if let Some(level) = file.level_at(self.sound.clock.source_at(time)) {
                sum += 10f64.powf(level / 10.0) * self.sound.gain_at(time).powi(2);
            }
        }
        sum / count as f64
    }
}

/// When a sound has a volume that is heard.
fn loud(sound: &Sound) -> Vec<TimeRange> {
    let range = sound.range;
    if sound.gains.iter().all(|gain| gain.volume.is_fixed()) {
        let middle = range.start + range.duration / 2;
        let is_heard = sound.gain_at(middle) > INAUDIBLE;
        return united(is_heard.then_some(range), 0);
    }
    let step = (range.duration / STEPS).max(STEP);
    let count = (range.duration + step - 1) / step;
    let parts = (0..count).map(|index| {
        let start = range.start + index * step;
        TimeRange::between(start, (start + step).min(range.end()))
    });
    united(
        parts.filter(|part| sound.gain_at(part.start + part.duration / 2) > INAUDIBLE),
        0,
    )
}

/// Times in a file as times on the timeline, those that the clip plays.
fn on_timeline(sound: &Sound, set: &[TimeRange]) -> Vec<TimeRange> {
    let ranges = set.iter().map(|range| {
        let time = |time: i64| sound.clock.time_of(time as f64);
        TimeRange::between(
            time(range.start).max(sound.range.start),
            time(range.end()).min(sound.range.end()),
        )
    });
    united(ranges, 0)
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl Movie {
    /// Reviews what is heard, and adds it to a review. `heard` has what is known of the file of each sound, in the order of
    /// [`Movie::sounds`]; what is not known is not judged. `document` is the one that the movie was read from.
    pub fn review_sounds(
        &self,
        document: &Document,
        heard: &[Option<Arc<HeardFile>>],
        review: &mut Review,
    ) {
        let files = heard
            .iter()
            .map(Option::as_deref)
            .chain(std::iter::repeat(None));
        let sounds = self.sounds.iter().zip(files);
        let sounds: Vec<Known> = sounds
            .map(|(sound, file)| Known::new(sound, file))
            .collect();
        if !sounds.iter().any(|sound| !sound.audible.is_empty()) {
            return;
        }
        let mut trial = Trial {
            document: document.clone(),
        };
        let timeline = &self.timelines[0];
        review.add(
            FindingKind::LongSilence,
            silence(self, timeline, &sounds, &mut trial),
        );
        review.add(
            FindingKind::MusicOverSpeech,
            louder_than_speech(&sounds, &mut trial),
        );
        let captions = captions(timeline, document);
        if captions.is_empty() {
            return;
        }
        let ranges = captions.iter().map(|caption| caption.clip.clock.target);
        let captioned = united(ranges, 0);
        let uncaptioned = uncaptioned(&sounds, &captioned);
        review.add(
            FindingKind::CaptionWithoutSpeech,
            unspoken(&captions, &sounds, &uncaptioned, &mut trial),
        );
        review.add(
            FindingKind::SpeechWithoutCaption,
            without_caption(&captions, &uncaptioned, &mut trial),
        );
    }
}

/// Times at which the picture continues without sound.
fn silence(
    movie: &Movie,
    timeline: &Timeline,
    sounds: &[Known],
    trial: &mut Trial,
) -> Vec<Finding> {
    let clips = timeline.tracks.iter().flat_map(|track| &track.clips);
    let seen = clips.filter(|clip| !matches!(clip.what, What::Adjustment));
    let seen = united(seen.map(|clip| clip.clock.target), 0);
    let audible = united(
        sounds
            .iter()
            .flat_map(|sound| sound.audible.iter().copied()),
        0,
    );
    let silent = without(&seen, &audible);
    let mut found = Vec::new();
    for range in silent.into_iter().filter(|range| range.duration >= SILENCE) {
        let operations = if found.len() < TRIED {
            trial.first(fillings(movie, sounds, range))
        } else {
            Vec::new()
        };
        let length = tidy(seconds(range.duration));
        let advice = if operations.is_empty() {
            "; add music or another sound there, or shorten the picture"
        } else {
            ""
        };
        found.push(Finding {
            kind: FindingKind::LongSilence,
            range,
            clips: Vec::new(),
            what: format!("nothing is heard for {length} s while the picture continues{advice}"),
            value: length,
            limit: seconds(SILENCE),
            unit: "seconds",
            operations,
        });
    }
    found
}

/// Ways to fill a silence with the sounds beside it: their files have more, or they are played again.
fn fillings(movie: &Movie, sounds: &[Known], gap: TimeRange) -> Vec<Vec<Value>> {
    let is_near = |time: i64, other: i64| (time - other).abs() <= NEAR;
    // What is left of the silence must be short, or it is found again.
    let fills = |known: &Known, part: TimeRange| {
        let Some(file) = known.file else { return false };
        let clock = &known.sound.clock;
        let in_file = TimeRange::between(
            clock.source_at(part.start).round() as i64,
            clock.source_at(part.end()).round() as i64,
        );
        let frame = 1e6 / movie.fps * clock.speed;
        let longest = within(&file.silence, in_file)
            .iter()
            .map(|range| range.duration)
            .max()
            .unwrap_or(0);
        clock.curve.is_empty()
            && in_file.start >= 0
            && in_file.end() as f64 <= file.duration as f64 + frame
            && (longest as f64) < SILENCE as f64 * clock.speed
    };
    let mut candidates = Vec::new();
    let own = || {
        sounds
            .iter()
            .filter(|known| known.is_own() && !known.audible.is_empty())
    };
    for known in own().filter(|known| !known.sound.is_video) {
        let (name, range) = (&*known.sound.clip, known.sound.range);
        if is_near(range.end(), gap.start)
            && fills(known, TimeRange::between(range.end(), gap.end()))
        {
            let end = seconds(gap.end());
            candidates.push(vec![json!({ "op": "trim", "clip": name, "end": end })]);
        }
        if is_near(range.start, gap.end())
            && fills(known, TimeRange::between(gap.start, range.start))
        {
            let start = seconds(gap.start);
            candidates.push(vec![json!({ "op": "trim", "clip": name, "start": start })]);
        }
    }
    for known in own().filter(|known| !known.sound.is_video && !known.is_voice()) {
        let (name, range) = (&*known.sound.clip, known.sound.range);
        let whole = length(&known.audible) >= range.duration - NEAR;
        if known.file.is_none() || !whole || range.duration <= 0 || !is_near(range.end(), gap.start)
        {
            continue;
        }
        let count = (gap.end() - range.end()) / range.duration;
        let left = (gap.end() - range.end()) % range.duration;
        if (1..=COPIES).contains(&count) && left < SILENCE {
            let copies = (0..count).map(|index| {
                let at = seconds(range.end() + index * range.duration);
                json!({ "op": "duplicate", "clip": name, "at": at })
            });
            candidates.push(copies.collect());
        }
    }
    candidates
}

/// Music and other sounds that are louder than somebody who speaks at the same time.
fn louder_than_speech(sounds: &[Known], trial: &mut Trial) -> Vec<Finding> {
    /// A sound that is too loud: when, under which voices, and by how many decibels at most.
    #[derive(Default)]
    struct Loud {
        times: Vec<TimeRange>,
        voices: Vec<Arc<str>>,
        excess: f64,
    }
    let mut loud: Vec<Loud> = sounds.iter().map(|_| Loud::default()).collect();
    let is_music = |known: &Known| known.file.is_some() && !known.is_voice();
    for voice in sounds.iter().filter(|known| known.is_voice()) {
        for span in &voice.speech {
            let speech = voice.power(*span);
            let others = sounds.iter().enumerate().filter(|(_, known)| {
                let range = known.sound.range;
                is_music(known) && range.start < span.end() && range.end() > span.start
            });
            for (index, music) in others {
                let both = TimeRange::between(
                    span.start.max(music.sound.range.start),
                    span.end().min(music.sound.range.end()),
                );
                let power = music.power(both);
                if power <= speech || speech <= 0.0 {
                    continue;
                }
                let own = &mut loud[index];
                own.times.push(both);
                own.excess = own.excess.max(10.0 * (power / speech).log10());
                if !own.voices.contains(&voice.sound.clip) {
                    own.voices.push(voice.sound.clip.clone());
                }
            }
        }
    }
    let mut found = Vec::new();
    for (known, own) in sounds.iter().zip(loud) {
        let times = united(own.times, 0);
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            continue;
        };
        if length(&times) < LOUDER {
            continue;
        }
        let voices: Vec<&str> = own
            .voices
            .iter()
            .map(|clip| &**clip)
            .filter(|clip| !clip.contains('/'))
            .collect();
        let by = -(own.excess + BELOW_SPEECH).ceil().clamp(1.0, 60.0);
        let operations = if known.is_own() && !voices.is_empty() && found.len() < TRIED {
            let clip = &*known.sound.clip;
            trial.first(vec![vec![
                json!({ "op": "duck", "clip": clip, "under": voices, "by_db": by }),
            ]])
        } else {
            Vec::new()
        };
        let name = &known.sound.clip;
        let advice = if operations.is_empty() {
            "; make it quieter, or the voice louder"
        } else {
            ""
        };
        found.push(Finding {
            kind: FindingKind::MusicOverSpeech,
            range: TimeRange::between(first.start, last.end()),
            what: format!(
                "{name} is up to {} dB louder than the speech of {}, for {} s{advice}",
                tidy(own.excess),
                own.voices.join(", "),
                tidy(seconds(length(&times)))
            ),
            clips: std::iter::once(name.clone()).chain(own.voices).collect(),
            value: tidy(own.excess),
            limit: 0.0,
            unit: "decibels above the speech",
            operations,
        });
    }
    found
}

/// A text of the draft itself that is a caption.
struct Caption<'m> {
    clip: &'m Clip,
    track: &'m Track,
    words: String,
}

impl Caption<'_> {
    /// Whether its words are spoken: sounds are described in brackets and by notes.
    fn is_spoken(&self) -> bool {
        let words = self.words.trim();
        let is_description = |first: char| "[(（［【〔♪♫♬*".contains(first);
        !words.is_empty() && !words.starts_with(is_description)
    }
}

fn captions<'m>(timeline: &'m Timeline, document: &Document) -> Vec<Caption<'m>> {
    let all = ClipSelector::Text("captions".to_owned());
    // An error says that there are none.
    let clips = document.select_all(&all).unwrap_or_default();
    let names: std::collections::HashSet<String> = clips
        .into_iter()
        .map(|clip| document.short_id(clip))
        .collect();
    texts_of(timeline)
        .filter(|(_, _, _, clip, _)| names.contains(&*clip.name))
        .map(|(_, track, _, clip, layout)| Caption {
            clip,
            track,
            words: words_of(layout),
        })
        .collect()
}

/// Speech without a caption.
struct Uncaptioned {
    voice: Arc<str>,
    range: TimeRange,
    /// The whole span in which somebody speaks without a pause.
    span: TimeRange,
}

fn uncaptioned(sounds: &[Known], captioned: &[TimeRange]) -> Vec<Uncaptioned> {
    let captioned = widened(captioned, NEAR);
    let mut found: Vec<Uncaptioned> = Vec::new();
    for known in sounds {
        for span in united(known.speech.iter().copied(), NEAR) {
            let parts = without(&[span], &captioned);
            found.extend(parts.into_iter().map(|range| Uncaptioned {
                voice: known.sound.clip.clone(),
                range,
                span,
            }));
        }
    }
    found.retain(|own| own.range.duration >= UNCAPTIONED);
    found.sort_by_key(|own| own.range.start);
    found
}

fn without_caption(
    captions: &[Caption],
    uncaptioned: &[Uncaptioned],
    trial: &mut Trial,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for own in uncaptioned {
        // A caption that is shown for a part of what is said without a pause should be shown for all of it.
        let mut candidates = Vec::new();
        for caption in captions {
            let (name, target) = (&*caption.clip.name, caption.clip.clock.target);
            if target.end() + NEAR == own.range.start && own.span.start < target.end() {
                let end = seconds(own.range.end());
                candidates.push(vec![json!({ "op": "trim", "clip": name, "end": end })]);
            } else if target.start - NEAR == own.range.end() && own.span.end() > target.start {
                let start = seconds(own.range.start);
                candidates.push(vec![json!({ "op": "trim", "clip": name, "start": start })]);
            }
        }
        let operations = if found.len() < TRIED {
            trial.first(candidates)
        } else {
            Vec::new()
        };
        let length = tidy(seconds(own.range.duration));
        let advice = if operations.is_empty() {
            "; add a caption there with `add_subtitle`, with `words` of a recogniser or with the script and `align_to`"
        } else {
            ""
        };
        found.push(Finding {
            kind: FindingKind::SpeechWithoutCaption,
            range: own.range,
            clips: vec![own.voice.clone()],
            what: format!(
                "somebody speaks in {} for {length} s without a caption{advice}",
                own.voice
            ),
            value: length,
            limit: seconds(UNCAPTIONED),
            unit: "seconds",
            operations,
        });
    }
    found
}

/// Captions over a voice that is silent then, those that follow each other as one finding.
fn unspoken(
    captions: &[Caption],
    sounds: &[Known],
    uncaptioned: &[Uncaptioned],
    trial: &mut Trial,
) -> Vec<Finding> {
    let voices = || sounds.iter().filter(|known| known.is_voice());
    let spoken = united(
        voices().flat_map(|known| known.speech.iter().copied()),
        2 * NEAR,
    );
    let spoken = widened(&spoken, NEAR);
    let over = |known: &Known, range: TimeRange| !within(&[known.sound.range], range).is_empty();
    let mut runs: Vec<Vec<&Caption>> = Vec::new();
    for caption in captions {
        let range = caption.clip.clock.target;
        let is_judged = caption.is_spoken()
            && voices().any(|known| over(known, range))
            && !sounds
                .iter()
                .any(|known| known.file.is_none() && over(known, range));
        if !is_judged || !within(&spoken, range).is_empty() {
            continue;
        }
        match runs.last_mut() {
            Some(run)
                if run.last().is_some_and(|last| {
                    std::ptr::eq(last.track, caption.track)
                        && range.start - last.clip.clock.target.end() <= 2 * NEAR
                }) =>
            {
                run.push(caption);
            }
            _ => runs.push(vec![caption]),
        }
    }
    let mut found = Vec::new();
    for run in runs {
        let clips: Vec<Arc<str>> = run
            .iter()
            .map(|caption| caption.clip.name.clone())
            .take(super::NAMED)
            .collect();
        let range = spanned(run.iter().map(|caption| caption.clip.clock.target));
        let mut candidates = Vec::new();
        if let [caption] = run[..] {
            // Speech nearby that lasts about as long is what the caption says.
            let likely = uncaptioned.iter().filter(|own| {
                let difference = (own.range.duration - range.duration).abs();
                difference <= range.duration / 2
                    && (own.range.start - range.start).abs() <= 10 * SILENCE
            });
            let nearest = likely.min_by_key(|own| (own.range.start - range.start).abs());
            if let Some(own) = nearest {
                let at = seconds(own.range.start);
                let name = &*caption.clip.name;
                candidates.push(vec![json!({ "op": "move", "clip": name, "at": at })]);
            }
        }
        let names: Vec<&str> = clips.iter().map(|clip| &**clip).collect();
        candidates.push(vec![json!({ "op": "remove", "clip": names })]);
        let operations = if found.len() < TRIED {
            trial.first(candidates)
        } else {
            Vec::new()
        };
        let length = tidy(seconds(range.duration));
        found.push(Finding {
            kind: FindingKind::CaptionWithoutSpeech,
            range,
            what: format!(
                "{} is shown for {length} s in which no voice speaks",
                named(&clips, &run[0].words)
            ),
            clips,
            value: length,
            limit: 0.0,
            unit: "seconds",
            operations,
        });
    }
    found
}
