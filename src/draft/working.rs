//! The working document: exactly what the reference API returns for `query_script`.
//!
//! Constant parts are in `template.json`, where `"@name"` is a placeholder for a part of the draft. JSON text
//! is written directly, as documents with thousands of segments are requested repeatedly.

use std::fmt::Write as _;

use capcut_draft::field::root;

use crate::draft::Draft;
use crate::draft::clip::Clip;
use crate::draft::ids::Id;
use crate::draft::keyframe::Keyframes;
use crate::draft::material::{
    Animations, AudioEffect, FilterLayer, MediaKind, MediaMaterial, PHOTO_DURATION, Setting,
    TextEffect, Transition, VideoEffect,
};
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::text::{Align, Font, Rgb, TextContent};
use crate::draft::track::Track;
use crate::units::{Edition, Micros, Range};

const TEMPLATE: &str = include_str!("template.json");

/// How much of a draft the API has refreshed. Until a refresh, files and lengths are as requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refreshed {
    pub media: usize,
    pub segments: u32,
    /// The sequence number of the first call after the refresh.
    pub call: u64,
}

/// The document as compact JSON.
pub(crate) fn write(draft: &Draft) -> String {
    write_document(draft)
}

/// The document as the API would return it without a refresh since then.
pub(crate) fn write_unrefreshed(draft: &Draft, refreshed: Refreshed) -> String {
    let is_new = draft.media.len() > refreshed.media
        || draft.made > refreshed.segments
        || draft.sequence > refreshed.call;
    if !is_new {
        return write_document(draft);
    }
    let mut draft = draft.clone();
    for media in draft.media.iter_mut().skip(refreshed.media) {
        media.known.width = 0;
        media.known.height = 0;
        media.known.duration = media.given;
    }
    for track in &mut draft.tracks {
        for place in 0..track.segments().len() {
            let segment = track.segment_mut(place);
            segment.without_keyframes_since(refreshed.call);
            if segment.order >= refreshed.segments {
                segment.as_asked();
            }
        }
    }
    write_document(&draft)
}

fn write_document(draft: &Draft) -> String {
    let segments = draft.segments();
    let mut out = String::with_capacity(8192 + 2048 * segments.len());
    let compact = TEMPLATE
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .concat();
    let mut rest = compact.as_str();
    while let Some((before, after)) = rest.split_once("\"@") {
        out.push_str(before);
        let (name, after) = after.split_once('"').unwrap_or((after, ""));
        part(&mut out, name, draft, &segments);
        rest = after;
    }
    out.push_str(rest);
    // Neither the API nor an app has this key.
    if let Some(cover) = draft.settings.cover_json() {
        out.pop();
        let _ = write!(out, ",\"{}\":{cover}}}", root::COVER);
    }
    out
}

type All<'a> = [(&'a Track, &'a Segment)];

fn part(out: &mut String, name: &str, draft: &Draft, segments: &All<'_>) {
    match name {
        "canvas" => {
            out.push_str("{\"width\":");
            number(out, draft.width);
            out.push_str(",\"height\":");
            number(out, draft.height);
            out.push_str(",\"ratio\":\"original\"}");
        }
        "duration" => {
            let _ = write!(out, "{}", draft.duration().0);
        }
        "time_marks" => match draft.settings.time_marks(draft.id.as_str()) {
            Some(marks) => out.push_str(&marks),
            None => out.push_str("null"),
        },
        "fps" => number(out, draft.settings.fps.unwrap_or(30.0)),
        "magnet" => {
            let _ = write!(out, "{}", draft.settings.magnet.unwrap_or(true));
        }
        "tracks" => list(out, draft.stacked(), write_track),
        "mask_key" => out.push_str(match draft.edition {
            Edition::Capcut => "\"common_mask\"",
            Edition::Jianying => "\"masks\"",
        }),
        "audios" => media(out, draft, true),
        "videos" => media(out, draft, false),
        _ => materials(out, name, segments),
    }
}

