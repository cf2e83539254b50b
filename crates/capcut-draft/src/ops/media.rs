//! `replace_media`: another file in the place of a clip.

use serde::{Deserialize, Serialize};

use crate::document::{ClipRef, Dialect, Document, MaterialRef};
use crate::error::{Error, Result};
use crate::field::clip;
use crate::grid::{Seconds, TimeRange};
use crate::kinds::{ClipKind, name_in_url};
use crate::ops::session::Session;
use crate::ops::{Freeze, MediaLength, ReplaceMedia};
use crate::select::{ClipSelector, Time};
use crate::value::RawJson;

/// The length that the apps write for pictures.
const STILL: i64 = 10_800_000_000;

/// A media file, as the caller measured it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MediaFile {
    /// As the document should name it.
    pub path: String,
    pub kind: MediaFileKind,
    /// Shown in the app. Default: the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds; none for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Time>,
    /// Pixels.
    #[serde(default)]
    pub width: u32,
    /// Pixels.
    #[serde(default)]
    pub height: u32,
    #[serde(default)]
    pub has_audio: bool,
    /// Where it came from, for working documents of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_url: Option<String>,
    /// The id of its entry in the app's media bin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin_id: Option<String>,
}

/// What a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaFileKind {
    Video,
    Image,
    Audio,
}

impl MediaFile {
    fn length(&self) -> i64 {
        match self.kind {
            MediaFileKind::Image => STILL,
            _ => self.duration.map_or(0, |duration| duration.micros),
        }
    }

    /// As people know it.
    fn shown(&self) -> &str {
        let in_url = self.remote_url.as_deref().and_then(name_in_url);
        in_url.unwrap_or_else(|| self.name())
    }

    fn name(&self) -> &str {
        let of_path = || self.path.rsplit(['/', '\\']).next().unwrap_or_default();
        self.name.as_deref().unwrap_or_else(of_path)
    }
}

impl Document {
    /// Where the frame is that a clip shows at a time on the timeline: the file, as the document names it, and the time in
    /// it in seconds.
    ///
    /// # Errors
    /// `NotFound` or `Ambiguous` for the clip, `Invalid` if it is not a video.
    pub fn frame_at(&self, clip: &ClipSelector, at: Time) -> Result<(String, f64)> {
        let own = self.select(clip)?;
        let main = self
            .main_material(own)
            .filter(|_| self.clip_kind(own) == ClipKind::Video);
        let source = self.range(own, &["source_timerange"]);
        let (Some(main), Some(source)) = (main, source) else {
            return Err(Error::invalid(format!(
                "{} has no frames to freeze: it is not a video",
                self.describe(own)
            )));
        };
        let file = ["remote_url", "path"].into_iter().find_map(|key| {
            let file = self.text(main, &[key])?;
            (!file.is_empty()).then(|| file.into_owned())
        });
        let file = file.ok_or_else(|| {
            Error::invalid(format!("{} does not name its file", self.describe(own)))
        })?;
        let shown = at.micros - self.target(own).start;
        let speed = self.number(own, &["speed"]).unwrap_or(1.0);
        let seconds = (source.start as f64 + shown as f64 * speed) / 1e6;
        Ok((file, seconds.max(0.0)))
    }
}

