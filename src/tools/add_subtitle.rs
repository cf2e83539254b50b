//! `add_subtitle`: add subtitles.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::input_rule::{InputRule, Preset};
use crate::args::lenient::{Checked, always, beside};
use crate::args::reply::Placed;
use crate::args::{self, Content, Position, default, loose, property};
use crate::caller::Caller;
use crate::catalog;
use crate::draft::clip::Clip;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::draft::text::{Background, CharacterStyle, Font, SpokenWord, Stroke, TextContent};
use crate::draft::track::TrackKind;
use crate::engine::edit::{Caption, Captions, Edit};
use crate::engine::parts;
use crate::engine::subtitle::{CallLook, Cue, Gives, Grouping, HeardPart, Laid, Subtitles};
use crate::engine::timeline::TrackChoice;
use crate::engine::{self, CallTarget, Canvas, Engine, subtitle};
use crate::error::{Error, Faults, Result};
use crate::media::Media;
use crate::printable::one_line;
use crate::sorting;
use crate::tool::{
    CatalogName, Converted, Group, Hints, TextFile, TextSource, Texts, Tool, Turn, read_output,
};
use crate::tools::add_text::background_style;
use crate::tools::captions::{self, CaptionPreset, KaraokeWish};
use crate::tools::{Call, Object};
use crate::units::{Edition, Micros};

/// Adds captions from subtitles (SRT, WebVTT or ASS), one text per cue.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the API"
)]
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddSubtitle {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// Subtitles, transcript, URL or path.
    pub srt: String,
    /// Seconds added to every time.
    #[serde(default)]
    pub time_offset: f64,
    /// Track; created if new.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    // The default over MCP follows the edition.
    #[serde(
        default = "default::add_subtitle::font",
        deserialize_with = "args::optional_text"
    )]
    #[schemars(with = "Option<String>", extend("default" = null))]
    pub font: Option<String>,
    #[serde(
        default = "default::add_subtitle::font_size",
        deserialize_with = "loose::add_subtitle::font_size"
    )]
    #[schemars(with = "f64")]
    pub font_size: f64,
    #[serde(default = "default::font_color")]
    pub font_color: String,
    #[serde(default = "default::alpha", deserialize_with = "loose::alpha")]
    #[schemars(with = "f64")]
    pub alpha: f64,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub bold: bool,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub italic: bool,
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub underline: bool,
    #[serde(default, deserialize_with = "args::switch")]
    #[schemars(with = "bool")]
    pub vertical: bool,
    #[serde(default = "default::border_width")]
    pub border_width: f64,
    #[serde(default = "default::border_color")]
    pub border_color: String,
    #[serde(default = "default::border_alpha")]
    pub border_alpha: f64,
    #[serde(default = "default::add_subtitle::background_alpha")]
    pub background_alpha: f64,
    #[serde(default = "default::add_subtitle::background_color")]
    pub background_color: String,
    #[serde(default)]
    #[schemars(extend("enum" = [0, 1, 2]))]
    pub background_style: f64,
    #[serde(
        default = "default::transform_x",
        deserialize_with = "loose::transform_x"
    )]
    #[schemars(with = "f64")]
    pub transform_x: f64,
    #[serde(
        default = "default::add_subtitle::transform_y",
        deserialize_with = "loose::add_subtitle::transform_y"
    )]
    #[schemars(with = "f64")]
    pub transform_y: f64,
    #[serde(default = "default::scale_x", deserialize_with = "loose::scale_x")]
    #[schemars(with = "f64")]
    pub scale_x: f64,
    #[serde(default = "default::scale_y", deserialize_with = "loose::scale_y")]
    #[schemars(with = "f64")]
    pub scale_y: f64,
    #[serde(default = "default::rotation", deserialize_with = "loose::rotation")]
    #[schemars(with = "f64")]
    pub rotation: f64,
    /// Or {x, y, width, height} in pixels.
    #[serde(
        default,
        deserialize_with = "args::place",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Position>")]
    pub position: Option<Position>,
    /// Colours words as they are spoken: {color, per: word or line}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karaoke: Option<KaraokeWish>,
    /// How words are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<CaptionPreset>,
    /// The same in a second language, shown below: as `srt`.
    #[serde(
        default,
        deserialize_with = "args::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub translation: Option<String>,
    /// Limits for captions of a transcript: max_chars, max_lines, max_words, chars_per_second, pause, gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grouping: Option<Grouping>,
    /// The parts of a sound whose subtitles these are, as they are heard: [{from, to, at, speed}]. `from` and `to` are
    /// seconds in the file, `at` on the timeline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<HeardPart>,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub width: f64,
    /// Canvas of a new draft, pixels (HTTP only).
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", extend("deprecated" = true))]
    pub height: f64,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("subtitle".to_owned())
}

