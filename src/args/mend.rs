//! Normalisation of arguments as people and weak models send them: other names, "720", "true".
//!
//! Arguments are normalised once, for all tools, by their schemas: first names, then notations such as
//! `resolution`, then values. One error reports all remaining problems, one per line.

use std::fmt::Arguments;

use serde_json::{Number, Value};

use super::position::Position;
use super::property::{self, decimal};
use super::schema::whole;
use crate::args::{Object, is_truthy, placeholder};
use crate::error::{Error, Result, shortened};

mod letters;
mod pixels;
mod size;
#[cfg(test)]
mod table;
mod times;

/// A name, a notation or a default that callers expect of a tool's arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comfort {
    /// Another name for an argument: `(alias, argument)`.
    Alias(&'static str, &'static str),
    /// The name by which schemas show an argument: `(name, argument)`.
    Shown(&'static str, &'static str),
    /// `resolution: "1920x1080"` and `aspect_ratio: "9:16"` for `width` and `height`.
    Size,
    /// `position`: "center", "bottom", … or `{x, y, width, height}` in pixels, for `transform_*` and `scale_*`.
    Position,
    /// `subtitle_text` with its times: one caption as `srt`.
    Caption,
    /// `at`, `duration`, `from` and `to` for the tool's own times.
    Times(Times),
    /// `bold`, `italic` and `underline` of a whole text, as one of `text_styles`.
    Letters,
    /// `intensity` from 0 to 1 or in percent, as the first of `params`.
    Intensity,
    /// The value of an argument that is not given: `(argument, not if this one is given, value)`.
    Default(&'static str, &'static str, Preset),
    /// The value of a second argument that an argument needs: `(argument, needs, value)`.
    With(&'static str, &'static str, Preset),
    /// What to do instead of giving an argument that the tool does not have: `(name, advice)`.
    Advice(&'static str, &'static str),
    /// What to do instead of giving one of these values: `(argument, values, advice)`.
    ValueAdvice(&'static str, &'static [&'static str], &'static str),
}

/// A value that normalisation gives an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Preset {
    Text(&'static str),
    Number(f64),
    On,
}

impl Preset {
    fn value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => property::json(number),
            Self::On => true.into(),
        }
    }
}

/// Which times a tool has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Times {
    /// `start`, `end` and `duration` in a file, `target_start` on the timeline.
    File,
    /// `start` and `end` on the timeline, and the default length.
    Span { seconds: f64 },
}

impl Comfort {
    /// The names that it adds to those of the schema.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Size => &["resolution", "aspect_ratio"],
            Self::Caption => &["subtitle_text"],
            Self::Times(Times::File) => &["to"],
            Self::Times(Times::Span { .. }) => &["duration"],
            Self::Letters => &["bold", "italic", "underline"],
            Self::Intensity => &["intensity"],
            Self::Alias(..)
            | Self::Shown(..)
            | Self::Position
            | Self::Default(..)
            | Self::With(..)
            | Self::Advice(..)
            | Self::ValueAdvice(..) => &[],
        }
    }

    /// The other name and its argument.
    pub(crate) fn other_name(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Alias(alias, argument) | Self::Shown(alias, argument) => Some((alias, argument)),
            _ => None,
        }
    }
}

/// Advice for times in a file when there is no file, or one without times.
pub(crate) const NO_FILE_TIMES: &str =
    "it has no times of its own: `at` and `duration` say when it is shown";

/// Advice for fading and rotating clips.
pub(crate) const KEYFRAME_ALPHA: &str =
    "set it with `add_video_keyframe`: `property_type` \"alpha\", `value` \"50%\"";
pub(crate) const KEYFRAME_ROTATION: &str =
    "set it with `add_video_keyframe`: `property_type` \"rotation\", `value` \"45deg\"";

/// Advice for what the app can do with a text but these tools cannot.
pub(crate) const IN_THE_APP: &str = "it is not supported: set it in the app";

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A client's call.
    Call,
    /// An item of a plan: it has no draft yet, and its times follow from other items.
    Item,
    /// A call from the journal: it keeps its meaning, so ranges and newer defaults are not applied.
    Record,
}

/// What normalisation changed that the caller should know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mended {
    /// What was adjusted or is unusual.
    pub notes: Vec<String>,
    /// The arguments that were sent by another name: `(sent, own)`.
    pub renamed: Vec<(&'static str, &'static str)>,
    /// The names in the shown schema of arguments that were not sent by the tool's own name: `(shown, own)`.
    pub shown: Vec<(&'static str, &'static str)>,
}

impl Mended {
    /// Rewrites an error to call an argument by the name that was sent, or by its name in the shown schema.
    pub(crate) fn by_sent_names(&self, error: &mut Error) {
        for (sent, own) in self.renamed.iter().chain(&self.shown) {
            let (own, sent) = (format!("`{own}`"), format!("`{sent}`"));
            for text in [Some(&mut error.message), error.hint.as_mut()]
                .into_iter()
                .flatten()
            {
                if text.contains(&own) {
                    *text = text.replace(&own, &sent);
                }
            }
        }
    }
}