impl Session<'_> {
    pub(crate) fn replace_media(&mut self, operation: &ReplaceMedia) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let kind = self.require_inside(own)?;
        let media = &operation.media;
        let fits = match media.kind {
            MediaFileKind::Audio => kind == ClipKind::Audio,
            _ => matches!(kind, ClipKind::Video | ClipKind::Image),
        };
        if !fits {
            return Err(Error::invalid(format!(
                "\"{}\" cannot replace {}: a {} needs a file of the same kind",
                media.shown(),
                self.edit.describe(own),
                kind.word()
            )));
        }
        if media.kind != MediaFileKind::Image && media.length() <= 0 {
            return Err(Error::invalid(format!(
                "the length of \"{}\" is not known; give `duration` in seconds",
                media.shown()
            )));
        }
        self.touch_time(own)?;
        self.edit.check_times(own)?;
        let main = self.edit.main_material(own);
        let main = main.ok_or_else(|| Error::not_found("the clip has no material"))?;
        let main = self.edit.own_copy(own, main)?;
        self.write_media(main, media)?;
        self.changed(format!(
            "{} now uses \"{}\"",
            self.edit.short_id(own),
            media.shown()
        ));
        if media.kind == MediaFileKind::Image {
            return self.become_still(own);
        }
        self.fit_to_file(own, operation)
    }

    /// Shows one frame of a video for a while, as a picture. What follows on its track moves later.
    pub(crate) fn freeze(&mut self, operation: &Freeze) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        if self.require_inside(own)? != ClipKind::Video {
            return Err(Error::invalid(format!(
                "{} has no frames to freeze: it is not a video",
                self.edit.describe(own)
            )));
        }
        self.touch_time(own)?;
        self.edit.check_times(own)?;
        let (first, last) = self.frames(own);
        let at = self.grid.frame(operation.at.micros);
        if at < first || at >= last {
            let target = self.edit.target(own);
            return Err(Error::invalid(format!(
                "`at` is {}; {} lasts from {} to {} on the timeline",
                Seconds(operation.at.micros),
                self.edit.describe(own),
                Seconds(target.start),
                Seconds(target.end())
            )));
        }
        let length = self.grid.frame(operation.duration.micros);
        if length < 1 {
            return Err(Error::invalid("`duration` must be at least a frame"));
        }
        if at > first {
            self.split_clip(own, at)?;
        }
        let track = self.edit.track_of(own);
        self.make_room(track, &[], at, length)?;
        let copy = self.copy_clip(own, "freeze")?;
        self.touch_time(copy)?;
        let lists = [
            "transitions",
            "material_animations",
            "audio_fades",
            "audio_effects",
        ];
        self.drop_companions(copy, &lists)?;
        if !self.edit.keyframes(copy).is_empty() {
            self.edit.set(copy, &["common_keyframes"], &RawJson("[]"))?;
        }
        let range = self.range_of_frames(at, at + length);
        self.set_target(copy, range)?;
        let main = self.edit.main_material(copy);
        let main = main.ok_or_else(|| Error::not_found("the clip has no material"))?;
        self.write_media(main, &operation.still)?;
        self.become_still(copy)?;
        self.changed(format!(
            "{} shows the frame at {} for {}",
            self.edit.short_id(copy),
            Seconds(operation.at.micros),
            Seconds(range.duration)
        ));
        Ok(())
    }

    fn become_still(&mut self, own: ClipRef) -> Result<()> {
        let target = self.edit.target(own);
        self.edit.set(own, clip::SPEED.path, &1.0)?;
        if let Some(speed) = self.edit.companion(own, &["speeds"]) {
            let speed = self.edit.own_copy(own, speed)?;
            self.edit.set(speed, &["speed"], &1.0)?;
        }
        self.set_source(
            own,
            TimeRange {
                start: 0,
                duration: target.duration,
            },
        )
    }

    /// Takes the part of the new file that fills the clip, or what `length` says if the file is too short.
    fn fit_to_file(&mut self, own: ClipRef, operation: &ReplaceMedia) -> Result<()> {
        let length = operation.media.length();
        let start = self.grid.floor(operation.source_start.micros.max(0));
        let left = length - start;
        if left < self.grid.one() {
            return Err(Error::invalid(format!(
                "`source_start` is {}; the file lasts {}",
                Seconds(start),
                Seconds(length)
            )));
        }
        let speed = self.speed(own);
        let target = self.edit.target(own);
        let needed = (target.duration as f64 * speed).round() as i64;
        self.set_source(
            own,
            TimeRange {
                start,
                duration: needed.min(left),
            },
        )?;
        if needed <= left + self.grid.one() {
            return Ok(());
        }
        let (first, last) = self.frames(own);
        let shown = self.grid.frame((left as f64 / speed) as i64).max(1);
        let name = operation.media.name();
        let id = self.edit.short_id(own);
        match operation.length {
            MediaLength::Speed => {
                let slower = left as f64 / target.duration as f64;
                if slower < 0.1 {
                    return Err(Error::conflict(format!(
                        "\"{name}\" lasts {}, too little for {id}, which lasts {}: the lowest speed is 0.1",
                        Seconds(left),
                        Seconds(target.duration)
                    )));
                }
                self.edit.set(own, clip::SPEED.path, &slower)?;
                if let Some(companion) = self.edit.companion(own, &["speeds"]) {
                    let companion = self.edit.own_copy(own, companion)?;
                    self.edit.set(companion, &["speed"], &slower)?;
                }
                self.changed(format!(
                    "{id} plays at {:.2} of its speed to keep its length",
                    slower / speed
                ));
                Ok(())
            }
            MediaLength::Cut => {
                let track = self.edit.track_of(own);
                let is_magnetic = self.is_magnetic(track);
                let range = self.range_of_frames(first, first + shown);
                self.set_target(own, range)?;
                self.fit_animations(own, range.duration)?;
                self.changed(format!(
                    "{id} now ends at {}, with its file",
                    Seconds(range.end())
                ));
                if is_magnetic {
                    self.close_gaps(track)?;
                }
                Ok(())
            }
            MediaLength::Loop => self.repeat(own, first, last, shown),
            MediaLength::Freeze => {
                let Some(still) = operation
                    .still
                    .as_ref()
                    .filter(|_| operation.media.kind == MediaFileKind::Video)
                else {
                    return Err(Error::invalid(format!(
                        "\"{name}\" lasts {}, {id} {}: `freeze` needs `still`, a picture of the last frame of a video",
                        Seconds(left),
                        Seconds(target.duration)
                    ))
                    .hint("use `length` \"cut\", \"loop\" or \"speed\" instead"));
                };
                let copy = self.next_part(own, first, last, shown)?;
                let main = self.edit.main_material(copy);
                let main = main.ok_or_else(|| Error::not_found("the clip has no material"))?;
                self.write_media(main, still)?;
                self.become_still(copy)?;
                self.changed(format!(
                    "{} shows the last frame to the end",
                    self.edit.short_id(copy)
                ));
                Ok(())
            }
        }
    }

    /// Shortens a clip, and puts a copy where it ended before.
    fn next_part(&mut self, own: ClipRef, first: i64, last: i64, shown: i64) -> Result<ClipRef> {
        let copy = self.copy_clip(own, "part")?;
        self.touch_time(copy)?;
        let own_range = self.range_of_frames(first, first + shown);
        let copy_range = self.range_of_frames(first + shown, last);
        self.drop_companions(own, &["transitions"])?;
        self.set_target(own, own_range)?;
        self.set_target(copy, copy_range)?;
        self.fit_animations(own, own_range.duration)?;
        self.fit_animations(copy, copy_range.duration)?;
        Ok(copy)
    }

    fn repeat(&mut self, own: ClipRef, first: i64, last: i64, shown: i64) -> Result<()> {
        let count = (last - first + shown - 1) / shown;
        if count > 1000 {
            return Err(Error::conflict(format!(
                "the file would repeat {count} times; the limit is 1000"
            )));
        }
        let (mut part, mut at) = (own, first);
        while last - at > shown {
            part = self.next_part(part, at, last, shown)?;
            at += shown;
        }
        let target = self.edit.target(part);
        let speed = self.speed(part);
        if let Some(source) = self.edit.range(part, &["source_timerange"]) {
            let duration = ((target.duration as f64 * speed).round() as i64).min(source.duration);
            self.set_source(part, TimeRange { duration, ..source })?;
        }
        self.changed(format!("the file repeats {count} times"));
        Ok(())
    }

    fn write_media(&mut self, main: MaterialRef, media: &MediaFile) -> Result<()> {
        let is_sound = media.kind == MediaFileKind::Audio;
        self.edit.set(main, &["path"], media.path.as_str())?;
        let name_key = if is_sound { "name" } else { "material_name" };
        self.edit.set(main, &[name_key], media.name())?;
        self.edit.set(main, &["duration"], &media.length())?;
        let bin_id = media.bin_id.as_deref().unwrap_or("");
        if !bin_id.is_empty() || self.edit.raw(main, &["local_material_id"]).is_some() {
            self.edit.set(main, &["local_material_id"], bin_id)?;
        }
        if !is_sound {
            let kind = if media.kind == MediaFileKind::Image {
                "photo"
            } else {
                "video"
            };
            self.edit.set(main, &["type"], kind)?;
            self.edit.set(main, &["width"], &i64::from(media.width))?;
            self.edit.set(main, &["height"], &i64::from(media.height))?;
            if self.edit.raw(main, &["has_audio"]).is_some() {
                self.edit.set(main, &["has_audio"], &media.has_audio)?;
            }
        } else if self
            .edit
            .text(main, &["type"])
            .is_some_and(|kind| kind == "music" || kind == "sound")
        {
            // A song of the app's library becomes a file.
            self.edit.set(main, &["type"], "extract_music")?;
        }
        if self.edit.dialect() == Dialect::Api || self.edit.raw(main, &["remote_url"]).is_some() {
            let url = media.remote_url.as_deref().unwrap_or(&media.path);
            self.edit.set(main, &["remote_url"], url)?;
        }
        // Files that the app derived from the old one.
        for key in [
            "media_path",
            "reverse_path",
            "intensifies_path",
            "cartoon_path",
        ] {
            if self
                .edit
                .text(main, &[key])
                .is_some_and(|path| !path.is_empty())
            {
                self.edit.set(main, &[key], "")?;
            }
        }
        Ok(())
    }
}
