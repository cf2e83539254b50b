//! Typed fields of elements: a path, and what its absence means.

use std::marker::PhantomData;

use crate::document::{ClipRef, Document, ElementRef, MaterialRef, RootRef, TrackRef};
use crate::path::PathPart;
use crate::scan::{number, unescape};

/// A known field of an element.
#[derive(Clone, Copy, Debug)]
pub struct Field<E, T: 'static> {
    pub path: &'static [&'static str],
    /// What a missing key means.
    pub default: T,
    element: PhantomData<E>,
}

/// What a document has for a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldState<T> {
    Missing,
    Null,
    /// A value of another type.
    Other,
    Is(T),
}

/// A type that a field can have.
pub trait FieldValue: Clone {
    /// Reads JSON text.
    fn read(written: &[u8]) -> Option<Self>;
}

/// A value of any type but `null`, of which only the existence matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyValue;

impl FieldValue for AnyValue {
    fn read(_: &[u8]) -> Option<Self> {
        Some(Self)
    }
}

impl FieldValue for f64 {
    fn read(written: &[u8]) -> Option<Self> {
        number(written)
    }
}

impl FieldValue for i64 {
    fn read(written: &[u8]) -> Option<Self> {
        crate::document::micros(written)
    }
}

impl FieldValue for bool {
    fn read(written: &[u8]) -> Option<Self> {
        match written {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }
}

impl FieldValue for String {
    fn read(written: &[u8]) -> Option<Self> {
        let inside = written.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(unescape(inside).into_owned())
    }
}

impl Document {
    /// The value of a field; its default if it is missing, `null` or of another type.
    pub fn value<E: ElementRef, T: FieldValue>(&self, element: E, field: &Field<E, T>) -> T {
        self.get(element, field)
            .unwrap_or_else(|| field.default.clone())
    }

    /// The value of a field; none if it is missing, `null` or of another type.
    pub fn get<E: ElementRef, T: FieldValue>(&self, element: E, field: &Field<E, T>) -> Option<T> {
        match self.state(element, field) {
            FieldState::Is(value) => Some(value),
            _ => None,
        }
    }

    /// What the document has for a field.
    pub fn state<E: ElementRef, T: FieldValue>(
        &self,
        element: E,
        field: &Field<E, T>,
    ) -> FieldState<T> {
        match self.raw(element, field.path) {
            None => FieldState::Missing,
            Some(b"null") => FieldState::Null,
            Some(written) => T::read(written).map_or(FieldState::Other, FieldState::Is),
        }
    }
}

const fn field<E, T>(path: &'static [&'static str], default: T) -> Field<E, T> {
    Field {
        path,
        default,
        element: PhantomData,
    }
}

/// The path of the id of every element; [`Document::id`] reads it.
pub const ID: &[&str] = &["id"];

/// Fields of the root.
pub mod root {
    use super::{AnyValue, Field, RootRef, field};

    pub const VERSION: Field<RootRef, i64> = field(&["version"], 0);
    /// The app that made the draft.
    pub const PLATFORM: Field<RootRef, AnyValue> = field(&["platform"], AnyValue);
    /// The app that saved the draft last.
    pub const LAST_MODIFIED_PLATFORM: Field<RootRef, AnyValue> =
        field(&["last_modified_platform"], AnyValue);
    /// The ids of the machine in `platform`: device, hard disk, network.
    pub const MACHINE: [Field<RootRef, String>; 3] = [
        field(&["platform", "device_id"], String::new()),
        field(&["platform", "hard_disk_id"], String::new()),
        field(&["platform", "mac_address"], String::new()),
    ];
    /// The same in `last_modified_platform`.
    pub const LAST_MACHINE: [Field<RootRef, String>; 3] = [
        field(&["last_modified_platform", "device_id"], String::new()),
        field(&["last_modified_platform", "hard_disk_id"], String::new()),
        field(&["last_modified_platform", "mac_address"], String::new()),
    ];
    pub const FPS: Field<RootRef, f64> = field(&["fps"], 30.0);
    /// Microseconds.
    pub const DURATION: Field<RootRef, i64> = field(&["duration"], 0);
    pub const NAME: Field<RootRef, String> = field(&["name"], String::new());
    pub const NEW_VERSION: Field<RootRef, String> = field(&["new_version"], String::new());
    /// Pixels.
    pub const CANVAS_WIDTH: Field<RootRef, i64> = field(&["canvas_config", "width"], 0);
    pub const CANVAS_HEIGHT: Field<RootRef, i64> = field(&["canvas_config", "height"], 0);
    pub const CANVAS_RATIO: Field<RootRef, String> =
        field(&["canvas_config", "ratio"], String::new());
    /// The main track has no gaps.
    pub const MAGNET: Field<RootRef, bool> = field(&["config", "maintrack_adsorb"], true);
    /// A number of the app; it writes 0, and -1 into empty documents.
    pub const COLOR_SPACE: Field<RootRef, i64> = field(&["color_space"], 0);
    /// Whether the order of the tracks decides what covers what, and not `render_index`.
    pub const RENDER_INDEX_TRACK_MODE: Field<RootRef, bool> =
        field(&["render_index_track_mode_on"], false);
    pub const APP_ID: Field<RootRef, i64> = field(&["platform", "app_id"], 0);
    pub const APP_SOURCE: Field<RootRef, String> =
        field(&["platform", "app_source"], String::new());
    pub const APP_VERSION: Field<RootRef, String> =
        field(&["platform", "app_version"], String::new());
    pub const OS: Field<RootRef, String> = field(&["platform", "os"], String::new());
}