/// Brings the arguments into the form of the schema. The error lists all problems.
pub(crate) fn mend(
    tool: &str,
    comfort: &[Comfort],
    schema: &Object,
    arguments: &mut Object,
    of: Of,
) -> Result<Mended> {
    let mut mending = Mending {
        tool,
        comfort,
        of,
        mended: Mended::default(),
        faults: Faults::default(),
    };
    for (name, value) in arguments.iter() {
        // Templates and plans are filled and checked later.
        let is_later = matches!(name.as_str(), "plan" | "plans" | "template");
        if !is_later && of != Of::Record {
            mending.placeholders(value, format_args!("{name}"));
        }
    }
    mending.absent(schema, arguments);
    let has = |one: Comfort| comfort.contains(&one);
    if has(Comfort::Caption) {
        mending.caption(arguments);
    }
    mending.names(schema, arguments);
    if has(Comfort::Size) {
        for fault in size::mend(arguments) {
            mending.faults.push(fault);
        }
    }
    for comfort in comfort {
        if let Comfort::Times(times) = *comfort {
            mending.times(times, arguments);
        }
    }
    if has(Comfort::Position) {
        mending.pixels(arguments);
        mending.position(arguments);
    }
    let letters = if has(Comfort::Letters) {
        mending.letters(arguments)
    } else {
        None
    };
    if has(Comfort::Intensity) {
        mending.intensity(arguments);
    }
    mending.object(schema, arguments, "");
    if of != Of::Record {
        for comfort in comfort {
            defaults(*comfort, arguments);
        }
    }
    if let Some(letters) = letters {
        letters.put(arguments);
    }
    if of != Of::Record {
        mending.without_effect(schema, arguments);
    }
    let mended = mending.mended;
    mending.faults.into_result().map(|()| mended)
}

/// Arguments that have no effect unless one of the second list is given.
const NEEDED: [(&[&str], &[&str]); 9] = [
    (&["transition_duration"], &["transition"]),
    (
        &[
            "mask_center_x",
            "mask_center_y",
            "mask_size",
            "mask_rotation",
            "mask_feather",
            "mask_invert",
            "mask_rect_width",
            "mask_round_corner",
        ],
        &["mask_type"],
    ),
    (
        &["intro_duration", "intro_animation_duration"],
        &["intro_animation", "animation"],
    ),
    (
        &["outro_duration", "outro_animation_duration"],
        &["outro_animation"],
    ),
    (&["combo_animation_duration"], &["combo_animation"]),
    (&["effect_params"], &["effect_type"]),
    (
        &[
            "shadow_alpha",
            "shadow_angle",
            "shadow_distance",
            "shadow_smoothing",
        ],
        &["shadow_enabled"],
    ),
    (
        &[
            "background_style",
            "background_round_radius",
            "background_height",
            "background_width",
            "background_horizontal_offset",
            "background_vertical_offset",
        ],
        &["background_color", "background_alpha"],
    ),
    (&["border_alpha"], &["border_width", "border_color"]),
];

/// Writes defaults into the call, so that a server and a later replay get the same values.
fn defaults(comfort: Comfort, arguments: &mut Object) {
    match comfort {
        Comfort::Default(argument, beside, preset)
            if !arguments.contains_key(argument) && !arguments.contains_key(beside) =>
        {
            arguments.insert(argument.to_owned(), preset.value());
        }
        Comfort::With(argument, needs, preset)
            if arguments.contains_key(argument) && !arguments.contains_key(needs) =>
        {
            arguments.insert(needs.to_owned(), preset.value());
        }
        _ => {}
    }
}

/// Problems that are listed one by one; the others are counted.
const LISTED: usize = 20;

#[derive(Default)]
struct Faults {
    listed: Vec<String>,
    more: usize,
}

impl Faults {
    fn push(&mut self, fault: String) {
        self.add(|| fault);
    }

    /// Adds a problem; its text is built only if it is listed.
    fn add(&mut self, fault: impl FnOnce() -> String) {
        if self.listed.len() < LISTED {
            self.listed.push(fault());
        } else {
            self.more += 1;
        }
    }

    fn into_result(self) -> Result<()> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let mut text = self.listed.join("\n");
        if self.more > 0 {
            text.push_str(&format!("\nand {} more problems", grouped(self.more)));
        }
        Err(Error::invalid(text))
    }
}

/// `19,980`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

struct Mending<'a> {
    tool: &'a str,
    comfort: &'a [Comfort],
    of: Of,
    mended: Mended,
    faults: Faults,
}

