//! Converts names and numbers of a request to parts of a draft: transitions, masks, animations, effects, fonts.
//!
//! Each error begins with the argument it refers to.

use capcut_draft::measure::BLUR_LEVELS;

use crate::catalog::{self, CatalogEntry, NameKind};
use crate::draft::material::{
    Animation, AudioEffect, Blur, FilterLayer, Mask, Phase, Setting, Transition, VideoEffect,
};
use crate::draft::text::{Font, Rgb};
use crate::engine::Canvas;
use crate::error::{Error, Result};
use crate::units::{Edition, Micros};

/// Prefixes an error with the name of its argument.
pub(crate) fn of<T>(argument: &str, result: Result<T>) -> Result<T> {
    result.map_err(|mut error| {
        error.message = format!("`{argument}`: {}", error.message);
        error
    })
}

/// A finite number: JSON has no others, but clients send them.
pub(crate) fn finite(argument: &str, value: f64) -> Result<f64> {
    if value.is_finite() && value.abs() <= 1e12 {
        Ok(value)
    } else {
        Err(Error::invalid(format!(
            "`{argument}`: {value} is not a number from -1e12 to 1e12"
        )))
    }
}

/// Seconds from 0 to one year: the API accepts more than the list of properties.
pub(crate) fn seconds(argument: &str, value: f64) -> Result<f64> {
    if (0.0..=31_536_000.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(if value < 0.0 {
        format!("`{argument}` is {value} s, but must be 0 or more")
    } else {
        format!("`{argument}`: {value} is not a number of seconds from 0 to 31536000 (a year)")
    }))
}

/// A fraction from 0 to 1.
pub(crate) fn part(argument: &str, value: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(Error::invalid(format!(
            "{argument} value must be between 0.0 and 1.0, not {value}"
        )))
    }
}

/// A colour in the formats that the API accepts: `#RRGGBB`, `RRGGBB`, `#RGB`.
pub(crate) fn rgb(argument: &str, text: &str) -> Result<Rgb> {
    let digits = text.trim_start_matches('#');
    let digits: String = if digits.chars().count() == 3 {
        digits.chars().flat_map(|digit| [digit, digit]).collect()
    } else {
        digits.to_owned()
    };
    let channel = |from: usize, to: usize| {
        digits
            .get(from..to.min(digits.len()))
            .and_then(|part| u8::from_str_radix(part, 16).ok())
    };
    match (channel(0, 2), channel(2, 4), channel(4, 6)) {
        (Some(red), Some(green), Some(blue)) => Ok(Rgb(red, green, blue)),
        _ => Err(Error::invalid(format!(
            "`{argument}`: {text:?} is not a colour: Invalid hexadecimal color code: {digits}"
        ))
        .hint("write it as #RRGGBB, such as #FFCC00")),
    }
}

/// A font by name.
pub(crate) fn font(edition: Edition, argument: &str, name: &str) -> Result<Font> {
    let entry = of(argument, catalog::find(edition, NameKind::Font, name))?;
    Ok(Font {
        name: entry.display.into(),
        resource_id: entry.resource_id.into(),
    })
}

/// A font as a file names it; `None` if the edition does not have it.
pub(crate) fn file_font(edition: Edition, name: &str) -> Option<Font> {
    let own = font(edition, "font", name);
    own.ok().or_else(|| {
        let entry = catalog::translated(edition, &[NameKind::Font], name)?;
        font(edition, "font", entry.key).ok()
    })
}

/// A transition by name; `None` for no name or an empty one.
pub(crate) fn transition(
    edition: Edition,
    name: Option<&str>,
    duration: Option<f64>,
) -> Result<Option<Transition>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let entry = of(
        "transition",
        catalog::find(edition, NameKind::Transition, name),
    )?;
    let duration = match duration {
        Some(value) => Micros::from_seconds_truncated(seconds("transition_duration", value)?),
        None => entry.duration.unwrap_or(Micros(500_000)),
    };
    Ok(Some(Transition {
        name: entry.display.into(),
        effect_id: entry.effect_id.into(),
        resource_id: entry.resource_id.into(),
        is_overlap: entry.is_overlap,
        duration,
        ..Transition::default()
    }))
}

