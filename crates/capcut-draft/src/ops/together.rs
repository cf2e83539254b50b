//! Operations on many clips as one: music that is quieter under a voice, and fades of the whole video.

use crate::document::{ClipRef, Document};
use crate::error::{Error, Result};
use crate::field::clip;
use crate::grid::{Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::ops::session::Session;
use crate::ops::{Duck, Fade, KeyframeValue, SpeechInFile};
use crate::select::Time;

/// Clips whose opacity the app animates.
const VISIBLE: [ClipKind; 5] = [
    ClipKind::Video,
    ClipKind::Image,
    ClipKind::Text,
    ClipKind::Sticker,
    ClipKind::Compound,
];

/// Clips whose sound has fades.
const AUDIBLE: [ClipKind; 3] = [ClipKind::Video, ClipKind::Audio, ClipKind::Compound];

impl Session<'_> {
    /// Lowers clips while others sound.
    pub(crate) fn duck(&mut self, operation: &Duck) -> Result<()> {
        let shape = DuckShape::of(operation)?;
        let own = self.edit.select_all(&operation.clip)?;
        let under = self.edit.select_all(&operation.under)?;
        let mut others = Vec::new();
        for clip in under.iter().filter(|clip| !own.contains(clip)) {
            others.extend(self.sounding(*clip, &operation.speech));
        }
        let mut lowered = 0;
        for clip in own.iter().copied().filter(|clip| !under.contains(clip)) {
            lowered += usize::from(self.duck_clip(clip, &others, shape)?);
        }
        if lowered == 0 {
            return Err(Error::invalid(
                "no clip of `clip` plays at the same time as one of `under`",
            )
            .hint(
                "`clip` is the music and `under` the voice, each by id, track, name, or a list",
            ));
        }
        Ok(())
    }

    /// When a clip sounds on the timeline: where somebody speaks in its file, or from its start to its end, also if it plays
    /// backwards, from a file of the app.
    pub(super) fn sounding(&self, own: ClipRef, speech: &[SpeechInFile]) -> Vec<TimeRange> {
        let target = self.edit.target(own);
        let file = self.edit.sound_file(own);
        let found = file.and_then(|file| speech.iter().find(|found| found.file == file));
        let Some(found) = found.filter(|_| !self.is_reversed(own)) else {
            return vec![target];
        };
        let clock = self.edit.clock(own);
        let shown = |seconds: f64| {
            let time = clock.time_of(seconds * 1e6);
            time.clamp(target.start, target.end())
        };
        let spans = found.spans.iter();
        spans
            .map(|(start, end)| TimeRange::between(shown(*start), shown(*end)))
            .filter(|span| span.duration > 0)
            .collect()
    }

    fn duck_clip(&mut self, own: ClipRef, others: &[TimeRange], shape: DuckShape) -> Result<bool> {
        let kind = self.edit.clip_kind(own);
        if !AUDIBLE.contains(&kind) {
            return Err(Error::invalid(format!(
                "{} has no sound",
                self.edit.describe(own)
            )));
        }
        self.edit.check_times(own)?;
        let target = self.edit.target(own);
        let stretches = shape.stretches(target, others);
        if stretches.is_empty() {
            return Ok(false);
        }
        self.touch(own)?;
        let curve = self.volume_curve(own);
        let loud = self.edit.value(own, &clip::VOLUME);
        let before: &[(i64, f64)] = if curve.is_empty() {
            &[(0, loud)]
        } else {
            &curve
        };
        let points: Vec<KeyframeValue> = multiplied(before, &ducked(target, others, 1.0, shape))
            .into_iter()
            .map(|(micros, value)| KeyframeValue {
                time: Time::from_micros(micros),
                value,
                easing: None,
            })
            .collect();
        self.set_volume_curve(own, &points)?;
        let id = self.edit.short_id(own);
        if !curve.is_empty() {
            self.note(format!(
                "{id} keeps its loudness over time, lowered under the others"
            ));
        }
        let times: Vec<String> = stretches
            .iter()
            .take(SHOWN_STRETCHES)
            .map(|(start, end)| format!("{}–{}", Seconds(*start), Seconds(*end)))
            .collect();
        let more = match stretches.len().saturating_sub(SHOWN_STRETCHES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.changed(format!(
            "{id} is at {} % of its loudness under {} {}: {}{more}",
            (shape.to * 100.0).round(),
            stretches.len(),
            if stretches.len() == 1 {
                "stretch of the others"
            } else {
                "stretches of the others"
            },
            times.join(", ")
        ));
        Ok(true)
    }

    /// The keyframes of a clip's loudness, as times on the timeline and values.
    pub(super) fn volume_curve(&self, own: ClipRef) -> Vec<(i64, f64)> {
        let target = self.edit.target(own);
        let clock = self.edit.clock(own);
        let is_on_source = self.keyframes_on_source_clock(own);
        let shown = |offset: i64| {
            if is_on_source {
                clock.time_of(offset as f64)
            } else {
                target.start + offset
            }
        };
        let lists = self.edit.keyframes(own).into_iter();
        let points = lists
            .filter(|list| list.property == "KFTypeVolume")
            .flat_map(|list| list.points);
        let mut curve: Vec<(i64, f64)> = points
            .filter_map(|point| Some((shown(point.offset), point.single()?)))
            .collect();
        curve.sort_by_key(|(time, _)| *time);
        curve
    }

    /// Fades everything in at the start of the timeline, or out at its end.
    pub(crate) fn fade(&mut self, operation: &Fade) -> Result<()> {
        let asked =
            [operation.fade_in, operation.fade_out].map(|time| time.map_or(0, |it| it.micros));
        let end = self.edit.all_clips().map(|own| self.edit.target(own).end());
        let end = end.max().unwrap_or_default();
        if asked == [0, 0] {
            return Err(Error::invalid(
                "`fade` needs `fade_in` or `fade_out`, in seconds",
            ));
        }
        for (name, length) in ["fade_in", "fade_out"].into_iter().zip(asked) {
            if length < 0 || length > end {
                return Err(Error::invalid(format!(
                    "`{name}` is {}; the timeline lasts {}",
                    Seconds(length),
                    Seconds(end)
                )));
            }
        }
        let [fade_in, fade_out] = asked;
        let clips: Vec<ClipRef> = self.edit.all_clips().collect();
        for own in clips {
            let kind = self.edit.clip_kind(own);
            let target = self.edit.target(own);
            let is_first = fade_in > 0 && target.start < fade_in;
            let is_last = fade_out > 0 && target.end() > end - fade_out;
            if !is_first && !is_last {
                continue;
            }
            if VISIBLE.contains(&kind) {
                self.fade_picture(own, kind, (fade_in, fade_out, end))?;
            }
            if AUDIBLE.contains(&kind) {
                let frame = self.grid.one();
                if is_first && target.start <= frame {
                    self.fade_sound(own, "fade_in", fade_in.min(target.duration))?;
                }
                if is_last && target.end() >= end - frame {
                    self.fade_sound(own, "fade_out", fade_out.min(target.duration))?;
                }
            }
        }
        Ok(())
    }

    fn fade_sound(&mut self, own: ClipRef, name: &str, length: i64) -> Result<()> {
        self.touch(own)?;
        self.set_fade(own, name, length as f64 / 1e6)?;
        self.changed(format!(
            "{}: {name} is {}",
            self.edit.short_id(own),
            Seconds(length)
        ));
        Ok(())
    }

    fn fade_picture(
        &mut self,
        own: ClipRef,
        kind: ClipKind,
        (fade_in, fade_out, end): (i64, i64, i64),
    ) -> Result<()> {
        let is_animated = self
            .edit
            .keyframes(own)
            .iter()
            .any(|list| ["KFTypeAlpha", "KFTypeGlobalAlpha"].contains(&list.property.as_str()));
        let id = self.edit.short_id(own);
        if is_animated {
            self.note(format!(
                "{id} keeps its keyframes of opacity, and does not fade"
            ));
            return Ok(());
        }
        self.touch(own)?;
        self.edit.check_times(own)?;
        let target = self.edit.target(own);
        let own_opacity = if kind == ClipKind::Text {
            1.0
        } else {
            self.edit
                .usable_number(own, &["clip", "alpha"])?
                .unwrap_or(1.0)
        };
        // The part of the opacity at a time on the timeline.
        let part = |time: i64| {
            let of = |left: i64, length: i64| {
                if length > 0 {
                    (left as f64 / length as f64).clamp(0.0, 1.0)
                } else {
                    1.0
                }
            };
            of(time, fade_in).min(of(end - time, fade_out))
        };
        let mut times = vec![target.start, target.end()];
        let edges = [fade_in, end - fade_out];
        let inside = edges
            .into_iter()
            .filter(|time| target.start < *time && *time < target.end());
        times.extend(inside);
        times.sort_unstable();
        let points: Vec<_> = times
            .iter()
            .map(|time| (*time, own_opacity * part(*time), None))
            .collect();
        self.put_points(own, "opacity", &points)?;
        self.changed(format!("{id} fades with the video"));
        Ok(())
    }
}

/// How many stretches a report names.
const SHOWN_STRETCHES: usize = 12;

/// How a sound becomes quieter under others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DuckShape {
    /// The part of its loudness that stays, 0 to 1.
    pub to: f64,
    /// Before the others, microseconds.
    pub attack: i64,
    /// After the others, microseconds.
    pub release: i64,
    /// How long it stays quiet after the others, microseconds.
    pub hold: i64,
}

