//! Effects, transitions, fonts and the like: what each app calls them and the ids it knows them by.
//!
//! The tables in `catalog/data/` are made by `scripts/catalogs.py` and read when first needed. [`find`] takes any way
//! of writing a name, [`list`] is what the API lists, [`search`] helps those who do not know the name.

mod search;
mod table;

use std::fmt::Write as _;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::units::{Edition, Micros};

pub(crate) use search::search;

/// What a name stands for. Names are unique within a kind and edition only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Transition,
    Mask,
    VideoIntro,
    VideoOutro,
    VideoCombo,
    TextIntro,
    TextOutro,
    TextLoop,
    SceneEffect,
    CharacterEffect,
    /// CapCut's first list of audio effects.
    VoiceFilter,
    /// CapCut's second list of audio effects.
    VoiceCharacter,
    /// JianYing's first list of audio effects (场景音).
    AudioScene,
    /// JianYing's second list of audio effects (音色).
    Tone,
    /// The third list of audio effects of both.
    SpeechToSong,
    Font,
    Filter,
}

impl Kind {
    pub(crate) const ALL: [Self; 17] = [
        Self::Transition,
        Self::Mask,
        Self::VideoIntro,
        Self::VideoOutro,
        Self::VideoCombo,
        Self::TextIntro,
        Self::TextOutro,
        Self::TextLoop,
        Self::SceneEffect,
        Self::CharacterEffect,
        Self::VoiceFilter,
        Self::VoiceCharacter,
        Self::AudioScene,
        Self::Tone,
        Self::SpeechToSong,
        Self::Font,
        Self::Filter,
    ];

    /// The name used in arguments, replies and the tables' file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transition => "transition",
            Self::Mask => "mask",
            Self::VideoIntro => "video_intro",
            Self::VideoOutro => "video_outro",
            Self::VideoCombo => "video_combo",
            Self::TextIntro => "text_intro",
            Self::TextOutro => "text_outro",
            Self::TextLoop => "text_loop",
            Self::SceneEffect => "scene_effect",
            Self::CharacterEffect => "character_effect",
            Self::VoiceFilter => "voice_filter",
            Self::VoiceCharacter => "voice_character",
            Self::AudioScene => "audio_scene",
            Self::Tone => "tone",
            Self::SpeechToSong => "speech_to_song",
            Self::Font => "font",
            Self::Filter => "filter",
        }
    }

    /// The kind in a sentence, without an article.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Transition => "transition",
            Self::Mask => "mask",
            Self::VideoIntro => "intro animation",
            Self::VideoOutro => "outro animation",
            Self::VideoCombo => "combo animation",
            Self::TextIntro => "text intro animation",
            Self::TextOutro => "text outro animation",
            Self::TextLoop => "text loop animation",
            Self::SceneEffect => "scene effect",
            Self::CharacterEffect => "character effect",
            Self::VoiceFilter => "voice filter",
            Self::VoiceCharacter => "voice character",
            Self::AudioScene => "audio scene",
            Self::Tone => "tone",
            Self::SpeechToSong => "speech-to-song style",
            Self::Font => "font",
            Self::Filter => "filter",
        }
    }

    /// Whether a tool takes names of this kind.
    pub(crate) fn is_taken(self) -> bool {
        !matches!(self, Self::TextLoop | Self::Filter)
    }

    /// Audio effects, in the order in which the API looks through them.
    pub(crate) fn audio(edition: Edition) -> [Self; 3] {
        match edition {
            Edition::Capcut => [Self::VoiceFilter, Self::VoiceCharacter, Self::SpeechToSong],
            Edition::Jianying => [Self::AudioScene, Self::Tone, Self::SpeechToSong],
        }
    }

    /// Audio effects in the order in which `get_audio_effect_types` lists them.
    pub(crate) fn audio_listed(edition: Edition) -> [Self; 3] {
        match edition {
            Edition::Capcut => Self::audio(edition),
            Edition::Jianying => [Self::Tone, Self::AudioScene, Self::SpeechToSong],
        }
    }

    fn is_audio(self) -> bool {
        Edition::ALL
            .into_iter()
            .any(|edition| Self::audio(edition).contains(&self))
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join("`, `");
                format!("{:?} is no kind: `{names}`", excerpt(text))
            })
    }
}

