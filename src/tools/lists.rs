//! The twelve `get_*_types` lists: names for the arguments of other calls. Complete over HTTP, in pages otherwise.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args;
use crate::args::input_rule::InputRule;
use crate::catalog::{self, CatalogEntry, NameKind};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tool::{Hints, Tool, read_output};
use crate::tools::{Call, Manner};
use crate::units::Edition;

/// A page of names.
#[expect(clippy::struct_field_names, reason = "they are the names of the reply")]
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Names {
    /// The number of all names.
    pub total: usize,
    /// The names of this page.
    #[schemars(schema_with = "name_rows")]
    pub names: Vec<Value>,
    /// The `offset` of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<usize>,
}

/// Names; those of audio effects have a type and parameters.
fn name_rows(_: &mut SchemaGenerator) -> Schema {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "number" }));
    let param = json!({
        "type": "object",
        "properties": {
            "name": text, "default_value": number, "min_value": number, "max_value": number,
        },
        "required": ["name", "default_value", "min_value", "max_value"],
    });
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": text, "type": text, "params": { "type": "array", "items": param },
            },
            "required": ["name"],
        },
    })
}

fn page(all: Vec<Value>, limit: u64, offset: u64) -> Names {
    let total = all.len();
    let (limit, offset) = (limit as usize, offset as usize);
    let names: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let end = offset.saturating_add(names.len());
    Names {
        total,
        names,
        next_offset: (end < total).then_some(end),
    }
}

fn names(edition: Edition, kinds: &[NameKind]) -> Vec<Value> {
    kinds
        .iter()
        .flat_map(|&kind| catalog::list(edition, kind))
        .map(|entry| json!({ "name": entry.key }))
        .collect()
}

/// Audio effects with their parameters, in percent.
fn audio_effects(edition: Edition) -> Vec<Value> {
    let kinds = NameKind::audio_listed(edition);
    kinds
        .iter()
        .flat_map(|&kind| catalog::list(edition, kind).map(move |entry| audio_effect(kind, entry)))
        .collect()
}

fn audio_effect(kind: NameKind, entry: &CatalogEntry) -> Value {
    let label = match kind {
        NameKind::VoiceFilter => "Voice_filters",
        NameKind::VoiceCharacter => "Voice_characters",
        NameKind::AudioScene => "Audio_scene",
        NameKind::Tone => "Tone",
        _ => "Speech_to_song",
    };
    let params: Vec<Value> = entry
        .params
        .iter()
        .map(|param| {
            json!({
                "name": param.name,
                "default_value": param.default * 100.0,
                "min_value": param.min * 100.0,
                "max_value": param.max * 100.0,
            })
        })
        .collect();
    json!({ "name": entry.key, "type": label, "params": params })
}

/// The tool that lists the names of a kind, if there is one.
pub(crate) fn of_kind(kind: NameKind) -> Option<&'static str> {
    Some(match kind {
        NameKind::VideoIntro => GetIntroAnimationTypes::NAME,
        NameKind::VideoOutro => GetOutroAnimationTypes::NAME,
        NameKind::VideoCombo => GetComboAnimationTypes::NAME,
        NameKind::Transition => GetTransitionTypes::NAME,
        NameKind::Mask => GetMaskTypes::NAME,
        NameKind::VoiceFilter
        | NameKind::VoiceCharacter
        | NameKind::AudioScene
        | NameKind::Tone
        | NameKind::SpeechToSong => GetAudioEffectTypes::NAME,
        NameKind::Font => GetFontTypes::NAME,
        NameKind::TextIntro => GetTextIntroTypes::NAME,
        NameKind::TextOutro => GetTextOutroTypes::NAME,
        NameKind::TextLoop => GetTextLoopAnimTypes::NAME,
        NameKind::SceneEffect => GetVideoSceneEffectTypes::NAME,
        NameKind::CharacterEffect => GetVideoCharacterEffectTypes::NAME,
        NameKind::Filter | NameKind::BlendMode | NameKind::Property => return None,
    })
}

