//! What values of properties are measured in: unit, range and usual range, each kind once.

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Volume factor; 1 is unchanged.
    Loudness,
    /// Speed factor; 1 is unchanged.
    Speed,
    /// Size factor; 1 is unchanged.
    Scale,
    /// From 0, invisible, to 1, opaque.
    Opacity,
    /// Half canvases from the centre; right and up are positive.
    HalfCanvas,
    Pixels,
    /// Degrees, clockwise.
    Degrees,
    Seconds,
    /// From 0 to 100.
    Strength,
    /// Change relative to the original picture, -1 to 1.
    Adjustment,
    /// A part of the whole, from 0 to 1.
    Fraction,
    /// The size of letters on the app's scale.
    FontSize,
    /// As the app stores it.
    Plain,
    /// `true` or `false`.
    Switch,
    /// `#RRGGBB`.
    Color,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any text.
    Words,
    /// An id that is a number, written as text.
    NumericId,
    /// An id, a name or a URL: without surrounding blanks.
    Word,
    /// Strengths, in a list or by name.
    Parameters,
    /// The visible part of a picture.
    Crop,
    /// A place and size in pixels.
    Box,
    /// How fast each part of a clip plays.
    SpeedCurve,
    /// Times, and loudness factors.
    LoudnessCurve,
    /// Parts of a text, with what they have of their own.
    TextParts,
}

impl Unit {
    /// Whether its values may be objects.
    pub(crate) fn takes_object(self) -> bool {
        matches!(
            self,
            Self::Parameters | Self::Crop | Self::Box | Self::SpeedCurve
        )
    }
}

/// A kind of value.
#[derive(Debug)]
#[non_exhaustive]
pub struct Measure {
    pub unit: Unit,
    /// Unit and range in words, for messages.
    pub says: &'static str,
    /// The same in a few words, as the end of a description.
    pub brief: &'static str,
    /// Values outside are refused.
    pub range: (f64, f64),
    /// Values outside are unusual.
    pub usual: (f64, f64),
}

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
/// A day.
const LONGEST: f64 = 86_400.0;

impl Measure {
    const fn new(
        unit: Unit,
        says: &'static str,
        brief: &'static str,
        range: (f64, f64),
        usual: (f64, f64),
    ) -> Self {
        Self {
            unit,
            says,
            brief,
            range,
            usual,
        }
    }
}

/// A time on the timeline or in a file.
pub static TIME: Measure = Measure::new(
    Unit::Seconds,
    "seconds from 0 to 86400 (a day), such as 1.5, \"1:30\" or \"1500ms\"",
    ", seconds",
    (0.0, LONGEST),
    (0.0, LONGEST),
);
/// A difference of times.
pub static SHIFT: Measure = Measure::new(
    Unit::Seconds,
    "seconds, such as 1.5 or -0.5",
    ", seconds",
    (-LONGEST, LONGEST),
    (-LONGEST, LONGEST),
);
/// The length of a fade, a transition or an animation.
pub static SHORT_TIME: Measure = Measure::new(
    Unit::Seconds,
    "seconds, 0 or more; usually 0.1 to 10",
    ", seconds",
    (0.0, LONGEST),
    (0.0, 60.0),
);
pub static LOUDNESS: Measure = Measure::new(
    Unit::Loudness,
    "a factor from 0 to 10, 1 is unchanged",
    " factor, 0 to 10; 1 is unchanged",
    (0.0, 20.0),
    (0.0, 2.0),
);
/// Styles of parts of a text.
pub static TEXT_PARTS: Measure = Measure::new(
    Unit::TextParts,
    "a list such as [{\"start\": 0, \"end\": 5, \"font_color\": \"#FF0000\"}, {\"words\": \"new\", \"bold\": true}], in characters",
    ", a list of `{start, end, font_color, …}`",
    ANY,
    ANY,
);
/// Loudness over time.
pub static LOUDNESS_CURVE: Measure = Measure::new(
    Unit::LoudnessCurve,
    "a list such as [{\"at\": 0, \"value\": 1}, {\"at\": 2.5, \"value\": 0.2}]: seconds on the timeline, and factors from 0 to 10",
    ", a list of `{at, value}`",
    (0.0, 20.0),
    (0.0, 2.0),
);
pub static SPEED: Measure = Measure::new(
    Unit::Speed,
    "a factor above 0, 1 is unchanged; the app accepts 0.1 to 100",
    " factor, above 0 to 100",
    (f64::MIN_POSITIVE, 100.0),
    (0.1, 10.0),
);
pub static OPACITY: Measure = Measure::new(
    Unit::Opacity,
    "from 0 (invisible) to 1 (opaque)",
    ", opacity, 0 to 1",
    (0.0, 1.0),
    (0.0, 1.0),
);
pub static SCALE: Measure = Measure::new(
    Unit::Scale,
    "a factor, 1 is unchanged; usually 0.1 to 5",
    " factor",
    (0.0, 20.0),
    (0.01, 10.0),
);
pub static POSITION: Measure = Measure::new(
    Unit::HalfCanvas,
    "half canvases from the centre: -1 is the left or lower edge, 1 is the right or upper edge",
    "",
    (-20.0, 20.0),
    (-2.0, 2.0),
);
pub static PIXELS: Measure = Measure::new(Unit::Pixels, "a number of pixels", "", ANY, ANY);
pub static FONT_SIZE: Measure = Measure::new(
    Unit::FontSize,
    "on the app's own scale, 1 to 300; usually 5 to 15",
    " on the app's scale, 1 to 300; usually 5 to 15",
    (1.0, 300.0),
    (2.0, 300.0),
);
pub static COLOR: Measure = Measure::new(
    Unit::Color,
    "a colour, such as \"#FFCC00\", \"red\" or \"rgb(255, 204, 0)\"",
    "",
    ANY,
    ANY,
);
pub static ANGLE: Measure = Measure::new(
    Unit::Degrees,
    "degrees, clockwise",
    ", degrees",
    (-36_000.0, 36_000.0),
    ANY,
);
pub static STRENGTH: Measure = Measure::new(
    Unit::Strength,
    "from 0 to 100",
    ", 0 to 100",
    (0.0, 100.0),
    (0.0, 100.0),
);
pub static ADJUSTMENT: Measure = Measure::new(
    Unit::Adjustment,
    "from -1 to 1, 0 is unchanged, such as \"+0.2\"",
    ", -1 to 1",
    (-1.0, 1.0),
    (-1.0, 1.0),
);
pub static FRACTION: Measure = Measure::new(
    Unit::Fraction,
    "from 0 to 1",
    ", 0 to 1",
    (0.0, 1.0),
    (0.0, 1.0),
);
/// A side of a mask, which may be larger than the canvas.
pub static SIDE: Measure = Measure::new(
    Unit::Fraction,
    "a fraction of the canvas, from 0 to 10",
    ", fraction",
    (0.0, 10.0),
    (0.0, 10.0),
);
/// A distance of letters or lines.
pub static SPACING: Measure = Measure::new(
    Unit::Plain,
    "from -10 to 100",
    ", -10 to 100",
    (-10.0, 100.0),
    (-10.0, 100.0),
);
/// A side of a text's box.
pub static BOX: Measure = Measure::new(
    Unit::Fraction,
    "a fraction of the canvas above 0 to 10, or -1 for the text's own size",
    "",
    (-1.0, 10.0),
    (-1.0, 1.0),
);
pub static BACKGROUND_STYLE: Measure =
    Measure::new(Unit::Plain, "0, 1 or 2", "", (0.0, 2.0), (0.0, 2.0));
