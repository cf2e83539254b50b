//! Builds the outline of a document in one pass, and that of elements that are inserted or edited.

use super::{
    Dialect, Document, Element, ElementText, Kind, List, ListHole, Offsets, ROOT, RootRef,
    read_range,
};
use crate::error::{Error, ErrorKind, Result};
use crate::grid::TimeRange;
use crate::ids::{self, HashIndex, ShortNumbers};
use crate::scan::{Scan, Scanner, Span, is_key, unescape};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The root id that the reference API gives every working document.
const API_DOCUMENT_ID: &str = "91E08AC5-22FB-47e2-9AA0-7DC300FAEA2B";

pub(super) fn parse(source: Box<[u8]>) -> Result<Document> {
    let text = &source[..];
    let start = if text.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let mut scanner = Scanner::new(text, start);
    scanner.blanks();
    if scanner.peek() != b'{' && looks_encrypted(&text[scanner.at..]) {
        return Err(Error::new(
            ErrorKind::Encrypted,
            "the document is encrypted: JianYing 6 and newer encrypt the drafts that they save",
        )
        .hint("the app can still open it; only drafts that are saved as plain JSON can be edited here"));
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Error::new(
            ErrorKind::Syntax,
            format!("invalid UTF-8 at byte {}", error.valid_up_to()),
        ));
    }
    let head = scanner.at as u32;
    let mut builder = Builder::new(text, false, 0, 0);
    if scanner.peek() == b'{' {
        builder.elements.reserve(text.len() / 1024 + 16);
        builder.element(&mut scanner, Kind::Root, u32::MAX, 0)?;
    } else {
        scanner.skip(0)?;
    }
    let tail = scanner.at as u32;
    scanner.blanks();
    if scanner.at != text.len() {
        scanner.error("more text after the document")?;
    }
    let Builder {
        mut elements,
        mut lists,
        leads,
        duplicate_list,
        ..
    } = builder;
    if elements.is_empty() {
        return Err(not_a_draft());
    }
    elements.shrink_to_fit();
    lists.shrink_to_fit();
    let ids: Vec<(u32, u32)> = elements
        .iter()
        .zip(0..)
        .filter(|(element, _)| element.offsets.id != 0)
        .map(|(element, slot)| (element.hash, slot))
        .collect();
    let may_be_unusable = scanner.unusable;
    let mut document = Document {
        ids: HashIndex::of(&ids),
        links: HashIndex::of(&[]),
        source,
        elements,
        lists,
        leads,
        clip_numbers: ShortNumbers::default(),
        track_numbers: ShortNumbers::default(),
        head,
        tail,
        dialect: Dialect::App,
        duplicate_list,
        may_be_unusable,
    };
    let mut links = Vec::new();
    for slot in 0..document.elements.len() as u32 {
        document.give_number(slot);
        let own = document.links_of(slot);
        links.extend(own.into_iter().map(|hash| (hash, slot)));
    }
    document.links = HashIndex::of(&links);
    if document.text(RootRef, &["id"]).as_deref() == Some(API_DOCUMENT_ID) {
        document.dialect = Dialect::Api;
    }
    Ok(document)
}

pub(super) fn not_a_draft() -> Error {
    Error::new(
        ErrorKind::NotADraft,
        "the file is JSON, but not a draft document: it has neither tracks nor materials",
    )
    .hint("the document is draft_content.json or draft_info.json in the draft's folder")
}

/// Whether a text is cipher text: letters and digits in base 64, or bytes that are not text.
fn looks_encrypted(text: &[u8]) -> bool {
    let start = &text[..text.len().min(256)];
    let is_base64 = start.len() >= 16
        && start
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(byte))
        && start.iter().any(u8::is_ascii_alphabetic);
    let is_binary = start.len() >= 16
        && start
            .iter()
            .filter(|byte| **byte < 0x20 && !byte.is_ascii_whitespace() || **byte >= 0x80)
            .count()
            > start.len() / 4
        && std::str::from_utf8(text).is_err();
    is_base64 || is_binary
}