/// The materials of one kind, in the order of the segments that have them.
fn materials(out: &mut String, name: &str, segments: &All<'_>) {
    out.push('[');
    let start = out.len();
    for (_, segment) in segments {
        let before = out.len();
        if before > start {
            out.push(',');
        }
        let empty = out.len();
        match (&segment.content, name) {
            (SegmentContent::Picture(picture), "speeds") => {
                speed(out, picture.speed_id, picture.speed);
            }
            (SegmentContent::Sound(sound), "speeds") => {
                speed(out, sound.speed_id, Some(sound.speed))
            }
            (SegmentContent::Picture(picture), "transitions") => {
                if let Some(transition) = &picture.transition {
                    write_transition(out, transition);
                }
            }
            (SegmentContent::Picture(picture), "masks") => {
                if let Some(mask) = &picture.mask {
                    write_mask(out, mask);
                }
            }
            (SegmentContent::Picture(picture), "canvases") => {
                if let Some(blur) = &picture.blur {
                    let _ = write!(
                        out,
                        r##"{{"id":"{}","type":"canvas_blur","blur":{},"color":"#00000000","source_platform":0}}"##,
                        blur.id, blur.strength
                    );
                }
            }
            (SegmentContent::Picture(picture), "material_animations") => {
                if let Some(animations) = &picture.animations {
                    write_animations(out, animations, "video", "video");
                }
            }
            (SegmentContent::Text(text), "material_animations") => {
                if let Some(animations) = &text.animations {
                    write_animations(out, animations, "", "sticker");
                }
            }
            (SegmentContent::Text(text), "texts") => write_text(out, text),
            (SegmentContent::Text(text), "effects") => {
                if let Some(bubble) = &text.bubble {
                    text_effect(out, bubble, "text_shape");
                }
                if let Some(effect) = &text.effect {
                    if text.bubble.is_some() {
                        out.push(',');
                    }
                    text_effect(out, effect, "text_effect");
                }
            }
            (SegmentContent::Sticker(sticker), "stickers") => {
                let _ = write!(out, r#"{{"id":"{}","resource_id":"#, sticker.material.id);
                string(out, &sticker.material.resource_id);
                out.push_str(",\"sticker_id\":");
                string(out, &sticker.material.resource_id);
                out.push_str(r#","source_platform":1,"type":"sticker"}"#);
            }
            (SegmentContent::Effect(effect), "video_effects") => video_effect(out, effect),
            (SegmentContent::Filter(filter), "effects") => write_filter(out, filter),
            (SegmentContent::Sound(sound), "audio_effects") => {
                if let Some(effect) = &sound.effect {
                    audio_effect(out, effect);
                }
            }
            (SegmentContent::Sound(sound), "audio_fades") => {
                if let Some(fade) = &sound.fade {
                    let _ = write!(
                        out,
                        r#"{{"fade_in_duration":{},"fade_out_duration":{},"fade_type":0,"id":"{}","type":"audio_fade"}}"#,
                        fade.fade_in.0, fade.fade_out.0, fade.id
                    );
                }
            }
            _ => {}
        }
        if out.len() == empty {
            out.truncate(before);
        }
    }
    out.push(']');
}

fn media(out: &mut String, draft: &Draft, audio: bool) {
    let all = draft
        .media
        .iter()
        .filter(|media| (media.kind == MediaKind::Audio) == audio);
    list(out, all, |out, media| {
        if audio {
            write_audio(out, draft, media);
        } else {
            write_video(out, draft, media);
        }
    });
}

fn write_video(out: &mut String, draft: &Draft, media: &MediaMaterial) {
    let (duration, kind) = match media.kind {
        MediaKind::Photo => (PHOTO_DURATION, "photo"),
        _ => (media.known.duration, "video"),
    };
    let id = media.id;
    let _ = write!(
        out,
        r#"{{"audio_fade":null,"category_id":"","category_name":"local","check_flag":63487,"crop":{{"upper_left_x":0.0,"upper_left_y":0.0,"upper_right_x":1.0,"upper_right_y":0.0,"lower_left_x":0.0,"lower_left_y":1.0,"lower_right_x":1.0,"lower_right_y":1.0}},"crop_ratio":"free","crop_scale":1.0,"duration":{},"height":{},"id":"{id}","local_material_id":"","material_id":"{id}","material_name":"#,
        duration.0, media.known.height,
    );
    string(out, &media.name);
    out.push_str(",\"media_path\":\"\",\"path\":");
    string(out, &path(draft, media));
    out.push_str(",\"remote_url\":");
    string(out, &media.source);
    let _ = write!(out, r#","type":"{kind}","width":{}}}"#, media.known.width);
}

fn write_audio(out: &mut String, draft: &Draft, media: &MediaMaterial) {
    let id = media.id;
    let _ = write!(
        out,
        r#"{{"app_id":0,"category_id":"","category_name":"local","check_flag":{},"copyright_limit_type":"none","duration":{},"effect_id":"","formula_id":"","id":"{id}","intensifies_path":"","is_ai_clone_tone":false,"is_text_edit_overdub":false,"is_ugc":false,"local_material_id":"{id}","music_id":"{id}","name":"#,
        if media.has_effect { 3 } else { 1 },
        media.known.duration.0,
    );
    string(out, &media.name);
    out.push_str(",\"path\":");
    string(out, &path(draft, media));
    out.push_str(",\"remote_url\":");
    string(out, &media.source);
    out.push_str(r#","query":"","request_id":"","resource_id":"","search_id":"","source_from":"","source_platform":0,"team_id":"","text_id":"","tone_category_id":"","tone_category_name":"","tone_effect_id":"","tone_effect_name":"","tone_platform":"","tone_second_category_id":"","tone_second_category_name":"","tone_speaker":"","tone_type":"","type":"extract_music","video_id":"","wave_points":[]}"#);
}

/// The file's path below the given drafts folder, in the syntax of that folder's system.
fn path(draft: &Draft, media: &MediaMaterial) -> String {
    let Some(folder) = media.folder.as_deref().filter(|folder| !folder.is_empty()) else {
        return String::new();
    };
    let parts = [
        draft.id.as_str(),
        "assets",
        media.kind.folder(),
        &media.name,
    ];
    if is_windows(folder) {
        let (drive, rest) = folder.split_at(2);
        let mut path = drive.to_owned();
        for part in rest
            .split('\\')
            .filter(|part| !part.is_empty())
            .chain(parts)
        {
            path.push('\\');
            path.push_str(part);
        }
        path.replace('/', "\\")
    } else {
        let mut path = folder.to_owned();
        for part in parts {
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(part);
        }
        path
    }
}

/// Whether it begins with a letter, a colon and a backslash.
fn is_windows(folder: &str) -> bool {
    matches!(folder.as_bytes(), [letter, b':', b'\\', ..] if letter.is_ascii_alphabetic())
}

fn speed(out: &mut String, id: Id, speed: Option<f64>) {
    let _ = write!(out, r#"{{"curve_speed":null,"id":"{id}","mode":0,"speed":"#);
    optional(out, speed);
    out.push_str(",\"type\":\"speed\"}");
}

fn write_transition(out: &mut String, transition: &Transition) {
    let _ = write!(
        out,
        r#"{{"category_id":"","category_name":"","duration":{},"effect_id":"#,
        transition.duration.0
    );
    string(out, &transition.effect_id);
    let _ = write!(
        out,
        r#","id":"{}","is_overlap":{},"name":"#,
        transition.id, transition.is_overlap
    );
    string(out, &transition.name);
    out.push_str(",\"platform\":\"all\",\"resource_id\":");
    string(out, &transition.resource_id);
    out.push_str(",\"type\":\"transition\"}");
}

fn write_mask(out: &mut String, mask: &crate::draft::material::Mask) {
    let fields = [
        ("{\"config\":{\"aspectRatio\":", mask.aspect_ratio),
        (",\"centerX\":", mask.center_x),
        (",\"centerY\":", mask.center_y),
        (",\"feather\":", mask.feather),
        (",\"height\":", mask.height),
    ];
    for (name, value) in fields {
        out.push_str(name);
        float(out, value);
    }
    let _ = write!(out, ",\"invert\":{}", mask.invert);
    for (name, value) in [
        (",\"rotation\":", mask.rotation),
        (",\"roundCorner\":", mask.round_corner),
        (",\"width\":", mask.width),
    ] {
        out.push_str(name);
        float(out, value);
    }
    let _ = write!(
        out,
        r#"}},"category":"video","category_id":"","category_name":"","id":"{}","name":"#,
        mask.id
    );
    string(out, &mask.name);
    out.push_str(",\"platform\":\"all\",\"position_info\":\"\",\"resource_type\":");
    string(out, &mask.resource_type);
    out.push_str(",\"resource_id\":");
    string(out, &mask.resource_id);
    out.push_str(",\"type\":\"mask\"}");
}

fn write_animations(out: &mut String, animations: &Animations, panel: &str, material: &str) {
    let _ = write!(
        out,
        r#"{{"id":"{}","type":"sticker_animation","multi_language_current":"none","animations":"#,
        animations.id
    );
    list(out, &animations.list, |out, animation| {
        let _ = write!(
            out,
            r#"{{"anim_adjust_params":null,"platform":"all","panel":"{panel}","material_type":"{material}","name":"#
        );
        string(out, &animation.name);
        out.push_str(",\"id\":");
        string(out, &animation.effect_id);
        let _ = write!(
            out,
            r#","type":"{}","resource_id":"#,
            animation.phase.name()
        );
        string(out, &animation.resource_id);
        let _ = write!(
            out,
            r#","start":{},"duration":{}}}"#,
            animation.start.0, animation.duration.0
        );
    });
    out.push('}');
}

fn settings(out: &mut String, settings: &[Setting]) {
    list(out, settings.iter().enumerate(), |out, (index, setting)| {
        out.push_str("{\"default_value\":");
        float(out, setting.default);
        out.push_str(",\"max_value\":");
        float(out, setting.max);
        out.push_str(",\"min_value\":");
        float(out, setting.min);
        out.push_str(",\"name\":");
        string(out, &setting.name);
        let _ = write!(out, r#","parameterIndex":{index},"portIndex":0,"value":"#);
        float(out, setting.value);
        out.push('}');
    });
}

fn video_effect(out: &mut String, effect: &VideoEffect) {
    out.push_str("{\"adjust_params\":");
    settings(out, &effect.settings);
    out.push_str(r#","apply_target_type":2,"apply_time_range":null,"category_id":"","category_name":"","common_keyframes":[],"disable_effect_faces":[],"effect_id":"#);
    string(out, &effect.effect_id);
    let _ = write!(out, r#","formula_id":"","id":"{}","name":"#, effect.id);
    string(out, &effect.name);
    out.push_str(",\"platform\":\"all\",\"render_index\":11000,\"resource_id\":");
    string(out, &effect.resource_id);
    let kind = if effect.is_character {
        "face_effect"
    } else {
        "video_effect"
    };
    let _ = write!(
        out,
        r#","source_platform":0,"time_range":null,"track_render_index":0,"type":"{kind}","value":1.0,"version":""}}"#
    );
}

/// The keys of PyPI pyJianYingDraft 0.3.1.
fn write_filter(out: &mut String, filter: &FilterLayer) {
    out.push_str(r#"{"adjust_params":[],"algorithm_artifact_path":"","apply_target_type":2,"bloom_params":null,"category_id":"","category_name":"","color_match_info":{"source_feature_path":"","target_feature_path":"","target_image_path":""},"effect_id":"#);
    string(out, &filter.effect_id);
    let _ = write!(
        out,
        r#","enable_skin_tone_correction":false,"exclusion_group":[],"face_adjust_params":[],"formula_id":"","id":"{}","intensity_key":"","multi_language_current":"","name":"#,
        filter.id
    );
    string(out, &filter.name);
    out.push_str(r#","panel_id":"","platform":"all","resource_id":"#);
    string(out, &filter.resource_id);
    out.push_str(
        r#","source_platform":1,"sub_type":"none","time_range":null,"type":"filter","value":"#,
    );
    float(out, filter.strength);
    out.push_str(r#","version":""}"#);
}

fn audio_effect(out: &mut String, effect: &AudioEffect) {
    out.push_str("{\"audio_adjust_params\":");
    settings(out, &effect.settings);
    out.push_str(",\"category_id\":");
    string(out, &effect.category_id);
    out.push_str(",\"category_name\":");
    string(out, &effect.category_name);
    let _ = write!(out, r#","id":"{}","is_ugc":false,"name":"#, effect.id);
    string(out, &effect.name);
    out.push_str(",\"production_path\":\"\",\"resource_id\":");
    string(out, &effect.resource_id);
    out.push_str(r#","speaker_id":"","sub_type":1,"time_range":{"duration":0,"start":0},"type":"audio_effect"}"#);
}

fn text_effect(out: &mut String, effect: &TextEffect, kind: &str) {
    out.push_str("{\"apply_target_type\":0,\"effect_id\":");
    string(out, &effect.effect_id);
    let _ = write!(out, r#","id":"{}","resource_id":"#, effect.id);
    string(out, &effect.resource_id);
    let _ = write!(out, r#","type":"{kind}","value":1.0}}"#);
}

fn write_text(out: &mut String, text: &TextContent) {
    let _ = write!(out, r#"{{"id":"{}","content":"#, text.id);
    string(out, &text_content(text));
    let flags = 7
        | if text.has_border { 8 } else { 0 }
        | if text.background.is_some() { 16 } else { 0 }
        | if text.shadow.is_some() { 32 } else { 0 };
    let alignment = match text.align {
        Some(Align::Left) => 0,
        None => 1,
        Some(Align::Right) => 2,
    };
    let _ = write!(
        out,
        r#","typesetting":{},"alignment":{alignment},"letter_spacing":{:?},"line_spacing":0.02,"line_feed":1,"line_max_width":0.82,"force_apply_line_max_width":false,"check_flag":{flags},"type":"text","fixed_width":{},"fixed_height":{},"font_category_id":"","font_category_name":"","font_id":"","font_name":"","font_path":"","font_resource_id":"","font_size":15.0,"font_source_platform":0,"font_team_id":"","font_title":"none","font_url":"","fonts":"#,
        i32::from(text.vertical),
        text.letter_spacing.unwrap_or(0.0),
        text.fixed_width.unwrap_or(-1),
        text.fixed_height.unwrap_or(-1),
    );
    list(out, text.part_fonts.iter().flatten(), write_font);
    if let Some(background) = &text.background {
        let _ = write!(out, ",\"background_style\":{}", background.style);
        out.push_str(",\"background_color\":");
        string(out, &background.color);
        for (name, value) in [
            (",\"background_alpha\":", background.alpha),
            (",\"background_round_radius\":", background.round_radius),
            (",\"background_height\":", background.height),
            (",\"background_width\":", background.width),
            (
                ",\"background_horizontal_offset\":",
                background.horizontal_offset,
            ),
            (
                ",\"background_vertical_offset\":",
                background.vertical_offset,
            ),
        ] {
            out.push_str(name);
            float(out, value);
        }
    }
    if let Some(shadow) = &text.shadow {
        out.push_str(",\"has_shadow\":true,\"shadow_alpha\":");
        float(out, shadow.alpha);
        out.push_str(",\"shadow_angle\":");
        float(out, shadow.angle);
        out.push_str(",\"shadow_color\":");
        string(out, &shadow.color);
        out.push_str(",\"shadow_distance\":");
        float(out, shadow.distance);
        out.push_str(",\"shadow_smoothing\":");
        float(out, shadow.smoothing * 3.0);
    }
    // The API has no words; captions without them stay as it writes them.
    if !text.words.is_empty() {
        write_words(out, text);
    }
    if let Some(karaoke) = &text.karaoke {
        let Rgb(red, green, blue) = karaoke.color;
        let _ = write!(out, r##","ktv_color":"#{red:02x}{green:02x}{blue:02x}""##);
    }
    out.push('}');
}

/// The words of a caption in milliseconds from its start; what is between two words is an entry of its own.
// CapCut 8.9.1 writes blanks this way (19 of 19 app-saved captions).
fn write_words(out: &mut String, text: &TextContent) {
    let letters: Vec<char> = text.text.chars().collect();
    let ms = |time: Micros| (time.0 + 500) / 1000;
    let mut entries: Vec<(String, i64, i64)> = Vec::with_capacity(2 * text.words.len());
    let mut done = 0;
    let mut at = 0;
    for word in &text.words {
        let (from, to) = (word.from as usize, (word.to as usize).min(letters.len()));
        if from < done || to <= from {
            continue;
        }
        if from > done {
            let between: String = letters[done..from].iter().collect();
            entries.push((between, at, if at == 0 { 0 } else { ms(word.start) }));
        }
        entries.push((
            letters[from..to].iter().collect(),
            ms(word.start),
            ms(word.end),
        ));
        (done, at) = (to, ms(word.end));
    }
    if done < letters.len() {
        entries.push((letters[done..].iter().collect(), at, at));
    }
    out.push_str(",\"words\":{\"start_time\":");
    list(out, &entries, |out, entry| {
        let _ = write!(out, "{}", entry.1);
    });
    out.push_str(",\"end_time\":");
    list(out, &entries, |out, entry| {
        let _ = write!(out, "{}", entry.2);
    });
    out.push_str(",\"text\":");
    list(out, &entries, |out, entry| string(out, &entry.0));
    out.push('}');
}

fn write_font(out: &mut String, font: &Font) {
    out.push_str(r#"{"category_id":"preset","category_name":"剪映预设","effect_id":"#);
    string(out, &font.resource_id);
    // The API writes these two constants for every font.
    out.push_str(r#","file_uri":"","id":"BFBA9655-1FE5-41A0-A85D-577EFFF17BDD","path":"#);
    string(out, &format!("C:/{}.ttf", font.name));
    out.push_str(r#","request_id":"20250713102314DA3D8F267527925ADC9A","resource_id":"#);
    string(out, &font.resource_id);
    out.push_str(",\"source_platform\":0,\"team_id\":\"\",\"title\":");
    string(out, &font.name);
    out.push('}');
}

/// The JSON inside a text material.
fn text_content(text: &TextContent) -> String {
    let mut out = String::with_capacity(384 * text.styles.len() + 2 * text.text.len() + 32);
    out.push_str("{\"styles\": [");
    for (index, style) in text.styles.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(
            r#"{"fill": {"alpha": 1.0, "content": {"render_type": "solid", "solid": {"alpha": "#,
        );
        float(&mut out, style.alpha);
        out.push_str(", \"color\": ");
        rgb(&mut out, style.color.parts());
        let _ = write!(
            out,
            r#"}}}}}}, "range": [{}, {}], "size": "#,
            style.range.0, style.range.1
        );
        float(&mut out, style.size);
        let _ = write!(
            out,
            r#", "bold": {}, "italic": {}, "underline": {}, "strokes": ["#,
            style.bold, style.italic, style.underline
        );
        if let Some(stroke) = &style.stroke {
            out.push_str("{\"content\": {\"solid\": {\"alpha\": ");
            float(&mut out, stroke.alpha);
            out.push_str(", \"color\": ");
            rgb(&mut out, stroke.color.parts());
            out.push_str("}}, \"width\": ");
            float(&mut out, stroke.width / 100.0 * 0.2);
            out.push('}');
        }
        out.push(']');
        if let (Some(shadow), None) = (&text.shadow, &text.part_fonts) {
            out.push_str(", \"shadows\": [{\"diffuse\": ");
            float(&mut out, shadow.smoothing / 6.0);
            out.push_str(", \"angle\": ");
            float(&mut out, shadow.angle);
            out.push_str(", \"content\": {\"solid\": {\"color\": ");
            rgb(&mut out, shadow.rgb.parts());
            out.push_str("}}, \"distance\": ");
            float(&mut out, shadow.distance);
            out.push_str(", \"alpha\": ");
            float(&mut out, shadow.alpha);
            out.push_str("}]");
        }
        if let Some(font) = &style.font {
            out.push_str(", \"font\": {\"id\": ");
            string(&mut out, &font.resource_id);
            out.push_str(", \"path\": ");
            string(&mut out, &format!("C:/{}.ttf", font.name));
            out.push('}');
        }
        if let Some(effect) = &text.effect {
            out.push_str(", \"effectStyle\": {\"id\": ");
            string(&mut out, &effect.effect_id);
            out.push_str(", \"path\": \"C:\"}");
        }
        out.push('}');
    }
    out.push_str("], \"text\": ");
    string(&mut out, &text.text);
    out.push('}');
    out
}

fn write_track(out: &mut String, track: &Track) {
    let _ = write!(
        out,
        r#"{{"attribute":0,"flag":0,"id":"{}","is_default_name":{},"name":"#,
        track.id,
        track.name.is_empty()
    );
    string(out, &track.name);
    out.push_str(",\"segments\":");
    list(out, track.segments(), |out, segment| {
        write_segment(out, track, segment);
    });
    let _ = write!(out, ",\"type\":\"{}\"}}", track.kind.name());
}

fn write_segment(out: &mut String, track: &Track, segment: &Segment) {
    let _ = write!(
        out,
        r#"{{"enable_adjust":true,"enable_color_correct_adjust":false,"enable_color_curves":true,"enable_color_match_adjust":false,"enable_color_wheels":true,"enable_lut":true,"enable_smart_color_adjust":false,"last_nonzero_volume":1.0,"reverse":false,"track_attribute":0,"track_render_index":0,"visible":true,"id":"{}","material_id":"{}","target_timerange":"#,
        segment.id,
        segment.content.material()
    );
    range(out, segment.target);
    out.push_str(",\"common_keyframes\":");
    list(out, &segment.keyframes, keyframes);
    out.push_str(",\"keyframe_refs\":[]");
    match &segment.content {
        SegmentContent::Picture(picture) => {
            out.push_str(",\"source_timerange\":");
            range(out, picture.source);
            out.push_str(",\"speed\":");
            optional(out, picture.speed);
            out.push_str(",\"volume\":");
            float(out, picture.volume);
            let animations = picture.animations.as_ref().map(|a| a.id);
            let transition = picture.transition.as_ref().map(|t| t.id);
            let mask = picture.mask.as_ref().map(|m| m.id);
            let blur = picture.blur.as_ref().map(|b| b.id);
            refs(out, picture.speed_id, [animations, transition, mask, blur]);
            clip(out, &picture.clip);
            out.push_str(r#","hdr_settings":{"intensity":1.0,"mode":1,"nits":1000}"#);
        }
        SegmentContent::Sound(sound) => {
            out.push_str(",\"source_timerange\":");
            range(out, sound.source);
            out.push_str(",\"speed\":");
            float(out, sound.speed);
            out.push_str(",\"volume\":");
            float(out, sound.volume);
            let effect = sound.effect.as_ref().map(|e| e.id);
            let fade = sound.fade.as_ref().map(|f| f.id);
            refs(out, sound.speed_id, [effect, fade]);
            out.push_str(",\"clip\":null,\"hdr_settings\":null");
        }
        SegmentContent::Text(text) => {
            out.push_str(",\"source_timerange\":null,\"speed\":1.0,\"volume\":1.0");
            let bubble = text.bubble.as_ref().map(|b| b.id);
            let effect = text.effect.as_ref().map(|e| e.id);
            let animations = text.animations.as_ref().map(|a| a.id);
            refs(out, undefined_speed(segment), [bubble, effect, animations]);
            clip(out, &text.clip);
        }
        SegmentContent::Sticker(sticker) => {
            out.push_str(",\"source_timerange\":null,\"speed\":1.0,\"volume\":1.0");
            refs(out, undefined_speed(segment), []);
            clip(out, &sticker.clip);
        }
        SegmentContent::Effect(_) | SegmentContent::Filter(_) => {}
    }
    out.push_str(",\"render_index\":");
    number(out, track.render_index);
    out.push('}');
}

/// In texts and stickers, the API refers to a speed that it does not define.
fn undefined_speed(segment: &Segment) -> Id {
    Id(segment.id.0 ^ 0xffff)
}

fn refs<const N: usize>(out: &mut String, speed: Id, others: [Option<Id>; N]) {
    let _ = write!(out, ",\"extra_material_refs\":[\"{speed}\"");
    for id in others.into_iter().flatten() {
        let _ = write!(out, ",\"{id}\"");
    }
    out.push(']');
}

fn clip(out: &mut String, clip: &Clip) {
    out.push_str(",\"clip\":{\"alpha\":");
    float(out, clip.alpha);
    let _ = write!(
        out,
        r#","flip":{{"horizontal":{},"vertical":{}}},"rotation":"#,
        clip.flip_horizontal, clip.flip_vertical
    );
    float(out, clip.rotation);
    out.push_str(",\"scale\":{\"x\":");
    float(out, clip.scale_x);
    out.push_str(",\"y\":");
    float(out, clip.scale_y);
    out.push_str("},\"transform\":{\"x\":");
    float(out, clip.transform_x);
    out.push_str(",\"y\":");
    float(out, clip.transform_y);
    let _ = write!(
        out,
        "}}}},\"uniform_scale\":{{\"on\":{},\"value\":1.0}}",
        clip.uniform
    );
}

fn keyframes(out: &mut String, keyframes: &Keyframes) {
    let _ = write!(out, r#"{{"id":"{}","keyframe_list":"#, keyframes.id);
    let points = &keyframes.points;
    let handles = |index: usize| {
        let (first, second) = (points.get(index)?, points.get(index + 1)?);
        let easing = capcut_draft::Easing(first.easing?);
        Some(easing.handles((second.offset - first.offset).0, second.value - first.value))
    };
    list(out, points.iter().enumerate(), |out, (index, point)| {
        let right = handles(index).map(|[right, _]| right);
        let left = index.checked_sub(1).and_then(handles).map(|[_, left]| left);
        let curve = match (left, right) {
            (None, None) => "Line",
            _ => "FreeCurveInOut",
        };
        let _ = write!(out, r#"{{"curveType":"{curve}","graphID":"","#);
        for (name, handle) in [("left_control", left), ("right_control", right)] {
            let (x, y) = handle.unwrap_or((0.0, 0.0));
            let _ = write!(out, r#""{name}":{{"x":{x:?},"y":{y:?}}},"#);
        }
        let _ = write!(
            out,
            r#""id":"{}","time_offset":{},"values":["#,
            point.id, point.offset.0
        );
        float(out, point.value);
        out.push_str("]}");
    });
    let _ = write!(
        out,
        r#","material_id":"","property_type":"{}"}}"#,
        keyframes.property.document_name()
    );
}

fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn range(out: &mut String, range: Range) {
    let _ = write!(
        out,
        r#"{{"start":{},"duration":{}}}"#,
        range.start.0, range.duration.0
    );
}

fn rgb(out: &mut String, parts: [f64; 3]) {
    let [red, green, blue] = parts;
    let _ = write!(out, "[{red:?}, {green:?}, {blue:?}]");
}

fn optional(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => float(out, value),
        None => out.push_str("null"),
    }
}

/// Writes a number with a fraction (`1.0`), as the API writes most numbers.
fn float(out: &mut String, value: f64) {
    let _ = write!(out, "{value:?}");
}

/// Writes a whole number without a fraction.
fn number(out: &mut String, value: f64) {
    let _ = write!(out, "{value}");
}

fn string(out: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_) => out.push_str("\"\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::material::MediaProperties;

    #[test]
    fn paths_use_the_syntax_of_the_folders_system() {
        let check = |folder, expected: &str| {
            let mut draft = crate::draft::tests::empty();
            draft.id = crate::draft::ids::DraftId("d".into());
            let media = MediaMaterial::new(
                MediaKind::Video,
                "u",
                Some(folder),
                MediaProperties::default(),
            );
            let name = &media.name;
            assert_eq!(
                path(&draft, &media),
                expected.replace("NAME", name),
                "{folder}"
            );
        };
        check("C:\\Users\\me\\", "C:\\Users\\me\\d\\assets\\video\\NAME");
        check("F:\\a/b\\c", "F:\\a\\b\\c\\d\\assets\\video\\NAME");
        check("E:\\", "E:\\d\\assets\\video\\NAME");
        check("C:/Users/me", "C:/Users/me/d/assets/video/NAME");
        check("/x/", "/x/d/assets/video/NAME");
        check("", "");
    }

    #[test]
    fn an_empty_draft_is_written_from_the_template() {
        let document: serde_json::Value =
            serde_json::from_str(&write(&crate::draft::tests::empty())).unwrap();
        assert_eq!(document["canvas_config"]["width"], 1080);
        assert_eq!(document["tracks"], serde_json::json!([]));
        assert!(document["materials"]["common_mask"].is_array());
    }
}
