//! The document: its source text, and an outline of the lists and elements in it.
//!
//! Tracks, segments and materials are *elements*: spans of the source text, or text of their own once they were
//! edited. What is between them stays as it was written. The root and the tracks contain lists; their text is
//! kept with those lists empty.

mod outline;

use std::borrow::Cow;

use crate::edit::Edit;
use crate::error::{Error, ErrorKind, Result};
use crate::grid::{Grid, TimeRange};
use crate::ids::{self, HashIndex, ShortNumbers};
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, Span, SyntaxError, is_key, number, plain, unescape};

/// The largest document, 64 MB: offsets are 32 bits wide, and an edited document may grow.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    Track,
    Segment,
    Material,
}

/// The text of an element; lists in it that have elements of their own are empty.
#[derive(Clone, Debug)]
pub(crate) enum ElementText {
    Source(u32, u32),
    Own(Box<[u8]>),
}

/// Where the items of a list belong in the text of its owner: directly after the `[`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListHole {
    pub at: u32,
    pub list: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub text: ElementText,
    pub kind: Kind,
    /// The list that it is in; `u32::MAX` for the root, and for what was removed.
    pub list: u32,
    /// The index in the list at which it was put; others may have moved it since.
    pub position: u32,
    /// What is written before it in its list, as an index of `leads`.
    pub lead: u32,
    pub holes: Box<[ListHole]>,
    /// Offsets of values in the text; 0 if the key is missing.
    pub offsets: Offsets,
    pub hash: u32,
    /// The number of the short id; 0 for materials.
    pub number: u32,
    /// When a clip is shown.
    pub target: TimeRange,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub id: u32,
    pub material_id: u32,
    pub target: u32,
    pub refs: u32,
    pub group: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct List {
    /// `tracks`, `segments`, or the name of a list of materials.
    pub name: Box<str>,
    /// The kind of its elements.
    pub kind: Kind,
    pub owner: u32,
    pub items: Vec<u32>,
}

/// Which program's conventions the document follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The app's document: keyframes of video and audio use the clock of the source, texts are counted in UTF-16
    /// units.
    App,
    /// The working document of the CapCut API: keyframes count from the start of their clip, texts are counted in
    /// code points.
    Api,
}

/// A draft document that was parsed, and can be edited and written.
///
/// ```
/// use capcut_draft::Document;
/// let text = r#"{"tracks": [{"type": "video", "segments": []}], "materials": {}}"#;
/// let document = Document::parse(text)?;
/// assert_eq!(document.tracks().len(), 1);
/// assert_eq!(document.write(), text.as_bytes());
/// # Ok::<(), capcut_draft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) source: Box<[u8]>,
    pub(crate) elements: Vec<Element>,
    pub(crate) lists: Vec<List>,
    pub(crate) leads: Vec<Box<[u8]>>,
    pub(crate) ids: HashIndex,
    /// Clips by what links them: the ids of materials and groups.
    pub(crate) links: HashIndex,
    pub(crate) clip_numbers: ShortNumbers,
    pub(crate) track_numbers: ShortNumbers,
    /// The spans of the source before and after the root object.
    head: u32,
    tail: u32,
    dialect: Dialect,
    /// A key of a list that stands twice, for which edits are refused.
    pub(crate) duplicate_list: Option<Box<str>>,
    /// Whether half of a surrogate pair, or a number beyond `f64`, was read; most documents have none.
    pub(crate) may_be_unusable: bool,
}

/// The slot of the root element.
pub(crate) const ROOT: u32 = 0;

/// An element of a document: the root, a track, a clip or a material.
///
/// It stays valid until the element is removed; an element that returns by an undo has a new reference and the
/// same ids.
pub trait ElementRef: Copy + sealed::Slot {}

pub(crate) mod sealed {
    pub trait Slot {
        fn slot(self) -> u32;
    }
}

macro_rules! element_ref {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl sealed::Slot for $name {
            fn slot(self) -> u32 {
                self.0
            }
        }

        impl ElementRef for $name {}
    };
}

element_ref!(
    /// A track of a document.
    TrackRef
);
element_ref!(
    /// A clip: a segment of a track.
    ClipRef
);
element_ref!(
    /// A material, such as a media file, a text, or a transition.
    MaterialRef
);

/// The root object of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRef;

impl sealed::Slot for RootRef {
    fn slot(self) -> u32 {
        ROOT
    }
}

impl ElementRef for RootRef {}

