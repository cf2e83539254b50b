//! `save_draft`: the draft as a folder that the app opens.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::args::input_rule::InputRule;
use crate::caller::Caller;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::package::WhileRunning;
use crate::engine::profile::{AppOs, Profile};
use crate::engine::saving::{SaveProgress, SaveWish};
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::progress::{self, Step};
use crate::tool::{Hints, Texts, Tool, Turn};
use crate::tools::{Call, Object};

/// Writes the draft and its media as a folder for the app; returns its path. An opened draft is saved into its own folder,
/// with `name` or `draft_folder` as a copy.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are arguments")]
pub(crate) struct SaveDraft {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// The app's drafts folder. Default: detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
    /// Name in the app. Default: the draft's.
    #[serde(
        default,
        alias = "project_name",
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub name: Option<String>,
    /// The system of the machine for which the draft is saved.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("enum" = ["windows", "macos"]))]
    pub target_os: Option<String>,
    /// The drafts folder of that machine.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub target_folder: Option<String>,
    /// For any machine: no ids or paths of this one.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub portable: bool,
    /// The app's version, e.g. `9.1.0`.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub app_version: Option<String>,
    /// A profile instead of a version.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("enum" = crate::engine::profile::names()))]
    pub draft_profile: Option<String>,
    /// Replaces a draft of that name and keeps a backup.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub overwrite: bool,
    /// Also makes a zip file.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub zip: bool,
    /// Refuses while the app runs.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub refuse_while_running: bool,
    /// Whether the draft is copied to the app's own folder, in newer sources of the API (HTTP only).
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(skip)]
    pub auto_deploy: Value,
    /// Seconds to wait before the reply is `running`. Default: 45.
    #[serde(
        default,
        deserialize_with = "args::own_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<f64>", range(min = 0, max = 3600))]
    pub wait_s: Option<f64>,
}

/// How long a client waits by default, in seconds: some clients time out after 60.
const PATIENCE_S: f64 = 45.0;

/// Where the draft is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Saved {
    /// `running` if the save is not done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Then: the id for `job_status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The folder that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The zip file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// A link to the zip file, for `capcut-mcp pull` or a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// The same link, under the name that guides use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_url: Option<String>,
    /// The number of media files in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether the app lists it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// The backend that saved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What to know about the draft.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do next, so that the app shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Why the draft is not in the requested folder; reported in the API's `output`, where its clients look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub elsewhere: Option<String>,
}

impl SaveDraft {
    /// How and where to save the draft.
    pub(crate) fn wish(&self) -> Result<SaveWish> {
        let target_os = match self.target_os.as_deref() {
            Some(name) => Some(name.parse::<AppOs>()?),
            None => None,
        };
        Ok(SaveWish {
            folder: self.draft_folder.clone(),
            own_folder: !self.auto_deploy.is_null() && !args::is_truthy(&self.auto_deploy),
            name: self.name.clone(),
            target_os,
            target_folder: self.target_folder.clone(),
            portable: self.portable,
            profile: self.draft_profile.clone(),
            app_version: self.app_version.clone(),
            overwrite: self.overwrite,
            zip: self.zip,
            while_running: if self.refuse_while_running {
                WhileRunning::Refuse
            } else {
                WhileRunning::Warn
            },
        })
    }

    async fn save(
        &self,
        engine: &Engine,
        call: &Call,
        listener: &(dyn Fn(&SaveProgress) + Send + Sync),
    ) -> Result<Saved> {
        let Some(draft) = &self.draft_id else {
            return Err(Error::invalid("`draft_id` is missing"));
        };
        let wish = self.wish()?;
        let mut saved = engine.save(draft, wish.clone(), call, listener).await?;
        let elsewhere = match self.elsewhere(&call.caller, &saved.folder) {
            None if args::is_truthy(&self.auto_deploy) => {
                let deployed = deployed(engine, draft, wish, call, &saved.folder).await;
                deployed.map_or_else(Some, |note| {
                    saved.notes.extend(note);
                    None
                })
            }
            elsewhere => elsewhere,
        };
        Ok(Saved {
            folder: Some(saved.folder.to_string_lossy().into_owned()),
            zip: saved.zip.map(|zip| zip.to_string_lossy().into_owned()),
            files: Some(saved.files),
            bytes: Some(saved.bytes),
            registered: Some(saved.registered),
            notes: saved.notes,
            next: Some(saved.next),
            elsewhere,
            ..Saved::default()
        })
    }
}

impl SaveDraft {
    /// Why the draft is not in the requested folder of this machine. Remote clients get no information about which
    /// folders exist.
    fn elsewhere(&self, caller: &Caller, saved: &Path) -> Option<String> {
        let wanted = Path::new(self.draft_folder.as_deref()?);
        if !caller.is_here() || !wanted.is_absolute() || !wanted.is_dir() {
            return None;
        }
        let refused = caller.access.may_write(wanted).err()?;
        let hint = refused.hint.unwrap_or_default();
        Some(format!(
            "{}; {hint}. The draft is in {}, and its paths begin with {}.",
            refused.message,
            saved.display(),
            wanted.display()
        ))
    }
}

