//! The fields of a draft's document that are checked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::MapAccess;

use super::loose::{List, Loose, Number, Object, Shape, Text, objects, read_object};
use crate::units::{Micros, Range};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Document<'a> {
    pub id: Text<'a>,
    pub version: Number,
    pub new_version: Text<'a>,
    pub duration: Number,
    pub fps: Number,
    pub canvas_config: Loose<Canvas>,
    pub config: Loose<Config>,
    pub keyframes: Loose<Object>,
    pub platform: Loose<Platform<'a>>,
    pub last_modified_platform: Loose<Platform<'a>>,
    pub tracks: List<Track<'a>>,
    pub materials: Loose<Materials<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Canvas {
    pub width: Number,
    pub height: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub maintrack_adsorb: Loose<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Platform<'a> {
    pub app_source: Text<'a>,
    pub app_version: Text<'a>,
    pub os: Text<'a>,
    pub device_id: Text<'a>,
    pub hard_disk_id: Text<'a>,
    pub mac_address: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Track<'a> {
    pub id: Text<'a>,
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    pub name: Text<'a>,
    pub flag: Number,
    pub segments: List<Segment<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Segment<'a> {
    pub id: Text<'a>,
    pub material_id: Text<'a>,
    pub target_timerange: Loose<TimeRange>,
    pub source_timerange: Loose<TimeRange>,
    pub speed: Number,
    pub clip: Loose<Object>,
    pub extra_material_refs: List<Cow<'a, str>>,
    pub common_keyframes: List<Keyframes<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TimeRange {
    pub start: Number,
    pub duration: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Keyframes<'a> {
    pub property_type: Text<'a>,
    pub keyframe_list: List<Keyframe>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Keyframe {
    pub time_offset: Number,
}

/// A material of any list; each list uses only some of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Material<'a> {
    pub id: Text<'a>,
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    pub path: Text<'a>,
    pub duration: Number,
    pub width: Number,
    pub height: Number,
    /// The name in audio and most other lists.
    pub name: Text<'a>,
    /// The name of videos and images, which have no `name`.
    #[serde(rename = "material_name")]
    pub picture_name: Text<'a>,
    pub local_material_id: Text<'a>,
    pub check_flag: Number,
    pub content: Text<'a>,
    pub speed: Number,
    pub curve_speed: Loose<Object>,
}

/// The lists of materials, in the document's order.
#[derive(Debug, Default)]
pub(super) struct Materials<'a>(pub Vec<(Cow<'a, str>, List<Material<'a>>)>);

objects!(
    Canvas,
    Config,
    Platform<'a>,
    Track<'a>,
    Segment<'a>,
    TimeRange,
    Keyframes<'a>,
    Keyframe,
    Material<'a>
);

impl<'a, 'de: 'a> Shape<'de> for Materials<'a> {
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut lists = Vec::new();
        while let Some((name, list)) = map.next_entry::<Text<'a>, _>()? {
            if let Loose::Is(name) = name {
                lists.push((name, list));
            }
        }
        Ok(Some(Self(lists)))
    }
}

/// Parses the document of a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

impl TimeRange {
    pub(crate) fn range(&self) -> Range {
        Range::new(Micros(self.start.whole()), Micros(self.duration.whole()))
    }
}

impl Segment<'_> {
    pub(crate) fn target(&self) -> Range {
        range(&self.target_timerange).unwrap_or_default()
    }

    pub(crate) fn source(&self) -> Option<Range> {
        range(&self.source_timerange)
    }
}

fn range(range: &Loose<TimeRange>) -> Option<Range> {
    range.get().map(TimeRange::range)
}

impl<'a> Materials<'a> {
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = (usize, &Material<'a>)> {
        self.0
            .iter()
            .filter(move |(list, _)| list == name)
            .flat_map(|(_, list)| list.each())
    }
}

/// A document with its materials by id.
pub(super) struct Draft<'a> {
    pub document: Document<'a>,
    pub materials: Materials<'a>,
}

/// A material and the list that contains it.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    pub list: &'d str,
    pub index: usize,
    pub material: &'d Material<'d>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(mut document: Document<'a>) -> Self {
        let materials = match std::mem::take(&mut document.materials) {
            Loose::Is(materials) => {
                document.materials = Loose::Is(Materials::default());
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

    pub(crate) fn by_id(&self) -> HashMap<&str, Found<'_>> {
        let mut all = HashMap::new();
        for (list, materials) in &self.materials.0 {
            for (index, material) in materials.each() {
                let found = Found {
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

    /// The ids of the materials that segments use.
    pub(crate) fn shown(&self) -> HashSet<&str> {
        self.document
            .tracks
            .each()
            .flat_map(|(_, track)| track.segments.each())
            .map(|(_, segment)| segment.material_id.str())
            .collect()
    }
}