impl Document {
    /// Reads a document. The text may begin with a byte order mark.
    ///
    /// # Errors
    /// `TooLarge` beyond [`MAX_BYTES`], `Encrypted`, `Syntax`, and `NotADraft` for JSON without tracks and
    /// materials.
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self> {
        let document = Self::parse_object(text)?;
        if document.lists.is_empty() {
            return Err(outline::not_a_draft());
        }
        Ok(document)
    }

    /// As [`parse`](Self::parse), but accepts any JSON object; for programs that report or add what is missing.
    pub fn parse_object(text: impl Into<Vec<u8>>) -> Result<Self> {
        let source = text.into();
        if source.len() > MAX_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the document has {} MB; the limit is 64 MB",
                    source.len() / (1024 * 1024)
                ),
            ));
        }
        outline::parse(source.into())
    }

    /// The document as text; the same bytes as were read if nothing was changed.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.source.len() + 4096);
        out.extend_from_slice(&self.source[..self.head as usize]);
        self.emit(ROOT, &mut out);
        out.extend_from_slice(&self.source[self.tail as usize..]);
        out
    }

    /// Starts an edit. It is rolled back unless it is committed.
    pub fn edit(&mut self) -> Edit<'_> {
        Edit::new(self)
    }

    /// Which program's conventions the document follows; recognised when it is parsed.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sets the conventions, where the caller knows them better.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// The frames of the timeline; 30 per second if the document does not state a rate.
    pub fn grid(&self) -> Grid {
        Grid::new(self.number(RootRef, &["fps"]).unwrap_or(30.0))
    }

    /// The tracks, from the bottom up.
    pub fn tracks(&self) -> Vec<TrackRef> {
        let slots = self.list_of(ROOT, "tracks").map(|list| &list.items);
        slots
            .into_iter()
            .flatten()
            .map(|slot| TrackRef(*slot))
            .collect()
    }

    /// Whether the document has a list of tracks, which may be empty.
    pub fn has_tracks(&self) -> bool {
        self.list_index(ROOT, "tracks").is_some()
    }

    /// The clips of a track, in the order of the document.
    pub fn clips(&self, track: TrackRef) -> impl ExactSizeIterator<Item = ClipRef> + Clone + '_ {
        let list = self.list_of(track.0, "segments");
        let items = list.map_or(&[][..], |list| &list.items);
        items.iter().map(|slot| ClipRef(*slot))
    }

    /// All clips, track by track.
    pub fn all_clips(&self) -> impl Iterator<Item = ClipRef> + '_ {
        self.tracks()
            .into_iter()
            .flat_map(|track| self.clips(track))
    }

    /// The track of a clip.
    pub fn track_of(&self, clip: ClipRef) -> TrackRef {
        let list = self.elements[clip.0 as usize].list;
        TrackRef(self.lists[list as usize].owner)
    }

    /// The names of the lists of materials, in the order of the document.
    pub fn material_lists(&self) -> impl Iterator<Item = &str> {
        self.elements[ROOT as usize]
            .holes
            .iter()
            .filter_map(|hole| {
                let list = &self.lists[hole.list as usize];
                (list.kind == Kind::Material).then_some(&*list.name)
            })
    }

    /// The materials of a list.
    pub fn materials(&self, list: &str) -> impl ExactSizeIterator<Item = MaterialRef> + '_ {
        let list = self
            .material_list(list)
            .map(|list| &self.lists[list as usize]);
        let items = list.map_or(&[][..], |list| &list.items);
        items.iter().map(|slot| MaterialRef(*slot))
    }

    /// The name of the list that a material is in.
    pub fn list_name(&self, material: MaterialRef) -> &str {
        let list = self.elements[material.0 as usize].list;
        self.lists.get(list as usize).map_or("", |list| &list.name)
    }

    /// The materials with this id. App-saved drafts may have several.
    pub fn materials_by_id<'d>(&'d self, id: &'d str) -> impl Iterator<Item = MaterialRef> + 'd {
        self.by_id(id, Kind::Material).map(MaterialRef)
    }

    /// The first material with this id.
    pub fn material(&self, id: &str) -> Option<MaterialRef> {
        self.materials_by_id(id).next()
    }

    /// The first material with this id in the list.
    pub fn material_in(&self, list: &str, id: &str) -> Option<MaterialRef> {
        self.materials_by_id(id)
            .find(|material| self.list_name(*material) == list)
    }

    /// The clips with this id, spelled exactly so.
    pub fn clips_by_id<'d>(&'d self, id: &'d str) -> impl Iterator<Item = ClipRef> + 'd {
        self.by_id(id, Kind::Segment).map(ClipRef)
    }

    fn by_id<'d>(&'d self, id: &'d str, kind: Kind) -> impl Iterator<Item = u32> + 'd {
        self.ids
            .candidates(ids::hash(id.as_bytes()))
            .filter(move |slot| {
                self.elements[*slot as usize].kind == kind && self.has_id(*slot, id)
            })
    }

    fn has_id(&self, slot: u32, id: &str) -> bool {
        let at = self.elements[slot as usize].offsets.id as usize;
        let written = self.text_of(slot).get(at + 1..).unwrap_or_default();
        // The text of most ids is the id itself.
        let is_plain = at != 0
            && written.starts_with(id.as_bytes())
            && written.get(id.len()) == Some(&b'"')
            && !id.contains(['"', '\\']);
        is_plain || self.id_of(slot) == id
    }

    /// The id of an element; empty if it has none.
    pub fn id(&self, element: impl ElementRef) -> Cow<'_, str> {
        self.id_of(element.slot())
    }

    pub(crate) fn id_of(&self, slot: u32) -> Cow<'_, str> {
        self.string_at(slot, self.elements[slot as usize].offsets.id)
    }

    pub(crate) fn string_at(&self, slot: u32, at: u32) -> Cow<'_, str> {
        if at == 0 {
            return Cow::Borrowed("");
        }
        let text = self.text_of(slot);
        let mut scanner = Scanner::new(text, at as usize);
        scanner.string().map_or(Cow::Borrowed(""), |span| {
            if scanner.escaped {
                unescape(span.of(text))
            } else {
                plain(span.of(text))
            }
        })
    }

    /// The short id of a clip: `c` and a number. The clips of a document are numbered in its order when it is
    /// parsed; each clip that is added later gets the next number. A number is never used for another clip.
    pub fn short_id(&self, clip: ClipRef) -> String {
        format!("c{}", self.elements[clip.0 as usize].number)
    }

    /// Sets the numbers of short ids, of all clips and of all tracks in the order of the document; for callers that
    /// know the order in which they were made. Numbers that later elements get follow the largest.
    pub fn set_short_numbers(&mut self, clips: &[u32], tracks: &[u32]) {
        let own: Vec<u32> = self.all_clips().map(|clip| clip.0).collect();
        let own_tracks: Vec<u32> = self.tracks().iter().map(|track| track.0).collect();
        for (slots, numbers) in [(own, clips), (own_tracks, tracks)] {
            for (slot, number) in slots.into_iter().zip(numbers) {
                self.elements[slot as usize].number = *number;
            }
        }
        self.clip_numbers = ShortNumbers::after(clips);
        self.track_numbers = ShortNumbers::after(tracks);
    }

    /// The numbers of the short ids of all clips and all tracks, for [`set_short_numbers`](Self::set_short_numbers).
    pub fn short_numbers(&self) -> (Vec<u32>, Vec<u32>) {
        let number = |slot: u32| self.elements[slot as usize].number;
        let clips = self.all_clips().map(|clip| number(clip.0)).collect();
        let tracks = self.tracks().iter().map(|track| number(track.0)).collect();
        (clips, tracks)
    }

    /// The short id of a track: `t` and a number, given like those of clips.
    pub fn short_track_id(&self, track: TrackRef) -> String {
        format!("t{}", self.elements[track.0 as usize].number)
    }

    /// The id of the material that a clip shows or plays.
    pub fn material_id(&self, clip: ClipRef) -> Cow<'_, str> {
        self.string_at(clip.0, self.elements[clip.0 as usize].offsets.material_id)
    }

    /// The ids of the additional materials of a clip, such as its speed or transition.
    pub fn refs(&self, clip: ClipRef) -> Vec<Cow<'_, str>> {
        self.ref_items(clip).into_iter().flatten().collect()
    }

    /// As [`refs`](Self::refs), with none for each item that is not an id.
    pub fn ref_items(&self, clip: ClipRef) -> Vec<Option<Cow<'_, str>>> {
        let at = self.elements[clip.0 as usize].offsets.refs;
        let mut refs = Vec::new();
        if at != 0 {
            let text = self.text_of(clip.0);
            let mut scanner = Scanner::new(text, at as usize);
            let _ = scanner.list(0, |scanner| {
                if scanner.peek() != b'"' {
                    refs.push(None);
                    return scanner.skip(0).map(drop);
                }
                let span = scanner.string()?;
                refs.push(Some(unescape(span.of(text))));
                Ok(())
            });
        }
        refs
    }

    /// When a clip is shown on the timeline. What the document leaves out is 0.
    pub fn target(&self, clip: ClipRef) -> TimeRange {
        self.elements[clip.0 as usize].target
    }

    /// When the last clip ends, in microseconds.
    pub fn end(&self) -> i64 {
        let ends = self.all_clips().map(|clip| self.target(clip).end());
        ends.max().unwrap_or(0)
    }

    /// The part of its file that a clip shows or plays; none if it has no such part.
    pub fn source(&self, clip: ClipRef) -> Option<TimeRange> {
        self.range(clip, &["source_timerange"])
    }

    /// A time range inside an element; none if it is missing or `null`.
    pub fn range(&self, element: impl ElementRef, path: &[&str]) -> Option<TimeRange> {
        let (text, span) = self.span(element.slot(), path)?;
        read_range(text, span.start)
    }

    /// The JSON text of an element; the lists of elements in it are empty.
    pub fn json(&self, element: impl ElementRef) -> Cow<'_, str> {
        plain(self.text_of(element.slot()))
    }

    /// Whether an element is an object; lists of damaged documents may have other values.
    pub fn is_object(&self, element: impl ElementRef) -> bool {
        self.text_of(element.slot()).starts_with(b"{")
    }

    /// The JSON text of a value inside an element, by the keys that lead to it; none if it is missing.
    pub fn raw(&self, element: impl ElementRef, path: &[&str]) -> Option<&[u8]> {
        let (text, span) = self.span(element.slot(), path)?;
        Some(span.of(text))
    }

    /// As [`raw`](Self::raw), where the path may lead through lists.
    pub fn raw_at(&self, element: impl ElementRef, path: &[PathPart<'_>]) -> Option<&[u8]> {
        let text = self.text_of(element.slot());
        match find(text, 0, path, false) {
            Ok(PathTarget::At(span)) => Some(span.of(text)),
            _ => None,
        }
    }

    fn span(&self, slot: u32, path: &[&str]) -> Option<(&[u8], Span)> {
        let text = self.text_of(slot);
        let mut parts = [PathPart::Index(0); 8];
        let parts = parts.get_mut(..path.len())?;
        for (part, key) in parts.iter_mut().zip(path) {
            *part = PathPart::Key(key);
        }
        match find(text, 0, parts, false) {
            Ok(PathTarget::At(span)) => Some((text, span)),
            _ => None,
        }
    }

    /// The JSON texts of several members of an element, in one pass.
    pub(crate) fn members<const N: usize>(
        &self,
        element: impl ElementRef,
        names: [&str; N],
    ) -> [Option<&[u8]>; N] {
        let text = self.text_of(element.slot());
        let mut found = [None; N];
        let mut missing = N;
        let mut scanner = Scanner::new(text, 0);
        if scanner.peek() == b'{' {
            let _ = scanner.object(0, |scanner, key| {
                let hit = if scanner.escaped {
                    let key = unescape(key.of(text));
                    names.iter().position(|name| *name == key)
                } else {
                    let key = key.of(text);
                    names.iter().position(|name| name.as_bytes() == key)
                };
                let value = scanner.skip(0)?;
                if let Some(hit) = hit
                    && found[hit].is_none()
                {
                    found[hit] = Some(value.of(text));
                    missing -= 1;
                    if missing == 0 {
                        // Ends the walk early; the error is not reported.
                        return scanner.error("");
                    }
                }
                Ok(())
            });
        }
        found
    }

    /// A number inside an element; none for one beyond `f64`.
    pub fn number(&self, element: impl ElementRef, path: &[&str]) -> Option<f64> {
        self.raw(element, path).and_then(number)
    }

    /// A text inside an element. Half of a surrogate pair in it is U+FFFD.
    pub fn text(&self, element: impl ElementRef, path: &[&str]) -> Option<Cow<'_, str>> {
        let raw = self.raw(element, path)?;
        let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(unescape(inside))
    }

    /// A switch inside an element.
    pub fn flag(&self, element: impl ElementRef, path: &[&str]) -> Option<bool> {
        match self.raw(element, path)? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The text of an element; its lists of elements are shown empty.
    pub(crate) fn text_of(&self, slot: u32) -> &[u8] {
        match &self.elements[slot as usize].text {
            ElementText::Source(start, end) => &self.source[*start as usize..*end as usize],
            ElementText::Own(text) => text,
        }
    }

    /// The list with this name in an element.
    pub(crate) fn list_of(&self, owner: u32, name: &str) -> Option<&List> {
        let list = self.list_index(owner, name)?;
        Some(&self.lists[list as usize])
    }

    pub(crate) fn list_index(&self, owner: u32, name: &str) -> Option<u32> {
        let holes = &self.elements[owner as usize].holes;
        holes.iter().map(|hole| hole.list).find(|list| {
            let list = &self.lists[*list as usize];
            &*list.name == name && (list.kind != Kind::Material || owner == ROOT)
        })
    }

    /// The list of materials with this name.
    pub(crate) fn material_list(&self, name: &str) -> Option<u32> {
        self.list_index(ROOT, name)
            .filter(|list| self.lists[*list as usize].kind == Kind::Material)
    }

    /// Writes an element with its lists.
    pub(crate) fn emit(&self, slot: u32, out: &mut Vec<u8>) {
        self.emit_with(slot, out, Self::emit_lead);
    }

    /// Writes an element for a step: the first item of a list keeps its comma, so that the blanks around it are
    /// the same after an undo.
    pub(crate) fn emit_recorded(&self, slot: u32, out: &mut Vec<u8>) {
        self.emit_with(slot, out, |document, slot, index, out| {
            if index == 0 {
                out.extend_from_slice(document.lead(slot));
            } else {
                document.emit_lead(slot, index, out);
            }
        });
    }

    fn emit_with(
        &self,
        slot: u32,
        out: &mut Vec<u8>,
        emit_lead: fn(&Self, u32, usize, &mut Vec<u8>),
    ) {
        let text = self.text_of(slot);
        let mut from = 0;
        for hole in &self.elements[slot as usize].holes {
            out.extend_from_slice(&text[from..hole.at as usize]);
            from = hole.at as usize;
            for (index, item) in self.lists[hole.list as usize].items.iter().enumerate() {
                emit_lead(self, *item, index, out);
                self.emit_with(*item, out, emit_lead);
            }
        }
        out.extend_from_slice(&text[from..]);
    }

    /// What is written before an element in its list.
    pub(crate) fn lead(&self, slot: u32) -> &[u8] {
        &self.leads[self.elements[slot as usize].lead as usize]
    }

    /// Writes what is before an item. The comma belongs to the position in the list, not to the item.
    fn emit_lead(&self, slot: u32, index: usize, out: &mut Vec<u8>) {
        let lead = self.lead(slot);
        match (index, lead.contains(&b',')) {
            (0, true) => out.extend(lead.iter().filter(|byte| **byte != b',')),
            (1.., false) => {
                out.push(b',');
                out.extend_from_slice(lead);
            }
            _ => out.extend_from_slice(lead),
        }
    }

    /// About how much memory the document takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.source.len() + self.outline_bytes()
    }

    /// The slots of lists, elements and texts that the document holds, in bytes, without its source.
    #[doc(hidden)]
    pub fn outline_bytes(&self) -> usize {
        let own: usize = self
            .elements
            .iter()
            .map(|element| {
                let text = match &element.text {
                    ElementText::Own(text) => text.len(),
                    ElementText::Source(..) => 0,
                };
                text + size_of_val(&*element.holes)
            })
            .sum();
        let lists: usize = self
            .lists
            .iter()
            .map(|list| list.items.capacity() * 4)
            .sum();
        own + lists
            + self.elements.capacity() * size_of::<Element>()
            + self.lists.capacity() * size_of::<List>()
            + self.ids.bytes()
            + self.links.bytes()
    }
}

