//! The length of a clip: the requested length, limited by what is known about its file.

use crate::caller::{Caller, Manner};
use crate::draft::material::{MediaKind, MediaProperties};
use crate::engine::Engine;
use crate::engine::parts::seconds;
use crate::error::{Error, Kind, Result};
use crate::media::Facts;
use crate::units::{Micros, Range};

/// The size that the API assumes for a picture that it cannot read.
const ASSUMED: (u32, u32) = (1920, 1080);

/// What a call requests for a clip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Start in the file, in seconds.
    pub start: f64,
    /// End in the file, in seconds. Default, and for 0: the end of the file.
    pub end: Option<f64>,
    pub target_start: f64,
    pub speed: f64,
}

/// The ranges of a clip, and what had to be adjusted.
#[derive(Debug, PartialEq)]
pub(crate) struct Fitted {
    pub source: Range,
    pub target: Range,
    /// Lengths in the file and on the timeline as requested, if the file required others.
    pub asked: Option<(Micros, Micros)>,
    pub note: Option<String>,
}

/// The facts of a file, measured or assumed; with a note if assumed.
pub(crate) struct Looked {
    pub known: MediaProperties,
    /// `None`: the length is unknown.
    pub length: Option<Micros>,
    pub note: Option<String>,
}

impl Engine {
    /// Checks a media file. For strict callers an unusable file is an error. Over HTTP the call succeeds, and
    /// the save fails. An unreachable host is accepted if the call gives the length of the clip.
    pub(crate) async fn look(
        &self,
        argument: &str,
        source: &str,
        kind: MediaKind,
        has_length: bool,
        caller: &Caller,
    ) -> Result<Looked> {
        let facts = self.media(caller).facts(source).await;
        // A still picture used as a video still has a size.
        let seen = facts
            .as_ref()
            .ok()
            .filter(|facts| kind == MediaKind::Video && facts.width > 0)
            .map_or(ASSUMED, |facts| (facts.width, facts.height));
        let assumed = |note: String| Looked {
            known: match kind {
                MediaKind::Audio => MediaProperties::default(),
                _ => MediaProperties {
                    width: seen.0,
                    height: seen.1,
                    ..MediaProperties::default()
                },
            },
            length: None,
            note: Some(note),
        };
        let error = match facts {
            Ok(facts) => match usable(kind, &facts) {
                Ok(length) => {
                    return Ok(Looked {
                        known: MediaProperties {
                            width: facts.width,
                            height: facts.height,
                            duration: length,
                            read: true,
                        },
                        length: (length > Micros::ZERO).then_some(length),
                        note: None,
                    });
                }
                Err(fault) => Error::media(format!("{} {fault}", crate::media::shown(source))),
            },
            Err(error) => error,
        };
        let unreachable = matches!(
            error.kind,
            Kind::Unsent | Kind::Unavailable | Kind::Timeout | Kind::Busy
        );
        let may_pass = if caller.manner == Manner::Strict {
            unreachable && has_length
        } else {
            // Access that is not allowed is refused to all callers.
            error.kind != Kind::InvalidArgument
        };
        if may_pass {
            return Ok(assumed(format!("not checked yet: {}", error.message)));
        }
        crate::engine::parts::of(argument, Err(error))
    }
}

/// The length of a file that can be used as this kind, or why it cannot.
fn usable(kind: MediaKind, facts: &Facts) -> std::result::Result<Micros, String> {
    match kind {
        MediaKind::Video if facts.has_video => Ok(facts.duration),
        MediaKind::Video if facts.is_still => {
            Err("is a picture that does not move: add it with `add_image`".to_owned())
        }
        MediaKind::Video => Err("has no picture: add it with `add_audio`".to_owned()),
        MediaKind::Photo if facts.is_still || facts.is_moving_picture() => Ok(Micros::ZERO),
        MediaKind::Photo => {
            Err("is not a picture: add it with `add_video` or `add_audio`".to_owned())
        }
        MediaKind::Audio => facts
            .audio_duration
            .ok_or_else(|| "has no sound".to_owned()),
    }
}

