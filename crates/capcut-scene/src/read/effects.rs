//! Reads what changes the picture of a clip: masks, colours, backgrounds, blend modes, animations and transitions.

use std::sync::Arc;

use capcut_draft::{ClipKind, ClipRef, Document, KeyframeList, MaterialRef, TimeRange, field};
use serde_json::Value;

use super::values::{animated, limited, limited_time};
use super::{Outer, Reader, Source, usage};
use crate::animated::Animated;
use crate::animation::{AnimationPhase, find_animation};
use crate::look::{Adjustment, ChromaKey};
use crate::movie::{Animation, Backdrop, Clip, Joint, Mask, MaskShape, Medium, MediumKind, What};
use crate::scene::{Blend, Color};
use crate::transition::{TransitionForm, find_transition};

/// How far apart two clips may be that a transition joins, microseconds.
const LARGEST_GAP: i64 = 100_000;
/// The words of filters without colours.
const GRAY: [&str; 6] = ["黑白", "b&w", "black and white", "mono", "noir", "gray"];

/// The blend modes by the resource ids of both editions, and their names.
static BLENDS: [(&str, Blend, &str, &str); 11] = [
    (
        "6758325895519277582",
        Blend::Multiply,
        "multiply",
        "正片叠底",
    ),
    ("6758325170760323597", Blend::Screen, "screen", "滤色"),
    ("", Blend::Add, "add", "线性减淡"),
    ("6758324839670354445", Blend::Darken, "darken", "变暗"),
    ("6758324919789949453", Blend::Lighten, "lighten", "变亮"),
    ("6758324989931295240", Blend::Overlay, "overlay", "叠加"),
    (
        "6758325264670790152",
        Blend::HardLight,
        "hard light",
        "强光",
    ),
    (
        "6758325439212556814",
        Blend::SoftLight,
        "soft light",
        "柔光",
    ),
    (
        "6758325800031752712",
        Blend::ColorDodge,
        "color dodge",
        "颜色减淡",
    ),
    (
        "6758325724848853518",
        Blend::ColorBurn,
        "color burn",
        "颜色加深",
    ),
    (
        "6758325619253056013",
        Blend::LinearBurn,
        "linear burn",
        "线性加深",
    ),
];

/// The blend modes whose formula is sure.
const SURE: [Blend; 4] = [Blend::Normal, Blend::Multiply, Blend::Screen, Blend::Add];

impl Reader {
    /// Fills what the `effects` of a clip and its other additional materials say.
    pub(super) fn effects(
        &mut self,
        source: &Source<'_>,
        own: ClipRef,
        lists: &[KeyframeList],
        clip: &mut Clip,
    ) {
        let document = source.document;
        let name = clip.name.clone();
        let main = document.main_material(own);
        let filter = main.filter(|_| document.clip_kind(own) == ClipKind::Filter);
        let effects = companions(document, own, "effects");
        for effect in filter.into_iter().chain(effects) {
            self.effect(document, effect, lists, clip);
        }
        // Keyframes may animate an adjustment whose material is missing.
        for adjustment in Adjustment::ALL {
            let key = adjustment.keys().1;
            let is_new = clip.adjustments.iter().all(|(own, _)| *own != adjustment);
            if is_new && lists.iter().any(|list| list.property == key) {
                clip.adjustments
                    .push((adjustment, animated(lists, key, 0.0)));
            }
        }
        for (adjustment, _) in &clip.adjustments {
            self.note(
                &name,
                adjustment.keys().0,
                false,
                "the app's formulas for adjustments are not public; the direction is right, the strength about so",
            );
        }
        for effect in companions(document, own, "video_effects") {
            let effect = document.value(effect, &field::material::NAME);
            self.note(
                &name,
                "effect_type",
                true,
                format!("the effect \"{effect}\" is not drawn"),
            );
        }
        if let Some(chroma) = document.companion(own, &["chromas"]) {
            clip.chroma = chroma_key(document, chroma);
            self.note(
                &name,
                "chroma_key",
                false,
                "the key's edges differ a little from the app's",
            );
        }
        if let Some(mask) = document.companion(own, &["common_mask", "masks"]) {
            self.mask(document, mask, lists, clip);
        }
        if matches!(clip.what, What::Picture { .. } | What::Compound(_)) {
            self.backdrop(source, own, clip);
        }
        self.animations(document, own, clip);
        self.switches(document, own, &name);
    }

