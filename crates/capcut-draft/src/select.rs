//! How operations name clips, tracks and times.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::document::{ClipRef, Document, TrackRef};
use crate::error::{Error, ErrorKind, Result, nearest, quoted_list};
use crate::field::{material, track};
use crate::grid::Seconds;
use crate::kinds::ClipKind;

/// A clip: a short id (`"c12"`), a full id, `"t2@3.5"` or `{"track": "t2", "at": 3.5}`, the name of its file or
/// effect, or its words. Operations that take several clips also take a track, a kind (`"images"`, `"captions"`, `"all"`),
/// or a list.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ClipSelector {
    /// Short id, full id, track and time, name, or words.
    Text(String),
    /// The clip on a track at a time.
    At {
        track: String,
        /// Time on the timeline, seconds.
        at: Time,
    },
    /// Several clips.
    Many(Vec<ClipSelector>),
}

/// Clips of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ClipGroup {
    All,
    Of(ClipKind),
    Captions,
}

/// Words for all clips of a kind.
const GROUPS: [(ClipGroup, &[&str]); 9] = [
    (
        ClipGroup::All,
        &["all", "everything", "clips", "*", "全部", "所有"],
    ),
    (
        ClipGroup::Of(ClipKind::Image),
        &["image", "photo", "picture", "still", "图片", "照片"],
    ),
    (ClipGroup::Of(ClipKind::Video), &["video", "视频"]),
    (
        ClipGroup::Of(ClipKind::Audio),
        &["audio", "sound", "音频", "声音"],
    ),
    (ClipGroup::Captions, &["caption", "subtitle", "字幕"]),
    (
        ClipGroup::Of(ClipKind::Text),
        &["text", "title", "文字", "文本"],
    ),
    (ClipGroup::Of(ClipKind::Sticker), &["sticker", "贴纸"]),
    (ClipGroup::Of(ClipKind::Effect), &["effect", "特效"]),
    (ClipGroup::Of(ClipKind::Filter), &["filter", "滤镜"]),
];

impl ClipGroup {
    /// "all photos", "every photo", "photos"; a word for one clip alone, such as "photo", is not a group.
    fn read(text: &str) -> Option<Self> {
        let lower = text.trim().to_lowercase();
        let rest = ["all the ", "all ", "every ", "each ", "所有", "全部"]
            .iter()
            .find_map(|word| lower.strip_prefix(word));
        let is_plain = rest.is_none() && lower.is_ascii();
        let word = rest.filter(|rest| !rest.is_empty()).unwrap_or(&lower);
        let word = word.trim().trim_start_matches("clips of ");
        let is_word = |known: &&str| {
            let plural = word.strip_suffix('s').is_some_and(|one| one == *known);
            let same = word == *known;
            let may_be_one =
                !is_plain || ["audio", "all", "everything", "clips", "*"].contains(known);
            plural || (same && may_be_one)
        };
        let found = GROUPS.iter().find(|(_, words)| words.iter().any(&is_word));
        found.map(|(group, _)| *group)
    }
}