impl Default for DuckShape {
    fn default() -> Self {
        Self {
            to: 0.25,
            attack: 300_000,
            release: 300_000,
            hold: 0,
        }
    }
}

impl DuckShape {
    /// The shape that an operation describes.
    ///
    /// # Errors
    /// For values out of their range.
    pub fn of(operation: &Duck) -> Result<Self> {
        let usual = Self::default();
        let time = |name: &str, time: Option<Time>, usual: i64| {
            let micros = time.map_or(usual, |time| time.micros);
            if (0..=10_000_000).contains(&micros) {
                return Ok(micros);
            }
            Err(Error::invalid(format!(
                "`{name}` is {}; it must be from 0 s to 10 s",
                Seconds(micros)
            )))
        };
        let to = match (operation.to, operation.by_db) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid("`to` and `by_db` are both given").hint(
                    "give `to`, the part of the loudness that stays, or `by_db`, such as -12",
                ));
            }
            (_, Some(decibels)) if !(-60.0..=0.0).contains(&decibels) => {
                return Err(Error::invalid(format!(
                    "`by_db` is {decibels}; it must be from -60 (inaudible) to 0 dB (as before)"
                )));
            }
            (_, Some(decibels)) => 10f64.powf(decibels / 20.0),
            (Some(to), None) if !(0.0..=1.0).contains(&to) => {
                return Err(Error::invalid(format!(
                    "`to` is {to}; it must be from 0 (silent) to 1 (as before), the part of the loudness that stays"
                )));
            }
            (to, None) => to.unwrap_or(usual.to),
        };
        let fade = time("fade", operation.fade, usual.attack)?;
        Ok(Self {
            to,
            attack: time("attack", operation.attack, fade)?,
            release: time("release", operation.release, fade)?,
            hold: time("hold", operation.hold, usual.hold)?,
        })
    }

    /// The stretches of a clip in which it is quiet. Pauses that are too short to become louder in are bridged.
    fn stretches(self, own: TimeRange, others: &[TimeRange]) -> Vec<(i64, i64)> {
        let held: Vec<TimeRange> = others
            .iter()
            .map(|other| TimeRange::between(other.start, other.end() + self.hold))
            .collect();
        stretches(own, &held, self.attack + self.release)
    }
}