    fn effect(
        &mut self,
        document: &Document,
        effect: MaterialRef,
        lists: &[KeyframeList],
        clip: &mut Clip,
    ) {
        let kind = document.value(effect, &field::material::KIND);
        let name = document.value(effect, &field::material::NAME);
        let value = document.number(effect, &["value"]).unwrap_or(0.0);
        if let Some(adjustment) = Adjustment::ALL.into_iter().find(|own| own.keys().0 == kind) {
            let value = animated(lists, adjustment.keys().1, limited(value));
            if clip.adjustments.iter().all(|(own, _)| *own != adjustment) {
                clip.adjustments.push((adjustment, value));
            }
            return;
        }
        let own = clip.name.clone();
        match &*kind {
            "mix_mode" => {
                let id = document.value(effect, &field::material::RESOURCE_ID);
                clip.blend = self.blend(&own, &name, &id);
            }
            "filter" => self.filter(&own, &name, value, clip),
            // Of texts; they have notes of their own.
            "text_effect" | "text_shape" => {}
            _ => {
                let subject = if name.is_empty() { &kind } else { &name };
                self.note(&own, &kind, true, format!("\"{subject}\" is not drawn"));
            }
        }
    }

    fn blend(&mut self, own: &Arc<str>, name: &str, id: &str) -> Blend {
        let lower = name.trim().to_lowercase().replace('_', " ");
        let found = BLENDS.iter().find(|(known, _, english, chinese)| {
            !known.is_empty() && *known == id || *english == lower || *chinese == lower
        });
        let Some((_, blend, ..)) = found else {
            if !matches!(&*lower, "" | "normal" | "none" | "正常") {
                self.note(
                    own,
                    "blend_mode",
                    false,
                    format!("the blend mode \"{name}\" is drawn as \"Normal\""),
                );
            }
            return Blend::Normal;
        };
        if !SURE.contains(blend) {
            self.note(
                own,
                "blend_mode",
                false,
                format!(
                    "the blend mode \"{name}\" is drawn with the usual formula of image editors"
                ),
            );
        }
        *blend
    }

    /// A colour filter: those without colours are drawn, others left out.
    fn filter(&mut self, own: &Arc<str>, name: &str, strength: f64, clip: &mut Clip) {
        if is_gray(name) {
            let value = Animated::fixed(-limited(strength).clamp(0.0, 1.0));
            clip.adjustments.push((Adjustment::Saturation, value));
            self.note(
                own,
                "filter",
                false,
                format!("the filter \"{name}\" is drawn as a picture without colours"),
            );
        } else {
            self.note(
                own,
                "filter",
                true,
                format!("the filter \"{name}\" is not drawn"),
            );
        }
    }

    fn mask(
        &mut self,
        document: &Document,
        mask: MaterialRef,
        lists: &[KeyframeList],
        clip: &mut Clip,
    ) {
        let name = document.value(mask, &field::material::NAME);
        let kind = document.text(mask, &["resource_type"]).unwrap_or_default();
        let shape = match &*kind {
            "line" => MaskShape::Linear,
            "mirror" => MaskShape::Mirror,
            "circle" => MaskShape::Circle,
            "rectangle" => MaskShape::Rectangle,
            "heart" => MaskShape::Heart,
            "pentagram" | "star" => MaskShape::Star,
            "geometric_shape" if name.contains('星') || name.to_lowercase().contains("star") => {
                MaskShape::Star
            }
            "geometric_shape" => MaskShape::Heart,
            _ => {
                let subject = if name.is_empty() { &*kind } else { &name };
                self.note(
                    &clip.name,
                    "mask_type",
                    true,
                    format!("the mask \"{subject}\" is not drawn; the whole picture is shown"),
                );
                return;
            }
        };
        let number = |key: &str, default: f64| {
            limited(document.number(mask, &["config", key]).unwrap_or(default))
        };
        let value = |key: &str, keyframes: &str, default: f64| {
            let key_name = format!("KFTypeCommonMask{keyframes}");
            animated(lists, &key_name, number(key, default))
        };
        clip.masks.push(Mask {
            shape,
            x: value("centerX", "PositionX", 0.0),
            y: value("centerY", "PositionY", 0.0),
            width: value("width", "SizeWidth", 0.5),
            height: value("height", "SizeHeight", 0.5),
            rotation: value("rotation", "Rotation", 0.0),
            feather: value("feather", "Feather", 0.0),
            round_corner: value("roundCorner", "RoundCorner", 0.0),
            inverted: document.flag(mask, &["config", "invert"]) == Some(true),
        });
        self.note(
            &clip.name,
            "mask_type",
            false,
            "the size of the mask is a part of the picture, as most tools write it; its soft edge is approximate",
        );
    }