/// Builds elements from text. Slots and lists are numbered from `first_slot` and `first_list` on.
pub(crate) struct Builder<'t> {
    text: &'t [u8],
    /// Whether elements keep text of their own, or spans of the source.
    is_own: bool,
    first_slot: u32,
    first_list: u32,
    pub elements: Vec<Element>,
    pub lists: Vec<List>,
    /// Indices into `leads`.
    pub leads: Vec<Box<[u8]>>,
    pub duplicate_list: Option<Box<str>>,
}

impl<'t> Builder<'t> {
    pub(crate) fn new(text: &'t [u8], is_own: bool, first_slot: u32, first_list: u32) -> Self {
        Self {
            text,
            is_own,
            first_slot,
            first_list,
            elements: Vec::new(),
            lists: Vec::new(),
            leads: vec![Box::default()],
            duplicate_list: None,
        }
    }

    /// Reads an element with its lists; returns its slot.
    pub(crate) fn element(
        &mut self,
        scanner: &mut Scanner<'t>,
        kind: Kind,
        list: u32,
        lead: u32,
    ) -> Scan<u32> {
        let text = self.text;
        let start = scanner.at;
        let index = self.elements.len();
        let slot = self.first_slot + index as u32;
        self.elements.push(Element {
            text: ElementText::Source(0, 0),
            kind,
            list,
            position: 0,
            lead,
            holes: Box::default(),
            offsets: Offsets::default(),
            hash: 0,
            number: 0,
            target: TimeRange::default(),
        });
        let depth = match kind {
            Kind::Root => 0,
            Kind::Track => 2,
            Kind::Material => 3,
            Kind::Segment => 4,
        };
        let mut outline = ElementOutline::default();
        if scanner.peek() == b'{' {
            match kind {
                Kind::Segment | Kind::Material => {
                    scanner.object(depth, |scanner, key| {
                        outline.member(scanner, key, kind, start, depth)
                    })?;
                }
                Kind::Root | Kind::Track => {
                    self.shell(scanner, kind, slot, depth, &mut outline)?;
                }
            }
        } else {
            scanner.skip(depth)?;
        }
        let own = match (outline.shell.take(), self.is_own) {
            (Some((mut own, from)), _) => {
                own.extend_from_slice(&text[from..scanner.at]);
                ElementText::Own(own.into())
            }
            (None, true) => ElementText::Own(text[start..scanner.at].into()),
            (None, false) => ElementText::Source(start as u32, scanner.at as u32),
        };
        let element = &mut self.elements[index];
        element.text = own;
        element.holes = outline.holes.into();
        element.offsets = outline.offsets;
        element.hash = outline.hash;
        element.target = outline.target.unwrap_or_default();
        Ok(slot)
    }

    /// The root or a track: its lists become elements, and its text is kept with those lists empty.
    fn shell(
        &mut self,
        scanner: &mut Scanner<'t>,
        kind: Kind,
        slot: u32,
        depth: u32,
        outline: &mut ElementOutline,
    ) -> Scan<()> {
        let start = scanner.at;
        outline.shell = Some((Vec::new(), start));
        let text = self.text;
        let mut has_materials = false;
        scanner.object(depth, |scanner, key| {
            let next = scanner.peek();
            let is = |name: &str| is_key(key.of(text), name);
            let (name, item) = match (kind, next) {
                (Kind::Root, b'[') if is("tracks") => ("tracks", Kind::Track),
                (Kind::Track, b'[') if is("segments") => ("segments", Kind::Segment),
                (Kind::Root, b'{') if is("materials") => {
                    if has_materials {
                        self.duplicate_list = Some("materials".into());
                        return scanner.skip(depth + 1).map(drop);
                    }
                    has_materials = true;
                    return scanner
                        .object(depth + 1, |scanner, key| {
                            if scanner.peek() != b'[' {
                                return scanner.skip(depth + 2).map(drop);
                            }
                            let name = unescape(key.of(text));
                            self.list(scanner, &name, Kind::Material, slot, outline)
                        })
                        .map(drop);
                }
                _ => return outline.member(scanner, key, kind, start, depth),
            };
            self.list(scanner, name, item, slot, outline)
        })?;
        Ok(())
    }

