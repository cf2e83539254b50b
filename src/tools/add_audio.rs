//! `add_audio`: add audio.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::mend::Comfort;
use crate::args::reply::Placed;
use crate::args::{self, default};
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tools::{Call, Group, Hints, Tool, Turn};

/// Places music, speech or a sound on an audio track.
///
/// Without `end` it runs to the end of the file; its length is read when the call is made.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddAudio {
    /// Draft to add to; without it a new one is made.
    #[serde(default, deserialize_with = "args::draft_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DraftId>")]
    pub draft_id: Option<DraftId>,
    /// http(s) URL or absolute path.
    pub audio_url: String,
    /// Where in the file the sound starts, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub start: f64,
    /// Where in the file it ends, seconds; without: its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Length in seconds instead of `end`.
    #[serde(default, deserialize_with = "args::optional_seconds", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub duration: Option<f64>,
    /// Where on the timeline it starts, seconds.
    #[serde(default, deserialize_with = "args::time")]
    #[schemars(with = "f64", range(min = 0))]
    pub target_start: f64,
    /// Track; made if new. One type and no overlap per track.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// Playback speed factor.
    #[serde(default = "normal")]
    pub speed: Option<f64>,
    /// Loudness factor; 1 is unchanged.
    #[serde(default = "default::one", deserialize_with = "args::loose_one")]
    #[schemars(with = "f64")]
    pub volume: f64,
    /// Voice or sound effect by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_type: Option<String>,
    /// The effect's parameters in order, each 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_params: Option<Vec<Option<f64>>>,
    /// Canvas width of a new draft, pixels.
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub width: f64,
    /// Canvas height of a new draft, pixels.
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64")]
    pub height: f64,
    /// The app's drafts folder, for the paths written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
}

fn main_track() -> Option<String> {
    Some("audio_main".to_owned())
}

fn normal() -> Option<f64> {
    Some(1.0)
}

impl Tool for AddAudio {
    const NAME: &'static str = "add_audio";
    const TITLE: &'static str = "Add audio";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const COMFORT: &'static [Comfort] = &[Comfort::Size, Comfort::Alias("audio_path", "audio_url"), Comfort::Alias("url", "audio_url"), Comfort::Alias("path", "audio_url"), Comfort::Alias("start_time", "target_start"), Comfort::Alias("source_start", "start"), Comfort::Alias("source_end", "end"), Comfort::Alias("output_path", "draft_folder"), Comfort::Alias("audio_effect", "effect_type")];
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Track {
            group: Group::Audio,
            track: self.track_name.clone().unwrap_or_default(),
            dependent: false,
        }
    }

    async fn run(&self, _engine: &Engine, _call: &Call) -> Result<Placed> {
        Err(Error::internal("the engine is not there yet"))
    }

    fn reply_to_api(reply: &Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        reply.to_api(link)
    }
}