impl AddSubtitle {
    fn target(&self) -> CallTarget<'_> {
        CallTarget {
            draft: self.draft_id.as_ref(),
            width: self.width,
            height: self.height,
        }
    }

    /// A note for captions in a large font that are wider than the canvas.
    fn too_wide(&self, lanes: &[Vec<subtitle::Cue>], canvas: (f64, f64)) -> Option<String> {
        let cues = lanes.iter().flatten();
        let plain = cues.filter(|cue| !self.vertical && !cue.has_look());
        let mut wide = plain.filter_map(|cue| {
            let note = property::too_wide(&cue.text, self.font_size, canvas)?;
            Some((cue.number, note))
        });
        let (number, note) = wide.next()?;
        Some(match wide.count() {
            0 => format!("cue {number}: {note}"),
            more => format!("cue {number} and {more} more: {note}"),
        })
    }

    fn elsewhere(&self) -> Option<&str> {
        Self::location(&self.srt)
    }

    /// The URL or path of subtitles, unless they are given as text.
    pub(crate) fn location(srt: &str) -> Option<&str> {
        let srt = srt.trim();
        let is_url = ["http://", "https://", "file://"].iter().any(|scheme| {
            srt.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let is_path = !srt.contains('\n') && !srt.contains("-->") && Path::new(srt).is_absolute();
        (is_url || is_path).then_some(srt)
    }

    /// The words of the first caption, if subtitles are given as text that can be read, not as a URL or path.
    pub(crate) fn first_words(srt: &str) -> Option<String> {
        if Self::location(srt).is_some() {
            return None;
        }
        let read = subtitle::parse(&subtitle::inline(srt), &Grouping::default()).ok()?;
        Some(read.cues.into_iter().next()?.text)
    }

    /// Reads subtitles from an argument, a URL or a path: leniently for strict callers, otherwise as the API does.
    async fn read(
        &self,
        given: &str,
        media: &Media,
        caller: &Caller,
        is_strict: bool,
    ) -> Result<Subtitles> {
        let Some(source) = Self::location(given) else {
            return self.parsed(&subtitle::inline(given), is_strict);
        };
        let bytes = media.text(source, subtitle::MAX_BYTES).await?;
        let (text, note) = if is_strict {
            subtitle::decode(&bytes)
        } else {
            subtitle::decode_as_api(&bytes)
        };
        match self.parsed(&text, is_strict) {
            Ok(subtitles) => Ok(subtitles.with(note)),
            Err(error) if caller.may_see_quoted(Media::is_here(source)) => Err(error),
            Err(error) => Err(subtitle::without_content(&error)),
        }
    }

    fn parsed(&self, text: &str, is_strict: bool) -> Result<Subtitles> {
        let grouping = self.grouping.unwrap_or_default();
        if is_strict || !self.heard.is_empty() {
            subtitle::parse_heard(text, &grouping, &self.heard)
        } else {
            subtitle::parse_as_api(text, &grouping)
        }
    }

    /// The captions as the call shows them.
    pub(crate) async fn captions(
        &self,
        media: &Media,
        caller: &Caller,
        is_strict: bool,
    ) -> Result<Laid> {
        let own = parts::of("srt", self.read(&self.srt, media, caller, is_strict).await)?;
        let mut shown = self.shown(own);
        if let Some(translation) = &self.translation {
            let other = self.read(translation, media, caller, true).await;
            shown = shown.with_translation(parts::of("translation", other)?);
        }
        shown.laid(self.offset())
    }

    /// The call of an item of a plan.
    pub(crate) fn of_item(arguments: &Object) -> Result<Self> {
        serde_json::from_value(Value::Object(arguments.clone())).map_err(|e| {
            Error::invalid("the subtitles of the plan are not those of a call").source(e)
        })
    }

    /// The files and URLs that it reads.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let given = [Some(self.srt.as_str()), self.translation.as_deref()];
        given.into_iter().flatten().filter_map(Self::location)
    }

    /// The cues as the call shows their words.
    fn shown(&self, subtitles: Subtitles) -> Subtitles {
        match self.preset {
            Some(CaptionPreset::WordPop) => subtitles.word_by_word(),
            _ if self.karaoke.is_some() || self.preset.is_some() => subtitles.with_words(),
            _ => subtitles,
        }
    }

    /// The captions, if they can be known without reading files.
    fn given(&self, is_strict: bool) -> Option<Result<Laid>> {
        if self.elsewhere().is_some() || self.translation.is_some() {
            return None;
        }
        let read = self.parsed(&subtitle::inline(&self.srt), is_strict);
        let read = parts::of("srt", read);
        Some(read.and_then(|subtitles| self.shown(subtitles).laid(self.offset())))
    }

    fn offset(&self) -> Micros {
        Micros::from_seconds_truncated(self.time_offset)
    }

    /// What the call sets for all captions: values that differ from the defaults override the styles of a file.
    fn gives(&self, edition: Edition) -> Gives {
        let usual = [
            default::add_subtitle::font(),
            Some(catalog::usual_font(edition).to_owned()),
        ];
        let is_black = self.border_color == default::border_color();
        Gives {
            font: !usual.contains(&self.font),
            bold: self.bold,
            italic: self.italic,
            underline: self.underline,
            color: !self.font_color.eq_ignore_ascii_case(&default::font_color()),
            alpha: self.alpha != 1.0,
            border: self.border_width > 0.0
                || self.border_alpha != default::border_alpha()
                || !is_black,
            size: self.font_size != default::add_subtitle::font_size(),
            place: self.position.is_some()
                || self.transform_x != default::transform_x()
                || self.transform_y != default::add_subtitle::transform_y(),
        }
    }

    /// The fonts of the file that the edition has; the others are noted.
    fn fonts(&self, laid: &mut Laid, edition: Edition) -> HashMap<Arc<str>, Font> {
        let mut found: HashMap<Arc<str>, Option<Font>> = HashMap::new();
        if self.gives(edition).font {
            return HashMap::new();
        }
        let mut cues: Vec<&Cue> = laid.lanes.iter().flatten().collect();
        sorting::sort_by_key(&mut cues, |cue| cue.number);
        for cue in cues {
            let parts = cue.parts.iter().map(|part| &part.letters);
            for name in std::iter::once(&cue.style)
                .chain(parts)
                .filter_map(|letters| letters.font.as_ref())
            {
                let font = found
                    .entry(Arc::clone(name))
                    .or_insert_with(|| parts::file_font(edition, name));
                if font.is_none() {
                    let usual = self.font.as_deref().unwrap_or_default();
                    let name = one_line(subtitle::excerpt(name));
                    laid.notes.of_cue(
                        cue.number,
                        format!(
                            "the app's library has no font {name:?}: {usual:?} is used (choose another with `font`)"
                        ),
                    );
                }
            }
        }
        let known = found.into_iter();
        known
            .filter_map(|(name, font)| Some((name, font?)))
            .collect()
    }

    fn look(&self, canvas: Canvas, clip: Clip) -> Result<TextContent> {
        let font = match self.font.as_deref() {
            Some(name) if !name.is_empty() => parts::font(canvas.edition, "font", name)?,
            _ => {
                return Err(
                    Error::invalid("`font` is empty").hint("remove it to use the default font")
                );
            }
        };
        let has_border = parts::finite("border_width", self.border_width)? > 0.0;
        let border_color = parts::rgb("border_color", &self.border_color)?;
        let background_alpha = parts::finite("background_alpha", self.background_alpha)?;
        let background = if background_alpha > 0.0 {
            Some(Background {
                style: background_style(self.background_style)?,
                color: self.background_color.as_str().into(),
                alpha: background_alpha,
                round_radius: 0.0,
                height: 0.14,
                width: 0.14,
                horizontal_offset: 0.0,
                vertical_offset: 0.0,
            })
        } else {
            None
        };
        Ok(TextContent {
            styles: vec![CharacterStyle {
                range: (0, 0),
                size: parts::finite("font_size", self.font_size)?,
                color: parts::rgb("font_color", &self.font_color)?,
                alpha: parts::finite("alpha", self.alpha)?,
                bold: self.bold,
                italic: self.italic,
                underline: self.underline,
                stroke: has_border.then_some(Stroke {
                    alpha: self.border_alpha,
                    color: border_color,
                    width: self.border_width,
                }),
                font: Some(font),
            }],
            vertical: self.vertical,
            // The API's widths in pixels for portrait and for landscape, regardless of the canvas size.
            fixed_width: Some(if canvas.width < canvas.height {
                648
            } else {
                1344
            }),
            has_border,
            background,
            clip,
            animations: match self.preset {
                Some(CaptionPreset::WordPop) => Some(captions::pop(canvas.edition)?),
                _ => None,
            },
            karaoke: captions::karaoke(self.karaoke.as_ref(), self.preset)?,
            ..TextContent::default()
        })
    }
}