    /// A list of elements: leaves it empty in the shell of its owner.
    fn list(
        &mut self,
        scanner: &mut Scanner<'t>,
        name: &str,
        kind: Kind,
        owner: u32,
        outline: &mut ElementOutline,
    ) -> Scan<()> {
        let depth = match kind {
            Kind::Track | Kind::Root => 1,
            Kind::Material => 2,
            Kind::Segment => 3,
        };
        let is_twice = outline.holes.iter().any(|hole| {
            let list = &self.lists[(hole.list - self.first_list) as usize];
            &*list.name == name && list.kind == kind
        });
        if is_twice {
            self.duplicate_list = Some(name.into());
            return scanner.skip(depth).map(drop);
        }
        let index = self.lists.len();
        let list = self.first_list + index as u32;
        self.lists.push(List {
            name: name.into(),
            kind,
            owner,
            items: Vec::new(),
        });
        scanner.at += 1;
        let mut shell = outline.shell.take().unwrap_or_default();
        shell.0.extend_from_slice(&self.text[shell.1..scanner.at]);
        outline.holes.push(ListHole {
            at: shell.0.len() as u32,
            list,
        });
        let mut items = Vec::new();
        let mut before = scanner.at;
        scanner.blanks();
        if self.is_own && scanner.peek() == b',' {
            // A recorded element keeps the comma of the first item.
            scanner.at += 1;
            scanner.blanks();
        }
        if scanner.peek() != b']' {
            loop {
                let lead = self.lead(before, scanner.at);
                let position = items.len() as u32;
                let index = self.elements.len();
                items.push(self.element(scanner, kind, list, lead)?);
                self.elements[index].position = position;
                before = scanner.at;
                scanner.blanks();
                match scanner.peek() {
                    b',' => scanner.at += 1,
                    b']' => break,
                    _ => return scanner.error("expected `,` or `]`"),
                }
                scanner.blanks();
            }
        }
        shell.1 = before;
        scanner.at += 1;
        outline.shell = Some(shell);
        items.shrink_to_fit();
        self.lists[index].items = items;
        Ok(())
    }

    /// The index of what is written before an item. Most items of a document have one of a few leads.
    fn lead(&mut self, start: usize, end: usize) -> u32 {
        let lead = &self.text[start..end];
        let recent = self.leads.iter().rev().take(8);
        let known = recent.zip(1..).find(|(own, _)| ***own == *lead);
        match known {
            Some((_, back)) => (self.leads.len() - back) as u32,
            None => {
                self.leads.push(lead.into());
                self.leads.len() as u32 - 1
            }
        }
    }
}

/// What is noted of an element while it is read.
#[derive(Default)]
struct ElementOutline {
    offsets: Offsets,
    hash: u32,
    target: Option<TimeRange>,
    holes: Vec<ListHole>,
    /// The text of a shell so far, and the offset in the source from where on it has to be added.
    shell: Option<(Vec<u8>, usize)>,
}