impl Mending<'_> {
    /// Reports template placeholders in a value.
    fn placeholders(&mut self, value: &Value, place: Arguments<'_>) {
        match value {
            Value::String(text) => {
                if let Some(found) = placeholder::unfilled(text) {
                    let fault = placeholder::fault(found);
                    self.faults.push(format!("`{place}`: {fault}"));
                }
            }
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.placeholders(item, format_args!("{place}[{index}]"));
                }
            }
            Value::Object(members) => {
                for (name, item) in members {
                    self.placeholders(item, format_args!("{place}.{name}"));
                }
            }
            _ => {}
        }
    }

    /// Removes empty values: null, "" and similar values of optional arguments.
    fn absent(&mut self, schema: &Object, arguments: &mut Object) {
        let is_absent = |name: &str, value: &Value| match value {
            Value::Null => self.of != Of::Item,
            // In recorded calls, such values are text that the API accepted.
            Value::String(text) if self.of != Of::Record && is_blank(text) => {
                let own = self.own_name(name);
                own == "draft_id" || (own != "subtitle_text" && !is_required(schema, own))
            }
            _ => false,
        };
        if arguments.iter().any(|(name, value)| is_absent(name, value)) {
            arguments.retain(|name, value| !is_absent(name, value));
        }
    }

    /// The tool's own name of an argument.
    fn own_name<'n>(&self, name: &'n str) -> &'n str
    where
        'static: 'n,
    {
        self.comfort
            .iter()
            .filter_map(|comfort| comfort.other_name())
            .find(|(alias, _)| *alias == name)
            .map_or(name, |(_, own)| own)
    }

    /// Converts `subtitle_text` with its times to an `srt` with one cue.
    fn caption(&mut self, arguments: &mut Object) {
        let Some(text) = arguments.shift_remove("subtitle_text") else {
            return;
        };
        if arguments.contains_key("srt") || arguments.contains_key("srt_path") {
            self.faults.push(
                "`subtitle_text` is one caption and `srt` is a whole file: give one of them".into(),
            );
            return;
        }
        let text = match text {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut take = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| Some((*name, arguments.shift_remove(*name)?)))
        };
        let start = take(&["at", "from", "start_time", "start"]);
        let end = take(&["to", "end_time", "end"]);
        let length = take(&["duration"]);
        let mut seconds = |given: Option<(&str, Value)>| {
            let (name, mut value) = given?;
            let read = property::of(name).map_or(Ok(()), |row| row.read(&mut value).map(drop));
            let number = number(&value).and_then(|n| n.as_f64());
            if read.is_err() || number.is_none_or(|n| n < 0.0) {
                self.faults.push(format!(
                    "`{name}` is {}, which is not a time in seconds",
                    shown(&value)
                ));
                return None;
            }
            number
        };
        let given = end.is_some() || length.is_some();
        let start = if start.is_some() {
            seconds(start)
        } else {
            Some(0.0)
        };
        let length = seconds(length);
        let end = seconds(end).or_else(|| Some(start? + length?));
        if !given {
            self.faults.push(
                "`end_time` is missing: the time when the caption disappears, in seconds".into(),
            );
        }
        // An empty line would end the cue.
        let text: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        if text.is_empty() {
            self.faults
                .push("`subtitle_text` is empty; it must be the caption to show".into());
        }
        let mut srt = String::new();
        if let (Some(start), Some(end)) = (start, end) {
            if end <= start {
                self.faults.push(format!(
                    "`end_time` is {end} s, which is not after `start_time` ({start} s)"
                ));
            }
            srt = format!(
                "1\n{} --> {}\n{}\n",
                timestamp(start),
                timestamp(end),
                text.join("\n")
            );
        }
        // Also after a problem, so that `srt` is not reported as missing too.
        arguments.insert("srt".into(), srt.into());
    }

    /// Replaces other names by the tool's own.
    fn names(&mut self, schema: &Object, arguments: &mut Object) {
        for comfort in self.comfort {
            if let Comfort::Shown(name, own) = *comfort
                && !arguments.keys().any(|given| given == own)
            {
                self.mended.shown.push((name, own));
            }
        }
        for comfort in self.comfort {
            let Some((alias, name)) = comfort.other_name() else {
                continue;
            };
            // With few arguments, comparing is faster than hashing the name.
            if !arguments.keys().any(|given| given == alias) {
                continue;
            }
            if of_schema(schema, alias).is_some() {
                continue;
            }
            let Some(value) = arguments.shift_remove(alias) else {
                continue;
            };
            match arguments.get(name) {
                Some(given) if !is_same(name, given, &value) => self.faults.push(format!(
                    "`{alias}` is another name for `{name}`: give one of them, not {} and {}",
                    shown(&value),
                    shown(given)
                )),
                Some(_) => {}
                None => {
                    arguments.insert(name.to_owned(), value);
                    self.mended.renamed.push((alias, name));
                }
            }
        }
    }

    /// Adds notes about arguments that have no effect in this call.
    fn without_effect(&mut self, schema: &Object, arguments: &Object) {
        // Most calls have none of these arguments, and comparing names is cheaper than looking them up.
        let is_given = |names: &[&str]| arguments.keys().any(|name| names.contains(&name.as_str()));
        for (given, needed) in NEEDED {
            if !is_given(given) {
                continue;
            }
            let has = |name: &&&str| arguments.get(**name).is_some_and(is_truthy);
            let Some(first) = needed.iter().find(|name| of_schema(schema, name).is_some()) else {
                continue;
            };
            if needed.iter().any(|name| has(&name)) {
                continue;
            }
            for name in given.iter().filter(|name| arguments.contains_key(**name)) {
                let note = format!("`{name}` has no effect without `{first}`");
                self.mended.notes.push(note);
            }
        }
        // The API creates a draft of this size when no draft is given.
        if self.comfort.contains(&Comfort::Size)
            && is_given(&["width", "height"])
            && !is_given(&["position"])
            && of_schema(schema, "draft_id").is_some()
        {
            let instead = if of_schema(schema, "scale_x").is_some() {
                ": set the size of what is added with `scale_x` and `scale_y`, or `position` as {x, y, width, height}"
            } else if of_schema(schema, "font_size").is_some() {
                ": set the size of a text with `font_size`"
            } else {
                ""
            };
            self.mended.notes.push(format!(
                "`width` and `height` have no effect here, because `create_draft` sets the canvas size{instead}"
            ));
        }
    }

    fn position(&mut self, arguments: &mut Object) {
        let Some(value) = arguments.get_mut("position") else {
            return;
        };
        parse_json_text(value, "object");
        let fault = Position::read(value)
            .err()
            .map(|fault| format!("`position` is {}, {fault}", shown(value)));
        let value = match value {
            Value::Object(_) => "a box",
            _ => "a word",
        };
        if let Some(fault) = fault {
            self.faults.push(fault);
        }
        for name in ["transform_x", "transform_y"] {
            if arguments.contains_key(name) {
                self.faults.push(format!(
                    "`position` ({value}) and `{name}` both set the position: give one of them"
                ));
            }
        }
    }

    /// Normalises and checks the members of an object; `path` is "" or ends with a dot.
    fn object(&mut self, schema: &Object, members: &mut Object, path: &str) {
        let empty = Object::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        // An object whose members are not described may have any members.
        let closed = !properties.is_empty() || path.is_empty();
        if self.of != Of::Item {
            members.retain(|_, value| !value.is_null());
        }
        let mut absent = Vec::new();
        let mut opacities = Vec::new();
        for (name, value) in members.iter_mut() {
            match properties.get(name) {
                Some(_) if value.is_null() => self.faults.push(format!(
                    "`{path}{name}` is null: remove it, or give a value (in YAML, text after ` #` is a comment: \
                     write colours in quotes, such as \"#00FF00\")"
                )),
                Some(Value::Object(property)) => {
                    let is_required = required.iter().any(|r| r == name.as_str());
                    let is_blank = matches!(&*value, Value::String(text) if is_blank(text));
                    let keeps = self.of == Of::Record && property.get("type").is_some_and(|t| t == "string");
                    if is_blank && !is_required && !keeps {
                        absent.push(name.clone());
                    } else if is_blank && self.of != Of::Record && value.as_str().is_some_and(|text| text.trim().is_empty()) {
                        let means = meaning(properties, name);
                        self.faults
                            .push(format!("`{path}{name}` is empty, and it is required{means}"));
                    } else if !(path.is_empty() && self.is_position(name)) {
                        let sent = self.sent_as(name, path);
                        if let Some(alpha) = self.notation(name, value, path, sent) {
                            opacities.push((name.clone(), alpha));
                        }
                        self.value(property, value, format_args!("{path}{sent}"));
                    }
                }
                _ if closed => {
                    let (tool, comfort) = (self.tool, self.comfort);
                    self.faults
                        .add(|| unknown(tool, comfort, name, properties, path));
                }
                _ => {}
            }
        }
        for name in absent {
            members.shift_remove(&name);
        }
        for (name, alpha) in opacities {
            self.opacity(&name, alpha, properties, members, path);
        }
        for name in required.iter().filter_map(Value::as_str) {
            let may_lack = name == "draft_id" && path.is_empty() && self.of != Of::Call;
            if !members.contains_key(name) && !may_lack {
                let means = meaning(properties, name);
                self.faults.push(match name {
                    "draft_id" if path.is_empty() => NO_DRAFT.to_owned(),
                    _ => format!("`{path}{name}` is missing{means}"),
                });
            }
        }
    }

    /// Reads the notation of a value by its kind; returns the opacity of a colour that has one.
    fn notation(&mut self, name: &str, value: &mut Value, path: &str, sent: &str) -> Option<f64> {
        if self.of == Of::Record {
            return None;
        }
        let row = if path.is_empty() {
            property::of(name)?
        } else {
            property::of_member(name)?
        };
        if value
            .as_str()
            .is_some_and(|text| text.trim_start().starts_with('['))
        {
            parse_json_text(value, "array");
        }
        match row.read(value) {
            Ok(read) => {
                if let Some(note) = read.note {
                    self.mended.notes.push(placed(path, sent, &note));
                }
                read.alpha
            }
            Err(fault) => {
                self.faults.push(placed(path, sent, &fault));
                // Already reported: later checks skip null.
                *value = Value::Null;
                None
            }
        }
    }

    /// Moves the opacity of a colour to its own argument.
    fn opacity(
        &mut self,
        colour: &str,
        alpha: f64,
        properties: &Object,
        members: &mut Object,
        path: &str,
    ) {
        let own = colour.replace("color", "alpha");
        let Some(argument) = [own.as_str(), "alpha"]
            .into_iter()
            .find(|name| properties.contains_key(*name))
        else {
            let note = format!("has the opacity {alpha}, which this colour does not support");
            self.mended.notes.push(placed(path, colour, &note));
            return;
        };
        match members.get(argument).and_then(Value::as_f64) {
            Some(given) if given != alpha => {
                let note = format!(
                    "has the opacity {alpha}, and `{path}{argument}` is {given}: {given} is used"
                );
                self.mended.notes.push(placed(path, colour, &note));
            }
            Some(_) => {}
            None => {
                members.insert(argument.to_owned(), property::json(alpha));
            }
        }
    }

    fn is_position(&self, name: &str) -> bool {
        name == "position" && self.comfort.contains(&Comfort::Position)
    }

    fn sent_as<'n>(&self, name: &'n str, path: &str) -> &'n str
    where
        'static: 'n,
    {
        if !path.is_empty() {
            return name;
        }
        let mended = &self.mended;
        let mut names = mended.renamed.iter().chain(&mended.shown);
        names
            .find(|(_, own)| *own == name)
            .map_or(name, |(alias, _)| alias)
    }

    /// Normalises a value and checks it against its schema.
    fn value(&mut self, schema: &Object, value: &mut Value, place: Arguments<'_>) {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            _ if value.is_null() => {}
            "integer" | "number" => {
                // Whole numbers are written without a fraction.
                let mended = number(value).and_then(|n| match whole(&n) {
                    Some(whole) => Some(whole.into()),
                    None => (kind == "number").then_some(n),
                });
                match mended {
                    Some(mended) if !is_allowed(schema, &mended) => {
                        let allowed = schema.get("enum").and_then(Value::as_array);
                        let allowed: Vec<String> = allowed
                            .into_iter()
                            .flatten()
                            .map(Value::to_string)
                            .collect();
                        self.faults.push(format!(
                            "`{place}` is {}; it can be {}",
                            shown(value),
                            allowed.join(", ")
                        ));
                    }
                    Some(mended) => {
                        self.bounds(schema, mended.as_f64().unwrap_or(f64::NAN), value, place);
                        *value = Value::Number(mended);
                    }
                    None if kind == "integer" => self.wrong(place, value, "a whole number", schema),
                    None => self.wrong(place, value, "a number", schema),
                }
            }
            "boolean" => match boolean(value) {
                Some(mended) => *value = Value::Bool(mended),
                None => self.wrong(place, value, "true or false", schema),
            },
            "string" => {
                if matches!(value, Value::Number(_) | Value::Bool(_)) {
                    *value = Value::String(value.to_string());
                }
                match value {
                    Value::String(text) => {
                        one_of(schema, text);
                        self.string(schema, text, place);
                    }
                    _ => self.wrong(place, value, "text", schema),
                }
            }
            "array" => {
                parse_json_text(value, "array");
                let items = schema.get("items").and_then(Value::as_object);
                // A single item becomes a list of one.
                let one = match (&*value, items.and_then(|i| i.get("type")?.as_str())) {
                    (Value::Object(_), Some("object")) | (Value::String(_), Some("string")) => true,
                    (value, Some("number" | "integer")) => number(value).is_some(),
                    _ => false,
                };
                if one {
                    *value = Value::Array(vec![value.take()]);
                }
                match value {
                    Value::Array(list) => {
                        self.count(schema, list.len(), place);
                        if let Some(items) = items {
                            for (index, item) in list.iter_mut().enumerate() {
                                self.value(items, item, format_args!("{place}[{index}]"));
                            }
                        }
                    }
                    _ => self.wrong(place, value, "a list", schema),
                }
            }
            "object" => {
                parse_json_text(value, "object");
                match value {
                    // An object that may have any key is read and checked where it is used.
                    Value::Object(_)
                        if schema.get("additionalProperties") == Some(&Value::Bool(true)) => {}
                    Value::Object(members) => self.object(schema, members, &format!("{place}.")),
                    _ => self.wrong(place, value, "an object", schema),
                }
            }
            _ => {}
        }
    }

    fn wrong(&mut self, place: Arguments<'_>, value: &Value, expected: &str, schema: &Object) {
        let argument = place.to_string();
        let range = range(schema).map_or(String::new(), |range| format!(" ({range})"));
        let means = match property::of(self.own_name(&argument)) {
            // What says the range itself needs it no second time.
            Some(property) if expected.ends_with("number") => {
                let has_range = property.says.bytes().any(|byte| byte.is_ascii_digit());
                let range = if has_range { "" } else { &range };
                format!("; it is {}{range}", property.says)
            }
            _ => range,
        };
        self.faults.push(format!(
            "`{place}` is {}, which is not {expected}{means}",
            shown(value)
        ));
    }

    fn bounds(&mut self, schema: &Object, number: f64, value: &Value, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let outside = bound("minimum").is_some_and(|low| number < low)
            || bound("maximum").is_some_and(|high| number > high)
            || bound("exclusiveMinimum").is_some_and(|low| number <= low);
        if outside && let Some(range) = range(schema) {
            self.faults.push(format!(
                "`{place}` is {}, which is not {range}",
                shown(value)
            ));
        }
    }

    fn string(&mut self, schema: &Object, text: &str, place: Arguments<'_>) {
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.iter().any(|a| a == text)
        {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            let argument = place.to_string();
            let advice = self.comfort.iter().find_map(|comfort| match *comfort {
                Comfort::ValueAdvice(of, values, advice)
                    if self.own_name(&argument) == of && values.contains(&bare(text).as_str()) =>
                {
                    Some(format!("; {advice}"))
                }
                _ => None,
            });
            let near = advice.unwrap_or_else(|| {
                nearest_value(text, allowed.iter().copied())
                    .map_or(String::new(), |near| format!("; did you mean \"{near}\"?"))
            });
            self.faults.push(format!(
                "`{place}` is {}; it can be {}{near}",
                shown(&text.into()),
                listed(allowed.into_iter(), '"')
            ));
        }
        let length = text.chars().count() as u64;
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if length == 0 && bound("minLength").is_some_and(|low| low > 0) {
            self.faults.push(format!("`{place}` is empty"));
        } else if let Some(low) = bound("minLength").filter(|low| length < *low) {
            self.faults.push(format!(
                "`{place}` has {length} characters; it must have at least {low}"
            ));
        } else if let Some(high) = bound("maxLength").filter(|high| length > *high) {
            self.faults.push(format!(
                "`{place}` has {length} characters; it can have up to {high}"
            ));
        }
    }

    fn count(&mut self, schema: &Object, count: usize, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(low) = bound("minItems").filter(|low| (count as u64) < *low) {
            self.faults.push(format!(
                "`{place}` has {count} items; it must have at least {low}"
            ));
        }
        if let Some(high) = bound("maxItems").filter(|high| (count as u64) > *high) {
            self.faults.push(format!(
                "`{place}` has {count} items; it can have up to {high}"
            ));
        }
    }
}