/// One name with everything a draft says about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub kind: Kind,
    /// The app whose list it is from; none for fonts and filters that the API offers for both.
    pub edition: Option<Edition>,
    /// The name in requests.
    pub key: &'static str,
    /// The name in the draft.
    pub display: &'static str,
    pub resource_id: &'static str,
    pub effect_id: &'static str,
    /// The default length of an animation or transition; 0 for JianYing's text animations.
    pub duration: Option<Micros>,
    /// Whether both clips are seen during the transition.
    pub is_overlap: bool,
    /// Whether the app asks for a subscription.
    pub vip: bool,
    /// What can be set, in the app's order.
    pub params: &'static [Param],
    /// Width by height of a mask, 1 otherwise.
    pub aspect_ratio: f64,
    /// The shape of a mask, empty otherwise.
    pub resource_type: &'static str,
    /// Names of the same thing in the other edition, and newer ones.
    pub also: &'static [&'static str],
    /// Not known to the reference API: accepted, but not listed.
    pub more: bool,
}

/// One setting of an effect, in the unit of the draft.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Param {
    pub name: &'static str,
    pub default: f64,
    pub min: f64,
    pub max: f64,
}

/// The entry with this key; otherwise the one whose key, display name, id or name in the other
/// language is the same but for case, spaces, underscores and hyphens.
pub(crate) fn find(edition: Edition, kind: Kind, name: &str) -> Result<&'static Entry> {
    find_in(edition, &[kind], name)
}

/// As [`find`], through several kinds in order: an exact key in a later kind goes before another
/// way of writing in an earlier one.
pub(crate) fn find_in(edition: Edition, kinds: &[Kind], name: &str) -> Result<&'static Entry> {
    lookup(edition, kinds, name).ok_or_else(|| unknown(edition, kinds, name))
}

/// The font of texts for which none is named: one that the edition's own app has.
pub(crate) fn usual_font(edition: Edition) -> &'static str {
    match edition {
        Edition::Capcut => "Poppins_Regular",
        Edition::Jianying => "文轩体",
    }
}

/// What this edition calls a thing whose name is the other edition's. None where the name is this edition's own, or
/// where it does not have the thing.
pub(crate) fn translated(edition: Edition, kinds: &[Kind], name: &str) -> Option<&'static Entry> {
    let plain = table::normalised(name);
    if let Some(entry) = lookup(edition, kinds, name) {
        let own = [entry.key, entry.display, entry.resource_id, entry.effect_id];
        let is_own = own.iter().any(|own| table::normalised(own) == plain);
        return (!is_own).then_some(entry);
    }
    let other = edition.other();
    let entry = if kinds.iter().any(|kind| kind.is_audio()) {
        lookup(other, &Kind::audio(other), name)
    } else {
        lookup(other, kinds, name)
    }?;
    counterpart(edition, entry)
}

/// The entry of this edition that is the same thing as one of the other edition: by the ids, which both apps share, by
/// the names, or by the shape of a mask.
fn counterpart(edition: Edition, entry: &Entry) -> Option<&'static Entry> {
    let kinds = if entry.kind.is_audio() {
        Kind::audio(edition).to_vec()
    } else {
        vec![entry.kind]
    };
    let names = [entry.resource_id, entry.effect_id, entry.key, entry.display];
    names
        .iter()
        .chain(entry.also)
        .find_map(|name| lookup(edition, &kinds, name))
        .or_else(|| {
            let mut same = all(edition, entry.kind).iter().filter(|one| {
                !entry.resource_type.is_empty() && one.resource_type == entry.resource_type
            });
            same.next().copied().filter(|_| same.next().is_none())
        })
}

/// What the API lists, in its order.
pub(crate) fn list(edition: Edition, kind: Kind) -> impl Iterator<Item = &'static Entry> {
    all(edition, kind)
        .iter()
        .copied()
        .filter(|entry| !entry.more)
}

/// Everything that [`find`] accepts: the API's list, then what the API does not know.
pub(crate) fn all(edition: Edition, kind: Kind) -> &'static [&'static Entry] {
    table::index(edition, kind).entries()
}

