//! The properties of clips: one list with units, ranges, defaults, descriptions, and where a document has them. Tools that
//! add clips, plans, `set` and the documentation derive from it.

use serde::Deserialize;
use serde_json::Value;

use crate::curve::SpeedCurve;
use crate::error::{Error, Result, nearest, quoted_list};
use crate::kinds::ClipKind::{
    self, Adjust, Audio, Compound, Effect, Filter, Image, Sticker, Text, TextTemplate, Unknown,
    Video,
};
use crate::measure::{
    ADJUSTMENT, ALIGNMENT, ANGLE, BACKGROUND_STYLE, BOX, COLOR, CROP, FIT, FONT_SIZE, FRACTION, ID,
    LEVEL, LOUDNESS, LOUDNESS_CURVE, MOTION, Measure, NAME, NUMERIC_ID, ONE_SIDED, OPACITY,
    PARAMETERS, PIXEL_BOX, PIXELS, POSITION, SCALE, SHORT_TIME, SIDE, SPACING, SPEED, SPEED_CURVE,
    STRENGTH, SWITCH, TEXT_PARTS, TIME, Unit, WORDS,
};
use crate::ops::KeyframeValue;
use crate::ops::parts::TextPart;
use crate::resource::ResourceKind;

/// Where a document has a property.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Storage {
    /// In the clip itself.
    Clip(&'static [&'static str]),
    /// In the material of the clip; the stored value is the given one times a factor.
    Material(&'static [&'static str], f64),
    /// In the mask of the clip; the stored value is the given one times a factor.
    Mask(&'static [&'static str], f64),
    /// In the styles of a text: the path in each style, and the key of the material that repeats it.
    Style(&'static [&'static str], Option<&'static str>),
    /// More than one value depends on it.
    Special,
    /// An additional material of this type and version, whose value is that of the property.
    Adjustment(&'static str, &'static str),
    /// A thing of the app's catalog, by its name.
    Resource(ResourceKind),
    /// `set` does not change it: why, and what does.
    Refused(&'static str),
    /// An operation makes it, neither `set` nor the calls that add clips: which one.
    Operation(&'static str),
    /// Only the app can do it: why, and what to do instead.
    InApp(&'static str),
}

/// A value that a property has if none is given.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PropertyDefault {
    /// It has none: what it is then depends on other values.
    Unset,
    Number(f64),
    Switch(bool),
    Text(&'static str),
}

/// A property as an argument of the tools that add clips.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PropertyArgument {
    pub measure: &'static Measure,
    /// Begin and end of the description; the measure's words stand between them.
    about: (&'static str, &'static str),
    /// The descriptions of tools that have one of their own.
    own_about: &'static [(&'static str, &'static str)],
    /// The defaults of tools that differ from what a clip has without the property.
    defaults: &'static [(&'static str, PropertyDefault)],
    /// Whether the list of tools names it. Rare ones are accepted without that: a model reads the list in every
    /// conversation.
    pub is_listed: bool,
}

/// A property of clips.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Property {
    pub name: &'static str,
    /// Other names that are accepted; tools have some of them as arguments.
    pub aliases: &'static [&'static str],
    /// What it is, in a few words.
    pub about: &'static str,
    pub measure: &'static Measure,
    /// What a clip has without it.
    pub default: PropertyDefault,
    /// The kinds of clips that have it.
    pub kinds: &'static [ClipKind],
    /// How tools that add clips have it, if they do.
    pub argument: Option<PropertyArgument>,
    pub(crate) storage: Storage,
}

const SOUND: &[ClipKind] = &[Video, Audio, Compound];
const PICTURE: &[ClipKind] = &[Video, Image, Sticker, Text, Compound, TextTemplate];
const MASKED: &[ClipKind] = &[Video, Image, Compound];
const TEXTS: &[ClipKind] = &[Text];
const PICTURES: &[ClipKind] = &[Video, Image];
const ANIMATED: &[ClipKind] = &[Video, Image, Text];
const EFFECTS: &[ClipKind] = &[Audio, Effect, Video, Image];
const GRADED: &[ClipKind] = &[Video, Image, Compound, Adjust];
const FILTERED: &[ClipKind] = &[Video, Image, Compound, Filter];
const COLORED: &[ClipKind] = &[Text, Video, Image, Compound];
const STICKERS: &[ClipKind] = &[Sticker];
const FILES: &[ClipKind] = &[Video, Image, Audio];
const ALL: &[ClipKind] = &[
    Video,
    Image,
    Audio,
    Text,
    Sticker,
    Effect,
    Filter,
    Adjust,
    Compound,
    TextTemplate,
    Unknown,
];

const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    measure: &'static Measure,
    default: PropertyDefault,
    kinds: &'static [ClipKind],
    storage: Storage,
) -> Property {
    Property {
        name,
        aliases,
        about,
        measure,
        default,
        kinds,
        argument: None,
        storage,
    }
}

impl Property {
    /// The property is an argument of tools, with the same measure.
    const fn argument(mut self, begin: &'static str, end: &'static str) -> Self {
        self.argument = Some(PropertyArgument {
            measure: self.measure,
            about: (begin, end),
            own_about: &[],
            defaults: &[],
            is_listed: true,
        });
        self
    }

    /// The list of tools does not name the argument.
    const fn rare(mut self) -> Self {
        if let Some(argument) = &mut self.argument {
            argument.is_listed = false;
        }
        self
    }

    /// The argument has another measure.
    const fn in_measure(mut self, measure: &'static Measure) -> Self {
        if let Some(argument) = &mut self.argument {
            argument.measure = measure;
        }
        self
    }

