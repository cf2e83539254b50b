//! `preview_video`: the draft, or a part of it, as a video with sound.

use std::path::PathBuf;
use std::sync::Arc;

use capcut_render::VideoOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rendering::{
    ShownDraft, VideoMade, draft_fault, draft_of, micros, plain_name, size_fault, size_on_canvas,
    time_fault,
};
use crate::args::input_rule::InputRule;
use crate::args::to_value;
use crate::compose::report::Detail;
use crate::draft::ids::DraftId;
use crate::engine::package::unwritable;
use crate::error::{Error, Result};
use crate::exec::drafts::NamedDraft;
use crate::exec::jobs::{Handle, JobCall, JobStart};
use crate::exec::{App, Context, Step};
use crate::local::compose_draft::{JobReply, default_wait_s};
use crate::local::preview_draft::folder;
use crate::local::{JobTool, LocalTool};
use crate::regular_file;
use crate::tool::Hints;

/// The longer side where the call names none, in pixels.
const USUAL: u32 = 1280;

/// Makes an MP4 with sound.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PreviewVideo {
    /// The draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// Or a folder or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Longer side in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<u32>,
    /// Seconds to wait before the reply is `running`.
    #[serde(default = "default_wait_s")]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub wait_s: f64,
}

impl LocalTool for PreviewVideo {
    const NAME: &'static str = "preview_video";
    const TITLE: &'static str = "Preview video";
    // It changes no draft, but makes a file, with all processors: a read-only token generates nothing.
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
        open_world: true,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("wait_s"),
        InputRule::Rare("draft"),
        InputRule::Rare("size"),
        InputRule::Alias("start", "from"),
        InputRule::Alias("end", "to"),
        // Elsewhere `size` is that of letters.
        InputRule::Shown("size", "pixels"),
        InputRule::Alias("draft_folder", "draft"),
        InputRule::Alias("folder", "draft"),
        InputRule::Alias("path", "draft"),
    ];
    type Reply = JobReply;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(draft_fault(self.draft_id.as_ref(), self.draft.as_deref()));
        faults.extend(self.from.and_then(|from| time_fault("from", from)));
        faults.extend(self.to.and_then(|to| time_fault("to", to)));
        faults.extend(size_fault(self.pixels));
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let asked = JobCall::new(self, &context.caller)?;
        let (shown, target, options) = self.prepared(app, context).await?;
        let (worker, caller, progress) = (
            Arc::clone(app),
            context.caller.clone(),
            context.progress.clone(),
        );
        app.job_within_quota().await?;
        let start = JobStart {
            kind: Self::NAME,
            call: &asked,
            key: None,
        };
        let work = move |handle: Handle| async move {
            let context = handle.context(caller, progress);
            to_value(&video(&worker, shown, target, options, &context).await?)
        };
        let id = app.jobs.start(start, work).await?;
        let state = app.jobs.answered(&id, self.wait_s, &context.cancel).await?;
        if let Some(error) = state.failure() {
            return Err(error);
        }
        Ok(JobReply::of(&id, state, Detail::All))
    }
}

impl JobTool for PreviewVideo {
    async fn work(&self, app: &Arc<App>, _handle: &Handle, context: &Context) -> Result<Value> {
        let (shown, target, options) = self.prepared(app, context).await?;
        to_value(&video(app, shown, target, options, context).await?)
    }
}

impl PreviewVideo {
    async fn prepared(
        &self,
        app: &Arc<App>,
        context: &Context,
    ) -> Result<(ShownDraft, PathBuf, VideoOptions)> {
        let draft = draft_of(app, self.draft_id.as_ref(), self.draft.as_deref(), context).await?;
        let shown = ShownDraft::read(app, &draft, context).await?;
        let options = VideoOptions {
            range: part((self.from, self.to), &shown)?,
            longest: size_on_canvas(self.pixels, USUAL, &shown.movie)?,
            overwrite: true,
        };
        let named = self
            .draft_id
            .as_ref()
            .map(DraftId::as_str)
            .or(self.draft.as_deref());
        let target = target(app, named.unwrap_or_default(), &options)?;
        Ok((shown, target, options))
    }
}

/// The file of a video of a draft.
fn target(app: &App, draft: &str, options: &VideoOptions) -> Result<PathBuf> {
    let folder = folder(app.settings.data_dir()?);
    regular_file::create_own_folder(&folder).map_err(|error| unwritable(&folder, error))?;
    let (from, to) = (options.range.0 as f64 / 1e6, options.range.1 as f64 / 1e6);
    let name = plain_name(draft);
    Ok(folder.join(format!("{name} {from}-{to} {}.mp4", options.longest)))
}

async fn video(
    app: &Arc<App>,
    shown: ShownDraft,
    target: PathBuf,
    options: VideoOptions,
    context: &Context,
) -> Result<VideoMade> {
    let ready = shown
        .with_files(app, &[options.range], true, context)
        .await?;
    let tell = context.progress.clone();
    let told = move |done: f32| {
        if let Some(tell) = &tell {
            tell(Step {
                done: f64::from(done * 100.0).round(),
                total: Some(100.0),
                message: format!("rendering: {:.0} %", done * 100.0),
                bytes: None,
            });
        }
    };
    let made = ready
        .video(target.clone(), options, context.cancel.clone(), told)
        .await?;
    Ok(VideoMade::new(&target, &made.0, made.1))
}

/// A video of a whole draft, in the usual size.
pub(super) async fn whole(app: &Arc<App>, draft: DraftId, context: &Context) -> Result<PathBuf> {
    let name = draft.as_str().to_owned();
    let shown = ShownDraft::read(app, &NamedDraft::Known(draft), context).await?;
    let options = VideoOptions {
        range: part((None, None), &shown)?,
        longest: size_on_canvas(None, USUAL, &shown.movie)?,
        overwrite: true,
    };
    let target = target(app, &name, &options)?;
    let made = video(app, shown, target, options, context).await?;
    Ok(PathBuf::from(made.file))
}

/// The part of a draft between two times in seconds, as microseconds.
pub(crate) fn part(
    (from, to): (Option<f64>, Option<f64>),
    shown: &ShownDraft,
) -> Result<(i64, i64)> {
    let duration = shown.movie.duration();
    let start = from.map_or(0, micros);
    let end = to.map_or(duration, micros).min(duration);
    if start >= end {
        return Err(Error::invalid(format!(
            "the part from {} s to {} s is empty; the draft ends at {} s",
            start as f64 / 1e6,
            end as f64 / 1e6,
            shown.duration_s()
        ))
        .hint("`to` must be after `from`, and `from` before the end of the draft"));
    }
    Ok((start, end))
}
