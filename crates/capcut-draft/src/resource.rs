//! Things of the apps' catalogs: transitions, masks, animations, fonts and effects.
//!
//! This crate has no catalogs. Callers that apply operations with such names implement [`Resources`].

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::kinds::ClipKind;

/// A kind of thing that a property names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceKind {
    Transition,
    Mask,
    /// The animation at the start of a clip.
    Intro,
    /// The animation at the end of a clip.
    Outro,
    /// The animation of a clip that has neither of the others.
    Combo,
    /// The animation of a text between its entrance and its exit.
    Loop,
    Font,
    /// Of a sound, of a picture, or what an effect clip shows.
    Effect,
    /// A colour filter.
    Filter,
    /// How a picture mixes with what is below it.
    BlendMode,
}

/// A thing of a catalog, with what documents store about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    pub name: String,
    pub effect_id: String,
    pub resource_id: String,
    /// Its usual length, microseconds.
    pub duration: Option<i64>,
    /// Whether both clips are visible during a transition.
    pub is_overlap: bool,
    /// The shape of a mask.
    pub shape: String,
    /// Width divided by height of a mask.
    pub aspect_ratio: f64,
    /// Id and name of the category of a sound's effect.
    pub category: (String, String),
    /// Whether an effect follows faces.
    pub is_on_faces: bool,
    pub parameters: Vec<ResourceParameter>,
    /// What the reader should know, such as a name that was translated.
    pub note: Option<String>,
}

/// A setting of an effect, in the unit of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceParameter {
    pub name: String,
    pub default: f64,
    pub min: f64,
    pub max: f64,
}

/// The parameters of effects that say how strong they are, in the order in which they are looked for.
const STRENGTHS: [&str; 3] = ["intensity", "strength", "filter"];

impl ResourceParameter {
    /// Its name without the prefix that almost all of them have.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.name)
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("effects_adjust_").unwrap_or(name)
}

/// The index of the parameter that says how strong an effect is, by the names of its parameters.
#[must_use]
pub fn strength_of<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Option<usize> {
    STRENGTHS
        .iter()
        .find_map(|strength| names.clone().position(|name| short(name) == *strength))
}

impl Resource {
    /// The index of a parameter by its name, with or without its prefix.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<usize> {
        let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
        let mut names = self.parameters.iter().map(ResourceParameter::short);
        names.position(|own| own == short(&plain))
    }

    /// The index of the parameter that says how strong the effect is.
    #[must_use]
    pub fn strength(&self) -> Option<usize> {
        strength_of(
            self.parameters
                .iter()
                .map(|parameter| parameter.name.as_str()),
        )
    }
}

/// The catalog of a document's app.
pub trait Resources {
    /// The thing with this name or id, for a kind of clip.
    ///
    /// # Errors
    /// Without such a thing, with the nearest names.
    fn find(&self, kind: ResourceKind, clip: ClipKind, name: &str) -> Result<Resource>;

    /// What the app writes for a material of a list, or for an item (`animation`): its keys with neutral values. In the
    /// dialect of the API, objects have only the keys that are set.
    fn neutral(&self, list: &str) -> Map<String, Value>;

    /// The lists of materials in which the app looks for masks.
    fn mask_lists(&self) -> &'static [&'static str];
}

/// No catalog: names are refused.
#[derive(Clone, Copy, Debug)]
pub struct NoResources;

impl Resources for NoResources {
    fn find(&self, _: ResourceKind, _: ClipKind, name: &str) -> Result<Resource> {
        Err(Error::not_found(format!(
            "\"{name}\" is a name of the app's catalog, and no catalog was given"
        )))
    }

    fn neutral(&self, _: &str) -> Map<String, Value> {
        Map::new()
    }

    fn mask_lists(&self) -> &'static [&'static str] {
        &["masks"]
    }
}