    /// These tools describe it in other words.
    const fn described_in(mut self, own_about: &'static [(&'static str, &'static str)]) -> Self {
        if let Some(argument) = &mut self.argument {
            argument.own_about = own_about;
        }
        self
    }

    /// Why `set` does not change it, and what does.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        match self.storage {
            Storage::Refused(why) | Storage::Operation(why) | Storage::InApp(why) => Some(why),
            _ => None,
        }
    }

    /// Why only the app can do it, and what to do instead.
    #[must_use]
    pub const fn only_in_app(&self) -> Option<&'static str> {
        match self.storage {
            Storage::InApp(why) => Some(why),
            _ => None,
        }
    }

    /// Why calls that add clips do not take it, and what to do instead.
    #[must_use]
    pub const fn not_in_calls(&self) -> Option<&'static str> {
        match self.storage {
            Storage::Operation(why) | Storage::InApp(why) => Some(why),
            _ => None,
        }
    }

    /// Whether clips of this kind have it and `set` changes it.
    #[must_use]
    pub fn is_settable_on(&self, kind: ClipKind) -> bool {
        self.refusal().is_none() && self.kinds.contains(&kind)
    }

    /// The kind of thing of the app's catalog that its values name.
    #[must_use]
    pub const fn resource(&self) -> Option<ResourceKind> {
        match self.storage {
            Storage::Resource(kind) => Some(kind),
            _ => None,
        }
    }

    /// These tools have another default.
    const fn but_in(mut self, defaults: &'static [(&'static str, PropertyDefault)]) -> Self {
        if let Some(argument) = &mut self.argument {
            argument.defaults = defaults;
        }
        self
    }
}

use PropertyDefault::{Number, Switch, Text as Words, Unset};
use Storage::{
    Adjustment, Clip, InApp, Mask, Material, Operation, Refused, Resource, Special, Style,
};

const ONE: PropertyDefault = Number(1.0);
const ZERO: PropertyDefault = Number(0.0);
const HALF: PropertyDefault = Number(0.5);
/// The text's own size.
const AUTO: PropertyDefault = Number(-1.0);
const OFF: PropertyDefault = Switch(false);
const BLACK: PropertyDefault = Words("#000000");

const OFFSET: &[(&str, &str)] = &[("add_text", "0 to 1; 0.5 is centred.")];
const OWN_LENGTH: &str = "Seconds; 0: the animation's own.";