fn lookup(edition: Edition, kinds: &[Kind], name: &str) -> Option<&'static Entry> {
    let indexes = || kinds.iter().map(|&kind| table::index(edition, kind));
    indexes().find_map(|index| index.exact(name)).or_else(|| {
        let plain = table::normalised(name);
        indexes().find_map(|index| index.plain(&plain))
    })
}

/// The error for a name that these tables have, and a server that only knows the API's own list does not.
pub(crate) fn newer(edition: Edition, entry: &Entry) -> Error {
    let near: Vec<String> = search::nearest(edition, &[entry.kind], entry.key, 10)
        .into_iter()
        .filter(|near| !near.more)
        .map(|near| format!("`{}`", near.key))
        .collect();
    let what = format!(
        "the server does not know the {} {:?}",
        entry.kind.label(),
        entry.key
    );
    let error =
        Error::invalid(what).at_shell("make the draft with `--backend embedded`, which has it");
    if near.is_empty() {
        error
    } else {
        error.hint(format!("did you mean {}?", enumerated(&near)))
    }
}

fn unknown(edition: Edition, kinds: &[Kind], name: &str) -> Error {
    let labels: Vec<&str> = kinds.iter().map(|kind| kind.label()).collect();
    let message = format!(
        "{} has no {} {:?}",
        edition.app(),
        enumerated(&labels),
        excerpt(name),
    );

    let near: Vec<String> = search::nearest(edition, kinds, name, 5)
        .into_iter()
        .map(|entry| format!("`{}`", entry.key))
        .collect();
    let mut hint = String::new();
    let is_cut = ["cut", "hardcut", "straightcut", "jumpcut", "硬切", "直切"]
        .contains(&table::normalised(name).as_str());
    if is_cut && kinds == [Kind::Transition] {
        hint.push_str("without a `transition` clips follow each other with a cut; ");
    } else if !near.is_empty() {
        let _ = write!(hint, "did you mean {}? ", enumerated(&near));
    }
    let other = edition.other();
    let there = if kinds.iter().any(|kind| kind.is_audio()) {
        lookup(other, &Kind::audio(other), name)
    } else {
        lookup(other, kinds, name)
    };
    if let Some(entry) = there {
        let _ = write!(hint, "{} has it, as `{}`; ", other.app(), entry.key);
    } else if let Some(entry) = lookup(edition, &Kind::ALL, name) {
        let _ = write!(
            hint,
            "`{}` is another kind: {}; ",
            entry.key,
            entry.kind.label()
        );
    }
    hint.push_str("`search_catalog` finds names");
    Error::invalid(message).hint(hint).source(UnknownName)
}

/// Marks the errors that say no more than that a name is not in these tables.
#[derive(Debug)]
struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for UnknownName {}

/// Whether all that is wrong is a name that is not in these tables; a newer server may have it.
pub(crate) fn is_unknown(error: &Error) -> bool {
    error
        .source
        .as_ref()
        .is_some_and(|source| source.is::<UnknownName>())
}

/// `a, b or c`.
fn enumerated(items: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        text.push_str(match number {
            0 => "",
            _ if number + 1 == items.len() => " or ",
            _ => ", ",
        });
        text.push_str(item.as_ref());
    }
    text
}

