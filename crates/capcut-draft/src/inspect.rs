//! What a draft contains, as rows: tracks, clips, gaps, overlaps, and what cannot be edited.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::content::TextContent;
use crate::document::{
    ClipRef, Dialect, Document, MaterialRef, RootRef, TrackRef, micros, read_range,
};
use crate::error::Result;
use crate::field::{FieldValue, root, track};
use crate::grid::TimeRange;
use crate::keyframes::{KeyframeList, read_keyframes};
use crate::kinds::ClipKind;
use crate::ops::look::scaled;
use crate::ops::motion::ANIMATED;
use crate::ops::picture::is_adjustment;
use crate::ops::session::{main_track, overlaps};
use crate::ops::{Cover, Marker};
use crate::path::PathPart;
use crate::property::Property;
use crate::scan::number;
use crate::select::Time;

/// A draft as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// `CapCut` or `JianYing`; empty if the document does not say.
    pub app: &'static str,
    /// The version of the app that saved it.
    pub app_version: String,
    /// The version of its format.
    pub new_version: String,
    /// `mac`, `windows`; empty if the document does not say.
    pub system: String,
    /// `capcut` or `jianying`.
    pub edition: &'static str,
    pub name: String,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
    pub fps: f64,
    /// Whether the app closes gaps on the main track.
    pub magnet: bool,
    /// The cover that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<Cover>,
    /// The markers on the timeline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<Marker>,
    /// Seconds.
    pub duration: f64,
    pub tracks: usize,
    pub clips: usize,
    /// Why the draft as a whole cannot be edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
    /// The clips whose inside cannot be edited, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_only_clips: Vec<ReadOnlyClip>,
}

/// A clip whose inside cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadOnlyClip {
    pub id: String,
    pub reason: &'static str,
}

/// A track with its clips.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row shows each switch of a track"
)]
pub struct TrackRow {
    pub id: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The app keeps its main clips here.
    pub main: bool,
    pub muted: bool,
    pub hidden: bool,
    pub locked: bool,
    pub clips: Vec<ClipRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GapRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<OverlapRow>,
}

/// A stretch of a track without clips, between clips or before the first. Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GapRow {
    pub start: f64,
    pub end: f64,
}

/// Two clips of a track that are over each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverlapRow {
    pub first: String,
    pub second: String,
}

/// A clip. Times are seconds on the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipRow {
    pub id: String,
    pub full_id: String,
    pub kind: ClipKind,
    pub start: f64,
    pub end: f64,
    /// The part of the file, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "is_one")]
    pub speed: f64,
    #[serde(skip_serializing_if = "is_one")]
    pub volume: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The name of the file, effect or sticker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// The path of the file, as the document has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The transition to the next clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition: Option<TransitionRow>,
    /// Names of effects, animations and masks of the clip.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
    /// The other properties that differ from their defaults, as `set` takes them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub look: BTreeMap<&'static str, Value>,
    /// Keyframes by property: times on the timeline, and values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keyframes: BTreeMap<String, Vec<[f64; 2]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Not shown.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// What a compound clip contains, with times in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<InnerClipRow>,
    /// Ids of materials that the clip refers to and that do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// A clip in a compound clip. Seconds from the start of the compound clip's own timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InnerClipRow {
    pub kind: ClipKind,
    pub start: f64,
    pub end: f64,
    /// Its words, or the name of its file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How many clips it contains, if it is a compound clip.
    #[serde(skip_serializing_if = "is_zero")]
    pub contains: usize,
}

