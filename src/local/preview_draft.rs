//! `preview_draft`: the timeline as an image.

use std::cmp::Reverse;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use capcut_draft::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::engine::package::unwritable;
use crate::error::{Error, Result};
use crate::exec::drafts::script;
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::media::Removed;
use crate::picture::shapes::TimelineTheme;
use crate::picture::{self, TimelinePicture, png};
use crate::regular_file;
use crate::sorting;
use crate::tool::{Hints, ReplyForm};

/// Draws the timeline as an image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PreviewDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Default: light.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<TimelineTheme>,
}

/// The image.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Preview {
    pub png: String,
    pub svg: String,
    pub tracks: usize,
    /// The segments in the image.
    pub clips: usize,
    /// The draft's length in seconds.
    pub duration: f64,
    /// What the image does not show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for PreviewDraft {
    const NAME: &'static str = "preview_draft";
    const TITLE: &'static str = "Preview draft";
    const HINTS: Hints = Hints::READ;
    const REPLY_FORM: ReplyForm = ReplyForm {
        picture: Some("png"),
        ..ReplyForm::JSON
    };
    const INPUT_RULES: &'static [InputRule] = &[InputRule::Rare("theme")];
    type Reply = Preview;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, time) in [("start", self.start), ("end", self.end)] {
            if let Some(time) = time
                && !(0.0..=1e6).contains(&time)
            {
                faults.push(format!("`{name}` is {time} s; it must not be below 0"));
            }
        }
        if let Some(end) = self.end
            && faults.is_empty()
            && end <= self.start.unwrap_or(0.0)
        {
            let start = self.start.unwrap_or(0.0);
            faults.push(format!(
                "`end` is {end} s, which is not after `start` ({start} s)"
            ));
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Preview> {
        let script = script(app, self.draft_id.as_str(), context).await?;
        let row = app.journal.find(&self.draft_id).await?;
        let name = row.map(|row| row.name).filter(|name| !name.is_empty());
        let title = name.unwrap_or_else(|| self.draft_id.to_string());
        let folder = folder(app.settings.data_dir()?);
        let file = folder.join(self.file_name());
        let part = (self.start, self.end);
        let theme = self.theme.unwrap_or_default();
        tokio::task::spawn_blocking(move || preview(&title, script, part, theme, &file))
            .await
            .map_err(|error| Error::internal("drawing the timeline failed").source(error))?
    }
}

impl PreviewDraft {
    /// A different name for each part and theme, so that two calls do not write the same file.
    fn file_name(&self) -> String {
        let id: String = self.draft_id.as_str().chars().map(plain).collect();
        let part = match (self.start, self.end) {
            (None, None) => String::new(),
            (start, Some(end)) => format!(" {}-{end}", start.unwrap_or(0.0)),
            (Some(start), None) => format!(" {start}-"),
        };
        match self.theme {
            Some(TimelineTheme::Dark) => format!("{id}{part} dark"),
            Some(TimelineTheme::Light) | None => format!("{id}{part}"),
        }
    }
}

/// Replaces characters that are not safe in file names.
fn plain(character: char) -> char {
    match character {
        '-' | '_' => character,
        _ if character.is_ascii_alphanumeric() => character,
        _ => '_',
    }
}

fn preview(
    title: &str,
    script: String,
    part: (Option<f64>, Option<f64>),
    theme: TimelineTheme,
    file: &Path,
) -> Result<Preview> {
    let document = Document::parse_object(script).map_err(document_error)?;
    let mut drawn = picture::draw(title, &document, None, theme);
    if part != (None, None) {
        let window = window(part, drawn.duration_s)?;
        drawn = picture::draw(title, &document, Some(window), theme);
    }
    let TimelinePicture {
        shapes,
        tracks,
        clips,
        duration_s,
    } = drawn;
    let pixels = png::render(&shapes)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    regular_file::create_own_folder(folder).map_err(|error| unwritable(folder, error))?;
    // Earlier versions created it readable by other users.
    regular_file::tighten(folder);
    tidy(folder);
    Ok(Preview {
        png: write(file, "png", &pixels.bytes)?,
        svg: write(file, "svg", shapes.svg().as_bytes())?,
        tracks,
        clips,
        duration: duration_s,
        notes: pixels.notes,
    })
}

fn window((start, end): (Option<f64>, Option<f64>), duration_s: f64) -> Result<Range<f64>> {
    let start = start.unwrap_or(0.0);
    let end = end.unwrap_or(f64::MAX).min(duration_s.max(0.001));
    if start >= end {
        return Err(Error::invalid(format!(
            "`start` is {start} s, but the draft ends at {duration_s} s"
        )));
    }
    Ok(start..end)
}

