//! `render`: a draft as a video, at a shell.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use capcut_render::VideoOptions;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::cli;
use crate::exec::drafts::named;
use crate::exec::{App, Context};
use crate::local::preview_video::part;
use crate::local::rendering::{ShownDraft, VideoMade, size_on_canvas};
use crate::printable::one_line;

/// Makes a preview video of a draft: an MP4 file with its sound. The app's export is final.
///
/// Needs FFmpeg. The file appears when it is complete.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp render my-video -o preview.mp4
  capcut-mcp render ./my-video -o part.mp4 --from 10 --to 20 --size 640
  capcut-mcp render dfd_cat_1767225600_0a1b2c3d -o preview.mp4 --overwrite")]
pub(super) struct RenderDraft {
    /// An id, an exact name, a draft's folder, or its document.
    draft: String,
    /// The MP4 file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Start in seconds. Default: the start of the draft.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    from: Option<f64>,
    /// End in seconds. Default: the end of the draft.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    to: Option<f64>,
    /// Pixels of the longer side; at most those of the canvas. Default: the canvas.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=8192))]
    size: Option<u32>,
    /// Replaces an existing file.
    #[arg(long)]
    overwrite: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// A time from 0 to 1,000,000 s.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("a time is a number of seconds from 0 to 1000000".to_owned()),
    }
}

impl RenderDraft {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let context = Context::of(&Caller::user());
        let draft = named(&app, &context.caller, &self.draft).await?;
        let shown = ShownDraft::read(&app, &draft, &context).await?;
        let options = VideoOptions {
            range: part((self.from, self.to), &shown)?,
            longest: size_on_canvas(self.size, u32::MAX, &shown.movie)?,
            overwrite: self.overwrite,
        };
        let ready = shown
            .with_files(&app, &[options.range], true, &context)
            .await?;
        let bar = ProgressBar::new(1000);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent} % {eta}") {
            bar.set_style(style);
        }
        let told = bar.clone();
        let cancel = CancellationToken::new();
        let interrupted = cancel.clone();
        let work = ready.video(self.output.clone(), options, cancel, move |done| {
            told.set_position((done * 1000.0) as u64);
        });
        tokio::pin!(work);
        let made = tokio::select! {
            made = &mut work => made,
            () = cli::stop_requested()? => {
                interrupted.cancel();
                work.await
            }
        };
        bar.finish_and_clear();
        let (report, notes) = made?;
        let made = VideoMade::new(&self.output, &report, notes);
        if self.json {
            return cli::print(&cli::json_text(&json!(made)));
        }
        let mut text = String::new();
        for note in &made.notes {
            text.push_str(&format!("note: {}\n", one_line(note)));
        }
        text.push_str(&format!(
            "{} ({} × {}, {:.2} s, {} fps, {} kB)\n",
            one_line(&made.file),
            made.width,
            made.height,
            made.duration,
            (made.fps * 1000.0).round() / 1000.0,
            made.bytes / 1000
        ));
        cli::print(&text)
    }
}