impl From<&str> for ClipSelector {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A time or a length: seconds, `"1:30"`, `"1500ms"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Microseconds.
    pub micros: i64,
}

/// A day, the longest time.
const LONGEST: f64 = 86_400.0;

impl Time {
    pub fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    fn of_seconds(seconds: f64) -> std::result::Result<Self, String> {
        if !(-LONGEST..=LONGEST).contains(&seconds) {
            return Err(format!(
                "{seconds} is not a time in seconds, from -86400 to 86400"
            ));
        }
        Ok(Self {
            micros: (seconds * 1e6).round() as i64,
        })
    }

    /// Reads `1.5`, `1:30`, `1500ms`.
    pub fn read(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is not a time: use seconds such as 1.5, \"1:30\" or \"1500ms\"");
        let trimmed = text.trim();
        let number = |text: &str| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
        };
        if let Some(millis) = trimmed.strip_suffix("ms") {
            return Self::of_seconds(number(millis).ok_or_else(wrong)? / 1e3);
        }
        let trimmed = trimmed.strip_suffix('s').unwrap_or(trimmed);
        let (sign, trimmed) = match trimmed.strip_prefix('-') {
            Some(rest) => (-1.0, rest),
            None => (1.0, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let mut seconds = 0.0;
        for (index, part) in trimmed.split(':').enumerate() {
            let most = if index == 0 { f64::INFINITY } else { 60.0 };
            let part = number(part).filter(|part| (0.0..most).contains(part));
            let part = part.ok_or_else(wrong)?;
            seconds = seconds * 60.0 + part;
        }
        Self::of_seconds(sign * seconds)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.micros as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TimeVisitor;
        impl serde::de::Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: seconds, \"1:30\" or \"1500ms\"")
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> std::result::Result<Time, E> {
                Time::of_seconds(seconds).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> std::result::Result<Time, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> std::result::Result<Time, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Time, E> {
                Time::read(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"] })
    }
}

impl Document {
    /// The clip that a selector names.
    ///
    /// # Errors
    /// `Ambiguous` with the list of matches, or `NotFound` with the nearest names.
    pub fn select(&self, selector: &ClipSelector) -> Result<ClipRef> {
        match selector {
            ClipSelector::At { track, at } => self.clip_at(self.select_track(track)?, at.micros),
            ClipSelector::Text(text) => self.select_by_text(text.trim()),
            ClipSelector::Many(list) => match &list[..] {
                [one] => self.select(one),
                _ => Err(Error::invalid(format!(
                    "`clip` is a list of {}, but this takes one clip",
                    list.len()
                ))
                .hint("write one operation for each clip")),
            },
        }
    }

    /// All clips that a selector names: those of a track, of a kind, or of a list; otherwise one.
    ///
    /// # Errors
    /// As [`select`](Self::select); `NotFound` if there is no clip of the kind, `Invalid` for an empty list.
    pub fn select_all(&self, selector: &ClipSelector) -> Result<Vec<ClipRef>> {
        if let ClipSelector::Many(list) = selector {
            if list.is_empty() {
                return Err(Error::invalid("`clip` is an empty list"));
            }
            let mut all = Vec::new();
            for selector in list {
                let found = self.select_all(selector)?;
                all.extend(
                    found
                        .into_iter()
                        .filter(|clip| !all.contains(clip))
                        .collect::<Vec<_>>(),
                );
            }
            return Ok(all);
        }
        if let ClipSelector::Text(text) = selector
            && self.clip_by_number(text).is_none()
            && let Ok(track) = self.select_track(text)
        {
            return Ok(self.clips(track).collect());
        }
        // A clip with exactly this name comes first.
        if let ClipSelector::Text(text) = selector
            && let Some(group) = ClipGroup::read(text)
            && !self.is_label(text)
        {
            let all: Vec<ClipRef> = self
                .all_clips()
                .filter(|clip| self.is_of(*clip, group))
                .collect();
            if all.is_empty() {
                return Err(Error::not_found(format!(
                    "the draft has no {}",
                    text.trim()
                )));
            }
            return Ok(all);
        }
        self.select(selector).map(|clip| vec![clip])
    }

    fn is_label(&self, text: &str) -> bool {
        let lower = text.trim().to_lowercase();
        self.all_clips().any(|clip| {
            let label = self.words(clip).or_else(|| self.media_name(clip));
            label.is_some_and(|label| label.to_lowercase() == lower)
        })
    }

    fn is_of(&self, clip: ClipRef, group: ClipGroup) -> bool {
        match group {
            ClipGroup::All => true,
            ClipGroup::Of(kind) => self.clip_kind(clip) == kind,
            ClipGroup::Captions => {
                let main = self.main_material(clip);
                let is_subtitle =
                    main.is_some_and(|main| self.value(main, &material::KIND) == "subtitle");
                let name = self.value(self.track_of(clip), &track::NAME).to_lowercase();
                self.clip_kind(clip) == ClipKind::Text
                    && (is_subtitle || name.starts_with("subtitle") || name.starts_with("caption"))
            }
        }
    }

    /// The track with this short id, full id or name.
    pub fn select_track(&self, text: &str) -> Result<TrackRef> {
        let text = text.trim();
        let tracks = self.tracks();
        let by_id = tracks.iter().find(|track| {
            self.short_track_id(**track).eq_ignore_ascii_case(text) || self.id(**track) == text
        });
        if let Some(track) = by_id {
            return Ok(*track);
        }
        let named: Vec<TrackRef> = tracks
            .iter()
            .copied()
            .filter(|track| !text.is_empty() && self.value(*track, &track::NAME) == text)
            .collect();
        match named[..] {
            [track] => Ok(track),
            [] => {
                let known: Vec<String> = tracks
                    .iter()
                    .map(|track| self.describe_track(*track))
                    .collect();
                Err(Error::not_found(format!("there is no track \"{text}\""))
                    .hint(format!("the tracks are {}", known.join(", "))))
            }
            _ => {
                let ids: Vec<String> = named
                    .iter()
                    .map(|track| self.short_track_id(*track))
                    .collect();
                Err(Error::new(
                    ErrorKind::Ambiguous,
                    format!(
                        "{} tracks have the name \"{text}\": {}",
                        named.len(),
                        ids.join(", ")
                    ),
                )
                .hint("name the track by its id"))
            }
        }
    }

    fn clip_by_number(&self, text: &str) -> Option<ClipRef> {
        let number: u32 = text.trim().strip_prefix(['c', 'C'])?.parse().ok()?;
        self.all_clips()
            .find(|clip| self.elements[clip.0 as usize].number == number)
    }

    fn clip_at(&self, track: TrackRef, at: i64) -> Result<ClipRef> {
        let hits: Vec<ClipRef> = self
            .clips(track)
            .filter(|clip| self.target(*clip).contains(at))
            .collect();
        match hits[..] {
            [clip] => Ok(clip),
            [] => {
                let near = self.clips(track).min_by_key(|clip| {
                    let target = self.target(*clip);
                    (target.start - at).abs().min((target.end() - at).abs())
                });
                let error = Error::not_found(format!(
                    "there is no clip on track {} at {}",
                    self.describe_track(track),
                    Seconds(at)
                ));
                Err(match near {
                    Some(near) => error.hint(format!("the nearest is {}", self.describe(near))),
                    None => error.hint("the track is empty"),
                })
            }
            _ => Err(self.ambiguous(&hits, &format!("at {}", Seconds(at)))),
        }
    }

    fn select_by_text(&self, text: &str) -> Result<ClipRef> {
        if let Some(clip) = self.clip_by_number(text) {
            return Ok(clip);
        }
        let by_id: Vec<ClipRef> = self.clips_by_id(text).collect();
        match by_id[..] {
            [clip] => return Ok(clip),
            [] => {}
            _ => return Err(self.ambiguous(&by_id, "with this id")),
        }
        if let Some((track, at)) = text.rsplit_once('@')
            && let (Ok(track), Ok(at)) = (self.select_track(track), Time::read(at))
        {
            return self.clip_at(track, at.micros);
        }
        let labels: Vec<(ClipRef, String)> = self
            .all_clips()
            .filter_map(|clip| {
                let label = self.words(clip).or_else(|| self.media_name(clip))?;
                Some((clip, label))
            })
            .collect();
        let lower = text.to_lowercase();
        let stem = |label: &str| {
            label
                .rsplit_once('.')
                .map_or(label, |(stem, _)| stem)
                .to_lowercase()
        };
        let tests: [&dyn Fn(&str) -> bool; 4] = [
            &|label| label == text,
            &|label| label.to_lowercase() == lower,
            &|label| stem(label) == lower,
            &|label| label.to_lowercase().contains(&lower),
        ];
        for test in tests.iter().filter(|_| !text.is_empty()) {
            let hits: Vec<ClipRef> = labels
                .iter()
                .filter(|(_, label)| test(label))
                .map(|(clip, _)| *clip)
                .collect();
            match hits[..] {
                [] => {}
                [clip] => return Ok(clip),
                _ => return Err(self.ambiguous(&hits, &format!("that match \"{text}\""))),
            }
        }
        let error = Error::not_found(format!("there is no clip \"{text}\""));
        let near = nearest(text, labels.iter().map(|(_, label)| label.as_str()));
        let clips: Vec<ClipRef> = self.all_clips().collect();
        Err(if clips.is_empty() {
            error.hint("the draft has no clips")
        } else if near.is_empty() {
            error.hint(format!(
                "the clips are {}; name one by its id, its words, its file's name, or \"t1@2.5\" for track and time",
                self.described(&clips)
            ))
        } else {
            let ids: Vec<String> = near
                .iter()
                .filter_map(|name| labels.iter().find(|(_, label)| label == name))
                .map(|(clip, _)| self.describe(*clip))
                .collect();
            error.hint(format!(
                "did you mean {}? {}",
                quoted_list(&near),
                ids.join(", ")
            ))
        })
    }

    fn ambiguous(&self, clips: &[ClipRef], what: &str) -> Error {
        Error::new(
            ErrorKind::Ambiguous,
            format!(
                "there are {} clips {what}: {}",
                clips.len(),
                self.described(clips)
            ),
        )
        .hint("name the clip by its id")
    }

    /// The first clips of a list, for messages.
    fn described(&self, clips: &[ClipRef]) -> String {
        const SHOWN: usize = 8;
        let shown: Vec<String> = clips
            .iter()
            .take(SHOWN)
            .map(|clip| self.describe(*clip))
            .collect();
        let more = match clips.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", shown.join(", "))
    }
}
