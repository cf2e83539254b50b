//! Operations on what a draft is as a whole: frame rate, magnet, cover, markers; and on groups of clips.

use serde::{Deserialize, Deserializer, Serialize};

use crate::document::{ClipRef, Dialect, Document, RootRef};
use crate::error::{Error, Result};
use crate::field::{FieldValue, clip, root};
use crate::grid::{Grid, Seconds};
use crate::ids::new_id;
use crate::ops::named::is_none;
use crate::ops::session::{Session, main_track};
use crate::ops::{AddMarkers, Canvas, Group, Settings, Ungroup};
use crate::path::PathPart;
use crate::select::Time;
use crate::value::{RawJson, quoted};

/// The frame rates of the apps.
pub const FRAME_RATES: [f64; 5] = [24.0, 25.0, 30.0, 50.0, 60.0];

/// What the cover of a draft shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Cover {
    /// A frame, by its time on the timeline.
    At(Time),
    /// A picture or a video: path or URL.
    File(String),
}

impl<'de> Deserialize<'de> for Cover {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let wrong = "invalid type: other, expected a file, a time in seconds or \"none\"";
        match value {
            serde_json::Value::String(text) => {
                Ok(Time::read(&text).map_or(Self::File(text), Self::At))
            }
            serde_json::Value::Number(_) => Time::deserialize(value)
                .map(Self::At)
                .map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom(wrong)),
        }
    }
}

/// The usual colour of a marker in the apps.
const MARKER_COLOR: &str = "#00c1cd";

fn marker_color() -> String {
    MARKER_COLOR.to_owned()
}

/// A marker on the timeline.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Time on the timeline, seconds.
    #[serde(alias = "time", alias = "start")]
    pub at: Time,
    #[serde(default, alias = "name", alias = "text")]
    pub title: String,
    /// `#RRGGBB`
    #[serde(default = "marker_color")]
    pub color: String,
}

impl Settings {
    fn grid(&self) -> Grid {
        Grid::new(self.fps.unwrap_or(root::FPS.default))
    }

    /// The markers of a new draft as the root's `time_marks`; `seed` decides their ids.
    #[must_use]
    pub fn time_marks(&self, seed: &str) -> Option<String> {
        let markers = self.markers.as_deref().filter(|list| !list.is_empty())?;
        Some(marks(markers, self.grid(), seed))
    }

    /// The cover of a new draft as the value of the root's key [`root::COVER`].
    #[must_use]
    pub fn cover_json(&self) -> Option<String> {
        let cover = self.cover.as_ref().filter(|cover| !cover.is_none())?;
        Some(cover.json(self.grid()))
    }

    /// What is wrong with the values themselves.
    ///
    /// # Errors
    /// `Invalid` with the value and what it can be.
    pub fn check(&self) -> Result<()> {
        if let Some(fps) = self.fps.filter(|fps| !FRAME_RATES.contains(fps)) {
            return Err(Error::invalid(format!(
                "`fps` is {fps}; the apps have 24, 25, 30, 50 and 60 frames per second"
            )));
        }
        if let Some(Cover::At(time)) = self
            .cover
            .as_ref()
            .filter(|cover| matches!(cover, Cover::At(time) if time.micros < 0))
        {
            return Err(Error::invalid(format!(
                "`cover` is at {}; the timeline starts at 0 s",
                Seconds(time.micros)
            )));
        }
        check_markers(self.markers.as_deref().unwrap_or_default())
    }
}

impl Cover {
    /// Whether the name of a file stands for the usual cover, the first picture of the timeline.
    #[must_use]
    pub fn is_usual(file: &str) -> bool {
        ["none", "default", "auto", ""].contains(&file.trim().to_lowercase().as_str())
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::File(file) if Self::is_usual(file))
    }

    fn json(&self, grid: Grid) -> String {
        match self {
            Self::At(time) => format!("{{\"time\":{}}}", grid.floor(time.micros)),
            Self::File(file) => format!("{{\"file\":{}}}", quoted(file)),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::At(time) => format!("the frame at {}", Seconds(time.micros)),
            Self::File(file) => format!("\"{file}\""),
        }
    }
}