/// All properties. A row is all that a new property needs, if a document has it in one place.
#[rustfmt::skip]
pub static PROPERTIES: &[Property] = &[
    row("volume", &["loudness"], "loudness", &LOUDNESS, ONE, SOUND, Special).argument("Loudness", ""),
    row("volume_curve", &["volume_points"], "loudness over time, `at` on the timeline; also as a list in `volume`", &LOUDNESS_CURVE, Unset, SOUND, Special),
    row("mute", &["muted"], "whether its sound is off", &SWITCH, OFF, SOUND, Special),
    row("speed", &["playback_speed", "playback_rate"], "playback speed; the clip's length changes with it", &SPEED, ONE, SOUND, Special).argument("Playback speed", ""),
    row("keep_pitch", &["preserve_pitch"], "whether the sound keeps its pitch at another speed", &SWITCH, Switch(true), SOUND, Special),
    row("speed_curve", &["curve_speed", "speed_ramp"], "how fast each part plays, instead of `speed`; the clip's length changes with it", &SPEED_CURVE, Unset, &[Video], Special),
    row("reverse", &["reversed", "play_backwards"], "plays backwards", &SWITCH, OFF, SOUND,
        InApp("the app plays a clip backwards from a file that it renders itself, so no draft can ask for it: reverse the clip in the app")),
    row("stabilize", &["stabilise", "stabilization", "stabilisation"], "steadies a shaky video", &SWITCH, OFF, &[Video],
        InApp("the app analyses the video and stores the result in a file: switch it on in the app")),
    row("remove_background", &["matting", "cutout", "smart_cutout"], "makes the background of a person transparent", &SWITCH, OFF, PICTURES,
        InApp("the app renders the cutout to a file: switch it on in the app, or use `chroma_key` for a background of one colour")),
    row("freeze_frame", &["freeze"], "shows one frame for a while", &SWITCH, OFF, &[Video],
        Operation("the operation `freeze` of `edit_draft`, with `at` and `duration`, shows a frame for a while")),
    row("background_image", &["canvas_image", "background_picture"], "a picture around the clip", &ID, Unset, PICTURES,
        InApp("the app keeps such a picture in its own folder: add it on a track below with `fit` \"cover\"")),
    row("visible", &[], "whether the clip is shown", &SWITCH, Switch(true), ALL, Clip(&["visible"])),
    row("opacity", &["alpha", "font_alpha"], "opacity", &OPACITY, ONE, PICTURE, Special).argument("", ""),
    row("scale", &["uniform_scale"], "size, both ways", &SCALE, ONE, PICTURE, Special),
    row("scale_x", &[], "width", &SCALE, ONE, PICTURE, Special).argument("Width", "; 1 fits the canvas"),
    row("scale_y", &[], "height", &SCALE, ONE, PICTURE, Special).argument("Height", ""),
    row("position_x", &["transform_x", "x"], "distance from the centre to the right", &POSITION, ZERO, PICTURE, Clip(&["clip", "transform", "x"]))
        .argument("Half canvases: -1 left edge, 1 right", ""),
    row("position_y", &["transform_y", "y"], "distance from the centre upwards", &POSITION, ZERO, PICTURE, Clip(&["clip", "transform", "y"]))
        .argument("Half canvases: -1 bottom edge, 1 top", "").but_in(&[("add_subtitle", Number(-0.8))]),
    row("rotation", &["angle", "rotate"], "rotation", &ANGLE, ZERO, PICTURE, Clip(&["clip", "rotation"])).argument("Clockwise", ""),
    row("flip_horizontal", &[], "mirrored left to right", &SWITCH, OFF, PICTURE, Clip(&["clip", "flip", "horizontal"])).argument("Mirrored left to right", "").rare(),
    row("flip_vertical", &[], "mirrored top to bottom", &SWITCH, OFF, PICTURE, Clip(&["clip", "flip", "vertical"])).argument("Mirrored top to bottom", "").rare(),
    row("crop", &[], "the visible part of the picture", &CROP, Unset, PICTURES, Special),
    row("fit", &["object_fit", "scale_mode"], "size of the picture: \"cover\" fills the canvas or `box` and cuts, \"contain\" shows all of it, \"fill\" stretches it", &FIT, Unset, PICTURES, Special),
    row("box", &["fit_box", "bounding_box"], "the box for `fit`, instead of the canvas", &PIXEL_BOX, Unset, PICTURES, Special),
    row("motion", &["motion_preset", "camera_motion", "keyframe_preset"], "movement by keyframes, which replaces those of place and size; \"none\" removes them", &MOTION, Unset, PICTURE, Special),
    row("motion_strength", &["motion_intensity"], "how far `motion` moves", &STRENGTH, Number(50.0), PICTURE, Special),
    row("blend_mode", &["blend", "mix_mode", "blending_mode"], "how it mixes with what is below; \"none\" removes it", &NAME, Unset, MASKED, Resource(ResourceKind::BlendMode)),
    row("filter", &["filter_type", "filter_name", "color_filter"], "colour filter; \"none\" removes it", &NAME, Unset, FILTERED, Resource(ResourceKind::Filter)),
    row("filter_intensity", &["filter_strength"], "strength of the colour filter", &STRENGTH, Number(100.0), MASKED, Special),
    row("brightness", &[], "adjustment of the brightness", &ADJUSTMENT, ZERO, GRADED, Adjustment("brightness", "v2")),
    row("contrast", &[], "adjustment of the contrast", &ADJUSTMENT, ZERO, GRADED, Adjustment("contrast", "v3")),
    row("saturation", &[], "adjustment of the saturation", &ADJUSTMENT, ZERO, GRADED, Adjustment("saturation", "v1")),
    row("temperature", &["warmth", "color_temperature"], "colour temperature: below 0 cooler, above 0 warmer", &ADJUSTMENT, ZERO, GRADED, Adjustment("temperature", "v3")),
    row("tint", &["hue", "tone"], "tint: below 0 greener, above 0 more magenta", &ADJUSTMENT, ZERO, GRADED, Adjustment("tone", "v3")),
    row("highlights", &["highlight"], "adjustment of the bright parts", &ADJUSTMENT, ZERO, GRADED, Adjustment("highlight", "v3")),
    row("shadows", &[], "adjustment of the dark parts", &ADJUSTMENT, ZERO, GRADED, Adjustment("shadow", "v3")),
    row("whites", &[], "adjustment of white", &ADJUSTMENT, ZERO, GRADED, Adjustment("white", "")),
    row("blacks", &[], "adjustment of black", &ADJUSTMENT, ZERO, GRADED, Adjustment("black", "")),
    row("exposure", &["light_sensation", "brilliance"], "adjustment of the light", &ADJUSTMENT, ZERO, GRADED, Adjustment("light_sensation", "")),
    row("sharpen", &["sharpness"], "sharper edges", &ONE_SIDED, ZERO, GRADED, Adjustment("sharpen", "v1")),
    row("clarity", &[], "clearer structures", &ONE_SIDED, ZERO, GRADED, Adjustment("clear", "")),
    row("grain", &["film_grain", "particles", "noise"], "film grain", &ONE_SIDED, ZERO, GRADED, Adjustment("particle", "v2")),
    row("faded", &["matte"], "faded colours", &ONE_SIDED, ZERO, GRADED, Adjustment("fade", "")),
    row("vignette", &["vignetting"], "darker edges; below 0 brighter", &ADJUSTMENT, ZERO, GRADED, Adjustment("vignetting", "v1")),
    row("chroma_key", &["chroma_color", "green_screen", "key_color"], "the colour that becomes transparent", &COLOR, Unset, PICTURES, Special),
    row("chroma_strength", &["chroma_intensity", "chroma_similarity"], "how similar colours may be to become transparent", &STRENGTH, Number(20.0), PICTURES, Special),
    row("chroma_shadow", &[], "shadow of what stays", &STRENGTH, ZERO, PICTURES, Special),
    row("chroma_edge", &["chroma_smooth", "chroma_edge_smooth"], "soft edge of what stays", &STRENGTH, ZERO, PICTURES, Special),
    row("chroma_spill", &[], "removal of the colour at the edges", &STRENGTH, ZERO, PICTURES, Special),
    row("fade_in", &["fade_in_duration"], "length of the fade-in of the sound", &SHORT_TIME, ZERO, SOUND, Special).argument("Fade-in", ""),
    row("fade_out", &["fade_out_duration"], "length of the fade-out of the sound", &SHORT_TIME, ZERO, SOUND, Special).argument("Fade-out", ""),
    row("transition", &["transition_type"], "transition to the next clip; \"none\" removes it", &NAME, Unset, MASKED, Resource(ResourceKind::Transition))
        .argument("To the next clip; `search_catalog` kind transition", ""),
    row("transition_duration", &[], "length of the transition to the next clip", &SHORT_TIME, ZERO, MASKED, Special)
        .argument("", "").but_in(&[("add_image", HALF), ("add_video", HALF)]),
    row("background_blur", &[], "blur of the background behind the clip; 0 is none", &FRACTION, ZERO, MASKED, Special)
        .argument("Blurred background, weak to strong", "").in_measure(&LEVEL).but_in(&[("add_image", Unset), ("add_video", Unset)]),
    row("intro_animation", &["animation"], "entrance; \"none\" removes it", &NAME, Unset, ANIMATED, Resource(ResourceKind::Intro))
        .argument("", "").described_in(&[
            ("add_image", "Entrance; `search_catalog` kind video_intro."), ("add_text", "Entrance; `search_catalog` kind text_intro.")]),
    row("intro_duration", &["intro_animation_duration", "animation_duration"], "length of the entrance; 0: the animation's own", &SHORT_TIME, HALF, ANIMATED, Special)
        .argument("", "").described_in(&[("add_image", OWN_LENGTH)]),
    row("outro_animation", &[], "exit; \"none\" removes it", &NAME, Unset, ANIMATED, Resource(ResourceKind::Outro))
        .argument("", "").described_in(&[
            ("add_image", "Exit; `search_catalog` kind video_outro."), ("add_text", "Exit; `search_catalog` kind text_outro.")]),
    row("outro_duration", &["outro_animation_duration"], "length of the exit; 0: the animation's own", &SHORT_TIME, HALF, ANIMATED, Special)
        .argument("", "").rare().described_in(&[("add_image", OWN_LENGTH)]),
    row("combo_animation", &[], "animation instead of entrance and exit; \"none\" removes it", &NAME, Unset, PICTURES, Resource(ResourceKind::Combo))
        .argument("For the whole clip, instead of entrance and exit; kind video_combo", ""),
    row("combo_duration", &["combo_animation_duration"], "length of the combo animation; 0: the whole clip", &SHORT_TIME, HALF, PICTURES, Special)
        .argument("", "; 0: the whole clip").rare(),
    row("loop_animation", &["text_loop"], "animation between entrance and exit; \"none\" removes it", &NAME, Unset, TEXTS, Resource(ResourceKind::Loop)),
    row("effect_type", &["effect"], "effect of a sound, of a picture or of an effect clip; \"none\" removes that of a sound or picture", &NAME, Unset, EFFECTS, Resource(ResourceKind::Effect))
        .argument("", "").described_in(&[
            ("add_audio", "Voice or sound effect; `search_catalog` kinds voice_filter, audio_scene, tone, …"),
            ("add_effect", "Effect; `search_catalog` kind scene_effect or character_effect.")]),
    row("effect_params", &["params"], "parameters of the effect, in order or by name, such as {\"speed\": 50}",&PARAMETERS, Unset, EFFECTS, Special)
        .argument("Its parameters in order, each 0 to 100", ""),
    row("effect_keyframes", &["effect_param_keyframes"], "parameters of an effect that change over time", &STRENGTH, Unset, EFFECTS,
        InApp("the app keeps them in three numbered slots, and no document that an app saved shows which parameter is in which: animate the effect in the app, or use several effect clips with different `effect_params`")),
    row("effect_category", &[], "scene or character effect", &NAME, Unset, EFFECTS, Refused("it follows from the name: set `effect_type`")),
    row("sticker_id", &[], "the sticker", &NUMERIC_ID, Unset, STICKERS, Special)
        .argument("The sticker's resource id, digits; from the app or another draft", ""),
    row("strength", &["intensity"], "strength of a filter or effect clip, if the effect has one", &STRENGTH, Number(100.0), &[Effect, Filter], Special),
    row("mask_type", &["mask"], "shape of the mask; \"none\" removes it", &NAME, Unset, MASKED, Resource(ResourceKind::Mask))
        .argument("Such as \"Circle\"; `search_catalog` kind mask", ""),
    row("mask_center_x", &[], "centre of the mask, to the right", &POSITION, ZERO, MASKED, Mask(&["config", "centerX"], 1.0))
        .argument("Centre, pixels to the right of the middle", "").rare().in_measure(&PIXELS).but_in(&[("add_video", HALF)]),
    row("mask_center_y", &[], "centre of the mask, upwards", &POSITION, ZERO, MASKED, Mask(&["config", "centerY"], 1.0))
        .argument("Centre, pixels above the middle", "").rare().in_measure(&PIXELS).but_in(&[("add_video", HALF)]),
    row("mask_width", &["mask_rect_width"], "width of the mask", &SIDE, HALF, MASKED, Mask(&["config", "width"], 1.0))
        .argument("Rectangle's width", "").rare().but_in(&[("add_image", Unset), ("add_video", Unset)]),
    row("mask_height", &["mask_size"], "height of the mask", &SIDE, HALF, MASKED, Special)
        .argument("Height", " of the canvas").but_in(&[("add_video", ONE)]),
    row("mask_rotation", &[], "rotation of the mask", &ANGLE, ZERO, MASKED, Mask(&["config", "rotation"], 1.0)).argument("", "").rare(),
    row("mask_feather", &[], "soft edge of the mask", &STRENGTH, ZERO, MASKED, Mask(&["config", "feather"], 0.01)).argument("Soft edge", "").rare(),
    row("mask_round_corner", &[], "rounding of the mask's corners", &STRENGTH, ZERO, MASKED, Mask(&["config", "roundCorner"], 0.01))
        .argument("Corner rounding", "").rare().but_in(&[("add_image", Unset), ("add_video", Unset)]),
    row("mask_expansion", &["mask_expand"], "how far the mask grows beyond its shape", &STRENGTH, ZERO, MASKED,
        InApp("no document that an app saved shows its unit: set it in the app, or make the mask larger with `mask_width` and `mask_height`")),
    row("mask_invert", &[], "shows what is outside the mask", &SWITCH, OFF, MASKED, Mask(&["config", "invert"], 1.0))
        .argument("Shows what is outside the mask", "").rare(),
    row("text", &["words"], "the words", &WORDS, Words(""), TEXTS, Special).argument("The text; `\\n` breaks the line", ""),
    row("font", &["font_type", "font_name"], "font", &NAME, Unset, TEXTS, Resource(ResourceKind::Font))
        .argument("Font; `search_catalog` kind font", "")
        .but_in(&[("add_text", Words("文轩体")), ("add_subtitle", Words("思源粗宋"))]),
    row("font_size", &["size"], "size of the letters", &FONT_SIZE, Number(8.0), TEXTS, Style(&["size"], Some("font_size")))
        .argument("Size", "").but_in(&[("add_subtitle", Number(5.0))]),
    row("font_color", &["color", "text_color"], "colour of the letters", &COLOR, Words("#FFFFFF"), TEXTS, Special)
        .argument("Colour", ": \"#FFCC00\", \"red\", \"rgb(255, 204, 0)\""),
    row("bold", &[], "bold letters", &SWITCH, OFF, TEXTS, Special).argument("Bold", ""),
    row("italic", &[], "slanted letters", &SWITCH, OFF, TEXTS, Special).argument("Italic", ""),
    row("underline", &[], "underlined letters", &SWITCH, OFF, TEXTS, Style(&["underline"], Some("underline"))).argument("Underlined", ""),
    row("alignment", &["align", "text_align"], "alignment of the lines", &ALIGNMENT, Words("center"), TEXTS, Special),
    row("vertical", &[], "letters from top to bottom", &SWITCH, OFF, TEXTS, Special).argument("Top-to-bottom text", "").rare(),
    row("letter_spacing", &[], "space between letters, as the app stores it", &SPACING, ZERO, TEXTS, Material(&["letter_spacing"], 1.0)),
    row("line_spacing", &[], "space between lines, as the app stores it", &SPACING, Number(0.02), TEXTS, Material(&["line_spacing"], 1.0)),
    row("border_width", &["outline_width", "stroke_width"], "width of the outline; 0 is none", &STRENGTH, ZERO, TEXTS, Special).argument("Outline", "; 0 is none. With a colour: 40"),
    row("border_color", &["outline_color", "stroke_color"], "colour of the outline", &COLOR, BLACK, TEXTS, Special).argument("Colour", ""),
    row("border_alpha", &[], "opacity of the outline", &OPACITY, ONE, TEXTS, Special).argument("", "").rare(),
    row("background_color", &["canvas_color"], "colour behind the text, or around the picture of a clip of the main track", &COLOR, Words(""), COLORED, Special)
        .argument("Colour", "").but_in(&[("add_text", BLACK), ("add_subtitle", BLACK)]),
    row("background_alpha", &[], "opacity of the colour behind the text", &OPACITY, ONE, TEXTS, Special)
        .argument("", "; 0: none. With a colour: 1").but_in(&[("add_text", ZERO), ("add_subtitle", ZERO)]),
    row("background_style", &[], "shape of the colour behind the text: 0, 1 or 2, as for `add_text`", &BACKGROUND_STYLE, ZERO, TEXTS, Special).argument("Shape", "").rare(),
    row("background_round_radius", &[], "rounding of the colour's corners", &FRACTION, ZERO, TEXTS, Special).argument("Rounding", "").rare(),
    row("background_width", &[], "width of the colour behind the text", &FRACTION, Number(0.14), TEXTS, Special).argument("Width", "").rare(),
    row("background_height", &[], "height of the colour behind the text", &FRACTION, Number(0.14), TEXTS, Special).argument("Height", "").rare(),
    row("background_horizontal_offset", &[], "place of the colour; 0.5 is centred", &FRACTION, HALF, TEXTS, Special).argument("Place", "; 0.5 is centred").rare().described_in(OFFSET),
    row("background_vertical_offset", &[], "place of the colour; 0.5 is centred", &FRACTION, HALF, TEXTS, Special).argument("Place", "; 0.5 is centred").rare().described_in(OFFSET),
    row("fixed_width", &[], "width of the text's box", &BOX, AUTO, TEXTS, Special).argument("Box width", ", fraction; -1: auto").rare(),
    row("fixed_height", &[], "height of the text's box", &BOX, AUTO, TEXTS, Special).argument("Box height", ", fraction; -1: auto").rare(),
    row("bubble_effect_id", &[], "speech bubble; \"none\" removes it", &ID, Unset, TEXTS, Special).argument("Speech bubble's effect id", "").rare(),
    row("bubble_resource_id", &[], "the speech bubble's resource id", &ID, Unset, TEXTS, Special).argument("Its resource id", "").rare(),
    row("effect_effect_id", &["text_effect"], "text effect by its id; \"none\" removes it", &ID, Unset, TEXTS, Special).argument("Text effect by id", "").rare(),
    row("text_styles", &["style_ranges"], "styles of parts of a text; the other parts keep theirs", &TEXT_PARTS, Unset, TEXTS, Special),
    row("gradient", &["font_gradient"], "colour of the letters that changes", &WORDS, Unset, TEXTS,
        InApp("no document that an app saved and no library shows how a text stores one: set it in the app")),
    row("shadow_enabled", &["shadow"], "whether the text has a shadow", &SWITCH, OFF, TEXTS, Special).argument("Adds a shadow", ""),
    row("shadow_color", &[], "colour of the shadow", &COLOR, BLACK, TEXTS, Special).argument("Colour", "").rare(),
    row("shadow_alpha", &[], "opacity of the shadow", &OPACITY, Number(0.9), TEXTS, Special).argument("", "").rare(),
    row("shadow_angle", &[], "direction of the shadow", &ANGLE, Number(-45.0), TEXTS, Special).argument("Direction", "").rare(),
    row("shadow_distance", &[], "distance of the shadow", &STRENGTH, Number(5.0), TEXTS, Special).argument("Distance", "").rare(),
    row("shadow_smoothing", &[], "blur of the shadow", &FRACTION, Number(0.15), TEXTS, Special).argument("Blur", "").rare(),
    row("position", &[], "place and size in pixels", &WORDS, Unset, PICTURE,
        Refused("set `position_x` and `position_y`, in half canvases or as \"100px\" from the centre, and `scale`")),
    row("group", &["group_name"], "clips of one group move together: a name, or \"none\"", &NAME, Unset, ALL, Special),
    row("start", &["at", "target_start", "start_time"], "start on the timeline", &TIME, Unset, ALL, Refused("the operation `move` with `at` changes it")),
    row("duration", &["end", "end_time", "length"], "length on the timeline", &TIME, Unset, ALL, Refused("the operation `trim` with `duration` or `end` changes it")),
    row("source_start", &["source_end"], "the part of the file", &TIME, Unset, SOUND, Refused("the operation `trim` changes which part is shown; `replace_media` takes `source_start`")),
    row("media", &["video_url", "audio_url", "image_url", "url"], "the file", &ID, Unset, FILES, Refused("the operation `replace_media` with `media` changes it")),
    row("track_name", &["track"], "the track", &ID, Unset, ALL, Refused("the operation `move` with `track` changes it")),
    row("relative_index", &["layer"], "what is in front", &NAME, Unset, ALL, Refused("the order of the tracks decides it: the operation `track` with `order`")),
];

