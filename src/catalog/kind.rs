//! The kinds of names.

use std::str::FromStr;

use crate::units::Edition;

/// The kind of thing that a name stands for. Names are unique only within a kind and an edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NameKind {
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
    /// The third list of audio effects of both apps.
    SpeechToSong,
    Font,
    Filter,
    BlendMode,
    /// A property of clips. It is not a name that a draft has, so it is not among [`NameKind::ALL`].
    Property,
}

impl NameKind {
    pub(crate) const ALL: [Self; 18] = [
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
        Self::BlendMode,
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
            Self::BlendMode => "blend_mode",
            Self::Property => "property",
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
            Self::BlendMode => "blend mode",
            Self::Property => "property",
        }
    }

    /// Audio effects, in the API's search order.
    pub(crate) fn audio(edition: Edition) -> [Self; 3] {
        match edition {
            Edition::Capcut => [Self::VoiceFilter, Self::VoiceCharacter, Self::SpeechToSong],
            Edition::Jianying => [Self::AudioScene, Self::Tone, Self::SpeechToSong],
        }
    }

    /// Audio effects, in the order of `get_audio_effect_types`.
    pub(crate) fn audio_listed(edition: Edition) -> [Self; 3] {
        match edition {
            Edition::Capcut => Self::audio(edition),
            Edition::Jianying => [Self::Tone, Self::AudioScene, Self::SpeechToSong],
        }
    }

    pub(crate) fn is_audio(self) -> bool {
        Edition::ALL
            .into_iter()
            .any(|edition| Self::audio(edition).contains(&self))
    }
}

impl FromStr for NameKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = || Self::ALL.into_iter().chain([Self::Property]);
        kinds().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = kinds().map(Self::name).collect();
            let names = names.join("`, `");
            format!("{:?} is not a kind: use one of `{names}`", excerpt(text))
        })
    }
}

/// The beginning of a name, short enough for a message.
pub(super) fn excerpt(name: &str) -> &str {
    match name.char_indices().nth(60) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}