impl ElementOutline {
    /// A member that contains no elements.
    #[inline]
    fn member(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: Span,
        kind: Kind,
        start: usize,
        depth: u32,
    ) -> Scan<()> {
        let escaped = scanner.escaped;
        let written = key.of(scanner.text);
        let decoded;
        let name = if escaped {
            decoded = unescape(written);
            decoded.as_bytes()
        } else {
            written
        };
        let at = match &self.shell {
            Some((shell, from)) => shell.len() + scanner.at - from,
            None => scanner.at - start,
        } as u32;
        let is_segment = kind == Kind::Segment;
        match (name, scanner.peek()) {
            (b"id", b'"') if self.offsets.id == 0 => {
                self.offsets.id = at;
                let id = scanner.string()?;
                let id = id.of(scanner.text);
                self.hash = if scanner.escaped {
                    ids::hash(unescape(id).as_bytes())
                } else {
                    ids::hash(id)
                };
                return Ok(());
            }
            (b"material_id", b'"') if is_segment && self.offsets.material_id == 0 => {
                self.offsets.material_id = at;
            }
            (b"target_timerange", b'{') if is_segment && self.offsets.target == 0 => {
                self.offsets.target = at;
                self.target = read_range(scanner.text, scanner.at);
            }
            (b"extra_material_refs", b'[') if is_segment && self.offsets.refs == 0 => {
                self.offsets.refs = at;
            }
            (b"group_id", b'"') if is_segment && self.offsets.group == 0 => {
                self.offsets.group = at;
            }
            _ => {}
        }
        scanner.skip(depth + 1).map(drop)
    }
}

impl Document {
    pub(crate) fn give_number(&mut self, slot: u32) {
        let kind = self.elements[slot as usize].kind;
        if matches!(kind, Kind::Root | Kind::Material) {
            return;
        }
        let id = self.id_of(slot).into_owned();
        self.elements[slot as usize].number = if kind == Kind::Segment {
            self.clip_numbers.next(&id)
        } else {
            self.track_numbers.next(&id)
        };
    }

    /// Gives an element another text; its outline is read again: offsets, id, links and lists.
    ///
    /// A list that is new must be empty, and a list that is no longer there must have been empty.
    pub(crate) fn set_text(&mut self, slot: u32, text: Box<[u8]>) -> Result<()> {
        let element = &self.elements[slot as usize];
        let (kind, old_hash, old_id) = (element.kind, element.hash, element.offsets.id);
        let mut builder = Builder::new(&text, false, slot, self.lists.len() as u32);
        let mut scanner = Scanner::new(&text, 0);
        builder.element(&mut scanner, kind, element.list, element.lead)?;
        self.may_be_unusable |= scanner.unusable;
        if builder.elements.len() != 1 || builder.duplicate_list.is_some() {
            return Err(Error::invalid(
                "the edit adds elements to a list in the text of its owner",
            ));
        }
        let mut new = builder.elements.remove(0);
        let links_before = self.links_of(slot);
        let old_holes = std::mem::take(&mut self.elements[slot as usize].holes);
        let mut kept = Vec::new();
        for hole in &mut new.holes {
            let list = &builder.lists[hole.list as usize - self.lists.len()];
            let same = old_holes.iter().find(|old| {
                let old = &self.lists[old.list as usize];
                old.name == list.name && old.kind == list.kind
            });
            match same {
                Some(old) => hole.list = old.list,
                None => kept.push((hole.at, list.clone())),
            }
        }
        let is_lost = old_holes.iter().any(|old| {
            !self.lists[old.list as usize].items.is_empty()
                && new.holes.iter().all(|hole| hole.list != old.list)
        });
        if is_lost {
            self.elements[slot as usize].holes = old_holes;
            return Err(Error::invalid("the edit removes a list that has elements"));
        }
        for (at, list) in kept {
            let number = self.lists.len() as u32;
            self.lists.push(list);
            for hole in &mut new.holes {
                if hole.at == at {
                    hole.list = number;
                }
            }
        }
        if (old_id != 0, old_hash) != (new.offsets.id != 0, new.hash) {
            if old_id != 0 {
                self.ids.remove(old_hash, slot);
            }
            if new.offsets.id != 0 {
                self.ids.insert(new.hash, slot);
            }
        }
        let element = &mut self.elements[slot as usize];
        element.text = ElementText::Own(text);
        element.holes = new.holes;
        element.offsets = new.offsets;
        element.hash = new.hash;
        element.target = new.target;
        let links = self.links_of(slot);
        if links != links_before {
            for link in links_before {
                self.links.remove(link, slot);
            }
            for link in links {
                self.links.insert(link, slot);
            }
        }
        Ok(())
    }