/// The message for a call without a draft.
const NO_DRAFT: &str = "`draft_id` is missing: call `create_draft` first and pass the `draft_id` of its reply \
     (`list_drafts` lists the drafts of earlier calls)";

/// A line about an argument: "`volume` is 80; …".
fn placed(path: &str, name: &str, text: &str) -> String {
    match text.strip_prefix('[') {
        Some(rest) => {
            let (index, rest) = rest.split_once("] ").unwrap_or(("", rest));
            format!("`{path}{name}[{index}]` {rest}")
        }
        None => format!("`{path}{name}` {text}"),
    }
}

/// How many arguments are listed when no name is similar.
const NAMED: usize = 8;

/// The message for an argument that does not exist.
fn unknown(tool: &str, comfort: &[Comfort], name: &str, properties: &Object, path: &str) -> String {
    let comfort = if path.is_empty() { comfort } else { &[] };
    let whose = if path.is_empty() {
        format!("`{tool}` has no such argument")
    } else {
        "there is no such field".into()
    };
    let advice = comfort.iter().find_map(|comfort| match *comfort {
        Comfort::Advice(other, advice) if other.eq_ignore_ascii_case(name) => Some(advice),
        _ => None,
    });
    if let Some(advice) = advice {
        return format!("`{path}{name}`: {whose}; {advice}");
    }
    // By the names in the shown schema.
    let shown = |own: &'_ str| {
        comfort.iter().find_map(|comfort| match *comfort {
            Comfort::Shown(name, argument) if argument == own => Some(name),
            _ => None,
        })
    };
    let own = properties
        .iter()
        .filter(|(_, property)| property.get("deprecated").is_none())
        .map(|(own, _)| (own.as_str(), shown(own).unwrap_or(own)));
    let others = comfort.iter().flat_map(|comfort| {
        let other = comfort
            .other_name()
            .map(|(alias, own)| (alias, shown(own).unwrap_or(own)));
        comfort
            .names()
            .iter()
            .map(|name| (*name, *name))
            .chain(other)
    });
    let names: Vec<(&str, &str)> = own.clone().chain(others).collect();
    let near = nearest(name, names.iter().map(|(name, _)| *name))
        .and_then(|near| names.iter().find(|(name, _)| *name == near));
    let name = shortened(name);
    match near {
        Some((_, own)) => format!("`{path}{name}`: {whose}; did you mean `{own}`?"),
        None if properties.is_empty() => format!("`{path}{name}`: {whose}; it takes no arguments"),
        None => {
            let count = own.clone().count();
            let more = match count.saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = listed(own.map(|(_, shown)| shown).take(NAMED), '`');
            format!("`{path}{name}`: {whose}; the known ones are {first}{more}")
        }
    }
}

