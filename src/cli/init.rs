//! `init`: writes a plan to start from, with comments and small media.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;

use crate::cli;
use crate::cli::samples::{self, Sample};
use crate::error::{Error, Result};
use crate::sorting;

/// Writes a plan to start from, with comments, and small media to try it with.
///
/// Existing files are not replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp init slideshow
  capcut-mcp init slideshow trip.yaml --from ./photos   the images, clips and sounds of that folder
  capcut-mcp init ad plans/ad.toml
  capcut-mcp init batch                                 a template and the table with its rows")]
pub(super) struct Init {
    /// The kind of video.
    kind: Video,
    /// The file to write. Default: named after the kind. Media are written to the folder `media` next to it.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Uses the images, clips and sounds of this folder, sorted by name (for `slideshow`).
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    from: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Video {
    /// Images and clips with music.
    Slideshow,
    /// A product ad with a price, a voice and music.
    Ad,
    /// Captions that highlight each word as it is sung.
    Karaoke,
    /// One draft for each row of a table.
    Batch,
}

impl Video {
    fn sample(self) -> Sample {
        match self {
            Self::Slideshow => samples::SLIDESHOW,
            Self::Ad => samples::AD,
            Self::Karaoke => samples::KARAOKE,
            Self::Batch => samples::BATCH,
        }
    }

    fn default_file(self) -> &'static str {
        match self {
            Self::Slideshow => "slideshow.yaml",
            Self::Ad => "ad.toml",
            Self::Karaoke => "karaoke.yaml",
            Self::Batch => "batch.yaml",
        }
    }
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let default = self.kind.default_file();
        let file = self.file.clone().unwrap_or_else(|| default.into());
        let wanted = Path::new(default).extension();
        let is_yaml = |ending: &str| ending == "yaml" || ending == "yml";
        let ending = file
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        if !(file.extension() == wanted || wanted.is_some_and(|w| w == "yaml") && is_yaml(ending)) {
            let wanted = wanted.unwrap_or_default().to_string_lossy().into_owned();
            return Err(Error::invalid(format!(
                "{}: this kind of plan is a .{wanted} file",
                file.display()
            ))
            .hint(format!("choose a file name that ends in .{wanted}"))
            .into());
        }
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let sample = self.kind.sample();
        let table = file.with_extension("csv");
        let mut files = Vec::new();
        if let Some(from) = &self.from {
            if self.kind != Video::Slideshow {
                return Err(Error::invalid("`--from` is for `init slideshow`")
                    .hint("create the plan without it, then replace its paths")
                    .into());
            }
            files.push((file.clone(), slideshow(from, &folder)?.into_bytes()));
        } else {
            let text = with_own_names(sample.text(), sample.path, &file, &table);
            files.push((file.clone(), text.into_bytes()));
            if self.kind == Video::Batch {
                files.push((table.clone(), samples::BATCH_TABLE.content.to_vec()));
            }
            for media in sample.media() {
                files.push((folder.join(media.path), media.content.to_vec()));
            }
        }
        let mut out = String::new();
        for (path, is_new) in samples::write_all(&files)? {
            let what = if is_new { "wrote" } else { "kept " };
            let _ = writeln!(out, "{what} {}", path.display());
        }
        let plan = quoted(&file);
        if self.kind == Video::Batch {
            let _ = writeln!(
                out,
                "next: capcut-mcp compose --template {plan} --inputs {}",
                quoted(&table)
            );
        } else {
            let _ = writeln!(
                out,
                "next: capcut-mcp compose {plan} --dry-run   (checks it), then without `--dry-run`"
            );
        }
        cli::print(&out)
    }
}

/// The plan with the commands in its comments adapted to the names of its files.
fn with_own_names(text: &str, path: &str, file: &Path, table: &Path) -> String {
    text.replace(&format!("examples/{path}"), &quoted(file))
        .replace("examples/batch.csv", &quoted(table))
        .replace("`batch.csv`", &format!("`{}`", table.display()))
}