    /// Gives an element another text, in which `new` bytes at `start` replace `old` ones. Its id, links and lists are as
    /// they were.
    pub(crate) fn set_text_after(
        &mut self,
        slot: u32,
        text: Box<[u8]>,
        start: u32,
        old: u32,
        new: u32,
    ) {
        let element = &mut self.elements[slot as usize];
        debug_assert!(element.holes.is_empty());
        let Offsets {
            id,
            material_id,
            target,
            refs,
            group,
        } = &mut element.offsets;
        for offset in [id, material_id, target, refs, group] {
            if *offset > start {
                *offset = *offset - old + new;
            }
        }
        if element.offsets.target != 0 {
            let target = read_range(&text, element.offsets.target as usize);
            element.target = target.unwrap_or_default();
        }
        element.text = ElementText::Own(text);
    }

    /// Adds the element of a text, with its lists, to the list at an index; returns its slot.
    pub(crate) fn insert_element(
        &mut self,
        list: u32,
        index: usize,
        lead: &[u8],
        text: &[u8],
    ) -> Result<u32> {
        let kind = self.lists[list as usize].kind;
        let first = self.elements.len() as u32;
        let mut builder = Builder::new(text, true, first, self.lists.len() as u32);
        let mut scanner = Scanner::new(text, 0);
        let slot = builder.element(&mut scanner, kind, list, 0)?;
        self.may_be_unusable |= scanner.unusable;
        if scanner.at != text.len() || builder.duplicate_list.is_some() {
            return Err(Error::invalid("the text to insert is not one element"));
        }
        // The first lead is empty, here as in the document.
        let base = self.leads.len() as u32 - 1;
        for element in &mut builder.elements {
            element.lead += if element.lead == 0 { 0 } else { base };
        }
        self.leads.extend(builder.leads.drain(1..));
        let lead = match self.leads.iter().position(|own| **own == *lead) {
            Some(known) => known,
            None => {
                self.leads.push(lead.into());
                self.leads.len() - 1
            }
        };
        builder.elements[0].lead = lead as u32;
        self.lists.append(&mut builder.lists);
        self.elements.append(&mut builder.elements);
        for slot in first..self.elements.len() as u32 {
            let element = &self.elements[slot as usize];
            if element.offsets.id != 0 {
                self.ids.insert(element.hash, slot);
            }
            self.give_number(slot);
            for link in self.links_of(slot) {
                self.links.insert(link, slot);
            }
        }
        self.elements[slot as usize].position = index as u32;
        self.lists[list as usize].items.insert(index, slot);
        Ok(slot)
    }

    /// Removes the element at an index of a list, with its lists.
    pub(crate) fn remove_element(&mut self, list: u32, index: usize) {
        let slot = self.lists[list as usize].items.remove(index);
        self.forget(slot);
    }

    fn forget(&mut self, slot: u32) {
        debug_assert_ne!(slot, ROOT);
        let holes = std::mem::take(&mut self.elements[slot as usize].holes);
        for hole in &holes {
            for item in std::mem::take(&mut self.lists[hole.list as usize].items) {
                self.forget(item);
            }
        }
        let id = self.id_of(slot).into_owned();
        for link in self.links_of(slot) {
            self.links.remove(link, slot);
        }
        let element = &mut self.elements[slot as usize];
        if element.offsets.id != 0 {
            self.ids.remove(element.hash, slot);
        }
        match element.kind {
            Kind::Segment => self.clip_numbers.retire(&id, element.number),
            Kind::Track => self.track_numbers.retire(&id, element.number),
            Kind::Root | Kind::Material => {}
        }
        element.text = ElementText::Own(b"{}"[..].into());
        element.offsets = Offsets::default();
        element.target = TimeRange::default();
        element.list = u32::MAX;
    }
}
