//! `export_subtitles`: the texts of a draft as SRT, WebVTT or ASS.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{
    ClipKind, ClipRef, Dialect, Document, MaterialRef, PathPart, RootRef, TextContent, field,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::InputRule;
use crate::draft::clip::Clip;
use crate::draft::ids::DraftId;
use crate::draft::text::{CAPTION_EFFECT, Karaoke, KaraokeMode, Rgb};
use crate::engine::documents::document_error;
use crate::engine::subtitle::CueBox;
use crate::engine::subtitle::export::{
    ShownFrame, ShownShadow, ShownStyle, ShownText, SubtitleFormat, written,
};
use crate::error::{Error, Result};
use crate::exec::drafts::script;
use crate::exec::{App, Context};
use crate::journal::ENGINE;
use crate::local::LocalTool;
use crate::sorting;
use crate::tool::Hints;
use crate::units::{Micros, Range};

/// Writes the texts of a draft as subtitles.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ExportSubtitles {
    /// The draft.
    pub draft_id: DraftId,
    /// Default: from the ending of `path`, else srt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SubtitleFormat>,
    /// The file to write, as an absolute path; without it, the text is in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only this track: id or name. Default: all texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Replaces the file if it exists.
    #[serde(default)]
    pub overwrite: bool,
}

/// The result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exported {
    pub draft_id: DraftId,
    pub format: SubtitleFormat,
    /// How many captions there are.
    pub count: usize,
    /// The subtitles, if no file was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl LocalTool for ExportSubtitles {
    const NAME: &'static str = "export_subtitles";
    const TITLE: &'static str = "Export subtitles";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("track_name", "track"),
        InputRule::Alias("file", "path"),
        InputRule::Alias("output", "path"),
    ];
    type Reply = Exported;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        let path = self.path.as_deref().map(Path::new);
        let relative = path.filter(|path| !path.is_absolute()).map(|path| {
            format!(
                "`path` is {:?}, which is not an absolute path",
                path.display().to_string()
            )
        });
        let nameless = path
            .filter(|path| path.is_absolute() && path.file_name().is_none())
            .map(|path| {
                format!(
                    "`path` is {:?}, which has no name of a file",
                    path.display().to_string()
                )
            });
        relative.into_iter().chain(nameless).collect()
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Exported> {
        let format = self.format()?;
        let target = self.path.as_ref().map(PathBuf::from);
        if let Some(target) = &target {
            let folder = target.parent().unwrap_or(target);
            context.caller.access.may_write(folder)?;
        }
        let id = app.current(&self.draft_id).await?;
        let row = app.journal.find(&id).await?;
        let (texts, canvas) = if row.is_none_or(|row| row.origin == ENGINE) {
            app.engine
                .inspect(&id, |document| self.texts(document))
                .await??
        } else {
            // A server's draft is read as it is there.
            let script = script(app, id.as_str(), context).await?;
            let mut document = Document::parse(script.into_bytes()).map_err(document_error)?;
            document.set_dialect(Dialect::Api);
            self.texts(&document)?
        };
        let text = written(&texts, format, canvas);
        let count = texts.len();
        let mut exported = Exported {
            draft_id: id,
            format,
            count,
            text: None,
            path: None,
        };
        match target {
            None => exported.text = Some(text),
            Some(target) => {
                let overwrite = self.overwrite;
                let shown = target.display().to_string();
                let wrote = tokio::task::spawn_blocking(move || write(&target, &text, overwrite));
                wrote.await.map_err(|e| {
                    Error::internal("the subtitles could not be written").source(e)
                })??;
                exported.path = Some(shown);
            }
        }
        Ok(exported)
    }
}

impl ExportSubtitles {
    fn format(&self) -> Result<SubtitleFormat> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let Some(path) = self.path.as_deref().map(Path::new) else {
            return Ok(SubtitleFormat::Srt);
        };
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "srt" => Ok(SubtitleFormat::Srt),
            "vtt" => Ok(SubtitleFormat::Vtt),
            "ass" | "ssa" => Ok(SubtitleFormat::Ass),
            _ => Err(Error::invalid(format!(
                "`path` is {:?}, whose ending does not say which format it has",
                path.display().to_string()
            ))
            .hint("end it with .srt, .vtt or .ass, or give `format`")),
        }
    }

    /// The texts in the order of their times, and the size of the canvas.
    fn texts(&self, document: &Document) -> Result<(Vec<ShownText>, (f64, f64))> {
        let side = |key| {
            document
                .number(RootRef, &["canvas_config", key])
                .filter(|side| *side > 0.0)
        };
        let canvas = (
            side("width").unwrap_or(1080.0),
            side("height").unwrap_or(1920.0),
        );
        let mut texts = Vec::new();
        let mut tracks = Vec::new();
        for track in document.tracks() {
            let (id, name) = (
                document.id(track),
                document.text(track, &["name"]).unwrap_or_default(),
            );
            let clips: Vec<ClipRef> = document
                .clips(track)
                .filter(|clip| document.clip_kind(*clip) == ClipKind::Text)
                .collect();
            if clips.is_empty() {
                continue;
            }
            let is_wanted = self.track.as_deref().is_none_or(|wanted| {
                wanted == id || wanted == name || wanted == document.short_track_id(track)
            });
            tracks.push(name.into_owned());
            if is_wanted {
                texts.extend(clips.into_iter().filter_map(|clip| shown(document, clip)));
            }
        }
        if texts.is_empty() {
            let tracks = if tracks.is_empty() {
                "none".to_owned()
            } else {
                tracks.join(", ")
            };
            return Err(match &self.track {
                Some(track) => Error::not_found(format!("no track with texts is called {track:?}"))
                    .hint(format!("the tracks with texts are: {tracks}")),
                None => Error::not_found("the draft has no texts")
                    .hint("add captions with `add_subtitle`, or texts with `add_text`"),
            });
        }
        sorting::sort_by_key(&mut texts, |text| text.range.start);
        Ok((texts, canvas))
    }
}

