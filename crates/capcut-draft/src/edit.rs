//! Edits: splices of text, recorded so that they can be undone and stored.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::document::{ClipRef, Document, ElementRef, Kind, MaterialRef, ROOT, TrackRef};
use crate::error::{Error, ErrorKind, Result};
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, Span};
use crate::value::{JsonValue, RawJson, Refusal, assignment};

/// One recorded change. Positions are paths of lists and indices, which do not depend on this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Change {
    /// Element, offset, old text, new text.
    #[serde(rename = "s")]
    Splice(String, u32, String, String),
    /// List, index, what is written before the element, the element.
    #[serde(rename = "i")]
    Insert(String, u32, String, String),
    #[serde(rename = "r")]
    Remove(String, u32, String, String),
    /// List, old index, new index.
    #[serde(rename = "m")]
    Move(String, u32, u32),
}

impl Change {
    fn inverse(&self) -> Self {
        match self.clone() {
            Self::Splice(at, from, old, new) => Self::Splice(at, from, new, old),
            Self::Insert(list, index, lead, text) => Self::Remove(list, index, lead, text),
            Self::Remove(list, index, lead, text) => Self::Insert(list, index, lead, text),
            Self::Move(list, from, to) => Self::Move(list, to, from),
        }
    }
}

/// What an edit changed. It can be stored, undone, and applied again to the same text.
///
/// ```
/// use capcut_draft::{Document, Step};
/// let text = r#"{"tracks": [], "materials": {}, "name": "old"}"#;
/// let mut document = Document::parse(text)?;
/// let mut edit = document.edit();
/// edit.set(capcut_draft::RootRef, &["name"], "new")?;
/// let step = edit.commit();
/// let stored = serde_json::to_string(&step).unwrap();
/// let step: Step = serde_json::from_str(&stored).unwrap();
/// document.apply(&step.inverse())?;
/// assert_eq!(document.write(), text.as_bytes());
/// # Ok::<(), capcut_draft::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Step {
    changes: Vec<Change>,
}

impl Step {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The step that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            changes: self.changes.iter().rev().map(Change::inverse).collect(),
        }
    }

    /// Adds the changes of a later step.
    pub fn append(&mut self, later: Self) {
        self.changes.extend(later.changes);
    }
}

impl Document {
    /// Applies a step. The old text must be where the step says; otherwise nothing is changed.
    ///
    /// # Errors
    /// `Mismatch` if the step belongs to another text.
    pub fn apply(&mut self, step: &Step) -> Result<()> {
        let mut edit = self.edit();
        for change in &step.changes {
            edit.apply(change)?;
        }
        edit.commit();
        Ok(())
    }

    /// The path of an element, such as `tracks/0/segments/3`; empty for the root.
    pub fn path(&self, element: impl ElementRef) -> String {
        self.path_of(element.slot())
    }

    /// The index of a track, clip or material in its list.
    pub fn index(&self, element: impl ElementRef) -> usize {
        let slot = element.slot();
        self.index_in(self.elements[slot as usize].list, slot)
    }

    fn path_of(&self, slot: u32) -> String {
        let mut path = String::new();
        self.write_path(slot, &mut path);
        path
    }

    fn write_path(&self, slot: u32, path: &mut String) {
        if slot == ROOT {
            return;
        }
        let list = self.elements[slot as usize].list;
        self.write_list_path(list, path);
        path.push('/');
        path.push_str(&self.index_in(list, slot).to_string());
    }

    fn list_path(&self, list: u32) -> String {
        let mut path = String::new();
        self.write_list_path(list, &mut path);
        path
    }

    fn write_list_path(&self, list: u32, path: &mut String) {
        let list = &self.lists[list as usize];
        match list.kind {
            Kind::Segment => {
                self.write_path(list.owner, path);
                path.push_str("/segments");
            }
            Kind::Material => {
                path.push_str("materials/");
                path.push_str(&list.name);
            }
            Kind::Root | Kind::Track => path.push_str(&list.name),
        }
    }

    /// The index of an element in its list. The search starts where it was last put, as few others moved since.
    pub(crate) fn index_in(&self, list: u32, slot: u32) -> usize {
        let items = &self.lists[list as usize].items;
        let near = (self.elements[slot as usize].position as usize).min(items.len());
        let (before, after) = items.split_at(near);
        let mut after = after.iter().enumerate();
        let mut before = before.iter().rev().enumerate();
        loop {
            let (right, left) = (after.next(), before.next());
            match (right, left) {
                (Some((index, item)), _) if *item == slot => return near + index,
                (_, Some((index, item))) if *item == slot => return near - 1 - index,
                (None, None) => return items.len(),
                _ => {}
            }
        }
    }

