//! The fields of a draft's document that are checked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::MapAccess;

use super::loose::{
    AnyObject, FromLoose, List, LooseText, LooseValue, Number, objects, read_object,
};
use crate::engine::profile::{edition_of, edition_of_id, is_too_old};
use crate::units::{Edition, Micros, Range};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawDocument<'a> {
    pub id: LooseText<'a>,
    pub version: Number,
    pub new_version: LooseText<'a>,
    pub duration: Number,
    pub fps: Number,
    pub canvas_config: LooseValue<RawCanvas>,
    pub config: LooseValue<RawConfig>,
    pub keyframes: LooseValue<AnyObject>,
    pub platform: LooseValue<Platform<'a>>,
    pub last_modified_platform: LooseValue<Platform<'a>>,
    pub tracks: List<RawTrack<'a>>,
    pub materials: LooseValue<Materials<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCanvas {
    pub width: Number,
    pub height: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawConfig {
    pub maintrack_adsorb: LooseValue<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Platform<'a> {
    pub app_id: Number,
    pub app_source: LooseText<'a>,
    pub app_version: LooseText<'a>,
    pub os: LooseText<'a>,
    pub device_id: LooseText<'a>,
    pub hard_disk_id: LooseText<'a>,
    pub mac_address: LooseText<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawTrack<'a> {
    pub id: LooseText<'a>,
    #[serde(rename = "type")]
    pub kind: LooseText<'a>,
    pub name: LooseText<'a>,
    pub flag: Number,
    pub segments: List<RawSegment<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawSegment<'a> {
    pub id: LooseText<'a>,
    pub material_id: LooseText<'a>,
    pub target_timerange: LooseValue<TimeRange>,
    pub source_timerange: LooseValue<TimeRange>,
    pub speed: Number,
    pub clip: LooseValue<AnyObject>,
    pub extra_material_refs: List<Cow<'a, str>>,
    pub common_keyframes: List<RawKeyframes<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TimeRange {
    pub start: Number,
    pub duration: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawKeyframes<'a> {
    pub property_type: LooseText<'a>,
    pub keyframe_list: List<RawKeyframe>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawKeyframe {
    pub time_offset: Number,
}

/// A material of any list; each list uses only some of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawMaterial<'a> {
    pub id: LooseText<'a>,
    #[serde(rename = "type")]
    pub kind: LooseText<'a>,
    pub path: LooseText<'a>,
    pub duration: Number,
    pub width: Number,
    pub height: Number,
    /// The name in audio and most other lists.
    pub name: LooseText<'a>,
    /// The name of videos and images, which have no `name`.
    #[serde(rename = "material_name")]
    pub picture_name: LooseText<'a>,
    pub local_material_id: LooseText<'a>,
    pub check_flag: Number,
    pub content: LooseText<'a>,
    pub speed: Number,
    pub curve_speed: LooseValue<AnyObject>,
    /// Of a transition: whether its clips overlap.
    pub is_overlap: LooseValue<bool>,
    /// The document of a compound clip.
    pub draft: LooseValue<Box<RawCompound<'a>>>,
}

/// The document of a compound clip.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct RawCompound<'a> {
    pub materials: LooseValue<Materials<'a>>,
    pub tracks: List<RawTrack<'a>>,
}

/// The lists of materials, in the document's order.
#[derive(Debug, Default)]
pub(super) struct Materials<'a>(pub Vec<(Cow<'a, str>, List<RawMaterial<'a>>)>);

objects!(
    RawCanvas,
    RawConfig,
    Platform<'a>,
    RawTrack<'a>,
    RawSegment<'a>,
    TimeRange,
    RawKeyframes<'a>,
    RawKeyframe,
    RawMaterial<'a>,
    RawCompound<'a>
);

impl Platform<'_> {
    /// The app. JianYing before 4 does not write its source, only its id.
    pub(crate) fn edition(&self) -> Option<Edition> {
        let source = self.app_source.str();
        if source.is_empty() {
            edition_of_id(self.app_id.whole())
        } else {
            edition_of(source)
        }
    }

    /// Whether it names a version for which this program does not write drafts, because it is too old.
    pub(crate) fn is_too_old(&self) -> bool {
        self.edition()
            .is_some_and(|edition| is_too_old(edition, self.app_version.str()))
    }
}