pub static LEVEL: Measure = Measure::new(
    Unit::Plain,
    "a level: 1, 2, 3 or 4",
    "",
    (1.0, 4.0),
    (1.0, 4.0),
);
pub static SWITCH: Measure = Measure::new(Unit::Switch, "true or false", "", ANY, ANY);
pub static ALIGNMENT: Measure = Measure::new(
    Unit::Choice(&["left", "center", "right"]),
    "\"left\", \"center\" or \"right\"",
    "",
    ANY,
    ANY,
);
pub static WORDS: Measure = Measure::new(Unit::Words, "text", "", ANY, ANY);
/// What a keyframe can move to.
pub static KEYFRAME_POSITION: Measure = Measure::new(
    Unit::HalfCanvas,
    "half canvases from the centre, -10 to 10: -1 is the left or lower edge, 1 is the right or upper edge; or pixels, such as \"100px\"",
    ", -10 to 10",
    (-10.0, 10.0),
    (-2.0, 2.0),
);
pub static NUMERIC_ID: Measure = Measure::new(
    Unit::NumericId,
    "a number with digits only, the app's resource id",
    "",
    ANY,
    ANY,
);
pub static WORD: Measure = Measure::new(Unit::Word, "text", "", ANY, ANY);
/// A name of the app's catalog.
pub static NAME: Measure = Measure::new(
    Unit::Word,
    "a name that `search_catalog` finds, or its id",
    "",
    ANY,
    ANY,
);
pub static ID: Measure = Measure::new(Unit::Word, "an id", "", ANY, ANY);
pub static PARAMETERS: Measure = Measure::new(
    Unit::Parameters,
    "a list of numbers from 0 to 100, where null is the effect's own, or numbers by name, such as {\"speed\": 50}",
    "",
    (0.0, 100.0),
    (0.0, 100.0),
);

pub static CROP: Measure = Measure::new(
    Unit::Crop,
    "the visible part as {x, y, width, height}, what is cut off as {left, top, right, bottom}, both in fractions, or a ratio such as \"1:1\"",
    "",
    ANY,
    ANY,
);
pub static FIT: Measure = Measure::new(
    Unit::Choice(&["cover", "contain", "fill"]),
    "\"cover\", \"contain\" or \"fill\"",
    "",
    ANY,
    ANY,
);
pub static MOTION: Measure = Measure::new(
    Unit::Choice(&[
        "ken_burns",
        "zoom_in",
        "zoom_out",
        "shake",
        "pulse",
        "pop",
        "slide_left",
        "slide_right",
        "slide_up",
        "slide_down",
        "none",
    ]),
    "\"ken_burns\", \"zoom_in\", \"zoom_out\", \"shake\", \"pulse\", \"pop\", \"slide_left\", \"slide_right\", \"slide_up\", \"slide_down\" or \"none\"",
    "",
    ANY,
    ANY,
);
pub static PIXEL_BOX: Measure = Measure::new(
    Unit::Box,
    "{x, y, width, height} in pixels from the upper left corner",
    "",
    ANY,
    ANY,
);
pub static SPEED_CURVE: Measure = Measure::new(
    Unit::SpeedCurve,
    "\"montage\", \"hero\", \"bullet\", \"jump_cut\", \"flash_in\", \"flash_out\", or points [[part of the file from 0 to 1, factor], …]",
    "",
    ANY,
    ANY,
);
/// An adjustment that only adds.
pub static ONE_SIDED: Measure = Measure::new(
    Unit::Adjustment,
    "from 0 to 1, 0 is unchanged, such as \"20%\"",
    ", 0 to 1",
    (0.0, 1.0),
    (0.0, 1.0),
);

/// The levels of a blurred background that the app offers, with the blur that documents have.
pub static BLUR_LEVELS: [(f64, f64); 4] = [(1.0, 0.0625), (2.0, 0.375), (3.0, 0.75), (4.0, 1.0)];