/// A value of a property that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PropertyValue {
    Number(f64),
    Switch(bool),
    Color([u8; 3]),
    Words(String),
    /// A position in pixels.
    Pixels(f64),
    /// From 0 to 100; none is the effect's own.
    Parameters(Vec<Option<f64>>),
    NamedParameters(Vec<(String, f64)>),
    Crop(Crop),
    /// Left, top, width and height in pixels.
    Box([f64; 4]),
    Curve(SpeedCurve),
    /// Loudness at times on the timeline.
    Loudness(Vec<KeyframeValue>),
    Parts(Vec<TextPart>),
}

/// The visible part of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Crop {
    /// Left, top, width and height in fractions.
    Part([f64; 4]),
    /// Width divided by height; the middle of the picture.
    Ratio(f64),
}

impl Property {
    /// The property with this name.
    ///
    /// # Errors
    /// `NotFound` with the nearest names.
    pub fn find(name: &str) -> Result<&'static Self> {
        Self::named(name).ok_or_else(|| {
            let names = PROPERTIES.iter().flat_map(|property| {
                std::iter::once(property.name).chain(property.aliases.iter().copied())
            });
            let near = nearest(name, names);
            let hint = if near.is_empty() {
                let names: Vec<&str> = PROPERTIES.iter().map(|property| property.name).collect();
                format!("the properties are {}", names.join(", "))
            } else {
                format!("did you mean {}?", quoted_list(&near))
            };
            Error::not_found(format!("there is no property \"{name}\"")).hint(hint)
        })
    }

    /// The property of this name or other name, if there is one.
    #[must_use]
    pub const fn named(name: &str) -> Option<&'static Self> {
        let mut index = 0;
        while index < PROPERTIES.len() {
            let property = &PROPERTIES[index];
            if is_same(property.name, name) {
                return Some(property);
            }
            let mut alias = 0;
            while alias < property.aliases.len() {
                if is_same(property.aliases[alias], name) {
                    return Some(property);
                }
                alias += 1;
            }
            index += 1;
        }
        None
    }

    /// The property of this name or other name, and that name.
    #[must_use]
    pub fn with_name(name: &str) -> Option<(&'static Self, &'static str)> {
        let property = Self::named(name)?;
        let found = property.names().find(|own| *own == name)?;
        Some((property, found))
    }

    /// Its name and its other names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Its position in the list.
    pub(crate) fn position(&self) -> usize {
        let own = PROPERTIES.iter().position(|other| other.name == self.name);
        own.unwrap_or_default()
    }

    /// The default of an argument of a tool.
    #[must_use]
    pub const fn default_in(&self, tool: &str) -> PropertyDefault {
        if let Some(argument) = &self.argument {
            let mut index = 0;
            while index < argument.defaults.len() {
                let (other, default) = argument.defaults[index];
                if is_same(other, tool) {
                    return default;
                }
                index += 1;
            }
        }
        self.default
    }

    pub(crate) fn read(&self, value: &Value) -> Result<PropertyValue> {
        let wrong = || {
            Error::invalid(format!(
                "`{}` is {value}; it must be {}",
                self.name, self.measure.says
            ))
        };
        match (self.measure.unit, value) {
            (Unit::Switch, Value::Bool(on)) => Ok(PropertyValue::Switch(*on)),
            (Unit::Switch, Value::String(text)) => match text.as_str() {
                "true" | "on" | "yes" => Ok(PropertyValue::Switch(true)),
                "false" | "off" | "no" => Ok(PropertyValue::Switch(false)),
                _ => Err(wrong()),
            },
            (Unit::Color, Value::String(text)) => {
                color(text).map(PropertyValue::Color).ok_or_else(wrong)
            }
            (Unit::Choice(words), Value::String(text)) => {
                let index = words
                    .iter()
                    .position(|word| word == text)
                    .ok_or_else(wrong)?;
                Ok(PropertyValue::Number(index as f64))
            }
            (Unit::Words | Unit::Word, Value::String(text)) => {
                Ok(PropertyValue::Words(text.clone()))
            }
            (Unit::NumericId, Value::String(text))
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Ok(PropertyValue::Words(text.clone()))
            }
            (Unit::NumericId, Value::Number(number)) if number.is_u64() => {
                Ok(PropertyValue::Words(number.to_string()))
            }
            (Unit::Parameters, Value::Array(list)) => {
                let (low, high) = self.measure.range;
                let read = |value: &Value| match value {
                    Value::Null => Some(None),
                    value => value
                        .as_f64()
                        .filter(|number| (low..=high).contains(number))
                        .map(Some),
                };
                let list: Option<Vec<_>> = list.iter().map(read).collect();
                list.map(PropertyValue::Parameters).ok_or_else(wrong)
            }
            (Unit::Parameters, Value::Object(members)) => {
                let (low, high) = self.measure.range;
                let read = |(name, value): (&String, &Value)| {
                    let number = value
                        .as_f64()
                        .filter(|number| (low..=high).contains(number));
                    number.map(|number| (name.clone(), number))
                };
                let members: Option<Vec<_>> = members.iter().map(read).collect();
                members
                    .map(PropertyValue::NamedParameters)
                    .ok_or_else(wrong)
            }
            (Unit::Crop, value) => match read_crop(value) {
                Ok(crop) => Ok(PropertyValue::Crop(crop)),
                Err(Some(fault)) => Err(Error::invalid(format!("`{}` {fault}", self.name))),
                Err(None) => Err(wrong()),
            },
            (Unit::LoudnessCurve, Value::Array(list)) => {
                let read = |value: &Value| {
                    let point = KeyframeValue::deserialize(value).ok()?;
                    self.takes(point.value).then_some(point)
                };
                let list: Option<Vec<_>> = list.iter().map(read).collect();
                list.map(PropertyValue::Loudness).ok_or_else(wrong)
            }
            (Unit::TextParts, Value::Array(list)) => {
                let parts: Result<Vec<_>> = list.iter().map(TextPart::read).collect();
                parts.map(PropertyValue::Parts)
            }
            (Unit::Box, value) => read_box(value).map(PropertyValue::Box).ok_or_else(wrong),
            (Unit::SpeedCurve, value) => SpeedCurve::read(value).map(PropertyValue::Curve),
            (
                Unit::Switch
                | Unit::LoudnessCurve
                | Unit::TextParts
                | Unit::Color
                | Unit::Choice(_)
                | Unit::Words
                | Unit::Word
                | Unit::NumericId
                | Unit::Parameters,
                _,
            ) => Err(wrong()),
            (Unit::HalfCanvas, Value::String(text)) if pixels(text).is_some() => {
                Ok(PropertyValue::Pixels(pixels(text).unwrap_or_default()))
            }
            (_, value) => {
                let number = match value {
                    Value::Number(number) => number.as_f64(),
                    Value::String(text) => text.trim().parse().ok(),
                    _ => None,
                };
                let number = number.filter(|number| self.takes(*number));
                number.map(PropertyValue::Number).ok_or_else(wrong)
            }
        }
    }

    /// Checks a value as `set` reads it.
    ///
    /// # Errors
    /// `Invalid` with unit and range.
    pub fn check(&self, value: &Value) -> Result<()> {
        self.read(value).map(drop)
    }

    fn takes(&self, number: f64) -> bool {
        let (low, high) = self.measure.range;
        (low..=high).contains(&number)
    }

    /// A position in pixels in half canvases. `x` and `y` count from the upper left corner, the other names from the
    /// centre to the right and upwards.
    pub(crate) fn in_half_canvases(
        &self,
        name: &str,
        pixels: f64,
        canvas: (f64, f64),
    ) -> Result<f64> {
        let is_vertical = self.name.ends_with("_y");
        let side = if is_vertical { canvas.1 } else { canvas.0 };
        if side <= 0.0 {
            return Err(Error::invalid(format!(
                "`{name}` is in pixels, but the draft does not say how large its canvas is"
            ))
            .hint("give it in half canvases"));
        }
        let halves = pixels / (side / 2.0);
        let number = match name {
            "x" => halves - 1.0,
            "y" => 1.0 - halves,
            _ => halves,
        };
        if self.takes(number) {
            return Ok(number);
        }
        Err(Error::invalid(format!(
            "`{name}` is {pixels} pixels, which is {number} half canvases; it must be {}",
            self.measure.says
        )))
    }
}