/// A path as a word of a command line.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains([' ', '\'', '(', ')', '&', '$']) {
        format!("\"{text}\"")
    } else {
        text
    }
}

const PICTURES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];
const CLIPS: [&str; 5] = ["mp4", "mov", "m4v", "mkv", "webm"];
const SOUNDS: [&str; 6] = ["mp3", "m4a", "wav", "aac", "flac", "ogg"];

/// A slideshow of the media in a folder, sorted by name. Paths below `base` are relative to it.
fn slideshow(from: &Path, base: &Path) -> Result<String> {
    let failed = |e| Error::invalid(format!("{} cannot be read", from.display())).source(e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
            names.push(name.to_owned());
        }
    }
    sorting::sort_by_key(&mut names, |name| natural(name));
    let is = |name: &str, endings: &[&str]| {
        let ending = Path::new(name)
            .extension()
            .and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| endings.contains(&ending.to_ascii_lowercase().as_str()))
    };
    let path = |name: &String| {
        let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        let base = std::path::absolute(if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            base
        });
        let whole = from.join(name);
        let shown = base
            .ok()
            .and_then(|base| whole.strip_prefix(base).ok().map(Path::to_owned));
        // JSON's quotes are YAML's.
        json!(shown.unwrap_or(whole).to_string_lossy()).to_string()
    };
    let mut visuals = String::new();
    for name in &names {
        if is(name, &PICTURES) {
            let _ = write!(
                visuals,
                "  - image_url: {}\n    duration: 3\n    transition: Dissolve\n",
                path(name)
            );
        } else if is(name, &CLIPS) {
            let _ = write!(
                visuals,
                "  - video_url: {}\n    transition: Dissolve\n",
                path(name)
            );
        }
    }
    if visuals.is_empty() {
        return Err(Error::invalid(format!(
            "there are no images or clips in {}",
            from.display()
        ))
        .hint(format!(
            "images end in {}, clips in {}",
            PICTURES.join(", "),
            CLIPS.join(", ")
        )));
    }
    let mut plan = String::from(
        "# A slideshow. Images and clips without a time follow each other; change their order, lengths (in seconds) and\n\
         # transitions here. `capcut-mcp tools --plan-schema` shows every key.\n\
         name: Slideshow\n\
         aspect_ratio: \"16:9\"             # 9:16 for phones, 1:1 for square\n\nvisuals:\n",
    );
    plan.push_str(&visuals);
    if let Some(music) = names.iter().find(|name| is(name, &SOUNDS)) {
        let _ = write!(
            plan,
            "\naudio:\n  - audio_url: {}\n    fit: video                    # cut to the end of the visuals\n    volume: 0.6                   # 1 is the original volume\n",
            path(music)
        );
    }
    if let Some(subtitles) = names.iter().find(|name| is(name, &["srt", "vtt", "ass"])) {
        let _ = write!(plan, "\nsubtitles:\n  - srt: {}\n", path(subtitles));
    }
    plan.push_str("\ntexts:\n  - text: My title\n    start: 0.5\n    end: 2.5\n    font_size: 14\n    transform_y: 0.6              # 0 is the middle of the canvas, 1 its upper edge\n");
    Ok(plan)
}

/// A sort key for natural order: 2 before 10.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = rest[..digits].parse().unwrap_or(u64::MAX);
        let words = rest[digits..].find(|c: char| c.is_ascii_digit());
        let end = words.map_or(rest.len(), |at| digits + at);
        // Words come after numbers.
        let number = if digits == 0 { u64::MAX } else { number };
        parts.push((number, rest[digits..end].to_lowercase()));
        rest = &rest[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_in_natural_order() {
        let mut names = ["b.jpg", "10.jpg", "2.jpg", "a10.jpg", "A9.jpg"];
        sorting::sort_by_key(&mut names, |name| natural(name));
        assert_eq!(names, ["2.jpg", "10.jpg", "A9.jpg", "a10.jpg", "b.jpg"]);
    }
}