/// The loudness of a sound over time, lower while others sound: times on the timeline and values; empty if no other sounds
/// during it.
#[must_use]
pub fn ducked(
    own: TimeRange,
    others: &[TimeRange],
    loud: f64,
    shape: DuckShape,
) -> Vec<(i64, f64)> {
    let low = loud * shape.to;
    let mut points = Vec::new();
    for (start, end) in shape.stretches(own, others) {
        if start > own.start {
            points.push(((start - shape.attack).max(own.start), loud));
        }
        points.extend([(start, low), (end, low)]);
        if end < own.end() {
            points.push(((end + shape.release).min(own.end()), loud));
        }
    }
    points
}

/// A curve of loudness, multiplied with factors over time: a point for each of either. Both are times in order, and values.
#[must_use]
pub fn multiplied(curve: &[(i64, f64)], factors: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut times: Vec<i64> = factors.iter().map(|(time, _)| *time).collect();
    // A single point is a loudness that does not change.
    if curve.len() > 1 {
        times.extend(curve.iter().map(|(time, _)| *time));
    }
    times.sort_unstable();
    times.dedup();
    times
        .into_iter()
        .map(|time| (time, value_at(curve, time) * value_at(factors, time)))
        .collect()
}

/// The value of a curve of straight lines at a time.
fn value_at(curve: &[(i64, f64)], time: i64) -> f64 {
    let next = curve.partition_point(|(at, _)| *at <= time);
    match (next.checked_sub(1).map(|last| curve[last]), curve.get(next)) {
        (Some((from, low)), Some((to, high))) => {
            low + (high - low) * (time - from) as f64 / (to - from) as f64
        }
        (Some((_, value)), None) | (None, Some(&(_, value))) => value,
        (None, None) => 1.0,
    }
}