    fn list_at(&self, path: &str) -> Option<u32> {
        if let Some(name) = path.strip_prefix("materials/") {
            return self.material_list(name);
        }
        match path.strip_suffix("/segments") {
            Some(track) => self.list_index(self.slot_at(track)?, "segments"),
            None => self.list_index(ROOT, path),
        }
    }

    fn slot_at(&self, path: &str) -> Option<u32> {
        if path.is_empty() {
            return Some(ROOT);
        }
        let (list, index) = path.rsplit_once('/')?;
        let list = self.list_at(list)?;
        let index: usize = index.parse().ok()?;
        self.lists[list as usize].items.get(index).copied()
    }
}

/// An edit in progress. It can be read like the document; dropped without [`commit`](Self::commit), it is rolled
/// back.
pub struct Edit<'d> {
    document: &'d mut Document,
    changes: Vec<Change>,
    /// The last numbers of clips and tracks before the edit; none once it is committed.
    numbers: Option<(u32, u32)>,
}

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

impl Deref for Edit<'_> {
    type Target = Document;

    fn deref(&self) -> &Document {
        self.document
    }
}

impl Drop for Edit<'_> {
    fn drop(&mut self) {
        self.roll_back(0);
        // Numbers that were given meanwhile are free again: what an edit gives does not depend on edits that were
        // rolled back.
        if let Some((clips, tracks)) = self.numbers {
            self.document.clip_numbers.forget_after(clips);
            self.document.track_numbers.forget_after(tracks);
        }
    }
}

impl<'d> Edit<'d> {
    pub(crate) fn new(document: &'d mut Document) -> Self {
        let numbers = (document.clip_numbers.last(), document.track_numbers.last());
        Self {
            document,
            changes: Vec::new(),
            numbers: Some(numbers),
        }
    }

    /// The changes so far. Dropped without commit, the document stays as it was, and the step can be applied to it.
    pub fn step(&self) -> Step {
        Step {
            changes: self.changes.clone(),
        }
    }

    /// Keeps the changes, and returns them.
    pub fn commit(mut self) -> Step {
        self.numbers = None;
        Step {
            changes: std::mem::take(&mut self.changes),
        }
    }

    /// Takes back the changes after the first `count`.
    fn roll_back(&mut self, count: usize) {
        while self.changes.len() > count {
            let Some(change) = self.changes.pop() else {
                return;
            };
            let inverse = change.inverse();
            let undone = self.apply(&inverse);
            debug_assert!(
                undone.is_ok(),
                "a recorded change can be taken back: {undone:?}"
            );
            if undone.is_ok() {
                self.changes.pop();
            }
        }
    }

    /// Sets a value inside an element; objects on the way that are missing are created. An equal value stays
    /// written as it is.
    ///
    /// # Errors
    /// `ReadOnly` where a key stands twice, a value on the way is not an object, or half of a surrogate pair would be
    /// lost.
    pub fn set<V: JsonValue + ?Sized>(
        &mut self,
        element: impl ElementRef,
        path: &[&str],
        value: &V,
    ) -> Result<()> {
        let parts: Vec<PathPart<'_>> = path.iter().map(|key| PathPart::Key(key)).collect();
        self.set_at(element, &parts, value)
    }

