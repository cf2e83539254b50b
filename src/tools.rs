//! One file per tool that a CapCut API also has, and the list of these tools.
//!
//! MCP, HTTP, command line, README and tests iterate over the list that [`crate::local::all`] builds from these and
//! the local tools; nothing else refers to tools by name.

// Declared without a macro, because `cargo fmt` does not format modules that a macro declares.
pub(crate) mod add_audio;
pub(crate) mod add_effect;
pub(crate) mod add_image;
pub(crate) mod add_sticker;
pub(crate) mod add_subtitle;
pub(crate) mod add_text;
pub(crate) mod add_video;
pub(crate) mod add_video_keyframe;
mod captions;
pub(crate) mod create_draft;
pub(crate) mod generate_draft_url;
pub(crate) mod lists;
mod look;
pub(crate) mod query_draft_status;
pub(crate) mod query_script;
pub(crate) mod save_draft;

use crate::tool::{Spec, Tool as _};

pub(crate) use crate::args::{Call, Object, to_value};
pub(crate) use crate::caller::{Caller, Manner};

/// The routed tool of that name.
pub(crate) fn routed(name: &str) -> Option<&'static Spec> {
    ROUTED.iter().find(|spec| spec.name == name)
}

/// Builds the list of the routed tools, in the order that clients see.
macro_rules! tools {
    ($($module:ident :: $tool:ident,)* ; $lists:ident : $($list:ident,)*) => {
        /// Every tool that a CapCut API also has.
        pub(crate) static ROUTED: [Spec; [$($module::$tool::NAME,)* $($lists::$list::NAME,)*].len()] =
            [$(Spec::routed::<$module::$tool>(),)* $(Spec::routed::<$lists::$list>(),)*];
    };
}

tools! {
    create_draft::CreateDraft,
    add_video::AddVideo,
    add_audio::AddAudio,
    add_image::AddImage,
    add_text::AddText,
    add_subtitle::AddSubtitle,
    add_sticker::AddSticker,
    add_effect::AddEffect,
    add_video_keyframe::AddVideoKeyframe,
    query_script::QueryScript,
    save_draft::SaveDraft,
    query_draft_status::QueryDraftStatus,
    generate_draft_url::GenerateDraftUrl,
    ;
    lists:
    GetIntroAnimationTypes,
    GetOutroAnimationTypes,
    GetComboAnimationTypes,
    GetTransitionTypes,
    GetMaskTypes,
    GetAudioEffectTypes,
    GetFontTypes,
    GetTextIntroTypes,
    GetTextOutroTypes,
    GetTextLoopAnimTypes,
    GetVideoSceneEffectTypes,
    GetVideoCharacterEffectTypes,
}