fn shown(document: &Document, clip: ClipRef) -> Option<ShownText> {
    let main = document.main_material(clip)?;
    let content = TextContent::read(&document.value(main, &field::material::CONTENT));
    let text = content.words().replace("\r\n", "\n").replace('\r', "\n");
    let target = document.target(clip);
    if text.trim().is_empty() || target.duration <= 0 {
        return None;
    }
    let letters: Vec<char> = text.chars().collect();
    // Documents of the app count in UTF-16.
    let at = |place: usize| match document.dialect() {
        Dialect::Api => place.min(letters.len()),
        Dialect::App => {
            let mut units = 0;
            letters
                .iter()
                .position(|letter| {
                    let is_there = units >= place;
                    units += letter.len_utf16();
                    is_there
                })
                .unwrap_or(letters.len())
        }
    };
    let usual = usual_style(document, main);
    let mut styles: Vec<(usize, usize, ShownStyle)> = Vec::new();
    for (index, range) in content.ranges().iter().enumerate() {
        let (from, to) = (
            range.start.map_or(0, at),
            range.end.map_or(letters.len(), at),
        );
        styles.push((from, to, style(&content, index, &usual)));
    }
    if styles.is_empty() {
        styles.push((0, letters.len(), usual));
    }
    let placed = |path: [&'static str; 2], usual| {
        let number = document.number(clip, &["clip", path[0], path[1]]);
        number.filter(|number| number.is_finite()).unwrap_or(usual)
    };
    let rotation = document.number(clip, &["clip", "rotation"]);
    let words = document.caption_words(clip).into_iter().map(|word| {
        let length = Micros(word.end - word.start);
        (word.from, word.to, Range::new(Micros(word.start), length))
    });
    let mode = document.refs(clip).iter().find_map(|id| {
        let own = document.material_in("material_animations", id)?;
        (0..8).find_map(|index| {
            let text = |key| {
                let path = [
                    PathPart::Key("animations"),
                    PathPart::Index(index),
                    PathPart::Key(key),
                ];
                serde_json::from_slice::<String>(document.raw_at(own, &path)?).ok()
            };
            let follows_words = text("resource_id")? == CAPTION_EFFECT;
            let name = text("name").unwrap_or_default();
            let known = KaraokeMode::ALL
                .into_iter()
                .find(|mode| mode.name() == name);
            follows_words.then_some(known.unwrap_or(KaraokeMode::Words))
        })
    });
    let sung = document
        .text(main, &["ktv_color"])
        .and_then(|color| rgb(&color));
    Some(ShownText {
        range: Range::new(Micros(target.start), Micros(target.duration)),
        text,
        styles,
        clip: Clip {
            transform_x: placed(["transform", "x"], 0.0),
            transform_y: placed(["transform", "y"], 0.0),
            scale_x: placed(["scale", "x"], 1.0),
            scale_y: placed(["scale", "y"], 1.0),
            rotation: rotation.unwrap_or(0.0),
            ..Clip::default()
        },
        frame: frame(document, clip, main),
        words: words.collect(),
        sung: sung.zip(mode).map(|(color, mode)| Karaoke { color, mode }),
    })
}

/// What a text has beside its letters.
fn frame(document: &Document, clip: ClipRef, main: MaterialRef) -> ShownFrame {
    // Texts whose styles cannot be read have a plain frame.
    let look = document.text_look(clip).unwrap_or_default();
    let number = |name: &str| look.get(name).and_then(Value::as_f64);
    let color = |name: &str| rgb(look.get(name)?.as_str()?);
    let shadow = look.get("shadow_enabled").is_some().then(|| {
        let angle = number("shadow_angle").unwrap_or(-45.0).to_radians();
        let distance = number("shadow_distance").unwrap_or(5.0) / 100.0;
        let part = |side: f64| (side * distance * 1e4).round() / 1e4;
        ShownShadow {
            color: color("shadow_color").unwrap_or(Rgb(0, 0, 0)),
            alpha: number("shadow_alpha").unwrap_or(0.9),
            offset: (part(angle.cos()), part(-angle.sin())),
        }
    });
    let background = color("background_color").map(|color| CueBox {
        color,
        alpha: number("background_alpha").unwrap_or(1.0),
        padding: number("background_width").unwrap_or(0.14),
    });
    ShownFrame {
        column: match look.get("alignment").and_then(Value::as_str) {
            Some("left") => -1,
            Some("right") => 1,
            _ => 0,
        },
        fixed_width: document
            .number(main, &["fixed_width"])
            .filter(|width| *width > 0.0),
        shadow,
        letter_spacing: number("letter_spacing").unwrap_or(0.0),
        background,
    }
}