/// The stretches of a clip during which others sound, with pauses up to `pause` bridged.
fn stretches(own: TimeRange, others: &[TimeRange], pause: i64) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = others
        .iter()
        .map(|other| (other.start.max(own.start), other.end().min(own.end())))
        .filter(|(start, end)| start < end)
        .collect();
    ranges.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start - last.1 <= pause => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

impl Document {
    pub(super) fn sound_file(&self, own: ClipRef) -> Option<String> {
        let has_file = matches!(self.clip_kind(own), ClipKind::Audio | ClipKind::Video);
        let main = self.main_material(own).filter(|_| has_file)?;
        ["remote_url", "path"].into_iter().find_map(|key| {
            let file = self.text(main, &[key])?;
            (!file.is_empty()).then(|| file.into_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pauses_between_words_are_bridged() {
        let range = |start, end| TimeRange {
            start,
            duration: end - start,
        };
        let others = [range(50, 60), range(0, 12), range(14, 20), range(90, 200)];
        assert_eq!(
            stretches(range(5, 100), &others, 4),
            [(5, 20), (50, 60), (90, 100)]
        );
        assert!(stretches(range(5, 100), &[range(100, 120)], 4).is_empty());
    }

    #[test]
    fn a_curve_is_multiplied_and_keeps_its_points() {
        let curve = [(0, 1.0), (100, 0.5)];
        let factors = [(20, 1.0), (40, 0.25), (60, 0.25), (80, 1.0)];
        let expected = [
            (0, 1.0),
            (20, 0.9),
            (40, 0.2),
            (60, 0.175),
            (80, 0.6),
            (100, 0.5),
        ];
        let found = multiplied(&curve, &factors);
        assert_eq!(found.len(), expected.len());
        for ((time, value), (expected_time, expected)) in found.iter().zip(expected) {
            assert!(
                *time == expected_time && (value - expected).abs() < 1e-9,
                "{found:?}"
            );
        }
        assert_eq!(
            multiplied(&[(0, 0.8)], &[(5, 1.0), (9, 0.5)]),
            [(5, 0.8), (9, 0.4)]
        );
    }
}
