//! `get_video_duration`: the length of a video or sound before it is added.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::tool::Hints;

/// Returns length, picture size and whether there is sound, of a video, sound or image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GetVideoDuration {
    /// http(s) URL or absolute path.
    pub video_url: String,
}

/// The properties of the file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Measured {
    /// The length in seconds; 0 for a still image.
    pub duration: f64,
    /// The displayed width in pixels; 0 without a picture.
    pub width: u32,
    /// The displayed height in pixels; 0 without a picture.
    pub height: u32,
    /// Whether there is a moving picture.
    pub has_video: bool,
    /// Whether there is sound.
    pub has_audio: bool,
    /// The format of the content, such as `mp4`; it can differ from the file name.
    pub format: &'static str,
    /// The size of the file in bytes, if known.
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
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("video_path", "video_url"),
        InputRule::Alias("audio_url", "video_url"),
        InputRule::Alias("audio_path", "video_url"),
        InputRule::Alias("image_url", "video_url"),
        InputRule::Alias("url", "video_url"),
        InputRule::Alias("path", "video_url"),
    ];
    type Reply = Measured;

    fn faults(&self) -> Vec<String> {
        if self.video_url.trim().is_empty() {
            return vec!["`video_url` is empty: give an http(s) URL or the path of a file".into()];
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
                "{} does not state its length",
                crate::media::shown(&self.video_url)
            ))
            .hint("give `start` and `end` when you add it"));
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