/// A number, or text that holds one, also in percent.
fn fraction(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
            None => text.trim().parse().ok()?,
        },
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// `"16:9"`, `"1:1"` or `"1.5"` as width divided by height.
fn ratio(text: &str) -> Option<f64> {
    let parts = text.split_once([':', '/', 'x', '：']);
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let ratio = match parts {
        Some((width, height)) => number(width)? / number(height)?,
        None => number(text)?,
    };
    (0.01..=100.0).contains(&ratio).then_some(ratio)
}

/// The visible part of a picture; the error is what is wrong with the values, or none if it has another form.
fn read_crop(value: &Value) -> std::result::Result<Crop, Option<String>> {
    const SIDES: [&str; 4] = ["left", "top", "right", "bottom"];
    const PART: [&str; 4] = ["x", "y", "width", "height"];
    let whole = Crop::Part([0.0, 0.0, 1.0, 1.0]);
    let members = match value {
        Value::String(text) if ["none", "free", "full"].contains(&text.trim()) => return Ok(whole),
        Value::String(text) => return ratio(text).map(Crop::Ratio).ok_or(None),
        Value::Object(members) => members,
        _ => return Err(None),
    };
    if let Some(value) = members.get("ratio").filter(|_| members.len() == 1) {
        return read_crop(value);
    }
    let has_only = |names: &[&str]| members.keys().all(|key| names.contains(&key.as_str()));
    let number = |key: &str, unset: f64| {
        match members.get(key) {
        None => Ok(unset),
        Some(value) => fraction(value)
            .filter(|number| (0.0..=1.0).contains(number))
            .ok_or_else(|| Some(format!("has `{key}` {value}; it must be a fraction from 0 to 1, such as 0.25 or \"25%\""))),
    }
    };
    if members.is_empty() {
        return Err(None);
    }
    let part = if has_only(&PART) {
        let (x, y) = (number("x", 0.0)?, number("y", 0.0)?);
        [x, y, number("width", 1.0 - x)?, number("height", 1.0 - y)?]
    } else if has_only(&SIDES) {
        let (left, top) = (number("left", 0.0)?, number("top", 0.0)?);
        let (right, bottom) = (number("right", 0.0)?, number("bottom", 0.0)?);
        if left + right >= 1.0 || top + bottom >= 1.0 {
            return Err(Some(format!(
                "cuts off {left} and {right} of the width, {top} and {bottom} of the height, so that nothing is left; `left`, `top`, `right` and `bottom` are what is cut off at each side: for the visible part give {{x, y, width, height}}"
            )));
        }
        [left, top, 1.0 - left - right, 1.0 - top - bottom]
    } else {
        return Err(None);
    };
    let [x, y, width, height] = part;
    if width <= 0.0 || height <= 0.0 || x + width > 1.0 + 1e-9 || y + height > 1.0 + 1e-9 {
        return Err(Some(format!(
            "is a part from ({x}, {y}) with the size {width} × {height}, which is not within the picture: x + width and y + height can be up to 1"
        )));
    }
    Ok(Crop::Part(part))
}