/// A mask as requests describe it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaskWish<'a> {
    pub name: Option<&'a str>,
    /// Pixels from the middle of the canvas.
    pub center_x: f64,
    /// Pixels from the middle of the canvas.
    pub center_y: f64,
    /// As a fraction of the canvas height.
    pub size: f64,
    pub rotation: f64,
    pub feather: f64,
    pub invert: bool,
    pub rect_width: Option<f64>,
    pub round_corner: Option<f64>,
}

pub(crate) fn mask(canvas: Canvas, wish: MaskWish<'_>) -> Result<Option<Mask>> {
    let Some(name) = wish.name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let entry = of(
        "mask_type",
        catalog::find(canvas.edition, NameKind::Mask, name),
    )?;
    for (argument, value) in [
        ("mask_center_x", wish.center_x),
        ("mask_center_y", wish.center_y),
        ("mask_size", wish.size),
        ("mask_rotation", wish.rotation),
        ("mask_feather", wish.feather),
    ] {
        finite(argument, value)?;
    }
    let is_rectangle = entry.resource_type == "rectangle";
    for (argument, value) in [
        ("mask_rect_width", wish.rect_width),
        ("mask_round_corner", wish.round_corner),
    ] {
        if let (Some(value), false) = (value, is_rectangle) {
            return Err(Error::invalid(format!(
                "`{argument}` is {value}, but only a rectangle can have it, not `{}`",
                entry.key
            ))
            .hint("omit it, or choose the rectangle as `mask_type`"));
        }
    }
    let width = match wish.rect_width {
        Some(width) if width != 0.0 => width,
        None if is_rectangle => wish.size,
        _ => wish.size * canvas.height * entry.aspect_ratio / canvas.width,
    };
    Ok(Some(Mask {
        name: entry.display.into(),
        resource_id: entry.resource_id.into(),
        resource_type: entry.resource_type.into(),
        aspect_ratio: entry.aspect_ratio,
        center_x: wish.center_x / (canvas.width / 2.0),
        center_y: wish.center_y / (canvas.height / 2.0),
        feather: wish.feather / 100.0,
        height: wish.size,
        width,
        invert: wish.invert,
        rotation: wish.rotation,
        round_corner: wish.round_corner.unwrap_or(0.0) / 100.0,
        ..Mask::default()
    }))
}

/// A blurred background of one of four strengths.
pub(crate) fn blur(level: Option<f64>) -> Result<Option<Blur>> {
    let Some(level) = level else { return Ok(None) };
    match BLUR_LEVELS.iter().find(|(name, _)| *name == level) {
        Some(&(_, strength)) => Ok(Some(Blur {
            strength,
            ..Blur::default()
        })),
        None => Err(Error::invalid(format!(
            "`background_blur`: Invalid background blur level {level}, valid values are: 1, 2, 3, 4"
        ))),
    }
}

/// An animation by name; its start and duration are not set yet.
pub(crate) fn animation(
    edition: Edition,
    argument: &str,
    kind: NameKind,
    phase: Phase,
    name: &str,
) -> Result<(Animation, &'static CatalogEntry)> {
    let entry = of(argument, catalog::find(edition, kind, name))?;
    Ok((
        Animation {
            phase,
            name: entry.display.into(),
            effect_id: entry.effect_id.into(),
            resource_id: entry.resource_id.into(),
            start: Micros::ZERO,
            duration: Micros::ZERO,
        },
        entry,
    ))
}

/// The settings of an effect, each from 0 to 100. Default: the effect's own value.
fn settings(argument: &str, entry: &CatalogEntry, values: &[Option<f64>]) -> Result<Vec<Setting>> {
    let mut settings = Vec::with_capacity(entry.params.len());
    for (index, param) in entry.params.iter().enumerate() {
        let value = match values.get(index).copied().flatten() {
            None => param.default,
            Some(value) if (0.0..=100.0).contains(&value) => {
                param.min + (param.max - param.min) * value / 100.0
            }
            Some(value) => {
                return Err(Error::invalid(format!(
                    "`{argument}[{index}]`: Invalid parameter value {value:.6} for \"{}\", which ranges from 0 to 100",
                    param.name
                )));
            }
        };
        settings.push(Setting {
            name: param.name.into(),
            default: param.default,
            min: param.min,
            max: param.max,
            value,
        });
    }
    Ok(settings)
}

