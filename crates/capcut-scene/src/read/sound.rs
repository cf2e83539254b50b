//! Reads what is heard of clips.

use std::sync::Arc;

use capcut_draft::{ClipKind, ClipRef, Clock, Document, MaterialRef, field};

use super::values::{animated, limited_time, number};
use super::{Outer, Reader, Source};
use crate::animated::{Animated, Key};
use crate::movie::{Gain, Sound};

impl Reader {
    pub(super) fn sound(
        &mut self,
        source: &Source<'_>,
        own: ClipRef,
        main: MaterialRef,
        kind: ClipKind,
        name: &Arc<str>,
        clock: &Clock,
    ) {
        let (document, outer) = (source.document, source.outer);
        let is_video = kind == ClipKind::Video;
        if is_video && document.flag(main, &["has_audio"]) == Some(false) {
            return;
        }
        let mut gains = outer.gains.clone();
        gains.push(gain(source, own, clock, false));
        if gains.iter().any(Gain::is_silent) {
            return;
        }
        let left_out: Vec<String> = document
            .refs(own)
            .iter()
            .filter_map(|id| document.material_in("audio_effects", id))
            .map(|effect| document.value(effect, &field::material::NAME))
            .collect();
        for effect in &left_out {
            self.note(
                name,
                "effect_type",
                true,
                format!("the sound effect \"{effect}\" is not heard"),
            );
        }
        if !clock.curve.is_empty() {
            self.note(
                name,
                "speed_curve",
                false,
                "the sound follows the speed curve approximately",
            );
        }
        self.movie.sounds.push(Sound {
            clip: name.clone(),
            path: super::file_of(document, main),
            is_video,
            range: outer.shown(clock.target),
            clock: Clock::new(
                outer.range(clock.target),
                clock.source,
                clock.speed / outer.stretch,
                clock.curve.clone(),
            ),
            keeps_pitch: document.flag(own, &["is_tone_modify"]) != Some(true),
            gains,
            left_out,
        });
    }
}

impl Gain {
    /// Whether nothing is heard at any time.
    fn is_silent(&self) -> bool {
        self.volume.largest() <= 0.0
    }
}

/// The volume of a clip over time, on the timeline of the movie.
pub(super) fn gain(source: &Source<'_>, own: ClipRef, clock: &Clock, is_muted: bool) -> Gain {
    let (document, outer) = (source.document, source.outer);
    let lists = document.keyframes(own);
    let base = number(document, own, &["volume"], 1.0);
    let volume = if is_muted {
        Animated::fixed(0.0)
    } else {
        animated(&lists, "KFTypeVolume", base)
    };
    let on_source = super::counts_on_source(document, own, clock, &lists);
    let (fade_in, fade_out) = fades(document, own);
    Gain {
        volume: on_timeline(volume, outer, clock, on_source),
        range: outer.range(clock.target),
        fade_in: (fade_in as f64 * outer.stretch) as i64,
        fade_out: (fade_out as f64 * outer.stretch) as i64,
    }
}

/// The same values with keyframes on the timeline of the movie.
fn on_timeline(values: Animated, outer: &Outer, clock: &Clock, on_source: bool) -> Animated {
    let time = |key: i64| {
        if on_source {
            clock.time_of(key as f64)
        } else {
            clock.target.start.saturating_add(key)
        }
    };
    let stretch = outer.stretch / if on_source { clock.speed } else { 1.0 };
    let keys = values.keys.iter().map(|key| Key {
        time: outer.time(time(key.time)),
        value: key.value,
        handles: key
            .handles
            .map(|handles| handles.map(|(x, y)| (x * stretch, y))),
    });
    Animated {
        base: values.base,
        keys: keys.collect(),
    }
}

/// The lengths of the fades of a clip, microseconds.
fn fades(document: &Document, own: ClipRef) -> (i64, i64) {
    let Some(fade) = document.companion(own, &["audio_fades"]) else {
        return (0, 0);
    };
    let length = |key: &str| {
        let length = document.number(fade, &[key]).unwrap_or_default();
        limited_time(length).max(0.0) as i64
    };
    (length("fade_in_duration"), length("fade_out_duration"))
}