/// A `{start, duration}` object; whole numbers as the app writes, or the whole part of others.
pub(crate) fn read_range(text: &[u8], at: usize) -> Option<TimeRange> {
    let mut range = TimeRange::default();
    let mut scanner = Scanner::new(text, at);
    if scanner.peek() != b'{' {
        return None;
    }
    let read = scanner.object(0, |scanner, key| {
        let span = scanner.skip(0)?;
        match key.of(text) {
            key if is_key(key, "start") => range.start = micros(span.of(text)).unwrap_or_default(),
            key if is_key(key, "duration") => {
                range.duration = micros(span.of(text)).unwrap_or_default()
            }
            _ => {}
        }
        Ok(())
    });
    read.is_ok().then_some(range)
}

/// A time in microseconds. Those that no draft can have are limited, so that sums of times fit.
pub(crate) fn micros(text: &[u8]) -> Option<i64> {
    const LONGEST: i64 = 1 << 42;
    let text = std::str::from_utf8(text).ok()?;
    let micros = text
        .parse()
        .ok()
        .or_else(|| number(text.as_bytes()).map(|number| number as i64));
    micros.map(|micros| micros.clamp(-LONGEST, LONGEST))
}

impl From<SyntaxError> for Error {
    fn from(error: SyntaxError) -> Self {
        Self::new(
            ErrorKind::Syntax,
            format!("invalid JSON at byte {}: {}", error.at, error.what),
        )
    }
}