impl<'a> RawDocument<'a> {
    /// The app that saved the document last.
    pub(crate) fn saved_with(&self) -> Option<&Platform<'a>> {
        self.last_modified_platform
            .get()
            .or_else(|| self.platform.get())
    }
}

impl<'a, 'de: 'a> FromLoose<'de> for Materials<'a> {
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut lists = Vec::new();
        while let Some((name, list)) = map.next_entry::<LooseText<'a>, _>()? {
            if let LooseValue::Is(name) = name {
                lists.push((name, list));
            }
        }
        Ok(Some(Self(lists)))
    }
}

/// Parses the document of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<RawDocument<'_>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

impl TimeRange {
    pub(crate) fn range(&self) -> Range {
        Range::new(Micros(self.start.whole()), Micros(self.duration.whole()))
    }
}

impl RawSegment<'_> {
    pub(crate) fn target(&self) -> Range {
        range(&self.target_timerange).unwrap_or_default()
    }

    pub(crate) fn source(&self) -> Option<Range> {
        range(&self.source_timerange)
    }
}

fn range(range: &LooseValue<TimeRange>) -> Option<Range> {
    range.get().map(TimeRange::range)
}

impl<'a> Materials<'a> {
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = (usize, &RawMaterial<'a>)> {
        self.0
            .iter()
            .filter(move |(list, _)| list == name)
            .flat_map(|(_, list)| list.each())
    }
}

/// A document with its materials by id.
pub(super) struct IndexedDocument<'a> {
    pub document: RawDocument<'a>,
    pub materials: Materials<'a>,
}

/// The materials of the draft or of one of its compound clips.
pub(super) struct DraftPart<'d> {
    /// The indices of the compound clips in `drafts`, from the outermost to this one; empty for the draft itself.
    pub within: Vec<usize>,
    pub materials: &'d Materials<'d>,
    /// The ids of the materials that segments use.
    pub shown: HashSet<&'d str>,
}

fn shown<'d>(tracks: &'d List<RawTrack<'_>>) -> HashSet<&'d str> {
    tracks
        .each()
        .flat_map(|(_, track)| track.segments.each())
        .map(|(_, segment)| segment.material_id.str())
        .collect()
}

/// A material and the list that contains it.
#[derive(Clone, Copy)]
pub(super) struct ListedMaterial<'d> {
    pub list: &'d str,
    pub index: usize,
    pub material: &'d RawMaterial<'d>,
}

impl<'a> IndexedDocument<'a> {
    pub(crate) fn new(mut document: RawDocument<'a>) -> Self {
        let materials = match std::mem::take(&mut document.materials) {
            LooseValue::Is(materials) => {
                document.materials = LooseValue::Is(Materials::default());
                materials
            }
            other => {
                document.materials = other;
                Materials::default()
            }
        };
        Self {
            document,
            materials,
        }
    }

    pub(crate) fn by_id(&self) -> HashMap<&str, ListedMaterial<'_>> {
        let mut all = HashMap::new();
        for (list, materials) in &self.materials.0 {
            for (index, material) in materials.each() {
                let found = ListedMaterial {
                    list,
                    index,
                    material,
                };
                all.entry(material.id.str()).or_insert(found);
            }
        }
        all
    }

    /// The end of the last segment.
    pub(crate) fn end(&self) -> Micros {
        self.document
            .tracks
            .each()
            .flat_map(|(_, track)| track.segments.each())
            .map(|(_, segment)| segment.target().end())
            .max()
            .unwrap_or_default()
    }

    /// The materials of the draft, then those of its compound clips, with the ids that segments use.
    pub(crate) fn parts(&self) -> Vec<DraftPart<'_>> {
        let root = DraftPart {
            within: Vec::new(),
            materials: &self.materials,
            shown: shown(&self.document.tracks),
        };
        let mut parts = vec![root];
        let mut next = 0;
        while let Some(part) = parts.get(next) {
            let mut inner = Vec::new();
            for (index, material) in part.materials.list("drafts") {
                if let Some(compound) = material.draft.get()
                    && let Some(materials) = compound.materials.get()
                {
                    let mut within = part.within.clone();
                    within.push(index);
                    inner.push(DraftPart {
                        within,
                        materials,
                        shown: shown(&compound.tracks),
                    });
                }
            }
            parts.extend(inner);
            next += 1;
        }
        parts
    }
}
