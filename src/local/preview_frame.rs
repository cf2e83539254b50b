//! `preview_frame`: what the draft shows at one or several times.

use std::path::Path;
use std::sync::Arc;

use capcut_render::{Encoded, PictureFormat, fitted, sheet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::rendering::{
    PREVIEW, ShownDraft, blocking, draft_fault, draft_of, image_bytes, micros, notes, of_renderer,
    plain_name, size_fault, size_on_canvas, time_fault,
};
use crate::args::input_rule::InputRule;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::local::preview_draft::{folder, store};
use crate::picture::outline::outline;
use crate::tool::{Hints, ReplyForm};

/// The most frames of one call.
const MOST: usize = 16;
/// The longer side of one frame, and of a sheet, where the call names none, in pixels.
const USUAL: u32 = 960;
const USUAL_SHEET: u32 = 1280;

/// Shows the composed picture at times.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PreviewFrame {
    /// The draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// Or a folder or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Or up to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<f64>,
    /// Or 1 to 16, evenly spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Longer side in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<u32>,
    /// "jpeg" or "png".
    #[serde(default)]
    pub format: FrameFormat,
}

/// The format of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum FrameFormat {
    #[default]
    #[serde(alias = "jpg")]
    Jpeg,
    Png,
}

/// The image.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FramesShown {
    /// Its id, or its folder.
    pub draft: String,
    /// The file.
    pub image: String,
    pub width: u32,
    pub height: u32,
    /// Seconds.
    pub times: Vec<f64>,
    /// The draft's length in seconds.
    pub duration: f64,
    /// Approximate or left out, by clip.
    pub notes: Vec<String>,
}

impl LocalTool for PreviewFrame {
    const NAME: &'static str = "preview_frame";
    const TITLE: &'static str = "Preview frame";
    const HINTS: Hints = Hints {
        open_world: true,
        ..Hints::READ
    };
    const REPLY_FORM: ReplyForm = ReplyForm {
        picture: Some("image"),
        shows_draft: true,
        ..ReplyForm::JSON
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("format"),
        InputRule::Rare("size"),
        InputRule::Alias("time", "at"),
        // Elsewhere `size` is that of letters.
        InputRule::Shown("size", "pixels"),
        InputRule::Alias("draft_folder", "draft"),
        InputRule::Alias("folder", "draft"),
        InputRule::Alias("path", "draft"),
    ];
    type Reply = FramesShown;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(draft_fault(self.draft_id.as_ref(), self.draft.as_deref()));
        let given = [
            self.at.is_some(),
            !self.times.is_empty(),
            self.count.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            faults.push("give exactly one of `at` (seconds), `times` (a list of seconds) and `count` (1 to 16)".to_owned());
        }
        faults.extend(self.at.and_then(|at| time_fault("at", at)));
        let times = self.times.iter().enumerate();
        faults.extend(
            times.filter_map(|(index, time)| time_fault(&format!("times[{index}]"), *time)),
        );
        if self.times.len() > MOST {
            faults.push(format!(
                "`times` has {} times; one image shows at most {MOST}",
                self.times.len()
            ));
        }
        if let Some(count) = self
            .count
            .filter(|count| !(1..=MOST as u32).contains(count))
        {
            faults.push(format!(
                "`count` is {count}; one image shows 1 to {MOST} frames"
            ));
        }
        faults.extend(size_fault(self.pixels));
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<FramesShown> {
        let draft = draft_of(app, self.draft_id.as_ref(), self.draft.as_deref(), context).await?;
        let shown = ShownDraft::read(app, &draft, context).await?;
        let duration = shown.duration_s();
        let timeline = outline(&shown.document).characters();
        let times = self.times(&shown)?;
        let usual = if times.len() == 1 { USUAL } else { USUAL_SHEET };
        let size = size_on_canvas(self.pixels, usual, &shown.movie)?;
        let ranges: Vec<_> = times.iter().map(|time| (*time, *time)).collect();
        let mut ready = shown.with_files(app, &ranges, false, context).await?;
        let is_sized = self.pixels.is_some();
        let format = match self.format {
            FrameFormat::Jpeg => PictureFormat::Jpeg,
            FrameFormat::Png => PictureFormat::Png,
        };
        let name = plain_name(self.draft_id.as_ref().map_or_else(
            || self.draft.as_deref().unwrap_or_default(),
            DraftId::as_str,
        ));
        let folder = folder(app.settings.data_dir()?);
        blocking(move || {
            let picture = match times[..] {
                [at] => ready.renderer.frame(at, size),
                _ if is_sized => sheet(&mut ready.renderer, &times, size),
                _ => {
                    let columns =
                        capcut_render::columns(times.len(), ready.renderer.movie().canvas());
                    sheet(&mut ready.renderer, &times, size / columns)
                }
            };
            let picture = picture.map_err(of_renderer)?;
            let mut shown = FramesShown {
                draft: draft.to_string(),
                image: folder.join(&name).to_string_lossy().into_owned(),
                width: picture.width(),
                height: picture.height(),
                times: times.iter().map(|time| *time as f64 / 1e6).collect(),
                duration,
                notes: notes(ready.renderer.notes()),
            };
            let most = image_bytes(&shown, timeline)?;
            let made = fitted(&picture, format, most).map_err(of_renderer)?;
            if (made.width, made.height) != (shown.width, shown.height) {
                shown.notes.push(format!(
                    "the image was reduced from {} × {} pixels so that clients can show it",
                    shown.width, shown.height
                ));
            }
            shown.notes.push(PREVIEW.to_owned());
            shown.image = stored(&folder, &name, &made)?;
            (shown.width, shown.height) = (made.width, made.height);
            Ok(shown)
        })
        .await
    }
}

