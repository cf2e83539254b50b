//! References between clips and materials.

use std::collections::HashSet;

use crate::document::{ClipRef, Document, Kind, MaterialRef};
use crate::edit::Edit;
use crate::error::{Error, Result};
use crate::field::clip;
use crate::ids::{self, new_id};
use crate::path::PathPart;
use crate::scan::{Scanner, unescape};

/// A reference to a material that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DanglingRef {
    /// The id of the clip.
    pub clip: String,
    /// The id that no material has.
    pub id: String,
}

/// Lists of materials that belong to one clip: nothing but a clip refers to their elements.
pub(crate) const COMPANION_LISTS: [&str; 16] = [
    "speeds",
    "placeholder_infos",
    "canvases",
    "transitions",
    "material_animations",
    "sound_channel_mappings",
    "material_colors",
    "loudnesses",
    "vocal_separations",
    "beats",
    "audio_fades",
    "masks",
    "common_mask",
    "chromas",
    "video_effects",
    "audio_effects",
];

/// Lists of what clips show or play.
pub(crate) const MAIN_LISTS: [&str; 6] = [
    "videos",
    "audios",
    "texts",
    "stickers",
    "video_effects",
    "effects",
];

/// The hash of a group in the index of links, apart from those of materials.
fn group_hash(group: &[u8]) -> u32 {
    !ids::hash(group)
}

impl Document {
    /// All references of clips to materials that do not exist.
    pub fn dangling(&self) -> Vec<DanglingRef> {
        self.all_clips()
            .flat_map(|clip| self.dangling_of(clip))
            .collect()
    }

    /// The references of a clip to materials that do not exist.
    pub(crate) fn dangling_of(&self, clip: ClipRef) -> Vec<DanglingRef> {
        let main = self.material_id(clip);
        let refs = self.refs(clip);
        let all = std::iter::once(&main)
            .filter(|id| !id.is_empty())
            .chain(&refs);
        all.filter(|id| self.material(id).is_none())
            .map(|id| DanglingRef {
                clip: self.id(clip).into_owned(),
                id: id.clone().into_owned(),
            })
            .collect()
    }

    /// The clips that use a material, by its id.
    pub fn users(&self, id: &str) -> Vec<ClipRef> {
        let users = self.users_of(id).collect();
        self.in_order(users)
    }

    /// The clips that use a material, in no order.
    fn users_of<'d>(&'d self, id: &'d str) -> impl Iterator<Item = ClipRef> + 'd {
        let candidates = self.links.candidates(ids::hash(id.as_bytes()));
        candidates
            .map(ClipRef)
            .filter(move |clip| self.uses(*clip, id))
    }

    fn is_shared(&self, id: &str, own: ClipRef) -> bool {
        self.users_of(id).any(|clip| clip != own)
    }

    /// The clips of a group.
    pub(crate) fn members_of(&self, group: &str) -> Vec<ClipRef> {
        let candidates = self.links.candidates(group_hash(group.as_bytes()));
        let members = candidates
            .map(ClipRef)
            .filter(|clip| self.value(*clip, &clip::GROUP) == group);
        self.in_order(members.collect())
    }

    /// Clips in the order of the document, each once.
    fn in_order(&self, clips: Vec<ClipRef>) -> Vec<ClipRef> {
        if clips.len() < 2 {
            return clips;
        }
        let clips: HashSet<ClipRef> = clips.into_iter().collect();
        self.all_clips()
            .filter(|clip| clips.contains(clip))
            .collect()
    }

    fn uses(&self, clip: ClipRef, id: &str) -> bool {
        let mut is_used = false;
        self.each_ref(clip, |used| is_used |= used == id.as_bytes());
        is_used
    }

    /// Calls `visit` with each id that a clip refers to.
    fn each_ref(&self, clip: ClipRef, mut visit: impl FnMut(&[u8])) {
        visit(self.material_id(clip).as_bytes());
        let at = self.elements[clip.0 as usize].offsets.refs;
        if at == 0 {
            return;
        }
        let text = self.text_of(clip.0);
        let _ = Scanner::new(text, at as usize).list(0, |scanner| {
            if scanner.peek() != b'"' {
                return scanner.skip(0).map(drop);
            }
            let span = scanner.string()?;
            if scanner.escaped {
                visit(unescape(span.of(text)).as_bytes());
            } else {
                visit(span.of(text));
            }
            Ok(())
        });
    }

    /// The hashes under which the index of links has an element; none unless it is a clip.
    pub(crate) fn links_of(&self, slot: u32) -> Vec<u32> {
        let mut links = Vec::new();
        let element = &self.elements[slot as usize];
        if element.kind == Kind::Segment {
            self.each_ref(ClipRef(slot), |id| links.push(ids::hash(id)));
            let group = self.string_at(slot, element.offsets.group);
            if !group.is_empty() {
                links.push(group_hash(group.as_bytes()));
            }
        }
        links
    }