/// How many preview files are kept (two per preview), and for how long.
const MOST_FILES: usize = 400;
/// How many preview videos are kept: they are larger.
const MOST_VIDEOS: usize = 20;
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Removes all but the newest previews, and temporary files of killed processes. Only previews are written here.
pub(super) fn tidy(folder: &Path) {
    prune(folder, MOST_FILES, LONGEST);
}

/// Removes the previews in this data folder that are older than `age`.
pub(crate) fn prune_older(data: &Path, age: Duration) -> Removed {
    prune(&folder(data), usize::MAX, age)
}

pub(super) fn folder(data: &Path) -> PathBuf {
    data.join("previews")
}

fn prune(folder: &Path, most: usize, longest: Duration) -> Removed {
    let mut removed = Removed::default();
    if !fs::symlink_metadata(folder).is_ok_and(|there| there.is_dir()) {
        return removed;
    }
    let mut files: Vec<(SystemTime, PathBuf, u64)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, entry.path(), metadata.len()))
        })
        .collect();
    sorting::sort_by_key(&mut files, |(modified, ..)| Reverse(*modified));
    let mut videos = 0;
    for (index, (modified, file, bytes)) in files.iter().enumerate() {
        videos += usize::from(file.extension().is_some_and(|ending| ending == "mp4"));
        let is_old_video = most < usize::MAX
            && videos > MOST_VIDEOS
            && file.extension().is_some_and(|ending| ending == "mp4");
        if index >= most || is_old_video || modified.elapsed().is_ok_and(|age| age > longest) {
            removed.file(file, *bytes);
        }
    }
    removed
}

/// Writes the file of a preview atomically and returns its path; old previews are removed.
pub(super) fn store(file: &Path, ending: &str, bytes: &[u8]) -> Result<String> {
    let folder = file.parent().unwrap_or(Path::new("."));
    regular_file::create_own_folder(folder).map_err(|error| unwritable(folder, error))?;
    // Earlier versions created it readable by other users.
    regular_file::tighten(folder);
    tidy(folder);
    write(file, ending, bytes)
}

/// Writes the file atomically and returns its path.
fn write(file: &Path, ending: &str, bytes: &[u8]) -> Result<String> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let to: PathBuf = folder.join(format!("{name}.{ending}"));
    let written = || {
        regular_file::create_own_folder(folder)?;
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.persist(&to)?;
        Ok(())
    };
    written().map_err(|error: std::io::Error| unwritable(&to, error))?;
    Ok(to.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call(value: Value) -> PreviewDraft {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_time_range_must_be_valid() {
        let faults = |value| call(value).faults().len();
        assert_eq!(faults(json!({"draft_id": "d", "start": 1, "end": 2})), 0);
        assert_eq!(faults(json!({"draft_id": "d", "start": 2, "end": 2})), 1);
        assert_eq!(faults(json!({"draft_id": "d", "start": -1, "end": -2})), 2);
        assert_eq!(faults(json!({"draft_id": "d", "end": 0})), 1);
        assert_eq!(window((Some(1.0), None), 4.0).unwrap(), 1.0..4.0);
        assert_eq!(window((None, Some(9.0)), 4.0).unwrap(), 0.0..4.0);
        let error = window((Some(5.0), None), 4.0).unwrap_err();
        assert!(error.to_string().contains("ends at 4 s"), "{error}");
    }

    #[test]
    fn old_previews_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, days: u64| {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            let then = SystemTime::now() - Duration::from_hours(24 * days);
            file.set_modified(then).unwrap();
        };
        put("old.png", 31);
        put("new.png", 0);
        tidy(folder.path());
        let names = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names(), 1);
        assert!(folder.path().join("new.png").exists());
        for number in 0..MOST_FILES {
            put(&format!("{number}.svg"), 1);
        }
        tidy(folder.path());
        assert_eq!(names(), MOST_FILES);
        assert!(folder.path().join("new.png").exists());
    }

    #[test]
    fn an_id_cannot_escape_the_folder() {
        let call = call(json!({"draft_id": "../../x", "start": 1.5}));
        assert_eq!(call.file_name(), "______x 1.5-");
        let dark = self::call(json!({"draft_id": "d", "theme": "dark"}));
        assert_eq!(dark.file_name(), "d dark");
    }
}