    /// As [`set`](Self::set), where the path may lead through lists.
    pub fn set_at<V: JsonValue + ?Sized>(
        &mut self,
        element: impl ElementRef,
        path: &[PathPart<'_>],
        value: &V,
    ) -> Result<()> {
        let slot = element.slot();
        self.check_editable()?;
        match assignment(self.text_of(slot), path, value) {
            Ok(Some((span, json))) => {
                let keeps_outline = self.keeps_outline(slot, path.first());
                self.splice(slot, span, &json, keeps_outline)
            }
            Ok(None) => Ok(()),
            Err(refusal) => Err(self.refused(slot, path, refusal)),
        }
    }

    /// Removes a member of an object inside an element, if it is there.
    pub fn clear(&mut self, element: impl ElementRef, path: &[&str]) -> Result<()> {
        let slot = element.slot();
        let Some((key, objects)) = path.split_last() else {
            return Ok(());
        };
        let parts: Vec<PathPart<'_>> = objects.iter().map(|key| PathPart::Key(key)).collect();
        let PathTarget::At(object) = self.target_at(slot, &parts)? else {
            return Ok(());
        };
        let text = self.text_of(slot);
        if text[object.start] != b'{' {
            return Ok(());
        }
        let mut members: Vec<(bool, Span)> = Vec::new();
        Scanner::new(text, object.start).object(0, |scanner, found| {
            let value = scanner.skip(0)?;
            let (start, end) = (found.start - 1, value.end);
            members.push((
                crate::scan::is_key(found.of(text), key),
                Span { start, end },
            ));
            Ok(())
        })?;
        let hits = members.iter().filter(|member| member.0).count();
        if hits > 1 {
            return Err(self.refused(slot, &parts, Refusal::Unusual));
        }
        let Some(index) = members.iter().position(|member| member.0) else {
            return Ok(());
        };
        let spans: Vec<Span> = members.into_iter().map(|member| member.1).collect();
        self.splice(slot, without(&spans, index), b"", false)
    }

    /// Adds an item to a list inside an element, such as a keyframe. `json` must be valid.
    pub(crate) fn insert_item(
        &mut self,
        element: impl ElementRef,
        path: &[PathPart<'_>],
        index: usize,
        json: &[u8],
    ) -> Result<()> {
        let slot = element.slot();
        let (list, items) = self.items(slot, path)?;
        let text = self.text_of(slot);
        let (at, new) = match (items.first(), items.get(index)) {
            (None, _) => (list.start + 1, json.to_vec()),
            (Some(first), before) => {
                let lead = &text[list.start + 1..first.start];
                let mut new = Vec::new();
                match before {
                    Some(before) => {
                        new.extend_from_slice(json);
                        new.push(b',');
                        new.extend_from_slice(lead);
                        (before.start, new)
                    }
                    None => {
                        new.push(b',');
                        new.extend_from_slice(lead);
                        new.extend_from_slice(json);
                        (items[items.len() - 1].end, new)
                    }
                }
            }
        };
        self.splice(slot, Span { start: at, end: at }, &new, false)
    }

    /// Removes an item of a list inside an element.
    pub(crate) fn remove_item(
        &mut self,
        element: impl ElementRef,
        path: &[PathPart<'_>],
        index: usize,
    ) -> Result<()> {
        let slot = element.slot();
        let (_, items) = self.items(slot, path)?;
        if index >= items.len() {
            return Ok(());
        }
        self.splice(slot, without(&items, index), b"", false)
    }

    /// The spans of a list inside an element, and of its items.
    pub(crate) fn items(&self, slot: u32, path: &[PathPart<'_>]) -> Result<(Span, Vec<Span>)> {
        let PathTarget::At(span) = self.target_at(slot, path)? else {
            return Err(self.refused(slot, path, Refusal::Unusual));
        };
        let text = self.text_of(slot);
        if text[span.start] != b'[' {
            return Err(self.refused(slot, path, Refusal::Unusual));
        }
        let mut items = Vec::new();
        Scanner::new(text, span.start).list(0, |scanner| {
            items.push(scanner.skip(0)?);
            Ok(())
        })?;
        Ok((span, items))
    }

    fn check_editable(&self) -> Result<()> {
        if let Some(name) = &self.duplicate_list {
            return Err(Error::read_only(format!(
                "the document cannot be edited: it has the list \"{name}\" twice"
            )));
        }
        Ok(())
    }

    fn target_at(&self, slot: u32, path: &[PathPart<'_>]) -> Result<PathTarget> {
        self.check_editable()?;
        Ok(find(self.text_of(slot), 0, path, true)?)
    }

    fn refused(&self, slot: u32, path: &[PathPart<'_>], refusal: Refusal) -> Error {
        let path: Vec<String> = path
            .iter()
            .map(|part| match part {
                PathPart::Key(key) => (*key).to_owned(),
                PathPart::Index(index) => index.to_string(),
            })
            .collect();
        let error = Error::read_only(format!(
            "the document has {} at {}/{}, so it cannot be edited there",
            refusal.reason(),
            self.path_of(slot),
            path.join("/")
        ));
        match refusal {
            Refusal::Unusual => error,
            Refusal::HalfCharacter => error.hint("replace the whole text"),
        }
    }

    /// Whether a value at this path can be set without reading the outline of the element again.
    fn keeps_outline(&self, slot: u32, first: Option<&PathPart<'_>>) -> bool {
        let element = &self.elements[slot as usize];
        match (element.kind, first) {
            (Kind::Segment, Some(PathPart::Key("target_timerange"))) => element.offsets.target != 0,
            (Kind::Segment | Kind::Material, Some(PathPart::Key(key))) => {
                !["id", "material_id", "extra_material_refs", "group_id"].contains(key)
            }
            _ => false,
        }
    }

    /// Replaces a span of an element's text; what stays the same at both ends is not recorded.
    fn splice(&mut self, slot: u32, span: Span, new: &[u8], keeps_outline: bool) -> Result<()> {
        let old = span.of(self.text_of(slot));
        let is_boundary =
            |text: &[u8], at: usize| text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
        let mut prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        while !is_boundary(old, prefix) || !is_boundary(new, prefix) {
            prefix -= 1;
        }
        let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
        let pairs = old_rest.iter().rev().zip(new_rest.iter().rev());
        let mut suffix = pairs.take_while(|(a, b)| a == b).count();
        while !is_boundary(old_rest, old_rest.len() - suffix)
            || !is_boundary(new_rest, new_rest.len() - suffix)
        {
            suffix -= 1;
        }
        let old = &old_rest[..old_rest.len() - suffix];
        let new = &new_rest[..new_rest.len() - suffix];
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let start = span.start + prefix;
        let change = Change::Splice(
            self.path_of(slot),
            start as u32,
            String::from_utf8_lossy(old).into_owned(),
            String::from_utf8_lossy(new).into_owned(),
        );
        let text = spliced(self.text_of(slot), start, old.len(), new);
        if keeps_outline {
            let (start, old, new) = (start as u32, old.len() as u32, new.len() as u32);
            self.document.set_text_after(slot, text, start, old, new);
        } else {
            self.document.set_text(slot, text)?;
        }
        self.changes.push(change);
        Ok(())
    }

    /// Adds an element to a list of materials, which is created if it is missing; returns its reference.
    pub fn add_material(&mut self, list: &str, json: &str) -> Result<MaterialRef> {
        let index = self.material_list_or_new(list)?;
        let count = self.lists[index as usize].items.len();
        self.insert(index, count, json).map(MaterialRef)
    }

    fn material_list_or_new(&mut self, list: &str) -> Result<u32> {
        if self.material_list(list).is_none() {
            self.set(
                crate::document::RootRef,
                &["materials", list],
                &RawJson("[]"),
            )?;
        }
        self.material_list(list).ok_or_else(|| {
            Error::read_only(format!("the document has no list of materials \"{list}\""))
        })
    }

    /// Adds a clip to a track.
    pub fn add_clip(&mut self, track: TrackRef, index: usize, json: &str) -> Result<ClipRef> {
        if self.list_index(track.0, "segments").is_none() {
            self.set(track, &["segments"], &RawJson("[]"))?;
        }
        let Some(list) = self.list_index(track.0, "segments") else {
            return Err(Error::read_only("the track has no list of clips"));
        };
        self.insert(list, index, json).map(ClipRef)
    }

    /// Adds a track to the layers; the topmost layer is the last.
    pub fn add_track(&mut self, index: usize, json: &str) -> Result<TrackRef> {
        let Some(list) = self.list_index(ROOT, "tracks") else {
            return Err(Error::read_only("the document has no list of tracks"));
        };
        self.insert(list, index, json).map(TrackRef)
    }

    fn insert(&mut self, list: u32, index: usize, json: &str) -> Result<u32> {
        self.check_editable()?;
        let items = &self.lists[list as usize].items;
        let index = index.min(items.len());
        // A sibling's indent; the comma is added where the position needs one.
        let sibling = items.get(index).or(items.last()).copied();
        let lead = match sibling {
            Some(sibling) => self.lead(sibling),
            None => b"",
        };
        let blanks: Vec<u8> = lead.iter().copied().filter(|byte| *byte != b',').collect();
        let change = Change::Insert(
            self.list_path(list),
            index as u32,
            String::from_utf8_lossy(&blanks).into_owned(),
            json.to_owned(),
        );
        self.apply(&change)?;
        Ok(self.lists[list as usize].items[index])
    }

    /// Removes a clip, a material or a track.
    pub fn remove(&mut self, element: impl ElementRef) -> Result<()> {
        self.check_editable()?;
        let slot = element.slot();
        let list = self.elements[slot as usize].list;
        if list == u32::MAX {
            return Err(Error::not_found("the element was removed before"));
        }
        let index = self.index_in(list, slot);
        let mut text = Vec::new();
        self.emit_recorded(slot, &mut text);
        let change = Change::Remove(
            self.list_path(list),
            index as u32,
            String::from_utf8_lossy(self.lead(slot)).into_owned(),
            String::from_utf8_lossy(&text).into_owned(),
        );
        self.apply(&change)
    }

    /// Moves a clip to a position of a track; returns its reference, which is new on another track.
    pub fn move_clip(&mut self, clip: ClipRef, track: TrackRef, index: usize) -> Result<ClipRef> {
        if self.track_of(clip) == track {
            self.move_within_list(clip.0, index)?;
            return Ok(clip);
        }
        let text = String::from_utf8_lossy(self.text_of(clip.0)).into_owned();
        self.remove(clip)?;
        self.add_clip(track, index, &text)
    }

    /// Moves a track to another layer.
    pub fn move_track(&mut self, track: TrackRef, index: usize) -> Result<()> {
        self.move_within_list(track.0, index)
    }

    fn move_within_list(&mut self, slot: u32, index: usize) -> Result<()> {
        self.check_editable()?;
        let list = self.elements[slot as usize].list;
        let from = self.index_in(list, slot);
        let index = index.min(self.lists[list as usize].items.len() - 1);
        if from == index {
            return Ok(());
        }
        let change = Change::Move(self.list_path(list), from as u32, index as u32);
        self.apply(&change)
    }

    /// Applies and records a change.
    fn apply(&mut self, change: &Change) -> Result<()> {
        let mismatch = || {
            Error::new(
                ErrorKind::Mismatch,
                "the step does not fit the document: the old text is not where the step says",
            )
        };
        match change {
            Change::Splice(path, from, old, new) => {
                let slot = self.slot_at(path).ok_or_else(mismatch)?;
                let text = self.text_of(slot);
                let start = *from as usize;
                if text.get(start..start + old.len()) != Some(old.as_bytes()) {
                    return Err(mismatch());
                }
                let text = spliced(text, start, old.len(), new.as_bytes());
                self.document.set_text(slot, text)?;
            }
            Change::Insert(path, index, lead, text) => {
                let list = self.list_at(path).ok_or_else(mismatch)?;
                let index = *index as usize;
                if index > self.lists[list as usize].items.len() {
                    return Err(mismatch());
                }
                self.document
                    .insert_element(list, index, lead.as_bytes(), text.as_bytes())?;
            }
            Change::Remove(path, index, lead, text) => {
                let list = self.list_at(path).ok_or_else(mismatch)?;
                let index = *index as usize;
                let items = &self.lists[list as usize].items;
                let slot = *items.get(index).ok_or_else(mismatch)?;
                let mut own = Vec::new();
                self.emit_recorded(slot, &mut own);
                // The first item of a list may have lost or got a comma.
                if !is_same_but_for_commas(&own, text.as_bytes())
                    || !is_same_but_for_commas(self.lead(slot), lead.as_bytes())
                {
                    return Err(mismatch());
                }
                self.document.remove_element(list, index);
            }
            Change::Move(path, from, to) => {
                let list = self.list_at(path).ok_or_else(mismatch)?;
                let items = &mut self.document.lists[list as usize].items;
                let (from, to) = (*from as usize, *to as usize);
                if from.max(to) >= items.len() {
                    return Err(mismatch());
                }
                let slot = items.remove(from);
                items.insert(to, slot);
                self.document.elements[slot as usize].position = to as u32;
            }
        }
        self.changes.push(change.clone());
        Ok(())
    }
}

/// A text with some bytes of it replaced.
fn spliced(text: &[u8], start: usize, old: usize, new: &[u8]) -> Box<[u8]> {
    let mut own = Vec::with_capacity(text.len() + new.len() - old);
    own.extend_from_slice(&text[..start]);
    own.extend_from_slice(new);
    own.extend_from_slice(&text[start + old..]);
    own.into()
}

fn is_same_but_for_commas(a: &[u8], b: &[u8]) -> bool {
    let without = |text: &[u8]| {
        text.iter()
            .filter(|byte| **byte != b',')
            .copied()
            .collect::<Vec<_>>()
    };
    a == b || without(a) == without(b)
}

/// The span to cut so that the item at an index and one comma are gone.
fn without(spans: &[Span], index: usize) -> Span {
    let own = spans[index];
    match (index.checked_sub(1), spans.get(index + 1)) {
        (Some(before), _) => Span {
            start: spans[before].end,
            end: own.end,
        },
        (None, Some(next)) => Span {
            start: own.start,
            end: next.start,
        },
        (None, None) => own,
    }
}
