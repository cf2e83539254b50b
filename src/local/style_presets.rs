//! `style_presets`: saves the look of a text under a name, lists the saved ones and removes them.

use std::sync::Arc;

use capcut_draft::{ClipKind, ClipSelector, PROPERTIES};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::args::input_rule::InputRule;
use crate::args::set_values;
use crate::args::suggest::nearest;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tool::Hints;

/// Lists the saved looks of texts, saves one, or removes one. `style` of `add_text`, of texts in plans, and of `set`
/// applies it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StylePresets {
    /// Saves under this name: the look of `clip`, or `properties`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
    /// The draft with `clip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// The text: id or words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<String>,
    /// Properties of texts by name, such as `font_color`; in place of those of `clip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Map<String, Value>>,
    /// Removes the style of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<String>,
}

/// The saved styles.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SavedStyles {
    pub styles: Vec<SavedStyle>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A look under a name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct SavedStyle {
    pub name: String,
    pub properties: Map<String, Value>,
}

/// Puts a property of texts into a look, in place of the one that it has.
fn put(look: &mut Map<String, Value>, name: &str, value: Value) -> Result<()> {
    let found = set_values::find(name);
    let Some((property, _)) = found.filter(|(known, _)| known.is_settable_on(ClipKind::Text))
    else {
        let near = nearest(name, PROPERTIES.iter().map(|property| property.name));
        let error = Error::invalid(format!("texts have no property `{name}`"));
        return Err(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        });
    };
    look.shift_remove(property.name);
    set_values::put(look, property, name, value).map(drop)
}

impl LocalTool for StylePresets {
    const NAME: &'static str = "style_presets";
    const TITLE: &'static str = "Style presets";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: true,
        open_world: false,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("name", "save"),
        InputRule::Alias("delete", "remove"),
    ];
    type Reply = SavedStyles;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let is_saved = self.save.is_some();
        if is_saved && self.clip.is_none() && self.properties.is_none() {
            faults.push("`save` needs `draft_id` and `clip`, or `properties`".to_owned());
        }
        if self.clip.is_some() && self.draft_id.is_none() {
            faults.push("`clip` needs `draft_id`".to_owned());
        }
        if is_saved && self.remove.is_some() {
            faults.push("give `save` or `remove`, not both".to_owned());
        }
        for (name, value) in [("save", &self.save), ("remove", &self.remove)] {
            let length = value.as_ref().map(|value| value.trim().chars().count());
            if length.is_some_and(|length| !(1..=100).contains(&length)) {
                faults.push(format!("`{name}` must have 1 to 100 characters"));
            }
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<SavedStyles> {
        let own = &context.caller.styles;
        let mut notes = Vec::new();
        if let Some(name) = &self.save {
            let mut look = match (&self.draft_id, &self.clip) {
                (Some(draft), Some(clip)) => {
                    let id = app.current(draft).await?;
                    let selector = ClipSelector::Text(clip.clone());
                    let look = app.engine.inspect(&id, |document| {
                        let own = document.select(&selector)?;
                        document.text_look(own)
                    });
                    look.await?.map_err(document_error)?
                }
                _ => Map::new(),
            };
            for (name, value) in self.properties.clone().unwrap_or_default() {
                put(&mut look, &name, value)?;
            }
            if look.is_empty() {
                return Err(Error::invalid("the style has no properties"));
            }
            let saved = if own.save(name, look)? {
                "replaced"
            } else {
                "saved"
            };
            notes.push(format!("the style {name:?} is {saved}"));
        }
        if let Some(name) = &self.remove {
            own.remove(name)?;
            notes.push(format!("the style {name:?} is removed"));
        }
        let styles = own.all()?;
        Ok(SavedStyles {
            styles: styles
                .into_iter()
                .map(|(name, properties)| SavedStyle { name, properties })
                .collect(),
            notes,
        })
    }
}