    fn backdrop(&mut self, source: &Source<'_>, own: ClipRef, clip: &mut Clip) {
        let document = source.document;
        let Some(canvas) = document.companion(own, &["canvases"]) else {
            return;
        };
        let kind = document.value(canvas, &field::material::KIND);
        let text = |key: &str| document.text(canvas, &[key]).unwrap_or_default();
        clip.backdrop = match &*kind {
            "canvas_blur" => {
                let level = limited(document.number(canvas, &["blur"]).unwrap_or(0.0));
                self.note(
                    &clip.name,
                    "background_blur",
                    false,
                    "the strength of the blur behind the picture is approximate",
                );
                (level > 0.0).then(|| Backdrop::Blur(level.min(1.0)))
            }
            "canvas_image" if !text("image").is_empty() => {
                let path = text("image").into_owned();
                let medium = self.medium(Medium {
                    path,
                    kind: MediumKind::Picture,
                    size: (0, 0),
                    duration: 0,
                    uses: Vec::new(),
                });
                let uses = &mut self.movie.media[medium].uses;
                uses.push(usage(
                    source.outer,
                    &clip.name,
                    &clip.clock,
                    clip.clock.target,
                ));
                Some(Backdrop::Picture {
                    medium,
                    usage: uses.len() - 1,
                })
            }
            _ => Color::read(&text("color"))
                .filter(|color| color.alpha > 0.0)
                .map(Backdrop::Color),
        };
    }

    fn animations(&mut self, document: &Document, own: ClipRef, clip: &mut Clip) {
        let Some(material) = document.companion(own, &["material_animations"]) else {
            return;
        };
        let rows = document.raw(material, &["animations"]);
        let rows = rows.and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
        let rows = rows.as_ref().and_then(Value::as_array);
        let is_text = document.clip_kind(own) == ClipKind::Text;
        let whole = clip.clock.target.duration;
        // Documents have three at most.
        for row in rows.into_iter().flatten().take(8) {
            let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
            let time = |key: &str| {
                let time = row.get(key).and_then(Value::as_f64).unwrap_or_default();
                limited_time(time) as i64
            };
            let (name, kind) = (text("name"), text("type"));
            // What follows the words of a caption is read with its text.
            if kind == "caption" && is_text {
                continue;
            }
            let length = time("duration").clamp(0, whole);
            let start = time("start").clamp(0, whole);
            let (phase, range, property) = match kind {
                "in" => (
                    AnimationPhase::In,
                    TimeRange {
                        start,
                        duration: length,
                    },
                    "intro_animation",
                ),
                "out" => (
                    AnimationPhase::Out,
                    TimeRange::between(whole - length, whole),
                    "outro_animation",
                ),
                "group" | "loop" => {
                    let end = if length == 0 {
                        whole
                    } else {
                        (start + length).min(whole)
                    };
                    let property = if kind == "loop" {
                        "loop_animation"
                    } else {
                        "combo_animation"
                    };
                    (
                        AnimationPhase::Loop,
                        TimeRange::between(start, end),
                        property,
                    )
                }
                _ => {
                    if !name.is_empty() {
                        self.note(
                            &clip.name,
                            "animation",
                            true,
                            format!("the animation \"{name}\" of its words is not drawn"),
                        );
                    }
                    continue;
                }
            };
            if range.duration <= 0 {
                continue;
            }
            let (form, is_own) = find_animation(name, phase, is_text);
            let how = if is_own {
                "has a form of its own, without the app's details"
            } else if phase == AnimationPhase::Loop {
                "is drawn as slow growth"
            } else {
                "is drawn as a fade"
            };
            self.note(
                &clip.name,
                property,
                false,
                format!("the animation \"{name}\" {how}"),
            );
            clip.animations.push(Animation { form, phase, range });
        }
    }

