//! The documents of compound clips, which are inside a material.

use crate::document::MaterialRef;
use crate::field::Fields;
use crate::path::{PathPart, PathTarget, find};
use crate::scan::{Scanner, unescape};

/// The document of a compound clip; its materials are read like those of a draft.
#[derive(Clone, Copy, Debug)]
pub struct CompoundDocument<'d> {
    text: &'d [u8],
}

impl<'d> Fields<'d, MaterialRef> {
    /// The document in a material of the list `drafts`.
    pub fn compound(&self) -> Option<CompoundDocument<'d>> {
        let text = self.raw(&["draft"])?;
        text.starts_with(b"{").then_some(CompoundDocument { text })
    }
}

impl<'d> CompoundDocument<'d> {
    /// The materials of a list, with their index; items that are not objects are left out.
    pub fn materials(&self, list: &str) -> Vec<(usize, Fields<'d, MaterialRef>)> {
        let items = self.items(&["materials", list].map(PathPart::Key));
        let objects = items.into_iter().enumerate();
        objects
            .filter(|(_, item)| item.starts_with(b"{"))
            .map(|(index, item)| (index, Fields::of(item)))
            .collect()
    }

    /// The ids of the materials that its clips show or play.
    pub fn material_ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for track in self.items(&[PathPart::Key("tracks")]) {
            for clip in items(track, &[PathPart::Key("segments")]) {
                if let Ok(PathTarget::At(id)) =
                    find(clip, 0, &[PathPart::Key("material_id")], false)
                    && let Some(id) = id.of(clip).strip_prefix(b"\"")
                {
                    ids.push(unescape(id.strip_suffix(b"\"").unwrap_or(id)).into_owned());
                }
            }
        }
        ids
    }

    fn items(&self, path: &[PathPart<'_>]) -> Vec<&'d [u8]> {
        items(self.text, path)
    }
}

/// The items of a list in a value.
fn items<'d>(text: &'d [u8], path: &[PathPart<'_>]) -> Vec<&'d [u8]> {
    let mut items = Vec::new();
    if let Ok(PathTarget::At(list)) = find(text, 0, path, false)
        && text[list.start] == b'['
    {
        let _ = Scanner::new(text, list.start).list(0, |scanner| {
            items.push(scanner.skip(0)?.of(text));
            Ok(())
        });
    }
    items
}

#[cfg(test)]
mod tests {
    use crate::{Document, field};

    #[test]
    fn materials_of_a_compound_clip_are_read_at_every_depth() {
        let text = r#"{"materials": {"drafts": [{"draft": {
            "tracks": [{"segments": [{"material_id": "V"}, 7]}, null],
            "materials": {"videos": [null, {"id": "V", "width": 1e999, "name": "cut \ud83d"}],
                "drafts": [{"draft": {"materials": {"audios": [{"id": "A"}]}}}]}
        }}, {"draft": 1}]}}"#;
        let document = Document::parse(text).unwrap();
        let drafts: Vec<_> = document.materials("drafts").collect();
        let compound = document.fields(drafts[0]).compound().unwrap();
        assert_eq!(compound.material_ids(), ["V"]);
        let videos = compound.materials("videos");
        assert_eq!(videos.len(), 1);
        let (index, video) = &videos[0];
        assert_eq!((*index, &*video.value(&field::material::ID)), (1, "V"));
        assert_eq!(video.get(&field::material::WIDTH), None);
        assert_eq!(video.value(&field::material::NAME), "cut \u{fffd}");
        let (_, inner) = &compound.materials("drafts")[0];
        assert_eq!(inner.compound().unwrap().materials("audios").len(), 1);
        assert!(document.fields(drafts[1]).compound().is_none());
    }
}