/// The style that a text has as a whole.
fn usual_style(document: &Document, main: MaterialRef) -> ShownStyle {
    let font = document.text(main, &["font_title"]);
    ShownStyle {
        font: font
            .map(std::borrow::Cow::into_owned)
            .filter(|font| !matches!(&**font, "" | "none")),
        size: document
            .number(main, &["font_size"])
            .filter(|size| *size > 0.0)
            .unwrap_or(8.0),
        color: document
            .text(main, &["text_color"])
            .and_then(|color| rgb(&color))
            .unwrap_or(Rgb(255, 255, 255)),
        alpha: document.number(main, &["global_alpha"]).unwrap_or(1.0),
        bold: false,
        italic: false,
        underline: false,
        outline: None,
    }
}

fn style(content: &TextContent, index: usize, usual: &ShownStyle) -> ShownStyle {
    let value = |path: &[&str]| -> Value {
        let path: Vec<PathPart<'_>> = path
            .iter()
            .map(|key| match key.parse() {
                Ok(index) => PathPart::Index(index),
                Err(_) => PathPart::Key(key),
            })
            .collect();
        let written = content.style_value(index, &path);
        written
            .and_then(|written| serde_json::from_str(written).ok())
            .unwrap_or_default()
    };
    let solid = |of: &[&str], key| {
        let path: Vec<&str> = of
            .iter()
            .copied()
            .chain(["content", "solid", key])
            .collect();
        value(&path)
    };
    let unit_color = |value: &Value| {
        let part = |index: usize| {
            Some((value.get(index)?.as_f64()?.clamp(0.0, 1.0) * 255.0).round() as u8)
        };
        Some(Rgb(part(0)?, part(1)?, part(2)?))
    };
    let is_on = |key| value(&[key]) == Value::Bool(true);
    let path = value(&["font", "path"]);
    let file = path
        .as_str()
        .and_then(|path| path.rsplit(['/', '\\']).next());
    let stem = file.map(|file| file.rsplit_once('.').map_or(file, |(stem, _)| stem));
    let stroke = value(&["strokes", "0", "width"])
        .as_f64()
        .filter(|width| *width > 0.0);
    let edge = solid(&["strokes", "0"], "color");
    ShownStyle {
        font: stem
            .filter(|stem| !stem.is_empty())
            .map(str::to_owned)
            .or_else(|| usual.font.clone()),
        size: value(&["size"])
            .as_f64()
            .filter(|size| *size > 0.0)
            .unwrap_or(usual.size),
        color: unit_color(&solid(&["fill"], "color")).unwrap_or(usual.color),
        alpha: solid(&["fill"], "alpha").as_f64().unwrap_or(1.0) * usual.alpha,
        bold: is_on("bold"),
        italic: is_on("italic"),
        underline: is_on("underline"),
        outline: stroke.map(|width| {
            let alpha = solid(&["strokes", "0"], "alpha").as_f64();
            let color = unit_color(&edge).unwrap_or(Rgb(0, 0, 0));
            (color, alpha.unwrap_or(1.0), width)
        }),
    }
}

/// `#ffd400`.
fn rgb(color: &str) -> Option<Rgb> {
    let part = |from: usize| u8::from_str_radix(color.get(from..from + 2)?, 16).ok();
    color.starts_with('#').then_some(())?;
    Some(Rgb(part(1)?, part(3)?, part(5)?))
}

/// Writes a file, complete or not at all. An existing one is replaced only if the call says so.
fn write(target: &Path, text: &str, overwrite: bool) -> Result<()> {
    let folder = target.parent().unwrap_or(target);
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::StorageFull => "free some space, or give a `path` on another disk",
            std::io::ErrorKind::NotFound => {
                "create the folder first, or give a `path` in one that exists"
            }
            _ => "check that the folder may be written, or give another `path`",
        };
        Error::invalid(format!("{} cannot be written", target.display()))
            .hint(hint)
            .source(error)
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let moved = if overwrite {
        if target.is_dir() {
            return Err(Error::invalid(format!("{} is a folder", target.display()))
                .hint("give the path of a file"));
        }
        file.persist(target).map(drop)
    } else {
        file.persist_noclobber(target).map(drop)
    };
    moved.map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::conflict(format!("{} exists already", target.display()))
                .hint("give another `path`, or `overwrite` true to replace the file")
        }
        _ => failed(error.error),
    })
}