/// A voice or sound effect by name; `None` for no name or an empty one.
pub(crate) fn audio_effect(
    edition: Edition,
    name: Option<&str>,
    values: &[Option<f64>],
) -> Result<Option<AudioEffect>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let entry = of(
        "effect_type",
        catalog::find_in(edition, &NameKind::audio(edition), name),
    )?;
    if values.len() > entry.params.len() {
        return Err(Error::invalid(format!(
            "`effect_params`: \"{}\" has {} parameters, but {} were given",
            entry.display,
            entry.params.len(),
            values.len()
        )));
    }
    let (category_id, category_name) = audio_category(entry, edition);
    Ok(Some(AudioEffect {
        name: entry.display.into(),
        resource_id: entry.resource_id.into(),
        category_id: category_id.into(),
        category_name: category_name.into(),
        settings: settings("effect_params", entry, values)?,
        ..AudioEffect::default()
    }))
}

/// Id and name of the category of a voice or sound effect.
pub(super) fn audio_category(
    entry: &CatalogEntry,
    edition: Edition,
) -> (&'static str, &'static str) {
    match (entry.kind, edition) {
        (NameKind::VoiceFilter, _) => ("sound_effect", "Voice filters"),
        (NameKind::VoiceCharacter, _) => ("tone", "Voice characters"),
        (NameKind::AudioScene, _) => ("sound_effect", "场景音"),
        (NameKind::Tone, _) => ("tone", "音色"),
        (_, Edition::Capcut) => ("speech_to_song", "Speech to song"),
        (_, Edition::Jianying) => ("speech_to_song", "声音成曲"),
    }
}

/// A video effect by name, on the whole picture or on faces.
/// A filter by name; `strength` is from 0 to 100.
pub(crate) fn filter(edition: Edition, name: &str, strength: Option<f64>) -> Result<FilterLayer> {
    let entry = of(
        "effect_type",
        catalog::find(edition, NameKind::Filter, name),
    )?;
    Ok(FilterLayer {
        name: entry.display.into(),
        effect_id: entry.effect_id.into(),
        resource_id: entry.resource_id.into(),
        strength: strength.map_or(1.0, |strength| strength / 100.0),
        ..FilterLayer::default()
    })
}

pub(crate) fn video_effect(
    edition: Edition,
    category: &str,
    name: &str,
    values: &[Option<f64>],
) -> Result<VideoEffect> {
    let kind = match category {
        "scene" => NameKind::SceneEffect,
        "character" => NameKind::CharacterEffect,
        other => {
            return Err(Error::invalid(format!(
                "`effect_category`: Unknown {other} effect type: use \"scene\" or \"character\""
            )));
        }
    };
    let entry = of("effect_type", catalog::find(edition, kind, name))?;
    Ok(VideoEffect {
        name: entry.display.into(),
        effect_id: entry.effect_id.into(),
        resource_id: entry.resource_id.into(),
        is_character: kind == NameKind::CharacterEffect,
        settings: settings("params", entry, values)?,
        ..VideoEffect::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_the_api_reads_them() {
        let check = |text, expected: Option<Rgb>| assert_eq!(rgb("color", text).ok(), expected);
        check("#00FF00", Some(Rgb(0, 255, 0)));
        check("112233", Some(Rgb(0x11, 0x22, 0x33)));
        check("#abc", Some(Rgb(0xaa, 0xbb, 0xcc)));
        check("##aabbcc", Some(Rgb(0xaa, 0xbb, 0xcc)));
        check("#11223344", Some(Rgb(0x11, 0x22, 0x33)));
        check("#12345", Some(Rgb(0x12, 0x34, 5)));
        check("#1234", None);
        check("red", None);
        check("", None);
        check("颜色红", None);
    }
}
