//! The names of the app's catalog, for operations on documents.

use capcut_draft::{
    ClipKind, Dialect, Document, ErrorKind, Resource, ResourceKind, ResourceParameter, Resources,
    RootRef, field,
};
use serde_json::{Map, Value};

use crate::catalog::{self, CatalogEntry, NameKind};
use crate::draft::finished::neutral;
use crate::engine::parts;
use crate::engine::profile::{self, MaskLists, Profile};
use crate::units::Edition;

/// The catalog of an edition, for documents of a version of its app.
pub(super) struct CatalogResources {
    edition: Edition,
    /// The scheme whose keys objects get; the API's documents have only the keys that are set.
    scheme: Option<u32>,
    masks: MaskLists,
}

impl CatalogResources {
    /// For working documents.
    pub(super) fn of_api(edition: Edition) -> Self {
        Self {
            edition,
            scheme: None,
            masks: match edition {
                Edition::Capcut => MaskLists::New,
                Edition::Jianying => MaskLists::Old,
            },
        }
    }

    pub(super) fn of(edition: Edition, document: &Document) -> Self {
        if document.dialect() == Dialect::Api {
            return Self::of_api(edition);
        }
        let os = document
            .value(RootRef, &field::root::PLATFORM.os)
            .parse()
            .ok();
        let os = os.unwrap_or_else(profile::own_os);
        let version = document.value(RootRef, &field::root::PLATFORM.app_version);
        let profile = Profile::for_version(edition, os, &version);
        let profile = profile.unwrap_or_else(|_| Profile::built_in(edition, os));
        let own = profile::parts(&document.value(RootRef, &field::root::NEW_VERSION));
        let scheme = own.and_then(|parts| parts.first().copied());
        Self {
            edition,
            scheme: (!profile.leaves_defaults_out())
                .then(|| scheme.unwrap_or_else(|| profile.scheme())),
            masks: profile.masks(),
        }
    }

    fn resource(&self, entry: &CatalogEntry) -> Resource {
        let (category, category_name) = if entry.kind.is_audio() {
            parts::audio_category(entry, self.edition)
        } else {
            ("", "")
        };
        let parameter = |param: &catalog::Param| ResourceParameter {
            name: param.name.to_owned(),
            default: param.default,
            min: param.min,
            max: param.max,
        };
        Resource {
            name: entry.display.to_owned(),
            effect_id: entry.effect_id.to_owned(),
            resource_id: entry.resource_id.to_owned(),
            duration: entry.duration.map(|duration| duration.0),
            is_overlap: entry.is_overlap,
            shape: entry.resource_type.to_owned(),
            aspect_ratio: entry.aspect_ratio,
            category: (category.to_owned(), category_name.to_owned()),
            is_on_faces: entry.kind == NameKind::CharacterEffect,
            parameters: entry.params.iter().map(parameter).collect(),
            note: None,
        }
    }
}

/// The kinds of names that a property of a kind of clip has.
pub(crate) fn name_kinds(edition: Edition, kind: ResourceKind, clip: ClipKind) -> Vec<NameKind> {
    let is_text = clip == ClipKind::Text;
    match kind {
        ResourceKind::Transition => vec![NameKind::Transition],
        ResourceKind::Mask => vec![NameKind::Mask],
        ResourceKind::Intro if is_text => vec![NameKind::TextIntro],
        ResourceKind::Intro => vec![NameKind::VideoIntro],
        ResourceKind::Outro if is_text => vec![NameKind::TextOutro],
        ResourceKind::Outro => vec![NameKind::VideoOutro],
        ResourceKind::Combo => vec![NameKind::VideoCombo],
        ResourceKind::Loop => vec![NameKind::TextLoop],
        ResourceKind::Font => vec![NameKind::Font],
        ResourceKind::Effect if clip == ClipKind::Audio => NameKind::audio(edition).to_vec(),
        ResourceKind::Effect => vec![NameKind::SceneEffect, NameKind::CharacterEffect],
        ResourceKind::Filter => vec![NameKind::Filter],
        ResourceKind::BlendMode => vec![NameKind::BlendMode],
        _ => Vec::new(),
    }
}

impl Resources for CatalogResources {
    fn find(
        &self,
        kind: ResourceKind,
        clip: ClipKind,
        name: &str,
    ) -> capcut_draft::Result<Resource> {
        let kinds = name_kinds(self.edition, kind, clip);
        let name = name.trim();
        if let Some(entry) = catalog::translated(self.edition, &kinds, name) {
            let note = format!("{name:?} is `{}` in {}", entry.key, self.edition.app());
            return Ok(Resource {
                note: Some(note),
                ..self.resource(entry)
            });
        }
        match catalog::find_in(self.edition, &kinds, name) {
            Ok(entry) => Ok(self.resource(entry)),
            Err(error) => Err(capcut_draft::Error {
                kind: ErrorKind::NotFound,
                message: error.message,
                hint: error.hint,
            }),
        }
    }

    fn neutral(&self, list: &str) -> Map<String, Value> {
        self.scheme
            .map_or_else(Map::new, |scheme| neutral(scheme, list).clone())
    }

    fn mask_lists(&self) -> &'static [&'static str] {
        self.masks.names()
    }
}
