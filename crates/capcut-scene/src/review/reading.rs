//! Texts that are not shown long enough to be read.

use serde_json::{Value, json};

use super::inside::Inside;
use super::{Finding, FindingKind, Trial, shown_words, texts_of, tidy, words_of};
use crate::movie::{Clip, Movie, Track};

/// Characters per second that people read; of Chinese, Japanese and Korean.
const READ: f64 = 17.0;
const READ_CJK: f64 = 8.0;
/// Findings that are fixed by a trial; more are not shown anyway.
const TRIED: usize = 64;

/// The texts that are too fast.
pub(super) fn too_fast(movie: &Movie, all: &[Inside<'_>], trial: &mut Trial) -> Vec<Finding> {
    let mut found = Vec::new();
    let texts = all
        .iter()
        .flat_map(|inside| texts_of(inside.timeline).map(move |text| (inside, text)));
    for (inside, (_, track, index, clip, layout)) in texts {
        let words = words_of(layout);
        let words = words.trim();
        let cjk = words.chars().filter(|c| is_cjk(*c)).count();
        let breaks = words.chars().filter(|c| matches!(c, '\n' | '\r')).count();
        // Characters as people count them; at most as many as code points.
        let all = layout.clusters().min(words.chars().count() - breaks);
        let cjk = cjk.min(all);
        let needed_s = cjk as f64 / READ_CJK + (all - cjk) as f64 / READ;
        let range = inside.range(clip.clock.target);
        let shown_s = range.duration as f64 / 1e6;
        if range.duration <= 0 || needed_s <= shown_s + 1e-3 {
            continue;
        }
        let (value, limit) = (all as f64 / shown_s, all as f64 / needed_s);
        let operations = if inside.is_draft() && found.len() < TRIED {
            fixed(movie, track, index, clip, needed_s, trial)
        } else {
            Vec::new()
        };
        found.push(Finding {
            kind: FindingKind::TooFast,
            range,
            clips: vec![clip.name.clone()],
            what: format!(
                "{} {} has {all} characters in {} s, {} per second; people read {}, which takes {} s{}",
                clip.name,
                shown_words(words),
                tidy(shown_s),
                tidy(value),
                tidy(limit),
                tidy(needed_s),
                inside.advice()
            ),
            value: tidy(value),
            limit: tidy(limit),
            unit: "characters per second",
            operations,
        });
    }
    found
}

/// Operations that show a text long enough: until the next one, from the one before, or the next ones become later.
fn fixed(
    movie: &Movie,
    track: &Track,
    index: usize,
    clip: &Clip,
    needed_s: f64,
    trial: &mut Trial,
) -> Vec<Value> {
    let frame = 1e6 / movie.fps;
    // Times are rounded down to frames.
    let seconds = |micros: f64| (micros / 1e3).ceil() / 1e3;
    let whole = |micros: f64| (micros / frame - 1e-6).ceil() * frame;
    let range = clip.clock.target;
    let needed = whole(needed_s * 1e6);
    let (start, end) = (range.start as f64, range.end() as f64);
    let others = || {
        let clips = track.clips.iter().enumerate();
        clips.filter(|(other, _)| *other != index)
    };
    let next = others()
        .map(|(_, other)| other.clock.target.start)
        .filter(|other| *other >= range.end())
        .min();
    let before = others()
        .map(|(_, other)| other.clock.target.end())
        .filter(|other| *other <= range.start)
        .max();
    let free_end = next.map_or(f64::INFINITY, |next| next as f64);
    let free_start = before.map_or(0.0, |before| before as f64);
    let name = &*clip.name;
    let mut candidates = Vec::new();
    let last = whole(start) + needed;
    if last <= free_end + 1.0 {
        candidates.push(vec![
            json!({ "op": "trim", "clip": name, "end": seconds(last) }),
        ]);
    }
    if free_end.is_finite() {
        let first = ((free_end - needed) / frame).floor() * frame;
        if first >= free_start - 1.0 && first >= 0.0 {
            candidates.push(vec![json!({
                "op": "trim", "clip": name, "start": seconds(first), "end": seconds(free_end)
            })]);
        }
    }
    let by = last - free_end.min(last) + frame;
    candidates.push(vec![
        json!({ "op": "shift", "from": end / 1e6, "by": seconds(by), "track": &*track.name }),
        json!({ "op": "trim", "clip": name, "end": seconds(last) }),
    ]);
    trial.first(candidates)
}

/// Whether a character is read as a syllable or word: Chinese, Japanese and Korean.
fn is_cjk(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x11FF | 0x2E80..=0x303F | 0x3040..=0x30FF | 0x3100..=0x31FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xA960..=0xA97F | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F
        | 0xFF00..=0xFFEF | 0x2_0000..=0x3_FFFF)
}