impl Tool for AddSubtitle {
    const NAME: &'static str = "add_subtitle";
    const TITLE: &'static str = "Add subtitles";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Properties(ClipKind::Text),
        InputRule::Rare("transform_x"),
        InputRule::Rare("scale_x"),
        InputRule::Rare("scale_y"),
        InputRule::Rare("rotation"),
        InputRule::Rare("alpha"),
        InputRule::Rare("italic"),
        InputRule::Rare("underline"),
        InputRule::Rare("karaoke"),
        InputRule::Rare("preset"),
        InputRule::Rare("translation"),
        InputRule::Rare("grouping"),
        InputRule::Rare("heard"),
        InputRule::Rare("position"),
        InputRule::Rare("background_alpha"),
        InputRule::Rare("background_color"),
        InputRule::Alias("words", "srt"),
        InputRule::Alias("transcript", "srt"),
        InputRule::Size,
        InputRule::Position,
        InputRule::Caption,
        InputRule::Alias("srt_path", "srt"),
        InputRule::Alias("srt_url", "srt"),
        InputRule::Alias("subtitle_path", "srt"),
        InputRule::Alias("subtitle_url", "srt"),
        InputRule::Alias("subtitle_file", "srt"),
        InputRule::Alias("srt_content", "srt"),
        InputRule::With("background_color", "background_alpha", Preset::Number(1.0)),
        InputRule::With("border_color", "border_width", Preset::Number(40.0)),
        InputRule::Alias("at", "time_offset"),
        InputRule::Alias("font_type", "font"),
        InputRule::Alias("text_color", "font_color"),
        InputRule::Alias("opacity", "alpha"),
        InputRule::Alias("color", "font_color"),
        InputRule::Alias("size", "font_size"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("time_offset"),
        always("font"),
        always("font_color"),
        always("border_alpha"),
        always("border_color"),
        always("border_width"),
        always("background_alpha"),
        always("vertical"),
        beside("background_style", "background_alpha"),
    ];
    const TEXTS: Texts = Texts {
        required: &["srt"],
        not_null: &[],
        missing: "Hi, the required parameters 'srt' are missing.",
        before: "Error occurred while processing subtitle: ",
        after: ".",
        unknown: "",
    };
    const USUAL_FONT: Option<fn(Edition) -> &'static str> = Some(catalog::usual_font);
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Track {
            group: Group::Other,
            track: self.track_name.clone().unwrap_or_default(),
            dependent: false,
        }
    }

    fn names(&self) -> Vec<CatalogName<'_>> {
        let font = CatalogName::new("font", &[catalog::NameKind::Font], self.font.as_deref());
        font.into_iter().collect()
    }

    fn leaves(&self, strict: bool) -> Leaves {
        // The content of a URL or a path is not known here.
        let laid = self.given(strict).and_then(Result::ok);
        // The first track also has these cues if a server puts all captions on it.
        let Some(cues) = laid.and_then(|laid| laid.lanes.into_iter().next()) else {
            return Leaves::Unseen;
        };
        let starts = cues.iter().map(|cue| cue.range.start).collect();
        let ends = cues.iter().map(|cue| Some(cue.range.end())).collect();
        Leaves::segments(self.track_name.as_deref(), starts, ends, None)
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(self.look(canvas, Clip::default()));
        faults.of(self.grouping.unwrap_or_default().checked());
        let heard = HeardPart::check(&self.heard);
        if heard.is_err() {
            faults.of(heard);
            return faults;
        }
        if let Some(given) = self.given(true) {
            faults.of(given);
        }
        faults
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let canvas = engine.canvas(self.target()).await?;
        let clip = args::clip(
            engine::is_strict(call),
            self.position,
            (canvas.width, canvas.height),
            Content::Text,
            Clip {
                transform_x: parts::finite("transform_x", self.transform_x)?,
                transform_y: parts::finite("transform_y", self.transform_y)?,
                scale_x: parts::finite("scale_x", self.scale_x)?,
                scale_y: parts::finite("scale_y", self.scale_y)?,
                rotation: parts::finite("rotation", self.rotation)?,
                alpha: 1.0,
                ..Clip::default()
            },
        );
        parts::finite("time_offset", self.time_offset)?;
        self.grouping.unwrap_or_default().checked()?;
        HeardPart::check(&self.heard)?;
        let media = engine.media(&call.caller);
        let is_strict = engine::is_strict(call);
        let mut laid = self.captions(&media, &call.caller, is_strict).await?;
        // The API checks the style at the first caption, so without captions it is not checked.
        let look = if laid.lanes.iter().all(Vec::is_empty) {
            TextContent::default()
        } else {
            self.look(canvas, clip)?
        };
        let of_call = CallLook {
            look: &look,
            canvas: (canvas.width, canvas.height),
            gives: self.gives(canvas.edition),
            fonts: self.fonts(&mut laid, canvas.edition),
        };
        let below = laid.lines_below(|cue| of_call.lines(cue));
        let too_wide = self.too_wide(&laid.lanes, of_call.canvas);
        let mut lanes = laid.lanes.into_iter().zip(below).map(|(lane, below)| {
            let captions = lane.into_iter().zip(below).map(|(cue, below)| Caption {
                range: cue.range,
                look: of_call.of(&cue, below).map(Box::new),
                number: cue.number,
                words: spoken(&cue),
                text: cue.text,
            });
            captions.collect::<Vec<Caption>>()
        });
        let edit = Edit::Captions(Box::new(Captions {
            track: TrackChoice {
                name: self.track_name.clone(),
                kind: TrackKind::Text,
                render_index: TrackKind::Text.base() + 999.0,
                may_make_unnamed: true,
            },
            cues: lanes.next().unwrap_or_default(),
            further: lanes.collect(),
            look: look.clone(),
        }));
        let mut placed = engine.edit(self.target(), call, edit).await?;
        // Counts of a remote caller's fetched file are not reported, because they reveal its content.
        let is_own = self.elsewhere().is_none_or(Media::is_here);
        let may_tell = is_own || call.caller.access.is_open();
        let mut notes = laid.notes.lines(may_tell);
        notes.extend(too_wide.filter(|_| may_tell));
        notes.append(&mut placed.notes);
        placed.notes = notes;
        Ok(placed)
    }

    fn reply_from_api(&self, output: &RawValue) -> Result<Placed> {
        let mut placed: Placed = read_output(output)?;
        if let Some(Ok(laid)) = self.given(true) {
            let canvas = (self.width, self.height);
            placed.notes.extend(self.too_wide(&laid.lanes, canvas));
        }
        Ok(placed)
    }

    fn only_here(&self, _strict: bool) -> Result<()> {
        let given = [
            ("karaoke", self.karaoke.is_some()),
            ("preset", self.preset.is_some()),
            ("translation", self.translation.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(Error::invalid(format!(
                "a CapCut API server has no `{name}` for captions"
            ))
            .hint("leave it out, or make the draft with `--backend embedded`")),
            None => Ok(()),
        }
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        // The captions are sent as they are grouped, with the times at which they are heard.
        arguments.shift_remove("grouping");
        arguments.shift_remove("heard");
        // CapCutAPI 1.1.0 fails without a font.
        if let Some(font) = &self.font {
            arguments
                .entry("font")
                .or_insert_with(|| font.as_str().into());
        }
        args::api_position(
            &mut arguments,
            self.position,
            (self.width, self.height),
            Content::Text,
        );
        arguments
    }

    fn text_file(&self) -> Option<TextFile<'_>> {
        let offset = self.offset();
        let grouping = self.grouping.unwrap_or_default();
        let Some(source) = self.elsewhere() else {
            return Some(TextFile {
                argument: "srt",
                text: TextSource::Given(subtitle::inline(&self.srt)),
                convert: Box::new(move |bytes, _| {
                    let text = String::from_utf8_lossy(bytes);
                    subtitle::for_api(&text, None, offset, &grouping, &self.heard).map(sent)
                }),
            });
        };
        let path = source.split(['?', '#']).next().unwrap_or_default();
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        let other = ["vtt", "ass", "ssa", "json"];
        Some(TextFile {
            argument: "srt",
            text: TextSource::At {
                source,
                max_bytes: subtitle::MAX_BYTES,
                // A server reads SRT by itself, possibly from a file on its own machine.
                is_needed: !self.heard.is_empty()
                    || other.iter().any(|other| ending.eq_ignore_ascii_case(other)),
            },
            convert: Box::new(move |bytes, caller| {
                let (text, note) = subtitle::decode(bytes);
                match subtitle::for_api(&text, note, offset, &grouping, &self.heard) {
                    Ok(read) => Ok(sent(read)),
                    Err(error) if caller.may_see_quoted(Media::is_here(source)) => Err(error),
                    Err(error) => Err(subtitle::without_content(&error)),
                }
            }),
        })
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}

/// The words of a caption as its text has them.
fn spoken(cue: &Cue) -> Vec<SpokenWord> {
    let words = cue.own_words().into_iter().map(|word| SpokenWord {
        from: word.from,
        to: word.to,
        start: word.start,
        end: word.end,
    });
    words.collect()
}

fn sent(read: subtitle::ForApi) -> Converted {
    Converted {
        text: read.srt,
        notes: read.notes.lines(true),
    }
}
