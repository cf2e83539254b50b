//! `get_video_duration`: how long a video or sound is, before it is placed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::mend::Comfort;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tools::Hints;

/// Gives length, picture size and whether there is sound, of a video, sound or image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GetVideoDuration {
    /// http(s) URL or absolute path.
    pub video_url: String,
}

/// What the file is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Measured {
    /// The length in seconds; 0 for a picture that does not move.
    pub duration: f64,
    /// The picture's width in pixels, as it is shown; 0 without a picture.
    pub width: u32,
    /// The picture's height in pixels, as it is shown; 0 without a picture.
    pub height: u32,
    /// Whether there is a moving picture.
    pub has_video: bool,
    /// Whether there is sound.
    pub has_audio: bool,
    /// What the content is, such as `mp4`, whatever its name says.
    pub format: &'static str,
    /// The size of the file, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl LocalTool for GetVideoDuration {
    const NAME: &'static str = "get_video_duration";
    const TITLE: &'static str = "Get video duration";
    const HINTS: Hints = Hints {
        open_world: true,
        ..Hints::READ
    };
    const COMFORT: &'static [Comfort] = &[
        Comfort::Alias("video_path", "video_url"),
        Comfort::Alias("audio_url", "video_url"),
        Comfort::Alias("audio_path", "video_url"),
        Comfort::Alias("image_url", "video_url"),
        Comfort::Alias("url", "video_url"),
        Comfort::Alias("path", "video_url"),
    ];
    type Reply = Measured;

    fn faults(&self) -> Vec<String> {
        if self.video_url.trim().is_empty() {
            return vec!["`video_url` is empty: an http(s) address or the path of a file".into()];
        }
        Vec::new()
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<Measured> {
        let facts = app.media.of(&context.caller).facts(&self.video_url).await?;
        let duration = if facts.has_video {
            facts.duration
        } else {
            facts.audio_duration.unwrap_or(facts.duration)
        };
        if duration.0 == 0 && !facts.is_still {
            return Err(Error::media(format!(
                "{} does not tell how long it is",
                crate::media::shown(&self.video_url)
            ))
            .hint("give `start` and `end` when you place it"));
        }
        Ok(Measured {
            duration: duration.seconds(),
            width: facts.width,
            height: facts.height,
            has_video: facts.has_video,
            has_audio: facts.has_audio,
            format: facts.format.extension(),
            bytes: facts.bytes,
        })
    }
}