/// Fits a clip to its file: up to the end of the file if no end is given; shortened if the end is beyond the file.
pub(crate) fn fit(wish: Wish, length: Option<Micros>, target_of: TargetOf) -> Result<Fitted> {
    let start = seconds("start", wish.start)?;
    let target_start = seconds("target_start", wish.target_start)?;
    if !(wish.speed.is_finite() && wish.speed > 0.0) {
        return Err(Error::invalid(format!(
            "`speed` is {}, but must be greater than 0",
            wish.speed
        )));
    }
    let start_at = Micros::from_seconds(start);
    if let Some(length) = length
        && start_at >= length
    {
        return Err(Error::invalid(format!(
            "`start` is {start_at}, but the file ends at {length}"
        ))
        .hint(
            "`start` is a position in the file; `target_start` is the position on the timeline",
        ));
    }
    let at = Micros::from_seconds(target_start);
    let to_end = |length: Micros| {
        let source = Range::new(start_at, length - start_at);
        let target = Micros((source.duration.0 as f64 / wish.speed) as i64);
        (source, Range::new(at, target))
    };
    let end = match wish.end {
        Some(end) => seconds("end", end)?,
        None => 0.0,
    };
    let wanted = Range::new(start_at, Micros::from_seconds(end - start));
    let wanted_target = target_of.duration(end - start, wanted.duration, wish.speed);
    let asked = Some((wanted.duration, wanted_target));
    if start_at == Micros::ZERO && wanted.end() <= Micros::ZERO || end == 0.0 {
        // The call gives no end.
        let (source, target) = match length {
            Some(length) => to_end(length),
            None => (
                Range::new(start_at, Micros::ZERO),
                Range::new(at, Micros::ZERO),
            ),
        };
        return Ok(Fitted {
            source,
            target,
            asked,
            note: None,
        });
    }
    if wanted.duration <= Micros::ZERO {
        return Err(Error::invalid(format!(
            "`end` is {end} s, which is not after `start` ({start} s)"
        )));
    }
    match length {
        Some(length) if wanted.end() > length => {
            let (source, target) = to_end(length);
            Ok(Fitted {
                source,
                target,
                asked,
                note: Some(format!(
                    "`end` is {end} s, but the file ends at {length}: the clip was shortened to fit"
                )),
            })
        }
        _ => Ok(Fitted {
            source: wanted,
            target: Range::new(at, wanted_target),
            asked: None,
            note: None,
        }),
    }
}

/// The API rounds the length on the timeline differently for video and audio.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetOf {
    Video,
    Audio,
}

impl TargetOf {
    fn duration(self, seconds: f64, source: Micros, speed: f64) -> Micros {
        match self {
            Self::Video => Micros::from_seconds(seconds / speed),
            Self::Audio => Micros((source.0 as f64 / speed).round_ties_even() as i64),
        }
    }
}

/// The range from `start` to `end` on the timeline.
pub(crate) fn span(start: f64, end: f64) -> Result<Range> {
    let (start, end) = (seconds("start", start)?, seconds("end", end)?);
    let range = Range::new(
        Micros::from_seconds(start),
        Micros::from_seconds(end - start),
    );
    if range.duration <= Micros::ZERO {
        return Err(Error::invalid(format!(
            "`end` is {end} s, which is not after `start` ({start} s)"
        )));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_fitted_to_its_file() {
        let check = |start, end, speed, length: Option<i64>, expected: Option<(i64, i64, i64)>| {
            let wish = Wish {
                start,
                end,
                target_start: 1.0,
                speed,
            };
            let fitted = fit(wish, length.map(Micros), TargetOf::Video).ok();
            let got = fitted.map(|fitted| {
                assert_eq!(fitted.target.start, Micros(1_000_000));
                (
                    fitted.source.start.0,
                    fitted.source.duration.0,
                    fitted.target.duration.0,
                )
            });
            assert_eq!(got, expected, "{start} {end:?} {speed} {length:?}");
        };
        check(
            0.0,
            None,
            1.0,
            Some(4_000_000),
            Some((0, 4_000_000, 4_000_000)),
        );
        check(
            1.5,
            Some(0.0),
            2.0,
            Some(4_000_000),
            Some((1_500_000, 2_500_000, 1_250_000)),
        );
        check(
            0.0,
            Some(9.0),
            1.0,
            Some(4_000_000),
            Some((0, 4_000_000, 4_000_000)),
        );
        check(
            0.0,
            Some(1.0),
            3.0,
            Some(4_000_000),
            Some((0, 1_000_000, 333_333)),
        );
        check(
            0.0,
            Some(1e-7),
            1.0,
            Some(4_000_000),
            Some((0, 4_000_000, 4_000_000)),
        );
        check(0.0, None, 1.0, None, Some((0, 0, 0)));
        check(0.0, Some(3.0), 1.0, None, Some((0, 3_000_000, 3_000_000)));
        check(3.0, Some(1.0), 1.0, Some(4_000_000), None);
        check(5.0, None, 1.0, Some(4_000_000), None);
        check(-1.0, None, 1.0, Some(4_000_000), None);
        check(0.0, Some(1.0), 0.0, Some(4_000_000), None);
        check(0.0, Some(1.0), -1.0, None, None);
        check(0.0, Some(f64::NAN), 1.0, None, None);
    }
}