/// A transition and its length in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransitionRow {
    pub name: String,
    pub duration: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one(number: &f64) -> bool {
    *number == 1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Which rows [`Document::inspect`] gives. Without conditions, all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InspectFilter {
    /// Id or name of a track.
    pub track: Option<String>,
    /// Clips that end later.
    pub from: Option<Time>,
    /// Clips that start earlier.
    pub to: Option<Time>,
    /// Clips whose id, words or media contain this.
    pub query: Option<String>,
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn string(written: &[u8]) -> Option<String> {
    String::read(written).filter(|text| !text.is_empty())
}

impl Document {
    /// App, version, size, length, and what cannot be edited.
    pub fn summary(&self) -> Summary {
        let (app, edition) = self.app();
        let all: Vec<ClipRef> = self.all_clips().collect();
        let read_only_clips = all
            .iter()
            .filter_map(|clip| {
                let reason = self.clip_kind(*clip).read_only()?;
                let id = self.short_id(*clip);
                Some(ReadOnlyClip { id, reason })
            })
            .collect();
        Summary {
            app,
            app_version: self.value(RootRef, &root::PLATFORM.app_version),
            new_version: self.value(RootRef, &root::NEW_VERSION),
            system: self.value(RootRef, &root::PLATFORM.os),
            edition,
            name: self.value(RootRef, &root::NAME),
            width: self.value(RootRef, &root::CANVAS_WIDTH),
            height: self.value(RootRef, &root::CANVAS_HEIGHT),
            fps: self.grid().fps(),
            magnet: self.value(RootRef, &root::MAGNET),
            cover: self.cover(),
            markers: self.markers(),
            duration: seconds(self.end()),
            tracks: self.tracks().len(),
            clips: all.len(),
            read_only: self.read_only_reason(),
            read_only_clips,
        }
    }

    fn app(&self) -> (&'static str, &'static str) {
        // JianYing up to 3.4 has no `app_source`.
        match self.value(RootRef, &root::PLATFORM.app_id) {
            3704 => ("JianYing", "jianying"),
            359_289 => ("CapCut", "capcut"),
            _ => match self.value(RootRef, &root::PLATFORM.app_source).as_str() {
                "lv" => ("JianYing", "jianying"),
                "cc" => ("CapCut", "capcut"),
                _ => ("", ""),
            },
        }
    }

    /// Why the document as a whole cannot be edited; `None` if it can.
    pub fn read_only_reason(&self) -> Option<String> {
        if let Some(name) = &self.duplicate_list {
            return Some(format!("it has the list \"{name}\" twice"));
        }
        let (app, edition) = self.app();
        let version = self.value(RootRef, &root::PLATFORM.app_version);
        let mut parts = version
            .split(['.', '-'])
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let own = (parts.next()?, parts.next().unwrap_or(0));
        let oldest = if edition == "jianying" {
            (5, 5)
        } else {
            (3, 8)
        };
        (!edition.is_empty() && own.0 > 0 && own < oldest).then(|| {
            format!(
                "it is of {app} {version}, which writes another form; drafts of {app} {}.{} and newer can be edited",
                oldest.0, oldest.1
            )
        })
    }

    /// The tracks and clips that fit a filter.
    ///
    /// # Errors
    /// `NotFound` or `Ambiguous` for the track.
    pub fn inspect(&self, filter: &InspectFilter) -> Result<Vec<TrackRow>> {
        let only = filter
            .track
            .as_deref()
            .map(|track| self.select_track(track))
            .transpose()?;
        let main = main_track(self);
        let tracks = self
            .tracks()
            .into_iter()
            .filter(|track| only.is_none_or(|only| only == *track));
        Ok(tracks
            .map(|track| self.track_row(track, main == Some(track), filter))
            .collect())
    }

    fn track_row(&self, track: TrackRef, main: bool, filter: &InspectFilter) -> TrackRow {
        let attribute = self.value(track, &track::ATTRIBUTE);
        let query = filter.query.as_ref().map(|query| query.to_lowercase());
        let rows = self.clips(track).filter(|clip| {
            let target = self.target(*clip);
            filter.from.is_none_or(|from| target.end() > from.micros)
                && filter.to.is_none_or(|to| target.start < to.micros)
        });
        let rows = rows.map(|clip| (clip, self.clip_row(clip)));
        let rows = rows.filter(|(_, row)| {
            query.as_ref().is_none_or(|query| {
                let texts = [
                    Some(&row.id),
                    Some(&row.full_id),
                    row.words.as_ref(),
                    row.media.as_ref(),
                ];
                texts
                    .into_iter()
                    .flatten()
                    .any(|text| text.to_lowercase().contains(query))
            })
        });
        let mut pairs: Vec<(u32, u32)> = overlaps(self, track).into_iter().collect();
        pairs.sort_unstable();
        TrackRow {
            id: self.short_track_id(track),
            kind: self.value(track, &track::KIND),
            name: self.value(track, &track::NAME),
            main,
            muted: attribute & 1 != 0,
            hidden: attribute & 2 != 0,
            locked: attribute & 4 != 0,
            clips: rows
                .map(|(clip, mut row)| {
                    // A search is about few clips, so it shows all that is known of them.
                    if query.is_some() && row.kind == ClipKind::Text {
                        let look = self.text_look(clip).unwrap_or_default();
                        row.look
                            .extend(look.into_iter().filter_map(|(name, value)| {
                                Some((Property::named(&name)?.name, value))
                            }));
                    }
                    row
                })
                .collect(),
            gaps: self.gaps(track),
            overlaps: pairs
                .into_iter()
                .map(|(first, second)| OverlapRow {
                    first: format!("c{first}"),
                    second: format!("c{second}"),
                })
                .collect(),
        }
    }

    fn gaps(&self, track: TrackRef) -> Vec<GapRow> {
        let mut targets: Vec<TimeRange> = self.clips(track).map(|clip| self.target(clip)).collect();
        targets.sort_unstable_by_key(|target| target.start);
        let mut at = 0;
        let mut gaps = Vec::new();
        for target in targets {
            if target.start > at + 2 {
                gaps.push(GapRow {
                    start: seconds(at),
                    end: seconds(target.start),
                });
            }
            at = at.max(target.end());
        }
        gaps
    }

    fn clip_row(&self, clip: ClipRef) -> ClipRow {
        let names = [
            "source_timerange",
            "speed",
            "volume",
            "visible",
            "common_keyframes",
            "group_id",
        ];
        let [source, speed, volume, visible, keyframes, group] = self.members(clip, names);
        let target = self.target(clip);
        let source = source.and_then(|source| read_range(source, 0));
        let speed = speed
            .and_then(number)
            .filter(|speed| *speed > 0.0)
            .unwrap_or(1.0);
        let mut row = ClipRow {
            source: source.map(|source| [seconds(source.start), seconds(source.end())]),
            speed,
            volume: volume.and_then(number).unwrap_or(1.0),
            group: group.and_then(string),
            hidden: visible == Some(b"false"),
            ..self.empty_row(clip)
        };
        if let Some(keyframes) = keyframes.filter(|list| list.len() > 2) {
            let on_source = self.dialect() == Dialect::App && source.is_some();
            let from = source
                .filter(|_| on_source)
                .map_or(0, |source| source.start);
            let factor = if on_source { speed } else { 1.0 };
            row.keyframes = keyframe_rows(keyframes, |offset| {
                seconds(target.start + ((offset - from) as f64 / factor).round() as i64)
            });
        }
        let is_compound = self.companions_row(clip, &mut row);
        self.main_row(clip, is_compound, &mut row);
        row.look = self.look(clip, row.kind);
        row
    }

    /// A row with the ids and times of a clip.
    fn empty_row(&self, clip: ClipRef) -> ClipRow {
        let target = self.target(clip);
        ClipRow {
            id: self.short_id(clip),
            full_id: self.id(clip).into_owned(),
            kind: ClipKind::Unknown,
            start: seconds(target.start),
            end: seconds(target.end()),
            source: None,
            speed: 1.0,
            volume: 1.0,
            words: None,
            media: None,
            path: None,
            transition: None,
            effects: Vec::new(),
            look: BTreeMap::new(),
            keyframes: BTreeMap::new(),
            group: None,
            hidden: false,
            contains: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Adds what the additional materials say; returns whether the clip is a compound clip.
    fn companions_row(&self, clip: ClipRef, row: &mut ClipRow) -> bool {
        let mut is_compound = false;
        for id in self.refs(clip) {
            let Some(material) = self.material(&id) else {
                // The working documents of the API name an animation for each text, also if there is none.
                if self.dialect() == Dialect::App {
                    row.missing.push(id.into_owned());
                }
                continue;
            };
            match self.list_name(material) {
                "drafts" => {
                    is_compound = true;
                    row.contains = self.compound_rows(material);
                }
                "transitions" => {
                    let [name, duration] = self.members(material, ["name", "duration"]);
                    row.transition = Some(TransitionRow {
                        name: name.and_then(string).unwrap_or_default(),
                        duration: seconds(duration.and_then(micros).unwrap_or(0)),
                    });
                }
                "material_animations" => {
                    for index in 0.. {
                        let path = [
                            PathPart::Key("animations"),
                            PathPart::Index(index),
                            PathPart::Key("name"),
                        ];
                        let Some(name) = self.raw_at(material, &path) else {
                            break;
                        };
                        row.effects.extend(string(name));
                    }
                }
                "video_effects" | "audio_effects" | "effects" | "masks" | "common_mask"
                | "chromas" => {
                    let [name, kind] = self.members(material, ["name", "type"]);
                    let kind = kind.and_then(string);
                    // The look has the strength of each.
                    if kind.as_deref().is_some_and(is_adjustment) {
                        continue;
                    }
                    row.effects.extend(name.and_then(string).or(kind));
                }
                _ => {}
            }
        }
        is_compound
    }

    /// What a compound clip contains, from its lowest track up. Compound clips in it are only counted.
    fn compound_rows(&self, material: MaterialRef) -> Vec<InnerClipRow> {
        let Some(text) = self.raw(material, &["draft"]) else {
            return Vec::new();
        };
        let Ok(inner) = Self::parse_object(text.to_vec()) else {
            return Vec::new();
        };
        let rows = inner.all_clips().map(|clip| {
            let target = inner.target(clip);
            let contains = inner
                .companion(clip, &["drafts"])
                .and_then(|material| inner.fields(material).compound())
                .map_or(0, |compound| compound.material_ids().len());
            let mut row = inner.empty_row(clip);
            inner.main_row(clip, contains > 0, &mut row);
            InnerClipRow {
                kind: row.kind,
                start: seconds(target.start),
                end: seconds(target.end()),
                name: row.words.or(row.media).unwrap_or_default(),
                contains,
            }
        });
        rows.collect()
    }

    fn main_row(&self, clip: ClipRef, is_compound: bool, row: &mut ClipRow) {
        let Some(main) = self.main_material(clip) else {
            row.missing.push(self.material_id(clip).into_owned());
            return;
        };
        let list = self.list_name(main);
        if list == "texts" {
            let [content] = self.members(main, ["content"]);
            let content = content.and_then(string).unwrap_or_default();
            row.kind = ClipKind::Text;
            row.words = Some(TextContent::read(&content).words().into_owned());
            return;
        }
        let name_key = if list == "videos" {
            "material_name"
        } else {
            "name"
        };
        let [kind, name, path] = self.members(main, ["type", name_key, "path"]);
        let kind = kind.and_then(string).unwrap_or_default();
        row.kind = ClipKind::of(list, &kind, is_compound);
        let path = path.and_then(string);
        let of_path = || {
            path.as_deref()
                .and_then(|path| path.rsplit(['/', '\\']).next())
        };
        row.media = if self.dialect() == Dialect::Api {
            self.media_name(clip)
        } else {
            name.and_then(string)
                .or_else(|| of_path().map(str::to_owned))
        };
        row.path = path.filter(|_| ["videos", "audios"].contains(&list));
    }
}

/// Times and values of keyframes by property.
fn keyframe_rows(list: &[u8], time: impl Fn(i64) -> f64) -> BTreeMap<String, Vec<[f64; 2]>> {
    let mut all: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    for KeyframeList {
        property, points, ..
    } in read_keyframes(list)
    {
        let known = ANIMATED.iter().find(|known| known.key == property);
        let name = match property.as_str() {
            "KFTypeGlobalAlpha" => "opacity".to_owned(),
            _ => known.map_or_else(|| property.clone(), |known| known.name.to_owned()),
        };
        let factor = known.map_or(1.0, |known| known.factor);
        let rows = points.iter().map(|point| {
            let value = point.value.unwrap_or(0.0);
            [time(point.offset), scaled(value, 1.0 / factor)]
        });
        all.entry(name).or_default().extend(rows);
    }
    all
}
