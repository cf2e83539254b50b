//! How loud clips are: the volume at which they have a loudness by EBU R128.

use crate::document::{ClipRef, Document};
use crate::error::{Error, Result};
use crate::field::clip;
use crate::kinds::ClipKind;
use crate::ops::session::Session;
use crate::ops::{KeyframeValue, Loudness};
use crate::select::{ClipSelector, Time};

/// The loudness that can be set, in LUFS.
pub const LOUDNESS_RANGE: std::ops::RangeInclusive<f64> = -40.0..=-5.0;

/// The highest true peak, in dBTP.
const MOST_PEAK: f64 = -1.0;
/// The largest volume of the apps.
const MOST_VOLUME: f64 = 10.0;
/// Edges of a part that differ less than this are the same, in seconds.
const SAME: f64 = 0.002;

/// The volume that gives a sound its loudness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolumeForLoudness {
    /// A factor.
    pub volume: f64,
    /// LUFS before.
    pub from: f64,
    /// LUFS with this volume.
    pub to: f64,
    /// What kept it from being louder.
    limit: Option<&'static str>,
}

impl VolumeForLoudness {
    /// The volume for `wanted` LUFS, of a sound with these LUFS and dBTP: its true peak stays at -1 dBTP or below.
    #[must_use]
    pub fn new(wanted: f64, lufs: f64, true_peak: f64) -> Self {
        let most = 20.0 * MOST_VOLUME.log10();
        let (gain, limit) = [
            (MOST_PEAK - true_peak, "its true peak is at -1 dBTP"),
            (most, "the volume is at its largest, 10"),
        ]
        .into_iter()
        .fold((wanted - lufs, None), |now, (most, why)| {
            if now.0 > most { (most, Some(why)) } else { now }
        });
        // Rounded down, so that the peak stays below.
        let volume = (10f64.powf(gain / 20.0) * 1e4 + 1e-6).floor() / 1e4;
        Self {
            volume,
            from: lufs,
            to: lufs + 20.0 * volume.log10(),
            limit,
        }
    }
}

impl std::fmt::Display for VolumeForLoudness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} LUFS instead of {:.1}, with volume {}",
            self.to, self.from, self.volume
        )?;
        match self.limit {
            Some(limit) => write!(f, "; not louder, as {limit}"),
            None => Ok(()),
        }
    }
}

/// A part of a file that a clip plays.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundPart {
    /// As the document names it.
    pub file: String,
    /// Seconds in the file.
    pub start: f64,
    /// Seconds in the file.
    pub end: f64,
}

impl Session<'_> {
    /// Sets the volume of clips to what gives them a loudness.
    pub(crate) fn set_loudness(&mut self, operation: &Loudness) -> Result<()> {
        let wanted = operation.loudness_lufs;
        if !LOUDNESS_RANGE.contains(&wanted) {
            return Err(Error::invalid(format!(
                "`loudness_lufs` is {wanted}; it must be from -40 (quiet) to -5 LUFS (loud), such as -16"
            )));
        }
        for own in self.edit.select_all(&operation.clip)? {
            let part = self.edit.sound_part(own).ok_or_else(|| {
                Error::invalid(format!(
                    "{} has no sound of a file",
                    self.edit.describe(own)
                ))
            })?;
            let measured = operation.measured.iter().find(|measured| {
                measured.file == part.file
                    && (measured.start - part.start).abs() < SAME
                    && (measured.end - part.end).abs() < SAME
            });
            let Some(measured) = measured else {
                return Err(Error::conflict(format!(
                    "the sound of {} was not measured, as an earlier operation changed what it plays",
                    self.edit.describe(own)
                ))
                .hint("give `loudness` in a call of its own, after the others"));
            };
            let change = VolumeForLoudness::new(wanted, measured.lufs, measured.true_peak);
            self.touch(own)?;
            let now = self.edit.value(own, &clip::VOLUME);
            let curve = self.volume_curve(own);
            if now <= 0.0 && curve.is_empty() {
                return Err(Error::conflict(format!(
                    "{} is muted",
                    self.edit.describe(own)
                ))
                .hint("leave it out, or turn its sound on first: {\"op\": \"set\", \"clip\": \"…\", \"volume\": 1}"));
            }
            // A curve is relative to the volume that the clip had.
            let factor = change.volume / if now > 0.0 { now } else { 1.0 };
            let points: Vec<KeyframeValue> = curve
                .iter()
                .map(|(micros, value)| KeyframeValue {
                    time: Time::from_micros(*micros),
                    value: (value * factor).min(MOST_VOLUME),
                    easing: None,
                })
                .collect();
            if !points.is_empty() {
                self.set_volume_curve(own, &points)?;
            }
            self.edit.set(own, clip::VOLUME.path, &change.volume)?;
            let id = self.edit.short_id(own);
            self.changed(format!("{id} has {change}"));
        }
        Ok(())
    }
}

impl Document {
    /// What the selected clips with sound play of their files, each part once.
    ///
    /// # Errors
    /// As for a selector: `NotFound` or `Ambiguous`.
    pub fn sound_parts(&self, clips: &ClipSelector) -> Result<Vec<SoundPart>> {
        let mut parts = Vec::new();
        for own in self.select_all(clips)? {
            if let Some(part) = self.sound_part(own)
                && !parts.contains(&part)
            {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    fn sound_part(&self, own: ClipRef) -> Option<SoundPart> {
        let has_file = matches!(self.clip_kind(own), ClipKind::Audio | ClipKind::Video);
        let file = self.sound_file(own).filter(|_| has_file)?;
        let source = self.range(own, &["source_timerange"])?;
        Some(SoundPart {
            file,
            start: source.start as f64 / 1e6,
            end: source.end() as f64 / 1e6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_peak_and_the_largest_volume_limit_the_loudness() {
        let change = VolumeForLoudness::new(-16.0, -23.0, -12.0);
        assert!((change.volume - 2.2387).abs() < 1e-4 && (change.to + 16.0).abs() < 0.01);
        let change = VolumeForLoudness::new(-16.0, -20.0, -2.0);
        assert!((change.volume - 1.122).abs() < 1e-4, "{change:?}");
        assert!(
            change.to_string().contains("-19.0 LUFS instead of -20.0"),
            "{change}"
        );
        assert!(change.to_string().contains("true peak"), "{change}");
        let change = VolumeForLoudness::new(-5.0, -60.0, -50.0);
        assert_eq!(change.volume, 10.0);
        assert!(change.to_string().contains("largest"), "{change}");
    }
}