fn check_markers(markers: &[Marker]) -> Result<()> {
    for (index, marker) in markers.iter().enumerate() {
        if marker.at.micros < 0 {
            return Err(Error::invalid(format!(
                "`markers[{index}].at` is {}; the timeline starts at 0 s",
                Seconds(marker.at.micros)
            )));
        }
        let digits = marker.color.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::invalid(format!(
                "`markers[{index}].color` is \"{}\"; it must be a colour such as \"#00c1cd\"",
                marker.color
            )));
        }
    }
    Ok(())
}

/// An id as the apps write it, from a text.
fn id_of(seed: &str) -> String {
    new_id("F0000000-0000-0000-0000-000000000000", seed, 0)
}

/// The value of the root's `time_marks`. Keys as in documents that the apps saved.
fn marks(markers: &[Marker], grid: Grid, seed: &str) -> String {
    let mut sorted: Vec<&Marker> = markers.iter().collect();
    sorted.sort_by_key(|marker| marker.at);
    let items: Vec<String> = sorted
        .iter()
        .enumerate()
        .map(|(index, marker)| mark(marker, grid, &format!("{seed}/{index}")))
        .collect();
    format!(
        "{{\"id\":{},\"mark_items\":[{}]}}",
        quoted(&id_of(seed)),
        items.join(",")
    )
}

fn mark(marker: &Marker, grid: Grid, seed: &str) -> String {
    format!(
        "{{\"color\":{},\"id\":{},\"time_range\":{{\"duration\":0,\"start\":{}}},\"title\":{}}}",
        quoted(&marker.color.to_lowercase()),
        quoted(&id_of(&format!("{seed}/{}", marker.at.micros))),
        grid.floor(marker.at.micros),
        quoted(&marker.title)
    )
}

impl Document {
    /// The markers on the timeline.
    pub fn markers(&self) -> Vec<Marker> {
        let item = |index, path: &[&'static str]| {
            let mut all = vec![
                PathPart::Key(root::TIME_MARKS),
                PathPart::Key("mark_items"),
                PathPart::Index(index),
            ];
            all.extend(path.iter().map(|key| PathPart::Key(key)));
            self.raw_at(RootRef, &all)
        };
        let mut markers = Vec::new();
        for index in 0.. {
            if item(index, &[]).is_none() {
                break;
            }
            let text = |key| {
                item(index, &[key])
                    .and_then(String::read)
                    .unwrap_or_default()
            };
            let start = item(index, &["time_range", "start"]).and_then(i64::read);
            markers.push(Marker {
                at: Time::from_micros(start.unwrap_or_default()),
                title: text("title"),
                color: text("color"),
            });
        }
        markers
    }

    /// The cover that was chosen. Only documents that are being edited say so; a saved draft has the picture.
    pub fn cover(&self) -> Option<Cover> {
        if let Some(micros) = self.raw(RootRef, &[root::COVER, "time"]) {
            return i64::read(micros).map(|micros| Cover::At(Time::from_micros(micros)));
        }
        let file = self.raw(RootRef, &[root::COVER, "file"])?;
        String::read(file).map(Cover::File)
    }
}