fn hundred() -> u64 {
    100
}

macro_rules! lists {
    ($($tool:ident $name:literal $title:literal $doc:literal $all:expr;)*) => { $(
        #[doc = $doc]
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        pub(crate) struct $tool {
            /// Names per page.
            #[serde(default = "hundred", deserialize_with = "args::count")]
            #[schemars(with = "u64", range(min = 1, max = 1000))]
            limit: u64,
            /// Names to skip.
            #[serde(default, deserialize_with = "args::count")]
            #[schemars(with = "u64")]
            offset: u64,
        }

        impl Tool for $tool {
            const NAME: &'static str = $name;
            const TITLE: &'static str = $title;
            const HINTS: Hints = Hints::READ;
            const INPUT_RULES: &'static [InputRule] = &[InputRule::Alias("count", "limit")];
            type Reply = Names;

            fn leaves(&self, _strict: bool) -> Leaves {
                Leaves::Nothing
            }

            async fn run(&self, engine: &Engine, call: &Call) -> Result<Names> {
                let all: fn(Edition) -> Vec<Value> = $all;
                let all = all(engine.edition());
                // The API has no pages.
                Ok(match call.caller.manner {
                    Manner::Strict => page(all, self.limit, self.offset),
                    Manner::Api => page(all, u64::MAX, 0),
                })
            }

            fn reply_from_api(&self, output: &RawValue) -> Result<Names> {
                match read_output(output)? {
                    Value::Array(all) => Ok(page(all, self.limit, self.offset)),
                    other => Err(Error::internal(format!("the server's list is {}", args::kind(&other)))),
                }
            }

            fn reply_to_api(reply: Names, _link: &dyn Fn(&DraftId) -> String) -> Value {
                Value::Array(reply.names)
            }
        }
    )* };
}

lists! {
    GetIntroAnimationTypes "get_intro_animation_types" "Intro animations"
        "Lists the entrance animations of images." |edition| names(edition, &[NameKind::VideoIntro]);
    GetOutroAnimationTypes "get_outro_animation_types" "Outro animations"
        "Lists the exit animations of images." |edition| names(edition, &[NameKind::VideoOutro]);
    GetComboAnimationTypes "get_combo_animation_types" "Combo animations"
        "Lists the animations of whole clips." |edition| names(edition, &[NameKind::VideoCombo]);
    GetTransitionTypes "get_transition_types" "Transitions"
        "Lists the transitions." |edition| names(edition, &[NameKind::Transition]);
    GetMaskTypes "get_mask_types" "Masks"
        "Lists the masks." |edition| names(edition, &[NameKind::Mask]);
    GetAudioEffectTypes "get_audio_effect_types" "Audio effects"
        "Lists the audio effects with their parameters." audio_effects;
    GetFontTypes "get_font_types" "Fonts"
        "Lists the fonts." |edition| names(edition, &[NameKind::Font]);
    GetTextIntroTypes "get_text_intro_types" "Text intros"
        "Lists the entrance animations of texts." |edition| names(edition, &[NameKind::TextIntro]);
    GetTextOutroTypes "get_text_outro_types" "Text outros"
        "Lists the exit animations of texts." |edition| names(edition, &[NameKind::TextOutro]);
    GetTextLoopAnimTypes "get_text_loop_anim_types" "Text loops"
        "Lists the looping animations of texts." |edition| names(edition, &[NameKind::TextLoop]);
    GetVideoSceneEffectTypes "get_video_scene_effect_types" "Scene effects"
        "Lists the scene effects." |edition| names(edition, &[NameKind::SceneEffect]);
    GetVideoCharacterEffectTypes "get_video_character_effect_types" "Character effects"
        "Lists the effects on faces." |edition| names(edition, &[NameKind::CharacterEffect]);
}