/// Left, top, width and height in pixels.
fn read_box(value: &Value) -> Option<[f64; 4]> {
    let members = value.as_object()?;
    let number = |key: &str| {
        let value = members.get(key)?;
        let number = match value {
            Value::String(text) => pixels(text).or_else(|| text.trim().parse().ok())?,
            value => value.as_f64()?,
        };
        Some(number).filter(|number| number.abs() <= 1e6)
    };
    let (width, height) = (number("width")?, number("height")?);
    let place = |key| match members.get(key) {
        None => Some(0.0),
        Some(_) => number(key),
    };
    (width > 0.0 && height > 0.0).then_some([place("x")?, place("y")?, width, height])
}

/// The number in `100px`.
fn pixels(text: &str) -> Option<f64> {
    let text = text.trim().to_lowercase();
    let number = ["px", "pixels", "像素"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit))?;
    number
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

impl PropertyArgument {
    /// What the argument is in a tool, with unit and range.
    #[must_use]
    pub fn description(&self, tool: &str) -> String {
        if let Some((_, own)) = self.own_about.iter().find(|(other, _)| *other == tool) {
            return (*own).to_owned();
        }
        let (begin, end) = self.about;
        let brief = self.measure.brief;
        let text = if begin.is_empty() {
            let brief = brief.trim_start_matches([',', ' ']);
            let first = brief.chars().next().map(|first| first.to_ascii_uppercase());
            let rest = brief.get(1..).unwrap_or_default();
            first.into_iter().chain(rest.chars()).collect()
        } else {
            format!("{begin}{brief}")
        };
        format!("{text}{end}.")
    }
}

/// Comparison in constants.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// `#RRGGBB` or `#RGB`.
fn color(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#')?;
    let digits = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => digits.to_owned(),
        _ => return None,
    };
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<&str> = PROPERTIES
            .iter()
            .flat_map(|property| {
                std::iter::once(property.name).chain(property.aliases.iter().copied())
            })
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn values_outside_a_range_are_refused_with_unit_and_range() {
        let volume = Property::find("volume").unwrap();
        let error = volume.read(&Value::from(50)).unwrap_err();
        assert!(
            error.message.contains("50") && error.message.contains("from 0 to 10"),
            "{error}"
        );
        let error = Property::find("volum").unwrap_err();
        assert!(error.hint.unwrap().contains("\"volume\""));
        assert!(
            Property::find("bold")
                .unwrap()
                .read(&Value::from(1))
                .is_err()
        );
        assert_eq!(color("#fc0"), Some([0xff, 0xcc, 0]));
        assert_eq!(color("#ffcc0"), None);
    }
}
