//! Pictures without enough pixels, and times at which nothing is shown.

use capcut_draft::TimeRange;
use serde_json::{Map, Value, json};

use super::inside::Inside;
use super::spans::united;
use super::{Finding, FindingKind, Trial, is_still, scale_values, set, tidy};
use crate::movie::{Clip, MediumKind, Movie, Timeline, What};
use crate::stage::{fit, visible_size};

/// The largest size of a picture, as a factor of its pixels.
const LARGEST: f64 = 2.0;
/// Pictures of at most this many pixels per side are areas of one colour.
const AREA: u32 = 16;
/// Gaps that are fixed by a trial; more are not shown anyway.
const TRIED: usize = 32;

/// Pictures and videos that are shown larger than their pixels allow.
pub(super) fn enlarged(movie: &Movie, all: &[Inside<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    let clips = all.iter().flat_map(|inside| {
        let clips = inside.timeline.tracks.iter().flat_map(|track| &track.clips);
        clips.map(move |clip| (inside, clip))
    });
    for (inside, clip) in clips {
        let What::Picture { medium, crop, .. } = &clip.what else {
            continue;
        };
        let medium = &movie.media[*medium];
        if medium.size.0.max(medium.size.1) <= AREA || medium.size.0 == 0 || medium.size.1 == 0 {
            continue;
        }
        let range = inside.range(clip.clock.target);
        if range.duration <= 0 {
            continue;
        }
        let canvas = inside.timeline.canvas;
        let (across, down) = inside.map(range.start + range.duration / 2).lengths();
        let fit = fit(canvas, visible_size(canvas, medium.size, *crop)) * across.max(down);
        let scale = (clip.scale_x.largest(), clip.scale_y.largest());
        let factor = fit * scale.0.max(scale.1);
        if !factor.is_finite() || factor <= LARGEST * 1.001 {
            continue;
        }
        let limit = LARGEST / fit;
        let mut values = Map::new();
        scale_values((scale.0.min(limit), scale.1.min(limit)), &mut values);
        let name = file_name(&medium.path);
        let needed = |side: u32| (f64::from(side) * factor / LARGEST).ceil();
        let file = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        found.push(Finding {
            kind: FindingKind::Enlarged,
            range,
            clips: vec![clip.name.clone()],
            what: format!(
                "{}{file} has {} × {} pixels and is shown at {} %; a file of {} × {} pixels would be sharp enough{}",
                clip.name,
                medium.size.0,
                medium.size.1,
                (factor * 100.0).round(),
                needed(medium.size.0),
                needed(medium.size.1),
                inside.advice()
            ),
            value: (factor * 100.0).round(),
            limit: LARGEST * 100.0,
            unit: "percent of the file's pixels",
            operations: if inside.is_draft() {
                let name = std::slice::from_ref(&clip.name);
                vec![set(name, is_still(clip), values)]
            } else {
                Vec::new()
            },
        });
    }
    found
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Times at which nothing is shown; none if the draft shows nothing at all.
pub(super) fn gaps(movie: &Movie, timeline: &Timeline, trial: &mut Trial) -> Option<Vec<Finding>> {
    let shown = seen(movie, timeline);
    if shown.is_empty() && timeline.duration > 0 {
        return None;
    }
    let shortest = (0.5e6 / movie.fps) as i64;
    let end = TimeRange::between(timeline.duration, timeline.duration);
    let mut until = 0;
    let mut found = Vec::new();
    for range in shown.into_iter().chain([end]) {
        let start = range.start.min(timeline.duration);
        if start - until > shortest {
            let gap = TimeRange::between(until, start);
            let operations = if found.len() < TRIED {
                trial.first(candidates(movie, timeline, gap))
            } else {
                Vec::new()
            };
            found.push(Finding {
                kind: FindingKind::BlackGap,
                range: gap,
                clips: Vec::new(),
                what: format!("nothing is shown for {} s", tidy(gap.duration as f64 / 1e6)),
                value: tidy(gap.duration as f64 / 1e6),
                limit: 0.0,
                unit: "seconds",
                operations,
            });
        }
        until = until.max(range.end());
    }
    Some(found)
}

/// When something is seen in a timeline, on its clock; of a compound clip, when something in it is seen.
fn seen(movie: &Movie, timeline: &Timeline) -> Vec<TimeRange> {
    let clips = timeline.tracks.iter().flat_map(|track| &track.clips);
    let clips = clips.filter(|clip| {
        let is_opaque = !clip.opacity.is_fixed() || clip.opacity.base > 0.02;
        is_opaque && !matches!(clip.what, What::Adjustment)
    });
    let drawn = clips.flat_map(|clip| {
        let target = clip.clock.target;
        let What::Compound(inner) = clip.what else {
            return vec![target];
        };
        let inner = seen(movie, &movie.timelines[inner]).into_iter();
        let shown = inner.map(|range| {
            let (start, end) = (range.start as f64, range.end() as f64);
            TimeRange::between(
                clip.clock.time_of(start).max(target.start),
                clip.clock.time_of(end).min(target.end()),
            )
        });
        shown.collect()
    });
    let others = timeline.tracks.iter().flat_map(|track| &track.not_drawn);
    united(drawn.chain(others.copied()), 0)
}

/// Ways to fill a gap: a picture or video beside it becomes longer, what follows moves, or sounds end with the pictures.
fn candidates(movie: &Movie, timeline: &Timeline, gap: TimeRange) -> Vec<Vec<Value>> {
    let seconds = |micros: i64| micros as f64 / 1e6;
    let is_near = |time: i64, other: i64| (time - other).abs() as f64 <= 0.6e6 / movie.fps;
    let kind = |clip: &Clip| match clip.what {
        What::Picture { medium, .. } => Some(movie.media[medium].kind),
        _ => None,
    };
    let mut candidates = Vec::new();
    for wanted in [MediumKind::Picture, MediumKind::Video] {
        for clip in timeline.tracks.iter().flat_map(|track| &track.clips) {
            if kind(clip) != Some(wanted) {
                continue;
            }
            let (name, own) = (&*clip.name, clip.clock.target);
            if is_near(own.end(), gap.start) {
                candidates.push(vec![
                    json!({ "op": "trim", "clip": name, "end": seconds(gap.end()) }),
                ]);
            }
            if is_near(own.start, gap.end()) {
                candidates.push(vec![
                    json!({ "op": "trim", "clip": name, "start": seconds(gap.start) }),
                ]);
            }
        }
    }
    let follows = timeline.tracks.iter().any(|track| {
        track
            .clips
            .iter()
            .any(|clip| is_near(clip.clock.target.start, gap.end()))
    });
    if follows {
        // Sounds that began before keep their place; they would last too long afterwards.
        let by = -seconds(gap.duration);
        let shift = json!({ "op": "shift", "from": seconds(gap.end()), "by": by });
        let cut = ends(movie, timeline.duration - gap.duration, gap.end());
        candidates.push(std::iter::once(shift.clone()).chain(cut).collect());
        candidates.push(vec![shift]);
    } else {
        candidates.push(ends(movie, gap.start, i64::MAX));
    }
    candidates.retain(|operations| !operations.is_empty());
    candidates
}

/// Operations that end sounds of their own at a time; those that start at `later` or after it are not among them.
fn ends(movie: &Movie, time: i64, later: i64) -> Vec<Value> {
    let sounds = movie.sounds.iter().filter(|sound| {
        let is_own = !sound.clip.contains('/') && !sound.is_video;
        is_own && sound.range.end() > time && sound.range.start < later
    });
    let end = |sound: &crate::movie::Sound| {
        if sound.range.start < time {
            json!({ "op": "trim", "clip": &*sound.clip, "end": time as f64 / 1e6 })
        } else {
            json!({ "op": "remove", "clip": &*sound.clip })
        }
    };
    sounds.map(end).collect()
}