impl PreviewFrame {
    /// The times in the draft, microseconds.
    fn times(&self, shown: &ShownDraft) -> Result<Vec<i64>> {
        let duration = shown.movie.duration();
        if let Some(count) = self.count {
            // In the middle of equal parts: the first and the last frame are often black.
            let count = i64::from(count);
            return Ok((0..count)
                .map(|index| (2 * index + 1) * duration / (2 * count))
                .collect());
        }
        let times: Vec<i64> = self
            .at
            .iter()
            .chain(&self.times)
            .copied()
            .map(micros)
            .collect();
        match times.iter().find(|time| **time > duration) {
            Some(late) => Err(Error::invalid(format!(
                "the time {} s is after the end of the draft ({} s)",
                *late as f64 / 1e6,
                shown.duration_s()
            ))
            .hint(format!("give times from 0 to {} s", shown.duration_s()))),
            None => Ok(times),
        }
    }
}

/// Writes the image under a name that belongs to its content, so that two calls do not write the same file.
fn stored(folder: &Path, name: &str, made: &Encoded) -> Result<String> {
    let hash = Sha256::digest(&made.bytes);
    let hash: String = hash[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    let ending = match made.format {
        PictureFormat::Jpeg => "jpg",
        PictureFormat::Png => "png",
    };
    store(&folder.join(format!("{name} {hash}")), ending, &made.bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn exactly_one_kind_of_times_and_one_draft_are_needed() {
        let faults = |value| {
            let call: PreviewFrame = serde_json::from_value(value).unwrap();
            call.faults().len()
        };
        assert_eq!(faults(json!({"draft_id": "d", "at": 1})), 0);
        assert_eq!(faults(json!({"draft": "/d", "times": [0, 2.5]})), 0);
        assert_eq!(
            faults(json!({"draft": "/d", "count": 16, "pixels": 640, "format": "png"})),
            0
        );
        assert_eq!(faults(json!({"draft": "/d"})), 1);
        assert_eq!(faults(json!({"at": 1})), 1);
        assert_eq!(
            faults(json!({"draft": "/d", "draft_id": "d", "at": 1, "count": 2})),
            2
        );
        assert_eq!(faults(json!({"draft": "/d", "times": vec![1.0; 17]})), 1);
        assert_eq!(faults(json!({"draft": "/d", "at": -1.0, "pixels": 3})), 2);
        assert_eq!(faults(json!({"draft": "/d", "count": 0})), 1);
    }
}
