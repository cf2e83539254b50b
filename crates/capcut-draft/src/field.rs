//! Typed fields of elements: a path, and what its absence means.

use std::marker::PhantomData;

use crate::document::{ClipRef, Document, ElementRef, MaterialRef, RootRef, TrackRef};
use crate::grid::TimeRange;
use crate::keyframes::KeyframeList;
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, is_key, number, unescape};

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

/// Any object, of which only the existence matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyObject;

impl FieldValue for AnyObject {
    fn read(written: &[u8]) -> Option<Self> {
        written.starts_with(b"{").then_some(Self)
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

impl FieldValue for TimeRange {
    fn read(written: &[u8]) -> Option<Self> {
        crate::document::read_range(written, 0)
    }
}

impl FieldValue for Vec<KeyframeList> {
    fn read(written: &[u8]) -> Option<Self> {
        written
            .starts_with(b"[")
            .then(|| crate::keyframes::read_keyframes(written))
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
        FieldState::of(self.raw(element, field.path))
    }

    /// The members of an element, to read several of its fields.
    pub fn fields<E: ElementRef>(&self, element: E) -> Fields<'_, E> {
        Fields::of(self.text_of(element.slot()))
    }
}

impl<T: FieldValue> FieldState<T> {
    fn of(written: Option<&[u8]>) -> Self {
        match written {
            None => Self::Missing,
            Some(b"null") => Self::Null,
            Some(written) => T::read(written).map_or(Self::Other, Self::Is),
        }
    }
}

/// The members of an element, or of a material in a compound clip, whose text is scanned only once.
///
/// ```
/// use capcut_draft::{Document, RootRef, field};
/// let document = Document::parse(r#"{"fps": 25, "duration": "x", "tracks": []}"#)?;
/// let root = document.fields(RootRef);
/// assert_eq!((root.value(&field::root::FPS), root.get(&field::root::DURATION)), (25.0, None));
/// # Ok::<(), capcut_draft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'d, E> {
    /// Keys, as they are written between their quotes, and values.
    members: Vec<(&'d [u8], &'d [u8])>,
    /// Whether a key has an escape.
    has_escapes: bool,
    element: PhantomData<E>,
}

impl<'d, E> Fields<'d, E> {
    pub(crate) fn of(text: &'d [u8]) -> Self {
        let mut members = Vec::new();
        let mut has_escapes = false;
        let mut scanner = Scanner::new(text, 0);
        if scanner.peek() == b'{' {
            let _ = scanner.object(0, |scanner, key| {
                has_escapes |= scanner.escaped;
                members.push((key.of(text), scanner.skip(0)?.of(text)));
                Ok(())
            });
        }
        Self {
            members,
            has_escapes,
            element: PhantomData,
        }
    }

    pub(crate) fn raw(&self, path: &[&str]) -> Option<&'d [u8]> {
        let (first, rest) = path.split_first()?;
        let member = self
            .members
            .iter()
            .find(|(key, _)| *key == first.as_bytes() || self.has_escapes && is_key(key, first));
        rest.iter().try_fold(member?.1, |text, key| {
            match find(text, 0, &[PathPart::Key(key)], false) {
                Ok(PathTarget::At(span)) => Some(span.of(text)),
                _ => None,
            }
        })
    }

    /// The value of a field; its default if it is missing, `null` or of another type.
    pub fn value<T: FieldValue>(&self, field: &Field<E, T>) -> T {
        self.get(field).unwrap_or_else(|| field.default.clone())
    }

    /// The value of a field; none if it is missing, `null` or of another type.
    pub fn get<T: FieldValue>(&self, field: &Field<E, T>) -> Option<T> {
        match self.state(field) {
            FieldState::Is(value) => Some(value),
            _ => None,
        }
    }

    /// What the element has for a field.
    pub fn state<T: FieldValue>(&self, field: &Field<E, T>) -> FieldState<T> {
        FieldState::of(self.raw(field.path))
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
    use super::{AnyObject, AnyValue, Field, RootRef, field};

    /// Fields of an object that names an app and its machine.
    #[derive(Clone, Debug)]
    pub struct PlatformFields {
        pub whole: Field<RootRef, AnyObject>,
        pub app_id: Field<RootRef, i64>,
        pub app_source: Field<RootRef, String>,
        pub app_version: Field<RootRef, String>,
        pub os: Field<RootRef, String>,
        /// The ids of the machine: device, hard disk, network.
        pub machine: [Field<RootRef, String>; 3],
    }

    macro_rules! platform {
        ($name:literal) => {
            PlatformFields {
                whole: field(&[$name], AnyObject),
                app_id: field(&[$name, "app_id"], 0),
                app_source: field(&[$name, "app_source"], String::new()),
                app_version: field(&[$name, "app_version"], String::new()),
                os: field(&[$name, "os"], String::new()),
                machine: [
                    field(&[$name, "device_id"], String::new()),
                    field(&[$name, "hard_disk_id"], String::new()),
                    field(&[$name, "mac_address"], String::new()),
                ],
            }
        };
    }

    pub const VERSION: Field<RootRef, i64> = field(&["version"], 0);
    pub const MATERIALS: Field<RootRef, AnyObject> = field(&["materials"], AnyObject);
    pub const CONFIG: Field<RootRef, AnyValue> = field(&["config"], AnyValue);
    pub const KEYFRAMES: Field<RootRef, AnyValue> = field(&["keyframes"], AnyValue);
    /// The app that made the draft.
    pub const PLATFORM: PlatformFields = platform!("platform");
    /// The app that saved the draft last.
    pub const LAST_MODIFIED_PLATFORM: PlatformFields = platform!("last_modified_platform");
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
    /// The markers on the timeline.
    pub const TIME_MARKS: &str = "time_marks";
    /// The cover that was chosen: `{"time": µs}` or `{"file": path}`. No app has this key, and a save leaves it out, as
    /// the app shows `draft_cover.jpg`.
    pub const COVER: &str = "capcut_mcp_cover";
    /// A number of the app; it writes 0, and -1 into empty documents.
    pub const COLOR_SPACE: Field<RootRef, i64> = field(&["color_space"], 0);
    /// Whether the order of the tracks decides what covers what, and not `render_index`.
    pub const RENDER_INDEX_TRACK_MODE: Field<RootRef, bool> =
        field(&["render_index_track_mode_on"], false);
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
    use crate::grid::TimeRange;
    use crate::keyframes::KeyframeList;

    /// Microseconds.
    pub const TARGET_DURATION: Field<ClipRef, i64> = field(&["target_timerange", "duration"], 0);
    pub const SOURCE: Field<ClipRef, TimeRange> = field(
        &["source_timerange"],
        TimeRange {
            start: 0,
            duration: 0,
        },
    );
    pub const COMMON_KEYFRAMES: Field<ClipRef, Vec<KeyframeList>> =
        field(&["common_keyframes"], Vec::new());
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

    pub const ID: Field<MaterialRef, String> = field(&["id"], String::new());
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
    /// Whether a transition shows both of its clips at once.
    pub const IS_OVERLAP: Field<MaterialRef, bool> = field(&["is_overlap"], false);
    pub const CONTENT: Field<MaterialRef, String> = field(&["content"], String::new());
    pub const STICKER_ID: Field<MaterialRef, String> = field(&["sticker_id"], String::new());
    pub const RESOURCE_ID: Field<MaterialRef, String> = field(&["resource_id"], String::new());
    /// Where a server fetched the file; only in working documents.
    pub const REMOTE_URL: Field<MaterialRef, String> = field(&["remote_url"], String::new());
}
