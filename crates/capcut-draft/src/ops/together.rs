//! Operations on many clips as one: music that is quieter under a voice, and fades of the whole video.

use crate::document::ClipRef;
use crate::error::{Error, Result};
use crate::field::clip;
use crate::grid::{Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::ops::session::Session;
use crate::ops::{Duck, Fade, KeyframeValue};
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
        let fade = operation.fade.micros;
        if !(0.0..=1.0).contains(&operation.to) {
            return Err(Error::invalid(format!(
                "`to` is {}; it must be from 0 (silent) to 1 (as before), the part of the loudness that stays",
                operation.to
            )));
        }
        if !(0..=10_000_000).contains(&fade) {
            return Err(Error::invalid(format!(
                "`fade` is {}; it must be from 0 s to 10 s",
                Seconds(fade)
            )));
        }
        let own = self.edit.select_all(&operation.clip)?;
        let under = self.edit.select_all(&operation.under)?;
        let others: Vec<TimeRange> = under
            .iter()
            .filter(|clip| !own.contains(clip))
            .map(|clip| self.edit.target(*clip))
            .collect();
        let mut lowered = 0;
        for clip in own.iter().copied().filter(|clip| !under.contains(clip)) {
            lowered += usize::from(self.duck_clip(clip, &others, operation.to, fade)?);
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

    fn duck_clip(
        &mut self,
        own: ClipRef,
        others: &[TimeRange],
        to: f64,
        fade: i64,
    ) -> Result<bool> {
        let kind = self.edit.clip_kind(own);
        if !AUDIBLE.contains(&kind) {
            return Err(Error::invalid(format!(
                "{} has no sound",
                self.edit.describe(own)
            )));
        }
        self.edit.check_times(own)?;
        let target = self.edit.target(own);
        let stretches = stretches(target, others, 2 * fade);
        if stretches.is_empty() {
            return Ok(false);
        }
        self.touch(own)?;
        let loud = self.edit.value(own, &clip::VOLUME);
        let points: Vec<KeyframeValue> = ducked(target, others, loud, to, fade)
            .into_iter()
            .map(|(micros, value)| KeyframeValue {
                time: Time::from_micros(micros),
                value,
                easing: None,
            })
            .collect();
        self.set_volume_curve(own, &points)?;
        self.changed(format!(
            "{} is at {} % of its loudness under {} {}",
            self.edit.short_id(own),
            (to * 100.0).round(),
            stretches.len(),
            if stretches.len() == 1 {
                "stretch of the others"
            } else {
                "stretches of the others"
            }
        ));
        Ok(true)
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

/// The loudness of a sound over time, lower while others sound: times on the timeline and values; empty if no other sounds
/// during it. `to` is the part of its loudness that stays, `fade` how long it takes to become quieter and louder, microseconds.
#[must_use]
pub fn ducked(
    own: TimeRange,
    others: &[TimeRange],
    loud: f64,
    to: f64,
    fade: i64,
) -> Vec<(i64, f64)> {
    let low = loud * to;
    let mut points = Vec::new();
    for (start, end) in stretches(own, others, 2 * fade) {
        if start > own.start {
            points.push(((start - fade).max(own.start), loud));
        }
        points.extend([(start, low), (end, low)]);
        if end < own.end() {
            points.push(((end + fade).min(own.end()), loud));
        }
    }
    points
}

/// The part of the loudness of music that usually stays under a voice.
pub const DUCKED: f64 = 0.25;

/// How long music usually takes to become quieter, microseconds.
pub const DUCK_FADE: i64 = 300_000;

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
}