/// Copies a saved draft into the app's own folder, unless it is there. The result is a note for the reply; the error says
/// why there is no copy.
async fn deployed(
    engine: &Engine,
    draft: &DraftId,
    wish: SaveWish,
    call: &Call,
    saved: &Path,
) -> std::result::Result<Option<String>, String> {
    let is_there = saved
        .parent()
        .is_some_and(|drafts| engine.is_apps_folder(drafts));
    if is_there {
        return Ok(None);
    }
    // Remote clients get no information about which folders exist.
    let is_here = call.caller.is_here();
    let place = if is_here {
        format!(" in {}", saved.display())
    } else {
        String::new()
    };
    let reason = match engine.deploy(draft, wish, call).await {
        Ok(Some(copy)) => {
            let to = copy.folder.display();
            return Ok(Some(if is_here {
                format!("a copy is in the app's folder: {to}. {}", copy.next)
            } else {
                "a copy is in the app's folder".to_owned()
            }));
        }
        Ok(None) => "this machine has no drafts folder of the app".to_owned(),
        Err(error) => match error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message,
        },
    };
    Err(format!(
        "The draft is saved{place}, but `auto_deploy` made no copy of it for the app: {reason}."
    ))
}

/// Advice for arguments of a video export.
const A_FOLDER: &str = "this writes a draft folder, not a video file: export the video in the app; `zip` also makes a zip file of the draft";

impl Tool for SaveDraft {
    const NAME: &'static str = "save_draft";
    const TITLE: &'static str = "Save draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: true,
        open_world: true,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("target_folder"),
        InputRule::Rare("portable"),
        InputRule::Rare("app_version"),
        InputRule::Rare("draft_profile"),
        InputRule::Rare("refuse_while_running"),
        InputRule::Alias("output_path", "draft_folder"),
        InputRule::Alias("folder", "draft_folder"),
        InputRule::Alias("title", "name"),
        InputRule::Alias("project_name", "name"),
        InputRule::ValueAdvice(
            "target_os",
            &["linux", "ubuntu", "debian", "android", "ios"],
            "the desktop app runs on these systems: give that of the computer that opens the draft",
        ),
        InputRule::Advice("format", A_FOLDER),
        InputRule::Advice("output_format", A_FOLDER),
        InputRule::Advice("file_type", A_FOLDER),
        InputRule::Advice("resolution", A_FOLDER),
        InputRule::Advice("quality", A_FOLDER),
        InputRule::Advice("bitrate", A_FOLDER),
        InputRule::Advice("fps", A_FOLDER),
        InputRule::Advice("codec", A_FOLDER),
        InputRule::Advice("export", A_FOLDER),
    ];
    const TEXTS: Texts = Texts {
        required: &["draft_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'draft_id' is missing. Please add it and try again.",
        before: "",
        after: "",
        unknown: "Draft {} does not exist in cache.",
    };
    type Reply = Saved;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn save_wish(&self) -> Result<Option<SaveWish>> {
        self.wish().map(Some)
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        let os = self.target_os.as_deref().map(str::parse::<AppOs>);
        let os = os.and_then(|os| faults.of(os)).unwrap_or(AppOs::Windows);
        if let Some(name) = &self.draft_profile {
            faults.of(Profile::named(name, os));
        } else if let Some(version) = &self.app_version {
            faults.of(Profile::for_version(canvas.edition, os, version));
        }
        faults.of(args::folder(self.draft_folder.as_deref()));
        faults
    }

    fn patience(&self) -> Option<Duration> {
        let seconds = self.wait_s.unwrap_or(PATIENCE_S);
        Some(Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)))
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Saved> {
        self.save(engine, call, &|_| ()).await
    }

    async fn run_telling(
        &self,
        engine: &Engine,
        call: &Call,
        told: &progress::Progress,
    ) -> Result<Saved> {
        let listener = |progress: &SaveProgress| {
            let bytes = progress.bytes.filter(|bytes| bytes.done > 0);
            told(Step {
                done: progress.exact,
                total: Some(100.0),
                message: match bytes {
                    Some(bytes) => format!("{} ({bytes})", progress.message),
                    None => progress.message.clone(),
                },
                bytes,
            });
        };
        self.save(engine, call, &listener).await
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        arguments.shift_remove("wait_s");
        arguments
    }

    fn reply_to_api(reply: Saved, _link: &dyn Fn(&DraftId) -> String) -> Value {
        let mut output = json!({ "success": true, "draft_url": "" });
        if let Some(link) = reply.download_url {
            output["draft_url"] = link.into();
        }
        if let Some(elsewhere) = reply.elsewhere {
            output["message"] = elsewhere.into();
        }
        output
    }
}