    /// What only the app can do.
    fn switches(&mut self, document: &Document, own: ClipRef, name: &Arc<str>) {
        if document.flag(own, &["reverse"]) == Some(true) {
            self.note(
                name,
                "reverse",
                true,
                "the clip is shown forwards: the app plays a reversed clip from a file of its own",
            );
        }
        let Some(main) = document.main_material(own) else {
            return;
        };
        if document.number(main, &["matting", "flag"]).unwrap_or(0.0) > 0.0 {
            self.note(
                name,
                "remove_background",
                true,
                "the background is shown: the app cuts it out itself",
            );
        }
        if document
            .number(main, &["stable", "stable_level"])
            .unwrap_or(0.0)
            > 0.0
        {
            self.note(name, "stabilize", true, "the picture is not steadied");
        }
    }

    /// The transition after a clip: its form and length, microseconds.
    pub(super) fn transition(
        &mut self,
        document: &Document,
        own: ClipRef,
        name: &Arc<str>,
    ) -> Option<(TransitionForm, i64)> {
        let material = document.companion(own, &["transitions"])?;
        let length = document.value(material, &field::material::DURATION);
        let title = document.value(material, &field::material::NAME);
        let resource = document.value(material, &field::material::RESOURCE_ID);
        let effect = document.text(material, &["effect_id"]).unwrap_or_default();
        let (form, is_own) = find_transition(&title, &[&*resource, &*effect]);
        let how = if is_own {
            "has a form of its own, without the app's details"
        } else {
            "is drawn as a dissolve"
        };
        self.note(
            name,
            "transition",
            false,
            format!("the transition \"{title}\" {how}"),
        );
        (length > 0).then_some((form, length))
    }

    /// The transitions between the clips of a track, which are in the order of their starts.
    pub(super) fn joints(
        &mut self,
        outer: &Outer,
        clips: &[Clip],
        transitions: &[Option<(TransitionForm, i64)>],
    ) -> Vec<Joint> {
        let mut joints = Vec::new();
        for (first, pair) in clips.windows(2).enumerate() {
            let Some((form, length)) = transitions[first] else {
                continue;
            };
            let (left, right) = (pair[0].clock.target, pair[1].clock.target);
            let cut = left.end();
            if (right.start - cut).abs() > LARGEST_GAP && right.start > cut {
                continue;
            }
            let range = if right.start < cut {
                // CapCut 1.5 lets the clips overlap.
                TimeRange::between(right.start.max(left.start), cut.min(right.end()))
            } else {
                let half = (length / 2).min(left.duration).min(right.duration);
                TimeRange::between(cut - half, cut + half)
            };
            if range.duration <= 0 {
                continue;
            }
            for clip in pair {
                let target = clip.clock.target;
                let start = target.start.min(range.start);
                let shown = TimeRange::between(start, target.end().max(range.end()));
                if let What::Picture {
                    medium,
                    usage: index,
                    ..
                } = clip.what
                {
                    let known = &mut self.movie.media[medium].uses[index];
                    let wider = usage(outer, &clip.name, &clip.clock, shown);
                    let start = known.shown.start.min(wider.shown.start);
                    let end = known.shown.end().max(wider.shown.end());
                    known.shown = TimeRange::between(start, end);
                    let start = known.source.start.min(wider.source.start);
                    let end = known.source.end().max(wider.source.end());
                    known.source = TimeRange::between(start, end);
                }
            }
            joints.push(Joint {
                first,
                second: first + 1,
                range,
                form,
            });
        }
        joints.sort_by_key(|joint| joint.range.start);
        joints
    }
}

/// Whether a filter takes all colours away.
pub(super) fn is_gray(filter: &str) -> bool {
    let name = filter.to_lowercase();
    GRAY.iter().any(|word| name.contains(word))
}

/// The additional materials of a clip in a list.
pub(super) fn companions(document: &Document, own: ClipRef, list: &str) -> Vec<MaterialRef> {
    let refs = document.refs(own);
    // No clip has more; documents may repeat ids.
    let refs = refs.iter().take(200);
    refs.filter_map(|id| document.material_in(list, id))
        .collect()
}

fn chroma_key(document: &Document, chroma: MaterialRef) -> Option<ChromaKey> {
    let color = Color::read(&document.text(chroma, &["color"])?)?;
    let value = |key: &str| {
        let value = limited(document.number(chroma, &[key]).unwrap_or(0.0));
        // Older documents count to 100.
        if value > 1.0 { value / 100.0 } else { value }.clamp(0.0, 1.0)
    };
    Some(ChromaKey {
        color,
        strength: value("intensity_value"),
        shadow: value("shadow_value"),
        edge: value("edge_smooth_value"),
        spill: value("spill_value"),
    })
}