impl Session<'_> {
    pub(crate) fn change_settings(&mut self, operation: &Settings) -> Result<()> {
        operation.check()?;
        let (width, height) = (operation.width, operation.height);
        let says_size = width.is_some() || height.is_some();
        if !says_size
            && operation.fps.is_none()
            && operation.magnet.is_none()
            && operation.cover.is_none()
            && operation.markers.is_none()
        {
            return Err(Error::invalid(
                "`settings` needs a change: `fps`, `width` and `height`, `magnet`, `cover` or `markers`",
            ));
        }
        if says_size {
            let side = |given: Option<u32>, now| {
                given.unwrap_or_else(|| u32::try_from(now).unwrap_or_default())
            };
            self.set_canvas(&Canvas {
                width: side(width, self.edit.value(RootRef, &root::CANVAS_WIDTH)),
                height: side(height, self.edit.value(RootRef, &root::CANVAS_HEIGHT)),
            })?;
        }
        if let Some(fps) = operation.fps {
            self.set_frame_rate(fps)?;
        }
        if let Some(on) = operation.magnet {
            self.set_magnet(on)?;
        }
        if let Some(cover) = &operation.cover {
            self.set_cover(cover)?;
        }
        if let Some(markers) = &operation.markers {
            self.set_markers(markers)?;
            self.changed(format!("the draft has {} markers", markers.len()));
        }
        Ok(())
    }

    /// Sets the frame rate. The times of documents of the apps move to its frames; those of our own documents do when
    /// they are saved.
    fn set_frame_rate(&mut self, fps: f64) -> Result<()> {
        let old = self.edit.value(RootRef, &root::FPS);
        self.edit.set(RootRef, root::FPS.path, &fps)?;
        self.grid = self.edit.grid();
        self.changed(format!("the draft has {fps} frames per second"));
        if old == fps {
            return Ok(());
        }
        if self.edit.dialect() == Dialect::App {
            let clips: Vec<ClipRef> = self.edit.all_clips().collect();
            for own in clips {
                self.put_on_frames(own)?;
            }
        }
        let markers = self.edit.markers();
        if markers.is_empty() {
            return Ok(());
        }
        self.set_markers(&markers)
    }

    fn put_on_frames(&mut self, own: ClipRef) -> Result<()> {
        let old = self.edit.target(own);
        let (start, end) = self.frames(own);
        let target = self.range_of_frames(start, end);
        if target == old {
            return Ok(());
        }
        self.touch_track(self.edit.track_of(own));
        self.report_clip(own);
        if let Some(source) = self.edit.range(own, &["source_timerange"]) {
            let wanted = (target.duration as f64 * self.speed(own)).round() as i64;
            let duration = wanted.min(source.duration.max(1));
            self.set_source(own, crate::grid::TimeRange { duration, ..source })?;
        }
        self.set_target(own, target)?;
        self.fit_animations(own, target.duration)
    }

    fn set_magnet(&mut self, on: bool) -> Result<()> {
        if on && let Some(main) = main_track(&self.edit) {
            let mut at = 0;
            for own in self.edit.clips(main) {
                let target = self.edit.target(own);
                if target.start > at + 2 {
                    return Err(Error::invalid(format!(
                        "the main track has a gap from {} to {}, which the app would close with the magnet on",
                        Seconds(at),
                        Seconds(target.start)
                    ))
                    .hint("close the gap first, with `move`, or leave the magnet off"));
                }
                at = at.max(target.end());
            }
        }
        self.edit.set(RootRef, root::MAGNET.path, &on)?;
        let is = if on { "on" } else { "off" };
        self.changed(format!("the magnet of the main track is {is}"));
        Ok(())
    }

    fn set_cover(&mut self, cover: &Cover) -> Result<()> {
        if cover.is_none() {
            self.edit.clear(RootRef, &[root::COVER])?;
            self.changed("the cover is the first picture of the timeline".to_owned());
            return Ok(());
        }
        if let Cover::At(time) = cover
            && time.micros >= self.edit.end().max(1)
        {
            return Err(Error::invalid(format!(
                "`cover` is at {}; the draft ends at {}",
                Seconds(time.micros),
                Seconds(self.edit.end())
            )));
        }
        let json = cover.json(self.grid);
        self.edit.set(RootRef, &[root::COVER], &RawJson(&json))?;
        self.changed(format!("the cover is {}", cover.described()));
        Ok(())
    }

    fn set_markers(&mut self, markers: &[Marker]) -> Result<()> {
        if markers.is_empty() {
            if self.edit.raw(RootRef, &[root::TIME_MARKS]).is_some() {
                self.edit
                    .set(RootRef, &[root::TIME_MARKS], &RawJson("null"))?;
            }
            return Ok(());
        }
        let json = marks(markers, self.grid, &self.marks_seed());
        self.edit.set(RootRef, &[root::TIME_MARKS], &RawJson(&json))
    }

    fn marks_seed(&self) -> String {
        format!("{}/time_marks", self.edit.id(RootRef))
    }

    pub(crate) fn add_markers(&mut self, operation: &AddMarkers) -> Result<()> {
        if operation.markers.is_empty() {
            return Err(Error::invalid("`markers` is empty"));
        }
        check_markers(&operation.markers)?;
        let path = [PathPart::Key(root::TIME_MARKS), PathPart::Key("mark_items")];
        let count = self.edit.markers().len();
        if count == 0 {
            self.set_markers(&operation.markers)?;
        } else {
            for (index, marker) in operation.markers.iter().enumerate() {
                let at = self.grid.floor(marker.at.micros);
                let before = self.edit.markers();
                let place = before
                    .iter()
                    .take_while(|other| other.at.micros <= at)
                    .count();
                let seed = format!("{}/{}", self.marks_seed(), count + index);
                let json = mark(marker, self.grid, &seed);
                self.edit
                    .insert_item(RootRef, &path, place, json.as_bytes())?;
            }
        }
        for marker in &operation.markers {
            self.changed(format!(
                "a marker \"{}\" is at {}",
                marker.title,
                Seconds(self.grid.floor(marker.at.micros))
            ));
        }
        Ok(())
    }

    /// Puts a clip into the group of a name, in place of the one that it is in.
    pub(super) fn set_group(&mut self, own: ClipRef, name: &str) -> Result<()> {
        let id = if is_none(name) {
            String::new()
        } else {
            id_of(&format!("group/{}", name.trim()))
        };
        self.edit.set(own, clip::GROUP.path, id.as_str())
    }

    pub(crate) fn group(&mut self, operation: &Group) -> Result<()> {
        let mut clips = Vec::new();
        for selector in &operation.clips {
            for own in self.edit.select_all(selector)? {
                if !clips.contains(&own) {
                    clips.push(own);
                }
            }
        }
        let [first, _, ..] = clips[..] else {
            return Err(Error::invalid(format!(
                "a group has at least 2 clips; `clips` names {}",
                clips.len()
            )));
        };
        let first = self.edit.id(first).into_owned();
        // Clips that an earlier group of this clip left behind have its id.
        let is_free = |id: &String| {
            let members = self.edit.members_of(id);
            members.iter().all(|member| clips.contains(member))
        };
        let ids = (0..).map(|number| id_of(&format!("{first}/group/{number}")));
        let id = ids.into_iter().find(is_free).unwrap_or_default();
        let names: Vec<String> = clips.iter().map(|own| self.edit.short_id(*own)).collect();
        for own in clips {
            self.touch(own)?;
            self.edit.set(own, clip::GROUP.path, id.as_str())?;
        }
        self.changed(format!("{} are a group", names.join(", ")));
        Ok(())
    }

    pub(crate) fn ungroup(&mut self, operation: &Ungroup) -> Result<()> {
        for own in self.edit.select_all(&operation.clip)? {
            let id = self.edit.short_id(own);
            let mut members = self.linked(own);
            if self.edit.value(own, &clip::GROUP).is_empty() {
                self.note(format!("{id} is not in a group"));
                continue;
            }
            members.push(own);
            for member in members {
                self.touch(member)?;
                self.edit.set(member, clip::GROUP.path, "")?;
            }
            self.changed(format!("the group of {id} is dissolved"));
        }
        Ok(())
    }
}