fn of_schema<'s>(schema: &'s Object, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)
}

/// What a property is, after a colon.
fn meaning(properties: &Object, name: &str) -> String {
    let text = properties
        .get(name)
        .and_then(|p| p.get("description")?.as_str());
    text.map_or(String::new(), |text| {
        format!(": {}", in_a_sentence(first_sentence(text)))
    })
}

/// A text as the end of a sentence: `The text` becomes `the text`, `URL` stays.
fn in_a_sentence(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

fn is_required(schema: &Object, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|one| one == name))
}

/// Whether two values of an argument are equal, in any notation.
fn is_same(argument: &str, one: &Value, other: &Value) -> bool {
    one == other
        || property::of(argument).is_some_and(|row| {
            let values = row.value(one).zip(row.value(other));
            values.is_some_and(|(one, other)| (one - other).abs() < 1e-9)
        })
}

/// Whether it is what clients and forms send for a value that is not given.
fn is_blank(text: &str) -> bool {
    const BLANK: [&str; 5] = ["null", "none", "undefined", "nil", "无"];
    if text.len() > 32 {
        return false;
    }
    let text = text.trim();
    text.is_empty() || BLANK.iter().any(|blank| blank.eq_ignore_ascii_case(text))
}

/// A number, or text that is one.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse::<i64>() {
                return Some(whole.into());
            }
            Number::from_f64(decimal(text)?)
        }
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => match whole(number) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Parses JSON in a string if it is of the expected kind.
fn parse_json_text(value: &mut Value, kind: &str) {
    let Value::String(text) = &*value else {
        return;
    };
    let opening = if kind == "array" { '[' } else { '{' };
    if text.trim_start().starts_with(opening)
        && let Ok(parsed) = serde_json::from_str::<Value>(text)
    {
        *value = parsed;
    }
}