    /// The additional materials of a clip in a list, such as `transitions`.
    pub(crate) fn companions<'d>(
        &'d self,
        clip: ClipRef,
        lists: &'d [&str],
    ) -> impl Iterator<Item = MaterialRef> + 'd {
        self.refs(clip).into_iter().filter_map(|id| {
            self.materials_by_id(&id)
                .find(|material| lists.contains(&self.list_name(*material)))
        })
    }

    /// The first additional material of a clip in these lists.
    pub fn companion(&self, clip: ClipRef, lists: &[&str]) -> Option<MaterialRef> {
        self.companions(clip, lists).next()
    }

    /// The material that a clip shows or plays.
    pub fn main_material(&self, clip: ClipRef) -> Option<MaterialRef> {
        let id = self.material_id(clip);
        // A lookup in the lists of main materials first: a mask may have the same id in two lists.
        let main = self
            .materials_by_id(&id)
            .find(|material| MAIN_LISTS.contains(&self.list_name(*material)));
        main.or_else(|| self.material(&id))
    }

    /// A new id in the style of an existing one, which no element has.
    pub(crate) fn unused_id(&self, like: &str, purpose: &str) -> String {
        let mut salt = 0;
        loop {
            let seed = format!("{like}/{purpose}");
            let id = new_id(like, &seed, salt);
            let hash = ids::hash(id.as_bytes());
            if self.ids.candidates(hash).next().is_none() {
                return id;
            }
            salt += 1;
        }
    }
}

impl Edit<'_> {
    /// A material of a clip that no other clip uses: a copy if it is shared, otherwise the material itself.
    ///
    /// # Errors
    /// `ReadOnly` if the clip's reference cannot be changed.
    pub fn own_copy(&mut self, clip: ClipRef, material: MaterialRef) -> Result<MaterialRef> {
        let id = self.id(material).into_owned();
        if !self.is_shared(&id, clip) {
            return Ok(material);
        }
        let copy = self.copy_material(material, "own")?;
        let new = self.id(copy).into_owned();
        self.change_ref(clip, &id, &new)?;
        Ok(copy)
    }

    /// A copy with a new id, at the end of the same list.
    pub(crate) fn copy_material(
        &mut self,
        material: MaterialRef,
        purpose: &str,
    ) -> Result<MaterialRef> {
        let id = self.id(material).into_owned();
        let new = self.unused_id(&id, purpose);
        let text = String::from_utf8_lossy(self.text_of(material.0)).into_owned();
        let list = self.list_name(material).to_owned();
        let copy = self.add_material(&list, &text)?;
        self.set(copy, &["id"], new.as_str())?;
        Ok(copy)
    }

    /// Makes a clip refer to another material.
    pub(crate) fn change_ref(&mut self, clip: ClipRef, old: &str, new: &str) -> Result<()> {
        if self.material_id(clip) == old {
            return self.set(clip, &["material_id"], new);
        }
        let index = self.refs(clip).iter().position(|id| id == old);
        let index = index.ok_or_else(|| {
            Error::not_found(format!("the clip does not refer to the material {old}"))
        })?;
        self.set_at(
            clip,
            &[PathPart::Key("extra_material_refs"), PathPart::Index(index)],
            new,
        )
    }

    /// Adds a reference to an additional material.
    pub(crate) fn add_ref(&mut self, clip: ClipRef, id: &str) -> Result<()> {
        let path = [PathPart::Key("extra_material_refs")];
        if self.raw(clip, &["extra_material_refs"]).is_none() {
            self.set_at(clip, &path, &crate::value::RawJson("[]"))?;
        }
        let count = self.refs(clip).len();
        self.insert_item(clip, &path, count, crate::value::quoted(id).as_bytes())
    }

    /// Removes those references of a clip to additional materials that do not exist, and items that are not ids.
    pub fn drop_dangling_refs(&mut self, clip: ClipRef) -> Result<()> {
        let path = [PathPart::Key("extra_material_refs")];
        let items = self.ref_items(clip).into_iter().enumerate();
        let lost: Vec<usize> = items
            .filter(|(_, id)| id.as_ref().is_none_or(|id| self.material(id).is_none()))
            .map(|(index, _)| index)
            .collect();
        for index in lost.into_iter().rev() {
            self.remove_item(clip, &path, index)?;
        }
        Ok(())
    }

    /// Removes a reference, and the material if no clip uses it any more.
    pub(crate) fn drop_ref(&mut self, clip: ClipRef, id: &str) -> Result<()> {
        while let Some(index) = self.refs(clip).iter().position(|own| own == id) {
            self.remove_item(clip, &[PathPart::Key("extra_material_refs")], index)?;
        }
        self.drop_unused(&[id.to_owned()])
    }

    /// Removes those materials that no clip uses. Materials that other materials may refer to stay.
    pub(crate) fn drop_unused(&mut self, ids: &[String]) -> Result<()> {
        for id in ids {
            if self.users_of(id).next().is_some() {
                continue;
            }
            let materials: Vec<MaterialRef> = self.materials_by_id(id).collect();
            for material in materials {
                let list = self.list_name(material);
                if COMPANION_LISTS.contains(&list) || MAIN_LISTS.contains(&list) {
                    self.remove(material)?;
                }
            }
        }
        Ok(())
    }
}