/// As much of a name as fits into a message.
fn excerpt(name: &str) -> &str {
    match name.char_indices().nth(60) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::golden;

    fn key(edition: Edition, kind: Kind, name: &str) -> &'static str {
        find(edition, kind, name).unwrap().key
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let intro = |name| key(Edition::Capcut, Kind::VideoIntro, name);
        for name in [
            "Fade_In", "Fade In", "fade_in", "FADE_IN", "fade-in", " fadein", "渐显",
        ] {
            assert_eq!(intro(name), "Fade_In", "{name}");
        }
        assert_eq!(intro("6798320778182922760"), "Fade_In");
        let transition = |name| key(Edition::Jianying, Kind::Transition, name);
        for name in [
            "_3D空间",
            "3D空间",
            "3d 空间",
            "7049979667406656014",
            "1506926",
        ] {
            assert_eq!(transition(name), "_3D空间", "{name}");
        }
        assert_eq!(transition("Black_Fade"), "闪黑");
    }

    #[test]
    fn an_exact_key_goes_before_another_entrys_display_name() {
        let entry = find(Edition::Capcut, Kind::Transition, "Mix_1").unwrap();
        assert_eq!((entry.key, entry.display), ("Mix_1", "Mix"));
        assert_eq!(key(Edition::Capcut, Kind::Transition, "mix"), "Mix");
        assert_eq!(
            key(Edition::Capcut, Kind::TextIntro, "Slide Left"),
            "Slide_Left"
        );
    }

    #[test]
    fn what_the_api_does_not_know_is_found_but_not_listed() {
        let entry = find(Edition::Jianying, Kind::Transition, "黑板擦除").unwrap();
        assert!(entry.more);
        assert!(list(Edition::Jianying, Kind::Transition).all(|other| other.key != entry.key));
        // Renamed since: the new name means the API's entry.
        let renamed = find(Edition::Jianying, Kind::Transition, "抖动缩小_II").unwrap();
        assert_eq!((renamed.key, renamed.more), ("抖动缩小__II", false));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let error = find(Edition::Capcut, Kind::VideoIntro, "fade inn").unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::InvalidArgument);
        assert_eq!(error.message, "CapCut has no intro animation \"fade inn\"");
        let hint = error.hint.unwrap();
        assert!(hint.starts_with("did you mean `Fade_In`, `"), "{hint}");
        assert!(hint.matches('`').count() <= 2 * 6, "{hint}");

        for name in ["", "?", &"x".repeat(1 << 20), "\u{0}\n"] {
            let error = find(Edition::Jianying, Kind::Mask, name).unwrap_err();
            let hint = error.hint.unwrap();
            assert_eq!(hint.matches('`').count(), 2 * 6, "{hint}");
            assert!(error.message.len() < 400);
        }
    }

    #[test]
    fn an_unknown_name_is_told_where_it_is_known() {
        let hint = |edition, kinds: &[Kind], name| {
            find_in(edition, kinds, name).unwrap_err().hint.unwrap()
        };
        let other = hint(Edition::Jianying, &[Kind::Transition], "Montage Snippets");
        assert!(
            other.contains("CapCut has it, as `Montage_Snippets`;"),
            "{other}"
        );
        let audio = hint(
            Edition::Jianying,
            &Kind::audio(Edition::Jianying),
            "big house",
        );
        assert!(audio.contains("CapCut has it, as `Big_House`;"), "{audio}");
        let kind = hint(Edition::Capcut, &[Kind::Transition], "Fade_In");
        assert!(
            kind.contains("`Fade_In` is another kind: intro animation;"),
            "{kind}"
        );
    }

    #[test]
    fn audio_effects_are_looked_up_in_order() {
        let kinds = Kind::audio(Edition::Capcut);
        let found = |name| find_in(Edition::Capcut, &kinds, name).unwrap();
        assert_eq!(found("Big_House").kind, Kind::VoiceFilter);
        assert_eq!(found("fussy male").kind, Kind::VoiceCharacter);
        assert_eq!(found("Folk").kind, Kind::SpeechToSong);
        assert_eq!(found("Big_House").params[0].name, "strength");
    }

    #[test]
    fn kinds_are_read_from_their_names() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!(
            "effect"
                .parse::<Kind>()
                .unwrap_err()
                .contains("`scene_effect`")
        );
    }

    fn recordings() -> BTreeMap<String, Value> {
        golden::recordings(golden::Part::Catalog)
            .into_iter()
            .collect()
    }

    fn recorded_name(kind: Kind) -> &'static str {
        match kind {
            Kind::Transition => "transitions",
            Kind::Mask => "masks",
            Kind::VideoIntro => "video_intro_animations",
            Kind::VideoOutro => "video_outro_animations",
            Kind::VideoCombo => "video_combo_animations",
            Kind::TextIntro => "text_intro_animations",
            Kind::TextOutro => "text_outro_animations",
            Kind::TextLoop => "text_loop_animations",
            Kind::SceneEffect => "video_scene_effects",
            Kind::CharacterEffect => "video_character_effects",
            Kind::VoiceFilter => "audio_voice_filters",
            Kind::VoiceCharacter => "audio_voice_characters",
            Kind::AudioScene => "audio_scene_sounds",
            Kind::Tone => "audio_tones",
            Kind::SpeechToSong => "audio_speech_to_song",
            Kind::Font => "fonts",
            Kind::Filter => "filters",
        }
    }

    /// Everything that a recorded entry says, as recorded.
    fn as_recorded(entry: &Entry, like: &Value) -> Value {
        let mut value = serde_json::json!({
            "name": entry.key,
            "display_name": entry.display,
            "resource_id": entry.resource_id,
            "effect_id": entry.effect_id,
        });
        let duration = entry.duration.map(|duration| duration.0);
        for field in like.as_object().unwrap().keys() {
            value[field] = match field.as_str() {
                "is_vip" => entry.vip.into(),
                "is_overlap" => entry.is_overlap.into(),
                "duration" | "default_duration" => duration.into(),
                "resource_type" => entry.resource_type.into(),
                "default_aspect_ratio" => entry.aspect_ratio.into(),
                "params" => entry
                    .params
                    .iter()
                    .map(|param| {
                        serde_json::json!({
                            "name": param.name,
                            "default": param.default,
                            "min": param.min,
                            "max": param.max,
                        })
                    })
                    .collect(),
                _ => continue,
            };
        }
        value
    }

    #[test]
    fn every_name_the_api_knows_is_known_with_all_it_says() {
        let recordings = recordings();
        let mut files = std::collections::BTreeSet::new();
        let mut seen = 0;
        for edition in Edition::ALL {
            for kind in Kind::ALL {
                let name = recorded_name(kind);
                let places = [edition.name(), "shared"];
                let found = places.into_iter().find_map(|place| {
                    let file = format!("enum_{name}.{place}");
                    let found = recordings.get(&file)?;
                    files.insert(file);
                    found.as_array()
                });
                let expected = found.map_or(&[][..], Vec::as_slice);
                let listed: Vec<_> = list(edition, kind).collect();
                assert_eq!(listed.len(), expected.len(), "{edition:?} {name}");
                for (entry, expected) in listed.iter().zip(expected) {
                    assert_eq!(
                        &as_recorded(entry, expected),
                        expected,
                        "{edition:?} {name}"
                    );
                    let found = find(edition, kind, entry.key).unwrap();
                    assert!(std::ptr::eq(found, *entry));
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 965 + 2236 + 2 * (335 + 468));
        let all = recordings.keys().filter(|name| name.starts_with("enum_"));
        assert_eq!(files.len(), all.count());
    }

    #[test]
    fn the_lists_are_those_that_the_api_answers() {
        let recordings = recordings();
        let lists: [(&str, &[Kind]); 11] = [
            ("transition", &[Kind::Transition]),
            ("mask", &[Kind::Mask]),
            ("intro_animation", &[Kind::VideoIntro]),
            ("outro_animation", &[Kind::VideoOutro]),
            ("combo_animation", &[Kind::VideoCombo]),
            ("text_intro", &[Kind::TextIntro]),
            ("text_outro", &[Kind::TextOutro]),
            ("text_loop_anim", &[Kind::TextLoop]),
            ("video_scene_effect", &[Kind::SceneEffect]),
            ("video_character_effect", &[Kind::CharacterEffect]),
            ("font", &[Kind::Font]),
        ];
        for edition in Edition::ALL {
            let check = |list_name: &str, kinds: &[Kind]| {
                let file = format!("http_get_{list_name}_types.{}", edition.name());
                let output = &recordings[&file]["response"]["output"];
                let names = output.as_array().unwrap().iter().map(|item| &item["name"]);
                let ours = kinds.iter().flat_map(|&kind| list(edition, kind));
                assert!(names.eq(ours.map(|entry| entry.key)), "{file}");
                output.clone()
            };
            for (name, kinds) in lists {
                check(name, kinds);
            }
            let kinds = Kind::audio_listed(edition);
            let output = check("audio_effect", &kinds);
            let ours = kinds.iter().flat_map(|&kind| list(edition, kind));
            for (item, entry) in output.as_array().unwrap().iter().zip(ours) {
                let params = item["params"].as_array().unwrap();
                assert_eq!(params.len(), entry.params.len());
                for (param, ours) in params.iter().zip(entry.params) {
                    assert_eq!(param["name"], ours.name);
                    assert_eq!(param["default_value"], ours.default * 100.0);
                    assert_eq!(param["min_value"], ours.min * 100.0);
                    assert_eq!(param["max_value"], ours.max * 100.0);
                }
            }
        }
    }
}