/// Whether a number is one of the allowed values, if the schema lists any.
fn is_allowed(schema: &Object, number: &Number) -> bool {
    let Some(Value::Array(allowed)) = schema.get("enum") else {
        return true;
    };
    allowed.iter().any(|one| one.as_f64() == number.as_f64())
}

/// Replaces an allowed value in another spelling: "capcut" becomes "CapCut".
fn one_of(schema: &Object, text: &mut String) {
    let Some(Value::Array(allowed)) = schema.get("enum") else {
        return;
    };
    let allowed = || allowed.iter().filter_map(Value::as_str);
    if allowed().any(|a| a == text) {
        return;
    }
    let wanted = bare(text);
    let meant = OTHER_WORDS
        .iter()
        .find(|(others, _)| others.contains(&wanted.as_str()))
        .map_or(wanted.as_str(), |(_, word)| word);
    if let Some(same) = allowed().find(|a| bare(a) == meant) {
        same.clone_into(text);
    }
}

fn bare(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Other words for fixed values.
const OTHER_WORDS: [(&[&str], &str); 6] = [
    (&["win"], "windows"),
    (&["mac", "darwin", "osx", "os_x"], "macos"),
    (&["剪映"], "jianying"),
    (&["local", "engine"], "embedded"),
    (&["server"], "remote"),
    (&["opacity"], "alpha"),
];

fn range(schema: &Object) -> Option<String> {
    let low = schema.get("minimum");
    let above = schema.get("exclusiveMinimum");
    match (low, above, schema.get("maximum")) {
        (Some(low), _, Some(high)) => Some(format!("within {low} to {high}")),
        (None, Some(above), Some(high)) => Some(format!("above {above} and up to {high}")),
        (Some(low), _, None) => Some(format!("{low} or more")),
        (None, Some(above), None) => Some(format!("more than {above}")),
        (None, None, Some(high)) => Some(format!("at most {high}")),
        (None, None, None) => None,
    }
}

/// A value as it was sent, shortened when long.
fn shown(value: &Value) -> String {
    match value {
        // A long text is shortened before it is quoted, because only its beginning is shown.
        Value::String(text) if text.len() > 400 => {
            let start = shortened(text);
            format!("{start:?}")
        }
        other => shortened(&other.to_string()).into_owned(),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>, quote: char) -> String {
    names
        .map(|name| format!("{quote}{name}{quote}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").unwrap_or(text.len());
    text[..end]
        .lines()
        .next()
        .unwrap_or("")
        .trim_end_matches('.')
}

fn timestamp(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    format!(
        "{:02}:{:02}:{:02},{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

/// Other names for fixed values.
const OTHER_VALUES: [(&str, &str); 10] = [
    ("scale", "uniform_scale"),
    ("zoom", "uniform_scale"),
    ("size", "uniform_scale"),
    ("opacity", "alpha"),
    ("transparency", "alpha"),
    ("fade", "alpha"),
    ("x", "position_x"),
    ("y", "position_y"),
    ("rotate", "rotation"),
    ("angle", "rotation"),
];

/// The fixed value that was probably meant.
pub(crate) fn nearest_value<'n>(
    value: &str,
    allowed: impl Iterator<Item = &'n str> + Clone,
) -> Option<&'n str> {
    let meant = OTHER_VALUES
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(value.trim()));
    let known = meant.and_then(|(_, own)| allowed.clone().find(|allowed| allowed == own));
    known.or_else(|| nearest(value, allowed))
}

/// The name that was probably meant, if any is similar.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // The time to compare grows with the product of both lengths, and no similar name is much longer.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase().replace(['-', ' '], "_");
    let words: Vec<&str> = wanted.split('_').collect();
    names
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let spelling = strsim::normalized_damerau_levenshtein(&wanted, &lower);
            // `colour_of_text` and `text_color` share words, not spelling.
            let shared = lower
                .split('_')
                .filter(|part| {
                    words
                        .iter()
                        .any(|word| strsim::normalized_damerau_levenshtein(word, part) > 0.8)
                })
                .count() as f64;
            let all = words.len().max(lower.split('_').count()) as f64;
            (spelling.max(shared / all), candidate)
        })
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::args::schema;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Round,
        VerySquare,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Style {
        /// Points.
        #[schemars(range(min = 1))]
        size: Option<f64>,
        bold: Option<bool>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Sample {
        /// The words to show. More of it.
        text: String,
        #[schemars(range(min = 0.0, max = 10.0))]
        start: Option<f64>,
        count: Option<i64>,
        vertical: Option<bool>,
        shape: Option<Shape>,
        style: Option<Style>,
        styles: Option<Vec<Style>>,
        levels: Option<Vec<f64>>,
        #[schemars(length(min = 1, max = 3))]
        track: Option<String>,
        font_color: Option<String>,
        position: Option<crate::args::Position>,
        transform_x: Option<f64>,
        width: Option<u32>,
        height: Option<u32>,
    }

    const COMFORT: &[Comfort] = &[
        Comfort::Alias("words", "text"),
        Comfort::Alias("start_time", "start"),
        Comfort::Size,
        Comfort::Position,
    ];

    fn mended(arguments: Value) -> Result<Value> {
        let Value::Object(mut arguments) = arguments else {
            panic!("an object");
        };
        mend(
            "sample",
            COMFORT,
            &schema::input::<Sample>(),
            &mut arguments,
            Of::Call,
        )?;
        Ok(Value::Object(arguments))
    }

    #[test]
    fn loose_values_become_those_of_the_schema() {
        let strict = json!({
            "text": "12", "start": 1.5, "count": 1280, "vertical": true, "shape": "very_square",
            "style": { "size": 3, "bold": false }, "styles": [{ "size": 2.5 }], "levels": [1, 2],
        });
        for loose in [
            json!({
                "text": 12, "start": "1.5", "count": "1280.0", "vertical": "true", "shape": "Very Square",
                "style": "{\"size\": \"3\", \"bold\": \"False\"}", "styles": "[{\"size\": \"2.5\", \"bold\": null}]",
                "levels": ["1", 2], "track": null, "transform_x": "", "width": "null",
            }),
            json!({
                "text": "12", "start": " 1.5 ", "count": 1280.0, "vertical": 1, "shape": "very-square",
                "style": { "size": "3", "bold": 0 }, "styles": { "size": 2.5 }, "levels": "[\"1\", \"2\"]",
            }),
            strict.clone(),
        ] {
            assert_eq!(mended(loose.clone()).expect("mended"), strict, "{loose}");
        }
    }

    #[test]
    fn other_names_become_the_tools_own() {
        assert_eq!(
            mended(json!({ "words": "a", "start_time": "2", "resolution": "640x360" }))
                .expect("mended"),
            json!({ "text": "a", "start": 2, "width": 640, "height": 360 })
        );
        assert_eq!(
            mended(json!({ "words": "a", "text": "a" })).expect("mended"),
            json!({ "text": "a" })
        );
    }

    #[test]
    fn a_position_is_a_word_or_a_box_also_in_text() {
        let boxed = json!({ "x": 0, "y": 0, "width": 10, "height": 10 });
        for position in [boxed.clone(), json!(boxed.to_string())] {
            assert_eq!(
                mended(json!({ "text": "a", "position": position })).expect("mended")["position"],
                boxed
            );
        }
        mended(json!({ "text": "a", "position": "bottom" })).expect("a word");
    }

    #[test]
    fn one_error_lists_all_problems_by_the_names_that_were_sent() {
        let error = mended(json!({
            "start_time": 11, "count": 1.5, "vertical": "maybe", "shape": "rond", "style": [],
            "styles": [{ "sise": 1, "size": 0 }], "levels": {}, "track": "", "colour": "#fff",
            "zzz": 1, "position": "behind", "transform_x": "far", "resolution": "big",
        }))
        .expect_err("problems");
        let expected = "\
`resolution` is \"big\", which is not like \"1920x1080\" or \"1080p\"
`position` is \"behind\", which is not a position; it can be \"center\", \"top\", \"bottom\", \"left\", \"right\", \"top_left\", \"top_right\", \"bottom_left\", \"bottom_right\" or {x, y, width, height} in pixels
`position` (a word) and `transform_x` both set the position: give one of them
`count` is 1.5, which is not a whole number
`vertical` is \"maybe\", which is not true or false
`shape` is \"rond\"; it can be \"round\", \"very_square\"; did you mean \"round\"?
`style` is [], which is not an object
`styles[0].sise`: there is no such field; did you mean `size`?
`styles[0].size` is 0; it is on the app's own scale, 1 to 300; usually 5 to 15; did you mean 8?
`levels` is {}, which is not a list
`colour`: `sample` has no such argument; did you mean `font_color`?
`zzz`: `sample` has no such argument; the known ones are `text`, `start`, `count`, `vertical`, `shape`, `style`, `styles`, `levels` and 6 more
`transform_x` is \"far\", which is not a number; it is half canvases from the centre: -1 is the left or lower edge, 1 the right or upper one
`start_time` is 11, which is not within 0 to 10
`text` is missing: the words to show";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn long_lists_of_problems_are_cut_and_counted() {
        let arguments: Object = (0..20_000)
            .map(|number| (format!("unknown_{number}"), json!(1)))
            .chain([("text".to_owned(), json!("a"))])
            .collect();
        let error = mended(Value::Object(arguments)).expect_err("problems");
        assert_eq!(error.message.lines().count(), LISTED + 1);
        assert!(
            error.message.ends_with("\nand 19,980 more problems"),
            "{error}"
        );
        let levels = vec![json!("x"); 50_000];
        let error = mended(json!({ "text": "a", "levels": levels })).expect_err("problems");
        assert!(error.message.len() < 8_000, "{}", error.message.len());
    }

    #[test]
    fn long_names_and_values_are_shortened() {
        let long = "é".repeat(1 << 20);
        for arguments in [
            json!({ "text": "a", &long: 1 }),
            json!({ "text": "a", "shape": long }),
            json!({ "text": "a", "start": long }),
            json!({ "text": "a", "vertical": long }),
            json!({ "text": "a", "style": long }),
            json!({ "text": "a", "style": { &long: 1 } }),
            json!({ "text": "a", "position": long }),
            json!({ "text": "a", "resolution": long }),
            json!({ "text": "a", "levels": { "a": [long] } }),
            json!({ "text": "a", "words": long }),
        ] {
            let error = mended(arguments).expect_err("a problem");
            assert!(error.message.len() < 1_500, "{}", error.message);
            assert!(
                error.message.contains("1048576 characters") || error.message.contains("(10485"),
                "{error}"
            );
        }
    }

    #[test]
    fn two_names_for_one_argument_must_agree() {
        let error = mended(json!({ "words": "a", "text": "b" })).expect_err("a problem");
        assert_eq!(
            error.message,
            "`words` is another name for `text`: give one of them, not \"a\" and \"b\""
        );
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Subtitle {
        srt: String,
        time_offset: Option<f64>,
    }

    fn caption(arguments: Value) -> Result<Value> {
        let Value::Object(mut arguments) = arguments else {
            panic!("an object");
        };
        let comfort = [Comfort::Caption, Comfort::Alias("srt_path", "srt")];
        mend(
            "add_subtitle",
            &comfort,
            &schema::input::<Subtitle>(),
            &mut arguments,
            Of::Call,
        )?;
        Ok(Value::Object(arguments))
    }

    #[test]
    fn one_caption_becomes_an_srt_of_one_cue() {
        assert_eq!(
            caption(
                json!({ "subtitle_text": "Hi\n\nyou", "start_time": "1.5", "end_time": 3661.25 })
            )
            .expect("mended"),
            json!({ "srt": "1\n00:00:01,500 --> 01:01:01,250\nHi\nyou\n" })
        );
    }

    #[test]
    fn problems_of_a_caption_are_reported() {
        for (arguments, fault) in [
            (
                json!({ "subtitle_text": "a" }),
                "`end_time` is missing: the time when the caption disappears, in seconds",
            ),
            (
                json!({ "subtitle_text": "a", "start_time": 2, "end_time": 1 }),
                "`end_time` is 1 s, which is not after `start_time` (2 s)",
            ),
            (
                json!({ "subtitle_text": "a", "start_time": "x", "end_time": 1 }),
                "`start_time` is \"x\", which is not a time in seconds",
            ),
            (
                json!({ "subtitle_text": " ", "end_time": 1 }),
                "`subtitle_text` is empty; it must be the caption to show",
            ),
            (
                json!({ "subtitle_text": "a", "end_time": 1, "srt_path": "b" }),
                "`subtitle_text` is one caption and `srt` is a whole file: give one of them",
            ),
        ] {
            let error = caption(arguments).expect_err("a problem");
            assert!(
                error.message.lines().any(|line| line == fault),
                "{}",
                error.message
            );
        }
    }
}