/// Fields of tracks.
pub mod track {
    use super::{Field, TrackRef, field};

    pub const KIND: Field<TrackRef, String> = field(&["type"], String::new());
    pub const NAME: Field<TrackRef, String> = field(&["name"], String::new());
    /// Bits: 1 muted, 2 hidden, 4 locked.
    pub const ATTRIBUTE: Field<TrackRef, i64> = field(&["attribute"], 0);
    /// 0 main, 1 captions, 2 overlay.
    pub const FLAG: Field<TrackRef, i64> = field(&["flag"], 0);
}

/// Fields of clips.
pub mod clip {
    use super::{AnyValue, ClipRef, Field, field};

    /// Microseconds.
    pub const TARGET_DURATION: Field<ClipRef, i64> = field(&["target_timerange", "duration"], 0);
    /// Position, size and rotation; `null` for sounds.
    pub const POSITION: Field<ClipRef, AnyValue> = field(&["clip"], AnyValue);

    /// Playback factor; `null` for images of the reference API.
    pub const SPEED: Field<ClipRef, f64> = field(&["speed"], 1.0);
    pub const VOLUME: Field<ClipRef, f64> = field(&["volume"], 1.0);
    pub const VISIBLE: Field<ClipRef, bool> = field(&["visible"], true);
    pub const GROUP: Field<ClipRef, String> = field(&["group_id"], String::new());
    /// The attribute of its track.
    pub const TRACK_ATTRIBUTE: Field<ClipRef, i64> = field(&["track_attribute"], 0);
    pub const RENDER_INDEX: Field<ClipRef, i64> = field(&["render_index"], 0);
}

/// Fields of materials.
pub mod material {
    use super::{AnyValue, Field, MaterialRef, PathPart, field};

    /// The path of a material in the document of a compound clip, from the material of that clip in `drafts`.
    pub fn nested(list: &'static str, index: usize) -> [PathPart<'static>; 4] {
        let [draft, materials, list] = ["draft", "materials", list].map(PathPart::Key);
        [draft, materials, list, PathPart::Index(index)]
    }

    /// Pixels.
    pub const WIDTH: Field<MaterialRef, i64> = field(&["width"], 0);
    pub const HEIGHT: Field<MaterialRef, i64> = field(&["height"], 0);
    /// The id of a medium's entry in `draft_meta_info.json`.
    pub const LOCAL_MATERIAL_ID: Field<MaterialRef, String> =
        field(&["local_material_id"], String::new());
    /// Bits of a video for the effects that the app applies to it.
    pub const CHECK_FLAG: Field<MaterialRef, i64> = field(&["check_flag"], 0);
    /// The playback factor of a material in `speeds`.
    pub const SPEED: Field<MaterialRef, f64> = field(&["speed"], 1.0);
    /// A speed that changes, in `speeds`.
    pub const CURVE_SPEED: Field<MaterialRef, AnyValue> = field(&["curve_speed"], AnyValue);

    pub const KIND: Field<MaterialRef, String> = field(&["type"], String::new());
    /// Microseconds.
    pub const DURATION: Field<MaterialRef, i64> = field(&["duration"], 0);
    pub const PATH: Field<MaterialRef, String> = field(&["path"], String::new());
    pub const NAME: Field<MaterialRef, String> = field(&["name"], String::new());
    /// The name of a video or picture.
    pub const MATERIAL_NAME: Field<MaterialRef, String> = field(&["material_name"], String::new());
    pub const CONTENT: Field<MaterialRef, String> = field(&["content"], String::new());
    pub const STICKER_ID: Field<MaterialRef, String> = field(&["sticker_id"], String::new());
    pub const RESOURCE_ID: Field<MaterialRef, String> = field(&["resource_id"], String::new());
    /// Where a server fetched the file; only in working documents.
    pub const REMOTE_URL: Field<MaterialRef, String> = field(&["remote_url"], String::new());
}
