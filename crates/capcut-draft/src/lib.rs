//! A lossless model of the draft documents of CapCut and JianYing (`draft_content.json`, `draft_info.json`).
//!
//! A document is read, inspected, edited and written; what is not edited keeps its bytes, including unknown keys, key
//! order and the spelling of numbers. Edits are recorded as steps, which can be stored and undone exactly. The crate
//! does no I/O.
//!
//! Also values that other readers of JSON refuse keep their bytes. Half of a surrogate pair is read as U+FFFD, and a
//! number beyond `f64` is not read as a number; an edit that would lose the one, or compute with the other, is an error.
//! [`Flaw::find`] lists such values.
//!
//! Read a document and list its clips:
//!
//! ```
//! use capcut_draft::Document;
//! # let text = include_str!("../tests/data/small.json");
//! let document = Document::parse(text)?;
//! for track in document.tracks() {
//!     for clip in document.clips(track) {
//!         let target = document.target(clip);
//!         println!("{} {} µs to {} µs", document.short_id(clip), target.start, target.end());
//!     }
//! }
//! assert_eq!(document.write(), text.as_bytes());
//! # Ok::<(), capcut_draft::Error>(())
//! ```
#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![forbid(unsafe_code)]

mod caption;
mod clock;
mod companion;
mod compound;
mod content;
mod curve;
mod document;
mod edit;
mod error;
mod evidence;
pub mod field;
mod flaws;
mod grid;
mod ids;
mod inspect;
mod keyframes;
mod kinds;
pub mod measure;
mod ops;
mod path;
mod property;
mod refs;
mod resource;
mod scan;
mod select;
mod shown;
mod template;
mod text_look;
mod validate;
mod value;

pub use caption::CaptionWord;
pub use clock::{Clock, SpeedPoint};
pub use companion::CompanionFile;
pub use compound::CompoundDocument;
pub use content::{StyleRange, TextContent, TextForm, text_length};
pub use curve::SpeedCurve;
pub use document::{
    ClipRef, Dialect, Document, ElementRef, MAX_BYTES, MaterialRef, RootRef, TrackRef,
};
pub use edit::{Edit, Step};
pub use error::{Error, ErrorKind, Result};
pub use evidence::{Evidence, Ground};
pub use field::{AnyObject, AnyValue, Field, FieldState, FieldValue, Fields};
pub use flaws::{Flaw, FlawKind};
pub use grid::{Grid, TimeRange};
pub use inspect::{
    ClipRow, GapRow, InnerClipRow, InspectFilter, OverlapRow, ReadOnlyClip, Summary, TrackRow,
    TransitionRow,
};
pub use keyframes::{KeyframeList, KeyframePoint};
pub use kinds::ClipKind;
pub use measure::{Measure, Unit};
pub use ops::{
    AddKeyframes, AddMarkers, BeatsInFile, Canvas, Clear, ClearKeyframes, ClearWhat, Cover, CutOn,
    Duck, DuckShape, Duplicate, Easing, FRAME_RATES, Fade, Freeze, Group, JumpCut, KeyframeValue,
    LOUDNESS_RANGE, Loudness, Marker, MediaFile, MediaFileKind, MediaLength, Move, Operation,
    OperationReport, PartLoudness, PauseRule, Remove, Rename, ReplaceMedia, ReplaceText, Set,
    Settings, Shift, SoundPart, SpeechInFile, Split, SplitAudio, TextEffectKind, TrackChange, Trim,
    Ungroup, VolumeForLoudness, ducked, is_adjustment, kept_frames, merged_cuts, multiplied,
    pauses_to_cut, without_short_pieces,
};
pub use path::PathPart;
pub use property::{PROPERTIES, Property, PropertyArgument, PropertyDefault};
pub use refs::DanglingRef;
pub use resource::{
    NoResources, Resource, ResourceKind, ResourceParameter, Resources, strength_of,
};
pub use select::{ClipSelector, Time};
pub use template::{
    FilledTemplate, MediaSlot, RepeatedGroup, SlotMedia, SlotValues, TemplateValues,
};
pub use validate::Problem;
pub use value::{JsonValue, RawJson, WithDefault};
